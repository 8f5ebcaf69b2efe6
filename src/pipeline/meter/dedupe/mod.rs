//! Exact dedupe: which new row stands, which is a duplicate, a conflict, a void, or voided. Pure.
//!
//! Hashes only name suspects. Whoever shares a hash is compared by real source and id, then by real content, as long as its raw is there
//! ([`is_repeat_of_expired`]).

mod apply_voids;
pub(crate) mod completed_lines;
mod decide;
pub mod identity_index;
pub mod new_rows;
pub(crate) mod read_ahead;
pub mod resolution;
pub mod stored_record;
pub mod stored_verdicts;
pub(crate) mod suspects;

pub use decide::decide;
use decide::id_of_whole_line;

use std::collections::{HashMap, HashSet};

use crate::pipeline::ingest::record::fingerprint::identity_hash;
use new_rows::{Identities, Row};
use resolution::RowId;
use stored_record::{Content, RealRecord};
use suspects::Candidates;

/// What a new row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RowVerdict {
    Accepted,
    Duplicate,
    Conflict,
    /// Accepted and taken back.
    Voided,
    /// A void of what another void took back: it changes nothing, but its own id is taken.
    SecondVoid,
}

/// A void that the ledger knows, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Void {
    pub source: String,
    pub target: String,
    /// Its own id.
    pub id: String,
    pub batch: i64,
    pub line: u32,
    pub state: VoidState,
    /// The row that it took back: batch and line.
    pub took: Option<RowId>,
    /// The target's UTC day, once known.
    pub day: Option<i32>,
    /// The metering that took the record back; of a known one that did.
    pub metering: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoidState {
    Waiting,
    Applied,
    /// A void of a void.
    Refused,
    /// A person said that it waits no more.
    Dismissed,
}

/// A conflict found.
#[derive(Clone, Debug)]
pub struct Conflict {
    pub row: Row,
    /// The segment that holds it.
    pub segment: usize,
    pub record: RealRecord,
    pub first: (i64, u32),
    pub first_day: i32,
    /// The first is a part of this line, which was cut when it was read: no conflict, it takes the first's place.
    pub completes: bool,
}

/// A line that was cut when it was first read, and its whole.
#[derive(Clone, Debug)]
pub struct Completed {
    pub first: RealRecord,
    /// The first one's UTC day, days since 1970.
    pub first_day: i32,
    /// Batch and line of the whole.
    pub at: RowId,
    /// None where the whole is no record.
    pub whole: Option<RealRecord>,
}

/// What was read for real.
#[derive(Debug, Default)]
pub struct Real {
    pub rows: HashMap<Row, RealRecord>,
    /// By (batch, line); absent when its raw has expired.
    pub keys: HashMap<(i64, u32), RealRecord>,
}

/// The outcome.
#[derive(Debug)]
pub struct Decided {
    pub verdicts: Vec<RowVerdict>,
    pub conflicts: Vec<Conflict>,
    /// Voids first seen now.
    pub new_voids: Vec<Void>,
    /// Voids that waited and found their record now.
    pub ended_waits: Vec<Void>,
    /// Records metered before and taken back now, with their UTC day.
    pub voided_before: Vec<(RealRecord, i32)>,
    /// Decisions booked now: the record that stood, and the one that stands.
    pub replaced: Vec<(RealRecord, RealRecord)>,
    /// The day of a void's key where it is its target's.
    pub void_days: HashMap<Row, i32>,
}

impl Decided {
    /// How many voids were found now to name a void.
    pub fn voids_of_voids(&self) -> usize {
        let found = self.new_voids.iter().chain(&self.ended_waits);
        found.filter(|void| void.state == VoidState::Refused).count()
    }

    /// Those of the new voids that are no records: a whole line takes back what was read of it before.
    pub fn taken_back_by_whole_lines(&self) -> Vec<&Void> {
        let voids = self.new_voids.iter();
        voids
            .filter(|void| void.id == id_of_whole_line((void.batch, void.line)))
            .collect()
    }

    /// Records of earlier batches that count otherwise from now on.
    pub fn moved(&self) -> Vec<&RealRecord> {
        let replaced = self.replaced.iter().flat_map(|(stood, stands)| [stood, stands]);
        replaced
            .chain(self.voided_before.iter().map(|(record, _)| record))
            .collect()
    }
}

/// Hashes whose rows and keys must be looked at: those of the new voids, which were read, of all that voids name, and of lines that
/// were cut.
pub fn wanted_by_voids(
    new_voids: &HashMap<Row, RealRecord>,
    waiting: &[Void],
    completed: &[Completed],
) -> HashSet<u64> {
    let firsts = completed.iter().map(|completed| &completed.first);
    let mut wanted: HashSet<u64> = firsts.map(|first| identity_hash(&first.source, &first.id)).collect();
    for record in new_voids.values() {
        wanted.insert(identity_hash(&record.source, &record.id));
        if let Content::Void { target } = &record.content {
            wanted.insert(identity_hash(&record.source, target));
        }
    }
    wanted.extend(waiting.iter().map(|void| identity_hash(&void.source, &void.target)));
    wanted
}

/// The new rows of a metering, as far as it takes their content to tell them apart.
#[derive(Clone, Copy)]
pub struct NewRows<'a> {
    pub identities: &'a Identities,
    pub candidates: &'a Candidates,
}

impl NewRows<'_> {
    /// Batch and line: what "first" means.
    fn order(&self, row: Row) -> (u32, u32) {
        (self.identities.batch(row), self.candidates.row(row).line)
    }

    fn content(&self, row: Row) -> u64 {
        self.candidates.row(row).content
    }
}
