//! What was deleted: when, by whom and why. Written in the transaction that deletes, and never deleted itself.

use chrono::NaiveDate;

use crate::context::Books;
use crate::context::keeping::Class;
use crate::storage::ledger::{Ledger, Reading, Row, Tx, Value, insert_row, next_number, query};
use crate::support::error::Result;

/// Why something was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its own clock.
    Clock,
    /// The raw records that it belongs to had expired.
    Raw,
    /// Its source was disabled.
    SourceDisabled,
    /// Its account has ended.
    AccountEnded,
    /// Its account was erased.
    AccountErased,
    /// A person did it; the audit trail has the reason.
    ByHand,
}

impl Why {
    pub fn text(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Raw => "raw",
            Self::SourceDisabled => "source_disabled",
            Self::AccountEnded => "account_ended",
            Self::AccountErased => "account_erased",
            Self::ByHand => "by_hand",
        }
    }
}

/// The class of what went with an account that was erased, whatever its clock.
pub const ERASURE: &str = "erasure";

/// A deletion about to be written.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// Of a class with a clock, its text; or [`ERASURE`].
    pub class: &'static str,
    /// The UTC day or the month, or what came before a time.
    pub subject: String,
    /// Records, payloads, lines or files.
    pub rows: i64,
    pub why: Why,
    /// The audit entry of what was done by hand.
    pub entry: Option<i64>,
}

impl Deletion {
    /// One by a clock.
    pub fn by_clock(class: Class, subject: &impl ToString, rows: i64) -> Self {
        Self {
            class: class.text(),
            subject: subject.to_string(),
            rows,
            why: Why::Clock,
            entry: None,
        }
    }
}

/// A deletion as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Deleted {
    pub class: String,
    pub subject: String,
    pub rows: i64,
    pub deleted_at: String,
    /// Who ran the command; none where an earlier version deleted it.
    pub who: Option<String>,
    pub why: String,
    pub audit_entry: Option<i64>,
}

/// A deletion by its number, and what it was of.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct NumberedDeletion {
    pub number: i64,
    pub class: String,
    pub subject: String,
}

/// The number of the last deletion; 0 before the first.
pub async fn last_deletion(reading: &mut Reading) -> Result<i64> {
    let row = query("SELECT COALESCE(MAX(deletion), 0) FROM deletion")
        .fetch_one(reading)
        .await?;
    row.try_get(0)
}

/// Deletions after a number.
pub async fn deletions_after(reading: &mut Reading, number: i64) -> Result<Vec<NumberedDeletion>> {
    let rows = query("SELECT deletion, class, subject FROM deletion WHERE deletion > ? ORDER BY deletion")
        .bind(number)
        .fetch_all(reading)
        .await?;
    let deletion = |row: &Row| {
        Ok(NumberedDeletion {
            number: row.try_get(0)?,
            class: row.try_get(1)?,
            subject: row.try_get(2)?,
        })
    };
    rows.iter().map(deletion).collect()
}

/// What a deletion of service-log fields in queue data is of.
pub fn bared_subject(day: NaiveDate) -> String {
    format!("{day} in queue data")
}

/// Writes a deletion down.
pub async fn note(tx: &mut Tx, books: &Books, deletion: &Deletion) -> Result<()> {
    let number = next_number(tx, "deletion").await?;
    let row: [Value; 8] = [
        number.into(),
        deletion.class.into(),
        deletion.subject.as_str().into(),
        deletion.rows.into(),
        books.clock.text().into(),
        books.settings.who.as_str().into(),
        deletion.why.text().into(),
        deletion.entry.into(),
    ];
    let columns = "deletion (deletion, class, subject, row_count, deleted_at, who, why, audit_entry)";
    insert_row(tx, columns, row).await
}

/// Whether a deletion of that class and subject is written down.
pub async fn is_noted(ledger: &Ledger, class: Class, subject: &str) -> Result<bool> {
    let row = query("SELECT COUNT(*) FROM deletion WHERE class = ? AND subject = ?")
        .bind(class.text())
        .bind(subject)
        .fetch_one(ledger)
        .await?;
    Ok(row.try_get::<i64>(0)? > 0)
}
