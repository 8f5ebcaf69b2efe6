//! Each model by hand: tables of usage, and what it must cost.

use std::sync::Arc;

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::catalog::account::terms::PriceOverride;
use crate::values::money::{parse_plain, plain, sum};

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
fn a_package_is_paid_once_it_is_started_however_many_records_fill_it() {
    for (base_units, line) in [
        (0, "A.0: 0 in 0 x 0.5 = 0"),
        (1, "A.0: 0.000017 in 1 x 0.5 = 0.5"),
        (MINUTE, "A.0: 1 in 1 x 0.5 = 0.5"),
        (MINUTE + 1, "A.0: 1.000017 in 2 x 0.5 = 1"),
        (3 * 40_000, "A.0: 2 in 2 x 0.5 = 1"),
        (
            i64::MAX,
            "A.0: 153722867280912.930117 in 153722867280913 x 0.5 = 76861433640456.5",
        ),
    ] {
        assert_eq!(month(PACKAGES, &[used("A", 1, base_units)]), [line]);
    }
}

#[test]
fn three_lines_of_40_seconds_are_two_packages_of_a_minute() {
    let usage = [1, 2, 3].map(|appid| DayUsage {
        appid,
        ..used("A", 1, 40_000)
    });
    assert_eq!(
        month(PACKAGES, &usage),
        [
            "A.0: 0.666667 in 1 x 0.5 = 0.5",
            "A.0: 0.666667 in 1 x 0.5 = 0.5",
            "A.0: 0.666667 in 0 x 0.5 = 0"
        ]
    );
}

#[test]
fn packages_of_a_day_start_anew_each_day() {
    let a_day = "A = { package = \"60s\", per = \"day\", unit_price = \"0.5\" }\n";
    let usage = [
        used("A", 1, 40_000),
        used("A", 2, 40_000),
        used("A", 2, 20_001),
        used("A", 3, 0),
    ];
    assert_eq!(month(a_day, &usage), ["A.0: 1.666683 in 3 x 0.5 = 1.5"]);
    assert_eq!(month(PACKAGES, &usage), ["A.0: 1.666683 in 2 x 0.5 = 1"]);
}

#[test]
fn skus_that_are_rounded_together_name_one_counter() {
    let prices = "A = { package = \"60s\", counter = \"all\", per = \"day\", unit_price = \"0.5\" }\n\
                  B = { package = \"60s\", counter = \"all\", per = \"day\", unit_price = \"0.7\" }\n";
    let usage = [used("A", 1, 40_000), used("B", 1, 40_000), used("B", 2, 1)];
    assert_eq!(
        month(prices, &usage),
        ["A.0: 0.666667 in 1 x 0.5 = 0.5", "B.0: 0.666683 in 2 x 0.7 = 1.4"]
    );
}

#[test]
fn packages_of_an_account_that_is_billed_daily_start_anew_each_day_unless_they_are_of_the_month() {
    let terms = terms(Cycle::Daily, "0", vec![]);
    let rows = ([used("A", 1, 40_000)], [used("A", 2, 20_000)]);
    for (per, line) in [
        ("", "A.0: 0.333333 in 1 x 0.5 = 0.5"),
        ("per = \"day\", ", "A.0: 0.333333 in 1 x 0.5 = 0.5"),
        ("per = \"month\", ", "A.0: 0.333333 in 0 x 0.5 = 0"),
    ] {
        let prices = format!("A = {{ package = \"60s\", {per}unit_price = \"0.5\" }}\n");
        let cards = [version("2024-01-01", &prices)];
        assert_eq!(shown(&day_of(2, &terms, &cards, (&rows.0, &rows.1))), [line], "{per}");
    }
}

#[test]
fn images_in_started_thousands_are_packages() {
    let prices = "Shot = { package = 1000, unit_price = { mainland = \"0.12\", west = \"0.2\" } }\n";
    let usage = [used("Shot", 1, 999), used("Shot", 2, 1), used("Shot", 3, 1)];
    assert_eq!(month(prices, &usage), ["Shot.0: 1.001 in 2 x 0.12 = 0.24"]);
}

#[test]
fn a_version_that_changes_the_size_of_a_package_goes_on_where_the_counter_stands() {
    let cards = [
        version("2024-01-01", PACKAGES),
        version("2024-11-16", "A = { package = \"100s\", unit_price = \"0.7\" }\n"),
    ];
    let usage = [used("A", 15, 130_000), used("A", 16, 80_000)];
    // Two started minutes and one; then from 130 s to 210 s, in packages of 100 s: from the second to the third.
    assert_eq!(
        shown(&november(&monthly(), &cards, &usage)),
        ["A.0: 2.166667 in 3 x 0.5 = 1.5", "A.0: 1.333333 in 1 x 0.7 = 0.7"]
    );
}

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

#[test]
fn packages_begin_after_what_is_included_in_base_units() {
    // 0.000017 minutes are 1.02 ms: 1 ms is included.
    let prices = "A = { included = \"0.000017\", package = \"60s\", unit_price = \"0.5\" }\n";
    for (base_units, lines) in [
        (0, vec!["A.0 included: 0 x 0 = 0"]),
        (1, vec!["A.0 included: 0.000017 x 0 = 0"]),
        (
            2,
            vec!["A.0 included: 0.000017 x 0 = 0", "A.0: 0.000016 in 1 x 0.5 = 0.5"],
        ),
        (
            60_001,
            vec!["A.0 included: 0.000017 x 0 = 0", "A.0: 1 in 1 x 0.5 = 0.5"],
        ),
        (
            60_002,
            vec!["A.0 included: 0.000017 x 0 = 0", "A.0: 1.000016 in 2 x 0.5 = 1"],
        ),
    ] {
        assert_eq!(month(prices, &[used("A", 1, base_units)]), lines);
    }
}

#[test]
fn what_is_included_of_packages_of_a_day_is_there_again_each_day() {
    let prices = "A = { included = 1, package = \"60s\", per = \"day\", unit_price = \"0.5\" }\n";
    let usage = [used("A", 1, 2 * MINUTE), used("A", 2, MINUTE), used("A", 3, MINUTE + 1)];
    assert_eq!(
        month(prices, &usage),
        ["A.0 included: 3 x 0 = 0", "A.0: 1.000017 in 2 x 0.5 = 1"]
    );
}

#[test]
fn what_is_included_runs_on_across_versions_and_is_counted_once() {
    let of = |included: &str| format!("A = {{ included = {included}, unit_price = \"3\" }}\n");
    let cards = [version("2024-01-01", &of("10")), version("2024-11-16", &of("25"))];
    let usage = [used("A", 15, 12 * MINUTE), used("A", 16, 20 * MINUTE)];
    assert_eq!(
        shown(&november(&monthly(), &cards, &usage)),
        [
            "A.0 included: 10 x 0 = 0",
            "A.0: 2 x 3 = 6",
            "A.0 included: 15 x 0 = 0",
            "A.0: 5 x 3 = 15"
        ]
    );
}

#[test]
fn earlier_days_of_the_month_have_taken_what_is_included_unless_a_price_was_agreed_for_them() {
    let cards = [version("2024-01-01", "A = { included = 10, unit_price = \"3\" }\n")];
    let listed = terms(Cycle::Daily, "0", vec![]);
    let agreed = terms(Cycle::Daily, "0", vec![agreed_price("1")]);
    let rows = ([used("A", 1, 8 * MINUTE)], [used("A", 2, 8 * MINUTE)]);
    let input = day_of(2, &listed, &cards, (&rows.0, &rows.1));
    assert_eq!(shown(&input), ["A.0 included: 2 x 0 = 0", "A.0: 6 x 3 = 18"]);
    let now = Terms {
        from: day("2024-11-02"),
        ..listed.clone()
    };
    let input = PeriodUsage {
        account_terms: &[agreed, now],
        ..input
    };
    assert_eq!(shown(&input), ["A.0 included: 8 x 0 = 0"]);
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

/// Every model, with and without what is included, on counters of all widths.
fn all_models() -> Vec<Arc<RateCard>> {
    let tiers =
        "tiers = [{ from = 0, to = 20, unit_price = \"0.0325\" }, { from = 20, unit_price = \"0.030000000001\" }]";
    let first = format!(
        "A = {{ included = \"7.5\", counter = \"all\", {tiers} }}\nB = {{ included = \"7.5\", counter = \"all\", multiplier = \"1.3333\", \
         {tiers} }}\nC = {{ package = \"90s\", included = 2, unit_price = \"0.05\" }}\n"
    );
    let second = format!(
        "A = {{ model = \"volume\", {tiers} }}\nB = {{ unit_price = \"0.04\", included = 3 }}\nC = {{ package = \"70s\", included = 3, \
         per = \"day\", unit_price = \"0.05\" }}\n"
    );
    vec![version("2024-01-01", &first), version("2024-11-12", &second)]
}

fn any_usage() -> impl Strategy<Value = Vec<DayUsage<'static>>> {
    let row = (0_u64..3, 0_usize..3, 0_usize..3, 1_u32..=30, 0_i64..3, 0_i64..900_000);
    prop::collection::vec(row, 0..30).prop_map(|rows| {
        let made = rows
            .into_iter()
            .map(|(appid, region, sku, on, records, billable)| DayUsage {
                appid,
                region: ["cn", "cn2", "us"][region],
                records: records + 1,
                ..used(["A", "B", "C"][sku], on, billable)
            });
        made.collect()
    })
}

fn amount(cards: &[Arc<RateCard>], usage: &[DayUsage]) -> Decimal {
    let terms = monthly();
    let charges = rate(&november(&terms, cards, usage)).unwrap().complete().unwrap();
    sum(charges.iter().map(|charge| charge.amount)).unwrap()
}

proptest! {
    #[test]
    fn under_every_model_the_order_and_the_split_of_the_usage_do_not_matter(
        (usage, shuffled) in any_usage().prop_flat_map(|usage| (Just(usage.clone()), Just(usage).prop_shuffle())),
        cut in 0_i64..1_000,
    ) {
        let (cards, terms) = (all_models(), terms(Cycle::Monthly { anchor_day: 1 }, "7.25", vec![]));
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
    fn slices_add_up_to_the_line_and_included_lines_cost_nothing(usage in any_usage()) {
        let (cards, terms) = (all_models(), monthly());
        let input = november(&terms, &cards, &usage);
        for step in steps(&input).unwrap() {
            let total = step.slices.iter().fold(Quantity::ZERO, |sum, slice| sum.checked_add(slice.quantity).unwrap());
            prop_assert_eq!(total, step.quantity);
        }
        let charges = rate(&input).unwrap().complete().unwrap();
        for charge in charges {
            let priced = charge.packages.map_or(charge.quantity, Decimal::from);
            prop_assert!(charge.kind != Kind::Included || charge.amount.is_zero());
            prop_assert!(Decimal::ZERO <= priced && Decimal::ZERO <= charge.quantity);
        }
        let records: i64 = usage.iter().map(|row| row.records).sum();
        let charged: i64 = rate(&input).unwrap().complete().unwrap().iter().map(|charge| charge.records).sum();
        prop_assert_eq!(records, charged);
    }

    #[test]
    fn more_usage_never_costs_less_under_graduated_units_and_packages(
        usage in any_usage(), more in 0_i64..100_000_000, at in any::<prop::sample::Index>(),
    ) {
        let tiers = "tiers = [{ from = 0, to = 20, unit_price = \"0.0325\" }, { from = 20, unit_price = \"0.03\" }]";
        let prices = format!(
            "A = {{ included = \"7.5\", {tiers} }}\nB = {{ unit_price = \"0.04\", included = 3 }}\nC = {{ package = \"70s\", included = 3, \
             unit_price = \"0.05\" }}\n"
        );
        let cards = [version("2024-01-01", &prices)];
        prop_assume!(!usage.is_empty());
        let mut greater = usage.clone();
        let row = at.index(usage.len());
        greater[row].billable += more;
        // Each line's amount is rounded by itself, by half of 10^-10 at most.
        let slack = Decimal::new(i64::try_from(usage.len()).unwrap() * 2, 10);
        prop_assert!(amount(&cards, &usage) <= amount(&cards, &greater) + slack);
    }

    #[test]
    fn packages_of_all_lines_are_those_of_their_sum(parts in prop::collection::vec(0_i64..200_000, 1..20)) {
        let cards = [version("2024-01-01", PACKAGES)];
        let terms = monthly();
        let usage: Vec<_> = (0..).zip(&parts).map(|(appid, part)| DayUsage { appid, ..used("A", 1, *part) }).collect();
        let charges = rate(&november(&terms, &cards, &usage)).unwrap().complete().unwrap();
        let packages: i64 = charges.iter().filter_map(|charge| charge.packages).sum();
        let total: i64 = parts.iter().sum();
        prop_assert_eq!(packages, (total + MINUTE - 1) / MINUTE);
    }
}
