//! Counters that run on from one version of a card to the next within a billing period.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;

use super::price::{Model, Price};
use super::{EVERY_REGION, Quantity, RateCard, Scope};

/// Days of the longest billing period, and of the longest month over which daily periods count.
const PERIOD_DAYS_MAX: i64 = 31;

/// What to do about a counter that runs on in another unit.
pub const UNIT_CURE: &str =
    "keep the unit, or give the SKU and the counter that it names other names in the later version";

/// The other versions whose days can lie in one period with days of the version of `from`.
fn neighbours(versions: &[Arc<RateCard>], from: NaiveDate) -> impl Iterator<Item = &RateCard> {
    let starts: BTreeSet<NaiveDate> = versions.iter().map(|card| card.from).chain([from]).collect();
    let meet = move |other: NaiveDate| {
        let (earlier, later) = (from.min(other), from.max(other));
        let ends = starts.range(earlier..).nth(1).copied();
        // From the last day of the earlier version to the first of the later one.
        ends.is_some_and(|ends| (later - ends).num_days() + 1 < PERIOD_DAYS_MAX)
    };
    let others = versions.iter().filter(move |card| card.from != from && meet(card.from));
    others.map(|card| &**card)
}

/// Every region that one of the cards lists, and one that none lists.
fn regions<'c>(cards: &[&'c RateCard]) -> BTreeSet<&'c str> {
    let groups = cards.iter().flat_map(|card| &card.region_groups);
    let listed = groups.flat_map(|group| group.regions.iter().map(String::as_str));
    listed.chain([EVERY_REGION]).collect()
}

/// The prices of a card with each of the regions in which they hold.
fn prices_by_region<'c, 'r>(
    card: &'c RateCard,
    regions: &'r BTreeSet<&'c str>,
) -> impl Iterator<Item = (&'c Price, &'c str)> + use<'c, 'r> {
    card.prices.iter().flat_map(move |price| {
        let held = move |region: &&&str| card.region_group(region) == Some(price.region_group.as_str());
        regions.iter().filter(held).map(move |region| (price, *region))
    })
}

/// Usage of other versions that a revision moves from one counter of its version to another, a sentence for each: prices of the version
/// would see other quantities, in periods that may be closed.
#[must_use]
pub fn moved(old: &RateCard, new: &RateCard, versions: &[Arc<RateCard>]) -> Vec<String> {
    let read: HashSet<Scope> = old.prices.iter().filter_map(Price::scope).collect();
    let is_read = |scope: &Option<Scope>| scope.is_some_and(|scope| read.contains(&scope));
    let mut found = BTreeMap::new();
    for other in neighbours(versions, old.from) {
        // Only a volume looks at usage that comes after its own.
        if old.from < other.from && !old.has_volume() {
            continue;
        }
        let regions = regions(&[old, new, other]);
        for (price, region) in prices_by_region(other, &regions) {
            let (before, now) = (old.scope_of(region, price), new.scope_of(region, price));
            if before != now && (is_read(&before) || is_read(&now)) {
                found.entry((other.from, &price.sku)).or_insert_with(|| {
                    format!(
                        "usage of `{}` in {} under the version of {} moved {} of this version, and would move {}",
                        price.sku,
                        region_text(region),
                        other.from,
                        scope_text(before),
                        scope_text(now)
                    )
                });
            }
        }
    }
    found.into_values().collect()
}

fn region_text(region: &str) -> String {
    if region == EVERY_REGION {
        "a region that no group lists".to_owned()
    } else {
        format!("region {region}")
    }
}

fn scope_text(scope: Option<Scope>) -> String {
    match scope {
        None => "no counter".to_owned(),
        Some(Scope::Group(counter)) => format!("counter `{counter}`"),
        Some(Scope::Sku { sku, region_group }) => format!("the counter of `{sku}` in region group {region_group}"),
    }
}

/// Counters on which a version and another that can share a period with it count in different units, a sentence for each: minutes and
/// seconds have no sum, and one is not always a number of the other with 6 decimals; seconds and images never have one.
#[must_use]
pub fn unlike_units(card: &RateCard, versions: &[Arc<RateCard>]) -> Vec<String> {
    let mut found = Vec::new();
    for other in neighbours(versions, card.from) {
        let (before, after) = if other.from < card.from {
            (other, card)
        } else {
            (card, other)
        };
        found.extend(unlike_units_of(before, after));
    }
    found
}

/// By SKU, the usage of either version that moves a counter of the other in another unit.
fn unlike_units_of(before: &RateCard, after: &RateCard) -> Vec<String> {
    let regions = regions(&[before, after]);
    let mut found = BTreeMap::new();
    for (price, region) in prices_by_region(before, &regions) {
        if let Some(other) = read_in_another_unit((price, before), region, after, |_| true) {
            found
                .entry(&price.sku)
                .or_insert_with(|| unit_text((price, before), (other, after)));
        }
    }
    // Only a volume looks at usage that comes after its own.
    let is_volume = |scope: Scope| {
        let mut volumes = before
            .prices
            .iter()
            .filter(|price| matches!(price.model, Model::Volume { .. }));
        volumes.any(|price| price.scope() == Some(scope))
    };
    for (price, region) in prices_by_region(after, &regions) {
        if let Some(other) = read_in_another_unit((price, after), region, before, is_volume) {
            found
                .entry(&price.sku)
                .or_insert_with(|| unit_text((other, before), (price, after)));
        }
    }
    found.into_values().collect()
}

/// A price of `card` that reads the counter which usage at `price` moves, in another unit.
fn read_in_another_unit<'c>(
    (price, of): (&Price, &RateCard),
    region: &str,
    card: &'c RateCard,
    is_looked_at: impl Fn(Scope) -> bool,
) -> Option<&'c Price> {
    let scope = card.scope_of(region, price).filter(|scope| is_looked_at(*scope))?;
    let mut reading = card.prices.iter().filter(|other| other.scope() == Some(scope));
    let unit = |price: &Price, card: &RateCard| (price.unit.base_units, is_duration(price, card));
    reading.find(|other| unit(other, card) != unit(price, of))
}

/// Whether the base units of a price are milliseconds; they are counts otherwise.
fn is_duration(price: &Price, card: &RateCard) -> bool {
    let mut meters = card.meters.iter().filter(|meter| meter.name == price.meter);
    meters.any(|meter| meter.quantity == Quantity::Duration)
}

fn unit_text((one, before): (&Price, &RateCard), (other, after): (&Price, &RateCard)) -> String {
    let counted = |price: &Price, card: &RateCard| {
        format!(
            "`{}` in units of {} ({} base units) from {}",
            price.sku, price.unit.name, price.unit.base_units, card.from
        )
    };
    let (one, other) = (counted(one, before), counted(other, after));
    format!("a counter that runs on from one version to the other counts {one} and {other}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::rate_card::samples::SMALL;
    use crate::catalog::rate_card::{Revision, compare};

    /// The small card from a day on, with these prices, and the SKUs that they leave out not sold.
    fn version(from: &str, prices: &str) -> Arc<RateCard> {
        let (before, _) = SMALL.split_once("\"V.SD\" = ").unwrap();
        let not_sold: Vec<&str> = ["\"V.SD\"", "\"V.HD\"", "\"V.4K\""]
            .into_iter()
            .filter(|sku| !prices.contains(sku))
            .collect();
        let text = format!("{before}{prices}Shot = {{ unit_price = \"1\", origin = \"published\" }}\n")
            .replace("2024-01-01", from)
            .replace(
                "not_sold = [\"V.4K\"]",
                &format!("not_sold = [{}]", not_sold.join(", ")),
            )
            .replace("not_sold = []\n", "");
        let card = RateCard::parse(&text, &format!("{from}.toml"));
        Arc::new(card.unwrap_or_else(|findings| panic!("{findings:#?}\n{text}")))
    }

    const TIERS: &str = "tiers = [{ from = 0, to = 9, unit_price = \"2\" }, { from = 9, unit_price = \"1\" }]";

    fn price(sku: &str, keys: &str) -> String {
        format!("\"{sku}\" = {{ {keys}, origin = \"published\" }}\n")
    }

    fn on(counter: &str) -> String {
        format!("counter = \"{counter}\", {TIERS}")
    }

    /// What the version of 12 March was, what it is to be, beside another version.
    fn revised(before: &str, now: &str, other: &Arc<RateCard>) -> Revision {
        let (old, new) = (version("2024-03-12", before), version("2024-03-12", now));
        let mut versions = vec![Arc::clone(other), Arc::clone(&old)];
        versions.sort_by_key(|card| card.from);
        compare(&old, &new, &versions)
    }

    #[test]
    fn an_added_price_that_takes_usage_of_an_earlier_version_off_a_counter_is_a_change() {
        let first = version("2024-01-01", &(price("V.SD", &on("all")) + &price("V.HD", &on("all"))));
        let without = price("V.HD", &on("all"));
        for keys in ["unit_price = \"1\"", TIERS, &on("own")] {
            let Revision::Changes(changes) = revised(&without, &(price("V.SD", keys) + &without), &first) else {
                panic!("`V.SD` leaves the counter `all`: {keys}")
            };
            assert_eq!(changes.len(), 1, "{changes:?}");
            assert!(
                changes[0].starts_with(
                    "usage of `V.SD` in region r1 under the version of 2024-01-01 moved counter `all` of this version, and would move "
                ),
                "{changes:?}"
            );
        }
        let same = price("V.SD", &on("all")) + &without;
        assert_eq!(revised(&without, &same, &first), Revision::Extends);
        assert_eq!(
            revised(
                &price("V.HD", TIERS),
                &(price("V.SD", &on("own")) + &price("V.HD", TIERS)),
                &first
            ),
            Revision::Extends,
            "no price of the version counts on `all`"
        );
    }

    #[test]
    fn an_added_price_that_puts_usage_of_an_earlier_version_on_a_counter_is_a_change() {
        let first = version("2024-01-01", &price("V.SD", TIERS));
        let without = price("V.HD", &on("all"));
        assert_eq!(
            revised(&without, &(price("V.SD", &on("all")) + &without), &first),
            Revision::Changes(vec![
                "usage of `V.SD` in region r1 under the version of 2024-01-01 moved no counter of this version, and would move counter \
                 `all`"
                    .to_owned()
            ])
        );
        assert_eq!(
            revised(&without, &(price("V.SD", TIERS) + &without), &first),
            Revision::Extends,
            "a counter that nothing was priced by"
        );
    }

    #[test]
    fn usage_of_a_later_version_matters_to_a_volume_alone() {
        let later = version("2024-04-01", &(price("V.SD", &on("all")) + &price("V.HD", &on("all"))));
        let graduated = price("V.HD", &on("all"));
        let volume = graduated.replace("tiers", "model = \"volume\", tiers");
        let added = price("V.SD", TIERS);
        assert_eq!(
            revised(&graduated, &(added.clone() + &graduated), &later),
            Revision::Extends
        );
        assert!(matches!(
            revised(&volume, &(added + &volume), &later),
            Revision::Changes(_)
        ));
    }

    #[test]
    fn versions_that_no_period_holds_both_of_do_not_share_a_counter() {
        let of = |from| version(from, &(price("V.SD", &on("all")) + &price("V.HD", &on("all"))));
        let (old, new) = (
            version("2024-03-12", &price("V.HD", &on("all"))),
            version("2024-03-12", &(price("V.SD", TIERS) + &price("V.HD", &on("all")))),
        );
        // The last day of the first version and 12 March lie in one period of 31 days, or just not.
        for (between, is_change) in [("2024-02-12", true), ("2024-02-11", false)] {
            let versions = [
                of("2024-01-01"),
                version(between, &price("V.HD", TIERS)),
                Arc::clone(&old),
            ];
            let revision = compare(&old, &new, &versions);
            assert_eq!(
                matches!(revision, Revision::Changes(_)),
                is_change,
                "{between}: {revision:?}"
            );
        }
    }

    #[test]
    fn a_counter_that_runs_on_in_another_unit_is_found() {
        let seconds = |prices: &str| {
            let mut card = (*version("2024-03-01", prices)).clone();
            for price in card.prices.iter_mut().filter(|price| price.sku != "Shot") {
                "second".clone_into(&mut price.unit.name);
                price.unit.base_units = 1_000;
            }
            card.index = super::super::Index::default();
            card
        };
        let found = |before: &str, after: &str| unlike_units(&seconds(after), &[version("2024-01-01", before)]);
        let own = price("V.SD", TIERS);
        assert_eq!(
            found(&own, &own),
            [
                "a counter that runs on from one version to the other counts `V.SD` in units of minute (60000 base units) from \
                 2024-01-01 and `V.SD` in units of second (1000 base units) from 2024-03-01"
            ]
        );
        let unit = price("V.SD", "unit_price = \"1\"");
        assert_eq!(found(&own, &unit), Vec::<String>::new(), "nothing counts after it");
        assert_eq!(found(&unit, &own).len(), 1);
        let volume = own.replace("tiers", "model = \"volume\", tiers");
        assert_eq!(
            found(&volume, &unit).len(),
            1,
            "the end of a volume counts all of the period"
        );
        // A SKU that the later version does not sell moves the counter that its own price names.
        assert_eq!(found(&price("V.SD", &on("all")), &price("V.HD", &on("all"))).len(), 1);
        assert_eq!(found(&price("V.SD", &on("all")), &price("V.HD", &on("new"))).len(), 0);
        assert_eq!(found(&own, &price("V.HD", &on("all"))).len(), 0);
    }

    #[test]
    fn seconds_and_counts_that_run_on_as_one_counter_are_found_though_their_base_units_are_as_many() {
        let before = version("2024-01-01", &price("V.SD", &on("all")));
        let mut counts = (*version("2024-03-01", &price("V.SD", &on("all")))).clone();
        for meter in &mut counts.meters {
            meter.quantity = Quantity::Count;
        }
        counts.index = super::super::Index::default();
        assert_eq!(unlike_units(&counts, &[before]).len(), 1);
    }
}
