//! Identity files without the keys of rows that go.
//!
//! The key of an accepted row stays where another account has a row of the same identity: that row's conflict was decided, and repeats of
//! it are known by the decision only as long as something stands for the identity. A key has no number of an account.

use std::path::PathBuf;

use itertools::Itertools as _;

use super::{Class, RewrittenFile};
use crate::context::Books;
use crate::context::write_attempt::WriteAttempt;
use crate::pipeline::meter::dedupe::identity_index::{Key, KeyRun, KeyWriter, Verdict};
use crate::pipeline::meter::store::NewKeyRun;
use crate::storage::durable_files::remove_files;
use crate::storage::raw::account_rows::RowSet;
use crate::storage::raw::store::FileInUse;
use crate::support::error::Result;

/// An identity file that was written anew.
pub struct RewrittenRun {
    pub path: String,
    /// None where no key was left.
    pub new: Option<NewKeyRun>,
}

/// Writes identity files anew that have keys of `rows`, which are by batch.
pub fn rewrite_runs(
    books: &Books,
    attempt: &WriteAttempt<'_>,
    files: &[FileInUse],
    rows: &RowSet,
) -> Result<(Vec<RewrittenRun>, Vec<RewrittenFile>)> {
    if rows.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let goes = |key: &Key| rows.has(i64::from(key.batch), key.line);
    let place = |file: &FileInUse| books.data.join(&file.path);
    let runs: Vec<KeyRun> = files
        .iter()
        .map(|file| KeyRun::open(&place(file)))
        .collect::<Result<_>>()?;
    let mut writers = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        run.check_all()?;
        writers.push(
            run.iter()
                .any(|key| goes(&key))
                .then(|| Writing::new(books, attempt, at, run)),
        );
    }
    if writers.iter().all(Option::is_none) {
        return Ok((Vec::new(), Vec::new()));
    }
    let keys = runs
        .iter()
        .enumerate()
        .map(|(at, run)| run.iter().map(move |key| (at, key)));
    let order = |key: &Key| (key.hash, key.batch, key.line);
    let mut keys = keys.kmerge_by(|a, b| order(&a.1) < order(&b.1)).peekable();
    let mut group = Vec::new();
    while let Some(first) = keys.next() {
        group.clear();
        group.push(first);
        group.extend(keys.peeking_take_while(|(_, key)| key.hash == first.1.hash));
        let is_shared = group.iter().any(|(_, key)| !goes(key));
        for (at, key) in &group {
            let Some(writing) = &mut writers[*at] else { continue };
            if !goes(key) || is_shared && key.verdict == Verdict::Accepted {
                writing.push(*key)?;
            } else {
                writing.removed += 1;
            }
        }
    }
    let (mut rewritten, mut told) = (Vec::new(), Vec::new());
    for (file, writing) in files.iter().zip(writers) {
        let Some(writing) = writing else { continue };
        let removed = writing.removed;
        let new = writing.finish()?;
        if removed == 0 {
            let unused = new.iter().map(|new| books.data.join(&new.path)).collect::<Vec<_>>();
            remove_files(&unused)?;
            continue;
        }
        told.push(RewrittenFile {
            class: Class::Identities,
            path: file.path.clone(),
            new_path: new.as_ref().map(|new| new.path.clone()),
            before: file.digest.clone(),
            after: new.as_ref().map(|new| new.digest.clone()),
            removed,
        });
        rewritten.push(RewrittenRun {
            path: file.path.clone(),
            new,
        });
    }
    Ok((rewritten, told))
}

/// A file that is being written, once it has a key.
struct Writing<'r> {
    path: String,
    place: PathBuf,
    run: &'r KeyRun,
    out: Option<KeyWriter>,
    removed: i64,
}

impl<'r> Writing<'r> {
    fn new(books: &Books, attempt: &WriteAttempt<'_>, at: usize, run: &'r KeyRun) -> Self {
        let path = format!("keys/i{:08}-{at:03}.keys", attempt.number());
        Self {
            place: books.data.join(&path),
            path,
            run,
            out: None,
            removed: 0,
        }
    }

    fn push(&mut self, key: Key) -> Result<()> {
        let out = match &mut self.out {
            Some(out) => out,
            none => none.insert(KeyWriter::create(&self.place, self.run.fingerprints())?),
        };
        out.push(key)
    }

    fn finish(self) -> Result<Option<NewKeyRun>> {
        let Some(out) = self.out else { return Ok(None) };
        let written = out.finish(&[])?;
        Ok(Some(NewKeyRun {
            path: self.path,
            keys: written.keys,
            bytes: written.bytes,
            digest: written.digest,
        }))
    }
}
