//! `conflict`: list, show, keep, replace.

use anyhow::Result;

use super::args::{Args, ConflictCommand, ConflictsOf, Decide};
use super::run::report;
use crate::context::Books;
use crate::decisions::conflict::bulk::{Filter, ResolvedAll, resolve_all};
use crate::decisions::conflict::{ListedAll, ResolvedConflict, Shown, list_of, resolve, show};
use crate::nightly::report::{metered, money_text, sums_text};
use crate::pipeline::meter::dedupe::resolution::Resolution;
use crate::storage::ledger::Lease;
use crate::support::table::{Table, counted};
use crate::values::parameters::are_equal;

/// Runs one of them.
pub async fn run(args: &Args, books: &Books, command: &ConflictCommand) -> Result<()> {
    match command {
        ConflictCommand::List { of, all } => {
            let listed = list_of(books, &filter(of), *all).await?;
            report(args, &listed, || list_text(&listed, of));
        }
        ConflictCommand::Show { number } => {
            let shown = show(books, *number).await?;
            report(args, &shown, || shown_text(&shown));
        }
        ConflictCommand::Keep(decision) => decide(args, books, decision, Resolution::Kept).await?,
        ConflictCommand::Replace(decision) => decide(args, books, decision, Resolution::Replaced).await?,
    }
    Ok(())
}

fn filter(of: &ConflictsOf) -> Filter {
    Filter {
        batch: of.batch,
        input: of.input.clone(),
        account: of.account,
    }
}

async fn decide(args: &Args, books: &Books, decision: &Decide, word: Resolution) -> Result<()> {
    let lease = Lease::take(&books.ledger, "conflict").await?;
    let reason = &decision.reason;
    match (decision.number, &decision.list) {
        (Some(number), _) => {
            let resolved = resolve(books, &lease, number, word, reason).await;
            lease.release().await?;
            let resolved = resolved?;
            report(args, &resolved, || resolved_text(&resolved));
        }
        (None, digest) => {
            let digest = digest.as_deref().expect("clap asks for --list without a number");
            let resolved = resolve_all(books, &lease, &filter(&decision.of), digest, word, reason).await;
            lease.release().await?;
            let resolved = resolved?;
            report(args, &resolved, || resolved_all_text(&resolved));
        }
    }
    Ok(())
}

fn list_text(all: &ListedAll, of: &ConflictsOf) -> String {
    let listed = &all.conflicts;
    if listed.is_empty() {
        return "no open conflicts\n".to_owned();
    }
    let mut table = Table::new(&[
        "number",
        "source",
        "id",
        "current",
        "later",
        "state",
        "with the later version",
    ]);
    for conflict in listed {
        let row = &conflict.row;
        table.row([
            row.conflict.to_string(),
            row.source.clone(),
            row.id.clone(),
            file_name(&conflict.stands).to_owned(),
            format!("{} line {}", file_name(&row.input), row.line),
            row.state.clone(),
            money_text(conflict),
        ]);
    }
    let mut text = table.text();
    if all.count > 0 {
        let filters = filters_text(of);
        let list = &all.digest;
        text.push_str(&sums_text(all.count, &all.money, &all.note));
        text.push_str(&format!(
            "to decide all of them: `tallybook conflict keep{filters} --list {list} --reason TEXT`, or `replace` with the same \
             options\n"
        ));
    }
    text
}

/// The filters as they were typed; `--all` where there was none.
fn filters_text(of: &ConflictsOf) -> String {
    let batch = of.batch.map(|batch| format!(" --batch {batch}"));
    let input = of.input.as_ref().map(|input| format!(" --input {input}"));
    let account = of.account.map(|account| format!(" --account {account}"));
    let filters: String = [batch, input, account].into_iter().flatten().collect();
    if filters.is_empty() {
        " --all".to_owned()
    } else {
        filters
    }
}

fn resolved_all_text(resolved: &ResolvedAll) -> String {
    let mut text = if resolved.list.count == 0 {
        format!(
            "that list was decided before (audit entry {}); usage is updated now\n",
            resolved.audit_entry
        )
    } else {
        format!(
            "{} {} (audit entry {})\n",
            counted(resolved.list.count, "conflict"),
            resolved.state,
            resolved.audit_entry
        )
    };
    if !resolved.repeated.is_empty() {
        let numbers: Vec<String> = resolved.repeated.iter().map(ToString::to_string).collect();
        text.push_str(&format!(
            "also resolved, because they have the same content: {}\n",
            numbers.join(", ")
        ));
    }
    if let Some(moved) = &resolved.metered {
        text.push_str(&sums_text(
            resolved.list.count,
            &resolved.list.money,
            &resolved.list.note,
        ));
        text.push_str(&metered(moved));
    }
    text
}

/// An input's name without its folders; `conflict show` has them.
fn file_name(input: &str) -> &str {
    input.rsplit('/').next().unwrap_or(input)
}

fn shown_text(shown: &Shown) -> String {
    let row = &shown.listed.row;
    let mut table = Table::new(&["field", "current", "later"]);
    for (name, stands, later) in &shown.fields {
        let is_same = stands == later || *name == "parameters" && are_equal(stands, later);
        let mark = if is_same { "" } else { " *" };
        table.row([format!("{name}{mark}"), stands.clone(), later.clone()]);
    }
    format!(
        "conflict {} ({}): {} {}\nfirst  {} line {} (batch {})\nlater  {} line {} (batch {})\n{}with the later version: {}\n",
        row.conflict,
        row.state,
        row.source,
        row.id,
        row.first_input,
        row.first_line,
        row.first_batch,
        row.input,
        row.line,
        row.batch,
        table.text(),
        money_text(&shown.listed)
    )
}

fn resolved_text(resolved: &ResolvedConflict) -> String {
    let row = &resolved.listed.row;
    let mut text = format!(
        "conflict {} is {} (audit entry {})\n",
        row.conflict, row.state, resolved.audit_entry
    );
    for other in &resolved.repeated {
        text.push_str(&format!(
            "conflict {other} has the same content and is resolved as well\n"
        ));
    }
    if let Some(moved) = &resolved.metered {
        text.push_str(&format!("change of charges: {}\n", money_text(&resolved.listed)));
        text.push_str(&metered(moved));
    }
    text
}
