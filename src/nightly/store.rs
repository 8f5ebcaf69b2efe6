//! The ledger of runs.

use crate::context::Books;
use crate::storage::ledger::nights::{BegunRun, killed_runs, take_begun};
use crate::storage::ledger::{Lease, Ledger, Tx, Value, insert_row, next_number, query};
use crate::support::clock::instant_text;
use crate::support::error::Result;
use crate::support::error::exit_code::ExitCode;

/// A run as `status` shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Run {
    /// None for one that was killed, until the next one counts it.
    pub run: Option<i64>,
    pub command: String,
    pub as_of: String,
    pub exit_code: i64,
    pub report: serde_json::Value,
    /// The report as it was printed.
    #[serde(skip)]
    pub text: String,
}

/// A run about to be kept.
pub struct NewRun<'a> {
    pub command: &'a str,
    pub exit_code: ExitCode,
    /// JSON.
    pub report: &'a str,
    pub text: &'a str,
    /// The last batch that a night found metered at its end; none for a night that failed, or whose clock is in doubt.
    pub metered_to: Option<i64>,
}

/// Keeps a run's report, and puts the runs before it that were killed among the runs.
pub async fn record_run(books: &Books, lease: &Lease, new: &NewRun<'_>) -> Result<()> {
    let mut tx = books.ledger.begin().await?;
    for killed in take_begun(&mut tx, lease).await? {
        add_killed(&mut tx, &killed).await?;
    }
    let run = next_number(&mut tx, "run").await?;
    let closing_hi = match new.metered_to {
        Some(_) => Some(last_closing(&mut tx).await?),
        None => None,
    };
    let ended_at = new.metered_to.map(|_| instant_text(books.clock.by_now()));
    let row: [Value; 10] = [
        run.into(),
        new.command.into(),
        books.clock.text().into(),
        (new.exit_code as i64).into(),
        new.report.into(),
        new.text.into(),
        instant_text(books.clock.machine()).into(),
        ended_at.into(),
        new.metered_to.into(),
        closing_hi.into(),
    ];
    let into = "run (run, command, as_of, exit_code, report, text, machine_at, ended_at, batch_hi, closing_hi)";
    insert_row(&mut tx, into, row).await?;
    books.ledger.commit(tx, "report").await
}

async fn last_closing(tx: &mut Tx) -> Result<i64> {
    let row = query("SELECT COALESCE(MAX(closing), 0) FROM closing")
        .fetch_one(&mut *tx)
        .await?;
    row.try_get(0)
}

async fn add_killed(tx: &mut Tx, killed: &BegunRun) -> Result<()> {
    let run = next_number(tx, "run").await?;
    let row: [Value; 7] = [
        run.into(),
        killed.command.as_str().into(),
        killed.as_of.as_str().into(),
        KILLED_CODE.into(),
        killed_report().to_string().into(),
        killed_text(killed).into(),
        killed.machine_at.as_str().into(),
    ];
    insert_row(
        tx,
        "run (run, command, as_of, exit_code, report, text, machine_at)",
        row,
    )
    .await
}

/// The exit code that stands for a run that had none: that of a failed one.
const KILLED_CODE: i64 = ExitCode::Failed as i64;

fn killed_report() -> serde_json::Value {
    serde_json::json!({ "failed": "killed" })
}

fn killed_text(killed: &BegunRun) -> String {
    format!(
        "nightly run as of {} was interrupted: it was killed, or the machine stopped. Uncommitted work was discarded; the next \
         nightly run completes it\n",
        killed.as_of
    )
}

/// The last runs, newest first.
pub async fn last_runs(ledger: &Ledger, count: i64) -> Result<Vec<Run>> {
    let killed = killed_runs(ledger).await?;
    let killed = killed.iter().rev().map(|killed| Run {
        run: None,
        command: killed.command.clone(),
        as_of: killed.as_of.clone(),
        exit_code: KILLED_CODE,
        report: killed_report(),
        text: killed_text(killed),
    });
    let rows = query("SELECT run, command, as_of, exit_code, report, text FROM run ORDER BY run DESC LIMIT ?")
        .bind(count)
        .fetch_all(ledger)
        .await?;
    let kept = rows.iter().map(|row| {
        Ok(Run {
            run: Some(row.try_get(0)?),
            command: row.try_get(1)?,
            as_of: row.try_get(2)?,
            exit_code: row.try_get(3)?,
            report: serde_json::from_str(&row.try_get::<String>(4)?)?,
            text: row.try_get(5)?,
        })
    });
    killed.map(Ok).chain(kept).collect()
}
