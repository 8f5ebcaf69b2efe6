//! SQLite: the embedded ledger.

use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Sqlite, SqliteConnection, SqlitePool, Transaction, ValueRef as _};

use super::{CONNECTIONS_MAX, Engine, driver, migrations, url};
use crate::storage::durable_files::{TO_THE_END, begin_writeback};
use crate::storage::ledger::bulk::{Target, insert_statement};
use crate::storage::ledger::value::{Value, amount_text};
use crate::support::error::{Error, Result};

pub static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(migrations::sqlite);

/// So that an error of SQLite's is told, and not that the pool waited in vain.
const POOL_WAITS_LONGER: Duration = Duration::from_secs(30);

/// Values of one INSERT: each statement goes to the driver's thread and back, and its values are in memory three times.
const VALUES_MAX: usize = 2560;

/// Rows that the driver's thread reads ahead of who takes them: with fewer, the two wake each other up for every few rows.
const ROWS_AHEAD: usize = 512;

/// Memory for pages of each connection, in KiB. What is written or read in bulk is touched once, and goes through a small memory faster
/// than through a large one; the pages that come again and again (indexes, small tables) are fewer.
const CACHE_KIB: u32 = 32 * 1024;

/// Pages in the write-ahead log from which on it is folded into the file (16 MiB).
const LOG_PAGES: i64 = 1000;

driver!(Sqlite, Engine::Sqlite, amount_text, value);

pub async fn open(url: &str, wait_s: u32) -> Result<SqlitePool> {
    let wait = Duration::from_secs(u64::from(wait_s));
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|error| url::unreadable(url, &error))?
        .disable_statement_logging()
        .busy_timeout(wait)
        // Before the first table: statements are documents of some KiB, and small pages would chain them.
        .page_size(16384)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("cache_size", format!("-{CACHE_KIB}"))
        .row_buffer_size(ROWS_AHEAD)
        // See `fold`.
        .pragma("wal_autocheckpoint", "0");
    // What is wrong with the file is told at once; the pool only has to wait longer than SQLite itself does.
    SqlitePoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(wait + POOL_WAITS_LONGER)
        .connect_with(options)
        .await
        .map_err(Into::into)
}

/// Bytes of values after which the disk is asked to begin with what lies in the write-ahead log: a commit waits until all of it is on
/// disk, and a night's log is large.
const AHEAD_BYTES: usize = 8 << 20;

/// A transaction, and the write-ahead log that it fills.
pub struct Writing {
    tx: Transaction<'static, Sqlite>,
    log: PathBuf,
    /// Values since the disk was asked.
    bytes: usize,
}

impl Writing {
    pub async fn commit(self) -> sqlx::Result<()> {
        self.tx.commit().await
    }

    /// Asks the disk to begin, when there is enough to do. SQLite keeps no lock on its log, so that closing it here frees none.
    fn has_given(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= AHEAD_BYTES {
            self.bytes = 0;
            // It may wait for a busy disk.
            tokio::task::block_in_place(|| {
                if let Ok(log) = File::open(&self.log) {
                    begin_writeback(&log, 0, TO_THE_END);
                }
            });
        }
    }
}

impl Deref for Writing {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.tx
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.tx
    }
}

/// Takes the write lock at once instead of at the first write, so a transaction never fails halfway for having read.
pub async fn begin(pool: &SqlitePool) -> sqlx::Result<Writing> {
    let mut log = pool.connect_options().get_filename().as_os_str().to_owned();
    log.push("-wal");
    Ok(Writing {
        tx: pool.begin_with("BEGIN IMMEDIATE").await?,
        log: log.into(),
        bytes: 0,
    })
}

/// Folds the write-ahead log into the file once it is large. SQLite itself would do it within the commit that makes it large, and whoever
/// commits would wait. Nothing depends on it: pages are found in the log as well, and the last connection that closes folds it.
pub async fn fold(pool: &SqlitePool) -> sqlx::Result<()> {
    let sizes = sqlx::query("PRAGMA wal_checkpoint(NOOP)").fetch_one(pool).await?;
    let (in_log, folded): (i64, i64) = (sizes.try_get(1)?, sizes.try_get(2)?);
    if in_log - folded >= LOG_PAGES {
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(pool).await?;
    }
    Ok(())
}

/// Times that the log is asked to be emptied: while somebody reads from it, it stays.
const EMPTYINGS_MAX: usize = 20;

/// Between two of them.
const EMPTIED_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Writes the file anew, which leaves no free page and no remains in a page that is used, and empties the write-ahead log, which had both.
pub async fn compact(pool: &SqlitePool) -> Result<()> {
    sqlx::query("VACUUM").execute(pool).await?;
    for _ in 0..EMPTYINGS_MAX {
        let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(pool).await?;
        if row.try_get::<i64, _>(0)? == 0 {
            return Ok(());
        }
        tokio::time::sleep(EMPTIED_AGAIN_AFTER).await;
    }
    Err(Error::InUse(
        "the ledger's write-ahead log could not be emptied, because another program reads the ledger: end it"
            .to_owned(),
    ))
}

/// The value as it lies in the row, whatever its column should hold.
fn value(row: &SqliteRow, at: usize) -> sqlx::Result<Value> {
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        return Ok(Value::NullText);
    }
    let stored = raw.type_info();
    Ok(match sqlx::TypeInfo::name(&*stored) {
        "INTEGER" => Value::Integer(row.try_get_unchecked(at)?),
        // Bytes that are no UTF-8 are a row that nobody of ours wrote: its reader is told so, and `verify` names it.
        "TEXT" => match row.try_get_unchecked(at) {
            Ok(text) => Value::Text(text),
            Err(_) => Value::Bytes(row.try_get_unchecked(at)?),
        },
        _ => Value::Bytes(row.try_get_unchecked(at)?),
    })
}

/// Writes rows; those of the next statement are made ready while the driver's thread writes the last ones.
pub async fn load(
    on: &mut Writing,
    target: &Target<'_>,
    rows: &mut (dyn Iterator<Item = Vec<Value>> + Send),
) -> sqlx::Result<()> {
    let rows_max = (VALUES_MAX / target.columns.len()).max(1);
    let full = insert_statement(target, rows_max);
    let mut next_insert = || -> Option<(Query, usize)> {
        let some: Vec<Vec<Value>> = rows.take(rows_max).collect();
        let sql = match some.len() {
            0 => return None,
            count if count == rows_max => full.clone(),
            count => insert_statement(target, count),
        };
        let bytes = some.iter().flatten().map(Value::bytes).sum();
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in some.into_iter().flatten() {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
                other => bind(query, &other),
            };
        }
        Some((query, bytes))
    };
    let mut insert = next_insert();
    while let Some((query, bytes)) = insert {
        let (written, next) = join(query.execute(&mut **on), async { next_insert() }).await;
        written?;
        on.has_given(bytes);
        insert = next;
    }
    Ok(())
}
