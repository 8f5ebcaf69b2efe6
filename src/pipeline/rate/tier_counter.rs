//! Counters: how much of a counter's quantity the lines before have taken.
//!
//! A counter is the account's usage of a SKU in a region group, or of the wider group that a price names.
//! Each card version reads counters of its own making: for every version that may still come, a line
//! moves the counter that *that* version would put it in. So counters run on across spans even where a
//! new version regroups them. Only counters that some price reads are kept.

use std::sync::Arc;

use hashbrown::HashMap;

use super::quantity::Quantity;
use crate::catalog::rate_card::{Model, Price, RateCard};

/// What shares a counter, under one card version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope<'a> {
    Sku { sku: &'a str, region_group: &'a str },
    Group(&'a str),
}

/// The counters of one account, under each card version.
#[derive(Debug)]
pub(super) struct Counters<'a> {
    cards: &'a [Arc<RateCard>],
    taken: Vec<HashMap<Scope<'a>, Quantity>>,
}

impl<'a> Counters<'a> {
    /// Counters under these versions: no others need to be given than those that price something.
    pub fn new(cards: &'a [Arc<RateCard>]) -> Self {
        Self {
            cards,
            taken: cards.iter().map(|_| HashMap::new()).collect(),
        }
    }

    /// How far the counter of `price`, a price of card version `version`, has come.
    pub fn position(&self, version: usize, price: &'a Price) -> Quantity {
        let Some(scope) = scope(price) else {
            return Quantity::ZERO;
        };
        self.taken[version].get(&scope).copied().unwrap_or_default()
    }

    /// Moves the counters by a line that `price`, of card version `version`, prices; none on overflow.
    pub fn advance(
        &mut self,
        version: usize,
        price: &'a Price,
        (sku, region): (&str, &str),
        quantity: Quantity,
    ) -> Option<()> {
        let later = &self.cards[version + 1..];
        let later = later.iter().map(|card| card.price(sku, region));
        let prices = std::iter::once(Some(price)).chain(later);
        for (price, taken) in prices.zip(&mut self.taken[version..]) {
            if let Some(scope) = price.and_then(scope) {
                let counter = taken.entry(scope).or_default();
                *counter = counter.checked_add(quantity)?;
            }
        }
        Some(())
    }
}

/// The counter of a price; none when nothing reads it.
fn scope(price: &Price) -> Option<Scope<'_>> {
    match (&price.counter, &price.model) {
        (Some(group), _) => Some(Scope::Group(group)),
        (None, Model::Unit { .. }) => None,
        (None, Model::Graduated { .. }) => Some(Scope::Sku {
            sku: &price.sku,
            region_group: &price.region_group,
        }),
    }
}
