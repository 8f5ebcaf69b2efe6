//! Books made by commit 4a0f036 (`tests/data/books-4a0f036`): they open, know their records again in every format, and stay what they were.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use tallybook::inspect::explain::explain;
use tallybook::inspect::usage::usage;
use tallybook::inspect::verify::verify;
use tallybook::pipeline::close::store::statements_of;
use tallybook::pipeline::export::export_again;
use tallybook::storage::ledger::{Engine, query};

use crate::ledgers::{engine, execute, is_mysql_itself, literal, run_sql, url};
use crate::world::{Place, at, run};

/// The accounts of these books.
const ACCOUNTS: [u64; 3] = [100, 200, 300];

/// Each has all records of all inputs, in a format of its own.
const AGAIN: [&str; 4] = [
    "again-numbers.ndjson",
    "again-texts.ndjson",
    "again-cells.csv",
    "again-columns.parquet",
];

/// The inputs as they were ingested.
const INPUTS: [&str; 4] = ["numbers.ndjson", "texts.ndjson", "cells.csv", "columns.parquet"];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn fixture() -> PathBuf {
    data().join("books-4a0f036")
}

fn unpacked(name: &str) -> Vec<u8> {
    let packed = std::fs::read(fixture().join(name)).unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    bytes
}

/// A copy of the books, with the ledger of this run's engine as that commit left it.
pub fn old_books() -> Place {
    let place = Place::with_cards(&data().join("rate-cards"), "small");
    let folder = match engine() {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
        Engine::MySql => "mysql",
    };
    copy_folder(&fixture().join(folder), &place.data());
    let Some(url) = url(place.path()) else {
        std::fs::write(place.data().join("ledger.sqlite"), unpacked("sqlite.gz")).unwrap();
        return place;
    };
    let name = std::fs::read_to_string(place.path().join("ledger.name")).unwrap();
    let dump = String::from_utf8(unpacked(&format!("{folder}.sql.gz"))).unwrap();
    let sql = if engine() == Engine::Postgres {
        format!("DROP SCHEMA {name} CASCADE; CREATE SCHEMA {name}; SET search_path = {name};\n{dump}")
    } else {
        let dump = in_the_words_of_this_server(dump);
        format!("DROP DATABASE {name}; CREATE DATABASE {name}; USE {name}; SET foreign_key_checks = 0;\n{dump}")
    };
    run_sql(url, sql);
    place
}

/// The dump comes from MariaDB, whose name for the collation of these tables MySQL does not know: its own is what the program gives them there.
fn in_the_words_of_this_server(dump: String) -> String {
    if is_mysql_itself() {
        return dump.replace("utf8mb4_nopad_bin", "utf8mb4_0900_bin");
    }
    dump
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The accounts' usage as that commit printed it with `usage --csv`.
pub fn usage_as_csv(place: &Place) -> String {
    run(async {
        let books = place.books(at("2025-01-03T00:00:00Z")).await;
        let mut text = String::new();
        for uin in ACCOUNTS {
            text.push_str("day,app,region,sku,records,raw_units,billable_units\n");
            let (from, to) = ("2024-08-01".parse().unwrap(), "2025-01-31".parse().unwrap());
            for line in usage(&books.ledger, uin, from, to).await.unwrap() {
                text.push_str(&format!(
                    "{},{},{},{},{},{},{}\n",
                    line.day, line.appid, line.region, line.sku, line.records, line.raw_units, line.billable_units
                ));
            }
        }
        books.ledger.close().await;
        text
    })
}

fn expected_usage() -> String {
    std::fs::read_to_string(fixture().join("usage.csv")).unwrap()
}

pub fn verified(place: &Place, now: &str) {
    run(async {
        let books = place.books(at(now)).await;
        let verified = verify(&books).await.unwrap();
        assert_eq!(verified.differences, Vec::<String>::new());
        assert!(verified.statements > 0 && verified.raw_rows > 0);
        books.ledger.close().await;
    });
}

#[test]
fn old_books_open_and_verify() {
    let place = old_books();
    verified(&place, "2025-01-01T00:00:00Z");
    assert_eq!(usage_as_csv(&place), expected_usage());
}

#[test]
fn inputs_of_old_books_are_known_by_their_bytes() {
    let place = old_books();
    for name in INPUTS {
        let ingested = place
            .ingest("2025-01-01T00:00:00Z", &fixture().join("inputs").join(name))
            .unwrap();
        assert!(ingested.already, "{name}");
    }
}

#[test]
fn records_of_old_books_are_duplicates_in_every_format_and_change_no_usage() {
    let place = old_books();
    for name in AGAIN {
        let ingested = place
            .ingest("2025-01-01T00:00:00Z", &fixture().join("inputs").join(name))
            .unwrap();
        assert_eq!(
            (ingested.already, ingested.quarantine.as_slice()),
            (false, &[][..]),
            "{name}"
        );
    }
    let night = place.night("2025-01-01T13:00:00Z");
    let again = |status| night.control.run.statuses.iter().find(|(name, _)| *name == status);
    assert_eq!(
        again("duplicate").map(|(_, total)| total.records),
        Some(night.control.run.received.records),
        "{:?} {:?}",
        night.control.run,
        night.conflicts
    );
    place.night("2025-01-02T13:00:00Z");
    verified(&place, "2025-01-02T14:00:00Z");
    assert_eq!(usage_as_csv(&place), expected_usage());
}

#[test]
fn old_books_close_their_next_month_as_the_old_program_did() {
    let place = old_books();
    for name in AGAIN {
        place
            .ingest("2025-01-01T00:00:00Z", &fixture().join("inputs").join(name))
            .unwrap();
    }
    let before = documents(&place);
    place.night("2025-01-10T13:00:00Z");
    for sheet in ["statement_lines.csv", "statements.csv"] {
        let folder = "2024-12-01_2025-01-01/000012";
        let expected = std::fs::read_to_string(fixture().join("next-exports").join(folder).join(sheet)).unwrap();
        let found = std::fs::read_to_string(place.data().join("exports").join(folder).join(sheet)).unwrap();
        assert_eq!(without_digest(&found), without_digest(&expected), "{sheet}");
    }
    let after = documents(&place);
    assert!(before.iter().all(|(_, body)| body.starts_with('[')));
    assert_eq!(
        after[..before.len()],
        before,
        "documents of version 1 stay as they are to the byte"
    );
    assert!(before.len() < after.len());
    assert!(
        after[before.len()..]
            .iter()
            .all(|(_, body)| body.starts_with("{\"version\":2,"))
    );
    verified(&place, "2025-01-10T14:00:00Z");
}

/// The number and text of each document, oldest first.
fn documents(place: &Place) -> Vec<(i64, String)> {
    run(async {
        let books = place.books(at("2025-01-03T00:00:00Z")).await;
        let rows = query("SELECT document, body FROM document ORDER BY document")
            .fetch_all(&books.ledger)
            .await
            .unwrap();
        let documents = rows
            .iter()
            .map(|row| (row.try_get(0).unwrap(), row.try_get(1).unwrap()))
            .collect();
        books.ledger.close().await;
        documents
    })
}

/// A sheet without the statements' own digests: new ones are over documents of version 2. The digests of those before stay in it.
fn without_digest(sheet: &str) -> String {
    let header = sheet.lines().next().unwrap();
    let Some(at) = header.split(',').position(|column| column == "digest") else {
        return sheet.to_owned();
    };
    let cut = |row: &str| {
        let mut cells: Vec<&str> = row.split(',').collect();
        cells.remove(at);
        cells.join(",") + "\n"
    };
    sheet.lines().map(cut).collect()
}

#[test]
fn statements_of_old_books_are_explained_line_by_line() {
    let place = old_books();
    run(async {
        let books = place.books(at("2025-01-03T00:00:00Z")).await;
        let mut explained = 0;
        for statement in statements_of(&books.ledger, 300).await.unwrap() {
            let explanation = explain(&books, &statement.statement_id, None, 3).await.unwrap();
            assert_eq!(explanation.digest, statement.digest);
            assert_eq!(explanation.lines.len(), usize::try_from(statement.lines).unwrap());
            explained += 1;
        }
        assert!(explained > 0);
        books.ledger.close().await;
    });
}

#[test]
fn exports_of_old_books_are_made_again_to_the_byte() {
    let place = old_books();
    run(async {
        let books = place.books(at("2025-01-03T00:00:00Z")).await;
        let mut compared = 0;
        for period in std::fs::read_dir(place.data().join("exports")).unwrap() {
            for export in std::fs::read_dir(period.unwrap().path()).unwrap().map(Result::unwrap) {
                let number = export.file_name().to_str().unwrap().parse().unwrap();
                let again = place.path().join(format!("again-{number}"));
                export_again(&books, number, Some(&again)).await.unwrap();
                for file in std::fs::read_dir(export.path()).unwrap().map(Result::unwrap) {
                    let made = std::fs::read(again.join(file.file_name())).unwrap();
                    assert!(std::fs::read(file.path()).unwrap() == made, "{:?}", file.path());
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, 11 * 3);
        books.ledger.close().await;
    });
}

/// Before tables of version 18 most sums of a day were one number: from the lowest on 1 bit that is 0, 5 of the day and 57 of units for one
/// record; 1 bit that is 1, 5 of the day, 18 of records and 39 of units for more. All others were `[day, billable, records, raw]`.
#[test]
fn usage_that_older_programs_packed_into_numbers_is_unpacked() {
    let place = old_books();
    let (one, largest_one) = (60 << 6 | 1 << 1, ((1_i64 << 57) - 1) << 6 | 31 << 1);
    let (many, most) = (
        70 << 24 | 2 << 6 | 2 << 1 | 1,
        ((1_i64 << 39) - 1) << 24 | ((1 << 18) - 1) << 6 | 30 << 1 | 1,
    );
    let days = format!(
        r#"{{"1":{{"r":{{"A":[{one},{many},{most},{largest_one}],"c\u003ad\u005ce\u0022 é漢":[[3,60,1,59],[4,-60,-1,-60]]}},"":{{"A":[[5,{max},0,{max}]]}}}},"18446744073709551615":{{"r":{{"A":[{one}]}}}}}}"#,
        max = i64::MAX
    );
    let days = literal(&days.as_str().into());
    execute(
        place.path(),
        &format!(
            "INSERT INTO usage_daily (month, uin, metering, records, days, seal) VALUES ('2024-10', '9', 1, 262148, {days}, 0)"
        ),
    );
    let lines = run(async {
        let books = place.books(at("2025-01-03T00:00:00Z")).await;
        let (from, to) = ("2024-10-01".parse().unwrap(), "2024-11-01".parse().unwrap());
        let lines = usage(&books.ledger, 9, from, to).await.unwrap();
        books.ledger.close().await;
        lines
    });
    let lines: Vec<_> = lines
        .iter()
        .map(|line| {
            let of = (&*line.day, &*line.appid, &*line.region, &*line.sku);
            (of, [line.records, line.raw_units, line.billable_units])
        })
        .collect();
    let odd = "c:d\\e\" é漢";
    assert_eq!(
        lines,
        [
            (("2024-10-01", "1", "r", "A"), [1, 60, 60]),
            (("2024-10-01", "18446744073709551615", "r", "A"), [1, 60, 60]),
            (("2024-10-02", "1", "r", "A"), [2, 70, 70]),
            (("2024-10-03", "1", "r", odd), [1, 59, 60]),
            (("2024-10-04", "1", "r", odd), [-1, -60, -60]),
            (("2024-10-05", "1", "", "A"), [0, i64::MAX, i64::MAX]),
            (
                ("2024-10-30", "1", "r", "A"),
                [(1 << 18) - 1, (1 << 39) - 1, (1 << 39) - 1]
            ),
            (("2024-10-31", "1", "r", "A"), [1, (1 << 57) - 1, (1 << 57) - 1]),
        ]
    );
}
