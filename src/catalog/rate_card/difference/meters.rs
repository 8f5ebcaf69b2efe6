//! Meters: new ones, withdrawn ones, another order, and what they measure otherwise.

use std::collections::{BTreeMap, BTreeSet};

use super::{Difference, Part};
use crate::catalog::rate_card::RateCard;
use crate::catalog::rate_card::meter::{Dimension, Fits, Meter, Quantity};

/// What changed in the meters. Those of the same name and SKU pattern are the same meter; of the others, those of the same name
/// in the order of the files.
pub(super) fn differences(old: &RateCard, new: &RateCard) -> Vec<Difference> {
    let pairs = pairs(&old.meters, &new.meters);
    let mut found = Vec::new();
    for (at, meter) in old.meters.iter().enumerate() {
        if !pairs.contains_key(&at) {
            found.push(meter_difference(meter, "meter", Some(place(at)), None));
        }
    }
    let mut ranks: Vec<usize> = pairs.values().copied().collect();
    ranks.sort_unstable();
    for (rank, (&before, &now)) in pairs.iter().enumerate() {
        let (meter, changed) = (&old.meters[before], &new.meters[now]);
        // Only the order among those that both cards have: a meter before them moves none.
        if ranks.binary_search(&now) != Ok(rank) {
            found.push(meter_difference(meter, "order", Some(place(before)), Some(place(now))));
        }
        found.extend(measure(meter, changed));
        found.extend(dimensions(meter, changed));
        found.extend(items(meter, "not_sold", &meter.not_sold, &changed.not_sold));
    }
    for (at, meter) in new.meters.iter().enumerate() {
        if !pairs.values().any(|&now| now == at) {
            found.push(meter_difference(meter, "meter", None, Some(place(at))));
        }
    }
    found
}

/// The place of a meter in the old card to its place in the new one.
fn pairs(old: &[Meter], new: &[Meter]) -> BTreeMap<usize, usize> {
    let mut pairs = BTreeMap::new();
    let mut taken = BTreeSet::new();
    let same_pattern = |one: &Meter, other: &Meter| one.name == other.name && one.sku == other.sku;
    let same_name = |one: &Meter, other: &Meter| one.name == other.name;
    for is_same in [&same_pattern as &dyn Fn(&Meter, &Meter) -> bool, &same_name] {
        for (at, meter) in old.iter().enumerate() {
            let free = |now: &usize| !taken.contains(now) && is_same(meter, &new[*now]);
            if !pairs.contains_key(&at)
                && let Some(now) = (0..new.len()).find(free)
            {
                pairs.insert(at, now);
                taken.insert(now);
            }
        }
    }
    pairs
}

fn place(at: usize) -> String {
    format!("place {}", at + 1)
}

fn meter_difference(meter: &Meter, what: impl Into<String>, old: Option<String>, new: Option<String>) -> Difference {
    Difference::of(Part::Meter, &format!("{} {}", meter.name, meter.sku), what, old, new)
}

/// The keys that say which records a meter takes and what it measures.
fn measure(old: &Meter, new: &Meter) -> Vec<Difference> {
    let unit = |meter: &Meter| Some(unit_text(&meter.unit.name, meter.unit.base_units, &meter.quantity));
    let least = |meter: &Meter| policy_text(meter.minimum, 0, &meter.quantity);
    let multiple = |meter: &Meter| policy_text(meter.round_up_to, 1, &meter.quantity);
    let keys = [
        ("task_type", Some(old.task_type.clone()), Some(new.task_type.clone())),
        ("sku", Some(old.sku.to_string()), Some(new.sku.to_string())),
        ("quantity", Some(quantity_text(old)), Some(quantity_text(new))),
        ("unit", unit(old), unit(new)),
        ("minimum", least(old), least(new)),
        ("round_up_to", multiple(old), multiple(new)),
    ];
    let changed = keys.into_iter().filter(|(_, before, now)| before != now);
    changed
        .map(|(key, before, now)| meter_difference(old, key, before, now))
        .collect()
}

fn quantity_text(meter: &Meter) -> String {
    match &meter.quantity {
        Quantity::Duration => "duration".to_owned(),
        Quantity::Count => "count".to_owned(),
        Quantity::Parameter(name) => name.clone(),
    }
}

/// A unit as the card writes it: `minute`, or `1000 images (of 1000)`.
pub(super) fn unit_text(name: &str, base_units: u64, quantity: &Quantity) -> String {
    if *quantity == Quantity::Duration || base_units == 1 {
        name.to_owned()
    } else {
        format!("{name} (of {base_units})")
    }
}

/// A minimum or a rounding as the card writes it; none where it changes nothing.
fn policy_text(base_units: u64, none_up_to: u64, quantity: &Quantity) -> Option<String> {
    (none_up_to < base_units).then(|| quantity.written(base_units))
}

/// Dimensions: new and gone, of another parameter, with other values or steps.
fn dimensions(old: &Meter, new: &Meter) -> Vec<Difference> {
    let by_name = |meter: &Meter| {
        let named = meter.dimensions.iter().map(|one| (one.name.clone(), one.clone()));
        named.collect::<BTreeMap<String, Dimension>>()
    };
    let (before, now) = (by_name(old), by_name(new));
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let called = format!("dimension {name}");
        match (before.get(name), now.get(name)) {
            (Some(before), Some(now)) => {
                if before.of != now.of {
                    let (before, now) = (before.of.to_string(), now.of.to_string());
                    found.push(meter_difference(old, format!("{called} of"), Some(before), Some(now)));
                }
                found.extend(fits(old, &called, &before.fits, &now.fits));
            }
            (before, now) => {
                let text = |one: Option<&Dimension>| one.map(|one| fits_text(&one.fits));
                found.push(meter_difference(old, called, text(before), text(now)));
            }
        }
    }
    found
}

fn fits(meter: &Meter, called: &str, old: &Fits, new: &Fits) -> Vec<Difference> {
    match (old, new) {
        (Fits::Values(old), Fits::Values(new)) => items(meter, &format!("{called} value"), old, new),
        (Fits::Steps(before), Fits::Steps(now)) => {
            let bounds = |steps: &[super::super::meter::Step]| {
                let bounds = steps.iter().map(|step| (step.name.clone(), step.up_to));
                bounds.collect::<BTreeMap<String, u64>>()
            };
            let (before, now) = (bounds(before), bounds(now));
            let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
            let up_to = |bound: Option<&u64>| bound.map(|bound| format!("up to {bound}"));
            let changed = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
            changed
                .map(|name| {
                    let what = format!("{called} step {name}");
                    meter_difference(meter, what, up_to(before.get(name)), up_to(now.get(name)))
                })
                .collect()
        }
        (old, new) => {
            let (old, new) = (fits_text(old), fits_text(new));
            vec![meter_difference(meter, called, Some(old), Some(new))]
        }
    }
}

fn fits_text(fits: &Fits) -> String {
    match fits {
        Fits::Values(values) => values.join(", "),
        Fits::Steps(steps) => {
            let steps = steps.iter().map(|step| format!("{} up to {}", step.name, step.up_to));
            steps.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The items of a list that one of the two has not.
fn items(meter: &Meter, what: &str, old: &[String], new: &[String]) -> Vec<Difference> {
    let gone = old.iter().filter(|item| !new.contains(item));
    let added = new.iter().filter(|item| !old.contains(item));
    gone.map(|item| meter_difference(meter, what, Some(item.clone()), None))
        .chain(added.map(|item| meter_difference(meter, what, None, Some(item.clone()))))
        .collect()
}
