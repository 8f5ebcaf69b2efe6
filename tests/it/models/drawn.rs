//! Cards, terms and usage that are drawn at random.

use chrono::NaiveDate;
use proptest::prelude::*;

use crate::naive::models::{Amounts, Before, Billing, GROUPS, Per, Price, SKUS, Sold, Used, Version};

pub fn november(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2024, 11, day).expect("a date")
}

/// Bounds at whole and broken minutes, and prices of up to 12 decimals.
fn tiers() -> impl Strategy<Value = Vec<(i128, i128)>> {
    let bound = prop_oneof![(1_i128..20).prop_map(|minutes| minutes * 1_000_000), 1_i128..20_000_000];
    (price(), prop::collection::btree_map(bound, price(), 0..3)).prop_map(|(first, rest)| {
        let rest = rest.into_iter();
        std::iter::once((0, first)).chain(rest).collect()
    })
}

fn price() -> impl Strategy<Value = i128> {
    prop_oneof![
        Just(0),
        (1_i128..1_000).prop_map(|thousandths| thousandths * 1_000_000_000),
        1_i128..3_000_000_000_000
    ]
}

fn included() -> impl Strategy<Value = i128> {
    prop_oneof![2 => Just(0), 1 => (1_i128..10).prop_map(|minutes| minutes * 1_000_000), 1 => 1_i128..5_000_000]
}

fn package() -> impl Strategy<Value = (u64, Per)> {
    let size = prop_oneof![Just(60_000_u64), Just(1), 1_u64..200_000];
    let per = prop::sample::select(vec![Per::Period, Per::Day, Per::Month]);
    (size, per)
}

/// What all prices of a counter have in common.
#[derive(Debug, Clone)]
struct Family {
    included: i128,
    package: Option<(u64, Per)>,
}

fn family() -> impl Strategy<Value = Family> {
    (included(), prop::option::weighted(0.4, package())).prop_map(|(included, package)| Family { included, package })
}

/// What is drawn for a SKU.
#[derive(Debug, Clone)]
struct Drawn {
    /// 0 and 1 are counters that it may share.
    counter: Option<usize>,
    own: Family,
    is_volume: bool,
    multiplier: Option<i128>,
    groups: [Option<DrawnPrice>; 2],
}

#[derive(Debug, Clone)]
struct DrawnPrice {
    has_tiers: bool,
    tiers: Vec<(i128, i128)>,
    included: i128,
}

fn drawn_price() -> impl Strategy<Value = Option<DrawnPrice>> {
    let price = (prop::bool::weighted(0.7), tiers(), included());
    let price = price.prop_map(|(has_tiers, tiers, included)| DrawnPrice {
        has_tiers,
        tiers,
        included,
    });
    prop::option::weighted(0.9, price)
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let parts = (
        prop::option::weighted(0.6, 0_usize..2),
        family(),
        any::<bool>(),
        prop::option::weighted(0.3, 1_i128..30_000),
        (drawn_price(), drawn_price()),
    );
    parts.prop_map(|(counter, own, is_volume, multiplier, (one, two))| Drawn {
        counter,
        own,
        is_volume,
        multiplier,
        groups: [one, two],
    })
}

impl Drawn {
    /// The line of the SKU; none where it is sold nowhere.
    fn sold(self, sku: &'static str, shared: &[Family; 2]) -> Option<Sold> {
        let family = self.counter.map(|counter| &shared[counter]);
        let package = family.unwrap_or(&self.own).package;
        let groups = self.groups.map(|price| {
            price.map(|price| Price {
                included: family.map_or(price.included, |family| family.included),
                amounts: if price.has_tiers && package.is_none() {
                    Amounts::Tiers(price.tiers)
                } else {
                    Amounts::One(price.tiers[0].1)
                },
            })
        });
        let mut sold_in = groups.iter().flatten();
        let counts = |price: &Price| price.included != 0 || matches!(price.amounts, Amounts::Tiers(_));
        let has_counter = package.is_some() || sold_in.any(counts);
        groups.iter().any(Option::is_some).then(|| Sold {
            sku,
            counter: self
                .counter
                .filter(|_| has_counter)
                .map(|counter| ["shared", "other"][counter]),
            multiplier: self.multiplier.filter(|_| package.is_none()),
            package,
            is_volume: self.is_volume,
            groups: groups.clone(),
        })
    }
}

/// A version that sells some SKUs, of which some share a counter.
fn version(from: NaiveDate) -> impl Strategy<Value = Version> {
    let skus = prop::collection::vec(prop::option::weighted(0.85, drawn()), SKUS.len());
    (any::<bool>(), (family(), family()), skus).prop_map(move |(r3_is_in_two, (shared, other), skus)| {
        let shared = [shared, other];
        let sold = SKUS.into_iter().zip(skus);
        let mut sold: Vec<Sold> = sold.filter_map(|(sku, drawn)| drawn?.sold(sku, &shared)).collect();
        if sold.is_empty() {
            let price = Price {
                included: 0,
                amounts: Amounts::One(1),
            };
            sold.push(Sold {
                sku: "A",
                counter: None,
                multiplier: None,
                package: None,
                is_volume: false,
                groups: [Some(price.clone()), Some(price)],
            });
        }
        Version {
            from,
            r3_is_in_two,
            sold,
        }
    })
}

/// One to three versions.
pub fn versions() -> impl Strategy<Value = Vec<Version>> {
    let later = |day| prop::option::weighted(0.6, version(november(day)));
    let first = version(NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date"));
    (first, later(8), later(19)).prop_map(|(first, second, third)| {
        let mut all = vec![first];
        all.extend(second);
        all.extend(third);
        all
    })
}

pub fn used() -> impl Strategy<Value = Vec<Used>> {
    let billable = prop_oneof![Just(0_u64), Just(60_000), 0_u64..1_000_000, 0_u64..5];
    let is_voided = prop::bool::weighted(0.15);
    let row = (
        0_u64..3,
        0_usize..3,
        0_usize..SKUS.len(),
        1_u32..=30,
        billable,
        is_voided,
    );
    prop::collection::vec(row, 0..30).prop_map(|rows| {
        let made = rows
            .into_iter()
            .map(|(appid, region, sku, day, billable, is_voided)| Used {
                appid,
                region: ["r1", "r2", "r3"][region],
                sku: SKUS[sku],
                day: november(day),
                billable,
                is_voided,
            });
        made.collect()
    })
}

fn agreed() -> impl Strategy<Value = Vec<(&'static str, Option<&'static str>, i128)>> {
    let group = prop::option::of(prop::sample::select(GROUPS.to_vec()));
    let scope = (prop::sample::select(SKUS.to_vec()), group);
    let agreed = prop::collection::btree_map(scope, price(), 0..3);
    prop_oneof![Just(std::collections::BTreeMap::new()), agreed].prop_map(|agreed| {
        agreed
            .into_iter()
            .map(|((sku, group), price)| (sku, group, price))
            .collect()
    })
}

pub fn billing() -> impl Strategy<Value = Billing> {
    let discount = prop::sample::select(vec![0, 0, 1, 1_250, 10_000]);
    let before = prop::sample::select(vec![
        Before::OtherCard,
        Before::Monthly,
        Before::Agreed("A"),
        Before::Agreed("B"),
    ]);
    let before = prop::option::of((1_u32..30, before));
    (any::<bool>(), 1_u32..=30, discount, agreed(), before).prop_map(|(is_daily, day, discount, agreed, before)| {
        Billing {
            is_daily,
            start: november(if is_daily { day } else { 1 }),
            discount,
            agreed,
            before: before
                .filter(|_| is_daily)
                .map(|(until, before)| (november(until.min(day)), before)),
        }
    })
}
