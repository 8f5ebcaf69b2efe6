//! Support: what any stage may use and none owns, such as errors, threads, JSON text, the clock.

/// The only place that asks for the time.
pub mod clock;

/// Errors and exit codes.
pub mod error;

/// Points at which tests stop the process.
pub mod failpoint;

/// A JSON scanner.
pub mod formula_guard;

pub mod json;

/// The likeliest meant name.
pub mod nearest;

pub(crate) mod overlap;

/// Pages to send.
pub mod page;
/// Progress on a terminal.
pub mod progress;

/// Values shown in messages.
pub mod quote;

/// Random bytes.
pub mod random;

/// Sorting by counting digits.
pub mod radix_sort;
pub mod secret_name;

/// Tables of text.
pub mod table;

/// Several threads for what calls polars.
pub mod threads;
pub mod whole_numbers;
