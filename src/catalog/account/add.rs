//! Adding accounts and terms by hand, and the terms of those that appear by themselves.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::erased::ErasedAccounts;
use super::erased::store::{erased_accounts, refuse_one_of};
use super::store::{add_accounts, add_terms, load_accounts, usage_files_from};
use super::terms::{PriceOverride, Terms};
use super::usage::last_day;
use super::{Account, Accounts};
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::store::load_cards;
use crate::context::Books;
use crate::storage::ledger::{Decision, Tx, add_audit};
use crate::support::error::{Error, Result};
use crate::values::calendar::{Cycle, local_day};

/// The terms of an account that appears by itself: default card, the card's zone, monthly from the 1st. They hold from
/// whatever day its usage starts.
pub fn default_terms(books: &Books, cards: &RateCatalog) -> Result<Terms> {
    let name = &books.settings.default_card;
    let Some(card) = cards.of_name(name).last() else {
        return Err(Error::NeedsPerson(format!(
            "the default rate card {name:?} is not imported, so usage cannot be metered; put it into {} or run `tallybook \
             rate-card import FILE`",
            books.settings.rate_cards.display()
        )));
    };
    terms(
        NaiveDate::default(),
        name,
        card.zone,
        Cycle::Monthly { anchor_day: 1 },
        Decimal::ZERO,
        Vec::new(),
    )
}

/// What a person says about an account. What is not said is as the account's last terms have it, or the default.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub uin: u64,
    pub card: Option<String>,
    pub zone: Option<chrono_tz::Tz>,
    pub cycle: Option<Cycle>,
    pub discount_percent: Option<Decimal>,
    /// Each takes the place of the earlier one of its SKU and region group. Those of another card do not stay.
    pub overrides: Vec<PriceOverride>,
    /// Whether the agreed prices of the last terms hold no longer.
    pub card_prices: bool,
    pub from: Option<NaiveDate>,
}

/// What adding changed, or would change.
#[derive(Clone, Debug)]
pub struct Added {
    /// The terms that held on their first day until now; none of a new account.
    pub before: Option<Terms>,
    pub terms: Terms,
    /// The account after.
    pub account: Account,
}

/// What adding looks at: read once, for one account or a file of them.
#[derive(Debug)]
pub(super) struct Known {
    pub accounts: Accounts,
    cards: RateCatalog,
    erased: ErasedAccounts,
}

impl Known {
    /// Reads it. The caller holds the write lock, so that it still holds when it is used.
    pub async fn load(books: &Books) -> Result<Self> {
        Ok(Self {
            accounts: load_accounts(&books.ledger).await?,
            cards: load_cards(&books.ledger).await?,
            erased: erased_accounts(&books.ledger).await?,
        })
    }

    /// Refuses an erased account's number, and a pseudonym.
    pub fn refuse_erased(&self, uin: u64) -> Result<()> {
        refuse_one_of(&self.erased, uin)
    }
}

/// Adds an account, or later terms to one that is there. Terms start where a period ends and keep the zone. The caller holds
/// the lease: a close must not run beside it.
pub async fn add(books: &Books, wanted: Wanted) -> Result<Terms> {
    // The write lock comes first, so that what is read here still holds when it is used.
    let mut tx = books.ledger.begin().await?;
    let known = Known::load(books).await?;
    let added = add_known(books, &mut tx, &known, wanted).await?;
    books.ledger.commit(tx, "account").await?;
    Ok(added.terms)
}

/// Does what [`add`] does, and undoes it. Also all accounts as they are.
pub async fn try_add(books: &Books, wanted: Wanted) -> Result<(Added, Accounts)> {
    let mut tx = books.ledger.begin().await?;
    let known = Known::load(books).await?;
    let added = add_known(books, &mut tx, &known, wanted).await?;
    drop(tx);
    Ok((added, known.accounts))
}

/// Adds one account or later terms, beside what is known.
pub(super) async fn add_known(books: &Books, tx: &mut Tx, beside: &Known, wanted: Wanted) -> Result<Added> {
    beside.refuse_erased(wanted.uin)?;
    let (cards, known) = (&beside.cards, beside.accounts.get(wanted.uin));
    let last = known.and_then(|account| account.terms.last());
    let name = wanted
        .card
        .clone()
        .or_else(|| last.map(|terms| terms.card.clone()))
        .unwrap_or_else(|| books.settings.default_card.clone());
    let Some(card) = cards.of_name(&name).last() else {
        return Err(Error::Usage(format!(
            "rate card {name:?} is not imported; `tallybook rate-card list` shows the imported ones"
        )));
    };
    let zone = wanted.zone.or(last.map(|terms| terms.zone)).unwrap_or(card.zone);
    let from = wanted.from.unwrap_or_else(|| local_day(zone, books.clock.now()));
    let new = terms(
        from,
        &name,
        zone,
        wanted
            .cycle
            .or(last.map(|terms| terms.cycle))
            .unwrap_or(Cycle::Monthly { anchor_day: 1 }),
        wanted
            .discount_percent
            .or(last.map(|terms| terms.discount_percent))
            .unwrap_or_default(),
        agreed_prices(
            // A price of another card is in another currency, maybe.
            last.filter(|terms| terms.card == name && !wanted.card_prices),
            wanted.overrides,
        ),
    )?;
    for price in &new.overrides {
        check_override(cards, &new, price)?;
    }
    let changed = match known {
        None => {
            let account = Account {
                terms: vec![new.clone()],
                first_day: Some(from),
                closed_to: None,
                ends: Vec::new(),
            };
            let added = [(wanted.uin, account.clone())];
            add_accounts(tx, &added, "person", &books.clock.text()).await?;
            account
        }
        Some(account) => {
            if zone != account.terms[0].zone {
                return Err(Error::Usage(format!(
                    "account {} has the time zone {}, which cannot change: its billing days depend on it",
                    wanted.uin, account.terms[0].zone
                )));
            }
            check_start(account, wanted.uin, from)?;
            check_measured(books, tx, account, wanted.uin, &new).await?;
            add_terms(tx, wanted.uin, &new).await?;
            let mut account = account.clone();
            account.terms.push(new.clone());
            account
        }
    };
    let decision = Decision {
        who: &books.settings.who,
        action: if known.is_some() {
            "account terms"
        } else {
            "account add"
        },
        subject: format!("account {}", wanted.uin),
        detail: serde_json::to_value(&new)?,
        reason: "",
        at: books.clock.text(),
    };
    add_audit(tx, &decision).await?;
    let before = known.map(|account| account.terms_on(from).clone());
    Ok(Added {
        before,
        terms: new,
        account: changed,
    })
}

/// The prices of earlier terms, with new ones in the place of those of the same SKU and region group.
fn agreed_prices(earlier: Option<&Terms>, new: Vec<PriceOverride>) -> Vec<PriceOverride> {
    let is_replaced = |old: &&PriceOverride| new.iter().any(|new| new.scope() == old.scope());
    let earlier = earlier.map_or(&[][..], |terms| &terms.overrides);
    let mut prices: Vec<PriceOverride> = earlier.iter().filter(|old| !is_replaced(old)).cloned().collect();
    prices.extend(new);
    prices
}

fn terms(
    from: NaiveDate,
    card: &str,
    zone: chrono_tz::Tz,
    cycle: Cycle,
    discount_percent: Decimal,
    overrides: Vec<PriceOverride>,
) -> Result<Terms> {
    Terms::new(from, card.to_owned(), zone, cycle, discount_percent, overrides).map_err(|e| Error::Usage(e.to_string()))
}

fn check_override(cards: &RateCatalog, terms: &Terms, price: &PriceOverride) -> Result<()> {
    let prices = || {
        cards
            .of_name(&terms.card)
            .iter()
            .flat_map(|card| &card.prices)
            .filter(|p| p.sku == price.sku)
    };
    if prices().next().is_none() {
        return Err(Error::Usage(format!(
            "rate card {} has no SKU {:?}; `tallybook rate-card show {}` lists its SKUs",
            terms.card, price.sku, terms.card
        )));
    }
    let Some(group) = &price.region_group else {
        return Ok(());
    };
    if prices().any(|p| p.region_group == *group) {
        return Ok(());
    }
    let groups: BTreeSet<&str> = prices().map(|p| p.region_group.as_str()).collect();
    let groups: Vec<&str> = groups.into_iter().collect();
    Err(Error::Usage(format!(
        "rate card {} has no price for {} in region group {group:?}; its groups are {}",
        terms.card,
        price.sku,
        groups.join(", ")
    )))
}

/// Another card may measure in another way, so it cannot take over days that have usage.
async fn check_measured(
    books: &Books,
    tx: &mut Tx,
    account: &crate::catalog::account::Account,
    uin: u64,
    new: &Terms,
) -> Result<()> {
    if account.terms_on(new.from).card == new.card {
        return Ok(());
    }
    match last_usage_day(books, tx, uin, new.from).await? {
        None => Ok(()),
        Some(day) => Err(Error::Usage(format!(
            "account {uin} has usage up to {day} metered with {}; another card can start only after that day, at the end of a \
             period",
            account.terms_on(new.from).card
        ))),
    }
}

/// The last day from `from` on with a record of the account, whatever became of it: failed work and records without a meter
/// are measured by a card, too.
async fn last_usage_day(books: &Books, tx: &mut Tx, uin: u64, from: NaiveDate) -> Result<Option<NaiveDate>> {
    let mut last = None;
    for path in usage_files_from(tx, from).await? {
        let place = books.data.join(&path);
        last = last.max(tokio::task::block_in_place(|| last_day(&place, uin))?);
    }
    Ok(last.filter(|last| from <= *last))
}

fn check_start(account: &crate::catalog::account::Account, uin: u64, from: NaiveDate) -> Result<()> {
    let last = &account.terms[account.terms.len() - 1];
    if from <= last.from {
        return Err(Error::Usage(format!(
            "account {uin} already has terms from {}; new terms must start later, and existing terms cannot change",
            last.from
        )));
    }
    if let Some(closed_to) = account.closed_to.filter(|closed_to| from < *closed_to) {
        return Err(Error::Usage(format!(
            "account {uin} is closed up to {closed_to}; new terms must start on that day or later"
        )));
    }
    if let Some(end) = account.ended_on().filter(|end| *end <= from) {
        return Err(Error::Usage(format!(
            "account {uin} ended on {end}, so terms from {from} would never hold; to go on with the account, take its end back \
             (`tallybook reinstate {uin} --reason TEXT`)"
        )));
    }
    let period = account.period_of(from);
    if period.start == from {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "terms of account {uin} must start where a period starts: on {} or {}, not on {from}",
        period.start, period.end
    )))
}
