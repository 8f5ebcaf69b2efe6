//! `erase`: what can be typed, what is called, what is printed.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

use super::args::{Args, not_blank};
use super::run::report;
use super::{parse, print};
use crate::backup::create::back_up_again;
use crate::context::Books;
use crate::erasure::plan::{Counted, Plan};
use crate::erasure::store::{Erasure, erasure, erasures};
use crate::erasure::{Erased, Wanted, erase, try_erase};
use crate::nightly::needs_person::of_backup;
use crate::storage::ledger::Lease;
use crate::support::error::exit_code::ExitCode;
use crate::support::table::{Table, grouped};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct EraseArgs {
    /// Account number
    #[arg(value_name = "UIN", required = true, value_parser = parse::uin)]
    uin: Option<u64>,
    /// Who asked for it and how, such as the number of a letter; kept, so without the account's number
    #[arg(long, value_name = "TEXT", required = true, value_parser = not_blank)]
    request: Option<String>,
    /// Write a page to send, which names the account, to a new file; it is kept nowhere else
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    page: Option<PathBuf>,
    /// Write nothing; show what would go, what would stay, and what stands in the way
    #[arg(long)]
    dry_run: bool,
    #[command(subcommand)]
    command: Option<EraseCommand>,
}

#[derive(Debug, Subcommand)]
pub enum EraseCommand {
    /// List all erasures with the digests of their certificates
    List,
    /// Print the certificate of an erasure (JSON)
    Certificate {
        /// Its number, as `erase list` shows it
        #[arg(value_name = "N")]
        erasure: i64,
    },
}

impl EraseArgs {
    /// Whether it writes into the books.
    pub fn writes(&self) -> bool {
        self.command.is_none() && !self.dry_run
    }
}

/// Runs it.
pub async fn run(args: &Args, books: &Books, erase: &EraseArgs) -> Result<ExitCode> {
    match &erase.command {
        Some(EraseCommand::List) => {
            let all = erasures(&books.ledger).await?;
            report(args, &all, || list_text(&all));
            return Ok(ExitCode::Done);
        }
        Some(EraseCommand::Certificate { erasure: number }) => {
            print::out(&erasure(&books.ledger, *number).await?.certificate);
            return Ok(ExitCode::Done);
        }
        None => {}
    }
    let wanted = Wanted {
        uin: erase.uin.unwrap_or_default(),
        request: erase.request.as_deref().unwrap_or_default(),
        page: erase.page.as_deref(),
    };
    if erase.dry_run {
        let plan = try_erase(books, wanted).await?;
        report(args, &plan, || plan_text(&plan));
        return Ok(ExitCode::unless(plan.causes.is_empty(), ExitCode::Usage));
    }
    run_erase(args, books, wanted).await
}

async fn run_erase(args: &Args, books: &Books, wanted: Wanted<'_>) -> Result<ExitCode> {
    let lease = Lease::take(&books.ledger, "erase").await?;
    let erased = Box::pin(erase(books, &lease, wanted)).await;
    let released = lease.release().await;
    let erased = erased?;
    released?;
    let mut wrong: Vec<String> = erased.not_compacted.iter().map(|why| not_compacted(why)).collect();
    wrong.extend(back_up(books).await);
    let told = Told {
        erased: &erased,
        needs_person: &wrong,
    };
    report(args, &told, || erased_text(&told));
    Ok(ExitCode::unless(wrong.is_empty(), ExitCode::NeedsPerson))
}

/// So that the place of backups forgets the account, too.
async fn back_up(books: &Books) -> Vec<String> {
    let Some(folder) = &books.settings.backup else {
        return Vec::new();
    };
    match Box::pin(back_up_again(books, folder)).await {
        Ok(done) if done.is_whole() => of_backup(&done),
        Ok(done) => std::iter::once(format!(
            "the account is erased here, and {} still has it: an earlier backup stays there until one lacks nothing",
            folder.display()
        ))
        .chain(of_backup(&done))
        .collect(),
        Err(error) => vec![format!(
            "the backup in {0} failed: {error}. The account is erased here, and that place has it until a backup succeeds: run `tallybook \
             backup {0}`",
            folder.display()
        )],
    }
}

fn not_compacted(why: &str) -> String {
    format!(
        "the account is erased, but the database could not be made to forget what it had written over: {why}. The next nightly run tries \
         again"
    )
}

/// What an erasure did, as it is told.
#[derive(serde::Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    erased: &'a Erased,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    needs_person: &'a [String],
}

fn erased_text(told: &Told) -> String {
    let (erasure, certificate) = (&told.erased.erasure, &told.erased.certificate);
    let mut text = format!(
        "erasure {}: done, audit entry {}\n",
        erasure.erasure, erasure.audit_entry
    );
    let mut table = Table::new(&["deleted", "rows"]);
    for (what, rows) in &certificate.deleted {
        table.row([what.clone(), grouped(*rows)]);
    }
    text.push_str(&table.text());
    text.push_str(&format!(
        "{} under a pseudonym\ncertificate {} (`tallybook erase certificate {}`)\n",
        crate::support::table::counted(certificate.statements.len(), "statement"),
        erasure.digest,
        erasure.erasure
    ));
    for what in told.needs_person {
        text.push_str(&format!("ACTION REQUIRED: {what}\n"));
    }
    text
}

fn plan_text(plan: &Plan) -> String {
    let mut text = format!("account {}\n", plan.uin);
    let mut add = |heading: &'static str, rows: &[Counted]| {
        let mut table = Table::new(&[heading, "rows"]);
        for counted in rows {
            table.row([counted.what.to_owned(), grouped(counted.rows)]);
        }
        text.push_str(&table.text());
    };
    add("would go", &plan.goes);
    add("would stay under a pseudonym", &plan.stays);
    if !plan.exports.is_empty() {
        text.push_str("finance has it in these exports; what was fetched from there is not in reach:\n");
        for folder in &plan.exports {
            text.push_str(&format!("  exports/{folder}\n"));
        }
    }
    for cause in &plan.causes {
        text.push_str(&format!("NOT YET: {cause}\n"));
    }
    text.push_str("dry run: nothing was written\n");
    text
}

fn list_text(all: &[Erasure]) -> String {
    if all.is_empty() {
        return "no account was erased\n".to_owned();
    }
    let mut table = Table::new(&["erasure", "at", "request", "audit entry", "certificate"]);
    for erasure in all {
        table.row([
            erasure.erasure.to_string(),
            erasure.erased_at.clone(),
            erasure.request.clone(),
            erasure.audit_entry.to_string(),
            erasure.digest.clone(),
        ]);
    }
    table.text()
}
