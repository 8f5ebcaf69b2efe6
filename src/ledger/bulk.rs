//! Many rows at once: one statement for thousands of rows, in a form every engine takes.

use sqlx::AssertSqlSafe;

use super::Tx;
use super::engine::MAX_PARAMETERS;
use crate::error::Result;

/// A column's value.
#[derive(Clone, Debug)]
pub enum Value {
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
    NullText,
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        value.map_or(Self::NullText, Self::Text)
    }
}

/// Inserts rows with `into` = `table (a, b)`; every row has as many values as `into` has columns.
pub async fn insert_rows<const N: usize>(
    tx: &mut Tx,
    into: &str,
    rows: impl IntoIterator<Item = [Value; N]>,
) -> Result<u64> {
    let rows_max = MAX_PARAMETERS / N;
    let mut full_statement = None;
    let mut pending: Vec<[Value; N]> = Vec::with_capacity(rows_max);
    let mut inserted = 0;
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        pending.extend(rows.by_ref().take(rows_max));
        let statement = if pending.len() == rows_max {
            full_statement
                .get_or_insert_with(|| insert_statement::<N>(into, rows_max))
                .clone()
        } else {
            insert_statement::<N>(into, pending.len())
        };
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for value in pending.drain(..).flatten() {
            query = match value {
                Value::Integer(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
                Value::NullText => query.bind(None::<String>),
            };
        }
        inserted += query.execute(&mut **tx).await?.rows_affected();
    }
    Ok(inserted)
}

fn insert_statement<const N: usize>(into: &str, rows: usize) -> String {
    let row = format!("({})", vec!["?"; N].join(","));
    format!("INSERT INTO {into} VALUES {}", vec![row.as_str(); rows].join(","))
}
