//! Conflicts that a person resolved: which content stands, and which contents are known. Pure.

use std::collections::{HashMap, HashSet};

/// Batch and line of a row.
pub type RowId = (i64, u32);

/// What a person said about a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The first stands.
    Kept,
    /// The later one stands.
    Replaced,
    /// It has the content of one that was resolved.
    Repeated,
}

/// A resolved conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The row that was accepted first.
    pub first: RowId,
    /// UTC day of the first, days since 1970.
    pub first_day: i32,
    /// The later row.
    pub later: RowId,
    pub day: i32,
    pub word: Resolution,
    /// In the order of the decisions.
    pub resolution: i64,
    /// The metering that moved the books; none before it ran, and never where nothing moves.
    pub metering: Option<i64>,
}

/// A row and its UTC day, days since 1970.
pub type Dated = (RowId, i32);

/// All resolved conflicts.
#[derive(Clone, Debug, Default)]
pub struct Resolutions {
    /// By resolution.
    all: Vec<Resolved>,
    known: HashSet<RowId>,
    standing: HashMap<RowId, Dated>,
}

impl Resolutions {
    pub fn new(mut all: Vec<Resolved>) -> Self {
        all.sort_by_key(|resolved| resolved.resolution);
        let known = all.iter().map(|resolved| resolved.later).collect();
        let replaced = all.iter().filter(|resolved| resolved.word == Resolution::Replaced);
        let standing = replaced.map(|r| (r.first, (r.later, r.day))).collect();
        Self { all, known, standing }
    }

    /// Whether the content of a conflicting row counts as seen: its repeats are duplicates.
    pub fn knows(&self, later: RowId) -> bool {
        self.known.contains(&later)
    }

    /// The row that took the place of the one accepted first, if one did.
    pub fn standing(&self, first: RowId) -> Option<Dated> {
        self.standing.get(&first).copied()
    }

    /// Replacements that no metering has booked yet: the row that stood, and the row that stands from now on.
    pub fn pending(&self) -> Vec<(Dated, Dated)> {
        let mut stood: HashMap<RowId, Dated> = HashMap::new();
        let mut pending = Vec::new();
        for r in self.all.iter().filter(|r| r.word == Resolution::Replaced) {
            let before = stood.insert(r.first, (r.later, r.day));
            if r.metering.is_none() {
                pending.push((before.unwrap_or((r.first, r.first_day)), (r.later, r.day)));
            }
        }
        pending
    }

    /// Rows that stood and do not stand any more, and rows that stand in their place, as far as meterings up to
    /// `metering` booked it.
    pub fn booked(&self, metering: i64) -> HashMap<RowId, bool> {
        let mut stands = HashMap::new();
        let booked = |r: &&Resolved| r.word == Resolution::Replaced && r.metering.is_some_and(|at| at <= metering);
        let mut current: HashMap<RowId, RowId> = HashMap::new();
        for r in self.all.iter().filter(booked) {
            let before = current.insert(r.first, r.later).unwrap_or(r.first);
            stands.insert(before, false);
            stands.insert(r.later, true);
        }
        stands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(later: i64, resolution: i64, metering: Option<i64>) -> Resolved {
        Resolved {
            first: (1, 1),
            first_day: 10,
            later: (later, 1),
            day: 10,
            word: Resolution::Replaced,
            resolution,
            metering,
        }
    }

    #[test]
    fn the_last_replacement_stands_and_the_one_before_it_goes() {
        let resolutions = Resolutions::new(vec![replaced(3, 2, None), replaced(2, 1, Some(5))]);
        assert_eq!(resolutions.standing((1, 1)), Some(((3, 1), 10)));
        assert_eq!(resolutions.pending(), [(((2, 1), 10), ((3, 1), 10))]);
        assert_eq!(resolutions.booked(5), HashMap::from([((1, 1), false), ((2, 1), true)]));
        assert_eq!(resolutions.booked(4), HashMap::new());
    }
}
