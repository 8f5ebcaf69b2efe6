//! Kinds of accounts: how many are alike in all that their open period depends on, so that what is due is counted without reading
//! every account.
//!
//! The ledger has them as rows, which each transaction that adds accounts or terms, moves where accounts begin, or closes periods puts
//! anew. Accounts whose terms have changed are one kind without terms; they are few, and read one by one.

use std::collections::HashMap;

use chrono::NaiveDate;

use super::store::{agreement_of, load_with_several_terms, optional_day};
use super::terms::Terms;
use super::{Account, Accounts};
use crate::storage::ledger::{Ledger, Tx, Value, clear_table, insert_rows, query};
use crate::support::error::Result;

/// What the open period of an account depends on. All three are none for an account whose terms have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Kind<'a> {
    terms: Option<&'a Terms>,
    /// None when periods are closed; they begin where the last one ended.
    first_day: Option<NaiveDate>,
    closed_to: Option<NaiveDate>,
}

impl<'a> Kind<'a> {
    fn of(account: &'a Account) -> Self {
        match &account.terms[..] {
            [terms] => Self {
                terms: Some(terms),
                first_day: account.first_day.filter(|_| account.closed_to.is_none()),
                closed_to: account.closed_to,
            },
            _ => Self::default(),
        }
    }
}

/// How many accounts there are of each kind.
#[derive(Default)]
pub struct Kinds<'a> {
    counts: HashMap<Kind<'a>, i64>,
}

impl<'a> Kinds<'a> {
    /// Those of some accounts.
    pub fn of(accounts: &'a Accounts) -> Self {
        let mut kinds = Self::default();
        for (_, account) in accounts.iter() {
            kinds.count(account, 1);
        }
        kinds
    }

    /// Counts an account as what it is now, and no longer as what it was, if it was there.
    pub fn change(&mut self, was: Option<&'a Account>, now: &'a Account) {
        if let Some(was) = was {
            self.count(was, -1);
        }
        self.count(now, 1);
    }

    fn count(&mut self, account: &'a Account, more: i64) {
        *self.counts.entry(Kind::of(account)).or_default() += more;
    }

    /// Puts them in the place of those that the ledger has.
    #[tracing::instrument(name = "store_kinds", skip_all)]
    pub async fn store(self, tx: &mut Tx) -> Result<()> {
        let mut agreements: HashMap<&Terms, i64> = HashMap::new();
        let mut rows: Vec<(Option<i64>, Kind, i64)> = Vec::new();
        for (kind, accounts) in self.counts.into_iter().filter(|(_, accounts)| *accounts != 0) {
            let agreement = match kind.terms {
                None => None,
                Some(terms) => Some(match agreements.get(terms) {
                    Some(&agreement) => agreement,
                    None => *agreements.entry(terms).or_insert(agreement_of(tx, terms).await?),
                }),
            };
            rows.push((agreement, kind, accounts));
        }
        rows.sort_unstable_by_key(|(agreement, kind, _)| (*agreement, kind.closed_to, kind.first_day));
        clear_table(tx, "account_kind").await?;
        let rows = rows.into_iter().map(|(agreement, kind, accounts)| -> [Value; 4] {
            [
                agreement.into(),
                kind.first_day.map(|day| day.to_string()).into(),
                kind.closed_to.map(|day| day.to_string()).into(),
                accounts.into(),
            ]
        });
        insert_rows(tx, "account_kind (agreement, first_day, closed_to, accounts)", rows).await?;
        Ok(())
    }
}

/// One account of each kind with the number of them.
pub async fn kinds_of_accounts(ledger: &Ledger) -> Result<Vec<(Account, usize)>> {
    let mut kinds = Vec::new();
    for (account, accounts) in stored(ledger).await? {
        match account {
            Some(account) => kinds.push((account, usize::try_from(accounts).unwrap_or(0))),
            None => kinds.extend(load_with_several_terms(ledger).await?.into_values().map(|a| (a, 1))),
        }
    }
    Ok(kinds)
}

/// Kinds that have other accounts than the ledger says.
pub async fn kinds_that_differ(ledger: &Ledger, accounts: &Accounts) -> Result<Vec<String>> {
    let stored = stored(ledger).await?;
    let mut due = Kinds::of(accounts).counts;
    let mut differing = Vec::new();
    for (account, accounts) in &stored {
        let kind = account.as_ref().map(Kind::of).unwrap_or_default();
        // A second row of the same kind finds nothing any more.
        let found = due.remove(&kind).unwrap_or(0);
        if *accounts != found {
            differing.push(told(&kind, *accounts, found));
        }
    }
    differing.extend(due.iter().map(|(kind, found)| told(kind, 0, *found)));
    differing.sort();
    Ok(differing)
}

fn told(kind: &Kind, stored: i64, found: i64) -> String {
    let day = |day: Option<NaiveDate>| day.map_or_else(|| "no day".to_owned(), |day| day.to_string());
    let of = match kind.terms {
        None => "whose terms have changed".to_owned(),
        Some(terms) => format!(
            "under {}, of the first day {} and closed to {}",
            terms.card,
            day(kind.first_day),
            day(kind.closed_to)
        ),
    };
    format!("account_kind says {stored} accounts {of}, and there are {found}")
}

/// The kinds that the ledger has, by an account of each; none where the terms have changed.
async fn stored(ledger: &Ledger) -> Result<Vec<(Option<Account>, i64)>> {
    let rows = query(
        "SELECT g.body, k.first_day, k.closed_to, k.accounts FROM account_kind k LEFT JOIN agreement g ON g.agreement = k.agreement",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            let terms: Option<String> = row.try_get(0)?;
            let account = |terms: String| -> Result<Account> {
                Ok(Account {
                    terms: vec![serde_json::from_str(&terms)?],
                    first_day: optional_day(row, "first_day")?,
                    closed_to: optional_day(row, "closed_to")?,
                })
            };
            Ok((terms.map(account).transpose()?, row.try_get(3)?))
        })
        .collect()
}
