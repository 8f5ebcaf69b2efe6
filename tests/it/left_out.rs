//! What a test needs and this machine does not have: the test is left out, and says so. Where `TALLYBOOK_TEST_ALL` is set, it fails.

use std::io::Write as _;

/// What an environment variable names; none where it is not set, and then what needs it is left out.
pub fn named_by(variable: &str, what: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    if value.is_none() {
        left_out(&format!("{what}; set {variable}"));
    }
    value
}

/// Leaves something out. `what` says what is missing and what would bring it in.
pub fn left_out(what: &str) {
    assert!(
        std::env::var_os("TALLYBOOK_TEST_ALL").is_none(),
        "TALLYBOOK_TEST_ALL is set, and this cannot be tested here: {what}"
    );
    tell(&format!("left out: {what}"));
}

/// Says something past the test harness, which keeps what a passing test prints to itself.
pub fn tell(what: &str) {
    writeln!(std::io::stderr().lock(), "{what}").unwrap();
}
