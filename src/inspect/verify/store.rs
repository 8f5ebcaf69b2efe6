//! What verifying reads from the ledger.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::ExpiredDay;
use crate::catalog::account::store::parse_uin;
use crate::pipeline::retention::day_digest::Proof;
use crate::storage::ledger::{Ledger, is_sealed, query};
use crate::storage::raw::store::parse_day;
use crate::support::error::{Error, Result};
use crate::values::calendar::month_text;
use crate::values::digest::{Hasher, sha256_hex};

/// Tables whose rows have seals.
pub async fn sealed_tables(ledger: &Ledger) -> Result<Vec<String>> {
    let mut tables = ledger.tables().await?;
    tables.retain(|table| is_sealed(table));
    Ok(tables)
}

/// Counters and the numbers they gave: each counter is the last number, and no number is missing.
pub async fn numbering(ledger: &Ledger) -> Result<Vec<String>> {
    const NUMBERED: [(&str, &str, &str); 17] = [
        ("batch", "batch", "batch"),
        ("metering", "metering", "metering"),
        ("closing", "closing", "closing"),
        ("export", "export", "export"),
        ("run", "run", "run"),
        ("quarantine", "quarantine", "quarantine"),
        ("card", "rate_card", "card"),
        ("conflict", "conflict", "conflict"),
        ("resolution", "conflict", "resolution"),
        ("audit", "audit", "entry"),
        ("agreement", "agreement", "agreement"),
        // Lines may be gone; what names them stays.
        ("document", "statement", "document"),
        ("intake", "intake", "intake"),
        ("settlement", "settlement", "settlement"),
        ("alarm", "alarm", "alarm"),
        ("deletion", "deletion", "deletion"),
        ("erasure", "erasure", "erasure"),
    ];
    let mut differences = Vec::new();
    for (counter, table, column) in NUMBERED {
        let sql = format!("SELECT COALESCE(MAX({column}), 0), COUNT({column}) FROM {table}");
        let row = query(sql).fetch_one(ledger).await?;
        let (last, count): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let row = query("SELECT value FROM counter WHERE name = ?")
            .bind(counter)
            .fetch_optional(ledger)
            .await?;
        let value: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
        if value != Some(last) || count != last {
            differences.push(format!(
                "ledger table {table} has {count} rows, the last has number {last}, and the counter `{counter}` is {}: these \
                 should be equal",
                value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
            ));
        }
    }
    Ok(differences)
}

/// Hands on a sentence for each quarantined line whose bytes are not those that came.
pub async fn payloads(ledger: &Ledger, mut differs: impl FnMut(String) + Send) -> Result<()> {
    query("SELECT quarantine, payload, payload_digest FROM quarantine WHERE payload IS NOT NULL")
        .for_each(ledger, |row| {
            let number: i64 = row.try_get(0)?;
            let found = row.try_get::<Vec<u8>>(1).map(|payload| sha256_hex(&payload)).ok();
            if found != row.try_get(2).ok() {
                differs(format!(
                    "ledger table quarantine: the content of line {number} differs from what was received"
                ));
            }
            Ok(())
        })
        .await
}

/// Batches that say of themselves another number of quarantined lines than there are: an input those that it received, a retry
/// those that it took, as a negative number.
pub async fn miscounted_quarantine(ledger: &Ledger) -> Result<Vec<String>> {
    let rows = query(
        "SELECT b.batch, b.quarantined, COALESCE(r.found, 0) - COALESCE(t.found, 0) FROM batch b \
         LEFT JOIN (SELECT batch, COUNT(*) AS found FROM quarantine GROUP BY batch) r ON r.batch = b.batch \
         LEFT JOIN (SELECT accepted_by, COUNT(*) AS found FROM quarantine WHERE accepted_by IS NOT NULL GROUP BY accepted_by) t \
         ON t.accepted_by = b.batch \
         WHERE b.quarantined <> COALESCE(r.found, 0) - COALESCE(t.found, 0) ORDER BY b.batch",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            let of = |at: usize| row.try_get::<i64>(at);
            Ok(format!(
                "batch {} recorded {} quarantined lines, but quarantine has {}",
                of(0)?,
                of(1)?,
                of(2)?
            ))
        })
        .collect()
}

/// Batches whose original in `done/` was changed after it was read.
pub async fn rewritten(ledger: &Ledger) -> Result<Vec<String>> {
    let rows = query(
        "SELECT r.batch, r.first_batch, f.name, r.same_bytes, r.gone FROM reread r JOIN batch f ON f.batch = r.first_batch \
         WHERE r.in_place = 1 ORDER BY r.batch, r.first_batch",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            let (batch, first, name): (i64, i64, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let (same, gone): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
            let what = match same {
                0 => format!("its content is different; records no longer in it: {gone}"),
                bytes => format!("its first {bytes} bytes are unchanged"),
            };
            Ok(format!(
                "the input file of batch {first} ({name}) changed after it was read, and was read again as batch {batch}: {what}"
            ))
        })
        .collect()
}

/// What the door counted of each metered batch: its number, and the lines received.
pub async fn batches_received(ledger: &Ledger, metered_to: i64) -> Result<Vec<(i64, i64)>> {
    let rows = query("SELECT batch, received FROM batch WHERE batch <= ? ORDER BY batch")
        .bind(metered_to)
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// What a metering added to the dashboards for an account's month.
#[derive(Debug)]
pub struct AccountMonth {
    pub uin: u64,
    /// The month's first day.
    pub first: NaiveDate,
    pub records: i64,
    /// See `storage/usage/daily.rs`.
    pub days: String,
}

/// Hands on what a metering added to the dashboards, in the order of accounts and months.
pub async fn usage_daily(
    ledger: &Ledger,
    metering: i64,
    mut take: impl FnMut(AccountMonth) -> Result<()> + Send,
) -> Result<()> {
    query("SELECT uin, month, records, days FROM usage_daily WHERE metering = ? ORDER BY LENGTH(uin), uin, month")
        .bind(metering)
        .for_each(ledger, |row| {
            let (uin, month): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            // Neither is written in any other way: dashboards look for their texts.
            let first = format!("{month}-01").parse().ok();
            let first = first.filter(|first| month_text(*first) == month);
            let number = parse_uin(&uin).ok().filter(|number| number.to_string() == uin);
            let (Some(uin), Some(first)) = (number, first) else {
                return Err(Error::Unbalanced(format!(
                    "usage_daily of account {uin}, metering {metering}, in {month}: not a valid account or month"
                )));
            };
            take(AccountMonth {
                uin,
                first,
                records: row.try_get(2)?,
                days: row.try_get(3)?,
            })
        })
        .await
}

/// Rows for dashboards whose metering has no usage file.
pub async fn daily_without_file(ledger: &Ledger) -> Result<Vec<String>> {
    let rows = query(
        "SELECT u.metering, COUNT(*) FROM usage_daily u \
         WHERE NOT EXISTS (SELECT 1 FROM usage_file f WHERE f.metering = u.metering) GROUP BY u.metering ORDER BY u.metering",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            let (metering, rows): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            Ok(format!(
                "usage_daily has {rows} rows of metering {metering}, which has no usage file"
            ))
        })
        .collect()
}

/// What a metering added to the totals of all accounts: by day, region and SKU. At the largest number a sum may be more, as are those that
/// it is held against.
pub async fn usage_totals(ledger: &Ledger, metering: i64) -> Result<BTreeMap<[String; 3], [i64; 3]>> {
    let rows = query("SELECT day, region, sku, records, raw, billable FROM usage_total WHERE metering = ?")
        .bind(metering)
        .fetch_all(ledger)
        .await?;
    let mut totals: BTreeMap<[String; 3], [i64; 3]> = BTreeMap::new();
    for row in rows {
        let key = [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?];
        let more: [i64; 3] = [row.try_get(3)?, row.try_get(4)?, row.try_get(5)?];
        for (total, more) in totals.entry(key).or_default().iter_mut().zip(more) {
            *total = total.saturating_add(more);
        }
    }
    Ok(totals)
}

/// Hands on the digest of each statement.
pub async fn statement_digests(ledger: &Ledger, mut take: impl FnMut(String, String) + Send) -> Result<()> {
    query("SELECT statement_id, digest FROM statement")
        .for_each(ledger, |row| {
            take(row.try_get(0)?, row.try_get(1)?);
            Ok(())
        })
        .await
}

/// Days that are proved and not gone, with the rows they had.
pub async fn proved_days_that_stay(ledger: &Ledger) -> Result<Vec<(NaiveDate, i64)>> {
    let rows = query(
        "SELECT p.day, p.row_count FROM proved_day p \
         WHERE NOT EXISTS (SELECT 1 FROM expired_day e WHERE e.day = p.day AND e.kind = 'usage') ORDER BY p.day",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| Ok((parse_day(&row.try_get::<String>(0)?)?, row.try_get(1)?)))
        .collect()
}

/// What was written to stand for a day, by account.
pub async fn proofs(ledger: &Ledger, day: NaiveDate) -> Result<Vec<Proof>> {
    let rows =
        query("SELECT uin, row_count, duration_ms, digest FROM proved_account WHERE day = ? ORDER BY LENGTH(uin), uin")
            .bind(day.to_string())
            .fetch_all(ledger)
            .await?;
    rows.iter()
        .map(|row| {
            let (uin, duration_ms): (String, String) = (row.try_get(0)?, row.try_get(2)?);
            let no_number = |_| {
                Error::Unbalanced(format!(
                    "the digest of account {uin}, {day}: {duration_ms} is not a number"
                ))
            };
            Ok(Proof {
                uin: parse_uin(&uin)?,
                rows: row.try_get(1)?,
                duration_ms: duration_ms.parse().map_err(no_number)?,
                digest: row.try_get(3)?,
            })
        })
        .collect()
}

/// Days whose raw is gone, and whose proof is missing, or one of other rows.
pub async fn expired_days_proved_otherwise(ledger: &Ledger) -> Result<Vec<String>> {
    let rows = query(
        "SELECT e.day FROM expired_day e LEFT JOIN proved_day p ON p.day = e.day \
         LEFT JOIN (SELECT day, COUNT(*) AS found FROM proved_account GROUP BY day) a ON a.day = e.day \
         WHERE e.kind = 'usage' AND (p.day IS NULL OR p.row_count <> e.row_count OR p.duration_ms <> e.duration_ms \
         OR p.accounts <> COALESCE(a.found, 0)) ORDER BY e.day",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Days whose raw is gone, each with one digest over those of its accounts.
pub async fn expired_days(ledger: &Ledger) -> Result<Vec<ExpiredDay>> {
    let days = query("SELECT day, expired_at, row_count FROM expired_day WHERE kind = 'usage' ORDER BY day")
        .fetch_all(ledger)
        .await?;
    let mut expired = Vec::with_capacity(days.len());
    for row in days {
        let day: String = row.try_get(0)?;
        let accounts = query("SELECT uin, digest FROM proved_account WHERE day = ? ORDER BY LENGTH(uin), uin")
            .bind(day.as_str())
            .fetch_all(ledger)
            .await?;
        let mut hasher = Hasher::default();
        for account in &accounts {
            let (uin, digest): (String, String) = (account.try_get(0)?, account.try_get(1)?);
            hasher.update(format!("{uin} {digest}\n").as_bytes());
        }
        expired.push(ExpiredDay {
            day,
            expired_at: row.try_get(1)?,
            rows: row.try_get(2)?,
            accounts: i64::try_from(accounts.len()).unwrap_or(i64::MAX),
            digest: hasher.hex(),
        });
    }
    Ok(expired)
}

/// How many tombstones and pseudonyms there are.
pub async fn erased_counts(ledger: &Ledger) -> Result<(usize, usize)> {
    let count = async |sql: &'static str| {
        let row = query(sql).fetch_one(ledger).await?;
        Ok::<_, Error>(usize::try_from(row.try_get::<i64>(0)?).unwrap_or(0))
    };
    Ok((
        count("SELECT COUNT(*) FROM tombstone").await?,
        count("SELECT COUNT(*) FROM erased_account").await?,
    ))
}

/// Batches of which more rows were erased than were stored.
pub async fn more_erased_than_stored(ledger: &Ledger) -> Result<Vec<String>> {
    let rows = query(
        "SELECT e.batch, e.erased, COALESCE(b.stored_rows, 0) FROM (SELECT batch, SUM(row_count) AS erased FROM erased_rows GROUP BY batch) e \
         LEFT JOIN batch b ON b.batch = e.batch WHERE e.erased > COALESCE(b.stored_rows, 0) ORDER BY e.batch",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            let of = |at: usize| row.try_get::<i64>(at);
            Ok(format!(
                "batch {}: {} records were erased, and {} stored",
                of(0)?,
                of(1)?,
                of(2)?
            ))
        })
        .collect()
}

/// Records stored by all batches against those that are there, have expired or were erased.
pub async fn rows_that_do_not_add_up(ledger: &Ledger) -> Result<Vec<String>> {
    let sum = async |sql: &'static str| {
        let row = query(sql).fetch_one(ledger).await?;
        row.try_get::<i64>(0)
    };
    let stored = sum("SELECT COALESCE(SUM(stored_rows), 0) FROM batch").await?;
    let there = sum("SELECT COALESCE(SUM(row_count), 0) FROM segment WHERE kind = 'usage'").await?;
    let expired = sum("SELECT COALESCE(SUM(row_count), 0) FROM expired_day WHERE kind = 'usage'").await?;
    let erased = sum("SELECT COALESCE(SUM(row_count), 0) FROM erased_rows").await?;
    if stored == there + expired + erased {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "{stored} records were stored; {there} are there, {expired} have expired and {erased} were erased"
    )])
}

/// Accounts that were added at a time or later.
pub async fn accounts_added_from(ledger: &Ledger, time: &str) -> Result<Vec<u64>> {
    let rows = query("SELECT uin FROM account WHERE added_at >= ?")
        .bind(time)
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| parse_uin(&row.try_get::<String>(0)?)).collect()
}

/// The digests of the statements of an erasure, first and second, oldest first.
pub async fn second_digests_of(ledger: &Ledger, erasure: i64) -> Result<Vec<(String, Option<String>)>> {
    let rows = query(
        "SELECT s.digest, e.digest FROM erased_account a JOIN statement s ON s.uin = a.uin LEFT JOIN erased_statement e \
         ON e.uin = s.uin AND e.month = s.month AND e.period_start = s.period_start WHERE a.erasure = ? ORDER BY s.period_start",
    )
    .bind(erasure)
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
