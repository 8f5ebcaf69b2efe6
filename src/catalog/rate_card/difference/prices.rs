//! Prices by SKU and region group. Prices with tiers are compared slice by slice: where either card has a bound, a slice begins.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::{Decimal, RoundingStrategy};

use super::{Difference, Part, UNIT_PRICE};
use crate::catalog::rate_card::price::{Model, Origin, Per, Price};
use crate::catalog::rate_card::{Quantity, RateCard};

/// Decimals of a percentage.
const PERCENT_DECIMALS: u32 = 2;

/// Prices by SKU and region group.
type Prices<'c> = BTreeMap<(&'c str, &'c str), &'c Price>;

/// What changed in the prices, by SKU and region group.
pub(super) fn differences(old: &RateCard, new: &RateCard) -> Vec<Difference> {
    let (before, now) = (by_key(old), by_key(new));
    let keys: BTreeSet<_> = before.keys().chain(now.keys()).copied().collect();
    let mut found = Vec::new();
    for key in keys {
        let one = match (before.get(&key), now.get(&key)) {
            (Some(before), Some(now)) if before == now && old.currency == new.currency => continue,
            (Some(before), Some(now)) => {
                let mut one = amounts(Some(before), Some(now), old.currency == new.currency);
                one.extend(facts(before, now, (old, new)));
                one
            }
            (before, now) => {
                let mut one = amounts(before.copied(), now.copied(), true);
                one.extend(now.into_iter().flat_map(|now| conditions(now, new)));
                one
            }
        };
        found.extend(one.into_iter().map(|one| Difference {
            subject: key.0.to_owned(),
            region_group: Some(key.1.to_owned()),
            ..one
        }));
    }
    found
}

fn by_key(card: &RateCard) -> Prices<'_> {
    let keyed = card
        .prices
        .iter()
        .map(|price| ((price.sku.as_str(), price.region_group.as_str()), price));
    keyed.collect()
}

/// The amounts, slice by slice; a slice that costs the same is left out.
fn amounts(old: Option<&Price>, new: Option<&Price>, same_currency: bool) -> Vec<Difference> {
    let steps = |price: Option<&Price>| price.map(|price| price.model.steps());
    let (before, now) = (steps(old), steps(new));
    let bounds: BTreeSet<Decimal> = before.iter().chain(&now).flatten().map(|(from, _)| *from).collect();
    let bounds: Vec<Decimal> = bounds.into_iter().collect();
    let same_unit = match (old, new) {
        (Some(old), Some(new)) => {
            (&old.unit, package_size(old), old.multiplier) == (&new.unit, package_size(new), new.multiplier)
        }
        _ => true,
    };
    let mut found: Vec<Difference> = Vec::new();
    for (at, &from) in bounds.iter().enumerate() {
        let in_slice = |steps: &Option<Vec<(Decimal, Decimal)>>| {
            let steps = steps.as_ref()?;
            let last = steps.iter().rev().find(|(start, _)| *start <= from)?;
            Some(last.1)
        };
        let (before, now) = (in_slice(&before), in_slice(&now));
        if before == now && same_currency && same_unit {
            continue;
        }
        let comparable = before.zip(now).filter(|_| same_currency && same_unit);
        let text = |price: Option<Decimal>| price.map(|price| price.to_string());
        found.push(Difference {
            from_quantity: Some(from),
            to_quantity: bounds.get(at + 1).copied(),
            difference: comparable.map(|(before, now)| (now - before).normalize()),
            percent: comparable.and_then(|(before, now)| percent(before, now)),
            ..Difference::of(Part::Price, "", UNIT_PRICE, text(before), text(now))
        });
    }
    found
}

/// By how much of the old price the new one is higher, in percent.
fn percent(old: Decimal, new: Decimal) -> Option<Decimal> {
    let ratio = (new - old).checked_mul(Decimal::ONE_HUNDRED)?.checked_div(old)?;
    let rounded = ratio.round_dp_with_strategy(PERCENT_DECIMALS, RoundingStrategy::MidpointAwayFromZero);
    Some(rounded.normalize())
}

/// What a price says beside its amounts, by key of the card.
fn facts(old: &Price, new: &Price, (before, now): (&RateCard, &RateCard)) -> Vec<Difference> {
    let changed = stated(old, before).into_iter().zip(stated(new, now));
    changed
        .filter(|((_, old), (_, new))| old != new)
        .map(|((key, old), (_, new))| Difference::of(Part::Price, "", key, old, new))
        .collect()
}

/// What the amounts of a price that is new depend on, by key of the card: without it a price of a package reads as that of a unit.
fn conditions(price: &Price, card: &RateCard) -> Vec<Difference> {
    let is_volume = matches!(price.model, Model::Volume { .. });
    let named = stated(price, card).into_iter().filter(|(key, _)| match *key {
        "model" => is_volume,
        key => matches!(key, "package" | "included" | "multiplier" | "counter"),
    });
    let told = named.filter_map(|(key, value)| Some((key, value?)));
    told.map(|(key, value)| Difference::of(Part::Price, "", key, None, Some(value)))
        .collect()
}

/// Every part of a price but its amounts, so that a part that is added is told too.
fn stated(price: &Price, card: &RateCard) -> [(&'static str, Option<String>); 8] {
    let Price {
        sku: _,
        region_group: _,
        meter,
        unit: _,
        model,
        counter,
        included,
        multiplier,
        origin,
    } = price;
    let number = |number: &Option<Decimal>| number.map(|number| number.normalize().to_string());
    [
        ("model", Some(model_name(model))),
        ("package", package_of(price, card)),
        ("included", number(included)),
        ("multiplier", number(multiplier)),
        ("counter", counter.clone()),
        ("unit", Some(unit_of(price, card))),
        ("meter", Some(meter.clone())),
        ("origin", Some(origin_name(*origin))),
    ]
}

fn model_name(model: &Model) -> String {
    match model {
        Model::Unit { .. } => "unit_price".to_owned(),
        Model::Graduated { .. } => "tiers".to_owned(),
        Model::Volume { .. } => "volume".to_owned(),
        Model::Package { .. } => "package".to_owned(),
    }
}

/// The base units of a package; none where a unit is priced.
fn package_size(price: &Price) -> Option<u64> {
    match price.model {
        Model::Package { size, .. } => Some(size),
        _ => None,
    }
}

/// The size of a package, and how long they count together: `60s per day`.
fn package_of(price: &Price, card: &RateCard) -> Option<String> {
    let Model::Package { size, per, .. } = price.model else {
        return None;
    };
    let written = measured_by(price, card).written(size);
    Some(match per {
        Per::Period => written,
        Per::Day => format!("{written} per day"),
        Per::Month => format!("{written} per month"),
    })
}

fn origin_name(origin: Origin) -> String {
    format!("{origin:?}").to_lowercase()
}

fn unit_of(price: &Price, card: &RateCard) -> String {
    super::meters::unit_text(&price.unit.name, price.unit.base_units, measured_by(price, card))
}

/// What the meter of a price measures.
fn measured_by<'c>(price: &Price, card: &'c RateCard) -> &'c Quantity {
    let meter = card.meters.iter().find(|meter| meter.name == price.meter);
    meter.map_or(&Quantity::Count, |meter| &meter.quantity)
}
