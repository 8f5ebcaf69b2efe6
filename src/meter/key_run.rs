//! Key runs: immutable, sorted files of identity keys, searched in place.
//!
//! A file is the mark `TBKEYS01`, the number of keys n (u64), then columns of n values each, all little-endian:
//! `hash` u64 (of source and id, ascending), `content` u64 (fingerprint of the billable content), `batch` u32, `line` u32,
//! `day` i32 (UTC, days since 1970: when the key may go), `verdict` u8. Equal hashes stand in the order of (batch, line).

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use memmap2::Mmap;

use crate::error::{AtPath as _, Error, Result};
use crate::files::DigestedFile;

const MARK: &[u8; 8] = b"TBKEYS01";
const HEADER_BYTES: usize = 16;
const KEY_BYTES: usize = 8 + 8 + 4 + 4 + 4 + 1;

/// What metering decided about a row that keeps a key. A duplicate keeps none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// The first of its identity; it stands.
    Accepted = 0,
    /// Other content than the first.
    Conflict = 1,
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

/// Writes keys that are sorted by hash, then batch and line. Not synced. Returns size and digest.
pub fn write(place: &Path, keys: &[Key]) -> Result<(u64, String)> {
    debug_assert!(keys.is_sorted_by_key(|k| (k.hash, k.batch, k.line)));
    let (file, digest) = DigestedFile::create_new(place)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let written = (|| {
        out.write_all(MARK)?;
        out.write_all(&(keys.len() as u64).to_le_bytes())?;
        keys.iter().try_for_each(|k| out.write_all(&k.hash.to_le_bytes()))?;
        keys.iter().try_for_each(|k| out.write_all(&k.content.to_le_bytes()))?;
        keys.iter().try_for_each(|k| out.write_all(&k.batch.to_le_bytes()))?;
        keys.iter().try_for_each(|k| out.write_all(&k.line.to_le_bytes()))?;
        keys.iter().try_for_each(|k| out.write_all(&k.day.to_le_bytes()))?;
        keys.iter().try_for_each(|k| out.write_all(&[k.verdict as u8]))?;
        out.flush()
    })();
    written.at(place)?;
    Ok(((HEADER_BYTES + keys.len() * KEY_BYTES) as u64, digest.hex()))
}

/// An open key run.
pub struct KeyRun {
    map: Mmap,
    len: usize,
}

impl KeyRun {
    /// Opens a file and checks its size.
    pub fn open(place: &Path) -> Result<Self> {
        let file = File::open(place).at(place)?;
        #[expect(
            unsafe_code,
            reason = "the file is immutable: only its own writer ever writes it, before it is named"
        )]
        let map = unsafe { Mmap::map(&file) }.at(place)?;
        let len = map
            .get(..HEADER_BYTES)
            .filter(|header| header.starts_with(MARK))
            .and_then(|header| header[8..].first_chunk::<8>())
            .and_then(|bytes| usize::try_from(u64::from_le_bytes(*bytes)).ok())
            .filter(|len| len.checked_mul(KEY_BYTES).and_then(|n| n.checked_add(HEADER_BYTES)) == Some(map.len()))
            .ok_or_else(|| Error::damaged(place, "is no whole key run"))?;
        Ok(Self { map, len })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn hash(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(0, at))
    }

    pub fn key(&self, at: usize) -> Key {
        Key {
            hash: self.hash(at),
            content: u64::from_le_bytes(self.bytes(8, at)),
            batch: u32::from_le_bytes(self.bytes(16, at)),
            line: u32::from_le_bytes(self.bytes(20, at)),
            day: i32::from_le_bytes(self.bytes(24, at)),
            verdict: if self.bytes::<1>(28, at) == [0] {
                Verdict::Accepted
            } else {
                Verdict::Conflict
            },
        }
    }

    /// The value at `at` of the column before which each key has `before` bytes.
    fn bytes<const N: usize>(&self, before: usize, at: usize) -> [u8; N] {
        let start = HEADER_BYTES + before * self.len + N * at;
        *self.map[start..]
            .first_chunk::<N>()
            .expect("the file's size was checked")
    }

    /// The first place at or after `from` whose hash is not below `hash`. Steps double, so that a walk over sorted
    /// hashes costs little where the run is dense and little where it is sparse.
    pub fn seek(&self, hash: u64, from: usize) -> usize {
        let (mut low, mut step) = (from, 1);
        while low + step <= self.len && self.hash(low + step - 1) < hash {
            low += step;
            step *= 2;
        }
        let mut high = (low + step - 1).min(self.len);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.hash(middle) < hash {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// All keys of a hash, searching from `from`.
    pub fn of_hash(&self, hash: u64, from: usize) -> impl Iterator<Item = Key> + '_ {
        (self.seek(hash, from)..self.len)
            .map(|at| self.key(at))
            .take_while(move |key| key.hash == hash)
    }

    pub fn iter(&self) -> impl Iterator<Item = Key> + '_ {
        (0..self.len).map(|at| self.key(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(hash: u64, line: u32) -> Key {
        Key {
            hash,
            content: hash ^ 1,
            batch: 1,
            line,
            day: 20_000,
            verdict: Verdict::Accepted,
        }
    }

    #[test]
    fn every_key_is_found_again_from_any_starting_point_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a.keys");
        let keys: Vec<Key> = (0..1000).map(|n| key(n / 2 * 7, u32::try_from(n).unwrap())).collect();
        write(&place, &keys).unwrap();
        let run = KeyRun::open(&place).unwrap();
        assert_eq!(run.iter().collect::<Vec<_>>(), keys);
        for wanted in 0..3600 {
            let expected: Vec<Key> = keys.iter().copied().filter(|k| k.hash == wanted).collect();
            let first = keys.iter().position(|k| k.hash >= wanted).unwrap_or(keys.len());
            for from in [0, first / 2, first] {
                assert_eq!(
                    run.of_hash(wanted, from).collect::<Vec<_>>(),
                    expected,
                    "hash {wanted} from {from}"
                );
            }
        }
    }

    #[test]
    fn a_cut_off_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a.keys");
        write(&place, &[key(1, 1), key(2, 2)]).unwrap();
        let bytes = std::fs::read(&place).unwrap();
        std::fs::write(&place, &bytes[..bytes.len() - 1]).unwrap();
        assert!(KeyRun::open(&place).is_err());
    }
}
