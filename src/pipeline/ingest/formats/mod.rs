//! Formats: what an input is written in. Each has a full reading, and a fast one that must agree with it.

pub mod cloudevent;
pub mod csv;
pub mod events;
pub(crate) mod json_values;
pub mod ndjson;
pub mod parquet;
