//! `account set` and `account import`: who accounts are, one at a time or from a file.

use std::path::PathBuf;

use anyhow::Result;

use super::account::{changes_text, terms_text};
use super::args::Args;
use super::parse;
use super::price_change::money_text;
use super::run::report;
use crate::catalog::account::import::{AccountDifference, ImportedAccounts, import, try_import};
use crate::catalog::account::profile::set::{Set, set, try_set};
use crate::catalog::account::profile::{Profile, Said, label};
use crate::catalog::rate_card::store::load_cards;
use crate::context::Books;
use crate::inspect::preview::{Change, Money, books_at, check_still, preview};
use crate::storage::ledger::Lease;
use crate::support::error::AtPath as _;
use crate::support::table::counted;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("said").required(true).multiple(true).args(["name", "contact", "contract", "labels", "unlabel"])))]
pub struct SetArgs {
    /// Account number
    #[arg(value_parser = parse::uin)]
    uin: u64,
    /// Name; an empty text takes it away
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Billing contact, a person or a mailbox; an empty text takes it away
    #[arg(long, value_name = "TEXT")]
    contact: Option<String>,
    /// Number of the contract; an empty text takes it away
    #[arg(long, value_name = "TEXT")]
    contract: Option<String>,
    /// Set a label
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Take a label away
    #[arg(long, value_name = "KEY")]
    unlabel: Vec<String>,
    /// Write nothing; show what would change
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// File of accounts: .csv or .toml
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write nothing; show each difference, and the effect on open periods in money
    #[arg(long)]
    pub dry_run: bool,
}

/// What setting changed, as it is told.
#[derive(serde::Serialize)]
struct ToldSet {
    #[serde(flatten)]
    set: Set,
    dry_run: bool,
}

/// Sets the profile of an account.
pub async fn run_set(args: &Args, books: &Books, typed: &SetArgs) -> Result<()> {
    let said = Said {
        name: typed.name.clone(),
        contact: typed.contact.clone(),
        contract: typed.contract.clone(),
        labels: typed.labels.iter().cloned().collect(),
        unlabel: typed.unlabel.clone(),
    };
    let set = if typed.dry_run {
        try_set(books, typed.uin, &said).await?
    } else {
        set(books, typed.uin, &said).await?
    };
    let told = ToldSet {
        set,
        dry_run: typed.dry_run,
    };
    report(args, &told, || set_text(&told));
    Ok(())
}

fn set_text(told: &ToldSet) -> String {
    let mut text = format!("account {}\n", told.set.uin);
    for change in &told.set.changes {
        text.push_str(&format!("  {}\n", change.sentence()));
    }
    if told.set.changes.is_empty() {
        text.push_str("  no change\n");
    }
    text.push_str(dry_run_text(told.dry_run));
    text
}

fn dry_run_text(dry_run: bool) -> &'static str {
    if dry_run { "dry run: nothing was written\n" } else { "" }
}

/// What importing changed, as it is told.
#[derive(serde::Serialize)]
struct ToldImport {
    differences: Vec<AccountDifference>,
    unchanged: usize,
    /// What the accounts' periods come to by new terms; none but with --dry-run.
    money: Option<Money>,
    dry_run: bool,
}

/// Imports a file of accounts.
pub async fn run_import(args: &Args, books: &Books, typed: &ImportArgs) -> Result<()> {
    let text = std::fs::read_to_string(&typed.file).at(&typed.file)?;
    let name = typed.file.display().to_string();
    let told = if typed.dry_run {
        look(books, &text, &name).await?
    } else {
        let lease = Lease::take(&books.ledger, "account import").await?;
        let imported = import(books, &text, &name).await;
        lease.release().await?;
        told_import(imported?, None)
    };
    report(args, &told, || import_text(&told));
    Ok(())
}

fn told_import(imported: ImportedAccounts, money: Option<Money>) -> ToldImport {
    ToldImport {
        differences: imported.differences,
        unchanged: imported.unchanged,
        dry_run: money.is_some(),
        money,
    }
}

/// Tells what importing would change. Another run may go on beside it, which is an error.
async fn look(books: &Books, text: &str, name: &str) -> crate::support::error::Result<ToldImport> {
    let at = books_at(books).await?;
    let imported = try_import(books, text, name).await?;
    let cards = load_cards(&books.ledger).await?;
    let with_terms = imported.differences.iter().filter(|one| one.terms.is_some());
    let change = Change {
        before: &imported.before,
        after: &imported.after,
        cards: &cards,
        uins: with_terms.filter_map(|one| one.uin.parse().ok()).collect(),
        again: Vec::new(),
    };
    let money = preview(books, &change).await?;
    check_still(at, books_at(books).await?)?;
    Ok(told_import(imported, Some(money)))
}

fn import_text(told: &ToldImport) -> String {
    let mut text: String = told.differences.iter().map(difference_text).collect();
    let new = told.differences.iter().filter(|one| one.is_new).count();
    text.push_str(&format!(
        "{}: {new} new, {} changed, {} unchanged\n",
        counted(told.differences.len() + told.unchanged, "account"),
        told.differences.len() - new,
        told.unchanged
    ));
    if let Some(money) = &told.money {
        text.push_str(&money_text(money));
    }
    text.push_str(dry_run_text(told.dry_run));
    text
}

fn difference_text(one: &AccountDifference) -> String {
    let new = if one.is_new { ", new" } else { "" };
    let mut text = format!("account {}{new}\n", one.uin);
    if let Some(terms) = &one.terms {
        let told = match &one.before {
            None => terms_text(terms),
            Some(before) => changes_text(Some(before), terms),
        };
        text.extend(told.lines().map(|line| format!("  {line}\n")));
    }
    text.extend(one.profile.iter().map(|change| format!("  {}\n", change.sentence())));
    text
}

/// A profile as `account show` has it; what is not set is left out.
pub(super) fn profile_text(profile: &Profile) -> String {
    let labels = Some(labels_text(profile)).filter(|labels| !labels.is_empty());
    let lines = [
        ("name", profile.name.clone()),
        ("contact", profile.contact.clone()),
        ("contract", profile.contract.clone()),
        ("labels", labels),
    ];
    let said = lines.into_iter().filter_map(|(what, text)| Some((what, text?)));
    said.map(|(what, text)| format!("{what:<8} {text}\n")).collect()
}

/// `team=video, tier=gold`.
pub(super) fn labels_text(profile: &Profile) -> String {
    let labels = profile.labels.iter().map(|(key, value)| format!("{key}={value}"));
    labels.collect::<Vec<_>>().join(", ")
}
