//! The ledger: the database behind every stage. Its SQL stands in the `store.rs` of each stage and in this folder;
//! what differs per engine stands in `engine.rs`.

mod audit;
mod bulk;
mod engine;
mod intake;
mod lease;
mod seal;
mod tally;

use std::path::Path;

use sqlx::{Any, AnyPool, Row as _};

pub use audit::{Decision, Entry, add_audit, audit_trail};
pub use bulk::{Value, insert_row, insert_rows};
pub use intake::{commit_intake, register_intake};
pub(crate) use intake::{fence_intakes, highest_intake, open_intakes};
pub use lease::{LEASE_LIMIT_S, Lease};
pub(crate) use seal::{broken_seals, is_sealed, reseal};
pub use tally::{Tally, delete_rows, tally};

use crate::error::{Error, Result};

/// The file of the embedded ledger.
pub const EMBEDDED_NAME: &str = "ledger.sqlite";

/// A transaction of any stage.
pub type Tx = sqlx::Transaction<'static, Any>;

/// An open ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    pool: AnyPool,
}

impl Ledger {
    /// Opens the ledger at a URL (`sqlite:` for now), making and migrating it as needed. `wait_s`: how long a transaction waits
    /// for another program's.
    pub async fn open(url: &str, wait_s: u32) -> Result<Self> {
        Ok(Self {
            pool: engine::open(url, wait_s).await?,
        })
    }

    /// The URL of the embedded ledger in a data folder.
    pub fn embedded_url(data_dir: &Path) -> String {
        format!("sqlite://{}?mode=rwc", data_dir.join(EMBEDDED_NAME).display())
    }

    /// A transaction that may write. Waits for other writers first, so it never fails halfway for having read.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(self.pool.begin_with(engine::BEGIN_WRITE).await?)
    }

    /// Commits a transaction. Whether it happened is not known for sure when the ledger does not answer: the steps look
    /// first at what is there, so the same command again does only what is missing.
    pub async fn commit(&self, tx: Tx, step: &str) -> Result<()> {
        commit_with_points(tx, step).await.map_err(|source| Error::Uncertain {
            step: step.to_owned(),
            source,
        })
    }

    /// Commits the transaction of an intake. When the ledger does not answer, the intake's own row says what happened.
    pub async fn commit_of(&self, tx: Tx, step: &str, intake: i64) -> Result<()> {
        match commit_with_points(tx, step).await {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::warn!(step, %error, "the ledger did not answer the commit; asking whether it happened");
                match intake::is_committed(self, intake).await {
                    Ok(true) => Ok(()),
                    _ => Err(Error::Uncertain {
                        step: step.to_owned(),
                        source: error,
                    }),
                }
            }
        }
    }

    /// The names of all tables.
    pub async fn tables(&self) -> Result<Vec<String>> {
        let rows = sqlx::query(engine::TABLES).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// What the database itself finds wrong with its file; empty is good.
    pub async fn integrity(&self) -> Result<Vec<String>> {
        let rows = sqlx::query(engine::INTEGRITY).fetch_all(&self.pool).await?;
        let all: Vec<String> = rows
            .iter()
            .map(|row| Ok::<_, Error>(row.try_get(0)?))
            .collect::<Result<_>>()?;
        Ok(all.into_iter().filter(|sentence| sentence != "ok").collect())
    }

    /// For reading outside a transaction.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Ends the connections; the write-ahead log is folded into the database file.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

async fn commit_with_points(tx: Tx, step: &str) -> std::result::Result<(), sqlx::Error> {
    crate::fault::point(&format!("{step}.before_commit"));
    let mut answer = tx.commit().await;
    if crate::fault::loses_answer(step) {
        answer = Err(sqlx::Error::WorkerCrashed);
    }
    crate::fault::point(&format!("{step}.after_commit"));
    answer
}

/// The next number of a counter, in commit order: the row stays locked until the transaction ends.
pub async fn next_number(tx: &mut Tx, counter: &str) -> Result<i64> {
    sqlx::query("UPDATE counter SET value = value + 1 WHERE name = ?")
        .bind(counter)
        .execute(&mut **tx)
        .await?;
    let row = sqlx::query("SELECT value FROM counter WHERE name = ?")
        .bind(counter)
        .fetch_one(&mut **tx)
        .await?;
    Ok(row.try_get(0)?)
}

/// Reserves `count` numbers of a counter and returns the first.
pub async fn next_numbers(tx: &mut Tx, counter: &str, count: i64) -> Result<i64> {
    sqlx::query("UPDATE counter SET value = value + ? WHERE name = ?")
        .bind(count)
        .bind(counter)
        .execute(&mut **tx)
        .await?;
    let row = sqlx::query("SELECT value FROM counter WHERE name = ?")
        .bind(counter)
        .fetch_one(&mut **tx)
        .await?;
    let last: i64 = row.try_get(0)?;
    Ok(last - count + 1)
}
