//! Export
pub mod csv;
pub mod manifest;
