//! Intakes: a writer's number, registered before its first file, and the fence that keeps a slow writer from
//! committing files the sweeper took away.

use super::{Ledger, Tx, next_number, query};
use crate::support::error::{Error, Result};

/// Registers a writer and returns its number. File names carry it, so they are never used again.
pub async fn register_intake(ledger: &Ledger, stage: &str) -> Result<i64> {
    let now = ledger.engine().now_seconds();
    let mut tx = ledger.begin().await?;
    let intake = next_number(&mut tx, "intake").await?;
    query(format!(
        "INSERT INTO intake (intake, stage, registered_at, state) VALUES (?, ?, {now}, 'open')"
    ))
    .bind(intake)
    .bind(stage)
    .execute(&mut tx)
    .await?;
    ledger.commit(tx, "intake").await?;
    Ok(intake)
}

/// Marks the writer's intake as committed, in the transaction that names its files. Fails when it was fenced.
pub async fn commit_intake(tx: &mut Tx, intake: i64) -> Result<()> {
    let done = query("UPDATE intake SET state = 'committed' WHERE intake = ? AND state = 'open'")
        .bind(intake)
        .execute(tx)
        .await?;
    if done == 1 {
        return Ok(());
    }
    Err(Error::Overtaken(format!(
        "this run was considered dead and its unfinished files (number {intake}) were removed; nothing was written: run the \
         command again"
    )))
}

/// Whether the transaction of an intake was committed.
pub(super) async fn is_committed(ledger: &Ledger, intake: i64) -> Result<bool> {
    let row = query("SELECT COUNT(*) FROM intake WHERE intake = ? AND state = 'committed'")
        .bind(intake)
        .fetch_one(ledger)
        .await?;
    Ok(row.try_get::<i64>(0)? > 0)
}

/// The last intake number that this ledger gave out.
pub(crate) async fn highest_intake(ledger: &Ledger) -> Result<i64> {
    let row = query("SELECT value FROM counter WHERE name = 'intake'")
        .fetch_one(ledger)
        .await?;
    row.try_get(0)
}

/// Open intakes: number, stage, age in seconds by the database's clock.
pub(crate) async fn open_intakes(ledger: &Ledger) -> Result<Vec<(i64, i64)>> {
    let now = ledger.engine().now_seconds();
    let rows = query(format!(
        "SELECT intake, {now} - registered_at FROM intake WHERE state = 'open' ORDER BY intake"
    ))
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Fences open intakes, so that their writers can no longer commit. Returns those that were still open.
pub(crate) async fn fence_intakes(ledger: &Ledger, intakes: &[i64]) -> Result<Vec<i64>> {
    let mut tx = ledger.begin().await?;
    let mut fenced = Vec::new();
    for &intake in intakes {
        let done = query("UPDATE intake SET state = 'fenced' WHERE intake = ? AND state = 'open'")
            .bind(intake)
            .execute(&mut tx)
            .await?;
        if done == 1 {
            fenced.push(intake);
        }
    }
    ledger.commit(tx, "fence").await?;
    Ok(fenced)
}
