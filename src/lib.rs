//! tallybook: usage records in, exact statements out.
//!
//! Stages stand in the order of the data's way; a stage uses those before it and the shared values, never a later one.

/// Exact amounts and currencies.
pub mod money;

/// Dates, periods, time zones.
pub mod span;

/// The only place that asks for the time.
pub mod clock;

/// Errors and exit codes.
pub mod error;

/// What to do about an error that the machine reports.
mod cure;

/// SHA-256 and BLAKE3.
pub mod digest;

/// Points at which tests stop the process.
pub mod fault;

/// Files that survive a power cut.
pub mod files;

/// Parquet files of our own.
pub mod columns;

/// Several threads for what calls polars.
pub mod parallel;
mod pipeline;

/// Sorting by counting digits.
pub mod radix;

/// Progress on a terminal.
pub mod progress;

/// Tables of text.
pub mod table;

/// New files that are written past the system's page cache.
pub mod uncached;

/// Values shown in messages.
pub mod shown;

/// The likeliest meant name.
pub mod nearest;

/// A JSON scanner.
pub mod json;

/// Exact numbers in text.
pub mod number;

/// A record's parameters.
pub mod parameters;

/// The database behind every stage.
pub mod ledger;

/// What every stage needs.
pub mod books;

/// Where books are, for who mistyped the place.
pub mod places;

/// The machine's clock against what the books know.
pub mod admit;

/// Where the books begin.
pub mod first_day;

/// Raw segments.
pub mod raw;

/// Records past the door.
pub mod ingest;

/// Rate cards.
pub mod card;

/// Accounts and terms.
pub mod account;

/// Raw rows to usage.
pub mod meter;

/// Usage to charges.
pub mod rate;

/// Charges to statements.
pub mod close;

/// Voids whose record has not come.
pub mod void;

/// Adjustments that no statement can carry.
pub mod adjustment;

/// What a change of prices or terms comes to.
pub mod preview;

/// Two contents under one identity, and a person's word.
pub mod conflict;

/// Statements to files.
pub mod export;

/// Raw days that have paid their way.
pub mod expire;

/// The batch job.
pub mod nightly;

/// Answers for people.
pub mod query;

/// The books proved.
pub mod verify;

/// How an amount came about.
pub mod explain;

/// A month of made-up usage, and its nights.
pub mod demo;

/// The command line.
pub mod cli;
