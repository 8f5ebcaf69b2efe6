//! Many rows at once, each with its seal, as fast as the engine takes them.

use super::Tx;
use super::row_checksum::{Sealer, is_sealed};
use super::table_checksum;
use super::table_checksum::TableChecksum;
use super::value::Value;
use crate::support::error::Result;

/// A table and the columns that rows fill, in order.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    pub table: &'a str,
    pub columns: Vec<&'a str>,
}

/// Inserts rows with `into` = `table (a, b)`; every row has as many values as `into` has columns. Each row gets its seal.
pub async fn insert_rows<const N: usize>(
    tx: &mut Tx,
    into: &str,
    rows: impl IntoIterator<Item = [Value; N], IntoIter: Send>,
) -> Result<u64> {
    let mut target = Target::parse(into);
    let sealer = is_sealed(target.table).then(|| Sealer::new(target.table, target.columns.iter().copied()));
    target.columns.extend(sealer.is_some().then_some("seal"));
    let mut inserted = TableChecksum::default();
    let mut rows = rows.into_iter().map(|row| {
        let seal = sealer.as_ref().map(|sealer| sealer.seal(&row));
        inserted.add(seal.unwrap_or(0));
        let mut values = Vec::with_capacity(N + 1);
        values.extend(row);
        values.extend(seal.map(Value::Integer));
        values
    });
    tx.inner.load(&target, &mut rows).await?;
    if sealer.is_some() && inserted.rows > 0 {
        table_checksum::add(tx, target.table, inserted).await?;
    }
    Ok(inserted.rows.unsigned_abs())
}

/// Inserts one row.
pub async fn insert_row<const N: usize>(tx: &mut Tx, into: &str, row: [Value; N]) -> Result<()> {
    insert_rows(tx, into, [row]).await?;
    Ok(())
}

impl<'a> Target<'a> {
    fn parse(text: &'a str) -> Self {
        let (table, columns) = text.split_once('(').unwrap_or((text, ""));
        let columns = columns.trim_end_matches(')').split(',').map(str::trim);
        Self {
            table: table.trim(),
            columns: columns.collect(),
        }
    }
}

/// One INSERT of several rows.
pub(super) fn insert_statement(target: &Target, rows: usize) -> String {
    let row = format!("({})", vec!["?"; target.columns.len()].join(","));
    let rows = vec![row.as_str(); rows].join(",");
    format!(
        "INSERT INTO {} ({}) VALUES {rows}",
        target.table,
        target.columns.join(", ")
    )
}
