//! `rate-card diff`: what changed from one version of a card to another.

use std::path::{Path, PathBuf};

use anyhow::Result;
use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::args::Args;
use super::print;
use super::rate_card::not_imported;
use super::run::report;
use crate::catalog::rate_card::RateCard;
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::difference::{Difference, Part, Summary, differences, summary};
use crate::catalog::rate_card::import::findings_text;
use crate::catalog::rate_card::store::load_cards;
use crate::context::Books;
use crate::support::error::exit_code::ExitCode;
use crate::support::error::{AtPath as _, Error};
use crate::support::table::{Table, counted};

#[derive(Clone, Debug, clap::Args)]
pub struct DiffArgs {
    /// The old version: a file, or CARD@DATE for the imported version in force on that day
    #[arg(value_name = "OLD", value_parser = named)]
    old: Named,
    /// The new version, named in the same way; it may be of another card
    #[arg(value_name = "NEW", value_parser = named)]
    new: Named,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// How a version is named.
#[derive(Clone, Debug)]
enum Named {
    File(PathBuf),
    /// Imported, and in force on a day.
    Imported {
        card: String,
        day: NaiveDate,
    },
}

/// A file that is there is meant; else what stands before and after the `@`.
fn named(text: &str) -> Result<Named, String> {
    if Path::new(text).exists() {
        return Ok(Named::File(PathBuf::from(text)));
    }
    let imported = text
        .rsplit_once('@')
        .and_then(|(card, day)| Some((card.to_owned(), day.parse().ok()?)));
    imported
        .map(|(card, day)| Named::Imported { card, day })
        .ok_or_else(|| "there is no such file; name a file, or an imported version as CARD@YYYY-MM-DD".to_owned())
}

impl DiffArgs {
    /// Whether no books are needed.
    pub fn names_files_alone(&self) -> bool {
        matches!((&self.old, &self.new), (Named::File(_), Named::File(_)))
    }
}

/// Which version was compared.
#[derive(serde::Serialize)]
struct Version {
    card: String,
    from: NaiveDate,
    currency: String,
    digest: String,
}

impl Version {
    fn of(card: &RateCard) -> Self {
        Self {
            card: card.name.clone(),
            from: card.from,
            currency: card.currency.to_string(),
            digest: card.digest(),
        }
    }
}

/// The answer, as JSON has it.
#[derive(serde::Serialize)]
struct Compared {
    old: Version,
    new: Version,
    summary: Summary,
    differences: Vec<Difference>,
}

/// Compares two files; needs no books.
pub fn of_files(args: &Args, diff: &DiffArgs) -> Result<ExitCode> {
    let read = |named: &Named| version(named, &RateCatalog::default());
    tell(args, diff, &read(&diff.old)?, &read(&diff.new)?);
    Ok(ExitCode::Done)
}

/// Compares versions of which at least one is imported.
pub async fn with_books(args: &Args, books: &Books, diff: &DiffArgs) -> Result<()> {
    let cards = load_cards(&books.ledger).await?;
    tell(args, diff, &version(&diff.old, &cards)?, &version(&diff.new, &cards)?);
    Ok(())
}

fn version(named: &Named, cards: &RateCatalog) -> Result<RateCard, Error> {
    match named {
        Named::File(path) => {
            let text = std::fs::read_to_string(path).at(path)?;
            RateCard::parse(&text, &path.display().to_string())
                .map_err(|findings| Error::NeedsPerson(findings_text(&findings)))
        }
        Named::Imported { card, .. } if cards.of_name(card).is_empty() => Err(not_imported(cards, card)),
        Named::Imported { card, day } => match cards.in_force(card, *day) {
            Some(version) => Ok((**version).clone()),
            None => Err(Error::Usage(format!(
                "no version of rate card {card:?} is in force on {day}; `tallybook rate-card list` shows the imported ones"
            ))),
        },
    }
}

fn tell(args: &Args, diff: &DiffArgs, old: &RateCard, new: &RateCard) {
    let found = differences(old, new);
    if diff.csv {
        print::out(&csv(&found));
        return;
    }
    let compared = Compared {
        old: Version::of(old),
        new: Version::of(new),
        summary: summary(old, new, &found),
        differences: found,
    };
    report(args, &compared, || text(&compared));
}

/// What changed in words; prices as a table.
fn text(compared: &Compared) -> String {
    let called = |version: &Version| format!("{} of {}, {}", version.card, version.from, version.currency);
    let mut text = format!("old: {}\nnew: {}\n", called(&compared.old), called(&compared.new));
    let of = |part: Part| compared.differences.iter().filter(move |one| one.part == part);
    for (part, heading) in [(Part::Card, "card"), (Part::Region, "regions"), (Part::Meter, "meters")] {
        if of(part).next().is_some() {
            text.push_str(&format!("\n{heading}\n"));
        }
        for one in of(part) {
            let subject = match one.subject.as_str() {
                "" => String::new(),
                subject => format!("{subject}: "),
            };
            text.push_str(&format!("  {subject}{}\n", one.sentence()));
        }
    }
    if of(Part::Price).next().is_some() {
        text.push_str(&format!("\nprices\n{}", price_table(of(Part::Price)).text()));
    }
    text.push_str(&format!("\n{}", summary_text(&compared.summary)));
    text
}

fn price_table<'d>(prices: impl Iterator<Item = &'d Difference>) -> Table {
    let mut table = Table::new(&[
        "sku",
        "region group",
        "what",
        "change",
        "from quantity",
        "to",
        "old",
        "new",
        "difference",
        "%",
    ]);
    for one in prices {
        table.row(cells(one).into_iter().skip(1));
    }
    table
}

fn csv(found: &[Difference]) -> String {
    let mut table = Table::new(&[
        "part",
        "subject",
        "region_group",
        "what",
        "change",
        "from_quantity",
        "to_quantity",
        "old",
        "new",
        "difference",
        "percent",
    ]);
    for one in found {
        table.row(cells(one));
    }
    table.csv()
}

fn cells(one: &Difference) -> [String; 11] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<Decimal>| number.map(|number| number.to_string()).unwrap_or_default();
    [
        one.part.name().to_owned(),
        one.subject.clone(),
        text(&one.region_group),
        one.what.clone(),
        one.change().to_owned(),
        number(one.from_quantity),
        number(one.to_quantity),
        text(&one.old),
        text(&one.new),
        number(one.difference),
        number(one.percent),
    ]
}

/// One line: how many of each kind.
fn summary_text(summary: &Summary) -> String {
    let counts = [
        (summary.new_skus, "new"),
        (summary.withdrawn_skus, "withdrawn"),
        (summary.higher_skus, "dearer"),
        (summary.lower_skus, "cheaper"),
        (summary.mixed_skus, "dearer in one place and cheaper in another"),
    ];
    let mut parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| 0 < *count)
        .map(|(count, what)| format!("{} {what}", counted(*count, "SKU")))
        .collect();
    if 0 < summary.other_changes {
        parts.push(format!("{} beside prices", counted(summary.other_changes, "change")));
    }
    if 0 < summary.price_terms {
        parts.push(format!(
            "{} of model, counter, unit, meter or origin",
            counted(summary.price_terms, "change")
        ));
    }
    if parts.is_empty() {
        parts.push("nothing changed".to_owned());
    }
    format!("{}\n", parts.join(", "))
}
