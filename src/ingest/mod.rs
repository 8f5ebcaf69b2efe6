//! Ingest: any input ends in segments named by one ledger transaction, or in nothing.
//!
//! ```text
//! known?      the same bytes, source and format change nothing; their quarantined lines are tried again
//! register    an intake number for the file names
//! read        chunks of the input, by one thread
//! check       each record at the door, by all threads: into raw rows by UTC day, or refused
//! sync        segments on disk for good
//! commit      batch number, segments, quarantine: one transaction
//! ```

pub mod chunk;
pub mod csv;
pub mod drop_folder;
pub mod event;
pub mod field;
pub mod fingerprint;
pub mod input;
pub mod instant;
mod parquet;
pub mod reading;
pub mod record;
pub mod refusal;
pub mod retry;
pub mod store;
mod worker;
mod writers;

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use chunk::{Chunk, Chunks};
use csv::CsvHeader;
use input::{Format, Input, Measured};
use store::{Batch, NewBatch};
use worker::{Door, Tally, Worker};
use writers::Writers;

use crate::books::{Books, UnknownAccounts};
use crate::error::{Error, Result};
use crate::files::{remove_files, sync_all};
use crate::ledger::commit_intake;
use crate::raw::segment::NewSegment;
use crate::raw::store::{add_segments, expired_days, refuse_expired};

/// What became of an input.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Ingested {
    /// The input was ingested before; nothing changed but lines that left quarantine.
    pub already: bool,
    #[serde(flatten)]
    pub batch: Batch,
    /// Lines in quarantine by reason.
    pub quarantine: Vec<(String, i64)>,
    /// Lines of this input that a retry took out of quarantine.
    pub retried: i64,
    #[serde(skip)]
    pub measured: Measured,
}

/// Ingests one input. `source` is who sent the records that do not say so.
pub async fn ingest(books: &Books, input: &Input, source: &str) -> Result<Ingested> {
    record::check_source(source).map_err(|refusal| Error::Usage(format!("--source: {refusal}")))?;
    if let Some(known) = find_known(books, input, source).await? {
        return Ok(known);
    }
    let door = open_door(books, source).await?;
    let intake = books.register_intake("ingest").await?;
    let read = tokio::task::block_in_place(|| read_input(books, input, door, intake))?;
    commit(books, input, source, intake, read).await
}

async fn find_known(books: &Books, input: &Input, source: &str) -> Result<Option<Ingested>> {
    let Some(bytes) = input.bytes()? else { return Ok(None) };
    if !store::has_input_of_size(&books.ledger, bytes).await? {
        return Ok(None);
    }
    let Some(digest) = tokio::task::block_in_place(|| input.digest())? else {
        return Ok(None);
    };
    already(books, source, input, Measured { bytes, digest }).await
}

async fn already(books: &Books, source: &str, input: &Input, measured: Measured) -> Result<Option<Ingested>> {
    let found = store::batch_of_digest(&books.ledger, &measured.digest, source, input.format.text()).await?;
    let Some(batch) = found else { return Ok(None) };
    let retried = retry::retry(books, Some(batch.batch)).await?.accepted;
    let quarantine = store::quarantine_counts(&books.ledger, Some(batch.batch)).await?;
    Ok(Some(Ingested {
        already: true,
        batch,
        quarantine,
        retried,
        measured,
    }))
}

async fn open_door(books: &Books, source: &str) -> Result<Door> {
    let known_accounts = match books.settings.unknown_accounts {
        UnknownAccounts::Add => None,
        UnknownAccounts::Quarantine => Some(store::account_numbers(&books.ledger).await?),
    };
    let expired = expired_days(&books.ledger)
        .await?
        .into_iter()
        .map(crate::span::number_of_day)
        .collect();
    Ok(Door::new(books.clock, source, expired, known_accounts))
}

/// What reading an input left on disk and in memory.
struct ReadInput {
    measured: Measured,
    header: Option<String>,
    tally: Tally,
    segments: Vec<NewSegment>,
}

fn read_input(books: &Books, input: &Input, mut door: Door, intake: i64) -> Result<ReadInput> {
    let writers = Writers::new(&books.data, intake);
    let (measured, header, tally) = match input.format {
        Format::Parquet => read_parquet(books, input, &door, &writers, intake)?,
        Format::Ndjson | Format::Csv => {
            let (reader, meter) = input.open()?;
            let progress = books.progress.bytes(&input.name, input.bytes()?);
            let (chunks, header, first) = match input.format {
                Format::Csv => split_header(input, Chunks::of_rows(reader))?,
                _ => (Chunks::of_lines(reader), None, None),
            };
            if let Some((_, header)) = &header {
                door.header = Some(header.clone());
            }
            let mut chunks = chunks;
            let mut first = first;
            let tally = check_all(&door, &writers, |take| {
                if let Some(first) = first.take() {
                    take(first)?;
                }
                while let Some(chunk) = chunks.next_chunk().map_err(|e| input.unreadable(&e))? {
                    progress.at(meter.bytes());
                    take(chunk)?;
                }
                Ok(())
            })?;
            (meter.finish(), header.map(|h| h.0), tally)
        }
    };
    let segments = writers.finish()?;
    sync_all(&segments.iter().map(|s| books.data.join(&s.path)).collect::<Vec<_>>())?;
    Ok(ReadInput {
        measured,
        header,
        tally,
        segments,
    })
}

fn read_parquet(
    books: &Books,
    input: &Input,
    door: &Door,
    writers: &Writers,
    intake: i64,
) -> Result<(Measured, Option<String>, Tally)> {
    let spool = input::Spool::of(input, &books.data, intake)?;
    let tally = check_all(door, writers, |take| parquet::chunks(&input.name, spool.path(), take))?;
    Ok((spool.measured(), None, tally))
}

type CsvStart<R> = (Chunks<R>, Option<(String, CsvHeader)>, Option<Chunk>);

/// Takes the header row off the first chunk.
fn split_header<R: std::io::Read>(input: &Input, mut chunks: Chunks<R>) -> Result<CsvStart<R>> {
    let bad = |what: String| Error::Input {
        input: input.name.clone(),
        what,
    };
    let Some(mut first) = chunks.next_chunk().map_err(|e| input.unreadable(&e))? else {
        return Ok((chunks, None, None));
    };
    let (row, end) = retry::first_row(&first.bytes).map_err(&bad)?;
    let header = CsvHeader::parse(&row).map_err(|e| bad(e.to_string()))?;
    let text = String::from_utf8_lossy(&first.bytes[..end]).trim_end().to_owned();
    first.first_line += memchr::memchr_iter(b'\n', &first.bytes[..end]).count() as u64;
    first.bytes.drain(..end);
    Ok((chunks, Some((text, header)), Some(first)))
}

/// Runs a worker per core over the chunks that `produce` hands over.
fn check_all(
    door: &Door,
    writers: &Writers,
    produce: impl FnOnce(&mut dyn FnMut(Chunk) -> Result<()>) -> Result<()>,
) -> Result<Tally> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (sender, receiver) = sync_channel::<Chunk>(threads);
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| check_chunks(door, writers, &receiver)))
            .collect();
        let produced = produce(&mut |chunk| {
            sender
                .send(chunk)
                .map_err(|_| Error::Usage("a worker ended early".to_owned()))
        });
        drop(sender);
        let tallies: Result<Vec<Tally>> = workers
            .into_iter()
            .map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        // A worker's own error is the cause when handing over failed.
        let tallies = tallies?;
        produced?;
        Ok(tallies.into_iter().fold(Tally::default(), Tally::and))
    })
}

fn check_chunks(door: &Door, writers: &Writers, receiver: &Mutex<Receiver<Chunk>>) -> Result<Tally> {
    let mut worker = Worker::new(door, writers);
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(chunk) = next else { return worker.finish() };
        if let Err(error) = worker.take_chunk(&chunk) {
            // Let the reader run dry instead of waiting for a place in the channel.
            while receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().is_ok() {}
            return Err(error);
        }
    }
}

async fn commit(books: &Books, input: &Input, source: &str, intake: i64, read: ReadInput) -> Result<Ingested> {
    let ReadInput {
        measured,
        header,
        mut tally,
        segments,
    } = read;
    tally.refused.sort_by_key(|refused| refused.line);
    let committed_at = books.clock.text();
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let new = NewBatch {
        intake,
        kind: "input",
        name: &input.name,
        source,
        format: input.format.text(),
        header: header.as_deref(),
        measured: &measured,
        received: count(tally.received),
        stored: count(tally.stored),
        quarantined: count(tally.refused.len() as u64),
        committed_at: &committed_at,
    };
    let mut tx = books.ledger.begin().await?;
    // Two runs may read the same input side by side; the second finds the first one's batch here.
    let twin = store::digest_is_known(&mut tx, &measured.digest, source, input.format.text()).await?;
    if twin {
        drop(tx);
        remove_files(&segments.iter().map(|s| books.data.join(&s.path)).collect::<Vec<_>>())?;
        return already(books, source, input, measured)
            .await?
            .ok_or_else(|| Error::Unbalanced(format!("the batch of {} was there and is gone", input.name)));
    }
    commit_intake(&mut tx, intake).await?;
    refuse_expired(&mut tx, tally.days.iter().map(|&day| crate::span::day_of_number(day))).await?;
    let batch = store::add_batch(&mut tx, &new).await?;
    add_segments(&mut tx, &segments, batch, batch).await?;
    store::add_quarantine(&mut tx, batch, tally.refused, &committed_at).await?;
    books.ledger.commit_of(tx, "ingest", intake).await?;
    let quarantine = store::quarantine_counts(&books.ledger, Some(batch)).await?;
    let batch = store::batch(&books.ledger, batch).await?;
    Ok(Ingested {
        already: false,
        batch,
        quarantine,
        retried: 0,
        measured,
    })
}
