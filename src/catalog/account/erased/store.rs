//! The ledger of erased accounts: tombstones and pseudonyms.

use std::collections::HashSet;

use super::ErasedAccounts;
use super::tombstone::{Salt, tombstone};
use crate::catalog::account::store::parse_uin;
use crate::storage::ledger::fact::{TOMBSTONE_SALT, fact, fact_in, set_fact};
use crate::storage::ledger::{Channel, Ledger, Tx, Value, delete_rows, insert_row, query, rewrite_rows};
use crate::support::error::{Error, Result};

/// The erased accounts, for who looks numbers up.
pub async fn erased_accounts(ledger: &Ledger) -> Result<ErasedAccounts> {
    let Some(salt) = fact(ledger, TOMBSTONE_SALT).await? else {
        return Ok(ErasedAccounts::default());
    };
    let rows = query("SELECT hash FROM tombstone").fetch_all(ledger).await?;
    let tombstones: Result<HashSet<String>> = rows.iter().map(|row| row.try_get(0)).collect();
    let rows = query("SELECT uin FROM account").fetch_all(ledger).await?;
    let known: Result<HashSet<u64>> = rows.iter().map(|row| parse_uin(&row.try_get::<String>(0)?)).collect();
    Ok(ErasedAccounts {
        salt: Salt::of(salt)?,
        tombstones: tombstones?,
        pseudonyms: pseudonyms(ledger).await?,
        known: known?,
    })
}

/// The numbers under which what stays of erased accounts stands.
pub async fn pseudonyms<'c>(on: impl Into<Channel<'c>>) -> Result<HashSet<u64>> {
    let rows = query("SELECT uin FROM erased_account").fetch_all(on).await?;
    rows.iter().map(|row| parse_uin(&row.try_get::<String>(0)?)).collect()
}

/// How many accounts were erased.
pub async fn erased_count<'c>(on: impl Into<Channel<'c>>) -> Result<usize> {
    let row = query("SELECT COUNT(*) FROM tombstone").fetch_one(on).await?;
    Ok(usize::try_from(row.try_get::<i64>(0)?).unwrap_or(0))
}

/// Refuses a number that a person named, where it was erased or is a pseudonym.
///
/// # Errors
/// [`Error::Usage`] for both.
pub async fn refuse_erased(ledger: &Ledger, uin: u64) -> Result<()> {
    refuse_one_of(&erased_accounts(ledger).await?, uin)
}

/// The same, for who asks about many.
///
/// # Errors
/// [`Error::Usage`] for both.
pub fn refuse_one_of(erased: &ErasedAccounts, uin: u64) -> Result<()> {
    if erased.is_pseudonym(uin) {
        return Err(Error::Usage(format!(
            "{uin} is the pseudonym of an erased account: its statements stay, and nothing else can become of it"
        )));
    }
    if erased.has_tombstone(uin) {
        return Err(Error::Usage(format!(
            "account {uin} was erased, which is for good: its number cannot be an account again"
        )));
    }
    Ok(())
}

/// Makes the tombstone of a number, and the salt with the first one.
pub async fn add_tombstone(tx: &mut Tx, uin: u64) -> Result<()> {
    let salt = if let Some(salt) = fact_in(tx, TOMBSTONE_SALT).await? {
        Salt::of(salt)?
    } else {
        let salt = Salt::new()?;
        set_fact(tx, TOMBSTONE_SALT, salt.text()).await?;
        salt
    };
    let made = tokio::task::block_in_place(|| tombstone(&salt, uin));
    insert_row(tx, "tombstone (hash)", [made.into()]).await
}

/// Adds the account's row under its pseudonym. The first row stays until nothing refers to it: see [`remove_true_account`].
///
/// # Errors
/// [`Error::Unbalanced`] where there is no such account.
pub async fn add_pseudonym(tx: &mut Tx, erasure: i64, uin: u64, pseudonym: u64) -> Result<()> {
    let row = query("SELECT added_by, added_at, first_day FROM account WHERE uin = ?")
        .bind(uin.to_string())
        .fetch_optional(&mut *tx)
        .await?;
    let row =
        row.ok_or_else(|| Error::Unbalanced(format!("account {uin} has disappeared while it was being erased")))?;
    let columns: [Value; 4] = [
        pseudonym.to_string().into(),
        row.try_get::<String>(0)?.into(),
        row.try_get::<String>(1)?.into(),
        row.try_get::<Option<String>>(2)?.into(),
    ];
    insert_row(tx, "account (uin, added_by, added_at, first_day)", columns).await?;
    let row: [Value; 2] = [pseudonym.to_string().into(), erasure.into()];
    insert_row(tx, "erased_account (uin, erasure)", row).await?;
    for table in ["terms", "account_end"] {
        rewrite_rows(tx, table, "uin = ?", &[uin.to_string().into()], |row| {
            row.set("uin", pseudonym.to_string())
        })
        .await?;
    }
    Ok(())
}

/// Removes the account's row under its true number.
pub async fn remove_true_account(tx: &mut Tx, uin: u64) -> Result<()> {
    delete_rows(tx, "account", "uin = ?", &[uin.to_string().into()]).await?;
    Ok(())
}
