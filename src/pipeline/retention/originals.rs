//! Original files in `done/` and `refused/`, gone some months after receipt.

use std::path::PathBuf;

use chrono::{DateTime, Months, Utc};

use super::deletion::{Deletion, Why, is_noted, note};
use crate::context::Books;
use crate::context::keeping::Class;
use crate::pipeline::ingest::drop_folder::{DIGEST_DIGITS, digest_in_name, moved_folders, remove_original};
use crate::pipeline::ingest::quarantine::store::digests_with_erased;
use crate::storage::ledger::Lease;
use crate::support::clock::instant_text;
use crate::support::error::{AtPath as _, Result};

/// Removes files that came too long ago, by the earlier clock and the file's own time. They are written down first, so that a run that
/// is killed in between and run again writes them down once. Returns how many went.
pub async fn remove_old_files(books: &Books, lease: &Lease) -> Result<usize> {
    let months = Months::new(books.settings.keep_original_months);
    let limit = books.clock.irreversible().checked_sub_months(months);
    let limit = limit.unwrap_or(DateTime::<Utc>::MIN_UTC);
    let old = old_files(books, limit)?;
    if old.is_empty() {
        return Ok(0);
    }
    let subject = format!("received before {}", instant_text(limit));
    if !is_noted(&books.ledger, Class::Originals, &subject).await? {
        let rows = i64::try_from(old.len()).unwrap_or(i64::MAX);
        let mut tx = books.ledger.begin().await?;
        lease.check(&mut tx).await?;
        note(&mut tx, books, &Deletion::by_clock(Class::Originals, &subject, rows)).await?;
        books.ledger.commit(tx, "expire_originals").await?;
    }
    remove(&old)?;
    Ok(old.len())
}

/// Removes files that had lines of accounts that were erased, whenever they came. Returns how many went.
pub async fn remove_files_with_erased(books: &Books, lease: &Lease) -> Result<usize> {
    let digests = digests_with_erased(&books.ledger, DIGEST_DIGITS).await?;
    let mut found = all_files(books)?;
    found.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        digest_in_name(&name).is_some_and(|digest| digests.contains(digest))
    });
    if found.is_empty() {
        return Ok(0);
    }
    let rows = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let subject = format!("with lines of erased accounts, {}", books.clock.text());
    if !is_noted(&books.ledger, Class::Originals, &subject).await? {
        let deletion = Deletion {
            why: Why::AccountErased,
            ..Deletion::by_clock(Class::Originals, &subject, rows)
        };
        let mut tx = books.ledger.begin().await?;
        lease.check(&mut tx).await?;
        note(&mut tx, books, &deletion).await?;
        books.ledger.commit(tx, "expire_originals").await?;
    }
    remove(&found)?;
    Ok(found.len())
}

fn remove(files: &[PathBuf]) -> Result<()> {
    for path in files {
        remove_original(path)?;
        crate::support::failpoint::file("removed", path);
    }
    Ok(())
}

fn old_files(books: &Books, limit: DateTime<Utc>) -> Result<Vec<PathBuf>> {
    let mut old = Vec::new();
    for path in all_files(books)? {
        let received = std::fs::metadata(&path).and_then(|m| m.modified()).at(&path)?;
        if DateTime::<Utc>::from(received) < limit {
            old.push(path);
        }
    }
    Ok(old)
}

fn all_files(books: &Books) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in moved_folders(books).into_iter().filter(|folder| folder.is_dir()) {
        for entry in std::fs::read_dir(&folder).at(&folder)? {
            files.push(entry.at(&folder)?.path());
        }
    }
    Ok(files)
}
