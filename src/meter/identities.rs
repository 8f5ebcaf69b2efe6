//! The identities of a metering's new rows: hashes first, real strings only for suspects.

use polars::prelude::*;

use crate::error::{Doing as _, Error, Result};
use crate::files::DataDir;
use crate::parallel;
use crate::raw::segment::read_columns;
use crate::raw::store::Segment;

/// A new row: its segment and place in it, as one number over all new rows.
pub type Row = u32;

/// A void among the new rows.
#[derive(Clone, Debug)]
pub struct VoidRow {
    pub row: Row,
    pub target: String,
}

/// Hashes of all new rows, in columns, segment after segment.
pub struct Identities {
    pub key: Vec<u64>,
    pub content: Vec<u64>,
    pub line: Vec<u32>,
    /// The first row of each segment, and the number of rows at the end.
    pub starts: Vec<Row>,
    /// The batch of each segment.
    pub batches: Vec<u32>,
    /// The UTC day of each segment, days since 1970.
    pub days: Vec<i32>,
    /// Voids, in row order.
    pub voids: Vec<VoidRow>,
}

impl Identities {
    /// Reads the hashes of unmetered segments, each of which holds one batch.
    pub fn read(data: &DataDir, segments: &[Segment]) -> Result<Self> {
        let total: i64 = segments.iter().map(|s| s.rows).sum();
        if Row::try_from(total).is_err() {
            return Err(Error::Usage(format!(
                "{total} new records are too many for one metering (limit 2^32)"
            )));
        }
        let parts: Vec<Part> = parallel::map(segments.len(), |at| read_part(data, &segments[at]))?;
        let mut all = Self {
            key: Vec::with_capacity(usize::try_from(total).unwrap_or(0)),
            content: Vec::with_capacity(usize::try_from(total).unwrap_or(0)),
            line: Vec::with_capacity(usize::try_from(total).unwrap_or(0)),
            starts: vec![0],
            batches: Vec::new(),
            days: Vec::new(),
            voids: Vec::new(),
        };
        for (segment, part) in segments.iter().zip(parts) {
            let start = all.starts[all.starts.len() - 1];
            all.voids.extend(part.voids.into_iter().map(|(at, target)| VoidRow {
                row: start + at,
                target,
            }));
            all.key.extend(part.key);
            all.content.extend(part.content);
            all.line.extend(part.line);
            all.starts.push(Row::try_from(all.key.len()).expect("counted above"));
            all.batches.push(batch_number(segment.batch_lo)?);
            all.days.push(crate::span::number_of_day(segment.day));
        }
        Ok(all)
    }

    pub fn len(&self) -> usize {
        self.key.len()
    }

    pub fn is_empty(&self) -> bool {
        self.key.is_empty()
    }

    /// The segment of a row.
    pub fn segment_of(&self, row: Row) -> usize {
        self.starts.partition_point(|&start| start <= row) - 1
    }

    /// Batch and line: what "first" means.
    pub fn order(&self, row: Row) -> (u32, u32) {
        (self.batches[self.segment_of(row)], self.line[row as usize])
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

struct Part {
    key: Vec<u64>,
    content: Vec<u64>,
    line: Vec<u32>,
    voids: Vec<(Row, String)>,
}

fn read_part(data: &DataDir, segment: &Segment) -> Result<Part> {
    let place = data.join(&segment.path);
    let frame = read_columns(&place, &["line", "voids", "key", "content"])?;
    if i64::try_from(frame.height()).ok() != Some(segment.rows) {
        return Err(Error::damaged(
            &place,
            format!("has {} rows where the ledger says {}", frame.height(), segment.rows),
        ));
    }
    let numbers = |name: &str| -> Result<Vec<u64>> {
        let column = frame.column(name).and_then(Column::u64).doing("reading keys")?;
        Ok(column.into_no_null_iter().collect())
    };
    let line = frame.column("line").and_then(Column::u32).doing("reading lines")?;
    let voids = frame.column("voids").and_then(Column::str).doing("reading voids")?;
    let mut targets = Vec::new();
    if voids.null_count() < voids.len() {
        for (at, target) in voids.iter().enumerate() {
            if let Some(target) = target {
                targets.push((Row::try_from(at).expect("a segment's rows fit"), target.to_owned()));
            }
        }
    }
    Ok(Part {
        key: numbers("key")?,
        content: numbers("content")?,
        line: line.into_no_null_iter().collect(),
        voids: targets,
    })
}
