//! Meter: new raw rows become usage, exactly once.
//!
//! ```text
//! snapshot    batches that no metering has seen, their segments, cards, accounts, key runs, voids
//! search      rows sorted by identity hash become the key run; those that share a hash are candidates
//! decide      real strings and values of the candidates (dedupe, conflicts, voids)
//! measure     SKU and per-record policy on distinct texts, sums segment by segment
//! balance     the control totals of every batch, or nothing is named
//! sync        key run and unmetered records: on disk for good
//! book        usage account range by account range: its file, and the rows for dashboards, which go into the transaction as they come
//! commit      that one transaction names the files and lists everything for people and dashboards
//! ```
//!
//! A backlog that is too large for one such transaction goes this way in parts, some batches at a time.

pub mod aggregate;
pub mod balance;
pub mod classify;
mod commit;
pub mod dedupe;
pub mod recount;
pub mod snapshot;
pub mod store;
mod totals;

use std::collections::HashMap;
use std::sync::Arc;

use aggregate::usage_writer::book;
use classify::historic_cards::HistoricCards;
use commit::{Basis, Writing};
use dedupe::identity_index::{Exception, Key, Verdict, WrittenRun};
use dedupe::new_rows::Identities;
use dedupe::read_ahead::read_key_runs_ahead;
use dedupe::suspects::{Candidates, Search, WritingKeys};
use dedupe::{Decided, NewRows, Real, RowVerdict, Void, decide, wanted_by_voids};
use snapshot::Snapshot;
use totals::Outcome;

use crate::catalog::account::Accounts;
use crate::context::Books;
use crate::context::write_attempt::{Synced, WriteAttempt};
use crate::storage::durable_files::create_dir_durably;
use crate::storage::ledger::Lease;
use crate::support::error::{Error, Result};
use crate::support::overlap::{Taker, write_while_making};

/// What a metering did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Metered {
    /// Batches that no metering had seen.
    pub batches: i64,
    /// Every batch up to it is metered now.
    pub batch_hi: i64,
    /// Rows of raw that were looked at.
    pub rows: i64,
    pub usage_rows: usize,
    pub conflicts: usize,
    /// Lines that were cut when they were first read, in whose place the whole line stands now.
    pub completed: usize,
    pub voids: usize,
    /// Those of them, and of the ones that waited, that name a void: they take nothing back.
    pub voids_of_voids: usize,
    /// Records no meter takes, of all meterings.
    pub unmetered: usize,
    /// Accounts that appeared.
    pub new_accounts: usize,
    /// Records that a changed card gave a SKU now.
    #[serde(rename = "placed_again")]
    pub classified_again: i64,
    /// Usage records for periods that are closed; they wait for an adjustment.
    pub late_records: i64,
}

impl Metered {
    /// Together with what was metered next.
    fn and_then(self, next: &Self) -> Self {
        Self {
            batches: self.batches + next.batches,
            batch_hi: next.batch_hi,
            rows: self.rows + next.rows,
            usage_rows: self.usage_rows + next.usage_rows,
            conflicts: self.conflicts + next.conflicts,
            completed: self.completed + next.completed,
            voids: self.voids + next.voids,
            voids_of_voids: self.voids_of_voids + next.voids_of_voids,
            unmetered: next.unmetered,
            new_accounts: self.new_accounts + next.new_accounts,
            classified_again: self.classified_again + next.classified_again,
            late_records: self.late_records + next.late_records,
        }
    }
}

/// Account ranges whose usage waits to be written: enough that neither side waits for long, few enough that writing goes on at the pace
/// of making, and ends soon after it.
const PIECES_AHEAD: usize = 2;

/// Rows that are metered by one transaction, as far as batches can be told apart: a backlog of months then takes no more memory than a
/// large month.
const ROWS_MAX: i64 = 1 << 25;

/// Meters every batch that is committed now. Returns the accounts as they are then, too. The caller holds the lease.
pub async fn meter(books: &Books, lease: &Lease) -> Result<(Metered, Accounts)> {
    meter_in_parts(books, lease, ROWS_MAX).await
}

/// The same, with so many rows by one transaction, or one batch.
#[tracing::instrument(name = "meter", skip_all)]
pub async fn meter_in_parts(books: &Books, lease: &Lease, rows_max: i64) -> Result<(Metered, Accounts)> {
    let last = store::last_batch(&books.ledger).await?;
    let mut metered = Metered::default();
    loop {
        let up_to = end_of_part(books, last, rows_max).await?;
        let (part, accounts) = meter_part(books, lease, up_to).await?;
        metered = metered.and_then(&part);
        // What was found to replace a cut line is booked by the next one.
        if up_to == last && part.completed == 0 {
            return Ok((metered, accounts));
        }
    }
}

/// The last batch that is metered together with the next one.
async fn end_of_part(books: &Books, last: i64, rows_max: i64) -> Result<i64> {
    let metered_to = store::progress(&books.ledger).await?.batch_hi;
    let cut = store::cut_lines(&books.ledger, metered_to, last).await?;
    let mut rows = 0;
    let mut end = last;
    for [batch, _, stored, _] in store::batch_counts(&books.ledger, metered_to, last).await? {
        // A cut line is metered before its whole.
        let completes = cut.iter().any(|(at, first)| at.0 == batch && metered_to < first.0);
        if rows > 0 && rows + stored > rows_max || completes {
            break;
        }
        (rows, end) = (rows + stored, batch);
    }
    Ok(end)
}

/// Meters every batch up to one that no metering has seen.
async fn meter_part(books: &Books, lease: &Lease, up_to: i64) -> Result<(Metered, Accounts)> {
    read_key_runs_ahead(books, up_to).await?;
    let mut snapshot = Snapshot::read_up_to(books, up_to).await?;
    if snapshot.is_done() {
        let metered = Metered {
            batch_hi: snapshot.up_to,
            unmetered: snapshot.unmetered.len(),
            ..Metered::default()
        };
        return Ok((metered, snapshot.accounts));
    }
    let runs = snapshot.open_key_runs(books)?;
    let identities = tokio::task::block_in_place(|| Identities::read(&books.data, &snapshot.segments).map(Arc::new))?;
    let attempt = WriteAttempt::register(books, "meter").await?;
    let intake = attempt.number();
    let mut real = read_voids(books, &snapshot, &identities)?;
    let waiting: Vec<Void> = snapshot.waiting_voids().cloned().collect();
    let completed = dedupe::completed_lines::read(books, &snapshot).await?;
    let search = Search {
        data: &books.data,
        segments: &snapshot.segments,
        identities: &identities,
        runs: &runs,
        wanted: &wanted_by_voids(&real.rows, &waiting, &completed),
        expired: &snapshot.expired,
    };
    let (candidates, new_keys) = tokio::task::block_in_place(|| search_rows(books, &search, intake))?;
    let earlier_keys = [&candidates.keys[..], &search.earlier_keys(&candidates)?].concat();
    read_candidates(books, &snapshot, &identities, &candidates, &earlier_keys, &mut real).await?;
    let new = NewRows {
        identities: &identities,
        candidates: &candidates,
    };
    let decided = decide(
        new,
        &earlier_keys,
        &real,
        &snapshot.voids,
        &snapshot.resolutions,
        &completed,
    );
    drop(real);
    snapshot.historic_cards = HistoricCards::read(books, &snapshot, &decided.moved()).await?;
    let (outcome, files, synced) = tokio::task::block_in_place(|| {
        let new_keys = new_keys
            .map(|keys| keys.finish(&exceptions(new, &decided)))
            .transpose()?;
        let outcome = Outcome::measure(books, &snapshot, &identities, &decided)?;
        outcome.check_balance(&snapshot)?;
        let (files, synced) = write_files(books, &outcome, new_keys, &attempt)?;
        Ok::<_, Error>((outcome, files, synced))
    })?;
    let basis = Basis {
        snapshot: &snapshot,
        decided: &decided,
        outcome: &outcome,
        files: &files,
    };
    let mut writing = Writing::begin(books, lease, &basis, attempt).await?;
    let book = |to: &Taker<_>| book(books, &snapshot, &outcome, intake, to);
    let booked = write_while_making(PIECES_AHEAD, book, async |piece| writing.add(piece).await).await?;
    outcome.check_usage(booked.metered)?;
    let (metered, changed) = writing.commit(synced, booked.file).await?;
    snapshot.accounts.extend(changed);
    Ok((metered, snapshot.accounts))
}

/// New voids for real: whose record one takes back is known by its source and what it names.
fn read_voids(books: &Books, snapshot: &Snapshot, identities: &Identities) -> Result<Real> {
    let read = || dedupe::stored_record::of_new_rows(&books.data, &snapshot.segments, identities, &identities.voids);
    Ok(Real {
        rows: tokio::task::block_in_place(read)?,
        keys: HashMap::new(),
    })
}

/// Nothing is written for no rows.
fn search_rows(books: &Books, search: &Search, intake: i64) -> Result<(Candidates, Option<WritingKeys>)> {
    if search.identities.is_empty() {
        return Ok((Candidates::default(), None));
    }
    create_dir_durably(&books.data.join("keys"))?;
    let (candidates, keys) = search.run(&books.data.join(&key_path(intake)))?;
    Ok((candidates, Some(keys)))
}

fn key_path(intake: i64) -> String {
    format!("keys/i{intake:08}.keys")
}

#[tracing::instrument(skip_all)]
async fn read_candidates(
    books: &Books,
    snapshot: &Snapshot,
    identities: &Identities,
    candidates: &Candidates,
    earlier_keys: &[Key],
    real: &mut Real,
) -> Result<()> {
    let mut rows = candidates.rows();
    rows.retain(|row| !real.rows.contains_key(row));
    let read = || dedupe::stored_record::of_new_rows(&books.data, &snapshot.segments, identities, &rows);
    real.rows.extend(tokio::task::block_in_place(read)?);
    real.keys = snapshot.read_keys(books, earlier_keys).await?;
    // What is read here is no candidate by itself, and a void may name it.
    real.keys.extend(snapshot.read_replaced(books).await?);
    Ok(())
}

/// What holds for new keys instead of "accepted, on the day of its row".
fn exceptions(new: NewRows, decided: &Decided) -> Vec<Exception> {
    let exception = |(row, place): (dedupe::new_rows::Row, u64)| {
        let verdict = match decided.verdicts[row as usize] {
            RowVerdict::Duplicate => Verdict::Duplicate,
            RowVerdict::Conflict => Verdict::Conflict,
            RowVerdict::Accepted | RowVerdict::Voided | RowVerdict::SecondVoid => Verdict::Accepted,
        };
        let own_day = new.identities.day(row);
        let day = decided.void_days.get(&row).copied().unwrap_or(own_day);
        let is_one = verdict != Verdict::Accepted || day != own_day;
        is_one.then_some(Exception { place, day, verdict })
    };
    new.candidates.places().into_iter().filter_map(exception).collect()
}

/// Files that the commit will name, beside the usage.
struct Files {
    keys: Option<store::NewKeyRun>,
    /// Path and digest.
    unmetered: Option<(String, String)>,
}

#[tracing::instrument(skip_all)]
fn write_files(
    books: &Books,
    outcome: &Outcome,
    new_keys: Option<WrittenRun>,
    attempt: &WriteAttempt,
) -> Result<(Files, Synced)> {
    let intake = attempt.number();
    let keys = new_keys.map(|run| store::NewKeyRun {
        path: key_path(intake),
        keys: run.keys,
        bytes: run.bytes,
        digest: run.digest,
    });
    let unmetered = match &outcome.unmetered_file {
        Some(records) if !records.is_empty() => {
            let path = format!("unmetered/i{intake:08}.parquet");
            let digest = classify::unmetered::write(&books.data.join(&path), records)?;
            Some((path, digest))
        }
        _ => None,
    };
    let paths = keys
        .iter()
        .map(|run| &run.path)
        .chain(unmetered.iter().map(|file| &file.0));
    let synced = attempt.sync(paths)?;
    Ok((Files { keys, unmetered }, synced))
}
