//! Every kind of file that we write, read by engines that trust what a file says of its columns: each column filtered by values that it has.
//! DuckDB here, Spark in `.ci/long`. Left out, and said so, where they are not installed; the CI installs them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{Place, line};

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
        assert!(
            std::env::var("TALLYBOOK_TEST_ALL").is_err(),
            "{module} is not there, and every test was asked for"
        );
        eprintln!("left out: {module} is not installed (pip install {module})");
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
