//! The model against examples that were computed by hand.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use rust_decimal::Decimal;

use super::record::{Content, NaiveRecord, Usage, Value};
use super::*;

const UIN: u64 = 7;

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn number(value: i64) -> Value {
    Value::Number(Decimal::from(value))
}

fn usage(at: &str, task_type: &str, duration_ms: u64, parameters: &[(&str, Value)]) -> Usage {
    let parameters = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    Usage {
        uin: UIN,
        appid: 10,
        task_type: task_type.to_owned(),
        parameters: parameters.collect(),
        duration_ms,
        finished_at: instant(at),
        failed: false,
    }
}

fn transcode(at: &str, kind: &str, side: i64, duration_ms: u64) -> Usage {
    let kind = Value::Text(kind.to_owned());
    usage(
        at,
        "Transcode",
        duration_ms,
        &[("type", kind), ("width", number(side)), ("height", number(9_999))],
    )
}

fn record(id: &str, content: Content) -> NaiveRecord {
    NaiveRecord {
        source: "mps".to_owned(),
        id: id.to_owned(),
        content,
    }
}

fn void(id: &str, target: &str) -> NaiveRecord {
    record(id, Content::Void(target.to_owned()))
}

/// One batch of usage with an identity each.
fn batch(usage: impl IntoIterator<Item = Usage>) -> Batch {
    let numbered = usage.into_iter().enumerate();
    Batch {
        lines: numbered
            .map(|(at, usage)| record(&format!("r{at}"), Content::Usage(usage)))
            .collect(),
    }
}

fn world(batches: Vec<Batch>) -> World {
    World {
        accounts: BTreeMap::new(),
        batches,
        clock: instant("2025-01-20T00:00:00Z"),
    }
}

fn world_under(terms: Terms, usage: impl IntoIterator<Item = Usage>) -> World {
    World {
        accounts: BTreeMap::from([(UIN, terms)]),
        ..world(vec![batch(usage)])
    }
}

/// Columns of all rows, joined by spaces.
fn shown(world: &World, columns: &[&str]) -> Vec<String> {
    let expected = expect(world);
    let at = |name: &&str| COLUMNS.iter().position(|column| column == name).unwrap();
    let show = |row: &Row| {
        columns
            .iter()
            .map(|name| row.cells()[at(name)].clone())
            .collect::<Vec<_>>()
    };
    expected.rows().map(|row| show(row).join(" ")).collect()
}

const PRICED: [&str; 5] = ["sku", "records", "quantity", "unit_price", "amount"];

#[test]
fn a_line_is_quantity_times_price_and_a_rounding_line_makes_whole_cents() {
    let world = world(vec![batch([transcode(
        "2024-11-05T10:00:00+08:00",
        "Standard",
        720,
        32_000,
    )])]);
    let expected = expect(&world);
    let rows: Vec<String> = expected.rows().map(|row| row.cells().join(",")).collect();
    assert_eq!(
        rows,
        [
            "7,10,2024-11-01T00:00:00+08:00,2024-12-01T00:00:00+08:00,CNY,1,usage,small,2024-01-01,ap-guangzhou,\
             Standard.HD,transcode,minute,1,0.533333,0.0325,0,0.0173333225",
            "7,,2024-11-01T00:00:00+08:00,2024-12-01T00:00:00+08:00,CNY,2,rounding,,,,,,,,,,,0.0026666775",
        ]
    );
    let [statement] = &expected.statements[..] else {
        panic!("one statement")
    };
    let sums = [&statement.usage_amount, &statement.rounding, &statement.total];
    assert_eq!(sums, ["0.0173333225", "0.0026666775", "0.02"]);
}

#[test]
fn a_discount_is_taken_off_before_the_amount_is_rounded() {
    let terms = Terms {
        discount: 3_333,
        ..card::DEFAULT_TERMS
    };
    let world = world_under(terms, [transcode("2024-11-05T10:00:00+08:00", "Standard", 720, 32_000)]);
    // 0.533333 x 0.0325 x 0.6667 = 0.01155612611075
    assert_eq!(
        shown(&world, &["discount_percent", "amount"]),
        ["33.33 0.0115561261", " -0.0015561261"]
    );
    let free = World {
        accounts: BTreeMap::from([(
            UIN,
            Terms {
                discount: 10_000,
                ..terms
            },
        )]),
        ..world
    };
    assert_eq!(shown(&free, &["discount_percent", "amount"]), ["100 0.0000000000"]);
}

#[test]
fn the_policy_of_each_version_holds_per_record_before_the_sum() {
    let billed = |version: Version, ms| {
        let measured = version.measure(&transcode("2024-11-05T10:00:00Z", "Standard", 1, ms));
        measured.unwrap().billable
    };
    for (ms, first, second) in [
        (0, 10_000, 0),
        (9_999, 10_000, 60_000),
        (10_001, 11_000, 60_000),
        (59_999, 60_000, 60_000),
        (60_000, 60_000, 60_000),
        (60_001, 61_000, 120_000),
    ] {
        let billed = [billed(Version::First, ms), billed(Version::Second, ms)];
        assert_eq!(billed, [first, second], "{ms} ms");
    }
    // Three records of 1 ms are three times the minimum: 30 s.
    let short = || transcode("2024-11-05T10:00:00Z", "Standard", 1, 1);
    assert_eq!(
        shown(&world(vec![batch([short(), short(), short()])]), &PRICED),
        ["Standard.SD 3 0.500000 0.016 0.0080000000", "    0.0020000000"]
    );
}

#[test]
fn a_step_takes_its_bound_and_the_second_version_has_one_more() {
    let sku = |version: Version, side: &str| {
        let mut usage = transcode("2024-11-05T10:00:00Z", "Standard", 1, 0);
        let side = Value::Number(side.parse().unwrap());
        usage.parameters.insert("width".to_owned(), side);
        version.measure(&usage).map(|measured| measured.sku)
    };
    for (side, first, second) in [
        ("480", Ok("Standard.SD"), Ok("Standard.SD")),
        ("480.5", Ok("Standard.HD"), Ok("Standard.HD")),
        ("720", Ok("Standard.HD"), Ok("Standard.HD")),
        ("721", Err("no_step"), Ok("Standard.FHD")),
        ("1081", Err("no_step"), Err("no_step")),
    ] {
        assert_eq!([sku(Version::First, side), sku(Version::Second, side)], [first, second]);
    }
}

#[test]
fn images_are_counted_in_thousands_and_reviews_one_by_one() {
    let at = "2024-11-05T10:00:00Z";
    let sprites = |images| {
        let kind = Value::Text("Sprite".to_owned());
        usage(at, "Snapshot", 5_000, &[("type", kind), ("images", number(images))])
    };
    let world = world(vec![batch([sprites(1), sprites(30), usage(at, "Review", 5_000, &[])])]);
    assert_eq!(
        shown(&world, &PRICED),
        [
            "Review 1 1.000000 0.5 0.5000000000",
            // The minimum of a record is 2 images.
            "Snapshot.Sprite 2 0.032000 0.1 0.0032000000",
            "    -0.0032000000",
        ]
    );
}

#[test]
fn a_wide_counter_takes_its_slices_in_the_order_of_the_lines() {
    let at = "2024-11-05T10:00:00Z";
    let app = |appid, usage| Usage { appid, ..usage };
    let world = world(vec![batch([
        app(10, transcode(at, "Fast", 720, 60_000)),
        app(9, transcode(at, "Fast", 480, 180_000)),
    ])]);
    assert_eq!(
        shown(&world, &PRICED),
        [
            "Fast.SD 1 2.000000 0.066 0.1320000000",
            "Fast.SD 0 1.000000 0.0333 0.0333000000",
            "Fast.HD 1 0.000001 0.1 0.0000001000",
            "Fast.HD 0 0.999999 0.09 0.0899999100",
            "    0.0046999900",
        ]
    );
}

#[test]
fn a_counter_runs_on_across_the_spans_of_a_period_and_is_split_by_region_group() {
    let review = |at: &str, region: &str| usage(at, "Review", 0, &[("region", Value::Text(region.to_owned()))]);
    let (first, second) = ("2024-11-11T23:59:59.999+08:00", "2024-11-12T00:00:00+08:00");
    let mut usage = vec![review(first, "ap-guangzhou"); 3];
    usage.extend([review(first, "ap-beijing"), review(first, "eu-moscow")]);
    usage.extend([review(second, "ap-beijing"), review(second, "ap-guangzhou")]);
    assert_eq!(
        shown(
            &world(vec![batch(usage)]),
            &["card_version", "region", "records", "quantity", "unit_price"]
        ),
        [
            "2024-01-01 ap-beijing 1 1.000000 0.5",
            "2024-01-01 ap-guangzhou 3 2.000000 0.5",
            "2024-01-01 ap-guangzhou 0 1.000000 0.25",
            "2024-01-01 eu-moscow 1 1.000000 0.6",
            "2024-11-12 ap-beijing 1 1.000000 0.4",
            "2024-11-12 ap-guangzhou 1 1.000000 0.000001",
            "    ",
        ]
    );
}

#[test]
fn days_begin_at_midnight_in_the_account_zone_also_when_clocks_change() {
    let zone = chrono_tz::Tz::America__New_York;
    let terms = Terms {
        zone,
        cycle: Cycle::Daily,
        discount: 0,
    };
    // 3 November 2024 has 25 hours: from 04:00 UTC to 05:00 UTC.
    let finished = [
        "2024-11-03T03:59:59.999Z",
        "2024-11-03T04:00:00Z",
        "2024-11-04T04:59:59Z",
        "2024-11-04T05:00:00Z",
    ];
    let world = world_under(terms, finished.map(|at| usage(at, "Review", 0, &[])));
    assert_eq!(
        shown(
            &world,
            &["period_start", "period_end", "records", "quantity", "unit_price"]
        ),
        [
            "2024-11-02T00:00:00-04:00 2024-11-03T00:00:00-04:00 1 1.000000 0.5",
            // The counter of the month is at 1: two more are the last of the first tier.
            "2024-11-03T00:00:00-04:00 2024-11-04T00:00:00-05:00 2 2.000000 0.5",
            "2024-11-04T00:00:00-05:00 2024-11-05T00:00:00-05:00 1 1.000000 0.25",
        ]
    );
}

#[test]
fn counters_start_again_with_the_calendar_month_of_days_and_with_each_monthly_period() {
    let reviews = || {
        let days = ["2024-10-30", "2024-10-31", "2024-11-01"];
        days.into_iter().flat_map(|day| {
            let review = usage(&format!("{day}T12:00:00Z"), "Review", 0, &[]);
            [review.clone(), review]
        })
    };
    let zone = chrono_tz::Tz::UTC;
    let of = |cycle| {
        world_under(
            Terms {
                zone,
                cycle,
                discount: 0,
            },
            reviews(),
        )
    };
    let columns = ["period_start", "quantity", "unit_price"];
    assert_eq!(
        shown(&of(Cycle::Daily), &columns),
        [
            "2024-10-30T00:00:00+00:00 2.000000 0.5",
            "2024-10-31T00:00:00+00:00 1.000000 0.5",
            "2024-10-31T00:00:00+00:00 1.000000 0.25",
            "2024-11-01T00:00:00+00:00 2.000000 0.5",
        ]
    );
    assert_eq!(
        shown(&of(Cycle::Monthly(31)), &columns),
        [
            "2024-09-30T00:00:00+00:00 2.000000 0.5",
            "2024-10-31T00:00:00+00:00 3.000000 0.5",
            "2024-10-31T00:00:00+00:00 1.000000 0.25",
        ]
    );
}

#[test]
fn nothing_is_a_line_in_the_tier_where_its_counter_stands() {
    let at = "2024-11-20T10:00:00Z";
    let fast = |side, ms| transcode(at, "Fast", side, ms);
    let world = world(vec![batch([fast(1, 0), fast(1080, 60_000)])]);
    assert_eq!(
        shown(&world, &PRICED),
        [
            "Fast.FHD 1 1.000000 0.2 0.2000000000",
            "Fast.SD 1 0.000000 0.07 0.0000000000",
        ]
    );
    assert_eq!(
        slices(&[(0, 5), (10, 4)], 10, 0),
        [(0, 4)],
        "exactly the bound is in the tier that starts there"
    );
    assert_eq!(slices(&[(0, 5), (10, 4)], 9, 1), [(1, 5)]);
    assert_eq!(slices(&[(0, 5), (10, 4), (12, 3)], 9, 9), [(1, 5), (2, 4), (6, 3)]);
}

#[test]
fn a_period_closes_from_the_instant_on_at_which_it_is_due() {
    let usage = transcode("2024-11-05T10:00:00+08:00", "Standard", 720, 32_000);
    let due = instant("2024-12-04T00:00:00+08:00");
    let mut world = world(vec![batch([usage])]);
    world.clock = due;
    assert_eq!(expect(&world).statements.len(), 1);
    world.clock = due - TimeDelta::nanoseconds(1);
    assert_eq!(expect(&world).statements.len(), 0);
}

#[test]
fn each_line_has_the_first_status_that_fits() {
    let at = "2024-11-05T10:00:00Z";
    let good = transcode(at, "Standard", 1, 20_000);
    let failed = Usage {
        failed: true,
        ..good.clone()
    };
    let unmetered = transcode(at, "Slow", 1, 20_000);
    let of = |id: &str, usage: &Usage| record(id, Content::Usage(usage.clone()));
    let first = vec![
        of("a", &good),
        void("va", "a"),
        of("b", &failed),
        of("c", &unmetered),
        of("d", &unmetered),
        void("vd", "d"),
        void("ve", "e"),
    ];
    let second = vec![
        of("e", &good),
        of("a", &good),
        of("a", &failed),
        void("va", "a"),
        void("va", "b"),
        void("vb", "a"),
        of("vb", &good),
        of("f", &good),
    ];
    let other_source = NaiveRecord {
        source: "other".to_owned(),
        ..of("a", &good)
    };
    let world = world(vec![
        Batch { lines: first },
        Batch { lines: second },
        Batch {
            lines: vec![other_source],
        },
    ]);
    let statuses: Vec<&str> = judge(&world).iter().map(|record| record.status.word()).collect();
    assert_eq!(
        statuses,
        [
            "voided",
            "void",
            "failed",
            "unmetered",
            "voided",
            "void",
            "void", //
            "voided",
            "duplicate",
            "conflict",
            "duplicate",
            "conflict",
            "duplicate",
            "conflict",
            "metered", //
            "metered",
        ]
    );
    let expected = expect(&world);
    let total = |records, seconds: u128| Total {
        records,
        raw_ms: seconds * 1_000,
        raw_count: 0,
    };
    assert_eq!(
        expected.totals,
        Totals::from([
            (Status::Duplicate, total(3, 20)),
            (Status::Conflict, total(3, 40)),
            (Status::Void, total(3, 0)),
            (Status::Voided, total(3, 60)),
            (Status::Failed, total(1, 20)),
            (Status::Unmetered, total(1, 20)),
            (Status::Metered, total(2, 40)),
        ])
    );
    assert_eq!(expected.totals_of_periods.len(), 1);
    assert_eq!(
        expected.totals_of_batches[2],
        Totals::from([(Status::Metered, total(1, 20))])
    );
}

#[test]
fn equal_content_is_equal_as_values() {
    let one = transcode("2024-11-05T10:00:00+08:00", "Standard", 1920, 5);
    let mut other = transcode("2024-11-05T02:00:00Z", "Standard", 1920, 5);
    let spelt_otherwise = Value::Number("1920.0".parse().unwrap());
    other.parameters.insert("width".to_owned(), spelt_otherwise);
    assert_eq!(one, other);
}

#[test]
fn rounding_is_half_up_away_from_zero() {
    use arithmetic::divide_half_up;
    assert_eq!([5, 4, -5, -4].map(|n| divide_half_up(n, 10)), [1, 0, -1, 0]);
    assert_eq!(quantity(1, 60_000), 17, "1 ms is 0.000017 minutes");
    assert_eq!(
        [fixed(-5, 2), fixed(0, 0), trimmed(12_500, 4), trimmed(70, 1)],
        ["-0.05", "0", "1.25", "7"]
    );
}

#[test]
fn the_card_by_hand_has_the_numbers_of_the_files() {
    for version in [Version::First, Version::Second] {
        let path = format!("{}/{}/{}.toml", card::FOLDER, card::NAME, version.from());
        let text = std::fs::read_to_string(path).unwrap();
        let (_, prices) = text.split_once("[prices]\n").unwrap();
        let in_file: Vec<&str> = prices.split("\n\"").collect();
        assert_eq!(in_file.len(), version.all_sold().len());
        for sold in version.all_sold() {
            let start = format!("{}\"", sold.sku);
            let line = in_file
                .iter()
                .find(|line| line.trim_start_matches('"').starts_with(&start));
            let tiers = sold.tiers("ap-guangzhou").iter().chain(sold.tiers("elsewhere"));
            let by_hand: BTreeSet<i128> = tiers.flat_map(|&(from, price)| [from, price, 0]).collect();
            assert_eq!(numbers(line.unwrap()), by_hand, "{}", sold.sku);
        }
    }
}

/// All numbers after an `=`, in millionths, and 0.
fn numbers(text: &str) -> BTreeSet<i128> {
    let values = text.split('=').skip(1).filter_map(|after| {
        let value = after.trim_start().trim_start_matches('"');
        let end = value
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(value.len());
        value[..end].parse::<Decimal>().ok()
    });
    let micros = values.map(|value| (value * Decimal::from(1_000_000)).normalize().mantissa());
    micros.chain([0]).collect()
}
