//! An erasure killed at any point, and gone on with by the same command or by the next night: the books come to the same end, but for the
//! random numbers.

use std::collections::BTreeMap;
use std::path::Path;

use tallybook::storage::ledger::query;

use super::books::{ERASE_AT, UIN, ended_and_exported, run};
use super::search::{found_in_files, found_in_ledger};
use super::{numbers, texts};
use crate::backups::kept_and_named;
use crate::crashes::books::{difference, differences, dump, with_books};
use crate::crashes::points::{chosen, is_tried, passes};
use crate::crashes::process::{program, run as run_program, stop_at};

/// Points of an erasure that must be among those it passes; the others are of files.
const POINTS: [&str; 11] = [
    "erase.after_commit",
    "erase.before_commit",
    "erasure.compacted",
    "erasure.files_removed",
    "erasure.files_written",
    "erasure_begun.after_commit",
    "erasure_begun.before_commit",
    "erasure_ended.after_commit",
    "erasure_ended.before_commit",
    "erasure_finished.after_commit",
    "erasure_finished.before_commit",
];

fn erasing(path: &Path) -> std::process::Command {
    program(path, ERASE_AT, &["erase", &UIN.to_string(), "--request", "letter 12"])
}

/// The books as text, with words in the place of random numbers and of digests that follow from them.
fn without_random(path: &Path) -> String {
    let random: Vec<String> = with_books(path, async |books| {
        let rows = query("SELECT uin, days FROM usage_daily")
            .fetch_all(&books.ledger)
            .await
            .unwrap();
        let mut found = Vec::new();
        for row in rows {
            let (uin, days): (String, String) = (row.try_get(0).unwrap(), row.try_get(1).unwrap());
            let digits = |text: &str| {
                let words = text.split(|sign: char| !sign.is_ascii_digit());
                words
                    .filter(|word| word.len() == 16)
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            found.extend(digits(&uin));
            found.extend(digits(&days));
        }
        found.sort_unstable();
        found.dedup();
        found
    });
    let mut text = dump(path);
    for number in random {
        text = text.replace(&number, "RANDOM");
    }
    let mut lines: Vec<String> = text.lines().map(without_digests).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// A line without seals and sizes, and with a word in the place of hexadecimal digits of random ids, salts and digests.
fn without_digests(line: &str) -> String {
    let is_hex = |word: &str| [16, 32, 64].contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let cells = line
        .split(' ')
        .filter(|cell| !cell.starts_with("seal=") && !cell.starts_with("bytes="));
    let text = cells.collect::<Vec<_>>().join(" ");
    let words = text.split_inclusive(|sign: char| !sign.is_ascii_alphanumeric());
    let words = words.map(|word| {
        let bare = word.trim_end_matches(|sign: char| !sign.is_ascii_alphanumeric());
        if is_hex(bare) {
            word.replace(bare, "HEX")
        } else {
            word.to_owned()
        }
    });
    words.collect()
}

/// How often an erasure passes each point, and the books after it.
fn undisturbed(before: &Path) -> (BTreeMap<String, u32>, String) {
    let dir = tempfile::tempdir().unwrap();
    crate::crashes::copy(before, dir.path());
    let log = dir.path().join("points");
    let ended = run_program(erasing(dir.path()).env("TALLYBOOK_FAULT_LOG", &log));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let mut points = BTreeMap::new();
    for point in std::fs::read_to_string(log).unwrap().lines() {
        *points.entry(point.to_owned()).or_default() += 1;
    }
    (points, without_random(dir.path()))
}

fn die(before: &Path, point: &str, again: &[&str]) -> Result<tempfile::TempDir, String> {
    let dir = tempfile::tempdir().unwrap();
    crate::crashes::copy(before, dir.path());
    match stop_at(&mut erasing(dir.path()), point) {
        Ok(stopped) => stopped.kill(),
        Err(ended) => return Err(format!("never came there: {ended:?}")),
    }
    let ended = run_program(&mut program(dir.path(), ERASE_AT, again));
    let is_done = ended.said.contains("was erased, which is for good");
    if ended.code != Some(0) && !is_done {
        return Err(format!("run again: {ended:?}"));
    }
    Ok(dir)
}

fn is_erased(path: &Path) -> Result<(), String> {
    let mut found = found_in_ledger(path, &texts());
    found.extend(found_in_files(&path.join("books"), &texts(), &numbers()));
    found.extend(differences(path));
    if found.is_empty() {
        Ok(())
    } else {
        Err(found.join("\n"))
    }
}

#[test]
fn an_erasure_killed_at_any_point_and_run_again_comes_to_the_same_end() {
    let before = ended_and_exported();
    let (points, expected) = undisturbed(before.path());
    for point in POINTS {
        assert!(points.contains_key(point), "{point} in {points:?}");
    }
    let uin = UIN.to_string();
    let again = ["erase", &uin, "--request", "letter 12"];
    let mut failed = Vec::new();
    for (point, &times) in chosen(points.iter().filter(|(point, _)| is_tried(point))) {
        for pass in passes(times) {
            let outcome = die(before.path(), &format!("{point}#{pass}"), &again).and_then(|dir| {
                is_erased(dir.path())?;
                difference(&expected, &without_random(dir.path())).map_or(Ok(()), Err)
            });
            failed.extend(outcome.err().map(|why| format!("killed at {point}#{pass}: {why}")));
        }
    }
    assert!(failed.is_empty(), "{}:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn a_night_finishes_an_erasure_that_was_killed() {
    let before = ended_and_exported();
    let points = POINTS.iter().filter(|point| !point.starts_with("erasure_begun.before"));
    for point in chosen(points) {
        let dir = die(before.path(), point, &["nightly"]).unwrap();
        assert_eq!(is_erased(dir.path()), Ok(()), "{point}");
        run(dir.path(), "2024-12-12T00:00:00Z", &["nightly"], 0);
        assert_eq!(is_erased(dir.path()), Ok(()), "{point}, a night later");
    }
}

#[test]
fn an_input_that_was_being_read_while_the_account_was_erased_is_read_again() {
    let dir = ended_and_exported();
    let path = dir.path();
    std::fs::write(
        path.join("in/late.ndjson"),
        super::books::own("late-2", 0, "2024-11-10T13:00:00Z"),
    )
    .unwrap();
    let stopped = stop_at(
        &mut program(path, ERASE_AT, &["ingest", "in/late.ndjson"]),
        "synced raw",
    )
    .unwrap();
    super::books::erase(path, &[]);
    let ended = stopped.go_on();
    // What it wrote was removed, so it is told to run again, or finds its files gone.
    assert!(matches!(ended.code, Some(1 | 5)), "{ended:?}");
    assert_eq!(is_erased(path), Ok(()));
    run(path, ERASE_AT, &["ingest", "in/late.ndjson"], 3);
}

#[test]
fn a_backup_that_dies_after_an_erasure_leaves_the_one_before_as_it_was() {
    let dir = ended_and_exported();
    let path = dir.path();
    run(path, "2024-12-10T01:00:00Z", &["backup", "kept"], 0);
    super::books::erase(path, &[]);
    let mut backup = program(path, "2024-12-11T01:00:00Z", &["backup", "kept"]);
    stop_at(&mut backup, "moved exports").unwrap().kill();
    run(path, ERASE_AT, &["backup", "verify", "kept"], 0);
    run(path, "2024-12-11T02:00:00Z", &["backup", "kept"], 0);
    run(path, ERASE_AT, &["backup", "verify", "kept"], 0);
    let (kept, named) = kept_and_named(&path.join("kept"));
    assert_eq!(kept, named);
    assert_eq!(
        found_in_files(&path.join("kept"), &texts(), &numbers()),
        Vec::<String>::new()
    );
}

#[test]
fn a_page_is_written_by_the_run_that_goes_on_and_over_nothing_that_was_there() {
    let dir = ended_and_exported();
    let path = dir.path();
    let mut first = erasing(path);
    stop_at(first.args(["--page", "page.html"]), "erasure.files_written")
        .unwrap()
        .kill();
    std::fs::write(path.join("other.html"), "mine").unwrap();
    let uin = UIN.to_string();
    let again = ["erase", &uin, "--request", "letter 12", "--page"];
    run(path, ERASE_AT, &[&again[..], &["other.html"]].concat(), 2);
    assert_eq!(std::fs::read_to_string(path.join("other.html")).unwrap(), "mine");
    run(path, ERASE_AT, &[&again[..], &["page.html"]].concat(), 0);
    let page = std::fs::read_to_string(path.join("page.html")).unwrap();
    assert!(page.contains(&uin), "{page}");
    assert_eq!(is_erased(path), Ok(()));
}
