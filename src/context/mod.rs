//! The books: everything a stage needs to do its work.

/// The machine's clock against what the books know.
pub mod admission;

/// Where books are, for who mistyped the place.
pub mod find_books;

/// Where the books begin.
pub mod first_day;

pub mod keeping;
pub mod missing_files;
pub mod restore_guard;
pub mod write_attempt;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use chrono_tz::Tz;

use crate::storage::durable_files;
use crate::storage::durable_files::DataDir;
use crate::storage::ledger::Ledger;
use crate::support::clock::Clock;
use crate::support::error::Result;
use crate::support::progress::Progress;

/// How this program starts itself to read an input.
#[derive(Clone, Debug)]
pub struct ChildReader {
    pub program: PathBuf,
    /// What names the books and the clock.
    pub args: Vec<OsString>,
    /// The ledger's URL, which may hold a password.
    pub ledger: Option<String>,
}

/// What becomes of usage for an account nobody added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum UnknownAccounts {
    /// The account is added under the default card when its usage is metered.
    #[default]
    Add,
    /// The record goes to quarantine until a person adds the account.
    Quarantine,
}

/// What a person may set; every setting has a default.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Sender of records that do not name one.
    pub source: String,
    /// Zones of sources that write local times, by source.
    pub zones: BTreeMap<String, Tz>,
    /// Definitions of sources in the settings, by name.
    pub sources: BTreeMap<String, toml::Table>,
    /// A folder of more of them.
    pub sources_folder: Option<PathBuf>,
    /// Sources whose definition is wrong: what it says of them is not known, nor the zone of their times.
    pub faulty_sources: BTreeSet<String>,
    pub default_card: String,
    pub unknown_accounts: UnknownAccounts,
    pub rate_cards: PathBuf,
    /// None: `drop/` in the data folder.
    pub drop: Option<PathBuf>,
    /// How many seconds a file in the drop folder must have been left alone before it is read.
    pub drop_rest_s: u32,
    /// Who types: for the audit trail.
    pub who: String,
    /// Months for which dashboards' usage is kept in the ledger; none: for ever.
    pub keep_usage_months: Option<u32>,
    /// Months for which the lines of statements are kept in the ledger; none: for ever.
    pub keep_statement_months: Option<u32>,
    /// Months for which raw records and conflicts are kept after their UTC day.
    pub keep_raw_months: u32,
    /// Months for which service-log fields are kept after their UTC day.
    pub keep_log_months: u32,
    /// Months for which input files are kept after their receipt.
    pub keep_original_months: u32,
    /// Days for which what events brought besides usage is kept after their source was disabled. It is never kept longer than the raw
    /// records.
    pub keep_queue_days: u32,
    /// Days for which definitions and templates of a source are kept after its account ended.
    pub keep_configuration_days: u32,
    /// The longest that each class of data may be kept.
    pub policy: keeping::Policy,
    /// Months for which the bytes of quarantined lines are kept after their receipt, at least 1.
    pub keep_quarantine_months: u32,
    /// An input of at least so many lines needs a person when more than [`Self::alarm_refused_percent`] of them were refused.
    pub alarm_lines_min: u32,
    /// Percent of an input's lines, 0 to 100. 100: only an input of which no record could be taken needs a person.
    pub alarm_refused_percent: u32,
    /// How many seconds a transaction waits for another program's.
    pub ledger_wait_s: u32,
    /// How many days the machine's clock may lie ahead of the newest one that the books accepted.
    pub clock_jump_days: u32,
    /// Folder or bucket of backups into which each night backs up at its end; none: it does not.
    pub backup: Option<PathBuf>,
    /// How a bucket of backups is reached.
    pub backup_bucket: Option<toml::Table>,
    /// How many earlier backups can be restored beside the newest one.
    pub backup_points: u32,
    /// Public keys of age to which backups are encrypted; none: they are not.
    pub backup_age_recipients: Vec<String>,
    /// The file of secret keys of age that open encrypted backups.
    pub backup_age_identity_file: Option<PathBuf>,
    /// UTC day before which usage is refused; none: see [`crate::context::first_day`].
    pub first_day: Option<NaiveDate>,
}

/// The longest rest of a file in the drop folder, in seconds: a night waits for it.
pub const DROP_REST_S_MAX: u32 = 3600;

/// The clock may jump so far where nothing else is set: a week's holiday and a day.
pub const CLOCK_JUMP_DAYS: u32 = 8;

/// More than a month and its grace would close a month that is not over.
pub const CLOCK_JUMP_DAYS_MAX: u32 = 40;

impl Default for Settings {
    fn default() -> Self {
        Self {
            source: "default".to_owned(),
            zones: BTreeMap::new(),
            sources: BTreeMap::new(),
            sources_folder: None,
            faulty_sources: BTreeSet::new(),
            default_card: "mps-cn".to_owned(),
            unknown_accounts: UnknownAccounts::Add,
            rate_cards: PathBuf::from("rate-cards"),
            drop: None,
            drop_rest_s: 60,
            who: "unknown".to_owned(),
            keep_usage_months: None,
            keep_statement_months: None,
            keep_raw_months: 6,
            keep_log_months: 1,
            keep_original_months: 1,
            keep_queue_days: 7,
            keep_configuration_days: 30,
            policy: keeping::Policy::default(),
            keep_quarantine_months: 1,
            alarm_lines_min: 100,
            alarm_refused_percent: 10,
            ledger_wait_s: 60,
            clock_jump_days: CLOCK_JUMP_DAYS,
            backup: None,
            backup_bucket: None,
            backup_points: 14,
            backup_age_recipients: Vec::new(),
            backup_age_identity_file: None,
            first_day: None,
        }
    }
}

impl Settings {
    /// Where producers put files.
    pub fn drop_folder(&self, data: &DataDir) -> PathBuf {
        self.drop.clone().unwrap_or_else(|| data.join("drop"))
    }
}

/// Data folder, ledger, clock and settings of one command.
#[derive(Clone, Debug)]
pub struct Books {
    pub data: DataDir,
    pub ledger: Ledger,
    pub clock: Clock,
    pub settings: Settings,
    pub progress: Progress,
    /// Reads what ended the process twice; none where this program is a library.
    pub child_reader: Option<ChildReader>,
}

impl Books {
    /// Opens the books in a data folder, making them if need be; `url` none means the embedded ledger in it.
    pub async fn open(folder: &Path, url: Option<&str>, clock: Clock, settings: Settings) -> Result<Self> {
        let data = DataDir::at(folder);
        restore_guard::refuse_unfinished_restore(&data)?;
        match url {
            Some(url) => find_books::refuse_lost_folder(&data, url, settings.ledger_wait_s).await?,
            None => restore_guard::refuse_without_ledger(&data)?,
        }
        data.make()?;
        let url = url.map_or_else(|| Ledger::embedded_url(folder), ToOwned::to_owned);
        let lock = lock_ledger(&data, settings.ledger_wait_s).await?;
        let ledger = Ledger::open(&url, settings.ledger_wait_s).await?;
        drop(lock);
        Ok(Self::of(data, ledger, clock, settings))
    }

    /// Opens books that are there, and makes none.
    ///
    /// # Errors
    /// [`crate::support::error::Error::Usage`] where there are none: it names the nearest, and nothing was made.
    pub async fn open_there(folder: &Path, url: Option<&str>, clock: Clock, settings: Settings) -> Result<Self> {
        let data = DataDir::at(folder);
        restore_guard::refuse_unfinished_restore(&data)?;
        if url.is_none() {
            restore_guard::refuse_without_ledger(&data)?;
            find_books::refuse_without_books(folder)?;
        }
        let is_there = folder.is_dir();
        let lock = if is_there {
            Some(lock_ledger(&data, settings.ledger_wait_s).await?)
        } else {
            None
        };
        let server = url.map(ToOwned::to_owned);
        let url = server.clone().unwrap_or_else(|| Ledger::embedded_url_there(folder));
        let ledger = Ledger::open_there(&url, settings.ledger_wait_s).await?;
        drop(lock);
        match (ledger, server) {
            (None, Some(url)) => Err(find_books::no_tables(&url)),
            (None, None) => Err(find_books::no_books(folder)),
            (Some(ledger), Some(url)) if !is_there => {
                ledger.close().await;
                Err(find_books::no_data_folder(folder, &url))
            }
            (Some(ledger), _) => Ok(Self::of(data, ledger, clock, settings)),
        }
    }

    /// The same books for what is done from now on, in a process that lasts: the run's clock goes on with the machine's.
    #[must_use]
    pub fn at_this_time(&self) -> Self {
        Self {
            clock: self.clock.gone_on(),
            ..self.clone()
        }
    }

    fn of(data: DataDir, ledger: Ledger, clock: Clock, settings: Settings) -> Self {
        Self {
            data,
            ledger,
            clock,
            settings,
            progress: Progress::hidden(),
            child_reader: None,
        }
    }
}

/// Waits until no other process is opening the books.
async fn lock_ledger(data: &DataDir, wait_s: u32) -> Result<std::fs::File> {
    let path = data.join("ledger.lock");
    let locked = tokio::task::spawn_blocking(move || durable_files::lock(&path, wait_s)).await;
    locked.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}
