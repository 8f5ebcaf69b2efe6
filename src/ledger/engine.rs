//! What differs between database engines. SQLite is the only one so far.

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection as _};

use crate::error::{Error, Result};

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Takes the write lock at once instead of at the first write.
pub const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// The database's own clock, seconds since 1970.
pub const NOW_SECONDS: &str = "CAST(strftime('%s', 'now') AS INTEGER)";

/// The names of all tables of ours.
pub const TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
     AND name NOT LIKE '_sqlx_%' ORDER BY name";

/// The database checks its own file: one row `ok`, or a row for each fault.
pub const INTEGRITY: &str = "PRAGMA integrity_check";

/// Most parameters of one statement (SQLite's own limit is 32,766).
pub const MAX_PARAMETERS: usize = 32_000;

/// Enough for one writer, its reads beside it, and dashboards.
const CONNECTIONS_MAX: u32 = 8;

/// `wait_s`: how long a transaction waits for another program's.
pub async fn open(url: &str, wait_s: u32) -> Result<AnyPool> {
    if !url.starts_with("sqlite:") {
        return Err(Error::Usage(format!(
            "--ledger {}: this build knows sqlite:// only; leave it out for the ledger in the data folder",
            without_password(url)
        )));
    }
    sqlx::any::install_default_drivers();
    // A pool tries for half a minute to set a connection up; what is wrong with the ledger is told at once.
    let mut first = AnyConnection::connect(url).await?;
    prepare(&mut first, wait_s).await?;
    let pool = AnyPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .after_connect(move |connection, _| Box::pin(prepare(connection, wait_s)))
        .connect(url)
        .await?;
    first.close().await?;
    SQLITE_MIGRATIONS.run(&pool).await?;
    Ok(pool)
}

async fn prepare(connection: &mut AnyConnection, wait_s: u32) -> std::result::Result<(), sqlx::Error> {
    let wait = format!("PRAGMA busy_timeout = {}", u64::from(wait_s) * 1000);
    for pragma in [
        wait.as_str(),
        // Before the first table: statements are documents of some KiB, and small pages would chain them.
        "PRAGMA page_size = 16384",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        "PRAGMA cache_size = -262144",
    ] {
        sqlx::query(AssertSqlSafe(pragma)).execute(&mut *connection).await?;
    }
    Ok(())
}

fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => format!("{}://...{}", &url[..scheme], &url[at..]),
        _ => url.to_owned(),
    }
}
