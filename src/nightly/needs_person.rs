//! What waits for a person after a night: a sentence each, and the night ends with exit code 3.

use crate::pipeline::close::{Blocked, Closed};
use crate::pipeline::ingest::drop_folder::Dropped;
use crate::pipeline::maintenance::Maintained;
use crate::pipeline::retention::Expired;
use crate::support::table::counted;

/// Inputs that were refused whole, that changed, or that are no inputs.
pub fn of_inputs(dropped: &Dropped) -> Vec<String> {
    let refused = dropped.refused.iter().map(|file| format!("file refused: {}", file.why));
    let changed = dropped.spoilt.iter().map(|file| {
        format!(
            "{} changed after it was read, and cannot be read again: {}; restore or remove it",
            file.name, file.why
        )
    });
    let skipped = dropped.skipped.iter().map(|name| {
        format!(
            "{name} in the drop folder is a directory without _SUCCESS (which Spark writes last); move its files up into the drop \
             folder, or ingest the whole directory with `tallybook ingest FOLDER`"
        )
    });
    refused.chain(changed).chain(skipped).collect()
}

/// Accounts and periods that could not be closed.
pub fn of_close(closed: &Closed) -> Vec<String> {
    let held = closed.held.iter().map(|(card, accounts)| {
        format!(
            "rate card {card}: {} not closed, because a version of the card could not be imported and prices may be missing",
            counted(*accounts, "account")
        )
    });
    held.chain(closed.blocked.iter().map(of_period)).collect()
}

fn of_period(blocked: &Blocked) -> String {
    let unpriced = match &blocked.unpriced[..] {
        [] => String::new(),
        unpriced => format!(" ({})", unpriced.join("; ")),
    };
    format!(
        "account {}, period {} to {}: {}{unpriced}",
        blocked.uin, blocked.period_start, blocked.period_end, blocked.why
    )
}

/// Days that stay longer than they should.
pub fn of_retention(expired: &Expired) -> Vec<String> {
    let held = expired.held.iter().filter(|held| held.needs_person);
    held.map(|held| format!("day held: {}", held.sentence)).collect()
}

/// Files that are not what was written.
pub fn of_maintenance(kept: &Maintained) -> Vec<String> {
    let merged = kept.damaged.iter().map(|damaged| format!("not merged: {damaged}"));
    let rewritten = kept
        .rewritten
        .damaged
        .iter()
        .map(|damaged| format!("not rewritten: {damaged}"));
    merged.chain(rewritten).collect()
}
