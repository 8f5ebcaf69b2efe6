//! Usage sums: the usage of records, added up per (account, app, SKU and region, day, status).
//!
//! A segment's rows are sorted by one number each, made of their owner's rank, SKU code and day, and runs of equal numbers
//! are added up: with two or three records to a sum, a hash table per sum costs several times that.

use std::ops::Range;

use hashbrown::HashMap;

use crate::storage::usage::row::{Status, UsageRow};
use crate::storage::usage::sku_region::{SkuCode, UnitKind};
use crate::support::error::{Error, Result};
use crate::support::radix_sort::{bits, sort_by_key};
use crate::values::calendar::day_of_number;

/// Whose usage it is, and whether it counts: in the order of a usage file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    pub uin: u64,
    pub status: Status,
    pub appid: u64,
}

impl Owner {
    pub fn of(delta: &UsageRow) -> Self {
        Self {
            uin: delta.uin,
            status: delta.status,
            appid: delta.appid,
        }
    }
}

/// Usage of single records, to be added up.
#[derive(Default)]
pub struct RowsToSum {
    /// By first sight.
    owners: Vec<Owner>,
    numbers: HashMap<Owner, u32>,
    keys: Vec<DeltaKey>,
    values: Vec<[i64; 2]>,
}

#[derive(Clone, Copy, Default)]
struct DeltaKey {
    owner: u32,
    slot: u32,
    day: i32,
}

impl RowsToSum {
    pub fn with_capacity(records: usize) -> Self {
        Self {
            keys: Vec::with_capacity(records),
            values: Vec::with_capacity(records),
            ..Self::default()
        }
    }

    /// Takes the usage of one record.
    pub fn push(&mut self, delta: &UsageRow) -> Result<()> {
        let owner = Owner::of(delta);
        let next = u32::try_from(self.owners.len()).expect("owners are fewer than rows");
        let owner = *self.numbers.entry(owner).or_insert_with(|| {
            self.owners.push(owner);
            next
        });
        self.keys.push(DeltaKey {
            owner,
            slot: slot(delta.code, delta.unit)?,
            day: delta.day,
        });
        self.values.push([delta.raw, delta.billable]);
        Ok(())
    }

    /// Adds up: sums in 64 bits, or an error where they do not fit.
    pub fn add_up(self) -> Result<Sums> {
        let places = self.keys.iter().map(|key| (key.slot, key.day));
        let Some(numbering) = Numbering::of(places, self.owners.len())? else {
            return Ok(Sums::default());
        };
        let (owners, ranks) = ranked(self.owners);
        let number = |key: &DeltaKey| numbering.number(ranks[key.owner as usize], key.slot, key.day);
        let mut sorted: Vec<(u64, u32)> = self.keys.iter().map(number).zip(0..).collect();
        sort_by_key(&mut sorted, numbering.bits(), |item| item.0);
        let mut sums = Sums {
            starts: Vec::with_capacity(owners.len() + 1),
            owners,
            keys: Vec::new(),
            values: Vec::new(),
        };
        for run in sorted.chunk_by(|a, b| a.0 == b.0) {
            let key = self.keys[run[0].1 as usize];
            sums.begin_owners_up_to(ranks[key.owner as usize]);
            let values = run.iter().map(|item| self.values[item.1 as usize]);
            sums.keys.push(SumKey {
                slot: key.slot,
                day: key.day,
                records: u32::try_from(run.len()).expect("a segment's rows fit"),
            });
            let value = added(values).ok_or_else(|| sums.overflow(ranks[key.owner as usize], key.day))?;
            sums.values.push(value);
        }
        let owners = u32::try_from(sums.owners.len()).expect("owners are fewer than rows");
        sums.begin_owners_up_to(owners);
        Ok(sums)
    }
}

fn added(values: impl Iterator<Item = [i64; 2]>) -> Option<[i64; 2]> {
    let mut sum = [0_i64; 2];
    for [raw, billable] in values {
        sum = [sum[0].checked_add(raw)?, sum[1].checked_add(billable)?];
    }
    Some(sum)
}

/// Owners in order, and the rank of each by its number.
pub fn ranked(owners: Vec<Owner>) -> (Vec<Owner>, Vec<u32>) {
    let mut sorted: Vec<(Owner, usize)> = owners.into_iter().zip(0..).collect();
    sorted.sort_unstable();
    let mut ranks = vec![0; sorted.len()];
    for (rank, (_, number)) in (0..).zip(&sorted) {
        ranks[*number] = rank;
    }
    (sorted.into_iter().map(|(owner, _)| owner).collect(), ranks)
}

/// How owner, slot and day become one number.
pub struct Numbering {
    slot_bits: u32,
    day_bits: u32,
    owner_bits: u32,
    first_day: i32,
}

impl Numbering {
    /// For these slots and days; none where there are none.
    pub fn of(mut places: impl Iterator<Item = (u32, i32)>, owners: usize) -> Result<Option<Self>> {
        let Some(first) = places.next() else { return Ok(None) };
        let (mut first_day, mut last_day, mut largest_slot) = (first.1, first.1, first.0);
        for (slot, day) in places {
            first_day = first_day.min(day);
            last_day = last_day.max(day);
            largest_slot = largest_slot.max(slot);
        }
        let numbering = Self {
            slot_bits: bits(largest_slot.into()),
            day_bits: bits(u64::from(last_day.abs_diff(first_day))),
            owner_bits: bits(owners as u64),
            first_day,
        };
        if numbering.bits() > u64::BITS {
            return Err(Error::Usage(format!(
                "{owners} accounts and apps, SKUs and days from {} to {} are too many to add up at once; send the usage in smaller files",
                day_of_number(first_day),
                day_of_number(last_day)
            )));
        }
        Ok(Some(numbering))
    }

    pub fn number(&self, owner: u32, slot: u32, day: i32) -> u64 {
        let above = u64::from(owner) << self.slot_bits | u64::from(slot);
        above << self.day_bits | u64::from(day.abs_diff(self.first_day))
    }

    pub fn bits(&self) -> u32 {
        self.owner_bits + self.slot_bits + self.day_bits
    }
}

/// Sums, by owner in order; an owner's sums are by SKU code and day.
#[derive(Default)]
pub struct Sums {
    owners: Vec<Owner>,
    /// Where each owner's sums begin, and where the last one's end.
    starts: Vec<u32>,
    keys: Vec<SumKey>,
    values: Vec<[i64; 2]>,
}

#[derive(Clone, Copy)]
struct SumKey {
    slot: u32,
    day: i32,
    records: u32,
}

impl Sums {
    fn begin_owners_up_to(&mut self, rank: u32) {
        let here = u32::try_from(self.keys.len()).expect("sums are fewer than rows");
        while self.starts.len() <= rank as usize {
            self.starts.push(here);
        }
    }

    fn overflow(&self, rank: u32, day: i32) -> Error {
        let Owner { uin, appid, .. } = self.owners[rank as usize];
        overflow(uin, appid, day)
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// All sums, in order.
    pub fn iter(&self) -> impl Iterator<Item = UsageRow> + '_ {
        self.of_owners(0, self.owners.len())
    }

    /// The sums of accounts `from <= uin && uin < to`, in order; to the end without `to`.
    pub fn of_accounts(&self, from: u64, to: Option<u64>) -> impl Iterator<Item = UsageRow> + '_ {
        let owners = self.owners_of(from, to);
        self.of_owners(owners.start, owners.end)
    }

    /// How many they are.
    pub fn count_of_accounts(&self, from: u64, to: Option<u64>) -> usize {
        let owners = self.owners_of(from, to);
        if owners.is_empty() {
            return 0;
        }
        (self.starts[owners.end] - self.starts[owners.start]) as usize
    }

    fn owners_of(&self, from: u64, to: Option<u64>) -> Range<usize> {
        let start = self.owners.partition_point(|owner| owner.uin < from);
        let end = to.map_or(self.owners.len(), |to| {
            self.owners.partition_point(|owner| owner.uin < to)
        });
        start..end.max(start)
    }

    fn of_owners(&self, start: usize, end: usize) -> impl Iterator<Item = UsageRow> + '_ {
        (start..end).flat_map(move |at| {
            let owner = self.owners[at];
            let own = self.starts[at] as usize..self.starts[at + 1] as usize;
            let sums = self.keys[own.clone()].iter().zip(&self.values[own]);
            sums.map(move |(key, &[raw, billable])| {
                let (code, unit) = place(key.slot);
                UsageRow {
                    uin: owner.uin,
                    appid: owner.appid,
                    status: owner.status,
                    code,
                    unit,
                    day: key.day,
                    records: key.records.into(),
                    raw,
                    billable,
                }
            })
        })
    }

    /// Accounts at which the sums can be cut into pieces of about `sums` each; the first piece begins before the first of them.
    pub fn cuts(&self, sums: usize) -> Vec<u64> {
        let mut cuts: Vec<u64> = Vec::new();
        let mut begun = 0;
        for (at, owner) in self.owners.iter().enumerate().skip(1) {
            let here = self.starts[at] as usize;
            if here - begun >= sums && owner.uin != self.owners[at - 1].uin {
                cuts.push(owner.uin);
                begun = here;
            }
        }
        cuts
    }
}

/// The error of sums beyond 64 bits.
pub fn overflow(uin: u64, appid: u64, day: i32) -> Error {
    Error::Unbalanced(format!(
        "the usage of account {uin}, app {appid} on {} is beyond 2^63 base units",
        day_of_number(day)
    ))
}

/// Place and unit as one number.
fn slot(code: SkuCode, unit: UnitKind) -> Result<u32> {
    let slot = code
        .checked_mul(2)
        .map(|code| code | u32::from(unit == UnitKind::Count));
    slot.ok_or_else(|| Error::Usage("more than 2^31 SKUs and regions in one metering are too many".to_owned()))
}

fn place(slot: u32) -> (SkuCode, UnitKind) {
    let unit = if slot & 1 == 0 { UnitKind::Ms } else { UnitKind::Count };
    (slot >> 1, unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn delta(uin: u64, appid: u64, code: u32, day: i32, raw: i64) -> UsageRow {
        UsageRow {
            uin,
            appid,
            status: if code == 0 { Status::Failed } else { Status::Metered },
            code,
            unit: if code % 3 == 1 { UnitKind::Count } else { UnitKind::Ms },
            day,
            records: 1,
            raw,
            billable: raw.saturating_mul(2),
        }
    }

    fn added_up(deltas: &[UsageRow]) -> Result<Sums> {
        let mut all = RowsToSum::default();
        deltas.iter().try_for_each(|delta| all.push(delta))?;
        all.add_up()
    }

    #[test]
    fn a_sum_beyond_64_bits_is_an_error_that_names_it() {
        let halves = [delta(7, 1, 1, 20_000, i64::MAX / 2); 3];
        let error = added_up(&halves).err().unwrap().to_string();
        assert!(error.contains("account 7, app 1 on 2024-10-04"), "{error}");
        assert!(added_up(&[]).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn sums_are_those_of_a_table_and_in_order(
            rows in prop::collection::vec((0_u64..6, prop::sample::select(vec![0, 1, u64::MAX]), 0_u32..5, -3_i32..3, 0_i64..1000), 0..2000),
            cut in 1_usize..50,
        ) {
            let deltas: Vec<UsageRow> = rows.into_iter().map(|(uin, appid, code, day, raw)| delta(uin, appid, code, day, raw)).collect();
            let mut table: BTreeMap<_, [i64; 3]> = BTreeMap::new();
            for s in &deltas {
                let sum = table.entry((s.uin, s.status, s.appid, s.code, s.unit, s.day)).or_default();
                *sum = [sum[0] + 1, sum[1] + s.raw, sum[2] + s.billable];
            }
            let sums = added_up(&deltas).unwrap();
            let found: Vec<_> = sums.iter()
                .map(|s| ((s.uin, s.status, s.appid, s.code, s.unit, s.day), [s.records, s.raw, s.billable]))
                .collect();
            prop_assert_eq!(&found, &table.into_iter().collect::<Vec<_>>());
            let cuts = sums.cuts(cut);
            let froms = std::iter::once(0).chain(cuts.iter().copied());
            let tos = cuts.iter().copied().map(Some).chain([None]);
            let counts: usize = froms.clone().zip(tos.clone()).map(|(from, to)| sums.count_of_accounts(from, to)).sum();
            prop_assert_eq!(counts, sums.len());
            let pieces: Vec<UsageRow> = froms.zip(tos).flat_map(|(from, to)| sums.of_accounts(from, to)).collect();
            prop_assert_eq!(pieces, sums.iter().collect::<Vec<_>>());
        }
    }
}
