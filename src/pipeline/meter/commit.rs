//! Writing a metering: one transaction, open while the usage is put together, so that its rows need not be in memory together.

use std::collections::BTreeSet;

use super::aggregate::account_usage;
use super::aggregate::usage_writer::Piece;
use super::dedupe::Decided;
use super::snapshot::Snapshot;
use super::store;
use super::store::{NewMetering, NewUsageFile};
use super::totals::Outcome;
use super::{Files, Metered};
use crate::catalog::account::Account;
use crate::catalog::account::store::{add_accounts, set_first_day};
use crate::context::Books;
use crate::context::write_attempt::{Synced, WriteAttempt};
use crate::storage::ledger::{Lease, Tx, next_number};
use crate::storage::raw::store::refuse_expired;
use crate::support::error::Result;

/// What is known before the usage is put together.
pub struct Basis<'a> {
    pub snapshot: &'a Snapshot,
    pub decided: &'a Decided,
    pub outcome: &'a Outcome,
    pub files: &'a Files,
}

/// A metering that is being written.
pub struct Writing<'a> {
    attempt: WriteAttempt<'a>,
    snapshot: &'a Snapshot,
    now: String,
    tx: Tx,
    metering: i64,
    metered: Metered,
    /// Accounts that appeared, or begin earlier.
    accounts: Vec<(u64, Account)>,
}

impl<'a> Writing<'a> {
    /// Begins the transaction, with all that is known already.
    pub async fn begin(books: &Books, lease: &Lease, basis: &Basis<'a>, attempt: WriteAttempt<'a>) -> Result<Self> {
        let Basis {
            snapshot,
            decided,
            outcome,
            files,
        } = *basis;
        let now = books.clock.text();
        // Before the transaction: every other writer waits for its end.
        let totals = account_usage::usage_totals(outcome)?;
        let conflicts = decided.conflicts.iter().map(|c| (c, outcome.conflict_day(c)));
        let (completing, conflicts): (Vec<_>, Vec<_>) = conflicts.partition(|(conflict, _)| conflict.completes);
        let taken_back = decided.taken_back_by_whole_lines();
        let days: BTreeSet<_> = snapshot.segments.iter().map(|segment| segment.day).collect();
        let mut tx = attempt.begin(Some(lease)).await?;
        store::check_progress(&mut tx, &snapshot.progress).await?;
        refuse_expired(&mut tx, days).await?;
        let metering = next_number(&mut tx, "metering").await?;
        let new = NewMetering {
            metering,
            batch_lo: snapshot.progress.batch_hi + 1,
            batch_hi: snapshot.up_to,
            metered_at: &now,
            card_hi: snapshot.card_hi,
        };
        store::add_metering(&mut tx, &new).await?;
        if let Some(run) = &files.keys {
            store::add_key_run(&mut tx, metering, run).await?;
        }
        if outcome.unmetered_file.is_some() {
            store::drop_unmetered(&mut tx, &snapshot.unmetered_paths).await?;
            if let (Some((path, digest)), Some(records)) = (&files.unmetered, &outcome.unmetered_file) {
                store::add_unmetered(&mut tx, metering, (path, digest), records).await?;
            }
        }
        store::add_conflicts(&mut tx, &conflicts).await?;
        store::book_replacements(&mut tx, metering).await?;
        store::add_completions(&mut tx, &completing, &taken_back, &now).await?;
        store::add_voids(&mut tx, metering, &decided.new_voids, &now).await?;
        store::end_waits(&mut tx, metering, &decided.ended_waits).await?;
        store::add_control_totals(&mut tx, metering, &outcome.control_totals()?).await?;
        store::add_usage_totals(&mut tx, metering, totals).await?;
        let metered = Metered {
            batches: snapshot.up_to - snapshot.progress.batch_hi,
            batch_hi: snapshot.up_to,
            rows: snapshot.segments.iter().map(|segment| segment.rows).sum(),
            conflicts: conflicts.len(),
            completed: completing.len() + taken_back.len(),
            voids: decided.new_voids.len() - taken_back.len(),
            voids_of_voids: decided.voids_of_voids(),
            unmetered: outcome
                .unmetered_file
                .as_ref()
                .map_or(snapshot.unmetered.len(), Vec::len),
            classified_again: outcome.classified_again,
            ..Metered::default()
        };
        Ok(Self {
            attempt,
            snapshot,
            now,
            tx,
            metering,
            metered,
            accounts: Vec::new(),
        })
    }

    /// Adds what some accounts used, and those that appeared.
    pub async fn add(&mut self, piece: Piece) -> Result<()> {
        let Self { tx, metering, .. } = self;
        let (new, moved) = account_usage::changed_accounts(self.snapshot, &piece.first_days);
        store_accounts(tx, &new, &moved, &self.now).await?;
        self.metered.new_accounts += new.len();
        self.accounts.extend(new.into_iter().chain(moved));
        self.metered.late_records += piece.late.iter().map(|late| late.2).sum::<i64>();
        store::add_usage_daily(tx, *metering, piece.days).await?;
        store::add_late_usage(tx, *metering, &piece.late).await
    }

    /// Syncs the usage file, names it, and commits; the other files are synced already. Returns the accounts that appeared or changed.
    #[tracing::instrument(skip_all)]
    pub async fn commit(
        mut self,
        mut synced: Synced,
        usage: Option<NewUsageFile>,
    ) -> Result<(Metered, Vec<(u64, Account)>)> {
        if let Some(file) = &usage {
            synced = tokio::task::block_in_place(|| self.attempt.sync([&file.path]))?;
            store::add_usage_file(&mut self.tx, self.metering, file).await?;
        }
        self.attempt.commit(self.tx, synced).await?;
        let metered = Metered {
            usage_rows: usage.map_or(0, |file| file.rows),
            ..self.metered
        };
        Ok((metered, self.accounts))
    }
}

/// Adds the accounts that appeared, and moves back where those that were there begin.
async fn store_accounts(tx: &mut Tx, new: &[(u64, Account)], moved: &[(u64, Account)], now: &str) -> Result<()> {
    add_accounts(tx, new, "usage", now).await?;
    for (uin, account) in moved {
        if let Some(day) = account.first_day {
            set_first_day(tx, *uin, day).await?;
        }
    }
    Ok(())
}
