//! `void`: list, dismiss.

use anyhow::Result;

use super::args::{Args, VoidCommand};
use super::run::report;
use crate::context::Books;
use crate::decisions::void::{Dismissed, Listed, dismiss, list};
use crate::storage::ledger::Lease;
use crate::support::table::Table;

/// Runs one of them.
pub async fn run(args: &Args, books: &Books, command: &VoidCommand) -> Result<()> {
    match command {
        VoidCommand::List { all } => {
            let listed = list(books, *all).await?;
            report(args, &listed, || list_text(&listed));
        }
        VoidCommand::Dismiss { id, source, reason } => {
            let lease = Lease::take(&books.ledger, "void dismiss").await?;
            let dismissed = dismiss(books, &lease, id, source.as_deref(), reason).await;
            lease.release().await?;
            let dismissed = dismissed?;
            report(args, &dismissed, || dismissed_text(&dismissed));
        }
    }
    Ok(())
}

fn list_text(listed: &[Listed]) -> String {
    if listed.is_empty() {
        return "no voids are waiting for their record\n".to_owned();
    }
    let mut table = Table::new(&["source", "id", "voids", "state", "input", "batch", "line", "since"]);
    for void in listed {
        table.row([
            void.source.clone(),
            void.id.clone(),
            void.voids.clone(),
            void.state.clone(),
            void.input.clone(),
            void.batch.to_string(),
            void.line.to_string(),
            void.since.clone(),
        ]);
    }
    table.text()
}

fn dismissed_text(dismissed: &Dismissed) -> String {
    format!(
        "void {} of {} is dismissed (audit entry {})\nif record {} still arrives, it is billed\n",
        dismissed.void.id, dismissed.void.source, dismissed.audit_entry, dismissed.void.voids
    )
}
