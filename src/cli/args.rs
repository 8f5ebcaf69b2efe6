//! What can be typed. Help texts are for the people who run it at night.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Parser, Subcommand, ValueEnum};

use super::account_end::TerminateArgs;
use super::account_profile::{ImportArgs, SetArgs};
use super::backup::{BackupArgs, time_of_backup};
use super::erase::EraseArgs;
use super::parse;
use super::quarantine::args::QuarantineCommand;
use super::rate_card_diff::DiffArgs;
use super::retention::RetentionArgs;
use super::source::args::SourceCommand;
use crate::context::admission::Hour;
use crate::pipeline::ingest::input::Format;

/// Metering and billing: usage records in, exact statements out.
///
/// Exit codes: 0 done, 1 failed, 2 usage error, 3 action required, 4 out of balance, 5 another run is active.
#[derive(Debug, Parser)]
#[command(name = "tallybook", version, max_term_width = 100)]
pub struct Args {
    /// Data folder: raw records, usage, exports and the embedded ledger [default: tallybook-data]
    #[arg(long, global = true, env = "TALLYBOOK_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Ledger database: postgres://, mysql:// or sqlite:// [default: an SQLite file in the data folder]
    #[arg(
        long,
        global = true,
        env = "TALLYBOOK_LEDGER",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub ledger: Option<String>,
    /// Settings file [default: tallybook.toml, if it exists]
    #[arg(long, global = true, env = "TALLYBOOK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of rate cards, imported by each nightly run [default: rate-cards]
    #[arg(long, global = true, env = "TALLYBOOK_RATE_CARDS", value_name = "DIR")]
    pub rate_cards: Option<PathBuf>,
    /// Run as of this earlier time, or of 00:00 UTC on this day, to replay a nightly run [default: now]
    #[arg(long, global = true, value_name = "TIME", value_parser = parse::instant)]
    pub as_of: Option<DateTime<Utc>>,
    /// Confirm the system clock after a jump: the current hour, in UTC
    #[arg(long, global = true, value_name = "YYYY-MM-DDTHHZ")]
    pub accept_clock: Option<Hour>,
    /// Name recorded in the audit trail [default: your user name]
    #[arg(long, global = true, env = "TALLYBOOK_WHO", value_name = "NAME")]
    pub who: Option<String>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Log format on standard error; set verbosity with `RUST_LOG`
    #[arg(long, global = true, env = "TALLYBOOK_LOG_FORMAT", value_enum, default_value_t = LogFormat::Plain)]
    pub log_format: LogFormat,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    Plain,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Generate a month of sample usage and run everything on it: ingest, meter, close, export
    ///
    /// With --ledger, the ledger is created in that database, which must not contain tallybook tables yet.
    Demo {
        /// Number of distinct usage records to generate
        #[arg(long, default_value_t = 200_000)]
        records: usize,
        /// Seed: the same seed generates the same month
        #[arg(long, default_value_t = 2026)]
        seed: u64,
    },
    /// Ingest usage records from NDJSON, CSV or Parquet files, also .gz or .zst; - reads standard input
    ///
    /// A folder written by Spark or Hive is one input; its `key=value` subfolders fill the fields of these names. A file or folder is
    /// ingested completely or not at all, and ingesting it again changes nothing. Lines that are not valid usage records go to
    /// quarantine. If no record of an input is valid, or more than one line in ten is refused, action is required (exit code 3).
    Ingest {
        /// Files or folders to ingest
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Source of records that do not name one [default: default]
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// Like --source, but also accept a file already ingested under another source: its records are billed again
        #[arg(long, value_name = "NAME", conflicts_with = "source")]
        again_as: Option<String>,
        /// File format, if the extension is missing
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// Read one input that ended the process twice: the program starts itself so
    #[command(hide = true)]
    ReadAlone(crate::cli::ingest::Alone),
    /// Pull usage from the configured sources: databases, buckets, queues
    ///
    /// Each part is in the books, with the source's position, before it is acknowledged: it is safe to kill it and to run it again.
    Pull {
        /// Names of sources [default: all that are enabled]
        #[arg(value_name = "NAME")]
        sources: Vec<String>,
        /// Keep pulling until interrupted (Ctrl-C, SIGTERM)
        #[arg(long)]
        follow: bool,
    },
    /// Run the nightly job: import rate cards, pull sources, ingest the drop folder, meter, close, export, expire, report
    ///
    /// It is safe to start it twice, to kill it, and to run it again.
    Nightly,
    /// Meter new raw records into usage
    Meter {
        /// Recompute usage from raw data and compare; writes nothing
        #[arg(long)]
        rebuild: bool,
    },
    /// Meter new records, then close due periods into statements
    Close,
    /// Export statements that have not been exported yet
    Export {
        /// Recreate this export byte for byte
        #[arg(long, value_name = "ID")]
        again: Option<i64>,
        /// With --again: write it to this folder instead of its original one
        #[arg(long, value_name = "DIR", requires = "again")]
        to: Option<PathBuf>,
    },
    /// Delete raw data older than six months once verified, and all other data whose time has come
    Expire {
        /// Give up this day's unmetered records and open conflicts, so that the day can expire
        #[arg(long, value_name = "DAY", requires = "reason", value_parser = parse::day)]
        waive: Option<NaiveDate>,
        /// With --waive: the reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: Option<String>,
    },
    /// Show usage by day, app, region and SKU
    Usage {
        #[command(flatten)]
        accounts: AccountArgs,
        #[command(flatten)]
        span: Span,
    },
    /// Show closed statements, and drafts of open periods
    Statement {
        #[command(flatten)]
        accounts: AccountArgs,
        #[command(flatten)]
        span: Span,
    },
    /// Explain a closed statement, or one line of it, step by step down to the raw records
    Explain {
        /// Statement ID, as shown by `statement` and in the export
        statement: String,
        /// Only this line
        #[arg(long, value_name = "NUMBER")]
        line: Option<u32>,
        /// Maximum raw records shown per line
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        records: usize,
        /// With --line: count all its raw records and check the digests of their files, however many rows must be read
        #[arg(long, requires = "line")]
        full: bool,
    },
    /// Manage rate cards: check, list, show, diff, schema, import, withdraw
    RateCard {
        #[command(subcommand)]
        command: RateCardCommand,
    },
    /// Manage accounts and their terms: add, set, import, list, show
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// End an account on a day: its last period ends there, and later usage goes to quarantine
    ///
    /// The day must not lie in a closed period or before a record that is stored. Periods go on after it, for adjustments; without a line
    /// they issue nothing. `reinstate` takes it back, within 30 days of the end.
    Terminate(TerminateArgs),
    /// Take back the end of an account: a new period begins on the end day, and lines refused since can be retried
    Reinstate {
        /// Account number
        #[arg(value_parser = parse::uin)]
        uin: u64,
        /// The reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
        /// Write nothing; show what would happen
        #[arg(long)]
        dry_run: bool,
    },
    /// Erase an account on request, for good: its records, files and names go, its statements stay under a random number
    ///
    /// The account must have ended, its last period be closed and exported, and nothing of it wait for a decision. It is safe to kill and to
    /// run again; a night finishes what was begun.
    Erase(EraseArgs),
    /// Manage sources: list, show, check, import, test, disable, enable, template, payloads, redrive
    Source {
        #[command(subcommand)]
        command: SourceCommand,
    },
    /// Handle refused lines: list, show, retry, edit, correct, dismiss
    Quarantine {
        #[command(subcommand)]
        command: QuarantineCommand,
    },
    /// Resolve records that share an ID but differ: list, show, keep, replace
    Conflict {
        #[command(subcommand)]
        command: ConflictCommand,
    },
    /// Show the first billing day, before which usage is refused; with a day, move it back
    FirstDay {
        /// New first day (UTC), such as 2026-01-01; it must not move into or past a closed period
        #[arg(value_name = "DAY", requires = "reason", value_parser = parse::day)]
        day: Option<NaiveDate>,
        /// With a day: the reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: Option<String>,
    },
    /// Handle adjustments blocked by a change of currency: list, settle
    Adjustment {
        #[command(subcommand)]
        command: AdjustmentCommand,
    },
    /// Handle voids whose record has not arrived: list, dismiss
    Void {
        #[command(subcommand)]
        command: VoidCommand,
    },
    /// Show the audit trail: decisions on conflicts, waivers, corrections, accounts and terms
    Audit,
    /// Verify all data: ledger rows and files, raw against usage, usage against statements, statements against exports
    Verify {
        /// Verify only data of this day or later, for a quick check between full ones; lists what it skips
        #[arg(long, value_name = "DAY")]
        since: Option<NaiveDate>,
    },
    /// Show the state of files, accounts and billing periods
    Status {
        /// Print one line for monitoring: ok, or what requires action since the last nightly run (exit code 3)
        #[arg(long)]
        short: bool,
        /// With --short: also require action if the last nightly run was more than this many hours ago
        #[arg(long, value_name = "HOURS", requires = "short", value_parser = clap::value_parser!(u32).range(1..))]
        max_age: Option<u32>,
    },
    /// Show what is kept for how long: oldest data, next deletion, what is held longer and why, what was deleted
    Retention(RetentionArgs),
    /// Back up all data to a folder or bucket, or work with its backups: list, verify, drill, prune
    ///
    /// Files that are there already are not copied again, and what is gone from the books is removed there. It can run at any
    /// time, also during a nightly run, and is safe to kill and to run again.
    Backup(BackupArgs),
    /// Restore the newest backup of a folder or bucket into a new data folder and verify it
    ///
    /// With --to-time or --to it is an earlier one, without what has expired since. The ledger may be of any engine; its database must
    /// have no tallybook tables. It is safe to kill it and to run it again.
    Restore {
        /// Folder or bucket of backups (`s3://BUCKET/PREFIX`, `cos://BUCKET/PREFIX`)
        #[arg(value_name = "FROM")]
        from: PathBuf,
        /// Restore the newest backup made by this time, without what has expired since: an instant (RFC 3339), or a day (UTC) to its end
        #[arg(long, value_name = "TIME", value_parser = time_of_backup)]
        to_time: Option<DateTime<Utc>>,
        /// Restore the backup with this number, without what has expired since
        #[arg(long, value_name = "NUMBER", conflicts_with = "to_time")]
        to: Option<u64>,
        /// File of the secret key of age that opens encrypted backups [default: setting `backup_age_identity_file`]
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
    },
    /// Rewrite Parquet files of older versions, in which Spark and DuckDB miss rows; nightly runs also do this, a few at a time
    RewriteFiles,
    /// Create or upgrade the ledger's tables; every command also does this by itself
    Migrate,
    /// Print a shell completion script
    ///
    /// For bash: tallybook completions bash >/usr/share/bash-completion/completions/tallybook
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages for all commands to a folder, or print the main page
    Man {
        /// An existing folder
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

impl Command {
    /// Whether it reads the folder of rate cards.
    pub fn reads_rate_cards(&self) -> bool {
        match self {
            Self::Nightly => true,
            Self::RateCard {
                command: RateCardCommand::Import { files, .. },
            } => files.is_empty(),
            _ => false,
        }
    }

    /// Whether it makes books where there are none: what brings something in does. All others are told where the nearest are.
    pub fn makes_books(&self) -> bool {
        matches!(
            self,
            Self::Ingest { .. }
                | Self::Nightly
                | Self::Pull { .. }
                | Self::Source {
                    command: SourceCommand::Import,
                }
                | Self::Migrate
                | Self::Account {
                    command: AccountCommand::Add { dry_run: false, .. }
                }
                | Self::RateCard {
                    command: RateCardCommand::Import { dry_run: false, .. }
                }
        )
    }
}

/// A reason is read by others, later.
pub fn not_blank(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a reason is required".to_owned());
    }
    Ok(text.to_owned())
}

#[derive(Clone, Debug, clap::Args)]
pub struct AccountArgs {
    /// Account numbers
    #[arg(value_name = "UIN", required_unless_present = "all", value_parser = parse::uin)]
    pub uins: Vec<u64>,
    /// All accounts
    #[arg(long, conflicts_with = "uins")]
    pub all: bool,
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Span {
    /// First day or month, in the account's time zone [default: 31 days ago]
    #[arg(long, value_name = "DAY", value_parser = parse::first_day)]
    pub from: Option<NaiveDate>,
    /// Day after the last [default: tomorrow in the account's time zone]
    #[arg(long, value_name = "DAY", value_parser = parse::day_after)]
    pub to: Option<NaiveDate>,
    /// A month, such as 2026-10, instead of --from and --to
    #[arg(long, value_name = "MONTH", value_parser = parse::month, conflicts_with_all = ["from", "to"])]
    pub month: Option<NaiveDate>,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

#[derive(Debug, Subcommand)]
pub enum RateCardCommand {
    /// Check rate card files or folders; each mistake is reported with file, line and fix
    Check {
        /// Files or folders [default: the folder of rate cards]
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// List imported versions and revisions
    List,
    /// Show the prices of a card on a day
    Show {
        /// Name of the rate card
        name: String,
        /// The day [default: today]
        #[arg(long, value_name = "DAY", value_parser = parse::day)]
        on: Option<NaiveDate>,
    },
    /// Show in words and numbers what changed from one version to another
    Diff(DiffArgs),
    /// Print the JSON Schema of rate card files, for editors
    Schema,
    /// Import rate card files or folders: new versions, and revisions that only add prices or SKUs
    ///
    /// With --corrects, prices may also change for days already metered or billed: closed periods from that day on are rated again,
    /// and the next statement of each account carries the difference as adjustments.
    Import {
        /// Files or folders [default: the folder of rate cards]
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// First day of the version to import as a correction
        #[arg(long, value_name = "DATE", requires = "reason", value_parser = parse::day)]
        corrects: Option<NaiveDate>,
        /// With --corrects: the reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: Option<String>,
        /// Write nothing; show what would change, and the effect on closed and open periods in money
        #[arg(long)]
        dry_run: bool,
    },
    /// Withdraw a version that no usage has been metered with yet; nightly runs do not import its file again
    Withdraw {
        /// Name of the rate card
        name: String,
        /// The version's first day, such as 2026-11-01
        #[arg(value_name = "DATE", value_parser = parse::day)]
        from: NaiveDate,
        /// The reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConflictCommand {
    /// List open conflicts with the price difference of each, the total, and the digest of the list
    List {
        #[command(flatten)]
        of: ConflictsOf,
        /// Include resolved conflicts
        #[arg(long)]
        all: bool,
    },
    /// Show both versions of a record side by side, and the effect of replacing the first
    Show {
        /// Number of the conflict, as shown by `conflict list`
        number: i64,
    },
    /// Keep the first version, finally: for one conflict, or for all on a list shown before
    Keep(Decide),
    /// Use the later version, finally: usage and charges change by the difference
    Replace(Decide),
}

/// Open conflicts of a batch, an input or an account.
#[derive(Clone, Debug, clap::Args)]
pub struct ConflictsOf {
    /// Only conflicts whose later version arrived in this batch
    #[arg(long, value_name = "NUMBER")]
    pub batch: Option<i64>,
    /// Only conflicts whose later version arrived in inputs of this name, with or without folders
    #[arg(long, value_name = "NAME")]
    pub input: Option<String>,
    /// Only conflicts in which either version belongs to this account
    #[arg(long, value_name = "UIN", value_parser = parse::uin)]
    pub account: Option<u64>,
}

/// A decision: about one conflict, or about a list of them.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(true).args(["number", "batch", "input", "account", "all"])))]
pub struct Decide {
    /// Number of the conflict, as shown by `conflict list`
    #[arg(conflicts_with_all = ["batch", "input", "account", "all", "list"])]
    pub number: Option<i64>,
    #[command(flatten)]
    pub of: ConflictsOf,
    /// All open conflicts
    #[arg(long, requires = "list")]
    pub all: bool,
    /// Digest shown by `conflict list` with the same filters: the decision applies to exactly that list
    #[arg(long, value_name = "DIGEST", required_unless_present = "number")]
    pub list: Option<String>,
    /// The reason, for the audit trail
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    pub reason: String,
}

#[derive(Debug, Subcommand)]
pub enum VoidCommand {
    /// List voids whose record has not arrived
    List {
        /// Include dismissed voids
        #[arg(long)]
        all: bool,
    },
    /// Stop waiting, finally: the record has expired or will not arrive
    Dismiss {
        /// ID of the void itself
        id: String,
        /// Its source, if several sources sent a void with this ID
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// The reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum AdjustmentCommand {
    /// List adjustments that block the close of their account, with amounts
    List {
        /// Include settled adjustments
        #[arg(long)]
        all: bool,
    },
    /// Record that an adjustment was settled outside tallybook: it is never billed, and the account can close
    Settle {
        /// Account number
        #[arg(value_name = "UIN", value_parser = parse::uin)]
        uin: u64,
        /// First day of the closed period it adjusts, such as 2026-11-01
        #[arg(value_name = "PERIOD", value_parser = parse::first_day)]
        period: NaiveDate,
        /// How and why it was settled, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Add an account, or new terms to an existing one; omitted options keep their current values
    Add {
        /// Account number
        #[arg(value_parser = parse::uin)]
        uin: u64,
        /// Rate card [default: the setting `default_card`, initially mps-cn]
        #[arg(long)]
        card: Option<String>,
        /// Time zone of the account's days [default: the card's]
        #[arg(long, value_parser = parse::zone)]
        zone: Option<chrono_tz::Tz>,
        /// Billing cycle [default: monthly]
        #[arg(long, value_enum)]
        cycle: Option<CycleName>,
        /// Day of the month on which a monthly period starts, 1 to 31 [default: 1]
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=31))]
        anchor_day: Option<u8>,
        /// Discount on every line, in percent, at most 2 decimals [default: 0]
        #[arg(long, value_name = "PERCENT", value_parser = crate::values::money::parse_plain)]
        discount: Option<rust_decimal::Decimal>,
        /// Negotiated price: SKU=PRICE, or SKU@REGION-GROUP=PRICE
        #[arg(long = "price", value_name = "SKU=PRICE")]
        prices: Vec<String>,
        /// Drop earlier negotiated prices and use list prices
        #[arg(long)]
        card_prices: bool,
        /// First day of the terms [default: today]
        #[arg(long, value_name = "DAY", value_parser = parse::day)]
        from: Option<NaiveDate>,
        /// Write nothing; show what would change, in terms and in money
        #[arg(long)]
        dry_run: bool,
    },
    /// Set the name, billing contact, contract number and labels of an account; none of it changes what is billed
    Set(SetArgs),
    /// Add or change the accounts of a CSV or TOML file, with names, labels and terms; what is as the file says is left alone
    Import(ImportArgs),
    /// List all accounts
    List,
    /// Show an account with its terms and periods
    Show {
        /// Account number
        #[arg(value_parser = parse::uin)]
        uin: u64,
    },
    /// Print the certificate of the end of an account (JSON)
    Certificate {
        /// Account number
        #[arg(value_parser = parse::uin)]
        uin: u64,
        /// Write a page to send, too, to a new file
        #[arg(long, value_name = "FILE")]
        page: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum CycleName {
    Monthly,
    Daily,
}
