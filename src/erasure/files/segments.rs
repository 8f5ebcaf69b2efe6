//! Segments written anew without rows of the account: raw, service log and payloads.

use chrono::NaiveDate;

use super::rows::segments_of;
use super::{Class, RewrittenFile};
use crate::context::Books;
use crate::context::write_attempt::WriteAttempt;
use crate::storage::ledger::Tx;
use crate::storage::raw::account_rows::RowSet;
use crate::storage::raw::segment::{NewSegment, SegmentKind};
use crate::storage::raw::store::{Segment, add_segments, drop_segments, expired_days};
use crate::storage::raw::without_rows::{Place, without_rows};
use crate::support::error::{Error, Result};
use crate::support::threads;

/// The kinds of segment, with what each is to a person.
const KINDS: [(SegmentKind, Class); 4] = [
    (SegmentKind::Usage, Class::Raw),
    (SegmentKind::Log, Class::Log),
    (SegmentKind::Payload, Class::Payload),
    (SegmentKind::BarePayload, Class::Payload),
];

/// A segment, and what it was written anew as; none where nothing of it was left.
pub struct RewrittenSegment {
    before: Segment,
    new: Option<NewSegment>,
}

/// Days whose service log is still there while their raw records are gone: nobody can tell whose it is.
pub async fn days_of_unknown_log(books: &Books) -> Result<Vec<NaiveDate>> {
    let expired = expired_days(&books.ledger).await?;
    let mut days: Vec<NaiveDate> = segments_of(books, SegmentKind::Log)
        .await?
        .iter()
        .map(|segment| segment.day)
        .filter(|day| expired.contains(day))
        .collect();
    days.dedup();
    Ok(days)
}

/// Writes all segments anew that have `rows`, or rows that say that they are of the account.
pub async fn rewrite_segments(
    books: &Books,
    attempt: &WriteAttempt<'_>,
    uin: u64,
    rows: &RowSet,
) -> Result<(Vec<RewrittenSegment>, Vec<RewrittenFile>)> {
    let mut all = Vec::new();
    for (kind, class) in KINDS {
        let segments = segments_of(books, kind).await?.into_iter();
        all.extend(segments.map(|segment| (kind, class, segment)));
    }
    let goes = |place: Place| place.uin == Some(uin) || rows.has(place.intake, place.line);
    let rewrite = |at: usize| {
        let (kind, _, segment) = &all[at];
        let path = books.data.join(&segment.path);
        if !path.exists() {
            return Err(Error::damaged(&path, "is missing; restore it from a backup"));
        }
        without_rows(&books.data, (*kind, segment), (attempt.number(), at), goes)
    };
    let written = tokio::task::block_in_place(|| threads::map(all.len(), rewrite))?;
    let (mut rewritten, mut told) = (Vec::new(), Vec::new());
    for ((_, class, before), without) in all.into_iter().zip(written) {
        let Some(without) = without else { continue };
        told.push(RewrittenFile {
            class,
            path: before.path.clone(),
            new_path: without.new.as_ref().map(|new| new.path.clone()),
            before: before.digest.clone(),
            after: without.new.as_ref().map(|new| new.digest.clone()),
            removed: i64::try_from(without.removed).unwrap_or(i64::MAX),
        });
        rewritten.push(RewrittenSegment {
            before,
            new: without.new,
        });
    }
    Ok((rewritten, told))
}

impl RewrittenSegment {
    /// The new file.
    pub fn path(&self) -> Option<&str> {
        self.new.as_ref().map(|new| &*new.path)
    }

    /// Names the new file in the place of the one before.
    pub async fn swap(&self, tx: &mut Tx) -> Result<()> {
        drop_segments(tx, std::slice::from_ref(&self.before.path)).await?;
        let new: Vec<NewSegment> = self.new.iter().cloned().collect();
        add_segments(tx, &new, self.before.batch_lo, self.before.batch_hi).await
    }
}
