//! The ledger of settlements. Rows are only ever added.

use std::collections::HashMap;

use super::Settlement;
use crate::catalog::account::store::parse_uin;
use crate::pipeline::close::store::marks;
use crate::storage::ledger::{Ledger, Row, Tx, Value, insert_row, query};
use crate::storage::raw::store::parse_day;
use crate::support::error::{Error, Result};
use crate::values::calendar::Period;

const COLUMNS: &str = "settlement, uin, period_start, period_end, currency, amount, records, body, closing, metering, card_hi, \
                       settled_at, audit";

fn settlement_of(row: &Row) -> Result<Settlement> {
    let (number, currency): (i64, String) = (row.try_get(0)?, row.try_get(4)?);
    let known = currency.parse();
    Ok(Settlement {
        number,
        uin: parse_uin(&row.try_get::<String>(1)?)?,
        period: Period {
            start: parse_day(&row.try_get::<String>(2)?)?,
            end: parse_day(&row.try_get::<String>(3)?)?,
        },
        currency: known.map_err(|_| Error::Unbalanced(format!("settlement {number} has the currency {currency:?}")))?,
        amount: row.try_get(5)?,
        records: row.try_get(6)?,
        document: row.try_get(7)?,
        closing: row.try_get(8)?,
        metering: row.try_get(9)?,
        card_hi: row.try_get(10)?,
        settled_at: row.try_get(11)?,
        audit: row.try_get(12)?,
    })
}

/// All settlements, oldest first.
pub async fn settlements(ledger: &Ledger) -> Result<Vec<Settlement>> {
    let rows = query(format!("SELECT {COLUMNS} FROM settlement ORDER BY settlement"))
        .fetch_all(ledger)
        .await?;
    rows.iter().map(settlement_of).collect()
}

/// The settlements of an account, oldest first.
pub async fn settlements_of(ledger: &Ledger, uin: u64) -> Result<Vec<Settlement>> {
    Ok(settlements_of_all(ledger, &[uin])
        .await?
        .remove(&uin)
        .unwrap_or_default())
}

/// The settlements of each of these accounts, oldest first.
pub async fn settlements_of_all(ledger: &Ledger, uins: &[u64]) -> Result<HashMap<u64, Vec<Settlement>>> {
    let marks = marks(uins.len());
    let rows = query(format!(
        "SELECT {COLUMNS} FROM settlement WHERE uin IN ({marks}) ORDER BY settlement"
    ))
    .bind_all(uins.iter().map(|uin| uin.to_string().into()))
    .fetch_all(ledger)
    .await?;
    let mut by_account: HashMap<u64, Vec<Settlement>> = HashMap::new();
    for row in rows {
        let settlement = settlement_of(&row)?;
        by_account.entry(settlement.uin).or_default().push(settlement);
    }
    Ok(by_account)
}

/// Adds a settlement.
pub async fn add_settlement(tx: &mut Tx, settlement: &Settlement) -> Result<()> {
    let row: [Value; 13] = [
        settlement.number.into(),
        settlement.uin.to_string().into(),
        settlement.period.start.to_string().into(),
        settlement.period.end.to_string().into(),
        settlement.currency.to_string().into(),
        settlement.amount.into(),
        settlement.records.into(),
        settlement.document.as_str().into(),
        settlement.closing.into(),
        settlement.metering.into(),
        settlement.card_hi.into(),
        settlement.settled_at.as_str().into(),
        settlement.audit.into(),
    ];
    insert_row(tx, &format!("settlement ({COLUMNS})"), row).await
}

/// The number of the last closing; 0 before the first.
pub async fn last_closing(tx: &mut Tx) -> Result<i64> {
    let row = query("SELECT COALESCE(MAX(closing), 0) FROM closing")
        .fetch_one(&mut *tx)
        .await?;
    row.try_get(0)
}
