//! Withdrawing a version that no day has used: it is in force no more. Its rows stay, as the audit's evidence, and a night that finds its
//! file again tells so and leaves it.

use chrono::NaiveDate;

use super::catalog::RateCatalog;
use super::store;
use crate::catalog::account::Accounts;
use crate::catalog::account::store::load_accounts;
use crate::catalog::account::terms::PriceOverride;
use crate::context::Books;
use crate::storage::ledger::{Decision, Lease, add_audit};
use crate::support::error::{Error, Result};

/// What was withdrawn.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Withdrawn {
    pub card: String,
    pub from: String,
    /// The version that is in force on that day instead; none where no account needs one.
    pub in_force: Option<String>,
    pub audit_entry: i64,
}

/// Withdraws a version, all revisions of it, unless something rests on it. The caller holds the lease.
pub async fn withdraw(books: &Books, lease: &Lease, name: &str, from: NaiveDate, reason: &str) -> Result<Withdrawn> {
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    let imports = store::imports_of(&mut tx, name, from).await?;
    if imports.is_empty() {
        return Err(Error::Usage(format!(
            "rate card {name} has no version of {from} in force; `tallybook rate-card list` shows all versions"
        )));
    }
    let refused = |what: String| {
        Error::NeedsPerson(format!(
            "rate card {name} of {from} cannot be withdrawn: {what}; correct its prices with `rate-card import --corrects {from}`, or give a \
             later version"
        ))
    };
    if let Some(day) = store::last_metered_day(&mut tx)
        .await?
        .filter(|day| from.to_string() <= *day)
    {
        return Err(refused(format!("usage is already metered up to {day}")));
    }
    let accounts = load_accounts(&books.ledger).await?;
    // A closed period, too, may end after the last day with usage.
    if let Some((uin, closed_to)) = closed_under(&accounts, name, from) {
        return Err(refused(format!(
            "account {uin} has periods closed with it, up to {closed_to}"
        )));
    }
    let cards = store::cards_up_to(&mut tx, i64::MAX).await?;
    let rest = RateCatalog::new(
        cards
            .versions()
            .filter(|card| card.name != name || card.from != from)
            .map(|card| (**card).clone()),
    );
    if let Some(what) = terms_resting_on(&accounts, &rest, name, &books.settings.default_card) {
        return Err(refused(what));
    }
    let in_force = rest
        .in_force(name, from)
        .map(|card| format!("the version of {}", card.from));
    let decision = Decision {
        who: &books.settings.who,
        action: "rate-card withdraw",
        subject: format!("{name} of {from}"),
        detail: serde_json::json!({ "imports": imports, "in_force": in_force }),
        reason,
        at: books.clock.text(),
    };
    let audit_entry = add_audit(&mut tx, &decision).await?;
    store::withdraw(&mut tx, &imports, &books.clock.text(), audit_entry).await?;
    books.ledger.commit(tx, "withdraw").await?;
    Ok(Withdrawn {
        card: name.to_owned(),
        from: from.to_string(),
        in_force,
        audit_entry,
    })
}

/// An account with closed days under a card from a date on, and how far it is closed.
fn closed_under(accounts: &Accounts, name: &str, from: NaiveDate) -> Option<(u64, NaiveDate)> {
    accounts.iter().find_map(|(uin, account)| {
        let closed_to = account.closed_to?;
        // Later terms end the earlier ones; usage before the first is under them too.
        let later = || account.terms.iter().skip(1).map(|next| next.from);
        let spans = [NaiveDate::MIN]
            .into_iter()
            .chain(later())
            .zip(later().chain([NaiveDate::MAX]));
        let mut spans = account.terms.iter().zip(spans);
        let is_under = spans.any(|(terms, (start, end))| terms.card == name && start.max(from) < end.min(closed_to));
        is_under.then_some((uin, closed_to))
    })
}

/// Agreed terms that would lose their card, or a price that they take the place of; and the default card.
fn terms_resting_on(accounts: &Accounts, rest: &RateCatalog, name: &str, default_card: &str) -> Option<String> {
    let versions = rest.of_name(name);
    if versions.is_empty() && name == default_card {
        return Some("it is the only version of the default card".to_owned());
    }
    let has_price = |agreed: &PriceOverride| {
        let mut prices = versions.iter().flat_map(|card| &card.prices);
        prices.any(|price| {
            price.sku == agreed.sku
                && agreed
                    .region_group
                    .as_ref()
                    .is_none_or(|group| *group == price.region_group)
        })
    };
    for (uin, account) in accounts.iter() {
        for terms in account.terms.iter().filter(|terms| terms.card == name) {
            if versions.is_empty() {
                return Some(format!(
                    "the terms of account {uin} from {} use this card, and it has no other version",
                    terms.from
                ));
            }
            if let Some(agreed) = terms.overrides.iter().find(|agreed| !has_price(agreed)) {
                return Some(format!(
                    "the terms of account {uin} from {} have a negotiated price for {}, which no other version sells",
                    terms.from, agreed.sku
                ));
            }
        }
    }
    None
}
