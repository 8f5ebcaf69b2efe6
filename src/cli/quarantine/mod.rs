//! `quarantine`: list, show, retry, edit, correct, dismiss, alarms.

pub mod args;
mod text;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::args::Args;
use super::print::out_bytes;
use super::run::report;
use crate::context::Books;
use crate::pipeline::ingest::quarantine::alarm;
use crate::pipeline::ingest::quarantine::correct::{Corrected, correct, edit};
use crate::pipeline::ingest::quarantine::dismiss::dismiss;
use crate::pipeline::ingest::quarantine::filter::Filter;
use crate::pipeline::ingest::quarantine::retry;
use crate::pipeline::ingest::quarantine::store::{Count, Page, QuarantinedLine, counts, lines, lines_with_bytes};
use crate::support::error::exit_code::ExitCode;
use crate::support::error::{AtPath as _, Error};
use args::{Lines, QuarantineCommand};

/// Lines listed on a page, and shown with their bytes, when nobody says how many.
const LISTED: u32 = 100;
const SHOWN: u32 = 20;

/// Runs one of them and returns the exit code.
pub async fn run(args: &Args, books: &Books, command: &QuarantineCommand) -> Result<ExitCode> {
    match command {
        QuarantineCommand::List {
            lines,
            limit,
            after,
            all,
            csv,
        } => {
            let is_whole = *csv || args.json;
            let page = Page {
                all: *all || !lines.numbers.is_empty(),
                after: *after,
                limit: limit.or((!is_whole).then_some(LISTED)),
            };
            let listed = list(books, &lines.filter(), page).await?;
            report(args, &listed, || {
                if *csv { text::csv(&listed) } else { text::list(&listed) }
            });
        }
        QuarantineCommand::Show {
            lines,
            limit,
            lines_only,
        } => {
            let is_whole = *lines_only || args.json;
            let page = Page {
                all: !lines.numbers.is_empty() && !lines_only,
                after: 0,
                limit: limit.or((!is_whole).then_some(SHOWN)),
            };
            show(args, books, lines, page, *lines_only).await?;
        }
        QuarantineCommand::Retry { lines } => {
            let retried = retry::retry(books, &lines.filter()).await?;
            report(args, &retried, || text::retried(&retried));
        }
        QuarantineCommand::Edit {
            number,
            line,
            from,
            reason,
        } => {
            let bytes = match (line, from) {
                (Some(line), _) => line.clone().into_bytes(),
                (None, Some(file)) => one_line(file)?,
                (None, None) => unreachable!("clap asks for one of them"),
            };
            let corrected = edit(books, *number, &bytes, reason).await?;
            report(args, &corrected, || text::corrected(&corrected));
        }
        QuarantineCommand::Correct { file, reason } => {
            let bytes = std::fs::read(file).at(file)?;
            let corrected: Corrected = correct(books, &file.display().to_string(), &bytes, reason).await?;
            report(args, &corrected, || text::corrected(&corrected));
            return Ok(ExitCode::unless(corrected.refused.is_empty(), ExitCode::NeedsPerson));
        }
        QuarantineCommand::Dismiss {
            alarm: Some(number),
            reason,
            ..
        } => {
            let entry = alarm::dismiss(books, *number, reason).await?;
            let json = serde_json::json!({ "alarm": number, "audit_entry": entry });
            report(args, &json, || {
                format!("alarm {number} is dismissed (audit entry {entry}); its lines stay in quarantine\n")
            });
        }
        QuarantineCommand::Dismiss { lines, reason, .. } => {
            let filter = lines.filter();
            if filter.is_empty() {
                return Err(Error::Usage(
                    "name the lines by their numbers, or by --batch, --input, --code, --day or --source (`tallybook quarantine \
                     list` shows them)"
                        .to_owned(),
                )
                .into());
            }
            let dismissed = dismiss(books, &filter, reason).await?;
            report(args, &dismissed, || text::dismissed(&dismissed));
        }
        QuarantineCommand::Alarms { all } => {
            let alarms = if *all {
                alarm::store::all(&books.ledger).await?
            } else {
                alarm::store::open(&books.ledger).await?
            };
            report(args, &alarms, || text::alarms(&alarms));
        }
    }
    Ok(ExitCode::Done)
}

/// A page of refused lines, and the counts of all that are meant.
#[derive(Serialize)]
struct Listed {
    counts: Vec<Count>,
    lines: Vec<QuarantinedLine>,
    /// The last number of the page, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<i64>,
}

async fn list(books: &Books, filter: &Filter, page: Page) -> Result<Listed> {
    filter.check(&books.ledger).await?;
    let counts = counts(&books.ledger, filter, page.all).await?;
    let mut listed = lines(&books.ledger, filter, one_more(page)).await?;
    let after = cut(&mut listed, page);
    Ok(Listed {
        counts,
        lines: listed,
        after,
    })
}

/// A page with one line more, which says that there are more.
fn one_more(page: Page) -> Page {
    Page {
        limit: page.limit.map(|limit| limit.saturating_add(1)),
        ..page
    }
}

fn cut(lines: &mut Vec<QuarantinedLine>, page: Page) -> Option<i64> {
    let limit = page
        .limit
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if lines.len() <= limit {
        return None;
    }
    lines.truncate(limit);
    Some(lines.last().map_or(page.after, |line| line.quarantine))
}

async fn show(args: &Args, books: &Books, which: &Lines, page: Page, lines_only: bool) -> Result<()> {
    let filter = which.filter();
    if filter.is_empty() {
        return Err(Error::Usage(
            "name the lines by their numbers, or by --batch, --input, --code, --day or --source".to_owned(),
        )
        .into());
    }
    filter.check(&books.ledger).await?;
    let mut lines = lines_with_bytes(&books.ledger, &filter, one_more(page)).await?;
    if let Some(missing) = filter
        .numbers
        .iter()
        .find(|number| page.limit.is_none() && !lines.iter().any(|line| line.quarantine == **number))
    {
        return Err(Error::Usage(format!(
            "quarantine has no line {missing}; `tallybook quarantine list` shows all lines"
        ))
        .into());
    }
    let after = cut(&mut lines, page);
    if lines_only {
        out_bytes(&text::lines_only(&lines));
        return Ok(());
    }
    for line in &mut lines {
        line.payload = line
            .bytes
            .as_ref()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    }
    report(args, &lines, || text::shown(&lines, after));
    Ok(())
}

/// The bytes of a file without the end of their last line.
fn one_line(file: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(file).at(file)?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}
