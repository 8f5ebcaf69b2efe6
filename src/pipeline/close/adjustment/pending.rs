//! What waits for an adjustment in the ledger: late usage and corrected prices of closed periods, until a closing has billed them.

use std::collections::HashMap;

use crate::catalog::account::store::parse_uin;
use crate::pipeline::close::period_charges::Touched;
use crate::pipeline::close::store::marks;
use crate::storage::ledger::{Ledger, Tx, Value, delete_rows, insert_rows, query};
use crate::storage::raw::store::parse_day;
use crate::support::error::Result;

/// What touches closed periods: a table, its column of the day, and whether prices were corrected there.
const TOUCHING: [(&str, &str, bool); 2] = [("late_usage", "day", false), ("rerate", "period_start", true)];

/// What waits for an adjustment, by account.
pub async fn waiting(ledger: &Ledger) -> Result<HashMap<u64, Touched>> {
    let mut all: HashMap<u64, Touched> = HashMap::new();
    for (table, day, corrects) in TOUCHING {
        let sql = format!("SELECT DISTINCT uin, {day} FROM {table} WHERE closing IS NULL ORDER BY uin, {day}");
        for row in query(sql).fetch_all(ledger).await? {
            let touched = all.entry(parse_uin(&row.try_get::<String>(0)?)?).or_default();
            touched.add(parse_day(&row.try_get::<String>(1)?)?, corrects);
        }
    }
    Ok(all)
}

/// What waits for the next close of an account; none when nothing does.
pub async fn waiting_of(ledger: &Ledger, uin: u64) -> Result<Option<Touched>> {
    let mut touched = Touched::default();
    for (table, day, corrects) in TOUCHING {
        let sql = format!("SELECT DISTINCT {day} FROM {table} WHERE uin = ? AND closing IS NULL ORDER BY {day}");
        for row in query(sql).bind(uin.to_string()).fetch_all(ledger).await? {
            touched.add(parse_day(&row.try_get::<String>(0)?)?, corrects);
        }
    }
    Ok((touched != Touched::default()).then_some(touched))
}

/// What an account's closings adjusted, by closing.
pub async fn settled(ledger: &Ledger, uin: u64) -> Result<HashMap<i64, Touched>> {
    let mut settled: HashMap<i64, Touched> = HashMap::new();
    for (table, day, corrects) in TOUCHING {
        let sql = format!("SELECT closing, {day} FROM {table} WHERE uin = ? AND closing IS NOT NULL ORDER BY {day}");
        for row in query(sql).bind(uin.to_string()).fetch_all(ledger).await? {
            let touched = settled.entry(row.try_get(0)?).or_default();
            touched.add(parse_day(&row.try_get::<String>(1)?)?, corrects);
        }
    }
    Ok(settled)
}

/// Notes that a closing adjusted all that waited of some accounts.
#[tracing::instrument(skip_all)]
pub async fn settle(tx: &mut Tx, uins: &[u64], closing: i64) -> Result<()> {
    if uins.is_empty() {
        return Ok(());
    }
    settle_table::<6>(tx, "late_usage", "metering, uin, day, records, billable", uins, closing).await?;
    settle_table::<4>(tx, "rerate", "uin, period_start, card", uins, closing).await
}

/// The rows are written anew: late usage of many days has many, and to change and seal them one by one takes ten times as long.
async fn settle_table<const N: usize>(
    tx: &mut Tx,
    table: &str,
    columns: &str,
    uins: &[u64],
    closing: i64,
) -> Result<()> {
    let waits = format!("closing IS NULL AND uin IN ({})", marks(uins.len()));
    let binds: Vec<Value> = uins.iter().map(|uin| uin.to_string().into()).collect();
    let waiting = query(format!("SELECT {columns} FROM {table} WHERE {waits}"))
        .bind_all(binds.clone())
        .fetch_all(&mut *tx)
        .await?;
    if waiting.is_empty() {
        return Ok(());
    }
    delete_rows(tx, table, &waits, &binds).await?;
    let settled = waiting.iter().map(|row| -> [Value; N] {
        std::array::from_fn(|at| {
            if at + 1 == N {
                closing.into()
            } else {
                row.values()[at].clone()
            }
        })
    });
    insert_rows(tx, &format!("{table} ({columns}, closing)"), settled).await?;
    Ok(())
}
