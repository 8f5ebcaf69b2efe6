//! Exact dedupe: which new row stands, which is a duplicate, a conflict, a void, or voided. Pure.
//!
//! Hashes only name suspects. Whoever shares a hash is compared by real source and id, then by real content; only a key
//! whose raw has expired is compared by its fingerprints alone.

use std::collections::{HashMap, HashSet};

use super::content::{Content, RealRecord};
use super::identities::{Identities, Row};
use super::key_run::{Key, KeyRun, Verdict};
use super::resolution::{Dated, Place, Resolutions};
use super::sorted::Sorted;
use crate::ingest::fingerprint::identity_hash;

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
    pub took: Option<Place>,
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
}

/// Rows and keys to be read for real before anything is decided.
#[derive(Debug, Default)]
pub struct Suspects {
    /// Sorted.
    pub rows: Vec<Row>,
    pub keys: Vec<Key>,
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
    /// Records of earlier batches that count otherwise from now on.
    pub fn moved(&self) -> Vec<&RealRecord> {
        let replaced = self.replaced.iter().flat_map(|(stood, stands)| [stood, stands]);
        replaced
            .chain(self.voided_before.iter().map(|(record, _)| record))
            .collect()
    }
}

/// New rows that share a hash with another row or with a key, and all voids.
pub fn suspects(identities: &Identities, sorted: &Sorted, runs: &[KeyRun], expired: &HashSet<i32>) -> Suspects {
    let mut found = Suspects::default();
    found.rows.extend(identities.voids.iter().map(|void| void.row));
    for partition in sorted.partitions() {
        let mut cursors = vec![0; runs.len()];
        if let Some(first) = partition.first() {
            for (cursor, run) in cursors.iter_mut().zip(runs) {
                *cursor = run.seek(first.0, *cursor);
            }
        }
        for group in partition.chunk_by(|a, b| a.0 == b.0) {
            let hash = group[0].0;
            let before = found.keys.len();
            for (cursor, run) in cursors.iter_mut().zip(runs) {
                *cursor = run.seek(hash, *cursor);
                found.keys.extend(run.of_hash(hash, *cursor));
            }
            forget_expired(&mut found.keys, before, expired);
            if group.len() > 1 || found.keys.len() > before {
                found.rows.extend(group.iter().map(|entry| entry.1));
            }
        }
    }
    found.rows.sort_unstable();
    found.rows.dedup();
    found
}

/// Keys of a hash live until the last of their days has expired; from then on the id is free. Where it was accepted again
/// since, the expired keys before that are those of its earlier life.
fn forget_expired(keys: &mut Vec<Key>, from: usize, expired: &HashSet<i32>) {
    if keys[from..].iter().all(|key| expired.contains(&key.day)) {
        keys.truncate(from);
        return;
    }
    if keys[from..].iter().all(|key| !expired.contains(&key.day)) {
        return;
    }
    let mut own = keys.split_off(from);
    let order = |key: &Key| (key.batch, key.line);
    let accepted = own.iter().filter(|key| key.verdict == Verdict::Accepted);
    let last_accepted = accepted.map(order).max();
    own.retain(|key| !expired.contains(&key.day) || last_accepted <= Some(order(key)));
    keys.append(&mut own);
}

/// Rows and keys that a void may take back: new voids' targets, and rows for which a void waits.
pub fn void_suspects(
    real: &Real,
    identities: &Identities,
    sorted: &Sorted,
    runs: &[KeyRun],
    waiting: &[Void],
    expired: &HashSet<i32>,
) -> Suspects {
    let mut found = Suspects::default();
    let new_targets = identities.voids.iter().filter_map(|void| {
        let record = real.rows.get(&void.row)?;
        Some(identity_hash(&record.source, &void.target))
    });
    for hash in new_targets {
        found.rows.extend(sorted.of_hash(hash));
        let before = found.keys.len();
        found.keys.extend(runs.iter().flat_map(|run| run.of_hash(hash, 0)));
        forget_expired(&mut found.keys, before, expired);
    }
    for void in waiting {
        found
            .rows
            .extend(sorted.of_hash(identity_hash(&void.source, &void.target)));
    }
    found.rows.retain(|row| !real.rows.contains_key(row));
    found.rows.sort_unstable();
    found.rows.dedup();
    found
        .keys
        .retain(|key| !real.keys.contains_key(&(i64::from(key.batch), key.line)));
    found
}

/// Decides every new row. `known_voids` are the ledger's.
#[tracing::instrument(skip_all)]
pub fn decide(
    identities: &Identities,
    sorted: &Sorted,
    suspects: &Suspects,
    real: &Real,
    known_voids: &[Void],
    resolutions: &Resolutions,
) -> Decided {
    let mut decided = Decided {
        verdicts: vec![RowVerdict::Accepted; identities.len()],
        conflicts: Vec::new(),
        new_voids: Vec::new(),
        ended_waits: Vec::new(),
        voided_before: Vec::new(),
        replaced: replaced_now(real, resolutions),
        void_days: HashMap::new(),
    };
    let mut keys_by_hash: HashMap<u64, Vec<Key>> = HashMap::new();
    for key in &suspects.keys {
        keys_by_hash.entry(key.hash).or_default().push(*key);
    }
    let mut hashes: Vec<u64> = suspects.rows.iter().map(|&row| identities.key[row as usize]).collect();
    hashes.sort_unstable();
    hashes.dedup();
    for hash in hashes {
        let rows: Vec<Row> = sorted.of_hash(hash).collect();
        let keys = keys_by_hash.get(&hash).map_or(&[][..], Vec::as_slice);
        decide_group(identities, &rows, keys, real, resolutions, &mut decided);
    }
    let old = OldKeys {
        by_hash: keys_by_hash,
        resolutions,
    };
    apply_voids(identities, sorted, &old, real, known_voids, &mut decided);
    decided
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
    identities: &Identities,
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
            Some(&(_, first)) if is_same(identities, row, record, first, real) => {
                decided.verdicts[row as usize] = RowVerdict::Duplicate;
            }
            Some(_) if resolved.iter().any(|key| is_repeat(identities, row, record, key, real)) => {
                decided.verdicts[row as usize] = RowVerdict::Duplicate;
            }
            Some(&(_, first)) => {
                decided.verdicts[row as usize] = RowVerdict::Conflict;
                let (first, first_day) = match first {
                    Standing::New(first) => {
                        let (batch, line) = identities.order(first);
                        ((i64::from(batch), line), identities.day(first))
                    }
                    Standing::Old(key) => ((i64::from(key.batch), key.line), key.day),
                };
                let segment = identities.segment_of(row);
                decided.conflicts.push(Conflict {
                    row,
                    segment,
                    record: record.clone(),
                    first,
                    first_day,
                });
            }
        }
    }
}

/// Whether a row repeats a conflict that was resolved.
fn is_repeat(identities: &Identities, row: Row, record: &RealRecord, key: &Key, real: &Real) -> bool {
    match real.keys.get(&(i64::from(key.batch), key.line)) {
        Some(known) => (&known.source, &known.id, &known.content) == (&record.source, &record.id, &record.content),
        None => key.content == identities.content[row as usize],
    }
}

fn is_same(identities: &Identities, row: Row, record: &RealRecord, first: Standing, real: &Real) -> bool {
    match first {
        Standing::New(first) => real
            .rows
            .get(&first)
            .is_some_and(|first| first.content == record.content),
        Standing::Old(key) => match real.keys.get(&(i64::from(key.batch), key.line)) {
            Some(first) => first.content == record.content,
            None => key.content == identities.content[row as usize],
        },
    }
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

fn apply_voids(
    identities: &Identities,
    sorted: &Sorted,
    old: &OldKeys,
    real: &Real,
    known_voids: &[Void],
    decided: &mut Decided,
) {
    // What a void took back is forgotten with the keys of its identity; the id is free again then.
    let is_known = |void: &&Void| void.state == VoidState::Waiting || old.knows(void);
    let mut known: HashSet<(&str, &str)> = known_voids
        .iter()
        .filter(is_known)
        .map(|void| (void.source.as_str(), void.target.as_str()))
        .collect();
    for void in known_voids.iter().filter(|void| void.state == VoidState::Waiting) {
        let outcome = take_back(identities, sorted, &OldKeys::none(old.resolutions), real, void, decided);
        if outcome.state != VoidState::Waiting {
            decided.ended_waits.push(outcome);
        }
    }
    let mut voids: Vec<(Row, &str)> = identities.voids.iter().map(|v| (v.row, v.target.as_str())).collect();
    voids.sort_unstable_by_key(|&(row, _)| identities.order(row));
    for (row, target) in voids {
        let Some(record) = real.rows.get(&row) else { continue };
        if decided.verdicts[row as usize] != RowVerdict::Accepted {
            continue;
        }
        if !known.insert((&record.source, target)) {
            decided.verdicts[row as usize] = RowVerdict::SecondVoid;
            continue;
        }
        let (batch, line) = identities.order(row);
        let void = Void {
            source: record.source.clone(),
            target: target.to_owned(),
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
            take_back(identities, sorted, old, real, &void, decided)
        };
        if let Some(day) = outcome.day {
            decided.void_days.insert(row, day);
        }
        decided.new_voids.push(outcome);
    }
}

/// Takes back the accepted record that a void names, if it is there.
fn take_back(
    identities: &Identities,
    sorted: &Sorted,
    old: &OldKeys,
    real: &Real,
    void: &Void,
    decided: &mut Decided,
) -> Void {
    let is_target = |record: &RealRecord| record.source == void.source && record.id == void.target;
    let hash = identity_hash(&void.source, &void.target);
    for row in sorted.of_hash(hash) {
        let Some(record) = real.rows.get(&row).filter(|r| is_target(r)) else {
            continue;
        };
        if decided.verdicts[row as usize] != RowVerdict::Accepted {
            continue;
        }
        let day = identities.day(row);
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
