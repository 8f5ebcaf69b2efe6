//! The end of an account: from a day on its usage is refused. Its periods go on, for adjustments; without a line they issue nothing.
//!
//! ```text
//! terminate   the account ends on a day: a period ends there, and nothing of it may be billed or stored after it
//! reinstate   the end is taken back: the period that begins on the end day is one like any other
//! ```

pub mod reinstate;
pub mod store;
pub mod terminate;

use chrono::NaiveDate;

/// A day on which an account ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct AccountEnd {
    /// The first day that is not billed, in the account's zone.
    pub day: NaiveDate,
    /// Whether the account goes on all the same.
    #[serde(rename = "taken_back")]
    pub is_taken_back: bool,
}
