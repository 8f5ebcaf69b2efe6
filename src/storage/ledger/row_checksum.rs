//! Seals: a hash over the other columns of a row, kept in the row. A number that is changed by hand or by a bad disk no
//! longer fits its seal, and `verify` names the row.
//!
//! A seal is XXH3 (64 bits) over the columns' names and values, by name. It is no signature: who can write the ledger can
//! make seals. Statements, exports and files have SHA-256 digests besides, and the exported manifests leave the house.

use xxhash_rust::xxh3::xxh3_64;

use super::table_checksum;
use super::table_checksum::TableChecksum;
use super::value::amount_text;
use super::{Ledger, Row, Tx, Value, query};
use crate::support::error::Result;

/// Tables whose rows have no seal: tallies and counters are checked against what they count, usage for dashboards against the usage files;
/// intakes, nights that began and the lease say who works now.
const UNSEALED: [&str; 6] = ["tally", "counter", "intake", "lease", "begun_run", "usage_daily"];

/// Columns that a digest in the same row covers, or may go before the row does.
const UNCOVERED: [(&str, &str); 1] = [("quarantine", "payload")];

const SEAL: &str = "seal";

/// About what is hashed of a row, in bytes.
const SEALED_BYTES: usize = 1024;

/// The longest text that is shown of a row, in bytes.
const SHOWN_MAX: usize = 64;

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
        // In one piece: many small updates of a hash take several times as long.
        let mut sealed = Vec::with_capacity(SEALED_BYTES);
        let mut add = |kind: u8, bytes: &[u8]| {
            sealed.push(kind);
            sealed.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            sealed.extend_from_slice(bytes);
        };
        for (name, at) in &self.columns {
            let (kind, bytes): (u8, &[u8]) = match &row[*at] {
                Value::NullInteger | Value::NullText => continue,
                Value::Integer(value) => (b'i', &value.to_le_bytes()),
                Value::Text(text) => (b't', text.as_bytes()),
                Value::Bytes(bytes) => (b'b', bytes),
                Value::Amount(amount) => (b't', &amount_text(*amount).into_bytes()),
            };
            add(b'n', name.as_bytes());
            add(kind, bytes);
        }
        xxh3_64(&sealed).cast_signed()
    }
}

/// Seals rows again after an update. `condition` is SQL over the table's columns, with `binds` for its question marks.
pub async fn reseal(tx: &mut Tx, table: &str, condition: &str, binds: &[Value]) -> Result<()> {
    let changed_rows = query(format!("SELECT * FROM {table} WHERE {condition}"))
        .bind_all(binds.to_vec())
        .fetch_all(&mut *tx)
        .await?;
    let mut changed = TableChecksum::default();
    for row in changed_rows {
        let seal = Sealer::new(table, row.names().iter().map(String::as_str)).seal(row.values());
        let old: i64 = row.named(SEAL)?;
        changed.seals = changed.seals.wrapping_add(seal).wrapping_sub(old);
        // Seals are as good as unique, and a row of equal content has an equal seal.
        query(format!(
            "UPDATE {table} SET {SEAL} = ? WHERE {SEAL} = ? AND ({condition})"
        ))
        .bind(seal)
        .bind(old)
        .bind_all(binds.to_vec())
        .execute(tx)
        .await?;
    }
    table_checksum::add(tx, table, changed).await
}

/// What the rows of a table come to, and those that do not fit their seals, each named by its first columns; none is good.
pub async fn broken_seals(ledger: &Ledger, table: &str) -> Result<(TableChecksum, Vec<String>)> {
    let (mut found, mut broken) = (TableChecksum::default(), Vec::new());
    let mut sealer = None;
    query(format!("SELECT * FROM {table}"))
        .for_each(ledger, |row| {
            let seal: Option<i64> = row.named(SEAL).ok();
            found.add(seal.unwrap_or(0));
            let sealer = sealer.get_or_insert_with(|| Sealer::new(table, row.names().iter().map(String::as_str)));
            if seal != Some(sealer.seal(row.values())) {
                broken.push(name_of(table, &row));
            }
            Ok(())
        })
        .await?;
    Ok((found, broken))
}

/// Such as `late_usage (metering 3, uin 7)`, and the columns whose text is none.
pub(super) fn name_of(table: &str, row: &Row) -> String {
    let shown = |(name, value): (&String, &Value)| match value {
        Value::Integer(value) => format!("{name} {value}"),
        Value::Text(text) if text.len() <= SHOWN_MAX => format!("{name} {text}"),
        _ => format!("{name} ?"),
    };
    let columns = || row.names().iter().zip(row.values());
    let named: Vec<String> = columns().take(3).map(shown).collect();
    let is_no_text = |(name, value): &(&String, &Value)| {
        let is_covered = !UNCOVERED.contains(&(table, name.as_str()));
        matches!(value, Value::Bytes(bytes) if is_covered && std::str::from_utf8(bytes).is_err())
    };
    let no_text = columns().filter(is_no_text);
    let no_text: String = no_text.map(|(name, _)| format!("; {name} is not UTF-8")).collect();
    format!("{table} ({}{no_text})", named.join(", "))
}
