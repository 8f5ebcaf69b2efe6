//! What each step of a record's way costs, as records per second on one core: `cargo bench --bench steps`, or with a part of a
//! step's name after it.

mod made;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use chrono::DateTime;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use polars::prelude::*;
use tallybook::catalog::rate_card::{Model, RateCard, Tier};
use tallybook::catalog::source::events::{Analysis, EventSource, Owner, SpriteImages};
use tallybook::pipeline::ingest::formats::events::{self, Outcome};
use tallybook::pipeline::ingest::formats::ndjson::fast::Layouts;
use tallybook::pipeline::ingest::input::chunk::Chunk;
use tallybook::pipeline::ingest::record::fingerprint::{
    TextHashes, content_fingerprint_with, identity_hash_with, text_hash,
};
use tallybook::pipeline::ingest::record::{Record, Scratch, canonical_parameters, parse_line};
use tallybook::pipeline::ingest::record_rules::RecordRules;
use tallybook::pipeline::ingest::segment_builder::SegmentBuilder;
use tallybook::pipeline::ingest::segment_writers::Writers;
use tallybook::pipeline::meter::aggregate::usage_sums::RowsToSum;
use tallybook::pipeline::rate::{Counted, Quantity, slice};
use tallybook::storage::durable_files::DataDir;
use tallybook::storage::usage::row::UsageRow;
use tallybook::support::clock::Clock;
use tallybook::values::digest::InputHasher;
use tallybook::values::format::Format;
use tallybook::values::money::parse_plain;
use tallybook::values::parameters::Parameters;

const SEED: u64 = 1;

/// More than a processor can learn by heart, so that its guesses are as good as with real usage.
const LINES: usize = 20_000;

fn main() {
    divan::main();
}

/// Gives `look` each of the made records.
fn each_record(text: &str, mut look: impl FnMut(&Record)) {
    let mut scratch = Scratch::default();
    for line in text.lines() {
        look(&parse_line(line.as_bytes(), &mut scratch).expect("a made line is a record"));
    }
}

#[divan::bench]
fn input_digest(bencher: Bencher) {
    let text = made::lines(LINES, SEED);
    bencher
        .counter(BytesCount::of_str(&text))
        .counter(ItemsCount::new(LINES))
        .bench(|| {
            let mut hasher = InputHasher::default();
            hasher.update(text.as_bytes());
            hasher.hex()
        });
}

#[divan::bench]
fn parse_in_full(bencher: Bencher) {
    let text = made::lines(LINES, SEED);
    bencher.counter(ItemsCount::new(LINES)).bench(|| {
        each_record(&text, |record| {
            black_box(record);
        });
    });
}

#[divan::bench]
fn parse_by_layout(bencher: Bencher) {
    let text = made::lines(LINES, SEED);
    let mut layouts = Layouts::default();
    layouts.begin_chunk();
    layouts.learn(text.lines().next().unwrap_or_default().as_bytes());
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| {
        let mut at = 0;
        while at < text.len() {
            let mut record = Record::default();
            let length = layouts.read(&text[at..], &mut record);
            black_box(&record);
            at += length.expect("made lines have one layout") + 1;
        }
    });
}

/// From bytes to raw rows in memory: parsing, all checks, hashes, and the columns. The parameters were seen before, as almost all
/// of a large input's are.
/// The records of events, from the documents to the lines that the door checks.
#[divan::bench]
fn read_events(bencher: Bencher) {
    const SAMPLES: &str = include_str!("../tests/data/events/samples.ndjson");
    let source = EventSource {
        source: "mps".to_owned(),
        owner: Owner::One { uin: 1, appid: Some(2) },
        region: None,
        templates: BTreeMap::new(),
        notify_keys: Vec::new(),
        sprite_images: SpriteImages::default(),
        analysis: Analysis::default(),
    };
    // Those that need no template.
    let documents: Vec<&str> = SAMPLES.lines().take(2).collect();
    let receipt = DateTime::from_timestamp(1_793_836_800, 0).expect("a time");
    let records = |document: &&str| {
        let events = events::read(Format::MpsEvents, document, &source, receipt);
        let counts = events.iter().map(|event| match &event.outcome {
            Outcome::Records(records) => records.len(),
            Outcome::Skipped(_) | Outcome::Refused(_) => 0,
        });
        counts.sum::<usize>()
    };
    bencher
        .counter(BytesCount::new(
            documents.iter().map(|document| document.len()).sum::<usize>(),
        ))
        .counter(ItemsCount::new(documents.iter().map(records).sum::<usize>()))
        .bench(|| documents.iter().map(records).sum::<usize>());
}

#[divan::bench]
fn check_and_push(bencher: Bencher) {
    let clock = Clock::at(chrono::DateTime::from_timestamp(1_793_836_800, 0).expect("5 November 2026"));
    let door = RecordRules::new(clock, "mps", HashSet::new(), None);
    let data = DataDir::open(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("cargo makes the folder");
    let writers = Writers::new(&data, 1);
    let chunk = Chunk::of(1, made::lines(LINES, SEED).into_bytes());
    bencher
        .counter(ItemsCount::new(LINES))
        .with_inputs(|| {
            let mut worker = SegmentBuilder::new(&door, &writers);
            worker.take_lines(&chunk).expect("nothing is written so early");
            worker
        })
        .bench_local_refs(|worker| worker.take_lines(&chunk).expect("nothing is written so early"));
}

#[divan::bench]
fn identity_key(bencher: Bencher) {
    let text = made::lines(LINES, SEED);
    let mut ids = Vec::new();
    each_record(&text, |record| ids.push(record.id.to_owned()));
    let source = text_hash("mps");
    bencher
        .counter(ItemsCount::new(LINES))
        .bench(|| ids.iter().fold(0, |sum, id| sum ^ identity_hash_with(source, id)));
}

/// Dedupe: a bucket of identity hashes, sorted.
#[divan::bench]
fn dedupe_sort(bencher: Bencher) {
    const ROWS: u32 = 1 << 16;
    let hashes: Vec<(u64, u32)> = (0..ROWS).map(|row| (text_hash(&row.to_string()), row)).collect();
    let bits = 22;
    bencher
        .counter(ItemsCount::new(ROWS))
        .with_inputs(|| hashes.clone())
        .bench_local_refs(|rows| {
            tallybook::support::radix_sort::sort_by_key(rows, bits, |row| row.0 >> (u64::BITS - bits));
        });
}

/// Shares of 200,000 records of a day, added up to about 80,000 sums.
#[divan::bench]
fn add_up(bencher: Bencher) {
    const RECORDS: u64 = 200_000;
    let shares = made::shares(RECORDS);
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let mut all = RowsToSum::with_capacity(shares.len());
        for share in &shares {
            all.push(share).expect("places are few");
        }
        all.add_up().expect("sums are small").len()
    });
}

#[divan::bench]
fn content_fingerprint(bencher: Bencher) {
    let line = made::lines(1, SEED);
    let mut scratch = Scratch::default();
    let record = parse_line(line.trim_end().as_bytes(), &mut scratch).expect("a made line is a record");
    let hashes = TextHashes {
        task_type: 1,
        parameters: 2,
    };
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench(|| content_fingerprint_with(black_box(&record), black_box(hashes)));
}

/// The same sums by polars: what [`add_up`] is held against. Its sums wrap around where they do not fit, which `add_up` refuses, and its
/// groups come in no order, which a usage file needs: both are left out here.
#[divan::bench]
fn add_up_with_polars(bencher: Bencher) {
    const RECORDS: u64 = 200_000;
    let shares = made::shares(RECORDS);
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let number = |pick: fn(&UsageRow) -> i64| shares.iter().map(pick).collect::<Vec<i64>>();
        let keys: [(&str, Vec<u64>); 3] = [
            ("uin", shares.iter().map(|row| row.uin).collect()),
            ("appid", shares.iter().map(|row| row.appid).collect()),
            // What is small goes into one number, to polars' advantage.
            (
                "rest",
                shares
                    .iter()
                    .map(|row| {
                        let day = u64::from(row.day.unsigned_abs());
                        day << 40 | u64::from(row.code) << 8 | (row.status as u64) << 1 | row.unit as u64
                    })
                    .collect(),
            ),
        ];
        let mut columns: Vec<Column> = keys
            .into_iter()
            .map(|(name, keys)| Column::new(name.into(), keys))
            .collect();
        columns.push(Column::new("records".into(), number(|row| row.records)));
        columns.push(Column::new("raw".into(), number(|row| row.raw)));
        columns.push(Column::new("billable".into(), number(|row| row.billable)));
        let rows = DataFrame::new(shares.len(), columns).expect("columns of one length");
        let groups = rows.group_by(["uin", "appid", "rest"]).expect("the columns are there");
        #[expect(
            deprecated,
            reason = "the eager sum is what the core crate has; the lazy engine is another crate"
        )]
        let sums = groups
            .select(["records", "raw", "billable"])
            .sum()
            .expect("numbers add up");
        sums.height()
    });
}

/// On a distinct pair of task type and parameters, not on each record.
#[divan::bench]
fn sku_assignment(bencher: Bencher) {
    let card = include_str!("../rate-cards/mps-cn/2024-01-01.toml");
    let card = RateCard::parse(card, "2024-01-01.toml").expect("the card is checked by the tests");
    let text = made::lines(LINES, SEED);
    let mut pairs = Vec::new();
    each_record(&text, |record| {
        let canonical = canonical_parameters(record).expect("made parameters are right");
        let parameters = Parameters::from_canonical(&canonical).expect("what is canonical can be read");
        pairs.push((record.task_type.unwrap_or_default().to_owned(), parameters));
    });
    bencher.counter(ItemsCount::new(LINES)).bench(|| {
        for (task_type, parameters) in &pairs {
            black_box(card.assign(task_type, parameters).is_ok());
        }
    });
}

/// A quantity that reaches over three tiers.
#[divan::bench]
fn tier_slicing(bencher: Bencher) {
    let tier = |from: &str, price: &str| Tier {
        from: parse_plain(from).expect("a decimal"),
        unit_price: parse_plain(price).expect("a decimal"),
    };
    let model = Model::Graduated {
        tiers: vec![
            tier("0", "0.04"),
            tier("1000", "0.03"),
            tier("5000", "0.02"),
            tier("50000", "0.01"),
        ],
    };
    let quantity = |minutes: i64| Quantity::from_base_units(minutes * 60_000, 60_000).expect("a minute has base units");
    let (position, length) = (quantity(900), quantity(20_000));
    let counted = Counted {
        position,
        ..Counted::default()
    };
    let mut slices = Vec::new();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        slices.clear();
        slice(black_box(&model), &counted, length, &mut slices).expect("the tiers ascend from 0");
        slices.len()
    });
}
