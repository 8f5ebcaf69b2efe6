//! Files of payloads, written anew: without some rows, or with some of their content gone.

use chrono::NaiveDate;

use crate::context::Books;
use crate::context::write_attempt::{Synced, WriteAttempt};
use crate::storage::ledger::Tx;
use crate::storage::parquet_writer::{RowGroup, schema_of};
use crate::storage::raw::payload::{PayloadRow, for_each_payload_group, payload_columns};
use crate::storage::raw::segment::{NewSegment, SegmentKind, SegmentWriter, check_written};
use crate::storage::raw::store::{Segment, add_segments, drop_segments};
use crate::support::error::Result;

/// The kinds of segment that hold payloads.
pub const KINDS: [SegmentKind; 2] = [SegmentKind::Payload, SegmentKind::BarePayload];

/// Segments of a day and kind, and what they are written anew as.
pub struct Rewrite {
    pub day: NaiveDate,
    pub before: Vec<Segment>,
    pub after: Vec<NewSegment>,
}

/// Writes the segments of a day anew as `into`, each row as `change` leaves it. Blocks; nothing is synced yet.
///
/// # Errors
/// [`crate::support::error::Error::Damaged`] where a segment is not what was written: its new digest would hide that.
pub fn rewrite(
    books: &Books,
    attempt: &WriteAttempt<'_>,
    (day, into): (NaiveDate, SegmentKind),
    before: Vec<Segment>,
    change: &mut dyn FnMut(PayloadRow) -> Option<PayloadRow>,
) -> Result<Rewrite> {
    let mut writer = SegmentWriter::new(&books.data, into, day, attempt.number());
    for segment in &before {
        let path = books.data.join(&segment.path);
        check_written(&path, &segment.digest)?;
        for_each_payload_group(&path, |rows| {
            let kept: Vec<PayloadRow> = rows.into_iter().filter_map(&mut *change).collect();
            if kept.is_empty() {
                return Ok(());
            }
            let columns = payload_columns(&kept);
            let schema = schema_of(&columns);
            writer.write(&RowGroup::of(columns)?, || schema)
        })?;
    }
    let after = writer.finish()?;
    Ok(Rewrite { day, before, after })
}

/// Syncs what was written anew.
pub fn sync(attempt: &WriteAttempt<'_>, rewrites: &[Rewrite]) -> Result<Synced> {
    let new = rewrites.iter().flat_map(|rewrite| &rewrite.after);
    attempt.sync(new.map(|segment| &segment.path))
}

impl Rewrite {
    /// How many rows are in the new files no more.
    pub fn removed(&self) -> i64 {
        let before: i64 = self.before.iter().map(|segment| segment.rows).sum();
        let after = self.after.iter().map(|segment| segment.rows).sum::<usize>();
        before - i64::try_from(after).unwrap_or(i64::MAX)
    }

    /// Names the new files in the place of those before.
    pub async fn swap(&self, tx: &mut Tx) -> Result<()> {
        let lo = self.before.iter().map(|segment| segment.batch_lo).min().unwrap_or(0);
        let hi = self.before.iter().map(|segment| segment.batch_hi).max().unwrap_or(0);
        let paths: Vec<String> = self.before.iter().map(|segment| segment.path.clone()).collect();
        drop_segments(tx, &paths).await?;
        add_segments(tx, &self.after, lo, hi).await
    }
}
