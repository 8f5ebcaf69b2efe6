//! Expire: raw days past six months go whole, when what they paid for is proved; service-log fields after one month.
//!
//! ```text
//! due         UTC days whose time has come
//! hold        a day that something still rests on is named and stays
//! prove       count, sums and a digest per account, written to the ledger
//! mark        the day is expired for good; one transaction with the proof and the dropped files
//! remove      the files, after the commit
//! ```
//!
//! The ledger's own rows go by settings; see `ledger.rs`. Original bytes (files in `done/` and `refused/`, quarantined lines) go a month after receipt.

pub mod hold;
pub mod ledger;
pub mod originals;
pub mod proof;
pub mod store;

use chrono::{Months, NaiveDate};

use crate::account::AccountBook;
use crate::books::Books;
use crate::error::Result;
use crate::ledger::Lease;
use crate::raw::segment::SegmentKind;
use crate::raw::store::{Segment, drop_segments, segments_of_day};
use hold::Held;
use ledger::{ExpiredMonths, expire_months};

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
    /// Months of the ledger's own rows.
    pub months: ExpiredMonths,
}

impl Expired {
    /// Whether a person has to act on a held day.
    pub fn needs_person(&self) -> bool {
        self.held.iter().any(|held| held.needs_person)
    }
}

/// Expires what is due. The caller holds the lease, and has the accounts as the last close left them.
#[tracing::instrument(skip_all)]
pub async fn expire(books: &Books, lease: &Lease, accounts: &AccountBook) -> Result<Expired> {
    let mut expired = Expired::default();
    let today = books.clock.today();
    for day in store::days_with_segments(&books.ledger, SegmentKind::Log).await? {
        if is_past(day, LOG_MONTHS, today) {
            expire_log_day(books, lease, day).await?;
            expired.log_days += 1;
        }
    }
    let mut due = store::days_with_segments(&books.ledger, SegmentKind::Usage).await?;
    due.retain(|&day| is_past(day, RAW_MONTHS, today));
    for day in due {
        let segments = segments_of_day(&books.ledger, SegmentKind::Usage, day).await?;
        let held = hold::reasons(books, accounts, day, &segments).await?;
        if held.is_empty() {
            expired
                .days
                .push((day, expire_raw_day(books, lease, day, &segments).await?));
        } else {
            expired.held.extend(held);
        }
    }
    store::replace_held(&books.ledger, lease, &expired.held).await?;
    expired.original_files = originals::remove_old_files(books, LOG_MONTHS)?;
    expired.quarantine_payloads = store::drop_old_payloads(books, lease, LOG_MONTHS).await?;
    expired.months = expire_months(books, lease).await?;
    Ok(expired)
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
    drop_segments(&mut tx, &segments.iter().map(|s| s.path.clone()).collect::<Vec<_>>()).await?;
    books.ledger.commit(tx, "expire_log").await
}

async fn expire_raw_day(books: &Books, lease: &Lease, day: NaiveDate, segments: &[Segment]) -> Result<i64> {
    let proofs = tokio::task::block_in_place(|| proof::prove(&books.data, segments))?;
    let rows = segments.iter().map(|s| s.rows).sum();
    let duration_ms: i128 = proofs.iter().map(|p| p.duration_ms).sum();
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    store::check_segments(&mut tx, day, segments).await?;
    store::mark_expired(
        &mut tx,
        SegmentKind::Usage,
        day,
        rows,
        &duration_ms.to_string(),
        &books.clock.text(),
    )
    .await?;
    store::add_proofs(&mut tx, day, &proofs).await?;
    store::let_conflicts_go(&mut tx, day).await?;
    drop_segments(&mut tx, &segments.iter().map(|s| s.path.clone()).collect::<Vec<_>>()).await?;
    books.ledger.commit(tx, "expire").await?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::is_past;

    #[test]
    fn the_last_of_august_expires_on_the_last_of_february() {
        let day = "2025-08-31".parse().unwrap();
        assert!(!is_past(day, 6, "2026-02-27".parse().unwrap()));
        assert!(is_past(day, 6, "2026-02-28".parse().unwrap()));
    }
}
