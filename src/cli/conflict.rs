//! `conflict`: list, show, keep, replace.

use anyhow::Result;

use super::args::{Args, ConflictCommand};
use super::run::report;
use crate::books::Books;
use crate::conflict::{Listed, ResolvedConflict, Shown, list, resolve, show};
use crate::ledger::Lease;
use crate::meter::resolution::Word;
use crate::nightly::report::{metered, money_text};
use crate::parameters::are_equal;
use crate::table::Table;

/// Runs one of them.
pub async fn run(args: &Args, books: &Books, command: &ConflictCommand) -> Result<()> {
    match command {
        ConflictCommand::List { all } => {
            let listed = list(books, *all, None).await?;
            report(args, &listed, || list_text(&listed));
        }
        ConflictCommand::Show { number } => {
            let shown = show(books, *number).await?;
            report(args, &shown, || shown_text(&shown));
        }
        ConflictCommand::Keep { number, reason } => decide(args, books, *number, Word::Kept, reason).await?,
        ConflictCommand::Replace { number, reason } => decide(args, books, *number, Word::Replaced, reason).await?,
    }
    Ok(())
}

async fn decide(args: &Args, books: &Books, number: i64, word: Word, reason: &str) -> Result<()> {
    let lease = Lease::take(&books.ledger, "conflict").await?;
    let resolved = resolve(books, &lease, number, word, reason).await;
    lease.release().await?;
    let resolved = resolved?;
    report(args, &resolved, || resolved_text(&resolved));
    Ok(())
}

fn list_text(listed: &[Listed]) -> String {
    if listed.is_empty() {
        return "no conflict is open\n".to_owned();
    }
    let mut table = Table::new(&[
        "number",
        "source",
        "id",
        "stands",
        "differs",
        "state",
        "if the later stood",
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
    table.text()
}

/// An input's name without its folders; `conflict show` has them.
fn file_name(input: &str) -> &str {
    input.rsplit('/').next().unwrap_or(input)
}

fn shown_text(shown: &Shown) -> String {
    let row = &shown.listed.row;
    let mut table = Table::new(&["field", "stands", "later"]);
    for (name, stands, later) in &shown.fields {
        let is_same = stands == later || *name == "parameters" && are_equal(stands, later);
        let mark = if is_same { "" } else { " *" };
        table.row([format!("{name}{mark}"), stands.clone(), later.clone()]);
    }
    format!(
        "conflict {} ({}): {} {}\nfirst  {} line {} (batch {})\nlater  {} line {} (batch {})\n{}if the later stood: {}\n",
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
            "conflict {other} has the same content and is resolved with it\n"
        ));
    }
    if let Some(moved) = &resolved.metered {
        text.push_str(&format!("the books move by {}\n", money_text(&resolved.listed)));
        text.push_str(&metered(moved));
    }
    text
}
