//! All imported card versions, each in its newest revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;

use super::RateCard;

/// Card versions by name, ascending by first day.
#[derive(Clone, Debug, Default)]
pub struct RateCatalog {
    by_name: BTreeMap<String, Vec<Arc<RateCard>>>,
}

impl RateCatalog {
    /// A book of versions; of each (name, from) there is one.
    pub fn new(cards: impl IntoIterator<Item = RateCard>) -> Self {
        let mut by_name: BTreeMap<String, Vec<Arc<RateCard>>> = BTreeMap::new();
        for card in cards {
            by_name.entry(card.name.clone()).or_default().push(Arc::new(card));
        }
        for versions in by_name.values_mut() {
            versions.sort_by_key(|card| card.from);
        }
        Self { by_name }
    }

    /// All versions of a card, ascending; empty for an unknown one.
    pub fn of_name(&self, name: &str) -> &[Arc<RateCard>] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The version in force on a day's label.
    pub fn in_force(&self, name: &str, day: NaiveDate) -> Option<&Arc<RateCard>> {
        let versions = self.of_name(name);
        versions
            .partition_point(|card| card.from <= day)
            .checked_sub(1)
            .map(|at| &versions[at])
    }

    /// Every version of every card.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<RateCard>> {
        self.by_name.values().flatten()
    }

    /// A digest over all versions: it changes when any card does.
    pub fn digest(&self) -> String {
        let all: Vec<String> = self.versions().map(|card| card.digest()).collect();
        crate::values::digest::sha256_hex(all.join("\n").as_bytes())
    }
}
