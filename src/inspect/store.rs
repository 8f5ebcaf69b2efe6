//! What the questions read from the ledger.

use chrono::NaiveDate;

use super::status::{Conflict, LateUsage, SegmentCount, Unmetered, WaitingVoid};
use crate::storage::ledger::{Ledger, query};
use crate::storage::raw::store::parse_day;
use crate::support::error::Result;
use crate::values::calendar::month_text;

/// What a metering added to an account's days of a month.
#[derive(Debug)]
pub struct MeteredMonth {
    pub metering: i64,
    /// The month's first day.
    pub first: NaiveDate,
    /// See `storage/usage/daily.rs`.
    pub days: String,
}

/// The months of an account that `[from, to)` touches, as far as `metering` had come.
pub async fn metered_months(
    ledger: &Ledger,
    uin: u64,
    (from, to): (NaiveDate, NaiveDate),
    metering: i64,
) -> Result<Vec<MeteredMonth>> {
    let rows = query(
        "SELECT metering, month, days FROM usage_daily WHERE uin = ? AND month >= ? AND month <= ? AND metering <= ? \
         ORDER BY metering, month",
    )
    .bind(uin.to_string())
    .bind(month_text(from))
    .bind(month_text(to))
    .bind(metering)
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(MeteredMonth {
                metering: row.try_get(0)?,
                first: parse_day(&format!("{}-01", row.try_get::<String>(1)?))?,
                days: row.try_get(2)?,
            })
        })
        .collect()
}

/// How many there are of everything.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub usage_files: i64,
    pub key_runs: i64,
    pub keys: i64,
    pub accounts_ended: i64,
    pub periods_closed: i64,
    pub statements: i64,
    pub statements_not_exported: i64,
    pub conflicts_open: i64,
    pub voids_waiting: i64,
    pub voids_of_voids: i64,
    pub late_records: i64,
    pub days_expired: i64,
}

pub async fn counts(ledger: &Ledger) -> Result<Counts> {
    let count = |sql: &'static str| async move {
        let row = query(sql).fetch_one(ledger).await?;
        row.try_get(0)
    };
    Ok(Counts {
        usage_files: count("SELECT COUNT(*) FROM usage_file").await?,
        key_runs: count("SELECT COUNT(*) FROM key_run").await?,
        keys: count("SELECT COALESCE(SUM(key_count), 0) FROM key_run").await?,
        accounts_ended: count("SELECT COUNT(*) FROM account_end WHERE reinstated IS NULL").await?,
        periods_closed: count("SELECT COALESCE(SUM(periods), 0) FROM closing").await?,
        statements: count("SELECT COALESCE(SUM(statements), 0) FROM closing").await?,
        statements_not_exported: count("SELECT COALESCE(SUM(statements), 0) FROM stated_period WHERE export IS NULL")
            .await?,
        conflicts_open: count("SELECT COUNT(*) FROM conflict WHERE state = 'open'").await?,
        voids_of_voids: count("SELECT COUNT(*) FROM void WHERE state = 'refused'").await?,
        voids_waiting: count("SELECT COUNT(*) FROM void WHERE state = 'waiting'").await?,
        late_records: count("SELECT COALESCE(SUM(records), 0) FROM late_usage WHERE closing IS NULL").await?,
        days_expired: count("SELECT COUNT(*) FROM expired_day WHERE kind = 'usage'").await?,
    })
}

/// The folders of the last exports, the last one first.
pub async fn last_exports(ledger: &Ledger, count: u8) -> Result<Vec<String>> {
    let rows = query("SELECT folder FROM export ORDER BY export DESC LIMIT ?")
        .bind(i64::from(count))
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Segments by kind.
pub async fn segments(ledger: &Ledger) -> Result<Vec<SegmentCount>> {
    let rows = query(
        "SELECT kind, COUNT(*), SUM(row_count), SUM(bytes), MIN(day), MAX(day) FROM segment GROUP BY kind ORDER BY kind DESC",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(SegmentCount {
                kind: row.try_get(0)?,
                files: row.try_get(1)?,
                rows: row.try_get(2)?,
                bytes: row.try_get(3)?,
                first_day: row.try_get(4)?,
                last_day: row.try_get(5)?,
            })
        })
        .collect()
}

/// Unmetered records by what they are.
pub async fn unmetered(ledger: &Ledger) -> Result<Vec<Unmetered>> {
    let rows = query(
        "SELECT task_type, code, sentence, SUM(records) FROM unmetered GROUP BY task_type, code, sentence \
         ORDER BY SUM(records) DESC, task_type, code, sentence",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Unmetered {
                task_type: row.try_get(0)?,
                code: row.try_get(1)?,
                sentence: row.try_get(2)?,
                records: row.try_get(3)?,
            })
        })
        .collect()
}

/// Held days with their reasons.
pub async fn held(ledger: &Ledger) -> Result<Vec<(String, String)>> {
    let rows = query("SELECT day, sentence FROM held_day ORDER BY day, code")
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Open conflicts, in the order they came.
pub async fn conflicts(ledger: &Ledger) -> Result<Vec<Conflict>> {
    let rows = query(
        "SELECT source, id, uin, batch, line, first_batch, first_line FROM conflict WHERE state = 'open' \
         ORDER BY batch, line",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Conflict {
                source: row.try_get(0)?,
                id: row.try_get(1)?,
                uin: row.try_get(2)?,
                batch: row.try_get(3)?,
                line: row.try_get(4)?,
                first_batch: row.try_get(5)?,
                first_line: row.try_get(6)?,
            })
        })
        .collect()
}

/// Voids whose record has not come, oldest first.
pub async fn waiting_voids(ledger: &Ledger) -> Result<Vec<WaitingVoid>> {
    let rows =
        query("SELECT source, target, batch, line, listed_at FROM void WHERE state = 'waiting' ORDER BY batch, line")
            .fetch_all(ledger)
            .await?;
    rows.iter()
        .map(|row| {
            Ok(WaitingVoid {
                source: row.try_get(0)?,
                target: row.try_get(1)?,
                batch: row.try_get(2)?,
                line: row.try_get(3)?,
                since: row.try_get(4)?,
            })
        })
        .collect()
}

/// Usage that came after its period's close and is not billed yet, by account and day.
pub async fn late_usage(ledger: &Ledger) -> Result<Vec<LateUsage>> {
    let rows = query(
        "SELECT uin, day, SUM(records), SUM(billable) FROM late_usage WHERE closing IS NULL GROUP BY uin, day ORDER BY LENGTH(uin), uin, day",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(LateUsage {
                uin: row.try_get(0)?,
                day: row.try_get(1)?,
                records: row.try_get(2)?,
                billable: row.try_get(3)?,
            })
        })
        .collect()
}
