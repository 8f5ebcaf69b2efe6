//! Searching a key run.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use memmap2::Mmap;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::slot::{SHELVES, Span};
use super::{
    BLOCK_END_BYTES, BLOCK_KEYS, BlockEnd, EXCEPTION_BYTES, Exception, KEY_BYTES, Key, LEAD_BYTES, MARK_BYTES,
    STARTS_BYTES, TAIL_BYTES, Verdict, mark_of,
};
use crate::storage::raw::fingerprints::Fingerprints;
use crate::support::error::{AtPath as _, Error, Result};

/// What is told of a run that is not what was written, with its name before it.
const DAMAGED: &str = "has changed since it was written, so duplicates might be missed; restore it from a backup";

/// How many bytes of each key stand before a column.
const HASH: usize = LEAD_BYTES;
const CONTENT: usize = HASH + 8;
const BATCH: usize = CONTENT + 8;
const LINE: usize = BATCH + 4;
const DAY: usize = LINE + 4;
const CHECK: usize = DAY + 4;

/// Leads that are compared at once: nearly every shelf has no more.
const LEADS_AT_ONCE: usize = 16;

/// An open key run.
pub struct KeyRun {
    path: PathBuf,
    map: Mmap,
    fingerprints: Fingerprints,
    len: usize,
    exceptions: usize,
    blocks: Vec<Block>,
}

struct Block {
    end: BlockEnd,
    /// Whether its starts and leads were found to be what was written.
    is_checked: AtomicBool,
}

impl Block {
    fn span(&self) -> Span {
        self.end.span
    }
}

impl KeyRun {
    /// Opens a file, and checks its size and what stands after its blocks.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at(path)?;
        #[expect(
            unsafe_code,
            reason = "the file is immutable: only its own writer ever writes it, before it is named"
        )]
        let map = unsafe { Mmap::map(&file) }.at(path)?;
        let number = |at: usize| usize::try_from(u64::from_le_bytes(*map.get(at..)?.first_chunk::<8>()?)).ok();
        let counts = map
            .len()
            .checked_sub(TAIL_BYTES)
            .and_then(|tail| Some((number(tail)?, number(tail + 8)?)));
        let bytes_of = |(keys, exceptions): (usize, usize)| {
            let blocks = keys.div_ceil(BLOCK_KEYS) * (STARTS_BYTES + BLOCK_END_BYTES);
            let keys = keys.checked_mul(KEY_BYTES)?;
            let all = keys.checked_add(exceptions.checked_mul(EXCEPTION_BYTES)?)?;
            all.checked_add(MARK_BYTES + blocks + TAIL_BYTES)
        };
        let version = Fingerprints::ALL
            .into_iter()
            .find(|version| map.starts_with(mark_of(*version)));
        let counts = counts.filter(|&counts| bytes_of(counts) == Some(map.len()));
        let (Some(fingerprints), Some((len, exceptions))) = (version, counts) else {
            return Err(Error::damaged(path, "is not an identity index file, or is cut off"));
        };
        let mut run = Self {
            path: path.to_owned(),
            map,
            fingerprints,
            len,
            exceptions,
            blocks: Vec::new(),
        };
        let (before, check) = run.map.split_at(run.map.len() - 8);
        if xxh3_64(&before[start_of_exceptions(len)..]).to_le_bytes() != *check {
            return Err(Error::damaged(path, DAMAGED));
        }
        run.blocks = (0..len.div_ceil(BLOCK_KEYS)).map(|block| run.block(block)).collect();
        // Systems read up to some MiB around a page that is missing, and keys that are found lie far apart.
        #[cfg(unix)]
        run.advise(memmap2::Advice::Random, 0..run.map.len());
        Ok(run)
    }

    /// The oldest version of its fingerprints.
    pub fn fingerprints(&self) -> Fingerprints {
        self.fingerprints
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.map.len()
    }

    /// Gives back the memory of all that was read; what is wanted again is read again.
    pub fn forget(&self) {
        #[cfg(unix)]
        {
            #[expect(
                unsafe_code,
                reason = "the map is shared, of an immutable file, and only read: a page that is given back comes back as it was"
            )]
            let _best_effort = unsafe { self.map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }

    /// Tells the system how a part of the file will be read. It is only sooner than without.
    #[cfg(unix)]
    fn advise(&self, advice: memmap2::Advice, bytes: Range<usize>) {
        let _best_effort = self.map.advise_range(advice, bytes.start, bytes.len());
    }

    fn block(&self, block: usize) -> Block {
        let blocks = self.len.div_ceil(BLOCK_KEYS);
        let start = self.map.len() - TAIL_BYTES - (blocks - block) * BLOCK_END_BYTES;
        let number = |at: usize| u64::from_le_bytes(self.bytes_at(start + 8 * at));
        let span = Span {
            first: number(0),
            last: number(1),
        };
        Block {
            end: BlockEnd {
                span,
                searched: number(2),
                others: number(3),
            },
            is_checked: AtomicBool::new(false),
        }
    }

    /// Checks, once, that starts and leads of a block are what was written.
    fn check_searched(&self, block: usize) -> Result<()> {
        let known = &self.blocks[block];
        if known.is_checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let searched = self.searched(block);
        #[cfg(unix)]
        self.advise(memmap2::Advice::WillNeed, searched.clone());
        self.check(searched, known.end.searched)?;
        known.is_checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Checks that every key is what was written.
    pub fn check_all(&self) -> Result<()> {
        #[cfg(unix)]
        self.advise(memmap2::Advice::Sequential, 0..self.map.len());
        (0..self.blocks.len()).into_par_iter().try_for_each(|block| {
            self.check_searched(block)?;
            let start = self.searched(block).end;
            let others = start..start + self.keys_of(block) * (KEY_BYTES - LEAD_BYTES);
            self.check(others, self.blocks[block].end.others)
        })
    }

    fn check(&self, bytes: Range<usize>, written: u64) -> Result<()> {
        if xxh3_64(&self.map[bytes]) == written {
            return Ok(());
        }
        Err(self.damaged())
    }

    fn damaged(&self) -> Error {
        Error::damaged(&self.path, DAMAGED)
    }

    /// Where starts and leads of a block stand.
    fn searched(&self, block: usize) -> Range<usize> {
        let start = start_of(block);
        start..start + STARTS_BYTES + self.keys_of(block) * LEAD_BYTES
    }

    /// Asks the system to read all that searches look at from disk, when there is one for each block: each reads starts and leads of a whole
    /// one.
    pub fn read_ahead(&self, searches: usize) {
        if searches < self.blocks.len() {
            return;
        }
        #[cfg(unix)]
        for block in 0..self.blocks.len() {
            self.advise(memmap2::Advice::WillNeed, self.searched(block));
        }
    }

    /// Adds all keys of a hash.
    pub fn add_of_hash(&self, hash: u64, keys: &mut Vec<Key>) -> Result<()> {
        let first = self.blocks.partition_point(|block| block.span().last < hash);
        self.of_hash_from(first, hash, |key| keys.push(key))
    }

    /// Hands on all keys of some hashes, which ascend, each with the place of its hash among them.
    pub fn of_hashes(&self, hashes: impl Iterator<Item = u64>, mut take: impl FnMut(usize, Key)) -> Result<()> {
        let mut block = 0;
        for (place, hash) in hashes.enumerate() {
            while self.blocks.get(block).is_some_and(|block| block.span().last < hash) {
                block += 1;
            }
            let Some(span) = self.blocks.get(block).map(Block::span).filter(|span| span.has(hash)) else {
                continue;
            };
            self.check_searched(block)?;
            // Of nearly all there is none.
            if self.may_have(block, span, hash) {
                self.of_hash_from(block, hash, |key| take(place, key))?;
            }
        }
        Ok(())
    }

    /// Hands on all keys of a hash; `first` is the first block that does not end before it.
    fn of_hash_from(&self, first: usize, hash: u64, mut take: impl FnMut(Key)) -> Result<()> {
        for (block, known) in (first..).zip(&self.blocks[first..]) {
            let span = known.span();
            if !span.has(hash) {
                break;
            }
            self.check_searched(block)?;
            for at in self.alike(block, span, hash) {
                let key = self.written(at);
                if key.check() != u16::from_le_bytes(self.value(CHECK, at)) {
                    return Err(self.damaged());
                }
                if key.hash == hash {
                    standing(key, self.exception(at)).into_iter().for_each(&mut take);
                }
            }
        }
        Ok(())
    }

    /// All keys, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Key> + '_ {
        #[cfg(unix)]
        self.advise(memmap2::Advice::Sequential, 0..self.map.len());
        let mut exceptions = self.exceptions().iter().map(exception_of).peekable();
        (0..self.len).filter_map(move |at| {
            let exception = exceptions.next_if(|exception| exception.place == at as u64);
            standing(self.written(at), exception)
        })
    }

    /// Whether a block has a key with the leading bits of a hash. Where shelves have few leads, those of the next one are compared as well:
    /// as many as always are compared by a few instructions.
    fn may_have(&self, block: usize, span: Span, hash: u64) -> bool {
        let (shelf, lead) = span.shelf_and_lead(hash);
        let (start, end) = (self.shelf_start(block, shelf), self.shelf_start(block, shelf + 1));
        let leads = self.leads(block);
        let is_among = |leads: &[[u8; LEAD_BYTES]]| {
            let is_it = leads.iter().map(|other| u16::from_le_bytes(*other) == lead);
            is_it.fold(false, |is_among, is_it| is_among | is_it)
        };
        match leads[start..].first_chunk::<LEADS_AT_ONCE>() {
            Some(some) if end - start <= LEADS_AT_ONCE => is_among(some),
            _ => is_among(&leads[start..end]),
        }
    }

    /// Where the keys of a block stand that have the leading bits of a hash.
    fn alike(&self, block: usize, span: Span, hash: u64) -> Range<usize> {
        let (shelf, lead) = span.shelf_and_lead(hash);
        let start = self.shelf_start(block, shelf);
        let leads = &self.leads(block)[start..self.shelf_start(block, shelf + 1)];
        // Comparing all of them at once is faster than looking for the place.
        let count = |is_counted: fn(u16, u16) -> bool| -> usize {
            let counted = leads
                .iter()
                .map(|other| u32::from(is_counted(u16::from_le_bytes(*other), lead)));
            counted.sum::<u32>() as usize
        };
        let first = block * BLOCK_KEYS + start + count(|other, lead| other < lead);
        first..first + count(|other, lead| other == lead)
    }

    fn shelf_start(&self, block: usize, shelf: usize) -> usize {
        if shelf == SHELVES {
            return self.keys_of(block);
        }
        u16::from_le_bytes(self.bytes_at(start_of(block) + shelf * 2)).into()
    }

    fn leads(&self, block: usize) -> &[[u8; LEAD_BYTES]] {
        let start = start_of(block) + STARTS_BYTES;
        self.map[start..start + self.keys_of(block) * LEAD_BYTES].as_chunks().0
    }

    /// What stands at a place, whatever holds instead of it.
    fn written(&self, at: usize) -> Key {
        Key {
            hash: u64::from_le_bytes(self.value(HASH, at)),
            content: u64::from_le_bytes(self.value(CONTENT, at)),
            batch: u32::from_le_bytes(self.value(BATCH, at)),
            line: u32::from_le_bytes(self.value(LINE, at)),
            day: i32::from_le_bytes(self.value(DAY, at)),
            verdict: Verdict::Accepted,
        }
    }

    /// The value at `at` of the column before which each key has `before` bytes.
    fn value<const N: usize>(&self, before: usize, at: usize) -> [u8; N] {
        let block = at / BLOCK_KEYS;
        let column = start_of(block) + STARTS_BYTES + before * self.keys_of(block);
        self.bytes_at(column + N * (at % BLOCK_KEYS))
    }

    fn bytes_at<const N: usize>(&self, at: usize) -> [u8; N] {
        *self.map[at..].first_chunk().expect("the file's size was checked")
    }

    fn keys_of(&self, block: usize) -> usize {
        BLOCK_KEYS.min(self.len - block * BLOCK_KEYS)
    }

    /// What holds instead of what stands at a place.
    fn exception(&self, at: usize) -> Option<Exception> {
        let exceptions = self.exceptions();
        let found = exceptions.binary_search_by_key(&(at as u64), |bytes| exception_of(bytes).place);
        found.ok().map(|found| exception_of(&exceptions[found]))
    }

    /// By place.
    fn exceptions(&self) -> &[[u8; EXCEPTION_BYTES]] {
        let start = start_of_exceptions(self.len);
        self.map[start..start + self.exceptions * EXCEPTION_BYTES].as_chunks().0
    }
}

/// The key with what holds instead of what is written; none where a duplicate stands.
pub(super) fn standing(key: Key, exception: Option<Exception>) -> Option<Key> {
    let Some(Exception { day, verdict, .. }) = exception else {
        return Some(key);
    };
    (verdict != Verdict::Duplicate).then_some(Key { day, verdict, ..key })
}

fn exception_of(bytes: &[u8; EXCEPTION_BYTES]) -> Exception {
    let [p0, p1, p2, p3, p4, p5, p6, p7, d0, d1, d2, d3, verdict] = *bytes;
    Exception {
        place: u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7]),
        day: i32::from_le_bytes([d0, d1, d2, d3]),
        verdict: match verdict {
            0 => Verdict::Accepted,
            1 => Verdict::Conflict,
            _ => Verdict::Duplicate,
        },
    }
}

/// What stands after the blocks begins here.
pub(super) fn start_of_exceptions(keys: usize) -> usize {
    MARK_BYTES + keys.div_ceil(BLOCK_KEYS) * STARTS_BYTES + keys * KEY_BYTES
}

/// Where a block begins: all before it are full.
fn start_of(block: usize) -> usize {
    MARK_BYTES + block * (STARTS_BYTES + BLOCK_KEYS * KEY_BYTES)
}
