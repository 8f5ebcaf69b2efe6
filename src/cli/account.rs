//! `account`: add, list, show.

use std::collections::BTreeSet;

use anyhow::Result;
use chrono::NaiveDate;

use super::account_profile;
use super::account_profile::{labels_text, profile_text};
use super::args::{AccountCommand, Args, CycleName};
use super::price_change::money_text;
use super::print;
use super::run::report;
use crate::catalog::account::Account;
use crate::catalog::account::add::{Wanted, add, try_add};
use crate::catalog::account::profile::Profile;
use crate::catalog::account::profile::store::{profiles, versions_of};
use crate::catalog::account::store::load_accounts;
use crate::catalog::account::terms::{PriceOverride, Terms};
use crate::catalog::account::unknown::unknown_account;
use crate::catalog::rate_card::store::load_cards;
use crate::context::Books;
use crate::inspect::end_certificate::EndCertificate;
use crate::inspect::preview::{Change, Money, books_at, check_still, preview};
use crate::storage::ledger::Lease;
use crate::support::error::Error;
use crate::support::page::{reserve, write};
use crate::support::table::Table;
use crate::values::calendar::{Cycle, local_day};
use crate::values::money::parse_plain;

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
            dry_run,
        } => {
            let cycle = match (cycle, *anchor_day) {
                (None, None) => None,
                (Some(CycleName::Daily), None) => Some(Cycle::Daily),
                (Some(CycleName::Daily), Some(_)) => {
                    return Err(Error::Usage(
                        "--anchor-day applies only to a monthly cycle; omit it with --cycle daily".to_owned(),
                    )
                    .into());
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
            let told = if *dry_run {
                look(books, wanted).await?
            } else {
                let lease = Lease::take(&books.ledger, "account add").await?;
                let added = look_and_add(books, wanted).await;
                lease.release().await?;
                added?
            };
            report(args, &told, || told_text(*uin, &told));
        }
        AccountCommand::Set(set) => account_profile::run_set(args, books, set).await?,
        AccountCommand::Import(import) => account_profile::run_import(args, books, import).await?,
        AccountCommand::List => list(args, books).await?,
        AccountCommand::Show { uin } => show(args, books, *uin).await?,
        AccountCommand::Certificate { uin, page } => {
            let certificate = EndCertificate::of(books, *uin).await?;
            let (text, digest) = certificate.to_text()?;
            if let Some(page) = page {
                reserve(page)?;
                write(page, &certificate.page(&digest))?;
            }
            print::out(&text);
        }
    }
    Ok(())
}

/// All accounts, with their terms of today.
async fn list(args: &Args, books: &Books) -> Result<()> {
    let profiles = profiles(&books.ledger).await?;
    let accounts = load_accounts(&books.ledger).await?;
    let mut table = Table::new(&[
        "account",
        "card",
        "zone",
        "cycle",
        "discount %",
        "first day",
        "closed to",
        "ended on",
        "name",
        "labels",
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
            account.ended_on().map_or_else(|| "-".to_owned(), |d| d.to_string()),
            profiles
                .get(&uin)
                .and_then(|profile| profile.name.clone())
                .unwrap_or_default(),
            profiles.get(&uin).map(labels_text).unwrap_or_default(),
        ]);
    }
    let json: Vec<_> = accounts
        .iter()
        .map(|(uin, account)| account_json(uin, account, profiles.get(&uin)))
        .collect();
    report(args, &json, || table.text());
    Ok(())
}

/// One account.
async fn show(args: &Args, books: &Books, uin: u64) -> Result<()> {
    let accounts = load_accounts(&books.ledger).await?;
    let Some(account) = accounts.get(uin) else {
        return Err(unknown_account(&books.ledger, uin).await?.into());
    };
    let versions = versions_of(&books.ledger, uin).await?;
    let mut json = account_json(uin, account, versions.last());
    json["profile_versions"] = serde_json::to_value(&versions)?;
    report(args, &json, || account_text(uin, account, versions.last()));
    Ok(())
}

/// What adding changes, as it is told.
#[derive(serde::Serialize)]
struct Told {
    #[serde(flatten)]
    terms: Terms,
    /// The terms that held on their first day until now; none of a new account.
    before: Option<Terms>,
    /// What the account's periods come to by them.
    money: Money,
    dry_run: bool,
}

/// Tells what adding would change. Another run may go on beside it, which is an error.
async fn look(books: &Books, wanted: Wanted) -> crate::support::error::Result<Told> {
    let at = books_at(books).await?;
    let told = look_at(books, wanted).await?;
    check_still(at, books_at(books).await?)?;
    Ok(told)
}

async fn look_and_add(books: &Books, wanted: Wanted) -> crate::support::error::Result<Told> {
    let told = look_at(books, wanted.clone()).await?;
    let terms = add(books, wanted).await?;
    Ok(Told {
        terms,
        dry_run: false,
        ..told
    })
}

async fn look_at(books: &Books, wanted: Wanted) -> crate::support::error::Result<Told> {
    let uin = wanted.uin;
    let (added, before) = try_add(books, wanted).await?;
    let cards = load_cards(&books.ledger).await?;
    let mut after = before.clone();
    after.extend(vec![(uin, added.account)]);
    let change = Change {
        before: &before,
        after: &after,
        cards: &cards,
        uins: [uin].into(),
        again: Vec::new(),
    };
    Ok(Told {
        money: preview(books, &change).await?,
        terms: added.terms,
        before: added.before,
        dry_run: true,
    })
}

fn told_text(uin: u64, told: &Told) -> String {
    let mut text = format!("account {uin}\n");
    if let Some(before) = &told.before {
        text.push_str(&format!(
            "until {}, {}",
            told.terms.from,
            terms_text(before).trim_start()
        ));
    }
    text.push_str(&terms_text(&told.terms));
    if told.before.is_some() {
        text.push_str(&changes_text(told.before.as_ref(), &told.terms));
        text.push_str(&money_text(&told.money));
    }
    if told.dry_run {
        text.push_str("dry run: nothing was written\n");
    }
    text
}

/// What is other than before, such as `discount 0 -> 10 %`.
pub(super) fn changes_text(before: Option<&Terms>, terms: &Terms) -> String {
    let Some(before) = before else { return String::new() };
    let mut changes = Vec::new();
    let mut change = |what: &str, old: String, new: String| {
        if old != new {
            changes.push(format!("{what} {old} -> {new}"));
        }
    };
    let percent = |terms: &Terms| format!("{} %", terms.discount_percent);
    change("card", before.card.clone(), terms.card.clone());
    change("cycle", cycle_text(before.cycle), cycle_text(terms.cycle));
    change("discount", percent(before), percent(terms));
    let scopes: BTreeSet<String> = before
        .overrides
        .iter()
        .chain(&terms.overrides)
        .map(scope_text)
        .collect();
    for scope in scopes {
        let price = |terms: &Terms| {
            let agreed = terms.overrides.iter().find(|price| scope_text(price) == scope);
            agreed.map_or_else(|| "the card's price".to_owned(), |price| price.unit_price.to_string())
        };
        change(&scope, price(before), price(terms));
    }
    if changes.is_empty() {
        return format!("no change from {} on\n", terms.from);
    }
    format!("from {} on: {}\n", terms.from, changes.join("; "))
}

fn scope_text(price: &PriceOverride) -> String {
    let group = price.region_group.as_ref();
    let group = group.map_or_else(String::new, |group| format!(" in {group}"));
    format!("{}{group}", price.sku)
}

fn account_text(uin: u64, account: &Account, profile: Option<&Profile>) -> String {
    let mut text = format!("account {uin}\n");
    text.push_str(&profile.map(profile_text).unwrap_or_default());
    for terms in &account.terms {
        text.push_str(&terms_text(terms));
    }
    let day = |day: Option<NaiveDate>| day.map_or_else(|| "-".to_owned(), |d| d.to_string());
    text.push_str(&format!(
        "periods  from {}, closed to {}\n",
        day(account.first_day),
        day(account.closed_to)
    ));
    for end in &account.ends {
        let taken_back = if end.is_taken_back { ", taken back" } else { "" };
        text.push_str(&format!("ended    on {}{taken_back}\n", end.day));
    }
    if let Some(period) = account.open_period() {
        text.push_str(&format!("open     {} to {}\n", period.start, period.end));
    }
    text
}

pub(super) fn terms_text(terms: &Terms) -> String {
    let mut text = format!(
        "terms    from {}: card {}, {}, {}, discount {} %\n",
        terms.from,
        terms.card,
        terms.zone,
        cycle_text(terms.cycle),
        terms.discount_percent
    );
    for price in &terms.overrides {
        text.push_str(&format!("         {} at {}\n", scope_text(price), price.unit_price));
    }
    text
}

fn account_json(uin: u64, account: &Account, profile: Option<&Profile>) -> serde_json::Value {
    serde_json::json!({
        "uin": uin.to_string(),
        "terms": account.terms,
        "first_day": account.first_day,
        "closed_to": account.closed_to,
        "ended_on": account.ended_on(),
        "ends": account.ends,
        "profile": profile,
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
