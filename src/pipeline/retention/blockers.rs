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
use crate::values::calendar::local_day;

/// The code of a day that waits for a later night only.
pub const NOT_LONG_CLOSED: &str = "not_long_closed";

/// A reason why a due day stays.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    pub day: NaiveDate,
    /// `not_long_closed`, `open_period`, `not_metered`, `unmetered`, `conflict`, `late_usage`, `unbalanced` or `damaged`.
    pub code: &'static str,
    pub sentence: String,
    /// Waiting for an open period needs nobody; everything else needs a person.
    pub needs_person: bool,
}

impl Held {
    /// A day that cannot be proved, because of a damaged segment.
    pub fn damaged(day: NaiveDate, what: &Error) -> Self {
        Self {
            day,
            code: "damaged",
            sentence: format!("{day} cannot be proved: {what}"),
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
                "{day} lies in periods of {} accounts that are not closed, such as {first}",
                open.len()
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
                    "{unmetered} records of {day} have no meter; add one to the rate card, or waive the day: tallybook expire --waive {day} --reason WHY"
                ),
                true,
            );
        }
        let conflicts = store::conflicts_on(&books.ledger, day).await?;
        if conflicts > 0 {
            hold(
                "conflict",
                format!(
                    "{conflicts} conflicts of {day} are open; resolve them (tallybook conflict list), or waive the day to let them go: \
                     tallybook expire --waive {day} --reason WHY"
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
                "{late} records around {day} came after their period's close; the next statement of their accounts adjusts it"
            ),
            false,
        );
    }
    let unbalanced = unbalanced_batches(books, segments).await?;
    if let Some(first) = unbalanced.first() {
        hold(
            "unbalanced",
            format!(
                "{} batches with records of {day} do not balance, the first is {first}",
                unbalanced.len()
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
            "{day} is metered and closed, and no night that ended 12 hours ago or earlier found it so; it goes in a later night"
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
