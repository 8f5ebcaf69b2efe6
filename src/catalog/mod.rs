//! The catalogue: what people keep, rate cards, accounts and sources.

/// Accounts and terms.
pub mod account;

/// Rate cards.
pub mod rate_card;

/// Sources of usage.
pub mod source;
