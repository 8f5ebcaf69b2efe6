//! Ending an account on a day.

use chrono::{Days, NaiveDate, Utc};

use super::store::add_end;
use crate::catalog::account::Account;
use crate::catalog::account::store::load_account;
use crate::catalog::account::unknown::unknown_account;
use crate::catalog::account::usage::last_record_from;
use crate::context::Books;
use crate::storage::ledger::{Decision, Lease, Tx, add_audit};
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::segments_from;
use crate::support::error::{Error, Result};
use crate::values::calendar::{Period, local_day_of_ns, midnight};

/// What ending an account did, or would do.
#[derive(Clone, Debug)]
pub struct Terminated {
    pub uin: u64,
    /// The account as it is then.
    pub account: Account,
    /// The first day that is not billed, in the account's zone.
    pub end_day: NaiveDate,
    /// The period that ends on that day; none where the account begins on it.
    pub last_period: Option<Period>,
    /// The entry of the audit trail; none where nothing was written.
    pub audit_entry: Option<i64>,
}

/// Ends an account on a day, the first one that is not billed. The caller holds the lease: a close must not run beside it.
///
/// # Errors
/// [`Error::Usage`] where there is no such account, where it has ended, and where the day lies before its beginning, in a closed period
/// or before a record that is stored.
pub async fn terminate(books: &Books, lease: &Lease, uin: u64, on: NaiveDate, reason: &str) -> Result<Terminated> {
    // The write lock comes first: what is read here still holds when it is used, and no input commits beside it.
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    let terminated = terminate_in(books, &mut tx, uin, on, reason).await?;
    books.ledger.commit(tx, "terminate").await?;
    Ok(terminated)
}

/// Does what [`terminate`] does, and undoes it.
pub async fn try_terminate(books: &Books, uin: u64, on: NaiveDate, reason: &str) -> Result<Terminated> {
    let mut tx = books.ledger.begin().await?;
    let terminated = terminate_in(books, &mut tx, uin, on, reason).await?;
    drop(tx);
    Ok(Terminated {
        audit_entry: None,
        ..terminated
    })
}

async fn terminate_in(books: &Books, tx: &mut Tx, uin: u64, on: NaiveDate, reason: &str) -> Result<Terminated> {
    let Some(account) = load_account(&books.ledger, uin).await? else {
        return Err(unknown_account(&books.ledger, uin).await?);
    };
    check_day(uin, &account, on)?;
    let zone = account.terms[0].zone;
    let at = midnight(zone, on).with_timezone(&Utc);
    if let Some(last_ns) = last_record(books, tx, uin, at).await? {
        let last = local_day_of_ns(zone, last_ns);
        return Err(Error::Usage(format!(
            "account {uin} has a record of {last} ({zone}), so it cannot end on {on}; end it on {} or later. Records that were \
             voided, failed or repeated count, too",
            last.checked_add_days(Days::new(1)).unwrap_or(last)
        )));
    }
    let decision = Decision {
        who: &books.settings.who,
        action: "terminate",
        subject: format!("account {uin}"),
        detail: serde_json::json!({ "end_day": on, "zone": zone }),
        reason,
        at: books.clock.text(),
    };
    let entry = add_audit(tx, &decision).await?;
    add_end(tx, entry, uin, on, at).await?;
    let last_day = on
        .pred_opt()
        .filter(|_| account.first_day.is_some_and(|first| first < on));
    let mut ended = account;
    ended.ends.push(super::AccountEnd {
        day: on,
        is_taken_back: false,
    });
    ended.ends.sort_by_key(|end| end.day);
    Ok(Terminated {
        uin,
        end_day: on,
        last_period: last_day.map(|day| ended.period_of(day)),
        account: ended,
        audit_entry: Some(entry),
    })
}

fn check_day(uin: u64, account: &Account, on: NaiveDate) -> Result<()> {
    if let Some(end) = account.ended_on() {
        return Err(Error::Usage(format!(
            "account {uin} ended on {end} already; to end it on another day, take that back first (`tallybook reinstate {uin} \
             --reason TEXT`)"
        )));
    }
    if let Some(closed_to) = account.closed_to.filter(|closed_to| on < *closed_to) {
        return Err(Error::Usage(format!(
            "account {uin} is closed up to {closed_to}; it can end on that day or later, not on {on}"
        )));
    }
    match account.first_day.filter(|first| on < *first) {
        Some(first) => Err(Error::Usage(format!(
            "account {uin} begins on {first}; it can end on that day or later, not on {on}"
        ))),
        None => Ok(()),
    }
}

/// When the last record of an account finished that raw has from an instant on, whatever became of it, nanoseconds since 1970. Periods
/// that are not closed keep their raw records, so none of them is missing.
async fn last_record(books: &Books, tx: &mut Tx, uin: u64, from: chrono::DateTime<Utc>) -> Result<Option<i64>> {
    let from_ns = from.timestamp_nanos_opt().unwrap_or(i64::MAX);
    let mut last = None;
    for segment in segments_from(tx, SegmentKind::Usage, from.date_naive()).await? {
        let place = books.data.join(&segment.path);
        last = last.max(tokio::task::block_in_place(|| last_record_from(&place, uin, from_ns))?);
    }
    Ok(last)
}
