//! Marks of books that went on, set again in an earlier state of them: what has expired since is gone from there, too.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::day_digest::Proof;
use super::record_digest::ProvedDay;
use super::store::{mark_expired, replace_proofs};
use crate::pipeline::meter::store::let_conflicts_go;
use crate::storage::ledger::{Tx, Value, insert_row, set_counter};
use crate::storage::raw::segment::SegmentKind;
use crate::support::error::{Error, Result};

/// A day that has expired, as the ledger marks it.
#[derive(Clone, Debug)]
pub struct ExpiredMark {
    /// UTC.
    pub day: NaiveDate,
    /// Raw records or service-log fields.
    pub kind: SegmentKind,
    pub expired_at: String,
    pub rows: i64,
    /// Sum, a decimal integer.
    pub duration_ms: String,
}

/// A deletion that was written down. What a person decided in it is in the audit trail of the books that went on.
#[derive(Clone, Debug)]
pub struct NotedDeletion {
    pub number: i64,
    pub class: String,
    pub subject: String,
    pub rows: i64,
    pub deleted_at: String,
    pub who: String,
    pub why: String,
}

/// What has expired since, as the books that went on have it.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    pub days: Vec<ExpiredMark>,
    /// What stands for raw days.
    pub proofs: BTreeMap<NaiveDate, (ProvedDay, Vec<Proof>)>,
    /// In the order of their numbers.
    pub deletions: Vec<NotedDeletion>,
}

/// Sets marks with their proofs, lets open conflicts of those days go, and writes the deletions down.
///
/// # Errors
/// [`Error::Unbalanced`] for a raw day without what stands for it.
pub async fn mark_again(tx: &mut Tx, marks: &Marks) -> Result<()> {
    for mark in &marks.days {
        if mark.kind == SegmentKind::Usage {
            let (proved, accounts) = marks.proofs.get(&mark.day).ok_or_else(|| {
                Error::Unbalanced(format!(
                    "{} has expired, and no digests of it are in the newest backup",
                    mark.day
                ))
            })?;
            replace_proofs(tx, mark.day, proved, accounts).await?;
            let_conflicts_go(tx, mark.day).await?;
        }
        mark_expired(tx, mark.kind, mark.day, mark.rows, &mark.duration_ms, &mark.expired_at).await?;
    }
    for deletion in &marks.deletions {
        let row: [Value; 8] = [
            deletion.number.into(),
            deletion.class.as_str().into(),
            deletion.subject.as_str().into(),
            deletion.rows.into(),
            deletion.deleted_at.as_str().into(),
            deletion.who.as_str().into(),
            deletion.why.as_str().into(),
            Value::NullInteger,
        ];
        let columns = "deletion (deletion, class, subject, row_count, deleted_at, who, why, audit_entry)";
        insert_row(tx, columns, row).await?;
        set_counter(tx, "deletion", deletion.number).await?;
    }
    Ok(())
}
