//! A flipped byte in any file, a changed number in any row of the ledger: `verify` finds it and names it.

use std::path::{Path, PathBuf};

use tallybook::catalog::account::end::reinstate::reinstate;
use tallybook::catalog::account::end::terminate::terminate;
use tallybook::catalog::account::profile::Said;
use tallybook::catalog::account::profile::set::set;
use tallybook::decisions::conflict::resolve;
use tallybook::inspect::explain::explain;
use tallybook::inspect::verify::{Verified, verify};
use tallybook::pipeline::meter::dedupe::resolution::Resolution;
use tallybook::pipeline::retention::store::waive;
use tallybook::storage::ledger::{Engine, Lease, Value, query};

use crate::crashes::points::is_every_point_tried;
use crate::exactly_once::shop::{Shop, records, usage, void};
use crate::ledgers;
use crate::source_rows;
use crate::world::{Place, at};

pub const NOW: &str = "2025-07-10T00:00:00Z";

/// A writer goes on after its file was read.
fn grow(shop: &Shop, text: &str) {
    let done = std::fs::read_dir(shop.place.data().join("drop/done")).unwrap();
    let mut paths = done.map(|file| file.unwrap().path());
    let path = paths
        .find(|path| path.to_string_lossy().ends_with("-grown.ndjson"))
        .unwrap();
    let old = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, old + text).unwrap();
}

/// Books with something in every table and in every kind of file, half of it expired.
pub fn rich_books() -> Shop {
    let price = "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }";
    let mut shop = Shop::new("CNY", price);
    shop.place.settings().keep_usage_months = Some(7);
    source_rows::define(&mut shop.place);
    let with_log = |line: String| line.replace("\"appid\":1", "\"appid\":1,\"task_id\":\"t\"");
    shop.drop(&[
        usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000),
        usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 90_000),
        usage("z", 7, "unknown", "2024-11-15T11:00:00+08:00", 60_000),
        "not usage\n".to_owned(),
    ]);
    shop.place.drop("refused.ndjson", "nor this\n");
    shop.place.night("2024-12-10T00:00:00Z");
    shop.drop(&[usage("late", 7, "A", "2024-11-16T10:00:00+08:00", 60_000)]);
    shop.place.night("2025-01-10T00:00:00Z");
    shop.write_card("\"A\" = { unit_price = \"2\", origin = \"illustrative\" }");
    shop.correct("2025-01-11T00:00:00Z");
    shop.place.night("2025-02-10T00:00:00Z");
    crate::world::run(async {
        let books = shop.place.books(at("2025-05-18T00:00:00Z")).await;
        waive(&books, "2024-11-15".parse().unwrap(), "seen").await.unwrap();
        books.ledger.close().await;
    });
    shop.place.night("2025-05-18T00:00:00Z");
    shop.drop(&[
        with_log(usage("b", 7, "A", "2025-07-01T10:00:00+08:00", 60_000)),
        usage("b", 7, "A", "2025-07-01T10:00:00+08:00", 61_000),
        usage("c", 8, "A", "2025-07-02T10:00:00+08:00", 60_000),
        usage("y", 8, "unknown", "2025-07-02T10:00:00+08:00", 60_000),
        void("v", "c"),
        void("w", "not here"),
    ]);
    shop.place
        .drop("grown.ndjson", usage("g", 7, "A", "2025-07-01T11:00:00+08:00", 60_000));
    shop.place.night(NOW);
    source_rows::drop_events(&shop.place);
    grow(&shop, &usage("h", 7, "A", "2025-07-01T11:00:00+08:00", 60_000));
    shop.place.night(NOW);
    source_rows::fill(&shop.place, NOW);
    crate::world::run(async {
        let books = shop.place.books(at(NOW)).await;
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        resolve(&books, &lease, 2, Resolution::Replaced, "seen").await.unwrap();
        let end_day = "2025-08-01".parse().unwrap();
        let said = Said {
            name: Some("Acme".to_owned()),
            contact: Some("bills@acme.test".to_owned()),
            contract: Some("C-17".to_owned()),
            labels: [("tier".to_owned(), "gold".to_owned())].into(),
            ..Said::default()
        };
        set(&books, 8, &said).await.unwrap();
        terminate(&books, &lease, 8, end_day, "it moves").await.unwrap();
        reinstate(&books, &lease, 8, "it stays").await.unwrap();
        lease.release().await.unwrap();
        if ledgers::is_embedded() {
            let checkpoint = query("PRAGMA wal_checkpoint(TRUNCATE)");
            checkpoint.fetch_all(&books.ledger).await.unwrap();
        }
        books.ledger.close().await;
    });
    shop
}

fn verified(shop: &Shop) -> Verified {
    crate::world::run(async {
        let books = shop.place.books(at(NOW)).await;
        let verified = verify(&books).await.unwrap();
        books.ledger.close().await;
        verified
    })
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn a_flipped_byte_in_any_file_is_found_and_the_file_is_named() {
    let shop = rich_books();
    assert_eq!(verified(&shop).differences, Vec::<String>::new());
    let data = shop.place.data();
    let mut kinds = std::collections::BTreeSet::new();
    for kind in ["raw", "log", "payload", "usage", "keys", "unmetered", "exports", "drop"] {
        let mut files = Vec::new();
        files_below(&data.join(kind), &mut files);
        for file in files {
            let whole = std::fs::read(&file).unwrap();
            for at in [0, whole.len() / 2, whole.len() - 1] {
                let mut flipped = whole.clone();
                flipped[at] ^= 1;
                std::fs::write(&file, flipped).unwrap();
                let found = verified(&shop).differences;
                let name = file.strip_prefix(&data).unwrap().display().to_string();
                assert!(
                    found.iter().any(|sentence| sentence.contains(&name)),
                    "byte {at} of {name}: {found:?}"
                );
            }
            std::fs::write(&file, whole).unwrap();
            kinds.insert(kind);
        }
    }
    assert_eq!(kinds.len(), 8, "there was a file of each kind: {kinds:?}");
    assert_eq!(verified(&shop).differences, Vec::<String>::new());
}

/// The first file below a folder of the data folder, by name, and what is in it.
fn first_file(shop: &Shop, folder: &str) -> (PathBuf, String, Vec<u8>) {
    let mut files = Vec::new();
    files_below(&shop.place.data().join(folder), &mut files);
    let path = files.into_iter().min().unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let whole = std::fs::read(&path).unwrap();
    (path, name, whole)
}

fn write_flipped(path: &Path, whole: &[u8], at: usize) {
    let mut flipped = whole.to_vec();
    flipped[at] ^= 0x80;
    std::fs::write(path, flipped).unwrap();
}

const PRICE: &str = "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }";

#[test]
fn a_damaged_key_run_stops_the_night_that_would_count_a_record_twice() {
    let shop = Shop::new("CNY", PRICE);
    let record = [usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000)];
    shop.drop(&record);
    shop.place.night("2024-11-20T00:00:00Z");
    let (path, name, whole) = first_file(&shop, "keys");
    shop.drop(&record);
    // Where the shelves of its only block start, then the columns of its only key: lead, hash, content, batch, line, day and check.
    let columns = 8 + 2 * 4096;
    for at in [
        9,
        columns,
        columns + 2,
        columns + 10,
        columns + 18,
        columns + 22,
        columns + 26,
        columns + 30,
    ] {
        write_flipped(&path, &whole, at);
        let failed = shop.place.try_night("2024-11-21T00:00:00Z").unwrap_err().to_string();
        assert!(
            failed.contains(&name) && failed.contains("restore it"),
            "byte {at}: {failed}"
        );
    }
    std::fs::write(&path, whole).unwrap();
    let night = shop.place.night("2024-11-21T00:00:00Z");
    assert_eq!((records(&night, "metered"), records(&night, "duplicate")), (1, 1));
}

#[test]
fn a_damaged_segment_is_not_merged_into_one_whose_digest_is_right() {
    let shop = Shop::new("CNY", PRICE);
    let night_of = |number: u32| {
        shop.drop(&[usage(
            &format!("r{number}"),
            7,
            "A",
            "2024-11-15T10:00:00+08:00",
            60_000,
        )]);
        shop.place.night("2024-11-20T00:00:00Z")
    };
    for number in 1..8 {
        assert_eq!(night_of(number).kept.segments_merged.0, 0);
    }
    let (path, name, whole) = first_file(&shop, "raw");
    write_flipped(&path, &whole, whole.len() / 2);
    let night = night_of(8);
    assert_eq!((u8::from(night.exit_code()), night.kept.segments_merged), (3, (0, 0)));
    let [told] = &night.needs_person[..] else {
        panic!("{:?}", night.needs_person)
    };
    assert!(told.contains(&name) && told.contains("restore it"), "{told}");
    std::fs::write(&path, whole).unwrap();
    let night = shop.place.night("2024-11-20T00:00:00Z");
    assert_eq!((u8::from(night.exit_code()), night.kept.segments_merged), (0, (8, 1)));
    assert_eq!(records(&night, "metered"), 8);
}

#[test]
fn a_damaged_segment_is_no_evidence_of_a_line() {
    let shop = Shop::new("CNY", PRICE);
    shop.drop(&[usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000)]);
    shop.place.night("2024-12-10T00:00:00Z");
    let explained = || {
        crate::world::run(async {
            let books = shop.place.books(at("2024-12-11T00:00:00Z")).await;
            let explained = explain(&books, "7-20241101-20241201", Some(1), 9).await;
            books.ledger.close().await;
            explained.map(|_| ()).map_err(|error| error.to_string())
        })
    };
    explained().unwrap();
    let (path, name, whole) = first_file(&shop, "raw");
    write_flipped(&path, &whole, whole.len() / 2);
    let refused = explained().unwrap_err();
    assert!(refused.contains(&name) && refused.contains("restore it"), "{refused}");
}

#[test]
fn a_file_that_is_gone_is_named() {
    let shop = rich_books();
    let mut files = Vec::new();
    files_below(&shop.place.data().join("raw"), &mut files);
    std::fs::remove_file(&files[0]).unwrap();
    let found = verified(&shop);
    assert!(found.differences[0].contains("is missing"), "{:?}", found.differences);
    assert!(!found.not_proved.is_empty(), "what could not be measured again is told");
}

#[test]
fn an_export_that_the_ledger_does_not_know_is_named() {
    let shop = rich_books();
    let folder = shop.place.data().join("exports/2025-06-01_2025-07-01/000009");
    std::fs::create_dir_all(folder).unwrap();
    let found = verified(&shop).differences;
    assert!(
        found
            .iter()
            .any(|sentence| sentence.contains("the ledger does not know exports/2025-06-01_2025-07-01/000009")),
        "{found:?}"
    );
}

#[test]
fn a_row_that_is_gone_from_the_ledger_is_missed() {
    let shop = rich_books();
    crate::world::run(async {
        let tables: std::collections::BTreeSet<String> =
            columns(&shop).await.into_iter().map(|(table, _)| table).collect();
        for table in tables {
            let copy = shop.place.copy();
            let (key, value) = first_cell(&copy, &table).await;
            ledgers::execute(copy.path(), &format!("DELETE FROM {table} WHERE {key} = {value}"));
            let books = copy.books(at(NOW)).await;
            let found = verify(&books).await.unwrap().differences;
            books.ledger.close().await;
            assert!(
                found.iter().any(|sentence| sentence.contains(&table)),
                "{table}: {found:?}"
            );
        }
    });
}

/// Tables that say who works now, not what is owed.
const OF_THE_MOMENT: [&str; 2] = ["intake", "lease"];

#[test]
fn a_changed_number_in_any_row_of_the_ledger_is_found_and_its_table_is_named() {
    let shop = rich_books();
    let changed: usize = crate::world::run(async {
        let mut changed = 0;
        for (table, column) in columns(&shop).await {
            let copy = shop.place.copy();
            change(&copy, &table, &column).await;
            let books = copy.books(at(NOW)).await;
            let found = verify(&books).await.unwrap().differences;
            books.ledger.close().await;
            let is_named = found.iter().any(|sentence| sentence.contains(&table));
            assert!(is_named, "{table}.{column}: {found:?}");
            changed += 1;
        }
        changed
    });
    // 50 tables have rows.
    let least = if is_every_column_changed() { 151 } else { 50 };
    assert!(changed >= least, "{changed} columns were changed");
}

#[test]
fn every_counter_that_is_renamed_moved_or_gone_is_named() {
    let shop = rich_books();
    crate::world::run(async {
        let books = shop.place.books(at(NOW)).await;
        let rows = query("SELECT name FROM counter")
            .fetch_all(&books.ledger)
            .await
            .unwrap();
        books.ledger.close().await;
        assert!(rows.len() > 10, "{} counters", rows.len());
        for row in rows {
            let name: String = row.try_get(0).unwrap();
            for change in [
                "UPDATE counter SET name = 'other'",
                "UPDATE counter SET value = value + 1",
                "DELETE FROM counter",
            ] {
                let copy = shop.place.copy();
                ledgers::execute(copy.path(), &format!("{change} WHERE name = '{name}'"));
                let books = copy.books(at(NOW)).await;
                let found = verify(&books).await.unwrap().differences;
                books.ledger.close().await;
                assert!(
                    found
                        .iter()
                        .any(|sentence| sentence.contains(&format!("counter `{name}`"))),
                    "{change}, {name}: {found:?}"
                );
            }
        }
    });
}

/// Whether each column of a table is changed, or one.
fn is_every_column_changed() -> bool {
    ledgers::is_embedded() || is_every_point_tried()
}

/// Every column of every table that has rows; on a server one of each table, the next one in the next table, unless every point is tried.
async fn columns(shop: &Shop) -> Vec<(String, String)> {
    let books = shop.place.books(at(NOW)).await;
    let mut all = Vec::new();
    for table in books.ledger.tables().await.unwrap() {
        let row = query(format!("SELECT * FROM {table} LIMIT 1"));
        match row.fetch_optional(&books.ledger).await.unwrap() {
            // They come and go within a night; what people settled and withdrew is in edges_corrections.rs, erased accounts in
            // erasure.rs.
            None => assert!(
                [
                    "dropped_file",
                    "held_day",
                    "blocked_period",
                    "begun_run",
                    "erased_account",
                    "erased_export",
                    "erased_rows",
                    "erased_statement",
                    "erasure",
                    "erasure_in_progress",
                    "tombstone",
                    "settlement",
                    "withdrawn_card"
                ]
                .contains(&table.as_str()),
                "{table} is empty"
            ),
            Some(_) if OF_THE_MOMENT.contains(&table.as_str()) => {}
            Some(row) => {
                let names = row.names();
                let chosen = if is_every_column_changed() {
                    0..names.len()
                } else {
                    let place = all.len() % names.len();
                    place..place + 1
                };
                all.extend(names[chosen].iter().map(|column| (table.clone(), column.clone())));
            }
        }
    }
    books.ledger.close().await;
    all
}

/// The first column of a table, which is of its key, and the literal of its value in the first row. A tally of nothing is not
/// missed.
async fn first_cell(place: &Place, table: &str) -> (String, String) {
    let books = place.books(at(NOW)).await;
    let condition = if table == "tally" { "row_count > 0" } else { "1 = 1" };
    let row = query(format!("SELECT * FROM {table} WHERE {condition} ORDER BY 1 LIMIT 1"))
        .fetch_one(&books.ledger)
        .await
        .unwrap();
    books.ledger.close().await;
    (row.names()[0].clone(), ledgers::literal(&row.values()[0]))
}

/// Changes a column of the rows that share the first row's key.
async fn change(place: &Place, table: &str, column: &str) {
    let (key, value) = first_cell(place, table).await;
    let books = place.books(at(NOW)).await;
    let row = query(format!("SELECT {column} FROM {table} WHERE {key} = {value}"))
        .fetch_one(&books.ledger)
        .await
        .unwrap();
    books.ledger.close().await;
    let end = format!("CASE WHEN {column} LIKE '%x' THEN 'y' ELSE 'x' END");
    // As long as before, so that it fits its column.
    let beginning = format!("SUBSTR({column}, 1, CASE WHEN {column} = '' THEN 0 ELSE LENGTH({column}) - 1 END)");
    let other = match &row.values()[0] {
        Value::Integer(_) => format!("{column} + 1000"),
        Value::Amount(_) => format!("{column} + 1"),
        Value::Text(_) if ledgers::engine() == Engine::MySql => format!("CONCAT({beginning}, {end})"),
        Value::Text(_) => format!("{beginning} || {end}"),
        Value::Bytes(_) => ledgers::literal(&Value::Bytes(vec![0])),
        Value::NullInteger | Value::NullText => "'1'".to_owned(),
    };
    ledgers::execute(
        place.path(),
        &format!("UPDATE {table} SET {column} = {other} WHERE {key} = {value}"),
    );
}
