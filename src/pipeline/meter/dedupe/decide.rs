//! The decision: a duplicate, a conflict, or the record that stands. Pure.

use super::apply_voids::apply_voids;
use super::identity_index::{Key, Verdict};
use super::new_rows::Row;
use super::resolution::{Dated, Resolutions, RowId};
use super::stored_record::{Content, RealRecord};
use super::{Completed, Conflict, Decided, NewRows, Real, RowVerdict, Void, VoidState};
use crate::pipeline::ingest::record::fingerprint::identity_hash;
use std::collections::HashMap;

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
pub(super) fn id_of_whole_line((batch, line): RowId) -> String {
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
        Content::Usage { has_derived_time, .. } => has_derived_time || key.day == new.identities.day(row),
        Content::Void { .. } => true,
    };
    may_be_equal && key.content == new.content(row)
}

/// Keys of earlier meterings by hash, and what people said about their conflicts.
pub(super) struct OldKeys<'a> {
    pub by_hash: HashMap<u64, Vec<Key>>,
    pub resolutions: &'a Resolutions,
}

impl<'a> OldKeys<'a> {
    pub fn none(resolutions: &'a Resolutions) -> Self {
        Self {
            by_hash: HashMap::new(),
            resolutions,
        }
    }

    /// Whether the key of what a void took back is still there; of a refused one, any key of what it names.
    pub fn knows(&self, void: &Void) -> bool {
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
    pub fn standing(&self, hash: u64) -> impl Iterator<Item = Dated> {
        let keys = self.by_hash.get(&hash).into_iter().flatten();
        keys.filter(|key| key.verdict == Verdict::Accepted).map(|key| {
            let first = (i64::from(key.batch), key.line);
            self.resolutions.standing(first).unwrap_or((first, key.day))
        })
    }
}
