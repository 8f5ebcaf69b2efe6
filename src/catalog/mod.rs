//! The catalogue: what people keep, rate cards and accounts.

/// Accounts and terms.
pub mod account;

/// Rate cards.
pub mod rate_card;
