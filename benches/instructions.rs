//! A record's way in memory, for `benches/instructions.py`, which counts the instructions of [`counted`]: `instructions STEP`.

mod made;

use std::collections::HashSet;
use std::path::Path;

use tallybook::pipeline::ingest::formats::csv::first_row::first_row;
use tallybook::pipeline::ingest::formats::csv::{CsvHeader, fast};
use tallybook::pipeline::ingest::input::chunk::Chunk;
use tallybook::pipeline::ingest::record::{Scratch, parse_line};
use tallybook::pipeline::ingest::record_rules::RecordRules;
use tallybook::pipeline::ingest::segment_builder::SegmentBuilder;
use tallybook::pipeline::ingest::segment_writers::Writers;
use tallybook::pipeline::meter::aggregate::usage_sums::RowsToSum;
use tallybook::storage::durable_files::DataDir;
use tallybook::support::clock::Clock;

/// Enough that what is done once does not count.
const RECORDS: usize = 10_000;
const SEED: u64 = 1;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("records") => println!("{RECORDS}"),
        Some("line_by_layout") => with_worker(|worker| {
            let chunk = Chunk::of(1, made::lines(RECORDS, SEED).into_bytes());
            let mut take = || worker.take_lines(&chunk).expect("nothing is written so early");
            take();
            counted(take);
        }),
        Some("line_in_full") => {
            let text = made::lines(RECORDS, SEED);
            let mut scratch = Scratch::default();
            counted(|| {
                for line in text.lines() {
                    std::hint::black_box(parse_line(line.as_bytes(), &mut scratch)).expect("a made line is a record");
                }
            });
        }
        Some("row_of_csv") => with_worker(|worker| {
            let first = first_row(made::HEADER.as_bytes()).expect("one row");
            let header = CsvHeader::parse(&first.row, first.separator).expect("names of fields");
            let chunk = Chunk::of(2, made::rows(RECORDS, SEED).into_bytes());
            let mut take = || fast::check(worker, &header, &chunk).expect("nothing is written so early");
            take();
            counted(take);
        }),
        Some("add_up") => {
            let shares = made::shares(RECORDS as u64);
            counted(|| {
                let mut sums = RowsToSum::with_capacity(shares.len());
                for share in &shares {
                    sums.push(share).expect("places are few");
                }
                std::hint::black_box(sums.add_up().expect("sums are small").len());
            });
        }
        other => panic!("{other:?} is no step"),
    }
}

/// What is counted. The parameters were seen before, as almost all of a large input's are.
#[inline(never)]
fn counted(mut step: impl FnMut()) {
    step();
}

fn with_worker(run: impl FnOnce(&mut SegmentBuilder)) {
    let clock = Clock::at(chrono::DateTime::from_timestamp(1_793_836_800, 0).expect("5 November 2026"));
    let door = RecordRules::new(clock, "mps", HashSet::new(), None);
    let data = DataDir::open(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("cargo makes the folder");
    run(&mut SegmentBuilder::new(&door, &Writers::new(&data, 1)));
}
