//! What can be typed. Help texts are for the people who run it at night.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Parser, Subcommand, ValueEnum};

use super::parse;
use super::quarantine::args::QuarantineCommand;
use crate::context::admission::Hour;
use crate::pipeline::ingest::input::Format;

/// Usage records in, exact statements out.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 needs a person, 4 the books do not balance, 5 another run holds them.
#[derive(Debug, Parser)]
#[command(name = "tallybook", version, max_term_width = 100)]
pub struct Args {
    /// Folder of the books: raw segments, usage, exports, and the embedded ledger [default: tallybook-data]
    #[arg(long, global = true, env = "TALLYBOOK_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Ledger database [default: an SQLite file in the data folder]
    #[arg(
        long,
        global = true,
        env = "TALLYBOOK_LEDGER",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub ledger: Option<String>,
    /// Settings file [default: tallybook.toml, if it is there]
    #[arg(long, global = true, env = "TALLYBOOK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of rate cards, imported each night [default: rate-cards]
    #[arg(long, global = true, env = "TALLYBOOK_RATE_CARDS", value_name = "DIR")]
    pub rate_cards: Option<PathBuf>,
    /// Run as if it were this earlier time, or 00:00 UTC of this day, to replay a night [default: now]
    #[arg(long, global = true, value_name = "TIME", value_parser = parse::instant)]
    pub as_of: Option<DateTime<Utc>>,
    /// Accept the machine's clock after it jumped: its time to the hour, in UTC
    #[arg(long, global = true, value_name = "YYYY-MM-DDTHHZ")]
    pub accept_clock: Option<Hour>,
    /// Who decides, for the audit trail [default: the user's name]
    #[arg(long, global = true, env = "TALLYBOOK_WHO", value_name = "NAME")]
    pub who: Option<String>,
    /// Print one machine-readable report instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// How log lines on standard error look (the variable `RUST_LOG` says how many)
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
    /// Make a month of usage, run its nights, close it, export it: the whole way, in a folder of its own
    ///
    /// With --ledger the ledger is in that database, which must have no tables of tallybook yet.
    Demo {
        /// Distinct usage records to make
        #[arg(long, default_value_t = 200_000)]
        records: usize,
        /// Same seed, same month
        #[arg(long, default_value_t = 2026)]
        seed: u64,
    },
    /// Take in usage records: NDJSON, CSV or Parquet, each also .gz or .zst; - is standard input
    ///
    /// A folder of Spark or Hive is one input; its `key=value` folders fill the fields of these names. A file or folder is taken whole
    /// or not at all; the same again changes nothing. Lines that are no usage records go to quarantine. An input of which no record
    /// could be taken, or more than one line in ten was refused, needs a person (exit code 3).
    Ingest {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Sender of records that do not name one [default: default]
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// The same, and bytes that were ingested under another source are other records: they are billed again
        #[arg(long, value_name = "NAME", conflicts_with = "source")]
        again_as: Option<String>,
        /// Format, where the name does not tell
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// Read one input that ended the process twice: the program starts itself so
    #[command(hide = true)]
    ReadAlone(crate::cli::ingest::Alone),
    /// The batch job: rate cards, drop folder, meter, close what is due, export, expire, report
    ///
    /// Safe to start twice, to kill, and to run again.
    Nightly,
    /// Turn raw records that no run has metered into usage
    Meter {
        /// Measure all retained raw again and hold it against the stored usage; writes nothing
        #[arg(long)]
        rebuild: bool,
    },
    /// Meter what is new, then close due periods into statements
    Close,
    /// Export statements that no export holds yet
    Export {
        /// Write this export again, to the byte
        #[arg(long, value_name = "ID")]
        again: Option<i64>,
        /// With --again: into this folder instead of its own place
        #[arg(long, value_name = "DIR", requires = "again")]
        to: Option<PathBuf>,
    },
    /// Let raw days go that are past six months and proved, and service-log fields after one
    Expire {
        /// Let a day's unmetered records and conflicts go unresolved
        #[arg(long, value_name = "DAY", requires = "reason", value_parser = parse::day)]
        waive: Option<NaiveDate>,
        /// With --waive: why, for the audit
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: Option<String>,
    },
    /// Accounts' usage by day, app, region and SKU
    Usage {
        #[command(flatten)]
        accounts: AccountArgs,
        #[command(flatten)]
        span: Span,
    },
    /// Accounts' statements: closed ones, and drafts of open periods
    Statement {
        #[command(flatten)]
        accounts: AccountArgs,
        #[command(flatten)]
        span: Span,
    },
    /// How a closed statement or a line of it came about, step by step, and the raw records behind it
    Explain {
        /// Its id, as `statement` and the export show it
        statement: String,
        /// Only this line
        #[arg(long, value_name = "NUMBER")]
        line: Option<u32>,
        /// Raw records told of each line
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        records: usize,
        /// With --line: count all of its raw records and check the digests of their files, however many rows are read for it
        #[arg(long, requires = "line")]
        full: bool,
    },
    /// Rate cards: check, list, show, import
    RateCard {
        #[command(subcommand)]
        command: RateCardCommand,
    },
    /// Accounts and their terms: add, list, show
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Lines that were refused: list, show, retry, correct, dismiss
    Quarantine {
        #[command(subcommand)]
        command: QuarantineCommand,
    },
    /// One identity, two contents: list, show, keep the first, replace it
    Conflict {
        #[command(subcommand)]
        command: ConflictCommand,
    },
    /// The day on which the books begin: usage before it is refused. With a day, move it back
    FirstDay {
        /// UTC day, such as 2026-01-01; never over a closed period
        #[arg(value_name = "DAY", requires = "reason", value_parser = parse::day)]
        day: Option<NaiveDate>,
        /// With a day: why, for the audit
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: Option<String>,
    },
    /// Adjustments that another currency keeps from every statement: list, settle
    Adjustment {
        #[command(subcommand)]
        command: AdjustmentCommand,
    },
    /// Voids whose record has not come: list, dismiss
    Void {
        #[command(subcommand)]
        command: VoidCommand,
    },
    /// What people decided: resolutions, waivers, corrections, accounts and terms
    Audit,
    /// Prove the books: ledger rows, files, raw against usage against statements against exports; names what differs
    Verify {
        /// Only what is of this day or later, for a weekly run beside the full one; says what it leaves out
        #[arg(long, value_name = "DAY")]
        since: Option<NaiveDate>,
    },
    /// What is where: files, rows, days held, periods due, the last runs
    Status {
        /// One line for a monitor: ok, or what needs a person since the last night (exit code 3)
        #[arg(long)]
        short: bool,
        /// With --short: a last night longer ago than this needs a person, too
        #[arg(long, value_name = "HOURS", requires = "short", value_parser = clap::value_parser!(u32).range(1..))]
        max_age: Option<u32>,
    },
    /// Rewrite Parquet files of older versions, in which Spark and DuckDB miss rows; nights do it as well, some each
    RewriteFiles,
    /// Make the ledger's tables, or bring them up to this program; every command does it by itself
    Migrate,
    /// Print the script that completes commands and options in a shell
    ///
    /// For bash: tallybook completions bash >/usr/share/bash-completion/completions/tallybook
    Completions { shell: clap_complete::Shell },
    /// Write the manual pages into a folder; without one, print the program's own
    Man {
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
        return Err("say why".to_owned());
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
    /// The days of a month, such as 2026-10, in place of --from and --to
    #[arg(long, value_name = "MONTH", value_parser = parse::month, conflicts_with_all = ["from", "to"])]
    pub month: Option<NaiveDate>,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

#[derive(Debug, Subcommand)]
pub enum RateCardCommand {
    /// Check card files or folders: every mistake with file, line and cure
    Check {
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Imported versions and revisions
    List,
    /// Prices of a card on a day
    Show {
        name: String,
        /// [default: today]
        #[arg(long, value_name = "DAY", value_parser = parse::day)]
        on: Option<NaiveDate>,
    },
    /// Import card files or folders: new versions, and revisions that only add
    ///
    /// With --corrects also other prices for days that are metered or billed: closed periods from that day on are rated again,
    /// and the next statement of each account carries the difference as adjustments.
    Import {
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The version, by its first day, that is imported as a correction
        #[arg(long, value_name = "DATE", requires = "reason", value_parser = parse::day)]
        corrects: Option<NaiveDate>,
        /// With --corrects: why, for the audit
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: Option<String>,
        /// Write nothing; tell what it would do, and what that comes to for closed and open periods
        #[arg(long)]
        dry_run: bool,
    },
    /// Withdraw a version that no day has used yet: it is in force no more, and a night does not import its file again
    Withdraw {
        name: String,
        /// The version's first day, such as 2026-11-01
        #[arg(value_name = "DATE", value_parser = parse::day)]
        from: NaiveDate,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConflictCommand {
    /// Open conflicts, with the money between the two contents, its sum, and the digest of the list
    List {
        #[command(flatten)]
        of: ConflictsOf,
        /// Also those that are resolved
        #[arg(long)]
        all: bool,
    },
    /// Both contents side by side, and what it would change
    Show { number: i64 },
    /// Let the first stand, for good: of one conflict, or of all of a list that was shown
    Keep(Decide),
    /// Let the later one stand, for good: the books move by the difference
    Replace(Decide),
}

/// Open conflicts of a batch, an input or an account.
#[derive(Clone, Debug, clap::Args)]
pub struct ConflictsOf {
    /// Only those whose later content came with this batch
    #[arg(long, value_name = "NUMBER")]
    pub batch: Option<i64>,
    /// Only those whose later content came with inputs of this name, with its folders or without
    #[arg(long, value_name = "NAME")]
    pub input: Option<String>,
    /// Only those of which either content is of this account
    #[arg(long, value_name = "UIN", value_parser = parse::uin)]
    pub account: Option<u64>,
}

/// A decision: about one conflict, or about a list of them.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(true).args(["number", "batch", "input", "account", "all"])))]
pub struct Decide {
    /// This one
    #[arg(conflicts_with_all = ["batch", "input", "account", "all", "list"])]
    pub number: Option<i64>,
    #[command(flatten)]
    pub of: ConflictsOf,
    /// All open ones
    #[arg(long, requires = "list")]
    pub all: bool,
    /// The digest that `conflict list` told with the same filters: the decision holds for exactly that list
    #[arg(long, value_name = "DIGEST", required_unless_present = "number")]
    pub list: Option<String>,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    pub reason: String,
}

#[derive(Debug, Subcommand)]
pub enum VoidCommand {
    /// Voids that wait for their record
    List {
        /// Also those that were dismissed
        #[arg(long)]
        all: bool,
    },
    /// Wait no more, for good: the record has expired, or will not come
    Dismiss {
        /// The void's own id
        id: String,
        /// Its source, where several have sent a void of that id
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum AdjustmentCommand {
    /// Adjustments that keep their account from closing, with their money
    List {
        /// Also those that were settled
        #[arg(long)]
        all: bool,
    },
    /// Note that one of them was settled outside: it is never billed, and the account closes
    Settle {
        #[arg(value_name = "UIN", value_parser = parse::uin)]
        uin: u64,
        /// First day of the closed period that it adjusts, such as 2026-11-01
        #[arg(value_name = "PERIOD", value_parser = parse::first_day)]
        period: NaiveDate,
        /// How and why, for the audit
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Add an account, or later terms to one that is there; in these, what is not said stays as it was
    Add {
        #[arg(value_parser = parse::uin)]
        uin: u64,
        /// Rate card [default: the default card, mps-cn]
        #[arg(long)]
        card: Option<String>,
        /// Time zone of its days [default: the card's]
        #[arg(long, value_parser = parse::zone)]
        zone: Option<chrono_tz::Tz>,
        /// How often it is billed [default: monthly]
        #[arg(long, value_enum)]
        cycle: Option<CycleName>,
        /// Day of the month on which a monthly period starts, 1 to 31 [default: 1]
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=31))]
        anchor_day: Option<u8>,
        /// Percent off every line, at most 2 decimals [default: 0]
        #[arg(long, value_name = "PERCENT", value_parser = crate::values::money::parse_plain)]
        discount: Option<rust_decimal::Decimal>,
        /// Agreed price: SKU=PRICE, or SKU@REGION-GROUP=PRICE
        #[arg(long = "price", value_name = "SKU=PRICE")]
        prices: Vec<String>,
        /// Leave the agreed prices of earlier terms behind, as another card does
        #[arg(long)]
        card_prices: bool,
        /// First day of the terms [default: today]
        #[arg(long, value_name = "DAY", value_parser = parse::day)]
        from: Option<NaiveDate>,
        /// Write nothing; tell what it would change, and what that comes to
        #[arg(long)]
        dry_run: bool,
    },
    /// All accounts
    List,
    /// One account with its terms and periods
    Show {
        #[arg(value_parser = parse::uin)]
        uin: u64,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum CycleName {
    Monthly,
    Daily,
}
