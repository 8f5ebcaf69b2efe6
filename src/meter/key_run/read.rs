//! Searching a key run.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::span::{SHELVES, Span};
use super::{
    BLOCK_KEYS, EXCEPTION_BYTES, Exception, KEY_BYTES, Key, LEAD_BYTES, MARK, SPAN_BYTES, STARTS_BYTES, TAIL_BYTES,
    Verdict,
};
use crate::error::{AtPath as _, Error, Result};

/// Leads for which one request to the disk is worth a page read for one of them.
const LEADS_READ_AT_ONCE: usize = 1 << 15;

/// Leads that are compared at once: nearly every shelf has no more.
const LEADS_AT_ONCE: usize = 16;

/// An open key run.
pub struct KeyRun {
    map: Mmap,
    len: usize,
    exceptions: usize,
    /// Of each block.
    spans: Vec<Span>,
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
            let blocks = keys.div_ceil(BLOCK_KEYS) * (STARTS_BYTES + SPAN_BYTES);
            let keys = keys.checked_mul(KEY_BYTES)?;
            let all = keys.checked_add(exceptions.checked_mul(EXCEPTION_BYTES)?)?;
            all.checked_add(MARK.len() + blocks + TAIL_BYTES)
        };
        let counts = counts.filter(|&counts| map.starts_with(MARK) && bytes_of(counts) == Some(map.len()));
        let Some((len, exceptions)) = counts else {
            return Err(Error::damaged(place, "is no key run, or is cut off"));
        };
        let mut run = Self {
            map,
            len,
            exceptions,
            spans: Vec::new(),
        };
        run.spans = (0..len.div_ceil(BLOCK_KEYS)).map(|block| run.span(block)).collect();
        // Systems read up to some MiB around a page that is missing, and keys that are found lie far apart.
        #[cfg(unix)]
        run.advise(memmap2::Advice::Random, 0, run.map.len());
        Ok(run)
    }

    /// Tells the system how a part of the file will be read. It is only sooner than without.
    #[cfg(unix)]
    fn advise(&self, advice: memmap2::Advice, start: usize, bytes: usize) {
        let _best_effort = self.map.advise_range(advice, start, bytes);
    }

    fn span(&self, block: usize) -> Span {
        let start = self.map.len() - TAIL_BYTES - (self.len.div_ceil(BLOCK_KEYS) - block) * SPAN_BYTES;
        Span {
            first: u64::from_le_bytes(self.bytes_at(start)),
            last: u64::from_le_bytes(self.bytes_at(start + 8)),
        }
    }

    /// Asks the system to read all that searches look at from disk, when so many of them will look at nearly all of it.
    pub fn read_ahead(&self, searches: usize) {
        if searches.saturating_mul(LEADS_READ_AT_ONCE) < self.len {
            return;
        }
        #[cfg(unix)]
        for block in 0..self.spans.len() {
            let looked_at = STARTS_BYTES + self.keys_of(block) * LEAD_BYTES;
            self.advise(memmap2::Advice::WillNeed, start_of(block), looked_at);
        }
    }

    /// All keys of a hash.
    pub fn of_hash(&self, hash: u64) -> impl Iterator<Item = Key> + '_ {
        self.of_hash_from(self.spans.partition_point(|span| span.last < hash), hash)
    }

    /// Hands on all keys of some hashes, which ascend, each with the place of its hash among them.
    pub fn of_hashes(&self, hashes: impl Iterator<Item = u64>, mut take: impl FnMut(usize, Key)) {
        let mut block = 0;
        for (place, hash) in hashes.enumerate() {
            while self.spans.get(block).is_some_and(|span| span.last < hash) {
                block += 1;
            }
            // Of nearly all there is none.
            let is_one = |span: &Span| span.has(hash) && self.may_have(block, *span, hash);
            if self.spans.get(block).is_some_and(is_one) {
                self.of_hash_from(block, hash).for_each(|key| take(place, key));
            }
        }
    }

    /// All keys of a hash; `first` is the first block that does not end before it.
    fn of_hash_from(&self, first: usize, hash: u64) -> impl Iterator<Item = Key> + '_ {
        let blocks = (first..).zip(&self.spans[first..]);
        blocks
            .take_while(move |(_, span)| span.has(hash))
            .flat_map(move |(block, span)| self.alike(block, *span, hash))
            .filter(move |&at| self.hash(at) == hash)
            .filter_map(|at| self.key(at, self.exception(at)))
    }

    /// All keys, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Key> + '_ {
        #[cfg(unix)]
        self.advise(memmap2::Advice::Sequential, 0, self.map.len());
        let mut exceptions = self.exceptions().iter().map(exception_of).peekable();
        (0..self.len).filter_map(move |at| self.key(at, exceptions.next_if(|exception| exception.place == at as u64)))
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
    fn alike(&self, block: usize, span: Span, hash: u64) -> std::ops::Range<usize> {
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

    fn hash(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.value(LEAD_BYTES, at))
    }

    /// The key at a place; none where a duplicate stands.
    fn key(&self, at: usize, exception: Option<Exception>) -> Option<Key> {
        let (day, verdict) = match exception {
            None => (i32::from_le_bytes(self.value(26, at)), Verdict::Accepted),
            Some(exception) => (exception.day, exception.verdict),
        };
        (verdict != Verdict::Duplicate).then(|| Key {
            hash: self.hash(at),
            content: u64::from_le_bytes(self.value(10, at)),
            batch: u32::from_le_bytes(self.value(18, at)),
            line: u32::from_le_bytes(self.value(22, at)),
            day,
            verdict,
        })
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
        let start = MARK.len() + self.spans.len() * STARTS_BYTES + self.len * KEY_BYTES;
        self.map[start..start + self.exceptions * EXCEPTION_BYTES].as_chunks().0
    }
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

/// Where a block begins: all before it are full.
fn start_of(block: usize) -> usize {
    MARK.len() + block * (STARTS_BYTES + BLOCK_KEYS * KEY_BYTES)
}
