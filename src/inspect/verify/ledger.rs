//! The ledger's own rows.

use super::{Verified, store};
use crate::catalog::rate_card::store::damaged_cards;
use crate::context::Books;
use crate::storage::ledger::{broken_seals, table_checksum};
use crate::support::error::Result;

pub async fn verify(books: &Books, verified: &mut Verified) {
    let part = verify_file(books, verified).await;
    verified.part(part);
    let part = verify_rows(books, verified).await;
    verified.part(part);
    verified.sentences(store::numbering(&books.ledger).await);
    verified.sentences(damaged_cards(&books.ledger).await);
    verified.sentences(store::miscounted_quarantine(&books.ledger).await);
    let part = store::payloads(&books.ledger, |sentence| verified.differs(sentence)).await;
    verified.part(part);
}

async fn verify_file(books: &Books, verified: &mut Verified) -> Result<()> {
    for sentence in books.ledger.integrity().await? {
        verified.differs(format!("the ledger file: {sentence}"));
    }
    Ok(())
}

async fn verify_rows(books: &Books, verified: &mut Verified) -> Result<()> {
    for table in store::sealed_tables(&books.ledger).await? {
        let part = verify_table(books, &table, verified).await;
        verified.part(part);
    }
    Ok(())
}

/// Every row of a table against its seal, and all of them against the table's tally.
async fn verify_table(books: &Books, table: &str, verified: &mut Verified) -> Result<()> {
    let (found, broken) = broken_seals(&books.ledger, table).await?;
    verified.ledger_rows += found.rows.unsigned_abs();
    let should_be = table_checksum(&books.ledger, table).await?;
    if found != should_be {
        verified.differs(format!(
            "ledger table {table} has {} rows, but table tally has {} for it: rows were removed, added or changed",
            found.rows, should_be.rows
        ));
    }
    for row in broken {
        verified.differs(format!(
            "ledger row {row} has changed since it was written: its checksum does not match"
        ));
    }
    Ok(())
}
