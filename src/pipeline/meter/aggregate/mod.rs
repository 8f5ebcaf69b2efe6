//! Aggregation: new rows become sums, and sums become usage rows.

pub(crate) mod account_usage;
pub(crate) mod corrections;
pub mod measure;
pub(crate) mod merge_sums;
pub mod usage_sums;
pub(crate) mod usage_writer;
