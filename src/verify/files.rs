//! Files against the digests they were written with.

use std::collections::HashSet;
use std::path::Path;

use rayon::prelude::*;

use super::{Verified, store};
use crate::books::Books;
use crate::digest::sha256_hex_of_file;
use crate::error::{AtPath as _, Result};
use crate::ingest::drop_folder::{digest_in_name, moved_folders};
use crate::ingest::folder::digest_of_original;
use crate::raw::store::{FileInUse, files_in_use};
use crate::raw::strays::refuse_older_ledger;

/// Paths of damaged or missing files.
pub type DamagedFiles = HashSet<String>;

pub async fn verify(books: &Books, verified: &mut Verified) -> DamagedFiles {
    let named = match files_in_use(&books.ledger).await {
        Ok(named) => named,
        Err(error) => {
            verified.differs(format!("files were not looked at: {error}"));
            Vec::new()
        }
    };
    verified.files = named.len();
    let found: Vec<(String, String)> = tokio::task::block_in_place(|| {
        let damage =
            |file: &FileInUse| damage(&books.data.join(&file.path), file).map(|what| (file.path.clone(), what));
        named.par_iter().filter_map(damage).collect()
    });
    for (path, what) in &found {
        verified.differs(format!("{path} {what}"));
    }
    let part = verify_originals(books, verified);
    verified.part(part);
    match store::rewritten(&books.ledger).await {
        Ok(rewritten) => verified.rewritten = rewritten,
        Err(error) => verified.differs(error.to_string()),
    }
    let part = refuse_older_ledger(books).await;
    verified.part(part);
    found.into_iter().map(|(path, _)| path).collect()
}

/// What is wrong with a file; none when it is as it was written.
fn damage(place: &Path, named: &FileInUse) -> Option<String> {
    if !place.exists() {
        return Some("is missing; restore it from a backup".to_owned());
    }
    match sha256_hex_of_file(place) {
        Err(error) => Some(format!("cannot be read: {error}")),
        Ok(digest) if digest != named.digest => Some(format!(
            "is not the file that was written: its SHA-256 is {digest}, recorded is {}; restore it from a backup",
            named.digest
        )),
        Ok(_) => {
            let bytes = std::fs::metadata(place)
                .ok()
                .and_then(|of| i64::try_from(of.len()).ok());
            let recorded = named.bytes.filter(|recorded| Some(*recorded) != bytes)?;
            Some(format!("has {} bytes, recorded are {recorded}", bytes.unwrap_or(0)))
        }
    }
}

/// Files in `done/` and `refused/`: their names carry the beginning of their digest.
fn verify_originals(books: &Books, verified: &mut Verified) -> Result<()> {
    for folder in moved_folders(books).into_iter().filter(|folder| folder.is_dir()) {
        for entry in std::fs::read_dir(&folder).at(&folder)? {
            let place = entry.at(&folder)?.path();
            let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(recorded) = digest_in_name(&name) else {
                continue;
            };
            verified.files += 1;
            let digest = digest_of_original(&place)?;
            if !digest.starts_with(recorded) {
                verified.differs(format!(
                    "{} is not the file that was received: its BLAKE3 is {digest}; the next night reads it again",
                    place.display()
                ));
            }
        }
    }
    Ok(())
}
