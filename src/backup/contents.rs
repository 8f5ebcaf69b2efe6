//! What a backup must have beside the ledger: files that the ledger names, exports, and input files that were read.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::store;
use crate::context::Books;
use crate::pipeline::export::MANIFEST_NAME;
use crate::pipeline::export::manifest::Manifest as ExportManifest;
use crate::pipeline::ingest::drop_folder::{DONE, digest_in_name, moved_folders};
use crate::storage::ledger::Reading;
use crate::storage::raw::store::files_in_use;
use crate::support::error::{AtPath as _, Error, Result};

/// A file of the data folder, with the digest that the ledger has for it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Below the data folder.
    pub path: String,
    pub sha256: String,
    /// An export that was written anew without an account: an earlier backup has another file of this name.
    pub is_rewritten: bool,
    /// What a person does when it is gone or has changed.
    pub cure: String,
}

/// An input file in `done/` or `refused/`.
#[derive(Clone, Debug)]
pub struct Original {
    /// Below the drop folder.
    pub place: String,
    pub path: PathBuf,
    pub bytes: u64,
    pub modified_ns: i64,
}

/// Every file that the ledger names in the state that a transaction sees, by path.
pub async fn wanted(reading: &mut Reading) -> Result<Vec<Wanted>> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for file in files_in_use(&mut *reading).await? {
        wanted.push(Wanted {
            path: file.path,
            sha256: file.digest,
            is_rewritten: false,
            cure: "`tallybook verify` says what depends on it".to_owned(),
        });
    }
    for (folder, text, sha256) in store::written_exports(reading).await? {
        let manifest = ExportManifest::from_bytes(text.as_bytes()).map_err(|error| {
            Error::Unbalanced(format!("the manifest of the export {folder} cannot be read: {error}"))
        })?;
        let cure = format!(
            "`tallybook export --again {}` recreates it",
            manifest.export_id.trim_start_matches('0')
        );
        let files = manifest.files.into_iter();
        let files = files.map(|file| (file.name, file.sha256, file.sha256_before_erasure.is_some()));
        let itself = (
            MANIFEST_NAME.to_owned(),
            sha256,
            manifest.sha256_before_erasure.is_some(),
        );
        for (name, sha256, is_rewritten) in files.chain([itself]) {
            wanted.push(Wanted {
                path: format!("exports/{folder}/{name}"),
                sha256,
                is_rewritten,
                cure: cure.clone(),
            });
        }
    }
    wanted.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(wanted)
}

/// Every input file that was read and is still kept, by place. `read`: the beginnings of the digests of those that the ledger knows. One in
/// `done/` that was read since is left for the next backup: restored, it would look as if it were in the books.
pub fn originals(books: &Books, read: &HashSet<String>) -> Result<Vec<Original>> {
    let mut found = Vec::new();
    for folder in moved_folders(books) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        collect(&folder, &name, &mut found)?;
    }
    found.retain(|original: &Original| {
        let mut parts = original.place.split('/');
        let (folder, name) = (parts.next(), parts.next().unwrap_or_default());
        // A night is writing one, or was killed while it did.
        let is_part = name.starts_with('.') && Path::new(name).extension().is_some_and(|ending| ending == "part");
        let is_read = folder != Some(DONE) || digest_in_name(name).is_none_or(|digest| read.contains(digest));
        !is_part && is_read
    });
    found.sort_by(|one, other| one.place.cmp(&other.place));
    Ok(found)
}

fn collect(folder: &Path, place: &str, found: &mut Vec<Original>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).at(folder)? {
        let entry = entry.at(folder)?;
        let path = entry.path();
        // A name that is no text could not be given to a file again.
        let name = entry.file_name().into_string().map_err(|name| {
            Error::NeedsPerson(format!(
                "{} has a file whose name is not UTF-8 ({}): rename it or move it away",
                folder.display(),
                name.display()
            ))
        })?;
        let place = format!("{place}/{name}");
        let kind = entry.file_type().at(&path)?;
        if kind.is_dir() {
            collect(&path, &place, found)?;
        } else if kind.is_file()
            && let Some((bytes, modified_ns)) = stand_of(&path)?
        {
            found.push(Original {
                place,
                path,
                bytes,
                modified_ns,
            });
        }
    }
    Ok(())
}

/// Length in bytes and time in nanoseconds since 1970; none for a file that is gone.
pub fn stand_of(path: &Path) -> Result<Option<(u64, i64)>> {
    let file = match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        found => found.at(path)?,
    };
    let modified = chrono::DateTime::<chrono::Utc>::from(file.modified().at(path)?);
    Ok(Some((file.len(), modified.timestamp_nanos_opt().unwrap_or(i64::MAX))))
}
