//! A dump is the same from every engine for the same books, whichever of them it went through.

use std::fs::File;
use std::path::{Path, PathBuf};

use tallybook::sources::store::note_pull;
use tallybook::storage::ledger::dump::{Dump, LEFT_OUT, dumped_tables, end_restore, restore_rows, write_dump};
use tallybook::storage::ledger::{Found, Ledger};

use crate::ledgers::{is_embedded, run_sql, server, url};
use crate::left_out::named_by;
use crate::old_books::old_books;
use crate::tamper::{NOW, rich_books};
use crate::world::{Place, at, run};

/// Tables without a row in the books of `rich_books`, in the order of a dump.
const EMPTY: [&str; 10] = [
    "withdrawn_card",
    "settlement",
    "blocked_period",
    "held_day",
    "erasure",
    "erased_account",
    "tombstone",
    "erased_statement",
    "erased_export",
    "erased_rows",
];

fn ledger_of(place: &Place) -> String {
    url(place.path()).unwrap_or_else(|| Ledger::embedded_url_there(&place.data()))
}

fn dumped(ledger: &str, path: &Path) -> Vec<u8> {
    run(async {
        let ledger = Ledger::open_there(ledger, 60).await.unwrap().unwrap();
        let mut reading = ledger.begin_reading().await.unwrap();
        let file = File::create(path).unwrap();
        let (_, dumped) = write_dump(&mut reading, file, path).await.unwrap();
        assert_eq!(dumped.damaged, Vec::<String>::new());
        reading.end().await.unwrap();
        ledger.close().await;
    });
    std::fs::read(path).unwrap()
}

fn restored(ledger: &str, path: &Path) {
    run(async {
        let mut dump = Dump::open(path).unwrap();
        let (ledger, found) = Ledger::open_for_restore(ledger, 60, dump.schema(), "this")
            .await
            .unwrap();
        assert_eq!(found, Found::Empty);
        let mut tx = ledger.begin().await.unwrap();
        restore_rows(&mut tx, &mut dump, "this").await.unwrap();
        ledger.commit(tx, "restore").await.unwrap();
        let ledger = ledger.brought_up().await.unwrap();
        end_restore(&ledger).await.unwrap();
        ledger.close().await;
    });
}

/// The tables of a dump with their numbers of rows.
fn tables(dump: &[u8]) -> Vec<(String, u64)> {
    let text = String::from_utf8(zstd::decode_all(dump).unwrap()).unwrap();
    let mut tables: Vec<(String, u64)> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(table) = line["table"].as_str() {
            tables.push((table.to_owned(), 0));
        } else if let (Some(rows), None) = (line["rows"].as_u64(), line["end"].as_bool()) {
            tables.last_mut().unwrap().1 = rows;
        }
    }
    tables
}

/// A database of a test's own in a server; dropped with the value.
pub struct Scratch {
    server: String,
    name: String,
}

impl Scratch {
    pub fn new(server: String, name: &str) -> Self {
        let name = format!("tallybook_test_{}_{name}", std::process::id());
        // One that orders text as people do, and not by its bytes.
        let order = if server.starts_with("postgres") {
            " TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'"
        } else {
            ""
        };
        run_sql(server.clone(), format!("CREATE DATABASE {name}{order}"));
        Self { server, name }
    }

    pub fn url(&self) -> String {
        let (before, _) = self.server.rsplit_once('/').unwrap();
        let options = if before.starts_with("postgres") {
            "?sslmode=disable"
        } else {
            ""
        };
        format!("{before}/{}{options}", self.name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        run_sql(self.server.clone(), format!("DROP DATABASE {}", self.name));
    }
}

/// The URLs of both servers; none where one is not there, which is told.
pub fn servers() -> Option<[String; 2]> {
    let url = |variable: &str| named_by(variable, "dumps through every engine");
    Some([url("TALLYBOOK_TEST_POSTGRES")?, url("TALLYBOOK_TEST_MYSQL")?])
}

/// From the books through each engine, one after the other, and back into a file: each dump is the first one.
fn goes_through_every_engine(place: &Place, name: &str) {
    let Some([postgres, mysql]) = servers() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = |number: usize| -> PathBuf { dir.path().join(format!("{number}.zst")) };
    let first = dumped(&ledger_of(place), &file(0));
    let (postgres, mysql) = (Scratch::new(postgres, name), Scratch::new(mysql, name));
    let sqlite = format!("sqlite://{}?mode=rwc", dir.path().join("again.sqlite").display());
    for (at, ledger) in [postgres.url(), mysql.url(), sqlite].iter().enumerate() {
        restored(ledger, &file(at));
        assert!(dumped(ledger, &file(at + 1)) == first, "after {ledger}");
    }
}

#[test]
fn every_table_is_in_a_dump_or_says_who_works_now() {
    let place = Place::new();
    let mut tables = run(async {
        let books = place.books(at("2025-01-01T00:00:00Z")).await;
        let tables = books.ledger.tables().await.unwrap();
        books.ledger.close().await;
        tables
    });
    let mut known: Vec<&str> = dumped_tables().chain(LEFT_OUT).collect();
    known.sort_unstable();
    tables.sort_unstable();
    assert_eq!(tables, known, "give a new table its place in `dump/tables.rs`");
}

#[test]
fn a_dump_of_what_was_restored_from_a_dump_is_the_same_to_the_byte() {
    let shop = rich_books();
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    let first = dumped(&ledger_of(&shop.place), &one);
    let without: Vec<String> = tables(&first)
        .into_iter()
        .filter(|(_, rows)| *rows == 0)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(without, EMPTY, "tables without a row");
    let scratch = (!is_embedded()).then(|| Scratch::new(server(), "again"));
    let file = format!("sqlite://{}?mode=rwc", dir.path().join("again.sqlite").display());
    let ledger = scratch.as_ref().map_or(file, Scratch::url);
    restored(&ledger, &one);
    assert!(dumped(&ledger, &other) == first);
}

#[test]
fn books_go_through_every_engine_and_back_to_the_byte() {
    if !is_embedded() {
        return;
    }
    let shop = rich_books();
    run(async {
        let books = shop.place.books(at(NOW)).await;
        // In an order of bytes, `B` comes first.
        for source in ["a", "B"] {
            note_pull(&books.ledger, source, "done", None, NOW).await.unwrap();
        }
        books.ledger.close().await;
    });
    goes_through_every_engine(&shop.place, "rich");
}

#[test]
fn books_of_an_earlier_program_go_through_every_engine_and_back_to_the_byte() {
    if is_embedded() {
        goes_through_every_engine(&old_books(), "old");
    }
}

#[test]
fn a_dump_that_was_cut_or_is_of_a_later_program_is_refused() {
    let place = Place::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump");
    run(async {
        place.books(at("2025-01-01T00:00:00Z")).await.ledger.close().await;
    });
    let whole = dumped(&ledger_of(&place), &path);
    let text = String::from_utf8(zstd::decode_all(&whole[..]).unwrap()).unwrap();
    let read = |text: &str| {
        std::fs::write(&path, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
        Dump::open(&path).and_then(|mut dump| dump.read_to_its_end())
    };
    read(&text).unwrap();
    let lines = text.lines().count();
    for cut in [0, 1, 2, lines / 2, lines - 1] {
        let text: String = text.lines().take(cut).map(|line| format!("{line}\n")).collect();
        assert!(read(&text).is_err(), "cut after {cut} of {lines} lines");
    }
    let later = text.replacen("\"version\":1", "\"version\":2", 1);
    assert_eq!(u8::from(read(&later).unwrap_err().exit_code()), 3);
    let fewer = text.replacen("{\"rows\":0}", "{\"rows\":1}", 1);
    assert!(read(&fewer).unwrap_err().to_string().contains("another number of rows"));
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    assert!(Dump::open(&path).and_then(|mut dump| dump.read_to_its_end()).is_err());
}
