//! Raw: immutable Parquet segments by UTC day, and the care for them.

pub mod account_rows;
pub mod fingerprints;
pub mod interner;
pub mod packed_id;
pub mod payload;
pub mod rows;
pub mod segment;
pub mod store;
pub mod without_rows;
