//! The ledger: the database behind every stage. Its SQL stands in the `store.rs` of each stage and in this folder;
//! what differs per engine stands in `engine.rs`.

mod bulk;
mod engine;
mod intake;
mod lease;

use std::path::Path;

use sqlx::{Any, AnyPool, Row as _};

pub use bulk::{Value, insert_rows};
pub use intake::{commit_intake, register_intake};
pub(crate) use intake::{fence_intakes, open_intakes};
pub use lease::{LEASE_LIMIT_S, Lease};

use crate::error::Result;

/// A transaction of any stage.
pub type Tx = sqlx::Transaction<'static, Any>;

/// An open ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    pool: AnyPool,
}

impl Ledger {
    /// Opens the ledger at a URL (`sqlite:` for now), making and migrating it as needed.
    pub async fn open(url: &str) -> Result<Self> {
        Ok(Self {
            pool: engine::open(url).await?,
        })
    }

    /// The URL of the embedded ledger in a data folder.
    pub fn embedded_url(data_dir: &Path) -> String {
        format!("sqlite://{}?mode=rwc", data_dir.join("ledger.sqlite").display())
    }

    /// A transaction that may write. Waits for other writers first, so it never fails halfway for having read.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(self.pool.begin_with(engine::BEGIN_WRITE).await?)
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
