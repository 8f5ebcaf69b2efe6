//! Started packages by hand.

use super::*;

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
