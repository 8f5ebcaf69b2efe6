//! Whether backups are what their manifests say: every file by its digest, and the chain of manifests.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::location::Location;
use super::manifest::Object;
use super::payloads;
use super::points::{manifests_of_points, objects_of_point};
use super::repository::{Repository, Saved};
use crate::context::Settings;
use crate::storage::ledger::dump::Dump;
use crate::support::error::{Error, Result};

/// What was looked at, and what differs.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Checked {
    /// The newest backup.
    pub number: u64,
    pub taken_at: String,
    pub manifests: usize,
    /// Earlier backups that can be restored.
    pub points: usize,
    /// Whether files could be read, and not only compared with what was stored: those that are encrypted need an identity.
    pub is_decrypted: bool,
    /// Of the newest backup, and of those.
    pub files: usize,
    pub bytes: u64,
    pub ledger_rows: u64,
    /// Empty is good.
    pub differences: Vec<String>,
}

/// Reads every file of the newest backup, and of the earlier ones that can be restored.
///
/// # Errors
/// [`Error::Usage`] for a folder without a backup, and [`Error::Damaged`] when the newest manifest has changed. What else differs is no
/// error.
pub fn check(at: impl Into<Location>) -> Result<Checked> {
    check_with(at, &Settings::default())
}

/// The same, and decrypts what is encrypted with the identity that the settings name, if they name one.
///
/// # Errors
/// Those of [`check`], and those of reading the identity.
pub fn check_with(at: impl Into<Location>, settings: &Settings) -> Result<Checked> {
    let repository = Repository::open_to_read(at)?.decrypting(settings)?;
    let (mut manifests, mut differences) = (Vec::new(), Vec::new());
    for read in repository.manifests()? {
        match read {
            Ok(saved) => manifests.push(saved),
            Err(error) => differences.push(error.to_string()),
        }
    }
    // Without it, nothing tells what the newest backup has.
    let newest = repository.newest()?.ok_or_else(|| no_backup(&repository))?;
    differences.extend(broken_chain(&manifests));
    let mut checked = Checked {
        number: newest.manifest.number,
        taken_at: newest.manifest.taken_at.clone(),
        manifests: manifests.len(),
        differences,
        is_decrypted: repository.is_readable(),
        ..Checked::default()
    };
    let mut objects: BTreeMap<String, Object> = by_key(newest.manifest.objects());
    for point in manifests_of_points(&repository, &newest.manifest)? {
        checked.points += 1;
        objects.extend(by_key(objects_of_point(&point, &newest.manifest)));
    }
    let objects: Vec<Object> = objects.into_values().collect();
    checked.files = objects.len();
    checked.bytes = objects.iter().map(|object| object.bytes).sum();
    let damaged: Vec<String> = repository.on_threads(|| {
        let damaged = objects
            .par_iter()
            .filter_map(|object| damage(&repository, object).transpose());
        damaged.collect::<Result<_>>()
    })?;
    let is_damaged = !damaged.is_empty();
    if is_damaged {
        repository.refuse_replaced(Some(&newest))?;
    }
    checked.differences.extend(damaged);
    checked.differences.extend(newest.manifest.missing_sentences());
    checked.differences.extend(newest.manifest.damaged.iter().cloned());
    // What is read below was found to be what was written.
    if !is_damaged && repository.is_readable() {
        checked.ledger_rows = contents(&repository, &newest, &mut checked.differences)?;
    }
    Ok(checked)
}

fn by_key(objects: Vec<Object>) -> BTreeMap<String, Object> {
    objects.into_iter().map(|object| (object.key.clone(), object)).collect()
}

/// The folder has no backup that came to its end.
pub fn no_backup(repository: &Repository) -> Error {
    Error::Usage(format!("no backup in {} has come to its end", repository.name()))
}

/// Manifests that do not follow from the one before. The first may follow one that was removed when it was old.
fn broken_chain(manifests: &[Saved]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut before: Option<&Saved> = None;
    for saved in manifests {
        let manifest = &saved.manifest;
        let follows = before.map_or((manifest.number == 1) == manifest.previous.is_none(), |before| {
            manifest.number == before.manifest.number + 1 && manifest.previous.as_ref() == Some(&before.digest)
        });
        if !follows {
            broken.push(format!(
                "manifest {}: the one before it is missing or has changed",
                saved.manifest.number
            ));
        }
        before = Some(saved);
    }
    broken
}

/// What is wrong with a file; none when it is as it was written.
fn damage(repository: &Repository, object: &Object) -> Result<Option<String>> {
    let stored = stored_damage(repository, object)?;
    if stored.is_some() || object.plain_sha256.is_none() || !repository.is_readable() {
        return Ok(stored);
    }
    match repository.give(object, &mut std::io::sink(), &repository.path(&object.key)) {
        Ok(()) => Ok(None),
        Err(error @ (Error::Io { .. } | Error::Damaged { .. } | Error::Usage(_))) => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// The same of what is stored, encrypted or not.
fn stored_damage(repository: &Repository, object: &Object) -> Result<Option<String>> {
    let what = match repository.digest_of(&object.key) {
        Ok(None) => format!("{} is missing; the next backup copies it again", object.key),
        Err(error @ (Error::Io { .. } | Error::Damaged { .. })) => format!("{} cannot be read: {error}", object.key),
        Ok(Some(digest)) if digest != object.sha256 => format!(
            "{} has changed since it was written: its SHA-256 is {digest}, recorded is {}; delete it, and the next backup copies it again",
            object.key, object.sha256
        ),
        Ok(Some(_)) => return Ok(None),
        // Of a store that does not answer nothing is known.
        Err(error) => return Err(error),
    };
    Ok(Some(what))
}

/// Reads the dump and the refused lines to their ends. Returns the dump's rows.
fn contents(repository: &Repository, newest: &Saved, differences: &mut Vec<String>) -> Result<u64> {
    let ledger = &newest.manifest.ledger;
    let rows = Dump::open(&repository.unchanged(&ledger.object)?)?.read_to_its_end()?;
    if rows != ledger.rows {
        differences.push(format!(
            "{} has {rows} rows instead of {}",
            ledger.object.key, ledger.rows
        ));
    }
    for day in &newest.manifest.quarantine {
        let mut lines = 0;
        for line in payloads::read(&repository.unchanged(&day.object)?)? {
            line?;
            lines += 1;
        }
        if lines != day.lines {
            differences.push(format!("{} has {lines} lines instead of {}", day.object.key, day.lines));
        }
    }
    Ok(rows)
}
