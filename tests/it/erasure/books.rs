//! Books with an account that ended and is exported, of which there is something everywhere, and another account.

use std::path::Path;
use std::process::Stdio;

use tallybook::storage::raw::segment::read_columns;

use super::search::files_below;
use crate::crashes::play::{card, drop_file};
use crate::crashes::process::program;

/// The account that is erased.
pub const UIN: u64 = 100_000_000_007;

/// Its apps.
pub const APPS: [u64; 2] = [1_300_000_001, 1_300_000_002];

/// Another account, with an app of its own.
pub const OTHER: u64 = 100_000_000_008;
const OTHER_APP: u64 = 1_300_000_009;

/// When it is erased.
pub const ERASE_AT: &str = "2024-12-11T00:00:00Z";

/// A usage line with service-log fields.
pub fn record(id: &str, uin: u64, appid: u64, finished_at: &str, duration_ms: u64) -> String {
    format!(
        "{{\"id\":\"{id}\",\"uin\":\"{uin}\",\"appid\":{appid},\"task_type\":\"Transcode\",\"task_id\":\"task-{id}\",\
         \"duration_ms\":{duration_ms},\"finished_at\":\"{finished_at}\"}}\n"
    )
}

/// A line of the account.
pub fn own(id: &str, app: usize, finished_at: &str) -> String {
    record(&format!("work-of-seven-{id}"), UIN, APPS[app], finished_at, 61_000)
}

/// A line of the other one.
pub fn other(id: &str, finished_at: &str) -> String {
    record(id, OTHER, OTHER_APP, finished_at, 62_000)
}

/// Runs a command that must end so.
pub fn run(path: &Path, as_of: &str, args: &[&str], code: i32) {
    let ended = crate::crashes::process::run(&mut program(path, as_of, args));
    assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.said);
}

/// What a command prints that succeeds.
pub fn said(path: &Path, as_of: &str, args: &[&str]) -> String {
    let output = program(path, as_of, args).stdout(Stdio::piped()).output().unwrap();
    let (text, error) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{args:?}: {error}");
    String::from_utf8(text).unwrap()
}

/// An empty place with a card.
pub fn ground() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["in", "cards/c", "books/drop"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    card(dir.path(), "0.5", false);
    dir
}

/// October of both accounts, closed and exported.
pub fn october() -> tempfile::TempDir {
    let dir = ground();
    let path = dir.path();
    let text = own("a", 0, "2024-10-10T10:00:00Z")
        + &own("b", 1, "2024-10-20T10:00:00Z")
        + &other("o1", "2024-10-10T10:00:00Z")
        + &own("v", 0, "2024-10-20T11:00:00Z");
    drop_file(path, "october.ndjson", &text);
    run(path, "2024-10-25T00:00:00Z", &["nightly"], 0);
    set_profile(
        path,
        &[
            "--name",
            "Seven Seas",
            "--contact",
            "bills@seven-seas.test",
            "--label",
            "tier=seven-gold",
        ],
    );
    run(path, "2024-11-05T00:00:00Z", &["nightly"], 0);
    set_profile(path, &["--name", "Seven Seas Media", "--contract", "C-SEVEN-77"]);
    dir
}

/// And November with everything that can happen to records: repeats, a conflict, a void, late usage, a refused line.
pub fn november() -> tempfile::TempDir {
    let dir = october();
    let path = dir.path();
    let conflicting = own("c", 0, "2024-11-10T10:00:00Z").replace("61000", "75000");
    let refused = own("r", 0, "2024-11-10T10:00:00Z").replace("\"duration_ms\":61000", "\"duration_ms\":\"much\"");
    let text = own("c", 0, "2024-11-10T10:00:00Z")
        + &own("c", 0, "2024-11-10T10:00:00Z")
        + &conflicting
        + &refused
        + &own("late", 1, "2024-10-21T10:00:00Z")
        + &own("d", 0, "2024-11-12T10:00:00Z")
        + &other("o2", "2024-11-10T10:00:00Z")
        + &other("o3", "2024-11-12T10:00:00Z")
        + "{\"id\":\"void-1\",\"kind\":\"void\",\"voids\":\"work-of-seven-v\"}\n";
    drop_file(path, &format!("november-{UIN}.ndjson"), &text);
    run(path, "2024-11-13T00:00:00Z", &["nightly"], 0);
    dir
}

/// The account has ended, its last period is closed and exported, and nothing of it waits.
pub fn ended_and_exported() -> tempfile::TempDir {
    let dir = november();
    let path = dir.path();
    decide(path);
    terminate(path);
    run(path, "2024-12-10T00:00:00Z", &["nightly"], 0);
    dir
}

pub fn decide(path: &Path) {
    run(
        path,
        "2024-11-14T00:00:00Z",
        &["conflict", "keep", "1", "--reason", "the first is right"],
        0,
    );
    run(
        path,
        "2024-11-14T00:00:00Z",
        &["quarantine", "dismiss", "1", "--reason", "a mistake"],
        0,
    );
}

pub fn terminate(path: &Path) {
    let uin = UIN.to_string();
    let reason = format!("account {uin} moves");
    run(
        path,
        "2024-11-14T00:00:00Z",
        &["terminate", &uin, "--on", "2024-11-21", "--reason", &reason],
        0,
    );
}

/// Sets who the account is.
fn set_profile(path: &Path, said: &[&str]) {
    let uin = UIN.to_string();
    run(
        path,
        "2024-11-06T00:00:00Z",
        &[&["account", "set", &uin], said].concat(),
        0,
    );
}

/// Erases the account.
pub fn erase(path: &Path, more: &[&str]) {
    let uin = UIN.to_string();
    let args = ["erase", &uin, "--request", "letter 12"];
    run(path, ERASE_AT, &[&args, more].concat(), 0);
}

/// Rows of the exported sheets that are of an account.
pub fn exported_rows(path: &Path, uin: u64) -> Vec<String> {
    let mut files = Vec::new();
    files_below(&path.join("books/exports"), &mut files);
    let sheets = files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|it| it == "csv"));
    let of_it = |file| {
        let text: String = std::fs::read_to_string(file).unwrap();
        let rows = text.lines().filter(|row| row.contains(&uin.to_string()));
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    sheets.flat_map(of_it).collect()
}

/// Raw rows of an account, as text and in order.
pub fn raw_rows(path: &Path, uin: u64) -> Vec<String> {
    let mut files = Vec::new();
    files_below(&path.join("books/raw"), &mut files);
    let mut rows = Vec::new();
    for file in files {
        let frame = read_columns(&file, &[]).unwrap();
        let uins = frame.column("uin").unwrap().u64().unwrap().clone();
        for row in (0..frame.height()).filter(|row| uins.get(*row) == Some(uin)) {
            let cells = frame
                .columns()
                .iter()
                .map(|column| format!("{}={}", column.name(), column.get(row).unwrap()));
            rows.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    rows.sort_unstable();
    rows
}
