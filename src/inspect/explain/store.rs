//! What explaining reads from the ledger.

use chrono::NaiveDate;

use super::arithmetic::Card;
use super::records::Stands;
use crate::catalog::account::store::parse_uin;
use crate::catalog::rate_card::store::NOT_WITHDRAWN;
use crate::storage::ledger::{Ledger, query};
use crate::support::error::{Error, Result};
use crate::values::calendar::Period;

/// The account of a statement.
pub async fn account_of(ledger: &Ledger, statement_id: &str) -> Result<u64> {
    let row = query("SELECT uin FROM statement WHERE statement_id = ?")
        .bind(statement_id)
        .fetch_optional(ledger)
        .await?;
    match row {
        Some(row) => parse_uin(&row.try_get::<String>(0)?),
        None => Err(Error::Usage(format!(
            "there is no statement {statement_id}; `tallybook statement UIN` shows the statements of an account (an open period \
             has only a draft)"
        ))),
    }
}

/// The newest revision of each card version, of the imports up to `card_hi`.
pub async fn cards(ledger: &Ledger, card_hi: i64) -> Result<Vec<Card>> {
    let rows = query(format!(
        "SELECT name, valid_from, revision, digest FROM rate_card c WHERE revision = (SELECT MAX(revision) FROM rate_card d \
         WHERE d.name = c.name AND d.valid_from = c.valid_from AND d.card <= ? AND d.card {NOT_WITHDRAWN})"
    ))
    .bind(card_hi)
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Card {
                name: row.try_get(0)?,
                from: row.try_get(1)?,
                revision: row.try_get(2)?,
                digest: row.try_get(3)?,
            })
        })
        .collect()
}

/// The last card import that a metering knew.
pub async fn card_hi_of_metering(ledger: &Ledger, metering: i64) -> Result<i64> {
    let row = query("SELECT card_hi FROM metering WHERE metering = ?")
        .bind(metering)
        .fetch_optional(ledger)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
}

/// Records of a period that wait for an adjustment.
pub async fn waiting_records(ledger: &Ledger, uin: u64, period: &Period) -> Result<i64> {
    let row = query(
        "SELECT COALESCE(SUM(records), 0) FROM late_usage WHERE closing IS NULL AND uin = ? AND day >= ? AND day < ?",
    )
    .bind(uin.to_string())
    .bind(period.start.to_string())
    .bind(period.end.to_string())
    .fetch_one(ledger)
    .await?;
    row.try_get(0)
}

/// The last closing that closed a period of an account; 0 when none is closed.
pub async fn last_closing_of(ledger: &Ledger, uin: u64) -> Result<i64> {
    let row = query("SELECT COALESCE(MAX(closing), 0) FROM closed_period WHERE uin = ?")
        .bind(uin.to_string())
        .fetch_one(ledger)
        .await?;
    row.try_get(0)
}

/// What stands for an account's expired days in `[from, to]`.
pub async fn expired(ledger: &Ledger, uin: u64, from: NaiveDate, to: NaiveDate) -> Result<Vec<Stands>> {
    let rows = query(
        "SELECT p.day, p.row_count, p.duration_ms, p.digest FROM proved_account p \
         JOIN expired_day e ON e.day = p.day AND e.kind = 'usage' \
         WHERE p.uin = ? AND p.day >= ? AND p.day <= ? ORDER BY p.day",
    )
    .bind(uin.to_string())
    .bind(from.to_string())
    .bind(to.to_string())
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Stands {
                utc_day: row.try_get(0)?,
                rows: row.try_get(1)?,
                duration_ms: row.try_get(2)?,
                digest: row.try_get(3)?,
            })
        })
        .collect()
}
