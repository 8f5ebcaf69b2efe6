//! The outcome of a metering: sums, control totals, lists; balanced before anything is written.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use polars::prelude::*;

use super::dedupe::{Conflict, Decided};
use super::identities::Identities;
use super::measure::{Measured, Received, UnmeteredRecord, measure_segment};
use super::place::{PlaceCode, Placer, Places, UnitKind};
use super::plan::Plan;
use super::store::Total;
use super::sums::{Status, Sum, add_up, shares, unit_of_slot, unpack_slot};
use super::usage::{self, UsageRow};
use crate::books::Books;
use crate::error::{Doing as _, Error, Result};
use crate::parallel;

/// What metering came to.
pub struct Outcome {
    /// By segment; the same key may stand in several.
    sums: Vec<DataFrame>,
    pub places: Places,
    /// By batch: what was received (counted row by row) and what it became (added up by polars).
    pub(super) totals: BTreeMap<i64, BTreeMap<&'static str, Wide>>,
    /// All records without a meter, when their file is to be written anew.
    pub unmetered_file: Option<Vec<UnmeteredRecord>>,
    pub placed_again: i64,
    conflict_days: Vec<i32>,
    day_totals: DayTotals,
}

/// Metered usage of all accounts together by place and day: records, raw and billable base units.
pub type DayTotals = BTreeMap<(PlaceCode, i32), [i128; 3]>;

/// A control total, wide enough for any sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wide {
    pub records: i64,
    pub raw_ms: i128,
    pub raw_count: i128,
    uplift: i128,
}

pub(super) const RECEIVED: &str = "received";
const QUARANTINED: &str = "quarantined";

impl Outcome {
    #[tracing::instrument(skip_all)]
    /// Measures all new rows, and what voids and changed cards do to rows metered before.
    pub fn measure(books: &Books, plan: &Plan, identities: &Identities, decided: &Decided) -> Result<Self> {
        let placer = Placer::new(&plan.map);
        let progress = books.progress.records("metering", identities.len() as u64);
        let done = std::sync::atomic::AtomicU64::new(0);
        let parts: Vec<Measured> = parallel::map(plan.segments.len(), |at| {
            let part = measure_one(books, plan, identities, decided, &placer, at)?;
            let rows = part.received.records.unsigned_abs();
            progress.at(done.fetch_add(rows, std::sync::atomic::Ordering::Relaxed) + rows);
            Ok(part)
        })?;
        let mut outcome = Self {
            sums: Vec::new(),
            places: Places::default(),
            totals: BTreeMap::new(),
            unmetered_file: None,
            placed_again: 0,
            conflict_days: identities.days.clone(),
            day_totals: DayTotals::new(),
        };
        let mut frames = Vec::with_capacity(parts.len() + 1);
        let mut unmetered = Vec::new();
        for (segment, part) in plan.segments.iter().zip(parts) {
            outcome.count(segment.batch_lo, &part)?;
            frames.push(part.sums);
            unmetered.extend(part.unmetered);
        }
        let corrections = outcome.correct(plan, decided, &placer, unmetered)?;
        let corrections = add_up(corrections.into_frame()?)?;
        for sum in shares(&corrections)? {
            add_day_total(&mut outcome.day_totals, sum)?;
        }
        frames.push(corrections);
        outcome.sums = frames;
        outcome.places = placer.into_places();
        outcome.count_stored(plan);
        Ok(outcome)
    }

    /// Adds a segment's totals to its batch's.
    fn count(&mut self, batch: i64, part: &Measured) -> Result<()> {
        let totals = self.totals.entry(batch).or_default();
        let Received {
            records,
            raw_ms,
            raw_count,
        } = part.received;
        let received = totals.entry(RECEIVED).or_default();
        received.records += records;
        received.raw_ms += raw_ms;
        received.raw_count += raw_count;
        for status in Status::ALL {
            totals.entry(status.text()).or_default().records += part.without_account[status as usize];
        }
        let kinds = unit_kinds(&part.sums)?;
        for (sum, unit) in shares(&part.sums)?.into_iter().zip(kinds) {
            add_sum(totals, sum, unit)?;
            add_day_total(&mut self.day_totals, sum)?;
        }
        Ok(())
    }

    /// Adds what only the ledger knows: lines that never became rows.
    fn count_stored(&mut self, plan: &Plan) {
        for &[batch, _, _, quarantined] in &plan.batch_counts {
            let totals = self.totals.entry(batch).or_default();
            totals.entry(QUARANTINED).or_default().records += quarantined;
            totals.entry(RECEIVED).or_default().records += quarantined;
        }
    }

    /// Every batch: rows are what ingest stored, and received = the sum of the statuses, in records and raw units. And the
    /// sums of all usage rows are the sums of all batches.
    pub fn check_balance(&self, plan: &Plan, rows: &[UsageRow]) -> Result<()> {
        for &[batch, received, stored, quarantined] in &plan.batch_counts {
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
            let mut sum = Wide::default();
            for total in totals
                .iter()
                .filter(|(status, _)| **status != RECEIVED)
                .map(|(_, total)| total)
            {
                sum.records += total.records;
                sum.raw_ms += total.raw_ms;
                sum.raw_count += total.raw_count;
            }
            if (sum.records, sum.raw_ms, sum.raw_count) != (received.records, received.raw_ms, received.raw_count) {
                return Err(Error::Unbalanced(format!(
                    "batch {batch} received {} records, {} ms, {} counts; by status they are {} records, {} ms, {} counts",
                    received.records, received.raw_ms, received.raw_count, sum.records, sum.raw_ms, sum.raw_count
                )));
            }
        }
        self.check_usage(rows)
    }

    fn check_usage(&self, rows: &[UsageRow]) -> Result<()> {
        let metered = Status::Metered.text();
        let by_batch: (i64, i128) = self
            .totals
            .values()
            .filter_map(|t| t.get(metered))
            .fold((0, 0), |sum, total| {
                (sum.0 + total.records, sum.1 + total.raw_ms + total.raw_count)
            });
        let by_usage = rows
            .iter()
            .filter(|r| r.status == Status::Metered)
            .fold((0, 0), |sum, row| (sum.0 + row.records, sum.1 + i128::from(row.raw)));
        if by_batch == by_usage {
            return Ok(());
        }
        Err(Error::Unbalanced(format!(
            "metered by batch: {} records, {} base units; by usage: {} records, {} base units",
            by_batch.0, by_batch.1, by_usage.0, by_usage.1
        )))
    }

    /// The control totals for the ledger.
    pub fn control_totals(&self) -> Vec<(i64, &'static str, Total)> {
        let narrow = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
        let mut all = Vec::new();
        for (&batch, totals) in &self.totals {
            for (&status, total) in totals.iter().filter(|(_, total)| **total != Wide::default()) {
                let Wide {
                    records,
                    raw_ms,
                    raw_count,
                    uplift,
                } = *total;
                let total = Total {
                    records,
                    raw_ms: narrow(raw_ms),
                    raw_count: narrow(raw_count),
                    uplift: narrow(uplift),
                };
                all.push((batch, status, total));
            }
        }
        all
    }

    /// The usage, sorted as its file is.
    #[tracing::instrument(skip_all)]
    pub fn usage_rows(&self) -> Result<Vec<UsageRow>> {
        usage::rows(&self.sums, &self.places)
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
    plan: &Plan,
    identities: &Identities,
    decided: &Decided,
    placer: &Placer,
    at: usize,
) -> Result<Measured> {
    let segment = &plan.segments[at];
    let rows = identities.starts[at] as usize..identities.starts[at + 1] as usize;
    let from = segment
        .day
        .and_hms_opt(0, 0, 0)
        .map_or(DateTime::<Utc>::MIN_UTC, |t| t.and_utc());
    let days = plan.map.local_days(from, from + TimeDelta::days(1));
    measure_segment(
        &books.data.join(&segment.path),
        segment.batch_lo,
        &identities.line[rows.clone()],
        &decided.verdicts[rows],
        &plan.map,
        &days,
        placer,
    )
}

fn unit_kinds(sums: &DataFrame) -> Result<Vec<UnitKind>> {
    let slots = sums.column("slot").and_then(Column::u64).doing("reading sums")?;
    Ok(slots.into_no_null_iter().map(unit_of_slot).collect())
}

fn add_day_total(totals: &mut DayTotals, sum: Sum) -> Result<()> {
    let ((_, _, slot, day), values) = sum;
    let (code, status) = unpack_slot(slot)?;
    if status == Status::Metered {
        let total = totals.entry((code, day)).or_default();
        for (total, value) in total.iter_mut().zip(values) {
            *total += i128::from(value);
        }
    }
    Ok(())
}

pub(super) fn add_sum(totals: &mut BTreeMap<&'static str, Wide>, sum: Sum, unit: UnitKind) -> Result<()> {
    let ((_, _, slot, _), [records, raw, billable]) = sum;
    let (_, status) = unpack_slot(slot)?;
    let total = totals.entry(status.text()).or_default();
    total.records += records;
    match unit {
        UnitKind::Ms => total.raw_ms += i128::from(raw),
        UnitKind::Count => total.raw_count += i128::from(raw),
    }
    if status == Status::Metered {
        total.uplift += i128::from(billable) - i128::from(raw);
    }
    Ok(())
}
