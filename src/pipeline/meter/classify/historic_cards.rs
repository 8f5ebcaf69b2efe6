//! Cards as they were when a batch was metered: what a record that does not count was counted as then.

use std::collections::HashMap;

use super::sku_cache::AccountCards;
use crate::catalog::rate_card::store::cards_up_to;
use crate::context::Books;
use crate::pipeline::meter::dedupe::stored_record::RealRecord;
use crate::pipeline::meter::snapshot::Snapshot;
use crate::pipeline::meter::store::metered_batches;
use crate::support::error::Result;

/// A metering: its first and last batch, and the last card import it knew.
pub type MeteredBatches = (i64, i64, i64);

/// The maps of earlier cards, as far as some records need them.
#[derive(Default)]
pub struct HistoricCards {
    meterings: Vec<MeteredBatches>,
    by_card: HashMap<i64, AccountCards>,
}

impl HistoricCards {
    /// Reads what is needed to tell how these records were counted.
    pub async fn read(books: &Books, snapshot: &Snapshot, records: &[&RealRecord]) -> Result<Self> {
        if records.is_empty() {
            return Ok(Self::default());
        }
        let mut then = Self {
            meterings: metered_batches(&books.ledger).await?,
            by_card: HashMap::new(),
        };
        for record in records {
            if let Some(card_hi) = then
                .card_of(record.batch)
                .filter(|card_hi| *card_hi != snapshot.card_hi)
                && !then.by_card.contains_key(&card_hi)
            {
                let cards = cards_up_to(&books.ledger, card_hi).await?;
                let map = AccountCards::new(&snapshot.accounts, cards, &snapshot.default_terms);
                then.by_card.insert(card_hi, map);
            }
        }
        Ok(then)
    }

    fn card_of(&self, batch: i64) -> Option<i64> {
        let found = self.meterings.iter().find(|(lo, hi, _)| (*lo..=*hi).contains(&batch));
        found.map(|(_, _, card_hi)| *card_hi)
    }

    /// The map that a batch was metered with; none when it is today's.
    pub fn account_cards_of(&self, batch: i64) -> Option<&AccountCards> {
        self.by_card.get(&self.card_of(batch)?)
    }
}
