//! Sweeping: files that no committed row names go, but never those of a writer that may still commit.

use std::collections::HashSet;
use std::path::Path;

use super::store::{dropped_files, forget_dropped, named_files};
use crate::books::Books;
use crate::error::{AtPath as _, Result};
use crate::files::remove_files;
use crate::ledger::{fence_intakes, open_intakes};

/// A writer that has not committed for a day is dead; its intake is fenced before its files go.
const ORPHAN_AGE_S: i64 = 24 * 3600;

/// The folders whose files the ledger must name, and the one of copies that last as long as an ingest.
const SWEPT: [&str; 6] = ["raw", "log", "keys", "usage", "unmetered", "spool"];

/// Removes dropped files and orphans. Returns how many files went.
///
/// Files are listed before open intakes, and these before named files: a file whose intake is not open any more was
/// named by then, or never will be.
pub async fn sweep(books: &Books) -> Result<usize> {
    let dropped = dropped_files(&books.ledger).await?;
    remove_files(&dropped.iter().map(|p| books.data.join(p)).collect::<Vec<_>>())?;
    forget_dropped(&books.ledger, &dropped).await?;

    let on_disk = files_on_disk(books.data.root())?;
    let (dead, alive): (Vec<_>, Vec<_>) = open_intakes(&books.ledger)
        .await?
        .into_iter()
        .partition(|&(_, age_s)| age_s >= ORPHAN_AGE_S);
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

/// Paths below the data folder, `/` between levels.
fn files_on_disk(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for folder in SWEPT {
        list(&root.join(folder), folder, &mut found)?;
    }
    Ok(found)
}

fn list(dir: &Path, name: &str, found: &mut Vec<String>) -> Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(dir).at(dir)? {
        let entry = entry.at(dir)?;
        let path = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().at(dir)?.is_dir() {
            list(&entry.path(), &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// The intake in `.../i00000012-003.parquet`; a file that is not named so is not ours to remove.
fn intake_of(path: &str) -> Option<i64> {
    let name = path.rsplit('/').next()?;
    name.strip_prefix('i')?.split(['-', '.']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::intake_of;

    #[test]
    fn only_names_of_ours_have_an_intake() {
        assert_eq!(intake_of("raw/day=2026-10-01/i00000012-003.parquet"), Some(12));
        assert_eq!(intake_of("keys/i00000007.keys"), Some(7));
        assert_eq!(intake_of("raw/notes.txt"), None);
        assert_eq!(intake_of("raw/inventory.parquet"), None);
    }
}
