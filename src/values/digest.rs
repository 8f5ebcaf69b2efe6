//! Digests, as lower-case hex wherever they are shown or stored.
//!
//! What we write (segments, statements, exports) has a SHA-256. What we are sent has a BLAKE3: an input is read once, as fast as
//! records are checked, and SHA-256 would be a seventh of that work. `b3sum FILE` gives the same digits.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::support::error::{AtPath as _, Result};

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

/// A running BLAKE3 of an input.
#[derive(Clone, Debug, Default)]
pub struct InputHasher(blake3::Hasher);

impl InputHasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest as 64 hex digits.
    pub fn hex(&self) -> String {
        hex(self.0.finalize().as_bytes())
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
    let mut digits = String::with_capacity(2 * bytes.len());
    push_hex(&mut digits, bytes);
    digits
}

/// Adds lower-case hex digits, two for a byte.
pub fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
}

/// The SHA-256 of a file's bytes.
pub fn sha256_hex_of_file(path: &Path) -> Result<String> {
    let mut hasher = Hasher::default();
    each_block(path, |block| hasher.update(block))?;
    Ok(hasher.hex())
}

/// The BLAKE3 of a file's bytes, which names it as an input.
pub fn input_digest_of_file(path: &Path) -> Result<String> {
    let mut hasher = InputHasher::default();
    each_block(path, |block| hasher.update(block))?;
    Ok(hasher.hex())
}

fn each_block(path: &Path, mut take: impl FnMut(&[u8])) -> Result<()> {
    let mut reader = File::open(path).at(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = reader.read(&mut buffer).at(path)?;
        if read == 0 {
            return Ok(());
        }
        take(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_what_other_tools_say() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"abc").unwrap();
        // `printf abc | sha256sum`, `printf abc | b3sum`
        assert_eq!(
            sha256_hex_of_file(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            input_digest_of_file(&path).unwrap(),
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
        );
    }

    #[test]
    fn the_blocks_in_which_an_input_is_read_do_not_change_its_digest() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let mut whole = InputHasher::default();
        whole.update(&bytes);
        let mut blocks = InputHasher::default();
        bytes.chunks(7_777).for_each(|block| blocks.update(block));
        assert_eq!(whole.hex(), blocks.hex());
    }
}
