//! The numbers under which an erased account is kept.

use std::collections::BTreeMap;

/// An account and its pseudonyms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pseudonyms {
    /// The account that is erased.
    pub erased_uin: u64,
    /// Its pseudonym, which no account has.
    pub uin: u64,
    /// Pseudonyms of its applications, by their numbers.
    pub apps: BTreeMap<u64, u64>,
}
