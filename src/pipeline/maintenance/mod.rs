//! Keeping house: merge small files, remove what nobody names.

pub mod merge_identity_files;
pub mod merge_segments;
pub mod remove_orphans;
pub mod rewrite_files;

use crate::context::Books;
use crate::pipeline::maintenance::merge_identity_files::merge_key_runs;
use crate::pipeline::maintenance::merge_segments::merge_segments;
use crate::pipeline::maintenance::remove_orphans::sweep;
use crate::pipeline::maintenance::rewrite_files::{Rewritten, rewrite_files};
use crate::pipeline::meter::store::progress;
use crate::storage::ledger::Lease;
use crate::support::error::Result;

/// What a night rewrites of the files of before, in bytes: some seconds of reading and writing.
const REWRITTEN_BYTES_MAX: u64 = 4 << 30;

/// What housekeeping did: files before and after.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Maintained {
    pub segments_merged: (usize, usize),
    pub key_runs_merged: (usize, usize),
    /// Files that other readers lost rows of, copied without their wrong index.
    pub rewritten: Rewritten,
    pub files_removed: usize,
    /// Segments that are not what was written.
    pub damaged: Vec<String>,
}

#[tracing::instrument(skip_all)]
pub async fn maintain(books: &Books, lease: &Lease, metered_to: i64) -> Result<Maintained> {
    if books.clock.doubt().is_some() {
        return Ok(Maintained::default());
    }
    let merged = merge_segments(books, lease, metered_to).await?;
    let metering = progress(&books.ledger).await?.metering;
    let key_runs_merged = merge_key_runs(books, lease, metering).await?;
    let rewritten = rewrite_files(books, lease, metered_to, REWRITTEN_BYTES_MAX).await?;
    let files_removed = sweep(books).await?;
    Ok(Maintained {
        segments_merged: merged.segments,
        key_runs_merged,
        rewritten,
        files_removed,
        damaged: merged.damaged,
    })
}

/// Rewrites all files of before, and removes what they were. The caller holds the lease.
pub async fn rewrite_all(books: &Books, lease: &Lease) -> Result<Rewritten> {
    let metered_to = progress(&books.ledger).await?.batch_hi;
    let rewritten = rewrite_files(books, lease, metered_to, u64::MAX).await?;
    sweep(books).await?;
    Ok(rewritten)
}
