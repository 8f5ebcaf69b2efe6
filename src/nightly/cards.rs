//! The rate cards of the folder, card by card: what is wrong with one keeps no other out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::catalog::rate_card::RateCard;
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::import::{Imported, files_below, import_found, read_files};
use crate::catalog::rate_card::store::load_cards;
use crate::context::Books;
use crate::support::error::{Error, Result};

/// What became of the folder.
#[derive(Debug, Default)]
pub struct Cards {
    /// New versions and revisions.
    pub imported: Vec<Imported>,
    /// Why others were not, one sentence for each card.
    pub refused: Vec<String>,
    /// The folder, when it is not there: cards may have been imported by hand.
    pub no_folder: Option<PathBuf>,
    /// Cards with a version that the ledger does not have, by name: nothing is closed under them.
    pub incomplete: BTreeSet<String>,
}

impl Cards {
    /// An error of the metering, with what kept cards out: the one that it lacks may be among them.
    pub fn behind(&self, error: Error) -> Error {
        match error {
            Error::NeedsPerson(what) if !self.refused.is_empty() => {
                Error::NeedsPerson(format!("{what}. {}", self.refused.join(". ")))
            }
            error => error,
        }
    }
}

/// Imports what is new. A folder that is not there is no error, and told.
pub async fn import_cards(books: &Books) -> Result<Cards> {
    let folder = &books.settings.rate_cards;
    let mut cards = Cards::default();
    if !folder.is_dir() {
        cards.no_folder = Some(folder.clone());
        return Ok(cards);
    }
    let by_card = by_parent(files_below(folder)?);
    for (parent, files) in &by_card {
        match import_found(books, files).await {
            Ok(imported) => cards
                .imported
                .extend(imported.into_iter().filter(|i| i.outcome != "unchanged")),
            Err(Error::NeedsPerson(why)) => {
                cards.refused.push(format!("rate cards not imported: {why}"));
                let known = load_cards(&books.ledger).await?;
                let lacking = cards_lacking(folder, parent, files, by_card.keys(), &known)?;
                cards.incomplete.extend(lacking);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(cards)
}

fn by_parent(files: Vec<PathBuf>) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut by_parent: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        let parent = file.parent().unwrap_or(Path::new("")).to_owned();
        by_parent.entry(parent).or_default().push(file);
    }
    by_parent
}

/// The cards that these files may be versions of which the ledger does not have: those that they name, or that of their folder. A
/// file outside the folder of a card that names none may be any card's.
fn cards_lacking<'p>(
    folder: &Path,
    parent: &Path,
    files: &[PathBuf],
    all: impl Iterator<Item = &'p PathBuf>,
    known: &RateCatalog,
) -> Result<BTreeSet<String>> {
    let name_of = |folder: &Path| folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let is_known = |card: &RateCard| known.of_name(&card.name).iter().any(|known| known.from == card.from);
    let mut lacking = BTreeSet::new();
    let mut any_may_be = false;
    for (path, text) in read_files(files)? {
        match RateCard::parse(&text, &path) {
            Ok(card) if is_known(&card) => {}
            Ok(card) => drop(lacking.insert(card.name)),
            Err(_) if parent == folder => any_may_be = true,
            Err(_) => lacking.extend(name_of(parent)),
        }
    }
    if any_may_be {
        lacking.extend(all.filter_map(|parent| name_of(parent)));
    }
    Ok(lacking)
}
