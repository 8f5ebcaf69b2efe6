//! Usage files with the account under its pseudonym, and files of unmetered records without it.

use super::{Class, RewrittenFile, UnmeteredRows};
use crate::context::Books;
use crate::context::write_attempt::WriteAttempt;
use crate::erasure::pseudonym::Pseudonyms;
use crate::pipeline::meter::aggregate::measure::UnmeteredRecord;
use crate::pipeline::meter::classify::unmetered;
use crate::pipeline::meter::store::{replace_unmetered, replace_usage_file};
use crate::storage::ledger::Tx;
use crate::storage::raw::segment::check_written;
use crate::storage::raw::store::{CopiedFile, FileInUse};
use crate::storage::usage::renamed::{Renaming, write_renamed};
use crate::support::error::Result;
use crate::support::threads;

/// A usage file that was written anew.
pub struct RewrittenUsage {
    path: String,
    new: CopiedFile,
}

/// Writes usage files anew that have usage of the account.
pub fn rewrite_usage(
    books: &Books,
    attempt: &WriteAttempt<'_>,
    files: &[FileInUse],
    names: &Pseudonyms,
) -> Result<(Vec<RewrittenUsage>, Vec<RewrittenFile>)> {
    let renaming = Renaming {
        uin: names.erased_uin,
        new_uin: names.uin,
        apps: &names.apps,
    };
    let rewrite = |at: usize| {
        let path = format!("usage/i{:08}-{at:03}.parquet", attempt.number());
        let (from, to) = (books.data.join(&files[at].path), books.data.join(&path));
        let Some((bytes, digest)) = write_renamed(&from, &to, &renaming)? else {
            return Ok(None);
        };
        // The new digest would hide what was damaged before.
        check_written(&from, &files[at].digest)?;
        Ok(Some(CopiedFile { path, bytes, digest }))
    };
    let written = threads::map(files.len(), rewrite)?;
    let (mut rewritten, mut told) = (Vec::new(), Vec::new());
    for (file, new) in files.iter().zip(written) {
        let Some(new) = new else { continue };
        told.push(RewrittenFile {
            class: Class::Usage,
            path: file.path.clone(),
            new_path: Some(new.path.clone()),
            before: file.digest.clone(),
            after: Some(new.digest.clone()),
            removed: 0,
        });
        rewritten.push(RewrittenUsage {
            path: file.path.clone(),
            new,
        });
    }
    Ok((rewritten, told))
}

impl RewrittenUsage {
    /// The new file.
    pub fn path(&self) -> &str {
        &self.new.path
    }

    /// Names the new file in the place of the one before.
    pub async fn swap(&self, tx: &mut Tx) -> Result<()> {
        replace_usage_file(tx, &self.path, &self.new).await
    }
}

/// A file of unmetered records that was written anew.
pub struct RewrittenUnmetered {
    path: String,
    /// Path and digest; none where no record was left.
    new: Option<(String, String)>,
    records: Vec<UnmeteredRecord>,
}

/// Writes files of unmetered records anew that have records of the account.
pub fn rewrite_unmetered(
    books: &Books,
    attempt: &WriteAttempt<'_>,
    files: &[FileInUse],
    uin: u64,
) -> Result<(Vec<RewrittenUnmetered>, Vec<RewrittenFile>, Vec<UnmeteredRows>)> {
    let (mut rewritten, mut told, mut rows) = (Vec::new(), Vec::new(), Vec::<UnmeteredRows>::new());
    for (at, file) in files.iter().enumerate() {
        let records = unmetered::read_all(&books.data, std::slice::from_ref(&file.path))?;
        let (own, records): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.uin == uin);
        if own.is_empty() {
            continue;
        }
        check_written(&books.data.join(&file.path), &file.digest)?;
        let new = if records.is_empty() {
            None
        } else {
            let path = format!("unmetered/i{:08}-{at:03}.parquet", attempt.number());
            let digest = unmetered::write(&books.data.join(&path), &records)?;
            Some((path, digest))
        };
        told.push(RewrittenFile {
            class: Class::Unmetered,
            path: file.path.clone(),
            new_path: new.as_ref().map(|(path, _)| path.clone()),
            before: file.digest.clone(),
            after: new.as_ref().map(|(_, digest)| digest.clone()),
            removed: i64::try_from(own.len()).unwrap_or(i64::MAX),
        });
        for of_batch in own.chunk_by(|a, b| a.batch == b.batch) {
            rows.push(UnmeteredRows {
                batch: of_batch[0].batch,
                rows: i64::try_from(of_batch.len()).unwrap_or(i64::MAX),
                duration_ms: of_batch.iter().map(|record| record.duration_ms).sum(),
            });
        }
        rewritten.push(RewrittenUnmetered {
            path: file.path.clone(),
            new,
            records,
        });
    }
    Ok((rewritten, told, rows))
}

impl RewrittenUnmetered {
    /// The new file.
    pub fn path(&self) -> Option<&str> {
        self.new.as_ref().map(|(path, _)| &**path)
    }

    /// Names the new file in the place of the one before, and lists its records.
    pub async fn swap(&self, tx: &mut Tx) -> Result<()> {
        let new = self.new.as_ref().map(|(path, digest)| (&**path, &**digest));
        replace_unmetered(tx, &self.path, new, &self.records).await
    }
}
