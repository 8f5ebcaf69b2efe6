//! What waits for a person after a night: a sentence each, and the night ends with exit code 3.

use std::path::Path;

use crate::backup::create::BackedUp;
use crate::context::Books;
use crate::erasure::Erased;
use crate::pipeline::close::{Blocked, Closed};
use crate::pipeline::ingest::drop_folder::Dropped;
use crate::pipeline::maintenance::Maintained;
use crate::pipeline::retention::Expired;
use crate::sources::overview::overview;
use crate::sources::pull::{Pulled, State};
use crate::support::error::{Error, Result};
use crate::support::table::counted;

/// Sources that cannot be read before a person does something, and those that were not read for long; objects that cannot be read; and
/// periods that closed though a source was not read to its end.
pub async fn of_sources(books: &Books, pulled: &[Pulled], closed: &Closed) -> Result<Vec<String>> {
    if pulled.is_empty() {
        return Ok(Vec::new());
    }
    let all = overview(books).await?;
    let now = books.clock.now();
    let of_all = all.iter().filter_map(|source| source.needs_person(now));
    let refused = pulled.iter().flat_map(|one| one.refused.iter().cloned());
    Ok(of_all.chain(refused).chain(closed_without(pulled, closed)).collect())
}

/// One source that is away keeps nobody's bill waiting. Its usage of the periods that closed is adjusted by the next statements.
fn closed_without(pulled: &[Pulled], closed: &Closed) -> Option<String> {
    let unread: Vec<String> = pulled
        .iter()
        .filter(|one| one.state != State::Done)
        .map(|one| format!("{} ({})", one.source, one.state.text()))
        .collect();
    (closed.periods > 0 && !unread.is_empty()).then(|| {
        format!(
            "{} closed while not all usage was read, from {}: check the statements before they are sent; what comes later is adjusted in \
             the next ones",
            counted(closed.periods, "period"),
            unread.join(", ")
        )
    })
}

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
    let left = dropped.left.iter().filter(|left| left.needs_person);
    let left = left.map(|left| format!("{} stays in the drop folder: {}", left.name, left.why));
    refused.chain(changed).chain(skipped).chain(left).collect()
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

/// What a backup should have and has not.
pub fn of_backup(done: &BackedUp) -> Vec<String> {
    let missing = done.missing.iter().map(|what| format!("missing in the backup: {what}"));
    let damaged = done.damaged.iter().map(|what| {
        format!("damaged in the ledger, and in the backup as it is: {what}; `tallybook verify` says what depends on it")
    });
    let unsettled = done.unsettled.iter().map(|place| {
        format!("{place} changed while it was copied, and is not in the backup: run `tallybook backup` again")
    });
    missing.chain(damaged).chain(unsettled).collect()
}

/// An erasure whose remains the database still has.
pub fn of_erasure(erased: &Erased) -> Option<String> {
    let number = erased.erasure.erasure;
    let why = erased.not_compacted.as_ref()?;
    Some(format!(
        "erasure {number} is done, but the database could not be made to forget what it had written over: {why}. The next nightly run tries \
         again"
    ))
}

/// An erasure that was begun and may not go on. The sentence has the number: the report says it until the erasure is done, which takes it out.
pub fn erasure_waits(why: &Error) -> String {
    format!("an erasure was begun and waits: {why}")
}

/// The night is done, and there is no backup of it.
pub fn failed_backup(folder: &Path, error: &Error) -> String {
    let folder = folder.display();
    format!("the backup in {folder} failed: {error}. The night itself is done; then run `tallybook backup {folder}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulled(source: &str, state: State) -> Pulled {
        Pulled {
            source: source.to_owned(),
            state,
            ..Pulled::default()
        }
    }

    #[test]
    fn periods_that_close_while_a_source_was_not_read_are_told_with_the_source() {
        let closed = |periods| Closed {
            periods,
            ..Closed::default()
        };
        let all_read = [pulled("a", State::Done)];
        let some_not = [
            pulled("a", State::Done),
            pulled("b", State::Unavailable),
            pulled("c", State::Busy),
        ];
        assert_eq!(closed_without(&all_read, &closed(2)), None);
        assert_eq!(closed_without(&some_not, &closed(0)), None);
        let told = closed_without(&some_not, &closed(2)).unwrap();
        let expected = "2 periods closed while not all usage was read, from b (unavailable), c (busy): ";
        assert!(told.starts_with(expected), "{told}");
    }
}
