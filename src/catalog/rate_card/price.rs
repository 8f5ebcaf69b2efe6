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
    /// The counter that its model and its included quantity count on; without one they count per account, SKU and region group.
    pub counter: Option<String>,
    /// Of each counter, so much costs nothing: in units of the price, above 0, at most 6 decimals. It moves no tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included: Option<Decimal>,
    /// What the usage is multiplied by before anything is priced: above 0, at most 4 decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<Decimal>,
    /// Where the price comes from.
    pub origin: Origin,
}

/// How a quantity becomes an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Every unit at one price.
    Unit {
        /// In the card's currency per unit, at most 12 decimals, not negative.
        unit_price: Decimal,
    },
    /// Each slice of the counter at its own price.
    Graduated {
        /// At least one; ascending; the first from 0.
        tiers: Vec<Tier>,
    },
    /// All of it at the price of the slice in which the counter stands at the period's end.
    Volume {
        /// At least one; ascending; the first from 0.
        tiers: Vec<Tier>,
    },
    /// Each started package at one price.
    Package {
        /// Base units (ms or counts) of a package, at least 1.
        size: u64,
        /// In the card's currency per package, at most 12 decimals, not negative.
        unit_price: Decimal,
        /// How long packages are counted together.
        #[serde(default, skip_serializing_if = "Per::is_period")]
        per: Per,
    },
}

/// When the counter of packages starts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// With each billing period; where that is a day, each day.
    #[default]
    Period,
    /// Each day.
    Day,
    /// When tiers start again: with each billing period, and where that is a day, with the calendar month.
    Month,
}

impl Per {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    fn is_period(&self) -> bool {
        *self == Self::Period
    }
}

impl Model {
    /// The quantity from which each price holds, and the price.
    pub fn steps(&self) -> Vec<(Decimal, Decimal)> {
        match self {
            Self::Unit { unit_price } | Self::Package { unit_price, .. } => vec![(Decimal::ZERO, *unit_price)],
            Self::Graduated { tiers } | Self::Volume { tiers } => {
                tiers.iter().map(|tier| (tier.from, tier.unit_price)).collect()
            }
        }
    }

    /// The word in listings.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unit { .. } => "unit",
            Self::Graduated { .. } => "graduated",
            Self::Volume { .. } => "volume",
            Self::Package { .. } => "package",
        }
    }
}

/// One slice of a counter: half-open, `[from, next.from)`, and the last one without an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Where it begins, in units of the price.
    pub from: Decimal,
    /// In the card's currency per unit, at most 12 decimals, not negative.
    pub unit_price: Decimal,
}

/// Where a price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Seen in the vendor's price list.
    Published,
    /// Computed from published prices, such as one that the list gives for another unit or as a share of another price.
    Inferred,
    /// Ours, for samples and tests; to be labelled so wherever it is shown.
    Illustrative,
}
