//! Original files in `done/` and `refused/`, gone some months after receipt.

use std::path::PathBuf;

use chrono::{DateTime, Months, Utc};

use super::deletion::{Deletion, is_noted, note};
use crate::context::Books;
use crate::context::keeping::Class;
use crate::pipeline::ingest::drop_folder::{moved_folders, remove_original};
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
    for path in &old {
        remove_original(path)?;
        crate::support::failpoint::file("removed", path);
    }
    Ok(old.len())
}

fn old_files(books: &Books, limit: DateTime<Utc>) -> Result<Vec<PathBuf>> {
    let mut old = Vec::new();
    for folder in moved_folders(books).into_iter().filter(|folder| folder.is_dir()) {
        for entry in std::fs::read_dir(&folder).at(&folder)? {
            let path = entry.at(&folder)?.path();
            let received = std::fs::metadata(&path).and_then(|m| m.modified()).at(&path)?;
            if DateTime::<Utc>::from(received) < limit {
                old.push(path);
            }
        }
    }
    Ok(old)
}
