//! What runs that were killed left behind, which may hold the account: files that no row names, copies of inputs, and notes of readings.

use std::fs::File;
use std::path::Path;

use crate::context::Books;
use crate::context::restore_guard::intake_of;
use crate::pipeline::ingest::attempts::forget_naming;
use crate::pipeline::maintenance::remove_orphans::sweep_at_once;
use crate::storage::durable_files::remove_files;
use crate::support::error::{AtPath as _, Result};
use crate::support::whole_numbers::WholeNumbers;

/// Removes them. Returns how many files went that rows named, or that writers left which can commit no more.
pub async fn remove_leftovers(books: &Books, numbers: &WholeNumbers) -> Result<usize> {
    let removed = sweep_at_once(books).await?;
    tokio::task::block_in_place(|| {
        remove_copies(&books.data.join("spool"), numbers)?;
        forget_naming(books, numbers)
    })?;
    Ok(removed)
}

/// Removes copies of what sources handed over that have one of the numbers, or are no text. One that is being read is locked; those of
/// writers were swept.
fn remove_copies(folder: &Path, numbers: &WholeNumbers) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).at(folder)? {
        let path = entry.at(folder)?.path();
        if path.is_dir() {
            remove_copies(&path, numbers)?;
        } else if intake_of(&path.to_string_lossy()).is_none() && is_left_with(&path, numbers) {
            remove_files(&[path])?;
        }
    }
    Ok(())
}

/// Whether nobody reads a file in which a number stands, or may.
fn is_left_with(path: &Path, numbers: &WholeNumbers) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok() && numbers.are_read(file).unwrap_or(true))
}
