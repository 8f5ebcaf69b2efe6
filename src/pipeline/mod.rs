//! The pipeline: the stages in the order of the data's way. A stage uses those before it, never a later one.

pub mod ingest;

pub mod meter;

pub mod rate;

pub mod close;

pub mod export;

pub mod retention;

pub mod maintenance;
