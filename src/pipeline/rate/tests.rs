use std::sync::Arc;

use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::*;
use crate::catalog::account::terms::PriceOverride;
use crate::values::calendar::Cycle;
use crate::values::money::{parse_plain, plain, sum};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn decimal(text: &str) -> Decimal {
    parse_plain(text).unwrap()
}

/// A price per unit (a text), or tiers (a list of from and price).
fn price(sku: &str, group: &str, counter: Option<&str>, model: &Value) -> Value {
    let model = match model.as_array() {
        None => json!({"unit": {"unit_price": model}}),
        Some(tiers) => {
            let tier = |tier: &Value| json!({"from": tier[0], "unit_price": tier[1]});
            json!({"graduated": {"tiers": tiers.iter().map(tier).collect::<Vec<_>>()}})
        }
    };
    json!({"sku": sku, "region_group": group, "meter": "transcode", "unit": {"name": "minute", "base_units": 60_000},
        "model": model, "counter": counter, "origin": "illustrative"})
}

fn card(from: &str, currency: &str, prices: &[Value]) -> Arc<RateCard> {
    let card = json!({"name": "test", "from": from, "currency": currency, "zone": "UTC", "grace_days": 3,
        "default_region": "cn", "region_groups": [{"name": "mainland", "regions": ["cn", "cn2"]}, {"name": "west", "regions": ["us"]}],
        "meters": [], "prices": prices});
    Arc::new(RateCard::from_canonical(&card.to_string()).unwrap())
}

fn terms(cycle: Cycle, discount: &str, overrides: Vec<PriceOverride>) -> Terms {
    Terms::new(
        day("2024-01-01"),
        "test".to_owned(),
        chrono_tz::UTC,
        cycle,
        decimal(discount),
        overrides,
    )
    .unwrap()
}

fn monthly() -> Terms {
    terms(Cycle::Monthly { anchor_day: 1 }, "0", vec![])
}

fn minutes(appid: u64, region: &'static str, sku: &'static str, on: &str, minutes: i64) -> DayUsage<'static> {
    DayUsage {
        appid,
        region,
        sku,
        day: day(on),
        records: 1,
        billable: minutes * 60_000,
    }
}

fn november<'a>(terms: &'a Terms, cards: &'a [Arc<RateCard>], usage: &'a [DayUsage<'a>]) -> PeriodUsage<'a> {
    let period = Cycle::Monthly { anchor_day: 1 }.period_of(day("2024-11-01"));
    PeriodUsage {
        uin: 7,
        period,
        terms,
        cards,
        usage,
        earlier: &[],
        account_terms: std::slice::from_ref(terms),
    }
}

/// Charges as a person reads them: span, app, region, SKU, slice: records, quantity x price = amount.
fn shown(charges: &[Charge]) -> Vec<String> {
    let show = |charge: &Charge| {
        format!(
            "{} {} {} {} {}: {} rec, {} x {} = {}",
            charge.span_start.format("%m-%d"),
            charge.appid.unwrap(),
            charge.region,
            charge.sku,
            charge.slice,
            charge.records,
            plain(charge.quantity, 0),
            plain(charge.unit_price, 0),
            plain(charge.amount, 0)
        )
    };
    charges.iter().map(show).collect()
}

fn charges(input: &PeriodUsage) -> Vec<String> {
    shown(&rate(input).unwrap().complete().unwrap())
}

#[test]
fn lines_are_sorted_by_span_app_number_region_and_sku_bytes() {
    let unit = json!("0.5");
    let prices = [
        price("A", "mainland", None, &unit),
        price("a", "mainland", None, &unit),
        price("A", "west", None, &unit),
    ];
    let cards = [card("2024-01-01", "CNY", &prices)];
    let usage = [
        minutes(10, "cn", "A", "2024-11-01", 1),
        minutes(9, "us", "A", "2024-11-02", 2),
        minutes(9, "cn", "a", "2024-11-30", 3),
        minutes(9, "cn", "A", "2024-11-30", 4),
        minutes(9, "cn", "A", "2024-11-01", 5),
    ];
    assert_eq!(
        charges(&november(&monthly(), &cards, &usage)),
        [
            "11-01 9 cn A 0: 2 rec, 9 x 0.5 = 4.5",
            "11-01 9 cn a 0: 1 rec, 3 x 0.5 = 1.5",
            "11-01 9 us A 0: 1 rec, 2 x 0.5 = 1",
            "11-01 10 cn A 0: 1 rec, 1 x 0.5 = 0.5",
        ]
    );
}

#[test]
fn a_line_is_rounded_once_from_the_sum_of_its_base_units() {
    let cards = [card("2024-01-01", "CNY", &[price("A", "mainland", None, &json!("1"))])];
    let part = DayUsage {
        billable: 20_000,
        ..minutes(1, "cn", "A", "2024-11-01", 0)
    };
    let usage = [
        part,
        part,
        DayUsage {
            day: day("2024-11-09"),
            ..part
        },
    ];
    assert_eq!(
        charges(&november(&monthly(), &cards, &usage)),
        ["11-01 1 cn A 0: 3 rec, 1 x 1 = 1"]
    );
}

#[test]
fn apps_and_regions_of_a_group_share_the_tiers_of_a_sku_in_the_order_of_the_lines() {
    let tiers = json!([["0", "3"], ["100", "2"], ["150", "1"]]);
    let cards = [card(
        "2024-01-01",
        "CNY",
        &[price("A", "mainland", None, &tiers), price("A", "west", None, &tiers)],
    )];
    let usage = [
        minutes(2, "cn", "A", "2024-11-01", 70),
        minutes(1, "cn2", "A", "2024-11-30", 60),
        minutes(1, "cn", "A", "2024-11-20", 40),
        minutes(1, "us", "A", "2024-11-20", 40),
    ];
    assert_eq!(
        charges(&november(&monthly(), &cards, &usage)),
        [
            "11-01 1 cn A 0: 1 rec, 40 x 3 = 120",
            "11-01 1 cn2 A 0: 1 rec, 60 x 3 = 180",
            "11-01 1 us A 0: 1 rec, 40 x 3 = 120",
            "11-01 2 cn A 1: 1 rec, 50 x 2 = 100",
            "11-01 2 cn A 2: 0 rec, 20 x 1 = 20",
        ]
    );
}

#[test]
fn a_wider_counter_counts_all_skus_that_name_it_over_all_groups() {
    let tiers = json!([["0", "3"], ["100", "2"]]);
    let prices = [
        price("A", "mainland", Some("all"), &json!("9")),
        price("B", "west", Some("all"), &tiers),
        price("C", "mainland", None, &tiers),
    ];
    let cards = [card("2024-01-01", "CNY", &prices)];
    let usage = [
        minutes(1, "cn", "A", "2024-11-01", 90),
        minutes(1, "us", "B", "2024-11-01", 20),
        minutes(1, "cn", "C", "2024-11-01", 20),
    ];
    assert_eq!(
        charges(&november(&monthly(), &cards, &usage)),
        [
            "11-01 1 cn A 0: 1 rec, 90 x 9 = 810",
            "11-01 1 cn C 0: 1 rec, 20 x 3 = 60",
            "11-01 1 us B 0: 1 rec, 10 x 3 = 30",
            "11-01 1 us B 1: 0 rec, 10 x 2 = 20",
        ]
    );
}

#[test]
fn counters_run_on_across_spans_even_where_the_new_version_regroups_them() {
    let tiers = json!([["0", "3"], ["100", "2"]]);
    let old = [
        price("A", "mainland", None, &tiers),
        price("B", "mainland", None, &tiers),
    ];
    let new = [
        price("A", "mainland", Some("all"), &tiers),
        price("B", "mainland", Some("all"), &tiers),
    ];
    let cards = [
        card("2024-01-01", "CNY", &old),
        card("2024-11-16", "CNY", &new),
        card("2025-01-01", "USD", &old),
    ];
    let usage = [
        minutes(1, "cn", "A", "2024-11-15", 60),
        minutes(1, "cn", "B", "2024-11-15", 30),
        minutes(1, "cn", "A", "2024-11-16", 20),
    ];
    assert_eq!(
        charges(&november(&monthly(), &cards, &usage)),
        [
            "11-01 1 cn A 0: 1 rec, 60 x 3 = 180",
            "11-01 1 cn B 0: 1 rec, 30 x 3 = 90",
            "11-16 1 cn A 0: 1 rec, 10 x 3 = 30",
            "11-16 1 cn A 1: 0 rec, 10 x 2 = 20",
        ]
    );
}

#[test]
fn a_daily_period_starts_its_counters_where_the_days_of_the_month_left_them() {
    let tiers = json!([["0", "3"], ["100", "2"]]);
    let cards = [card("2024-01-01", "CNY", &[price("A", "mainland", None, &tiers)])];
    let terms = terms(Cycle::Daily, "0", vec![]);
    let usage = [minutes(1, "cn", "A", "2024-11-17", 20)];
    let earlier = [
        minutes(1, "cn", "A", "2024-11-01", 50),
        minutes(2, "cn2", "A", "2024-11-16", 40),
    ];
    let period = Cycle::Daily.period_of(day("2024-11-17"));
    let input = PeriodUsage {
        period,
        earlier: &earlier,
        ..november(&terms, &cards, &usage)
    };
    assert_eq!(
        charges(&input),
        [
            "11-17 1 cn A 0: 1 rec, 10 x 3 = 30",
            "11-17 1 cn A 1: 0 rec, 10 x 2 = 20"
        ]
    );
    let october = [minutes(1, "cn", "A", "2024-10-31", 50)];
    let error = rate(&PeriodUsage {
        earlier: &october,
        ..input
    })
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("2024-10-31 is outside of [2024-11-01, 2024-11-17)"),
        "{error}"
    );
}

#[test]
fn each_earlier_day_moves_the_counter_by_its_own_rounded_quantity() {
    let tiers = json!([["0", "3"], ["0.000034", "2"]]);
    let cards = [card("2024-01-01", "CNY", &[price("A", "mainland", None, &tiers)])];
    let terms = terms(Cycle::Daily, "0", vec![]);
    let millisecond = |on| DayUsage {
        billable: 1,
        ..minutes(1, "cn", "A", on, 0)
    };
    let (earlier, usage) = (
        [millisecond("2024-11-01"), millisecond("2024-11-02")],
        [minutes(1, "cn", "A", "2024-11-17", 1)],
    );
    let period = Cycle::Daily.period_of(day("2024-11-17"));
    let input = PeriodUsage {
        period,
        earlier: &earlier,
        ..november(&terms, &cards, &usage)
    };
    assert_eq!(charges(&input), ["11-17 1 cn A 1: 1 rec, 1 x 2 = 2"]);
}

#[test]
fn an_agreed_price_takes_the_place_of_the_tiers_and_the_discount_is_taken_off_all() {
    let tiers = json!([["0", "3"], ["100", "2"]]);
    let cards = [card(
        "2024-01-01",
        "CNY",
        &[price("A", "mainland", None, &tiers), price("A", "west", None, &tiers)],
    )];
    let agreed = PriceOverride {
        sku: "A".to_owned(),
        region_group: Some("west".to_owned()),
        unit_price: decimal("0.7"),
    };
    let terms = terms(Cycle::Monthly { anchor_day: 1 }, "12.5", vec![agreed]);
    let usage = [
        minutes(1, "cn", "A", "2024-11-01", 110),
        minutes(1, "us", "A", "2024-11-01", 110),
    ];
    assert_eq!(
        charges(&november(&terms, &cards, &usage)),
        [
            "11-01 1 cn A 0: 1 rec, 100 x 3 = 262.5",
            "11-01 1 cn A 1: 0 rec, 10 x 2 = 17.5",
            "11-01 1 us A 0: 1 rec, 110 x 0.7 = 67.375",
        ]
    );
}

#[test]
fn usage_without_a_price_in_force_is_listed_and_never_billed_as_zero() {
    let cards = [card("2024-11-10", "CNY", &[price("A", "mainland", None, &json!("0"))])];
    let usage = [
        minutes(1, "cn", "A", "2024-11-09", 1),
        minutes(1, "cn", "A", "2024-11-10", 2),
        minutes(1, "cn", "B", "2024-11-12", 3),
        minutes(1, "cn", "B", "2024-11-11", 3),
        minutes(1, "mars", "A", "2024-11-11", 4),
    ];
    let terms = monthly();
    let rated = rate(&november(&terms, &cards, &usage)).unwrap();
    let unpriced: Vec<_> = rated.unpriced().iter().map(ToString::to_string).collect();
    assert_eq!(
        unpriced,
        [
            "SKU `A` in region `cn` (app 1): 1 records, 60000 base units from 2024-11-09 to 2024-11-09",
            "SKU `B` in region `cn` (app 1): 2 records, 360000 base units from 2024-11-11 to 2024-11-12",
            "SKU `A` in region `mars` (app 1): 1 records, 240000 base units from 2024-11-11 to 2024-11-11",
        ]
    );
    let error = rated.clone().complete().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no price in force for 3 line(s), first SKU `A`"),
        "{error}"
    );
    assert_eq!(
        shown(&rated.draft().0),
        ["11-10 1 cn A 0: 1 rec, 2 x 0 = 0"],
        "a price of zero is a price"
    );
}

#[test]
fn one_statement_has_one_currency() {
    let prices = [price("A", "mainland", None, &json!("1"))];
    let cards = [card("2024-01-01", "CNY", &prices), card("2024-11-10", "USD", &prices)];
    let usage = [
        minutes(1, "cn", "A", "2024-11-09", 1),
        minutes(1, "cn", "A", "2024-11-10", 1),
    ];
    let terms = monthly();
    assert!(matches!(
        rate(&november(&terms, &cards, &usage)),
        Err(RateError::Currencies { .. })
    ));
    let rated = rate(&november(&terms, &cards, &usage[1..])).unwrap();
    assert_eq!(rated.currency(), "USD".parse().ok());
}

#[test]
fn cards_out_of_place_and_days_outside_of_the_period_are_refused() {
    let (old, new) = (card("2024-01-01", "CNY", &[]), card("2024-11-10", "CNY", &[]));
    let terms = monthly();
    for cards in [[new.clone(), old.clone()], [old.clone(), old.clone()]] {
        assert!(matches!(
            rate(&november(&terms, &cards, &[])),
            Err(RateError::Cards { .. })
        ));
    }
    for on in ["2024-10-31", "2024-12-01"] {
        let usage = [minutes(1, "cn", "A", on, 1)];
        assert!(matches!(
            rate(&november(&terms, &[], &usage)),
            Err(RateError::OutsidePeriod { .. })
        ));
    }
}

fn any_usage() -> impl Strategy<Value = Vec<DayUsage<'static>>> {
    let row = (0_u64..3, 0_usize..3, 0_usize..3, 1_u32..=30, 0_i64..3, 0_i64..4_000_000);
    prop::collection::vec(row, 0..40).prop_map(|rows| {
        let made = rows
            .into_iter()
            .map(|(appid, region, sku, on, records, billable)| DayUsage {
                appid,
                region: ["cn", "cn2", "us"][region],
                sku: ["A", "B", "C"][sku],
                day: NaiveDate::from_ymd_opt(2024, 11, on).unwrap(),
                records: records + 1,
                billable,
            });
        made.collect()
    })
}

fn tiered_cards() -> Vec<Arc<RateCard>> {
    let tiers = json!([["0", "0.0325"], ["50", "0.03"], ["100.5", "0.0211"]]);
    let prices = |counter: Option<&str>| {
        let skus = ["A", "B", "C"]
            .iter()
            .flat_map(|sku| ["mainland", "west"].map(|group| (sku, group)));
        skus.map(|(sku, group)| price(sku, group, counter.filter(|_| *sku != "C"), &tiers))
            .collect::<Vec<_>>()
    };
    vec![
        card("2024-01-01", "CNY", &prices(None)),
        card("2024-11-12", "CNY", &prices(Some("all"))),
    ]
}

proptest! {
    #[test]
    fn rating_does_not_depend_on_the_order_or_the_split_of_the_usage(
        (usage, shuffled) in any_usage().prop_flat_map(|usage| (Just(usage.clone()), Just(usage).prop_shuffle())),
        cut in 0_i64..1_000,
    ) {
        let (cards, terms) = (tiered_cards(), terms(Cycle::Monthly { anchor_day: 1 }, "7.25", vec![]));
        let split = |row: DayUsage<'static>| [
            DayUsage { records: row.records + 5, billable: row.billable - cut, ..row },
            DayUsage { records: -5, billable: cut, ..row },
        ];
        let split: Vec<_> = shuffled.into_iter().flat_map(split).collect();
        let one = rate(&november(&terms, &cards, &usage)).unwrap();
        let other = rate(&november(&terms, &cards, &split)).unwrap();
        prop_assert_eq!(one.complete().unwrap(), other.complete().unwrap());
    }

    #[test]
    fn tiers_conserve_quantity_and_records_of_every_line(usage in any_usage()) {
        let (tiered, terms) = (tiered_cards(), monthly());
        let flat: Vec<_> = ["2024-01-01", "2024-11-12"].map(|from| {
            let skus = ["A", "B", "C"].iter().flat_map(|sku| ["mainland", "west"].map(|group| (sku, group)));
            card(from, "CNY", &skus.map(|(sku, group)| price(sku, group, None, &json!("1"))).collect::<Vec<_>>())
        }).into();
        let lines = rate(&november(&terms, &flat, &usage)).unwrap().complete().unwrap();
        let slices = rate(&november(&terms, &tiered, &usage)).unwrap().complete().unwrap();
        prop_assert!(slices.is_sorted_by_key(|charge| (charge.span_start, charge.appid, charge.region, charge.sku, charge.slice)));
        for line in &lines {
            let key = (line.span_start, line.appid, line.region, line.sku);
            let same = || slices.iter().filter(|slice| (slice.span_start, slice.appid, slice.region, slice.sku) == key);
            prop_assert_eq!(sum(same().map(|slice| slice.quantity)).unwrap(), line.quantity);
            prop_assert_eq!(same().map(|slice| slice.records).sum::<i64>(), line.records);
        }
    }
}
