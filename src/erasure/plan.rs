//! The plan of an erasure: what keeps it from being done, what would go, and what stays.

use std::collections::BTreeSet;

use super::files::{apps_of, obstacles, shared_apps_of};
use super::pseudonym::Pseudonyms;
use super::store;
use super::words::Words;
use crate::catalog::account::Account;
use crate::catalog::account::erased::store::refuse_erased;
use crate::catalog::account::profile::store::versions_of;
use crate::catalog::account::store::load_account;
use crate::catalog::account::unknown::unknown_account;
use crate::catalog::account::usage::rows_of;
use crate::catalog::rate_card::store::load_cards;
use crate::context::Books;
use crate::pipeline::close::due::due_at;
use crate::pipeline::meter::store::{last_batch, progress};
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::segments_between;
use crate::support::error::{Error, Result};
use crate::support::table::counted;

/// So many numbers are told of a list.
const TOLD: usize = 5;

/// What erasing an account would do.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Plan {
    pub uin: String,
    /// Why it cannot be erased yet, each with its cure; none where it can.
    pub causes: Vec<String>,
    pub goes: Vec<Counted>,
    pub stays: Vec<Counted>,
    /// Folders of exports that finance has: files that were fetched from there are not in these books' reach.
    pub exports: Vec<String>,
    #[serde(skip)]
    pub apps: BTreeSet<u64>,
    /// Those that other accounts have, too.
    #[serde(skip)]
    pub shared_apps: BTreeSet<u64>,
}

/// How much there is of something.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Counted {
    pub what: &'static str,
    pub rows: i64,
}

/// Looks at an account and changes nothing. `request` is held against the numbers that it must not say.
///
/// # Errors
/// [`Error::Usage`] for a number that is no account's, one that was erased, and a pseudonym.
pub async fn plan(books: &Books, uin: u64, request: &str) -> Result<Plan> {
    refuse_erased(&books.ledger, uin).await?;
    let Some(account) = load_account(&books.ledger, uin).await? else {
        return Err(unknown_account(&books.ledger, uin).await?);
    };
    let apps = apps(books, uin).await?;
    let shared_apps = shared_apps_of(books, uin, &apps).await?;
    // Any pseudonyms do to look for what they stand for.
    let words = Words::of(&Pseudonyms {
        erased_uin: uin,
        uin: 0,
        apps: apps.iter().map(|app| (*app, 0)).collect(),
        shared_apps: shared_apps.clone(),
    });
    let mut causes = causes(books, uin, &account, &words, request).await?;
    causes.extend(obstacles(books, uin).await?);
    let held = store::held(&books.ledger, uin).await?;
    let versions = i64::try_from(versions_of(&books.ledger, uin).await?.len()).unwrap_or(i64::MAX);
    let row = |what, rows| Counted { what, rows };
    Ok(Plan {
        uin: uin.to_string(),
        causes,
        goes: vec![
            row("raw records", raw_rows(books, uin).await?),
            row(
                "refused lines whose bytes are kept",
                i64::try_from(store::quarantined(&books.ledger, &words, false).await?.len()).unwrap_or(i64::MAX),
            ),
            row("names of records in conflicts", held.conflicts),
            row("versions of its name and labels", versions),
        ],
        stays: vec![
            row("statements", held.statements),
            row("lines of statements", held.statement_lines),
            row("months of daily usage", held.months_of_usage),
            row("proofs of days", held.proofs),
        ],
        exports: store::exports_of(&books.ledger, uin).await?,
        apps,
        shared_apps,
    })
}

/// Looks again at what keeps an account from being erased, in the transaction that does it: records may have come since.
///
/// # Errors
/// [`Error::Usage`] with all causes.
pub async fn refuse_again(books: &Books, names: &Pseudonyms, request: &str) -> Result<()> {
    let uin = names.erased_uin;
    let Some(account) = load_account(&books.ledger, uin).await? else {
        return Err(unknown_account(&books.ledger, uin).await?);
    };
    refuse(uin, &causes(books, uin, &account, &Words::of(names), request).await?)
}

/// Refuses what cannot be done yet.
///
/// # Errors
/// [`Error::Usage`] with all causes.
pub fn refuse(uin: u64, causes: &[String]) -> Result<()> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "account {uin} cannot be erased yet: {}. Nothing was erased",
        causes.join("; ")
    )))
}

async fn causes(books: &Books, uin: u64, account: &Account, words: &Words, request: &str) -> Result<Vec<String>> {
    let mut causes = of_account(books, uin, account).await?;
    causes.extend(of_ledger(books, uin).await?);
    causes.extend(of_words(books, words, request).await?);
    Ok(causes)
}

async fn of_account(books: &Books, uin: u64, account: &Account) -> Result<Vec<String>> {
    let Some(end) = account.ended_on() else {
        return Ok(vec![format!(
            "it has not ended: end it (`tallybook terminate {uin} --on DAY --reason TEXT`)"
        )]);
    };
    let is_closed = account.closed_to.is_some_and(|closed_to| end <= closed_to);
    let had_days = account.first_day.is_some_and(|first| first < end);
    let Some(last_day) = end.pred_opt().filter(|_| had_days && !is_closed) else {
        return Ok(Vec::new());
    };
    let period = account.period_of(last_day);
    let due = due_at(account, &period, &load_cards(&books.ledger).await?);
    Ok(vec![format!(
        "its last period, {period}, is not closed: a night closes it from {} on",
        due.to_rfc3339()
    )])
}

async fn of_ledger(books: &Books, uin: u64) -> Result<Vec<String>> {
    let mut causes = Vec::new();
    if last_batch(&books.ledger).await? > progress(&books.ledger).await?.batch_hi {
        causes.push("records are not metered yet: run `tallybook nightly`".to_owned());
    }
    let conflicts = store::open_conflicts(&books.ledger, uin).await?;
    if !conflicts.is_empty() {
        causes.push(format!(
            "{} open ({}): decide (`tallybook conflict list`), and meter",
            is_or_are(conflicts.len(), "conflict"),
            first_of(&conflicts)
        ));
    }
    let waiting = store::waiting(&books.ledger, uin).await?;
    if waiting.late_usage > 0 {
        causes.push("usage came after its close and waits for an adjustment: the next close has it".to_owned());
    }
    if waiting.corrections > 0 {
        causes.push("a correction of prices waits: the next close has it".to_owned());
    }
    if waiting.unmetered > 0 {
        causes.push(format!(
            "{} without a meter: add a meter to the rate card, or waive the days (`tallybook expire --waive DAY --reason TEXT`)",
            counted(waiting.unmetered, "record")
        ));
    }
    if waiting.unexported > 0 {
        causes.push(format!(
            "{} not exported, and finance must have them first: run `tallybook export`",
            is_or_are(waiting.unexported, "statement")
        ));
    }
    Ok(causes)
}

async fn of_words(books: &Books, words: &Words, request: &str) -> Result<Vec<String>> {
    let mut causes = Vec::new();
    let lines = store::quarantined(&books.ledger, words, true).await?;
    if !lines.is_empty() {
        causes.push(format!(
            "{} of it in quarantine ({}): retry or dismiss (`tallybook quarantine list`)",
            counted(lines.len(), "line"),
            first_of(&lines)
        ));
    }
    for source in store::sources_naming(&books.ledger, words).await? {
        causes.push(format!(
            "the definition of source {source} names it: take it out of the definition, and import that (`tallybook source import`)"
        ));
    }
    if words.mentions(request.as_bytes()) {
        causes.push("--request names it, and is kept: name the request by a number of its own".to_owned());
    }
    Ok(causes)
}

fn is_or_are(count: impl TryInto<i64> + Copy, noun: &str) -> String {
    let verb = if matches!(count.try_into(), Ok(1)) { "is" } else { "are" };
    format!("{} {verb}", counted(count, noun))
}

fn first_of(numbers: &[i64]) -> String {
    let mut told: Vec<String> = numbers.iter().take(TOLD).map(ToString::to_string).collect();
    if numbers.len() > TOLD {
        told.push("...".to_owned());
    }
    told.join(", ")
}

/// The apps of all that was measured or billed of an account.
async fn apps(books: &Books, uin: u64) -> Result<BTreeSet<u64>> {
    let mut apps = apps_of(books, uin).await?;
    apps.extend(store::stated_apps(&books.ledger, uin).await?);
    Ok(apps)
}

async fn raw_rows(books: &Books, uin: u64) -> Result<i64> {
    let mut rows = 0;
    for segment in segments_between(&books.ledger, SegmentKind::Usage, 0, i64::MAX).await? {
        let place = books.data.join(&segment.path);
        rows += tokio::task::block_in_place(|| rows_of(&place, uin))?;
    }
    Ok(rows)
}
