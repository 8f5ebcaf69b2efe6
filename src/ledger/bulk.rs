//! Many rows at once: one statement for thousands of rows, in a form every engine takes.

use sqlx::AssertSqlSafe;

use super::Tx;
use super::engine::MAX_PARAMETERS;
use super::seal::{Sealer, is_sealed};
use super::tally::{self, Tally};
use crate::error::Result;

/// A column's value.
#[derive(Clone, Debug)]
pub enum Value {
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
    NullText,
}

/// A query of the ledger, with its values.
pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Any, <sqlx::Any as sqlx::Database>::Arguments>;

impl Value {
    /// Hands the value to a query's next question mark.
    pub(super) fn bind_to(self, query: Query<'_>) -> Query<'_> {
        match self {
            Self::Integer(value) => query.bind(value),
            Self::Text(value) => query.bind(value),
            Self::Bytes(value) => query.bind(value),
            Self::NullText => query.bind(None::<String>),
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::NullText, Self::Integer)
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

/// Inserts rows with `into` = `table (a, b)`; every row has as many values as `into` has columns. Each row gets its seal.
pub async fn insert_rows<const N: usize>(
    tx: &mut Tx,
    into: &str,
    rows: impl IntoIterator<Item = [Value; N]>,
) -> Result<u64> {
    let into = Into::parse(into);
    let sealer = is_sealed(into.table).then(|| Sealer::new(into.table, into.columns.iter().copied()));
    let rows_max = MAX_PARAMETERS / (N + 1);
    let mut full_statement = None;
    let mut pending: Vec<[Value; N]> = Vec::with_capacity(rows_max);
    let mut inserted = Tally::default();
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        pending.extend(rows.by_ref().take(rows_max));
        let statement = if pending.len() == rows_max {
            full_statement
                .get_or_insert_with(|| into.statement(sealer.is_some(), rows_max))
                .clone()
        } else {
            into.statement(sealer.is_some(), pending.len())
        };
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for row in pending.drain(..) {
            let seal = sealer.as_ref().map(|sealer| sealer.seal(&row));
            inserted.add(seal.unwrap_or(0));
            for value in row {
                query = value.bind_to(query);
            }
            if let Some(seal) = seal {
                query = query.bind(seal);
            }
        }
        query.execute(&mut **tx).await?;
    }
    if sealer.is_some() && inserted.rows > 0 {
        tally::add(tx, into.table, inserted).await?;
    }
    Ok(inserted.rows.unsigned_abs())
}

/// Inserts one row.
pub async fn insert_row<const N: usize>(tx: &mut Tx, into: &str, row: [Value; N]) -> Result<()> {
    insert_rows(tx, into, [row]).await?;
    Ok(())
}

/// `table (a, b)`, taken apart.
struct Into<'a> {
    table: &'a str,
    columns: Vec<&'a str>,
}

impl<'a> Into<'a> {
    fn parse(text: &'a str) -> Self {
        let (table, columns) = text.split_once('(').unwrap_or((text, ""));
        let columns = columns.trim_end_matches(')').split(',').map(str::trim);
        Self {
            table: table.trim(),
            columns: columns.collect(),
        }
    }

    fn statement(&self, sealed: bool, rows: usize) -> String {
        let mut names = self.columns.clone();
        names.extend(sealed.then_some("seal"));
        let row = format!("({})", vec!["?"; names.len()].join(","));
        let rows = vec![row.as_str(); rows].join(",");
        format!("INSERT INTO {} ({}) VALUES {rows}", self.table, names.join(", "))
    }
}
