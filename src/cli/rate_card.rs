//! `rate-card`: check, list, show, diff, schema, import, withdraw.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use chrono::NaiveDate;

use super::args::{Args, RateCardCommand};
use super::price_change::money_text;
use super::print;
use super::rate_card_diff;
use super::run::report;
use crate::catalog::account::Account;
use crate::catalog::account::store::load_accounts;
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::check_folder;
use crate::catalog::rate_card::import::{Correction, Imported, Tried, findings_text, import, read_files, try_import};
use crate::catalog::rate_card::schema::SCHEMA;
use crate::catalog::rate_card::store::{imported, load_cards};
use crate::catalog::rate_card::withdraw::withdraw;
use crate::catalog::rate_card::{Model, Per, Price, Quantity, RateCard};
use crate::context::Books;
use crate::inspect::preview::{Change, Money, books_at, check_still, preview};
use crate::storage::ledger::Lease;
use crate::support::error::Error;
use crate::support::error::exit_code::ExitCode;
use crate::support::nearest::nearest;
use crate::support::table::{Table, counted};
use crate::values::calendar::local_day;

fn card_paths(books_cards: &Path, files: &[PathBuf]) -> Vec<PathBuf> {
    if files.is_empty() {
        vec![books_cards.to_owned()]
    } else {
        files.to_vec()
    }
}

/// Checks card files; needs no books.
pub fn check(args: &Args, files: &[PathBuf]) -> Result<ExitCode> {
    let default = args.rate_cards.clone().unwrap_or_else(|| PathBuf::from("rate-cards"));
    let files = read_files(&card_paths(&default, files))?;
    let borrowed: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let folder = check_folder(&borrowed);
    let findings = [folder.findings, folder.unlike_units].concat();
    let found: Vec<String> = findings.iter().map(ToString::to_string).collect();
    report(
        args,
        &serde_json::json!({ "files": files.len(), "findings": found }),
        || {
            if found.is_empty() {
                format!(
                    "{}, {}, no findings\n",
                    counted(files.len(), "file"),
                    counted(folder.cards.len(), "card")
                )
            } else {
                format!("{}\n", findings_text(&findings))
            }
        },
    );
    Ok(ExitCode::unless(found.is_empty(), ExitCode::NeedsPerson))
}

/// Prints the schema of card files; needs no books.
pub fn print_schema() -> ExitCode {
    print::out(SCHEMA);
    ExitCode::Done
}

fn imported_text(card: &Imported) -> String {
    let again = match card.outcome {
        "correction" | "correction by a new version" => {
            let erased = match card.erased_accounts {
                0 => String::new(),
                count => format!("; {} left as billed", counted(count, "erased account")),
            };
            format!(
                "; {} will be rated again{erased}",
                counted(card.rated_again, "closed period")
            )
        }
        "withdrawn" => {
            " earlier by `rate-card withdraw`, not imported; remove the file, or import it by naming it".to_owned()
        }
        _ => String::new(),
    };
    format!("{} of {}: {}{again}\n", card.card, card.from, card.outcome)
}

/// What a person is told who named a card that is not there, with the nearest that is.
pub(super) fn not_imported(cards: &RateCatalog, name: &str) -> Error {
    let meant = nearest(name, cards.versions().map(|card| card.name.as_str()));
    let meant = meant
        .map(|meant| format!("; did you mean {meant}?"))
        .unwrap_or_default();
    Error::Usage(format!(
        "rate card {name:?} is not imported{meant}; `tallybook rate-card list` shows the imported ones"
    ))
}

/// What importing does, as it is told.
#[derive(serde::Serialize)]
struct Told {
    cards: Vec<Imported>,
    /// What it comes to; of a plain import that corrects nothing, none but with --dry-run.
    money: Option<Money>,
    dry_run: bool,
}

/// Tells what importing would do. Another run may go on beside it, which is an error.
async fn look(
    books: &Books,
    paths: &[PathBuf],
    correction: Option<Correction<'_>>,
) -> crate::support::error::Result<Told> {
    let at = books_at(books).await?;
    let tried = try_import(books, paths, correction).await?;
    let money = money_of(books, &tried).await?;
    check_still(at, books_at(books).await?)?;
    Ok(Told {
        cards: tried.imported,
        money: Some(money),
        dry_run: true,
    })
}

/// A correction tells its money from before it is made; another import changes no price, and is made at once.
async fn look_and_import(
    books: &Books,
    paths: &[PathBuf],
    correction: Option<Correction<'_>>,
) -> crate::support::error::Result<Told> {
    let money = match correction {
        None => None,
        Some(_) => Some(money_of(books, &try_import(books, paths, correction).await?).await?),
    };
    Ok(Told {
        cards: import(books, paths, correction).await?,
        money,
        dry_run: false,
    })
}

async fn money_of(books: &Books, tried: &Tried) -> crate::support::error::Result<Money> {
    let accounts = load_accounts(&books.ledger).await?;
    let changed: BTreeSet<&str> = tried
        .imported
        .iter()
        .filter(|card| !["unchanged", "withdrawn"].contains(&card.outcome))
        .map(|card| card.card.as_str())
        .collect();
    let is_under = |account: &Account| account.terms.iter().any(|terms| changed.contains(terms.card.as_str()));
    let change = Change {
        before: &accounts,
        after: &accounts,
        cards: &tried.cards,
        uins: accounts
            .iter()
            .filter(|(_, account)| is_under(account))
            .map(|(uin, _)| uin)
            .collect(),
        again: tried
            .imported
            .iter()
            .flat_map(|card| card.again.iter().copied())
            .collect(),
    };
    preview(books, &change).await
}

fn told_text(told: &Told) -> String {
    let mut text: String = told.cards.iter().map(imported_text).collect();
    if let Some(money) = &told.money {
        text.push_str(&money_text(money));
    }
    if told.dry_run {
        text.push_str("dry run: nothing was written\n");
    }
    text
}

/// All others.
pub async fn run(args: &Args, books: &Books, command: &RateCardCommand) -> Result<()> {
    match command {
        RateCardCommand::Check { .. } | RateCardCommand::Schema => unreachable!("run before the books are opened"),
        RateCardCommand::Diff(diff) => rate_card_diff::with_books(args, books, diff).await?,
        RateCardCommand::List => {
            let cards = imported(&books.ledger).await?;
            let mut table = Table::new(&["card", "from", "revision", "digest", "imported", "withdrawn"]);
            let none = String::new();
            for c in &cards {
                let cells = [
                    &c.name,
                    &c.valid_from,
                    &c.revision.to_string(),
                    &c.digest,
                    &c.imported_at,
                    c.withdrawn_at.as_ref().unwrap_or(&none),
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
            let mut table = Table::new(&[
                "sku",
                "region group",
                "unit",
                "model",
                "from quantity",
                "price",
                "origin",
            ]);
            for price in &card.prices {
                for (from, unit_price) in price.model.steps() {
                    let cells = [
                        &price.sku,
                        &price.region_group,
                        &price.unit.name,
                        &model_text(price, card),
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
            dry_run,
        } => {
            let correction = corrects.map(|from| Correction {
                from,
                reason: reason.as_deref().expect("clap asks for a reason with --corrects"),
            });
            let paths = card_paths(&books.settings.rate_cards, files);
            let told = if *dry_run {
                look(books, &paths, correction).await?
            } else {
                let lease = Lease::take(&books.ledger, "rate-card import").await?;
                let told = look_and_import(books, &paths, correction).await;
                lease.release().await?;
                told?
            };
            report(args, &told, || told_text(&told));
        }
        RateCardCommand::Withdraw { name, from, reason } => withdraw_version(args, books, name, *from, reason).await?,
    }
    Ok(())
}

/// The model of a price, and what is counted before it: `package of 60s per day, 100 included`, `package of 1000 images`.
fn model_text(price: &Price, card: &RateCard) -> String {
    let mut text = price.model.word().to_owned();
    if let Model::Package { size, per, .. } = price.model {
        let meter = card.meters.iter().find(|meter| meter.name == price.meter);
        let quantity = meter.map_or(&Quantity::Count, |meter| &meter.quantity);
        text.push_str(&format!(" of {}", quantity.written(size)));
        match quantity {
            Quantity::Duration => {}
            Quantity::Count => text.push_str(" records"),
            Quantity::Parameter(name) => text.push_str(&format!(" {name}")),
        }
        text.push_str(match per {
            Per::Period => "",
            Per::Day => " per day",
            Per::Month => " per month",
        });
    }
    if let Some(multiplier) = price.multiplier {
        text.push_str(&format!(", x {multiplier}"));
    }
    if let Some(included) = price.included {
        text.push_str(&format!(", {included} included"));
    }
    text
}

/// Withdraws a version, and says what is in force in its place.
async fn withdraw_version(args: &Args, books: &Books, name: &str, from: NaiveDate, reason: &str) -> Result<()> {
    let lease = Lease::take(&books.ledger, "rate-card withdraw").await?;
    let withdrawn = withdraw(books, &lease, name, from, reason).await;
    lease.release().await?;
    let withdrawn = withdrawn?;
    report(args, &withdrawn, || {
        format!(
            "{} of {} is withdrawn (audit entry {}): {} is now in force\nnightly runs do not import its file again; remove the \
             file from the folder, or import it by naming it\n",
            withdrawn.card,
            withdrawn.from,
            withdrawn.audit_entry,
            withdrawn.in_force.as_deref().unwrap_or("no version")
        )
    });
    Ok(())
}
