//! Decisions: what only a person can decide, about conflicts, voids and adjustments.

/// Two contents under one identity, and a person's word.
pub mod conflict;

/// Adjustments that no statement can carry.
pub mod settlement;

/// Voids whose record has not come.
pub mod void;
