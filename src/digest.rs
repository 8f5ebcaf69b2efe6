//! SHA-256, as lower-case hex wherever it is shown or stored.

use std::io::Read as _;

use sha2::{Digest as _, Sha256};

use crate::error::{AtPath as _, Result};

/// A running SHA-256.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest as 64 hex digits.
    pub fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

/// The digest of `bytes` as 64 hex digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.hex()
}

/// Lower-case hex digits, two for a byte.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char])
        .collect()
}

/// The digest of a file's bytes.
pub fn sha256_hex_of_file(path: &std::path::Path) -> Result<String> {
    let mut hasher = Hasher::default();
    let mut reader = std::fs::File::open(path).at(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = reader.read(&mut buffer).at(path)?;
        if read == 0 {
            return Ok(hasher.hex());
        }
        hasher.update(&buffer[..read]);
    }
}
