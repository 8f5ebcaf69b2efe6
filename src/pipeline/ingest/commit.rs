//! Committing an input: its batch, segments, quarantine and alarm, in one transaction.

use super::also::Also;
use super::earlier_read::Earlier;
use super::input::{Input, InputDigest};
use super::quarantine::alarm;
use super::read::{ReadInput, paths_of};
use super::record_rules::refuse_closed_since;
use super::store::NewBatch;
use super::{Ingested, already, earlier_read, quarantine, refuse_other_source, store};
use crate::context::Books;
use crate::context::first_day;
use crate::context::write_attempt::WriteAttempt;
use crate::storage::ledger::Tx;
use crate::storage::raw::store::{add_segments, refuse_expired};
use crate::support::error::{Error, Result};
use crate::values::calendar::day_of_number;

/// Commits what was read. An input that is known by now, or may not be taken, leaves no file behind.
pub(super) async fn commit(
    books: &Books,
    input: &Input,
    source: &str,
    attempt: WriteAttempt<'_>,
    read: ReadInput,
    earlier: Option<Earlier>,
    also: Option<&dyn Also>,
) -> Result<Ingested> {
    let ReadInput {
        measured,
        header,
        mut tally,
        segments,
        synced,
        closed_accounts,
    } = read;
    tally.refused.sort_by_key(|refused| refused.line);
    let committed_at = books.clock.text();
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let new = NewBatch {
        intake: attempt.number(),
        kind: "input",
        name: &input.name,
        source,
        format: input.format.text(),
        header: header.as_deref(),
        measured: &measured,
        received: count(tally.received),
        stored: count(tally.stored),
        quarantined: count(tally.refused.len() as u64),
        duration_ms: tally.duration_ms,
        committed_at: &committed_at,
        received_by: None,
    };
    // What can be read once only is known by its bytes now.
    if let (None, Err(refused)) = (input.path(), refuse_other_source(books, source, input, &measured).await) {
        attempt.abandon(paths_of(&segments))?;
        return Err(refused);
    }
    let gone = match earlier {
        Some(earlier) => earlier_read::gone(books, earlier, &segments).await?,
        None => 0,
    };
    let first_day = first_day::first_day(books).await?;
    let mut tx = attempt.begin(also.map(Also::lease)).await?;
    // Two runs may read the same input side by side; the second finds the first one's batch here.
    let twin = store::digest_is_known(&mut tx, &measured.digest, source, input.format.text()).await?;
    if twin {
        drop(tx);
        attempt.abandon(paths_of(&segments))?;
        return already(books, source, input, measured).await?.ok_or_else(|| {
            Error::Unbalanced(format!(
                "the batch of {} has disappeared from the ledger; run `tallybook verify`",
                input.name
            ))
        });
    }
    refuse_expired(&mut tx, tally.days.iter().map(|&day| day_of_number(day))).await?;
    refuse_closed_since(&mut tx, &closed_accounts).await?;
    first_day::fix(&mut tx, first_day).await?;
    let batch = match store::add_batch(&mut tx, &new).await {
        Ok(batch) => batch,
        Err(refused @ Error::Input { .. }) => {
            drop(tx);
            attempt.abandon(paths_of(&segments))?;
            return Err(refused);
        }
        Err(error) => return Err(error),
    };
    add_segments(&mut tx, &segments, batch, batch).await?;
    quarantine::store::add_quarantine(&mut tx, batch, tally.refused, &committed_at).await?;
    if let Some(code) = alarm_of(books, &mut tx, &new, also).await? {
        alarm::store::raise(&mut tx, batch, code, &committed_at).await?;
    }
    if let Some(earlier) = earlier {
        store::add_reread(&mut tx, batch, earlier, gone).await?;
        quarantine::cut_lines::set_cut_line_aside(&mut tx, earlier, batch, &committed_at).await?;
    }
    store::add_skipped_events(&mut tx, batch, &tally.skipped).await?;
    if let Some(also) = also {
        also.write(&mut tx, Some(batch), new.received).await?;
    }
    attempt.commit(tx, synced).await?;
    told(books, input, batch, measured).await
}

/// The alarm that a batch raises: by itself, or, of a queue, by all that its source handed over on this UTC day; once a day.
async fn alarm_of(
    books: &Books,
    tx: &mut Tx,
    new: &NewBatch<'_>,
    also: Option<&dyn Also>,
) -> Result<Option<&'static str>> {
    if !also.is_some_and(Also::is_queue) {
        return Ok(alarm::raised(
            &books.settings,
            new.received,
            new.stored,
            new.quarantined,
        ));
    }
    if new.quarantined == 0 {
        return Ok(None);
    }
    let day = store::received_on_day(tx, new.source, &new.committed_at[..10]).await?;
    if day.has_alarm {
        return Ok(None);
    }
    Ok(alarm::raised(
        &books.settings,
        day.received,
        day.stored,
        day.quarantined,
    ))
}

/// The new batch as it is told.
async fn told(books: &Books, input: &Input, batch: i64, measured: InputDigest) -> Result<Ingested> {
    let mut ingested = Ingested::of(books, batch, false, 0, measured).await?;
    if let Some(folder) = input.folder() {
        ingested.left_out.clone_from(&folder.left_out);
    }
    Ok(ingested)
}
