//! The door of CSV files: the input as a whole, as ingest reads it.
//!
//! What is held, beyond that nothing panics: rows read together, by the cells and parameters of those before them, have the outcome that each
//! of them has by itself; each row is stored or refused; a refusal has a code of the list and one short printable sentence.

#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use tallybook::clock::Clock;
use tallybook::files::DataDir;
use tallybook::ingest::chunk::Chunk;
use tallybook::ingest::csv::CsvHeader;
use tallybook::ingest::refusal::CODES;
use tallybook::ingest::retry::first_row;
use tallybook::ingest::rows;
use tallybook::ingest::worker::{Door, Tally, Worker};
use tallybook::ingest::writers::Writers;

/// More than any sentence with each of its values cut.
const SENTENCE_BYTES_MAX: usize = 2_000;

/// Nothing is written to it: that takes more rows than an input has here.
static NOWHERE: LazyLock<DataDir> = LazyLock::new(|| {
    DataDir::open(&std::env::temp_dir().join(format!("tallybook-fuzz-csv-{}", std::process::id()))).expect("a folder")
});

fuzz_target!(|data: &[u8]| {
    let Ok((row, end)) = first_row(data) else { return };
    let Ok(header) = CsvHeader::parse(&row) else { return };
    let clock = Clock::at(DateTime::from_timestamp(1_793_836_800, 0).expect("a time"));
    let mut door = Door::new(clock, "default", HashSet::new(), None);
    door.header = Some(header);
    let header = door.header.as_ref().expect("it was put there");

    let mut chunk = Chunk::of(1, data.to_vec());
    chunk.skip(end);
    let first_line = chunk.first_line;
    let together = outcome(&door, |worker| {
        rows::check(worker, header, &chunk).expect("too few rows to be written")
    });
    let mut one_by_one = (0, 0, Vec::new());
    for (line, bytes) in (first_line..).zip(data[end..].split_inclusive(|&byte| byte == b'\n')) {
        let row = Chunk::of(line, bytes.to_vec());
        let row = outcome(&door, |worker| {
            rows::check(worker, header, &row).expect("too few rows to be written")
        });
        one_by_one.0 += row.0;
        one_by_one.1 += row.1;
        one_by_one.2.extend(row.2);
    }
    assert_eq!(together, one_by_one);
});

/// A refused row: its line, code, sentence and bytes.
type Refused = (u64, &'static str, String, Vec<u8>);

/// What is received and stored of some rows, and what is refused.
fn outcome(door: &Door, check: impl FnOnce(&mut Worker)) -> (u64, u64, Vec<Refused>) {
    let writers = Writers::new(&NOWHERE, 1);
    let mut worker = Worker::new(door, &writers);
    check(&mut worker);
    let tally = worker.tally();
    hold(tally);
    let refused = tally.refused.iter().map(|refused| {
        let (code, sentence) = (refused.refusal.code, refused.refusal.sentence.clone());
        (refused.line, code, sentence, refused.bytes.clone())
    });
    (tally.received, tally.stored, refused.collect())
}

fn hold(tally: &Tally) {
    assert_eq!(tally.received, tally.stored + tally.refused.len() as u64);
    for refused in &tally.refused {
        let refusal = &refused.refusal;
        assert!(CODES.iter().any(|(code, _)| *code == refusal.code), "{refusal}");
        assert!(refusal.sentence.len() <= SENTENCE_BYTES_MAX, "{refusal}");
        assert!(!refusal.sentence.contains(char::is_control), "{refusal}");
    }
}
