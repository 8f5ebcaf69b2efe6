//! `source`: list, show, check, import, test, disable, enable, template, payloads, redrive.

pub mod args;
mod payloads;
mod text;

use std::path::PathBuf;

use anyhow::Result;

use super::args::Args;
use super::run::report;
use super::settings::configured_sources;
use crate::catalog::source::configured::of_files;
use crate::catalog::source::events::Template;
use crate::catalog::source::import::{Imports, faults, import_configured, unknown_among};
use crate::catalog::source::{state, store, template};
use crate::context::Books;
use crate::pipeline::ingest::payloads::PayloadFilter;
use crate::sources::overview::overview;
use crate::sources::trial::{Sample, try_source};
use crate::support::error::exit_code::ExitCode;
use args::{SourceCommand, TemplateCommand};

/// Runs one of them.
pub async fn run(args: &Args, books: &Books, command: &SourceCommand) -> Result<ExitCode> {
    match command {
        SourceCommand::List => {
            let listed = overview(books).await?;
            report(args, &listed, || text::list(&listed));
        }
        SourceCommand::Show { name } => show(args, books, name).await?,
        SourceCommand::Check { .. } => unreachable!("run before the books are opened"),
        SourceCommand::Import => return import(args, books).await,
        SourceCommand::Test { name, file, limit } => {
            let sample = Sample {
                file: file.as_deref(),
                limit: *limit,
            };
            let tried = Box::pin(try_source(books, name, sample)).await?;
            report(args, &tried, || text::tried(&tried));
            return Ok(ExitCode::unless(tried.all_pass(), ExitCode::NeedsPerson));
        }
        SourceCommand::Disable { name, reason } => set_state(args, books, name, false, reason).await?,
        SourceCommand::Enable { name, reason } => set_state(args, books, name, true, reason).await?,
        SourceCommand::Payloads { command } => payloads::run(args, books, command).await?,
        SourceCommand::Redrive {
            name,
            session,
            task,
            dry_run,
        } => {
            let filter = PayloadFilter {
                source: Some(name.clone()),
                session: session.clone(),
                task: task.clone(),
            };
            return payloads::redrive(args, books, &filter, *dry_run).await;
        }
        SourceCommand::Template { command } => run_template(args, books, command).await?,
    }
    Ok(ExitCode::Done)
}

async fn show(args: &Args, books: &Books, name: &str) -> Result<()> {
    let versions = store::versions(&books.ledger, name).await?;
    let Some(newest) = versions.last() else {
        return Err(unknown_among(books, name).await?.into());
    };
    let templates = template::added(books, name).await?;
    let disabled = store::disabled(&books.ledger).await?.remove(name);
    let fault = faults(books).await?.remove(name).map(|fault| fault.what);
    let shown = text::Shown::of(newest, &versions, templates, disabled, fault)?;
    report(args, &shown, || shown.text());
    Ok(())
}

/// Checks definitions: those of files, or all that are configured. It takes no books.
pub fn check(args: &Args, files: &[PathBuf]) -> Result<ExitCode> {
    let configured = if files.is_empty() {
        configured_sources(args)?
    } else {
        of_files(files)
    };
    let checked = text::checked(&configured.all()?);
    report(args, &checked, || text::checked_text(&checked));
    Ok(ExitCode::Done)
}

async fn import(args: &Args, books: &Books) -> Result<ExitCode> {
    let Imports { imported, faults } = import_configured(books).await?;
    report(args, &imported, || text::imported(&imported, &faults));
    if args.json {
        for fault in &faults {
            eprintln!("tallybook: {}", fault.sentence());
        }
    }
    Ok(ExitCode::unless(faults.is_empty(), ExitCode::NeedsPerson))
}

async fn set_state(args: &Args, books: &Books, name: &str, is_enabled: bool, reason: &str) -> Result<()> {
    let changed = state::set(books, name, is_enabled, reason).await?;
    let told = serde_json::json!({ "source": name, "enabled": is_enabled, "changed": changed });
    report(args, &told, || {
        let state = if is_enabled { "enabled" } else { "disabled" };
        let already = if changed { "" } else { " already" };
        format!("source {name} is{already} {state}\n")
    });
    Ok(())
}

async fn run_template(args: &Args, books: &Books, command: &TemplateCommand) -> Result<()> {
    match command {
        TemplateCommand::Add {
            source,
            definition,
            transcode_type,
            streams,
            reason,
        } => {
            let new = Template {
                transcode_type: transcode_type.clone(),
                streams: streams.clone(),
            };
            let added = template::add(books, source, *definition, &new, reason).await?;
            let told = serde_json::json!({ "source": source, "definition": definition, "outcome": added });
            report(args, &told, || text::added(source, *definition, added));
        }
        TemplateCommand::List { source } => {
            let Some(newest) = store::newest(&books.ledger, source).await? else {
                return Err(unknown_among(books, source).await?.into());
            };
            let mut all = newest.definition.source.templates;
            all.extend(template::added(books, source).await?);
            report(args, &all, || text::templates(&all));
        }
    }
    Ok(())
}
