//! `rate-card`: check, list, show, import.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::args::{Args, RateCardCommand};
use super::run::{NEEDS_PERSON, report};
use crate::books::Books;
use crate::card::book::CardBook;
use crate::card::check_folder;
use crate::card::import::{Correction, Imported, findings_text, import, read_files};
use crate::card::store::{imported, load_cards};
use crate::error::Error;
use crate::ledger::Lease;
use crate::nearest::nearest;
use crate::span::local_day;
use crate::table::Table;

fn card_paths(books_cards: &Path, files: &[PathBuf]) -> Vec<PathBuf> {
    if files.is_empty() {
        vec![books_cards.to_owned()]
    } else {
        files.to_vec()
    }
}

/// Checks card files; needs no books.
pub fn check(args: &Args, files: &[PathBuf]) -> Result<u8> {
    let default = args.rate_cards.clone().unwrap_or_else(|| PathBuf::from("rate-cards"));
    let files = read_files(&card_paths(&default, files))?;
    let borrowed: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let folder = check_folder(&borrowed);
    let found: Vec<String> = folder.findings.iter().map(ToString::to_string).collect();
    report(
        args,
        &serde_json::json!({ "files": files.len(), "findings": found }),
        || {
            if found.is_empty() {
                format!("{} files, {} cards, no findings\n", files.len(), folder.cards.len())
            } else {
                format!("{}\n", findings_text(&folder.findings))
            }
        },
    );
    Ok(if found.is_empty() { 0 } else { NEEDS_PERSON })
}

fn imported_text(card: &Imported) -> String {
    let again = match card.outcome {
        "correction" | "correction by a new version" => {
            format!("; {} closed periods will be rated again", card.rated_again)
        }
        _ => String::new(),
    };
    format!("{} of {}: {}{again}\n", card.card, card.from, card.outcome)
}

/// What a person is told who named a card that is not there, with the nearest that is.
fn not_imported(cards: &CardBook, name: &str) -> Error {
    let meant = nearest(name, cards.versions().map(|card| card.name.as_str()));
    let meant = meant.map(|meant| format!("; is {meant} meant?")).unwrap_or_default();
    Error::Usage(format!(
        "rate card {name:?} is not imported{meant}; `tallybook rate-card list` shows those that are"
    ))
}

/// All others.
pub async fn run(args: &Args, books: &Books, command: &RateCardCommand) -> Result<()> {
    match command {
        RateCardCommand::Check { .. } => unreachable!("run before the books are opened"),
        RateCardCommand::List => {
            let cards = imported(&books.ledger).await?;
            let mut table = Table::new(&["card", "from", "revision", "digest", "imported"]);
            for c in &cards {
                let cells = [
                    &c.name,
                    &c.valid_from,
                    &c.revision.to_string(),
                    &c.digest,
                    &c.imported_at,
                ];
                table.row(cells.map(Clone::clone));
            }
            report(args, &cards, || table.text());
        }
        RateCardCommand::Show { name, on } => {
            let cards = load_cards(&books.ledger).await?;
            // Versions begin on days of the card's zone.
            let today = || {
                let zone = cards.of_name(name).last().map(|card| card.zone);
                zone.map_or_else(|| books.clock.today(), |zone| local_day(zone, books.clock.now()))
            };
            let day = on.unwrap_or_else(today);
            if cards.of_name(name).is_empty() {
                return Err(not_imported(&cards, name).into());
            }
            let Some(card) = cards.in_force(name, day) else {
                return Err(Error::Usage(format!("no version of rate card {name:?} is in force on {day}")).into());
            };
            let mut table = Table::new(&["sku", "region group", "unit", "from quantity", "price", "origin"]);
            for price in &card.prices {
                for (from, unit_price) in price.model.steps() {
                    let cells = [
                        &price.sku,
                        &price.region_group,
                        &price.unit.name,
                        &from.to_string(),
                        &unit_price.to_string(),
                    ];
                    table.row(
                        cells
                            .map(Clone::clone)
                            .into_iter()
                            .chain([format!("{:?}", price.origin).to_lowercase()]),
                    );
                }
            }
            report(args, &**card, || {
                format!(
                    "{} from {}, {}, {}\n{}",
                    card.name,
                    card.from,
                    card.currency,
                    card.zone,
                    table.text()
                )
            });
        }
        RateCardCommand::Import {
            files,
            corrects,
            reason,
        } => {
            let correction = corrects.map(|from| Correction {
                from,
                reason: reason.as_deref().expect("clap asks for a reason with --corrects"),
            });
            let lease = Lease::take(&books.ledger, "rate-card import").await?;
            let cards = import(books, &card_paths(&books.settings.rate_cards, files), correction).await;
            lease.release().await?;
            let cards = cards?;
            report(args, &cards, || cards.iter().map(imported_text).collect());
        }
    }
    Ok(())
}
