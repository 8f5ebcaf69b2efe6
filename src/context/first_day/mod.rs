//! The books' first day: usage before it is refused, for it comes of a clock that was never set, or belongs into other books.
//!
//! It is fixed with the first batch: by the setting `first_day`, or [`DAYS_BEFORE`] days before that batch. A person may move it back.

mod store;

use chrono::{NaiveDate, TimeDelta};

use crate::context::Books;
use crate::storage::ledger::fact::{FIRST_DAY, fact, fact_in, set_fact};
use crate::storage::ledger::{Decision, Tx, add_audit};
use crate::storage::raw::store::parse_day;
use crate::support::error::{Error, Result};

/// Days between the first day and the first batch, where no setting says otherwise: a year that is sent again, and its month of grace.
const DAYS_BEFORE: i64 = 400;

/// The UTC day on which these books begin, or would if their first batch came now.
pub async fn first_day(books: &Books) -> Result<NaiveDate> {
    match known(books).await? {
        Some(day) => Ok(day),
        None => default(books).await,
    }
}

/// The same; none before the first batch.
async fn known(books: &Books) -> Result<Option<NaiveDate>> {
    let text = fact(&books.ledger, FIRST_DAY).await?;
    text.map(|day| parse_day(&day)).transpose()
}

/// By the setting, or so many days before the first batch. Books that an older program began keep all that they have.
async fn default(books: &Books) -> Result<NaiveDate> {
    let before = |batch: NaiveDate| batch.checked_sub_signed(TimeDelta::days(DAYS_BEFORE)).unwrap_or(batch);
    let of_first_batch = |batch| books.settings.first_day.unwrap_or_else(|| before(batch));
    let Some(batch) = store::first_batch_day(&books.ledger).await? else {
        return Ok(of_first_batch(books.clock.believed().date_naive()));
    };
    let first = of_first_batch(batch);
    let earliest = store::earliest_day(&books.ledger).await?;
    Ok(earliest.map_or(first, |earliest| earliest.min(first)))
}

/// Fixes the first day, unless an earlier batch did, in the transaction of a batch.
pub async fn fix(tx: &mut Tx, first_day: NaiveDate) -> Result<()> {
    if fact_in(tx, FIRST_DAY).await?.is_some() {
        return Ok(());
    }
    set_fact(tx, FIRST_DAY, &first_day.to_string()).await
}

/// Refuses a setting that says another day than the books.
pub async fn check_setting(books: &Books) -> Result<()> {
    match (books.settings.first_day, known(books).await?) {
        (Some(set), Some(day)) if set != day => Err(Error::Usage(format!(
            "the setting first_day = {set} differs from the first billing day in the ledger, {day}: move it back with `tallybook \
             first-day {set} --reason TEXT`, or remove the setting"
        ))),
        _ => Ok(()),
    }
}

/// Moves the first day back. Returns the day before that.
///
/// # Errors
/// [`Error::Usage`] when it is not moved back, or over a closed period.
pub async fn move_back(books: &Books, to: NaiveDate, reason: &str) -> Result<NaiveDate> {
    let from = first_day(books).await?;
    if to >= from {
        return Err(Error::Usage(format!(
            "the first billing day is {from}, and {to} is not before it: it can only be moved back"
        )));
    }
    let mut tx = books.ledger.begin().await?;
    if let Some((uin, start, end)) = store::closed_between(&mut tx, to, from).await? {
        return Err(Error::Usage(format!(
            "{to} is before the end of a closed period (account {uin}, {start} to {end}); the first billing day cannot move past a \
             closed period"
        )));
    }
    set_fact(&mut tx, FIRST_DAY, &to.to_string()).await?;
    let decision = Decision {
        who: &books.settings.who,
        action: "first day",
        subject: to.to_string(),
        detail: serde_json::json!({ "before": from.to_string() }),
        reason,
        at: books.clock.text(),
    };
    add_audit(&mut tx, &decision).await?;
    books.ledger.commit(tx, "first_day").await?;
    Ok(from)
}
