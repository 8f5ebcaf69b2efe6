//! The ledger of what is pulled: how far each source has been read, and how its last pull ended.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::storage::ledger::{Ledger, Row, Tx, Value, delete_rows, insert_row, query, reseal};
use crate::support::error::Result;

/// How far a source has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Position {
    pub kind: String,
    /// SHA-256 of where it is and where it starts.
    pub place: String,
    /// In the source's own words; none: a queue keeps it.
    pub position: Option<String>,
    /// The newest time that the source itself has for what was read.
    pub newest: Option<String>,
    /// The last batch.
    pub batch: Option<i64>,
    /// Parts committed, and records received, so far.
    pub parts: i64,
    pub records: i64,
    pub committed_at: String,
}

/// What a part moves on.
pub struct NewPosition<'a> {
    pub source: &'a str,
    pub kind: &'a str,
    pub place: &'a str,
    pub position: Option<&'a str>,
    pub newest: Option<DateTime<Utc>>,
    pub batch: Option<i64>,
    pub received: i64,
    pub at: &'a str,
}

const POSITION_COLUMNS: &str =
    "SELECT kind, position, newest, batch, parts, records, committed_at, source, place FROM source_position";

fn position_of(row: &Row) -> Result<Position> {
    Ok(Position {
        kind: row.try_get(0)?,
        position: row.try_get(1)?,
        newest: row.try_get(2)?,
        batch: row.try_get(3)?,
        parts: row.try_get(4)?,
        records: row.try_get(5)?,
        committed_at: row.try_get(6)?,
        place: row.try_get(8)?,
    })
}

/// Forgets how far a source has been read, which objects it had, and how its last pull ended.
///
/// # Errors
/// The ledger's.
pub async fn forget(tx: &mut Tx, source: &str) -> Result<()> {
    for table in ["source_position", "source_object", "source_pull"] {
        delete_rows(tx, table, "source = ?", &[source.into()]).await?;
    }
    Ok(())
}

/// How far a source has been read.
pub async fn position(ledger: &Ledger, source: &str) -> Result<Option<Position>> {
    let row = query(format!("{POSITION_COLUMNS} WHERE source = ?"))
        .bind(source)
        .fetch_optional(ledger)
        .await?;
    row.as_ref().map(position_of).transpose()
}

/// How far each source has been read.
pub async fn positions(ledger: &Ledger) -> Result<BTreeMap<String, Position>> {
    let rows = query(POSITION_COLUMNS).fetch_all(ledger).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(7)?, position_of(row)?)))
        .collect()
}

/// Moves a source on. The newest time never goes back.
pub async fn advance(tx: &mut Tx, new: &NewPosition<'_>) -> Result<()> {
    let known = query(format!("{POSITION_COLUMNS} WHERE source = ?"))
        .bind(new.source)
        .fetch_optional(&mut *tx)
        .await?;
    let newest = new.newest.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, false));
    let position = new.position.map(ToOwned::to_owned);
    let Some(row) = known else {
        let row: [Value; 9] = [
            new.source.into(),
            new.kind.into(),
            new.place.into(),
            position.into(),
            newest.into(),
            new.batch.into(),
            1.into(),
            new.received.into(),
            new.at.into(),
        ];
        let into = "source_position (source, kind, place, position, newest, batch, parts, records, committed_at)";
        return insert_row(tx, into, row).await;
    };
    let known = position_of(&row)?;
    query(
        "UPDATE source_position SET kind = ?, place = ?, position = ?, newest = ?, batch = ?, parts = ?, records = ?, committed_at = ? \
         WHERE source = ?",
    )
    .bind(new.kind)
    .bind(new.place)
    .bind(position)
    .bind(newest.max(known.newest))
    .bind(new.batch.or(known.batch))
    .bind(known.parts + 1)
    .bind(known.records + new.received)
    .bind(new.at)
    .bind(new.source)
    .execute(&mut *tx)
    .await?;
    reseal(tx, "source_position", "source = ?", &[new.source.into()]).await
}

/// How the last pull of a source ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LastPull {
    pub pulled_at: String,
    /// `done`, `unavailable`, `needs_person` or `failed`.
    pub state: String,
    /// When one ended as `done` last.
    pub done_at: Option<String>,
    /// Pulls in a row that did not.
    pub failures: i64,
    pub message: Option<String>,
}

/// How the last pull of each source ended.
pub async fn last_pulls(ledger: &Ledger) -> Result<BTreeMap<String, LastPull>> {
    let rows = query("SELECT source, pulled_at, state, done_at, failures, message FROM source_pull ORDER BY source")
        .fetch_all(ledger)
        .await?;
    rows.iter()
        .map(|row| {
            let pull = LastPull {
                pulled_at: row.try_get(1)?,
                state: row.try_get(2)?,
                done_at: row.try_get(3)?,
                failures: row.try_get(4)?,
                message: row.try_get(5)?,
            };
            Ok((row.try_get(0)?, pull))
        })
        .collect()
}

/// Characters of a message that are kept.
const MESSAGE_CHARS_MAX: usize = 4000;

/// Notes how a pull ended.
pub async fn note_pull(ledger: &Ledger, source: &str, state: &str, message: Option<&str>, at: &str) -> Result<()> {
    let mut tx = ledger.begin().await?;
    let known = query("SELECT done_at, failures FROM source_pull WHERE source = ?")
        .bind(source)
        .fetch_optional(&mut tx)
        .await?;
    let (done_at, failures): (Option<String>, i64) = match &known {
        Some(row) => (row.try_get(0)?, row.try_get(1)?),
        None => (None, 0),
    };
    let is_done = state == super::pull::State::Done.text();
    let done_at = if is_done { Some(at.to_owned()) } else { done_at };
    let failures = if is_done { 0 } else { failures + 1 };
    let message = message.map(|message| message.chars().take(MESSAGE_CHARS_MAX).collect::<String>());
    if known.is_none() {
        let row: [Value; 6] = [
            source.into(),
            at.into(),
            state.into(),
            done_at.into(),
            failures.into(),
            message.into(),
        ];
        insert_row(
            &mut tx,
            "source_pull (source, pulled_at, state, done_at, failures, message)",
            row,
        )
        .await?;
    } else {
        query(
            "UPDATE source_pull SET pulled_at = ?, state = ?, done_at = ?, failures = ?, message = ? WHERE source = ?",
        )
        .bind(at)
        .bind(state)
        .bind(done_at)
        .bind(failures)
        .bind(message)
        .bind(source)
        .execute(&mut tx)
        .await?;
        reseal(&mut tx, "source_pull", "source = ?", &[source.into()]).await?;
    }
    ledger.commit(tx, "pull").await
}
