//! The door of Parquet files: the input as a whole, as ingest reads it.
//!
//! What is held: the process lives, and asks for no memory that the file only speaks of; each row is stored or refused, with a code of the
//! list and one short printable sentence; the same file has the same outcome again.

#![no_main]

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use tallybook::pipeline::ingest::formats::parquet::Rows;
use tallybook::pipeline::ingest::record::refusal::CODES;
use tallybook::pipeline::ingest::record_rules::RecordRules;
use tallybook::pipeline::ingest::segment_builder::SegmentBuilder;
use tallybook::pipeline::ingest::segment_writers::Writers;
use tallybook::storage::durable_files::DataDir;
use tallybook::support::clock::Clock;

/// More than any sentence with each of its values cut.
const SENTENCE_BYTES_MAX: usize = 2_000;

/// Parts of a file that are read: a file may speak of any number of rows, and each part takes its time.
const SLICES_MAX: usize = 3;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("tallybook-fuzz-parquet-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    // The library catches what the decoder panics at; libFuzzer's own hook ends the process there.
    std::panic::set_hook(Box::new(|panic| {
        *LAST_PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = panic.to_string();
    }));
    folder
});

static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fuzz_target!(|data: &[u8]| {
    let place = FOLDER.join("x.parquet");
    std::fs::write(&place, data).expect("a file");
    let read = catch_unwind(AssertUnwindSafe(|| assert_eq!(outcome(&place), outcome(&place))));
    if read.is_err() {
        eprintln!(
            "{}",
            LAST_PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        );
        std::process::abort();
    }
});

/// What is received and stored of a file, and the codes of what is refused.
fn outcome(place: &std::path::Path) -> (u64, u64, Vec<(u64, &'static str)>) {
    let clock = Clock::at(DateTime::from_timestamp(1_793_836_800, 0).expect("a time"));
    let rules = RecordRules::new(clock, "default", HashSet::new(), None);
    let data = DataDir::open(&FOLDER).expect("a folder");
    let writers = Writers::new(&data, 1);
    let mut builder = SegmentBuilder::new(&rules, &writers);
    if let Ok(rows) = Rows::open("x", place) {
        for slice in rows.slices().take(SLICES_MAX) {
            if rows.check(&mut builder, slice).is_err() {
                break;
            }
        }
    }
    let counts = builder.tally();
    assert_eq!(counts.received, counts.stored + counts.refused.len() as u64);
    for refused in &counts.refused {
        let refusal = &refused.refusal;
        assert!(CODES.iter().any(|(code, _)| *code == refusal.code), "{refusal}");
        assert!(refusal.sentence.len() <= SENTENCE_BYTES_MAX, "{refusal}");
        assert!(!refusal.sentence.contains(char::is_control), "{refusal}");
    }
    let refused = counts
        .refused
        .iter()
        .map(|refused| (refused.line, refused.refusal.code));
    (counts.received, counts.stored, refused.collect())
}
