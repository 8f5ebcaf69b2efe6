//! The ledger: the database behind every stage. Its SQL stands in the `store.rs` of each stage and in this folder;
//! what differs per engine stands in `engine/`. Who may write and read which table: `tests/it/tidy.rs`.

mod audit;
mod bulk;
pub mod dump;
mod engine;
pub mod fact;
mod lease;
pub mod nights;
mod query;
mod rewrite;
mod row_checksum;
mod schema;
mod table_checksum;
mod value;
mod writer_fence;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use audit::{Decision, Entry, add_audit, audit_trail};
pub use bulk::{insert_row, insert_rows};
pub use engine::{Engine, fault_of_url, has_password, mysql_options, postgres_options, without_password};
use engine::{Pool, Writing};
pub use lease::{LEASE_LIMIT_S, Lease};
pub use query::{Channel, Query, query};
pub use rewrite::{RowEdit, rewrite_rows};
pub(crate) use row_checksum::{broken_seals, is_sealed, reseal};
pub use schema::{Found, Schema, newest_schema};
pub use table_checksum::{TableChecksum, clear_table, delete_rows, table_checksum};
pub use value::{FromValue, Row, Value};
pub use writer_fence::{commit_intake, register_intake};
pub(crate) use writer_fence::{fence_intakes, highest_intake, open_intakes};

use crate::support::error::{Error, Result};

/// The file of the embedded ledger.
pub const EMBEDDED_NAME: &str = "ledger.sqlite";

/// How long to wait before a lost connection is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// A transaction of any stage. Dropped, it is undone.
pub struct Tx {
    inner: Writing,
}

impl Tx {
    pub fn engine(&self) -> Engine {
        self.inner.engine()
    }
}

/// A transaction that only reads, and sees the ledger in one state, whatever others commit meanwhile.
pub struct Reading {
    inner: engine::Reading,
}

impl Reading {
    pub fn engine(&self) -> Engine {
        self.inner.engine()
    }

    /// Whether the ledger has a table.
    pub async fn has_table(&mut self, table: &str) -> Result<bool> {
        let columns = query(self.engine().columns()).bind(table).fetch_all(self).await?;
        Ok(!columns.is_empty())
    }

    /// Ends it.
    pub async fn end(self) -> Result<()> {
        Ok(self.inner.end().await?)
    }
}

/// An open ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    pool: Pool,
    wait_s: u32,
    schema: Schema,
    /// The server was waited for in vain: nothing waits for it a second time.
    is_given_up: Arc<AtomicBool>,
}

impl Ledger {
    /// Opens the ledger at a URL (`sqlite:`, `postgres:`, `mysql:`), making and migrating its tables as needed. `wait_s`: how long a
    /// transaction waits for another program's, and a question for a server that is away.
    pub async fn open(url: &str, wait_s: u32) -> Result<Self> {
        let pool = Pool::open(url, wait_s).await?;
        match schema::bring_up(&pool).await {
            Ok(schema) => Ok(Self::of(pool, wait_s, schema)),
            Err(error) => {
                pool.close().await;
                Err(error)
            }
        }
    }

    /// Opens a ledger that has tables, bringing them up as needed; none where it has none, and none are made.
    pub async fn open_there(url: &str, wait_s: u32) -> Result<Option<Self>> {
        let pool = Pool::open(url, wait_s).await?;
        match schema::bring_up_if_there(&pool).await {
            Ok(Some(schema)) => Ok(Some(Self::of(pool, wait_s, schema))),
            Ok(None) => {
                pool.close().await;
                Ok(None)
            }
            Err(error) => {
                pool.close().await;
                Err(error)
            }
        }
    }

    /// Opens a ledger without tables, and makes them as they were at a version, for the rows of a dump; [`Self::brought_up`] makes them
    /// those of this program. `backup`: the digest by which a restore knows its own rows again.
    ///
    /// # Errors
    /// [`Error::Usage`] when somebody wrote to its tables, and [`Error::NeedsPerson`] for a version that this program does not know.
    pub async fn open_for_restore(url: &str, wait_s: u32, version: i64, backup: &str) -> Result<(Self, Found)> {
        let pool = Pool::open(url, wait_s).await?;
        match schema::make_at(&pool, version, backup).await {
            Ok((schema, found)) => Ok((Self::of(pool, wait_s, schema), found)),
            Err(error) => {
                pool.close().await;
                Err(error)
            }
        }
    }

    /// Brings the tables up to those of this program.
    pub async fn brought_up(mut self) -> Result<Self> {
        self.schema = schema::bring_up(&self.pool).await?;
        Ok(self)
    }

    fn of(pool: Pool, wait_s: u32, schema: Schema) -> Self {
        Self {
            pool,
            wait_s,
            schema,
            is_given_up: Arc::default(),
        }
    }

    /// The version of its tables, before and after it was opened.
    pub fn schema(&self) -> Schema {
        self.schema
    }

    /// The URL of the embedded ledger in a data folder that has one: no file is made.
    pub fn embedded_url_there(data_dir: &Path) -> String {
        format!("sqlite://{}?mode=rw", data_dir.join(EMBEDDED_NAME).display())
    }

    /// The URL of the embedded ledger in a data folder.
    pub fn embedded_url(data_dir: &Path) -> String {
        format!("sqlite://{}?mode=rwc", data_dir.join(EMBEDDED_NAME).display())
    }

    pub fn engine(&self) -> Engine {
        self.pool.engine()
    }

    /// A transaction that may write. Waits for other writers first, so it never fails halfway for having read.
    pub async fn begin(&self) -> Result<Tx> {
        let mut patience = self.patience();
        loop {
            match self.pool.begin().await {
                Ok(inner) => return Ok(Tx { inner }),
                Err(error) => patience.bear(error).await?,
            }
        }
    }

    /// A transaction that erases: see [`Self::overwrite`].
    pub async fn begin_erasing(&self) -> Result<Tx> {
        let mut tx = self.begin().await?;
        self.overwrite(&mut tx).await?;
        Ok(tx)
    }

    /// What a transaction writes over or removes from now on is nowhere in the file after it, where the ledger is a file of this machine.
    pub async fn overwrite(&self, tx: &mut Tx) -> Result<()> {
        if let Some(overwrite) = self.engine().overwrites() {
            query(overwrite).fetch_all(&mut *tx).await?;
        }
        Ok(())
    }

    /// Writes tables anew without the remains of rows that were changed or removed, and empties the write-ahead log where the ledger is a
    /// file of this machine.
    ///
    /// # Errors
    /// A server whose user may not do that, and a table that is in use for longer than the ledger waits.
    pub async fn compact(&self, tables: &[&str]) -> Result<()> {
        self.pool.compact(tables).await
    }

    /// A transaction that reads the ledger in the state of this moment. It keeps nobody from writing.
    pub async fn begin_reading(&self) -> Result<Reading> {
        let mut patience = self.patience();
        loop {
            match self.pool.begin_reading().await {
                Ok(inner) => return Ok(Reading { inner }),
                Err(error) => patience.bear(error).await?,
            }
        }
    }

    /// For what changes nothing and may be tried again while a server is away.
    fn patience(&self) -> Patience<'_> {
        let wait_s = if self.is_given_up() { 0 } else { self.wait_s };
        Patience {
            ledger: self,
            until: tokio::time::Instant::now() + Duration::from_secs(wait_s.into()),
        }
    }

    /// Whether the server was waited for in vain.
    fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// Commits a transaction. Whether it happened is not known for sure when the ledger does not answer: the steps look
    /// first at what is there, so the same command again does only what is missing.
    pub async fn commit(&self, tx: Tx, step: &str) -> Result<()> {
        let answer = commit_with_points(tx, step).await;
        self.pool.tidy();
        answer.map_err(|source| Error::Uncertain {
            step: step.to_owned(),
            source,
        })
    }

    /// Commits the transaction of an intake. When the ledger does not answer, the intake's own row says what happened.
    pub async fn commit_of(&self, tx: Tx, step: &str, intake: i64) -> Result<()> {
        let answer = commit_with_points(tx, step).await;
        self.pool.tidy();
        match answer {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::warn!(step, %error, "the ledger did not confirm the commit; checking whether it succeeded");
                match writer_fence::is_committed(self, intake).await {
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
        let rows = query(self.engine().tables()).fetch_all(self).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    /// The time of the server that has the ledger, seconds since 1970; none where the ledger is a file of this machine.
    pub async fn server_seconds(&self) -> Result<Option<i64>> {
        if self.engine() == Engine::Sqlite {
            return Ok(None);
        }
        let row = query(format!("SELECT {}", self.engine().now_seconds()))
            .fetch_one(self)
            .await?;
        row.try_get(0).map(Some)
    }

    /// What the database itself finds wrong with its file; empty is good.
    pub async fn integrity(&self) -> Result<Vec<String>> {
        let Some(check) = self.engine().integrity() else {
            return Ok(Vec::new());
        };
        let rows = query(check).fetch_all(self).await?;
        let all: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_>>()?;
        Ok(all.into_iter().filter(|sentence| sentence != "ok").collect())
    }

    /// Ends the connections; SQLite's write-ahead log is folded into the database file.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

/// How long a server that went away is waited for.
struct Patience<'l> {
    ledger: &'l Ledger,
    until: tokio::time::Instant,
}

impl Patience<'_> {
    /// Waits a little, when the error says that the connection was lost and there is time left.
    async fn bear(&mut self, error: sqlx::Error) -> Result<()> {
        if self.ledger.engine() == Engine::Sqlite || !engine::is_lost(&error) {
            return Err(error.into());
        }
        if tokio::time::Instant::now() >= self.until {
            self.ledger.is_given_up.store(true, Ordering::Relaxed);
            return Err(error.into());
        }
        tracing::warn!(%error, "the ledger does not respond; retrying");
        tokio::time::sleep(AGAIN_AFTER).await;
        Ok(())
    }
}

async fn commit_with_points(tx: Tx, step: &str) -> std::result::Result<(), sqlx::Error> {
    crate::support::failpoint::point(&format!("{step}.before_commit"));
    let mut answer = tx.inner.commit().await;
    if crate::support::failpoint::loses_answer(step) {
        answer = Err(sqlx::Error::WorkerCrashed);
    }
    crate::support::failpoint::point(&format!("{step}.after_commit"));
    answer
}

/// The next number of a counter, in commit order: the row stays locked until the transaction ends.
pub async fn next_number(tx: &mut Tx, counter: &str) -> Result<i64> {
    query("UPDATE counter SET value = value + 1 WHERE name = ?")
        .bind(counter)
        .execute(tx)
        .await?;
    let row = query("SELECT value FROM counter WHERE name = ?")
        .bind(counter)
        .fetch_one(&mut *tx)
        .await?;
    row.try_get(0)
}

/// Sets a counter that stands for what is done.
pub async fn set_counter(tx: &mut Tx, counter: &str, value: i64) -> Result<()> {
    query("UPDATE counter SET value = ? WHERE name = ?")
        .bind(value)
        .bind(counter)
        .execute(tx)
        .await?;
    Ok(())
}

/// Reserves `count` numbers of a counter and returns the first.
pub async fn next_numbers(tx: &mut Tx, counter: &str, count: i64) -> Result<i64> {
    query("UPDATE counter SET value = value + ? WHERE name = ?")
        .bind(count)
        .bind(counter)
        .execute(tx)
        .await?;
    let row = query("SELECT value FROM counter WHERE name = ?")
        .bind(counter)
        .fetch_one(&mut *tx)
        .await?;
    let last: i64 = row.try_get(0)?;
    Ok(last - count + 1)
}
