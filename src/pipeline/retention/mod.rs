//! Expire: raw days past their months go whole, when what they paid for is proved; every other class of data by its own clock.
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
//! The ledger's own rows go by settings; see `row_retention.rs`. Original bytes go after their receipt, what events brought besides usage
//! with its raw records or soon after its source: see `queue_data.rs`; definitions of sources: see `sources/expire.rs`. Each deletion is written down in the transaction that does it.

pub mod blockers;
pub mod day_digest;
pub mod deletion;
pub mod mark_again;
pub mod originals;
pub mod payload_deletion;
pub mod payload_files;
pub mod policy;
pub mod queue_data;
pub mod record_digest;
pub mod row_retention;
pub mod store;

use chrono::{Months, NaiveDate, TimeDelta};

use crate::catalog::account::Accounts;
use crate::context::Books;
use crate::context::keeping::Class;
use crate::pipeline::ingest::drop_folder::forget_originals;
use crate::pipeline::meter::store::let_conflicts_go;
use crate::storage::ledger::Lease;
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::{Segment, drop_segments, segments_of_day};
use crate::support::error::{Error, Result};
use blockers::Held;
use deletion::{Deletion, note};
use queue_data::{Ended, ExpiredQueueData, expire_queue_data};
use record_digest::{ProvedDay, prove};
use row_retention::{ExpiredMonths, expire_months};

/// What an expiry did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Expired {
    /// Raw days that went, with their rows.
    pub days: Vec<(NaiveDate, i64)>,
    pub log_days: usize,
    pub original_files: usize,
    pub quarantine_payloads: u64,
    /// What events brought besides usage.
    #[serde(skip_serializing_if = "ExpiredQueueData::is_empty")]
    pub queue_data: ExpiredQueueData,
    /// Of accounts that ended.
    #[serde(skip_serializing_if = "ExpiredConfiguration::is_empty")]
    pub configuration: ExpiredConfiguration,
    pub held: Vec<Held>,
    /// Days due tomorrow whose proofs were made.
    pub proved_ahead: Vec<NaiveDate>,
    /// Months of the ledger's own rows.
    pub months: ExpiredMonths,
}

impl Expired {
    /// Whether a person has to act on a held day, or on configuration that should be gone.
    pub fn needs_person(&self) -> bool {
        self.held.iter().any(|held| held.needs_person) || !self.configuration.left.is_empty()
    }
}

/// Configuration of accounts that ended: what went, and what cannot go because it is of other accounts, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ExpiredConfiguration {
    /// Sources that were theirs alone.
    pub sources: usize,
    /// Earlier versions of other sources.
    pub versions: usize,
    /// Sources whose definition still names such an account, with its number.
    pub left: Vec<(String, u64)>,
}

impl ExpiredConfiguration {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What a person has to do: a sentence each.
    pub fn sentences(&self) -> impl Iterator<Item = String> {
        self.left.iter().map(|(source, uin)| {
            format!(
                "source {source}: its definition names account {uin}, which ended, and whose configuration is kept no more; remove the \
                 account from it"
            )
        })
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
    let raw_months = books.settings.keep_raw_months;
    for day in days_past(books, SegmentKind::Log, books.settings.keep_log_months, today).await? {
        expire_log_day(books, lease, day).await?;
        expired.log_days += 1;
    }
    for day in days_past(books, SegmentKind::Usage, raw_months, today).await? {
        expire_raw_day(books, lease, accounts, day, &mut expired).await?;
    }
    let tomorrow = today + TimeDelta::days(1);
    let mut due_tomorrow = days_past(books, SegmentKind::Usage, raw_months, tomorrow).await?;
    due_tomorrow.retain(|&day| !is_past(day, raw_months, today));
    for day in due_tomorrow {
        let segments = segments_of_day(&books.ledger, SegmentKind::Usage, day).await?;
        let proved = prove_or_hold(books, lease, day, &segments, &mut expired.held).await?;
        let made = proved.is_some_and(|(_, made)| made);
        expired.proved_ahead.extend(made.then_some(day));
    }
    let ended = Ended::of(books).await?;
    expired.queue_data = expire_queue_data(books, lease, &ended, &mut expired.held).await?;
    store::replace_held(&books.ledger, lease, &expired.held).await?;
    expired.original_files = originals::remove_old_files(books, lease).await?;
    expired.original_files += originals::remove_files_with_erased(books, lease).await?;
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

async fn expire_log_day(books: &Books, lease: &Lease, day: NaiveDate) -> Result<()> {
    let segments = segments_of_day(&books.ledger, SegmentKind::Log, day).await?;
    let rows = segments.iter().map(|s| s.rows).sum();
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    store::mark_expired(&mut tx, SegmentKind::Log, day, rows, "0", &books.clock.text()).await?;
    note(&mut tx, books, &Deletion::by_clock(Class::Log, &day, rows)).await?;
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
    note(&mut tx, books, &Deletion::by_clock(Class::Raw, &day, proved.rows)).await?;
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
