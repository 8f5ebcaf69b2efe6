//! The ledger of conflicts.

use std::collections::HashMap;

use chrono::NaiveDate;

use crate::storage::ledger::{Ledger, Row, query};
use crate::storage::raw::store::parse_day;
use crate::support::error::{Error, Result};
use crate::values::calendar::number_of_day;

/// A later row with the identity of another and other content.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ConflictRow {
    pub conflict: i64,
    pub source: String,
    pub id: String,
    /// `open`, `kept`, `replaced`, `repeated` or `expired`.
    pub state: String,
    pub batch: i64,
    pub line: u32,
    /// The input's name.
    pub input: String,
    pub utc_day: NaiveDate,
    pub first_batch: i64,
    pub first_line: u32,
    pub first_input: String,
    pub first_utc_day: NaiveDate,
}

impl ConflictRow {
    /// Batch and line of the row that was accepted first.
    pub fn first(&self) -> (i64, u32) {
        (self.first_batch, self.first_line)
    }

    pub fn later(&self) -> (i64, u32) {
        (self.batch, self.line)
    }

    /// Days since 1970.
    pub fn first_day_number(&self) -> i32 {
        number_of_day(self.first_utc_day)
    }

    pub fn day_number(&self) -> i32 {
        number_of_day(self.utc_day)
    }
}

const COLUMNS: &str = "SELECT c.conflict, c.source, c.id, c.state, c.batch, c.line, b.name, c.utc_day, c.first_batch, \
     c.first_line, f.name, c.first_utc_day FROM conflict c JOIN batch b ON b.batch = c.batch \
     JOIN batch f ON f.batch = c.first_batch";

fn conflict_of(row: &Row) -> Result<ConflictRow> {
    let line = |at: usize| -> Result<u32> {
        u32::try_from(row.try_get::<i64>(at)?)
            .map_err(|_| Error::Unbalanced("the ledger holds a conflict with an impossible line".to_owned()))
    };
    Ok(ConflictRow {
        conflict: row.try_get(0)?,
        source: row.try_get(1)?,
        id: row.try_get(2)?,
        state: row.try_get(3)?,
        batch: row.try_get(4)?,
        line: line(5)?,
        input: row.try_get(6)?,
        utc_day: parse_day(&row.try_get::<String>(7)?)?,
        first_batch: row.try_get(8)?,
        first_line: line(9)?,
        first_input: row.try_get(10)?,
        first_utc_day: parse_day(&row.try_get::<String>(11)?)?,
    })
}

/// Conflicts in the order they came: open ones, or all.
pub async fn conflicts(ledger: &Ledger, all: bool) -> Result<Vec<ConflictRow>> {
    let condition = if all { "1 = 1" } else { "c.state = 'open'" };
    let sql = format!("{COLUMNS} WHERE {condition} ORDER BY c.conflict");
    let rows = query(sql).fetch_all(ledger).await?;
    rows.iter().map(conflict_of).collect()
}

/// How many conflicts are open.
pub async fn open_count(ledger: &Ledger) -> Result<i64> {
    let row = query("SELECT COUNT(*) FROM conflict WHERE state = 'open'")
        .fetch_one(ledger)
        .await?;
    row.try_get(0)
}

/// The names of all inputs, by batch.
pub async fn inputs(ledger: &Ledger) -> Result<HashMap<i64, String>> {
    let rows = query("SELECT batch, name FROM batch").fetch_all(ledger).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// One conflict.
pub async fn conflict(ledger: &Ledger, number: i64) -> Result<ConflictRow> {
    let sql = format!("{COLUMNS} WHERE c.conflict = ?");
    let row = query(sql).bind(number).fetch_optional(ledger).await?;
    row.as_ref().map(conflict_of).transpose()?.ok_or_else(|| {
        Error::Usage(format!(
            "there is no conflict {number}; `tallybook conflict list --all` shows them"
        ))
    })
}

/// Open conflicts of an identity.
pub async fn open_of_identity(ledger: &Ledger, source: &str, id: &str) -> Result<Vec<ConflictRow>> {
    let sql = format!("{COLUMNS} WHERE c.state = 'open' AND c.source = ? AND c.id = ? ORDER BY c.conflict");
    let rows = query(sql).bind(source).bind(id).fetch_all(ledger).await?;
    rows.iter().map(conflict_of).collect()
}

/// Whether the books have not moved yet by the decision that replaced a content.
pub async fn waits_for_metering(ledger: &Ledger, number: i64) -> Result<bool> {
    let row = query("SELECT COUNT(*) FROM conflict WHERE conflict = ? AND state = 'replaced' AND metering IS NULL")
        .bind(number)
        .fetch_one(ledger)
        .await?;
    Ok(row.try_get::<i64>(0)? > 0)
}

/// Whether the books have not moved yet by some decision.
pub async fn any_waits_for_metering(ledger: &Ledger) -> Result<bool> {
    let row = query("SELECT COUNT(*) FROM conflict WHERE state = 'replaced' AND metering IS NULL")
        .fetch_one(ledger)
        .await?;
    Ok(row.try_get::<i64>(0)? > 0)
}
