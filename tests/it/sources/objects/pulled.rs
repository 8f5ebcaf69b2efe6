//! Objects all the way into the books, by the loop that pulls.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tallybook::context::Books;
use tallybook::pipeline::ingest::ingest;
use tallybook::pipeline::ingest::input::Input;
use tallybook::sources::pull::{Pulled, State, pull};
use tallybook::storage::ledger::query;

use super::Folder;
use crate::world::{Place, at, line, run};

const NOW: &str = "2026-11-10T00:00:00Z";
const FINISHED: &str = "2026-11-09T10:00:00Z";

impl Folder {
    /// The source in the settings.
    fn configured(mut self) -> Self {
        let mut keys = toml::Table::new();
        let mut add = |name: &str, value: &str| keys.insert(name.to_owned(), value.into());
        add("kind", "folder");
        add("path", &self.root.display().to_string());
        add("from", "2020-01-01T00:00:00Z");
        self.place.settings().sources.insert("mps".to_owned(), keys);
        self
    }

    fn put_bytes(&self, key: &str, bytes: &[u8]) {
        std::fs::write(self.put(key, ""), bytes).unwrap();
    }

    fn pull_all(&self) -> Pulled {
        pulled(&self.place)
    }
}

fn pulled(place: &Place) -> Pulled {
    pulled_at(place, NOW)
}

fn pulled_at(place: &Place, now: &str) -> Pulled {
    run(async {
        let books = place.books(at(now)).await;
        let pulled = pull(&books, &[]).await.unwrap();
        books.ledger.close().await;
        let [pulled] = <[Pulled; 1]>::try_from(pulled).unwrap();
        pulled
    })
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Rows of a query with numbers only.
fn numbers(place: &Place, sql: &'static str) -> Vec<i64> {
    run(async {
        let books = place.books(at(NOW)).await;
        let rows = query(sql).fetch_all(&books.ledger).await.unwrap();
        books.ledger.close().await;
        rows.iter().map(|row| row.try_get(0).unwrap()).collect()
    })
}

fn names(place: &Place) -> Vec<String> {
    run(async {
        let books = place.books(at(NOW)).await;
        let rows = query("SELECT name FROM batch ORDER BY batch");
        let rows = rows.fetch_all(&books.ledger).await.unwrap();
        books.ledger.close().await;
        rows.iter().map(|row| row.try_get(0).unwrap()).collect()
    })
}

/// A Parquet file of one record.
fn parquet(folder: &Path) -> Vec<u8> {
    use polars::prelude::*;
    use polars_io::prelude::*;
    let mut frame = df!(
        "id" => ["p1"],
        "uin" => ["7"],
        "appid" => ["1"],
        "task_type" => ["AIReview"],
        "duration_ms" => [60_000_i64],
        "finished_at" => [FINISHED],
    )
    .unwrap();
    let path = folder.join("one.parquet");
    ParquetWriter::new(std::fs::File::create(&path).unwrap())
        .finish(&mut frame)
        .unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn objects_of_every_format_are_read_as_files_of_their_names_are() {
    let folder = Folder::new().configured();
    folder.put("a.ndjson", &line("a1", 7, FINISHED, 60_000));
    folder.put_bytes("b.ndjson.gz", &gzip(&line("b1", 7, FINISHED, 60_000)));
    folder.put_bytes(
        "c.jsonl.zst",
        &zstd::encode_all(line("c1", 7, FINISHED, 60_000).as_bytes(), 1).unwrap(),
    );
    folder.put(
        "d.csv",
        &format!("id,uin,appid,task_type,duration_ms,finished_at\nd1,7,1,AIReview,60000,{FINISHED}\n"),
    );
    folder.put_bytes("e.parquet", &parquet(folder.place.path()));
    let pulled = folder.pull_all();
    assert_eq!((pulled.state, pulled.parts), (State::Done, 5), "{pulled:?}");
    assert_eq!((pulled.received, pulled.stored, pulled.quarantined), (5, 5, 0));
    let root = folder.root.display();
    assert_eq!(
        names(&folder.place),
        ["a.ndjson", "b.ndjson.gz", "c.jsonl.zst", "d.csv", "e.parquet"].map(|name| format!("{root}/{name}"))
    );
    let again = folder.pull_all();
    assert_eq!(
        (again.state, again.parts, again.warnings.len()),
        (State::Done, 0, 0),
        "{again:?}"
    );
}

#[test]
fn the_same_bytes_under_another_key_change_nothing_and_are_remembered() {
    let folder = Folder::new().configured();
    let text = line("a1", 7, FINISHED, 60_000);
    folder.put("a.ndjson", &text);
    folder.put("b.ndjson", &text);
    let pulled = folder.pull_all();
    assert_eq!((pulled.parts, pulled.received), (2, 1), "{pulled:?}");
    assert_eq!(
        numbers(&folder.place, "SELECT batch FROM source_object ORDER BY object_key"),
        [1, 1]
    );
    assert_eq!(folder.pull_all().parts, 0);
}

#[test]
fn an_object_that_cannot_be_read_needs_a_person_and_stops_no_other() {
    let folder = Folder::new().configured();
    folder.put_bytes("a.ndjson.gz", &gzip(&line("a1", 7, FINISHED, 60_000))[..40]);
    folder.put("b.parquet", "this is no Parquet");
    folder.put("c.ndjson", &line("c1", 7, FINISHED, 60_000));
    let pulled = folder.pull_all();
    assert_eq!((pulled.state, pulled.stored), (State::Done, 1), "{pulled:?}");
    assert_eq!(pulled.refused.len(), 2, "{pulled:?}");
    assert!(
        pulled.refused[0].contains("a.ndjson.gz") && pulled.refused[1].contains("b.parquet"),
        "{pulled:?}"
    );
    let night = folder.place.night(NOW);
    let told = |name: &str| night.needs_person.iter().any(|told| told.contains(name));
    assert!(told("a.ndjson.gz") && told("b.parquet"), "{:?}", night.needs_person);
    // It is read when it is whole.
    folder.put_bytes("a.ndjson.gz", &gzip(&line("a1", 7, FINISHED, 60_000)));
    let again = folder.pull_all();
    assert_eq!(
        (again.stored, again.refused.len(), again.warnings.len()),
        (1, 1, 0),
        "{again:?}"
    );
}

#[test]
fn a_changed_object_brings_what_is_new_in_it_once_and_conflicts_where_it_differs() {
    let folder = Folder::new().configured();
    let (a, b, c) = (
        line("a", 7, FINISHED, 60_000),
        line("b", 7, FINISHED, 60_000),
        line("c", 7, FINISHED, 60_000),
    );
    folder.put("x.ndjson", &format!("{a}{b}"));
    folder.pull_all();
    let other = line("b", 7, FINISHED, 90_000);
    folder.put("x.ndjson", &format!("{a}{other}{c}"));
    let pulled = folder.pull_all();
    assert_eq!(
        (pulled.parts, pulled.received, pulled.warnings.len()),
        (1, 3, 1),
        "{pulled:?}"
    );
    folder.place.night(NOW);
    let totals = "SELECT records FROM control_total WHERE status = 'conflict' AND records > 0";
    assert_eq!(numbers(&folder.place, totals), [1]);
}

/// Rows of objects that were read, and those of them that are noted as gone.
fn remembered(place: &Place) -> (i64, i64) {
    let count = |sql| numbers(place, sql)[0];
    (
        count("SELECT COUNT(*) FROM source_object"),
        count("SELECT COUNT(*) FROM source_object WHERE gone_at IS NOT NULL"),
    )
}

#[test]
fn an_object_that_is_gone_is_forgotten_a_month_later_and_never_billed_twice() {
    let folder = Folder::new().configured();
    let text = line("a1", 7, FINISHED, 60_000);
    let path = folder.put("a.ndjson", &text);
    folder.put("b.ndjson", &line("b1", 7, FINISHED, 60_000));
    folder.pull_all();
    assert_eq!(remembered(&folder.place), (2, 0));
    std::fs::remove_file(&path).unwrap();
    pulled_at(&folder.place, "2026-11-11T00:00:00Z");
    assert_eq!(remembered(&folder.place), (2, 1));
    // It is counted from the first listing that does not have it.
    pulled_at(&folder.place, "2026-12-11T00:00:00Z");
    assert_eq!(remembered(&folder.place), (2, 1));
    pulled_at(&folder.place, "2026-12-11T00:00:01Z");
    assert_eq!(remembered(&folder.place), (1, 0));
    folder.put("a.ndjson", &text);
    let again = pulled_at(&folder.place, "2026-12-12T00:00:00Z");
    assert_eq!((again.parts, again.received), (1, 0), "{again:?}");
    assert_eq!(remembered(&folder.place), (2, 0));
    assert_eq!(numbers(&folder.place, "SELECT COUNT(*) FROM batch"), [2]);
}

#[test]
fn an_object_that_comes_back_within_a_month_is_known_and_not_read() {
    let folder = Folder::new().configured();
    let path = folder.put("a.ndjson", &line("a1", 7, FINISHED, 60_000));
    let aside = folder.place.path().join("aside");
    folder.pull_all();
    std::fs::rename(&path, &aside).unwrap();
    pulled_at(&folder.place, "2026-11-11T00:00:00Z");
    assert_eq!(remembered(&folder.place), (1, 1));
    std::fs::rename(&aside, &path).unwrap();
    let again = pulled_at(&folder.place, "2026-12-01T00:00:00Z");
    assert_eq!((again.parts, remembered(&folder.place)), (0, (1, 0)), "{again:?}");
}

#[test]
fn a_listing_that_failed_says_nothing_of_what_is_gone() {
    let folder = Folder::new().configured();
    folder.put("a.ndjson", &line("a1", 7, FINISHED, 60_000));
    folder.pull_all();
    std::fs::rename(&folder.root, folder.root.with_extension("away")).unwrap();
    assert_eq!(pulled(&folder.place).state, State::NeedsPerson);
    assert_eq!(remembered(&folder.place), (1, 0));
}

/// What stands in the books of two ways, but for names and batches.
async fn stored(books: &Books) -> Vec<i64> {
    let sql =
        "SELECT COALESCE(SUM(received), 0), COALESCE(SUM(stored_rows), 0), COALESCE(SUM(quarantined), 0) FROM batch";
    let row = query(sql).fetch_one(&books.ledger).await.unwrap();
    (0..3).map(|at| row.try_get(at).unwrap()).collect()
}

#[test]
fn a_pull_makes_the_same_exports_as_the_files_themselves() {
    let folder = Folder::new().configured();
    let files = Place::new();
    let months = ["2026-09-03T10:00:00Z", "2026-09-20T10:00:00Z", "2026-10-02T10:00:00Z"];
    for number in 0..12 {
        let text: String = (0..10)
            .map(|at| {
                line(
                    &format!("{number}-{at}"),
                    7 + at % 3,
                    months[number % 3],
                    60_000 + 1000 * at,
                )
            })
            .collect();
        folder.put(&format!("{number:02}.ndjson"), &text);
    }
    folder.pull_all();
    run(async {
        let books = files.books(at(NOW)).await;
        for number in 0..12 {
            let path = folder.root.join(format!("{number:02}.ndjson"));
            ingest(&books, &Input::named(&path, None).unwrap(), "mps")
                .await
                .unwrap();
        }
        let pulled = folder.place.books(at(NOW)).await;
        assert_eq!(stored(&books).await, stored(&pulled).await);
        books.ledger.close().await;
        pulled.ledger.close().await;
    });
    for place in [&folder.place, &files] {
        place.night(NOW);
    }
    let exported = folder.place.exported("statements.csv");
    assert!(!exported.is_empty() && exported == files.exported("statements.csv"));
}
