//! What changed from one version of a card to another, in words and numbers. Any two cards can be compared.

mod meters;
mod prices;

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use serde::Serialize;

use super::{EVERY_REGION, RateCard};

/// The part of a card that a difference is in; parts are told in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Its top-level keys.
    Card,
    /// Which group a region is in.
    Region,
    /// What is measured, and how.
    Meter,
    /// What it costs.
    Price,
}

impl Part {
    /// As tables and JSON name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Region => "region",
            Self::Meter => "meter",
            Self::Price => "price",
        }
    }
}

/// The key of a card's first day.
const FROM: &str = "from";

/// What a difference of an amount is called.
const UNIT_PRICE: &str = "unit_price";

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub part: Part,
    /// The region, the meter with its SKU pattern, or the SKU; empty for the card itself.
    pub subject: String,
    /// The region group of a price.
    pub region_group: Option<String>,
    /// What of it changed, such as `minimum`, `unit_price`, `step HD`.
    pub what: String,
    /// The quantity at which a price begins to hold, in units of the price.
    pub from_quantity: Option<Decimal>,
    /// The quantity at which it ends, which is not in it; none where it has no end.
    pub to_quantity: Option<Decimal>,
    /// As it was; none where there was nothing.
    pub old: Option<String>,
    /// As it is; none where there is nothing.
    pub new: Option<String>,
    /// New price minus old, in the currency per unit, where both are in the same currency and unit.
    pub difference: Option<Decimal>,
    /// The same in percent of the old price, rounded to 2 decimals; none where the old price is 0.
    pub percent: Option<Decimal>,
}

impl Difference {
    /// Something other than the amount of a price.
    fn of(part: Part, subject: &str, what: impl Into<String>, old: Option<String>, new: Option<String>) -> Self {
        Self {
            part,
            subject: subject.to_owned(),
            region_group: None,
            what: what.into(),
            from_quantity: None,
            to_quantity: None,
            old,
            new,
            difference: None,
            percent: None,
        }
    }

    /// The kind of change in one word.
    #[must_use]
    pub fn change(&self) -> &'static str {
        match (&self.old, &self.new, self.difference) {
            (None, _, _) => "new",
            (_, None, _) => "withdrawn",
            (_, _, Some(by)) if by.is_sign_negative() => "lower",
            (_, _, Some(_)) => "higher",
            (_, _, None) => "changed",
        }
    }

    /// The change alone: `grace changed from 3d to 4d`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let what = &self.what;
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => format!("{what} changed from {old} to {new}"),
            (None, Some(new)) => format!("{what} is new: {new}"),
            (Some(old), None) => format!("{what} is gone: {old}"),
            (None, None) => what.clone(),
        }
    }
}

/// How many there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// SKUs that the old card prices nowhere.
    pub new_skus: usize,
    /// SKUs that the new card prices nowhere.
    pub withdrawn_skus: usize,
    /// SKUs of both whose price is higher somewhere, and lower nowhere.
    pub higher_skus: usize,
    /// SKUs of both whose price is lower somewhere, and higher nowhere.
    pub lower_skus: usize,
    /// SKUs of both whose price is higher somewhere and lower elsewhere.
    pub mixed_skus: usize,
    /// Changes of what a price says beside its amounts, such as its counter, by SKU and region group.
    pub price_terms: usize,
    /// Changes of the card, its regions and its meters.
    pub other_changes: usize,
}

/// Everything that changed from the old card to the new one, by part and subject. Their first days are not among it: two versions
/// differ in them by definition.
#[must_use]
pub fn differences(old: &RateCard, new: &RateCard) -> Vec<Difference> {
    let mut found = of_card(old, new);
    found.retain(|one| one.what != FROM);
    found.extend(of_regions(old, new));
    found.extend(meters::differences(old, new));
    found.extend(prices::differences(old, new));
    found
}

/// Counts what changed.
#[must_use]
pub fn summary(old: &RateCard, new: &RateCard, found: &[Difference]) -> Summary {
    let skus = |card: &RateCard| {
        card.prices
            .iter()
            .map(|price| price.sku.clone())
            .collect::<BTreeSet<_>>()
    };
    let (before, now) = (skus(old), skus(new));
    let moved = |up: bool| {
        let moved = found.iter().filter(|one| {
            one.difference
                .is_some_and(|by| if up { by > Decimal::ZERO } else { by < Decimal::ZERO })
        });
        moved.map(|one| one.subject.as_str()).collect::<BTreeSet<_>>()
    };
    let (up, down) = (moved(true), moved(false));
    Summary {
        new_skus: now.difference(&before).count(),
        withdrawn_skus: before.difference(&now).count(),
        higher_skus: up.difference(&down).count(),
        lower_skus: down.difference(&up).count(),
        mixed_skus: up.intersection(&down).count(),
        price_terms: found
            .iter()
            .filter(|one| one.part == Part::Price && one.what != UNIT_PRICE && before.contains(&one.subject))
            .count(),
        other_changes: found.iter().filter(|one| one.part != Part::Price).count(),
    }
}

/// The top-level keys that say something else.
#[must_use]
pub fn of_card(old: &RateCard, new: &RateCard) -> Vec<Difference> {
    let grace = |card: &RateCard| format!("{}d", card.grace_days);
    let keys = [
        ("card", old.name.clone(), new.name.clone()),
        (FROM, old.from.to_string(), new.from.to_string()),
        ("currency", old.currency.to_string(), new.currency.to_string()),
        ("zone", old.zone.name().to_owned(), new.zone.name().to_owned()),
        ("grace", grace(old), grace(new)),
        ("default_region", old.default_region.clone(), new.default_region.clone()),
    ];
    let changed = keys.into_iter().filter(|(_, old, new)| old != new);
    changed
        .map(|(key, old, new)| Difference::of(Part::Card, "", key, Some(old), Some(new)))
        .collect()
}

/// The regions, listed by either card, that are in another group.
#[must_use]
pub fn of_regions(old: &RateCard, new: &RateCard) -> Vec<Difference> {
    let listed = |card: &RateCard| {
        card.region_groups
            .iter()
            .flat_map(|group| group.regions.clone())
            .collect::<BTreeSet<_>>()
    };
    let mut found = Vec::new();
    for region in listed(old).union(&listed(new)) {
        let group_in = |card: &RateCard| {
            let group = if region == EVERY_REGION {
                every_other(card)
            } else {
                card.region_group(region)
            };
            group.map(str::to_owned)
        };
        let (before, now) = (group_in(old), group_in(new));
        if before != now {
            found.push(Difference::of(Part::Region, region, "group", before, now));
        }
    }
    found
}

/// The group that takes every region that no other lists.
fn every_other(card: &RateCard) -> Option<&str> {
    let every = card
        .region_groups
        .iter()
        .find(|group| group.regions.iter().any(|region| region == EVERY_REGION));
    every.map(|group| group.name.as_str())
}

#[cfg(test)]
mod tests;
