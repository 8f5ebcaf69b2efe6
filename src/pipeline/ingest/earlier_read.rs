//! An earlier state of an input: the same file, read before it was whole.
//!
//! A producer that is slow, or a transfer that broke, leaves a file that is read in one state and comes in another. Where the earlier
//! bytes are the beginning of the new ones and ended within a line, that line was read in part: as a CSV row it may even have been a
//! record, with a thousandth of its duration. Metering lets the whole line take its place.

use std::collections::HashSet;
use std::io::{self, Read as _};

use polars::prelude::Column;

use super::input::{Format, Input};
use super::store;
use super::store::State;
use crate::context::Books;
use crate::storage::raw::segment::{NewSegment, SegmentKind, read_columns};
use crate::storage::raw::store::segments_between;
use crate::support::error::{Doing as _, Result};
use crate::values::digest::InputHasher;

/// Read at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// What is known of the earlier state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub batch: i64,
    /// The original itself changed where it was kept; else the input came again.
    pub in_place: bool,
    /// The earlier state's length where the new one begins with it; 0 where it does not.
    pub same_bytes: u64,
    /// The line within which the earlier state ended.
    pub cut_line: Option<u64>,
}

/// The earlier state of an original that changed where it was kept.
pub async fn of_original(books: &Books, input: &Input, batch: i64) -> Result<Earlier> {
    let state = store::state_of(&books.ledger, batch).await?;
    let found = tokio::task::block_in_place(|| longest_beginning(input, &[state]))?;
    Ok(found.map_or(
        Earlier {
            batch,
            in_place: true,
            same_bytes: 0,
            cut_line: None,
        },
        |found| Earlier {
            in_place: true,
            ..found
        },
    ))
}

/// The earlier state of an input that comes again under its name, where it ended within a line; nothing else changes anything.
pub async fn of_name(books: &Books, input: &Input, source: &str) -> Result<Option<Earlier>> {
    let Some(bytes) = input.bytes()? else { return Ok(None) };
    if input.format == Format::Parquet || input.folder().is_some() {
        return Ok(None);
    }
    let states = store::shorter_states(&books.ledger, input, source, bytes).await?;
    if states.is_empty() {
        return Ok(None);
    }
    let found = tokio::task::block_in_place(|| longest_beginning(input, &states))?;
    Ok(found.filter(|earlier| earlier.cut_line.is_some()))
}

/// The longest of some states with which the input begins. The input is read once.
fn longest_beginning(input: &Input, states: &[State]) -> Result<Option<Earlier>> {
    let mut states: Vec<&State> = states.iter().filter(|state| state.bytes > 0).collect();
    states.sort_by_key(|state| (state.bytes, state.batch));
    let mut reader = input.stored()?;
    let mut hasher = InputHasher::default();
    let (mut read, mut found) = (0, None);
    for state in states {
        if !hash_up_to(&mut reader, &mut hasher, &mut read, state.bytes).map_err(|error| input.unreadable(&error))? {
            break;
        }
        if hasher.hex() == state.digest {
            found = Some(state);
        }
    }
    let Some(state) = found else { return Ok(None) };
    Ok(Some(Earlier {
        batch: state.batch,
        in_place: false,
        same_bytes: state.bytes,
        cut_line: if input.format == Format::Parquet {
            None
        } else {
            cut_line(input, state.bytes)?
        },
    }))
}

/// Hashes on to a length; false where the input is shorter.
fn hash_up_to(reader: &mut impl io::Read, hasher: &mut InputHasher, read: &mut u64, length: u64) -> io::Result<bool> {
    let mut block = vec![0; BLOCK_BYTES];
    while *read < length {
        let most = usize::try_from(length - *read).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        match reader.read(&mut block[..most])? {
            0 => return Ok(false),
            more => {
                hasher.update(&block[..more]);
                *read += more as u64;
            }
        }
    }
    Ok(true)
}

/// The number of the line within which the first `bytes` of the stored input end; none where they end with a line.
fn cut_line(input: &Input, bytes: u64) -> Result<Option<u64>> {
    let mut reader = input.open_beginning(bytes)?;
    let (mut lines, mut last) = (0, b'\n');
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match reader.read(&mut block).map_err(|error| input.unreadable(&error))? {
            0 => return Ok((last != b'\n').then_some(lines + 1)),
            read => {
                lines += memchr::memchr_iter(b'\n', &block[..read]).count() as u64;
                last = block[read - 1];
            }
        }
    }
}

/// How many records of an earlier batch, as far as raw has them, are in no new segment.
pub async fn gone(books: &Books, earlier: Earlier, new: &[NewSegment]) -> Result<i64> {
    if earlier.same_bytes > 0 {
        return Ok(0);
    }
    let own_intake = store::intake_of_batch(&books.ledger, earlier.batch).await?;
    let old = segments_between(&books.ledger, SegmentKind::Usage, earlier.batch - 1, earlier.batch).await?;
    tokio::task::block_in_place(|| {
        let mut there = HashSet::new();
        for segment in new.iter().filter(|segment| segment.kind == SegmentKind::Usage) {
            each_key(books, &segment.path, |_, key| {
                there.insert(key);
            })?;
        }
        let mut gone = HashSet::new();
        for segment in &old {
            each_key(books, &segment.path, |intake, key| {
                if intake == own_intake && !there.contains(&key) {
                    gone.insert(key);
                }
            })?;
        }
        Ok(i64::try_from(gone.len()).unwrap_or(i64::MAX))
    })
}

/// The intake and identity hash of each row.
fn each_key(books: &Books, path: &str, mut take: impl FnMut(i64, u64)) -> Result<()> {
    let frame = read_columns(&books.data.join(path), &["intake", "key"])?;
    let intakes = frame.column("intake").and_then(Column::i64).doing("reading intakes")?;
    let keys = frame.column("key").and_then(Column::u64).doing("reading keys")?;
    for (intake, key) in intakes.into_no_null_iter().zip(keys.into_no_null_iter()) {
        take(intake, key);
    }
    Ok(())
}
