//! A trial of a source: what would become of its first records, and nothing is written.

use std::collections::BTreeMap;
use std::path::Path;

use super::fetch::{Content, Fetch as _, FetchError};
use super::kinds::Opened;
use crate::catalog::account::Accounts;
use crate::catalog::account::add::default_terms;
use crate::catalog::account::store::load_accounts;
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::store::load_cards;
use crate::catalog::source::Source;
use crate::catalog::source::configured::configured;
use crate::catalog::source::definition::Definition;
use crate::catalog::source::import::{faults, unknown_among};
use crate::catalog::source::store as catalog;
use crate::context::Books;
use crate::pipeline::ingest::input::Input;
use crate::pipeline::ingest::trial::{ScratchFolder, Trial, try_input};
use crate::pipeline::meter::dedupe::stored_record::{Content as RecordContent, RealRecord, first_of};
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::quote::plain;
use crate::support::table::counted;
use crate::values::parameters::Parameters;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// A file in place of the source itself.
    pub file: Option<&'a Path>,
    /// Records that are shown.
    pub limit: usize,
}

/// What would become of a source's first records.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Tried {
    pub source: String,
    pub received: u64,
    pub stored: u64,
    pub quarantined: usize,
    pub records: Vec<TriedRecord>,
    pub refused: Vec<TriedRefusal>,
    pub skipped_events: BTreeMap<&'static str, u64>,
    pub warnings: Vec<String>,
}

/// A record that would be stored.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TriedRecord {
    /// Its fields, as JSON.
    pub record: serde_json::Value,
    /// Its SKU and region, or why it would be unmetered.
    pub becomes: String,
}

/// A line or event that would be refused.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TriedRefusal {
    pub code: &'static str,
    pub sentence: String,
    pub shown: String,
}

impl Tried {
    /// Whether nothing would be refused.
    pub fn all_pass(&self) -> bool {
        self.quarantined == 0
    }

    /// What was looked at, in words.
    pub fn looked_at(&self) -> String {
        let skipped: u64 = self.skipped_events.values().sum();
        format!(
            "{} ({} to store, {} to refuse), {} without a record",
            counted(self.received, "record"),
            self.stored,
            self.quarantined,
            counted(skipped, "event")
        )
    }
}

/// Characters of a refused line that are shown.
const SHOWN_BYTES: usize = 200;

/// Tries a source.
///
/// # Errors
/// Where the source is unknown, or cannot be read.
pub async fn try_source(books: &Books, name: &str, sample: Sample<'_>) -> Result<Tried> {
    let source = definition_of(books, name).await?.source;
    if let Some(file) = sample.file {
        let input = Input::named(file, source.format)?;
        return tried(books, &source, &input, sample.limit, Vec::new()).await;
    }
    if !source.kind.is_pulled() {
        return Err(Error::Usage(format!(
            "source {name} is of kind \"files\": name a file with --file"
        )));
    }
    // A pull would go on with other sources, and says of such a one that it needs a person.
    try_pulled(books, &source, sample.limit)
        .await
        .map_err(|error| match error {
            Error::Usage(_) | Error::Input { .. } | Error::SetAside { .. } => Error::NeedsPerson(error.to_string()),
            other => other,
        })
}

/// Tries the source itself.
async fn try_pulled(books: &Books, source: &Source, limit: usize) -> Result<Tried> {
    let mut opened = match Opened::open(books, source, None) {
        Ok(opened) => opened,
        Err(error) => return Err(of_source(source, error)),
    };
    let part = opened.fetch().await.map_err(|error| of_source(source, error))?;
    let (content, name, warnings) = match part {
        Some(part) => (part.content, part.name, part.warnings),
        None => (Content::Nothing, String::new(), Vec::new()),
    };
    let folder = ScratchFolder::make()?;
    let Some((spooled, input)) = laid_down(source, &folder, content, name, limit)? else {
        return Ok(Tried {
            warnings: warnings.into_iter().chain([why_nothing(&opened)]).collect(),
            ..Tried::nothing(source)
        });
    };
    let tried = tried(books, source, &input, limit, warnings).await;
    if let Some(path) = spooled {
        std::fs::remove_file(&path).at(&path)?;
    }
    tried
}

/// Why there is nothing to show.
fn why_nothing(opened: &Opened) -> String {
    match opened.read_before() {
        0 => "there is nothing to read at this time from where the source starts".to_owned(),
        count => format!(
            "there is nothing new: {}, and what was read is not read again; put a new one there, or try a file with --file",
            if count == 1 {
                "the 1 object that is there was read before".to_owned()
            } else {
                format!("all {} that are there were read before", counted(count, "object"))
            }
        ),
    }
}

/// The definition as it is configured now, or as the ledger has it.
async fn definition_of(books: &Books, name: &str) -> Result<Definition> {
    if let Some(fault) = faults(books).await?.remove(name) {
        return Err(Error::NeedsPerson(fault.sentence()));
    }
    let found = configured(books)?.found.into_iter().map(|found| found.definition);
    if let Some(found) = found.into_iter().find(|found| found.source.name == name) {
        return Ok(found);
    }
    match catalog::newest(&books.ledger, name).await? {
        Some(version) => Ok(version.definition),
        None => Err(unknown_among(books, name).await?),
    }
}

/// A source that gave nothing, as an error that ends as a pull of it does: one that needs a person with that code, one that is away as
/// what failed.
fn of_source(source: &Source, error: FetchError) -> Error {
    let told = |what: &str| format!("source {}: {what}", source.name);
    match error {
        FetchError::Unavailable(what) => Error::Unavailable(told(&what)),
        FetchError::NeedsPerson(what) | FetchError::Books(Error::Usage(what)) => Error::NeedsPerson(told(&what)),
        FetchError::Books(error) => error,
    }
}

/// The part as an input, in a file outside the books; none where it holds nothing. A file that the source itself laid down is named, to be
/// removed.
fn laid_down(
    source: &Source,
    folder: &ScratchFolder,
    content: Content,
    name: String,
    limit: usize,
) -> Result<Option<(Option<std::path::PathBuf>, Input)>> {
    match content {
        Content::File {
            path,
            name: file,
            format,
            ..
        } => {
            let input = Input::lying_at(&path, file.as_ref(), format.or(source.format))?;
            Ok(Some((Some(path), input.called(name))))
        }
        Content::Lines { bytes, format } => {
            let path = folder.path().join("part");
            let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(limit);
            std::fs::write(&path, lines.collect::<Vec<_>>().concat()).at(&path)?;
            Ok(Some((None, Input::of_source(&path, name, format))))
        }
        Content::Nothing => Ok(None),
    }
}

async fn tried(books: &Books, source: &Source, input: &Input, limit: usize, warnings: Vec<String>) -> Result<Tried> {
    let trial = try_input(books, input, source).await?;
    let prices = Prices {
        accounts: load_accounts(&books.ledger).await?,
        cards: load_cards(&books.ledger).await?,
    };
    let mut records = Vec::new();
    for file in trial.usage_files() {
        for record in first_of(&file, limit.saturating_sub(records.len()))? {
            records.push(TriedRecord {
                becomes: prices.becomes(books, &record),
                record: json_of(&record),
            });
        }
    }
    Ok(Tried {
        warnings,
        records,
        refused: refusals(&trial, limit),
        ..Tried::counts(source, &trial)
    })
}

fn refusals(trial: &Trial, limit: usize) -> Vec<TriedRefusal> {
    let refused = trial.counts.refused.iter().take(limit);
    refused
        .map(|refused| {
            let shown = &refused.bytes[..refused.bytes.len().min(SHOWN_BYTES)];
            TriedRefusal {
                code: refused.refusal.code,
                sentence: refused.refusal.sentence.clone(),
                shown: plain(&String::from_utf8_lossy(shown)),
            }
        })
        .collect()
}

impl Tried {
    fn nothing(source: &Source) -> Self {
        Self {
            source: source.name.clone(),
            received: 0,
            stored: 0,
            quarantined: 0,
            records: Vec::new(),
            refused: Vec::new(),
            skipped_events: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    fn counts(source: &Source, trial: &Trial) -> Self {
        Self {
            received: trial.counts.received,
            stored: trial.counts.stored,
            quarantined: trial.counts.refused.len(),
            skipped_events: trial.counts.skipped.clone(),
            ..Self::nothing(source)
        }
    }
}

fn json_of(record: &RealRecord) -> serde_json::Value {
    let mut json = serde_json::json!({ "source": record.source, "id": record.id });
    for (name, text) in record.content.fields() {
        json[name] = match name {
            "parameters" | "duration_ms" => serde_json::from_str(&text).unwrap_or(text.into()),
            _ => text.into(),
        };
    }
    json
}

/// What a SKU is found by.
struct Prices {
    accounts: Accounts,
    cards: RateCatalog,
}

impl Prices {
    /// The SKU of a record and whether it has a price, in words.
    fn becomes(&self, books: &Books, record: &RealRecord) -> String {
        let RecordContent::Usage {
            uin,
            task_type,
            parameters,
            failed,
            ..
        } = &record.content
        else {
            return "a void: it takes an earlier record back".to_owned();
        };
        if *failed {
            return "failed work: it is counted, never charged".to_owned();
        }
        let Some(day) = record.content.utc_day() else {
            return String::new();
        };
        let terms = match self.accounts.get(*uin) {
            Some(account) => account.terms_on(day).clone(),
            None => match default_terms(books, &self.cards) {
                Ok(terms) => terms,
                Err(error) => return format!("no rate card: {error}"),
            },
        };
        let Some(card) = self.cards.in_force(&terms.card, day) else {
            return format!("no version of rate card {} is in force on {day}", terms.card);
        };
        let parameters = match Parameters::from_canonical(parameters) {
            Ok(parameters) => parameters,
            Err(error) => return error.to_string(),
        };
        match card.assign(task_type, &parameters) {
            Err(unmetered) => format!("unmetered ({}): {unmetered}", unmetered.code),
            Ok(found) if card.price(&found.sku, &found.region).is_none() => {
                format!("SKU {} in {}: no price on card {}", found.sku, found.region, card.name)
            }
            Ok(found) => format!(
                "SKU {} in {}, card {} of {}",
                found.sku, found.region, card.name, card.from
            ),
        }
    }
}
