//! Erased accounts: what of them may come in no more, and how that is known without their numbers.
//!
//! ```text
//! tombstone   a slow salted hash of the true number: a number that is no account's is looked up by it
//! pseudonym   the random number under which statements and usage stay: no account that takes anything
//! ```

pub mod store;
pub mod tombstone;

use std::collections::HashSet;

use tombstone::{Salt, tombstone};

/// What the door holds a record's account against. Empty where no account was erased.
#[derive(Clone, Debug, Default)]
pub struct ErasedAccounts {
    salt: Salt,
    tombstones: HashSet<String>,
    pseudonyms: HashSet<u64>,
    /// The accounts there are. None of them has a tombstone, so that their numbers cost no hash.
    known: HashSet<u64>,
}

impl ErasedAccounts {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.tombstones.len()
    }

    /// Whether there is none, and nothing to look up.
    pub fn is_empty(&self) -> bool {
        self.tombstones.is_empty()
    }

    /// Whether an account's statements stand under this number, which is not its own.
    pub fn is_pseudonym(&self, uin: u64) -> bool {
        self.pseudonyms.contains(&uin)
    }

    /// Whether a number is that of an erased account. A number that is no account's costs a hash, once in a process.
    pub fn has_tombstone(&self, uin: u64) -> bool {
        if self.is_empty() || self.known.contains(&uin) {
            return false;
        }
        self.tombstones.contains(&tombstone(&self.salt, uin))
    }

    /// The same, where numbers of accounts are to be looked up too.
    #[must_use]
    pub fn without_known(self) -> Self {
        Self {
            known: HashSet::new(),
            ..self
        }
    }

    /// Whether nothing may come in under a number.
    pub fn refuses(&self, uin: u64) -> bool {
        self.is_pseudonym(uin) || self.has_tombstone(uin)
    }
}
