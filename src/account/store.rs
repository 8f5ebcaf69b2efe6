//! The ledger of accounts and terms.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chrono::NaiveDate;

use super::terms::Terms;
use super::{Account, AccountBook};
use crate::error::{Error, Result};
use crate::ledger::{Ledger, Row, Tx, Value, insert_row, insert_rows, query, reseal};
use crate::raw::store::parse_day;

/// A UIN as the ledger holds it.
pub fn parse_uin(text: &str) -> Result<u64> {
    text.parse()
        .map_err(|_| Error::Unbalanced(format!("the ledger holds {text:?} where a UIN belongs")))
}

/// Reads all accounts with their terms.
#[tracing::instrument(skip_all)]
pub async fn load_accounts(ledger: &Ledger) -> Result<AccountBook> {
    Ok(AccountBook::new(load(ledger, "", None).await?))
}

/// Reads one account with its terms; none when there is none of this number.
pub async fn load_account(ledger: &Ledger, uin: u64) -> Result<Option<Account>> {
    Ok(load(ledger, "WHERE uin = ?", Some(uin)).await?.remove(&uin))
}

/// Accounts that are alike in all that their periods depend on, one of each kind with the number of them. Nearly all accounts are of a
/// few kinds, and the ledger counts them faster than it hands them out.
pub async fn kinds_of_accounts(ledger: &Ledger) -> Result<Vec<(Account, usize)>> {
    const HAS_SEVERAL: &str = "IN (SELECT uin FROM terms GROUP BY uin HAVING COUNT(*) > 1)";
    let rows = query(format!(
        "SELECT t.body, a.first_day, a.closed_to, COUNT(*) FROM ({ACCOUNTS} WHERE uin NOT {HAS_SEVERAL}) a \
         LEFT JOIN terms t ON t.uin = a.uin GROUP BY t.body, a.first_day, a.closed_to"
    ))
    .fetch_all(ledger)
    .await?;
    let mut kinds = Vec::new();
    for row in rows {
        let Some(terms) = row.try_get::<Option<String>>(0)? else {
            return Err(Error::Unbalanced("an account has no terms in the ledger".to_owned()));
        };
        let account = account_of(vec![serde_json::from_str(&terms)?], &row)?;
        kinds.push((account, usize::try_from(row.try_get::<i64>(3)?).unwrap_or(0)));
    }
    let others = load(ledger, &format!("WHERE uin {HAS_SEVERAL}"), None).await?;
    kinds.extend(others.into_values().map(|account| (account, 1)));
    Ok(kinds)
}

const ACCOUNTS: &str = "SELECT a.uin, a.first_day, \
     (SELECT c.period_end FROM closed_period c WHERE c.uin = a.uin ORDER BY c.period_start DESC LIMIT 1) AS closed_to FROM account a";

/// Accounts that fulfil a condition on `uin`.
async fn load(ledger: &Ledger, condition: &str, uin: Option<u64>) -> Result<BTreeMap<u64, Account>> {
    let rows = query(format!(
        "SELECT a.uin, a.first_day, a.closed_to, t.body FROM ({ACCOUNTS} {condition}) a LEFT JOIN terms t ON t.uin = a.uin \
         ORDER BY a.uin, t.from_day"
    ))
    .bind_all(uin.map(|uin| uin.to_string().into()))
    .fetch_all(ledger)
    .await?;
    let mut accounts: BTreeMap<u64, Account> = BTreeMap::new();
    // Most accounts have the terms of the one before.
    let mut last: Option<(String, Terms)> = None;
    for row in rows {
        let uin = parse_uin(&row.try_get::<String>(0)?)?;
        let Some(body) = row.try_get::<Option<String>>(3)? else {
            return Err(Error::Unbalanced(format!("account {uin} has no terms in the ledger")));
        };
        let terms = match &last {
            Some((text, terms)) if *text == body => terms.clone(),
            _ => last.insert((body.clone(), serde_json::from_str(&body)?)).1.clone(),
        };
        match accounts.entry(uin) {
            Entry::Occupied(account) => account.into_mut().terms.push(terms),
            Entry::Vacant(place) => drop(place.insert(account_of(vec![terms], &row)?)),
        }
    }
    Ok(accounts)
}

/// An account by its terms and the columns `first_day` and `closed_to`.
fn account_of(terms: Vec<Terms>, row: &Row) -> Result<Account> {
    let day = |name: &str| -> Result<Option<NaiveDate>> {
        let text: Option<String> = row.named(name)?;
        text.as_deref().map(parse_day).transpose()
    };
    Ok(Account {
        terms,
        first_day: day("first_day")?,
        closed_to: day("closed_to")?,
    })
}

/// Adds accounts with their terms.
#[tracing::instrument(skip_all)]
pub async fn add_accounts(tx: &mut Tx, accounts: &[(u64, Account)], added_by: &str, added_at: &str) -> Result<()> {
    let rows = accounts.iter().map(|(uin, account)| -> [Value; 4] {
        [
            uin.to_string().into(),
            added_by.into(),
            added_at.into(),
            account.first_day.map(|d| d.to_string()).into(),
        ]
    });
    insert_rows(tx, "account (uin, added_by, added_at, first_day)", rows).await?;
    let mut rows = Vec::with_capacity(accounts.len());
    // Those that appear by themselves have the same terms.
    let mut last: Option<(&Terms, String)> = None;
    for (uin, terms) in accounts
        .iter()
        .flat_map(|(uin, a)| a.terms.iter().map(move |t| (uin, t)))
    {
        let body = match &last {
            Some((same, body)) if *same == terms => body.clone(),
            _ => last.insert((terms, serde_json::to_string(terms)?)).1.clone(),
        };
        rows.push([Value::from(uin.to_string()), terms.from.to_string().into(), body.into()]);
    }
    insert_rows(tx, "terms (uin, from_day, body)", rows).await?;
    Ok(())
}

/// Adds later terms to an account.
pub async fn add_terms(tx: &mut Tx, uin: u64, terms: &Terms) -> Result<()> {
    let row: [Value; 3] = [
        uin.to_string().into(),
        terms.from.to_string().into(),
        serde_json::to_string(terms)?.into(),
    ];
    insert_row(tx, "terms (uin, from_day, body)", row).await
}

/// Usage files with a day from `from` on.
pub async fn usage_files_from(tx: &mut Tx, from: NaiveDate) -> Result<Vec<String>> {
    let rows = query("SELECT path FROM usage_file WHERE day_max >= ? ORDER BY path")
        .bind(from.to_string())
        .fetch_all(&mut *tx)
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Moves the beginning of an account's periods back, or sets it.
pub async fn set_first_day(tx: &mut Tx, uin: u64, day: NaiveDate) -> Result<()> {
    query("UPDATE account SET first_day = ? WHERE uin = ? AND (first_day IS NULL OR first_day > ?)")
        .bind(day.to_string())
        .bind(uin.to_string())
        .bind(day.to_string())
        .execute(tx)
        .await?;
    reseal(tx, "account", "uin = ?", &[uin.to_string().into()]).await
}
