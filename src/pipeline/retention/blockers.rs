//! What still rests on a raw day: reasons to keep it.

use chrono::{NaiveDate, TimeDelta};

use super::record_digest::ProvedDay;
use super::store;
use crate::catalog::account::Accounts;
use crate::context::Books;
use crate::pipeline::meter::balance;
use crate::storage::ledger::nights::last_end;
use crate::storage::raw::store::Segment;
use crate::support::error::{Error, Result};
use crate::support::table::counted;
use crate::values::calendar::local_day;

/// The code of a day that waits for a later night only.
pub const NOT_LONG_CLOSED: &str = "not_long_closed";

/// A reason why a due day stays.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    pub day: NaiveDate,
    /// `not_long_closed`, `open_period`, `not_metered`, `unmetered`, `conflict`, `late_usage`, `unbalanced`, `damaged` or `damaged_payloads`.
    pub code: &'static str,
    pub sentence: String,
    /// Waiting for an open period needs nobody; everything else needs a person.
    pub needs_person: bool,
}

impl Held {
    /// A day whose payloads cannot be written anew, because of a damaged segment.
    pub fn damaged_payloads(day: NaiveDate, what: &Error) -> Self {
        Self {
            day,
            code: "damaged_payloads",
            sentence: format!("events of {day} cannot be deleted as due: {what}"),
            needs_person: true,
        }
    }

    /// A day that cannot be proved, because of a damaged segment.
    pub fn damaged(day: NaiveDate, what: &Error) -> Self {
        Self {
            day,
            code: "damaged",
            sentence: format!("raw data of {day} cannot be verified: {what}"),
            needs_person: true,
        }
    }
}

/// All reasons to hold a day that is proved.
pub async fn reasons(
    books: &Books,
    accounts: &Accounts,
    day: NaiveDate,
    segments: &[Segment],
    proved: &ProvedDay,
) -> Result<Vec<Held>> {
    let mut held = Vec::new();
    let mut hold = |code, sentence: String, needs_person| {
        held.push(Held {
            day,
            code,
            sentence,
            needs_person,
        });
    };
    let metered_to = crate::pipeline::meter::store::progress(&books.ledger).await?.batch_hi;
    let unbooked = store::unbooked_resolutions(&books.ledger, day).await?;
    if segments.iter().any(|s| s.batch_hi > metered_to) || unbooked > 0 {
        hold(
            "not_metered",
            format!("{day} has records that are not metered yet; run `tallybook meter`"),
            false,
        );
    }
    let uins = store::proved_accounts(&books.ledger, day, proved).await?;
    let open: Vec<u64> = uins
        .iter()
        .copied()
        .filter(|&uin| !is_closed(accounts, uin, day))
        .collect();
    if let Some(first) = open.first() {
        hold(
            "open_period",
            format!(
                "{day} is in open periods of {}, such as {first}",
                counted(open.len(), "account")
            ),
            false,
        );
    }
    if !store::is_waived(&books.ledger, day).await? {
        let unmetered = store::unmetered_on(&books.ledger, day).await?;
        if unmetered > 0 {
            hold(
                "unmetered",
                format!(
                    "{} of {day} without a meter: add a meter to the rate card, or give up with `tallybook expire --waive {day} \
                     --reason TEXT`",
                    counted(unmetered, "record")
                ),
                true,
            );
        }
        let conflicts = store::conflicts_on(&books.ledger, day).await?;
        if conflicts > 0 {
            hold(
                "conflict",
                format!(
                    "{} of {day}: resolve (`tallybook conflict list`), or give up with `tallybook expire --waive {day} --reason TEXT`",
                    counted(conflicts, "open conflict")
                ),
                true,
            );
        }
    }
    let late = store::late_usage_around(&books.ledger, day, &uins).await?;
    if late > 0 {
        hold(
            "late_usage",
            format!(
                "{} around {day} arrived after the period was closed: adjusted by the next statement",
                counted(late, "record")
            ),
            false,
        );
    }
    let unbalanced = unbalanced_batches(books, segments).await?;
    if let Some(first) = unbalanced.first() {
        hold(
            "unbalanced",
            format!(
                "control totals do not balance for {} with records of {day}, first for batch {first}",
                counted(unbalanced.len(), "batch")
            ),
            true,
        );
    }
    Ok(held)
}

/// Batches of the segments whose control totals do not balance.
async fn unbalanced_batches(books: &Books, segments: &[Segment]) -> Result<Vec<i64>> {
    let first = segments.iter().map(|segment| segment.batch_lo).min().unwrap_or(0);
    let last = segments.iter().map(|segment| segment.batch_hi).max().unwrap_or(0);
    let batches = balance::by_batch(&books.ledger, first, last).await?;
    let unbalanced = batches.iter().filter(|of| of.difference != [0; 3]);
    Ok(unbalanced.map(|of| of.batch).collect())
}

/// How long after the end of a night that found a day metered and closed its rows may go: so that a person had a day to look.
const WAIT: TimeDelta = TimeDelta::hours(12);

/// Why a day that nothing else holds waits for a later night, if it does.
pub async fn until_later(books: &Books, day: NaiveDate, segments: &[Segment]) -> Result<Option<Held>> {
    let limit = books.clock.irreversible() - WAIT;
    let batch_hi = segments.iter().map(|s| s.batch_hi).max().unwrap_or(0);
    let found = match last_end(&books.ledger, limit).await? {
        Some(end) => batch_hi <= end.batch_hi && !store::closed_since(&books.ledger, day, end.closing_hi).await?,
        None => false,
    };
    Ok((!found).then(|| Held {
        day,
        code: NOT_LONG_CLOSED,
        sentence: format!(
            "{day} is metered and closed, but too recently: it is deleted by a nightly run at least 12 hours after one that found \
             it closed"
        ),
        needs_person: false,
    }))
}

/// Whether every period of the account that the UTC day touches is closed.
fn is_closed(accounts: &Accounts, uin: u64, day: NaiveDate) -> bool {
    let Some(account) = accounts.get(uin) else { return false };
    let end = day
        .and_hms_opt(0, 0, 0)
        .map(|t| t.and_utc() + TimeDelta::days(1) - TimeDelta::nanoseconds(1));
    let Some(last_local_day) = end.map(|end| local_day(account.terms[0].zone, end)) else {
        return false;
    };
    account.closed_to.is_some_and(|closed_to| last_local_day < closed_to)
}
