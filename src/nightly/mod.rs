//! Nightly: the whole way in one run, safe to start twice, to kill, and to run again.
//!
//! ```text
//! cards       versions and revisions from the rate-card folder
//! ingest      the drop folder
//! meter       what is new
//! close       what is due
//! draft       what stays open, for dashboards
//! export      what is closed, at the same time
//! expire      what is past its time
//! maintain    merge small files, rewrite files of before, sweep orphans
//! report      for the morning, and for `status`
//! ```

mod cards;
mod needs_person;
pub mod report;
pub mod store;

use std::path::PathBuf;

use crate::catalog::rate_card::import::Imported;
use crate::context::Books;
use crate::context::missing_files::gone;
use crate::context::restore_guard::refuse_older_ledger;
use crate::decisions::conflict;
use crate::decisions::conflict::Listed;
use crate::decisions::conflict::at_close::{ClosedOver, closed_over};
use crate::pipeline::close::draft::draft_open_periods;
use crate::pipeline::close::{Closed, close};
use crate::pipeline::export::{Exported, export_new};
use crate::pipeline::ingest::drop_folder::{Dropped, take_dropped};
use crate::pipeline::ingest::quarantine::alarm;
use crate::pipeline::ingest::quarantine::alarm::Alarm;
use crate::pipeline::maintenance::{Maintained, maintain};
use crate::pipeline::meter::balance::{Control, control};
use crate::pipeline::meter::{Metered, meter, store as meter_store};
use crate::pipeline::retention::{Expired, expire};
use crate::storage::ledger::Lease;
use crate::storage::ledger::nights::begin_run;
use crate::support::error::exit_code::ExitCode;
use crate::support::error::{Error, Result};
use crate::support::overlap::both;
use cards::import_cards;
use store::NewRun;

/// Conflicts in a night's report.
const CONFLICTS_TOLD: usize = 10;

/// What a night did: what a person reads in the morning.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Night {
    pub as_of: String,
    pub cards: Vec<Imported>,
    /// The folder of rate cards, when it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_card_folder: Option<PathBuf>,
    pub dropped: Dropped,
    pub metered: Metered,
    /// Open conflicts, when this night found new ones; the first few, `conflict list` has all.
    pub conflicts: Vec<Listed>,
    pub control: Control,
    pub closed: Closed,
    /// Open conflicts of the periods that closed.
    pub closed_over: ClosedOver,
    /// Open periods with something to charge, as dashboards show them.
    pub drafts: usize,
    pub exported: Vec<Exported>,
    pub expired: Expired,
    pub kept: Maintained,
    /// What needs a person; the exit code says so.
    pub needs_person: Vec<String>,
}

impl Night {
    /// How a night ends: done, or something waits for a person.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::unless(self.needs_person.is_empty(), ExitCode::NeedsPerson)
    }
}

/// Runs a night.
pub async fn nightly(books: &Books) -> Result<Night> {
    let lease = Lease::take(&books.ledger, "nightly").await?;
    let night = run_among_runs(books, &lease).await;
    let released = lease.release().await;
    let night = night?;
    released?;
    Ok(night)
}

/// A night that is among the runs, whether it ends, fails, or is killed.
async fn run_among_runs(books: &Books, lease: &Lease) -> Result<Night> {
    begin_run(lease, COMMAND, books.clock).await?;
    let night = match run(books, lease).await {
        Ok(night) => night,
        Err(error) => {
            record_failure(books, lease, &error).await;
            return Err(error);
        }
    };
    let run = NewRun {
        command: COMMAND,
        exit_code: night.exit_code(),
        report: &serde_json::to_string(&night)?,
        text: &report::night(&night),
        metered_to: books.clock.doubt().is_none().then_some(night.metered.batch_hi),
    };
    store::record_run(books, lease, &run).await?;
    Ok(night)
}

/// What a night is called among the runs.
const COMMAND: &str = "nightly";

/// A night that failed is among the runs that `status` shows, unless another run has the books. Where the ledger takes nothing, there is
/// the error alone.
async fn record_failure(books: &Books, lease: &Lease, error: &Error) {
    if matches!(error, Error::LeaseHeld { .. } | Error::Overtaken(_)) {
        return;
    }
    let text = format!("nightly run as of {} failed: {error}", books.clock.text());
    let json = serde_json::json!({ "failed": error.to_string() }).to_string();
    let run = NewRun {
        command: COMMAND,
        exit_code: error.exit_code(),
        report: &json,
        text: &text,
        metered_to: None,
    };
    if let Err(unrecorded) = store::record_run(books, lease, &run).await {
        tracing::warn!(%unrecorded, "the failed nightly run could not be recorded");
    }
}

async fn run(books: &Books, lease: &Lease) -> Result<Night> {
    refuse_older_ledger(books).await?;
    let cards = import_cards(books).await?;
    let dropped = take_dropped(books).await?;
    let alarms = alarm::store::open(&books.ledger).await?;
    let before = meter_store::progress(&books.ledger).await?.batch_hi;
    let gone = gone(books, before).await?;
    gone.refuse_without_files()?;
    let (metered, mut accounts) = meter(books, lease).await.map_err(|error| cards.behind(error))?;
    let control = control(books, before, metered.batch_hi).await?;
    let conflicts = match metered.conflicts {
        0 => Vec::new(),
        _ => conflict::list(books, false, Some(CONFLICTS_TOLD)).await?,
    };
    let closed = close(books, lease, &mut accounts, &cards.incomplete).await?;
    let closed_over = closed_over(books, &closed).await?;
    // Neither reads what the other writes.
    let draft = async || draft_open_periods(books, lease, &accounts, &closed).await;
    let (drafts, exported) = both(draft, export_new(books, lease)).await;
    let (drafts, exported) = (drafts?, exported?);
    let expired = expire(books, lease, &accounts).await?;
    let kept = maintain(books, lease, metered.batch_hi).await?;
    let needs_person = [
        cards.refused,
        books.clock.objection().into_iter().collect(),
        needs_person::of_inputs(&dropped),
        alarms.iter().map(Alarm::sentence).collect(),
        gone.sentences,
        needs_person::of_close(&closed),
        needs_person::of_retention(&expired),
        needs_person::of_maintenance(&kept),
    ];
    Ok(Night {
        as_of: books.clock.text(),
        cards: cards.imported,
        no_card_folder: cards.no_folder,
        dropped,
        metered,
        conflicts,
        control,
        closed,
        closed_over,
        drafts,
        exported,
        expired,
        kept,
        needs_person: needs_person.concat(),
    })
}
