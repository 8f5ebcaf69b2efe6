//! The ledger of alarms.

use super::{Alarm, OPEN};
use crate::pipeline::ingest::quarantine::store::WAITS;
use crate::storage::ledger::{Ledger, Row, Tx, Value, insert_row, next_number, query, reseal};
use crate::support::error::{Error, Result};

/// Raises the alarm of a batch, in the transaction that commits it.
pub async fn raise(tx: &mut Tx, batch: i64, code: &str, at: &str) -> Result<()> {
    let number = next_number(tx, "alarm").await?;
    let row: [Value; 5] = [number.into(), batch.into(), code.into(), at.into(), OPEN.into()];
    insert_row(tx, "alarm (alarm, batch, code, raised_at, state)", row).await
}

/// Ends the open alarms of batches of which no line waits any more.
pub async fn end(tx: &mut Tx, state: &str, entry: Option<i64>, at: &str) -> Result<()> {
    let over = query(format!(
        "SELECT a.alarm FROM alarm a WHERE a.state = 'open' \
         AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.batch = a.batch AND {WAITS}) ORDER BY a.alarm"
    ))
    .fetch_all(&mut *tx)
    .await?;
    for row in over {
        end_one(tx, row.try_get(0)?, state, entry, at).await?;
    }
    Ok(())
}

/// Ends one alarm, which must be open.
pub async fn end_one(tx: &mut Tx, number: i64, state: &str, entry: Option<i64>, at: &str) -> Result<()> {
    let done = query("UPDATE alarm SET state = ?, ended_at = ?, ended_by = ? WHERE alarm = ? AND state = 'open'")
        .bind(state)
        .bind(at)
        .bind(entry)
        .bind(number)
        .execute(tx)
        .await?;
    if done != 1 {
        return Err(Error::Overtaken(format!(
            "alarm {number} was ended by another run; nothing was written: check `tallybook status`"
        )));
    }
    reseal(tx, "alarm", "alarm = ?", &[number.into()]).await
}

fn alarms_sql(condition: &str) -> String {
    format!(
        "SELECT a.alarm, a.batch, b.name, b.source, a.code, b.received, b.quarantined, COALESCE(w.waiting, 0), a.raised_at, a.state, \
         a.ended_at FROM alarm a JOIN batch b ON b.batch = a.batch \
         LEFT JOIN (SELECT q.batch, COUNT(*) AS waiting FROM quarantine q WHERE {WAITS} GROUP BY q.batch) w ON w.batch = a.batch \
         WHERE {condition} ORDER BY a.alarm"
    )
}

async fn alarms_of(ledger: &Ledger, rows: Vec<Row>) -> Result<Vec<Alarm>> {
    let mut alarms = Vec::with_capacity(rows.len());
    for row in rows {
        let batch = row.try_get(1)?;
        alarms.push(Alarm {
            alarm: row.try_get(0)?,
            batch,
            input: row.try_get(2)?,
            source: row.try_get(3)?,
            code: row.try_get(4)?,
            received: row.try_get(5)?,
            refused: row.try_get(6)?,
            waiting: row.try_get(7)?,
            raised_at: row.try_get(8)?,
            state: row.try_get(9)?,
            ended_at: row.try_get(10)?,
            most: most(ledger, batch).await?,
        });
    }
    Ok(alarms)
}

/// The reason of most refused lines of a batch, and the sentence of the first of them.
async fn most(ledger: &Ledger, batch: i64) -> Result<Option<(String, String)>> {
    let row = query(
        "SELECT code, COUNT(*) AS found, MIN(quarantine) FROM quarantine WHERE batch = ? GROUP BY code ORDER BY found DESC, code \
         LIMIT 1",
    )
    .bind(batch)
    .fetch_optional(ledger)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (code, first): (String, i64) = (row.try_get(0)?, row.try_get(2)?);
    let row = query("SELECT sentence FROM quarantine WHERE quarantine = ?")
        .bind(first)
        .fetch_one(ledger)
        .await?;
    Ok(Some((code, row.try_get(0)?)))
}

/// The open alarms, oldest first.
pub async fn open(ledger: &Ledger) -> Result<Vec<Alarm>> {
    let rows = query(alarms_sql("a.state = 'open'")).fetch_all(ledger).await?;
    alarms_of(ledger, rows).await
}

/// Every alarm there was, oldest first.
pub async fn all(ledger: &Ledger) -> Result<Vec<Alarm>> {
    let rows = query(alarms_sql("1 = 1")).fetch_all(ledger).await?;
    alarms_of(ledger, rows).await
}

/// The open alarm of a batch.
pub async fn of_batch(ledger: &Ledger, batch: i64) -> Result<Option<Alarm>> {
    let rows = query(alarms_sql("a.state = 'open' AND a.batch = ?"))
        .bind(batch)
        .fetch_all(ledger)
        .await?;
    Ok(alarms_of(ledger, rows).await?.pop())
}

/// An alarm by number.
pub async fn alarm(ledger: &Ledger, number: i64) -> Result<Alarm> {
    let rows = query(alarms_sql("a.alarm = ?")).bind(number).fetch_all(ledger).await?;
    alarms_of(ledger, rows).await?.pop().ok_or_else(|| {
        Error::Usage(format!(
            "there is no alarm {number}; `tallybook quarantine alarms --all` shows them"
        ))
    })
}
