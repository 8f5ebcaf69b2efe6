//! Each model by hand: tables of usage, and what it must cost.

mod across_versions;
mod laws;
mod packages;

use std::sync::Arc;

use rust_decimal::Decimal;

use super::*;
use crate::catalog::account::terms::PriceOverride;
use crate::values::money::{parse_plain, plain};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A version of a card with these lines of `[prices]`: `A`, `B` and `C` are minutes of videos, `Shot` is an image.
fn version(from: &str, prices: &str) -> Arc<RateCard> {
    let is_sold = |sku: &&str| prices.lines().any(|line| line.starts_with(&format!("{sku} = ")));
    let not_sold = |skus: &[&str]| {
        let names = skus.iter().filter(|sku| !is_sold(sku)).map(|sku| format!("\"{sku}\""));
        names.collect::<Vec<_>>().join(", ")
    };
    let listed = |skus: &[&str]| match not_sold(skus) {
        names if names.is_empty() => String::new(),
        names => format!("not_sold = [{names}]\n"),
    };
    let prices = prices.replace(" }\n", ", origin = \"illustrative\" }\n");
    let text = format!(
        "card = \"test\"\nfrom = {from}\ncurrency = \"CNY\"\nzone = \"UTC\"\ndefault_region = \"cn\"\n[regions]\nmainland = [\"cn\", \
         \"cn2\"]\nwest = [\"us\"]\n[[meter]]\nname = \"video\"\ntask_type = \"Video\"\nsku = \"{{type}}\"\nquantity = \"duration\"\n\
         unit = \"minute\"\n{}dimensions.type = [\"A\", \"B\", \"C\"]\n[[meter]]\nname = \"shot\"\ntask_type = \"Shot\"\nsku = \"Shot\"\n\
         quantity = \"images\"\nunit = {{ name = \"1000 images\", of = 1000 }}\n{}[prices]\n{prices}",
        listed(&["A", "B", "C"]),
        listed(&["Shot"]),
    );
    let card = RateCard::parse(&text, &format!("{from}.toml"));
    Arc::new(card.unwrap_or_else(|findings| panic!("{findings:#?}\n{text}")))
}

fn terms(cycle: Cycle, discount: &str, overrides: Vec<PriceOverride>) -> Terms {
    let discount = parse_plain(discount).unwrap();
    Terms::new(
        day("2024-01-01"),
        "test".to_owned(),
        chrono_tz::UTC,
        cycle,
        discount,
        overrides,
    )
    .unwrap()
}

fn monthly() -> Terms {
    terms(Cycle::Monthly { anchor_day: 1 }, "0", vec![])
}

/// Usage of app 1 in `cn`, in base units.
fn used(sku: &'static str, on: u32, billable: i64) -> DayUsage<'static> {
    DayUsage {
        appid: 1,
        region: "cn",
        sku,
        day: NaiveDate::from_ymd_opt(2024, 11, on).unwrap(),
        records: 1,
        billable,
    }
}

const MINUTE: i64 = 60_000;

fn november<'a>(terms: &'a Terms, cards: &'a [Arc<RateCard>], usage: &'a [DayUsage<'a>]) -> PeriodUsage<'a> {
    PeriodUsage {
        uin: 7,
        period: Cycle::Monthly { anchor_day: 1 }.period_of(day("2024-11-01")),
        terms,
        cards,
        usage,
        earlier: &[],
        account_terms: std::slice::from_ref(terms),
    }
}

/// A day of November of an account that is billed daily; the rows before it are earlier days.
fn day_of<'a>(
    on: u32,
    terms: &'a Terms,
    cards: &'a [Arc<RateCard>],
    (earlier, usage): (&'a [DayUsage<'a>], &'a [DayUsage<'a>]),
) -> PeriodUsage<'a> {
    PeriodUsage {
        period: Cycle::Daily.period_of(NaiveDate::from_ymd_opt(2024, 11, on).unwrap()),
        earlier,
        ..november(terms, cards, usage)
    }
}

/// Charges as a person reads them: SKU, slice, quantity or packages x price = amount.
fn shown(input: &PeriodUsage) -> Vec<String> {
    let charges = rate(input).unwrap().complete().unwrap();
    let show = |charge: &Charge| {
        let kind = if charge.kind == Kind::Included { " included" } else { "" };
        let packages = charge
            .packages
            .map_or_else(String::new, |packages| format!(" in {packages}"));
        format!(
            "{}.{}{kind}: {}{packages} x {} = {}",
            charge.sku,
            charge.slice,
            plain(charge.quantity, 0),
            plain(charge.unit_price, 0),
            plain(charge.amount, 0)
        )
    };
    charges.iter().map(show).collect()
}

fn month(prices: &str, usage: &[DayUsage]) -> Vec<String> {
    shown(&november(&monthly(), &[version("2024-01-01", prices)], usage))
}

const VOLUME: &str = "A = { model = \"volume\", tiers = [{ from = 0, to = 100, unit_price = \"3\" }, { from = 100, unit_price = \"2\" }] }\n";

#[test]
fn a_volume_has_the_price_of_the_slice_in_which_its_counter_ends() {
    for (minutes, line) in [
        (0, "A.0: 0 x 3 = 0"),
        (99, "A.0: 99 x 3 = 297"),
        (100, "A.1: 100 x 2 = 200"),
        (101, "A.1: 101 x 2 = 202"),
        (1_000_000_000, "A.1: 1000000000 x 2 = 2000000000"),
    ] {
        assert_eq!(month(VOLUME, &[used("A", 1, minutes * MINUTE)]), [line]);
    }
    let just_below = [used("A", 1, 100 * MINUTE - 1)];
    assert_eq!(month(VOLUME, &just_below), ["A.0: 99.999983 x 3 = 299.999949"]);
}

#[test]
fn all_lines_of_a_volume_have_the_price_where_their_counter_ends_whatever_comes_first() {
    let usage = [
        used("A", 1, 60 * MINUTE),
        DayUsage {
            appid: 2,
            ..used("A", 30, 40 * MINUTE)
        },
        DayUsage {
            region: "us",
            ..used("A", 30, 40 * MINUTE)
        },
    ];
    assert_eq!(
        month(VOLUME, &usage),
        ["A.1: 60 x 2 = 120", "A.0: 40 x 3 = 120", "A.1: 40 x 2 = 80"],
        "the region group west has a counter of its own"
    );
}

#[test]
fn a_version_change_gives_each_line_of_a_volume_its_own_spans_price() {
    let new = "A = { model = \"volume\", counter = \"all\", tiers = [{ from = 0, to = 50, unit_price = \"9\" }, { from = 50, unit_price = \
               \"7\" }] }\nB = { model = \"volume\", counter = \"all\", tiers = [{ from = 0, to = 120, unit_price = \"5\" }, { from = \
               120, unit_price = \"4\" }] }\n";
    let cards = [version("2024-01-01", VOLUME), version("2024-11-16", new)];
    let usage = [
        used("A", 15, 60 * MINUTE),
        used("A", 16, 40 * MINUTE),
        used("B", 16, 20 * MINUTE),
    ];
    // Under the first version A ends at 100; under the second the counter `all` ends at 120.
    assert_eq!(
        shown(&november(&monthly(), &cards, &usage)),
        ["A.1: 60 x 2 = 120", "A.1: 40 x 7 = 280", "B.1: 20 x 4 = 80"]
    );
}

#[test]
fn a_sku_that_a_later_version_adds_to_a_volumes_counter_counts_for_the_earlier_lines_too() {
    let of = |sku: &str| {
        format!(
            "{sku} = {{ model = \"volume\", counter = \"all\", tiers = [{{ from = 0, to = 100, unit_price = \"3\" }}, {{ from = 100, \
             unit_price = \"2\" }}] }}\n"
        )
    };
    let cards = [
        version("2024-01-01", &of("A")),
        version("2024-11-16", &(of("A") + &of("B"))),
    ];
    let usage = [used("A", 15, 60 * MINUTE), used("B", 16, 40 * MINUTE)];
    assert_eq!(
        shown(&november(&monthly(), &cards, &usage)),
        ["A.1: 60 x 2 = 120", "B.1: 40 x 2 = 80"]
    );
}

#[test]
fn a_daily_volume_counts_over_the_month_and_leaves_earlier_days_as_they_were() {
    let (terms, cards) = (terms(Cycle::Daily, "0", vec![]), [version("2024-01-01", VOLUME)]);
    let [first, second] = [used("A", 1, 60 * MINUTE), used("A", 2, 60 * MINUTE)];
    assert_eq!(
        shown(&day_of(1, &terms, &cards, (&[], &[first]))),
        ["A.0: 60 x 3 = 180"]
    );
    assert_eq!(
        shown(&day_of(2, &terms, &cards, (&[first], &[second]))),
        ["A.1: 60 x 2 = 120"]
    );
}

#[test]
fn more_usage_may_cost_less_under_volume_and_the_line_says_so() {
    let (cards, terms) = ([version("2024-01-01", VOLUME)], monthly());
    let usage = [used("A", 1, 100 * MINUTE)];
    let charges = rate(&november(&terms, &cards, &usage)).unwrap().complete().unwrap();
    assert!(charges[0].amount < Decimal::from(297));
    assert!(charges[0].note.starts_with("volume: "), "{}", charges[0].note);
}

#[test]
fn a_multiplier_comes_before_the_tiers_and_both_quantities_are_on_the_line() {
    let prices = "A = { multiplier = \"1.75\", tiers = [{ from = 0, to = 100, unit_price = \"3\" }, { from = 100, unit_price = \"2\" }] }\n";
    let (cards, terms) = ([version("2024-01-01", prices)], monthly());
    let usage = [used("A", 1, 60 * MINUTE)];
    let input = november(&terms, &cards, &usage);
    assert_eq!(shown(&input), ["A.0: 100 x 3 = 300", "A.1: 5 x 2 = 10"]);
    let charges = rate(&input).unwrap().complete().unwrap();
    let of: Vec<_> = charges
        .iter()
        .map(|charge| (charge.multiplier, charge.usage_quantity))
        .collect();
    let multiplier = Some(Decimal::new(175, 2));
    assert_eq!(of, [(multiplier, Some(Decimal::from(60))), (multiplier, None)]);
}

#[test]
fn a_multiplied_quantity_is_rounded_once() {
    // 1 ms x 2 / 60,000 is 0.0000333...; rounded before the multiplier it would be 0.000034.
    assert_eq!(
        month("A = { multiplier = 2, unit_price = \"1\" }\n", &[used("A", 1, 1)]),
        ["A.0: 0.000033 x 1 = 0.000033"]
    );
    assert_eq!(
        month(
            "A = { multiplier = \"0.0001\", unit_price = \"1\" }\n",
            &[used("A", 1, 300)]
        ),
        ["A.0: 0.000001 x 1 = 0.000001"],
        "a half goes up"
    );
}

const PACKAGES: &str = "A = { package = \"60s\", unit_price = \"0.5\" }\n";

#[test]
fn what_is_included_costs_nothing_and_moves_no_tier() {
    let prices = "A = { included = 10, tiers = [{ from = 0, to = 100, unit_price = \"3\" }, { from = 100, unit_price = \"2\" }] }\n";
    for (minutes, lines) in [
        (0, vec!["A.0 included: 0 x 0 = 0"]),
        (10, vec!["A.0 included: 10 x 0 = 0"]),
        (11, vec!["A.0 included: 10 x 0 = 0", "A.0: 1 x 3 = 3"]),
        (110, vec!["A.0 included: 10 x 0 = 0", "A.0: 100 x 3 = 300"]),
        (
            111,
            vec!["A.0 included: 10 x 0 = 0", "A.0: 100 x 3 = 300", "A.1: 1 x 2 = 2"],
        ),
    ] {
        assert_eq!(month(prices, &[used("A", 1, minutes * MINUTE)]), lines);
    }
}

#[test]
fn lines_take_what_is_included_in_the_order_of_counters() {
    let prices = "A = { included = \"1.5\", counter = \"all\", unit_price = \"3\" }\nB = { included = \"1.5\", counter = \"all\", unit_price = \
                  \"2\" }\n";
    let usage = [
        used("B", 1, 2 * MINUTE),
        used("A", 30, MINUTE),
        DayUsage {
            appid: 2,
            ..used("A", 1, MINUTE)
        },
    ];
    assert_eq!(
        month(prices, &usage),
        [
            "A.0 included: 1 x 0 = 0",
            "B.0 included: 0.5 x 0 = 0",
            "B.0: 1.5 x 2 = 3",
            "A.0: 1 x 3 = 3"
        ]
    );
}

#[test]
fn a_volume_begins_after_what_is_included() {
    let prices = VOLUME.replace("{ model", "{ included = 10, model");
    for (minutes, line) in [(109, "A.0: 99 x 3 = 297"), (110, "A.1: 100 x 2 = 200")] {
        assert_eq!(
            month(&prices, &[used("A", 1, minutes * MINUTE)]),
            ["A.0 included: 10 x 0 = 0", line]
        );
    }
}

fn agreed_price(price: &str) -> PriceOverride {
    PriceOverride {
        sku: "A".to_owned(),
        region_group: None,
        unit_price: parse_plain(price).unwrap(),
    }
}

#[test]
fn an_agreed_price_takes_the_place_of_each_model_and_takes_nothing_that_is_included() {
    let terms = terms(Cycle::Monthly { anchor_day: 1 }, "0", vec![agreed_price("0.25")]);
    let multiplied = "A = { included = 1, multiplier = 2, unit_price = \"3\" }\n";
    let packed = "A = { included = 1, package = \"60s\", counter = \"c\", unit_price = \"0.5\" }\nB = { included = 1, package = \"60s\", counter = \
                  \"c\", unit_price = \"0.5\" }\n";
    let usage = [used("A", 1, 40_000), used("B", 1, 80_000)];
    for (prices, usage, lines) in [
        (VOLUME, &usage[..1], vec!["A.0: 0.666667 x 0.25 = 0.16666675"]),
        (multiplied, &usage[..1], vec!["A.0: 1.333333 x 0.25 = 0.33333325"]),
        // A moves the counter of the packages by 40 s; B has a minute included, and its other 20 s fill the package.
        (
            packed,
            &usage[..],
            vec![
                "A.0: 0.666667 x 0.25 = 0.16666675",
                "B.0 included: 1 x 0 = 0",
                "B.0: 0.333333 in 0 x 0.5 = 0",
            ],
        ),
    ] {
        let cards = [version("2024-01-01", prices)];
        assert_eq!(shown(&november(&terms, &cards, usage)), lines);
    }
}

#[test]
fn the_discount_is_taken_off_every_model_and_not_off_nothing() {
    let terms = terms(Cycle::Monthly { anchor_day: 1 }, "12.5", vec![]);
    let prices = VOLUME.to_owned()
        + "B = { package = \"60s\", unit_price = \"0.5\" }\n"
        + "C = { included = 1, tiers = [{ from = 0, to = 1, unit_price = \"3\" }, { from = 1, unit_price = \"0.000000000001\" }] }\n";
    let cards = [version("2024-01-01", &prices)];
    let usage = [
        used("A", 1, 100 * MINUTE),
        used("B", 1, 61_000),
        used("C", 1, 1_002 * MINUTE),
    ];
    let input = november(&terms, &cards, &usage);
    assert_eq!(
        shown(&input),
        [
            "A.1: 100 x 2 = 175",
            "B.0: 1.016667 in 2 x 0.5 = 0.875",
            "C.0 included: 1 x 0 = 0",
            "C.0: 1 x 3 = 2.625",
            "C.1: 1000 x 0.000000000001 = 0.0000000009"
        ]
    );
    let charges = rate(&input).unwrap().complete().unwrap();
    let included: Vec<_> = charges.iter().filter(|charge| charge.kind == Kind::Included).collect();
    assert_eq!(included[0].discount_percent, Decimal::ZERO);
}

#[test]
fn a_void_that_crosses_back_over_a_bound_leaves_what_there_would_have_been_without_it() {
    for prices in [
        VOLUME.to_owned(),
        VOLUME.replace("model = \"volume\", ", ""),
        PACKAGES.to_owned(),
        PACKAGES.replace("unit_price", "per = \"day\", unit_price"),
        VOLUME.replace("{ model", "{ included = 60, model"),
    ] {
        let kept = [used("A", 3, 99 * MINUTE)];
        let void = DayUsage {
            records: -1,
            ..used("A", 3, -MINUTE - 1)
        };
        let voided = [kept[0], used("A", 3, MINUTE + 1), void];
        assert_eq!(month(&prices, &voided), month(&prices, &kept), "{prices}");
    }
}
