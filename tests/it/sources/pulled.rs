//! Queues into books: what is pulled makes the same exports as the same records from a file.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use tallybook::pipeline::ingest::ingest;
use tallybook::pipeline::ingest::input::Input;
use tallybook::sources::pull::{Pulled, State, pull};

use crate::world::{Place, at, run};

/// When it is pulled, and when the month is closed.
pub const NOW: &str = "2026-11-20T00:00:00Z";
const NIGHT: &str = "2026-12-10T00:00:00Z";

pub const SOURCE: &str = "mps";

/// Records of several accounts, sizes and durations.
pub fn records(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| {
            let height = [360, 720, 1080, 2160][number % 4];
            format!(
                "{{\"id\":\"id-{number}\",\"uin\":\"{}\",\"appid\":{},\"task_type\":\"Transcode\",\"parameters\":{{\"type\":\"Standard\",\
                 \"codec\":\"H264\",\"width\":{},\"height\":{height}}},\"duration_ms\":{},\"finished_at\":\"2026-11-{:02}T{:02}:00:00Z\"}}",
                7 + number % 50,
                1 + number % 3,
                height * 16 / 9,
                1_000 + number % 100_000,
                1 + number % 19,
                number % 24,
            )
        })
        .collect()
}

/// How many messages a test of speed sends: few, unless somebody asks for more.
pub fn many() -> usize {
    std::env::var("TALLYBOOK_TEST_MESSAGES").map_or(2_000, |count| count.parse().unwrap())
}

/// The size of its micro-batches: the default one, unless somebody asks for another.
pub fn batches() -> String {
    std::env::var("TALLYBOOK_TEST_BATCH")
        .map(|size| format!("max_messages = {size}"))
        .unwrap_or_default()
}

/// The exported files of books.
pub fn exports(place: &Place) -> String {
    place.night(NIGHT);
    let mut text = String::new();
    for name in ["statements.csv", "statement_lines.csv"] {
        for (path, file) in place.exported(name) {
            writeln!(text, "== {path}\n{file}").unwrap();
        }
    }
    assert!(text.contains("H264"), "there are statements: {text}");
    text
}

pub fn exports_of_a_file(records: &[String]) -> String {
    let place = Place::new();
    let path = place.file("records.ndjson", records.join("\n") + "\n");
    run(async {
        let books = place.books(at(NOW)).await;
        ingest(&books, &Input::named(&path, None).unwrap(), SOURCE)
            .await
            .unwrap();
        books.ledger.close().await;
    });
    exports(&place)
}

fn pull_once(place: &Place) -> Pulled {
    run(async {
        let books = place.books(at(NOW)).await;
        let mut pulled = pull(&books, &[]).await.unwrap();
        books.ledger.close().await;
        pulled.remove(0)
    })
}

#[expect(clippy::cast_precision_loss, reason = "a speed is shown to people")]
/// Pulls a queue that holds these records once, and compares. `plain` is how long a client took that only read them, and acknowledged.
pub fn makes_the_books_of_a_file(definition: &str, records: &[String], plain: Option<f64>) {
    let mut place = Place::new();
    let table: toml::Table = toml::from_str(definition).unwrap();
    place.settings().sources.insert(SOURCE.to_owned(), table);
    let began = Instant::now();
    let pulled = pull_once(&place);
    let took = began.elapsed().as_secs_f64();
    assert_eq!((pulled.state, pulled.message.clone()), (State::Done, None));
    assert_eq!(pulled.stored, i64::try_from(records.len()).unwrap());
    if records.len() > 2_000 {
        let speed = |seconds: f64| records.len() as f64 / seconds;
        let beside = plain
            .map(|plain| format!("; a plain client: {:.0}", speed(plain)))
            .unwrap_or_default();
        writeln!(
            std::io::stderr().lock(),
            "{} records: {:.0} records/s{beside}",
            records.len(),
            speed(took)
        )
        .unwrap();
    }
    assert_eq!(pull_once(&place).received, 0);
    assert!(
        exports(&place) == exports_of_a_file(records),
        "other exports than those of a file"
    );
}
