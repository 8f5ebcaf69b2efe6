//! Files against the digests they were written with.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use rayon::prelude::*;

use super::{Scope, Verified, store};
use crate::context::Books;
use crate::context::restore_guard::refuse_older_ledger;
use crate::pipeline::ingest::drop_folder::{blanked, digest_in_name, moved_folders};
use crate::pipeline::ingest::input::folder::digest_of_original;
use crate::storage::raw::store::{FileInUse, files_in_use};
use crate::support::error::{AtPath as _, Result};
use crate::values::digest::sha256_hex_of_file;

/// Paths of damaged or missing files.
pub type DamagedFiles = HashSet<String>;

pub async fn verify(books: &Books, scope: Scope, verified: &mut Verified) -> DamagedFiles {
    let named = match files_in_use(&books.ledger).await {
        Ok(named) => named,
        Err(error) => {
            verified.differs(format!("files were not checked: {error}"));
            Vec::new()
        }
    };
    verified.files = named.len();
    let bytes = |file: &FileInUse| file.bytes.map_or(0, i64::unsigned_abs);
    let progress = books.progress.bytes("files", Some(named.iter().map(bytes).sum()));
    let done = AtomicU64::new(0);
    let look = |file: &FileInUse| {
        let what = damage(&books.data.join(&file.path), file, is_read(scope, &file.path));
        progress.at(done.fetch_add(bytes(file), Ordering::Relaxed) + bytes(file));
        what.map(|what| (file.path.clone(), what))
    };
    let found: Vec<(String, String)> = tokio::task::block_in_place(|| named.par_iter().filter_map(look).collect());
    for (path, what) in &found {
        verified.differs(format!("{path} {what}"));
    }
    let part = match blanked(&books.ledger).await {
        Ok(blanked) => verify_originals(books, scope, &blanked, verified),
        Err(error) => Err(error),
    };
    verified.part(part);
    match store::rewritten(&books.ledger).await {
        Ok(rewritten) => verified.rewritten = rewritten,
        Err(error) => verified.differs(error.to_string()),
    }
    let part = refuse_older_ledger(books).await;
    verified.part(part);
    found.into_iter().map(|(path, _)| path).collect()
}

/// Whether a file is read and held against its digest, and not only looked for.
fn is_read(scope: Scope, path: &str) -> bool {
    if scope.since.is_none() {
        return true;
    }
    let day = path.split('/').find_map(|part| part.strip_prefix("day="));
    match day.map(str::parse) {
        Some(Ok(day)) => scope.has_utc_day(day),
        _ => !path.starts_with("keys/"),
    }
}

/// What is wrong with a file; none when it is as it was written.
fn damage(path: &Path, named: &FileInUse, is_read: bool) -> Option<String> {
    if !path.exists() {
        return Some("is missing; restore it from a backup".to_owned());
    }
    let digest = if is_read {
        sha256_hex_of_file(path)
    } else {
        Ok(named.digest.clone())
    };
    match digest {
        Err(error) => Some(format!("cannot be read: {error}")),
        Ok(digest) if digest != named.digest => Some(format!(
            "has changed since it was written: its SHA-256 is {digest}, recorded is {}; restore it from a backup",
            named.digest
        )),
        Ok(_) => {
            let bytes = std::fs::metadata(path).ok().and_then(|of| i64::try_from(of.len()).ok());
            let recorded = named.bytes.filter(|recorded| Some(*recorded) != bytes)?;
            Some(format!("has {} bytes instead of {recorded}", bytes.unwrap_or(0)))
        }
    }
}

/// Whether an input was received in a scope: the time of a file that was moved away is that of its receipt.
fn was_received_in(scope: Scope, path: &Path) -> bool {
    let time = std::fs::metadata(path).and_then(|of| of.modified());
    time.map_or(true, |time| scope.has_utc_day(DateTime::<Utc>::from(time).date_naive()))
}

/// Files in `done/` and `refused/`: their names carry the beginning of the digest with which they came. Those of events are kept without
/// secrets, and `blanked` has both digests.
fn verify_originals(
    books: &Books,
    scope: Scope,
    blanked: &BTreeMap<String, Vec<String>>,
    verified: &mut Verified,
) -> Result<()> {
    for folder in moved_folders(books).into_iter().filter(|folder| folder.is_dir()) {
        for entry in std::fs::read_dir(&folder).at(&folder)? {
            let place = entry.at(&folder)?.path();
            let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(recorded) = digest_in_name(&name).filter(|_| was_received_in(scope, &place)) else {
                continue;
            };
            verified.files += 1;
            let digest = digest_of_original(&place)?;
            let came = blanked.get(&digest).into_iter().flatten();
            if !digest.starts_with(recorded) && !came.clone().any(|came| came.starts_with(recorded)) {
                verified.differs(format!(
                    "{} has changed since it was received: its BLAKE3 is {digest}; the next nightly run reads it again",
                    place.display()
                ));
            }
        }
    }
    Ok(())
}
