//! Payloads that a person deletes: all files that have them are written anew without them, in one transaction with the reason.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::deletion::{Deletion, Why, note};
use super::payload_files::{Rewrite, rewrite, sync};
use crate::context::Books;
use crate::context::keeping::Class;
use crate::context::write_attempt::WriteAttempt;
use crate::pipeline::ingest::payloads::{PayloadFilter, payload_segments};
use crate::storage::ledger::{Decision, Lease, add_audit};
use crate::storage::raw::payload::{PayloadRow, for_each_payload_group};
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::Segment;
use crate::support::error::{Error, Result};

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DeletedPayloads {
    pub payloads: i64,
    /// None where nothing fitted.
    pub audit_entry: Option<i64>,
}

/// Deletes the payloads that fit. The audit trail has the reason and how many they were, and not by which session or task they were
/// found: it is kept for ever.
pub async fn delete(books: &Books, lease: &Lease, filter: &PayloadFilter, reason: &str) -> Result<DeletedPayloads> {
    let segments = payload_segments(books).await?;
    let affected = tokio::task::block_in_place(|| affected(books, filter, segments))?;
    if affected.is_empty() {
        return Ok(DeletedPayloads::default());
    }
    let attempt = WriteAttempt::register(books, "payloads").await?;
    let (rewrites, synced) = tokio::task::block_in_place(|| {
        let mut rewrites = Vec::new();
        for ((kind, day), segments) in affected {
            let mut keep = |row: PayloadRow| (!filter.fits(&row)).then_some(row);
            rewrites.push(rewrite(books, &attempt, (day, kind_of(kind)), segments, &mut keep)?);
        }
        let synced = sync(&attempt, &rewrites)?;
        Ok::<_, Error>((rewrites, synced))
    })?;
    let payloads = rewrites.iter().map(Rewrite::removed).sum();
    let mut tx = attempt.begin(Some(lease)).await?;
    let entry = add_audit(&mut tx, &decision(books, filter, payloads, reason)).await?;
    for rewrite in &rewrites {
        rewrite.swap(&mut tx).await?;
        let deletion = Deletion {
            class: Class::Queue.text(),
            subject: rewrite.day.to_string(),
            rows: rewrite.removed(),
            why: Why::ByHand,
            entry: Some(entry),
        };
        note(&mut tx, books, &deletion).await?;
    }
    attempt.commit(tx, synced).await?;
    Ok(DeletedPayloads {
        payloads,
        audit_entry: Some(entry),
    })
}

fn decision<'a>(books: &'a Books, filter: &PayloadFilter, payloads: i64, reason: &'a str) -> Decision<'a> {
    let by = [("session", filter.session.is_some()), ("task", filter.task.is_some())];
    let by: Vec<&str> = by
        .into_iter()
        .filter_map(|(name, is_said)| is_said.then_some(name))
        .collect();
    let source = filter.source.as_ref();
    Decision {
        who: &books.settings.who,
        action: "payloads delete",
        subject: source.map_or_else(|| "all sources".to_owned(), |source| format!("source {source}")),
        detail: serde_json::json!({ "payloads": payloads, "by": by }),
        reason,
        at: books.clock.text(),
    }
}

/// Kinds have no order of their own.
fn kind_of(text: &str) -> SegmentKind {
    if text == SegmentKind::BarePayload.text() {
        SegmentKind::BarePayload
    } else {
        SegmentKind::Payload
    }
}

type ByKindAndDay = BTreeMap<(&'static str, NaiveDate), Vec<Segment>>;

/// Segments with rows that fit.
fn affected(books: &Books, filter: &PayloadFilter, segments: Vec<(SegmentKind, Segment)>) -> Result<ByKindAndDay> {
    let mut affected = ByKindAndDay::new();
    for (kind, segment) in segments {
        let mut any = false;
        for_each_payload_group(&books.data.join(&segment.path), |rows| {
            any |= rows.iter().any(|row| filter.fits(row));
            Ok(())
        })?;
        if any {
            affected.entry((kind.text(), segment.day)).or_default().push(segment);
        }
    }
    Ok(affected)
}
