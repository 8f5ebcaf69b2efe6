//! The drop folder: producers put files in, the night takes those that are complete.
//!
//! A file is taken when it rests ([`rest`]), so that none is read under its writer's hands. It is moved to `done/` or `refused/` below the folder only after the commit (or the refusal), and only while
//! its size and digest are still those that were read. Names there carry the digest, so equal names never overwrite.

mod names;
mod rest;
mod writers;

use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use rest::Left;

use super::input::{Input, Measured};
use super::{Ingested, ingest};
use crate::books::Books;
use crate::digest::input_digest_of_file;
use crate::error::{AtPath as _, Error, Result};
use crate::fault;
use crate::files::{create_dir_durably, rename_durably};

const DONE: &str = "done";
const REFUSED: &str = "refused";

/// Digits of the digest in a moved file's name: 64 bits, plenty for one folder.
const DIGEST_DIGITS: usize = 16;

/// What the night did with the drop folder.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Dropped {
    pub ingested: Vec<Ingested>,
    pub refused: Vec<RefusedFile>,
    /// Files that changed while they were read; they stay and are taken next time.
    pub changed: Vec<String>,
    /// What does not rest; it stays and is looked at in the next night.
    pub left: Vec<Left>,
    /// What is no plain file: folders, links, pipes. They are never taken.
    pub skipped: Vec<String>,
}

/// A file that could not be taken at all.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RefusedFile {
    pub name: String,
    pub why: String,
}

/// Ingests the files of the drop folder that rest, in the order of their names. Waits once, at most `drop_rest_s`, for those that do not.
pub async fn take_dropped(books: &Books) -> Result<Dropped> {
    take_dropped_waiting(books, async |how_long| tokio::time::sleep(how_long).await).await
}

/// The same with another way to wait: a test's files change meanwhile.
#[tracing::instrument(skip_all)]
pub async fn take_dropped_waiting(books: &Books, wait: impl AsyncFnOnce(Duration)) -> Result<Dropped> {
    let folder = books.settings.drop_folder(&books.data);
    create_dir_durably(&folder)?;
    let (files, skipped) = dropped_files(&folder)?;
    let rest = Duration::from_secs(books.settings.drop_rest_s.into());
    let (files, left) = rest::resting(files, rest, books.clock.machine(), wait).await?;
    let mut dropped = Dropped {
        left,
        skipped,
        ..Dropped::default()
    };
    for path in files {
        take_file(books, &folder, &path, &mut dropped).await?;
    }
    Ok(dropped)
}

async fn take_file(books: &Books, folder: &Path, path: &Path, dropped: &mut Dropped) -> Result<()> {
    let outcome = match Input::named(path, None) {
        Ok(input) => ingest(books, &input, &books.settings.source)
            .await
            .map(|ingested| (input, ingested)),
        Err(error) => Err(error),
    };
    match outcome {
        Ok((input, ingested)) => {
            if is_still(&input, &ingested.measured)? {
                move_away(books, path, &folder.join(DONE), &ingested.measured.digest)?;
            } else {
                dropped.changed.push(input.name);
            }
            dropped.ingested.push(ingested);
        }
        Err(error @ (Error::Input { .. } | Error::Usage(_))) => {
            let name = path.display().to_string();
            tracing::warn!(file = name, %error, "file refused");
            let digest = input_digest_of_file(path)?;
            move_away(books, path, &folder.join(REFUSED), &digest)?;
            dropped.refused.push(RefusedFile {
                name,
                why: error.to_string(),
            });
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The folders that files are moved to.
pub fn moved_folders(books: &Books) -> [PathBuf; 2] {
    let drop = books.settings.drop_folder(&books.data);
    [drop.join(DONE), drop.join(REFUSED)]
}

/// The beginning of the digest in a moved file's name.
pub fn digest_in_name(name: &str) -> Option<&str> {
    let (digest, _) = name.split_once('-')?;
    let is_digest = digest.len() == DIGEST_DIGITS && digest.bytes().all(|b| b.is_ascii_hexdigit());
    is_digest.then_some(digest)
}

fn is_still(input: &Input, measured: &Measured) -> Result<bool> {
    if input.bytes()? != Some(measured.bytes) {
        return Ok(false);
    }
    Ok(tokio::task::block_in_place(|| input.digest())?.as_deref() == Some(measured.digest.as_str()))
}

/// Files by name, and the names of what is no file.
fn dropped_files(folder: &Path) -> Result<(Vec<PathBuf>, Vec<String>)> {
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).at(folder)? {
        let entry = entry.at(folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if names::is_left_alone(&name) {
            continue;
        }
        if entry.file_type().at(folder)?.is_file() {
            files.push(entry.path());
        } else if ![DONE, REFUSED].contains(&name.as_str()) {
            others.push(entry.path().display().to_string());
        }
    }
    files.sort_unstable();
    others.sort_unstable();
    Ok((files, others))
}

/// `usage.ndjson` becomes `<folder>/<digest>-usage.ndjson`. The same bytes under the same name need no second copy. The file's
/// time becomes the time of receipt, from which it is kept for a month.
fn move_away(books: &Books, path: &Path, folder: &Path, digest: &str) -> Result<()> {
    create_dir_durably(folder)?;
    let received = FileTimes::new().set_modified(books.clock.now().into());
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_times(received))
        .at(path)?;
    fault::file("dated", path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let target = folder.join(format!("{}-{name}", &digest[..DIGEST_DIGITS.min(digest.len())]));
    if target.exists() && input_digest_of_file(&target)? == digest {
        std::fs::remove_file(path).at(path)?;
        fault::file("removed", path);
        return Ok(());
    }
    rename_durably(path, &target)
}
