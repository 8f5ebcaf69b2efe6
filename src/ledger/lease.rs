//! The lease on the books: one writer at a time for metering, closing, exporting and expiry.
//!
//! All times are the database's own. A holder that has not been heard of for [`LEASE_LIMIT_S`] is taken for dead; the
//! next one gets a higher token, and every transaction of a guarded stage checks the token it was given.

use sqlx::{AssertSqlSafe, Row as _};
use tokio::task::JoinHandle;

use super::engine::NOW_SECONDS;
use super::{Ledger, Tx};
use crate::error::{Error, Result};

/// A holder is dead when its heart has not beaten for so long: many times the beat below.
pub const LEASE_LIMIT_S: i64 = 60;

/// How often a holder says that it lives.
const HEARTBEAT_S: u64 = 10;

/// The right to write the books, held until released.
#[derive(Debug)]
pub struct Lease {
    ledger: Ledger,
    token: i64,
    heart: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease, or says who holds it.
    pub async fn take(ledger: &Ledger, command: &str) -> Result<Self> {
        let owner = format!("{command} (process {})", std::process::id());
        let mut tx = ledger.begin().await?;
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT owner, token, {NOW_SECONDS} - heartbeat_at FROM lease WHERE name = 'books'"
        )))
        .fetch_one(&mut *tx)
        .await?;
        let (holder, token, age_s): (String, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if !holder.is_empty() && age_s < LEASE_LIMIT_S && !is_dead_process(&holder) {
            return Err(Error::LeaseHeld {
                owner: holder,
                age_s,
                limit_s: LEASE_LIMIT_S,
            });
        }
        let token = token + 1;
        sqlx::query(AssertSqlSafe(format!(
            "UPDATE lease SET owner = ?, token = ?, heartbeat_at = {NOW_SECONDS} WHERE name = 'books'"
        )))
        .bind(&owner)
        .bind(token)
        .execute(&mut *tx)
        .await?;
        ledger.commit(tx, "lease").await?;
        let heart = tokio::spawn(beat(ledger.clone(), token));
        Ok(Self {
            ledger: ledger.clone(),
            token,
            heart,
        })
    }

    /// Fails the transaction when somebody else has the lease by now.
    pub async fn check(&self, tx: &mut Tx) -> Result<()> {
        let row = sqlx::query("SELECT owner, token FROM lease WHERE name = 'books'")
            .fetch_one(&mut **tx)
            .await?;
        let (owner, token): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        if token == self.token {
            return Ok(());
        }
        let other = if owner.is_empty() { "another run" } else { &owner };
        Err(Error::Overtaken(format!(
            "this run stood still for more than {LEASE_LIMIT_S} s, was taken for dead, and {other} took the books over; what this \
             one had not committed yet was not written: run the same command again, it does only what is missing"
        )))
    }

    /// Gives the lease back.
    pub async fn release(self) -> Result<()> {
        self.heart.abort();
        let mut tx = self.ledger.begin().await?;
        sqlx::query("UPDATE lease SET owner = '' WHERE name = 'books' AND token = ?")
            .bind(self.token)
            .execute(&mut *tx)
            .await?;
        self.ledger.commit(tx, "release").await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.heart.abort();
    }
}

/// A process of this machine that was killed needs no waiting for. (A holder on another machine that happens to have
/// a number unknown here is covered by the token: its transactions fail.)
fn is_dead_process(owner: &str) -> bool {
    let id = owner.rsplit("process ").next().map(|tail| tail.trim_end_matches(')'));
    let proc = std::path::Path::new("/proc");
    id.is_some_and(|id| proc.join("self").exists() && !proc.join(id).exists())
}

async fn beat(ledger: Ledger, token: i64) {
    let mut interval = tokio::time::interval(std::time::Duration::from_secs(HEARTBEAT_S));
    loop {
        interval.tick().await;
        let beat = sqlx::query(AssertSqlSafe(format!(
            "UPDATE lease SET heartbeat_at = {NOW_SECONDS} WHERE name = 'books' AND token = ?"
        )))
        .bind(token)
        .execute(ledger.pool())
        .await;
        if let Err(error) = beat {
            tracing::warn!(%error, "the lease could not be renewed; the next transaction checks it");
        }
    }
}
