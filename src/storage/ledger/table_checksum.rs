//! Tallies: how many rows each table has, and the sum of their seals. A row that is gone, or one too many, is found by
//! `verify` though no other row says that it should be there.

use super::row_checksum::is_sealed;
use super::{Ledger, Tx, Value, query};
use crate::support::error::Result;

/// Rows and the sum of their seals, which wraps around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableChecksum {
    pub rows: i64,
    pub seals: i64,
}

impl TableChecksum {
    /// Counts a row.
    pub fn add(&mut self, seal: i64) {
        self.rows += 1;
        self.seals = self.seals.wrapping_add(seal);
    }
}

/// Adds to a table's tally, in the transaction that changes the table.
pub(super) async fn add(tx: &mut Tx, table: &str, more: TableChecksum) -> Result<()> {
    let row = query("SELECT row_count, seals FROM tally WHERE name = ?")
        .bind(table)
        .fetch_optional(&mut *tx)
        .await?;
    let Some(row) = row else {
        query("INSERT INTO tally (name, row_count, seals) VALUES (?, ?, ?)")
            .bind(table)
            .bind(more.rows)
            .bind(more.seals)
            .execute(tx)
            .await?;
        return Ok(());
    };
    let (rows, seals): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    query("UPDATE tally SET row_count = ?, seals = ? WHERE name = ?")
        .bind(rows + more.rows)
        .bind(seals.wrapping_add(more.seals))
        .bind(table)
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes rows. `condition` is SQL over the table's columns, with `binds` for its question marks. Returns how many went.
pub async fn delete_rows(tx: &mut Tx, table: &str, condition: &str, binds: &[Value]) -> Result<i64> {
    if !is_sealed(table) {
        return remove(tx, table, condition, binds).await;
    }
    let rows = query(format!("SELECT seal FROM {table} WHERE {condition}"))
        .bind_all(binds.to_vec())
        .fetch_all(&mut *tx)
        .await?;
    let mut gone = TableChecksum::default();
    for row in rows {
        gone.add(row.try_get(0)?);
    }
    remove(tx, table, condition, binds).await?;
    let less = TableChecksum {
        rows: -gone.rows,
        seals: gone.seals.wrapping_neg(),
    };
    add(tx, table, less).await?;
    Ok(gone.rows)
}

async fn remove(tx: &mut Tx, table: &str, condition: &str, binds: &[Value]) -> Result<i64> {
    let gone = query(format!("DELETE FROM {table} WHERE {condition}"))
        .bind_all(binds.to_vec())
        .execute(tx)
        .await?;
    Ok(gone.cast_signed())
}

/// Removes all rows of a table, which is faster than one by one.
pub async fn clear_table(tx: &mut Tx, table: &str) -> Result<()> {
    query(format!("DELETE FROM {table}")).execute(&mut *tx).await?;
    query("UPDATE tally SET row_count = 0, seals = 0 WHERE name = ?")
        .bind(table)
        .execute(tx)
        .await?;
    Ok(())
}

/// The tally of a table; zeros before its first row.
pub async fn table_checksum(ledger: &Ledger, table: &str) -> Result<TableChecksum> {
    let row = query("SELECT row_count, seals FROM tally WHERE name = ?")
        .bind(table)
        .fetch_optional(ledger)
        .await?;
    row.map_or(Ok(TableChecksum::default()), |row| {
        Ok(TableChecksum {
            rows: row.try_get(0)?,
            seals: row.try_get(1)?,
        })
    })
}
