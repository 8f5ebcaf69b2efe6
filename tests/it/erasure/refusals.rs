//! What keeps an account from being erased is named, all of it at once, each with its cure; a dry run says the same and writes nothing.

use std::path::Path;
use std::process::Stdio;

use super::books::{ERASE_AT, UIN, decide, ended_and_exported, ground, november, other, own, run, terminate};
use crate::crashes::books::dump;
use crate::crashes::play::drop_file;
use crate::crashes::process::program;

/// What a refused erasure says.
fn refused(path: &Path, as_of: &str, request: &str) -> String {
    let uin = UIN.to_string();
    let args = ["erase", &uin, "--request", request];
    let output = program(path, as_of, &args).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

fn says(said: &str, all: &[&str]) {
    for words in all {
        assert!(said.contains(words), "{words:?} in {said}");
    }
}

#[test]
fn an_account_that_goes_on_is_not_erased_and_a_mistyped_number_is_answered() {
    let dir = november();
    says(
        &refused(dir.path(), ERASE_AT, "letter 12"),
        &["it has not ended: end it (`tallybook terminate"],
    );
    let output = program(dir.path(), ERASE_AT, &["erase", "100000000077", "--request", "x"])
        .stderr(Stdio::piped())
        .output();
    says(
        &String::from_utf8_lossy(&output.unwrap().stderr),
        &["there is no account 100000000077; did you mean"],
    );
}

#[test]
fn all_that_waits_is_named_at_once() {
    let dir = november();
    let path = dir.path();
    terminate(path);
    let said = refused(path, "2024-11-15T00:00:00Z", &format!("letter of {UIN}"));
    says(
        &said,
        &[
            "its last period, [2024-11-01, 2024-11-21), is not closed: a night closes it from 2024-11-24T00:00:00+08:00 on",
            "1 conflict is open (1): decide",
            "usage came after its close and waits for an adjustment",
            "1 line of it in quarantine (1): retry or dismiss",
            "--request names it, and is kept",
            "Nothing was erased",
        ],
    );
    decide(path);
    run(path, "2024-11-25T00:00:00Z", &["close"], 0);
    says(
        &refused(path, "2024-11-25T00:00:00Z", "letter 12"),
        &["1 statement is not exported, and finance must have them first"],
    );
    std::fs::write(path.join("in/other.ndjson"), other("o9", "2024-11-24T10:00:00Z")).unwrap();
    run(path, "2024-11-25T00:00:00Z", &["ingest", "in/other.ndjson"], 0);
    says(
        &refused(path, "2024-11-25T00:00:00Z", "letter 12"),
        &["records are not metered yet"],
    );
}

#[test]
fn a_record_without_a_meter_is_placed_or_waived_first() {
    let dir = ground();
    let path = dir.path();
    let text =
        own("a", 0, "2024-11-10T10:00:00Z") + &own("e", 0, "2024-11-10T11:00:00Z").replace("Transcode", "Evaluation");
    drop_file(path, "a.ndjson", &text);
    run(path, "2024-11-13T00:00:00Z", &["nightly"], 0);
    terminate(path);
    run(path, "2024-12-10T00:00:00Z", &["nightly"], 0);
    says(
        &refused(path, ERASE_AT, "letter 12"),
        &["1 record without a meter: add a meter to the rate card"],
    );
    run(
        path,
        ERASE_AT,
        &["expire", "--waive", "2024-11-10", "--reason", "a trial"],
        0,
    );
    super::books::erase(path, &[]);
}

#[test]
fn a_dry_run_shows_the_plan_and_writes_nothing() {
    let dir = ended_and_exported();
    let path = dir.path();
    let before = dump(path);
    let uin = UIN.to_string();
    let shown = super::books::said(path, ERASE_AT, &["erase", &uin, "--request", "letter 12", "--dry-run"]);
    insta::assert_snapshot!(shown, @r"
    account 100000000007
    would go                            rows
    raw records                            8
    refused lines whose bytes are kept     1
    names of records in conflicts          1
    versions of its name and labels        2
    would stay under a pseudonym  rows
    statements                       2
    lines of statements              7
    months of daily usage            2
    proofs of days                   0
    finance has it in these exports; what was fetched from there is not in reach:
      exports/2024-10-01_2024-11-01/000001
      exports/2024-11-01_2024-11-21/000002
    dry run: nothing was written
    ");
    assert!(dump(path) == before);
}

#[test]
fn a_page_is_never_written_over_what_is_there() {
    let dir = ended_and_exported();
    let path = dir.path();
    std::fs::write(path.join("page.html"), "mine").unwrap();
    let uin = UIN.to_string();
    run(
        path,
        ERASE_AT,
        &["erase", &uin, "--request", "letter 12", "--page", "page.html"],
        2,
    );
    assert_eq!(std::fs::read_to_string(path.join("page.html")).unwrap(), "mine");
    assert!(super::books::said(path, ERASE_AT, &["erase", "list"]).contains("no account was erased"));
}
