//! The ledger of originals: files in `done/` and `refused/` as they were put there.

use std::collections::BTreeMap;

use super::originals::Stand;
use crate::context::Books;
use crate::storage::ledger::{Ledger, Value, delete_rows, insert_rows, query};
use crate::support::error::Result;

/// Every original by its place below the drop folder.
pub async fn originals(ledger: &Ledger) -> Result<BTreeMap<String, Stand>> {
    let rows = query("SELECT place, bytes, modified_ns FROM original ORDER BY place")
        .fetch_all(ledger)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?))))
        .collect()
}

/// Brings the ledger from what it knew to what is there. Nothing is written where that is the same.
pub async fn set_originals(
    books: &Books,
    known: &BTreeMap<String, Stand>,
    now: &BTreeMap<String, Stand>,
) -> Result<()> {
    let gone = known.iter().filter(|(place, stand)| now.get(*place) != Some(*stand));
    let new = now.iter().filter(|(place, stand)| known.get(*place) != Some(*stand));
    if gone.clone().next().is_none() && new.clone().next().is_none() {
        return Ok(());
    }
    let mut tx = books.ledger.begin().await?;
    for (place, _) in gone {
        delete_rows(&mut tx, "original", "place = ?", &[place.as_str().into()]).await?;
    }
    let rows: Vec<[Value; 3]> = new
        .map(|(place, (bytes, modified_ns))| [place.as_str().into(), (*bytes).into(), (*modified_ns).into()])
        .collect();
    insert_rows(&mut tx, "original (place, bytes, modified_ns)", rows).await?;
    books.ledger.commit(tx, "originals").await
}
