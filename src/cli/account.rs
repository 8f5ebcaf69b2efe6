//! `account`: add, list, show.

use anyhow::Result;
use chrono::NaiveDate;

use super::args::{AccountCommand, Args, CycleName};
use super::run::report;
use crate::account::add::{Wanted, add};
use crate::account::store::load_accounts;
use crate::account::terms::{PriceOverride, Terms};
use crate::account::unknown::unknown_account;
use crate::books::Books;
use crate::error::Error;
use crate::ledger::Lease;
use crate::money::parse_plain;
use crate::span::{Cycle, local_day};
use crate::table::Table;

/// Runs one of them.
pub async fn run(args: &Args, books: &Books, command: &AccountCommand) -> Result<()> {
    match command {
        AccountCommand::Add {
            uin,
            card,
            zone,
            cycle,
            anchor_day,
            discount,
            prices,
            card_prices,
            from,
        } => {
            let cycle = match (cycle, *anchor_day) {
                (None, None) => None,
                (Some(CycleName::Daily), None) => Some(Cycle::Daily),
                (Some(CycleName::Daily), Some(_)) => {
                    return Err(
                        Error::Usage("--anchor-day is of a monthly cycle; leave it out with daily".to_owned()).into(),
                    );
                }
                (_, anchor_day) => Some(Cycle::Monthly {
                    anchor_day: anchor_day.unwrap_or(1),
                }),
            };
            let overrides = prices.iter().map(|text| price_override(text)).collect::<Result<_>>()?;
            let wanted = Wanted {
                uin: *uin,
                card: card.clone(),
                zone: *zone,
                cycle,
                discount_percent: *discount,
                overrides,
                card_prices: *card_prices,
                from: *from,
            };
            let lease = Lease::take(&books.ledger, "account add").await?;
            let terms = add(books, wanted).await;
            lease.release().await?;
            let terms = terms?;
            report(args, &terms, || format!("account {uin}\n{}", terms_text(&terms)));
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
                let zone = account.terms_on(books.clock.today()).zone;
                let terms = account.terms_on(local_day(zone, books.clock.now()));
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
                return Err(unknown_account(&books.ledger, *uin).await?.into());
            };
            report(args, &account_json(*uin, account), || account_text(*uin, account));
        }
    }
    Ok(())
}

fn account_text(uin: u64, account: &crate::account::Account) -> String {
    let mut text = format!("account {uin}\n");
    for terms in &account.terms {
        text.push_str(&terms_text(terms));
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

fn terms_text(terms: &Terms) -> String {
    let mut text = format!(
        "terms    from {}: card {}, {}, {}, discount {} %\n",
        terms.from,
        terms.card,
        terms.zone,
        cycle_text(terms.cycle),
        terms.discount_percent
    );
    for price in &terms.overrides {
        let group = price
            .region_group
            .as_ref()
            .map_or_else(String::new, |group| format!(" in {group}"));
        text.push_str(&format!("         {}{group} at {}\n", price.sku, price.unit_price));
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
    let unit_price = parse_plain(price).map_err(|_| wrong())?;
    Ok(PriceOverride {
        sku: sku.to_owned(),
        region_group: group,
        unit_price,
    })
}
