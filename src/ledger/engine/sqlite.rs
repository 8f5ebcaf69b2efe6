//! SQLite: the embedded ledger.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction, ValueRef as _};

use super::{CONNECTIONS_MAX, Engine, driver, url};
use crate::error::Result;
use crate::ledger::bulk::{Target, insert_statement};
use crate::ledger::value::{Value, amount_text};

pub static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Parameters of one statement at most (SQLite's own limit is 32,766).
const PARAMETERS_MAX: usize = 32_000;

driver!(Sqlite, Engine::Sqlite, amount_text, value);

pub async fn open(url: &str, wait_s: u32) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|error| url::unreadable(url, &error))?
        .disable_statement_logging()
        .busy_timeout(Duration::from_secs(u64::from(wait_s)))
        // Before the first table: statements are documents of some KiB, and small pages would chain them.
        .page_size(16384)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("cache_size", "-262144");
    // A pool tries for half a minute to set a connection up; what is wrong with the ledger is told at once.
    let first = SqliteConnection::connect_with(&options).await?;
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .connect_with(options)
        .await?;
    first.close().await?;
    Ok(pool)
}

/// Takes the write lock at once instead of at the first write, so a transaction never fails halfway for having read.
pub async fn begin(pool: &SqlitePool) -> sqlx::Result<Transaction<'static, Sqlite>> {
    pool.begin_with("BEGIN IMMEDIATE").await
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
        "TEXT" => Value::Text(row.try_get_unchecked(at)?),
        _ => Value::Bytes(row.try_get_unchecked(at)?),
    })
}

pub async fn load(
    on: &mut SqliteConnection,
    target: &Target<'_>,
    rows: &mut (dyn Iterator<Item = Vec<Value>> + Send),
) -> sqlx::Result<()> {
    let rows_max = PARAMETERS_MAX / target.columns.len();
    let full = insert_statement(target, rows_max);
    loop {
        let some: Vec<Vec<Value>> = rows.take(rows_max).collect();
        if some.is_empty() {
            return Ok(());
        }
        let sql = match some.len() {
            count if count == rows_max => full.clone(),
            count => insert_statement(target, count),
        };
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in some.into_iter().flatten() {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
                other => bind(query, &other),
            };
        }
        query.execute(&mut *on).await?;
    }
}
