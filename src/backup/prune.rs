//! What goes from a folder of backups: files that no backup needs any more, and manifests of long ago.

use std::collections::BTreeSet;
use std::path::Path;

use super::check::no_backup;
use super::create::{SCRATCH, refuse_other_books};
use super::location::Location;
use super::manifest::Manifest;
use super::points::{manifests_of_points, objects_of_point, raw_day, raw_days};
use super::repository::{Repository, Saved};
use super::store::books_of;
use crate::context::Books;
use crate::storage::ledger::Lease;
use crate::support::error::Result;

/// Manifests that every backup leaves: two months of a backup each day, and those of all that can be restored. They say when there were
/// backups, and of what, also where their own files are long gone.
pub const MANIFESTS_KEPT: usize = 60;

/// What is in the folder no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    pub removed_files: usize,
    pub removed_manifests: usize,
}

/// Prunes a folder of backups. `keep`: how many of the newest manifests stay, at least 1; earlier backups can be restored no more. None: as
/// many as a backup leaves.
///
/// # Errors
/// [`crate::support::error::Error::Usage`] for a folder without a backup, and
/// [`crate::support::error::Error::InUse`] while another command has it.
pub fn prune(folder: &Path, keep: Option<usize>) -> Result<Pruned> {
    let repository = Repository::open(folder)?;
    repository.newest()?.ok_or_else(|| no_backup(&repository))?;
    repository.forget_written()?;
    prune_repository(&repository, keep)
}

/// Prunes a bucket of backups of these books. A bucket has no lock: a backup that is being made must not lose what it put there.
///
/// # Errors
/// Those of [`prune`], and [`crate::support::error::Error::LeaseHeld`] while a backup of these books is made.
pub async fn prune_bucket(books: &Books, at: Location, keep: Option<usize>) -> Result<Pruned> {
    let lease = Lease::take_backup(&books.ledger, "backup prune").await?;
    let pruned = prune_of(books, at.working_in(books.data.join(SCRATCH)), keep).await;
    lease.release().await?;
    pruned
}

async fn prune_of(books: &Books, at: Location, keep: Option<usize>) -> Result<Pruned> {
    let mut reading = books.ledger.begin_reading().await?;
    let of = books_of(&mut reading).await?;
    reading.end().await?;
    let repository = Repository::open(at)?;
    let newest = repository.newest()?.ok_or_else(|| no_backup(&repository))?;
    refuse_other_books(&repository, &newest.manifest, &of)?;
    repository.forget_written()?;
    prune_repository(&repository, keep)
}

/// The same for one that is open, and has a backup. Manifests go first: an earlier backup without its files must not be told as one that
/// can be restored.
pub(super) fn prune_repository(repository: &Repository, keep: Option<usize>) -> Result<Pruned> {
    let newest = repository.newest_to_a_whole_one()?;
    let kept = keep.unwrap_or_else(|| {
        newest
            .first()
            .map_or(MANIFESTS_KEPT, |newest| kept_with(&newest.manifest))
    });
    let is_whole = newest.first().is_some_and(|newest| newest.manifest.is_whole());
    let known = if is_whole {
        since_erasure(repository)?
    } else {
        usize::MAX
    };
    let removed_manifests = repository.remove_manifests(kept.min(known))?;
    let mut needed = needed(&newest);
    if let Some(newest) = newest.first() {
        for point in manifests_of_points(repository, &newest.manifest)? {
            let objects = objects_of_point(&point, &newest.manifest);
            needed.extend(objects.into_iter().map(|object| object.key));
        }
    }
    let keys = repository.keys()?.into_iter();
    let unneeded: Vec<String> = keys.filter(|key| !needed.contains(key)).collect();
    repository.remove(&unneeded)?;
    Ok(Pruned {
        removed_files: unneeded.len(),
        removed_manifests,
    })
}

/// How many of the newest manifests know of all accounts that were erased. Those of before have names of input files, which may say an
/// account's number, and go with the first backup after it that lacks nothing.
fn since_erasure(repository: &Repository) -> Result<usize> {
    let all = repository.manifests()?;
    let erasures = |read: &Result<Saved>| read.as_ref().ok().map(|saved| saved.manifest.erasures);
    let newest = all.iter().rev().find_map(erasures);
    let last_before = all
        .iter()
        .rposition(|read| erasures(read).is_some_and(|number| Some(number) != newest));
    Ok(last_before.map_or(usize::MAX, |last| all.len() - last - 1).max(1))
}

/// How many manifests a backup leaves.
pub(super) fn kept_with(newest: &Manifest) -> usize {
    let to_oldest = newest
        .points
        .first()
        .map_or(1, |oldest| newest.number - oldest.number + 1);
    MANIFESTS_KEPT.max(usize::try_from(to_oldest).unwrap_or(usize::MAX))
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
        let files = before
            .manifest
            .files
            .iter()
            .filter(|file| may_be_kept(&file.path, &days));
        needed.extend(files.map(|file| file.object().key));
    }
    needed
}

fn keys_of(manifest: &Manifest) -> impl Iterator<Item = String> {
    manifest.objects().into_iter().map(|object| object.key)
}

/// Whether a file that the books have no more can have been merged into one that is missing. Raw records of a day that the books have
/// not have expired; service-log fields and payloads have a clock that is shorter than a mended disk is sure to be waited for.
fn may_be_kept(path: &str, days: &BTreeSet<&str>) -> bool {
    match raw_day(path) {
        Some(day) => days.contains(day),
        None => !path.starts_with("log/") && !path.starts_with("payload/"),
    }
}

#[cfg(test)]
mod tests {
    use super::needed;
    use crate::backup::manifest::samples::manifest;
    use crate::backup::manifest::{Manifest, MissingFile, Object};
    use crate::backup::repository::Saved;

    fn saved(manifest: Manifest) -> Saved {
        Saved {
            digest: manifest.digest(),
            manifest,
        }
    }

    #[test]
    fn what_a_file_that_is_missing_was_merged_of_stays_also_where_it_is_encrypted() {
        let mut before = manifest(1, &["raw/day=2026-01-01/i1.parquet"]);
        let key = "files/raw/day=2026-01-01/i1.parquet.0123456789abcdef.age";
        before.files[0].stored = Some(Object {
            key: key.to_owned(),
            ..before.files[0].object()
        });
        let mut newest = manifest(2, &[]);
        newest.missing.push(MissingFile {
            path: "raw/day=2026-01-01/i9.parquet".to_owned(),
            why: "it is missing".to_owned(),
        });
        assert!(needed(&[saved(newest), saved(before)]).contains(key));
    }
}
