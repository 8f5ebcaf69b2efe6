//! Keeping house: merge small files, remove what nobody names.

use crate::books::Books;
use crate::error::Result;
use crate::ledger::Lease;
use crate::meter::merge_keys::merge_key_runs;
use crate::meter::store::progress;
use crate::raw::merge::merge_segments;
use crate::raw::sweep::sweep;

/// What housekeeping did: files before and after.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Kept {
    pub segments_merged: (usize, usize),
    pub key_runs_merged: (usize, usize),
    pub files_removed: usize,
    /// Segments that are not what was written.
    pub damaged: Vec<String>,
}

#[tracing::instrument(skip_all)]
pub async fn keep(books: &Books, lease: &Lease, metered_to: i64) -> Result<Kept> {
    let merged = merge_segments(books, lease, metered_to).await?;
    let metering = progress(&books.ledger).await?.metering;
    let key_runs_merged = merge_key_runs(books, lease, metering).await?;
    let files_removed = sweep(books).await?;
    Ok(Kept {
        segments_merged: merged.segments,
        key_runs_merged,
        files_removed,
        damaged: merged.damaged,
    })
}
