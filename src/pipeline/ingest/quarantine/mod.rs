//! Quarantine: what was refused waits here until a retry or a correction takes it, or a person dismisses it.
//!
//! ```text
//! filter      which lines are meant
//! store       lines, counts, and what becomes of them
//! dismiss     lines that nobody will send again; they still count as quarantined
//! correct     lines in another form, taken in the place of what came
//! whole       lines that were cut, and came whole since
//! alarm       inputs of which no record, or too few, could be taken
//! ```

pub mod alarm;
pub mod correct;
pub mod cut_lines;
pub mod dismiss;
pub mod filter;
pub mod retry;
pub mod store;
