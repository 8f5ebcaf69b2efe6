//! Nightly: the whole way in one run, safe to start twice, to kill, and to run again.
//!
//! ```text
//! cards       versions and revisions from the rate-card folder
//! pull        sources: databases, buckets, queues
//! ingest      the drop folder
//! meter       what is new
//! close       what is due
//! draft       what stays open, for dashboards
//! export      what is closed, at the same time
//! expire      what is past its time
//! erase       an account, where that was begun and did not come to its end
//! maintain    merge small files, rewrite files of before, sweep orphans
//! report      for the morning, and for `status`
//! backup      where settings name a folder for it
//! ```

mod backup;
mod cards;
pub mod needs_person;
pub mod report;
pub mod store;

use std::path::PathBuf;

use crate::backup::create::BackedUp;
use crate::catalog::rate_card::import::Imported;
use crate::context::Books;
use crate::context::missing_files::gone;
use crate::context::restore_guard::refuse_older_ledger;
use crate::decisions::conflict;
use crate::decisions::conflict::Listed;
use crate::decisions::conflict::at_close::{ClosedOver, closed_over};
use crate::erasure::words::Words;
use crate::erasure::{Finished, finish_begun, finish_renamed};
use crate::pipeline::close::draft::draft_open_periods;
use crate::pipeline::close::{Closed, close};
use crate::pipeline::export::{Exported, export_new};
use crate::pipeline::ingest::drop_folder::{Dropped, take_dropped};
use crate::pipeline::ingest::quarantine::alarm;
use crate::pipeline::ingest::quarantine::alarm::Alarm;
use crate::pipeline::maintenance::{Maintained, maintain};
use crate::pipeline::meter::balance::{Control, control};
use crate::pipeline::meter::{Metered, meter, store as meter_store};
use crate::pipeline::retention::policy;
use crate::pipeline::retention::{Expired, expire};
use crate::sources::expire::expire_configuration;
use crate::sources::pull::{Pulled, pull_all};
use crate::storage::ledger::Lease;
use crate::storage::ledger::nights::begin_run;
use crate::support::error::exit_code::ExitCode;
use crate::support::error::{Error, Result};
use crate::support::overlap::both;
use backup::back_up_after;
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
    /// What each source handed over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pulled: Vec<Pulled>,
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
    /// The backup after it; none without the setting, and where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackedUp>,
    /// Numbers of an account that was erased in this night: what is kept of the report does not say them.
    #[serde(skip)]
    pub erased_words: Option<Words>,
    /// What needs a person; the exit code says so.
    pub needs_person: Vec<String>,
}

impl Night {
    /// How a night ends: done, or something waits for a person.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::unless(self.needs_person.is_empty(), ExitCode::NeedsPerson)
    }

    /// The report that is kept. It outlives the bytes of refused lines, so it has none of them.
    fn to_keep(&self) -> Self {
        let mut kept = self.clone();
        let ingested = kept.dropped.ingested.iter_mut();
        for example in ingested.flat_map(|ingested| &mut ingested.examples) {
            example.shown = None;
        }
        kept
    }
}

/// Runs a night, and the backup after it.
pub async fn nightly(books: &Books) -> Result<Night> {
    policy::check(books).await?;
    let lease = Lease::take(&books.ledger, "nightly").await?;
    let night = run_among_runs(books, &lease).await;
    let released = lease.release().await;
    let mut night = night?;
    released?;
    if let Some(folder) = &books.settings.backup {
        Box::pin(back_up_after(books, folder, &mut night)).await?;
    }
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
    let metered_to = books.clock.doubt().is_none().then_some(night.metered.batch_hi);
    record(books, lease, &night, metered_to).await?;
    Ok(night)
}

async fn record(books: &Books, lease: &Lease, night: &Night, metered_to: Option<i64>) -> Result<()> {
    let kept = night.to_keep();
    let (mut report, mut text) = (serde_json::to_string(&kept)?, report::night(&kept));
    if let Some(words) = &night.erased_words {
        report = words.erased_json(&report).unwrap_or(report);
        text = words.erased(&text).unwrap_or(text);
    }
    let run = NewRun {
        command: COMMAND,
        exit_code: night.exit_code(),
        report: &report,
        text: &text,
        metered_to,
    };
    store::record_run(books, lease, &run).await
}

/// A night's report with what was found after it was kept, for `status`. When another run has the books by then, there is the exit code.
async fn record_again(books: &Books, night: &Night) -> Result<()> {
    let lease = match Lease::take(&books.ledger, COMMAND).await {
        Err(Error::LeaseHeld { owner, .. }) => {
            tracing::warn!(
                owner,
                "the report of the backup could not be recorded: another run has the books"
            );
            return Ok(());
        }
        taken => taken?,
    };
    let recorded = record(books, &lease, night, None).await;
    lease.release().await?;
    recorded
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

/// What became of an erasure that was not at its end: what needs a person, and what the night's report may not say. Nothing is done while the
/// clock is in doubt.
async fn finish_erasure(
    books: &Books,
    finished: impl Future<Output = Result<Finished>>,
) -> Result<(Vec<String>, Option<Words>)> {
    if books.clock.doubt().is_some() {
        return Ok((Vec::new(), None));
    }
    match Box::pin(finished).await {
        Ok(None) => Ok((Vec::new(), None)),
        Ok(Some((erased, words))) => Ok((needs_person::of_erasure(&erased).into_iter().collect(), words)),
        // It waits for a decision, and the night does not.
        Err(error @ (Error::Usage(_) | Error::NeedsPerson(_) | Error::Damaged { .. })) => {
            Ok((vec![needs_person::erasure_waits(&error)], None))
        }
        Err(error) => Err(error),
    }
}

async fn run(books: &Books, lease: &Lease) -> Result<Night> {
    refuse_older_ledger(books).await?;
    // Its exports come into their places before new ones are made.
    let (renamed_erasure, renamed_words) = finish_erasure(books, finish_renamed(books, lease)).await?;
    let cards = import_cards(books).await?;
    // Both are large futures.
    let pulled = Box::pin(pull_all(books)).await?;
    let dropped = Box::pin(take_dropped(books)).await?;
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
    let mut expired = expire(books, lease, &accounts).await?;
    expired.configuration = expire_configuration(books, lease).await?;
    let (erasure, erased_words) = finish_erasure(books, finish_begun(books, lease)).await?;
    let kept = maintain(books, lease, metered.batch_hi).await?;
    let needs_person = [
        cards.refused,
        books.clock.objection().into_iter().collect(),
        needs_person::of_sources(books, &pulled, &closed).await?,
        needs_person::of_inputs(&dropped),
        alarms.iter().map(Alarm::sentence).collect(),
        gone.sentences,
        needs_person::of_close(&closed),
        needs_person::of_retention(&expired),
        needs_person::of_maintenance(&kept),
        renamed_erasure,
        erasure,
    ];
    Ok(Night {
        as_of: books.clock.text(),
        cards: cards.imported,
        no_card_folder: cards.no_folder,
        pulled,
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
        backup: None,
        erased_words: erased_words.or(renamed_words),
        needs_person: needs_person.concat(),
    })
}
