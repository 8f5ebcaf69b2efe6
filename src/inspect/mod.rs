//! Query: what people and dashboards ask. Reads only.

/// That an account has ended, to be sent.
pub mod end_certificate;

/// How an amount came about.
pub mod explain;

/// Whether anything needs a person.
pub mod health;

/// What a change of prices or terms comes to.
pub mod preview;

/// What is kept for how long.
pub mod retention;

pub mod statement;
pub mod status;
pub mod store;
pub mod usage;
/// The books proved.
pub mod verify;
