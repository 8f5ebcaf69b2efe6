//! Values: money, dates, numbers, parameters, digests. Pure: they know of no file, no ledger and no clock.

/// Dates, periods, time zones.
pub mod calendar;

/// SHA-256 and BLAKE3.
pub mod digest;

/// How records stand in an input.
pub mod format;

/// Exact amounts and currencies.
pub mod money;

/// Exact numbers in text.
pub mod number;

/// A record's parameters.
pub mod parameters;
