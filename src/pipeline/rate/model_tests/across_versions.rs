//! What runs on where a card or the terms change: counters, and what is included.

use super::*;

const GRADUATED: &str = "tiers = [{ from = 0, to = 100, unit_price = \"3\" }, { from = 100, unit_price = \"2\" }]";

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
fn a_sku_that_a_later_version_does_not_sell_has_moved_the_counter_that_it_named() {
    let shared = |keys: &str, sku: &str| format!("{sku} = {{ counter = \"all\", {keys} }}\n");
    for (keys, lines) in [
        (
            GRADUATED,
            vec!["A.0: 90 x 3 = 270", "B.0: 10 x 3 = 30", "B.1: 20 x 2 = 40"],
        ),
        (
            "included = 100, unit_price = \"3\"",
            vec![
                "A.0 included: 90 x 0 = 0",
                "B.0 included: 10 x 0 = 0",
                "B.0: 20 x 3 = 60",
            ],
        ),
        (
            "package = \"100m\", unit_price = \"5\"",
            vec!["A.0: 90 in 1 x 5 = 5", "B.0: 30 in 1 x 5 = 5"],
        ),
        (
            &*format!("model = \"volume\", {GRADUATED}"),
            vec!["A.1: 90 x 2 = 180", "B.1: 30 x 2 = 60"],
        ),
    ] {
        let both = shared(keys, "A") + &shared(keys, "B");
        let cards = [version("2024-01-01", &both), version("2024-11-16", &shared(keys, "B"))];
        let usage = [used("A", 15, 90 * MINUTE), used("B", 16, 30 * MINUTE)];
        assert_eq!(shown(&november(&monthly(), &cards, &usage)), lines, "{keys}");
    }
}

#[test]
fn a_version_between_that_does_not_sell_a_sku_takes_nothing_from_the_counters_after_it() {
    let shared = |sku: &str| format!("{sku} = {{ counter = \"all\", {GRADUATED} }}\n");
    let cards = [
        version("2024-01-01", &(shared("A") + &shared("B"))),
        version("2024-11-11", &shared("B")),
        version("2024-11-21", &(shared("A") + &shared("B"))),
    ];
    let usage = [
        used("A", 10, 60 * MINUTE),
        used("B", 11, 30 * MINUTE),
        used("A", 21, 20 * MINUTE),
    ];
    assert_eq!(
        shown(&november(&monthly(), &cards, &usage)),
        [
            "A.0: 60 x 3 = 180",
            "B.0: 30 x 3 = 90",
            "A.0: 10 x 3 = 30",
            "A.1: 10 x 2 = 20"
        ]
    );
}

#[test]
fn the_counter_of_a_sku_alone_moves_nothing_of_a_version_that_does_not_sell_it() {
    let cards = [
        version("2024-01-01", &format!("A = {{ {GRADUATED} }}\n")),
        version("2024-11-16", &format!("B = {{ counter = \"A\", {GRADUATED} }}\n")),
    ];
    let usage = [used("A", 15, 90 * MINUTE), used("B", 16, 90 * MINUTE)];
    assert_eq!(
        shown(&november(&monthly(), &cards, &usage)),
        ["A.0: 90 x 3 = 270", "B.0: 90 x 3 = 270"]
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

/// The second of November of an account with 8 minutes on each day, after its first day was under other terms.
fn second_day_after(first: Terms, second: &Terms, prices: &str) -> Vec<String> {
    let cards = [version("2024-01-01", prices)];
    let rows = ([used("A", 1, 8 * MINUTE)], [used("A", 2, 8 * MINUTE)]);
    let now = Terms {
        from: day("2024-11-02"),
        ..second.clone()
    };
    shown(&PeriodUsage {
        account_terms: &[first, now],
        ..day_of(2, second, &cards, (&rows.0, &rows.1))
    })
}

#[test]
fn a_day_under_another_card_or_billed_by_the_month_took_nothing_of_what_the_card_includes() {
    let daily = terms(Cycle::Daily, "0", vec![]);
    let other_card = Terms {
        card: "other".to_owned(),
        ..daily.clone()
    };
    let other_discount = terms(Cycle::Daily, "5", vec![]);
    let units = "A = { included = 10, unit_price = \"3\" }\n";
    let packages = "A = { included = 10, package = \"1m\", per = \"month\", unit_price = \"3\" }\n";
    for first in [&other_card, &monthly()] {
        assert_eq!(
            second_day_after(first.clone(), &daily, units),
            ["A.0 included: 8 x 0 = 0"]
        );
        assert_eq!(
            second_day_after(first.clone(), &daily, packages),
            ["A.0 included: 8 x 0 = 0"]
        );
        let tiers = format!("A = {{ included = 5, {} }}\n", GRADUATED.replace("100", "8"));
        assert_eq!(
            second_day_after(first.clone(), &daily, &tiers),
            ["A.0 included: 5 x 0 = 0", "A.1: 3 x 2 = 6"],
            "all of the first day moves the tiers"
        );
    }
    for (prices, rest) in [(units, "A.0: 6 x 3 = 18"), (packages, "A.0: 6 in 6 x 3 = 18")] {
        assert_eq!(
            second_day_after(other_discount.clone(), &daily, prices),
            ["A.0 included: 2 x 0 = 0", rest]
        );
    }
}
