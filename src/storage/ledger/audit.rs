//! The audit trail: what people decided, in the transaction that did it.

use super::{Ledger, Tx, Value, insert_row, next_number, query};
use crate::support::error::Result;

/// A decision about to be written.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// Who typed it.
    pub who: &'a str,
    /// Such as `conflict replace`.
    pub action: &'a str,
    /// What it is about, such as `conflict 3`.
    pub subject: String,
    /// What changed.
    pub detail: serde_json::Value,
    /// Why, in the person's words.
    pub reason: &'a str,
    /// The run's clock, RFC 3339.
    pub at: String,
}

/// A decision as it stands in the trail.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Entry {
    pub entry: i64,
    pub at: String,
    pub who: String,
    pub action: String,
    pub subject: String,
    pub detail: serde_json::Value,
    pub reason: String,
}

/// Writes a decision down.
pub async fn add_audit(tx: &mut Tx, decision: &Decision<'_>) -> Result<i64> {
    let entry = next_number(tx, "audit").await?;
    let row: [Value; 7] = [
        entry.into(),
        decision.at.as_str().into(),
        decision.who.into(),
        decision.action.into(),
        decision.subject.as_str().into(),
        decision.detail.to_string().into(),
        decision.reason.into(),
    ];
    insert_row(tx, "audit (entry, at, who, action, subject, detail, reason)", row).await?;
    Ok(entry)
}

/// Every decision, oldest first.
pub async fn audit_trail(ledger: &Ledger) -> Result<Vec<Entry>> {
    let rows = query("SELECT entry, at, who, action, subject, detail, reason FROM audit ORDER BY entry")
        .fetch_all(ledger)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Entry {
                entry: row.try_get(0)?,
                at: row.try_get(1)?,
                who: row.try_get(2)?,
                action: row.try_get(3)?,
                subject: row.try_get(4)?,
                detail: serde_json::from_str(&row.try_get::<String>(5)?)?,
                reason: row.try_get(6)?,
            })
        })
        .collect()
}
