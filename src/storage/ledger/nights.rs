//! Nights that came to an end, and those that began and did not.

use chrono::{DateTime, Utc};

use super::lease::is_held;
use super::{Lease, Ledger, Tx, query};
use crate::support::clock::{Clock, instant_text};
use crate::support::error::Result;

/// What a night had found when it ended: every batch up to one metered, every closing up to one made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NightEnd {
    pub batch_hi: i64,
    pub closing_hi: i64,
}

/// The last night that had ended by then, by its run's clock. Nights before it found no more than it did.
pub async fn last_end(ledger: &Ledger, by: DateTime<Utc>) -> Result<Option<NightEnd>> {
    let row = query(
        "SELECT batch_hi, closing_hi FROM run WHERE batch_hi IS NOT NULL AND ended_at <= ? ORDER BY run DESC LIMIT 1",
    )
    .bind(instant_text(by))
    .fetch_optional(ledger)
    .await?;
    row.map(|row| {
        Ok(NightEnd {
            batch_hi: row.try_get(0)?,
            closing_hi: row.try_get(1)?,
        })
    })
    .transpose()
}

/// A night that began and has not ended.
#[derive(Clone, Debug)]
pub struct BegunRun {
    /// The token of its lease.
    pub token: i64,
    pub command: String,
    pub as_of: String,
    pub machine_at: String,
}

/// Notes that a run began. The row goes with the report of this run, or of the next.
pub async fn begin_run(lease: &Lease, command: &str, clock: Clock) -> Result<()> {
    query("INSERT INTO begun_run (token, command, as_of, machine_at) VALUES (?, ?, ?, ?)")
        .bind(lease.token)
        .bind(command)
        .bind(clock.text())
        .bind(instant_text(clock.machine()))
        .execute_alone(&lease.ledger)
        .await?;
    Ok(())
}

const BEGUN: &str = "SELECT token, command, as_of, machine_at FROM begun_run ORDER BY token";

fn begun_of(row: &crate::storage::ledger::Row) -> Result<BegunRun> {
    Ok(BegunRun {
        token: row.try_get(0)?,
        command: row.try_get(1)?,
        as_of: row.try_get(2)?,
        machine_at: row.try_get(3)?,
    })
}

/// Takes out every run that began with this lease or an earlier one. Returns the earlier ones: they were killed.
pub async fn take_begun(tx: &mut Tx, lease: &Lease) -> Result<Vec<BegunRun>> {
    let rows = query(BEGUN).fetch_all(&mut *tx).await?;
    let mut begun: Vec<BegunRun> = rows.iter().map(begun_of).collect::<Result<_>>()?;
    begun.retain(|run| run.token < lease.token);
    query("DELETE FROM begun_run WHERE token <= ?")
        .bind(lease.token)
        .execute(tx)
        .await?;
    Ok(begun)
}

/// Runs that began and were killed, as far as no later run has put them among the runs.
pub async fn killed_runs(ledger: &Ledger) -> Result<Vec<BegunRun>> {
    let rows = query(BEGUN).fetch_all(ledger).await?;
    let mut killed = Vec::new();
    for row in &rows {
        let run = begun_of(row)?;
        if !is_held(ledger, run.token).await? {
            killed.push(run);
        }
    }
    Ok(killed)
}
