//! Files without their ledger: one that is gone, or one that is older than the files. Nothing is written beside such files,
//! and none is removed: they may be all that is left of the books.

use std::path::Path;

use crate::context::Books;
use crate::storage::durable_files::DataDir;
use crate::storage::ledger::{EMBEDDED_NAME, highest_intake};
use crate::support::error::{AtPath as _, Error, Result};

/// The folders whose files the ledger must name, and the one of copies that last as long as an ingest.
const SWEPT: [&str; 7] = ["raw", "log", "payload", "keys", "usage", "unmetered", "spool"];

/// The file that says that a backup is being restored into the folder.
pub const RESTORE_MARK: &str = "restore.json";

/// Refuses a folder into which a backup is being restored: what is there is a part of books.
pub fn refuse_unfinished_restore(data: &DataDir) -> Result<()> {
    if !data.join(RESTORE_MARK).exists() {
        return Ok(());
    }
    Err(Error::NeedsPerson(format!(
        "a backup is being restored into {}, or was and came to no end: run `tallybook restore` again with the same arguments. \
         Nothing was changed",
        data.root().display()
    )))
}

/// Refuses a folder that has the files of books and no ledger. A new, empty ledger would name none of them.
pub fn refuse_without_ledger(data: &DataDir) -> Result<()> {
    if data.join(EMBEDDED_NAME).exists() {
        return Ok(());
    }
    let files = files_on_disk(data.root())?;
    let Some(file) = files.iter().find(|path| intake_of(path).is_some()) else {
        return Ok(());
    };
    Err(Error::NeedsPerson(format!(
        "{} has data files, such as {file}, but no {EMBEDDED_NAME}: the ledger is missing, and the data is useless without it. \
         Restore {EMBEDDED_NAME} from a backup, with its -wal file, and run `tallybook verify`; or start again in an empty folder \
         (--data-dir). Nothing was changed",
        data.root().display()
    )))
}

/// Refuses to write when a file has a number that this ledger never gave out: the ledger was restored from an older backup.
pub async fn refuse_older_ledger(books: &Books) -> Result<()> {
    // Listed first: numbers are given out before their files are made.
    let files = files_on_disk(books.data.root())?;
    let highest = highest_intake(&books.ledger).await?;
    let unknown: Vec<&String> = files
        .iter()
        .filter(|path| intake_of(path).is_some_and(|intake| intake > highest))
        .collect();
    let Some(first) = unknown.first() else { return Ok(()) };
    Err(Error::NeedsPerson(format!(
        "the ledger is older than the files in {}: it knows file numbers up to {highest}, and files with higher numbers exist ({}, \
         such as {first}). Restore the newest ledger; or, if there is none, move these files away, put their input files \
         (drop/done/ has those of the last month) back into the drop folder, and run again. Nothing was changed",
        books.data.root().display(),
        unknown.len()
    )))
}

/// Paths below the data folder, `/` between levels.
pub fn files_on_disk(root: &Path) -> Result<Vec<String>> {
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
pub fn intake_of(path: &str) -> Option<i64> {
    let name = path.rsplit('/').next()?;
    name.strip_prefix('i')?.split(['-', '.']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::context::restore_guard::intake_of;

    #[test]
    fn only_names_of_ours_have_an_intake() {
        assert_eq!(intake_of("raw/day=2026-10-01/i00000012-003.parquet"), Some(12));
        assert_eq!(intake_of("keys/i00000007.keys"), Some(7));
        assert_eq!(intake_of("raw/notes.txt"), None);
        assert_eq!(intake_of("raw/inventory.parquet"), None);
    }
}
