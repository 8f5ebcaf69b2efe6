//! `quarantine`: list, show, retry.

use anyhow::Result;

use super::args::{Args, QuarantineCommand};
use super::run::report;
use crate::books::Books;
use crate::ingest::{retry, store as ingest_store};
use crate::table::{Table, grouped};

/// Runs one of them.
pub async fn run(args: &Args, books: &Books, command: &QuarantineCommand) -> Result<()> {
    match command {
        QuarantineCommand::List => {
            let lines = ingest_store::quarantined(&books.ledger, None).await?;
            let mut table = Table::new(&["number", "batch", "input", "line", "reason", "sentence"]);
            for l in &lines {
                let cells = [
                    &l.quarantine.to_string(),
                    &l.batch.to_string(),
                    &l.input,
                    &l.line.to_string(),
                    &l.code,
                    &l.sentence,
                ];
                table.row(cells.map(Clone::clone));
            }
            report(args, &lines, || {
                if table.is_empty() {
                    "nothing is in quarantine\n".to_owned()
                } else {
                    table.text()
                }
            });
        }
        QuarantineCommand::Show { number } => {
            let mut line = ingest_store::quarantined_line(&books.ledger, *number).await?;
            line.payload = line
                .bytes
                .as_ref()
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            report(args, &line, || {
                format!(
                    "{} line {} (batch {}), received {}\n{}: {}\nsha-256 {}, {} bytes\n{}\n",
                    line.input,
                    line.line,
                    line.batch,
                    line.received_at,
                    line.code,
                    line.sentence,
                    line.payload_digest,
                    line.payload_bytes,
                    line.payload.as_deref().unwrap_or("(the bytes have expired)")
                )
            });
        }
        QuarantineCommand::Retry { batch } => {
            let retried = retry::retry(books, *batch).await?;
            report(args, &retried, || {
                format!(
                    "{} lines tried, {} accepted, {} without bytes\n",
                    grouped(retried.tried),
                    grouped(retried.accepted),
                    grouped(retried.without_bytes)
                )
            });
        }
    }
    Ok(())
}
