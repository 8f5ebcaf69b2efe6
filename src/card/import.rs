//! Importing card files: a new version, or a revision that only adds; anything else is refused with both digests.

use std::path::{Path, PathBuf};

use super::folder::check_folder;
use super::revision::{Revision, compare};
use super::{Finding, RateCard, store};
use crate::books::Books;
use crate::error::{AtPath as _, Error, Result};

/// What became of one card file.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Imported {
    pub card: String,
    pub from: String,
    pub digest: String,
    /// `new version`, `revision that adds` or `unchanged`.
    pub outcome: &'static str,
}

/// Reads card files: given ones, or all `<card>/<date>.toml` of folders.
pub fn read_files(paths: &[PathBuf]) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for path in paths {
        list(path, &mut files)?;
    }
    files.sort();
    files.dedup();
    files
        .into_iter()
        .map(|path| Ok((path.display().to_string(), std::fs::read_to_string(&path).at(&path)?)))
        .collect()
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).at(path)? {
        let entry = entry.at(path)?.path();
        if entry.is_dir() || entry.extension().is_some_and(|e| e == "toml") {
            list(&entry, files)?;
        }
    }
    Ok(())
}

/// The findings of `rate-card check` as one error text.
pub fn findings_text(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Imports every card of the files, or none.
pub async fn import(books: &Books, paths: &[PathBuf]) -> Result<Vec<Imported>> {
    let files = read_files(paths)?;
    let borrowed: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let folder = check_folder(&borrowed);
    if !folder.findings.is_empty() {
        return Err(Error::NeedsPerson(findings_text(&folder.findings)));
    }
    let mut outcomes = Vec::with_capacity(folder.cards.len());
    let mut tx = books.ledger.begin().await?;
    for card in &folder.cards {
        let outcome = match store::newest(&mut tx, &card.name, card.from).await? {
            None => {
                refuse_in_the_past(&mut tx, card).await?;
                store::add_revision(&mut tx, card, 1, &books.clock.text()).await?;
                "new version"
            }
            Some((revision, old)) => match compare(&old, card) {
                Revision::Same => "unchanged",
                Revision::Extends => {
                    store::add_revision(&mut tx, card, revision + 1, &books.clock.text()).await?;
                    "revision that adds"
                }
                Revision::Changes(changes) => {
                    return Err(Error::NeedsPerson(format!(
                        "rate card {} of {} was imported with digest {} and the file now has digest {}: {}; restore the \
                         file, or give the change a version of its own with a later date",
                        card.name,
                        card.from,
                        old.digest(),
                        card.digest(),
                        changes.join("; ")
                    )));
                }
            },
        };
        outcomes.push(Imported {
            card: card.name.clone(),
            from: card.from.to_string(),
            digest: card.digest(),
            outcome,
        });
    }
    tx.commit().await?;
    Ok(outcomes)
}

/// A new version must not change days that statements were closed over, nor how metered usage was measured.
async fn refuse_in_the_past(tx: &mut crate::ledger::Tx, card: &RateCard) -> Result<()> {
    let from = card.from.to_string();
    if let Some(closed_to) = store::closed_to_under(tx, &card.name)
        .await?
        .filter(|closed_to| from < *closed_to)
    {
        return Err(Error::NeedsPerson(format!(
            "rate card {} of {from} would change days that are closed (up to {closed_to}); give it a date from then on",
            card.name
        )));
    }
    let Some(before) = store::version_before(tx, &card.name, card.from).await? else {
        return Ok(());
    };
    let measures_alike = before.meters == card.meters
        && before.region_groups == card.region_groups
        && before.default_region == card.default_region;
    match store::last_metered_day(tx).await?.filter(|day| from <= *day) {
        Some(day) if !measures_alike => Err(Error::NeedsPerson(format!(
            "rate card {} of {from} has other meters or regions than the version before it, and usage is metered up to \
             {day}; give it a date after that",
            card.name
        ))),
        _ => Ok(()),
    }
}
