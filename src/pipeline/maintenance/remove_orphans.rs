//! Sweeping: files that no committed row names go, but never those of a writer that may still commit.

use std::collections::HashSet;

use crate::context::Books;
use crate::context::restore_guard::{files_on_disk, intake_of, refuse_older_ledger};
use crate::storage::durable_files::remove_files;
use crate::storage::ledger::{fence_intakes, open_intakes};
use crate::storage::raw::store::{dropped_files, forget_dropped, named_files};
use crate::support::error::Result;

/// A writer that has not committed for a day is dead; its intake is fenced before its files go.
const ORPHAN_AGE_S: i64 = 24 * 3600;

/// Removes dropped files and orphans. Returns how many files went.
///
/// Files are listed before open intakes, and these before named files: a file whose intake is not open any more was
/// named by then, or never will be.
pub async fn sweep(books: &Books) -> Result<usize> {
    sweep_older(books, ORPHAN_AGE_S).await
}

/// Removes dropped files, and those of every writer that has not committed: none of them can commit any more, and who is still at work
/// is told to run again.
pub async fn sweep_at_once(books: &Books) -> Result<usize> {
    sweep_older(books, 0).await
}

async fn sweep_older(books: &Books, age_min_s: i64) -> Result<usize> {
    refuse_older_ledger(books).await?;
    let dropped = dropped_files(&books.ledger).await?;
    remove_files(&dropped.iter().map(|p| books.data.join(p)).collect::<Vec<_>>())?;
    forget_dropped(&books.ledger, &dropped).await?;

    let on_disk = files_on_disk(books.data.root())?;
    let with_files: HashSet<i64> = on_disk.iter().filter_map(|path| intake_of(path)).collect();
    // One without a file may be about to write its first.
    let (dead, alive): (Vec<_>, Vec<_>) = open_intakes(&books.ledger)
        .await?
        .into_iter()
        .partition(|&(intake, age_s)| age_s >= age_min_s && (age_s >= ORPHAN_AGE_S || with_files.contains(&intake)));
    let fenced: HashSet<i64> = fence_intakes(&books.ledger, &dead.iter().map(|d| d.0).collect::<Vec<_>>())
        .await?
        .into_iter()
        .collect();
    let alive: HashSet<i64> = alive
        .iter()
        .chain(&dead)
        .map(|a| a.0)
        .filter(|intake| !fenced.contains(intake))
        .collect();
    let named: HashSet<String> = named_files(&books.ledger).await?.into_iter().collect();
    let orphans: Vec<_> = on_disk
        .iter()
        .filter(|path| !named.contains(*path) && intake_of(path).is_some_and(|intake| !alive.contains(&intake)))
        .map(|path| books.data.join(path))
        .collect();
    remove_files(&orphans)?;
    Ok(dropped.len() + orphans.len())
}
