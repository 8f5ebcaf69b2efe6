//! Original files in `done/` and `refused/`, gone a month after receipt.

use chrono::{DateTime, Months, Utc};

use crate::context::Books;
use crate::pipeline::ingest::drop_folder::{moved_folders, remove_original};
use crate::support::error::{AtPath as _, Result};

/// Removes files that came more than `months` ago, by the earlier clock and the file's own time. Returns how many went.
pub fn remove_old_files(books: &Books, months: u32) -> Result<usize> {
    let limit = books
        .clock
        .irreversible()
        .checked_sub_months(Months::new(months))
        .unwrap_or(DateTime::<Utc>::MIN_UTC);
    let mut removed = 0;
    for folder in moved_folders(books) {
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder).at(&folder)? {
            let path = entry.at(&folder)?.path();
            let received = std::fs::metadata(&path).and_then(|m| m.modified()).at(&path)?;
            if DateTime::<Utc>::from(received) < limit {
                remove_original(&path)?;
                crate::support::failpoint::file("removed", &path);
                removed += 1;
            }
        }
    }
    Ok(removed)
}
