//! What is where: rows, files, days held, periods open and due, the last runs.

use sqlx::Row as _;

use crate::account::store::load_accounts;
use crate::books::Books;
use crate::card::store::load_cards;
use crate::close::due::due;
use crate::error::Result;
use crate::export::store::exports;
use crate::meter::store::{last_batch, progress};
use crate::nightly::store::{Run, last_runs};

/// Exports and runs shown at most.
const LAST: usize = 5;

/// The state of the books.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    pub as_of: String,
    pub batches: i64,
    pub batches_metered: i64,
    /// Kind, files, rows, bytes, first and last day.
    pub segments: Vec<SegmentCount>,
    pub usage_files: i64,
    pub key_runs: i64,
    pub keys: i64,
    pub accounts: usize,
    pub periods_closed: i64,
    pub statements: i64,
    pub statements_not_exported: i64,
    pub periods_due: usize,
    pub quarantined: Vec<(String, i64)>,
    pub conflicts_open: i64,
    pub voids_waiting: i64,
    pub unmetered: Vec<Unmetered>,
    pub late_records: i64,
    pub days_expired: i64,
    pub days_held: Vec<(String, String)>,
    pub exports: Vec<String>,
    pub runs: Vec<Run>,
}

/// Segments of one kind.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SegmentCount {
    pub kind: String,
    pub files: i64,
    pub rows: i64,
    pub bytes: i64,
    pub first_day: Option<String>,
    pub last_day: Option<String>,
}

/// Records without a meter, by what they are.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Unmetered {
    pub task_type: String,
    pub code: String,
    pub sentence: String,
    pub records: i64,
}

/// Reads the state.
pub async fn status(books: &Books) -> Result<Status> {
    let accounts = load_accounts(&books.ledger).await?;
    let cards = load_cards(&books.ledger).await?;
    let due = due(&accounts, &cards, books.clock.now());
    let count = |sql: &'static str| async move {
        let row = sqlx::query(sql).fetch_one(books.ledger.pool()).await?;
        Ok::<i64, crate::error::Error>(row.try_get(0)?)
    };
    let exports = exports(&books.ledger).await?;
    Ok(Status {
        as_of: books.clock.text(),
        batches: last_batch(&books.ledger).await?,
        batches_metered: progress(&books.ledger).await?.batch_hi,
        segments: segments(books).await?,
        usage_files: count("SELECT COUNT(*) FROM usage_file").await?,
        key_runs: count("SELECT COUNT(*) FROM key_run").await?,
        keys: count("SELECT COALESCE(SUM(keys), 0) FROM key_run").await?,
        accounts: accounts.len(),
        periods_closed: count("SELECT COUNT(*) FROM closed_period").await?,
        statements: count("SELECT COUNT(*) FROM statement").await?,
        statements_not_exported: count(
            "SELECT (SELECT COUNT(*) FROM statement) - (SELECT COUNT(*) FROM exported_statement)",
        )
        .await?,
        periods_due: due.iter().map(|d| d.periods.len()).sum(),
        quarantined: crate::ingest::store::quarantine_counts(&books.ledger, None).await?,
        conflicts_open: count("SELECT COUNT(*) FROM conflict WHERE state = 'open'").await?,
        voids_waiting: count("SELECT COUNT(*) FROM void WHERE state = 'waiting'").await?,
        unmetered: unmetered(books).await?,
        late_records: count("SELECT COALESCE(SUM(records), 0) FROM late_usage").await?,
        days_expired: count("SELECT COUNT(*) FROM expired_day WHERE kind = 'usage'").await?,
        days_held: held(books).await?,
        exports: exports.iter().rev().take(LAST).map(|e| e.folder.clone()).collect(),
        runs: last_runs(&books.ledger, LAST as i64).await?,
    })
}

async fn segments(books: &Books) -> Result<Vec<SegmentCount>> {
    let rows = sqlx::query(
        "SELECT kind, COUNT(*), SUM(row_count), SUM(bytes), MIN(day), MAX(day) FROM segment GROUP BY kind ORDER BY kind DESC",
    )
    .fetch_all(books.ledger.pool())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(SegmentCount {
                kind: row.try_get(0)?,
                files: row.try_get(1)?,
                rows: row.try_get(2)?,
                bytes: row.try_get(3)?,
                first_day: row.try_get(4)?,
                last_day: row.try_get(5)?,
            })
        })
        .collect()
}

async fn unmetered(books: &Books) -> Result<Vec<Unmetered>> {
    let rows = sqlx::query(
        "SELECT task_type, code, sentence, SUM(records) FROM unmetered GROUP BY task_type, code, sentence \
         ORDER BY SUM(records) DESC, task_type, code, sentence",
    )
    .fetch_all(books.ledger.pool())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Unmetered {
                task_type: row.try_get(0)?,
                code: row.try_get(1)?,
                sentence: row.try_get(2)?,
                records: row.try_get(3)?,
            })
        })
        .collect()
}

async fn held(books: &Books) -> Result<Vec<(String, String)>> {
    let rows =
        sqlx::query("SELECT day, sentence FROM held_day ORDER BY day, code").fetch_all(books.ledger.pool()).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
