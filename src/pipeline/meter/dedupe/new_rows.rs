//! The new rows of a metering, numbered over all segments, and what is known of them without their content.

use polars::prelude::*;

use crate::storage::durable_files::DataDir;
use crate::storage::raw::fingerprints::Fingerprints;
use crate::storage::raw::segment::Groups;
use crate::storage::raw::store::Segment;
use crate::support::error::{Doing as _, Error, Result};
use crate::support::threads;

/// A new row: its segment and place in it, as one number over all new rows.
pub type Row = u32;

/// Rows per entry of the table that leads to a row's segment.
const ROWS_PER_HINT: usize = 1 << 12;

/// New rows, segment after segment.
pub struct Identities {
    /// The first row of each segment, and the number of rows at the end.
    pub starts: Vec<Row>,
    /// The batch of each segment.
    pub batches: Vec<u32>,
    /// The UTC day of each segment, days since 1970.
    pub days: Vec<i32>,
    /// Rows that are voids, ascending.
    pub voids: Vec<Row>,
    /// The oldest version of their fingerprints.
    pub fingerprints: Fingerprints,
    /// The segment of every so many rows.
    hints: Vec<u32>,
}

impl Identities {
    /// Numbers the rows of unmetered segments, each of which holds one batch.
    #[tracing::instrument(skip_all)]
    pub fn read(data: &DataDir, segments: &[Segment]) -> Result<Self> {
        let total: i64 = segments.iter().map(|s| s.rows).sum();
        if Row::try_from(total).is_err() {
            return Err(Error::Usage(format!(
                "{total} new records are too many for one metering (limit 2^32)"
            )));
        }
        let mut all = Self {
            starts: vec![0],
            batches: Vec::new(),
            days: Vec::new(),
            voids: Vec::new(),
            fingerprints: Fingerprints::NOW,
            hints: Vec::new(),
        };
        let found: Vec<(Fingerprints, Vec<Row>)> = threads::map(segments.len(), |at| voids_of(data, &segments[at]))?;
        for (at, (segment, (version, voids))) in (0..).zip(segments.iter().zip(found)) {
            all.fingerprints = all.fingerprints.min(version);
            let start = all.starts[all.starts.len() - 1];
            let end = start + Row::try_from(segment.rows).expect("counted above");
            all.voids.extend(voids.into_iter().map(|row| start + row));
            all.starts.push(end);
            all.batches.push(batch_number(segment.batch_lo)?);
            all.days.push(crate::values::calendar::number_of_day(segment.day));
            while all.hints.len() * ROWS_PER_HINT < end as usize {
                all.hints.push(at);
            }
        }
        Ok(all)
    }

    pub fn len(&self) -> usize {
        self.starts.last().map_or(0, |&end| end as usize)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The segment of a row.
    pub fn segment_of(&self, row: Row) -> usize {
        let mut segment = self.hints[row as usize / ROWS_PER_HINT] as usize;
        while self.starts[segment + 1] <= row {
            segment += 1;
        }
        segment
    }

    /// The batch of a row.
    pub fn batch(&self, row: Row) -> u32 {
        self.batches[self.segment_of(row)]
    }

    /// The UTC day, days since 1970.
    pub fn day(&self, row: Row) -> i32 {
        self.days[self.segment_of(row)]
    }
}

/// Batch numbers stand in keys as 32 bits.
pub fn batch_number(batch: i64) -> Result<u32> {
    u32::try_from(batch)
        .map_err(|_| Error::Usage(format!("batch {batch} is beyond 2^32, the most a ledger can number")))
}

/// The version of a segment's fingerprints, and its rows that are voids.
fn voids_of(data: &DataDir, segment: &Segment) -> Result<(Fingerprints, Vec<Row>)> {
    let place = data.join(&segment.path);
    let groups = Groups::open(&place)?;
    let mut rows: Row = 0;
    let mut voids = Vec::new();
    for group in 0..groups.count() {
        let frame = groups.read(group, &["voids"])?;
        let targets = frame.column("voids").and_then(Column::str).doing("reading voids")?;
        if targets.null_count() < targets.len() {
            let own = (rows..).zip(targets.iter()).filter(|(_, target)| target.is_some());
            voids.extend(own.map(|(row, _)| row));
        }
        rows += Row::try_from(frame.height()).expect("a segment's rows fit");
    }
    if i64::from(rows) != segment.rows {
        return Err(Error::damaged(
            &place,
            format!("has {rows} rows where the ledger says {}", segment.rows),
        ));
    }
    Ok((groups.fingerprints(), voids))
}
