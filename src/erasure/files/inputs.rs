//! Input files that hold the account: moved out of `done/` and `refused/` before the commit, and removed after it.
//!
//! What was moved waits in a folder of its own, so that a run that is killed in between still knows all of it: once the raw records are
//! gone, nothing tells any more which files they came in.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use crate::context::Books;
use crate::pipeline::ingest::drop_folder::holding::Holding;
use crate::pipeline::ingest::drop_folder::{forget_originals, remove_original};
use crate::storage::durable_files::{create_dir_durably, remove_folder, rename_durably};
use crate::support::error::{AtPath as _, Result};

/// The folder below the drop folder in which they wait. Names with a point in front are no inputs.
const WAITING: &str = ".erased";

/// Input files that go.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Inputs {
    /// By folder and name, also those that an earlier run set aside which did not come to its end.
    pub files: Vec<String>,
    /// Those of them that cannot be read: nobody knows whether they hold the account.
    pub unreadable: Vec<String>,
}

/// Moves input files to where they wait.
pub fn set_aside(books: &Books, holding: &[Holding]) -> Result<Inputs> {
    for original in holding {
        let place = waiting(books).join(&original.place);
        if let Some(folder) = place.parent() {
            create_dir_durably(folder)?;
        }
        if place.exists() {
            // The same file came once more since a run that was killed.
            remove_original(&original.path)?;
        } else {
            rename_durably(&original.path, &place)?;
        }
    }
    let unreadable = holding.iter().filter(|original| original.is_unreadable);
    Ok(Inputs {
        files: all_waiting(books)?,
        unreadable: unreadable.map(|original| original.place.clone()).collect(),
    })
}

/// Removes all that wait, and forgets what they were. Returns how many they were.
pub async fn remove_waiting(books: &Books) -> Result<usize> {
    let count = all_waiting(books)?.len();
    let folder = waiting(books);
    if folder.is_dir() {
        tokio::task::block_in_place(|| remove_folder(&folder))?;
    }
    forget_originals(books).await?;
    Ok(count)
}

fn waiting(books: &Books) -> PathBuf {
    books.settings.drop_folder(&books.data).join(WAITING)
}

fn all_waiting(books: &Books) -> Result<Vec<String>> {
    let root = waiting(books);
    let mut all = Vec::new();
    for folder in names_in(&root)? {
        let names = names_in(&root.join(&folder))?;
        all.extend(names.into_iter().map(|name| format!("{folder}/{name}")));
    }
    Ok(all)
}

/// What is in a folder, in order; nothing where it is not there.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).at(folder)?;
    let name = |entry: std::io::Result<DirEntry>| Ok(entry.at(folder)?.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = entries.map(name).collect::<Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}
