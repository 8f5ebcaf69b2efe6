//! Pieces: the sums of all segments, put together for some accounts at a time, in the order of the usage file. So the usage
//! of a metering is never in memory as a whole.

use hashbrown::HashMap;

use crate::pipeline::meter::aggregate::usage_sums::{Numbering, Owner, Sums, overflow, ranked};
use crate::storage::raw::segment::ROW_GROUP_ROWS;
use crate::storage::usage::row::UsageRow;
use crate::storage::usage::sku_region::SkuRegions;
use crate::support::error::Result;
use crate::support::radix_sort::sort_by_key;

/// All sums of a metering, cut between accounts.
pub struct Pieces<'a> {
    sums: &'a [Sums],
    corrections: &'a [UsageRow],
    /// The first account of each piece but the first.
    cuts: Vec<u64>,
    /// By SKU code: the rank of (region, SKU). Codes that differ in nothing but the task type are one in the usage.
    ranks: Vec<u32>,
}

impl<'a> Pieces<'a> {
    /// Cuts the sums into pieces of about a row group.
    pub fn of(sums: &'a [Sums], corrections: &'a [UsageRow], places: &SkuRegions) -> Self {
        let all: usize = sums.iter().map(Sums::len).sum();
        // Accounts have about the same part of each segment, so the largest one tells where to cut all.
        let cuts = sums
            .iter()
            .max_by_key(|sums| sums.len())
            .map_or_else(Vec::new, |largest| {
                let pieces = all.div_ceil(ROW_GROUP_ROWS).max(1);
                largest.cuts(largest.len().div_ceil(pieces).max(1))
            });
        Self {
            sums,
            corrections,
            cuts,
            ranks: ranks(places),
        }
    }

    pub fn count(&self) -> usize {
        self.cuts.len() + 1
    }

    /// The rows of a piece, in the order of a usage file: sums of the same key added up, those that came to nothing left out.
    pub fn rows(&self, piece: usize) -> Result<Vec<UsageRow>> {
        let from = piece.checked_sub(1).map_or(0, |before| self.cuts[before]);
        let to = self.cuts.get(piece).copied();
        let is_own = |delta: &&UsageRow| from <= delta.uin && to.is_none_or(|to| delta.uin < to);
        let counts = self.sums.iter().map(|sums| sums.count_of_accounts(from, to));
        let mut deltas: Vec<UsageRow> = Vec::with_capacity(counts.sum());
        for sums in self.sums {
            deltas.extend(sums.of_accounts(from, to));
        }
        deltas.extend(self.corrections.iter().filter(is_own));
        self.added_up(&deltas)
    }

    fn added_up(&self, deltas: &[UsageRow]) -> Result<Vec<UsageRow>> {
        let (owners, numbers) = numbered_owners(deltas);
        let rank_of_place = |delta: &UsageRow| self.ranks[delta.code as usize] * 2 + delta.unit as u32;
        let Some(numbering) = Numbering::of(deltas.iter().map(|s| (rank_of_place(s), s.day)), owners.len())? else {
            return Ok(Vec::new());
        };
        let (_, ranks) = ranked(owners);
        let number =
            |(delta, owner): (&UsageRow, u32)| numbering.number(ranks[owner as usize], rank_of_place(delta), delta.day);
        let mut sorted: Vec<(u64, u32)> = deltas.iter().zip(numbers).map(number).zip(0..).collect();
        sort_by_key(&mut sorted, numbering.bits(), |item| item.0);
        let mut rows = Vec::with_capacity(sorted.len());
        for run in sorted.chunk_by(|a, b| a.0 == b.0) {
            let mut row = deltas[run[0].1 as usize];
            for (_, more) in &run[1..] {
                add(&mut row, &deltas[*more as usize])?;
            }
            if (row.records, row.raw, row.billable) != (0, 0, 0) {
                rows.push(row);
            }
        }
        Ok(rows)
    }
}

/// Owners by first sight, and the number of each row's.
fn numbered_owners(deltas: &[UsageRow]) -> (Vec<Owner>, Vec<u32>) {
    let mut owners: Vec<Owner> = Vec::new();
    let mut known: HashMap<Owner, u32> = HashMap::new();
    let mut numbers = Vec::with_capacity(deltas.len());
    let mut last: Option<(Owner, u32)> = None;
    for delta in deltas {
        let owner = Owner::of(delta);
        let number = match last {
            Some((same, number)) if same == owner => number,
            _ => *known.entry(owner).or_insert_with(|| {
                owners.push(owner);
                u32::try_from(owners.len() - 1).expect("owners are fewer than rows")
            }),
        };
        last = Some((owner, number));
        numbers.push(number);
    }
    (owners, numbers)
}

fn add(row: &mut UsageRow, more: &UsageRow) -> Result<()> {
    let sums = (
        row.records.checked_add(more.records),
        row.raw.checked_add(more.raw),
        row.billable.checked_add(more.billable),
    );
    let (Some(records), Some(raw), Some(billable)) = sums else {
        return Err(overflow(row.uin, row.appid, row.day));
    };
    (row.records, row.raw, row.billable) = (records, raw, billable);
    Ok(())
}

/// The rank of each code in the order of (region, SKU), so that sorting compares numbers.
fn ranks(places: &SkuRegions) -> Vec<u32> {
    let mut named: Vec<(&str, &str, usize)> = places
        .iter()
        .enumerate()
        .map(|(code, place)| (&*place.region, &*place.sku, code))
        .collect();
    named.sort_unstable();
    let mut ranks = vec![0; named.len()];
    for (rank, alike) in (0..).zip(named.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))) {
        for (_, _, code) in alike {
            ranks[*code] = rank;
        }
    }
    ranks
}
