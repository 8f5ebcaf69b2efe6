//! Small worlds for laws: a few accounts, some usage over two months with everything that makes billing hard, and
//! the same as NDJSON.
//!
//! Usage is from 20 October to 10 December 2024: New York leaves daylight saving time on 3 November, the card
//! changes on 12 November, and periods of every kind end in between. No two batches have the same bytes.

pub mod histories;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Days, FixedOffset, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rust_decimal::Decimal;

use crate::naive::World;
use crate::naive::calendar::{Cycle, Terms};
use crate::naive::card::DEFAULT_TERMS;
use crate::naive::record::{Batch, Content, NaiveRecord, Usage, Value};

/// The first day of terms: their first period ends before the first usage in every cycle.
pub const TERMS_FROM: &str = "2024-08-01";

/// Records without their repeats, at most.
const RECORDS_MAX: usize = 60;

/// Batches, at most.
const BATCHES_MAX: usize = 5;

/// Different usage in a disputed world: few, so that repeats and conflicts are both frequent.
const CONTENTS: usize = 6;

/// Days of usage.
const DAYS: u64 = 51;

/// Who sends; the first is what a record without a source has.
const SOURCES: [&str; 2] = ["default", "mps"];

/// Account numbers, which sort otherwise as text.
const UINS: [u64; 4] = [100_000_000_001, 9, 10, 18_446_744_073_709_551_615];

/// Zones with and without daylight saving, and with a half hour.
const ZONES: [Tz; 4] = [Tz::Asia__Shanghai, Tz::UTC, Tz::America__New_York, Tz::Asia__Kolkata];

/// A world and its text.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// For the model.
    pub world: World,
    /// For the program: the NDJSON of each batch, in order. A source that is not written is `default`.
    pub ndjson: Vec<String>,
}

/// A world without conflicts and voids.
pub fn calm_world() -> impl Strategy<Value = Drawn> {
    calm_worlds().prop_map(|(one, _)| one)
}

/// Two worlds with the same records in another order, split, spelling and repetition: their books are identical.
pub fn calm_worlds() -> impl Strategy<Value = (Drawn, Drawn)> {
    let records = vec((usage(), slots(), slots()), 0..=RECORDS_MAX);
    (accounts(), clock(), records).prop_map(|(accounts, clock, records)| {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for (at, (usage, slots, other_slots)) in records.into_iter().enumerate() {
            let record = identified(at, usage);
            one.push((record.clone(), slots));
            other.push((record, other_slots));
        }
        let drawn = |records| drawn(accounts.clone(), clock, arranged(records));
        (drawn(one), drawn(other))
    })
}

/// A world with conflicts and voids, but without a void of a void.
pub fn disputed_world() -> impl Strategy<Value = Drawn> {
    let contents = vec(usage(), CONTENTS);
    let records = vec((disputed(), slots()), 0..=RECORDS_MAX);
    (accounts(), clock(), contents, records).prop_map(|(accounts, clock, contents, records)| {
        let records = records
            .into_iter()
            .map(|(disputed, slots)| (disputed.record(&contents), slots));
        drawn(accounts, clock, arranged(records))
    })
}

/// Gives each usage an identity of its own; an id says nothing without its source.
fn identified(at: usize, usage: Usage) -> NaiveRecord {
    NaiveRecord {
        source: SOURCES[at % 2].to_owned(),
        id: format!("r{}", at / 2),
        content: Content::Usage(usage),
    }
}

/// One of few identities with one of few contents. Usage sometimes has the id of a void, never the other way round.
#[derive(Debug, Clone)]
struct Disputed {
    source: &'static str,
    id: String,
    claim: Claim,
}

#[derive(Debug, Clone)]
enum Claim {
    /// The content of that number.
    Usage(usize),
    /// Of that id.
    Void(String),
}

impl Disputed {
    fn record(self, contents: &[Usage]) -> NaiveRecord {
        let content = match self.claim {
            Claim::Usage(number) => Content::Usage(contents[number].clone()),
            Claim::Void(target) => Content::Void(target),
        };
        NaiveRecord {
            source: self.source.to_owned(),
            id: self.id,
            content,
        }
    }
}

fn disputed() -> impl Strategy<Value = Disputed> {
    let usage_id = prop_oneof![12 => (0..10).prop_map(|n| format!("r{n}")), 1 => (0..4).prop_map(|n| format!("v{n}"))];
    let usage = (usage_id, 0..CONTENTS).prop_map(|(id, number)| (id, Claim::Usage(number)));
    let void = (0..6, 0..12).prop_map(|(id, target)| (format!("v{id}"), Claim::Void(format!("r{target}"))));
    let claim = prop_oneof![3 => usage, 1 => void];
    let source = prop_oneof![6 => Just(SOURCES[1]), 1 => Just(SOURCES[0])];
    (source, claim).prop_map(|(source, (id, claim))| Disputed { source, id, claim })
}

/// Terms of accounts that are added; the others appear by themselves.
fn accounts() -> impl Strategy<Value = BTreeMap<u64, Terms>> {
    let anchor = select(vec![1, 2, 12, 15, 28, 29, 30, 31]);
    let cycle = prop_oneof![2 => anchor.prop_map(Cycle::Monthly), 1 => Just(Cycle::Daily)];
    let discount = prop_oneof![2 => Just(0), 3 => select(vec![1, 1_250, 3_333, 9_999, 10_000])];
    let terms = (select(&ZONES[..]), cycle, discount);
    let terms = terms.prop_map(|(zone, cycle, discount)| Terms { zone, cycle, discount });
    vec(proptest::option::weighted(0.75, terms), UINS.len()).prop_map(|terms| {
        let known = UINS.into_iter().zip(terms);
        known.filter_map(|(uin, terms)| Some((uin, terms?))).collect()
    })
}

/// Hours from the last usage to when everything is long due.
fn clock() -> impl Strategy<Value = DateTime<Utc>> {
    (0_i64..24 * 45).prop_map(|hours| day_start(Tz::UTC, DAYS) + TimeDelta::hours(hours))
}

/// Midnight of a day of usage, by number.
fn day_start(zone: Tz, number: u64) -> DateTime<Utc> {
    let first = NaiveDate::from_ymd_opt(2024, 10, 20).expect("a date");
    let terms = Terms { zone, ..DEFAULT_TERMS };
    terms.midnight(first + Days::new(number)).to_utc()
}

fn usage() -> impl Strategy<Value = Usage> {
    let uin = select(&UINS[..]);
    let appid = select(vec![9, 10, 1_250_000_001]);
    let failed = proptest::bool::weighted(0.05);
    (uin, appid, task(), duration_ms(), finished_at(), failed).prop_map(
        |(uin, appid, (task_type, parameters), duration_ms, finished_at, failed)| Usage {
            uin,
            appid,
            task_type,
            parameters,
            duration_ms,
            finished_at,
            failed,
        },
    )
}

fn duration_ms() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0_u64..300_000,
        3 => select(vec![0, 1, 9_999, 10_000, 10_001, 59_999, 60_000, 60_001, 120_000]),
        1 => 0_u64..1 << 40,
    ]
}

/// Any instant, or one at the edge of a day somewhere.
fn finished_at() -> impl Strategy<Value = DateTime<Utc>> {
    let length_ms = i64::try_from(DAYS).expect("few days") * 86_400_000;
    let any = (86_400_000..length_ms - 86_400_000).prop_map(|ms| day_start(Tz::UTC, 0) + TimeDelta::milliseconds(ms));
    // Days by number: the month ends on 12, New York's clocks change on 14, the card on 23; December begins on 42.
    let days = prop_oneof![2 => 1..DAYS - 1, 1 => select(vec![12, 14, 15, 23, 42])];
    let edge = (select(&ZONES[..]), days, select(vec![-1_000_000, -1, 0, 0, 0, 1]));
    let edge = edge.prop_map(|(zone, day, ns)| day_start(zone, day) + TimeDelta::nanoseconds(ns));
    prop_oneof![3 => any, 2 => edge]
}

type Parameters = BTreeMap<String, Value>;

/// A task type and its parameters.
fn task() -> impl Strategy<Value = (String, Parameters)> {
    let kind = select(vec!["Standard", "Fast", "Fast", "Remux"]);
    let transcode = (kind, side(), any::<bool>()).prop_map(|(kind, side, turned)| {
        let long = Value::Number(Decimal::from(7_680));
        let (width, height) = if turned { (side, long) } else { (long, side) };
        task_of(
            "Transcode",
            [("type", text(kind)), ("width", width), ("height", height)],
        )
    });
    let snapshot = (
        select(vec!["Sprite", "Sample"]),
        select(vec![0, 1, 2, 3, 9, 10, 11, 30]),
    );
    let snapshot = snapshot.prop_map(|(kind, images)| {
        task_of(
            "Snapshot",
            [("type", text(kind)), ("images", Value::Number(images.into()))],
        )
    });
    let odd = select(vec![
        task_of("Transcode", [("type", text("Standard"))]),
        task_of("Transcode", [("type", text("Slow"))]),
        task_of("Snapshot", [("type", text("Sprite"))]),
        task_of("Snapshot", []),
        task_of("Other", [("type", text("Standard"))]),
    ]);
    let task = prop_oneof![
        6 => transcode,
        2 => snapshot,
        2 => Just(task_of("Review", [])),
        1 => Just(task_of("Audio", [])),
        1 => odd,
    ];
    let region = select(vec!["", "", "ap-guangzhou", "ap-beijing", "eu-frankfurt", "na-ashburn"]);
    (task, region, proptest::option::weighted(0.2, 1_i64..60)).prop_map(|((task_type, mut parameters), region, fps)| {
        if !region.is_empty() {
            parameters.insert("region".to_owned(), text(region));
        }
        if let Some(fps) = fps {
            parameters.insert("fps".to_owned(), Value::Number(fps.into()));
        }
        (task_type, parameters)
    })
}

fn task_of<const N: usize>(task_type: &str, parameters: [(&str, Value); N]) -> (String, Parameters) {
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value));
    (task_type.to_owned(), parameters.into())
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// The short side of a picture, often at the edge of a step.
fn side() -> impl Strategy<Value = Value> {
    let edges = vec![180, 480, 481, 720, 721, 1080, 1081];
    let side = prop_oneof![1 => select(vec![320, 640]), 2 => select(edges)];
    side.prop_map(|side| Value::Number(side.into()))
}

/// How a record is written; none of it is content.
#[derive(Debug, Clone, Copy)]
struct Spelling {
    offset: FixedOffset,
    /// Numbers as `5.0`, accounts as numbers, defaults written out, nulls for what is absent.
    is_loose: bool,
    /// Numbers of parameters as text, as a CSV has them.
    is_text: bool,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let offset = select(vec![0, 8 * 3_600, -5 * 3_600, 19_800]);
    (offset, any::<bool>(), any::<bool>()).prop_map(|(seconds, is_loose, is_text)| {
        let offset = FixedOffset::east_opt(seconds).expect("less than a day");
        Spelling {
            offset,
            is_loose,
            is_text,
        }
    })
}

/// Where a line goes: its batch, and its rank in it. Drawn for each line by itself, so that failures shrink well.
#[derive(Debug, Clone, Copy)]
struct Slot {
    batch: usize,
    rank: u32,
    spelling: Spelling,
}

fn slot() -> impl Strategy<Value = Slot> {
    (0..BATCHES_MAX, any::<u32>(), spelling()).prop_map(|(batch, rank, spelling)| Slot { batch, rank, spelling })
}

/// Where a record goes, once or twice.
fn slots() -> impl Strategy<Value = Vec<Slot>> {
    prop_oneof![5 => vec(slot(), 1), 1 => vec(slot(), 2)]
}

type Line = (NaiveRecord, Spelling);

/// The lines of each batch. No batch is empty.
fn arranged(records: impl IntoIterator<Item = (NaiveRecord, Vec<Slot>)>) -> Vec<Vec<Line>> {
    let mut ranked: Vec<(Slot, NaiveRecord)> = Vec::new();
    for (record, slots) in records {
        ranked.extend(slots.into_iter().map(|slot| (slot, record.clone())));
    }
    ranked.sort_by_key(|(slot, _)| (slot.batch, slot.rank));
    let batches = ranked.chunk_by(|(one, _), (next, _)| one.batch == next.batch);
    let lines = |batch: &[(Slot, NaiveRecord)]| batch.iter().map(|(slot, it)| (it.clone(), slot.spelling)).collect();
    batches.map(lines).collect()
}

fn drawn(accounts: BTreeMap<u64, Terms>, clock: DateTime<Utc>, batches: Vec<Vec<Line>>) -> Drawn {
    let ndjson = (1..)
        .zip(&batches)
        .map(|(batch, lines)| ndjson_of(batch, lines))
        .collect();
    let batches = batches.into_iter().map(|lines| Batch {
        lines: lines.into_iter().map(|(record, _)| record).collect(),
    });
    Drawn {
        world: World {
            accounts,
            batches: batches.collect(),
            clock,
        },
        ndjson,
    }
}

fn ndjson_of(batch: usize, lines: &[Line]) -> String {
    let mut out = String::new();
    for (record, spelling) in lines {
        // A service-log field, so that no two batches are the same file.
        let _ = write!(out, "{{\"event_id\":\"batch-{batch}\"");
        write_record(&mut out, record, *spelling);
        out.push_str("}\n");
    }
    out
}

fn write_record(out: &mut String, record: &NaiveRecord, spelling: Spelling) {
    if spelling.is_loose || record.source != SOURCES[0] {
        write_text(out, "source", &record.source);
    }
    write_text(out, "id", &record.id);
    match &record.content {
        Content::Void(target) => {
            write_text(out, "kind", "void");
            write_text(out, "voids", target);
        }
        Content::Usage(usage) => write_usage(out, usage, spelling),
    }
}

fn write_usage(out: &mut String, usage: &Usage, spelling: Spelling) {
    let Usage {
        uin,
        appid,
        duration_ms,
        ..
    } = usage;
    let _ = if spelling.is_loose {
        write!(
            out,
            ",\"uin\":{uin},\"appid\":\"{appid}\",\"duration_ms\":{duration_ms}.0,\"kind\":\"usage\""
        )
    } else {
        write!(
            out,
            ",\"uin\":\"{uin}\",\"appid\":{appid},\"duration_ms\":{duration_ms}"
        )
    };
    write_text(out, "task_type", &usage.task_type);
    if spelling.is_loose || !usage.parameters.is_empty() {
        write_parameters(out, &usage.parameters, spelling);
    }
    let finished_at = usage.finished_at.with_timezone(&spelling.offset);
    write_text(
        out,
        "finished_at",
        &finished_at.to_rfc3339_opts(SecondsFormat::AutoSi, false),
    );
    if usage.failed {
        write_text(out, "status", "FAIL");
    } else if spelling.is_loose {
        write_text(out, "status", "SUCCESS");
    }
}

fn write_parameters(out: &mut String, parameters: &Parameters, spelling: Spelling) {
    out.push_str(",\"parameters\":{");
    if spelling.is_loose {
        out.push_str("\"bitrate\":null");
    }
    for (name, value) in parameters {
        if !out.ends_with('{') {
            out.push(',');
        }
        let name = quoted(name);
        let _ = match value {
            Value::Text(text) => write!(out, "{name}:{}", quoted(text)),
            Value::Number(number) if spelling.is_text => write!(out, "{name}:\"{number}\""),
            Value::Number(number) if spelling.is_loose && number.is_integer() => write!(out, "{name}:{number}.0"),
            Value::Number(number) => write!(out, "{name}:{number}"),
        };
    }
    out.push('}');
}

fn write_text(out: &mut String, name: &str, text: &str) {
    let _ = write!(out, ",\"{name}\":{}", quoted(text));
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string always has a JSON text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naive::identity::Status;
    use crate::naive::{COLUMNS, Expected, Totals, expect};

    fn records(totals: &Totals) -> u64 {
        totals.values().map(|total| total.records).sum()
    }

    /// An amount in units of 10^-10.
    fn amount(text: &str) -> i128 {
        let mut amount: Decimal = text.parse().unwrap();
        amount.rescale(10);
        amount.mantissa()
    }

    fn assert_totals_balance(drawn: &Drawn, expected: &Expected) {
        let received: usize = drawn.world.batches.iter().map(|batch| batch.lines.len()).sum();
        assert_eq!(records(&expected.totals), received as u64);
        let mut by_batch = Totals::new();
        let mut by_period = Totals::new();
        let adds = |sum: &mut Totals, part: &Totals| {
            for (&status, total) in part {
                let to = sum.entry(status).or_default();
                to.records += total.records;
                to.raw_ms += total.raw_ms;
                to.raw_count += total.raw_count;
            }
        };
        expected
            .totals_of_batches
            .iter()
            .for_each(|part| adds(&mut by_batch, part));
        expected
            .totals_of_periods
            .values()
            .for_each(|part| adds(&mut by_period, part));
        assert_eq!(by_batch, expected.totals);
        let units = |totals: &Totals| {
            totals
                .values()
                .fold((0, 0), |(ms, n), t| (ms + t.raw_ms, n + t.raw_count))
        };
        assert_eq!(units(&by_period), units(&expected.totals), "voids have no units");
    }

    #[test]
    fn the_terms_start_a_whole_period_before_the_first_usage() {
        let first_usage = day_start(Tz::Asia__Shanghai, 1).date_naive();
        for cycle in (1..=31).map(Cycle::Monthly).chain([Cycle::Daily]) {
            let first_period = cycle.period_of(TERMS_FROM.parse().unwrap());
            assert!(first_period.end <= cycle.period_of(first_usage).start);
        }
    }

    proptest! {
        #[test]
        fn the_model_has_identical_books_for_any_order_split_and_repetition((one, other) in calm_worlds()) {
            let (left, right) = (expect(&one.world), expect(&other.world));
            prop_assert_eq!(&left.statements, &right.statements);
            prop_assert_eq!(left.totals.get(&Status::Metered), right.totals.get(&Status::Metered));
            for status in [Status::Conflict, Status::Void, Status::Voided] {
                prop_assert!(!left.totals.contains_key(&status));
            }
        }

        #[test]
        fn the_lines_of_a_statement_add_up_to_its_total(drawn in calm_world()) {
            let at = COLUMNS.iter().position(|column| *column == "amount").unwrap();
            for statement in expect(&drawn.world).statements {
                let sum: i128 = statement.rows.iter().map(|row| amount(&row.cells()[at])).sum();
                prop_assert_eq!(sum, amount(&statement.total));
            }
        }

        #[test]
        fn the_totals_of_a_disputed_world_balance(drawn in disputed_world()) {
            assert_totals_balance(&drawn, &expect(&drawn.world));
        }

        #[test]
        fn a_world_is_written_as_one_json_object_per_line(drawn in disputed_world()) {
            prop_assert_eq!(drawn.ndjson.len(), drawn.world.batches.len());
            for (text, batch) in drawn.ndjson.iter().zip(&drawn.world.batches) {
                prop_assert_eq!(text.lines().count(), batch.lines.len());
                for (line, record) in text.lines().zip(&batch.lines) {
                    let value: serde_json::Value = serde_json::from_str(line).unwrap();
                    prop_assert_eq!(value["id"].as_str(), Some(record.id.as_str()));
                }
            }
        }
    }
}
