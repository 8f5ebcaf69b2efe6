//! `adjustment`: list, settle.

use anyhow::Result;

use super::args::{AdjustmentCommand, Args};
use super::run::report;
use crate::context::Books;
use crate::decisions::settlement::{Listed, list, settle};
use crate::storage::ledger::Lease;
use crate::support::table::{Table, counted};

/// Runs one of them.
pub async fn run(args: &Args, books: &Books, command: &AdjustmentCommand) -> Result<()> {
    match command {
        AdjustmentCommand::List { all } => {
            let listed = list(books, *all).await?;
            report(args, &listed, || list_text(&listed));
        }
        AdjustmentCommand::Settle { uin, period, reason } => {
            let lease = Lease::take(&books.ledger, "adjustment settle").await?;
            let settled = settle(books, &lease, *uin, *period, reason).await;
            lease.release().await?;
            let settled = settled?;
            report(args, &settled, || settled_text(&settled));
        }
    }
    Ok(())
}

fn list_text(listed: &[Listed]) -> String {
    if listed.is_empty() {
        return "no blocked adjustments: every adjustment will appear on the next statement of its account\n"
            .to_owned();
    }
    let mut table = Table::new(&[
        "account", "period", "to", "currency", "amount", "records", "state", "blocks", "audit",
    ]);
    for it in listed {
        table.row([
            it.uin.clone(),
            it.period_start.clone(),
            it.period_end.clone(),
            it.currency.clone(),
            it.amount.clone(),
            it.records.to_string(),
            it.state.to_owned(),
            it.blocks.clone().unwrap_or_default(),
            it.audit_entry.map_or_else(String::new, |entry| entry.to_string()),
        ]);
    }
    table.text()
}

fn settled_text(settled: &Listed) -> String {
    format!(
        "account {}, {} to {}: {} {} ({}) settled outside tallybook (audit entry {})\n\
         they will appear on no statement, later changes to that period are calculated from them, and the account can close again\n",
        settled.uin,
        settled.period_start,
        settled.period_end,
        settled.amount,
        settled.currency,
        counted(settled.records, "record"),
        settled.audit_entry.unwrap_or_default()
    )
}
