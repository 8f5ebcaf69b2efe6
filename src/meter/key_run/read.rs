//! Searching a key run.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::span::{SHELVES, Span};
use super::{
    BLOCK_KEYS, EXCEPTION_BYTES, KEY_BYTES, Key, LEAD_BYTES, MARK, SPAN_BYTES, STARTS_BYTES, TAIL_BYTES, Verdict,
};
use crate::error::{AtPath as _, Error, Result};

/// Leads that come from disk with one that is looked at: systems read 64 KiB around a page.
const LEADS_READ_AT_ONCE: usize = 1 << 15;

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
        Ok(run)
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
            // It is only sooner than without.
            let _best_effort = self
                .map
                .advise_range(memmap2::Advice::WillNeed, start_of(block), looked_at);
        }
    }

    /// All keys of a hash.
    pub fn of_hash(&self, hash: u64) -> impl Iterator<Item = Key> + '_ {
        let first = self.spans.partition_point(|span| span.last < hash);
        let blocks = (first..).zip(&self.spans[first..]);
        blocks
            .take_while(move |(_, span)| span.has(hash))
            .flat_map(move |(block, span)| self.alike(block, *span, hash))
            .filter(move |&at| self.hash(at) == hash)
            .filter_map(|at| self.key(at))
    }

    pub fn iter(&self) -> impl Iterator<Item = Key> + '_ {
        (0..self.len).filter_map(|at| self.key(at))
    }

    /// Where the keys of a block stand that have the leading bits of a hash.
    fn alike(&self, block: usize, span: Span, hash: u64) -> std::ops::Range<usize> {
        let (shelf, lead) = span.shelf_and_lead(hash);
        let start = self.shelf_start(block, shelf);
        let leads = &self.leads(block)[start..self.shelf_start(block, shelf + 1)];
        let below = leads.partition_point(|other| u16::from_le_bytes(*other) < lead);
        let alike = leads[below..]
            .iter()
            .take_while(|other| u16::from_le_bytes(**other) == lead)
            .count();
        let first = block * BLOCK_KEYS + start + below;
        first..first + alike
    }

    fn shelf_start(&self, block: usize, shelf: usize) -> usize {
        if shelf == SHELVES {
            return self.keys_of(block);
        }
        u32::from_le_bytes(self.bytes_at(start_of(block) + shelf * 4)) as usize
    }

    fn leads(&self, block: usize) -> &[[u8; LEAD_BYTES]] {
        let start = start_of(block) + STARTS_BYTES;
        self.map[start..start + self.keys_of(block) * LEAD_BYTES].as_chunks().0
    }

    fn hash(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.value(LEAD_BYTES, at))
    }

    /// The key at a place; none where a duplicate stands.
    fn key(&self, at: usize) -> Option<Key> {
        let exception = self.exception(at);
        if exception.is_some_and(|(_, verdict)| verdict == Verdict::Duplicate) {
            return None;
        }
        let (day, verdict) = exception.unwrap_or((i32::from_le_bytes(self.value(26, at)), Verdict::Accepted));
        Some(Key {
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

    /// Day and verdict that hold instead of what stands at a place.
    fn exception(&self, at: usize) -> Option<(i32, Verdict)> {
        let start = MARK.len() + self.spans.len() * STARTS_BYTES + self.len * KEY_BYTES;
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
}

/// Where a block begins: all before it are full.
fn start_of(block: usize) -> usize {
    MARK.len() + block * (STARTS_BYTES + BLOCK_KEYS * KEY_BYTES)
}
