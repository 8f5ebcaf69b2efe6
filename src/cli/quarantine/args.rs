//! What can be typed after `quarantine`.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Subcommand;

use crate::cli::args::not_blank;
use crate::cli::parse;
use crate::pipeline::ingest::quarantine::filter::Filter;

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List refused lines: counts by input and reason, then the lines, oldest first
    ///
    /// Lines accepted since by a retry or correction, and dismissed lines, are listed only with --all. If the sender sends a corrected
    /// line again in another input, the refused one stays on this list until you dismiss it.
    List {
        #[command(flatten)]
        lines: Lines,
        /// Maximum number of lines listed [default: 100; with --csv or --json all]
        #[arg(long, value_name = "COUNT")]
        limit: Option<u32>,
        /// Only lines with a higher number than this: the next page
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: i64,
        /// Include accepted and dismissed lines
        #[arg(long)]
        all: bool,
        /// Print CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Show refused lines with their bytes
    Show {
        #[command(flatten)]
        lines: Lines,
        /// Maximum number of lines shown [default: 20; with --lines-only or --json all]
        #[arg(long, value_name = "COUNT")]
        limit: Option<u32>,
        /// Print each line as its number, a tab and the line: edit this and give it to `quarantine correct`
        #[arg(long, conflicts_with = "json")]
        lines_only: bool,
    },
    /// Try refused lines again, unchanged
    Retry {
        #[command(flatten)]
        lines: Lines,
    },
    /// Replace one refused line by a corrected one
    Edit {
        /// Line number in quarantine, as shown by `quarantine list`
        number: i64,
        /// The corrected line
        #[arg(long, value_name = "TEXT", required_unless_present = "from")]
        line: Option<String>,
        /// A file that contains the corrected line
        #[arg(long, value_name = "FILE", conflicts_with = "line")]
        from: Option<PathBuf>,
        /// The reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
    /// Replace refused lines by corrected ones from a file; each line of it is a number, a tab and the corrected line
    ///
    /// `quarantine show --lines-only` prints refused lines in this form. A corrected line that is still refused leaves the original as
    /// it is (exit code 3). Running it again with the same file does only what is still missing.
    Correct {
        /// File of corrected lines
        file: PathBuf,
        /// The reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
    /// Dismiss refused lines, finally: they still count as quarantined, but are no longer listed or retried
    Dismiss {
        #[command(flatten)]
        lines: Lines,
        /// Dismiss only this alarm; its lines stay in quarantine
        #[arg(long, value_name = "NUMBER", conflicts_with_all = ["numbers", "batch", "input", "code", "day", "source"])]
        alarm: Option<i64>,
        /// The reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
    /// List alarms: inputs with no valid record, or with too many refused lines, until they are dealt with
    Alarms {
        /// Include alarms that have ended
        #[arg(long)]
        all: bool,
    },
}

/// Which lines are meant: those that fit all that is said.
#[derive(Clone, Debug, clap::Args)]
pub struct Lines {
    /// Line numbers in quarantine, as shown by `quarantine list`
    #[arg(value_name = "NUMBER")]
    pub numbers: Vec<i64>,
    /// Only lines of this batch
    #[arg(long, value_name = "NUMBER")]
    pub batch: Option<i64>,
    /// Only lines of inputs with this name, with or without folders
    #[arg(long, value_name = "NAME")]
    pub input: Option<String>,
    /// Only lines refused for this reason, such as `not_a_time`
    #[arg(long, value_name = "REASON")]
    pub code: Option<String>,
    /// Only lines received on this UTC day
    #[arg(long, value_name = "DAY", value_parser = parse::day)]
    pub day: Option<NaiveDate>,
    /// Only lines of inputs with this default source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

impl Lines {
    pub fn filter(&self) -> Filter {
        let mut numbers = self.numbers.clone();
        numbers.sort_unstable();
        numbers.dedup();
        Filter {
            numbers,
            batch: self.batch,
            input: self.input.clone(),
            code: self.code.clone(),
            day: self.day,
            source: self.source.clone(),
        }
    }
}
