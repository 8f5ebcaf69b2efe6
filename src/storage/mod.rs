//! Storage: the ledger's connections and tables of the house, and the files beside it.

/// Files that survive a power cut.
pub mod durable_files;

/// The database behind every stage.
pub mod ledger;

/// Buckets, and a folder in their place.
pub mod objects;

/// Parquet files of our own.
pub mod parquet_writer;

/// Raw segments.
pub mod raw;

pub mod usage;
