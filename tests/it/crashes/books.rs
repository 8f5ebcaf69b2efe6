//! A canonical dump of the books: equal dumps are equal books.
//!
//! Left out is what may differ after a crash: intake numbers and the file names made of them, tallies, writers and the lease, files that
//! wait for their removal, and the reports of nights, which say what one process did.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tallybook::context::{Books, Settings};
use tallybook::inspect::verify::verify;
use tallybook::storage::ledger::{Row, Value, query};
use tallybook::storage::raw::segment::read_columns;
use tallybook::support::clock::Clock;
use tallybook::values::digest::sha256_hex;

use crate::world::{at, run};

/// Tables about processes, not about the books.
const LEFT_OUT: [&str; 5] = ["lease", "intake", "dropped_file", "run", "tally"];

/// Columns that hold an intake, a path made of it, or a seal over one of them. The digest of a segment covers the intakes in
/// its rows; the dump has the rows instead.
const COLUMNS_LEFT_OUT: [(&str, &[&str]); 6] = [
    ("batch", &["intake", "seal"]),
    ("segment", &["path", "bytes", "digest", "seal"]),
    ("usage_file", &["path", "seal"]),
    ("key_run", &["path", "seal"]),
    ("unmetered_file", &["path", "seal"]),
    ("unmetered", &["path", "seal"]),
];

const COUNTERS_LEFT_OUT: [&str; 2] = ["intake", "run"];

/// Opens the books of a place and does something with them.
pub fn with_books<T>(path: &Path, act: impl AsyncFnOnce(&Books) -> T) -> T {
    run(async {
        let now = Clock::at(at("2025-08-01T00:00:00Z"));
        let settings = Settings {
            default_card: "c".to_owned(),
            ..Settings::default()
        };
        let books = Books::open(&path.join("books"), crate::ledgers::url(path).as_deref(), now, settings)
            .await
            .unwrap();
        let done = act(&books).await;
        books.ledger.close().await;
        done
    })
}

/// What `verify` finds wrong.
pub fn differences(path: &Path) -> Vec<String> {
    with_books(path, async |books| verify(books).await.unwrap().differences)
}

/// Everything that must be the same, as text.
pub fn dump(place: &Path) -> String {
    let mut text = with_books(place, ledger);
    for folder in ["exports", "drop"] {
        for (path, file) in files(&place.join("books").join(folder)) {
            text.push_str(&file_text(folder, &path, &file));
        }
    }
    text
}

/// The first lines in which two dumps differ.
pub fn difference(expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let only_in = |one: &str, other: &str| {
        let others: std::collections::HashSet<&str> = other.lines().collect();
        let lines: Vec<&str> = one.lines().filter(|line| !others.contains(line)).take(4).collect();
        lines.join("\n    ")
    };
    Some(format!(
        "undisturbed only:\n    {}\n  killed only:\n    {}",
        only_in(expected, found),
        only_in(found, expected)
    ))
}

async fn ledger(books: &Books) -> String {
    let batches = tallybook::storage::raw::store::batches_by_intake(&books.ledger)
        .await
        .unwrap();
    let mut text = String::new();
    for table in books.ledger.tables().await.unwrap() {
        if LEFT_OUT.contains(&table.as_str()) {
            continue;
        }
        let rows = query(format!("SELECT * FROM {table}"))
            .fetch_all(&books.ledger)
            .await
            .unwrap();
        let mut lines: Vec<String> = rows.iter().filter_map(|row| line_of(&table, row)).collect();
        if table == "segment" {
            for row in &rows {
                let path: String = row.named("path").unwrap();
                lines.extend(raw_rows(&books.data.join(&path), &batches));
            }
        }
        lines.sort_unstable();
        for line in lines {
            writeln!(text, "{table}: {line}").unwrap();
        }
    }
    text
}

/// A row as `column=value`, without what may differ.
fn line_of(table: &str, row: &Row) -> Option<String> {
    let left_out = COLUMNS_LEFT_OUT.iter().find(|(of, _)| *of == table);
    let left_out = left_out.map_or(&[][..], |(_, columns)| columns);
    let mut cells = Vec::new();
    for (name, value) in row.names().iter().zip(row.values()) {
        let value = shown(value);
        if table == "counter" && COUNTERS_LEFT_OUT.contains(&value.as_str()) {
            return None;
        }
        if left_out.contains(&name.as_str()) {
            continue;
        }
        // A retry has no input; its intake stands where the digest of one would.
        let is_retry = table == "batch" && value.starts_with("retry ");
        cells.push(format!("{name}={}", if is_retry { "retry" } else { &value }));
    }
    Some(cells.join(" "))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Integer(value) => value.to_string(),
        Value::Text(text) => text.clone(),
        Value::Amount(amount) => amount.normalize().to_string(),
        Value::Bytes(bytes) => format!("{bytes:?}"),
        Value::NullInteger | Value::NullText => "NULL".to_owned(),
    }
}

/// The rows of a segment, with their batch in place of the intake.
fn raw_rows(path: &PathBuf, batches: &std::collections::HashMap<i64, i64>) -> Vec<String> {
    let frame = read_columns(path, &[]).unwrap();
    let cell = |name: &str, row: usize| frame.column(name).unwrap().get(row).unwrap().into_static();
    let names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
    let kind = path.iter().rev().nth(2).unwrap().to_string_lossy().into_owned();
    (0..frame.height())
        .map(|row| {
            let intake: i64 = cell("intake", row).try_extract().unwrap();
            let cells = names.iter().filter(|name| *name != "intake");
            let cells: Vec<String> = cells.map(|name| format!("{name}={}", cell(name, row))).collect();
            format!("{kind} row of batch {}: {}", batches[&intake], cells.join(" "))
        })
        .collect()
}

/// Bytes of every file below a folder, by path.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let mut found = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, file)| (name.join(below), file)));
        } else {
            found.insert(name, path);
        }
    }
    found
}

/// An exported file whole; a dropped one with its time, from which it is kept.
fn file_text(folder: &str, path: &Path, file: &Path) -> String {
    let bytes = std::fs::read(file).unwrap();
    if folder == "exports" {
        let text = String::from_utf8(bytes).unwrap();
        return text
            .lines()
            .map(|line| format!("{folder}/{}: {line}\n", path.display()))
            .collect();
    }
    let time = std::fs::metadata(file).unwrap().modified().unwrap();
    let received = chrono::DateTime::<chrono::Utc>::from(time);
    let time = if path.iter().count() > 1 {
        received.to_rfc3339()
    } else {
        String::new()
    };
    format!("{folder}/{}: {} {time}\n", path.display(), sha256_hex(&bytes))
}
