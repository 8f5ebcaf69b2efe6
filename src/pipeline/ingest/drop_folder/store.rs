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

/// Notes of which digest an original was that is kept without its secrets.
pub async fn add_blanked(books: &Books, kept: &str, came: &str) -> Result<()> {
    if came_as(&books.ledger, kept).await?.iter().any(|known| known == came) {
        return Ok(());
    }
    let mut tx = books.ledger.begin().await?;
    let row: [Value; 3] = [kept.into(), came.into(), books.clock.text().into()];
    insert_rows(&mut tx, "blanked_original (digest, came_digest, blanked_at)", [row]).await?;
    books.ledger.commit(tx, "blanked").await
}

/// The digests with which originals came that are kept without their secrets as these bytes: several where nothing but secrets differed.
pub async fn came_as(ledger: &Ledger, kept: &str) -> Result<Vec<String>> {
    let rows = query("SELECT came_digest FROM blanked_original WHERE digest = ?")
        .bind(kept)
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Digests of originals that are kept without their secrets, each with those that they came with.
pub async fn blanked(ledger: &Ledger) -> Result<BTreeMap<String, Vec<String>>> {
    let rows = query("SELECT digest, came_digest FROM blanked_original")
        .fetch_all(ledger)
        .await?;
    let mut blanked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        blanked.entry(row.try_get(0)?).or_default().push(row.try_get(1)?);
    }
    Ok(blanked)
}
