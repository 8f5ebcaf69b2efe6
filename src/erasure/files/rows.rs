//! The rows of an account in raw: its usage, and the voids that are of it.
//!
//! A void has no account. It is of the account when it takes back a row of the account, or such a void, or when a number of the account
//! stands in its ids.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;

use super::ErasedRows;
use crate::context::Books;
use crate::pipeline::ingest::record::fingerprint::identity_hash;
use crate::storage::raw::account_rows::{RowSet, RowSums, VoidRow, account_rows, voids_of};
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::{Segment, batches_by_intake, segments_between};
use crate::support::error::{Error, Result};
use crate::support::threads;
use crate::support::whole_numbers::WholeNumbers;

/// What raw has of an account.
#[derive(Debug, Default)]
pub struct Found {
    /// By the number of their writer.
    pub rows: RowSet,
    /// The same by batch; rows that no batch names are not there.
    pub rows_by_batch: RowSet,
    /// Voids among them, by batch and line.
    pub voids: BTreeSet<(i64, u32)>,
    /// By batch and day.
    pub erased: Vec<ErasedRows>,
    /// Applications of the account in raw.
    pub apps: BTreeSet<u64>,
    /// Applications of the account that no other account has in raw.
    pub own_apps: BTreeSet<u64>,
}

/// Segments of a kind, of all batches.
pub async fn segments_of(books: &Books, kind: SegmentKind) -> Result<Vec<Segment>> {
    segments_between(&books.ledger, kind, 0, i64::MAX).await
}

/// Finds all rows of an account, of which `apps` are applications.
pub async fn find(books: &Books, uin: u64, apps: &BTreeSet<u64>) -> Result<Found> {
    let segments = segments_of(books, SegmentKind::Usage).await?;
    let batches = batches_by_intake(&books.ledger).await?;
    tokio::task::block_in_place(|| find_in(books, &segments, &batches, (uin, apps)))
}

fn find_in(
    books: &Books,
    segments: &[Segment],
    batches: &HashMap<i64, i64>,
    (uin, apps): (u64, &BTreeSet<u64>),
) -> Result<Found> {
    for segment in segments {
        let path = books.data.join(&segment.path);
        if !path.exists() {
            return Err(Error::damaged(&path, "is missing; restore it from a backup"));
        }
    }
    let path = |at: usize| books.data.join(&segments[at].path);
    let of_segments = threads::map(segments.len(), |at| voids_of(&path(at)))?;
    let voids = Voids::of(&of_segments);
    let accounts = threads::map(segments.len(), |at| account_rows(&path(at), uin, &voids.hashes, apps))?;
    let mut found = Found::default();
    let mut sums = BTreeMap::<(i64, NaiveDate), RowSums>::new();
    let (mut identities, mut of_others) = (Vec::new(), BTreeSet::new());
    for (segment, account) in segments.iter().zip(accounts) {
        found.rows.join(account.rows);
        identities.extend(account.asked);
        found.apps.extend(&account.apps);
        of_others.extend(account.apps_of_others);
        for (intake, more) in account.sums {
            let sum = sums.entry((intake, segment.day)).or_default();
            sum.rows += more.rows;
            sum.duration_ms += more.duration_ms;
        }
    }
    let own_apps: BTreeSet<u64> = apps.difference(&of_others).copied().collect();
    let numbers = numbers_of(uin, &own_apps);
    for (segment, void) in voids.of_account(&identities, &numbers) {
        found.rows.extend([(void.intake, void.line)]);
        found
            .voids
            .extend(batches.get(&void.intake).map(|batch| (*batch, void.line)));
        sums.entry((void.intake, segments[segment].day)).or_default().rows += 1;
    }
    found.rows_by_batch = found.rows.renumbered(|intake| batches.get(&intake).copied());
    found.erased = by_batch(&sums, batches)?;
    found.own_apps = own_apps;
    Ok(found)
}

/// What an account is known by in text: its number, and those of its own applications, where they are no ordinary numbers.
pub fn numbers_of(uin: u64, own_apps: &BTreeSet<u64>) -> WholeNumbers {
    const LEAST: u64 = 10_000;
    let all = own_apps.iter().copied().chain([uin]);
    WholeNumbers::new(all.filter(|number| *number >= LEAST))
}

fn by_batch(sums: &BTreeMap<(i64, NaiveDate), RowSums>, batches: &HashMap<i64, i64>) -> Result<Vec<ErasedRows>> {
    let mut erased: Vec<ErasedRows> = sums
        .iter()
        .map(|((intake, day), sums)| {
            let batch = batches.get(intake).copied();
            let unknown = || Error::Unbalanced(format!("no batch has the rows of writer {intake}"));
            Ok(ErasedRows {
                batch: batch.ok_or_else(unknown)?,
                day: *day,
                rows: sums.rows,
                duration_ms: sums.duration_ms,
            })
        })
        .collect::<Result<_>>()?;
    erased.sort_unstable_by_key(|rows| (rows.batch, rows.day));
    Ok(erased)
}

/// All voids, by what they take back.
struct Voids<'v> {
    by_target: HashMap<(&'v str, &'v str), Vec<(usize, &'v VoidRow)>>,
    /// Of the identities that they take back.
    hashes: HashSet<u64>,
}

impl<'v> Voids<'v> {
    /// Of the voids of each segment.
    fn of(segments: &'v [Vec<VoidRow>]) -> Self {
        let mut voids = Self {
            by_target: HashMap::new(),
            hashes: HashSet::new(),
        };
        for (segment, of_segment) in segments.iter().enumerate() {
            for void in of_segment {
                let target = (&*void.source, &*void.target);
                voids.by_target.entry(target).or_default().push((segment, void));
                voids.hashes.insert(identity_hash(target.0, target.1));
            }
        }
        voids
    }

    /// Those of an account which has records of these identities, each with its segment.
    fn of_account(&self, identities: &[(String, String)], numbers: &WholeNumbers) -> Vec<(usize, &'v VoidRow)> {
        let names_it = |void: &VoidRow| numbers.are_in(&void.id) || numbers.are_in(&void.target);
        let mut found: BTreeMap<(i64, u32), (usize, &VoidRow)> = BTreeMap::new();
        let mut next: Vec<(usize, &VoidRow)> = Vec::new();
        for (source, id) in identities {
            next.extend(self.by_target.get(&(&**source, &**id)).into_iter().flatten());
        }
        let all = self.by_target.values().flatten();
        next.extend(all.filter(|(_, void)| names_it(void)));
        while let Some((segment, void)) = next.pop() {
            if found.insert((void.intake, void.line), (segment, void)).is_none() {
                next.extend(self.by_target.get(&(&*void.source, &*void.id)).into_iter().flatten());
            }
        }
        found.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn void(line: u32, id: &str, target: &str) -> VoidRow {
        VoidRow {
            intake: 1,
            line,
            source: "s".into(),
            id: id.into(),
            target: target.into(),
        }
    }

    #[test]
    fn a_void_is_of_the_account_whose_record_it_takes_back_and_so_are_voids_of_it() {
        let segments = [
            vec![void(1, "v1", "a"), void(2, "v2", "v1"), void(3, "v3", "b")],
            vec![
                void(4, "v4", "v2"),
                void(5, "x-70000", "c"),
                void(6, "v6", "700001"),
                void(7, "v7", "v7"),
            ],
        ];
        let voids = Voids::of(&segments);
        assert!(voids.hashes.contains(&identity_hash("s", "a")));
        let numbers = numbers_of(70_000, &BTreeSet::from([12]));
        let lines = |identities: &[(&str, &str)]| -> Vec<u32> {
            let identities = identities
                .iter()
                .map(|(source, id)| ((*source).to_owned(), (*id).to_owned()));
            let found = voids.of_account(&identities.collect::<Vec<_>>(), &numbers);
            found.into_iter().map(|(_, void)| void.line).collect()
        };
        assert_eq!(lines(&[("s", "a")]), [1, 2, 4, 5]);
        assert_eq!(lines(&[("other", "a"), ("s", "v7")]), [5, 7]);
    }

    #[test]
    fn small_applications_are_ordinary_numbers() {
        let numbers = numbers_of(100_000_000_000, &BTreeSet::from([1, 1_250_000_001]));
        assert!(!numbers.are_in("line 1 of 2"));
        assert!(numbers.are_in("1250000001-EditMedia") && numbers.are_in("uin 100000000000"));
    }
}
