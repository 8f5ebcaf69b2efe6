//! Merging key runs: many small ones become one, and keys whose every day has expired go.

use std::collections::HashSet;
use std::path::Path;

use itertools::Itertools as _;

use crate::context::Books;
use crate::context::write_attempt::WriteAttempt;
use crate::pipeline::meter::dedupe::identity_index::{Key, KeyRun, KeyWriter, WrittenRun, keys_of_hash};
use crate::pipeline::meter::store::{NewKeyRun, add_key_run, drop_key_runs, key_run_paths};
use crate::storage::durable_files::create_dir_durably;
use crate::storage::ledger::Lease;
use crate::storage::raw::fingerprints::Fingerprints;
use crate::storage::raw::store::expired_days;
use crate::support::error::{Error, Result};
use crate::values::calendar::number_of_day;

/// Every run costs a search per new record, so at most so many are left after a merge.
const RUNS_MAX: usize = 8;

/// How many times the keys of all smaller runs together a run must have to stay as it is. So what a night merges is about what nights have
/// brought since the last merge like it, and never the months before: a key is copied a few times in its life.
const LARGER_TIMES: i64 = 2;

/// Merges the smallest runs into one when there are more than [`RUNS_MAX`]. Returns (runs before, runs after).
pub async fn merge_key_runs(books: &Books, lease: &Lease, metering: i64) -> Result<(usize, usize)> {
    let runs = key_run_paths(&books.ledger).await?;
    if runs.len() <= RUNS_MAX {
        return Ok((0, 0));
    }
    let keys: Vec<i64> = runs.iter().map(|(_, keys)| *keys).collect();
    let (kept, merged) = runs.split_at(first_merged(&keys));
    let paths = |runs: &[(String, i64)]| runs.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    let (kept, merged) = (paths(kept), paths(merged));
    let expired: HashSet<i32> = expired_days(&books.ledger)
        .await?
        .into_iter()
        .map(number_of_day)
        .collect();
    let attempt = WriteAttempt::register(books, "merge_keys").await?;
    let path = format!("keys/i{:08}.keys", attempt.number());
    let (written, synced) = tokio::task::block_in_place(|| {
        let place = books.data.join(&path);
        create_dir_durably(&books.data.join("keys"))?;
        let written = write_living_keys(&place, &open(books, &merged)?, &open(books, &kept)?, &expired)?;
        Ok::<_, Error>((written, attempt.sync([&path])?))
    })?;
    let mut tx = attempt.begin(Some(lease)).await?;
    drop_key_runs(&mut tx, &merged).await?;
    let new = NewKeyRun {
        path,
        keys: written.keys,
        bytes: written.bytes,
        digest: written.digest,
    };
    add_key_run(&mut tx, metering, &new).await?;
    attempt.commit(tx, synced).await?;
    Ok((runs.len(), kept.len() + 1))
}

/// Which of more than [`RUNS_MAX`] runs, the largest first, is the first to be merged, with all after it.
fn first_merged(keys: &[i64]) -> usize {
    let (mut first, mut smaller) = (keys.len(), 0);
    for &more in keys.iter().rev() {
        if first < RUNS_MAX && more > smaller * LARGER_TIMES {
            break;
        }
        first -= 1;
        smaller += more;
    }
    first
}

fn open(books: &Books, paths: &[String]) -> Result<Vec<KeyRun>> {
    paths.iter().map(|path| KeyRun::open(&books.data.join(path))).collect()
}

/// Writes all keys of the runs into one, without identities of which every day has expired, in these runs and in the others.
fn write_living_keys(path: &Path, runs: &[KeyRun], others: &[KeyRun], expired: &HashSet<i32>) -> Result<WrittenRun> {
    let lives = |key: &Key| !expired.contains(&key.day);
    let is_living = |group: &[Key]| -> Result<bool> {
        Ok(group.iter().any(lives) || keys_of_hash(others, group[0].hash)?.iter().any(lives))
    };
    for run in runs {
        run.check_all()?;
    }
    // Keys of several versions: a difference proves no more than it does for the oldest.
    let fingerprints = runs.iter().map(KeyRun::fingerprints).min().unwrap_or(Fingerprints::NOW);
    let mut merged = KeyWriter::create(path, fingerprints)?;
    let order = |key: &Key| (key.hash, key.batch, key.line);
    let mut keys = runs
        .iter()
        .map(KeyRun::iter)
        .kmerge_by(|a, b| order(a) < order(b))
        .peekable();
    let mut group = Vec::new();
    while let Some(first) = keys.next() {
        group.clear();
        group.push(first);
        group.extend(keys.peeking_take_while(|key| key.hash == first.hash));
        if !is_living(&group)? {
            continue;
        }
        for key in &group {
            merged.push(*key)?;
        }
    }
    merged.finish(&[])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::pipeline::maintenance::merge_identity_files::{
        Fingerprints, Key, KeyRun, KeyWriter, RUNS_MAX, first_merged, write_living_keys,
    };
    use crate::pipeline::meter::dedupe::identity_index::Verdict;

    #[test]
    fn runs_of_both_versions_of_fingerprints_become_one_of_the_older() {
        let dir = tempfile::tempdir().unwrap();
        let key = |hash| Key {
            hash,
            content: hash,
            batch: 1,
            line: 1,
            day: 20_000,
            verdict: Verdict::Accepted,
        };
        let run = |name: &str, fingerprints, hashes: &[u64]| {
            let place = dir.path().join(name);
            let mut run = KeyWriter::create(&place, fingerprints).unwrap();
            for &hash in hashes {
                run.push(key(hash)).unwrap();
            }
            run.finish(&[]).unwrap();
            KeyRun::open(&place).unwrap()
        };
        let (older, newer) = (Fingerprints::Spelling, Fingerprints::NOW);
        for (name, versions, expected) in [
            ("mixed", [older, newer], older),
            ("swapped", [newer, older], older),
            ("new", [newer, newer], newer),
        ] {
            let runs = [
                run(&format!("{name}-1"), versions[0], &[1, 3]),
                run(&format!("{name}-2"), versions[1], &[2]),
            ];
            let place = dir.path().join(name);
            write_living_keys(&place, &runs, &[], &HashSet::new()).unwrap();
            let merged = KeyRun::open(&place).unwrap();
            assert_eq!(merged.fingerprints(), expected, "{name}");
            assert_eq!(merged.iter().map(|key| key.hash).collect::<Vec<_>>(), [1, 2, 3]);
        }
    }

    #[test]
    fn nights_are_merged_and_months_stay() {
        let months_and_nights = [20_000, 20_000, 20_000, 20_000, 20_000, 600, 600, 600, 600];
        assert_eq!(first_merged(&months_and_nights), 5);
    }

    #[test]
    fn what_nights_were_merged_into_is_merged_again_when_nights_have_brought_half_as_much() {
        assert_eq!(
            first_merged(&[20_000, 20_000, 20_000, 20_000, 20_000, 2_400, 600, 600, 600]),
            5
        );
        assert_eq!(
            first_merged(&[20_000, 20_000, 20_000, 20_000, 9_000, 4_000, 600, 600, 600]),
            6
        );
    }

    #[test]
    fn so_many_are_merged_that_no_more_are_left_than_may_be() {
        let falling: Vec<i64> = (0..18).rev().map(|at| 10_i64.pow(at)).collect();
        assert_eq!(first_merged(&falling), RUNS_MAX - 1);
        assert_eq!(first_merged(&[7; RUNS_MAX + 1]), 0);
    }

    #[test]
    fn a_key_is_copied_a_few_times_in_a_year_of_nights() {
        let (mut runs, mut copied) = (Vec::new(), 0);
        for _ in 0..365 {
            runs.push(600);
            if runs.len() > RUNS_MAX {
                let merged: i64 = runs.drain(first_merged(&runs)..).sum();
                copied += merged;
                runs.push(merged);
            }
            runs.sort_unstable_by_key(|run| -run);
        }
        assert!(copied < 4 * 365 * 600, "{copied} copies of {}", 365 * 600);
    }
}
