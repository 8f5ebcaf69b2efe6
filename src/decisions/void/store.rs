//! The ledger of voids, as people decide about them.

use super::Listed;
use crate::storage::ledger::{Ledger, query};
use crate::support::error::Result;

/// Voids that wait for their record, oldest first; with `all` also those that were dismissed.
pub async fn voids(ledger: &Ledger, all: bool) -> Result<Vec<Listed>> {
    let states = if all { "'waiting', 'dismissed'" } else { "'waiting'" };
    let rows = query(format!(
        "SELECT v.source, v.id, v.target, v.state, b.name, v.batch, v.line, v.listed_at FROM void v JOIN batch b ON b.batch = v.batch \
         WHERE v.state IN ({states}) ORDER BY v.batch, v.line"
    ))
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Listed {
                source: row.try_get(0)?,
                id: row.try_get(1)?,
                voids: row.try_get(2)?,
                state: row.try_get(3)?,
                input: row.try_get(4)?,
                batch: row.try_get(5)?,
                line: row.try_get(6)?,
                since: row.try_get(7)?,
            })
        })
        .collect()
}
