use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use csv::ReaderBuilder;

use super::*;
use crate::catalog::rate_card::{Assignment, RateCard, RawUnits};
use crate::pipeline::ingest::formats::csv::{CsvHeader, record_from_row};
use crate::pipeline::ingest::record::refusal::Refusal;
use crate::pipeline::ingest::record::timestamp::check_time;
use crate::pipeline::ingest::record::{Kind, Record, Scratch, canonical_parameters, parse_line};
use crate::values::calendar::{Cycle, local_day, midnight};
use crate::values::parameters::{Parameters, coarse};

const SEED: u64 = 2026;
const RECORDS: usize = 20_000;
const ZONE: Tz = Tz::Asia__Shanghai;

/// A line as the door leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Taken {
    Usage(Usage),
    Void { target: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Usage {
    uin: u64,
    appid: u64,
    task_type: String,
    parameters: String,
    duration_ms: i64,
    finished_at_ns: i64,
    failed: bool,
}

/// What a naive reading of all nights finds.
#[derive(Debug, Default)]
struct Naive {
    made: Made,
    codes: BTreeMap<&'static str, usize>,
    stands: HashMap<String, (usize, Taken)>,
}

fn take(record: Result<Record<'_>, Refusal>, now_ns: i64) -> Result<(String, Taken), Refusal> {
    let record = record?;
    let taken = match record.kind {
        Kind::Void => Taken::Void {
            target: record.voids.unwrap().to_owned(),
        },
        Kind::Usage => {
            check_time(record.finished_at.unwrap(), now_ns, |_| false)?;
            Taken::Usage(Usage {
                uin: record.uin.unwrap(),
                appid: record.appid.unwrap(),
                task_type: record.task_type.unwrap().to_owned(),
                // Numbers in JSON are text in CSV.
                parameters: coarse(&canonical_parameters(&record)?).into_owned(),
                duration_ms: record.duration_ms.unwrap(),
                finished_at_ns: record.finished_at.unwrap(),
                failed: record.failed,
            })
        }
    };
    assert_eq!(record.source, Some("mps"));
    Ok((record.id.to_owned(), taken))
}

impl Naive {
    fn note(&mut self, night: usize, outcome: Result<(String, Taken), Refusal>) {
        let (id, taken) = match outcome {
            Ok(taken) => taken,
            Err(refusal) => {
                self.made.bad_lines += 1;
                *self.codes.entry(refusal.code).or_default() += 1;
                return;
            }
        };
        match self.stands.get(&id) {
            Some((_, first)) if *first == taken => self.made.repeats += 1,
            Some(_) => self.made.conflicts += 1,
            None => {
                match &taken {
                    Taken::Usage(_) => self.made.records += 1,
                    Taken::Void { .. } => self.made.voids += 1,
                }
                self.stands.insert(id, (night, taken));
            }
        }
    }

    fn read(&mut self, night: usize, now_ns: i64, file: &DemoFile) {
        let mut scratch = Scratch::default();
        match &file.content {
            Content::Parquet(rows) => {
                for row in rows {
                    self.note(night, take(parse_line(row.json().as_bytes(), &mut scratch), now_ns));
                }
            }
            Content::Bytes(bytes) if extension(file) == "csv" => {
                let mut rows = ReaderBuilder::new()
                    .flexible(true)
                    .has_headers(false)
                    .from_reader(bytes.as_slice())
                    .into_byte_records();
                let header = CsvHeader::parse(&rows.next().unwrap().unwrap(), b',').unwrap();
                for row in rows {
                    self.note(
                        night,
                        take(record_from_row(&header, &row.unwrap(), &mut scratch), now_ns),
                    );
                }
            }
            Content::Bytes(bytes) => {
                for line in bytes.strip_suffix(b"\n").unwrap().split(|&byte| byte == b'\n') {
                    self.note(night, take(parse_line(line, &mut scratch), now_ns));
                }
            }
        }
    }

    fn accounts(&self) -> HashSet<u64> {
        let uin = |(_, taken): &(usize, Taken)| match taken {
            Taken::Usage(usage) => Some(usage.uin),
            Taken::Void { .. } => None,
        };
        self.stands.values().filter_map(uin).collect()
    }
}

fn extension(file: &DemoFile) -> &str {
    file.name.rsplit_once('.').unwrap().1
}

fn read(month: &Month) -> Naive {
    let mut naive = Naive::default();
    let mut seen: HashSet<&[u8]> = HashSet::new();
    for (number, night) in month.nights.iter().enumerate() {
        for file in &night.files {
            if extension(file) == "part" {
                naive.made.files_unfinished += 1;
            } else if extension(file) == "gz" {
                naive.made.files_refused += 1;
            } else if matches!(&file.content, Content::Bytes(bytes) if !seen.insert(bytes)) {
                naive.made.files_again += 1;
            } else {
                naive.made.files += 1;
                naive.read(number, night.as_of.timestamp_nanos_opt().unwrap(), file);
            }
        }
    }
    naive
}

fn cards() -> HashMap<&'static str, RateCard> {
    let texts = [
        ("mps-cn", include_str!("../../../rate-cards/mps-cn/2024-01-01.toml")),
        ("mps-intl", include_str!("../../../rate-cards/mps-intl/2024-01-01.toml")),
    ];
    texts
        .map(|(name, text)| (name, RateCard::parse(text, "2024-01-01.toml").unwrap()))
        .into()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
    assert_eq!(month(SEED, 2_000), month(SEED, 2_000));
    assert_ne!(month(SEED, 2_000).nights, month(SEED + 1, 2_000).nights);
}

/// The night that closes the period of a local day: the first that begins when the grace has passed.
fn closing_night(month: &Month, uin: u64, day: NaiveDate) -> usize {
    let account = month.accounts.iter().find(|account| account.uin == uin);
    let cycle = account.map_or(Cycle::Monthly { anchor_day: 1 }, |account| account.cycle);
    let due = midnight(ZONE, cycle.period_of(day).end + TimeDelta::days(3));
    month.nights.partition_point(|night| night.as_of < due)
}

/// Counts what can be told only when all has been read: late, failed, unmetered and metered.
fn count(month: &Month, naive: &Naive) -> Made {
    let cards = cards();
    let mut made = naive.made;
    let mut voided: HashMap<&str, usize> = HashMap::new();
    for (night, taken) in naive.stands.values() {
        if let Taken::Void { target } = taken {
            assert!(naive.stands[target].0 < *night, "a void comes after its record");
            voided.insert(target, *night);
        }
    }
    for (id, (night, taken)) in &naive.stands {
        let Taken::Usage(usage) = taken else { continue };
        let day = local_day(ZONE, DateTime::from_timestamp_nanos(usage.finished_at_ns));
        let on_time = usize::try_from((day - "2026-10-01".parse::<NaiveDate>().unwrap()).num_days()).unwrap();
        let closing_night = closing_night(month, usage.uin, day);
        assert!(on_time <= *night && *night <= on_time + 9, "at most 9 nights late");
        made.late += usize::from(on_time < *night);
        made.late_after_close += usize::from(closing_night < *night);
        made.voids_after_close += usize::from(voided.get(id.as_str()).is_some_and(|&voided| closing_night < voided));
        made.failed += usize::from(usage.failed);
        let account = month.accounts.iter().find(|account| account.uin == usage.uin);
        let card = &cards[account.map_or("mps-cn", |account| account.card)];
        match card.assign(
            &usage.task_type,
            &Parameters::from_canonical(&usage.parameters).unwrap(),
        ) {
            Err(_) => made.unmetered += 1,
            Ok(Assignment { sku, region, .. }) if card.price(&sku, &region).is_none() => panic!("{sku} is unpriced"),
            Ok(_) if usage.failed || voided.contains_key(id.as_str()) => {}
            Ok(Assignment {
                raw: RawUnits::Fixed(images),
                ..
            }) => made.metered_images += images,
            Ok(_) => made.metered_ms += u64::try_from(usage.duration_ms).unwrap(),
        }
    }
    made
}

#[test]
fn what_comes_in_is_what_was_counted() {
    for (seed, records) in [(SEED, RECORDS), (1, 3_000), (7, 50_000)] {
        let month = month(seed, records);
        let made = count(&month, &read(&month));
        assert_eq!(made, month.made);
        assert_eq!(made.metered() + made.failed + made.unmetered + made.voids, records);
    }
}

#[test]
fn a_few_come_after_the_close_and_every_kind_of_dirt_is_seen() {
    let month = month(SEED, RECORDS);
    let made = month.made;
    assert_eq!((made.files_again, made.files_refused, made.files_unfinished), (1, 1, 1));
    assert_eq!((made.conflicts, made.unmetered, made.repeats), (3, 3, 20));
    assert!(
        5 <= made.late_after_close && made.late_after_close < made.late,
        "{made:?}"
    );
    assert!(
        2 <= made.voids_after_close && made.voids_after_close < made.voids,
        "{made:?}"
    );
    let codes: Vec<_> = read(&month).codes.into_keys().collect();
    assert_eq!(
        codes,
        [
            "cut_off",
            "duplicate_field",
            "in_the_future",
            "missing_field",
            "negative",
            "nested_parameter",
            "not_a_number",
            "not_a_time",
            "not_json",
            "not_utf8",
            "out_of_range",
            "unknown_field",
            "unknown_status",
            "wrong_cell_count",
        ]
    );
}

#[test]
fn the_accounts_by_hand_have_usage_and_some_nights_have_no_parquet() {
    let month = month(SEED, RECORDS);
    let seen = read(&month).accounts();
    assert!(month.accounts.iter().all(|account| seen.contains(&account.uin)));
    assert_eq!(seen.len(), 480);
    let has_parquet = |night: &&Night| {
        night
            .files
            .iter()
            .any(|file| matches!(file.content, Content::Parquet(_)))
    };
    let with = month.nights[..31].iter().filter(has_parquet).count();
    assert_eq!(with, 27, "October 2026 has 4 Sundays");
}

#[test]
fn a_month_of_few_records_or_none_is_a_month_too() {
    for records in [0, 1, 2, 30] {
        let month = month(SEED, records);
        assert_eq!(month.made.records, records);
        assert_eq!(month.nights.len(), 35);
        read(&month);
    }
}
