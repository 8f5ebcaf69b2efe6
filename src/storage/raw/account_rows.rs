//! The rows of an account in raw, and the voids, which have no account of their own.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use polars::prelude::*;

use super::packed_id::{ID_COLUMNS, Ids};
use super::segment::Groups;
use crate::support::error::{Doing as _, Result};

/// Rows by their writer's number and their line. Four bytes for each row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSet {
    lines: BTreeMap<i64, Vec<u32>>,
}

impl RowSet {
    /// Adds rows; a row that is there already counts once.
    pub fn extend(&mut self, rows: impl IntoIterator<Item = (i64, u32)>) {
        let mut touched = BTreeSet::new();
        for (intake, line) in rows {
            self.lines.entry(intake).or_default().push(line);
            touched.insert(intake);
        }
        for intake in touched {
            if let Some(lines) = self.lines.get_mut(&intake) {
                lines.sort_unstable();
                lines.dedup();
            }
        }
    }

    /// Adds the rows of another.
    pub fn join(&mut self, other: Self) {
        for (intake, lines) in other.lines {
            match self.lines.entry(intake) {
                Entry::Vacant(vacant) => drop(vacant.insert(lines)),
                Entry::Occupied(mut known) => {
                    known.get_mut().extend(lines);
                    known.get_mut().sort_unstable();
                    known.get_mut().dedup();
                }
            }
        }
    }

    pub fn has(&self, intake: i64, line: u32) -> bool {
        let lines = self.lines.get(&intake);
        lines.is_some_and(|lines| lines.binary_search(&line).is_ok())
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The writers that have rows in it.
    pub fn intakes(&self) -> impl Iterator<Item = i64> + '_ {
        self.lines.keys().copied()
    }

    /// The same rows by another number of their writer, such as their batch; rows of a writer without one are left out.
    #[must_use]
    pub fn renumbered(&self, number_of: impl Fn(i64) -> Option<i64>) -> Self {
        let mut renumbered = Self::default();
        for (intake, lines) in &self.lines {
            if let Some(number) = number_of(*intake) {
                renumbered.extend(lines.iter().map(|line| (number, *line)));
            }
        }
        renumbered
    }
}

/// A void as raw has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoidRow {
    pub intake: i64,
    pub line: u32,
    pub source: String,
    pub id: String,
    /// The id that it takes back.
    pub target: String,
}

/// What a segment has of an account.
#[derive(Debug, Default)]
pub struct AccountRows {
    /// Rows and milliseconds by their writer's number.
    pub sums: BTreeMap<i64, RowSums>,
    pub rows: RowSet,
    /// Source and id of those whose identity hash was asked for.
    pub asked: Vec<(String, String)>,
    /// The account's applications.
    pub apps: BTreeSet<u64>,
    /// Applications of other accounts, of those that were asked for.
    pub apps_of_others: BTreeSet<u64>,
}

/// How many rows, and what their durations add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowSums {
    pub rows: i64,
    pub duration_ms: i64,
}

/// All voids of a segment.
pub fn voids_of(path: &Path) -> Result<Vec<VoidRow>> {
    let groups = Groups::open(path)?;
    let doing = || format!("reading {}", path.display());
    let mut voids = Vec::new();
    for at in 0..groups.count() {
        let targets = groups.read(at, &["voids"])?;
        let targets = targets.column("voids").and_then(Column::str).doing(doing())?.clone();
        if targets.null_count() == targets.len() {
            continue;
        }
        let [id, packed] = ID_COLUMNS;
        let frame = groups.read(at, &["intake", "line", "source", id, packed])?;
        let (intakes, lines) = places_of(path, &frame)?;
        let sources = frame.column("source").and_then(Column::str).doing(doing())?;
        let ids = Ids::of(&frame)?;
        for (row, target) in targets.iter().enumerate() {
            let Some(target) = target else { continue };
            voids.push(VoidRow {
                intake: intakes.get(row).unwrap_or(0),
                line: lines.get(row).unwrap_or(0),
                source: sources.get(row).unwrap_or_default().to_owned(),
                id: ids.get(row).text().into_owned(),
                target: target.to_owned(),
            });
        }
    }
    Ok(voids)
}

/// The rows of an account in a segment. `asked` are identity hashes whose texts are wanted, `apps` applications of the account that
/// other accounts may have as well.
pub fn account_rows(path: &Path, uin: u64, asked: &HashSet<u64>, apps: &BTreeSet<u64>) -> Result<AccountRows> {
    let groups = Groups::open(path)?;
    let doing = || format!("reading {}", path.display());
    let mut found = AccountRows::default();
    for at in 0..groups.count() {
        let accounts = groups.read(at, &["uin", "appid"])?;
        let uins = accounts.column("uin").and_then(Column::u64).doing(doing())?;
        let appids = accounts.column("appid").and_then(Column::u64).doing(doing())?;
        let mut own = Vec::new();
        for (row, (account, app)) in uins.iter().zip(appids.iter()).enumerate() {
            if account == Some(uin) {
                own.push(row);
                found.apps.extend(app);
            } else if let Some(app) = app.filter(|app| apps.contains(app)) {
                found.apps_of_others.insert(app);
            }
        }
        if own.is_empty() {
            continue;
        }
        let frame = groups.read(at, &["intake", "line", "duration_ms", "key"])?;
        let (intakes, lines) = places_of(path, &frame)?;
        let durations = frame.column("duration_ms").and_then(Column::i64).doing(doing())?;
        let hashes = frame.column("key").and_then(Column::u64).doing(doing())?;
        let place = |row: &usize| (intakes.get(*row).unwrap_or(0), lines.get(*row).unwrap_or(0));
        found.rows.extend(own.iter().map(place));
        let mut wanted = Vec::new();
        for row in own {
            let intake = intakes.get(row).unwrap_or(0);
            let sums = found.sums.entry(intake).or_default();
            sums.rows += 1;
            sums.duration_ms += durations.get(row).unwrap_or(0);
            if hashes.get(row).is_some_and(|hash| asked.contains(&hash)) {
                wanted.push(row);
            }
        }
        if wanted.is_empty() {
            continue;
        }
        let [id, packed] = ID_COLUMNS;
        let names = groups.read(at, &["source", id, packed])?;
        let sources = names.column("source").and_then(Column::str).doing(doing())?;
        let ids = Ids::of(&names)?;
        found.asked.extend(wanted.into_iter().map(|row| {
            let source = sources.get(row).unwrap_or_default().to_owned();
            (source, ids.get(row).text().into_owned())
        }));
    }
    Ok(found)
}

fn places_of(path: &Path, frame: &DataFrame) -> Result<(Int64Chunked, UInt32Chunked)> {
    let doing = || format!("reading {}", path.display());
    let intakes = frame.column("intake").and_then(Column::i64).doing(doing())?;
    let lines = frame.column("line").and_then(Column::u32).doing(doing())?;
    Ok((intakes.clone(), lines.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_the_rows_that_it_was_given_and_no_others() {
        let mut rows = RowSet::default();
        assert!(rows.is_empty());
        rows.extend([(2, 9), (1, 7), (2, 3), (2, 9)]);
        rows.extend([(2, 4)]);
        for (intake, line, is_in) in [
            (2, 3, true),
            (2, 4, true),
            (2, 9, true),
            (1, 7, true),
            (1, 9, false),
            (3, 7, false),
        ] {
            assert_eq!(rows.has(intake, line), is_in, "{intake} {line}");
        }
        assert_eq!(rows.intakes().collect::<Vec<_>>(), [1, 2]);
        let mut more = RowSet::default();
        more.extend([(2, 9), (2, 5), (5, 1)]);
        rows.join(more);
        assert!([3, 4, 5, 9].iter().all(|line| rows.has(2, *line)) && rows.has(5, 1));
        let batches = rows.renumbered(|intake| (intake == 2).then_some(20));
        assert_eq!((batches.has(20, 9), batches.has(1, 7)), (true, false));
    }
}
