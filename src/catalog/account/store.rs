//! The ledger of accounts and terms.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;

use super::end::AccountEnd;
use super::end::store::ends_by_account;
use super::terms::Terms;
use super::{Account, Accounts};
use crate::storage::ledger::{Ledger, Row, Tx, Value, insert_row, insert_rows, next_number, query, reseal};
use crate::storage::raw::store::parse_day;
use crate::support::error::{Error, Result};
use crate::values::digest::sha256_hex;

/// A UIN as the ledger holds it.
pub fn parse_uin(text: &str) -> Result<u64> {
    text.parse()
        .map_err(|_| Error::Unbalanced(format!("the ledger holds {text:?} where a UIN belongs")))
}

/// Reads all accounts with their terms.
#[tracing::instrument(skip_all)]
pub async fn load_accounts(ledger: &Ledger) -> Result<Accounts> {
    Ok(Accounts::new(load(ledger, "", None).await?))
}

/// The numbers of all accounts.
pub(super) async fn all_uins(ledger: &Ledger) -> Result<Vec<String>> {
    let rows = query("SELECT uin FROM account ORDER BY uin").fetch_all(ledger).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Whether there is an account of a number.
pub(super) async fn has_account(tx: &mut Tx, uin: u64) -> Result<bool> {
    let row = query("SELECT 1 FROM account WHERE uin = ?")
        .bind(uin.to_string())
        .fetch_optional(tx)
        .await?;
    Ok(row.is_some())
}

/// Reads one account with its terms; none when there is none of this number.
pub async fn load_account(ledger: &Ledger, uin: u64) -> Result<Option<Account>> {
    Ok(load(ledger, "WHERE uin = ?", Some(uin)).await?.remove(&uin))
}

/// Reads the accounts whose terms have changed, and those that ended.
pub(super) async fn load_alone(ledger: &Ledger) -> Result<BTreeMap<u64, Account>> {
    load(
        ledger,
        "WHERE uin IN (SELECT uin FROM terms GROUP BY uin HAVING COUNT(*) > 1 UNION SELECT uin FROM account_end)",
        None,
    )
    .await
}

/// How far an account `a` is closed, by its last statement and by its last period without one: of an index each, with nothing to sort.
pub(super) const CLOSED_TO: &str = "(SELECT s.period_end FROM statement s WHERE s.uin = a.uin ORDER BY s.period_start DESC LIMIT 1) AS stated_to, \
     (SELECT e.period_end FROM empty_period e WHERE e.uin = a.uin ORDER BY e.period_start DESC LIMIT 1) AS emptied_to";

/// Accounts that fulfil a condition on `uin`.
async fn load(ledger: &Ledger, condition: &str, uin: Option<u64>) -> Result<BTreeMap<u64, Account>> {
    let rows = query(format!(
        "SELECT a.uin, a.first_day, {CLOSED_TO}, t.agreement FROM (SELECT uin, first_day FROM account {condition}) a \
         LEFT JOIN terms t ON t.uin = a.uin ORDER BY a.uin, t.from_day"
    ))
    .bind_all(uin.map(|uin| uin.to_string().into()))
    .fetch_all(ledger)
    .await?;
    // Agreements stay, so that those of the rows are among them.
    let agreements = load_agreements(ledger, condition, uin).await?;
    let mut ends = ends_by_account(ledger, condition, uin).await?;
    let mut accounts: BTreeMap<u64, Account> = BTreeMap::new();
    for row in rows {
        let uin = parse_uin(&row.try_get::<String>(0)?)?;
        let agreement: Option<i64> = row.try_get(4)?;
        let Some(terms) = agreement.and_then(|agreement| agreements.get(&agreement)) else {
            return Err(Error::Unbalanced(format!("account {uin} has no terms in the ledger")));
        };
        match accounts.entry(uin) {
            Entry::Occupied(account) => account.into_mut().terms.push(terms.clone()),
            Entry::Vacant(place) => drop(place.insert(account_of(
                vec![terms.clone()],
                ends.remove(&uin).unwrap_or_default(),
                &row,
            )?)),
        }
    }
    Ok(accounts)
}

/// What accounts that fulfil a condition on `uin` have agreed to, by number.
async fn load_agreements(ledger: &Ledger, condition: &str, uin: Option<u64>) -> Result<HashMap<i64, Terms>> {
    let rows = query(format!(
        "SELECT agreement, body FROM agreement WHERE agreement IN (SELECT agreement FROM terms {condition})"
    ))
    .bind_all(uin.map(|uin| uin.to_string().into()))
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, serde_json::from_str(&row.try_get::<String>(1)?)?)))
        .collect()
}

/// An account by its terms, its ends, and the columns `first_day`, `stated_to` and `emptied_to`.
pub(super) fn account_of(terms: Vec<Terms>, ends: Vec<AccountEnd>, row: &Row) -> Result<Account> {
    Ok(Account {
        terms,
        first_day: optional_day(row, "first_day")?,
        closed_to: optional_day(row, "stated_to")?.max(optional_day(row, "emptied_to")?),
        ends,
    })
}

/// A day of a column that may have none.
fn optional_day(row: &Row, column: &str) -> Result<Option<NaiveDate>> {
    let text: Option<String> = row.named(column)?;
    text.as_deref().map(parse_day).transpose()
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
    let mut last: Option<(&Terms, i64)> = None;
    for (uin, terms) in accounts
        .iter()
        .flat_map(|(uin, a)| a.terms.iter().map(move |t| (uin, t)))
    {
        let agreement = match last {
            Some((same, agreement)) if same == terms => agreement,
            _ => last.insert((terms, agreement_of(tx, terms).await?)).1,
        };
        rows.push([
            Value::from(uin.to_string()),
            terms.from.to_string().into(),
            agreement.into(),
        ]);
    }
    insert_rows(tx, "terms (uin, from_day, agreement)", rows).await?;
    Ok(())
}

/// Adds later terms to an account.
pub async fn add_terms(tx: &mut Tx, uin: u64, terms: &Terms) -> Result<()> {
    let row: [Value; 3] = [
        uin.to_string().into(),
        terms.from.to_string().into(),
        agreement_of(tx, terms).await?.into(),
    ];
    insert_row(tx, "terms (uin, from_day, agreement)", row).await
}

/// The number of the text of some terms, which is added when no account has it yet.
async fn agreement_of(tx: &mut Tx, terms: &Terms) -> Result<i64> {
    let body = serde_json::to_string(terms)?;
    let digest = sha256_hex(body.as_bytes());
    let known = query("SELECT agreement FROM agreement WHERE digest = ?")
        .bind(digest.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    if let Some(row) = known {
        return row.try_get(0);
    }
    let agreement = next_number(tx, "agreement").await?;
    let row: [Value; 3] = [agreement.into(), digest.into(), body.into()];
    insert_row(tx, "agreement (agreement, digest, body)", row).await?;
    Ok(agreement)
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
