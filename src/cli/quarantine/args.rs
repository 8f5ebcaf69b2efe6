//! What can be typed after `quarantine`.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Subcommand;

use crate::cli::args::not_blank;
use crate::cli::parse;
use crate::pipeline::ingest::quarantine::filter::Filter;

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// Refused lines: how many by input and reason, then the lines, oldest first
    ///
    /// Those that a retry or a correction took and those that were dismissed are listed with --all only. A line that its sender sent
    /// again, corrected, as another line stays here until it is dismissed.
    List {
        #[command(flatten)]
        lines: Lines,
        /// Lines listed at most [default: 100; with --csv or --json all]
        #[arg(long, value_name = "COUNT")]
        limit: Option<u32>,
        /// Only lines with a higher number: the next page
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: i64,
        /// Also lines that were taken or dismissed
        #[arg(long)]
        all: bool,
        /// Print CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Refused lines with their bytes
    Show {
        #[command(flatten)]
        lines: Lines,
        /// Lines shown at most [default: 20; with --lines or --json all]
        #[arg(long, value_name = "COUNT")]
        limit: Option<u32>,
        /// Print each as its number, a tab and the line, to be corrected and given to `quarantine correct`
        #[arg(long, conflicts_with = "json")]
        lines_only: bool,
    },
    /// Try refused lines again, as they came
    Retry {
        #[command(flatten)]
        lines: Lines,
    },
    /// Take one refused line in another form, in the place of what came
    Edit {
        number: i64,
        /// The line as it should have come
        #[arg(long, value_name = "TEXT", required_unless_present = "from")]
        line: Option<String>,
        /// A file that holds it
        #[arg(long, value_name = "FILE", conflicts_with = "line")]
        from: Option<PathBuf>,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
    /// Take the lines of a file in the place of refused ones: on each a number, a tab, and the line as it should have come
    ///
    /// `quarantine show --lines-only` prints refused lines in this form. What is refused in its new form too stays as it was (exit code 3);
    /// the same file again does only what is missing.
    Correct {
        file: PathBuf,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
    /// Set refused lines aside for good: they still count as quarantined, and are neither listed nor tried again
    Dismiss {
        #[command(flatten)]
        lines: Lines,
        /// Only the alarm of this number ends; its lines stay
        #[arg(long, value_name = "NUMBER", conflicts_with_all = ["numbers", "batch", "input", "code", "day", "source"])]
        alarm: Option<i64>,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
    /// Inputs of which no record, or too few, could be taken, and that nobody has decided on
    Alarms {
        /// Also those that have ended
        #[arg(long)]
        all: bool,
    },
}

/// Which lines are meant: those that fit all that is said.
#[derive(Clone, Debug, clap::Args)]
pub struct Lines {
    /// Numbers, as `quarantine list` shows them
    #[arg(value_name = "NUMBER")]
    pub numbers: Vec<i64>,
    /// Received by this batch
    #[arg(long, value_name = "NUMBER")]
    pub batch: Option<i64>,
    /// Of inputs of this name, with or without its folders
    #[arg(long, value_name = "NAME")]
    pub input: Option<String>,
    /// Refused for this reason, such as `not_a_time`
    #[arg(long, value_name = "REASON")]
    pub code: Option<String>,
    /// Received on this UTC day
    #[arg(long, value_name = "DAY", value_parser = parse::day)]
    pub day: Option<NaiveDate>,
    /// Of inputs with this default source
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
