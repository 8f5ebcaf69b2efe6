//! Exact dedupe: which new row stands, which is a duplicate, a conflict, a void, or voided. Pure.
//!
//! Hashes only name suspects. Whoever shares a hash is compared by real source and id, then by real content, as long as its raw is there
//! ([`is_repeat_of_expired`]).

pub(crate) mod completed_lines;
pub mod identity_index;
pub mod new_rows;
pub(crate) mod read_ahead;
pub mod resolution;
pub mod stored_record;
pub(crate) mod suspects;
pub mod verdicts;

use std::collections::{HashMap, HashSet};

use crate::pipeline::ingest::record::fingerprint::identity_hash;
use identity_index::{Key, Verdict};
use new_rows::{Identities, Row};
use resolution::{Dated, Resolutions, RowId};
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

/// Decides every new row. `known_voids` are the ledger's.
#[tracing::instrument(skip_all)]
pub fn decide(
    new: NewRows,
    keys: &[Key],
    real: &Real,
    known_voids: &[Void],
    resolutions: &Resolutions,
    completed: &[Completed],
) -> Decided {
    let mut decided = Decided {
        verdicts: vec![RowVerdict::Accepted; new.identities.len()],
        conflicts: Vec::new(),
        new_voids: Vec::new(),
        ended_waits: Vec::new(),
        voided_before: Vec::new(),
        replaced: replaced_now(real, resolutions),
        void_days: HashMap::new(),
    };
    let mut keys_by_hash: HashMap<u64, Vec<Key>> = HashMap::new();
    for key in keys {
        keys_by_hash.entry(key.hash).or_default().push(*key);
    }
    for hash in new.candidates.hashes() {
        let rows: Vec<Row> = new.candidates.of_hash(hash).collect();
        let keys = keys_by_hash.get(&hash).map_or(&[][..], Vec::as_slice);
        decide_group(new, &rows, keys, real, resolutions, &mut decided);
    }
    let old = OldKeys {
        by_hash: keys_by_hash,
        resolutions,
    };
    apply_voids(new, &old, real, known_voids, &mut decided);
    for completed in completed {
        complete(&old, known_voids, completed, &mut decided);
    }
    decided
}

/// What stands for the id of a void where a whole line takes something back.
fn id_of_whole_line((batch, line): RowId) -> String {
    format!("line {line} of batch {batch}, whole")
}

/// Lets a whole line take the place of what was read of it before, if that stands. The same identity is replaced; else what was read
/// was no record of anybody, and is taken back.
fn complete(old: &OldKeys, known_voids: &[Void], completed: &Completed, decided: &mut Decided) {
    let first = &completed.first;
    let place = (first.batch, first.line);
    let took = |void: &Void| void.took == Some(place);
    let mut standing = old.standing(identity_hash(&first.source, &first.id));
    if !standing.any(|(stands, _)| stands == place) || known_voids.iter().chain(&decided.new_voids).any(took) {
        return;
    }
    let is_same = |whole: &RealRecord| (&whole.source, &whole.id) == (&first.source, &first.id);
    if completed.whole.as_ref().is_some_and(is_same) {
        // What was read of it may itself stand in the place of a shorter part.
        let stands = |first: RowId| old.resolutions.standing(first).map_or(first, |(stands, _)| stands);
        let own = |conflict: &&mut Conflict| {
            (conflict.record.batch, conflict.record.line) == completed.at && stands(conflict.first) == place
        };
        if let Some(conflict) = decided.conflicts.iter_mut().find(own) {
            conflict.completes = true;
        }
        return;
    }
    decided.voided_before.push((first.clone(), completed.first_day));
    decided.new_voids.push(Void {
        source: first.source.clone(),
        target: first.id.clone(),
        id: id_of_whole_line(completed.at),
        batch: completed.at.0,
        line: completed.at.1,
        state: VoidState::Applied,
        took: Some(place),
        day: Some(completed.first_day),
        metering: None,
    });
}

/// Both sides of the decisions that are to be booked. A conflict holds the days of both, so their raw is there.
fn replaced_now(real: &Real, resolutions: &Resolutions) -> Vec<(RealRecord, RealRecord)> {
    let record = |place| real.keys.get(&place).cloned();
    let pending = resolutions.pending().into_iter();
    pending
        .filter_map(|((stood, _), (stands, _))| Some((record(stood)?, record(stands)?)))
        .collect()
}

/// The one that stands for an identity.
#[derive(Clone, Copy)]
enum Standing {
    New(Row),
    Old(Key),
}

fn decide_group(
    new: NewRows,
    rows: &[Row],
    keys: &[Key],
    real: &Real,
    resolutions: &Resolutions,
    decided: &mut Decided,
) {
    let place = |key: &Key| (i64::from(key.batch), key.line);
    let resolved: Vec<Key> = keys
        .iter()
        .copied()
        .filter(|key| resolutions.knows(place(key)))
        .collect();
    let mut standing: Vec<(Option<(&str, &str)>, Standing)> = keys
        .iter()
        .filter(|key| key.verdict == Verdict::Accepted)
        .map(|key| {
            let name = real
                .keys
                .get(&(i64::from(key.batch), key.line))
                .map(|r| (r.source.as_str(), r.id.as_str()));
            (name, Standing::Old(*key))
        })
        .collect();
    for &row in rows {
        // A row alone with its hash was not read: it is the first of its identity.
        let Some(record) = real.rows.get(&row) else { continue };
        let name = (record.source.as_str(), record.id.as_str());
        let found = standing
            .iter()
            .find(|(known, _)| *known == Some(name))
            .or_else(|| standing.iter().find(|(known, _)| known.is_none()));
        match found {
            None => standing.push((Some(name), Standing::New(row))),
            Some(&(_, first)) if is_same(new, row, record, first, real) => {
                decided.verdicts[row as usize] = RowVerdict::Duplicate;
            }
            Some(_) if resolved.iter().any(|key| is_repeat(new, row, record, key, real)) => {
                decided.verdicts[row as usize] = RowVerdict::Duplicate;
            }
            Some(&(_, first)) => {
                decided.verdicts[row as usize] = RowVerdict::Conflict;
                let (first, first_day) = match first {
                    Standing::New(first) => {
                        let (batch, line) = new.order(first);
                        ((i64::from(batch), line), new.identities.day(first))
                    }
                    Standing::Old(key) => ((i64::from(key.batch), key.line), key.day),
                };
                let segment = new.identities.segment_of(row);
                decided.conflicts.push(Conflict {
                    row,
                    segment,
                    record: record.clone(),
                    first,
                    first_day,
                    completes: false,
                });
            }
        }
    }
}

/// Whether a row repeats a conflict that was resolved.
fn is_repeat(new: NewRows, row: Row, record: &RealRecord, key: &Key, real: &Real) -> bool {
    match real.keys.get(&(i64::from(key.batch), key.line)) {
        Some(known) => {
            (&known.source, &known.id) == (&record.source, &record.id) && known.content.is_equal(&record.content)
        }
        None => is_repeat_of_expired(new, row, record, key),
    }
}

fn is_same(new: NewRows, row: Row, record: &RealRecord, first: Standing, real: &Real) -> bool {
    match first {
        Standing::New(first) => real
            .rows
            .get(&first)
            .is_some_and(|first| first.content.is_equal(&record.content)),
        Standing::Old(key) => match real.keys.get(&(i64::from(key.batch), key.line)) {
            Some(first) => first.content.is_equal(&record.content),
            None => is_repeat_of_expired(new, row, record, &key),
        },
    }
}

/// Whether a row repeats a key whose raw has expired, so that nothing but its fingerprint and its day are left. Usage of that day is
/// refused, so that what comes has another time. A void has no time, and one fingerprint in every version.
fn is_repeat_of_expired(new: NewRows, row: Row, record: &RealRecord, key: &Key) -> bool {
    let may_be_equal = match record.content {
        Content::Usage { .. } => key.day == new.identities.day(row),
        Content::Void { .. } => true,
    };
    may_be_equal && key.content == new.content(row)
}

/// Keys of earlier meterings by hash, and what people said about their conflicts.
struct OldKeys<'a> {
    by_hash: HashMap<u64, Vec<Key>>,
    resolutions: &'a Resolutions,
}

impl<'a> OldKeys<'a> {
    fn none(resolutions: &'a Resolutions) -> Self {
        Self {
            by_hash: HashMap::new(),
            resolutions,
        }
    }

    /// Whether the key of what a void took back is still there; of a refused one, any key of what it names.
    fn knows(&self, void: &Void) -> bool {
        let keys = self
            .by_hash
            .get(&identity_hash(&void.source, &void.target))
            .into_iter()
            .flatten();
        let mut places = keys.map(|key| (i64::from(key.batch), key.line));
        match void.took {
            Some(took) => places.any(|place| place == took),
            None => places.next().is_some(),
        }
    }

    /// The rows that stand under a hash, with their UTC days.
    fn standing(&self, hash: u64) -> impl Iterator<Item = Dated> {
        let keys = self.by_hash.get(&hash).into_iter().flatten();
        keys.filter(|key| key.verdict == Verdict::Accepted).map(|key| {
            let first = (i64::from(key.batch), key.line);
            self.resolutions.standing(first).unwrap_or((first, key.day))
        })
    }
}

fn apply_voids(new: NewRows, old: &OldKeys, real: &Real, known_voids: &[Void], decided: &mut Decided) {
    // What a void took back is forgotten with the keys of its identity; the id is free again then.
    // One that was dismissed takes nothing back, and keeps no other void from it.
    let is_known = |void: &&Void| match void.state {
        VoidState::Waiting => true,
        VoidState::Dismissed => false,
        VoidState::Applied | VoidState::Refused => old.knows(void),
    };
    let mut known: HashSet<(&str, &str)> = known_voids
        .iter()
        .filter(is_known)
        .map(|void| (void.source.as_str(), void.target.as_str()))
        .collect();
    for void in known_voids.iter().filter(|void| void.state == VoidState::Waiting) {
        let outcome = take_back(new, &OldKeys::none(old.resolutions), real, void, decided);
        if outcome.state != VoidState::Waiting {
            decided.ended_waits.push(outcome);
        }
    }
    let mut voids = new.identities.voids.clone();
    voids.sort_unstable_by_key(|&row| new.order(row));
    for row in voids {
        let Some(record) = real.rows.get(&row) else { continue };
        let Content::Void { target } = &record.content else {
            continue;
        };
        if decided.verdicts[row as usize] != RowVerdict::Accepted {
            continue;
        }
        if !known.insert((&record.source, target.as_str())) {
            decided.verdicts[row as usize] = RowVerdict::SecondVoid;
            continue;
        }
        let (batch, line) = new.order(row);
        let void = Void {
            source: record.source.clone(),
            target: target.clone(),
            id: record.id.clone(),
            batch: i64::from(batch),
            line,
            state: VoidState::Waiting,
            took: None,
            day: None,
            metering: None,
        };
        let names_void = known_voids
            .iter()
            .any(|other| other.source == void.source && other.id == void.target);
        let outcome = if names_void {
            Void {
                state: VoidState::Refused,
                ..void
            }
        } else {
            take_back(new, old, real, &void, decided)
        };
        if let Some(day) = outcome.day {
            decided.void_days.insert(row, day);
        }
        decided.new_voids.push(outcome);
    }
}

/// Takes back the accepted record that a void names, if it is there.
fn take_back(new: NewRows, old: &OldKeys, real: &Real, void: &Void, decided: &mut Decided) -> Void {
    let is_target = |record: &RealRecord| record.source == void.source && record.id == void.target;
    let hash = identity_hash(&void.source, &void.target);
    for row in new.candidates.of_hash(hash) {
        let Some(record) = real.rows.get(&row).filter(|r| is_target(r)) else {
            continue;
        };
        if decided.verdicts[row as usize] != RowVerdict::Accepted {
            continue;
        }
        let day = new.identities.day(row);
        if matches!(record.content, Content::Void { .. }) {
            return Void {
                state: VoidState::Refused,
                day: Some(day),
                ..void.clone()
            };
        }
        decided.verdicts[row as usize] = RowVerdict::Voided;
        return Void {
            state: VoidState::Applied,
            took: Some((record.batch, record.line)),
            day: Some(day),
            ..void.clone()
        };
    }
    for (place, day) in old.standing(hash) {
        let Some(record) = real.keys.get(&place).filter(|r| is_target(r)) else {
            continue;
        };
        if matches!(record.content, Content::Void { .. }) {
            return Void {
                state: VoidState::Refused,
                day: Some(day),
                ..void.clone()
            };
        }
        decided.voided_before.push((record.clone(), day));
        return Void {
            state: VoidState::Applied,
            took: Some(place),
            day: Some(day),
            ..void.clone()
        };
    }
    void.clone()
}
