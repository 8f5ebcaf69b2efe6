//! Which usage shares a counter, under one version of a card.

use super::RateCard;
use super::price::{Model, Price};

/// What shares a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope<'a> {
    /// A SKU in a region group.
    Sku {
        /// The SKU.
        sku: &'a str,
        /// The region group.
        region_group: &'a str,
    },
    /// All that names this counter.
    Group(&'a str),
}

impl Price {
    /// The counter that the price reads; none when it reads none.
    #[must_use]
    pub fn scope(&self) -> Option<Scope<'_>> {
        match (&self.counter, &self.model, self.included) {
            (Some(group), ..) => Some(Scope::Group(group)),
            (None, Model::Unit { .. }, None) => None,
            (None, ..) => Some(Scope::Sku {
                sku: &self.sku,
                region_group: &self.region_group,
            }),
        }
    }
}

impl RateCard {
    /// The counter of this version that usage moves which another version prices by `own`: the one in which this version would put it; or,
    /// where this version does not price it, the one that `own` names. A counter of the SKU alone has no meaning to a version without it.
    #[must_use]
    pub fn scope_of<'a>(&'a self, region: &str, own: &'a Price) -> Option<Scope<'a>> {
        match self.price(&own.sku, region) {
            Some(price) => price.scope(),
            None => own.counter.as_deref().map(Scope::Group),
        }
    }
}
