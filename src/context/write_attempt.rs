//! A write attempt: the one way in which files, and the rows that name them, come into the books.
//!
//! ```text
//! register    a number, before the first file: file names carry it, so no two attempts write the same file
//! write       the files, by the stage
//! sync        on disk for good, with their folders; only then may rows name them
//! begin       the transaction: the lease holds, and nobody gave the attempt up as dead and removed its files
//! commit      the rows that name the files; where the server does not answer, the attempt's own row says what happened
//! ```
//!
//! An attempt that ends before its commit leaves files that no row names: `maintenance::remove_orphans` removes them.

use std::path::PathBuf;

use crate::context::{Books, restore_guard};
use crate::storage::durable_files::{remove_files, sync_all};
use crate::storage::ledger::{Lease, Tx, commit_intake, register_intake};
use crate::support::error::Result;

/// An attempt to write, from its number to its commit.
pub struct WriteAttempt<'a> {
    books: &'a Books,
    step: &'static str,
    number: i64,
}

/// Files of an attempt are on disk for good: what a commit asks for.
#[must_use = "rows may name files only when they are synced"]
pub struct Synced(());

impl<'a> WriteAttempt<'a> {
    /// Registers an attempt of a stage. `step` names its commit in messages and in crash tests.
    ///
    /// # Errors
    /// When the ledger is older than the files beside it, or does not answer.
    pub async fn register(books: &'a Books, step: &'static str) -> Result<Self> {
        restore_guard::refuse_older_ledger(books).await?;
        let number = register_intake(&books.ledger, step).await?;
        Ok(Self { books, step, number })
    }

    /// The number that the names of the files carry.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// Syncs files and their folders; paths are within the data folder. Blocks.
    pub fn sync(&self, paths: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Synced> {
        sync_all(&self.on_disk(paths))?;
        Ok(Synced(()))
    }

    /// Begins the transaction that will name the files. A stage that only one writer may run at a time gives its lease.
    ///
    /// # Errors
    /// [`crate::support::error::Error::Overtaken`] when the lease is lost, or the attempt was given up as dead.
    pub async fn begin(&self, lease: Option<&Lease>) -> Result<Tx> {
        let mut tx = self.books.ledger.begin().await?;
        if let Some(lease) = lease {
            lease.check(&mut tx).await?;
        }
        commit_intake(&mut tx, self.number).await?;
        Ok(tx)
    }

    /// Commits. What was written and is not synced cannot be committed.
    pub async fn commit(self, tx: Tx, _synced: Synced) -> Result<()> {
        self.books.ledger.commit_of(tx, self.step, self.number).await
    }

    /// Ends an attempt without a commit: nothing names its files, and they go.
    pub fn abandon(self, paths: impl IntoIterator<Item = impl AsRef<str>>) -> Result<()> {
        remove_files(&self.on_disk(paths))
    }

    fn on_disk(&self, paths: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<PathBuf> {
        let paths = paths.into_iter();
        paths.map(|path| self.books.data.join(path.as_ref())).collect()
    }
}
