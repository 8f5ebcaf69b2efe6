//! Lines that were cut when they were first read: what was read of them, and their whole.

use std::collections::BTreeSet;

use super::Completed;
use super::resolution::RowId;
use super::stored_record::{Content, RealRecord};
use crate::context::Books;
use crate::pipeline::ingest::record::timestamp::utc_day;
use crate::pipeline::meter::snapshot::Snapshot;
use crate::pipeline::meter::store;
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::segments_between;
use crate::support::error::Result;
use crate::values::calendar::number_of_day;

/// The cut lines whose whole came with the batches of a plan, as far as a record of usage was read of them.
pub async fn read(books: &Books, snapshot: &Snapshot) -> Result<Vec<Completed>> {
    let mut completed = Vec::new();
    for (at, first) in store::cut_lines(&books.ledger, snapshot.progress.batch_hi, snapshot.up_to).await? {
        let Some(first) = row(books, snapshot, first).await? else {
            continue;
        };
        let Content::Usage { finished_at_ns, .. } = first.content else {
            continue;
        };
        let whole = row(books, snapshot, at).await?;
        let is_void = |whole: &RealRecord| matches!(whole.content, Content::Void { .. });
        if whole.as_ref().is_some_and(is_void) {
            continue;
        }
        completed.push(Completed {
            first_day: utc_day(finished_at_ns),
            first,
            at,
            whole,
        });
    }
    Ok(completed)
}

/// One row of raw; none where the line is no record, or is gone.
async fn row(books: &Books, snapshot: &Snapshot, place: RowId) -> Result<Option<RealRecord>> {
    let segments = segments_between(&books.ledger, SegmentKind::Usage, place.0 - 1, place.0).await?;
    let days: BTreeSet<i32> = segments.iter().map(|segment| number_of_day(segment.day)).collect();
    let mut found = snapshot
        .read_rows(books, days.into_iter().map(|day| (place, day)))
        .await?;
    Ok(found.remove(&place))
}
