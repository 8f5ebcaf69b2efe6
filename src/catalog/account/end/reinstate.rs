//! Taking back the end of an account.

use chrono::{Days, NaiveDate};

use super::store::take_back;
use crate::catalog::account::Account;
use crate::catalog::account::erased::store::refuse_erased;
use crate::catalog::account::store::load_account;
use crate::catalog::account::unknown::unknown_account;
use crate::context::Books;
use crate::storage::ledger::{Decision, Lease, Tx, add_audit};
use crate::support::error::{Error, Result};
use crate::values::calendar::{Period, local_day};

/// Days after its end on which an account can be taken back, at the latest: so long its configuration is kept.
const REINSTATE_DAYS: u64 = 30;

/// What taking back an end did.
#[derive(Clone, Debug)]
pub struct Reinstated {
    pub uin: u64,
    /// The day on which it had ended.
    pub end_day: NaiveDate,
    /// The period that begins on that day.
    pub period: Period,
    /// The entry of the audit trail; none where nothing was written.
    pub audit_entry: Option<i64>,
}

/// The last day on which an account that ends on a day can be taken back, in its zone.
pub fn last_day_to_reinstate(end_day: NaiveDate) -> NaiveDate {
    end_day
        .checked_add_days(Days::new(REINSTATE_DAYS))
        .unwrap_or(NaiveDate::MAX)
}

/// Takes back the end of an account. The caller holds the lease.
///
/// # Errors
/// [`Error::Usage`] where there is no such account, where it has not ended, and later than [`last_day_to_reinstate`].
pub async fn reinstate(books: &Books, lease: &Lease, uin: u64, reason: &str) -> Result<Reinstated> {
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    let reinstated = reinstate_in(books, &mut tx, uin, reason).await?;
    books.ledger.commit(tx, "reinstate").await?;
    Ok(reinstated)
}

/// Does what [`reinstate`] does, and undoes it.
pub async fn try_reinstate(books: &Books, uin: u64, reason: &str) -> Result<Reinstated> {
    let mut tx = books.ledger.begin().await?;
    let reinstated = reinstate_in(books, &mut tx, uin, reason).await?;
    drop(tx);
    Ok(Reinstated {
        audit_entry: None,
        ..reinstated
    })
}

async fn reinstate_in(books: &Books, tx: &mut Tx, uin: u64, reason: &str) -> Result<Reinstated> {
    let Some(account) = load_account(&books.ledger, uin).await? else {
        return Err(unknown_account(&books.ledger, uin).await?);
    };
    refuse_erased(&books.ledger, uin).await?;
    let end_day = end_to_take_back(books, uin, &account)?;
    let decision = Decision {
        who: &books.settings.who,
        action: "reinstate",
        subject: format!("account {uin}"),
        detail: serde_json::json!({ "end_day": end_day }),
        reason,
        at: books.clock.text(),
    };
    let audit_entry = add_audit(tx, &decision).await?;
    take_back(tx, audit_entry, uin).await?;
    Ok(Reinstated {
        uin,
        end_day,
        period: account.period_from(end_day),
        audit_entry: Some(audit_entry),
    })
}

fn end_to_take_back(books: &Books, uin: u64, account: &Account) -> Result<NaiveDate> {
    let Some(end_day) = account.ended_on() else {
        return Err(Error::Usage(format!(
            "account {uin} has not ended; nothing can be taken back"
        )));
    };
    let last = last_day_to_reinstate(end_day);
    let today = local_day(account.terms[0].zone, books.clock.now());
    if last < today {
        return Err(Error::Usage(format!(
            "account {uin} ended on {end_day}, which could be taken back until {last}, {REINSTATE_DAYS} days later; today is {today}"
        )));
    }
    Ok(end_day)
}
