//! Puts the rows of a dump into a ledger that has none.

use super::read::{Dump, Table};
use super::tables::{TABLES, columns, order_of};
use crate::storage::ledger::bulk::Target;
use crate::storage::ledger::schema::in_use;
use crate::storage::ledger::{Ledger, Tx, Value, insert_row, query};
use crate::support::error::{Error, Result};

/// The name in the table of leases under which a restore leaves the digest of its backup, until it has come to its end.
pub(in crate::storage::ledger) const RESTORING: &str = "restore";

/// Puts all rows of a dump into the tables, which have the dump's version, in the place of those that the tables were made with. Returns
/// how many. Seals and tallies are those of the dump: what did not fit there does not fit here, and `verify` says so.
///
/// The tokens of the lease begin at the server's time in seconds, beyond any that was ever counted: a run that lived with the ledger of
/// before, and wakes up at this one, is not taken for its holder.
///
/// `backup`: the digest by which these rows are known again, until [`end_restore`].
pub async fn restore_rows(tx: &mut Tx, dump: &mut Dump, backup: &str) -> Result<u64> {
    empty(tx).await?;
    let mut all = 0;
    while let Some(table) = dump.next_table()? {
        check(tx, &table).await?;
        let target = Target {
            table: &table.name,
            columns: table.columns.iter().map(|(name, _)| name.as_str()).collect(),
        };
        let mut rows = dump.rows(&table);
        tx.inner.load(&target, &mut rows).await?;
        all += rows.ended()?;
    }
    let now = tx.engine().now_seconds();
    query(format!("UPDATE lease SET token = {now}")).execute(tx).await?;
    query("DELETE FROM lease WHERE name = ?")
        .bind(RESTORING)
        .execute(tx)
        .await?;
    let row: [Value; 6] = [RESTORING.into(), backup.into(), 0.into(), "".into(), 0.into(), 0.into()];
    insert_row(tx, "lease (name, owner, process, place, token, heartbeat_at)", row).await?;
    Ok(all)
}

/// Says that a restore has come to its end.
pub async fn end_restore(ledger: &Ledger) -> Result<()> {
    let mut tx = ledger.begin().await?;
    query("DELETE FROM lease WHERE name = ?")
        .bind(RESTORING)
        .execute(&mut tx)
        .await?;
    ledger.commit(tx, "restored").await
}

/// Tables that have rows when they are made.
const MADE_WITH_ROWS: [&str; 1] = ["counter"];

/// Removes the rows that tables are made with, and refuses tables that have others: somebody writes to this ledger.
async fn empty(tx: &mut Tx) -> Result<()> {
    for (table, _) in TABLES {
        if !has_table(tx, table).await? {
            continue;
        }
        if MADE_WITH_ROWS.contains(&table) {
            query(format!("DELETE FROM {table}")).execute(tx).await?;
            continue;
        }
        let rows = query(format!("SELECT COUNT(*) FROM {table}"))
            .fetch_one(&mut *tx)
            .await?;
        if rows.try_get::<i64>(0)? > 0 {
            return Err(in_use());
        }
    }
    Ok(())
}

/// A ledger of an earlier version lacks tables that this program has.
async fn has_table(tx: &mut Tx, table: &str) -> Result<bool> {
    let engine = tx.engine();
    Ok(!columns(tx, engine, table).await?.is_empty())
}

/// Refuses a table that is not the ledger's: names go into SQL.
async fn check(tx: &mut Tx, table: &Table) -> Result<()> {
    let engine = tx.engine();
    let known = if order_of(&table.name).is_some() {
        columns(tx, engine, &table.name).await?
    } else {
        Vec::new()
    };
    if known == table.columns {
        return Ok(());
    }
    Err(Error::Unbalanced(format!(
        "the dump has a table {} with other columns than the ledger's tables of its version have",
        crate::support::quote::quoted(&table.name)
    )))
}
