//! `retention`: what can be typed, what is called, what is printed.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Subcommand;

use super::args::{Args, not_blank};
use super::print;
use super::run::report;
use crate::context::Books;
use crate::context::keeping::Class;
use crate::inspect::retention::{Calendar, Proved, calendar};
use crate::pipeline::retention::policy::exceed;
use crate::support::table::{Table, counted, grouped};

/// Deletions below the calendar.
const TOLD: usize = 10;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RetentionArgs {
    /// Print the calendar as CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(subcommand)]
    command: Option<RetentionCommand>,
}

#[derive(Debug, Subcommand)]
pub enum RetentionCommand {
    /// List everything that was deleted, newest first: when, by whom, why, and the proof of raw records
    Deleted {
        /// Print CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Give the reason why a class of data is kept longer than the policy allows; without it nights are refused
    Exceed {
        /// The class
        #[arg(value_name = "CLASS", value_enum)]
        class: Class,
        /// The reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
}

impl RetentionArgs {
    /// Whether it writes into the ledger.
    pub fn writes(&self) -> bool {
        matches!(self.command, Some(RetentionCommand::Exceed { .. }))
    }
}

/// Runs it.
pub async fn run(args: &Args, books: &Books, retention: &RetentionArgs) -> Result<()> {
    match &retention.command {
        None => {
            let calendar = calendar(books, TOLD).await?;
            if retention.csv {
                print::out(&calendar_table(&calendar).csv());
            } else {
                report(args, &calendar, || text(&calendar));
            }
        }
        Some(RetentionCommand::Deleted { csv }) => {
            let calendar = calendar(books, usize::MAX).await?;
            if *csv {
                print::out(&deletions_table(&calendar.deletions).csv());
            } else {
                report(args, &calendar.deletions, || {
                    if calendar.deletions.is_empty() {
                        "nothing was deleted\n".to_owned()
                    } else {
                        deletions_table(&calendar.deletions).text()
                    }
                });
            }
        }
        Some(RetentionCommand::Exceed { class, reason }) => {
            exceed(books, *class, reason).await?;
            report(args, &serde_json::json!({ "class": class.text() }), || {
                format!("the reason for `{}` is in the audit trail\n", class.setting())
            });
        }
    }
    Ok(())
}

fn calendar_table(calendar: &Calendar) -> Table {
    let mut table = Table::new(&[
        "class",
        "what",
        "kept",
        "policy",
        "held",
        "oldest",
        "next deletion",
        "deleted",
    ]);
    for held in &calendar.classes {
        table.row([
            held.class.to_owned(),
            held.what.to_owned(),
            held.kept.clone(),
            held.policy.clone(),
            grouped(held.rows),
            held.oldest.clone().unwrap_or_default(),
            held.next_deletion.map_or_else(String::new, |day| day.to_string()),
            grouped(held.deleted),
        ]);
    }
    table
}

fn deletions_table(deletions: &[Proved]) -> Table {
    let mut table = Table::new(&["deleted at", "class", "of", "rows", "by", "why", "proof"]);
    for Proved { deleted, proof } in deletions {
        let why = match deleted.audit_entry {
            Some(entry) => format!("{}, audit entry {entry}", deleted.why),
            None => deleted.why.clone(),
        };
        table.row([
            deleted.deleted_at.clone(),
            deleted.class.clone(),
            deleted.subject.clone(),
            grouped(deleted.rows),
            deleted.who.clone().unwrap_or_default(),
            why,
            proof.as_ref().map_or_else(String::new, |proof| {
                let (records, accounts) = (proof.records, proof.accounts);
                format!(
                    "{}, digests of {}",
                    counted(records, "record"),
                    counted(accounts, "account")
                )
            }),
        ]);
    }
    table
}

fn text(calendar: &Calendar) -> String {
    let mut text = format!(
        "retention on {} (UTC)\n{}",
        calendar.today,
        calendar_table(calendar).text()
    );
    let longer = calendar.classes.iter().flat_map(|held| &held.longer);
    for (number, longer) in longer.enumerate() {
        let heading = if number == 0 { "\nheld longer\n" } else { "" };
        let _infallible = writeln!(text, "{heading}{}: {}", longer.what, longer.why);
    }
    if !calendar.deletions.is_empty() {
        let _infallible = write!(
            text,
            "\nlast deletions; `tallybook retention deleted` lists all\n{}",
            deletions_table(&calendar.deletions).text()
        );
    }
    text
}
