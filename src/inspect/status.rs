//! What is where: rows, files, days held, periods open and due, the last runs.

use chrono::{DateTime, Utc};

use super::store;
use crate::catalog::account::cohorts::cohorts;
use crate::catalog::account::{Account, Accounts};
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::store::load_cards;
use crate::context::Books;
use crate::nightly::store::{Run, last_runs};
use crate::pipeline::close::due::due;
use crate::pipeline::ingest::quarantine::alarm::Alarm;
use crate::pipeline::meter::store::{last_batch, progress};
use crate::sources::overview::{Overview, overview};
use crate::storage::ledger::fact::{FIRST_DAY, LAST_RUN_CLOCK, NEWEST_MACHINE_CLOCK, fact};
use crate::support::error::Result;

/// Exports and runs shown at most.
const LAST: u8 = 5;

/// The state of the books.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    pub as_of: String,
    /// The newest machine's clock that the books accepted; none before the first command that recorded one.
    pub newest_machine_clock: Option<String>,
    /// The run's clock of the last command that wrote.
    pub last_run_clock: Option<String>,
    /// The UTC day before which usage is refused; none before the first batch.
    pub first_day: Option<String>,
    pub batches: i64,
    pub batches_metered: i64,
    /// Kind, files, rows, bytes, first and last day.
    pub segments: Vec<SegmentCount>,
    pub usage_files: i64,
    pub key_runs: i64,
    pub keys: i64,
    pub accounts: usize,
    /// Those of them that ended, also on a day that is still to come.
    pub accounts_ended: i64,
    pub periods_closed: i64,
    pub statements: i64,
    pub statements_not_exported: i64,
    pub periods_due: usize,
    pub quarantined: Vec<(String, i64)>,
    /// What is defined, how far it has been read, and how its last pull ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Overview>,
    /// Inputs that need a person.
    pub alarms: Vec<Alarm>,
    pub conflicts_open: i64,
    /// The open conflicts, the waiting voids and the late usage, one by one.
    pub conflicts: Vec<Conflict>,
    pub voids_waiting: i64,
    /// Voids that name a void and took nothing back.
    pub voids_of_voids: i64,
    pub voids: Vec<WaitingVoid>,
    pub unmetered: Vec<Unmetered>,
    pub late_records: i64,
    pub late_usage: Vec<LateUsage>,
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

/// A row with the identity of another and other content.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Conflict {
    pub source: String,
    pub id: String,
    pub uin: Option<String>,
    pub batch: i64,
    pub line: i64,
    pub first_batch: i64,
    pub first_line: i64,
}

/// A void whose record has not come.
#[derive(Clone, Debug, serde::Serialize)]
pub struct WaitingVoid {
    pub source: String,
    /// The id it takes back.
    pub target: String,
    pub batch: i64,
    pub line: i64,
    pub since: String,
}

/// Usage for a period that was closed when it came.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LateUsage {
    pub uin: String,
    pub day: String,
    pub records: i64,
    /// Billable base units (milliseconds or counts).
    pub billable: i64,
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
    let cohorts = cohorts(&books.ledger).await?;
    let cards = load_cards(&books.ledger).await?;
    let periods_due = periods_due(&cohorts, &cards, books.clock.irreversible());
    let counts = store::counts(&books.ledger).await?;
    Ok(Status {
        as_of: books.clock.text(),
        newest_machine_clock: fact(&books.ledger, NEWEST_MACHINE_CLOCK).await?,
        last_run_clock: fact(&books.ledger, LAST_RUN_CLOCK).await?,
        first_day: fact(&books.ledger, FIRST_DAY).await?,
        batches: last_batch(&books.ledger).await?,
        batches_metered: progress(&books.ledger).await?.batch_hi,
        segments: store::segments(&books.ledger).await?,
        usage_files: counts.usage_files,
        key_runs: counts.key_runs,
        keys: counts.keys,
        accounts: cohorts.iter().map(|(_, count)| count).sum(),
        accounts_ended: counts.accounts_ended,
        periods_closed: counts.periods_closed,
        statements: counts.statements,
        statements_not_exported: counts.statements_not_exported,
        periods_due,
        quarantined: crate::pipeline::ingest::quarantine::store::quarantine_counts(&books.ledger, None).await?,
        sources: overview(books).await?,
        alarms: crate::pipeline::ingest::quarantine::alarm::store::open(&books.ledger).await?,
        conflicts_open: counts.conflicts_open,
        conflicts: store::conflicts(&books.ledger).await?,
        voids_waiting: counts.voids_waiting,
        voids_of_voids: counts.voids_of_voids,
        voids: store::waiting_voids(&books.ledger).await?,
        unmetered: store::unmetered(&books.ledger).await?,
        late_records: counts.late_records,
        late_usage: store::late_usage(&books.ledger).await?,
        days_expired: counts.days_expired,
        days_held: store::held(&books.ledger).await?,
        exports: store::last_exports(&books.ledger, LAST).await?,
        runs: last_runs(&books.ledger, i64::from(LAST)).await?,
    })
}

/// Due periods of all accounts, by one account of each cohort and the number of them.
fn periods_due(cohorts: &[(Account, usize)], cards: &RateCatalog, now: DateTime<Utc>) -> usize {
    let one_of_each = (0_u64..).zip(cohorts.iter().map(|(account, _)| account.clone()));
    let due = due(&Accounts::new(one_of_each.collect()), cards, now);
    let count = |cohort: u64| usize::try_from(cohort).map_or(0, |cohort| cohorts[cohort].1);
    due.iter().map(|due| due.periods.len() * count(due.uin)).sum()
}
