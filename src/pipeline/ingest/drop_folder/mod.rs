//! The drop folder: producers put files in, the night takes those that are complete.
//!
//! A file is taken when it rests ([`rest`]), so that none is read under its writer's hands. It is moved to `done/` or `refused/` below
//! the folder only after the commit (or the refusal), and only while its size and digest are still those that were read. One of which
//! no record could be taken goes to `refused/` too: its lines are in quarantine, and whoever looks for what was not billed finds the
//! file there. Names there carry the digest, so equal names never overwrite. What changes there afterwards is read again ([`originals`]).

mod complete_files;
pub mod holding;
pub mod names;
mod open_files;
mod originals;
mod senders;
mod store;
mod without_secrets;

use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use complete_files::Left;
pub use originals::forget_gone as forget_originals;
use originals::{Changed, Put, stand_of};
use senders::{Sender, Senders};
pub use store::blanked;

use super::input::folder::{Folder, digest_of_original, is_finished};
use super::input::{Input, InputDigest};
use super::quarantine::alarm::Alarm;
use super::store::{Batch, batch_of_digest_beginning, gone_records};
use super::{Ingested, ingest, ingest_changed};
use crate::context::Books;
use crate::storage::durable_files::{create_dir_durably, rename_durably};
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::failpoint;
use crate::values::digest::input_digest_of_file;

pub const DONE: &str = "done";
const REFUSED: &str = "refused";

/// Digits of the digest in a moved file's name: 64 bits, plenty for one folder.
pub const DIGEST_DIGITS: usize = 16;

/// What the night did with the drop folder.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Dropped {
    pub ingested: Vec<Ingested>,
    pub refused: Vec<RefusedFile>,
    /// Files that changed while they were read; they stay and are taken next time.
    pub changed: Vec<String>,
    /// What does not rest; it stays and is looked at in the next night.
    pub left: Vec<Left>,
    /// Originals that changed after they were read, and were read again.
    pub reread: Vec<Reread>,
    /// Originals that changed after they were read, and cannot be read any more.
    pub spoilt: Vec<RefusedFile>,
    /// What is neither a plain file nor a folder that Spark has finished. They are never taken.
    pub skipped: Vec<String>,
}

/// A file that could not be taken at all.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RefusedFile {
    pub name: String,
    pub why: String,
}

/// An original that was read again.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Reread {
    pub name: String,
    /// Of the new bytes.
    pub batch: i64,
    /// Of those before.
    pub first_batch: i64,
    /// The earlier length where the new bytes begin with the earlier ones, else 0.
    pub same_bytes: u64,
    /// The line within which the earlier bytes ended.
    pub cut_line: Option<u64>,
    /// Records of the earlier bytes that the new ones have no more. They stay.
    pub gone: i64,
}

/// Ingests the files of the drop folder that rest, in the order of their names, and originals that changed since they were read. Waits
/// once, at most `drop_rest_s`, for those that do not rest.
pub async fn take_dropped(books: &Books) -> Result<Dropped> {
    take_dropped_waiting(books, async |how_long| tokio::time::sleep(how_long).await).await
}

/// The same with another way to wait: a test's files change meanwhile.
#[tracing::instrument(skip_all)]
pub async fn take_dropped_waiting(books: &Books, wait: impl AsyncFnOnce(Duration)) -> Result<Dropped> {
    let folder = books.settings.drop_folder(&books.data);
    create_dir_durably(&folder)?;
    let sources = Senders::of(books).await?;
    let (mut files, skipped) = dropped_files(&folder, &sources)?;
    let found = originals::look(books).await?;
    files.extend(found.changed.iter().map(|changed| changed.path.clone()));
    let rest = Duration::from_secs(books.settings.drop_rest_s.into());
    let (resting, left) = complete_files::resting(files, rest, books.clock.machine(), wait).await?;
    let mut taking = Taking {
        books,
        folder,
        dropped: Dropped {
            left,
            skipped,
            ..Dropped::default()
        },
        put: Put::default(),
        senders: sources,
    };
    for changed in &found.changed {
        if resting.contains(&changed.path) {
            taking.take_changed(changed).await?;
        } else {
            taking.put.unsettled.push(changed.place.clone());
        }
    }
    for path in resting {
        if !found.changed.iter().any(|changed| changed.path == path) {
            taking.take_file(&path).await?;
        }
    }
    let Taking { dropped, put, .. } = taking;
    originals::note(books, found, put).await?;
    Ok(dropped)
}

/// The work on one drop folder.
struct Taking<'a> {
    books: &'a Books,
    folder: PathBuf,
    dropped: Dropped,
    put: Put,
    senders: Senders,
}

impl Taking<'_> {
    async fn take_file(&mut self, path: &Path) -> Result<()> {
        let name = Senders::kept_name(&self.folder, path);
        let sender = self.senders.of_kept(&name).0;
        let is_folder_of_events = path.is_dir() && sender.is_some_and(Sender::is_of_events);
        let folder =
            is_folder_of_events.then(|| "events are read from files; move them up into the source's folder".to_owned());
        if let Some(why) = sender.and_then(|sender| sender.why_left.clone()).or(folder) {
            self.dropped.left.push(Left {
                name: path.display().to_string(),
                why,
                needs_person: sender.is_some_and(|sender| sender.is_unreadable),
            });
            return Ok(());
        }
        let outcome = self.ingest_at(&name, path, path).await;
        self.settle(path, &name, outcome).await
    }

    /// Moves a file to where it belongs after it was read, or refused.
    async fn settle(&mut self, path: &Path, name: &str, outcome: Result<(Input, Ingested)>) -> Result<()> {
        match outcome {
            Ok((input, ingested)) => {
                if is_still(&input, &ingested.measured)? {
                    let is_of_no_record = ingested.alarm.as_ref().is_some_and(Alarm::is_of_no_record);
                    let folder = if is_of_no_record { REFUSED } else { DONE };
                    self.move_read(&input, folder, name, &ingested.measured.digest).await?;
                } else {
                    self.dropped.changed.push(input.name);
                }
                self.dropped.ingested.push(ingested);
            }
            Err(error @ (Error::Input { .. } | Error::SetAside { .. } | Error::Usage(_))) => {
                let shown = path.display().to_string();
                tracing::warn!(file = shown, %error, "file refused");
                let is_of_events = self.senders.of_kept(name).0.is_some_and(Sender::is_of_events);
                let stays = if is_of_events {
                    // What cannot be read cannot be kept without its secrets.
                    "; it stays in the drop folder: mend or remove it"
                } else {
                    let digest = digest_of_original(path)?;
                    self.move_away(path, REFUSED, name, &digest)?;
                    ""
                };
                self.dropped.refused.push(RefusedFile {
                    name: shown,
                    why: format!("{error}{stays}"),
                });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads an original again that changed after it was read. Whose definition or key cannot be read now waits for the next night.
    async fn take_changed(&mut self, changed: &Changed) -> Result<()> {
        if let Some(why) = self.senders.of_kept(&changed.name).0.and_then(Sender::why_unreadable) {
            self.dropped.left.push(Left {
                name: changed.path.display().to_string(),
                why: why.to_owned(),
                needs_person: true,
            });
            self.put.unsettled.push(changed.place.clone());
            return Ok(());
        }
        let digest = tokio::task::block_in_place(|| input_digest_of_file(&changed.path))?;
        let came = store::came_as(&self.books.ledger, &digest).await?;
        if digest.starts_with(&changed.digest) || came.iter().any(|came| came.starts_with(&changed.digest)) {
            // It was copied back, or touched: the bytes are the same.
            self.put.stands.insert(changed.place.clone(), stand_of(&changed.path)?);
            return Ok(());
        }
        let first = batch_of_digest_beginning(&self.books.ledger, &changed.digest).await?;
        if let Some(first) = first.filter(|_| !changed.was_refused) {
            return self.take_later_state(changed, &first).await;
        }
        // Nothing was taken of it before.
        let named = self.senders.came_to(&self.folder, &changed.name);
        let outcome = self.ingest_at(&changed.name, &named, &changed.path).await;
        self.settle(&changed.path, &changed.name, outcome).await
    }

    /// Reads a file under the path with which it came. `name` is the one under which it is kept.
    async fn ingest_at(&self, name: &str, named: &Path, path: &Path) -> Result<(Input, Ingested)> {
        let (sender, _) = self.senders.of_kept(name);
        let source = sender.map_or(self.books.settings.source.as_str(), |sender| &sender.name);
        let input = Input::lying_at(path, named, sender.and_then(|sender| sender.format))?;
        let ingested = ingest(self.books, &input, source).await?;
        Ok((input, ingested))
    }

    /// Moves a file that was read; of events, what is kept of it.
    async fn move_read(&mut self, input: &Input, folder: &str, name: &str, digest: &str) -> Result<()> {
        let Some(path) = input.path() else { return Ok(()) };
        let (sender, _) = self.senders.of_kept(name);
        let Some(rules) = sender.and_then(|sender| sender.events.as_ref()) else {
            return self.move_away(path, folder, name, digest);
        };
        create_dir_durably(&self.folder.join(folder))?;
        let place = place_of(folder, name, digest);
        let target = self.folder.join(&place);
        without_secrets::put(self.books, rules, input, &target, digest).await?;
        self.put.stands.insert(place, stand_of(&target)?);
        Ok(())
    }

    async fn take_later_state(&mut self, changed: &Changed, first: &Batch) -> Result<()> {
        let (sender, _) = self.senders.of_kept(&changed.name);
        let named = self.senders.came_to(&self.folder, &changed.name);
        let input = Input::lying_at(&changed.path, &named, sender.and_then(|sender| sender.format))?;
        match ingest_changed(self.books, &input, &first.source, first.batch).await {
            Ok((ingested, earlier)) => {
                if is_still(&input, &ingested.measured)? {
                    self.move_read(&input, DONE, &changed.name, &ingested.measured.digest)
                        .await?;
                } else {
                    self.put.unsettled.push(changed.place.clone());
                }
                self.dropped.reread.push(Reread {
                    name: input.name,
                    batch: ingested.batch.batch,
                    first_batch: first.batch,
                    same_bytes: earlier.same_bytes,
                    cut_line: earlier.cut_line,
                    gone: gone_records(&self.books.ledger, ingested.batch.batch).await?,
                });
                self.dropped.ingested.push(ingested);
            }
            Err(error @ (Error::Input { .. } | Error::SetAside { .. } | Error::Usage(_))) => {
                tracing::warn!(file = input.name, %error, "an original changed and cannot be read again");
                self.put.unsettled.push(changed.place.clone());
                self.dropped.spoilt.push(RefusedFile {
                    name: changed.path.display().to_string(),
                    why: error.to_string(),
                });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// `usage.ndjson` becomes `<folder>/<digest>-usage.ndjson`. The same bytes under the same name need no second copy. The file's
    /// time becomes the time of receipt, from which it is kept for a month.
    fn move_away(&mut self, path: &Path, folder: &str, name: &str, digest: &str) -> Result<()> {
        create_dir_durably(&self.folder.join(folder))?;
        let received = FileTimes::new().set_modified(self.books.clock.now().into());
        // A folder is opened to be read, whoever may write to it.
        File::options()
            .read(true)
            .write(!path.is_dir())
            .open(path)
            .and_then(|file| file.set_times(received))
            .at(path)?;
        failpoint::file("dated", path);
        let place = place_of(folder, name, digest);
        let target = self.folder.join(&place);
        if target.exists() && digest_of_original(&target)? == digest {
            remove_original(path)?;
            failpoint::file("removed", path);
            return Ok(());
        }
        let stand = stand_of(path)?;
        rename_durably(path, &target)?;
        if !target.is_dir() {
            self.put.stands.insert(place, stand);
        }
        Ok(())
    }
}

/// Removes a file, or a folder that was one input.
pub fn remove_original(path: &Path) -> Result<()> {
    if path.is_dir() {
        return std::fs::remove_dir_all(path).at(path);
    }
    std::fs::remove_file(path).at(path)
}

/// Where a file is moved to, below the drop folder.
fn place_of(folder: &str, name: &str, digest: &str) -> String {
    format!("{folder}/{}-{name}", &digest[..DIGEST_DIGITS.min(digest.len())])
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

fn is_still(input: &Input, measured: &InputDigest) -> Result<bool> {
    // Files may have come to a folder.
    let found = match (input.folder(), input.path()) {
        (Some(_), Some(path)) => Some(Folder::of(path)?),
        _ => None,
    };
    if let Some(folder) = found {
        return Ok(tokio::task::block_in_place(|| folder.digest())? == measured.digest);
    }
    if input.bytes()? != Some(measured.bytes) {
        return Ok(false);
    }
    Ok(tokio::task::block_in_place(|| input.digest())?.as_deref() == Some(measured.digest.as_str()))
}

/// Files and finished folders by name, with those in the folders of sources, and the names of what is neither.
fn dropped_files(folder: &Path, senders: &Senders) -> Result<(Vec<PathBuf>, Vec<String>)> {
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for (path, name) in entries(folder)? {
        if [DONE, REFUSED].contains(&name.as_str()) && path.is_dir() {
            continue;
        }
        if senders.has(&name) && path.is_dir() && !is_finished(&path) {
            for (path, _) in entries(&path)? {
                take_or_skip(path, &mut files, &mut others);
            }
        } else {
            take_or_skip(path, &mut files, &mut others);
        }
    }
    files.sort_unstable();
    others.sort_unstable();
    Ok((files, others))
}

fn entries(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).at(folder)? {
        let entry = entry.at(folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !names::is_left_alone(&name) {
            entries.push((entry.path(), name));
        }
    }
    Ok(entries)
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

fn take_or_skip(path: PathBuf, files: &mut Vec<PathBuf>, others: &mut Vec<String>) {
    let kind = std::fs::symlink_metadata(&path).map(|found| found.file_type());
    match kind {
        Ok(kind) if kind.is_file() || kind.is_dir() && is_finished(&path) => files.push(path),
        // What was taken away meanwhile is not there.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        // Such as the folder of a source that is defined no more.
        Ok(kind) if kind.is_dir() && is_empty(&path) => {}
        _ => others.push(path.display().to_string()),
    }
}
