//! The files of an erasure: what holds the account is written anew without it, or with its pseudonym.
//!
//! ```text
//! find        its rows in raw, and the voids that are of it
//! rewrite     raw, service log and payloads without them; identity files without their keys; unmetered records without the account's
//! rename      usage files, and exports beside their places
//! sync        everything on disk for good
//! set aside   input files that hold the account
//! swap        the caller's transaction names the new files in the place of the old ones
//! finish      old files go, exports move to their places, input files go, and what killed runs left behind
//! ```
//!
//! Nothing is written into a file that is there. A run that is killed before the commit leaves files of a writer that did not commit,
//! and is done again; one that is killed after it is finished by [`finish`]. Whoever calls [`rewrite`] has written down that the account is
//! being erased, and comes back until it is.

mod exports;
mod identities;
mod inputs;
mod leftovers;
mod rows;
mod segments;
mod sheet;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::context::Books;
use crate::context::write_attempt::{Synced, WriteAttempt};
use crate::erasure::pseudonym::Pseudonyms;
use crate::pipeline::ingest::drop_folder::holding::{Account, holding};
use crate::pipeline::meter::store::replace_key_run;
use crate::storage::ledger::{Lease, Tx};
use crate::storage::raw::store::{FileInUse, files_in_use};
use crate::storage::usage::row::Status;
use crate::storage::usage::table::UsageRows;
use crate::support::error::{Error, Result};
pub use exports::{RewrittenExport, RewrittenSheet};
use exports::{damaged_exports, finish_exports, rewrite_exports, swap_exports};
use identities::{RewrittenRun, rewrite_runs};
pub use inputs::Inputs;
use inputs::{remove_waiting, set_aside};
use leftovers::remove_leftovers;
use rows::{Found, numbers_of};
use segments::{RewrittenSegment, days_of_unknown_log, rewrite_segments};
use usage::{RewrittenUnmetered, RewrittenUsage, rewrite_unmetered, rewrite_usage};

/// Raw rows that went, of a batch and UTC day. Voids are rows without a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ErasedRows {
    pub batch: i64,
    pub day: NaiveDate,
    pub rows: i64,
    pub duration_ms: i64,
}

/// Records that went from files of unmetered records, of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UnmeteredRows {
    pub batch: i64,
    pub rows: i64,
    pub duration_ms: i64,
}

/// The classes of files that name the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Raw,
    Log,
    Payload,
    Identities,
    Usage,
    Unmetered,
}

impl Class {
    /// What goes from its files; from usage files nothing does.
    pub fn rows(self) -> &'static str {
        match self {
            Self::Raw => "raw records",
            Self::Log => "service-log rows",
            Self::Payload => "events",
            Self::Identities => "identities",
            Self::Usage => "usage rows",
            Self::Unmetered => "unmetered records",
        }
    }
}

/// A file that was written anew.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RewrittenFile {
    pub class: Class,
    /// Of the file before, and of the new one; none where nothing was left.
    pub path: String,
    pub new_path: Option<String>,
    /// SHA-256 before, and now.
    pub before: String,
    pub after: Option<String>,
    /// Rows, payloads or keys that went; of usage files none, which only have another number.
    pub removed: i64,
}

/// Files that were written anew, and that no row names yet.
pub struct Rewritten<'b> {
    books: &'b Books,
    lease: &'b Lease,
    attempt: WriteAttempt<'b>,
    synced: Synced,
    erased: Vec<ErasedRows>,
    voids: BTreeSet<(i64, u32)>,
    unmetered_rows: Vec<UnmeteredRows>,
    files: Vec<RewrittenFile>,
    segments: Vec<RewrittenSegment>,
    runs: Vec<RewrittenRun>,
    usage: Vec<RewrittenUsage>,
    unmetered: Vec<RewrittenUnmetered>,
    exports: Vec<RewrittenExport>,
    inputs: Inputs,
}

/// What finishing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Finished {
    /// Data files that were removed.
    pub files: usize,
    pub exports: usize,
    pub inputs: usize,
}

/// Why the files of an account cannot be erased, each reason with its cure.
pub async fn obstacles(books: &Books, uin: u64) -> Result<Vec<String>> {
    let mut obstacles = damaged_exports(books, uin).await?;
    let days = days_of_unknown_log(books).await?;
    obstacles.extend(days.iter().map(|day| {
        format!(
            "the service log of {day} outlived its raw records, so that nobody can tell whose it is; set `keep_log_months` to at most \
             `keep_raw_months`, and run `tallybook expire`"
        )
    }));
    Ok(obstacles)
}

/// All applications of an account, in raw records and in usage.
pub async fn apps_of(books: &Books, uin: u64) -> Result<BTreeSet<u64>> {
    let mut apps = rows::find(books, uin, &BTreeSet::new()).await?.apps;
    let files = in_folder(&files_in_use(&books.ledger).await?, "usage");
    tokio::task::block_in_place(|| {
        for file in &files {
            UsageRows::open(&books.data.join(&file.path))?.for_each_of(uin, |row| {
                // Usage that is not metered has no application.
                if row.status == Status::Metered {
                    apps.insert(row.appid);
                }
                Ok(())
            })?;
        }
        Ok::<_, Error>(())
    })?;
    Ok(apps)
}

/// Those of an account's applications that other accounts have in raw records, too.
pub async fn shared_apps_of(books: &Books, uin: u64, apps: &BTreeSet<u64>) -> Result<BTreeSet<u64>> {
    let own = rows::find(books, uin, apps).await?.own_apps;
    Ok(apps.difference(&own).copied().collect())
}

/// Writes the files anew without the account; nothing of the ledger changes yet. Input files that hold the account are set aside. Safe to
/// repeat after a kill: what a killed run wrote are files of a writer that did not commit.
///
/// # Errors
/// [`Error::Damaged`] where a file is not what was written, and [`Error::NeedsPerson`] with the [`obstacles`].
pub async fn rewrite<'b>(books: &'b Books, lease: &'b Lease, names: &Pseudonyms) -> Result<Rewritten<'b>> {
    names.check_order()?;
    let uin = names.erased_uin;
    let obstacles = obstacles(books, uin).await?;
    if !obstacles.is_empty() {
        return Err(Error::NeedsPerson(obstacles.join("\n")));
    }
    let found = rows::find(books, uin, &names.apps.keys().copied().collect()).await?;
    let in_use = files_in_use(&books.ledger).await?;
    let attempt = WriteAttempt::register(books, "erase").await?;
    let (segments, mut files) = rewrite_segments(books, &attempt, uin, &found.rows).await?;
    let (runs, usage, (unmetered, unmetered_rows)) = tokio::task::block_in_place(|| {
        let (runs, told) = rewrite_runs(
            &books.data,
            attempt.number(),
            &in_folder(&in_use, "keys"),
            &found.rows_by_batch,
        )?;
        files.extend(told);
        let (usage, told) = rewrite_usage(books, &attempt, &in_folder(&in_use, "usage"), names)?;
        files.extend(told);
        let (unmetered, told, rows) = rewrite_unmetered(books, &attempt, &in_folder(&in_use, "unmetered"), uin)?;
        files.extend(told);
        Ok::<_, Error>((runs, usage, (unmetered, rows)))
    })?;
    let exports = rewrite_exports(books, names).await?;
    let mut new: Vec<&str> = segments.iter().filter_map(RewrittenSegment::path).collect();
    new.extend(runs.iter().filter_map(|run| Some(&*run.new.as_ref()?.path)));
    new.extend(usage.iter().map(RewrittenUsage::path));
    new.extend(unmetered.iter().filter_map(RewrittenUnmetered::path));
    let synced = tokio::task::block_in_place(|| attempt.sync(new))?;
    let inputs = set_inputs_aside(books, uin, &found, attempt.number()).await?;
    Ok(Rewritten {
        books,
        lease,
        attempt,
        synced,
        erased: found.erased,
        voids: found.voids,
        unmetered_rows,
        files,
        segments,
        runs,
        usage,
        unmetered,
        exports,
        inputs,
    })
}

async fn set_inputs_aside(books: &Books, uin: u64, found: &Found, intake: i64) -> Result<Inputs> {
    let numbers = numbers_of(uin, &found.own_apps);
    let batches = found.erased.iter().map(|rows| rows.batch).collect();
    let account = Account {
        uin,
        numbers: &numbers,
        batches: &batches,
    };
    let holding = holding(books, account, intake).await?;
    tokio::task::block_in_place(|| set_aside(books, &holding))
}

fn in_folder(files: &[FileInUse], folder: &str) -> Vec<FileInUse> {
    let is_in = |file: &&FileInUse| file.path.split('/').next() == Some(folder);
    files.iter().filter(is_in).cloned().collect()
}

impl Rewritten<'_> {
    /// Begins the transaction that names the new files.
    ///
    /// # Errors
    /// [`Error::Overtaken`] when the lease is lost, or the run was given up as dead.
    pub async fn begin(&self) -> Result<Tx> {
        self.attempt.begin(Some(self.lease)).await
    }

    /// Names the new files in the place of those before, which are removed after the commit.
    pub async fn swap(&self, tx: &mut Tx) -> Result<()> {
        for segment in &self.segments {
            segment.swap(tx).await?;
        }
        for run in &self.runs {
            replace_key_run(tx, &run.path, run.new.as_ref()).await?;
        }
        for usage in &self.usage {
            usage.swap(tx).await?;
        }
        for unmetered in &self.unmetered {
            unmetered.swap(tx).await?;
        }
        swap_exports(tx, self.books, &self.exports).await
    }

    /// Commits. Where the server does not answer, the run's own row says what happened.
    pub async fn commit(self, tx: Tx) -> Result<()> {
        self.attempt.commit(tx, self.synced).await
    }

    /// Raw rows that go, by batch and day.
    pub fn erased_rows(&self) -> &[ErasedRows] {
        &self.erased
    }

    /// Voids among them, by batch and line.
    pub fn voids(&self) -> &BTreeSet<(i64, u32)> {
        &self.voids
    }

    /// Unmetered records that go, by batch.
    pub fn unmetered_rows(&self) -> &[UnmeteredRows] {
        &self.unmetered_rows
    }

    /// Files that were written anew, but for exports.
    pub fn files(&self) -> &[RewrittenFile] {
        &self.files
    }

    /// How many of each class go: only classes of which something does.
    pub fn removed(&self) -> BTreeMap<Class, i64> {
        let mut removed = BTreeMap::new();
        for file in self.files.iter().filter(|file| file.removed > 0) {
            *removed.entry(file.class).or_default() += file.removed;
        }
        removed
    }

    pub fn exports(&self) -> &[RewrittenExport] {
        &self.exports
    }

    /// Input files that go.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }
}

/// Does what is left after the commit: the old files go, exports move to their places, input files go, and what killed runs left behind.
/// Safe to repeat. Writers that have not committed by now are told to run again, because their files may hold the account.
pub async fn finish(books: &Books, names: &Pseudonyms) -> Result<Finished> {
    let exports = finish_exports(books).await?;
    let inputs = remove_waiting(books).await?;
    let numbers = numbers_of(names.erased_uin, &names.own_apps());
    let files = remove_leftovers(books, &numbers).await?;
    Ok(Finished { files, exports, inputs })
}
