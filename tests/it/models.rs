//! Each model of a price: random cards against the naive model, and the program's own way from usage to the proved bill.

mod nights;

use std::sync::Arc;

use chrono::NaiveDate;
use proptest::prelude::*;
use rust_decimal::Decimal;
use tallybook::catalog::account::terms::Terms;
use tallybook::catalog::rate_card::RateCard;
use tallybook::pipeline::close::adjustment::{Billed, adjust};
use tallybook::pipeline::close::statement::document::Line;
use tallybook::pipeline::rate::{Charge, DayUsage, Kind, PeriodUsage, rate};
use tallybook::values::calendar::Cycle;
use tallybook::values::money::{plain, sum};

use crate::laws::config;
use crate::naive::models::{self, Billing, Model, Per, Sold, Used, Version};

const SKUS: [&str; 4] = ["A", "B", "C", "D"];

fn november(day: u32) -> NaiveDate {
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

/// What all SKUs of a counter have in common.
#[derive(Debug, Clone)]
struct Family {
    included: i128,
    package: Option<(u64, Per)>,
}

fn family() -> impl Strategy<Value = Family> {
    (included(), prop::option::weighted(0.4, package())).prop_map(|(included, package)| Family { included, package })
}

/// A version that sells some SKUs, of which some share a counter.
fn version(from: NaiveDate) -> impl Strategy<Value = Version> {
    let one = (
        any::<bool>(),
        family(),
        0_u8..3,
        tiers(),
        prop::option::weighted(0.3, 1_i128..30_000),
    );
    (
        family(),
        prop::collection::vec(prop::option::weighted(0.9, one), SKUS.len()),
    )
        .prop_map(move |(shared, of)| {
            let sold = SKUS.into_iter().zip(of).filter_map(|(sku, of)| {
                let (is_shared, own, kind, tiers, multiplier) = of?;
                let Family { included, package } = if is_shared { shared.clone() } else { own };
                let price = tiers[0].1;
                let model = match (package, kind) {
                    (Some((size, per)), _) => Model::Package { size, price, per },
                    (None, 0) if included != 0 || !is_shared => Model::Unit(price),
                    (None, 2) => Model::Volume(tiers),
                    (None, _) => Model::Graduated(tiers),
                };
                Some(Sold {
                    sku,
                    counter: is_shared.then_some("shared"),
                    included,
                    multiplier: multiplier.filter(|_| package.is_none()),
                    model,
                })
            });
            let mut sold: Vec<Sold> = sold.collect();
            if sold.is_empty() {
                sold.push(Sold {
                    sku: "A",
                    counter: None,
                    included: 0,
                    multiplier: None,
                    model: Model::Unit(1),
                });
            }
            Version { from, sold }
        })
}

fn versions() -> impl Strategy<Value = Vec<Version>> {
    let first = version(NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date"));
    (first, prop::option::weighted(0.6, version(november(12)))).prop_map(|(first, second)| {
        let mut all = vec![first];
        all.extend(second);
        all
    })
}

fn used() -> impl Strategy<Value = Vec<Used>> {
    let billable = prop_oneof![Just(0_u64), Just(60_000), 0_u64..1_000_000, 0_u64..5];
    let row = (0_u64..3, 0_usize..2, 0_usize..SKUS.len(), 1_u32..=30, billable);
    prop::collection::vec(row, 0..25).prop_map(|rows| {
        let made = rows.into_iter().map(|(appid, region, sku, day, billable)| Used {
            appid,
            region: ["r1", "r2"][region],
            sku: SKUS[sku],
            day: november(day),
            billable,
        });
        made.collect()
    })
}

fn billing() -> impl Strategy<Value = Billing> {
    let discount = prop::sample::select(vec![0, 0, 1, 1_250, 10_000]);
    (any::<bool>(), 1_u32..=30, discount).prop_map(|(is_daily, day, discount)| Billing {
        is_daily,
        start: november(if is_daily { day } else { 1 }),
        discount,
    })
}

/// The program's side of a drawn card and account.
struct Program {
    cards: Vec<Arc<RateCard>>,
    terms: Terms,
    billing: Billing,
}

impl Program {
    fn new(versions: &[Version], billing: Billing) -> Self {
        let parsed = versions.iter().map(|version| {
            let text = version.toml();
            let card = RateCard::parse(&text, &format!("{}.toml", version.from));
            let card = card.unwrap_or_else(|findings| panic!("{findings:#?}\n{text}"));
            assert_eq!(RateCard::from_canonical(&card.canonical()).unwrap(), card);
            Arc::new(card)
        });
        let cycle = if billing.is_daily {
            Cycle::Daily
        } else {
            Cycle::Monthly { anchor_day: 1 }
        };
        let discount = Decimal::from_i128_with_scale(billing.discount, 2);
        let from = versions[0].from;
        Self {
            cards: parsed.collect(),
            terms: Terms::new(from, "drawn".to_owned(), chrono_tz::UTC, cycle, discount, Vec::new()).unwrap(),
            billing,
        }
    }

    /// What is priced of the period.
    fn charges<'a>(&'a self, earlier: &'a [DayUsage<'a>], usage: &'a [DayUsage<'a>]) -> Vec<Charge<'a>> {
        let input = PeriodUsage {
            uin: 7,
            period: self.terms.cycle.period_of(self.billing.start),
            terms: &self.terms,
            cards: &self.cards,
            usage,
            earlier,
            account_terms: std::slice::from_ref(&self.terms),
        };
        rate(&input).unwrap().draft().0
    }
}

fn row(used: &Used) -> DayUsage<'static> {
    DayUsage {
        appid: used.appid,
        region: used.region,
        sku: used.sku,
        day: used.day,
        records: 1,
        billable: i64::try_from(used.billable).unwrap(),
    }
}

fn rows(used: &[Used], wanted: impl Fn(NaiveDate) -> bool) -> Vec<DayUsage<'static>> {
    used.iter().filter(|used| wanted(used.day)).map(row).collect()
}

fn shown(charge: &Charge) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    format!(
        "{} {} {} {} {} {}: {} records, {} ({}) in {} x {} = {}",
        charge.span_start,
        charge.appid.unwrap(),
        charge.region,
        charge.sku,
        charge.kind.word(),
        charge.slice,
        charge.records,
        plain(charge.quantity, 6),
        or_dash(charge.usage_quantity.map(|quantity| plain(quantity, 6))),
        or_dash(charge.packages.map(|packages| packages.to_string())),
        plain(charge.unit_price, 0),
        plain(charge.amount, 10),
    )
}

/// What is billed of each part of a line: quantity and packages, records and usage.
fn billed_sums(lines: &[Line]) -> Vec<String> {
    let mut sums = std::collections::BTreeMap::new();
    for line in lines {
        let priced = line.priced.unwrap();
        let key = (
            (line.span_start, line.appid, line.region.clone(), line.sku.clone()),
            (
                line.usage_kind(),
                line.slice,
                priced.unit_price,
                priced.discount_percent,
                priced.packages.is_some(),
            ),
        );
        let sum: &mut (Decimal, i64) = sums.entry(key).or_default();
        sum.0 = (sum.0 + priced.quantity).normalize();
        sum.1 += priced.packages.unwrap_or(0);
    }
    sums.retain(|_, sum| *sum != (Decimal::ZERO, 0));
    let mut shown: Vec<String> = sums.iter().map(|sum| format!("{sum:?}")).collect();
    let records: i64 = lines.iter().filter_map(|line| line.records).sum();
    let usage = sum(lines.iter().filter_map(|line| line.usage_quantity)).unwrap();
    shown.push(format!("{records} records, {} before multipliers", usage.normalize()));
    shown
}

/// Lines as statements number them, with the span that an adjustment names.
fn numbered<'a>(charges: &[Charge<'a>]) -> Vec<Line<'a>> {
    let lines = (1..).zip(charges).map(|(line_no, charge)| Line {
        span_start: Some(charge.span_start),
        ..Line::of_charge(line_no, charge)
    });
    lines.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: config().cases * 20, ..config() })]

    #[test]
    fn every_model_on_any_card_costs_what_the_naive_model_says(
        versions in versions(), billing in billing(), used in used(),
    ) {
        let program = Program::new(&versions, billing);
        let earlier = rows(&used, |day| billing.is_daily && day < billing.start);
        let own = rows(&used, |day| !billing.is_daily || day == billing.start);
        let charges: Vec<String> = program.charges(&earlier, &own).iter().map(shown).collect();
        prop_assert_eq!(charges, models::rate(&versions, billing, &used));
    }

    #[test]
    fn under_every_model_what_is_billed_and_adjusted_later_is_what_all_at_once_would_have_been(
        versions in versions(), billing in billing(), used in used(), late in any::<prop::sample::Index>(),
    ) {
        let billing = Billing { is_daily: false, start: november(1), ..billing };
        let program = Program::new(&versions, billing);
        let period = program.terms.cycle.period_of(billing.start);
        let all = rows(&used, |_| true);
        let early = &all[..late.index(all.len() + 1)];
        let billed_lines = numbered(&program.charges(&[], early));
        let mut billed = Billed::default();
        billed.add("7-20241101-20241201", &period, &billed_lines).unwrap();
        let due = program.charges(&[], &all);
        let adjustments = adjust(7, period, &due, &billed, "late").unwrap();
        for line in &adjustments {
            prop_assert_eq!(line.kind, Kind::Adjustment);
            let priced = Line::of_charge(1, line).priced.unwrap();
            prop_assert_eq!(priced.amount().unwrap(), line.amount);
        }
        let adjusted_lines = numbered(&adjustments);
        let both: Vec<Line> = billed_lines.iter().chain(&adjusted_lines).cloned().collect();
        prop_assert_eq!(billed_sums(&both), billed_sums(&numbered(&due)));
        let mut all_billed = Billed::default();
        all_billed.add("7-20241101-20241201", &period, &billed_lines).unwrap();
        all_billed.add("7-20241201-20250101", &period, &adjusted_lines).unwrap();
        prop_assert_eq!(adjust(7, period, &due, &all_billed, "again").unwrap().len(), 0);
    }
}
