//! Merging key runs: many small ones become one, and keys whose every day has expired go.

use std::collections::HashSet;

use super::key_run::{self, Key, KeyRun};
use super::store::{NewKeyRun, add_key_run, drop_key_runs, key_run_paths};
use crate::books::Books;
use crate::error::Result;
use crate::files::{create_dir_durably, sync_all};
use crate::ledger::{Lease, commit_intake};
use crate::raw::store::expired_days;
use crate::span::number_of_day;

/// Every run costs a search per new record, so at most so many are left after a merge.
const RUNS_MAX: usize = 8;

/// Merges the smallest runs into one when there are more than [`RUNS_MAX`]: the larger half of them stays untouched, so a
/// key is copied a few times in its life, not every night. Returns (runs before, runs after).
pub async fn merge_key_runs(books: &Books, lease: &Lease, metering: i64) -> Result<(usize, usize)> {
    let runs = key_run_paths(&books.ledger).await?;
    if runs.len() <= RUNS_MAX {
        return Ok((0, 0));
    }
    let (kept, merged) = runs.split_at(RUNS_MAX / 2);
    let paths = |runs: &[(String, i64)]| runs.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    let (kept, merged) = (paths(kept), paths(merged));
    let expired: HashSet<i32> = expired_days(&books.ledger)
        .await?
        .into_iter()
        .map(number_of_day)
        .collect();
    let intake = books.register_intake("merge keys").await?;
    let path = format!("keys/i{intake:08}.keys");
    let written = tokio::task::block_in_place(|| {
        let keys = living_keys(books, &merged, &kept, &expired)?;
        let place = books.data.join(&path);
        create_dir_durably(&books.data.join("keys"))?;
        let written = key_run::write(&place, &keys)?;
        sync_all(&[place])?;
        Ok::<_, crate::error::Error>(written)
    })?;
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    commit_intake(&mut tx, intake).await?;
    drop_key_runs(&mut tx, &merged).await?;
    let new = NewKeyRun {
        path,
        keys: written.keys,
        bytes: written.bytes,
        digest: written.digest,
    };
    add_key_run(&mut tx, metering, &new).await?;
    books.ledger.commit_of(tx, "merge_keys", intake).await?;
    Ok((runs.len(), RUNS_MAX / 2 + 1))
}

/// All keys of the runs, sorted, without identities of which every day has expired, in these runs and in the others.
fn living_keys(books: &Books, paths: &[String], others: &[String], expired: &HashSet<i32>) -> Result<Vec<Key>> {
    let open = |paths: &[String]| -> Result<Vec<KeyRun>> {
        paths.iter().map(|path| KeyRun::open(&books.data.join(path))).collect()
    };
    let others = open(others)?;
    let mut keys: Vec<Key> = open(paths)?.iter().flat_map(KeyRun::iter).collect();
    keys.sort_unstable_by_key(|key| (key.hash, key.batch, key.line));
    let lives = |key: &Key| !expired.contains(&key.day);
    let living = |group: &&[Key]| {
        group.iter().any(lives)
            || others
                .iter()
                .any(|run| run.of_hash(group[0].hash).any(|key| lives(&key)))
    };
    Ok(keys
        .chunk_by(|a, b| a.hash == b.hash)
        .filter(living)
        .flatten()
        .copied()
        .collect())
}
