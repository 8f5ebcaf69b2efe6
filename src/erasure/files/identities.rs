//! Identity files without the keys of rows that go.
//!
//! The key of an accepted row stays where another account has a row of the same identity: that row's conflict was decided, and repeats of
//! it are known by the decision only as long as something stands for the identity. A key has no number of an account.

use std::path::PathBuf;

use itertools::Itertools as _;

use super::{Class, RewrittenFile};
use crate::pipeline::meter::dedupe::identity_index::{Key, KeyRun, KeyWriter, Verdict};
use crate::pipeline::meter::store::NewKeyRun;
use crate::storage::durable_files::{DataDir, remove_files};
use crate::storage::raw::account_rows::RowSet;
use crate::storage::raw::store::FileInUse;
use crate::support::error::Result;

/// An identity file that was written anew.
pub struct RewrittenRun {
    pub path: String,
    /// None where no key was left.
    pub new: Option<NewKeyRun>,
}

/// Writes identity files anew that have keys of `rows`, which are by batch; not synced.
pub fn rewrite_runs(
    data: &DataDir,
    intake: i64,
    files: &[FileInUse],
    rows: &RowSet,
) -> Result<(Vec<RewrittenRun>, Vec<RewrittenFile>)> {
    if rows.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let goes = |key: &Key| rows.has(i64::from(key.batch), key.line);
    let place = |file: &FileInUse| data.join(&file.path);
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
                .then(|| Writing::new(data, intake, at, run)),
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
            let unused = new.iter().map(|new| data.join(&new.path)).collect::<Vec<_>>();
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
    fn new(data: &DataDir, intake: i64, at: usize, run: &'r KeyRun) -> Self {
        let path = format!("keys/i{intake:08}-{at:03}.keys");
        Self {
            place: data.join(&path),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::raw::fingerprints::Fingerprints;

    /// Each with the batch of its key.
    type Hashes = Vec<(u64, u32)>;

    fn key(hash: u64, batch: u32, line: u32, verdict: Verdict) -> Key {
        Key {
            hash,
            content: 5,
            batch,
            line,
            day: 20_000,
            verdict,
        }
    }

    fn write(data: &DataDir, name: &str, keys: &[Key]) -> FileInUse {
        let path = format!("keys/{name}.keys");
        let mut run = KeyWriter::create(&data.join(&path), Fingerprints::Spelling).unwrap();
        for key in keys {
            run.push(*key).unwrap();
        }
        let written = run.finish(&[]).unwrap();
        FileInUse {
            path,
            digest: written.digest,
            bytes: None,
        }
    }

    #[test]
    fn keys_of_rows_that_go_go_unless_another_row_is_known_by_them() {
        use Verdict::{Accepted, Conflict};
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::at(folder.path());
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        let own = [(1, 1), (1, 2), (1, 3), (2, 3)];
        let files = [
            write(
                &data,
                "mixed",
                &[
                    key(10, 1, 1, Accepted),
                    key(20, 1, 2, Accepted),
                    key(30, 1, 9, Accepted),
                ],
            ),
            write(&data, "own", &[key(40, 1, 3, Accepted)]),
            // A conflict with a row that goes, and one that goes with another row.
            write(&data, "later", &[key(10, 2, 1, Conflict), key(30, 2, 3, Conflict)]),
            write(&data, "others", &[key(50, 3, 1, Accepted)]),
        ];
        let mut rows = RowSet::default();
        rows.extend(own);
        let (rewritten, told) = rewrite_runs(&data, 7, &files, &rows).unwrap();
        let left = |run: &RewrittenRun| -> Option<Hashes> {
            let new = KeyRun::open(&data.join(&run.new.as_ref()?.path)).unwrap();
            assert_eq!(new.fingerprints(), Fingerprints::Spelling);
            Some(new.iter().map(|key| (key.hash, key.batch)).collect())
        };
        let found: Vec<(&str, Option<Hashes>)> = rewritten.iter().map(|run| (&*run.path, left(run))).collect();
        assert_eq!(
            found,
            [
                ("keys/mixed.keys", Some(vec![(10, 1), (30, 1)])),
                ("keys/own.keys", None),
                ("keys/later.keys", Some(vec![(10, 2)])),
            ]
        );
        assert_eq!(told.iter().map(|file| file.removed).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(std::fs::read_dir(folder.path().join("keys")).unwrap().count(), 4 + 2);
    }

    #[test]
    fn a_file_whose_only_key_is_wanted_by_others_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::at(folder.path());
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        let files = [
            write(&data, "own", &[key(10, 1, 1, Verdict::Accepted)]),
            write(&data, "others", &[key(10, 2, 1, Verdict::Conflict)]),
        ];
        let mut rows = RowSet::default();
        rows.extend([(1, 1)]);
        let (rewritten, told) = rewrite_runs(&data, 7, &files, &rows).unwrap();
        assert!(rewritten.is_empty() && told.is_empty());
        assert_eq!(std::fs::read_dir(folder.path().join("keys")).unwrap().count(), 2);
    }
}
