//! Cases that hurt others, each by name: what is billed once, when, and at which price.

pub mod shop;

use tallybook::decisions::conflict::{list, resolve};
use tallybook::inspect::verify::verify;
use tallybook::pipeline::meter::dedupe::resolution::Resolution;
use tallybook::storage::ledger::Lease;
use tallybook::values::calendar::Cycle;

use crate::world::{Place, at, run};
use shop::{Shop, records, usage, void};

/// Every line but the rounding: kind, SKU, records, quantity, unit price, amount.
fn lines(place: &Place) -> Vec<String> {
    let columns = [
        "uin",
        "period_start",
        "line_no",
        "kind",
        "sku",
        "records",
        "quantity",
        "unit_price",
        "amount",
    ];
    let rows = crate::laws::rows_of(place, &columns);
    let told = rows.iter().filter(|row| row[3] != "rounding");
    told.map(|row| format!("{} {}", &row[1][..10], row[3..].join(" ")))
        .collect()
}

fn totals(place: &Place) -> Vec<String> {
    let columns = ["uin", "period_start", "total"];
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (_, text) in place.exported("statements.csv") {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let at = columns.map(|name| header.iter().position(|h| h == name).unwrap());
        rows.extend(reader.records().map(|row| {
            let row = row.unwrap();
            at.iter().map(|&at| row[at].to_owned()).collect()
        }));
    }
    rows.sort();
    rows.iter()
        .map(|row| format!("{} {} {}", row[0], &row[1][..10], row[2]))
        .collect()
}

fn assert_proved(place: &Place, now: &str) {
    run(async {
        let books = place.books(at(now)).await;
        assert_eq!(verify(&books).await.unwrap().differences, Vec::<String>::new());
        books.ledger.close().await;
    });
}

fn decide(place: &Place, now: &str, word: Resolution) {
    run(async {
        let books = place.books(at(now)).await;
        let open = list(&books, false, None).await.unwrap();
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        resolve(&books, &lease, open[0].row.conflict, word, "seen with the customer")
            .await
            .unwrap();
        lease.release().await.unwrap();
        books.ledger.close().await;
    });
}

#[test]
fn exactly_midnight_belongs_to_the_day_and_the_period_that_begin() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    shop.drop(&[
        usage("last", 7, "A", "2024-11-30T23:59:59.999999999+08:00", 60_000),
        usage("first", 7, "A", "2024-12-01T00:00:00+08:00", 120_000),
    ]);
    shop.place.night("2025-01-10T00:00:00Z");
    assert_eq!(
        lines(&shop.place),
        [
            "2024-11-01 usage A 1 1.000000 1 1.0000000000",
            "2024-12-01 usage A 1 2.000000 1 2.0000000000"
        ]
    );
}

#[test]
fn a_zone_with_daylight_saving_has_days_of_23_and_25_hours() {
    let shop = Shop::in_zone(
        "USD",
        "America/New_York",
        "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }",
    );
    shop.place
        .add_account("2024-01-02T00:00:00Z", 7, "c", Cycle::Daily, "2024-03-09");
    // Clocks go forward on 10 March and back on 3 November: the days end at 04:00Z and 05:00Z.
    shop.drop(&[
        usage("a", 7, "A", "2024-03-10T05:00:00Z", 60_000),
        usage("b", 7, "A", "2024-03-11T03:59:59Z", 60_000),
        usage("c", 7, "A", "2024-03-11T04:00:00Z", 60_000),
        usage("d", 7, "A", "2024-11-03T04:00:00Z", 60_000),
        usage("e", 7, "A", "2024-11-04T04:59:59Z", 60_000),
        usage("f", 7, "A", "2024-11-04T05:00:00Z", 60_000),
    ]);
    shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!(
        lines(&shop.place),
        [
            "2024-03-10 usage A 2 2.000000 1 2.0000000000",
            "2024-03-11 usage A 1 1.000000 1 1.0000000000",
            "2024-11-03 usage A 2 2.000000 1 2.0000000000",
            "2024-11-04 usage A 1 1.000000 1 1.0000000000"
        ]
    );
}

#[test]
fn a_fraction_between_integer_tiers_is_in_the_tier_below() {
    let tiers = "\"A\" = { origin = \"illustrative\", tiers = [{ from = 0, to = 100, unit_price = \"3\" }, { from = 100, unit_price = \"2\" }] }";
    let shop = Shop::new("CNY", tiers);
    // 100.5 minutes: 100 at 3, half a minute at 2; there is no gap between 100 and 101.
    shop.drop(&[usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 6_030_000)]);
    shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!(
        lines(&shop.place),
        [
            "2024-11-01 usage A 1 100.000000 3 300.0000000000",
            "2024-11-01 usage A 0 0.500000 2 1.0000000000"
        ]
    );
}

#[test]
fn fifty_five_times_0_067_is_3_685() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"0.067\", origin = \"illustrative\" }");
    shop.drop(&[usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 55 * 60_000)]);
    shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!(
        lines(&shop.place),
        ["2024-11-01 usage A 1 55.000000 0.067 3.6850000000"]
    );
    assert_eq!(totals(&shop.place), ["7 2024-11-01 3.69"]);
}

#[test]
fn totals_in_krw_and_jpy_reach_the_trillions_to_the_last_unit() {
    for currency in ["KRW", "JPY"] {
        let shop = Shop::new(
            currency,
            "\"A\" = { unit_price = \"999999.999999\", origin = \"illustrative\" }",
        );
        let longest = (1_u64 << 53) - 7;
        shop.drop(&[
            usage("a", 7, "A", "2024-11-15T10:00:00+08:00", longest),
            usage("b", 7, "A", "2024-11-16T10:00:00+08:00", longest),
        ]);
        shop.place.night("2024-12-10T00:00:00Z");
        // 2 x 9007199254740985 ms = 300239975158.032833 minutes, rounded once; the product has 10 decimals.
        assert_eq!(
            lines(&shop.place),
            ["2024-11-01 usage A 2 300239975158.032833 999999.999999 300239975157732593.0248419672"]
        );
        assert_eq!(totals(&shop.place), ["7 2024-11-01 300239975157732593"]);
        assert_proved(&shop.place, "2024-12-10T00:00:00Z");
    }
}

#[test]
fn running_usage_that_goes_below_what_was_billed_is_given_back_and_a_negative_total_is_carried() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    shop.drop(&[usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 600_000)]);
    shop.place.night("2024-12-10T00:00:00Z");
    shop.drop(&[void("v", "a"), usage("b", 7, "A", "2024-12-15T10:00:00+08:00", 60_000)]);
    shop.place.night("2025-01-10T00:00:00Z");
    assert_eq!(
        lines(&shop.place),
        [
            "2024-11-01 usage A 1 10.000000 1 10.0000000000",
            "2024-12-01 usage A 1 1.000000 1 1.0000000000",
            "2024-12-01 adjustment A -1 -10.000000 1 -10.0000000000"
        ]
    );
    assert_eq!(totals(&shop.place), ["7 2024-11-01 10.00", "7 2024-12-01 -9.00"]);
    assert_proved(&shop.place, "2025-01-10T00:00:00Z");
}

#[test]
fn an_adjustment_is_made_once_however_often_the_night_runs() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    shop.drop(&[usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000)]);
    shop.place.night("2024-12-10T00:00:00Z");
    shop.drop(&[usage("late", 7, "A", "2024-11-16T10:00:00+08:00", 120_000)]);
    for now in [
        "2024-12-11T00:00:00Z",
        "2025-01-10T00:00:00Z",
        "2025-01-10T00:00:00Z",
        "2025-02-10T00:00:00Z",
    ] {
        shop.place.night(now);
    }
    assert_eq!(
        lines(&shop.place),
        [
            "2024-11-01 usage A 1 1.000000 1 1.0000000000",
            "2024-12-01 adjustment A 1 2.000000 1 2.0000000000"
        ]
    );
}

#[test]
fn a_repeat_with_another_time_across_a_period_end_is_a_conflict_and_moves_when_a_person_says_so() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    shop.drop(&[
        usage("a", 7, "A", "2024-11-30T23:59:00+08:00", 60_000),
        usage("b", 7, "A", "2024-11-15T10:00:00+08:00", 60_000),
    ]);
    shop.place.night("2024-12-10T00:00:00Z");
    shop.drop(&[usage("a", 7, "A", "2024-12-01T00:00:00+08:00", 60_000)]);
    let night = shop.place.night("2024-12-11T00:00:00Z");
    let told: Vec<_> = night.conflicts[0]
        .money
        .iter()
        .map(|money| money.amount.as_str())
        .collect();
    assert_eq!(told, ["0.0000000000"], "it only moves to another period");
    decide(&shop.place, "2024-12-12T00:00:00Z", Resolution::Replaced);
    // Repeats of either content are duplicates from now on.
    shop.drop(&[
        usage("a", 7, "A", "2024-12-01T00:00:00+08:00", 60_000),
        usage("a", 7, "A", "2024-11-30T23:59:00+08:00", 60_000),
    ]);
    let night = shop.place.night("2025-01-10T00:00:00Z");
    assert_eq!((night.metered.conflicts, records(&night, "duplicate")), (0, 2));
    assert_eq!(
        lines(&shop.place),
        [
            "2024-11-01 usage A 2 2.000000 1 2.0000000000",
            "2024-12-01 usage A 1 1.000000 1 1.0000000000",
            "2024-12-01 adjustment A -1 -1.000000 1 -1.0000000000"
        ]
    );
    assert_proved(&shop.place, "2025-01-10T00:00:00Z");
}

#[test]
fn a_conflict_that_is_kept_moves_nothing_and_its_repeats_are_duplicates() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    let other = usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 120_000);
    shop.drop(&[usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000), other.clone()]);
    shop.place.night("2024-11-20T00:00:00Z");
    decide(&shop.place, "2024-11-21T00:00:00Z", Resolution::Kept);
    shop.drop(&[other, usage("b", 7, "A", "2024-11-15T10:00:00+08:00", 60_000)]);
    let night = shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!((records(&night, "conflict"), records(&night, "duplicate")), (1, 1));
    assert_eq!(lines(&shop.place), ["2024-11-01 usage A 2 2.000000 1 2.0000000000"]);
}

#[test]
fn after_a_void_other_content_is_a_conflict_that_can_only_be_kept() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    shop.drop(&[usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000), void("v", "a")]);
    shop.place.night("2024-11-20T00:00:00Z");
    shop.drop(&[usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 120_000)]);
    shop.place.night("2024-11-21T00:00:00Z");
    run(async {
        let books = shop.place.books(at("2024-11-22T00:00:00Z")).await;
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        let refused = resolve(&books, &lease, 1, Resolution::Replaced, "no")
            .await
            .unwrap_err();
        assert_eq!(u8::from(refused.exit_code()), 2);
        assert!(refused.to_string().contains("the record was voided"), "{refused}");
        resolve(&books, &lease, 1, Resolution::Kept, "yes").await.unwrap();
        lease.release().await.unwrap();
        books.ledger.close().await;
    });
    assert_eq!(shop.place.night("2024-12-10T00:00:00Z").closed.statements, 0);
}

#[test]
fn what_is_sent_again_after_its_raw_expired_is_refused_and_bills_nothing() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    let record = usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000);
    shop.drop(std::slice::from_ref(&record));
    shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!(shop.place.night("2025-05-20T00:00:00Z").expired.days.len(), 1);
    shop.drop(&[record, usage("b", 7, "A", "2025-05-01T10:00:00+08:00", 120_000)]);
    let night = shop.place.night("2025-06-10T00:00:00Z");
    assert_eq!(records(&night, "quarantined"), 1);
    assert_eq!(
        lines(&shop.place),
        [
            "2024-11-01 usage A 1 1.000000 1 1.0000000000",
            "2025-05-01 usage A 1 2.000000 1 2.0000000000"
        ]
    );
    assert_proved(&shop.place, "2025-06-10T00:00:00Z");
}

#[test]
fn a_merge_of_segments_between_metering_and_a_void_moves_no_pointer() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    let mut merged = 0;
    for number in 0..9 {
        shop.drop(&[usage(
            &format!("r{number}"),
            7,
            "A",
            "2024-11-15T10:00:00+08:00",
            60_000,
        )]);
        merged += shop.place.night("2024-11-20T00:00:00Z").kept.segments_merged.0;
    }
    assert!(merged >= 8, "the night merged {merged} segments");
    shop.drop(&[
        void("v", "r3"),
        usage("r4", 7, "A", "2024-11-15T10:00:00+08:00", 60_000),
    ]);
    let night = shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!((records(&night, "voided"), records(&night, "duplicate")), (1, 1));
    assert_eq!(lines(&shop.place), ["2024-11-01 usage A 8 8.000000 1 8.0000000000"]);
    assert_proved(&shop.place, "2024-12-10T00:00:00Z");
}

#[test]
fn daily_cycles_with_a_monthly_tier_and_a_late_record_on_day_1() {
    let tiers = "\"A\" = { origin = \"illustrative\", tiers = [{ from = 0, to = 3, unit_price = \"3\" }, { from = 3, unit_price = \"2\" }] }";
    let shop = Shop::new("CNY", tiers);
    shop.place
        .add_account("2024-01-02T00:00:00Z", 7, "c", Cycle::Daily, "2024-10-31");
    shop.drop(&[
        usage("d1", 7, "A", "2024-11-01T10:00:00+08:00", 60_000),
        usage("d2", 7, "A", "2024-11-02T10:00:00+08:00", 120_000),
        usage("d3", 7, "A", "2024-11-03T10:00:00+08:00", 60_000),
    ]);
    shop.place.night("2024-11-08T00:00:00Z");
    shop.drop(&[usage("late", 7, "A", "2024-11-01T11:00:00+08:00", 60_000)]);
    shop.place.night("2024-11-09T00:00:00Z");
    assert_eq!(
        lines(&shop.place),
        [
            "2024-11-01 usage A 1 1.000000 3 3.0000000000",
            "2024-11-02 usage A 1 2.000000 3 6.0000000000",
            "2024-11-03 usage A 1 1.000000 2 2.0000000000",
            // Day 1 takes one more at 3; so day 2 has only one left at 3, and one at 2.
            "2024-11-05 adjustment A 1 1.000000 3 3.0000000000",
            "2024-11-05 adjustment A 0 -1.000000 3 -3.0000000000",
            "2024-11-05 adjustment A 0 1.000000 2 2.0000000000"
        ]
    );
    assert_proved(&shop.place, "2024-11-09T00:00:00Z");
}

#[test]
fn a_price_correction_across_two_closed_months_gives_back_the_old_price_and_charges_the_new() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }");
    shop.drop(&[usage("nov", 7, "A", "2024-11-15T10:00:00+08:00", 60_000)]);
    shop.place.night("2024-12-10T00:00:00Z");
    shop.drop(&[usage("dec", 7, "A", "2024-12-15T10:00:00+08:00", 120_000)]);
    shop.place.night("2025-01-10T00:00:00Z");
    shop.write_card("\"A\" = { unit_price = \"2\", origin = \"illustrative\" }");
    let refused = shop.place.night("2025-01-11T00:00:00Z");
    assert_eq!(u8::from(refused.exit_code()), 3);
    assert!(
        refused.needs_person[0].contains("--corrects 2024-01-01"),
        "{:?}",
        refused.needs_person
    );
    assert_eq!(shop.correct("2025-01-12T00:00:00Z"), 2);
    shop.place.night("2025-02-10T00:00:00Z");
    let of_february: Vec<String> = lines(&shop.place)
        .into_iter()
        .filter(|line| line.starts_with("2025-01"))
        .collect();
    assert_eq!(
        of_february,
        [
            "2025-01-01 adjustment A 0 -1.000000 3 -3.0000000000",
            "2025-01-01 adjustment A 0 1.000000 2 2.0000000000",
            "2025-01-01 adjustment A 0 -2.000000 3 -6.0000000000",
            "2025-01-01 adjustment A 0 2.000000 2 4.0000000000"
        ]
    );
    assert_eq!(
        totals(&shop.place),
        ["7 2024-11-01 3.00", "7 2024-12-01 6.00", "7 2025-01-01 -3.00"]
    );
    assert_proved(&shop.place, "2025-02-10T00:00:00Z");
}

#[test]
fn a_card_revision_that_only_adds_a_sku_after_another_account_has_closed_changes_no_bill() {
    let price = "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }";
    let shop = Shop::new("CNY", price);
    shop.write_card_not_sold(price, "B");
    shop.drop(&[
        usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000),
        usage("b", 8, "B", "2024-11-15T10:00:00+08:00", 60_000),
    ]);
    let night = shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!((night.closed.statements, night.closed.blocked.len()), (1, 1));
    let before = shop.place.exported("statement_lines.csv");
    shop.write_card(&format!(
        "{price}\n\"B\" = {{ unit_price = \"5\", origin = \"illustrative\" }}"
    ));
    let night = shop.place.night("2024-12-11T00:00:00Z");
    assert_eq!((night.closed.statements, night.closed.adjusted_accounts), (1, 0));
    let after = shop.place.exported("statement_lines.csv");
    assert_eq!(after[..1], before[..]);
    assert_eq!(totals(&shop.place), ["7 2024-11-01 3.00", "8 2024-11-01 5.00"]);
    // The first statement was closed under the first revision, and is still proved by it.
    assert_proved(&shop.place, "2024-12-11T00:00:00Z");
}

#[test]
fn usage_before_the_first_closed_period_is_adjusted_and_corrected_too() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }");
    shop.drop(&[usage("nov", 7, "A", "2024-11-15T10:00:00+08:00", 60_000)]);
    shop.place.night("2024-12-10T00:00:00Z");
    shop.drop(&[usage("oct", 7, "A", "2024-10-15T10:00:00+08:00", 120_000)]);
    shop.place.night("2025-01-10T00:00:00Z");
    shop.write_card("\"A\" = { unit_price = \"2\", origin = \"illustrative\" }");
    assert_eq!(
        shop.correct("2025-01-12T00:00:00Z"),
        3,
        "November, December, and October without a statement"
    );
    shop.place.night("2025-02-10T00:00:00Z");
    assert_eq!(
        totals(&shop.place),
        ["7 2024-11-01 3.00", "7 2024-12-01 6.00", "7 2025-01-01 -3.00"]
    );
    assert_proved(&shop.place, "2025-02-10T00:00:00Z");
}

#[test]
fn usage_before_the_first_closed_period_moves_the_tiers_of_what_was_adjusted_there_before() {
    let tiers = "\"A\" = { origin = \"illustrative\", tiers = [{ from = 0, to = 3, unit_price = \"3\" }, { from = 3, unit_price = \"2\" }] }";
    let shop = Shop::new("CNY", tiers);
    shop.place
        .add_account("2024-01-02T00:00:00Z", 7, "c", Cycle::Daily, "2024-11-05");
    shop.drop(&[usage("d5", 7, "A", "2024-11-05T10:00:00+08:00", 60_000)]);
    shop.place.night("2024-11-09T00:00:00Z");
    shop.drop(&[usage("d3", 7, "A", "2024-11-03T10:00:00+08:00", 180_000)]);
    shop.place.night("2024-11-10T00:00:00Z");
    shop.drop(&[usage("d2", 7, "A", "2024-11-02T10:00:00+08:00", 180_000)]);
    shop.place.night("2024-11-11T00:00:00Z");
    assert_eq!(
        lines(&shop.place),
        [
            "2024-11-05 usage A 1 1.000000 3 3.0000000000",
            "2024-11-06 adjustment A 1 3.000000 3 9.0000000000",
            "2024-11-06 adjustment A 0 -1.000000 3 -3.0000000000",
            "2024-11-06 adjustment A 0 1.000000 2 2.0000000000",
            "2024-11-07 adjustment A 1 3.000000 3 9.0000000000",
            // Day 3 has no closed period of its own, and day 2 takes its place in the first tier all the same.
            "2024-11-07 adjustment A 0 -3.000000 3 -9.0000000000",
            "2024-11-07 adjustment A 0 3.000000 2 6.0000000000"
        ]
    );
    assert_proved(&shop.place, "2024-11-11T00:00:00Z");
}

#[test]
fn an_id_used_again_after_expiry_can_be_taken_back_again() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    shop.drop(&[
        usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000),
        void("v", "a"),
        usage("b", 7, "A", "2024-11-15T11:00:00+08:00", 60_000),
    ]);
    shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!(
        shop.place.night("2025-07-01T00:00:00Z").expired.days.len(),
        1,
        "the void's own day lies in a period that this night closed"
    );
    assert_eq!(shop.place.night("2025-07-01T12:00:00Z").expired.days.len(), 1);
    shop.drop(&[usage("a", 7, "A", "2025-07-02T10:00:00+08:00", 120_000)]);
    shop.place.night("2025-07-03T00:00:00Z");
    assert_proved(&shop.place, "2025-07-03T00:00:00Z");
    shop.drop(&[void("w", "a")]);
    let night = shop.place.night("2025-07-04T00:00:00Z");
    assert_eq!((records(&night, "void"), records(&night, "voided")), (2, 2));
    shop.place.night("2025-08-10T00:00:00Z");
    assert_eq!(lines(&shop.place), ["2024-11-01 usage A 1 1.000000 1 1.0000000000"]);
    assert_proved(&shop.place, "2025-08-10T00:00:00Z");
}

#[test]
fn a_correction_may_not_take_a_price_away() {
    let both = "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }\n\"B\" = { unit_price = \"1\", origin = \"illustrative\" }";
    let shop = Shop::new("CNY", both);
    shop.drop(&[usage("b", 7, "B", "2024-11-15T10:00:00+08:00", 60_000)]);
    shop.place.night("2024-12-10T00:00:00Z");
    // Without the price a later revision could add another one, and nobody would call that a correction.
    shop.write_card_not_sold("\"A\" = { unit_price = \"3\", origin = \"illustrative\" }", "B");
    let refused = shop.try_correct("2024-12-11T00:00:00Z").unwrap_err().to_string();
    assert!(
        refused.contains("the price of `B` in region group all was removed"),
        "{refused}"
    );
}

#[test]
fn the_file_of_before_a_correction_is_recognised() {
    let old = "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }";
    let shop = Shop::new("CNY", old);
    shop.drop(&[usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000)]);
    shop.place.night("2024-12-10T00:00:00Z");
    shop.write_card("\"A\" = { unit_price = \"2\", origin = \"illustrative\" }");
    shop.correct("2024-12-11T00:00:00Z");
    shop.write_card(old);
    let night = shop.place.night("2024-12-12T00:00:00Z");
    assert!(
        night.needs_person[0].contains("the file is revision 1, which was corrected by revision 2 on 2024-12-11"),
        "{:?}",
        night.needs_person
    );
}

#[test]
fn a_draft_shows_its_whole_period_whatever_part_of_it_is_asked_for() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    for (id, day) in [("a", "05"), ("b", "20")] {
        let line = usage(id, 7, "A", &format!("2024-11-{day}T10:00:00+08:00"), 60_000);
        shop.drop(&[line]);
        shop.place.night(&format!("2024-11-{day}T10:00:00Z"));
    }
    let shown = run(async {
        let books = shop.place.books(at("2024-11-21T00:00:00Z")).await;
        let days = ("2024-11-01".parse().unwrap(), "2024-11-10".parse().unwrap());
        let shown = tallybook::inspect::statement::statements(&books, 7, days.0, days.1)
            .await
            .unwrap();
        books.ledger.close().await;
        shown
    });
    assert_eq!(shown[0].statement.total_text(), "2.00");
}

#[test]
fn verify_measures_with_the_cards_that_metering_knew() {
    let price = "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }";
    let shop = Shop::new("CNY", price);
    shop.drop(&[usage("b", 7, "B", "2024-11-15T10:00:00+08:00", 60_000)]);
    shop.place.night("2024-11-20T00:00:00Z");
    shop.write_card(&format!(
        "{price}\n\"B\" = {{ unit_price = \"5\", origin = \"illustrative\" }}"
    ));
    shop.import("2024-11-21T00:00:00Z");
    assert_proved(&shop.place, "2024-11-21T00:00:00Z");
    assert_eq!(shop.place.night("2024-11-22T00:00:00Z").metered.classified_again, 1);
    assert_proved(&shop.place, "2024-11-22T00:00:00Z");
}

#[test]
fn an_account_may_not_change_its_card_on_a_day_with_records_of_any_kind() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    shop.drop(&[
        usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000),
        usage("z", 7, "unknown", "2024-12-05T10:00:00+08:00", 60_000),
    ]);
    shop.place.night("2024-12-06T00:00:00Z");
    let refused = shop
        .change_card("2024-12-06T00:00:00Z", 7, "2024-12-01")
        .unwrap_err()
        .to_string();
    assert!(refused.contains("has usage up to 2024-12-05"), "{refused}");
    shop.change_card("2024-12-06T00:00:00Z", 7, "2025-01-01").unwrap();
}

#[test]
fn late_usage_in_another_currency_blocks_the_account_and_its_closed_statements_are_shown() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    shop.drop(&[usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000)]);
    shop.place.night("2024-12-10T00:00:00Z");
    shop.change_card("2024-12-10T00:00:00Z", 7, "2025-01-01").unwrap();
    shop.place.night("2025-01-05T00:00:00Z");
    shop.drop(&[
        usage("late", 7, "A", "2024-11-16T10:00:00+08:00", 60_000),
        usage("usd", 7, "A", "2025-01-05T10:00:00+08:00", 60_000),
    ]);
    let night = shop.place.night("2025-02-10T00:00:00Z");
    assert_eq!((u8::from(night.exit_code()), night.closed.blocked.len()), (3, 1));
    assert!(
        night.needs_person[0].contains("a statement has one currency"),
        "{:?}",
        night.needs_person
    );
    let shown = run(async {
        let books = shop.place.books(at("2025-02-10T00:00:00Z")).await;
        let days = ("2024-11-01".parse().unwrap(), "2025-02-10".parse().unwrap());
        let shown = tallybook::inspect::statement::statements(&books, 7, days.0, days.1)
            .await
            .unwrap();
        books.ledger.close().await;
        shown
    });
    assert!(!shown[0].draft && shown.iter().any(|s| s.draft && s.unpriced[0].contains("one currency")));
    // Taken back, it changes nothing any more, and the period closes.
    shop.drop(&[void("v", "late")]);
    let night = shop.place.night("2025-02-11T00:00:00Z");
    assert_eq!(
        (u8::from(night.exit_code()), night.closed.totals["USD"].as_str()),
        (0, "7.00")
    );
    assert_proved(&shop.place, "2025-02-11T00:00:00Z");
}

#[test]
fn hundreds_of_days_in_one_night_are_metered_and_proved() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    let first: chrono::NaiveDate = "2024-01-01".parse().unwrap();
    let days = first.iter_days().take(330);
    let lines: Vec<String> = days
        .enumerate()
        .map(|(number, day)| usage(&format!("r{number}"), 7, "A", &format!("{day}T12:00:00Z"), 60_000))
        .collect();
    shop.drop(&lines);
    let night = shop.place.night("2024-12-01T00:00:00Z");
    assert_eq!((records(&night, "metered"), night.closed.statements), (330, 10));
    assert_proved(&shop.place, "2024-12-01T00:00:00Z");
}

#[test]
fn a_line_west_of_utc_is_explained_after_its_raw_has_expired() {
    let price = "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }";
    let shop = Shop::in_zone("USD", "America/New_York", price);
    // 31 January in New York, 1 February in UTC.
    shop.drop(&[usage("a", 7, "A", "2024-02-01T02:00:00Z", 60_000)]);
    shop.place.night("2024-03-10T00:00:00Z");
    assert_eq!(shop.place.night("2024-08-05T00:00:00Z").expired.days.len(), 1);
    let explanation = run(async {
        let books = shop.place.books(at("2024-08-06T00:00:00Z")).await;
        let explained = tallybook::inspect::explain::explain(&books, "7-20240101-20240201", Some(1), 9).await;
        books.ledger.close().await;
        explained.unwrap()
    });
    let behind = explanation.lines[0].behind.as_ref().unwrap();
    assert_eq!((behind.records, behind.expired.len()), (0, 1));
    assert_eq!(behind.expired[0].utc_day, "2024-02-01");
}

#[test]
fn a_void_that_waits_to_be_metered_takes_back_what_a_decision_puts_in_place() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"1\", origin = \"illustrative\" }");
    shop.drop(&[
        usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000),
        usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 120_000),
        usage("b", 7, "A", "2024-11-15T10:00:00+08:00", 60_000),
    ]);
    shop.place.night("2024-11-20T00:00:00Z");
    let path = shop.place.file("void.ndjson", void("v", "a"));
    shop.place.ingest("2024-11-21T00:00:00Z", &path).unwrap();
    // The decision meters what is committed: the void comes with it, and no other row of the identity does.
    decide(&shop.place, "2024-11-21T00:00:00Z", Resolution::Replaced);
    let night = shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!((records(&night, "voided"), records(&night, "conflict")), (1, 1));
    assert_eq!(lines(&shop.place), ["2024-11-01 usage A 1 1.000000 1 1.0000000000"]);
    assert_proved(&shop.place, "2024-12-10T00:00:00Z");
}

#[test]
fn the_money_between_contents_is_told_before_a_new_card_has_placed_them() {
    let price = "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }";
    let shop = Shop::new("CNY", price);
    shop.drop(&[
        usage("a", 7, "B", "2024-11-15T10:00:00+08:00", 60_000),
        usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000),
    ]);
    shop.place.night("2024-11-20T00:00:00Z");
    shop.write_card(&format!(
        "{price}\n\"B\" = {{ unit_price = \"5\", origin = \"illustrative\" }}"
    ));
    shop.import("2024-11-21T00:00:00Z");
    let open = run(async {
        let books = shop.place.books(at("2024-11-21T00:00:00Z")).await;
        let open = list(&books, false, None).await.unwrap();
        books.ledger.close().await;
        open
    });
    assert_eq!(open[0].money[0].amount, "3.0000000000");
}

#[test]
fn a_total_of_eighteen_digits_is_exact_in_every_ledger() {
    let shop = Shop::new(
        "KRW",
        "\"A\" = { unit_price = \"999999999999\", origin = \"illustrative\" }",
    );
    // 900,000.5 minutes.
    shop.drop(&[usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 54_000_030_000)]);
    let night = shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!(night.closed.totals["KRW"], "900000499999100000");
    let (_, lines) = shop.place.exported("statement_lines.csv").remove(0);
    assert!(lines.contains(",900000499999099999.5000000000,"), "{lines}");
    let (_, statements) = shop.place.exported("statements.csv").remove(0);
    assert!(statements.contains(",900000499999100000,"), "{statements}");
    assert_proved(&shop.place, "2024-12-10T00:00:00Z");
}
