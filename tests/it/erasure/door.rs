//! What comes for an erased account is counted and not kept, whichever way it comes.

use std::process::Stdio;

use tallybook::storage::ledger::query;

use super::books::{UIN, ended_and_exported, erase, other, own, run, said};
use super::search::{found_in_files, found_in_ledger};
use super::{numbers, pseudonym, texts};
use crate::crashes::books::{differences, with_books};
use crate::crashes::play::drop_file;
use crate::crashes::process::program;

const NEXT: &str = "2024-12-12T00:00:00Z";

/// Lines refused as of an erased account, and how many of these have bytes.
fn refused(path: &std::path::Path) -> (i64, i64) {
    with_books(path, async |books| {
        let sql = "SELECT COUNT(*), COUNT(payload) FROM quarantine WHERE code = 'account_erased'";
        let row = query(sql).fetch_one(&books.ledger).await.unwrap();
        (row.try_get(0).unwrap(), row.try_get(1).unwrap())
    })
}

#[test]
fn a_record_of_an_erased_account_is_counted_and_nothing_of_it_is_kept() {
    let dir = ended_and_exported();
    let path = dir.path();
    erase(path, &[]);
    let late = own("again", 0, "2024-11-10T12:00:00Z");
    let text = late.clone() + &other("o4", "2024-12-11T10:00:00Z") + &own("new", 1, "2024-12-11T10:00:00Z");
    drop_file(path, "more.ndjson", &text);
    run(path, NEXT, &["nightly"], 0);
    assert_eq!(refused(path), (2, 0));
    std::fs::write(path.join("in/one.ndjson"), &late).unwrap();
    run(path, NEXT, &["ingest", "in/one.ndjson"], 3);
    assert_eq!(refused(path), (3, 0));
    assert_eq!(found_in_ledger(path, &texts()), Vec::<String>::new());
    assert_eq!(
        found_in_files(&path.join("books"), &texts(), &numbers()),
        Vec::<String>::new()
    );
    assert!(said(path, NEXT, &["retention", "deleted"]).contains("account_erased"));
    run(path, NEXT, &["quarantine", "retry"], 0);
    run(
        path,
        NEXT,
        &[
            "quarantine",
            "dismiss",
            "--code",
            "account_erased",
            "--reason",
            "erased",
        ],
        0,
    );
    run(path, "2024-12-13T00:00:00Z", &["nightly"], 0);
    assert_eq!(differences(path), Vec::<String>::new());
}

#[test]
fn a_record_under_the_pseudonym_is_refused_whatever_its_day() {
    let dir = ended_and_exported();
    let path = dir.path();
    erase(path, &[]);
    let text = own("x", 0, "2024-11-10T12:00:00Z").replace(&UIN.to_string(), &pseudonym(path).to_string());
    std::fs::write(path.join("in/one.ndjson"), text).unwrap();
    run(path, NEXT, &["ingest", "in/one.ndjson"], 3);
    assert_eq!(refused(path), (1, 0));
}

#[test]
fn a_file_of_before_that_comes_again_is_known_and_not_kept() {
    let dir = ended_and_exported();
    let path = dir.path();
    let text = own("a", 0, "2024-10-10T10:00:00Z")
        + &own("b", 1, "2024-10-20T10:00:00Z")
        + &other("o1", "2024-10-10T10:00:00Z")
        + &own("v", 0, "2024-10-20T11:00:00Z");
    erase(path, &[]);
    drop_file(path, "october.ndjson", &text);
    run(path, NEXT, &["nightly"], 0);
    assert_eq!(refused(path), (0, 0), "the same bytes change nothing");
    assert_eq!(
        found_in_files(&path.join("books"), &texts(), &numbers()),
        Vec::<String>::new()
    );
    assert_eq!(differences(path), Vec::<String>::new());
}

#[test]
fn the_number_cannot_be_an_account_again_and_the_pseudonym_takes_nothing() {
    let dir = ended_and_exported();
    let path = dir.path();
    erase(path, &[]);
    let (uin, pseudonym) = (UIN.to_string(), pseudonym(path).to_string());
    for (args, told) in [
        (vec!["account", "add", &uin], "was erased, which is for good"),
        (
            vec!["account", "add", &pseudonym],
            "is the pseudonym of an erased account",
        ),
        (
            vec!["erase", &uin, "--request", "again"],
            "was erased, which is for good",
        ),
        (
            vec!["erase", &pseudonym, "--request", "again"],
            "is the pseudonym of an erased account",
        ),
        (
            vec!["reinstate", &pseudonym, "--reason", "it stays"],
            "is the pseudonym of an erased account",
        ),
        (
            vec!["terminate", &uin, "--on", "2024-12-20", "--reason", "it goes"],
            "there is no account",
        ),
    ] {
        let output = program(path, NEXT, &args).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(told), "{args:?}: {said}");
    }
}
