//! Prove: what stands for a day is written to the ledger before its rows may go.
//!
//! A night proves what falls due by the next one. Between the two, `verify` holds the proof against the rows, and letting the day go
//! reads none of them.

use chrono::NaiveDate;
use rayon::prelude::*;

use super::{day_digest, store};
use crate::context::Books;
use crate::storage::ledger::Lease;
use crate::storage::raw::segment::check_written;
use crate::storage::raw::store::Segment;
use crate::support::error::Result;

/// What stands for all rows of a UTC day; each account has a [`proof::Proof`] beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedDay {
    /// All rows of its segments, voids too.
    pub rows: i64,
    /// Sum of the rows' durations, a decimal integer.
    pub duration_ms: String,
    pub accounts: i64,
}

/// The proof of a day whose segments these are, made unless an earlier run made it and no row came since. Returns whether it was
/// made now, too. A segment that is not what was written cannot be proved ([`Error::Damaged`](crate::support::error::Error)): its proof would stand
/// for good. The caller holds the lease.
pub async fn prove(books: &Books, lease: &Lease, day: NaiveDate, segments: &[Segment]) -> Result<(ProvedDay, bool)> {
    let rows = segments.iter().map(|s| s.rows).sum();
    // Rows are only ever added to a day, and merging segments keeps them: with as many rows it is the same day.
    let known = store::proved_day(&books.ledger, day).await?;
    match known.filter(|proved| proved.rows == rows) {
        Some(proved) => Ok((proved, false)),
        None => Ok((prove_anew(books, lease, day, segments, rows).await?, true)),
    }
}

#[tracing::instrument(skip_all)]
async fn prove_anew(
    books: &Books,
    lease: &Lease,
    day: NaiveDate,
    segments: &[Segment],
    rows: i64,
) -> Result<ProvedDay> {
    let check = |segment: &Segment| check_written(&books.data.join(&segment.path), &segment.digest);
    let accounts = tokio::task::block_in_place(|| {
        segments.par_iter().try_for_each(check)?;
        day_digest::proofs_of(&books.data, segments, day_digest::Parameters::Coarse)
    })?;
    let duration_ms: i128 = accounts.iter().map(|p| p.duration_ms).sum();
    let proved = ProvedDay {
        rows,
        duration_ms: duration_ms.to_string(),
        accounts: i64::try_from(accounts.len()).unwrap_or(i64::MAX),
    };
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    store::replace_proofs(&mut tx, day, &proved, &accounts).await?;
    books.ledger.commit(tx, "prove").await?;
    Ok(proved)
}
