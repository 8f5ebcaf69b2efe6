//! Candidates: all new rows sorted by identity hash and written as keys, and among them those that share a hash with another
//! row or with an earlier key, which nothing but their content can tell apart.
//!
//! Rows are taken by ranges of their hash, a few million at a time, so that memory does not grow with them.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::identity_index::{Exception, Key, KeyRun, KeyWriter, Verdict, WrittenRun, keys_of_hash};
use super::new_rows::{Identities, Row};
use crate::storage::durable_files::DataDir;
use crate::storage::raw::segment::for_each_group;
use crate::storage::raw::store::Segment;
use crate::support::error::{Doing as _, Error, Result};
use crate::support::radix_sort::{bits, sort_by_key};
use crate::support::threads;

/// Rows of a bucket, which is sorted by one thread, about.
const BUCKET_ROWS: usize = 1 << 16;

/// Rows in memory at a time, about: 200 MB.
const PASS_ROWS: usize = 1 << 23;

/// Sorted buckets that may wait to be written: 50 MB, all that a night of a million records has, so that nobody waits for the last ones.
const BUCKETS_AHEAD: usize = 32;

/// Leading bits of a hash, after its bucket's, by which rows are sorted; the rest decides within the few that are equal so far.
const SORTED_BITS: u32 = 22;

/// A new row and its hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Of its source and id.
    pub hash: u64,
    /// Fingerprint of its content.
    pub content: u64,
    pub row: Row,
    pub line: u32,
}

/// What the search found.
#[derive(Default)]
pub struct Candidates {
    /// New rows by hash, in the order of batch and line, each with its place in the new key run.
    by_hash: HashMap<u64, Vec<(Candidate, u64)>>,
    by_row: HashMap<Row, Candidate>,
    /// Earlier keys of the same hashes.
    pub keys: Vec<Key>,
}

impl Candidates {
    fn add(&mut self, row: Candidate, place: u64) {
        self.by_hash.entry(row.hash).or_default().push((row, place));
        self.by_row.insert(row.row, row);
    }

    /// The rows of a hash, first one first.
    pub fn of_hash(&self, hash: u64) -> impl Iterator<Item = Row> + '_ {
        self.by_hash.get(&hash).into_iter().flatten().map(|(row, _)| row.row)
    }

    /// All hashes, ascending.
    pub fn hashes(&self) -> Vec<u64> {
        let mut hashes: Vec<u64> = self.by_hash.keys().copied().collect();
        hashes.sort_unstable();
        hashes
    }

    /// All rows, ascending.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.by_row.keys().copied().collect();
        rows.sort_unstable();
        rows
    }

    /// Each row with its place in the new key run, by place.
    pub fn places(&self) -> Vec<(Row, u64)> {
        let all = self.by_hash.values().flatten();
        let mut places: Vec<(Row, u64)> = all.map(|(row, place)| (row.row, *place)).collect();
        places.sort_unstable_by_key(|(_, place)| *place);
        places
    }

    /// The line and content hash of a candidate.
    pub fn row(&self, row: Row) -> &Candidate {
        &self.by_row[&row]
    }
}

/// What the search goes through.
pub struct Search<'a> {
    pub data: &'a DataDir,
    pub segments: &'a [Segment],
    pub identities: &'a Arc<Identities>,
    /// Keys of earlier meterings.
    pub runs: &'a [KeyRun],
    /// Hashes whose rows and keys are wanted in any case.
    pub wanted: &'a HashSet<u64>,
    /// UTC days marked expired, in days since 1970.
    pub expired: &'a HashSet<i32>,
}

impl Search<'_> {
    /// Finds the candidates, and has all rows written as keys to a file at `place`.
    #[tracing::instrument(skip_all)]
    pub fn run(&self, path: &Path) -> Result<(Candidates, WritingKeys)> {
        let buckets = Buckets::of(self.identities.len());
        let keys = KeyWriter::create(path, self.identities.fingerprints)?;
        let (sorted, writing) = WritingKeys::begin(keys, Arc::clone(self.identities));
        match self.passes(&buckets, |rows| sorted.send(rows).is_ok())? {
            Some(found) => Ok((found, writing)),
            None => Err(writing.why_it_ended()),
        }
    }

    /// The candidates; none when nobody takes the sorted rows any more.
    fn passes(
        &self,
        buckets: &Buckets,
        mut hand_over: impl FnMut(Vec<Candidate>) -> bool,
    ) -> Result<Option<Candidates>> {
        let mut found = Candidates::default();
        let mut place = 0;
        for pass in buckets.passes() {
            let parts = threads::map(self.segments.len(), |at| self.read(at, buckets, &pass))?;
            let count = pass.len();
            let sorted = threads::map(count, |at| {
                let rows: Vec<&[Candidate]> = parts.iter().map(|part: &Vec<Vec<Candidate>>| &part[at][..]).collect();
                self.look_through(self.sorted(rows.concat(), buckets))
            })?;
            drop(parts);
            for bucket in sorted {
                for (at, row) in bucket.candidates {
                    found.add(row, place + at);
                }
                found.keys.extend(bucket.keys);
                place += bucket.rows.len() as u64;
                if !hand_over(bucket.rows) {
                    return Ok(None);
                }
            }
        }
        Ok(Some(found))
    }

    /// The rows of a segment in the buckets of a pass.
    fn read(&self, at: usize, buckets: &Buckets, pass: &std::ops::Range<usize>) -> Result<Vec<Vec<Candidate>>> {
        let mut row = self.identities.starts[at];
        let expected = (self.identities.starts[at + 1] - row) as usize / buckets.count;
        let mut parts: Vec<Vec<Candidate>> = pass.clone().map(|_| Vec::with_capacity(expected * 9 / 8)).collect();
        let place = self.data.join(&self.segments[at].path);
        for_each_group(&place, &["line", "key", "content"], |frame| {
            let column = |name: &str| frame.column(name).doing("reading keys");
            let line = column("line")?
                .u32()
                .doing("reading lines")?
                .downcast_as_array()
                .values();
            let key = column("key")?.u64().doing("reading keys")?.downcast_as_array().values();
            let content = column("content")?
                .u64()
                .doing("reading keys")?
                .downcast_as_array()
                .values();
            for ((&line, &hash), &content) in line.iter().zip(key.iter()).zip(content.iter()) {
                // A bucket before the pass wraps to one far after it.
                if let Some(part) = parts.get_mut(buckets.of_hash(hash).wrapping_sub(pass.start)) {
                    part.push(Candidate {
                        hash,
                        content,
                        row,
                        line,
                    });
                }
                row += 1;
            }
            Ok(())
        })?;
        if row != self.identities.starts[at + 1] {
            return Err(Error::damaged(
                &place,
                "changed its number of rows while it was metered",
            ));
        }
        Ok(parts)
    }

    /// By hash, then batch and line.
    fn sorted(&self, mut rows: Vec<Candidate>, buckets: &Buckets) -> Vec<Candidate> {
        let leading = |row: &Candidate| row.hash << buckets.bits >> (u64::BITS - SORTED_BITS);
        sort_by_key(&mut rows, SORTED_BITS, leading);
        for alike in rows.chunk_by_mut(|a, b| leading(a) == leading(b)) {
            if alike.len() > 1 {
                alike.sort_unstable_by_key(|row| (row.hash, self.identities.batch(row.row), row.line));
            }
        }
        rows
    }

    /// Picks the rows of a bucket that share a hash, and the earlier keys of their hashes.
    fn look_through(&self, rows: Vec<Candidate>) -> Result<Bucket> {
        let mut bucket = Bucket {
            rows,
            candidates: Vec::new(),
            keys: Vec::new(),
        };
        let mut known = self.known_keys(&bucket.rows)?.into_iter().peekable();
        let mut place = 0;
        for (number, group) in alike(&bucket.rows).enumerate() {
            let hash = group[0].hash;
            let before = bucket.keys.len();
            bucket
                .keys
                .extend(std::iter::from_fn(|| known.next_if(|(of, _)| *of == number)).map(|(_, key)| key));
            forget_expired(&mut bucket.keys, before, self.expired);
            if group.len() > 1 || bucket.keys.len() > before || self.wanted.contains(&hash) {
                bucket.candidates.extend((place..).zip(group.iter().copied()));
            }
            place += group.len() as u64;
        }
        Ok(bucket)
    }

    /// The earlier keys of the rows' hashes, each with the number of its hash.
    fn known_keys(&self, rows: &[Candidate]) -> Result<Vec<(usize, Key)>> {
        let mut known = Vec::new();
        // Run by run: each is gone through from its beginning to its end.
        for run in self.runs {
            let hashes = alike(rows).map(|group| group[0].hash);
            run.of_hashes(hashes, |number, key| known.push((number, key)))?;
        }
        known.sort_by_key(|(number, _)| *number);
        Ok(known)
    }

    /// Earlier keys of wanted hashes that no new row has.
    pub fn earlier_keys(&self, found: &Candidates) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        for &hash in self.wanted.iter().filter(|hash| !found.by_hash.contains_key(*hash)) {
            let before = keys.len();
            keys.append(&mut keys_of_hash(self.runs, hash)?);
            forget_expired(&mut keys, before, self.expired);
        }
        Ok(keys)
    }
}

/// Sorted rows, those of one hash together.
fn alike(rows: &[Candidate]) -> impl Iterator<Item = &[Candidate]> {
    rows.chunk_by(|a, b| a.hash == b.hash)
}

/// A key run that is written and digested on a thread of its own: while the next rows are read and sorted, and after the last ones while
/// it is decided which of them stand.
pub struct WritingKeys {
    thread: JoinHandle<Result<KeyWriter>>,
}

impl WritingKeys {
    /// Begins. It takes sorted rows until the sender goes.
    fn begin(keys: KeyWriter, identities: Arc<Identities>) -> (SyncSender<Vec<Candidate>>, Self) {
        let (sender, sorted) = sync_channel(BUCKETS_AHEAD);
        let thread = std::thread::spawn(move || write_keys(keys, &identities, &sorted));
        (sender, Self { thread })
    }

    /// Waits for the last key, and ends the run with its exceptions, by place.
    pub fn finish(self, exceptions: &[Exception]) -> Result<WrittenRun> {
        self.wait()?.finish(exceptions)
    }

    fn wait(self) -> Result<KeyWriter> {
        self.thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Its error, when it takes no more rows.
    fn why_it_ended(self) -> Error {
        let ended = || Error::Unbalanced("a key run ended before its last key".to_owned());
        self.wait().err().unwrap_or_else(ended)
    }
}

fn write_keys(mut keys: KeyWriter, identities: &Identities, sorted: &Receiver<Vec<Candidate>>) -> Result<KeyWriter> {
    for row in sorted.iter().flatten() {
        let segment = identities.segment_of(row.row);
        keys.push(Key {
            hash: row.hash,
            content: row.content,
            batch: identities.batches[segment],
            line: row.line,
            day: identities.days[segment],
            verdict: Verdict::Accepted,
        })?;
    }
    Ok(keys)
}

/// A sorted bucket.
struct Bucket {
    rows: Vec<Candidate>,
    /// With their places in the bucket.
    candidates: Vec<(u64, Candidate)>,
    keys: Vec<Key>,
}

/// Ranges of the hash, by its leading bits.
struct Buckets {
    count: usize,
    bits: u32,
}

impl Buckets {
    fn of(rows: usize) -> Self {
        let bits = bits((rows / BUCKET_ROWS) as u64);
        Self { count: 1 << bits, bits }
    }

    fn of_hash(&self, hash: u64) -> usize {
        // A shift by all 64 bits would be none at all.
        usize::try_from(hash.checked_shr(u64::BITS - self.bits).unwrap_or(0)).expect("a few leading bits")
    }

    fn passes(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let (count, buckets) = (self.count, PASS_ROWS / BUCKET_ROWS);
        (0..count)
            .step_by(buckets)
            .map(move |start| start..count.min(start + buckets))
    }
}

/// Keys of a hash live until the last of their days has expired; from then on the id is free. Where it was accepted again
/// since, the expired keys before that are those of its earlier life.
fn forget_expired(keys: &mut Vec<Key>, from: usize, expired: &HashSet<i32>) {
    if keys[from..].iter().all(|key| expired.contains(&key.day)) {
        keys.truncate(from);
        return;
    }
    if keys[from..].iter().all(|key| !expired.contains(&key.day)) {
        return;
    }
    let mut own = keys.split_off(from);
    let order = |key: &Key| (key.batch, key.line);
    let accepted = own.iter().filter(|key| key.verdict == Verdict::Accepted);
    let last_accepted = accepted.map(order).max();
    own.retain(|key| !expired.contains(&key.day) || last_accepted <= Some(order(key)));
    keys.append(&mut own);
}
