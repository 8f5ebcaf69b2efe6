//! Newline-delimited JSON.

pub mod fast;
