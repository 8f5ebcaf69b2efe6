//! The numbers under which an erased account is kept.

use std::collections::BTreeMap;

use crate::support::error::{Error, Result};

/// An account and its pseudonyms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pseudonyms {
    /// The account that is erased.
    pub erased_uin: u64,
    /// Its pseudonym, which no account has.
    pub uin: u64,
    /// Pseudonyms of its applications, by their numbers and in the same order: lines of a statement are in the order of applications, and
    /// take the slices of a tier in that order.
    pub apps: BTreeMap<u64, u64>,
}

impl Pseudonyms {
    /// Fails where applications have pseudonyms in another order: statements would be rated otherwise under them.
    pub fn check_order(&self) -> Result<()> {
        let numbers: Vec<u64> = self.apps.values().copied().collect();
        if numbers.is_sorted_by(|one, next| one < next) {
            return Ok(());
        }
        Err(Error::Unbalanced("pseudonyms are not in the order of the applications".to_owned()))
    }
}
