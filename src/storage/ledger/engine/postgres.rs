//! PostgreSQL: a ledger that several machines and dashboards share.

use std::fmt::Write as _;
use std::str::FromStr as _;
use std::sync::LazyLock;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions as _, PgConnection, PgPool, Postgres, Transaction, Type, ValueRef as _};

use super::url::{has_password, password_from_environment, unreadable, without_brackets};
use super::{CONNECTIONS_MAX, Engine, driver, migrations};
use crate::storage::ledger::bulk::{Target, insert_statement};
use crate::storage::ledger::value::{Value, amount_text};
use crate::support::error::Result;

pub static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(migrations::postgres);

/// Below it one INSERT is as fast as a COPY, which takes a round trip more.
const COPY_FROM_ROWS: usize = 8;

/// What a COPY sends at once.
const COPY_BYTES: usize = 256 << 10;

driver!(Postgres, Engine::Postgres, std::convert::identity, value);

/// What a URL says, with the host as it is connected to.
///
/// # Errors
/// Where the driver cannot read it.
pub fn options_of(url: &str) -> sqlx::Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url)?;
    Ok(match without_brackets(options.get_host()) {
        Some(host) => options.host(&host),
        None => options,
    })
}

pub async fn open(url: &str, wait_s: u32) -> Result<PgPool> {
    let mut options = options_of(url)
        .map_err(|error| unreadable(url, &error))?
        .application_name("tallybook")
        .disable_statement_logging();
    if !has_password(url)
        && let Some(password) = password_from_environment("PGPASSWORD")
    {
        options = options.password(&password);
    }
    let session = format!(
        "SET lock_timeout = '{}ms'; SET idle_in_transaction_session_timeout = '{}s'; \
         SET default_transaction_isolation = 'read committed'; SET timezone = 'UTC'; SET client_min_messages = 'warning'",
        // 0 would be no limit.
        (u64::from(wait_s) * 1000).max(1),
        crate::storage::ledger::engine::idle_limit_s(wait_s)
    );
    crate::storage::ledger::engine::first(wait_s, &options).await?;
    let pool = PgPoolOptions::new()
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
pub async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut tx = pool.begin().await?;
    sqlx::query(crate::storage::ledger::engine::TAKE_WRITE_LOCK)
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

/// `?` as `$1`, `$2`, ...; not within quotes.
pub fn numbered(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len() + 16);
    let (mut number, mut quoted) = (0, false);
    for sign in sql.chars() {
        quoted ^= sign == '\'';
        if sign == '?' && !quoted {
            number += 1;
            let _infallible = write!(text, "${number}");
        } else {
            text.push(sign);
        }
    }
    text
}

/// Writes tables anew. Their owner alone may.
pub async fn compact(pool: &PgPool, tables: &[&str]) -> Result<()> {
    for table in tables {
        sqlx::raw_sql(AssertSqlSafe(format!("VACUUM (FULL, ANALYZE) {table}")))
            .execute(pool)
            .await?;
    }
    Ok(())
}

fn value(row: &PgRow, at: usize) -> sqlx::Result<Value> {
    let kind = row.column(at).type_info();
    if row.try_get_raw(at)?.is_null() {
        return Ok(Value::NullText);
    }
    Ok(if <i64 as Type<Postgres>>::compatible(kind) {
        Value::Integer(row.try_get(at)?)
    } else if <rust_decimal::Decimal as Type<Postgres>>::compatible(kind) {
        Value::Amount(row.try_get(at)?)
    } else if <i32 as Type<Postgres>>::compatible(kind) {
        Value::Integer(row.try_get::<i32, _>(at)?.into())
    } else if <Vec<u8> as Type<Postgres>>::compatible(kind) {
        Value::Bytes(row.try_get(at)?)
    } else {
        Value::Text(row.try_get(at)?)
    })
}

pub async fn load(
    on: &mut PgConnection,
    target: &Target<'_>,
    rows: &mut (dyn Iterator<Item = Vec<Value>> + Send),
) -> sqlx::Result<()> {
    let first: Vec<Vec<Value>> = rows.take(COPY_FROM_ROWS).collect();
    if first.is_empty() {
        return Ok(());
    }
    if first.len() < COPY_FROM_ROWS {
        let sql = insert_statement(target, first.len());
        let values: Vec<Value> = first.into_iter().flatten().collect();
        execute(on, &sql, &values).await?;
        return Ok(());
    }
    let sql = format!("COPY {} ({}) FROM STDIN", target.table, target.columns.join(", "));
    let mut copy = on.copy_in_raw(&sql).await?;
    let mut text = String::with_capacity(COPY_BYTES * 2);
    for row in first.into_iter().chain(rows) {
        push_row(&mut text, &row);
        if text.len() >= COPY_BYTES {
            copy.send(text.as_bytes()).await?;
            text.clear();
        }
    }
    copy.send(text.as_bytes()).await?;
    copy.finish().await?;
    Ok(())
}

/// A row in the text format of COPY: columns between tabs.
fn push_row(out: &mut String, row: &[Value]) {
    for (at, value) in row.iter().enumerate() {
        if at > 0 {
            out.push('\t');
        }
        match value {
            Value::Integer(value) => {
                let _infallible = write!(out, "{value}");
            }
            Value::Text(text) => push_escaped(out, text),
            Value::Bytes(bytes) => {
                out.push_str("\\\\x");
                for byte in bytes {
                    let _infallible = write!(out, "{byte:02x}");
                }
            }
            Value::Amount(amount) => out.push_str(&amount_text(*amount)),
            Value::NullInteger | Value::NullText => out.push_str("\\N"),
        }
    }
    out.push('\n');
}

fn push_escaped(out: &mut String, text: &str) {
    let is_special = |byte: &u8| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r');
    let mut rest = text;
    while let Some(at) = rest.as_bytes().iter().position(is_special) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'\t' => "\\t",
            b'\n' => "\\n",
            _ => "\\r",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_marks_become_numbers_outside_quotes() {
        assert_eq!(numbered("a = ? AND b = '?' AND c = ?"), "a = $1 AND b = '?' AND c = $2");
    }

    #[test]
    fn a_row_for_copy_escapes_what_would_end_it() {
        let row = [
            Value::from("a\tb\\c\nd"),
            Value::from("e\rf\\"),
            Value::Bytes(vec![0, 255]),
            Value::NullText,
            Value::Amount("12.30".parse().unwrap()),
            Value::from(-7),
        ];
        let mut text = String::new();
        push_row(&mut text, &row);
        assert_eq!(text, "a\\tb\\\\c\\nd\te\\rf\\\\\t\\\\x00ff\t\\N\t12.3\t-7\n");
    }

    #[test]
    fn the_number_of_an_ipv6_address_is_connected_to_without_the_brackets_of_its_url() {
        for (url, host) in [
            ("postgres://u@[::1]:7/d", "::1"),
            ("postgres://u@[2001:db8::7]/d", "2001:db8::7"),
            ("postgres://u@127.0.0.1/d", "127.0.0.1"),
            ("postgres://u@db.example/d", "db.example"),
        ] {
            assert_eq!(options_of(url).unwrap().get_host(), host);
        }
    }
}
