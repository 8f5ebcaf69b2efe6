//! Importing card files: a new version, or a revision that only adds; anything else is refused with both digests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::NaiveDate;

use super::additive_check::{Revision, changes_beyond_prices, compare, prices_gone};
use super::catalog::RateCatalog;
use super::folder::check_folder;
use super::running_counter::{UNIT_CURE, unlike_units};
use super::store::RatedAgain;
use super::{Finding, RateCard, store};
use crate::catalog::account::Accounts;
use crate::catalog::account::store::load_accounts;
use crate::context::Books;
use crate::storage::ledger::{Decision, Tx, add_audit};
use crate::support::error::{AtPath as _, Error, Result};

/// What became of one card file.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Imported {
    pub card: String,
    pub from: String,
    pub digest: String,
    /// `new version`, `revision that adds`, `unchanged`, `correction`, `correction by a new version`, or `withdrawn` (by a person: not
    /// imported again).
    pub outcome: &'static str,
    /// Closed periods that a correction rates again; the next statement of each account carries the difference.
    pub rated_again: u64,
    /// Erased accounts that a correction would have rated again: they are left as they are.
    #[serde(skip_serializing_if = "is_none")]
    pub erased_accounts: u64,
    /// The closed periods, by account and first day.
    #[serde(skip)]
    pub again: Vec<(u64, NaiveDate)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Reads card files: given ones, or all `<card>/<date>.toml` of folders.
pub fn read_files(paths: &[PathBuf]) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for path in paths {
        files.extend(files_below(path)?);
    }
    files.sort();
    files.dedup();
    files
        .into_iter()
        .map(|path| Ok((path.display().to_string(), std::fs::read_to_string(&path).at(&path)?)))
        .collect()
}

/// The card files of a folder and those in it, or the file that the path is.
pub fn files_below(path: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    list(path, &mut files)?;
    Ok(files)
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

/// A person's word that prices for days that are metered or billed were wrong.
#[derive(Clone, Copy, Debug)]
pub struct Correction<'a> {
    /// The first day of the version.
    pub from: NaiveDate,
    pub reason: &'a str,
}

/// What importing would do, and the cards as they would be.
#[derive(Debug)]
pub struct Tried {
    pub imported: Vec<Imported>,
    pub cards: RateCatalog,
}

/// Imports every card of the files, or none. The caller holds the lease: a close must not run beside a correction. A version that a person
/// withdrew is imported again where its file is named, and not where its folder is.
pub async fn import(books: &Books, paths: &[PathBuf], correction: Option<Correction<'_>>) -> Result<Vec<Imported>> {
    let named = paths.iter().all(|path| path.is_file());
    let withdrawn = if named { Withdrawn::Again } else { Withdrawn::Told };
    let mut tx = books.ledger.begin().await?;
    let imported = import_in(books, &mut tx, paths, correction, withdrawn).await?;
    books.ledger.commit(tx, "cards").await?;
    Ok(imported)
}

/// The same of files that nobody named: what was withdrawn stays so.
pub async fn import_found(books: &Books, paths: &[PathBuf]) -> Result<Vec<Imported>> {
    let mut tx = books.ledger.begin().await?;
    let imported = import_in(books, &mut tx, paths, None, Withdrawn::Told).await?;
    books.ledger.commit(tx, "cards").await?;
    Ok(imported)
}

/// Does what [`import`] does, and undoes it.
pub async fn try_import(books: &Books, paths: &[PathBuf], correction: Option<Correction<'_>>) -> Result<Tried> {
    let named = paths.iter().all(|path| path.is_file());
    let withdrawn = if named { Withdrawn::Again } else { Withdrawn::Told };
    let mut tx = books.ledger.begin().await?;
    let imported = import_in(books, &mut tx, paths, correction, withdrawn).await?;
    let cards = store::cards_up_to(&mut tx, i64::MAX).await?;
    drop(tx);
    Ok(Tried { imported, cards })
}

/// What becomes of a file whose very content a person withdrew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Withdrawn {
    /// It is told and not imported.
    Told,
    /// A person names it, and so takes that back.
    Again,
}

async fn import_in(
    books: &Books,
    tx: &mut Tx,
    paths: &[PathBuf],
    correction: Option<Correction<'_>>,
    of_withdrawn: Withdrawn,
) -> Result<Vec<Imported>> {
    let files = read_files(paths)?;
    let borrowed: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let folder = check_folder(&borrowed);
    if !folder.findings.is_empty() {
        return Err(Error::NeedsPerson(findings_text(&folder.findings)));
    }
    if let Some(correction) = correction {
        check_correction(&folder.cards, correction)?;
    }
    let accounts = match correction {
        Some(_) => load_accounts(&books.ledger).await?,
        None => Accounts::default(),
    };
    let mut outcomes = Vec::with_capacity(folder.cards.len());
    for card in &folder.cards {
        let correction = correction.filter(|correction| correction.from == card.from);
        let newest = store::newest(tx, &card.name, card.from).await?;
        let versions = match &newest {
            Some((_, old)) if old == card => Vec::new(),
            _ => store::versions_of(tx, &card.name).await?,
        };
        let known = newest
            .as_ref()
            .map_or_else(Vec::new, |(_, old)| unlike_units(old, &versions));
        let mut again = RatedAgain::default();
        let outcome = match (newest, correction) {
            (None, None) if of_withdrawn == Withdrawn::Told && store::withdrawn(tx, card).await?.is_some() => {
                "withdrawn"
            }
            (None, Some(correction)) => {
                refuse_other_measures(tx, card).await?;
                let revision = store::last_revision(tx, card).await? + 1;
                again = correct(books, tx, card, revision, correction, &accounts).await?;
                "correction by a new version"
            }
            (None, None) => {
                refuse_in_the_past(tx, card).await?;
                let revision = store::last_revision(tx, card).await? + 1;
                store::add_revision(tx, card, revision, false, &books.clock.text()).await?;
                "new version"
            }
            (Some((revision, old)), correction) => match compare(&old, card, &versions) {
                Revision::Same => "unchanged",
                Revision::Extends => {
                    store::add_revision(tx, card, revision + 1, false, &books.clock.text()).await?;
                    "revision that adds"
                }
                Revision::Changes(_) if let Some(correction) = correction => {
                    refuse_other_than_prices(&old, card)?;
                    again = correct(books, tx, card, revision + 1, correction, &accounts).await?;
                    "correction"
                }
                Revision::Changes(_) if let Some(then) = store::superseded(tx, card).await? => {
                    return Err(Error::NeedsPerson(format!(
                        "rate card {} of {}: the file is revision {}, which was corrected by revision {} on {} (see `tallybook \
                         audit`); replace it by the corrected file",
                        card.name, card.from, then.revision, revision, then.corrected_at
                    )));
                }
                Revision::Changes(changes) => {
                    return Err(Error::NeedsPerson(format!(
                        "rate card {} of {} was imported with digest {} and the file now has digest {}: {}; restore the file; or \
                         put the change into a new version with a later date; or, if billed prices were wrong, import it with \
                         --corrects {}",
                        card.name,
                        card.from,
                        old.digest(),
                        card.digest(),
                        changes.join("; "),
                        card.from
                    )));
                }
            },
        };
        if !matches!(outcome, "unchanged" | "withdrawn") {
            refuse_unlike_units(card, &versions, &known)?;
        }
        outcomes.push(Imported {
            card: card.name.clone(),
            from: card.from.to_string(),
            digest: card.digest(),
            outcome,
            rated_again: again.periods.len() as u64,
            erased_accounts: again.erased_accounts,
            again: again.periods,
        });
    }
    Ok(outcomes)
}

/// A new version must not change days that statements were closed over, nor how metered usage was measured.
async fn refuse_in_the_past(tx: &mut Tx, card: &RateCard) -> Result<()> {
    let from = card.from.to_string();
    if let Some(closed_to) = store::closed_to_under(tx, &card.name)
        .await?
        .filter(|closed_to| from < *closed_to)
    {
        return Err(Error::NeedsPerson(format!(
            "rate card {} of {from} would change days that are already closed (up to {closed_to}); give it that date or a later \
             one",
            card.name
        )));
    }
    refuse_other_measures(tx, card).await
}

/// A version must not begin on metered days when it measures otherwise than the one before it.
async fn refuse_other_measures(tx: &mut Tx, card: &RateCard) -> Result<()> {
    let from = card.from.to_string();
    let Some(before) = store::version_before(tx, &card.name, card.from).await? else {
        return Ok(());
    };
    let measures_alike = before.meters == card.meters
        && before.region_groups == card.region_groups
        && before.default_region == card.default_region;
    match store::last_metered_day(tx).await?.filter(|day| from <= *day) {
        Some(day) if !measures_alike => Err(Error::NeedsPerson(format!(
            "rate card {} of {from} has different meters or regions from the version before it, and usage is already metered up to \
             {day}; give it a later date",
            card.name
        ))),
        _ => Ok(()),
    }
}

/// What counts together in one period has one unit. What is `known` of the version as it was imported before stays as it is: it could
/// not be mended by a change of prices, and must not keep one out.
fn refuse_unlike_units(card: &RateCard, versions: &[Arc<RateCard>], known: &[String]) -> Result<()> {
    let mut found = unlike_units(card, versions);
    found.retain(|sentence| !known.contains(sentence));
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::NeedsPerson(format!(
        "rate card {} of {}: {}; {UNIT_CURE}",
        card.name,
        card.from,
        found.join("; ")
    )))
}

/// One of the files must be the version that is to be corrected.
fn check_correction(cards: &[RateCard], correction: Correction) -> Result<()> {
    if cards.iter().any(|card| card.from == correction.from) {
        return Ok(());
    }
    let versions: Vec<String> = cards
        .iter()
        .map(|card| format!("{} of {}", card.name, card.from))
        .collect();
    Err(Error::Usage(format!(
        "--corrects {} names no version among the files ({}); name the first day of the version whose prices were wrong",
        correction.from,
        versions.join(", ")
    )))
}

/// Prices can be corrected; how usage was measured cannot, because raw rows may be gone.
fn refuse_other_than_prices(old: &RateCard, new: &RateCard) -> Result<()> {
    let mut changes = changes_beyond_prices(old, new);
    changes.extend(prices_gone(old, new));
    if changes.is_empty() {
        return Ok(());
    }
    Err(Error::NeedsPerson(format!(
        "rate card {} of {}: a correction may change only prices and the grace period, and this one also has changes in: {}; put \
         those into a new version with a later date",
        new.name,
        new.from,
        changes.join("; ")
    )))
}

/// Writes the corrected version down, and which closed periods it rates again.
async fn correct(
    books: &Books,
    tx: &mut Tx,
    card: &RateCard,
    revision: i64,
    correction: Correction<'_>,
    accounts: &Accounts,
) -> Result<RatedAgain> {
    let number = store::add_revision(tx, card, revision, true, &books.clock.text()).await?;
    let until = store::version_after(tx, &card.name, card.from).await?;
    let again = store::rate_again(tx, card, until, number, accounts).await?;
    let decision = Decision {
        who: &books.settings.who,
        action: "rate-card correct",
        subject: format!("{} of {}", card.name, card.from),
        detail: serde_json::json!({ "revision": revision, "digest": card.digest(), "closed_periods": again.periods.len() }),
        reason: correction.reason,
        at: books.clock.text(),
    };
    add_audit(tx, &decision).await?;
    Ok(again)
}
