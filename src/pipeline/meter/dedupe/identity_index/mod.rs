//! Key runs: immutable, sorted files of identity keys, searched in place.
//!
//! A file is the mark `TBKEYS05` (`TBKEYS04` where a fingerprint is of the version before, see [`Fingerprints`]: then none of them proves that
//! contents differ), then blocks of [`BLOCK_KEYS`] keys (the last may have fewer), each in columns: `start` u16 of
//! [`SHELVES`] shelves (how many keys of the block stand before it), `lead` u16 (see `slot.rs`), `hash` u64 (of source and id,
//! ascending), `content` u64 (fingerprint of the billable content), `batch` u32, `line` u32, `day` i32 (UTC, days since 1970: when the key
//! may go), `check` u16 (of what is written of the key). Equal hashes stand in the order of (batch, line). Then come the exceptions, by
//! place: `place` u64 (of a key in the file), `day` i32, `verdict` u8, which hold instead of what stands there; a key without one is
//! accepted. Then of each block the first and the last hash, a checksum of its starts and leads, and one of its other columns, u64 each.
//! The last 24 bytes are the numbers of keys and of exceptions, and a checksum of all after the blocks, u64 each. All numbers are
//! little-endian, checksums XXH3 (64 bits, or their lowest 16).
//!
//! So a run can be written while its rows are being read, before it is decided which of them stand. And who looks for a hash that is not
//! there, as nearly all are, looks at starts and leads: two bytes of each key of a block and not all 32, which matters when months of keys
//! lie on disk.
//!
//! A key that is not found any more, or found with another place or day, would let a record count twice. So nothing is looked up in a
//! block before its starts and leads are what was written, no key is taken before it is, and runs are merged only when all of them is:
//! the new file's digest would hide what was damaged before.

mod read;
mod slot;
#[cfg(test)]
mod tests;
mod write;

use xxhash_rust::xxh3::xxh3_64;

use crate::storage::raw::fingerprints::Fingerprints;
use crate::support::error::Result;
pub use read::KeyRun;
use slot::{SHELVES, Span};
pub use write::{KeyWriter, WrittenRun};

/// Of fingerprints of a version, or of none older.
fn mark_of(fingerprints: Fingerprints) -> &'static [u8; MARK_BYTES] {
    match fingerprints {
        Fingerprints::Spelling => b"TBKEYS04",
        Fingerprints::Coarse => b"TBKEYS05",
    }
}

const MARK_BYTES: usize = 8;
/// Keys of a block: its columns are written at once.
pub const BLOCK_KEYS: usize = 1 << 15;
/// The starts of a block's shelves.
const STARTS_BYTES: usize = SHELVES * 2;
const LEAD_BYTES: usize = 2;
const KEY_BYTES: usize = LEAD_BYTES + 8 + 8 + 4 + 4 + 4 + 2;
const EXCEPTION_BYTES: usize = 8 + 4 + 1;
/// What is known of a block, at the end of the file.
const BLOCK_END_BYTES: usize = 4 * 8;
const TAIL_BYTES: usize = 3 * 8;

/// A block, as the end of the file has it.
#[derive(Clone, Copy, Debug)]
struct BlockEnd {
    span: Span,
    /// Checksum of starts and leads.
    searched: u64,
    /// Checksum of the other columns.
    others: u64,
}

/// All keys of a hash in some runs.
pub fn keys_of_hash(runs: &[KeyRun], hash: u64) -> Result<Vec<Key>> {
    let mut keys = Vec::new();
    for run in runs {
        run.add_of_hash(hash, &mut keys)?;
    }
    Ok(keys)
}

/// What metering decided about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// The first of its identity; it stands.
    Accepted = 0,
    /// Other content than the first.
    Conflict = 1,
    /// The same content as the first: it is no key, and goes when runs are merged.
    Duplicate = 2,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub hash: u64,
    pub content: u64,
    pub batch: u32,
    pub line: u32,
    pub day: i32,
    pub verdict: Verdict,
}

impl Key {
    /// Checksum of what is written of the key.
    #[expect(clippy::cast_possible_truncation, reason = "a checksum's lowest bits")]
    fn check(&self) -> u16 {
        let mut bytes = [0; 28];
        bytes[..8].copy_from_slice(&self.hash.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.content.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.batch.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.line.to_le_bytes());
        bytes[24..].copy_from_slice(&self.day.to_le_bytes());
        xxh3_64(&bytes) as u16
    }
}

/// What holds for a key instead of what stands in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Of the key in the run, from 0.
    pub place: u64,
    pub day: i32,
    pub verdict: Verdict,
}
