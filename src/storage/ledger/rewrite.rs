//! Rows written anew: for an erasure, which is the only change of what is otherwise never changed. Seals and tallies follow.

use super::dump::order_of;
use super::row_checksum::{Sealer, is_sealed};
use super::table_checksum;
use super::table_checksum::TableChecksum;
use super::{Row, Tx, Value, query};
use crate::support::error::{Error, Result};

const SEAL: &str = "seal";

/// A row that may be changed.
#[derive(Debug)]
pub struct RowEdit {
    row: Row,
    values: Vec<Value>,
    goes: bool,
}

impl RowEdit {
    fn of(row: Row) -> Self {
        Self {
            values: row.values().to_vec(),
            row,
            goes: false,
        }
    }

    /// A column as it is now.
    ///
    /// # Errors
    /// A column that is not there.
    pub fn value(&self, column: &str) -> Result<&Value> {
        Ok(&self.values[self.place(column)?])
    }

    /// The text of a column; none where it holds none.
    ///
    /// # Errors
    /// A column that is not there.
    pub fn text(&self, column: &str) -> Result<Option<&str>> {
        Ok(match self.value(column)? {
            Value::Text(text) => Some(text),
            _ => None,
        })
    }

    /// Puts a value into a column.
    ///
    /// # Errors
    /// A column that is not there.
    pub fn set(&mut self, column: &str, value: impl Into<Value>) -> Result<()> {
        let at = self.place(column)?;
        self.values[at] = value.into();
        Ok(())
    }

    /// Takes the row out of the table.
    pub fn remove(&mut self) {
        self.goes = true;
    }

    fn place(&self, column: &str) -> Result<usize> {
        let at = self.row.names().iter().position(|name| name == column);
        at.ok_or_else(|| Error::Unbalanced(format!("the ledger has no column {column} where one is written anew")))
    }

    fn changed(&self) -> Vec<usize> {
        let before = self.row.values();
        (0..before.len()).filter(|at| before[*at] != self.values[*at]).collect()
    }
}

/// Hands each row of a table that fulfils a condition to `edit`, and writes down what that changed. `condition` is SQL over the table's
/// columns, with `binds` for its question marks. Returns how many rows were changed or went.
pub async fn rewrite_rows(
    tx: &mut Tx,
    table: &str,
    condition: &str,
    binds: &[Value],
    mut edit: impl FnMut(&mut RowEdit) -> Result<()>,
) -> Result<i64> {
    let keys =
        order_of(table).ok_or_else(|| Error::Unbalanced(format!("table {table} has no key to write it anew by")))?;
    // By their keys and one by one: a report or a document of each would be too many at once.
    let found = query(format!("SELECT {keys} FROM {table} WHERE {condition}"))
        .bind_all(binds.to_vec())
        .fetch_all(&mut *tx)
        .await?;
    let this: Vec<String> = keys.split(", ").map(|key| format!("{key} = ?")).collect();
    let this = this.join(" AND ");
    let (mut tally, mut count) = (TableChecksum::default(), 0);
    for key in found {
        let row = query(format!("SELECT * FROM {table} WHERE {this}"))
            .bind_all(key.values().to_vec())
            .fetch_one(&mut *tx)
            .await?;
        let mut edited = RowEdit::of(row);
        edit(&mut edited)?;
        if edited.goes || !edited.changed().is_empty() {
            write(tx, table, (&this, key.values()), &mut edited, &mut tally).await?;
            count += 1;
        }
    }
    if is_sealed(table) {
        table_checksum::add(tx, table, tally).await?;
    }
    Ok(count)
}

async fn write(
    tx: &mut Tx,
    table: &str,
    (this, key): (&str, &[Value]),
    edited: &mut RowEdit,
    tally: &mut TableChecksum,
) -> Result<()> {
    let old_seal: i64 = if is_sealed(table) { edited.row.named(SEAL)? } else { 0 };
    if edited.goes {
        tally.rows -= 1;
        tally.seals = tally.seals.wrapping_sub(old_seal);
        query(format!("DELETE FROM {table} WHERE {this}"))
            .bind_all(key.to_vec())
            .execute(tx)
            .await?;
        return Ok(());
    }
    if is_sealed(table) {
        let names = edited.row.names().iter().map(String::as_str);
        let seal = Sealer::new(table, names).seal(&edited.values);
        edited.set(SEAL, seal)?;
        tally.seals = tally.seals.wrapping_add(seal).wrapping_sub(old_seal);
    }
    let (mut sets, mut values) = (Vec::new(), Vec::new());
    for at in edited.changed() {
        let name = &edited.row.names()[at];
        // A nothing that is bound would have a type.
        if edited.values[at].is_null() {
            sets.push(format!("{name} = NULL"));
        } else {
            sets.push(format!("{name} = ?"));
            values.push(edited.values[at].clone());
        }
    }
    query(format!("UPDATE {table} SET {} WHERE {this}", sets.join(", ")))
        .bind_all(values)
        .bind_all(key.to_vec())
        .execute(tx)
        .await?;
    Ok(())
}
