//! Ingest: any input ends in segments named by one ledger transaction, or in nothing.
//!
//! ```text
//! known?      the same bytes, source and format change nothing; their quarantined lines are tried again
//! register    an intake number for the file names
//! read        the input in parts, by whichever thread is free
//! check       each record against the rules, by all threads: into raw rows by UTC day, or refused
//! sync        segments on disk for good
//! commit      batch number, segments, quarantine, the alarm where too much was refused: one transaction
//! ```

pub mod also;
pub(crate) mod attempts;
pub mod child_process;
mod commit;
pub mod drop_folder;
mod earlier_read;
pub(crate) mod event_rules;
pub mod formats;
pub mod input;
#[cfg(test)]
mod outcome;
mod parallel_read;
pub mod payloads;
pub mod quarantine;
mod read;
mod read_events;
pub mod record;
pub mod record_rules;
pub mod redrive;
pub mod segment_builder;
pub mod segment_writers;
pub mod store;
pub mod trial;

use also::Also;
use earlier_read::Earlier;
use input::{Input, InputDigest};
use quarantine::alarm;
use quarantine::alarm::Alarm;
use quarantine::filter::Filter;
use quarantine::store::Example;
use store::Batch;

use commit::commit;
use read::read_input;
use record_rules::record_rules;

use crate::context::Books;
use crate::context::write_attempt::WriteAttempt;
use crate::support::error::{Error, Result};

/// What became of an input.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Ingested {
    /// The input was ingested before; nothing changed but lines that left quarantine.
    pub already: bool,
    #[serde(flatten)]
    pub batch: Batch,
    /// Lines in quarantine by reason.
    pub quarantine: Vec<(String, i64)>,
    /// The first of these lines, by reason.
    pub examples: Vec<Example>,
    /// Set when the input needs a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
    /// Events that gave no record, by reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped_events: Vec<(String, i64)>,
    /// Lines of this input that a retry took out of quarantine.
    pub retried: i64,
    /// The name it was given now, where it was ingested before under another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_as: Option<String>,
    /// Partitions of a folder that are no fields of a record; they are in none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    #[serde(skip)]
    pub measured: InputDigest,
}

impl Ingested {
    async fn of(books: &Books, batch: i64, already: bool, retried: i64, measured: InputDigest) -> Result<Self> {
        Ok(Self {
            already,
            batch: store::batch(&books.ledger, batch).await?,
            quarantine: quarantine::store::quarantine_counts(&books.ledger, Some(batch)).await?,
            examples: quarantine::store::examples(&books.ledger, batch).await?,
            alarm: alarm::store::of_batch(&books.ledger, batch).await?,
            skipped_events: store::skipped_events(&books.ledger, batch).await?,
            retried,
            known_as: None,
            left_out: Vec::new(),
            measured,
        })
    }
}

/// Ingests one input. `source` is who sent the records that do not say so.
pub async fn ingest(books: &Books, input: &Input, source: &str) -> Result<Ingested> {
    record::check_source(source).map_err(|refusal| Error::Usage(format!("--source: {refusal}")))?;
    if let Some(known) = find_known(books, input, source).await? {
        return Ok(known);
    }
    let earlier = earlier_read::of_name(books, input, source).await?;
    ingest_new(books, input, source, earlier, None).await
}

/// Ingests what a source handed over, and writes in the same transaction how far the source has been read. What is known already
/// changes nothing but that.
pub async fn ingest_pulled(books: &Books, input: &Input, source: &str, also: &dyn Also) -> Result<Ingested> {
    if let Some(known) = find_known(books, input, source).await? {
        write_also(books, also, known.batch.batch, 0).await?;
        return Ok(known);
    }
    ingest_new(books, input, source, None, Some(also)).await
}

/// Writes what else there is to a batch that is committed.
async fn write_also(books: &Books, also: &dyn Also, batch: i64, received: i64) -> Result<()> {
    let mut tx = books.ledger.begin().await?;
    also.lease().check(&mut tx).await?;
    also.write(&mut tx, Some(batch), received).await?;
    books.ledger.commit(tx, "position").await
}

/// Reads what a source handed over in a process of its own, which does not write how far the source has been read: the process that
/// pulls writes it when the batch is there.
pub async fn ingest_handed_over(books: &Books, input: &Input, source: &str) -> Result<Ingested> {
    match find_known(books, input, source).await? {
        Some(known) => Ok(known),
        None => ingest_new(books, input, source, None, None).await,
    }
}

/// Ingests an original that changed after a batch had been made of it.
pub async fn ingest_changed(books: &Books, input: &Input, source: &str, batch: i64) -> Result<(Ingested, Earlier)> {
    let earlier = earlier_read::of_original(books, input, batch).await?;
    let ingested = match find_known(books, input, source).await? {
        Some(known) => known,
        None => ingest_new(books, input, source, Some(earlier), None).await?,
    };
    Ok((ingested, earlier))
}

async fn ingest_new(
    books: &Books,
    input: &Input,
    source: &str,
    earlier: Option<Earlier>,
    also: Option<&dyn Also>,
) -> Result<Ingested> {
    if let Some(child) = &books.child_reader
        && attempts::is_deadly(books, input)?
    {
        let is_handed_over = also.is_some();
        let ingested = child_process::ingest_in_child(books, child, input, source, earlier, is_handed_over).await?;
        // A death between the two commits is a part that comes again, whose bytes are known.
        if let Some(also) = also {
            write_also(books, also, ingested.batch.batch, ingested.batch.received).await?;
        }
        return Ok(ingested);
    }
    let rules = record_rules(books, source, input.format, books.clock.receipt()).await?;
    let attempt = WriteAttempt::register(books, "ingest").await?;
    let read = tokio::task::block_in_place(|| read_input(books, input, rules, &attempt))?;
    commit(books, input, source, attempt, read, earlier, also).await
}

async fn find_known(books: &Books, input: &Input, source: &str) -> Result<Option<Ingested>> {
    let Some(bytes) = input.bytes()? else { return Ok(None) };
    if !store::has_input_of_size(&books.ledger, bytes).await? {
        return Ok(None);
    }
    let Some(digest) = tokio::task::block_in_place(|| input.digest())? else {
        return Ok(None);
    };
    already(books, source, input, InputDigest { bytes, digest }).await
}

async fn already(books: &Books, source: &str, input: &Input, measured: InputDigest) -> Result<Option<Ingested>> {
    let found = store::batch_of_digest(&books.ledger, &measured.digest, source, input.format.text()).await?;
    let Some(batch) = found else {
        refuse_other_source(books, source, input, &measured).await?;
        return Ok(None);
    };
    let retried = quarantine::retry::retry(books, &Filter::of_batch(batch.batch))
        .await?
        .accepted;
    let mut known = Ingested::of(books, batch.batch, true, retried, measured).await?;
    known.known_as = Some(input.name.clone());
    Ok(Some(known))
}

/// The same bytes under another source would be billed a second time: its records are other identities. Somebody must mean it.
async fn refuse_other_source(books: &Books, source: &str, input: &Input, measured: &InputDigest) -> Result<()> {
    if input.comes_again() {
        return Ok(());
    }
    match store::batch_of_other_source(&books.ledger, &measured.digest, source).await? {
        None => Ok(()),
        Some(batch) => Err(Error::Usage(format!(
            "{}: the same bytes were ingested as batch {} ({}) with the source {:?}; with the source {source:?}, each record that \
             names no source would be billed again. If these really are other records, use `tallybook ingest --again-as {source} \
             FILE`. Nothing was ingested",
            input.name, batch.batch, batch.name, batch.source
        ))),
    }
}
