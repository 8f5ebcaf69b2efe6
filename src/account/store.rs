//! The ledger of accounts and terms.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::terms::Terms;
use super::{Account, AccountBook};
use crate::error::{Error, Result};
use crate::ledger::{Ledger, Tx, Value, insert_row, insert_rows, query, reseal};
use crate::raw::store::parse_day;

/// A UIN as the ledger holds it.
pub fn parse_uin(text: &str) -> Result<u64> {
    text.parse()
        .map_err(|_| Error::Unbalanced(format!("the ledger holds {text:?} where a UIN belongs")))
}

/// Reads all accounts with their terms.
#[tracing::instrument(skip_all)]
pub async fn load_accounts(ledger: &Ledger) -> Result<AccountBook> {
    let mut terms: BTreeMap<u64, Vec<Terms>> = BTreeMap::new();
    for row in query("SELECT uin, body FROM terms ORDER BY uin, from_day")
        .fetch_all(ledger)
        .await?
    {
        let uin = parse_uin(&row.try_get::<String>(0)?)?;
        terms
            .entry(uin)
            .or_default()
            .push(serde_json::from_str(&row.try_get::<String>(1)?)?);
    }
    let mut accounts = BTreeMap::new();
    let rows = query(
        "SELECT a.uin, a.first_day, c.closed_to FROM account a \
         LEFT JOIN (SELECT uin, MAX(period_end) AS closed_to FROM closed_period GROUP BY uin) c ON c.uin = a.uin",
    )
    .fetch_all(ledger)
    .await?;
    for row in rows {
        let uin = parse_uin(&row.try_get::<String>(0)?)?;
        let day = |index: usize| -> Result<Option<NaiveDate>> {
            row.try_get::<Option<String>>(index)?
                .as_deref()
                .map(parse_day)
                .transpose()
        };
        let terms = terms
            .remove(&uin)
            .ok_or_else(|| Error::Unbalanced(format!("account {uin} has no terms in the ledger")))?;
        accounts.insert(
            uin,
            Account {
                terms,
                first_day: day(1)?,
                closed_to: day(2)?,
            },
        );
    }
    Ok(AccountBook::new(accounts))
}

/// Adds accounts with their first terms.
#[tracing::instrument(skip_all)]
pub async fn add_accounts(
    tx: &mut Tx,
    accounts: &[(u64, Terms, Option<NaiveDate>)],
    added_by: &str,
    added_at: &str,
) -> Result<()> {
    let rows = accounts.iter().map(|(uin, _, first_day)| -> [Value; 4] {
        [
            uin.to_string().into(),
            added_by.into(),
            added_at.into(),
            first_day.map(|d| d.to_string()).into(),
        ]
    });
    insert_rows(tx, "account (uin, added_by, added_at, first_day)", rows).await?;
    let mut rows = Vec::with_capacity(accounts.len());
    for (uin, terms, _) in accounts {
        rows.push([
            Value::from(uin.to_string()),
            terms.from.to_string().into(),
            serde_json::to_string(terms)?.into(),
        ]);
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
