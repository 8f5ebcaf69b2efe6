//! Queue data: what events brought besides usage. It lives until it is deleted by hand, at the latest some days after its source is
//! disabled or its account ends, and never longer than the raw records that were made of it.
//!
//! ```text
//! raw gone    a day without raw records any more goes whole
//! ended       rows of sources and accounts that ended go; the files are written anew without them
//! bare        after the clock of the service log its fields go out of what is kept
//! ```

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::blockers::Held;
use super::deletion::{Deletion, Why, bared_subject, note};
use super::payload_files::{KINDS, rewrite, sync};
use super::{is_past, store};
use crate::catalog::account::end::store::ended_accounts;
use crate::catalog::source::store::disabled;
use crate::context::Books;
use crate::context::keeping::Class;
use crate::context::write_attempt::WriteAttempt;
use crate::pipeline::ingest::formats::events::without_service_log;
use crate::storage::ledger::Lease;
use crate::storage::raw::payload::{PayloadRow, has_payloads_of};
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::{Segment, drop_segments, segments_of_day};
use crate::support::error::{Error, Result};

/// What an expiry of queue data did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ExpiredQueueData {
    /// Payloads that were deleted.
    pub payloads: i64,
    /// Payloads whose service-log fields were deleted.
    pub bare: i64,
}

impl ExpiredQueueData {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Whose time is over: sources that were disabled, and accounts that ended, so many days ago.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    pub sources: BTreeSet<String>,
    pub accounts: BTreeSet<u64>,
}

impl Ended {
    /// What has ended by now. Days are UTC days, so that nothing is kept for longer than the setting says. Sources end by being
    /// disabled, accounts on the first day that is not billed.
    pub async fn of(books: &Books) -> Result<Self> {
        let today = books.clock.irreversible().date_naive();
        let keep = Days::new(u64::from(books.settings.keep_queue_days));
        let is_over = |day: NaiveDate| day.checked_add_days(keep).is_some_and(|until| until <= today);
        let mut sources = BTreeSet::new();
        for (source, since) in disabled(&books.ledger).await? {
            if is_over(day_of(&source, &since)?) {
                sources.insert(source);
            }
        }
        let accounts = ended_accounts(&books.ledger).await?.into_iter();
        Ok(Self {
            sources,
            accounts: accounts
                .filter(|(_, ended)| is_over(ended.day))
                .map(|(uin, _)| uin)
                .collect(),
        })
    }

    fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.accounts.is_empty()
    }

    /// Why a row goes.
    fn why(&self, source: &str, uin: Option<u64>) -> Option<Why> {
        if self.sources.contains(source) {
            return Some(Why::SourceDisabled);
        }
        let is_ended = uin.is_some_and(|uin| self.accounts.contains(&uin));
        is_ended.then_some(Why::AccountEnded)
    }
}

/// The UTC day on which a source was disabled.
pub fn day_of(source: &str, since: &str) -> Result<NaiveDate> {
    let time: DateTime<Utc> = since.parse().map_err(|_| {
        Error::Unbalanced(format!(
            "the ledger says that source {source} is disabled since {since:?}, which is no time; restore the ledger from a backup"
        ))
    })?;
    Ok(time.date_naive())
}

/// Deletes what is due. The caller holds the lease, and has let raw days go before. A day with a damaged file is held and named.
pub async fn expire_queue_data(
    books: &Books,
    lease: &Lease,
    ended: &Ended,
    held: &mut Vec<Held>,
) -> Result<ExpiredQueueData> {
    let mut done = ExpiredQueueData::default();
    let today = books.clock.irreversible().date_naive();
    for kind in KINDS {
        for day in store::days_with_segments(&books.ledger, kind).await? {
            let segments = segments_of_day(&books.ledger, kind, day).await?;
            if segments_of_day(&books.ledger, SegmentKind::Usage, day)
                .await?
                .is_empty()
            {
                done.payloads += drop_day(books, lease, day, &segments).await?;
                continue;
            }
            let is_to_bare = kind == SegmentKind::Payload && is_past(day, books.settings.keep_log_months, today);
            let due = Due {
                day,
                kind,
                is_to_bare,
                ended,
            };
            match due.expire(books, lease, segments).await {
                Ok((payloads, bare)) => {
                    done.payloads += payloads;
                    done.bare += bare;
                }
                Err(damaged @ Error::Damaged { .. }) => held.push(Held::damaged_payloads(day, &damaged)),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(done)
}

async fn drop_day(books: &Books, lease: &Lease, day: NaiveDate, segments: &[Segment]) -> Result<i64> {
    let rows = segments.iter().map(|segment| segment.rows).sum();
    let paths: Vec<String> = segments.iter().map(|segment| segment.path.clone()).collect();
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    drop_segments(&mut tx, &paths).await?;
    let deletion = Deletion {
        why: Why::Raw,
        ..Deletion::by_clock(Class::Queue, &day, rows)
    };
    note(&mut tx, books, &deletion).await?;
    books.ledger.commit(tx, "expire_queue").await?;
    Ok(rows)
}

/// What may be due on a day that has raw records still.
struct Due<'a> {
    day: NaiveDate,
    kind: SegmentKind,
    is_to_bare: bool,
    ended: &'a Ended,
}

impl Due<'_> {
    /// Returns how many payloads went, and how many lost their service-log fields.
    async fn expire(&self, books: &Books, lease: &Lease, segments: Vec<Segment>) -> Result<(i64, i64)> {
        let affected = tokio::task::block_in_place(|| self.affected(books, segments))?;
        if affected.is_empty() {
            return Ok((0, 0));
        }
        let attempt = WriteAttempt::register(books, "payloads").await?;
        let mut gone: BTreeMap<&'static str, (Why, i64)> = BTreeMap::new();
        let mut bare = 0;
        let mut change = |row: PayloadRow| {
            if let Some(why) = self.ended.why(&row.source, row.uin) {
                gone.entry(why.text()).or_insert((why, 0)).1 += 1;
                return None;
            }
            bare += i64::from(self.is_to_bare);
            Some(if self.is_to_bare { bared(row) } else { row })
        };
        let into = if self.is_to_bare {
            SegmentKind::BarePayload
        } else {
            self.kind
        };
        let (rewrites, synced) = tokio::task::block_in_place(|| {
            let rewrites = [rewrite(books, &attempt, (self.day, into), affected, &mut change)?];
            let synced = sync(&attempt, &rewrites)?;
            Ok::<_, Error>((rewrites, synced))
        })?;
        let mut tx = attempt.begin(Some(lease)).await?;
        rewrites[0].swap(&mut tx).await?;
        for &(why, rows) in gone.values() {
            let deletion = Deletion {
                why,
                ..Deletion::by_clock(Class::Queue, &self.day, rows)
            };
            note(&mut tx, books, &deletion).await?;
        }
        if bare > 0 {
            let subject = bared_subject(self.day);
            note(&mut tx, books, &Deletion::by_clock(Class::Log, &subject, bare)).await?;
        }
        attempt.commit(tx, synced).await?;
        Ok((rewrites[0].removed(), bare))
    }

    /// Segments with something that goes.
    fn affected(&self, books: &Books, segments: Vec<Segment>) -> Result<Vec<Segment>> {
        if self.is_to_bare {
            return Ok(segments);
        }
        if self.ended.is_empty() {
            return Ok(Vec::new());
        }
        let mut affected = Vec::new();
        for segment in segments {
            let path = books.data.join(&segment.path);
            if !path.exists() {
                return Err(Error::damaged(&path, "is missing; restore it from a backup"));
            }
            if has_payloads_of(&path, |source, uin| self.ended.why(source, uin).is_some())? {
                affected.push(segment);
            }
        }
        Ok(affected)
    }
}

/// A payload without its service-log fields. The id of its task stays: the identities of its records, which raw keeps, begin with it.
fn bared(row: PayloadRow) -> PayloadRow {
    PayloadRow {
        payload: without_service_log(&row.payload),
        ..row
    }
}
