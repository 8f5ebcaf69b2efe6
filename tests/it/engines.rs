//! The same suite on a database server: the test binary runs itself once for each server that the environment names.

use std::process::Command;

use crate::crashes::points::is_every_point_tried;
use crate::left_out::{named_by, tell};

/// What has no ledger, or only the embedded one that the pages show, and kinds of sources but tables: it was tested once, here.
const WITHOUT_SERVER: [&str; 14] = [
    "engines::",
    "docs::",
    "docs_reference::",
    "docs_sources::",
    "tidy::",
    "worlds::",
    "backups::bucket",
    "sources::amqp",
    "sources::cmq",
    "sources::kafka",
    "sources::mongodb",
    "sources::nats",
    "sources::objects",
    "sources::secrets",
];

/// What is about the bytes of inputs, the places of files and the files of backups more than about the ledger: on servers it is tried where
/// every point is.
const ABOUT_FILES: [&str; 11] = [
    "backups::encrypted",
    "backups::kept",
    "backups::points",
    "edges_dropfolder::",
    "edges_places::",
    "edges_proof::",
    "edges_values::",
    "event_files::",
    "events::",
    "inputs::",
    "retention_year::",
];

/// What a server is not asked for.
fn left_to_the_embedded_ledger() -> impl Iterator<Item = &'static str> {
    let about_files: &[&str] = if is_every_point_tried() { &[] } else { &ABOUT_FILES };
    WITHOUT_SERVER.iter().chain(about_files).copied()
}

/// Random cases of each law: a third of those on the embedded ledger, where they cost a third.
fn random_cases() -> String {
    crate::laws::config().cases.div_ceil(3).to_string()
}

fn the_suite_passes_on(engine: &str, variable: &str) {
    if std::env::var_os("TALLYBOOK_TEST_LEDGER").is_some() {
        return;
    }
    let needed = format!("the suite on {engine}, on a server where tests may make databases: its URL");
    if named_by(variable, &needed).is_none() {
        return;
    }
    let mut suite = Command::new(std::env::current_exe().unwrap());
    suite
        .env("TALLYBOOK_TEST_LEDGER", engine)
        .env("RUST_BACKTRACE", "0")
        .env("PROPTEST_CASES", random_cases())
        .args(["--color", "never"])
        .args(left_to_the_embedded_ledger().flat_map(|name| ["--skip", name]));
    let run = suite.output().unwrap();
    let printed = String::from_utf8_lossy(&run.stdout);
    // Of what passed there is nothing to tell.
    let failures = printed.find("\nfailures:\n").map_or(&*printed, |at| &printed[at..]);
    assert!(
        run.status.success(),
        "on {engine}:\n{}\n{failures}",
        String::from_utf8_lossy(&run.stderr)
    );
    let result = printed
        .lines()
        .find(|line| line.starts_with("test result:"))
        .unwrap_or("no result");
    tell(&format!("on {engine}: {result}"));
}

#[test]
fn the_whole_suite_passes_on_postgresql() {
    the_suite_passes_on("postgres", "TALLYBOOK_TEST_POSTGRES");
}

#[test]
fn the_whole_suite_passes_on_mysql() {
    the_suite_passes_on("mysql", "TALLYBOOK_TEST_MYSQL");
}
