//! Rate cards: what is measured, under which SKU, and what it costs from a date on.
//!
//! A card is a TOML file in `rate-cards/` (its README has the format). This stage is pure: it takes text and
//! gives cards or findings; it opens no file, has no clock, and prices nothing.

/// Whether one card only adds to another.
pub mod additive_check;

/// All versions there are.
pub mod catalog;

/// What must hold across the parts of a card.
mod check;

/// Prices of one counter must count alike.
mod counter_check;

/// What changed from one card to another.
pub mod difference;

/// The TOML of a card.
mod file;

/// A mistake in a file: where, what, cure.
pub mod finding;

/// The files of a folder, read and checked together.
pub mod folder;

/// From files into the ledger.
pub mod import;

/// Meters, dimensions, units, and the per-record policy.
pub mod meter;

/// Prices and their models.
pub mod price;

/// Counters that run on from one version to the next.
pub mod running_counter;

/// Cards that the tests of this stage share.
#[cfg(test)]
mod samples;

/// The card's format for editors.
pub mod schema;

/// Which usage shares a counter.
pub mod scope;

/// From a record's task type and parameters to its SKU.
pub mod sku_choice;

/// The cards' ledger.
pub mod store;

/// The pattern of a SKU.
pub mod template;

/// Versions taken back before a day used them.
pub mod withdraw;

use std::sync::OnceLock;

use chrono::NaiveDate;
use chrono_tz::Tz;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::values::money::Currency;

pub use additive_check::{Revision, compare};
pub use finding::Finding;
pub use folder::{Folder, check_folder};
pub use meter::{Meter, Quantity, Unit};
pub use price::{Model, Origin, Per, Price, Tier};
pub use scope::Scope;
pub use sku_choice::{Assignment, RawUnits, Unmetered};

/// How a card writes "every region that no group lists".
pub const EVERY_REGION: &str = "*";

/// Longest region in bytes: a region is printed on statements and comes from outside, so it needs a bound even
/// where a group takes every region. The longest of the vendor's has 16.
pub const MAX_REGION_BYTES: usize = 64;

/// The digits of a digest.
const HEX: &[u8; 16] = b"0123456789abcdef";

/// One version of a rate card, in force from `from` until the next version's date.
///
/// The parts stand in an order that depends on their content alone (only meters keep the file's order, which has a
/// meaning), so that two files which say the same give equal cards and equal digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateCard {
    /// Its name, shared by its versions.
    pub name: String,
    /// The first usage day that it prices.
    pub from: NaiveDate,
    /// The currency of all its prices.
    pub currency: Currency,
    /// The time zone of accounts that appear by themselves.
    pub zone: Tz,
    /// Days between a period's end and its close.
    pub grace_days: u32,
    /// The region of records that name none.
    pub default_region: String,
    /// By name; no region is in two.
    pub region_groups: Vec<RegionGroup>,
    /// In the order in which they are tried.
    pub meters: Vec<Meter>,
    /// By SKU, then region group.
    pub prices: Vec<Price>,
    /// Look-up tables over the parts above, made at the first look-up.
    #[serde(skip)]
    pub index: Index,
}

/// Regions that share their prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionGroup {
    /// Its name.
    pub name: String,
    /// Its regions, sorted, or [`EVERY_REGION`] alone.
    pub regions: Vec<String>,
}

impl RateCard {
    /// Reads a card. `file_name` is a path that ends in `<from>.toml`; findings show it.
    ///
    /// # Errors
    /// All that is wrong with the file, by line.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Vec<Finding>> {
        file::parse(text, file_name)
    }

    /// The region group of a region, if it is in one.
    #[must_use]
    pub fn region_group(&self, region: &str) -> Option<&str> {
        let group = self.tables().group(region)?;
        Some(&self.region_groups[group].name)
    }

    /// The price of a SKU in a region, if it has one there.
    #[must_use]
    pub fn price(&self, sku: &str, region: &str) -> Option<&Price> {
        let tables = self.tables();
        let group = tables.group(region)?;
        let price = (*tables.prices.get(sku)?.get(group)?)?;
        Some(&self.prices[price])
    }

    /// Whether a price depends on where its counter stands at the end of a period.
    pub fn has_volume(&self) -> bool {
        self.tables().has_volume
    }

    /// Whether packages or included quantities count beside tiers.
    pub fn counts_more_than_tiers(&self) -> bool {
        self.tables().counts_more_than_tiers
    }

    /// Whether packages or what is included of them start again with each day.
    pub fn has_packages_of_a_day(&self) -> bool {
        self.tables().has_packages_of_a_day
    }

    /// The card as text, the same for cards that say the same: what the ledger keeps.
    ///
    /// # Panics
    /// Never: a card has only text keys.
    #[must_use]
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).expect("a card is text, numbers and lists, which JSON can hold")
    }

    /// A card from its [`RateCard::canonical`] text.
    ///
    /// # Errors
    /// When the text is not one.
    pub fn from_canonical(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// SHA-256 of the canonical text, in hex: comments and layout of the file do not matter.
    #[must_use]
    pub fn digest(&self) -> String {
        Sha256::digest(self.canonical())
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                hex.extend([byte >> 4, byte & 0xf].map(|half| char::from(HEX[usize::from(half)])));
                hex
            })
    }

    fn tables(&self) -> &Tables {
        self.index.0.get_or_init(|| Tables::of(self))
    }
}

/// Look-up tables of a card. It follows from the card, so all are equal; a card that is changed needs a new one.
#[derive(Clone, Debug, Default)]
pub struct Index(OnceLock<Tables>);

impl PartialEq for Index {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Index {}

#[derive(Clone, Debug)]
struct Tables {
    /// Region to the position of its group.
    groups: HashMap<String, usize>,
    /// The position of the group that takes every other region.
    every_other: Option<usize>,
    /// SKU to the positions of its prices, by position of the group.
    prices: HashMap<String, Vec<Option<usize>>>,
    has_volume: bool,
    has_packages_of_a_day: bool,
    counts_more_than_tiers: bool,
}

impl Tables {
    fn of(card: &RateCard) -> Self {
        let every = |group: &RegionGroup| group.regions.iter().any(|region| region == EVERY_REGION);
        let mut groups = HashMap::new();
        for (at, group) in card.region_groups.iter().enumerate() {
            groups.extend(group.regions.iter().map(|region| (region.clone(), at)));
        }
        groups.remove(EVERY_REGION);
        let mut prices: HashMap<String, Vec<Option<usize>>> = HashMap::new();
        for (at, price) in card.prices.iter().enumerate() {
            let group = card
                .region_groups
                .iter()
                .position(|group| group.name == price.region_group);
            let by_group = prices
                .entry(price.sku.clone())
                .or_insert_with(|| vec![None; card.region_groups.len()]);
            if let Some(group) = group {
                by_group[group] = Some(at);
            }
        }
        let models = || card.prices.iter().map(|price| &price.model);
        Self {
            groups,
            every_other: card.region_groups.iter().position(every),
            prices,
            has_volume: models().any(|model| matches!(model, Model::Volume { .. })),
            counts_more_than_tiers: card.prices.iter().any(|price| price.included.is_some())
                || models().any(|model| matches!(model, Model::Package { .. })),
            has_packages_of_a_day: models().any(|model| matches!(model, Model::Package { per: Per::Day, .. })),
        }
    }

    fn group(&self, region: &str) -> Option<usize> {
        self.groups.get(region).copied().or(self.every_other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::rate_card::samples::{CN, INTL, SMALL, card};

    #[test]
    fn a_card_survives_its_canonical_text() {
        for card in [card(CN), card(INTL)] {
            let again = RateCard::from_canonical(&card.canonical()).unwrap();
            assert_eq!(again, card);
            assert_eq!(again.digest(), card.digest());
            assert_eq!(again.canonical(), card.canonical());
        }
    }

    proptest::proptest! {
        #[test]
        fn a_damaged_card_is_refused_or_reads_back_and_never_panics(
            at in 0..SMALL.len(), cut in 0..40_usize, piece in "[\\[\\]{}=\"., a-zA-Z0-9*\n-]{0,6}",
        ) {
            let text = format!("{}{piece}{}", &SMALL[..at], SMALL.get(at + cut..).unwrap_or_default());
            match RateCard::parse(&text, "2024-01-01.toml") {
                Ok(card) => proptest::prop_assert_eq!(RateCard::from_canonical(&card.canonical()).unwrap(), card),
                Err(findings) => proptest::prop_assert!(findings.iter().all(|finding| finding.line <= text.lines().count() + 1)),
            }
        }
    }

    #[test]
    fn comments_and_layout_do_not_change_the_digest() {
        let card_text = INTL;
        let other = card_text
            .replace("# ", "#  ")
            .replace(", origin", ",\torigin")
            .replace("\"0.0480\"", "\"0.048\"");
        assert_ne!(other, card_text);
        assert_eq!(card(&other).digest(), card(card_text).digest());
    }

    #[test]
    fn a_price_changes_the_digest() {
        assert_ne!(card(&INTL.replace("0.0480", "0.0481")).digest(), card(INTL).digest());
    }

    #[test]
    fn prices_are_found_by_sku_and_the_group_of_the_region() {
        let card = card(INTL);
        let price = |region| match &card.price("Standard.H264.4K", region)?.model {
            Model::Unit { unit_price } => Some(unit_price.to_string()),
            _ => None,
        };
        assert_eq!(price("ap-guangzhou").as_deref(), Some("0.0421"));
        assert_eq!(price("na-ashburn").as_deref(), Some("0.0441"));
        assert_eq!(price("eu-frankfurt").as_deref(), Some("0.048"));
        assert_eq!(price("mars-north"), None);
        assert!(card.price("Standard.H264.8K", "na-ashburn").is_none());
    }

    #[test]
    fn a_star_takes_every_region() {
        assert_eq!(card(CN).region_group("mars-north"), Some("all"));
        assert_eq!(card(INTL).region_group("mars-north"), None);
        assert_eq!(card(INTL).region_group(EVERY_REGION), None);
    }
}
