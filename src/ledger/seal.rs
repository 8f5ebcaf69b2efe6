//! Seals: a hash over the other columns of a row, kept in the row. A number that is changed by hand or by a bad disk no
//! longer fits its seal, and `verify` names the row.
//!
//! A seal is XXH3 (64 bits) over the columns' names and values, by name. It is no signature: who can write the ledger can
//! make seals. Statements, exports and files have SHA-256 digests besides, and the exported manifests leave the house.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Column as _, Row as _};
use xxhash_rust::xxh3::Xxh3Default;

use super::tally::{self, Tally};
use super::{Ledger, Tx, Value};
use crate::error::Result;

/// Tables whose rows have no seal: tallies and counters are checked against what they count, intakes and the lease say who
/// works now.
const UNSEALED: [&str; 4] = ["tally", "counter", "intake", "lease"];

/// Columns that a digest in the same row covers, or may go before the row does.
const UNCOVERED: [(&str, &str); 2] = [("statement", "document"), ("quarantine", "payload")];

const SEAL: &str = "seal";

/// Whether rows of a table have a seal.
pub fn is_sealed(table: &str) -> bool {
    !UNSEALED.contains(&table)
}

/// Makes the seals of rows that have the same columns.
pub struct Sealer {
    /// Names with their places in a row, by name.
    columns: Vec<(String, usize)>,
}

impl Sealer {
    pub fn new<'a>(table: &str, names: impl Iterator<Item = &'a str>) -> Self {
        let mut columns: Vec<(String, usize)> = names
            .enumerate()
            .filter(|(_, name)| *name != SEAL && !UNCOVERED.contains(&(table, name)))
            .map(|(at, name)| (name.to_owned(), at))
            .collect();
        columns.sort_unstable();
        Self { columns }
    }

    /// The seal of a row. An absent value counts as a column that is not there, so that rows may be written without it.
    pub fn seal(&self, row: &[Value]) -> i64 {
        let mut hash = Xxh3Default::new();
        let mut add = |kind: u8, bytes: &[u8]| {
            hash.update(&[kind]);
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for (name, at) in &self.columns {
            let (kind, bytes): (u8, &[u8]) = match &row[*at] {
                Value::NullText => continue,
                Value::Integer(value) => (b'i', &value.to_le_bytes()),
                Value::Text(text) => (b't', text.as_bytes()),
                Value::Bytes(bytes) => (b'b', bytes),
            };
            add(b'n', name.as_bytes());
            add(kind, bytes);
        }
        hash.digest().cast_signed()
    }
}

/// Seals rows again after an update. `condition` is SQL over the table's columns, with `binds` for its question marks.
pub async fn reseal(tx: &mut Tx, table: &str, condition: &str, binds: &[Value]) -> Result<()> {
    let sql = format!("SELECT * FROM {table} WHERE {condition}");
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for bind in binds {
        query = bind.clone().bind_to(query);
    }
    let mut changed = Tally::default();
    for row in query.fetch_all(&mut **tx).await? {
        let (names, values) = (names_of(&row), values_of(&row)?);
        let seal = Sealer::new(table, names.iter().map(String::as_str)).seal(&values);
        let old: i64 = row.try_get(SEAL)?;
        changed.seals = changed.seals.wrapping_add(seal).wrapping_sub(old);
        // Seals are as good as unique, and a row of equal content has an equal seal.
        let update = format!("UPDATE {table} SET {SEAL} = ? WHERE {SEAL} = ? AND ({condition})");
        let mut query = sqlx::query(AssertSqlSafe(update)).bind(seal).bind(old);
        for bind in binds {
            query = bind.clone().bind_to(query);
        }
        query.execute(&mut **tx).await?;
    }
    tally::add(tx, table, changed).await
}

/// What the rows of a table come to, and those that do not fit their seals, each named by its first columns; none is good.
pub async fn broken_seals(ledger: &Ledger, table: &str) -> Result<(Tally, Vec<String>)> {
    use futures_util::TryStreamExt as _;
    let sql = format!("SELECT * FROM {table}");
    let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(ledger.pool());
    let (mut found, mut broken) = (Tally::default(), Vec::new());
    let mut sealer = None;
    while let Some(row) = rows.try_next().await? {
        found.add(row.try_get(SEAL).unwrap_or(0));
        let sealer = sealer.get_or_insert_with(|| Sealer::new(table, names_of(&row).iter().map(String::as_str)));
        let sealed = values_of(&row).map(|values| sealer.seal(&values)).ok();
        if sealed.is_none() || sealed != row.try_get::<i64, _>(SEAL).ok() {
            broken.push(name_of(table, &row));
        }
    }
    Ok((found, broken))
}

fn names_of(row: &AnyRow) -> Vec<String> {
    row.columns().iter().map(|column| column.name().to_owned()).collect()
}

fn values_of(row: &AnyRow) -> Result<Vec<Value>> {
    (0..row.len()).map(|at| value_of(row, at)).collect()
}

/// The value as it lies in the row, whatever its column should hold.
fn value_of(row: &AnyRow, at: usize) -> Result<Value> {
    if let Ok(value) = row.try_get::<Option<i64>, _>(at) {
        return Ok(value.map_or(Value::NullText, Value::Integer));
    }
    if let Ok(text) = row.try_get::<String, _>(at) {
        return Ok(Value::Text(text));
    }
    Ok(Value::Bytes(row.try_get(at)?))
}

/// Such as `usage_daily (uin 7, metering 3)`.
fn name_of(table: &str, row: &AnyRow) -> String {
    let shown = |at: usize| {
        let text = match value_of(row, at) {
            Ok(Value::Integer(value)) => value.to_string(),
            Ok(Value::Text(text)) => text,
            _ => "?".to_owned(),
        };
        format!("{} {text}", row.columns()[at].name())
    };
    let named: Vec<String> = (0..row.len().min(3)).map(shown).collect();
    format!("{table} ({})", named.join(", "))
}
