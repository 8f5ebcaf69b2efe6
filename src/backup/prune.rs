//! What goes from a folder of backups: files that no backup needs any more, and manifests of long ago.

use std::collections::BTreeSet;
use std::path::Path;

use super::check::no_backup;
use super::create::{SCRATCH, refuse_other_books};
use super::location::Location;
use super::manifest::{Manifest, key_of_file};
use super::repository::{Repository, Saved};
use super::store::books_of;
use crate::context::Books;
use crate::storage::ledger::Lease;
use crate::support::error::Result;

/// Manifests that every backup leaves: two months of a backup each day. Their own files are long gone; they say when there were backups,
/// and of what.
pub const MANIFESTS_KEPT: usize = 60;

/// What is in the folder no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    pub removed_files: usize,
    pub removed_manifests: usize,
}

/// Prunes a folder of backups. `keep`: how many of the newest manifests stay, at least 1.
///
/// # Errors
/// [`crate::support::error::Error::Usage`] for a folder without a backup, and
/// [`crate::support::error::Error::InUse`] while another command has it.
pub fn prune(folder: &Path, keep: usize) -> Result<Pruned> {
    let repository = Repository::open(folder)?;
    repository.newest()?.ok_or_else(|| no_backup(&repository))?;
    repository.forget_written()?;
    prune_repository(&repository, keep)
}

/// Prunes a bucket of backups of these books. A bucket has no lock: a backup that is being made must not lose what it put there.
///
/// # Errors
/// Those of [`prune`], and [`crate::support::error::Error::LeaseHeld`] while a backup of these books is made.
pub async fn prune_bucket(books: &Books, at: Location, keep: usize) -> Result<Pruned> {
    let lease = Lease::take_backup(&books.ledger, "backup prune").await?;
    let pruned = prune_of(books, at.working_in(books.data.join(SCRATCH)), keep).await;
    lease.release().await?;
    pruned
}

async fn prune_of(books: &Books, at: Location, keep: usize) -> Result<Pruned> {
    let mut reading = books.ledger.begin_reading().await?;
    let of = books_of(&mut reading).await?;
    reading.end().await?;
    let repository = Repository::open(at)?;
    let newest = repository.newest()?.ok_or_else(|| no_backup(&repository))?;
    refuse_other_books(&repository, &newest.manifest, &of)?;
    repository.forget_written()?;
    prune_repository(&repository, keep)
}

/// The same for one that is open, and has a backup.
pub(super) fn prune_repository(repository: &Repository, keep: usize) -> Result<Pruned> {
    let needed = needed(&repository.newest_to_a_whole_one()?);
    let keys = repository.keys()?.into_iter();
    let unneeded: Vec<String> = keys.filter(|key| !needed.contains(key)).collect();
    repository.remove(&unneeded)?;
    Ok(Pruned {
        removed_files: unneeded.len(),
        removed_manifests: repository.remove_manifests(keep)?,
    })
}

/// What the newest backup has; and where that lacks something, what the newest whole one had of it, as far as the books may still keep it.
/// `newest`: from the newest backup back to a whole one.
fn needed(newest: &[Saved]) -> BTreeSet<String> {
    let Some((newest, before)) = newest.split_first() else {
        return BTreeSet::new();
    };
    let mut needed: BTreeSet<String> = keys_of(&newest.manifest).collect();
    let before = before.last().filter(|before| before.manifest.is_whole());
    if let Some(before) = before.filter(|_| !newest.manifest.is_whole()) {
        let days = raw_days(&newest.manifest);
        needed.insert(before.manifest.ledger.object.key.clone());
        let files = before.manifest.files.iter().map(|file| file.path.as_str());
        needed.extend(files.filter(|path| may_be_kept(path, &days)).map(key_of_file));
    }
    needed
}

fn keys_of(manifest: &Manifest) -> impl Iterator<Item = String> {
    manifest.objects().into_iter().map(|object| object.key)
}

/// Days of raw records that the books have, whether their files are there or not: `raw/day=2026-10-01`.
fn raw_days(manifest: &Manifest) -> BTreeSet<&str> {
    let files = manifest.files.iter().map(|file| file.path.as_str());
    let missing = manifest.missing.iter().map(|missing| missing.path.as_str());
    files.chain(missing).filter_map(raw_day).collect()
}

fn raw_day(path: &str) -> Option<&str> {
    let (day, _) = path.rsplit_once('/')?;
    day.starts_with("raw/").then_some(day)
}

/// Whether a file that the books have no more can have been merged into one that is missing. Raw records of a day that the books have
/// not have expired; service-log fields and payloads have a clock that is shorter than a mended disk is sure to be waited for.
fn may_be_kept(path: &str, days: &BTreeSet<&str>) -> bool {
    match raw_day(path) {
        Some(day) => days.contains(day),
        None => !path.starts_with("log/") && !path.starts_with("payload/"),
    }
}
