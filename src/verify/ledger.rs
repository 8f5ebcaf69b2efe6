//! The ledger's own rows.

use super::{Verified, store};
use crate::books::Books;
use crate::card::store::damaged_cards;
use crate::error::Result;
use crate::ledger::{broken_seals, tally};

pub async fn verify(books: &Books, verified: &mut Verified) -> Result<()> {
    for sentence in books.ledger.integrity().await? {
        verified.differs(format!("the ledger's file: {sentence}"));
    }
    for table in store::sealed_tables(&books.ledger).await? {
        let (found, broken) = broken_seals(&books.ledger, &table).await?;
        verified.ledger_rows += found.rows.unsigned_abs();
        let should_be = tally(&books.ledger, &table).await?;
        if found != should_be {
            verified.differs(format!(
                "ledger table {table} has {} rows where its tally says {}, or other ones: rows are gone, added or changed",
                found.rows, should_be.rows
            ));
        }
        for row in broken {
            verified.differs(format!(
                "ledger row {row} is not what was written: its seal does not fit"
            ));
        }
    }
    for sentence in store::numbering(&books.ledger).await? {
        verified.differs(sentence);
    }
    for sentence in damaged_cards(&books.ledger).await? {
        verified.differs(sentence);
    }
    for sentence in store::payloads(&books.ledger).await? {
        verified.differs(sentence);
    }
    Ok(())
}
