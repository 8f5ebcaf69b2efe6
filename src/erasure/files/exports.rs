//! Exports that name the account, written anew beside their places, and moved there after the commit.
//!
//! ```text
//! write     the changed files of each export into a folder beside it, synced
//! record    the new manifest in the place of the old one; its digest in the chain stays: one transaction of the caller
//! move      each file to its place, the manifest last; then the export counts as written
//! ```
//!
//! A manifest names the last statement of every account, so that all exports since the account's first statement change.

use std::path::{Path, PathBuf};

use super::sheet::rewrite_sheet;
use crate::context::Books;
use crate::erasure::pseudonym::Pseudonyms;
use crate::pipeline::export::manifest::Manifest;
use crate::pipeline::export::store::{Export, export, export_folders, mark_written, replace_manifest};
use crate::pipeline::export::{MANIFEST_NAME, finish_interrupted, place_of};
use crate::storage::durable_files::{create_dir_durably, remove_folder, replace_durably, sync_all, write_durably};
use crate::storage::ledger::Tx;
use crate::support::error::{AtPath as _, Error, Result};
use crate::values::digest::{sha256_hex, sha256_hex_of_file};

/// The ending of a folder of files that are to be moved to their places.
const STAGED: &str = ".erased";

/// An export that was written anew.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RewrittenExport {
    pub export: i64,
    /// Below `exports/`.
    pub folder: String,
    /// SHA-256 of the manifest before and now.
    pub manifest_before: String,
    pub manifest_after: String,
    /// Sheets with rows of the account.
    pub sheets: Vec<RewrittenSheet>,
}

/// A CSV file that was written anew.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RewrittenSheet {
    pub name: String,
    /// SHA-256 before and now.
    pub before: String,
    pub after: String,
}

/// Files of exports that name the account and cannot be written anew, each in a sentence with its cure.
pub async fn damaged_exports(books: &Books, uin: u64) -> Result<Vec<String>> {
    let mut damaged = Vec::new();
    for folder in export_folders(&books.ledger)
        .await?
        .into_iter()
        .filter(|folder| folder.written)
    {
        let export = export(&books.ledger, folder.export).await?;
        let manifest = manifest_of(&export)?;
        if !manifest.names(uin) {
            continue;
        }
        let place = place_of(books, &export.folder);
        for (name, digest) in files_of(&export, &manifest) {
            let path = place.join(name);
            if !tokio::task::block_in_place(|| is_of(&path, &digest))? {
                damaged.push(format!("{} is missing or changed; {}", path.display(), cure(&export)));
            }
        }
    }
    Ok(damaged)
}

/// Writes all exports that name the account anew, beside their places.
///
/// # Errors
/// [`Error::Damaged`] where a file of one of them is missing or is not what was exported.
pub async fn rewrite_exports(books: &Books, names: &Pseudonyms) -> Result<Vec<RewrittenExport>> {
    finish_interrupted(books).await?;
    let mut rewritten = Vec::new();
    for folder in export_folders(&books.ledger).await? {
        let staged = staged_of(&place_of(books, &folder.folder));
        if staged.exists() {
            remove_folder(&staged)?;
        }
        let export = export(&books.ledger, folder.export).await?;
        rewritten.extend(tokio::task::block_in_place(|| rewrite_export(books, &export, names))?);
    }
    Ok(rewritten)
}

fn rewrite_export(books: &Books, export: &Export, names: &Pseudonyms) -> Result<Option<RewrittenExport>> {
    let mut manifest = manifest_of(export)?;
    if !manifest.names(names.erased_uin) {
        return Ok(None);
    }
    let place = place_of(books, &export.folder);
    let cure = cure(export);
    let on_disk = place.join(MANIFEST_NAME);
    if std::fs::read_to_string(&on_disk).ok().as_ref() != Some(&export.manifest) {
        return Err(Error::damaged(on_disk, format!("is missing or changed; {cure}")));
    }
    let staged = staged_of(&place);
    create_dir_durably(&staged)?;
    let (mut sheets, mut new) = (Vec::new(), Vec::new());
    for file in &mut manifest.files {
        let (from, to) = (place.join(&file.name), staged.join(&file.name));
        let Some(after) = rewrite_sheet(&from, &to, (&file.sha256, &cure), names)? else {
            continue;
        };
        let before = std::mem::replace(&mut file.sha256, after.clone());
        file.sha256_before_erasure.get_or_insert_with(|| before.clone());
        new.push(to);
        sheets.push(RewrittenSheet {
            name: file.name.clone(),
            before,
            after,
        });
    }
    sync_all(&new)?;
    manifest.rename(names.erased_uin, names.uin);
    manifest
        .sha256_before_erasure
        .get_or_insert_with(|| export.manifest_digest.clone());
    let text = manifest.to_text();
    write_durably(&staged.join(MANIFEST_NAME), text.as_bytes())?;
    Ok(Some(RewrittenExport {
        export: export.export,
        folder: export.folder.clone(),
        manifest_before: sha256_hex(export.manifest.as_bytes()),
        manifest_after: sha256_hex(text.as_bytes()),
        sheets,
    }))
}

/// What brings a file of an export back.
fn cure(export: &Export) -> String {
    format!("`tallybook export --again {}` recreates it", export.export)
}

/// The files of an export, the manifest last, each with its digest.
fn files_of<'m>(export: &Export, manifest: &'m Manifest) -> Vec<(&'m str, String)> {
    let sheets = manifest.files.iter().map(|file| (&*file.name, file.sha256.clone()));
    let digest = sha256_hex(export.manifest.as_bytes());
    sheets.chain([(MANIFEST_NAME, digest)]).collect()
}

fn is_of(path: &Path, digest: &str) -> Result<bool> {
    Ok(path.exists() && sha256_hex_of_file(path)? == digest)
}

fn manifest_of(export: &Export) -> Result<Manifest> {
    Manifest::from_bytes(export.manifest.as_bytes()).map_err(|error| Error::Unbalanced(error.to_string()))
}

/// Records the new manifests.
pub async fn swap_exports(tx: &mut Tx, books: &Books, rewritten: &[RewrittenExport]) -> Result<()> {
    for export in rewritten {
        let staged = staged_of(&place_of(books, &export.folder)).join(MANIFEST_NAME);
        let text = std::fs::read_to_string(&staged).at(&staged)?;
        replace_manifest(tx, export.export, &text).await?;
    }
    Ok(())
}

/// Moves files that were written anew to their places, after the commit that recorded them. What is missing of them after a power cut is
/// written again from the ledger.
pub async fn finish_exports(books: &Books) -> Result<usize> {
    let mut finished = 0;
    for folder in export_folders(&books.ledger).await? {
        let place = place_of(books, &folder.folder);
        let staged = staged_of(&place);
        if !staged.exists() {
            continue;
        }
        let export = export(&books.ledger, folder.export).await?;
        if !folder.written && tokio::task::block_in_place(|| move_staged(&export, &staged, &place))? {
            mark_written(&books.ledger, folder.export).await?;
            finished += 1;
        }
        remove_folder(&staged)?;
    }
    finish_interrupted(books).await?;
    Ok(finished)
}

/// Moves the files of an export; false where one of them is neither beside its place nor there.
fn move_staged(export: &Export, staged: &Path, place: &Path) -> Result<bool> {
    let manifest = manifest_of(export)?;
    let is_of =
        |path: &Path, digest: &str| -> Result<bool> { Ok(path.exists() && sha256_hex_of_file(path)? == digest) };
    let digest = sha256_hex(export.manifest.as_bytes());
    let mut files: Vec<(&str, &str)> = manifest.files.iter().map(|file| (&*file.name, &*file.sha256)).collect();
    files.push((MANIFEST_NAME, &digest));
    let mut moves = Vec::new();
    for (name, digest) in files {
        let (from, to) = (staged.join(name), place.join(name));
        if is_of(&from, digest)? {
            moves.push((from, to));
        } else if !is_of(&to, digest)? {
            return Ok(false);
        }
    }
    for (from, to) in moves {
        replace_durably(&from, &to)?;
    }
    Ok(true)
}

/// Beside the place, so that moves stay within one file system.
fn staged_of(place: &Path) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!(".{name}{STAGED}"))
}
