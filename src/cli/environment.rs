//! The variables `TALLYBOOK_*`: each is a setting, or a person meant one.

use clap::CommandFactory as _;

use super::args::Args;
use crate::support::error::{Error, Result};
use crate::support::failpoint;
use crate::support::nearest::nearest;
use crate::support::quote::quoted;

const OURS: &str = "TALLYBOOK_";

/// For the tests of the program itself: where their servers are.
const OF_TESTS: &str = "TALLYBOOK_TEST_";

/// Settings that no flag has, the password of the ledger, and the one that Grafana's files ask for.
const SETTINGS: [&str; 24] = [
    "TALLYBOOK_SOURCE",
    "TALLYBOOK_SOURCES",
    "TALLYBOOK_DEFAULT_CARD",
    "TALLYBOOK_UNKNOWN_ACCOUNTS",
    "TALLYBOOK_DROP",
    "TALLYBOOK_DROP_REST_S",
    "TALLYBOOK_KEEP_USAGE_MONTHS",
    "TALLYBOOK_KEEP_STATEMENT_MONTHS",
    "TALLYBOOK_KEEP_RAW_MONTHS",
    "TALLYBOOK_KEEP_LOG_MONTHS",
    "TALLYBOOK_KEEP_QUEUE_DAYS",
    "TALLYBOOK_KEEP_CONFIGURATION_DAYS",
    "TALLYBOOK_KEEP_ORIGINAL_MONTHS",
    "TALLYBOOK_KEEP_QUARANTINE_MONTHS",
    "TALLYBOOK_ALARM_LINES_MIN",
    "TALLYBOOK_ALARM_REFUSED_PERCENT",
    "TALLYBOOK_LEDGER_WAIT_S",
    "TALLYBOOK_CLOCK_JUMP_DAYS",
    "TALLYBOOK_BACKUP",
    "TALLYBOOK_BACKUP_POINTS",
    "TALLYBOOK_BACKUP_AGE_IDENTITY_FILE",
    "TALLYBOOK_FIRST_DAY",
    "TALLYBOOK_LEDGER_PASSWORD",
    "TALLYBOOK_READER_PASSWORD",
];

/// Variables that were settings once, and what has taken their place.
const GONE: [(&str, &str); 1] = [("TALLYBOOK_AS_OF", "the run's time can only be set with --as-of")];

/// A setting in the environment; an empty one is none.
pub fn setting(name: &str) -> Option<String> {
    debug_assert!(SETTINGS.contains(&name), "{name} is among the settings");
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Refuses a variable that no setting has: it would be left unread without a word.
pub fn refuse_unknown() -> Result<()> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    match names.filter(|name| name.starts_with(OURS)).find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => Err(Error::Usage(format!(
            "the environment variable {} is not a setting; {}",
            quoted(&name),
            cure(&name)
        ))),
    }
}

fn is_known(name: &str) -> bool {
    name.starts_with(OF_TESTS) || failpoint::VARIABLES.contains(&name) || known().iter().any(|known| known == name)
}

/// The settings, and the flags that a variable stands for.
fn known() -> Vec<String> {
    let flags = Args::command();
    let of_flags = flags.get_arguments().filter_map(|flag| flag.get_env()?.to_str());
    SETTINGS.into_iter().chain(of_flags).map(str::to_owned).collect()
}

fn cure(name: &str) -> String {
    if let Some((_, now)) = GONE.iter().find(|(gone, _)| *gone == name) {
        return format!("{now}: remove it from the environment");
    }
    let mut known = known();
    known.sort_unstable();
    // The prefix that all have would make any two names alike.
    let bare: Vec<&str> = known.iter().map(|known| &known[OURS.len()..]).collect();
    match nearest(&name[OURS.len()..], bare.iter().copied()) {
        Some(meant) => format!("did you mean {OURS}{meant}?"),
        None => format!("settings are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_answered_with_the_nearest_setting() {
        assert!(is_known("TALLYBOOK_DATA_DIR") && is_known("TALLYBOOK_SOURCE") && is_known("TALLYBOOK_TEST_ALL"));
        assert!(!is_known("TALLYBOOK_DATADIR") && !is_known("TALLYBOOK_AS_OF"));
        assert_eq!(cure("TALLYBOOK_DATADIR"), "did you mean TALLYBOOK_DATA_DIR?");
        assert_eq!(cure("TALLYBOOK_RATE_CARD"), "did you mean TALLYBOOK_RATE_CARDS?");
        assert!(cure("TALLYBOOK_AS_OF").contains("only be set with --as-of"));
        assert!(cure("TALLYBOOK_COLOUR").starts_with("settings are TALLYBOOK_"));
    }
}
