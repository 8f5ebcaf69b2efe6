//! The stored verdicts of rows that are metered: from the key runs, and what people and voids did since.
//!
//! Rows are looked up some millions at a time, in the order of their hashes: a key run is then read from its beginning to its end, and what
//! lies behind is given back. So neither the number of rows nor the size of the key runs decides what is in memory.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use polars::prelude::Column;
use rayon::prelude::*;

use super::RowVerdict;
use super::identity_index::{Key, KeyRun, Verdict, keys_of_hash};
use super::resolution::RowId;
use crate::context::Books;
use crate::pipeline::meter::store;
use crate::storage::durable_files::DataDir;
use crate::storage::raw::segment::for_each_group;
use crate::storage::raw::store::{Segment, batches_by_intake};
use crate::support::error::{Doing as _, Error, Result};
use crate::support::threads;

/// Bytes of key runs that a thread may have in memory before it gives them back.
const KEY_BYTES_MAX: usize = 128 << 20;

/// All keys, and the batches of the rows that they are of.
pub struct Keys {
    runs: Vec<KeyRun>,
    batches: HashMap<i64, i64>,
}

/// What people and voids did, up to a metering.
pub struct AsOf {
    /// Rows that stand or do not, whatever their key says.
    stands: HashMap<RowId, bool>,
    /// Rows that a void took back.
    voided: HashSet<RowId>,
}

impl AsOf {
    pub async fn read(books: &Books, metering: i64) -> Result<Self> {
        Ok(Self {
            stands: store::load_resolutions(&books.ledger).await?.booked(metering),
            voided: store::voided_rows(&books.ledger, metering).await?,
        })
    }

    /// What a row is, whose own key has this verdict.
    pub fn of(&self, place: RowId, verdict: Verdict) -> RowVerdict {
        let stands = self.stands.get(&place).copied();
        match stands.unwrap_or(verdict == Verdict::Accepted) {
            false => RowVerdict::Conflict,
            true if self.voided.contains(&place) => RowVerdict::Voided,
            true => RowVerdict::Accepted,
        }
    }
}

/// The verdicts of some segments' rows.
pub struct OfSegments {
    all: Vec<RowVerdict>,
    starts: Vec<usize>,
}

impl OfSegments {
    /// Of the segment at a place.
    pub fn at(&self, segment: usize) -> &[RowVerdict] {
        &self.all[self.starts[segment]..self.starts[segment + 1]]
    }
}

/// A row whose own key is sought.
#[derive(Clone, Copy)]
struct Sought {
    hash: u64,
    batch: u32,
    line: u32,
    /// Among the rows of all segments.
    row: u32,
}

impl Keys {
    pub async fn read(books: &Books) -> Result<Self> {
        let paths = store::key_run_paths(&books.ledger).await?;
        let runs = paths.iter().map(|(path, _)| KeyRun::open(&books.data.join(path)));
        Ok(Self {
            runs: runs.collect::<Result<_>>()?,
            batches: batches_by_intake(&books.ledger).await?,
        })
    }

    /// The batch of a row that an intake wrote.
    pub fn batch_of(&self, intake: i64) -> Option<u32> {
        self.batches.get(&intake).and_then(|batch| u32::try_from(*batch).ok())
    }

    /// The verdict that a row's own key has; none of a duplicate, which has no key.
    pub fn own_verdict(&self, hash: u64, place: RowId) -> Result<Option<Verdict>> {
        let keys = keys_of_hash(&self.runs, hash)?;
        let own = keys.iter().find(|key| (i64::from(key.batch), key.line) == place);
        Ok(own.map(|key| key.verdict))
    }

    /// Of all rows of some segments, which have a few million rows at most.
    pub fn of_segments(&self, data: &DataDir, segments: &[Segment], as_of: &AsOf) -> Result<OfSegments> {
        let parts: Vec<Vec<Sought>> = threads::map(segments.len(), |at| self.sought(data, &segments[at]))?;
        let mut starts = vec![0];
        let mut sought: Vec<Sought> = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        for part in parts {
            let start = u32::try_from(sought.len()).expect("a few million rows");
            sought.extend(part.into_iter().map(|one| Sought {
                row: start + one.row,
                ..one
            }));
            starts.push(sought.len());
        }
        sought.par_sort_unstable_by_key(|one| one.hash);
        let pieces = pieces(sought.len(), self.runs.iter().map(KeyRun::bytes).sum());
        let found = threads::map(pieces.len(), |at| self.look_up(&sought[pieces[at].clone()], as_of))?;
        // What has no key of its own is a duplicate.
        let mut all = vec![RowVerdict::Duplicate; sought.len()];
        for (row, verdict) in found.into_iter().flatten() {
            all[row as usize] = verdict;
        }
        Ok(OfSegments { all, starts })
    }

    fn sought(&self, data: &DataDir, segment: &Segment) -> Result<Vec<Sought>> {
        let place = data.join(&segment.path);
        let mut sought = Vec::new();
        let mut last = (i64::MIN, 0);
        for_each_group(&place, &["intake", "line", "key"], |frame| {
            let intakes = frame.column("intake").and_then(Column::i64).doing("reading intakes")?;
            let lines = frame.column("line").and_then(Column::u32).doing("reading lines")?;
            let keys = frame.column("key").and_then(Column::u64).doing("reading keys")?;
            let rows = intakes.into_no_null_iter().zip(lines.into_no_null_iter());
            for ((intake, line), hash) in rows.zip(keys.into_no_null_iter()) {
                if last.0 != intake {
                    let batch = self.batch_of(intake).ok_or_else(|| unknown(&place, intake))?;
                    last = (intake, batch);
                }
                sought.push(Sought {
                    hash,
                    batch: last.1,
                    line,
                    row: u32::try_from(sought.len()).expect("a segment's rows fit"),
                });
            }
            Ok(())
        })?;
        Ok(sought)
    }

    /// Rows in the order of their hashes, and the verdicts of those that have a key.
    fn look_up(&self, sought: &[Sought], as_of: &AsOf) -> Result<Vec<(u32, RowVerdict)>> {
        let mut found = Vec::with_capacity(sought.len());
        for run in &self.runs {
            let hashes = sought.iter().map(|one| one.hash);
            run.of_hashes(hashes, |at, key: Key| {
                let Sought { batch, line, row, .. } = sought[at];
                if (key.batch, key.line) == (batch, line) {
                    found.push((row, as_of.of((i64::from(batch), line), key.verdict)));
                }
            })?;
            run.forget();
        }
        Ok(found)
    }
}

fn unknown(place: &std::path::Path, intake: i64) -> Error {
    let what = format!("has rows of intake {intake}, which no committed batch has");
    Error::damaged(place, what)
}

/// Cuts hashes that are sorted, and spread evenly, so that the keys around each piece fit into memory.
fn pieces(rows: usize, key_bytes: usize) -> Vec<Range<usize>> {
    let count = key_bytes.div_ceil(KEY_BYTES_MAX).max(1);
    let size = rows.div_ceil(count).max(1);
    (0..rows)
        .step_by(size)
        .map(|start| start..(start + size).min(rows))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_all_rows_and_are_more_where_there_are_more_keys() {
        assert!(pieces(0, 0).is_empty());
        assert_eq!(pieces(10, 5).len(), 1);
        assert_eq!(pieces(10, 3 * KEY_BYTES_MAX), [0..4, 4..8, 8..10]);
        assert_eq!(pieces(2, 9 * KEY_BYTES_MAX), [0..1, 1..2]);
    }
}
