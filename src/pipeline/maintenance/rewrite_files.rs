//! Rewriting files of before: those with a column index that makes other readers skip rows are copied without it
//! ([`crate::storage::parquet_writer::copy_without_index`]). Rows, days and meterings stay; names, sizes and digests are new.

use rayon::prelude::*;

use crate::context::Books;
use crate::context::write_attempt::WriteAttempt;
use crate::pipeline::meter::store::{
    replace_unmetered_file, replace_usage_file, unmetered_files_of_before, usage_files_of_before,
};
use crate::storage::ledger::{Lease, Tx};
use crate::storage::parquet_writer::copy_without_index;
use crate::storage::raw::segment::check_written;
use crate::storage::raw::store::{CopiedFile, NamedFile, replace_segment, segments_of_before};
use crate::support::error::{Error, Result};

/// What one transaction replaces, at most: so much is there twice until the next sweep.
const BYTES_AT_ONCE: u64 = 1 << 30;

/// Files that one transaction replaces, at most: it is short then, and others write between two.
const FILES_AT_ONCE: usize = 500;

/// What rewriting did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Rewritten {
    pub files: usize,
    pub bytes: u64,
    /// Files for another time.
    pub left: usize,
    /// What was left as it is because the file is damaged.
    pub damaged: Vec<String>,
}

/// Which table names a file.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Segment,
    Usage,
    Unmetered,
}

/// A file that is to be rewritten.
struct Due {
    kind: Kind,
    file: NamedFile,
    bytes: u64,
}

/// Rewrites files of metered batches and of meterings, until `bytes_max` are written. The caller holds the lease.
#[tracing::instrument(skip_all)]
pub async fn rewrite_files(books: &Books, lease: &Lease, metered_to: i64, bytes_max: u64) -> Result<Rewritten> {
    let (mut due, damaged) = due_files(books, metered_to).await?;
    let mut rewritten = Rewritten {
        damaged,
        ..Rewritten::default()
    };
    while !due.is_empty() && rewritten.bytes < bytes_max {
        let left = due.split_off(files_at_once(&due));
        rewrite(books, lease, &due, &mut rewritten).await?;
        due = left;
    }
    rewritten.left = due.len();
    Ok(rewritten)
}

/// Files of before, and those of them that are not there.
async fn due_files(books: &Books, metered_to: i64) -> Result<(Vec<Due>, Vec<String>)> {
    let (mut due, mut damaged) = (Vec::new(), Vec::new());
    for (kind, files) in [
        (Kind::Usage, usage_files_of_before(&books.ledger).await?),
        (Kind::Unmetered, unmetered_files_of_before(&books.ledger).await?),
        (Kind::Segment, segments_of_before(&books.ledger, metered_to).await?),
    ] {
        for file in files {
            let place = books.data.join(&file.path);
            match std::fs::metadata(&place) {
                Ok(metadata) => due.push(Due {
                    kind,
                    file,
                    bytes: metadata.len(),
                }),
                Err(error) => damaged.push(Error::damaged(&place, format!("cannot be read: {error}")).to_string()),
            }
        }
    }
    Ok((due, damaged))
}

/// How many of them one transaction replaces.
fn files_at_once(due: &[Due]) -> usize {
    let mut bytes = 0;
    let before_limit = due.iter().take_while(|due| {
        let fits = bytes < BYTES_AT_ONCE;
        bytes += due.bytes;
        fits
    });
    before_limit.count().min(FILES_AT_ONCE)
}

async fn rewrite(books: &Books, lease: &Lease, due: &[Due], rewritten: &mut Rewritten) -> Result<()> {
    // The copy's digest would hide what was damaged in a file before.
    let check = |due: &Due| check_written(&books.data.join(&due.file.path), &due.file.digest);
    let checked: Vec<Result<()>> = tokio::task::block_in_place(|| due.par_iter().map(check).collect());
    let mut whole = Vec::new();
    for (due, checked) in due.iter().zip(checked) {
        match checked {
            Ok(()) => whole.push(due),
            Err(damaged @ Error::Damaged { .. }) => rewritten.damaged.push(damaged.to_string()),
            Err(error) => return Err(error),
        }
    }
    if whole.is_empty() {
        return Ok(());
    }
    let attempt = WriteAttempt::register(books, "rewrite").await?;
    let intake = attempt.number();
    let (copies, synced) = tokio::task::block_in_place(|| {
        let copies = whole
            .par_iter()
            .enumerate()
            .map(|(part, due)| copy(books, due, intake, part));
        let copies: Vec<CopiedFile> = copies.collect::<Result<_>>()?;
        let synced = attempt.sync(copies.iter().map(|copy| &copy.path))?;
        Ok::<_, Error>((copies, synced))
    })?;
    let mut tx = attempt.begin(Some(lease)).await?;
    for (due, copy) in whole.iter().zip(&copies) {
        replace(&mut tx, due, copy).await?;
    }
    attempt.commit(tx, synced).await?;
    rewritten.files += copies.len();
    rewritten.bytes += copies.iter().map(|copy| copy.bytes).sum::<u64>();
    Ok(())
}

/// Copies a file beside itself, under the name that its writer would have given it.
fn copy(books: &Books, due: &Due, intake: i64, part: usize) -> Result<CopiedFile> {
    let folder = due.file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = format!("{folder}/i{intake:08}-{part:03}.parquet");
    let (bytes, digest) = copy_without_index(&books.data.join(&due.file.path), &books.data.join(&path))?;
    Ok(CopiedFile { path, bytes, digest })
}

async fn replace(tx: &mut Tx, due: &Due, copy: &CopiedFile) -> Result<()> {
    match due.kind {
        Kind::Segment => replace_segment(tx, &due.file.path, copy).await,
        Kind::Usage => replace_usage_file(tx, &due.file.path, copy).await,
        Kind::Unmetered => replace_unmetered_file(tx, &due.file.path, copy).await,
    }
}
