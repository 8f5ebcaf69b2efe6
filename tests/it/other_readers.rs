//! Every kind of file that we write, read by engines that trust what a file says of its columns: each column filtered by values that it has.
//! DuckDB here, Spark in `.ci/long`. Left out, and said so, where they are not installed; the CI installs them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tallybook::pipeline::maintenance::rewrite_all;
use tallybook::pipeline::maintenance::rewrite_files::Rewritten;
use tallybook::storage::ledger::Lease;

use crate::crashes::books::{difference, dump};
use crate::crashes::process::{program, run as run_program, stop_at};
use crate::left_out::left_out;
use crate::old_books::{old_books, usage_as_csv, verified};
use crate::world::{Place, at, line, run};

/// What reads the files with DuckDB, and tells of each how many filters lose rows.
const FILTER_COLUMNS: &str = "tests/it/other_readers/filter_columns.py";

/// The folders whose files are Parquet.
const FOLDERS: [&str; 4] = ["raw", "log", "usage", "unmetered"];

/// Whether Python has a module. Where every test was asked for, it must.
fn has(module: &str) -> bool {
    let found = Command::new("python3")
        .args(["-c", &format!("import {module}")])
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        left_out(&format!("{module} is not installed (pip install {module})"));
    }
    found
}

/// The Parquet files of a folder of the books.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files_of(&path) } else { vec![path] })
        .collect();
    found.sort();
    found
}

/// What DuckDB says of the files of each folder.
fn filtered(data: &Path) -> String {
    let mut said = String::new();
    for folder in FOLDERS {
        let files = files_of(&data.join(folder));
        let output = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILTER_COLUMNS))
            .args(&files)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        writeln!(said, "{folder}: {} files", files.len()).unwrap();
        said.push_str(&text);
    }
    said
}

/// Books with every column of every kind of file in use: ids of both kinds, service-log fields, voids, failed work and usage without a meter.
fn books_with_everything(place: &Place) {
    let mut text = String::new();
    for number in 0..60_u64 {
        let hour = number % 20;
        let plain = line(
            &format!("id-{number}"),
            7 + number % 3,
            &format!("2024-11-15T{hour:02}:00:00.5+08:00"),
            60_000 + number,
        );
        let hex = line(
            &format!("{:032x}", u128::from(number) << 70),
            7,
            "2024-11-16T10:00:00+08:00",
            30_000,
        );
        let failed = plain
            .replace("\"id-", "\"failed-")
            .replace("\"appid\":1", "\"appid\":2,\"status\":\"FAIL\"");
        let unmetered = plain.replace("\"id-", "\"odd-").replace("Transcode", "Evaluation");
        let logged = plain.replace("\"id-", "\"log-").replace(
            "\"appid\":1",
            "\"appid\":3,\"task_id\":\"t\",\"input_url\":\"u\",\"event_id\":\"e\",\"created_at\":\"2024-11-15T00:00:00Z\"",
        );
        text += &(plain + &hex + &failed + &unmetered + &logged);
    }
    text += "{\"id\":\"v1\",\"kind\":\"void\",\"voids\":\"id-3\"}\n";
    place.drop("a.ndjson", text);
    place.night("2024-11-20T00:00:00Z");
}

#[test]
fn duckdb_finds_the_rows_of_every_kind_of_file_by_each_column() {
    if !has("duckdb") {
        return;
    }
    let place = Place::new();
    books_with_everything(&place);
    insta::assert_snapshot!(filtered(&place.data()), @r"
    raw: 4 files
    96 rows, 16 columns, 0 filters lose rows
    144 rows, 16 columns, 0 filters lose rows
    60 rows, 16 columns, 0 filters lose rows
    1 rows, 16 columns, 0 filters lose rows
    log: 2 files
    24 rows, 9 columns, 0 filters lose rows
    36 rows, 9 columns, 0 filters lose rows
    usage: 1 files
    14 rows, 11 columns, 0 filters lose rows
    unmetered: 1 files
    60 rows, 10 columns, 0 filters lose rows
    ");
}

/// A time in the books of before.
const NOW: &str = "2025-01-01T00:00:00Z";

fn rewrite(place: &Place) -> Rewritten {
    run(async {
        let books = place.books(at(NOW)).await;
        let lease = Lease::take(&books.ledger, "rewrite").await.unwrap();
        let rewritten = rewrite_all(&books, &lease).await.unwrap();
        lease.release().await.unwrap();
        books.ledger.close().await;
        rewritten
    })
}

fn parquet_files(place: &Place) -> Vec<PathBuf> {
    let folders = FOLDERS.iter().map(|folder| place.data().join(folder));
    folders.flat_map(|folder| files_of(&folder)).collect()
}

fn loses_nothing(filtered: &str) -> bool {
    let of_files = filtered.lines().filter(|line| line.contains("filters lose"));
    of_files.clone().count() > 0 && of_files.clone().all(|line| line.ends_with(" 0 filters lose rows"))
}

#[test]
fn files_of_old_books_are_rewritten_once_with_the_same_rows_and_other_readers_find_them() {
    let place = old_books();
    let (files, usage) = (parquet_files(&place), usage_as_csv(&place));
    let has_duckdb = has("duckdb");
    assert!(!has_duckdb || !loses_nothing(&filtered(&place.data())));
    let rewritten = rewrite(&place);
    assert_eq!(
        (rewritten.files, rewritten.left, rewritten.damaged.len()),
        (files.len(), 0, 0)
    );
    assert!(files.iter().all(|file| !file.exists()));
    assert_eq!(parquet_files(&place).len(), files.len());
    verified(&place, NOW);
    assert_eq!(usage_as_csv(&place), usage);
    assert!(!has_duckdb || loses_nothing(&filtered(&place.data())));
    assert_eq!(rewrite(&place).files, 0);
}

#[test]
fn a_night_rewrites_the_files_of_old_books() {
    let place = old_books();
    let night = place.night("2025-01-02T12:00:00Z");
    assert!(night.kept.rewritten.files > 0, "{:?}", night.kept);
    assert_eq!(night.kept.rewritten.left, 0);
    assert_eq!(rewrite(&place).files, 0);
    verified(&place, "2025-01-02T13:00:00Z");
}

#[test]
fn an_old_file_that_is_damaged_stays_as_it_is_and_is_told() {
    let place = old_books();
    let files = parquet_files(&place);
    let damaged = files
        .iter()
        .find(|file| file.starts_with(place.data().join("raw")))
        .unwrap();
    let mut bytes = std::fs::read(damaged).unwrap();
    bytes[20] ^= 1;
    std::fs::write(damaged, &bytes).unwrap();
    let rewritten = rewrite(&place);
    assert_eq!((rewritten.files, rewritten.damaged.len()), (files.len() - 1, 1));
    let name = damaged.file_name().unwrap().to_str().unwrap();
    assert!(rewritten.damaged[0].contains(name), "{:?}", rewritten.damaged);
    assert!(std::fs::read(damaged).unwrap() == bytes);
}

/// The books, without the dropped files: a copy of these has times of its own.
fn dump_of(place: &Place) -> String {
    let dump = dump(place.path());
    let lines = dump.lines().filter(|line| !line.starts_with("drop/"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn rewriting_that_was_killed_at_any_point_and_run_again_gives_the_same_books() {
    let rewrite_files = |place: &Place| program(place.path(), NOW, &["rewrite-files"]);
    let undisturbed = old_books();
    assert_eq!(run_program(&mut rewrite_files(&undisturbed)).code, Some(0));
    let expected = dump_of(&undisturbed);
    for point in [
        "written raw",
        "written unmetered",
        "synced usage",
        "rewrite.before_commit",
        "rewrite.after_commit",
        "removed raw",
        "removed usage",
    ] {
        let place = old_books();
        stop_at(&mut rewrite_files(&place), point)
            .unwrap_or_else(|ended| panic!("{point}: {}", ended.said))
            .kill();
        let again = run_program(&mut rewrite_files(&place));
        assert_eq!(again.code, Some(0), "{point}: {}", again.said);
        assert_eq!(difference(&expected, &dump_of(&place)), None, "{point}");
        verified(&place, NOW);
    }
}
