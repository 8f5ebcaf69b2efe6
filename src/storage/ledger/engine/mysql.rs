//! MySQL and MariaDB: a ledger that several machines and dashboards share.

use std::str::FromStr as _;
use std::sync::LazyLock;

use sqlx::migrate::Migrator;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlRow};
use sqlx::{ConnectOptions as _, MySql, MySqlConnection, MySqlPool, Transaction, Type, ValueRef as _};

use super::url::{has_password, password_from_environment, unreadable, without_brackets};
use super::{CONNECTIONS_MAX, Engine, driver, migrations};
use crate::storage::ledger::bulk::{Target, insert_statement};
use crate::storage::ledger::value::Value;
use crate::support::error::{Error, Result};

pub static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(migrations::mysql);

/// Parameters of one statement at most (the protocol's limit is 65,535).
const PARAMETERS_MAX: usize = 60_000;

/// Bytes of one statement's values before it is sent; a quarter of the least `max_allowed_packet` that servers come with, as
/// the last row may be a large one.
const STATEMENT_BYTES: usize = 4 << 20;

driver!(MySql, Engine::MySql, std::convert::identity, value);

/// What a URL says, with the host as it is connected to.
///
/// # Errors
/// Where the driver cannot read it.
pub fn options_of(url: &str) -> sqlx::Result<MySqlConnectOptions> {
    let options = MySqlConnectOptions::from_str(url)?;
    Ok(match without_brackets(options.get_host()) {
        Some(host) => options.host(&host),
        None => options,
    })
}

pub async fn open(url: &str, wait_s: u32) -> Result<MySqlPool> {
    let mut options = options_of(url)
        .map_err(|error| unreadable(url, &error))?
        .disable_statement_logging();
    if !has_password(url)
        && let Some(password) = password_from_environment("MYSQL_PWD")
    {
        options = options.password(&password);
    }
    let session = format!(
        "SET SESSION innodb_lock_wait_timeout = {}, wait_timeout = {}, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'; \
         SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        wait_s.max(1),
        crate::storage::ledger::engine::idle_limit_s(wait_s)
    );
    crate::storage::ledger::engine::first(wait_s, &options).await?;
    let pool = MySqlPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(crate::storage::ledger::engine::connect_limit(wait_s))
        .after_connect(move |connection, _| {
            let session = session.clone();
            Box::pin(async move {
                sqlx::raw_sql(AssertSqlSafe(session)).execute(connection).await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await?;
    Ok(pool)
}

/// Waits until no other transaction writes: what this one reads cannot change before it ends.
pub async fn begin(pool: &MySqlPool) -> sqlx::Result<Transaction<'static, MySql>> {
    let mut tx = pool.begin().await?;
    sqlx::query(crate::storage::ledger::engine::TAKE_WRITE_LOCK)
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

/// Writes tables anew. What is wrong is told in the answer's rows.
pub async fn compact(pool: &MySqlPool, tables: &[&str]) -> Result<()> {
    for table in tables {
        let answer = sqlx::query(AssertSqlSafe(format!("OPTIMIZE TABLE {table}")))
            .persistent(false)
            .fetch_all(pool)
            .await?;
        for row in answer {
            let (kind, text): (String, String) = (row.try_get_unchecked(2)?, row.try_get_unchecked(3)?);
            if kind.eq_ignore_ascii_case("error") {
                return Err(Error::NeedsPerson(format!("OPTIMIZE TABLE {table}: {text}")));
            }
        }
    }
    Ok(())
}

fn value(row: &MySqlRow, at: usize) -> sqlx::Result<Value> {
    let kind = row.column(at).type_info();
    if row.try_get_raw(at)?.is_null() {
        return Ok(Value::NullText);
    }
    Ok(if <i64 as Type<MySql>>::compatible(kind) {
        Value::Integer(row.try_get(at)?)
    } else if <rust_decimal::Decimal as Type<MySql>>::compatible(kind) {
        Value::Amount(row.try_get(at)?)
    } else if <String as Type<MySql>>::compatible(kind) {
        Value::Text(row.try_get(at)?)
    } else {
        Value::Bytes(row.try_get(at)?)
    })
}

pub async fn load(
    on: &mut MySqlConnection,
    target: &Target<'_>,
    rows: &mut (dyn Iterator<Item = Vec<Value>> + Send),
) -> sqlx::Result<()> {
    let rows_max = PARAMETERS_MAX / target.columns.len();
    let mut pending: Vec<Value> = Vec::new();
    let mut bytes = 0;
    for row in rows {
        bytes += row.iter().map(Value::bytes).sum::<usize>();
        pending.extend(row);
        if bytes >= STATEMENT_BYTES || pending.len() / target.columns.len() == rows_max {
            insert(on, target, std::mem::take(&mut pending)).await?;
            bytes = 0;
        }
    }
    if pending.is_empty() {
        return Ok(());
    }
    insert(on, target, pending).await
}

async fn insert(on: &mut MySqlConnection, target: &Target<'_>, values: Vec<Value>) -> sqlx::Result<()> {
    let sql = insert_statement(target, values.len() / target.columns.len());
    // Statements of a few rows come again and again; large ones would fill the server's memory of prepared statements.
    let is_small = values.len() <= target.columns.len() * 4;
    let query = sqlx::query(AssertSqlSafe(sql)).persistent(is_small);
    let query = values.iter().fold(query, bind);
    query.execute(on).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_ipv6_address_is_connected_to_without_the_brackets_of_its_url() {
        for (url, host) in [
            ("mysql://u@[::1]:7/d", "::1"),
            ("mysql://u@[2001:db8::7]/d", "2001:db8::7"),
            ("mysql://u@127.0.0.1/d", "127.0.0.1"),
            ("mysql://u@db.example/d", "db.example"),
        ] {
            assert_eq!(options_of(url).unwrap().get_host(), host);
        }
    }
}
