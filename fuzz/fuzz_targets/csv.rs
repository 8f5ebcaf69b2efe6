//! The door of CSV files: the input as a whole, as ingest reads it.
//!
//! What is held, beyond that nothing panics: rows read together, by the cells and parameters of those before them, have the outcome that each
//! of them has by itself; each row is stored or refused; a refusal has a code of the list and one short printable sentence.

#![no_main]

use std::collections::HashSet;
use std::io::Cursor;
use std::sync::LazyLock;

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use tallybook::pipeline::ingest::formats::csv::CsvHeader;
use tallybook::pipeline::ingest::formats::csv::fast;
use tallybook::pipeline::ingest::formats::csv::first_row::first_row;
use tallybook::pipeline::ingest::formats::csv::joined::JoinedChunks;
use tallybook::pipeline::ingest::input::chunk::{Chunk, Chunks};
use tallybook::pipeline::ingest::record::refusal::CODES;
use tallybook::pipeline::ingest::record_rules::RecordRules;
use tallybook::pipeline::ingest::segment_builder::{Counts, SegmentBuilder};
use tallybook::pipeline::ingest::segment_writers::Writers;
use tallybook::storage::durable_files::DataDir;
use tallybook::support::clock::Clock;

/// More than any sentence with each of its values cut.
const SENTENCE_BYTES_MAX: usize = 2_000;

/// Nothing is written to it: that takes more rows than an input has here.
static NOWHERE: LazyLock<DataDir> = LazyLock::new(|| {
    DataDir::open(&std::env::temp_dir().join(format!("tallybook-fuzz-csv-{}", std::process::id()))).expect("a folder")
});

fuzz_target!(|data: &[u8]| {
    let Some((rules, chunks)) = file(data) else { return };
    let header = rules.header.as_ref().expect("it was put there");
    let together = outcome(&rules, |builder| {
        chunks.iter().for_each(|chunk| check(builder, header, chunk))
    });
    let mut one_by_one = (0, 0, Vec::new());
    for chunk in &chunks {
        for (line, bytes) in (chunk.first_line..).zip(chunk.bytes().split_inclusive(|&byte| byte == b'\n')) {
            let mut row = Chunk::of(line, bytes.to_vec());
            row.header.clone_from(&chunk.header);
            let row = outcome(&rules, |builder| check(builder, header, &row));
            one_by_one.0 += row.0;
            one_by_one.1 += row.1;
            one_by_one.2.extend(row.2);
        }
    }
    assert_eq!(together, one_by_one);
});

fn check(builder: &mut SegmentBuilder, header: &CsvHeader, rows: &Chunk) {
    fast::check(builder, header, rows).expect("too few rows to be written");
}

/// The rules for a file, and its rows by header; none if it is no CSV of records.
fn file(data: &[u8]) -> Option<(RecordRules, Vec<Chunk>)> {
    let clock = Clock::at(DateTime::from_timestamp(1_793_836_800, 0).expect("a time"));
    let mut rules = RecordRules::new(clock, "default", HashSet::new(), None);
    let mut read = Chunks::of_lines(Cursor::new(data.to_vec()));
    let mut first = Chunk::default();
    if !read.fill(&mut first).ok()? {
        return None;
    }
    let row = first_row(first.bytes()).ok()?;
    let header = CsvHeader::parse(&row.row, row.separator).ok()?;
    first.skip(row.end);
    rules.header = Some(header.clone());
    let mut joined = JoinedChunks::of(read, first, header);
    let mut chunks = Vec::new();
    let mut chunk = Chunk::default();
    while joined.fill(&mut chunk).ok()? {
        chunks.push(std::mem::take(&mut chunk));
    }
    Some((rules, chunks))
}

/// A refused row: its line, code, sentence and bytes.
type Refused = (u64, &'static str, String, Vec<u8>);

/// What is received and stored of some rows, and what is refused.
fn outcome(rules: &RecordRules, check: impl FnOnce(&mut SegmentBuilder)) -> (u64, u64, Vec<Refused>) {
    let writers = Writers::new(&NOWHERE, 1);
    let mut builder = SegmentBuilder::new(rules, &writers);
    check(&mut builder);
    let counts = builder.tally();
    hold(counts);
    let refused = counts.refused.iter().map(|refused| {
        let (code, sentence) = (refused.refusal.code, refused.refusal.sentence.clone());
        (refused.line, code, sentence, refused.bytes.clone())
    });
    (counts.received, counts.stored, refused.collect())
}

fn hold(counts: &Counts) {
    assert_eq!(counts.received, counts.stored + counts.refused.len() as u64);
    for refused in &counts.refused {
        let refusal = &refused.refusal;
        assert!(CODES.iter().any(|(code, _)| *code == refusal.code), "{refusal}");
        assert!(refusal.sentence.len() <= SENTENCE_BYTES_MAX, "{refusal}");
        assert!(!refusal.sentence.contains(char::is_control), "{refusal}");
    }
}
