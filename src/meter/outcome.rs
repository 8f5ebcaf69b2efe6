//! The outcome of a metering: sums, control totals, lists; balanced before anything is written.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use polars::prelude::*;
use rayon::prelude::*;

use super::content::{Content, RealRecord};
use super::dedupe::{Conflict, Decided};
use super::identities::Identities;
use super::measure::{
    Measured, Received, RowFields, UnmeteredRecord, measure_segment, share_of_fields, share_of_record, unmetered_of,
};
use super::place::{NO_PLACE_COUNT, NO_PLACE_MS, Placer, Places, UnitKind};
use super::plan::Plan;
use super::store::{AccountDays, Total};
use super::sums::{Amounts, Share, Status, Sum, add_up, pack_slot, shares, unit_of_slot, unpack_slot};
use super::usage::{self, UsageRow};
use crate::account::store::{add_accounts, set_first_day};
use crate::books::Books;
use crate::error::{Doing as _, Error, Result};
use crate::ingest::instant::utc_day;
use crate::ledger::Tx;
use crate::span::day_of_number;

/// What metering came to.
pub struct Outcome {
    /// By segment; the same key may stand in several.
    sums: Vec<DataFrame>,
    pub places: Places,
    /// By batch: what was received (counted row by row) and what it became (added up by polars).
    totals: BTreeMap<i64, BTreeMap<&'static str, Wide>>,
    /// All records without a meter, when their file is to be written anew.
    pub unmetered_file: Option<Vec<UnmeteredRecord>>,
    pub placed_again: i64,
    conflict_days: Vec<i32>,
}

/// A control total, wide enough for any sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wide {
    records: i64,
    raw_ms: i128,
    raw_count: i128,
    uplift: i128,
}

const RECEIVED: &str = "received";
const QUARANTINED: &str = "quarantined";

impl Outcome {
    #[tracing::instrument(skip_all)]
    /// Measures all new rows, and what voids and changed cards do to rows metered before.
    pub fn measure(books: &Books, plan: &Plan, identities: &Identities, decided: &Decided) -> Result<Self> {
        let placer = Placer::new(&plan.map);
        let progress = books.progress.records("metering", identities.len() as u64);
        let done = std::sync::atomic::AtomicU64::new(0);
        let parts: Vec<Measured> = (0..plan.segments.len())
            .into_par_iter()
            .map(|at| {
                let part = measure_one(books, plan, identities, decided, &placer, at)?;
                let rows = part.received.records.unsigned_abs();
                progress.at(done.fetch_add(rows, std::sync::atomic::Ordering::Relaxed) + rows);
                Ok(part)
            })
            .collect::<Result<_>>()?;
        let mut outcome = Self {
            sums: Vec::new(),
            places: Places::default(),
            totals: BTreeMap::new(),
            unmetered_file: None,
            placed_again: 0,
            conflict_days: identities.days.clone(),
        };
        let mut frames = Vec::with_capacity(parts.len() + 1);
        let mut unmetered = Vec::new();
        for (segment, part) in plan.segments.iter().zip(parts) {
            outcome.count(segment.batch_lo, &part)?;
            frames.push(part.sums);
            unmetered.extend(part.unmetered);
        }
        let corrections = outcome.correct(plan, decided, &placer, unmetered)?;
        frames.push(add_up(corrections.into_frame()?)?);
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
        }
        Ok(())
    }

    /// Rows metered before that voids take back now, and unmetered ones that a changed card places.
    fn correct(
        &mut self,
        plan: &Plan,
        decided: &Decided,
        placer: &Placer,
        new_unmetered: Vec<UnmeteredRecord>,
    ) -> Result<Amounts> {
        let mut corrections = Amounts::default();
        let mut taken_back = HashSet::new();
        let mut stands = Vec::new();
        for (stood, now) in &decided.replaced {
            self.withdraw(plan, stood, Status::Conflict, placer, &mut corrections, &mut taken_back)?;
            stands.extend(self.accept(plan, now, placer, &mut corrections)?);
        }
        for (record, _) in &decided.voided_before {
            self.withdraw(plan, record, Status::Voided, placer, &mut corrections, &mut taken_back)?;
            stands.retain(|r: &UnmeteredRecord| (r.batch, r.line) != (record.batch, record.line));
        }
        let new_unmetered: Vec<UnmeteredRecord> = new_unmetered.into_iter().chain(stands).collect();
        let rewrites = !new_unmetered.is_empty() || !taken_back.is_empty() || plan.tries_unmetered_again();
        if !rewrites {
            return Ok(corrections);
        }
        let mut kept = Vec::with_capacity(plan.unmetered.len() + new_unmetered.len());
        for record in &plan.unmetered {
            if taken_back.contains(&(record.batch, record.line)) {
                continue;
            }
            // A waived day that expired keeps its records as unmetered for good; nothing is added to it.
            if plan.expired.contains(&utc_day(record.finished_at_ns)) {
                continue;
            }
            if !self.place_again(plan, record, placer, &mut corrections)? {
                kept.push(record.clone());
            }
        }
        kept.extend(new_unmetered);
        kept.sort_unstable_by_key(|r| (r.batch, r.line));
        self.unmetered_file = Some(kept);
        Ok(corrections)
    }

    /// A record that counted counts no more: it was taken back, or another content stands in its place.
    fn withdraw(
        &mut self,
        plan: &Plan,
        record: &RealRecord,
        status: Status,
        placer: &Placer,
        corrections: &mut Amounts,
        taken_back: &mut HashSet<(i64, u32)>,
    ) -> Result<()> {
        let Some(share) = share_of_record(record, &plan.map, placer)? else {
            return Ok(());
        };
        let place = (record.batch, record.line);
        // While it waits in the unmetered file it counts as unmetered, whatever today's card says.
        let waits = plan
            .unmetered
            .binary_search_by_key(&place, |r| (r.batch, r.line))
            .is_ok();
        let counted = match (waits, &record.content) {
            (true, Content::Usage { duration_ms, .. }) => Share {
                raw: *duration_ms,
                ..as_unmetered(share)
            },
            _ => share,
        };
        if waits {
            taken_back.insert(place);
        }
        self.move_share(record.batch, counted, not_counting(share, status), corrections)
    }

    /// A conflicting record counts from now on, as a person said. Returns it when no meter takes it.
    fn accept(
        &mut self,
        plan: &Plan,
        record: &RealRecord,
        placer: &Placer,
        corrections: &mut Amounts,
    ) -> Result<Option<UnmeteredRecord>> {
        let Some(share) = share_of_record(record, &plan.map, placer)? else {
            return Ok(None);
        };
        self.move_share(record.batch, not_counting(share, Status::Conflict), share, corrections)?;
        if share.status == Status::Unmetered {
            return unmetered_of(record, &plan.map, placer);
        }
        Ok(None)
    }

    /// Whether today's card places a record that none did before.
    fn place_again(
        &mut self,
        plan: &Plan,
        record: &UnmeteredRecord,
        placer: &Placer,
        corrections: &mut Amounts,
    ) -> Result<bool> {
        let row = RowFields {
            uin: record.uin,
            appid: record.appid,
            duration_ms: record.duration_ms,
            finished_at_ns: record.finished_at_ns,
            failed: false,
        };
        let share = share_of_fields(&row, &record.task_type, &record.parameters, &plan.map, placer)?;
        if share.status != Status::Metered {
            return Ok(false);
        }
        let before = Share {
            raw: record.duration_ms,
            ..as_unmetered(share)
        };
        self.move_share(record.batch, before, share, corrections)?;
        self.placed_again += 1;
        Ok(true)
    }

    /// Moves one record of an earlier batch from one status to another.
    fn move_share(&mut self, batch: i64, from: Share, to: Share, corrections: &mut Amounts) -> Result<()> {
        let back = Share {
            records: -from.records,
            raw: -from.raw,
            billable: -from.billable,
            ..from
        };
        let totals = self.totals.entry(batch).or_default();
        for share in [back, to] {
            corrections.push(share);
            let slot = pack_slot(share.code, share.unit, share.status);
            let sum: Sum = (
                (share.uin, share.appid, slot, share.day),
                [share.records, share.raw, share.billable],
            );
            add_sum(totals, sum, share.unit)?;
        }
        // A record measured in another unit than before moves the received side with it, in that unit.
        if back.unit != to.unit {
            let received = totals.entry(RECEIVED).or_default();
            for share in [back, to] {
                match share.unit {
                    UnitKind::Ms => received.raw_ms += i128::from(share.raw),
                    UnitKind::Count => received.raw_count += i128::from(share.raw),
                }
            }
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

    /// The UTC day of a conflicting row, days since 1970.
    pub fn conflict_day(&self, conflict: &Conflict) -> i32 {
        self.conflict_days
            .get(conflict.segment)
            .copied()
            .unwrap_or(conflict.first_day)
    }
}

/// Adds the accounts that appeared, and moves back where earlier usage begins. Returns how many are new.
pub async fn add_accounts_of(tx: &mut Tx, plan: &Plan, rows: &[UsageRow], now: &str) -> Result<usize> {
    let mut new = Vec::new();
    for account in rows.chunk_by(|a, b| a.uin == b.uin) {
        let uin = account[0].uin;
        let Some(day) = account.iter().filter(|row| row.records > 0).map(|row| row.day).min() else {
            continue;
        };
        let day = day_of_number(day);
        match plan.accounts.get(uin) {
            None => new.push((uin, plan.default_terms.clone(), Some(day))),
            Some(account) if account.first_day.is_none_or(|first| day < first) && account.closed_to.is_none() => {
                set_first_day(tx, uin, day).await?;
            }
            Some(_) => {}
        }
    }
    add_accounts(tx, &new, "usage", now).await?;
    Ok(new.len())
}

/// Metered usage per account, its days and lines as JSON.
#[tracing::instrument(skip_all)]
pub fn usage_daily(rows: &[UsageRow], places: &Places) -> Vec<AccountDays> {
    let by_account: Vec<&[UsageRow]> = rows.chunk_by(|a, b| a.uin == b.uin).collect();
    by_account
        .par_iter()
        .filter_map(|account| account_days(account, places))
        .collect()
}

fn account_days(account: &[UsageRow], places: &Places) -> Option<AccountDays> {
    let mut by_day: BTreeMap<i32, String> = BTreeMap::new();
    let mut records = 0;
    for row in account.iter().filter(|row| row.status == Status::Metered) {
        records += row.records;
        let lines = by_day.entry(row.day).or_default();
        if !lines.is_empty() {
            lines.push(',');
        }
        push_line(lines, row, places);
    }
    let (day_min, day_max) = (*by_day.keys().next()?, *by_day.keys().next_back()?);
    let mut days = String::from("[");
    for (day, lines) in by_day {
        if days.len() > 1 {
            days.push(',');
        }
        let _infallible = write!(days, "[\"{}\",[{lines}]]", day_of_number(day));
    }
    days.push(']');
    Some(AccountDays {
        uin: account[0].uin,
        day_min: day_of_number(day_min),
        day_max: day_of_number(day_max),
        records,
        days,
    })
}

/// Metered usage on days whose period is closed: account, day, records, billable.
pub fn late_usage(plan: &Plan, rows: &[UsageRow]) -> Vec<(u64, NaiveDate, i64, i64)> {
    let mut late: BTreeMap<(u64, NaiveDate), (i64, i64)> = BTreeMap::new();
    for account in rows.chunk_by(|a, b| a.uin == b.uin) {
        let Some(closed_to) = plan.accounts.get(account[0].uin).and_then(|account| account.closed_to) else {
            continue;
        };
        for row in account.iter().filter(|row| row.status == Status::Metered) {
            let day = day_of_number(row.day);
            if day < closed_to {
                let sums = late.entry((row.uin, day)).or_default();
                sums.0 += row.records;
                sums.1 += row.billable;
            }
        }
    }
    late.into_iter()
        .map(|((uin, day), (records, billable))| (uin, day, records, billable))
        .collect()
}

/// `["appid","region","sku",records,raw,billable]`; appid is text because JSON readers round large numbers.
fn push_line(lines: &mut String, row: &UsageRow, places: &Places) {
    let place = places.get(row.code);
    let _infallible = write!(lines, "[\"{}\",", row.appid);
    crate::parameters::push_string(lines, &place.region);
    lines.push(',');
    crate::parameters::push_string(lines, &place.sku);
    let _infallible = write!(lines, ",{},{},{}]", row.records, row.raw, row.billable);
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

fn nowhere(share: Share) -> u32 {
    if share.unit == UnitKind::Count {
        NO_PLACE_COUNT
    } else {
        NO_PLACE_MS
    }
}

/// The same record under a status that bills nothing.
fn not_counting(share: Share, status: Status) -> Share {
    Share {
        status,
        code: nowhere(share),
        appid: 0,
        billable: 0,
        ..share
    }
}

fn as_unmetered(share: Share) -> Share {
    Share {
        status: Status::Unmetered,
        code: NO_PLACE_MS,
        unit: UnitKind::Ms,
        appid: 0,
        billable: 0,
        ..share
    }
}

fn unit_kinds(sums: &DataFrame) -> Result<Vec<UnitKind>> {
    let slots = sums.column("slot").and_then(Column::u64).doing("reading sums")?;
    Ok(slots.into_no_null_iter().map(unit_of_slot).collect())
}

fn add_sum(totals: &mut BTreeMap<&'static str, Wide>, sum: Sum, unit: UnitKind) -> Result<()> {
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
