//! The outcome of a metering: sums, control totals, lists; balanced before anything is written.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use hashbrown::HashMap;

use super::aggregate::measure::{Listing, Measured, Received, UnmeteredRecord, measure_segment};
use super::aggregate::merge_sums::Pieces;
use super::balance::{Amounts, QUARANTINED, RECEIVED, difference};
use super::dedupe::new_rows::Identities;
use super::dedupe::{Conflict, Decided};
use super::snapshot::Snapshot;
use super::store::Total;
use crate::context::Books;
use crate::pipeline::meter::aggregate::usage_sums::Sums;
use crate::pipeline::meter::classify::sku_cache::SkuCache;
use crate::storage::usage::row::{Status, UsageRow};
use crate::storage::usage::sku_region::{SkuCode, SkuRegions, UnitKind};
use crate::support::error::{Error, Result};
use crate::support::threads;

/// What metering came to.
pub struct Outcome {
    /// By segment; the same key may stand in several.
    sums: Vec<Sums>,
    /// What records metered before count otherwise from now on.
    corrections: Vec<UsageRow>,
    pub places: SkuRegions,
    /// By batch: what was received (counted row by row) and what it became (sorted and added up).
    pub(super) totals: BTreeMap<i64, BTreeMap<&'static str, Wide>>,
    /// All records without a meter, when their file is to be written anew.
    pub unmetered_file: Option<Vec<UnmeteredRecord>>,
    pub classified_again: i64,
    conflict_days: Vec<i32>,
    day_totals: DayTotals,
}

/// Metered usage of all accounts together by place and day: records, raw and billable base units.
pub type DayTotals = BTreeMap<(SkuCode, i32), [i128; 3]>;

/// A control total, wide enough for any sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wide {
    pub records: i64,
    pub raw_ms: i128,
    pub raw_count: i128,
    uplift: i128,
}

impl Wide {
    fn amounts(&self) -> Amounts {
        [i128::from(self.records), self.raw_ms, self.raw_count]
    }
}

impl Outcome {
    /// Measures all new rows, and what voids and changed cards do to rows metered before.
    #[tracing::instrument(skip_all)]
    pub fn measure(books: &Books, snapshot: &Snapshot, identities: &Identities, decided: &Decided) -> Result<Self> {
        let lookup = SkuCache::new(&snapshot.map);
        let progress = books.progress.records("metering", identities.len() as u64);
        let done = std::sync::atomic::AtomicU64::new(0);
        let parts: Vec<Part> = threads::map(snapshot.segments.len(), |at| {
            let part = Part::of(measure_one(books, snapshot, identities, decided, &lookup, at)?);
            let rows = part.measured.received.records.unsigned_abs();
            progress.at(done.fetch_add(rows, std::sync::atomic::Ordering::Relaxed) + rows);
            Ok(part)
        })?;
        let mut outcome = Self {
            sums: Vec::with_capacity(parts.len()),
            corrections: Vec::new(),
            places: SkuRegions::default(),
            totals: BTreeMap::new(),
            unmetered_file: None,
            classified_again: 0,
            conflict_days: identities.days.clone(),
            day_totals: DayTotals::new(),
        };
        let mut unmetered = Vec::new();
        for (segment, part) in snapshot.segments.iter().zip(parts) {
            outcome.count(segment.batch_lo, &part);
            outcome.sums.push(part.measured.sums);
            unmetered.extend(part.measured.unmetered);
        }
        let corrections = outcome.correct(snapshot, decided, &lookup, unmetered)?;
        for delta in &corrections {
            add_day_total(&mut outcome.day_totals, delta);
        }
        outcome.corrections = corrections;
        outcome.places = lookup.into_sku_regions();
        outcome.count_stored(snapshot);
        Ok(outcome)
    }

    /// Adds a segment's totals to its batch's.
    fn count(&mut self, batch: i64, part: &Part) {
        let totals = self.totals.entry(batch).or_default();
        let Received {
            records,
            raw_ms,
            raw_count,
        } = part.measured.received;
        let received = totals.entry(RECEIVED).or_default();
        received.records += records;
        received.raw_ms += raw_ms;
        received.raw_count += raw_count;
        for status in Status::ALL {
            let total = totals.entry(status.text()).or_default();
            total.records += part.measured.without_account[status as usize];
            total.add(&part.totals[status as usize]);
        }
        for (&place, sums) in &part.day_totals {
            let total = self.day_totals.entry(place).or_default();
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += sum;
            }
        }
    }

    /// Adds what only the ledger knows: lines that never became rows.
    fn count_stored(&mut self, snapshot: &Snapshot) {
        for &[batch, _, _, quarantined] in &snapshot.batch_counts {
            let totals = self.totals.entry(batch).or_default();
            totals.entry(QUARANTINED).or_default().records += quarantined;
            totals.entry(RECEIVED).or_default().records += quarantined;
        }
    }

    /// Every batch: rows are what ingest stored, and received = the sum of the statuses, in records and raw units.
    pub fn check_balance(&self, snapshot: &Snapshot) -> Result<()> {
        for &[batch, received, stored, quarantined] in &snapshot.batch_counts {
            let total = self
                .totals
                .get(&batch)
                .and_then(|t| t.get(RECEIVED))
                .copied()
                .unwrap_or_default();
            if received != stored + quarantined || total.records != received {
                return Err(Error::Unbalanced(format!(
                    "batch {batch} received {received} lines: {stored} stored and {quarantined} quarantined, and raw holds {}",
                    total.records - quarantined
                )));
            }
        }
        for (batch, totals) in &self.totals {
            let received = totals.get(RECEIVED).copied().unwrap_or_default();
            let [records, ms, counts] = difference(totals.iter().map(|(status, total)| (*status, total.amounts())));
            if [records, ms, counts] != [0; 3] {
                return Err(Error::Unbalanced(format!(
                    "batch {batch} received {} records, {} ms, {} counts; by status they are {} records, {} ms, {} counts",
                    received.records,
                    received.raw_ms,
                    received.raw_count,
                    i128::from(received.records) - records,
                    received.raw_ms - ms,
                    received.raw_count - counts
                )));
            }
        }
        Ok(())
    }

    /// The sums of all usage rows are those of all batches; `usage` is the rows' records and raw base units.
    pub fn check_usage(&self, usage: (i64, i128)) -> Result<()> {
        let metered = Status::Metered.text();
        let by_batch: (i64, i128) = self
            .totals
            .values()
            .filter_map(|t| t.get(metered))
            .fold((0, 0), |sum, total| {
                (sum.0 + total.records, sum.1 + total.raw_ms + total.raw_count)
            });
        if by_batch == usage {
            return Ok(());
        }
        Err(Error::Unbalanced(format!(
            "metered by batch: {} records, {} base units; by usage: {} records, {} base units",
            by_batch.0, by_batch.1, usage.0, usage.1
        )))
    }

    /// The control totals for the ledger.
    ///
    /// # Errors
    /// A total that does not fit: a smaller one would balance, and be wrong.
    pub fn control_totals(&self) -> Result<Vec<(i64, &'static str, Total)>> {
        let mut all = Vec::new();
        for (&batch, totals) in &self.totals {
            for (&status, total) in totals.iter().filter(|(_, total)| **total != Wide::default()) {
                let Wide {
                    records,
                    raw_ms,
                    raw_count,
                    uplift,
                } = *total;
                let narrow = |value: i128| {
                    i64::try_from(value).map_err(|_| {
                        Error::TooLarge(format!(
                            "batch {batch}: the {status} records add up to {value} base units, which does not fit; look for impossible \
                             durations and counts"
                        ))
                    })
                };
                let total = Total {
                    records,
                    raw_ms: narrow(raw_ms)?,
                    raw_count: narrow(raw_count)?,
                    uplift: narrow(uplift)?,
                };
                all.push((batch, status, total));
            }
        }
        Ok(all)
    }

    /// The usage, piece by piece.
    pub fn pieces(&self) -> Pieces<'_> {
        Pieces::of(&self.sums, &self.corrections, &self.places)
    }

    /// Metered usage of all accounts together.
    pub fn day_totals(&self) -> &DayTotals {
        &self.day_totals
    }

    /// The UTC day of a conflicting row, days since 1970.
    pub fn conflict_day(&self, conflict: &Conflict) -> i32 {
        self.conflict_days
            .get(conflict.segment)
            .copied()
            .unwrap_or(conflict.first_day)
    }
}

fn measure_one(
    books: &Books,
    snapshot: &Snapshot,
    identities: &Identities,
    decided: &Decided,
    lookup: &SkuCache,
    at: usize,
) -> Result<Measured> {
    let segment = &snapshot.segments[at];
    let rows = identities.starts[at] as usize..identities.starts[at + 1] as usize;
    let from = segment
        .day
        .and_hms_opt(0, 0, 0)
        .map_or(DateTime::<Utc>::MIN_UTC, |t| t.and_utc());
    let days = snapshot.map.local_days(from, from + TimeDelta::days(1));
    measure_segment(
        &books.data.join(&segment.path),
        segment.batch_lo,
        &decided.verdicts[rows],
        &snapshot.map,
        &days,
        lookup,
        Listing::Unmetered,
    )
}

/// A measured segment with its totals.
struct Part {
    measured: Measured,
    totals: [Wide; Status::ALL.len()],
    day_totals: HashMap<(SkuCode, i32), [i128; 3]>,
}

impl Part {
    fn of(measured: Measured) -> Self {
        let mut totals = [Wide::default(); Status::ALL.len()];
        let mut day_totals = HashMap::new();
        for delta in measured.sums.iter() {
            totals[delta.status as usize].add_share(&delta);
            if delta.status == Status::Metered {
                add(day_totals.entry((delta.code, delta.day)).or_default(), &delta);
            }
        }
        Self {
            measured,
            totals,
            day_totals,
        }
    }
}

fn add(total: &mut [i128; 3], delta: &UsageRow) {
    for (total, value) in total.iter_mut().zip([delta.records, delta.raw, delta.billable]) {
        *total += i128::from(value);
    }
}

fn add_day_total(totals: &mut DayTotals, delta: &UsageRow) {
    if delta.status == Status::Metered {
        add(totals.entry((delta.code, delta.day)).or_default(), delta);
    }
}

impl Wide {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.raw_ms += other.raw_ms;
        self.raw_count += other.raw_count;
        self.uplift += other.uplift;
    }

    pub(super) fn add_share(&mut self, delta: &UsageRow) {
        self.records += delta.records;
        match delta.unit {
            UnitKind::Ms => self.raw_ms += i128::from(delta.raw),
            UnitKind::Count => self.raw_count += i128::from(delta.raw),
        }
        if delta.status == Status::Metered {
            self.uplift += i128::from(delta.billable) - i128::from(delta.raw);
        }
    }
}
