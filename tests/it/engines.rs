//! The same suite on a database server: the test binary runs itself once for each server that the environment names.

use std::io::Write as _;
use std::process::Command;

/// What has no ledger, or only the embedded one that the pages show: it was tested once, here.
const WITHOUT_SERVER: [&str; 6] = [
    "engines::",
    "docs::",
    "docs_reference::",
    "docs_sources::",
    "tidy::",
    "worlds::",
];

/// Random cases of each law: a third of those on the embedded ledger, where they cost a third.
fn random_cases() -> String {
    crate::laws::config().cases.div_ceil(3).to_string()
}

fn the_suite_passes_on(engine: &str, variable: &str) {
    if std::env::var_os("TALLYBOOK_TEST_LEDGER").is_some() {
        return;
    }
    if std::env::var_os(variable).is_none() {
        assert!(
            std::env::var_os("TALLYBOOK_TEST_ALL").is_none(),
            "TALLYBOOK_TEST_ALL is set: {variable} must say where the server is"
        );
        // Past the test harness, which keeps what a passing test prints to itself.
        let told = writeln!(
            std::io::stderr().lock(),
            "left out: the suite on {engine}; set {variable} to the URL of a server where tests may make databases"
        );
        told.unwrap();
        return;
    }
    let mut suite = Command::new(std::env::current_exe().unwrap());
    suite
        .env("TALLYBOOK_TEST_LEDGER", engine)
        .env("RUST_BACKTRACE", "0")
        .env("PROPTEST_CASES", random_cases())
        .args(["--color", "never"])
        .args(WITHOUT_SERVER.iter().flat_map(|name| ["--skip", name]));
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
    writeln!(std::io::stderr().lock(), "on {engine}: {result}").unwrap();
}

#[test]
fn the_whole_suite_passes_on_postgresql() {
    the_suite_passes_on("postgres", "TALLYBOOK_TEST_POSTGRES");
}

#[test]
fn the_whole_suite_passes_on_mysql() {
    the_suite_passes_on("mysql", "TALLYBOOK_TEST_MYSQL");
}
