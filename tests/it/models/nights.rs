//! November and December of an account under one model, with usage that came late, through the program.

use std::process::Command;

use serde_json::Value;
use tallybook::values::calendar::Cycle;

use crate::exactly_once::shop::{Shop, usage, void};
use crate::laws::rows_of;
use crate::nights::verified;

const CLOSED: &str = "2024-12-10T00:00:00Z";
const LATER: &str = "2025-01-10T00:00:00Z";

const NOVEMBER: &str = "2024-11-15T10:00:00+08:00";
const DECEMBER: &str = "2024-12-05T10:00:00+08:00";

fn prices(keys: &str) -> String {
    format!("\"A\" = {{ {keys}, origin = \"inferred\" }}\n")
}

const TIERS: &str =
    "tiers = [{ from = 0, to = 10, unit_price = \"3\" }, { from = 10, unit_price = \"0.000000000001\" }]";

/// November closed with 9 minutes; then 2 minutes come late, and December has one minute.
fn late_under(keys: &str) -> Shop {
    let shop = Shop::new("CNY", &prices(keys));
    shop.drop(&[usage("a", 7, "A", NOVEMBER, 9 * 60_000)]);
    shop.place.night(CLOSED);
    shop.drop(&[
        usage("b", 7, "A", NOVEMBER, 2 * 60_000),
        usage("c", 7, "A", DECEMBER, 60_000),
    ]);
    shop.place.night(LATER);
    shop
}

/// Kind, quantity, price, amount and note of each line.
fn lines(shop: &Shop) -> Vec<String> {
    let columns = [
        "uin",
        "period_start",
        "line_no",
        "kind",
        "quantity",
        "unit_price",
        "amount",
        "note",
    ];
    let rows = rows_of(&shop.place, &columns);
    let own = rows.iter().filter(|row| row[3] != "rounding");
    own.map(|row| {
        let shown = row[3..].join(" ");
        shown.trim_end_matches(' ').to_owned()
    })
    .collect()
}

/// What a command says, as JSON.
fn json(shop: &Shop, args: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    command.env_clear().env("TALLYBOOK_DEFAULT_CARD", "c");
    command.arg("--data-dir").arg(shop.place.data());
    command.arg("--rate-cards").arg(shop.cards());
    command.args(["--as-of", LATER]).args(args).arg("--json");
    if let Some(ledger) = crate::ledgers::url(shop.place.path()) {
        command.env("TALLYBOOK_LEDGER", ledger);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Everything is proved, and each line of both statements is explained, with these sentences among others.
fn assert_explained(shop: &Shop, sentences: &[&str]) {
    assert_eq!(verified(&shop.place, LATER).differences, Vec::<String>::new());
    let mut told = String::new();
    for id in ["7-20241101-20241201", "7-20241201-20250101"] {
        let explained = json(shop, &["explain", id]);
        for line in explained["lines"].as_array().unwrap() {
            for step in line["steps"].as_array().unwrap() {
                told += step.as_str().unwrap();
                told += "\n";
            }
        }
    }
    for sentence in sentences {
        assert!(told.contains(sentence), "{sentence}:\n{told}");
    }
}

const LATE: &str = "2024-11-01 to 2024-12-01: usage changed after the close";

#[test]
fn late_usage_that_reaches_the_next_slice_of_a_volume_prices_all_of_the_period_again() {
    let shop = late_under(&format!("model = \"volume\", {TIERS}"));
    let note = "volume: all of it at the price of the slice in which the counter ended";
    assert_eq!(
        lines(&shop),
        [
            format!("usage 9.000000 3 27.0000000000 {note}"),
            format!("usage 1.000000 3 3.0000000000 {note}"),
            format!("adjustment -9.000000 3 -27.0000000000 {LATE}"),
            format!("adjustment 11.000000 0.000000000001 0.0000000000 {LATE}"),
        ]
    );
    assert_explained(
        &shop,
        &[
            "volume: the counter ended at 9.000000, and all of it has the price of that slice",
            "volume: the counter ended at 11.000000, and all of it has the price of that slice",
            "tier [10, ...): 11.000000 at 0.000000000001, this line",
        ],
    );
}

#[test]
fn late_usage_under_graduated_tiers_with_something_included() {
    let shop = late_under(&format!("included = \"0.5\", {TIERS}"));
    assert_eq!(
        lines(&shop),
        [
            "included 0.500000 0 0.0000000000".to_owned(),
            "usage 8.500000 3 25.5000000000".to_owned(),
            "included 0.500000 0 0.0000000000".to_owned(),
            "usage 0.500000 3 1.5000000000".to_owned(),
            format!("adjustment 1.500000 3 4.5000000000 {LATE}"),
            format!("adjustment 0.500000 0.000000000001 0.0000000000 {LATE}"),
        ]
    );
    assert_explained(&shop, &["included: 0.500000 of the counter's 0.5 minute, this line"]);
}

#[test]
fn late_usage_starts_the_packages_that_it_would_have_started_in_time() {
    let shop = late_under("package = \"4m\", unit_price = \"0.5\"");
    assert_eq!(
        lines(&shop),
        [
            "usage 9.000000 0.5 1.5000000000 packages 3".to_owned(),
            "usage 1.000000 0.5 0.5000000000 packages 1".to_owned(),
            format!("adjustment 2.000000 0.5 0.0000000000 packages 0; {LATE}"),
        ]
    );
    assert_explained(
        &shop,
        &[
            "package counter from 0 to 540,000 base units, in packages of 240,000: 3 packages started",
            "3 packages x 0.5 x (1 - 0 / 100) = 1.5000000000 CNY",
            "3 packages correct - 3 billed = 0",
        ],
    );
}

#[test]
fn late_usage_of_packages_of_a_day_is_counted_on_its_day() {
    let shop = late_under("package = \"4m\", per = \"day\", included = 1, unit_price = \"0.5\"");
    assert_eq!(
        lines(&shop),
        [
            "included 1.000000 0 0.0000000000".to_owned(),
            "usage 8.000000 0.5 1.0000000000 packages 2".to_owned(),
            "included 1.000000 0 0.0000000000".to_owned(),
            format!("adjustment 2.000000 0.5 0.5000000000 packages 1; {LATE}"),
        ]
    );
    assert_explained(
        &shop,
        &["480,000 base units on 1 day, in packages of 240,000 that start anew each day: 2 packages"],
    );
}

#[test]
fn a_multiplier_shows_both_quantities_also_where_late_usage_is_adjusted() {
    let shop = late_under("multiplier = \"1.5\", unit_price = \"2\"");
    assert_eq!(
        lines(&shop),
        [
            "usage 13.500000 2 27.0000000000 multiplier 1.5; usage 9.000000".to_owned(),
            "usage 1.500000 2 3.0000000000 multiplier 1.5; usage 1.000000".to_owned(),
            format!("adjustment 3.000000 2 6.0000000000 multiplier 1.5; usage 2.000000; {LATE}"),
        ]
    );
    assert_explained(
        &shop,
        &["540,000 ms / 60,000 x 1.5 = 13.500000 minute (rounded once, half up, to 6 decimals)"],
    );
    let statements = json(&shop, &["statement", "7", "--month", "2024-11"]);
    let line = &statements[0]["lines"][0];
    assert_eq!(
        (&line["multiplier"], &line["usage_quantity"]),
        (&"1.5".into(), &"9.000000".into())
    );
    assert_eq!(line["packages"], Value::Null);
}

#[test]
fn a_void_that_crosses_back_over_a_bound_moves_the_whole_volume_back() {
    let shop = Shop::new("CNY", &prices(&format!("model = \"volume\", {TIERS}")));
    shop.drop(&[
        usage("a", 7, "A", NOVEMBER, 9 * 60_000),
        usage("b", 7, "A", NOVEMBER, 60_000),
    ]);
    shop.place.night(CLOSED);
    shop.drop(&[void("v", "b"), usage("c", 7, "A", DECEMBER, 60_000)]);
    shop.place.night(LATER);
    let adjustments: Vec<String> = lines(&shop)
        .into_iter()
        .filter(|line| line.starts_with("adj"))
        .collect();
    assert_eq!(
        adjustments,
        [
            format!("adjustment 9.000000 3 27.0000000000 {LATE}"),
            format!("adjustment -10.000000 0.000000000001 0.0000000000 {LATE}"),
        ]
    );
    assert_explained(&shop, &[]);
}

#[test]
fn a_correction_may_turn_units_into_packages_of_the_same_price() {
    let shop = Shop::new("CNY", &prices("unit_price = \"0.5\""));
    shop.drop(&[usage("a", 7, "A", NOVEMBER, 90_000)]);
    shop.place.night(CLOSED);
    shop.write_card(&prices("package = \"60s\", unit_price = \"0.5\", included = \"0.25\""));
    assert_eq!(shop.correct("2024-12-11T00:00:00Z"), 1);
    shop.drop(&[usage("c", 7, "A", DECEMBER, 60_000)]);
    shop.place.night(LATER);
    let note = "2024-11-01 to 2024-12-01: price corrected";
    let adjustments: Vec<String> = lines(&shop)
        .into_iter()
        .filter(|line| line.starts_with("adj"))
        .collect();
    assert_eq!(
        adjustments,
        [
            format!("adjustment 0.250000 0 0.0000000000 {note}"),
            format!("adjustment -1.500000 0.5 -0.7500000000 {note}"),
            format!("adjustment 1.250000 0.5 1.0000000000 packages 2; {note}"),
        ]
    );
    assert_explained(&shop, &[]);
}

/// November closed with 9 minutes, after that the price was corrected; the adjustments of it.
fn corrected(wrong: &str, right: &str) -> (Shop, Vec<String>) {
    let shop = Shop::new("CNY", &prices(wrong));
    shop.drop(&[usage("a", 7, "A", NOVEMBER, 9 * 60_000)]);
    shop.place.night(CLOSED);
    shop.write_card(&prices(right));
    assert_eq!(shop.correct("2024-12-11T00:00:00Z"), 1);
    shop.drop(&[usage("c", 7, "A", DECEMBER, 60_000)]);
    shop.place.night(LATER);
    let adjustments = lines(&shop).into_iter().filter(|line| line.starts_with("adj"));
    let adjustments = adjustments.collect();
    (shop, adjustments)
}

#[test]
fn a_corrected_multiplier_gives_the_usage_back_with_the_old_one_and_bills_it_with_the_new_one() {
    let note = "2024-11-01 to 2024-12-01: price corrected";
    let (shop, adjustments) = corrected(
        "multiplier = \"1.5\", unit_price = \"2\"",
        "multiplier = 2, unit_price = \"2\"",
    );
    assert_eq!(
        adjustments,
        [
            format!("adjustment -13.500000 2 -27.0000000000 multiplier 1.5; usage -9.000000; {note}"),
            format!("adjustment 18.000000 2 36.0000000000 multiplier 2; usage 9.000000; {note}"),
        ]
    );
    assert_explained(&shop, &[]);
    let (shop, adjustments) = corrected("unit_price = \"2\"", "multiplier = \"0.5\", unit_price = \"2\"");
    assert_eq!(
        adjustments,
        [
            format!("adjustment -9.000000 2 -18.0000000000 {note}"),
            format!("adjustment 4.500000 2 9.0000000000 multiplier 0.5; usage 9.000000; {note}"),
        ]
    );
    assert_explained(&shop, &[]);
}

#[test]
fn late_records_of_nothing_stand_on_what_is_included_as_they_would_have_in_time() {
    let shop = Shop::new("CNY", &prices(&format!("included = 1, {TIERS}")));
    shop.drop(&[usage("a", 7, "A", NOVEMBER, 9 * 60_000)]);
    shop.place.night(CLOSED);
    shop.drop(&[usage("b", 7, "A", NOVEMBER, 0), usage("c", 7, "A", DECEMBER, 60_000)]);
    shop.place.night(LATER);
    let rows = rows_of(
        &shop.place,
        &[
            "uin",
            "period_start",
            "line_no",
            "kind",
            "quantity",
            "unit_price",
            "records",
            "corrects_line",
        ],
    );
    let adjustments: Vec<_> = rows.iter().filter(|row| row[3] == "adjustment").collect();
    assert_eq!(adjustments.len(), 1);
    assert_eq!(
        adjustments[0][4..],
        ["0.000000", "0", "1", "1"],
        "the first line is what is included"
    );
    assert_explained(&shop, &[]);
}

#[test]
fn the_note_of_a_later_day_says_that_earlier_usage_moved_counters_where_packages_are_counted() {
    let shop = Shop::new(
        "CNY",
        &prices("package = \"4m\", per = \"month\", unit_price = \"0.5\""),
    );
    shop.place
        .add_account("2024-11-01T00:00:00Z", 7, "c", Cycle::Daily, "2024-11-01");
    let on = |day: u32| format!("2024-11-{day:02}T10:00:00+08:00");
    shop.drop(&[
        usage("a", 7, "A", &on(5), 3 * 60_000),
        usage("b", 7, "A", &on(6), 3 * 60_000),
    ]);
    shop.place.night("2024-11-20T00:00:00Z");
    shop.drop(&[usage("c", 7, "A", &on(5), 2 * 60_000)]);
    shop.place.night(CLOSED);
    let mut told = lines(&shop);
    told.retain(|line| line.starts_with("adj"));
    assert_eq!(
        told,
        [
            "adjustment 2.000000 0.5 0.5000000000 packages 1; 2024-11-05 to 2024-11-06: usage changed after the close",
            "adjustment 0.000000 0.5 -0.5000000000 packages -1; 2024-11-06 to 2024-11-07: earlier usage moved its counters",
        ]
    );
    assert_eq!(verified(&shop.place, CLOSED).differences, Vec::<String>::new());
}
