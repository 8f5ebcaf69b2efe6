//! Voids: what each takes back. Pure.

use super::decide::OldKeys;
use super::stored_record::{Content, RealRecord};
use super::{Decided, NewRows, Real, RowVerdict, Void, VoidState};
use crate::pipeline::ingest::record::fingerprint::identity_hash;
use std::collections::HashSet;

/// Applies the voids that wait, then the new ones in the order they came.
pub(super) fn apply_voids(new: NewRows, old: &OldKeys, real: &Real, known_voids: &[Void], decided: &mut Decided) {
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
