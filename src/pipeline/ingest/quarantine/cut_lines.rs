//! A refused line that was cut when it was first read, and came whole since: nobody need look at it any more.

use super::store;
use crate::pipeline::ingest::earlier_read::Earlier;
use crate::pipeline::ingest::record::refusal::code;
use crate::storage::ledger::{Decision, Tx, add_audit, query};
use crate::support::error::Result;

/// Sets the cut line of an earlier state aside, if it waits, in the transaction that commits the whole one as `batch`.
pub async fn set_cut_line_aside(tx: &mut Tx, earlier: Earlier, batch: i64, at: &str) -> Result<()> {
    let Some(line) = earlier.cut_line.and_then(|line| i64::try_from(line).ok()) else {
        return Ok(());
    };
    // A JSON line that is cut says so; of a CSV any refusal may come of it.
    let found = query(
        "SELECT q.quarantine FROM quarantine q JOIN batch b ON b.batch = q.batch WHERE q.batch = ? AND q.line = ? \
         AND q.accepted_by IS NULL AND q.dismissed_by IS NULL AND (b.format = 'csv' OR q.code = ?)",
    )
    .bind(earlier.batch)
    .bind(line)
    .bind(code::CUT_OFF)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = found else { return Ok(()) };
    let number: i64 = row.try_get(0)?;
    let decision = Decision {
        who: "tallybook",
        action: "whole line",
        subject: format!("quarantined line {number}"),
        detail: serde_json::json!({ "batch": earlier.batch, "line": line, "whole_batch": batch }),
        reason: "the input ended within this line when it was first read; the whole line was read since",
        at: at.to_owned(),
    };
    let entry = add_audit(tx, &decision).await?;
    store::set_aside(tx, &[number], entry, at).await
}
