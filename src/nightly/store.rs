//! The ledger of runs.

use crate::books::Books;
use crate::error::Result;
use crate::ledger::{Ledger, Value, insert_row, next_number, query};

/// A run as `status` shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Run {
    pub run: i64,
    pub command: String,
    pub as_of: String,
    pub exit_code: i64,
    pub report: serde_json::Value,
    /// The report as it was printed.
    #[serde(skip)]
    pub text: String,
}

/// Keeps a run's report.
pub async fn record_run(books: &Books, command: &str, exit_code: u8, report: &str, text: &str) -> Result<()> {
    let mut tx = books.ledger.begin().await?;
    let run = next_number(&mut tx, "run").await?;
    let row: [Value; 6] = [
        run.into(),
        command.into(),
        books.clock.text().into(),
        i64::from(exit_code).into(),
        report.into(),
        text.into(),
    ];
    insert_row(&mut tx, "run (run, command, as_of, exit_code, report, text)", row).await?;
    books.ledger.commit(tx, "report").await
}

/// The last runs, newest first.
pub async fn last_runs(ledger: &Ledger, count: i64) -> Result<Vec<Run>> {
    let rows = query("SELECT run, command, as_of, exit_code, report, text FROM run ORDER BY run DESC LIMIT ?")
        .bind(count)
        .fetch_all(ledger)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Run {
                run: row.try_get(0)?,
                command: row.try_get(1)?,
                as_of: row.try_get(2)?,
                exit_code: row.try_get(3)?,
                report: serde_json::from_str(&row.try_get::<String>(4)?)?,
                text: row.try_get(5)?,
            })
        })
        .collect()
}
