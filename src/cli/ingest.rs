//! Taking inputs in.

use std::path::PathBuf;

use anyhow::Result;

use super::args::Args;
use super::run::report;
use crate::catalog::source::configured::Fault;
use crate::catalog::source::import::import_configured;
use crate::catalog::source::store::newest;
use crate::context::Books;
use crate::nightly::report as night_report;
use crate::pipeline::ingest::input::{Format, Input};
use crate::pipeline::ingest::quarantine::alarm::Alarm;
use crate::pipeline::ingest::{ingest, ingest_changed, ingest_handed_over};
use crate::support::error::Error;
use crate::support::error::exit_code::ExitCode;

/// Whose an input's records are that name no source.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    pub source: Option<&'a str>,
    /// The same; bytes that are known under another source are other records.
    pub again_as: Option<&'a str>,
}

pub async fn run(
    args: &Args,
    books: &Books,
    files: &[PathBuf],
    sender: Sender<'_>,
    format: Option<Format>,
) -> Result<ExitCode> {
    let source = sender.again_as.or(sender.source).unwrap_or(&books.settings.source);
    warn_of_others(source, import_configured(books).await?.faults)?;
    // A source of events hands over events, whatever the extension.
    let of_source = newest(&books.ledger, source)
        .await?
        .and_then(|version| version.definition.source.format);
    let mut reports = Vec::new();
    for file in files {
        let input = Input::named(file, format.or(of_source))?;
        let input = if sender.again_as.is_some() {
            input.again()
        } else {
            input
        };
        reports.push(ingest(books, &input, source).await?);
    }
    let alarms: Vec<String> = reports
        .iter()
        .filter_map(|ingested| ingested.alarm.as_ref())
        .map(Alarm::sentence)
        .collect();
    report(args, &reports, || {
        let told = alarms.iter().map(|alarm| format!("ACTION REQUIRED: {alarm}\n"));
        reports.iter().map(night_report::ingested).chain(told).collect()
    });
    Ok(ExitCode::unless(alarms.is_empty(), ExitCode::NeedsPerson))
}

/// What is wrong with the definition of another source is told, and keeps no file of this one out.
fn warn_of_others(source: &str, faults: Vec<Fault>) -> Result<()> {
    for fault in faults {
        if fault.source == source {
            return Err(Error::Usage(format!("{}. Nothing was ingested", fault.sentence())).into());
        }
        eprintln!("tallybook: {}", fault.sentence());
    }
    Ok(())
}

/// What a child reads: one input, and the batch that was made of an earlier state of it.
#[derive(Debug, clap::Args)]
pub struct Alone {
    file: PathBuf,
    #[arg(long)]
    named: PathBuf,
    #[arg(long)]
    source: String,
    #[arg(long, value_enum)]
    format: Format,
    #[arg(long)]
    first_batch: Option<i64>,
    #[arg(long)]
    again: bool,
    /// A source that is pulled laid it down, each record on a line of its own.
    #[arg(long)]
    by_line: bool,
    /// A source that is pulled handed it over.
    #[arg(long)]
    handed_over: bool,
}

pub async fn read_alone(books: &Books, alone: &Alone) -> Result<()> {
    let input = if alone.by_line {
        Input::of_source(&alone.file, alone.named.display().to_string(), alone.format)
    } else {
        Input::lying_at(&alone.file, &alone.named, Some(alone.format))?
    };
    let input = if alone.again { input.again() } else { input };
    match alone.first_batch {
        _ if alone.handed_over => drop(ingest_handed_over(books, &input, &alone.source).await?),
        Some(batch) => drop(ingest_changed(books, &input, &alone.source, batch).await?),
        None => drop(ingest(books, &input, &alone.source).await?),
    }
    Ok(())
}
