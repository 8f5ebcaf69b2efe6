//! Tombstones: Argon2id of an account's number, with one random salt for all of these books. Numbers are few (a trillion at most), so the hash
//! is slow: who has the ledger and tries a million numbers needs hours, and who asks for one needs a moment.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};

use crate::support::error::{Error, Result};
use crate::support::random::random;
use crate::values::digest::hex;

/// Memory of a hash, in KiB: 19 MiB.
const MEMORY_KIB: u32 = 19 * 1024;

/// Passes over it.
const PASSES: u32 = 2;

/// Lanes: a hash is one thread's work.
const LANES: u32 = 1;

const HASH_BYTES: usize = 32;

const SALT_BYTES: usize = 16;

/// Numbers whose hashes a process remembers at most.
const REMEMBERED: usize = 1 << 20;

/// The salt of all tombstones of these books, as hexadecimal digits; empty before the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Salt(String);

impl Salt {
    /// A new one.
    ///
    /// # Errors
    /// Where the system has no random numbers.
    pub fn new() -> Result<Self> {
        Ok(Self(hex(&random::<SALT_BYTES>()?)))
    }

    /// The one that the ledger has.
    ///
    /// # Errors
    /// [`Error::Unbalanced`] for a text that is none: with another salt no erased account is known again.
    pub fn of(text: String) -> Result<Self> {
        if text.len() == 2 * SALT_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(text));
        }
        Err(Error::Unbalanced(
            "the salt of erased accounts in the ledger is damaged; restore the ledger from a backup".to_owned(),
        ))
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}

type Hashes = HashMap<(Salt, u64), String>;

static HASHES: LazyLock<Mutex<Hashes>> = LazyLock::new(Mutex::default);

/// The tombstone of a number: 64 hexadecimal digits. The same number is hashed once in a process.
pub fn tombstone(salt: &Salt, uin: u64) -> String {
    let key = (salt.clone(), uin);
    let hashes = || HASHES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = hashes().get(&key) {
        return known.clone();
    }
    // Not held while it hashes: other numbers need not wait.
    let made = hash(salt, uin);
    let mut hashes = hashes();
    if hashes.len() >= REMEMBERED {
        hashes.clear();
    }
    hashes.insert(key, made.clone());
    made
}

fn hash(salt: &Salt, uin: u64) -> String {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).expect("the parameters are within their limits");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut out = [0; HASH_BYTES];
    argon2
        .hash_password_into(uin.to_string().as_bytes(), salt.text().as_bytes(), &mut out)
        .expect("a salt has 32 digits, and a number a few");
    hex(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_is_of_a_number_and_a_salt() {
        let salt = Salt::of("00112233445566778899aabbccddeeff".to_owned()).unwrap();
        let made = tombstone(&salt, 100_000_000_007);
        assert_eq!(made.len(), 64);
        assert_eq!(tombstone(&salt, 100_000_000_007), made);
        assert_eq!(hash(&salt, 100_000_000_007), made);
        assert_ne!(tombstone(&salt, 100_000_000_008), made);
        assert!(Salt::of("short".to_owned()).is_err());
        assert_ne!(tombstone(&Salt::new().unwrap(), 100_000_000_007), made);
    }
}
