//! The ledger of ends.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::AccountEnd;
use crate::catalog::account::store::parse_uin;
use crate::storage::ledger::{Channel, Ledger, Tx, Value, insert_row, query, reseal};
use crate::storage::raw::store::parse_day;
use crate::support::clock::instant_text;
use crate::support::error::{Error, Result};

/// From when on an account's usage is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The first day that is not billed, in the account's zone.
    pub day: NaiveDate,
    /// The instant at which it begins, nanoseconds since 1970.
    pub from_ns: i64,
}

/// The accounts that have ended and were not taken back, also those whose last day is still to come.
pub async fn ended_accounts<'c>(on: impl Into<Channel<'c>>) -> Result<HashMap<u64, Ended>> {
    let rows = query("SELECT uin, end_day, ends_at FROM account_end WHERE reinstated IS NULL")
        .fetch_all(on)
        .await?;
    rows.iter()
        .map(|row| {
            let uin = parse_uin(&row.try_get::<String>(0)?)?;
            let ended = Ended {
                day: parse_day(&row.try_get::<String>(1)?)?,
                from_ns: ns_of(uin, &row.try_get::<String>(2)?)?,
            };
            Ok((uin, ended))
        })
        .collect()
}

fn ns_of(uin: u64, text: &str) -> Result<i64> {
    let instant: Option<DateTime<Utc>> = text.parse().ok();
    let ns = instant.and_then(|instant| instant.timestamp_nanos_opt());
    ns.ok_or_else(|| {
        Error::Unbalanced(format!(
            "account {uin} ends at {text:?} in the ledger, which is no time"
        ))
    })
}

/// All ends of the accounts that fulfil a condition on `uin`, by day.
pub(in crate::catalog::account) async fn ends_by_account(
    ledger: &Ledger,
    condition: &str,
    uin: Option<u64>,
) -> Result<HashMap<u64, Vec<AccountEnd>>> {
    let rows = query(format!(
        "SELECT uin, end_day, reinstated FROM account_end {condition} ORDER BY uin, end_day, entry"
    ))
    .bind_all(uin.map(|uin| uin.to_string().into()))
    .fetch_all(ledger)
    .await?;
    let mut ends: HashMap<u64, Vec<AccountEnd>> = HashMap::new();
    for row in rows {
        let end = AccountEnd {
            day: parse_day(&row.try_get::<String>(1)?)?,
            is_taken_back: row.try_get::<Option<i64>>(2)?.is_some(),
        };
        ends.entry(parse_uin(&row.try_get::<String>(0)?)?)
            .or_default()
            .push(end);
    }
    Ok(ends)
}

/// Adds an end, decided by an entry of the audit trail.
pub(super) async fn add_end(tx: &mut Tx, entry: i64, uin: u64, day: NaiveDate, at: DateTime<Utc>) -> Result<()> {
    let row: [Value; 4] = [
        entry.into(),
        uin.to_string().into(),
        day.to_string().into(),
        instant_text(at).into(),
    ];
    insert_row(tx, "account_end (entry, uin, end_day, ends_at)", row).await
}

/// Takes back the end of an account, by an entry of the audit trail.
///
/// # Errors
/// [`Error::Unbalanced`] where not exactly one end is taken back.
pub(super) async fn take_back(tx: &mut Tx, entry: i64, uin: u64) -> Result<()> {
    let changed = query("UPDATE account_end SET reinstated = ? WHERE uin = ? AND reinstated IS NULL")
        .bind(entry)
        .bind(uin.to_string())
        .execute(&mut *tx)
        .await?;
    if changed != 1 {
        return Err(Error::Unbalanced(format!(
            "account {uin} has {changed} ends in the ledger that were not taken back, where one was expected; run `tallybook verify`"
        )));
    }
    reseal(tx, "account_end", "reinstated = ?", &[entry.into()]).await
}
