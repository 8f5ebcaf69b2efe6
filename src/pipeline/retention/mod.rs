//! Expire: raw days past six months go whole, when what they paid for is proved; service-log fields after one month.
//!
//! ```text
//! due         UTC days whose time has come
//! prove       count, sums and a digest per account, written to the ledger; most often the night before did
//! hold        a day that something still rests on is named and stays
//! wait        until a night comes 12 hours after one that found the day metered and closed
//! mark        the day is expired for good; one transaction with the dropped files
//! prove       the days that are due tomorrow
//! remove      the files, after the commit
//! ```
//!
//! The ledger's own rows go by settings; see `ledger.rs`. Original bytes go after their receipt: files in `done/` and `refused/` after a
//! month, those of quarantined lines after `keep_quarantine_months`.

pub mod blockers;
pub mod day_digest;
pub mod originals;
pub mod record_digest;
pub mod row_retention;
pub mod store;

use chrono::{Months, NaiveDate, TimeDelta};

use crate::catalog::account::Accounts;
use crate::context::Books;
use crate::pipeline::ingest::drop_folder::forget_originals;
use crate::pipeline::meter::store::let_conflicts_go;
use crate::storage::ledger::Lease;
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::{Segment, drop_segments, segments_of_day};
use crate::support::error::{Error, Result};
use blockers::Held;
use record_digest::{ProvedDay, prove};
use row_retention::{ExpiredMonths, expire_months};

/// Raw records and conflicts, after the UTC day they finished on.
const RAW_MONTHS: u32 = 6;

/// Service-log fields after their day, and original bytes after receipt.
const LOG_MONTHS: u32 = 1;

/// What an expiry did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Expired {
    /// Raw days that went, with their rows.
    pub days: Vec<(NaiveDate, i64)>,
    pub log_days: usize,
    pub original_files: usize,
    pub quarantine_payloads: u64,
    pub held: Vec<Held>,
    /// Days due tomorrow whose proofs were made.
    pub proved_ahead: Vec<NaiveDate>,
    /// Months of the ledger's own rows.
    pub months: ExpiredMonths,
}

impl Expired {
    /// Whether a person has to act on a held day.
    pub fn needs_person(&self) -> bool {
        self.held.iter().any(|held| held.needs_person)
    }
}

/// Expires what is due; nothing while the machine's clock is in doubt. The caller holds the lease, and has the accounts as the last close left them.
#[tracing::instrument(skip_all)]
pub async fn expire(books: &Books, lease: &Lease, accounts: &Accounts) -> Result<Expired> {
    let mut expired = Expired::default();
    if books.clock.doubt().is_some() {
        return Ok(expired);
    }
    let today = books.clock.irreversible().date_naive();
    for day in days_past(books, SegmentKind::Log, LOG_MONTHS, today).await? {
        expire_log_day(books, lease, SegmentKind::Log, day).await?;
        expired.log_days += 1;
    }
    // Events repeat the service log, so they go with it.
    for day in days_past(books, SegmentKind::Payload, LOG_MONTHS, today).await? {
        expire_log_day(books, lease, SegmentKind::Payload, day).await?;
    }
    for day in days_past(books, SegmentKind::Usage, RAW_MONTHS, today).await? {
        expire_raw_day(books, lease, accounts, day, &mut expired).await?;
    }
    let tomorrow = today + TimeDelta::days(1);
    let mut due_tomorrow = days_past(books, SegmentKind::Usage, RAW_MONTHS, tomorrow).await?;
    due_tomorrow.retain(|&day| !is_past(day, RAW_MONTHS, today));
    for day in due_tomorrow {
        let segments = segments_of_day(&books.ledger, SegmentKind::Usage, day).await?;
        let proved = prove_or_hold(books, lease, day, &segments, &mut expired.held).await?;
        let made = proved.is_some_and(|(_, made)| made);
        expired.proved_ahead.extend(made.then_some(day));
    }
    store::replace_held(&books.ledger, lease, &expired.held).await?;
    expired.original_files = originals::remove_old_files(books, LOG_MONTHS)?;
    forget_originals(books).await?;
    expired.quarantine_payloads = store::drop_old_payloads(books, lease, books.settings.keep_quarantine_months).await?;
    expired.months = expire_months(books, lease).await?;
    Ok(expired)
}

/// UTC days with segments of a kind whose time of so many months has come on a day.
async fn days_past(books: &Books, kind: SegmentKind, months: u32, today: NaiveDate) -> Result<Vec<NaiveDate>> {
    let mut days = store::days_with_segments(&books.ledger, kind).await?;
    days.retain(|&day| is_past(day, months, today));
    Ok(days)
}

/// Whether `day` + `months` calendar months (clamped to the month's end) has come.
fn is_past(day: NaiveDate, months: u32, today: NaiveDate) -> bool {
    day.checked_add_months(Months::new(months))
        .is_some_and(|until| until <= today)
}

async fn expire_log_day(books: &Books, lease: &Lease, kind: SegmentKind, day: NaiveDate) -> Result<()> {
    let segments = segments_of_day(&books.ledger, kind, day).await?;
    let rows = segments.iter().map(|s| s.rows).sum();
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    store::mark_expired(&mut tx, kind, day, rows, "0", &books.clock.text()).await?;
    drop_segments(&mut tx, &segments.iter().map(|s| s.path.clone()).collect::<Vec<_>>()).await?;
    books.ledger.commit(tx, "expire_log").await
}

/// Lets a day go whole, or holds it.
#[tracing::instrument(skip_all)]
async fn expire_raw_day(
    books: &Books,
    lease: &Lease,
    accounts: &Accounts,
    day: NaiveDate,
    expired: &mut Expired,
) -> Result<()> {
    let segments = segments_of_day(&books.ledger, SegmentKind::Usage, day).await?;
    let Some((proved, _)) = prove_or_hold(books, lease, day, &segments, &mut expired.held).await? else {
        return Ok(());
    };
    let mut held = blockers::reasons(books, accounts, day, &segments, &proved).await?;
    if held.is_empty() {
        held.extend(blockers::until_later(books, day, &segments).await?);
    }
    if !held.is_empty() {
        expired.held.extend(held);
        return Ok(());
    }
    let now = books.clock.text();
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    store::check_rows(&mut tx, day, proved.rows).await?;
    store::mark_expired(&mut tx, SegmentKind::Usage, day, proved.rows, &proved.duration_ms, &now).await?;
    let_conflicts_go(&mut tx, day).await?;
    drop_segments(&mut tx, &segments.iter().map(|s| s.path.clone()).collect::<Vec<_>>()).await?;
    books.ledger.commit(tx, "expire").await?;
    expired.days.push((day, proved.rows));
    Ok(())
}

/// The proof of a day, and whether it was made now; none when the day is held because it cannot be proved.
async fn prove_or_hold(
    books: &Books,
    lease: &Lease,
    day: NaiveDate,
    segments: &[Segment],
    held: &mut Vec<Held>,
) -> Result<Option<(ProvedDay, bool)>> {
    match prove(books, lease, day, segments).await {
        Err(damaged @ Error::Damaged { .. }) => {
            held.push(Held::damaged(day, &damaged));
            Ok(None)
        }
        proved => proved.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use crate::pipeline::retention::is_past;

    #[test]
    fn the_last_of_august_expires_on_the_last_of_february() {
        let day = "2025-08-31".parse().unwrap();
        assert!(!is_past(day, 6, "2026-02-27".parse().unwrap()));
        assert!(is_past(day, 6, "2026-02-28".parse().unwrap()));
    }
}
