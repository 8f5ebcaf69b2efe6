//! Raw: immutable Parquet segments by UTC day, and the care for them.

pub mod fingerprints;
pub mod gone;
pub mod id;
pub mod merge;
pub mod rows;
pub mod segment;
pub mod store;
pub mod strays;
pub mod sweep;
pub mod symbols;
