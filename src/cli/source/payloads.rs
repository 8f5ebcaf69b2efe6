//! `source payloads` and `source redrive`: what is called, what is printed.

use std::fmt::Write as _;

use anyhow::Result;

use super::args::{OfPayloads, PayloadsCommand};
use crate::catalog::source::import::unknown_among;
use crate::catalog::source::store;
use crate::cli::args::Args;
use crate::cli::run::report;
use crate::context::Books;
use crate::pipeline::ingest::payloads::{Listed, PayloadFilter, list};
use crate::pipeline::ingest::redrive::{self, Redrive, Redriven};
use crate::pipeline::retention::payload_deletion::delete;
use crate::storage::ledger::Lease;
use crate::support::error::exit_code::ExitCode;
use crate::support::table::{Table, counted};

impl OfPayloads {
    fn filter(&self) -> PayloadFilter {
        PayloadFilter {
            source: self.source.clone(),
            session: self.session.clone(),
            task: self.task.clone(),
        }
    }
}

/// Runs `source payloads`.
pub async fn run(args: &Args, books: &Books, command: &PayloadsCommand) -> Result<()> {
    match command {
        PayloadsCommand::List { of, limit } => {
            refuse_unknown(books, of.source.as_deref()).await?;
            let listed = list(books, &of.filter(), *limit).await?;
            report(args, &listed, || table(&listed, *limit));
        }
        PayloadsCommand::Delete { of, reason, .. } => {
            refuse_unknown(books, of.source.as_deref()).await?;
            let lease = Lease::take(&books.ledger, "payloads delete").await?;
            let deleted = delete(books, &lease, &of.filter(), reason).await;
            // The files are removed as those that a night drops.
            let swept = crate::pipeline::maintenance::remove_orphans::sweep(books).await;
            lease.release().await?;
            let deleted = deleted?;
            swept?;
            report(args, &deleted, || {
                format!(
                    "deleted {}; input files and backups have them until their own clock, or the next backup\n",
                    counted(deleted.payloads, "payload")
                )
            });
        }
    }
    Ok(())
}

/// Runs `source redrive`.
pub async fn redrive(args: &Args, books: &Books, filter: &PayloadFilter, is_dry: bool) -> Result<ExitCode> {
    refuse_unknown(books, filter.source.as_deref()).await?;
    let done = if is_dry {
        Box::pin(redrive::redrive(books, filter, Redrive::DryRun)).await?
    } else {
        let lease = Lease::take(&books.ledger, "redrive").await?;
        let done = Box::pin(redrive::redrive(books, filter, Redrive::Commit(&lease))).await;
        lease.release().await?;
        done?
    };
    report(args, &done, || text(&done));
    Ok(ExitCode::unless(done.refused.is_empty(), ExitCode::NeedsPerson))
}

async fn refuse_unknown(books: &Books, source: Option<&str>) -> Result<()> {
    match source {
        Some(source) if !store::has(&books.ledger, source).await? => Err(unknown_among(books, source).await?.into()),
        _ => Ok(()),
    }
}

fn table(listed: &[Listed], limit: usize) -> String {
    if listed.is_empty() {
        return "no payloads\n".to_owned();
    }
    let mut table = Table::new(&["day", "source", "account", "task", "session", "received", "bytes"]);
    for payload in listed {
        table.row([
            payload.day.to_string(),
            payload.source.clone(),
            payload.uin.clone().unwrap_or_default(),
            payload.task_id.clone(),
            payload.session_id.clone(),
            payload.received_at.clone(),
            payload.payload.len().to_string(),
        ]);
    }
    let mut text = table.text();
    if listed.len() == limit {
        let _infallible = writeln!(text, "the first {limit}; --limit shows more");
    }
    text
}

fn text(done: &Redriven) -> String {
    let mut text = format!(
        "{} taken from {}; `tallybook meter` or the next night finds those that are known\n",
        counted(i64::try_from(done.records).unwrap_or(i64::MAX), "record"),
        counted(i64::try_from(done.events).unwrap_or(i64::MAX), "event"),
    );
    if done.known > 0 {
        let known = i64::try_from(done.known).unwrap_or(i64::MAX);
        let _infallible = writeln!(text, "{} as an earlier redrive gave them", counted(known, "record"));
    }
    if done.skipped > 0 {
        let skipped = i64::try_from(done.skipped).unwrap_or(i64::MAX);
        let _infallible = writeln!(text, "{} without a record", counted(skipped, "event"));
    }
    for refused in &done.refused {
        let _infallible = writeln!(
            text,
            "refused  {}, task {}: {}: {}",
            refused.day, refused.task_id, refused.code, refused.sentence
        );
    }
    text
}
