//! The ledger of metering.

mod claims;
mod files;

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;

pub use claims::{
    add_completions, add_conflicts, add_voids, book_replacements, cut_lines, dismiss_void, end_waits, let_conflicts_go,
    load_resolutions, load_voids, resolve_conflict, voided_rows,
};
pub use files::{
    replace_key_run, replace_unmetered, replace_unmetered_file, replace_usage_file, unmetered_files_of_before,
    usage_files_of_before,
};

use super::aggregate::measure::UnmeteredRecord;
use super::balance::Amounts;
use super::classify::historic_cards::MeteredBatches;
use crate::storage::ledger::{Channel, Ledger, Reading, Row, Tx, Value, delete_rows, insert_row, insert_rows, query};
use crate::storage::parquet_writer::LAYOUT;
use crate::storage::raw::store::parse_day;
use crate::storage::usage::sku_region::SkuRegion;
use crate::support::error::{Error, Result};
use crate::values::calendar::{day_of_number, month_text};

/// How far metering has come.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Every batch up to it is metered.
    pub batch_hi: i64,
    /// The last committed metering.
    pub metering: i64,
    /// The last card import it knew.
    pub card_hi: i64,
}

/// The last metering; zeros before the first.
pub async fn progress<'c>(on: impl Into<Channel<'c>>) -> Result<Progress> {
    let row = query("SELECT batch_hi, metering, card_hi FROM metering ORDER BY metering DESC LIMIT 1")
        .fetch_optional(on)
        .await?;
    row.map_or_else(
        || {
            Ok(Progress {
                batch_hi: 0,
                metering: 0,
                card_hi: 0,
            })
        },
        |row| {
            Ok(Progress {
                batch_hi: row.try_get(0)?,
                metering: row.try_get(1)?,
                card_hi: row.try_get(2)?,
            })
        },
    )
}

/// The last committed batch; 0 before the first.
pub async fn last_batch(ledger: &Ledger) -> Result<i64> {
    let row = query("SELECT COALESCE(MAX(batch), 0) FROM batch")
        .fetch_one(ledger)
        .await?;
    row.try_get(0)
}

/// What each batch between says of itself: batch, received, stored, quarantined.
pub async fn batch_counts(ledger: &Ledger, after: i64, up_to: i64) -> Result<Vec<[i64; 4]>> {
    let rows = query(
        "SELECT batch, received, stored_rows, quarantined FROM batch WHERE batch > ? AND batch <= ? ORDER BY batch",
    )
    .bind(after)
    .bind(up_to)
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| Ok([row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?]))
        .collect()
}

/// Paths of a kind of file: `key_run`, `usage_file` or `unmetered_file`.
pub async fn key_run_paths(ledger: &Ledger) -> Result<Vec<(String, i64)>> {
    let rows = query("SELECT path, key_count FROM key_run ORDER BY key_count DESC, path")
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Files of unmetered records.
pub async fn unmetered_paths(ledger: &Ledger) -> Result<Vec<String>> {
    let rows = query("SELECT path FROM unmetered_file ORDER BY path")
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Usage files with a day in `[from, to)`, of meterings up to `metering`: path and metering.
pub async fn usage_paths(ledger: &Ledger, from: NaiveDate, to: NaiveDate, metering: i64) -> Result<Vec<(String, i64)>> {
    let rows = query(
        "SELECT path, metering FROM usage_file WHERE day_max >= ? AND day_min < ? AND metering <= ? ORDER BY metering, path",
    )
    .bind(from.to_string())
    .bind(to.to_string())
    .bind(metering)
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// A metering about to be committed.
#[derive(Debug)]
pub struct NewMetering<'a> {
    pub metering: i64,
    pub batch_lo: i64,
    pub batch_hi: i64,
    pub metered_at: &'a str,
    pub card_hi: i64,
}

pub async fn add_metering(tx: &mut Tx, new: &NewMetering<'_>) -> Result<()> {
    let row: [Value; 5] = [
        new.metering.into(),
        new.batch_lo.into(),
        new.batch_hi.into(),
        new.metered_at.into(),
        new.card_hi.into(),
    ];
    let into = "metering (metering, batch_lo, batch_hi, metered_at, card_hi)";
    insert_row(tx, into, row).await
}

/// The metering's number in its own transaction must follow on what was read before.
pub async fn check_progress(tx: &mut Tx, seen: &Progress) -> Result<()> {
    let row = query("SELECT COALESCE(MAX(metering), 0) FROM metering")
        .fetch_one(&mut *tx)
        .await?;
    if row.try_get::<i64>(0)? == seen.metering {
        return Ok(());
    }
    Err(Error::Unbalanced(
        "another metering run committed at the same time; nothing was written: run the command again".to_owned(),
    ))
}

/// A usage file's row.
#[derive(Debug)]
pub struct NewUsageFile {
    pub path: String,
    pub day_min: NaiveDate,
    pub day_max: NaiveDate,
    pub rows: usize,
    pub bytes: u64,
    pub digest: String,
}

pub async fn add_usage_file(tx: &mut Tx, metering: i64, file: &NewUsageFile) -> Result<()> {
    let row: [Value; 8] = [
        file.path.as_str().into(),
        metering.into(),
        file.day_min.to_string().into(),
        file.day_max.to_string().into(),
        i64::try_from(file.rows).unwrap_or(i64::MAX).into(),
        i64::try_from(file.bytes).unwrap_or(i64::MAX).into(),
        file.digest.as_str().into(),
        LAYOUT.into(),
    ];
    let into = "usage_file (path, metering, day_min, day_max, row_count, bytes, digest, layout)";
    insert_row(tx, into, row).await
}

/// A key run's row.
#[derive(Debug)]
pub struct NewKeyRun {
    pub path: String,
    pub keys: usize,
    pub bytes: u64,
    pub digest: String,
}

pub async fn add_key_run(tx: &mut Tx, metering: i64, run: &NewKeyRun) -> Result<()> {
    let row: [Value; 5] = [
        run.path.as_str().into(),
        metering.into(),
        i64::try_from(run.keys).unwrap_or(i64::MAX).into(),
        i64::try_from(run.bytes).unwrap_or(i64::MAX).into(),
        run.digest.as_str().into(),
    ];
    insert_row(tx, "key_run (path, metering, key_count, bytes, digest)", row).await
}

pub async fn drop_key_runs(tx: &mut Tx, paths: &[String]) -> Result<()> {
    for path in paths {
        delete_rows(tx, "key_run", "path = ?", &[path.as_str().into()]).await?;
    }
    crate::storage::raw::store::note_dropped(tx, paths).await
}

pub async fn drop_unmetered(tx: &mut Tx, paths: &[String]) -> Result<()> {
    for path in paths {
        delete_rows(tx, "unmetered", "path = ?", &[path.as_str().into()]).await?;
        delete_rows(tx, "unmetered_file", "path = ?", &[path.as_str().into()]).await?;
    }
    crate::storage::raw::store::note_dropped(tx, paths).await
}

/// UTC days of records without a meter.
pub async fn unmetered_days(reading: &mut Reading) -> Result<BTreeSet<NaiveDate>> {
    let rows = query("SELECT DISTINCT utc_day FROM unmetered")
        .fetch_all(reading)
        .await?;
    rows.iter().map(|row| parse_day(&row.try_get::<String>(0)?)).collect()
}

/// UTC days of records that stand in the place of others by a person's word, which no metering has booked yet, and of those others.
pub async fn unbooked_days(reading: &mut Reading) -> Result<BTreeSet<NaiveDate>> {
    let rows = query("SELECT utc_day, first_utc_day FROM conflict WHERE state = 'replaced' AND metering IS NULL")
        .fetch_all(reading)
        .await?;
    let mut days = BTreeSet::new();
    for row in rows {
        days.insert(parse_day(&row.try_get::<String>(0)?)?);
        days.insert(parse_day(&row.try_get::<String>(1)?)?);
    }
    Ok(days)
}

/// What unmetered records are listed by: account, UTC day, task type, parameters, code, sentence.
type UnmeteredLine<'a> = (u64, i32, &'a str, &'a str, &'a str, &'a str);

/// Names a file of unmetered records and lists them for people.
pub async fn add_unmetered(
    tx: &mut Tx,
    metering: i64,
    (path, digest): (&str, &str),
    records: &[UnmeteredRecord],
) -> Result<()> {
    let row: [Value; 5] = [
        path.into(),
        metering.into(),
        i64::try_from(records.len()).unwrap_or(i64::MAX).into(),
        digest.into(),
        LAYOUT.into(),
    ];
    insert_row(tx, "unmetered_file (path, metering, row_count, digest, layout)", row).await?;
    let mut listed: std::collections::BTreeMap<UnmeteredLine, (i64, i64)> = std::collections::BTreeMap::new();
    for r in records {
        let day = crate::pipeline::ingest::record::timestamp::utc_day(r.finished_at_ns);
        let line = (
            r.uin,
            day,
            r.task_type.as_str(),
            r.parameters.as_str(),
            r.code.as_str(),
            r.sentence.as_str(),
        );
        let sums = listed.entry(line).or_default();
        sums.0 += 1;
        sums.1 = sums.1.saturating_add(r.duration_ms);
    }
    let rows = listed.into_iter().map(
        |((uin, day, task_type, parameters, code, sentence), (count, duration))| -> [Value; 9] {
            [
                path.into(),
                uin.to_string().into(),
                day_of_number(day).to_string().into(),
                task_type.into(),
                parameters.into(),
                code.into(),
                sentence.into(),
                count.into(),
                duration.into(),
            ]
        },
    );
    insert_rows(
        tx,
        "unmetered (path, uin, utc_day, task_type, parameters, code, sentence, records, duration_ms)",
        rows,
    )
    .await?;
    Ok(())
}

/// Every metering that took batches in.
pub async fn metered_batches(ledger: &Ledger) -> Result<Vec<MeteredBatches>> {
    let rows = query("SELECT batch_lo, batch_hi, card_hi FROM metering WHERE batch_lo <= batch_hi ORDER BY batch_lo")
        .fetch_all(ledger)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .collect()
}

/// Whether all meterings knew the same cards.
pub async fn cards_are_the_same(ledger: &Ledger) -> Result<bool> {
    let row = query("SELECT COUNT(DISTINCT card_hi) FROM metering")
        .fetch_one(ledger)
        .await?;
    Ok(row.try_get::<i64>(0)? <= 1)
}

/// A batch's control totals: by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Total {
    pub records: i64,
    pub raw_ms: i64,
    pub raw_count: i64,
    pub uplift: i64,
}

impl Total {
    /// Records, milliseconds and counts, as the control-total rule compares them.
    pub fn amounts(&self) -> Amounts {
        [self.records, self.raw_ms, self.raw_count].map(i128::from)
    }
}

pub async fn add_control_totals(tx: &mut Tx, metering: i64, totals: &[(i64, &'static str, Total)]) -> Result<()> {
    let rows = totals.iter().map(|(batch, status, total)| -> [Value; 7] {
        [
            metering.into(),
            (*batch).into(),
            (*status).into(),
            total.records.into(),
            total.raw_ms.into(),
            total.raw_count.into(),
            total.uplift.into(),
        ]
    });
    insert_rows(
        tx,
        "control_total (metering, batch, status, records, raw_ms, raw_count, uplift)",
        rows,
    )
    .await?;
    Ok(())
}

/// The control totals of each batch of a range, both ends included: batch, status, total.
pub async fn control_totals_by_batch(ledger: &Ledger, first: i64, last: i64) -> Result<Vec<(i64, String, Total)>> {
    let rows = query(
        "SELECT batch, status, records, raw_ms, raw_count, uplift FROM control_total WHERE batch >= ? AND batch <= ? ORDER BY \
         batch",
    )
    .bind(first)
    .bind(last)
    .fetch_all(ledger)
    .await?;
    let total = |row: &Row| {
        let total = Total {
            records: row.try_get(2)?,
            raw_ms: row.try_get(3)?,
            raw_count: row.try_get(4)?,
            uplift: row.try_get(5)?,
        };
        Ok((row.try_get(0)?, row.try_get(1)?, total))
    };
    rows.iter().map(total).collect()
}

/// Control totals by status, of all batches up to one and after another.
///
/// # Errors
/// A total that does not fit into 64 bits, with the batch that brings it there.
pub async fn control_totals(ledger: &Ledger, after: i64, up_to: i64) -> Result<HashMap<String, Total>> {
    let sums = TOTALS.map(|column| ledger.engine().wide_sum(column)).join(", ");
    let rows = query(format!(
        "SELECT status, SUM(records), {sums} FROM control_total WHERE batch > ? AND batch <= ? GROUP BY status"
    ))
    .bind(after)
    .bind(up_to)
    .fetch_all(ledger)
    .await?;
    let mut totals = HashMap::new();
    for row in rows {
        let status: String = row.try_get(0)?;
        let mut fitting = [0; TOTALS.len()];
        for (at, column) in TOTALS.into_iter().enumerate() {
            let sum = row.wide(2 + 2 * at)?;
            fitting[at] = match i64::try_from(sum) {
                Ok(sum) => sum,
                Err(_) => return Err(too_large(ledger, (after, up_to), &status, column, sum).await?),
            };
        }
        let [raw_ms, raw_count, uplift] = fitting;
        let records = row.try_get(1)?;
        totals.insert(
            status,
            Total {
                records,
                raw_ms,
                raw_count,
                uplift,
            },
        );
    }
    Ok(totals)
}

/// Control totals in base units.
const TOTALS: [&str; 3] = ["raw_ms", "raw_count", "uplift"];

/// The error of a total that does not fit, with the first batch up to which it does not.
async fn too_large(
    ledger: &Ledger,
    (after, up_to): (i64, i64),
    status: &str,
    column: &str,
    all: i128,
) -> Result<Error> {
    let (mut sum, mut found) = (0_i128, None);
    query(format!(
        "SELECT c.batch, c.{column}, b.name FROM control_total c JOIN batch b ON b.batch = c.batch \
         WHERE c.batch > ? AND c.batch <= ? AND c.status = ? ORDER BY c.batch, c.metering"
    ))
    .bind(after)
    .bind(up_to)
    .bind(status)
    .for_each(ledger, |row| {
        let (batch, more, name): (i64, i64, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        sum += i128::from(more);
        if found.is_none() && i64::try_from(sum).is_err() {
            found = Some(format!("batch {batch} ({name})"));
        }
        Ok(())
    })
    .await?;
    let batch = found.unwrap_or_else(|| format!("batch {up_to}"));
    Ok(Error::TooLarge(format!(
        "{batch} brings the {status} records of all batches to more than 2^63 base units ({column}; up to batch {up_to} they are {all}), \
         which exceeds the limit of the totals; look for impossible durations and counts in it, and restore a backup from before it was ingested"
    )))
}

/// What a metering added to an account's days of a month.
#[derive(Debug)]
pub struct AccountDays {
    /// `YYYY-MM`.
    pub month: String,
    pub uin: u64,
    pub records: i64,
    /// See `storage/usage/daily.rs`.
    pub days: String,
}

/// Usage for dashboards.
#[tracing::instrument(skip_all)]
pub async fn add_usage_daily(tx: &mut Tx, metering: i64, accounts: Vec<AccountDays>) -> Result<()> {
    let rows = accounts.into_iter().map(|account| -> [Value; 5] {
        [
            account.month.into(),
            account.uin.to_string().into(),
            metering.into(),
            account.records.into(),
            account.days.into(),
        ]
    });
    insert_rows(tx, "usage_daily (month, uin, metering, records, days)", rows).await?;
    Ok(())
}

/// What a metering added to a day, over all accounts.
#[derive(Debug)]
pub struct DayTotal {
    pub day: NaiveDate,
    pub place: SkuRegion,
    /// Records, raw and billable base units.
    pub sums: [i64; 3],
}

/// Totals for dashboards.
pub async fn add_usage_totals(tx: &mut Tx, metering: i64, totals: Vec<DayTotal>) -> Result<()> {
    let rows = totals.into_iter().map(|total| -> [Value; 10] {
        let [records, raw, billable] = total.sums;
        [
            month_text(total.day).into(),
            total.day.to_string().into(),
            metering.into(),
            (&*total.place.task_type).into(),
            (&*total.place.region).into(),
            (&*total.place.sku).into(),
            total.place.unit.text().into(),
            records.into(),
            raw.into(),
            billable.into(),
        ]
    });
    let into = "usage_total (month, day, metering, task_type, region, sku, unit, records, raw, billable)";
    insert_rows(tx, into, rows).await?;
    Ok(())
}

/// Usage that came after its period's close: account, day, records, billable.
pub async fn add_late_usage(tx: &mut Tx, metering: i64, late: &[(u64, NaiveDate, i64, i64)]) -> Result<()> {
    let rows = late.iter().map(|(uin, day, records, billable)| -> [Value; 5] {
        [
            metering.into(),
            uin.to_string().into(),
            day.to_string().into(),
            (*records).into(),
            (*billable).into(),
        ]
    });
    insert_rows(tx, "late_usage (metering, uin, day, records, billable)", rows).await?;
    Ok(())
}

/// Deletes the daily usage of a month that dashboards show, and its sums; usage files stay.
pub async fn drop_usage_of_month(tx: &mut Tx, month: &str) -> Result<i64> {
    let mut rows = 0;
    for table in ["usage_daily", "usage_total"] {
        rows += delete_rows(tx, table, "month = ?", &[month.into()]).await?;
    }
    Ok(rows)
}
