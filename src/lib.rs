//! tallybook: usage records in, exact statements out.
//!
//! Each room uses only those above it; `tests/it/tidy.rs` holds it so. `nightly` is the table of contents of a night.

pub mod support;

pub mod values;

pub mod storage;

pub mod context;

pub mod catalog;

pub mod pipeline;

pub mod decisions;

pub mod sources;

pub mod backup;

pub mod erasure;

pub mod nightly;

pub mod inspect;

pub mod demo;

pub mod cli;
