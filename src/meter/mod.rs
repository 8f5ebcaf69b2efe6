//! Meter: new raw rows become usage, exactly once.
//!
//! ```text
//! plan        batches that no metering has seen, their segments, cards, accounts, key runs, voids
//! verify      hashes name suspects; real strings and values decide (dedupe, conflicts, voids)
//! measure     SKU and per-record policy on distinct texts, sums by polars, segment by segment
//! balance     the control totals of every batch, or nothing is written
//! write       usage file, key run, unmetered records: on disk for good
//! commit      one transaction names them and lists everything for people and dashboards
//! ```

pub mod content;
mod correct;
mod daily;
pub mod dedupe;
pub mod identities;
pub mod key_run;
pub mod measure;
pub mod merge_keys;
mod outcome;
pub mod place;
pub mod plan;
pub mod rebuild;
pub mod resolution;
pub mod sorted;
pub mod store;
pub mod sums;
mod then;
pub mod unmetered;
pub mod usage;

use rayon::prelude::*;

use dedupe::{Decided, Real, RowVerdict, Suspects, decide, suspects, void_suspects};
use identities::Identities;
use key_run::{Key, KeyRun, Verdict};
use outcome::Outcome;
use plan::Plan;
use sorted::Sorted;
use then::Then;
use usage::UsageRow;

use crate::books::Books;
use crate::error::Result;
use crate::files::{create_dir_durably, sync_all};
use crate::ledger::{Lease, commit_intake, next_number};

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
    pub voids: usize,
    /// Records no meter takes, of all meterings.
    pub unmetered: usize,
    /// Accounts that appeared.
    pub new_accounts: usize,
    /// Records that a changed card placed now.
    pub placed_again: i64,
    /// Usage records for periods that are closed; they wait for an adjustment.
    pub late_records: i64,
}

/// Meters every batch that is committed now. The caller holds the lease.
#[tracing::instrument(skip_all)]
pub async fn meter(books: &Books, lease: &Lease) -> Result<Metered> {
    let mut plan = Plan::read(books).await?;
    if plan.is_done() {
        return Ok(Metered {
            batch_hi: plan.up_to,
            unmetered: plan.unmetered.len(),
            ..Metered::default()
        });
    }
    let runs = plan.open_key_runs(books)?;
    let (identities, sorted, mut found) = tokio::task::block_in_place(|| find_suspects(books, &plan, &runs))?;
    let real = read_suspects(books, &plan, &identities, &sorted, &runs, &mut found).await?;
    let intake = books.register_intake("meter").await?;
    let decided = decide(&identities, &sorted, &found, &real, &plan.voids, &plan.resolutions);
    plan.then = Then::read(books, &plan, &decided.moved()).await?;
    let outcome = tokio::task::block_in_place(|| Outcome::measure(books, &plan, &identities, &decided))?;
    let rows = outcome.usage_rows()?;
    outcome.check_balance(&plan, &rows)?;
    let files = tokio::task::block_in_place(|| {
        let keys = || keys_of(&identities, &sorted, &decided);
        write_files(books, &plan, &outcome, &rows, keys, intake)
    })?;
    commit(books, lease, &plan, &decided, &outcome, &rows, &files, intake).await
}

#[tracing::instrument(skip_all)]
fn find_suspects(books: &Books, plan: &Plan, runs: &[KeyRun]) -> Result<(Identities, Sorted, Suspects)> {
    let identities = Identities::read(&books.data, &plan.segments)?;
    let sorted = Sorted::of(&identities);
    let found = suspects(&identities, &sorted, runs, &plan.expired);
    Ok((identities, sorted, found))
}

#[tracing::instrument(skip_all)]
async fn read_suspects(
    books: &Books,
    plan: &Plan,
    identities: &Identities,
    sorted: &Sorted,
    runs: &[KeyRun],
    found: &mut Suspects,
) -> Result<Real> {
    let mut real = Real {
        rows: tokio::task::block_in_place(|| {
            content::of_new_rows(&books.data, &plan.segments, identities, &found.rows)
        })?,
        keys: plan.read_keys(books, &found.keys).await?,
    };
    // Whose record a void takes back is known only once the void itself was read.
    let waiting: Vec<_> = plan.waiting_voids().cloned().collect();
    let more = void_suspects(&real, identities, sorted, runs, &waiting, &plan.expired);
    real.rows.extend(tokio::task::block_in_place(|| {
        content::of_new_rows(&books.data, &plan.segments, identities, &more.rows)
    })?);
    real.keys.extend(plan.read_keys(books, &more.keys).await?);
    // Last: what is read here is no suspect by itself, and a void may name it.
    real.keys.extend(plan.read_replaced(books).await?);
    found.keys.extend(more.keys);
    found.keys.sort_unstable_by_key(|k| (k.hash, k.batch, k.line));
    found.keys.dedup();
    Ok(real)
}

/// The keys that stay of the new rows, sorted.
#[tracing::instrument(skip_all)]
fn keys_of(identities: &Identities, sorted: &Sorted, decided: &Decided) -> Vec<Key> {
    let key = |&(hash, row): &(u64, identities::Row)| {
        let verdict = match decided.verdicts[row as usize] {
            RowVerdict::Duplicate => return None,
            RowVerdict::Conflict => Verdict::Conflict,
            RowVerdict::Accepted | RowVerdict::Voided | RowVerdict::SecondVoid => Verdict::Accepted,
        };
        let (batch, line) = identities.order(row);
        let day = decided
            .void_days
            .get(&row)
            .copied()
            .unwrap_or_else(|| identities.day(row));
        Some(Key {
            hash,
            content: identities.content[row as usize],
            batch,
            line,
            day,
            verdict,
        })
    };
    sorted
        .partitions()
        .par_iter()
        .flat_map_iter(|entries| entries.iter().filter_map(key))
        .collect()
}

/// Files that the commit will name.
struct Files {
    usage: Option<store::NewUsageFile>,
    keys: Option<store::NewKeyRun>,
    /// Path and digest.
    unmetered: Option<(String, String)>,
}

#[tracing::instrument(skip_all)]
fn write_files(
    books: &Books,
    plan: &Plan,
    outcome: &Outcome,
    rows: &[UsageRow],
    keys: impl FnOnce() -> Vec<Key> + Send,
    intake: i64,
) -> Result<Files> {
    let (usage, keys) = rayon::join(
        || write_usage(books, plan, outcome, rows, intake),
        || write_keys(books, &keys(), intake),
    );
    let (usage, keys) = (usage?, keys?);
    let unmetered = match &outcome.unmetered_file {
        Some(records) if !records.is_empty() => {
            let path = format!("unmetered/i{intake:08}.parquet");
            let digest = unmetered::write(&books.data.join(&path), records)?;
            Some((path, digest))
        }
        _ => None,
    };
    let paths = usage
        .iter()
        .map(|u| &u.path)
        .chain(keys.iter().map(|k| &k.path))
        .chain(unmetered.iter().map(|u| &u.0));
    sync_all(&paths.map(|path| books.data.join(path)).collect::<Vec<_>>())?;
    Ok(Files { usage, keys, unmetered })
}

fn write_usage(
    books: &Books,
    plan: &Plan,
    outcome: &Outcome,
    rows: &[UsageRow],
    intake: i64,
) -> Result<Option<store::NewUsageFile>> {
    let (Some(day_min), Some(day_max)) = (rows.iter().map(|r| r.day).min(), rows.iter().map(|r| r.day).max()) else {
        return Ok(None);
    };
    let path = format!("usage/i{intake:08}.parquet");
    let (bytes, digest) = usage::write(&books.data.join(&path), rows, &outcome.places, &plan.map)?;
    Ok(Some(store::NewUsageFile {
        path,
        day_min: crate::span::day_of_number(day_min),
        day_max: crate::span::day_of_number(day_max),
        rows: rows.len(),
        bytes,
        digest,
    }))
}

fn write_keys(books: &Books, keys: &[Key], intake: i64) -> Result<Option<store::NewKeyRun>> {
    if keys.is_empty() {
        return Ok(None);
    }
    let path = format!("keys/i{intake:08}.keys");
    create_dir_durably(&books.data.join("keys"))?;
    let (bytes, digest) = key_run::write(&books.data.join(&path), keys)?;
    Ok(Some(store::NewKeyRun {
        path,
        keys: keys.len(),
        bytes,
        digest,
    }))
}

#[expect(
    clippy::too_many_arguments,
    reason = "a commit names everything that the steps before it made"
)]
#[tracing::instrument(skip_all)]
async fn commit(
    books: &Books,
    lease: &Lease,
    plan: &Plan,
    decided: &Decided,
    outcome: &Outcome,
    rows: &[UsageRow],
    files: &Files,
    intake: i64,
) -> Result<Metered> {
    let now = books.clock.text();
    // Before the transaction: every other writer waits for its end.
    let days = daily::usage_daily(rows, &outcome.places);
    let totals = daily::usage_totals(outcome);
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    commit_intake(&mut tx, intake).await?;
    store::check_progress(&mut tx, &plan.progress).await?;
    crate::raw::store::refuse_expired(
        &mut tx,
        plan.segments
            .iter()
            .map(|s| s.day)
            .collect::<std::collections::BTreeSet<_>>(),
    )
    .await?;
    let metering = next_number(&mut tx, "metering").await?;
    let new = store::NewMetering {
        metering,
        batch_lo: plan.progress.batch_hi + 1,
        batch_hi: plan.up_to,
        metered_at: &now,
        card_hi: plan.card_hi,
    };
    store::add_metering(&mut tx, &new).await?;
    if let Some(file) = &files.usage {
        store::add_usage_file(&mut tx, metering, file).await?;
    }
    if let Some(run) = &files.keys {
        store::add_key_run(&mut tx, metering, run).await?;
    }
    if outcome.unmetered_file.is_some() {
        store::drop_unmetered(&mut tx, &plan.unmetered_paths).await?;
        if let (Some((path, digest)), Some(records)) = (&files.unmetered, &outcome.unmetered_file) {
            store::add_unmetered(&mut tx, metering, (path, digest), records).await?;
        }
    }
    let conflicts: Vec<_> = decided.conflicts.iter().map(|c| (c, outcome.conflict_day(c))).collect();
    store::add_conflicts(&mut tx, &conflicts).await?;
    store::book_replacements(&mut tx, metering).await?;
    store::add_voids(&mut tx, metering, &decided.new_voids, &now).await?;
    store::end_waits(&mut tx, metering, &decided.ended_waits).await?;
    store::add_control_totals(&mut tx, metering, &outcome.control_totals()).await?;
    let new_accounts = daily::add_accounts_of(&mut tx, plan, rows, &now).await?;
    store::add_usage_daily(&mut tx, metering, days).await?;
    store::add_usage_totals(&mut tx, metering, totals).await?;
    let late = daily::late_usage(plan, rows);
    store::add_late_usage(&mut tx, metering, &late).await?;
    books.ledger.commit_of(tx, "meter", intake).await?;
    Ok(Metered {
        batches: plan.up_to - plan.progress.batch_hi,
        batch_hi: plan.up_to,
        rows: plan.segments.iter().map(|s| s.rows).sum(),
        usage_rows: files.usage.as_ref().map_or(0, |u| u.rows),
        conflicts: decided.conflicts.len(),
        voids: decided.new_voids.len(),
        unmetered: outcome.unmetered_file.as_ref().map_or(plan.unmetered.len(), Vec::len),
        new_accounts,
        placed_again: outcome.placed_again,
        late_records: late.iter().map(|l| l.2).sum(),
    })
}
