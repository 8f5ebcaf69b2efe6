//! Writing a key run.

use std::io::BufWriter;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::slot::{SHELVES, Span};
use super::{
    BLOCK_END_BYTES, BLOCK_KEYS, BlockEnd, EXCEPTION_BYTES, Exception, KEY_BYTES, Key, LEAD_BYTES, STARTS_BYTES,
    TAIL_BYTES, Verdict, mark_of,
};
use crate::storage::durable_files::{DigestedFile, NewFile, WrittenDigest};
use crate::storage::raw::fingerprints::Fingerprints;
use crate::support::error::{AtPath as _, Result};

/// A run that is being written.
pub struct KeyWriter {
    path: PathBuf,
    out: DigestedFile<BufWriter<NewFile>>,
    digest: WrittenDigest,
    block: Vec<Key>,
    /// The blocks that are written.
    blocks: Vec<BlockEnd>,
    exceptions: Vec<Exception>,
    keys: usize,
    bytes: usize,
}

/// A run that was written, not synced.
pub struct WrittenRun {
    /// Keys, without duplicates.
    pub keys: usize,
    pub bytes: u64,
    pub digest: String,
}

impl KeyWriter {
    /// Creates a file that must not be there yet, for keys with fingerprints of a version, or of none older.
    pub fn create(place: &Path, fingerprints: Fingerprints) -> Result<Self> {
        let (out, digest) = DigestedFile::of(NewFile::create_buffered(place)?);
        let mut run = Self {
            path: place.to_owned(),
            out,
            digest,
            block: Vec::with_capacity(BLOCK_KEYS),
            blocks: Vec::new(),
            exceptions: Vec::new(),
            keys: 0,
            bytes: 0,
        };
        run.add(mark_of(fingerprints))?;
        Ok(run)
    }

    /// Appends a key; keys come by hash, then batch and line.
    pub fn push(&mut self, key: Key) -> Result<()> {
        if key.verdict != Verdict::Accepted {
            self.exceptions.push(Exception {
                place: (self.keys + self.block.len()) as u64,
                day: key.day,
                verdict: key.verdict,
            });
        }
        self.block.push(key);
        if self.block.len() == BLOCK_KEYS {
            self.write_block()?;
        }
        Ok(())
    }

    fn write_block(&mut self) -> Result<()> {
        let (Some(first), Some(last)) = (self.block.first(), self.block.last()) else {
            return Ok(());
        };
        let span = Span {
            first: first.hash,
            last: last.hash,
        };
        let mut bytes = Vec::with_capacity(STARTS_BYTES + self.block.len() * KEY_BYTES);
        add_starts_and_leads(&mut bytes, &self.block, span);
        add_column(&mut bytes, &self.block, |key| key.hash.to_le_bytes());
        add_column(&mut bytes, &self.block, |key| key.content.to_le_bytes());
        add_column(&mut bytes, &self.block, |key| key.batch.to_le_bytes());
        add_column(&mut bytes, &self.block, |key| key.line.to_le_bytes());
        add_column(&mut bytes, &self.block, |key| key.day.to_le_bytes());
        add_column(&mut bytes, &self.block, |key| key.check().to_le_bytes());
        let (searched, others) = bytes.split_at(STARTS_BYTES + self.block.len() * LEAD_BYTES);
        self.blocks.push(BlockEnd {
            span,
            searched: xxh3_64(searched),
            others: xxh3_64(others),
        });
        self.keys += self.block.len();
        self.block.clear();
        self.add(&bytes)
    }

    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len();
        self.out.write_all(bytes).at(&self.path)
    }

    /// Ends the run, with what was decided of keys that came as accepted, by place.
    pub fn finish(mut self, decided_since: &[Exception]) -> Result<WrittenRun> {
        self.write_block()?;
        let mut exceptions = std::mem::take(&mut self.exceptions);
        exceptions.extend_from_slice(decided_since);
        debug_assert!(exceptions.is_sorted_by_key(|e| e.place));
        let mut bytes =
            Vec::with_capacity(exceptions.len() * EXCEPTION_BYTES + self.blocks.len() * BLOCK_END_BYTES + TAIL_BYTES);
        for exception in &exceptions {
            bytes.extend_from_slice(&exception.place.to_le_bytes());
            bytes.extend_from_slice(&exception.day.to_le_bytes());
            bytes.push(exception.verdict as u8);
        }
        for end in &self.blocks {
            for number in [end.span.first, end.span.last, end.searched, end.others] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        for count in [self.keys, exceptions.len()] {
            bytes.extend_from_slice(&(count as u64).to_le_bytes());
        }
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        self.add(&bytes)?;
        self.out.flush().at(&self.path)?;
        let duplicates = exceptions.iter().filter(|e| e.verdict == Verdict::Duplicate).count();
        Ok(WrittenRun {
            keys: self.keys - duplicates,
            bytes: self.bytes as u64,
            digest: self.digest.hex(),
        })
    }
}

/// The first two columns of a block.
fn add_starts_and_leads(bytes: &mut Vec<u8>, block: &[Key], span: Span) {
    let mut starts = [0_u16; SHELVES];
    let mut leads = Vec::with_capacity(block.len());
    // Shelves whose start is known.
    let mut begun = 0;
    for (at, key) in (0..).zip(block) {
        let (shelf, lead) = span.shelf_and_lead(key.hash);
        if begun <= shelf {
            starts[begun..=shelf].fill(at);
            begun = shelf + 1;
        }
        leads.push(lead);
    }
    starts[begun..].fill(u16::try_from(block.len()).expect("a block is small"));
    add_column(bytes, &starts, |start| start.to_le_bytes());
    add_column(bytes, &leads, |lead| lead.to_le_bytes());
}

fn add_column<T, const N: usize>(bytes: &mut Vec<u8>, rows: &[T], value: impl Fn(&T) -> [u8; N]) {
    for row in rows {
        bytes.extend_from_slice(&value(row));
    }
}
