//! `usage` and `statement`: an account's days and periods, or those of several.

use anyhow::Result;
use chrono::{Days, Months, NaiveDate};
use serde::Serialize;

use super::args::{AccountArgs, Args, Span};
use super::print;
use crate::catalog::account::Account;
use crate::catalog::account::store::{load_account, load_accounts};
use crate::catalog::account::unknown::unknown_account;
use crate::context::Books;
use crate::inspect::statement::{Shown, Statements};
use crate::inspect::usage::{UsageLine, usage};
use crate::pipeline::close::statement::document::{COLUMNS, rows};
use crate::support::error::Error;
use crate::support::table::Table;
use crate::values::calendar::local_day;

/// Days before today that are shown where nobody says which.
const DAYS_SHOWN: Days = Days::new(31);

/// Prints usage by day, app, region and SKU.
pub async fn show_usage(args: &Args, books: &Books, accounts: &AccountArgs, span: Span) -> Result<()> {
    let asked = asked(books, accounts).await?;
    let mut answer = Answer::new(args, span, asked.len());
    for (uin, account) in asked {
        let (from, to) = days_of(books, &account, span)?;
        let lines = usage(&books.ledger, uin, from, to).await?;
        answer.add(&lines, || {
            usage_text(uin, &lines, answer_is_of_several(accounts), span.csv)
        });
    }
    answer.end();
    Ok(())
}

/// Prints statements and drafts.
pub async fn show_statements(args: &Args, books: &Books, accounts: &AccountArgs, span: Span) -> Result<()> {
    let asked = asked(books, accounts).await?;
    let statements = Statements::of(books).await?;
    let mut answer = Answer::new(args, span, asked.len());
    for (uin, account) in asked {
        let days = days_of(books, &account, span)?;
        let shown = statements.of_account(uin, &account, days).await?;
        let json: Vec<serde_json::Value> = shown.iter().map(statement_json).collect::<Result<_>>()?;
        let text = statements_text(uin, &shown, days, span.csv)?;
        answer.add(&json, || text);
    }
    answer.end();
    Ok(())
}

fn answer_is_of_several(accounts: &AccountArgs) -> bool {
    accounts.all || accounts.uins.len() > 1
}

/// The accounts that were asked for, each once, in the order in which they were named.
async fn asked(books: &Books, accounts: &AccountArgs) -> Result<Vec<(u64, Account)>> {
    if accounts.all {
        let all = load_accounts(&books.ledger).await?;
        return Ok(all.iter().map(|(uin, account)| (uin, account.clone())).collect());
    }
    let mut asked: Vec<(u64, Account)> = Vec::new();
    for &uin in &accounts.uins {
        if asked.iter().any(|(known, _)| *known == uin) {
            continue;
        }
        match load_account(&books.ledger, uin).await? {
            Some(account) => asked.push((uin, account)),
            None => return Err(unknown_account(&books.ledger, uin).await?.into()),
        }
    }
    Ok(asked)
}

/// The days that are shown of an account, `[from, to)`: those that were said, else up to its own today.
fn days_of(books: &Books, account: &Account, span: Span) -> Result<(NaiveDate, NaiveDate)> {
    if let Some(first) = span.month {
        return Ok((
            first,
            first.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX),
        ));
    }
    let zone = account.terms_on(books.clock.today()).zone;
    let today = local_day(zone, books.clock.now());
    let from = span
        .from
        .unwrap_or_else(|| today.checked_sub_days(DAYS_SHOWN).unwrap_or(today));
    let to = span.to.unwrap_or_else(|| today.succ_opt().unwrap_or(today));
    if from < to {
        return Ok((from, to));
    }
    Err(match span.to {
        Some(_) => Error::Usage(format!("--from {from} is not before --to {to}, the day after the last")),
        None => Error::Usage(format!(
            "--from {from} is in the future: today is {today} in the account's time zone, {zone}"
        )),
    }
    .into())
}

/// What is printed account by account, so that no more than one is held: a JSON array, or text.
struct Answer {
    is_json: bool,
    is_csv: bool,
    is_first: bool,
}

impl Answer {
    fn new(args: &Args, span: Span, accounts: usize) -> Self {
        let answer = Self {
            is_json: args.json,
            is_csv: span.csv,
            is_first: true,
        };
        if accounts == 0 && !args.json {
            print::out("no accounts yet\n");
        }
        answer
    }

    /// Prints the items of one account. CSV has its header once.
    fn add<T: Serialize>(&mut self, items: &[T], text: impl FnOnce() -> String) {
        if self.is_json {
            for item in items {
                let before = if self.is_first { "[" } else { "," };
                let item = serde_json::to_string(item).expect("reports are plain data");
                print::out(&format!("{before}{item}"));
                self.is_first = false;
            }
            return;
        }
        let text = text();
        let text = match (self.is_first, self.is_csv) {
            (true, _) => text,
            (false, true) => text.split_once('\n').map_or("", |(_header, rows)| rows).to_owned(),
            (false, false) => format!("\n{text}"),
        };
        print::out(&text);
        self.is_first = false;
    }

    fn end(self) {
        if self.is_json {
            print::out(if self.is_first { "[]\n" } else { "]\n" });
        }
    }
}

fn usage_text(uin: u64, lines: &[UsageLine], names_account: bool, csv: bool) -> String {
    let header = [
        "uin",
        "day",
        "app",
        "region",
        "sku",
        "records",
        "raw_units",
        "billable_units",
    ];
    // A table is of one account.
    let from = usize::from(!csv);
    let mut table = Table::new(&header[from..]);
    for l in lines {
        let names = [&l.uin, &l.day, &l.appid, &l.region, &l.sku].map(Clone::clone);
        let numbers = [l.records, l.raw_units, l.billable_units].map(|n| n.to_string());
        table.row(names.into_iter().chain(numbers).skip(from));
    }
    match (csv, names_account) {
        (true, _) => table.csv(),
        (false, true) => format!("account {uin}\n{}", table.text()),
        (false, false) => table.text(),
    }
}

fn statements_text(uin: u64, shown: &[Shown], (from, to): (NaiveDate, NaiveDate), csv: bool) -> Result<String> {
    if csv {
        return Ok(print::statements_csv(shown)?);
    }
    if shown.is_empty() {
        return Ok(format!(
            "account {uin} has no statements or drafts between {from} and {to}\n"
        ));
    }
    let texts: Vec<String> = shown.iter().map(print::statement).collect::<Result<_, _>>()?;
    Ok(texts.join("\n"))
}

/// The columns of a line that are whole numbers.
const NUMBERS: [&str; 5] = ["line_no", "records", "corrects_line", "slice", "packages"];

/// The columns that a line may be without; all other texts may be empty.
const MAY_LACK: [&str; 10] = [
    "appid",
    "card_version",
    "quantity",
    "unit_price",
    "discount_percent",
    "corrects_statement",
    "span_start",
    "multiplier",
    "usage_quantity",
    "corrects_kind",
];

fn statement_json(shown: &Shown) -> Result<serde_json::Value> {
    let s = &shown.statement;
    let mut lines = Vec::new();
    for row in rows(s.text()?)? {
        let mut line = serde_json::Map::new();
        for (name, cell) in COLUMNS.iter().zip(row) {
            line.insert((*name).to_owned(), cell_json(name, &cell)?);
        }
        lines.push(serde_json::Value::from(line));
    }
    Ok(serde_json::json!({
        "statement_id": s.statement_id,
        "draft": shown.draft,
        "uin": s.uin.to_string(),
        "period_start": s.period_start_text(),
        "period_end": s.period_end_text(),
        "currency": s.currency.to_string(),
        "total": s.total_text(),
        "digest": (!shown.draft).then_some(&s.digest),
        "unpriced": shown.unpriced,
        "usage_through": shown.usage_through.map(|day| day.to_string()),
        "lines": lines,
    }))
}

/// Numbers that count are numbers; amounts, quantities and prices are texts, so that no reader rounds them.
fn cell_json(column: &str, cell: &str) -> Result<serde_json::Value> {
    let is_number = NUMBERS.contains(&column);
    if cell.is_empty() && (is_number || MAY_LACK.contains(&column)) {
        return Ok(serde_json::Value::Null);
    }
    if !is_number {
        return Ok(cell.into());
    }
    let number: i64 = cell.parse().map_err(|_| {
        Error::Unbalanced(format!(
            "a statement line has the invalid {column} {cell:?}; run `tallybook verify`"
        ))
    })?;
    Ok(number.into())
}
