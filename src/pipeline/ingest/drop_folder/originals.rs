//! What was read, kept in `done/` and `refused/`: whether it is still what was put there.
//!
//! A writer that goes on after its file was read writes into `done/`. Each file there is known by its size and time; one that has others
//! is read again, and its new bytes become the original of both batches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{DONE, REFUSED, digest_in_name, store};
use crate::context::Books;
use crate::support::error::{AtPath as _, Result};
use crate::values::digest::input_digest_of_file;

/// Size in bytes, and time in nanoseconds since 1970.
pub type Stand = (i64, i64);

/// A file in `done/` or `refused/` that is not what was put there.
#[derive(Clone, Debug)]
pub struct Changed {
    pub path: PathBuf,
    /// Below the drop folder.
    pub place: String,
    /// Whether it was refused when it was read.
    pub was_refused: bool,
    /// The name that it came with.
    pub name: String,
    /// The beginning of the digest of what was read.
    pub digest: String,
}

/// What is in the folders, and what of it has changed.
pub struct Found {
    pub changed: Vec<Changed>,
    /// What is as it was put, by place below the drop folder.
    seen: BTreeMap<String, Stand>,
    /// What the ledger knows.
    known: BTreeMap<String, Stand>,
}

/// Looks at every original by its size and time. One that the ledger does not know, from before they were kept there or after a crash,
/// by its digest.
pub async fn look(books: &Books) -> Result<Found> {
    let known = store::originals(&books.ledger).await?;
    let drop = books.settings.drop_folder(&books.data);
    tokio::task::block_in_place(|| {
        let (mut changed, mut seen) = (Vec::new(), BTreeMap::new());
        for (place, path) in files(&drop)? {
            let Some(original) = original(&place, &path) else {
                continue;
            };
            let stand = stand_of(&path)?;
            let is_as_put = match known.get(&place) {
                Some(known) => *known == stand,
                None => input_digest_of_file(&path)?.starts_with(&original.digest),
            };
            if is_as_put {
                seen.insert(place, stand);
            } else {
                changed.push(original);
            }
        }
        Ok(Found { changed, seen, known })
    })
}

/// Writes down what lies in the folders now: what was seen, and what was put there since. What changed and was not settled stays as it
/// is known.
pub async fn note(books: &Books, found: Found, put: Put) -> Result<()> {
    let Found { seen, known, .. } = found;
    let mut now = seen;
    let unsettled = put.unsettled.iter().filter_map(|place| known.get_key_value(place));
    now.extend(unsettled.map(|(place, stand)| (place.clone(), *stand)));
    now.extend(put.stands);
    store::set_originals(books, &known, &now).await
}

/// Forgets those that are gone from the folders.
pub async fn forget_gone(books: &Books) -> Result<()> {
    let known = store::originals(&books.ledger).await?;
    let drop = books.settings.drop_folder(&books.data);
    let there = known.iter().filter(|(place, _)| drop.join(place).exists());
    let there = there.map(|(place, stand)| (place.clone(), *stand)).collect();
    store::set_originals(books, &known, &there).await
}

/// What a night put into the folders.
#[derive(Debug, Default)]
pub struct Put {
    /// By place below the drop folder.
    pub stands: BTreeMap<String, Stand>,
    /// Places of what changed and could not be read again.
    pub unsettled: Vec<String>,
}

fn original(place: &str, path: &Path) -> Option<Changed> {
    let (folder, name) = place.split_once('/')?;
    let digest = digest_in_name(name)?;
    Some(Changed {
        path: path.to_owned(),
        place: place.to_owned(),
        was_refused: folder == REFUSED,
        name: name[digest.len() + 1..].to_owned(),
        digest: digest.to_owned(),
    })
}

/// Files in both folders: places below the drop folder, and paths.
fn files(drop: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for name in [DONE, REFUSED] {
        let folder = drop.join(name);
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder).at(&folder)? {
            let entry = entry.at(&folder)?;
            if entry.file_type().at(&folder)?.is_file() {
                files.push((format!("{name}/{}", entry.file_name().to_string_lossy()), entry.path()));
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

pub fn stand_of(path: &Path) -> Result<Stand> {
    let file = std::fs::metadata(path).at(path)?;
    let modified = chrono::DateTime::<chrono::Utc>::from(file.modified().at(path)?);
    // Beyond 2262 no two times are told apart.
    let modified_ns = modified.timestamp_nanos_opt().unwrap_or(i64::MAX);
    Ok((i64::try_from(file.len()).unwrap_or(i64::MAX), modified_ns))
}
