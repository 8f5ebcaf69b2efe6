//! Lines that nobody will send again, or that came again corrected: set aside by a person, with a reason. They still count as
//! quarantined, and are neither listed nor tried again.

use std::collections::BTreeMap;

use super::filter::Filter;
use super::store;
use super::store::{Page, QuarantinedLine};
use crate::context::Books;
use crate::storage::ledger::{Decision, add_audit};
use crate::support::error::{Error, Result};

/// What a dismissal did.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Dismissed {
    pub lines: usize,
    /// The audit entry; none where nothing fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_entry: Option<i64>,
}

/// Dismisses the lines that a filter means; each line that it names must wait.
pub async fn dismiss(books: &Books, filter: &Filter, reason: &str) -> Result<Dismissed> {
    filter.check(&books.ledger).await?;
    let lines = store::lines(&books.ledger, filter, Page::default()).await?;
    refuse_missing(&filter.numbers, &lines)?;
    if lines.is_empty() {
        return Ok(Dismissed {
            lines: 0,
            audit_entry: None,
        });
    }
    let at = books.clock.text();
    let numbers: Vec<i64> = lines.iter().map(|line| line.quarantine).collect();
    let decision = Decision {
        who: &books.settings.who,
        action: "quarantine dismiss",
        subject: subject(&lines),
        detail: detail(&lines),
        reason,
        at: at.clone(),
    };
    let mut tx = books.ledger.begin().await?;
    let entry = add_audit(&mut tx, &decision).await?;
    store::set_aside(&mut tx, &numbers, entry, &at).await?;
    books.ledger.commit(tx, "dismiss").await?;
    Ok(Dismissed {
        lines: lines.len(),
        audit_entry: Some(entry),
    })
}

/// Lines that were named and do not wait.
pub(in crate::pipeline::ingest) fn refuse_missing(numbers: &[i64], found: &[QuarantinedLine]) -> Result<()> {
    let missing = numbers
        .iter()
        .find(|number| !found.iter().any(|line| line.quarantine == **number));
    match missing {
        None => Ok(()),
        Some(number) => Err(Error::Usage(format!(
            "line {number} is not open in quarantine, or does not match the other filters; `tallybook quarantine list` shows the \
             open lines, with `--all` also the accepted and dismissed ones. Nothing was written"
        ))),
    }
}

/// Such as `1,000 lines of batch 5`.
pub(in crate::pipeline::ingest) fn subject(lines: &[QuarantinedLine]) -> String {
    let mut batches: Vec<i64> = lines.iter().map(|line| line.batch).collect();
    batches.dedup();
    let of = match batches[..] {
        [batch] => format!("batch {batch}"),
        _ => format!("{} batches", batches.len()),
    };
    match lines {
        [line] => format!("line {} of {of}", line.quarantine),
        _ => format!("{} lines of {of}", lines.len()),
    }
}

/// The numbers as runs from and to, and how many lines had which reason.
fn detail(lines: &[QuarantinedLine]) -> serde_json::Value {
    let mut runs: Vec<[i64; 2]> = Vec::new();
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines {
        *codes.entry(&line.code).or_default() += 1;
        match runs.last_mut() {
            Some([_, to]) if *to + 1 == line.quarantine => *to = line.quarantine,
            _ => runs.push([line.quarantine; 2]),
        }
    }
    serde_json::json!({ "numbers": runs, "reasons": codes })
}
