//! Prices: what one unit of a SKU costs in one region group.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::meter::Unit;

/// The price of one SKU in one region group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The SKU.
    pub sku: String,
    /// The region group in which it holds.
    pub region_group: String,
    /// The meter that yields the SKU.
    pub meter: String,
    /// The unit of its quantities.
    pub unit: Unit,
    /// How a quantity becomes an amount.
    pub model: Model,
    /// The counter that its tiers count on; without one they count per account, SKU and region group.
    pub counter: Option<String>,
    /// Where the price comes from.
    pub origin: Origin,
}

/// How a quantity becomes an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Every unit at one price.
    Unit {
        /// In the card's currency per unit, at most 6 decimals, not negative.
        unit_price: Decimal,
    },
    /// Each slice of the counter at its own price.
    Graduated {
        /// At least one; ascending; the first from 0.
        tiers: Vec<Tier>,
    },
}

impl Model {
    /// The quantity from which each price holds, and the price.
    pub fn steps(&self) -> Vec<(Decimal, Decimal)> {
        match self {
            Self::Unit { unit_price } => vec![(Decimal::ZERO, *unit_price)],
            Self::Graduated { tiers } => tiers.iter().map(|tier| (tier.from, tier.unit_price)).collect(),
        }
    }
}

/// One slice of a counter: half-open, `[from, next.from)`, and the last one without an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Where it begins, in units of the price.
    pub from: Decimal,
    /// In the card's currency per unit, at most 6 decimals, not negative.
    pub unit_price: Decimal,
}

/// Where a price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Seen in the vendor's price list.
    Published,
    /// Ours, for samples and tests; to be labelled so wherever it is shown.
    Illustrative,
}
