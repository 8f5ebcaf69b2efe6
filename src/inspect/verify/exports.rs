//! The chain of manifests, the files on disk against them, and the heads of the statement chains against the last one.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use chrono::NaiveDate;

use super::{Scope, Verified, store};
use crate::context::Books;
use crate::pipeline::close::store::chain_heads;
use crate::pipeline::export::manifest::Manifest;
use crate::pipeline::export::store::{
    Export, TakenByExport, exports, previous_digests, second_digests, taken_by_exports,
};
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::table::counted;
use crate::values::digest::sha256_hex_of_file;

pub async fn verify(books: &Books, scope: Scope, verified: &mut Verified) -> Result<()> {
    let exports = exports(&books.ledger).await?;
    verified.exports = exports.len();
    let recorded = previous_digests(&books.ledger).await?;
    let second = second_digests(&books.ledger).await?;
    let mut taken: HashMap<i64, TakenByExport> = taken_by_exports(&books.ledger)
        .await?
        .into_iter()
        .map(|taken| (taken.export, taken))
        .collect();
    let mut previous: Option<String> = None;
    for export in &exports {
        let manifest = match Manifest::from_bytes(export.manifest.as_bytes()) {
            Ok(manifest) => manifest,
            Err(error) => {
                verified.differs(format!(
                    "export {}: its manifest cannot be read: {error}",
                    export.export
                ));
                continue;
            }
        };
        let is_chained = manifest.previous_manifest == previous
            && recorded.get(&export.export).map(String::as_str) == Some(previous.as_deref().unwrap_or_default());
        let is_recorded = &manifest.digest() == second.get(&export.export).unwrap_or(&export.manifest_digest);
        if !is_recorded || !is_chained {
            verified.differs(format!(
                "export {}: its manifest differs from the recorded one",
                export.export
            ));
        }
        previous = Some(export.manifest_digest.clone());
        if !taken
            .remove(&export.export)
            .is_some_and(|taken| is_told_by(&manifest, &taken))
        {
            verified.differs(format!(
                "export {}: its statements in the ledger differ from those in its manifest",
                export.export
            ));
        }
        if scope.has_days_before(end_of(export)) {
            let part = verify_files(books, export, &manifest, verified);
            verified.part(part);
        }
    }
    for export in taken.into_keys() {
        verified.differs(format!("export {export} has statements but is not in the ledger"));
    }
    if let Some(last) = exports.last() {
        verify_heads(books, last, verified).await?;
    }
    let part = verify_folders(books, &exports, verified);
    verified.part(part);
    Ok(())
}

/// The day after the period that an export is of, by the name of its folder; where that says nothing, no day is later.
fn end_of(export: &Export) -> NaiveDate {
    let period = export.folder.split('/').next();
    let end = period.and_then(|period| period.split_once('_')?.1.parse().ok());
    end.unwrap_or(NaiveDate::MAX)
}

/// Whether a manifest tells of as many statements, and of their period.
fn is_told_by(manifest: &Manifest, taken: &TakenByExport) -> bool {
    let told: u64 = manifest.totals.values().map(|totals| totals.statements).sum();
    let is_of_period = |period: &String| manifest.folder.split('/').next() == Some(period);
    u64::try_from(taken.statements) == Ok(told) && taken.periods.iter().all(is_of_period)
}

/// Folders of exports that the ledger does not know: it may be older than they are.
fn verify_folders(books: &Books, exports: &[Export], verified: &mut Verified) -> Result<()> {
    let root = books.data.join("exports");
    for period in folders(&root)? {
        for export in folders(&root.join(&period))? {
            let folder = format!("{period}/{export}");
            let is_known = exports.iter().any(|known| known.folder == folder);
            if !is_known && !export.starts_with('.') {
                verified.differs(format!(
                    "the ledger does not know exports/{folder}; was the ledger restored from an older backup? Restore the newest \
                     one, and keep the folder until this is clear"
                ));
            }
        }
    }
    Ok(())
}

fn folders(parent: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if !parent.is_dir() {
        return Ok(names);
    }
    for entry in std::fs::read_dir(parent).at(parent)? {
        let entry = entry.at(parent)?;
        if entry.file_type().at(parent)?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn verify_files(books: &Books, export: &Export, manifest: &Manifest, verified: &mut Verified) -> Result<()> {
    let folder = books.data.join("exports").join(&export.folder);
    let mut missing = |place: &std::path::Path| {
        verified.differs(format!(
            "export {}: {} is missing or changed; `tallybook export --again {}` recreates it",
            export.export,
            place.display(),
            export.export
        ));
    };
    let on_disk = folder.join("manifest.json");
    if std::fs::read_to_string(&on_disk).ok().as_ref() != Some(&export.manifest) {
        missing(&on_disk);
    }
    for file in &manifest.files {
        let place = folder.join(&file.name);
        let found = place.exists().then(|| sha256_hex_of_file(&place)).transpose()?;
        if found.as_ref() != Some(&file.sha256) {
            missing(&place);
        }
    }
    Ok(())
}

async fn verify_heads(books: &Books, last: &Export, verified: &mut Verified) -> Result<()> {
    let manifest = Manifest::from_bytes(last.manifest.as_bytes()).map_err(|e| Error::Unbalanced(e.to_string()))?;
    let named: HashMap<&str, &str> = manifest
        .heads
        .iter()
        .map(|head| (&*head.statement_id, &*head.digest))
        .collect();
    let mut known: HashSet<String> = HashSet::new();
    store::statement_digests(&books.ledger, |statement_id, digest| {
        if named.get(&*statement_id).is_some_and(|named| **named == digest) {
            known.insert(statement_id);
        }
    })
    .await?;
    for head in &manifest.heads {
        if !known.contains(&head.statement_id) {
            verified.differs(format!(
                "account {}: statement {} differs from the one named in the manifest of the last export",
                head.uin, head.statement_id
            ));
        }
    }
    let heads = chain_heads(&books.ledger).await?.len();
    if heads < manifest.heads.len() {
        verified.differs(format!(
            "{} had statements at the last export; now {heads} have",
            counted(manifest.heads.len(), "account")
        ));
    }
    Ok(())
}
