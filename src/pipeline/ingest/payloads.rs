//! What events brought besides usage, as it is kept: searched by source, session and task.

use chrono::NaiveDate;

use crate::context::Books;
use crate::storage::raw::payload::{PayloadRow, for_each_payload_group};
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::{Segment, segments_between};
use crate::support::clock::instant_ns_text;
use crate::support::error::{Error, Result};

/// Which payloads are meant: those that fit all that is said.
#[derive(Clone, Debug, Default)]
pub struct PayloadFilter {
    pub source: Option<String>,
    /// The customer's own session id.
    pub session: Option<String>,
    pub task: Option<String>,
}

impl PayloadFilter {
    pub fn fits(&self, row: &PayloadRow) -> bool {
        let fits = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        fits(&self.source, &row.source) && fits(&self.session, &row.session_id) && fits(&self.task, &row.task_id)
    }
}

/// A payload as it is listed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Listed {
    /// The earliest UTC day of its records.
    pub day: NaiveDate,
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uin: Option<String>,
    pub task_id: String,
    pub session_id: String,
    pub session_context: String,
    pub received_at: String,
    /// Whether its service-log fields have expired.
    pub without_service_log: bool,
    pub payload: String,
}

/// The segments of payloads, by kind and day.
pub async fn payload_segments(books: &Books) -> Result<Vec<(SegmentKind, Segment)>> {
    let mut all = Vec::new();
    for kind in [SegmentKind::Payload, SegmentKind::BarePayload] {
        let segments = segments_between(&books.ledger, kind, 0, i64::MAX).await?;
        all.extend(segments.into_iter().map(|segment| (kind, segment)));
    }
    Ok(all)
}

/// Payloads that fit, oldest day first; at most so many.
///
/// # Errors
/// Where nobody defined the source that is named, and it has no payloads.
pub async fn list(books: &Books, filter: &PayloadFilter, limit: usize) -> Result<Vec<Listed>> {
    let mut segments = payload_segments(books).await?;
    segments.sort_by(|(_, a), (_, b)| (a.day, &a.path).cmp(&(b.day, &b.path)));
    let mut listed = Vec::new();
    tokio::task::block_in_place(|| {
        for (kind, segment) in &segments {
            for_each_payload_group(&books.data.join(&segment.path), |rows| {
                let room = limit - listed.len();
                let fitting = rows.into_iter().filter(|row| filter.fits(row)).take(room);
                listed.extend(fitting.map(|row| listed_of(*kind, segment.day, row)));
                Ok(())
            })?;
            if listed.len() == limit {
                break;
            }
        }
        Ok::<_, Error>(())
    })?;
    Ok(listed)
}

fn listed_of(kind: SegmentKind, day: NaiveDate, row: PayloadRow) -> Listed {
    Listed {
        day,
        source: row.source,
        uin: row.uin.map(|uin| uin.to_string()),
        task_id: row.task_id,
        session_id: row.session_id,
        session_context: row.session_context,
        received_at: instant_ns_text(row.receipt_ns),
        without_service_log: kind == SegmentKind::BarePayload,
        payload: row.payload,
    }
}
