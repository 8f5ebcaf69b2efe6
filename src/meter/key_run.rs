//! Key runs: immutable, sorted files of identity keys, searched in place.
//!
//! A file is the mark `TBKEYS02`, then blocks of [`BLOCK_KEYS`] keys (the last may have fewer), each in columns: `hash` u64 (of
//! source and id, ascending), `content` u64 (fingerprint of the billable content), `batch` u32, `line` u32, `day` i32 (UTC, days
//! since 1970: when the key may go). Equal hashes stand in the order of (batch, line). Then come the exceptions, by place: `place`
//! u64 (of a key in the file), `day` i32, `verdict` u8, which hold instead of what stands there; a key without one is accepted.
//! The last 16 bytes are the numbers of keys and of exceptions, u64 each. All numbers are little-endian.
//!
//! So a run can be written while its rows are being read, before it is decided which of them stand.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::{AtPath as _, Error, Result};
use crate::files::{DigestedFile, WrittenDigest};

const MARK: &[u8; 8] = b"TBKEYS02";
/// Keys of a block: its columns are written at once.
pub const BLOCK_KEYS: usize = 1 << 16;
const KEY_BYTES: usize = 8 + 8 + 4 + 4 + 4;
/// Hashes that come from disk with one that is looked at: systems read 64 KiB around a page.
const HASHES_READ_AT_ONCE: usize = 1 << 13;
const EXCEPTION_BYTES: usize = 8 + 4 + 1;
const TAIL_BYTES: usize = 16;

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

/// What holds for a key instead of what stands in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Of the key in the run, from 0.
    pub place: u64,
    pub day: i32,
    pub verdict: Verdict,
}

/// A run that is being written.
pub struct KeyWriter {
    path: PathBuf,
    out: BufWriter<DigestedFile>,
    digest: WrittenDigest,
    block: Vec<Key>,
    keys: u64,
}

/// A run that was written, not synced.
pub struct WrittenRun {
    /// Keys, without duplicates.
    pub keys: usize,
    pub bytes: u64,
    pub digest: String,
}

impl KeyWriter {
    /// Creates a file that must not be there yet.
    pub fn create(place: &Path) -> Result<Self> {
        let (file, digest) = DigestedFile::create_new(place)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(MARK).at(place)?;
        Ok(Self {
            path: place.to_owned(),
            out,
            digest,
            block: Vec::with_capacity(BLOCK_KEYS),
            keys: 0,
        })
    }

    /// Appends a key; keys come by hash, then batch and line. Its verdict is told by [`Self::finish`].
    pub fn push(&mut self, key: Key) -> Result<()> {
        self.block.push(key);
        self.keys += 1;
        if self.block.len() == BLOCK_KEYS {
            self.write_block()?;
        }
        Ok(())
    }

    fn write_block(&mut self) -> Result<()> {
        let mut bytes = Vec::with_capacity(self.block.len() * KEY_BYTES);
        self.block
            .iter()
            .for_each(|k| bytes.extend_from_slice(&k.hash.to_le_bytes()));
        self.block
            .iter()
            .for_each(|k| bytes.extend_from_slice(&k.content.to_le_bytes()));
        self.block
            .iter()
            .for_each(|k| bytes.extend_from_slice(&k.batch.to_le_bytes()));
        self.block
            .iter()
            .for_each(|k| bytes.extend_from_slice(&k.line.to_le_bytes()));
        self.block
            .iter()
            .for_each(|k| bytes.extend_from_slice(&k.day.to_le_bytes()));
        self.block.clear();
        self.out.write_all(&bytes).at(&self.path)
    }

    /// Ends the run with its exceptions, by place.
    pub fn finish(mut self, exceptions: &[Exception]) -> Result<WrittenRun> {
        debug_assert!(exceptions.is_sorted_by_key(|e| e.place));
        self.write_block()?;
        let mut bytes = Vec::with_capacity(exceptions.len() * EXCEPTION_BYTES + TAIL_BYTES);
        for exception in exceptions {
            bytes.extend_from_slice(&exception.place.to_le_bytes());
            bytes.extend_from_slice(&exception.day.to_le_bytes());
            bytes.push(exception.verdict as u8);
        }
        bytes.extend_from_slice(&self.keys.to_le_bytes());
        bytes.extend_from_slice(&(exceptions.len() as u64).to_le_bytes());
        self.out
            .write_all(&bytes)
            .and_then(|()| self.out.flush())
            .at(&self.path)?;
        let duplicates = exceptions.iter().filter(|e| e.verdict == Verdict::Duplicate).count();
        let keys = usize::try_from(self.keys).unwrap_or(usize::MAX);
        Ok(WrittenRun {
            keys: keys - duplicates,
            bytes: (MARK.len() + keys * KEY_BYTES + bytes.len()) as u64,
            digest: self.digest.hex(),
        })
    }
}

/// Writes keys that are sorted by hash, then batch and line. Not synced.
pub fn write(place: &Path, keys: &[Key]) -> Result<WrittenRun> {
    debug_assert!(keys.is_sorted_by_key(|k| (k.hash, k.batch, k.line)));
    let mut run = KeyWriter::create(place)?;
    keys.iter().try_for_each(|key| run.push(*key))?;
    let exceptions: Vec<Exception> = (0..)
        .zip(keys)
        .filter(|(_, key)| key.verdict != Verdict::Accepted)
        .map(|(place, key)| Exception {
            place,
            day: key.day,
            verdict: key.verdict,
        })
        .collect();
    run.finish(&exceptions)
}

/// An open key run.
pub struct KeyRun {
    map: Mmap,
    len: usize,
    exceptions: usize,
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
        let number = |at: usize| usize::try_from(u64::from_le_bytes(*map.get(at..)?.first_chunk::<8>()?)).ok();
        let counts = map
            .len()
            .checked_sub(TAIL_BYTES)
            .and_then(|tail| Some((number(tail)?, number(tail + 8)?)));
        let bytes_of = |(keys, exceptions): (usize, usize)| {
            let keys = keys.checked_mul(KEY_BYTES)?;
            let all = keys.checked_add(exceptions.checked_mul(EXCEPTION_BYTES)?)?;
            all.checked_add(MARK.len() + TAIL_BYTES)
        };
        let counts = counts.filter(|&counts| map.starts_with(MARK) && bytes_of(counts) == Some(map.len()));
        let Some((len, exceptions)) = counts else {
            return Err(Error::damaged(place, "is no key run, or is cut off"));
        };
        Ok(Self { map, len, exceptions })
    }

    /// Asks the system to read all hashes from disk, when so many searches will look at nearly all of them.
    pub fn read_ahead(&self, searches: usize) {
        if searches.saturating_mul(HASHES_READ_AT_ONCE) < self.len {
            return;
        }
        #[cfg(unix)]
        for block in (0..self.len).step_by(BLOCK_KEYS) {
            let keys = BLOCK_KEYS.min(self.len - block);
            let start = MARK.len() + block * KEY_BYTES;
            // It is only sooner than without.
            let _best_effort = self
                .map
                .advise_range(memmap2::Advice::WillNeed, start, keys * size_of::<u64>());
        }
    }

    fn hash(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(0, at))
    }

    /// The key at a place; none where a duplicate stands.
    fn key(&self, at: usize) -> Option<Key> {
        let exception = self.exception(at);
        if exception.is_some_and(|(_, verdict)| verdict == Verdict::Duplicate) {
            return None;
        }
        let (day, verdict) = exception.unwrap_or((i32::from_le_bytes(self.bytes(24, at)), Verdict::Accepted));
        Some(Key {
            hash: self.hash(at),
            content: u64::from_le_bytes(self.bytes(8, at)),
            batch: u32::from_le_bytes(self.bytes(16, at)),
            line: u32::from_le_bytes(self.bytes(20, at)),
            day,
            verdict,
        })
    }

    /// The value at `at` of the column before which each key has `before` bytes.
    fn bytes<const N: usize>(&self, before: usize, at: usize) -> [u8; N] {
        let block = at / BLOCK_KEYS * BLOCK_KEYS;
        let keys = BLOCK_KEYS.min(self.len - block);
        let start = MARK.len() + block * KEY_BYTES + before * keys + N * (at - block);
        *self.map[start..]
            .first_chunk::<N>()
            .expect("the file's size was checked")
    }

    /// Day and verdict that hold instead of what stands at a place.
    fn exception(&self, at: usize) -> Option<(i32, Verdict)> {
        let start = MARK.len() + self.len * KEY_BYTES;
        let bytes = &self.map[start..start + self.exceptions * EXCEPTION_BYTES];
        let (exceptions, _) = bytes.as_chunks::<EXCEPTION_BYTES>();
        let place = |exception: &[u8; EXCEPTION_BYTES]| {
            u64::from_le_bytes(*exception.first_chunk().expect("an exception begins with its place"))
        };
        let found = exceptions.binary_search_by_key(&(at as u64), place).ok()?;
        let [.., d0, d1, d2, d3, verdict] = exceptions[found];
        let verdict = match verdict {
            0 => Verdict::Accepted,
            1 => Verdict::Conflict,
            _ => Verdict::Duplicate,
        };
        Some((i32::from_le_bytes([d0, d1, d2, d3]), verdict))
    }

    /// The first place at or after `from` whose hash is not below `hash`. Hashes lie evenly, so that it is near the place that they
    /// lead to expect; from there steps double until it is passed.
    pub fn seek(&self, hash: u64, from: usize) -> usize {
        if from >= self.len || self.hash(from) >= hash {
            return from;
        }
        // The hash at `low` is below, that at `high` is not.
        let (mut low, mut high) = (from, self.len);
        let expected = self.expected(hash, from);
        let mut step = 1;
        if self.hash(expected) < hash {
            low = expected;
            while step < high - low {
                if self.hash(low + step) >= hash {
                    high = low + step;
                    break;
                }
                low += step;
                step *= 2;
            }
        } else {
            high = expected;
            while step < high - low {
                if self.hash(high - step) < hash {
                    low = high - step;
                    break;
                }
                high -= step;
                step *= 2;
            }
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.hash(middle) < hash {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// About where a hash above that at `from` stands, if those after it lie evenly.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is a guess between 0 and 1 of the rest"
    )]
    fn expected(&self, hash: u64, from: usize) -> usize {
        let base = self.hash(from);
        let share = (hash - base) as f64 / (u64::MAX - base) as f64;
        let rest = self.len - from;
        from + ((rest as f64 * share) as usize).min(rest - 1)
    }

    /// All keys of a hash, searching from `from`.
    pub fn of_hash(&self, hash: u64, from: usize) -> impl Iterator<Item = Key> + '_ {
        (self.seek(hash, from)..self.len)
            .take_while(move |&at| self.hash(at) == hash)
            .filter_map(|at| self.key(at))
    }

    pub fn iter(&self) -> impl Iterator<Item = Key> + '_ {
        (0..self.len).filter_map(|at| self.key(at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        let mut keys: Vec<Key> = (0..1000).map(|n| key(n / 2 * 7, u32::try_from(n).unwrap())).collect();
        keys[17].verdict = Verdict::Conflict;
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

    proptest! {
        #[test]
        fn a_hash_is_found_however_the_hashes_lie(
            mut hashes in prop::collection::vec(
                prop_oneof![any::<u64>(), 0..9_u64, u64::MAX - 9..=u64::MAX, 1_u64 << 40..(1 << 40) + 300], 0..300,
            ),
            wanted in prop::collection::vec(prop_oneof![any::<u64>(), 0..10_u64, u64::MAX - 10..=u64::MAX, 1_u64 << 40..(1 << 40) + 300], 20),
            from in 0..=100_usize,
        ) {
            hashes.sort_unstable();
            let dir = tempfile::tempdir().unwrap();
            let place = dir.path().join("a.keys");
            let keys: Vec<Key> = hashes.iter().zip(0..).map(|(hash, line)| key(*hash, line)).collect();
            write(&place, &keys).unwrap();
            let run = KeyRun::open(&place).unwrap();
            for wanted in wanted.into_iter().chain(hashes.iter().copied()) {
                let first = hashes.partition_point(|hash| *hash < wanted);
                for from in [from.min(first), first] {
                    prop_assert_eq!(run.seek(wanted, from), first);
                }
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

    #[test]
    fn a_run_of_several_blocks_is_read_as_it_was_written_without_its_duplicates() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a.keys");
        let count = u32::try_from(2 * BLOCK_KEYS + 3).unwrap();
        let keys: Vec<Key> = (0..count).map(|n| key(u64::from(n) * 3, n)).collect();
        let mut run = KeyWriter::create(&place).unwrap();
        for key in &keys {
            run.push(*key).unwrap();
        }
        let moved = |place, day, verdict| Exception { place, day, verdict };
        let last = u64::from(count - 1);
        let exceptions = [
            moved(5, 7, Verdict::Duplicate),
            moved(70_000, 9, Verdict::Accepted),
            moved(last, 20_000, Verdict::Conflict),
        ];
        let written = run.finish(&exceptions).unwrap();
        assert_eq!(
            (written.keys, written.bytes),
            (keys.len() - 1, std::fs::metadata(&place).unwrap().len())
        );
        let mut expected = keys;
        expected[70_000].day = 9;
        expected.last_mut().unwrap().verdict = Verdict::Conflict;
        expected.remove(5);
        let run = KeyRun::open(&place).unwrap();
        assert_eq!(run.iter().collect::<Vec<_>>(), expected);
        assert_eq!(run.of_hash(15, 0).next(), None);
        assert_eq!(run.of_hash(210_000, 3).next(), Some(expected[69_999]));
    }
}
