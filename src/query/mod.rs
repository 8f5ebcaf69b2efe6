//! Query: what people and dashboards ask. Reads only.

pub mod statement;
pub mod status;
pub mod store;
pub mod usage;
