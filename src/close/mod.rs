//! Close
pub mod document;
pub mod proof;
pub mod statement;
