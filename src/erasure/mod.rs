//! Erasure: what is held of an account goes, and what must stay stays under a pseudonym.

pub mod files;
pub mod pseudonym;
