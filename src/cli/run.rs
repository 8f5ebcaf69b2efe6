//! One command: what it calls, what it prints, its exit code.

use std::path::PathBuf;

use anyhow::Result;
use chrono::{Days, NaiveDate};
use serde::Serialize;

use super::args::{AccountCommand, Args, Command, CycleName, QuarantineCommand, RateCardCommand, Span};
use super::config::open_books;
use super::print;
use crate::account::add::{Wanted, add};
use crate::account::store::load_accounts;
use crate::account::terms::PriceOverride;
use crate::books::Books;
use crate::card::check_folder;
use crate::card::import::{findings_text, import, read_files};
use crate::card::store::{imported, load_cards};
use crate::close::close;
use crate::error::Error;
use crate::expire::expire;
use crate::export::{export_again, export_new};
use crate::ingest::input::Input;
use crate::ingest::{ingest, retry, store as ingest_store};
use crate::ledger::Lease;
use crate::meter::{meter, rebuild};
use crate::nightly::report as night_report;
use crate::span::Cycle;
use crate::table::{Table, grouped};
use crate::{demo, nightly, query};

const NEEDS_PERSON: u8 = 3;
const UNBALANCED: u8 = 4;

/// Runs the command and returns its exit code.
pub async fn run(args: &Args) -> Result<u8> {
    if let Command::RateCard {
        command: RateCardCommand::Check { files },
    } = &args.command
    {
        return check_cards(args, files);
    }
    if let Command::Demo { records, seed } = &args.command {
        return run_demo(args, *seed, *records).await;
    }
    let books = open_books(args).await?;
    let code = run_with_books(args, &books).await;
    books.ledger.close().await;
    code
}

async fn run_with_books(args: &Args, books: &Books) -> Result<u8> {
    match &args.command {
        Command::Ingest { files, source, format } => {
            let source = source.as_deref().unwrap_or(&books.settings.source);
            let mut reports = Vec::new();
            for file in files {
                reports.push(ingest(books, &Input::named(file, *format)?, source).await?);
            }
            report(args, &reports, || reports.iter().map(night_report::ingested).collect());
        }
        Command::Nightly => {
            let night = nightly::nightly(books).await?;
            report(args, &night, || night_report::night(&night));
            return Ok(night.exit_code());
        }
        Command::Meter { rebuild: true } => return recount(args, books).await,
        Command::Meter { rebuild: false } => {
            let lease = Lease::take(&books.ledger, "meter").await?;
            let metered = meter(books, &lease).await;
            lease.release().await?;
            let metered = metered?;
            report(args, &metered, || night_report::metered(&metered));
        }
        Command::Close => {
            let lease = Lease::take(&books.ledger, "close").await?;
            let closed = close(books, &lease, &load_accounts(&books.ledger).await?).await;
            lease.release().await?;
            let closed = closed?;
            report(args, &closed, || night_report::closed(&closed));
            return Ok(if closed.blocked.is_empty() { 0 } else { NEEDS_PERSON });
        }
        Command::Export {
            again: Some(number),
            to,
        } => {
            let lease = Lease::take(&books.ledger, "export").await?;
            let exported = export_again(books, *number, to.as_deref()).await;
            lease.release().await?;
            let exported = [exported?];
            report(args, &exported, || night_report::exported(&exported));
        }
        Command::Export { again: None, .. } => {
            let lease = Lease::take(&books.ledger, "export").await?;
            let exported = export_new(books, &lease).await;
            lease.release().await?;
            let exported = exported?;
            report(args, &exported, || night_report::exported(&exported));
        }
        Command::Expire { waive, reason } => return run_expire(args, books, *waive, reason.as_deref()).await,
        Command::Usage { uin, span } => show_usage(args, books, *uin, *span).await?,
        Command::Statement { uin, span } => show_statements(args, books, *uin, *span).await?,
        Command::RateCard { command } => run_rate_card(args, books, command).await?,
        Command::Account { command } => run_account(args, books, command).await?,
        Command::Quarantine { command } => run_quarantine(args, books, command).await?,
        Command::Verify => return verify(args, books).await,
        Command::Status => {
            let status = query::status::status(books).await?;
            report(args, &status, || print::status(&status));
        }
        Command::Demo { .. } => unreachable!("run before the books are opened"),
    }
    Ok(0)
}

/// Prints one JSON document, or text.
fn report<T: Serialize + ?Sized>(args: &Args, value: &T, text: impl FnOnce() -> String) {
    if args.json {
        print::out(&format!(
            "{}\n",
            serde_json::to_string(value).expect("reports are plain data")
        ));
    } else {
        print::out(&text());
    }
}

async fn run_demo(args: &Args, seed: u64, records: usize) -> Result<u8> {
    let folder = args.data_dir.clone().unwrap_or_else(|| PathBuf::from("tallybook-demo"));
    let outcome = demo::run(&folder, seed, records, &mut |line| {
        if !args.json {
            print::out(&format!("{line}\n"));
        }
    })
    .await?;
    report(args, &outcome, || outcome.text());
    Ok(0)
}

async fn recount(args: &Args, books: &Books) -> Result<u8> {
    let recount = rebuild::recount(books).await?;
    report(args, &recount, || {
        let same = if recount.differences.is_empty() {
            "the same usage"
        } else {
            "OTHER usage:"
        };
        format!(
            "measured {} raw rows again: {same} ({} sums compared)\n{}",
            grouped(recount.rows),
            recount.compared,
            recount
                .differences
                .iter()
                .map(|d| format!("  {d}\n"))
                .collect::<String>()
        )
    });
    Ok(if recount.differences.is_empty() { 0 } else { UNBALANCED })
}

async fn verify(args: &Args, books: &Books) -> Result<u8> {
    let verified = query::verify::verify(books).await?;
    report(args, &verified, || {
        let head = format!(
            "verified {} raw rows, {} usage sums, {} statements, {} exports: ",
            grouped(verified.raw_rows),
            verified.usage_sums,
            verified.statements,
            verified.exports
        );
        if verified.differences.is_empty() {
            return format!("{head}all agree\n");
        }
        let differences: String = verified.differences.iter().map(|d| format!("  {d}\n")).collect();
        format!("{head}{} DIFFERENCES\n{differences}", verified.differences.len())
    });
    Ok(if verified.differences.is_empty() { 0 } else { UNBALANCED })
}

async fn run_expire(args: &Args, books: &Books, waive: Option<NaiveDate>, reason: Option<&str>) -> Result<u8> {
    if let Some(day) = waive {
        crate::expire::store::waive(books, day, reason.unwrap_or_default()).await?;
        report(args, &serde_json::json!({ "waived": day.to_string() }), || {
            format!("{day} is waived\n")
        });
        return Ok(0);
    }
    let lease = Lease::take(&books.ledger, "expire").await?;
    let expired = expire(books, &lease).await;
    let swept = crate::raw::sweep::sweep(books).await;
    lease.release().await?;
    let expired = expired?;
    swept?;
    report(args, &expired, || night_report::expired(&expired));
    Ok(if expired.needs_person() { NEEDS_PERSON } else { 0 })
}

fn days_of(books: &Books, span: Span) -> Result<(NaiveDate, NaiveDate)> {
    let today = books.clock.today();
    let from = span
        .from
        .unwrap_or_else(|| today.checked_sub_days(Days::new(31)).unwrap_or(today));
    let to = span
        .to
        .unwrap_or_else(|| today.checked_add_days(Days::new(1)).unwrap_or(today));
    if from < to {
        return Ok((from, to));
    }
    Err(Error::Usage(format!("--from {from} is not before --to {to}")).into())
}

async fn show_usage(args: &Args, books: &Books, uin: u64, span: Span) -> Result<()> {
    let (from, to) = days_of(books, span)?;
    let lines = query::usage::usage(&books.ledger, uin, from, to).await?;
    let mut table = Table::new(&["day", "app", "region", "sku", "records", "raw_units", "billable_units"]);
    for l in &lines {
        let numbers = [l.records, l.raw_units, l.billable_units].map(|n| n.to_string());
        table.row(
            [l.day.clone(), l.appid.clone(), l.region.clone(), l.sku.clone()]
                .into_iter()
                .chain(numbers),
        );
    }
    report(args, &lines, || if span.csv { table.csv() } else { table.text() });
    Ok(())
}

async fn show_statements(args: &Args, books: &Books, uin: u64, span: Span) -> Result<()> {
    let (from, to) = days_of(books, span)?;
    let shown = query::statement::statements(books, uin, from, to).await?;
    let json: Vec<serde_json::Value> = shown.iter().map(statement_json).collect::<Result<_>>()?;
    report(args, &json, || {
        if shown.is_empty() {
            return format!("account {uin} has no statement and no draft between {from} and {to}\n");
        }
        if span.csv {
            return shown.iter().map(|s| print::lines_table(s).csv()).collect();
        }
        shown.iter().map(print::statement).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

fn statement_json(shown: &query::statement::Shown) -> Result<serde_json::Value> {
    let s = &shown.statement;
    let lines: Vec<serde_json::Value> = crate::close::document::cells(&s.document)?
        .iter()
        .map(|row| {
            let named = crate::close::document::COLUMNS.iter().zip(row.iter());
            named
                .map(|(name, cell)| ((*name).to_owned(), serde_json::Value::from(&**cell)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
        .collect();
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
        "lines": lines,
    }))
}

fn card_paths(books_cards: &std::path::Path, files: &[PathBuf]) -> Vec<PathBuf> {
    if files.is_empty() {
        vec![books_cards.to_owned()]
    } else {
        files.to_vec()
    }
}

fn check_cards(args: &Args, files: &[PathBuf]) -> Result<u8> {
    let default = args.rate_cards.clone().unwrap_or_else(|| PathBuf::from("rate-cards"));
    let files = read_files(&card_paths(&default, files))?;
    let borrowed: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let folder = check_folder(&borrowed);
    let found: Vec<String> = folder.findings.iter().map(ToString::to_string).collect();
    report(
        args,
        &serde_json::json!({ "files": files.len(), "findings": found }),
        || {
            if found.is_empty() {
                format!("{} files, {} cards, no findings\n", files.len(), folder.cards.len())
            } else {
                format!("{}\n", findings_text(&folder.findings))
            }
        },
    );
    Ok(if found.is_empty() { 0 } else { NEEDS_PERSON })
}

async fn run_rate_card(args: &Args, books: &Books, command: &RateCardCommand) -> Result<()> {
    match command {
        RateCardCommand::Check { .. } => unreachable!("run before the books are opened"),
        RateCardCommand::List => {
            let cards = imported(&books.ledger).await?;
            let mut table = Table::new(&["card", "from", "revision", "digest", "imported"]);
            for c in &cards {
                let cells = [
                    &c.name,
                    &c.valid_from,
                    &c.revision.to_string(),
                    &c.digest,
                    &c.imported_at,
                ];
                table.row(cells.map(Clone::clone));
            }
            report(args, &cards, || table.text());
        }
        RateCardCommand::Show { name, on } => {
            let cards = load_cards(&books.ledger).await?;
            let day = on.unwrap_or_else(|| books.clock.today());
            let Some(card) = cards.in_force(name, day) else {
                return Err(Error::Usage(format!("no version of rate card {name:?} is in force on {day}")).into());
            };
            let mut table = Table::new(&["sku", "region group", "unit", "from quantity", "price", "origin"]);
            for price in &card.prices {
                for (from, unit_price) in price.model.steps() {
                    let cells = [
                        &price.sku,
                        &price.region_group,
                        &price.unit.name,
                        &from.to_string(),
                        &unit_price.to_string(),
                    ];
                    table.row(
                        cells
                            .map(Clone::clone)
                            .into_iter()
                            .chain([format!("{:?}", price.origin).to_lowercase()]),
                    );
                }
            }
            report(args, &**card, || {
                format!(
                    "{} from {}, {}, {}\n{}",
                    card.name,
                    card.from,
                    card.currency,
                    card.zone,
                    table.text()
                )
            });
        }
        RateCardCommand::Import { files } => {
            let cards = import(books, &card_paths(&books.settings.rate_cards, files)).await?;
            report(args, &cards, || {
                cards
                    .iter()
                    .map(|c| format!("{} of {}: {}\n", c.card, c.from, c.outcome))
                    .collect()
            });
        }
    }
    Ok(())
}

async fn run_account(args: &Args, books: &Books, command: &AccountCommand) -> Result<()> {
    match command {
        AccountCommand::Add {
            uin,
            card,
            zone,
            cycle,
            anchor_day,
            discount,
            prices,
            from,
        } => {
            let cycle = match cycle {
                CycleName::Daily => Cycle::Daily,
                CycleName::Monthly => Cycle::Monthly {
                    anchor_day: *anchor_day,
                },
            };
            let overrides = prices.iter().map(|text| price_override(text)).collect::<Result<_>>()?;
            let wanted = Wanted {
                uin: *uin,
                card: card.clone(),
                zone: *zone,
                cycle,
                discount_percent: *discount,
                overrides,
                from: *from,
            };
            let terms = add(books, wanted).await?;
            report(args, &terms, || {
                format!("account {uin}: {} in {} from {}\n", terms.card, terms.zone, terms.from)
            });
        }
        AccountCommand::List => {
            let accounts = load_accounts(&books.ledger).await?;
            let mut table = Table::new(&[
                "account",
                "card",
                "zone",
                "cycle",
                "discount %",
                "first day",
                "closed to",
            ]);
            for (uin, account) in accounts.iter() {
                let terms = account.terms_on(books.clock.today());
                table.row([
                    uin.to_string(),
                    terms.card.clone(),
                    terms.zone.to_string(),
                    cycle_text(terms.cycle),
                    terms.discount_percent.to_string(),
                    account.first_day.map_or_else(|| "-".to_owned(), |d| d.to_string()),
                    account.closed_to.map_or_else(|| "-".to_owned(), |d| d.to_string()),
                ]);
            }
            let json: Vec<_> = accounts
                .iter()
                .map(|(uin, account)| account_json(uin, account))
                .collect();
            report(args, &json, || table.text());
        }
        AccountCommand::Show { uin } => {
            let accounts = load_accounts(&books.ledger).await?;
            let Some(account) = accounts.get(*uin) else {
                return Err(Error::Usage(format!(
                    "there is no account {uin}; `tallybook account list` shows those there are"
                ))
                .into());
            };
            report(args, &account_json(*uin, account), || account_text(*uin, account));
        }
    }
    Ok(())
}

fn account_text(uin: u64, account: &crate::account::Account) -> String {
    let mut text = format!("account {uin}\n");
    for terms in &account.terms {
        text.push_str(&format!(
            "terms    from {}: card {}, {}, {}, discount {} %\n",
            terms.from,
            terms.card,
            terms.zone,
            cycle_text(terms.cycle),
            terms.discount_percent
        ));
        for price in &terms.overrides {
            let group = price
                .region_group
                .as_ref()
                .map_or_else(String::new, |group| format!(" in {group}"));
            text.push_str(&format!("         {}{group} at {}\n", price.sku, price.unit_price));
        }
    }
    let day = |day: Option<NaiveDate>| day.map_or_else(|| "-".to_owned(), |d| d.to_string());
    text.push_str(&format!(
        "periods  from {}, closed to {}\n",
        day(account.first_day),
        day(account.closed_to)
    ));
    if let Some(period) = account.open_period() {
        text.push_str(&format!("open     {} to {}\n", period.start, period.end));
    }
    text
}

fn account_json(uin: u64, account: &crate::account::Account) -> serde_json::Value {
    serde_json::json!({
        "uin": uin.to_string(),
        "terms": account.terms,
        "first_day": account.first_day,
        "closed_to": account.closed_to,
    })
}

fn cycle_text(cycle: Cycle) -> String {
    match cycle {
        Cycle::Daily => "daily".to_owned(),
        Cycle::Monthly { anchor_day } => format!("monthly from day {anchor_day}"),
    }
}

/// `SKU=PRICE` or `SKU@GROUP=PRICE`.
fn price_override(text: &str) -> Result<PriceOverride> {
    let wrong = || {
        Error::Usage(format!(
            "--price {text:?}: write SKU=PRICE or SKU@REGION-GROUP=PRICE, such as Audio=0.005"
        ))
    };
    let (name, price) = text.split_once('=').ok_or_else(wrong)?;
    let (sku, group) = match name.split_once('@') {
        Some((sku, group)) => (sku, Some(group.to_owned())),
        None => (name, None),
    };
    let unit_price = price.parse().map_err(|_| wrong())?;
    Ok(PriceOverride {
        sku: sku.to_owned(),
        region_group: group,
        unit_price,
    })
}

async fn run_quarantine(args: &Args, books: &Books, command: &QuarantineCommand) -> Result<()> {
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
