//! What differs between database engines, and nothing else: how to connect and what a session needs, how values go in and
//! come out, the few texts of SQL that have no common form, how many rows are written at once, and which errors say that the
//! connection was lost.

mod migrations;
mod mysql;
mod postgres;
mod sqlite;
mod url;

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, MySql, MySqlPool, PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::bulk::Target;
use super::value::{Row, Value};
use crate::support::error::Result;
pub use mysql::options_of as mysql_options;
pub use postgres::options_of as postgres_options;
pub use url::{fault as fault_of_url, has_password, without_password};

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
    /// MySQL and MariaDB.
    MySql,
}

/// Enough for one writer, its reads beside it, and its heartbeat.
const CONNECTIONS_MAX: u32 = 8;

/// How long a server lets a session stand idle in a transaction (MySQL: stand idle at all). A run that stands still while it writes keeps
/// everybody waiting; then its transaction is undone, and it may not commit when it wakes up. Half of what the others wait, so that
/// they go on; a transaction does nothing but talk to the ledger, so a run that lives is never idle for so long.
fn idle_limit_s(wait_s: u32) -> u32 {
    (wait_s / 2).clamp(10, 60)
}

/// How long it may take to get a connection before it counts as lost.
fn connect_limit(wait_s: u32) -> Duration {
    Duration::from_secs((wait_s / 6).clamp(3, 10).into())
}

/// The first connection of a run: what is wrong with the ledger is told at once, where a pool would try for a while. Only a server
/// that says itself that it is starting or stopping is waited for.
async fn first<O>(wait_s: u32, options: &O) -> sqlx::Result<()>
where
    O: sqlx::ConnectOptions<Connection: Sized>,
{
    let until = tokio::time::Instant::now() + Duration::from_secs(wait_s.into());
    loop {
        let error = match tokio::time::timeout(connect_limit(wait_s), options.connect()).await {
            Ok(Ok(connection)) => {
                // A server that is told goodbye over TLS may be gone before it is told that the encryption ends, too.
                connection.close().await.ok();
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(_) => return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        };
        if !is_in_between(&error) || tokio::time::Instant::now() >= until {
            return Err(error);
        }
        tracing::warn!(%error, "the ledger is not ready; retrying");
        tokio::time::sleep(crate::storage::ledger::AGAIN_AFTER).await;
    }
}

/// One row that every writing transaction of a server locks first: what SQLite does by itself. Without it, two transactions could
/// each read what the other is about to change.
const TAKE_WRITE_LOCK: &str = "SELECT one FROM write_lock FOR UPDATE";

impl Engine {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
        }
    }

    /// The database's own clock, seconds since 1970.
    pub fn now_seconds(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(strftime('%s', 'now') AS INTEGER)",
            Self::Postgres => "CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp())) AS BIGINT)",
            Self::MySql => "CAST(UNIX_TIMESTAMP() AS SIGNED)",
        }
    }

    /// A sum of whole numbers that may be beyond 64 bits, as two columns for [`Row::wide`].
    pub fn wide_sum(self, column: &str) -> String {
        match self {
            // A sum of its own that does not fit is an error without a name. Shifted, it fits 2^31 rows.
            Self::Sqlite => format!("COALESCE(SUM({column} >> 32), 0), COALESCE(SUM({column} & 4294967295), 0)"),
            // Theirs are decimals.
            Self::Postgres => format!("CAST(0 AS BIGINT), COALESCE(SUM({column}), 0)"),
            Self::MySql => format!("CAST(0 AS SIGNED), COALESCE(SUM({column}), 0)"),
        }
    }

    /// The names of all tables of ours.
    pub(super) fn tables(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
                 AND name NOT LIKE '_sqlx_%' ORDER BY name"
            }
            Self::Postgres => {
                "SELECT CAST(table_name AS TEXT) COLLATE \"C\" AS name FROM information_schema.tables \
                 WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name NOT LIKE '\\_sqlx%' \
                 AND table_name <> 'write_lock' ORDER BY name"
            }
            Self::MySql => {
                "SELECT CAST(table_name AS CHAR(64)) AS name FROM information_schema.tables WHERE table_schema = DATABASE() \
                 AND table_type = 'BASE TABLE' AND table_name NOT LIKE '\\_sqlx%' AND table_name <> 'write_lock' ORDER BY name"
            }
        }
    }

    /// The database checks its own file: one row `ok`, or a row for each fault. A server checks its pages by itself.
    pub(super) fn integrity(self) -> Option<&'static str> {
        (self == Self::Sqlite).then_some("PRAGMA integrity_check")
    }

    /// The columns of a table, bound as the only value: name and type, in the engine's own words.
    pub(super) fn columns(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT name, type FROM pragma_table_info(?) ORDER BY name",
            Self::Postgres => {
                // `information_schema.columns` reads the columns of every table of the database, however many schemas it has.
                "SELECT CAST(attname AS TEXT) COLLATE \"C\" AS name, format_type(atttypid, NULL) FROM pg_attribute \
                 WHERE attrelid = to_regclass(quote_ident(current_schema()) || '.' || quote_ident(?)) \
                 AND attnum > 0 AND NOT attisdropped ORDER BY name"
            }
            Self::MySql => {
                "SELECT CAST(column_name AS CHAR(64)) AS name, CAST(data_type AS CHAR(64)) FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = ? ORDER BY name"
            }
        }
    }

    /// A column of text to order by: by its bytes, whatever the database's own order of text is. Columns of SQLite and MySQL have it.
    pub(super) fn by_bytes(self, column: &str) -> String {
        match self {
            Self::Postgres => format!("{column} COLLATE \"C\""),
            Self::Sqlite | Self::MySql => column.to_owned(),
        }
    }

    /// Makes a session overwrite what it removes. Servers have no such thing: their tables are written anew afterwards.
    pub(super) fn overwrites(self) -> Option<&'static str> {
        (self == Self::Sqlite).then_some("PRAGMA secure_delete = ON")
    }

    /// Begins a transaction that reads the ledger in one state: in SQLite the first answer fixes it.
    fn begin_reading(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN; SELECT COUNT(*) FROM sqlite_master",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::MySql => {
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
            }
        }
    }

    pub(super) fn migrations(self) -> &'static Migrator {
        match self {
            Self::Sqlite => &sqlite::MIGRATIONS,
            Self::Postgres => &postgres::MIGRATIONS,
            Self::MySql => &mysql::MIGRATIONS,
        }
    }

    /// `?` is not everyone's sign for a value.
    fn text(self, sql: &str) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Postgres => postgres::numbered(sql).into(),
            Self::Sqlite | Self::MySql => sql.into(),
        }
    }
}

/// Connections to a ledger.
#[derive(Clone)]
pub enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

/// A transaction that may write. It has waited for every other one: only one writes at a time, and sees what all before it
/// wrote.
pub enum Writing {
    Sqlite(sqlite::Writing),
    Postgres(Transaction<'static, Postgres>),
    MySql(Transaction<'static, MySql>),
}

/// A transaction that reads, and sees the ledger in one state whatever others commit meanwhile. Its connection ends with it, so that no
/// other question is ever asked within it.
pub enum Reading {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
    MySql(PoolConnection<MySql>),
}

/// Runs `$body` with the connection of whichever engine it is, and that engine's module as `$engine`.
macro_rules! on {
    ($kind:ident, $of:expr, |$connection:ident| $body:expr) => {
        match $of {
            $kind::Sqlite($connection) => $body,
            $kind::Postgres($connection) => $body,
            $kind::MySql($connection) => $body,
        }
    };
    ($kind:ident, $of:expr, |$connection:ident, $engine:ident| $body:expr) => {
        match $of {
            $kind::Sqlite($connection) => {
                use sqlite as $engine;
                $body
            }
            $kind::Postgres($connection) => {
                use postgres as $engine;
                $body
            }
            $kind::MySql($connection) => {
                use mysql as $engine;
                $body
            }
        }
    };
}

impl Pool {
    /// Connects, without making a table. `wait_s`: how long a transaction waits for another program's.
    pub async fn open(url: &str, wait_s: u32) -> Result<Self> {
        Ok(match url::engine_of(url)? {
            Engine::Sqlite => Self::Sqlite(sqlite::open(url, wait_s).await?),
            Engine::Postgres => Self::Postgres(postgres::open(url, wait_s).await?),
            Engine::MySql => Self::MySql(mysql::open(url, wait_s).await?),
        })
    }

    pub fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
            Self::MySql(_) => Engine::MySql,
        }
    }

    pub async fn migrate(&self) -> std::result::Result<(), sqlx::migrate::MigrateError> {
        let migrations = self.engine().migrations();
        on!(Pool, self, |pool| migrations.run(pool).await)
    }

    /// Makes the tables as they were at a version.
    pub async fn migrate_to(&self, version: i64) -> std::result::Result<(), sqlx::migrate::MigrateError> {
        let steps = self.engine().migrations().iter();
        let steps = steps.filter(|step| step.version <= version).cloned().collect();
        let migrations = Migrator::with_migrations(steps);
        on!(Pool, self, |pool| migrations.run(pool).await)
    }

    /// Writes tables anew without the remains of what was in them.
    pub async fn compact(&self, tables: &[&str]) -> Result<()> {
        match self {
            Self::Sqlite(pool) => sqlite::compact(pool).await,
            Self::Postgres(pool) => postgres::compact(pool, tables).await,
            Self::MySql(pool) => mysql::compact(pool, tables).await,
        }
    }

    pub async fn begin_reading(&self) -> sqlx::Result<Reading> {
        let begin = self.engine().begin_reading();
        Ok(match self {
            Self::Sqlite(pool) => {
                let mut connection = pool.acquire().await?;
                connection.close_on_drop();
                sqlx::raw_sql(begin).execute(&mut *connection).await?;
                Reading::Sqlite(connection)
            }
            Self::Postgres(pool) => {
                let mut connection = pool.acquire().await?;
                connection.close_on_drop();
                sqlx::raw_sql(begin).execute(&mut *connection).await?;
                Reading::Postgres(connection)
            }
            Self::MySql(pool) => {
                let mut connection = pool.acquire().await?;
                connection.close_on_drop();
                sqlx::raw_sql(begin).execute(&mut *connection).await?;
                Reading::MySql(connection)
            }
        })
    }

    pub async fn begin(&self) -> sqlx::Result<Writing> {
        Ok(match self {
            Self::Sqlite(pool) => Writing::Sqlite(sqlite::begin(pool).await?),
            Self::Postgres(pool) => Writing::Postgres(postgres::begin(pool).await?),
            Self::MySql(pool) => Writing::MySql(mysql::begin(pool).await?),
        })
    }

    pub async fn fetch_all(&self, sql: &str, values: &[Value]) -> sqlx::Result<Vec<Row>> {
        on!(Pool, self, |pool, engine| engine::fetch_all(pool, sql, values).await)
    }

    pub async fn for_each(
        &self,
        sql: &str,
        values: &[Value],
        act: &mut (dyn FnMut(Row) -> Result<()> + Send),
    ) -> Result<()> {
        on!(Pool, self, |pool, engine| engine::for_each(pool, sql, values, act)
            .await)
    }

    pub async fn execute(&self, sql: &str, values: &[Value]) -> sqlx::Result<u64> {
        on!(Pool, self, |pool, engine| engine::execute(pool, sql, values).await)
    }

    /// Work that a commit leaves behind and nobody waits for.
    pub fn tidy(&self) {
        let Self::Sqlite(pool) = self else { return };
        let pool = pool.clone();
        tokio::spawn(async move {
            if let Err(error) = sqlite::fold(&pool).await {
                tracing::debug!(%error, "the write-ahead log stays as it is for now");
            }
        });
    }

    pub async fn close(&self) {
        on!(Pool, self, |pool| pool.close().await);
    }
}

impl Reading {
    pub fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
            Self::MySql(_) => Engine::MySql,
        }
    }

    pub async fn fetch_all(&mut self, sql: &str, values: &[Value]) -> sqlx::Result<Vec<Row>> {
        on!(Reading, self, |on, engine| engine::fetch_all(&mut **on, sql, values)
            .await)
    }

    pub async fn for_each(
        &mut self,
        sql: &str,
        values: &[Value],
        act: &mut (dyn FnMut(Row) -> Result<()> + Send),
    ) -> Result<()> {
        on!(Reading, self, |on, engine| engine::for_each(
            &mut **on, sql, values, act
        )
        .await)
    }

    /// Ends it. A connection that is lost by now has ended it too.
    pub async fn end(self) -> sqlx::Result<()> {
        on!(Reading, self, |on| on.close().await)
    }
}

impl Writing {
    pub fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
            Self::MySql(_) => Engine::MySql,
        }
    }

    pub async fn fetch_all(&mut self, sql: &str, values: &[Value]) -> sqlx::Result<Vec<Row>> {
        on!(Writing, self, |tx, engine| engine::fetch_all(&mut **tx, sql, values)
            .await)
    }

    pub async fn execute(&mut self, sql: &str, values: &[Value]) -> sqlx::Result<u64> {
        on!(Writing, self, |tx, engine| engine::execute(&mut **tx, sql, values)
            .await)
    }

    /// Writes rows as fast as the engine takes them.
    pub async fn load(
        &mut self,
        target: &Target<'_>,
        rows: &mut (dyn Iterator<Item = Vec<Value>> + Send),
    ) -> sqlx::Result<()> {
        on!(Writing, self, |tx, engine| engine::load(tx, target, rows).await)
    }

    pub async fn commit(self) -> sqlx::Result<()> {
        on!(Writing, self, |tx| tx.commit().await)
    }
}

/// Whether the connection was lost or refused, so that the same question may be answered in a while.
pub fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(database) => {
            is_in_between(error)
                || match database.code().as_deref() {
                    // PostgreSQL: crashed, connection gone, idle for too long.
                    Some("57P02" | "57P05" | "08006" | "08003" | "08001") => true,
                    _ => [
                        "Connection was killed",
                        "disconnected by the server because of inactivity",
                    ]
                    .iter()
                    .any(|sign| database.message().contains(sign)),
                }
        }
        _ => false,
    }
}

/// Whether a server says that it is stopping, starting, or has too many connections just now.
fn is_in_between(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    // PostgreSQL: shut down by its administrator, starting or stopping, too many clients; MySQL: shutting down, too many connections.
    matches!(
        error.code().as_deref(),
        Some("57P01" | "57P03" | "53300" | "08S01" | "08004")
    ) || error.message().contains("Server shutdown in progress")
}

/// Whether a question failed because its table is not there.
pub fn is_missing_table(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    matches!(error.code().as_deref(), Some("42P01" | "42S02")) || error.message().contains("no such table")
}

/// What every engine does in the same words, but in its own types: `$value(row, at)` reads a column, `$amount` is how a decimal
/// goes in.
macro_rules! driver {
    ($database:ty, $kind:expr, $amount:path, $value:path) => {
        use futures_util::TryStreamExt as _;
        use sqlx::{AssertSqlSafe, Column as _, Executor, Row as _};

        type Query = sqlx::query::Query<'static, $database, <$database as sqlx::Database>::Arguments>;

        fn bind(query: Query, value: &$crate::storage::ledger::Value) -> Query {
            use $crate::storage::ledger::Value;
            match value {
                Value::Integer(value) => query.bind(*value),
                Value::Text(text) => query.bind(text.clone()),
                Value::Bytes(bytes) => query.bind(bytes.clone()),
                Value::Amount(amount) => query.bind($amount(*amount)),
                Value::NullInteger => query.bind(None::<i64>),
                Value::NullText => query.bind(None::<String>),
            }
        }

        fn values(row: &<$database as sqlx::Database>::Row) -> sqlx::Result<Vec<$crate::storage::ledger::Value>> {
            (0..row.len()).map(|at| $value(row, at)).collect()
        }

        fn prepared(sql: &str, values: &[$crate::storage::ledger::Value]) -> Query {
            let query = sqlx::query(AssertSqlSafe($kind.text(sql).into_owned()));
            values.iter().fold(query, bind)
        }

        fn names(row: &<$database as sqlx::Database>::Row) -> std::sync::Arc<[String]> {
            row.columns()
                .iter()
                .map(|column| column.name().to_owned())
                .collect()
        }

        pub async fn fetch_all<'c>(
            on: impl Executor<'c, Database = $database>,
            sql: &str,
            bound: &[$crate::storage::ledger::Value],
        ) -> sqlx::Result<Vec<$crate::storage::ledger::value::Row>> {
            let rows = prepared(sql, bound).fetch_all(on).await?;
            let Some(first) = rows.first() else {
                return Ok(Vec::new());
            };
            let names = names(first);
            rows.iter()
                .map(|row| {
                    Ok($crate::storage::ledger::value::Row::new(
                        std::sync::Arc::clone(&names),
                        values(row)?,
                    ))
                })
                .collect()
        }

        pub async fn for_each<'c>(
            on: impl Executor<'c, Database = $database>,
            sql: &str,
            bound: &[$crate::storage::ledger::Value],
            act: &mut (dyn FnMut($crate::storage::ledger::value::Row) -> $crate::support::error::Result<()> + Send),
        ) -> $crate::support::error::Result<()> {
            let mut rows = prepared(sql, bound).fetch(on);
            let mut known = None;
            while let Some(row) = rows.try_next().await? {
                let names = std::sync::Arc::clone(known.get_or_insert_with(|| names(&row)));
                act($crate::storage::ledger::value::Row::new(names, values(&row)?))?;
            }
            Ok(())
        }

        pub async fn execute<'c>(
            on: impl Executor<'c, Database = $database>,
            sql: &str,
            values: &[$crate::storage::ledger::Value],
        ) -> sqlx::Result<u64> {
            Ok(prepared(sql, values).execute(on).await?.rows_affected())
        }
    };
}
use driver;
