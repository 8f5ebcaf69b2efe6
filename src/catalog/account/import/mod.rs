//! Accounts from a file: those that are not there are added, and of the others what is other. The whole file or nothing of it. What is as
//! the file says is left alone, so that a file can be imported again.

mod file;

use serde::Serialize;

use super::add::{Known, Wanted, add_known};
use super::profile::ProfileChange;
use super::profile::set::set_known;
use super::terms::Terms;
use super::{Account, Accounts};
use crate::context::Books;
use crate::storage::ledger::Tx;
use crate::support::error::{Error, Result};
use crate::values::calendar::local_day;
use file::Row;

/// What becomes of an account of the file for which something is other.
#[derive(Clone, Debug, Serialize)]
pub struct AccountDifference {
    pub uin: String,
    /// Whether it was not there before.
    pub is_new: bool,
    /// The terms that held until the new ones begin; none of a new account, and where the terms stay.
    pub before: Option<Terms>,
    /// The new terms; none where they stay.
    pub terms: Option<Terms>,
    /// What is other in its profile.
    pub profile: Vec<ProfileChange>,
}

/// What importing changed, or would change.
#[derive(Clone, Debug)]
pub struct ImportedAccounts {
    pub differences: Vec<AccountDifference>,
    /// Accounts of the file for which nothing is other.
    pub unchanged: usize,
    /// All accounts before.
    pub before: Accounts,
    /// All accounts after.
    pub after: Accounts,
}

/// Imports a file. The caller holds the lease: a close must not run beside it.
///
/// # Errors
/// [`Error::Usage`] with every mistake, by line; then nothing is written.
pub async fn import(books: &Books, text: &str, name: &str) -> Result<ImportedAccounts> {
    let rows = file::read(text, name)?;
    let mut tx = books.ledger.begin().await?;
    let imported = import_in(books, &mut tx, &rows, name).await?;
    if imported.differences.is_empty() {
        drop(tx);
    } else {
        books.ledger.commit(tx, "account_import").await?;
    }
    Ok(imported)
}

/// Does what [`import`] does, and undoes it.
pub async fn try_import(books: &Books, text: &str, name: &str) -> Result<ImportedAccounts> {
    let rows = file::read(text, name)?;
    let mut tx = books.ledger.begin().await?;
    let imported = import_in(books, &mut tx, &rows, name).await?;
    drop(tx);
    Ok(imported)
}

async fn import_in(books: &Books, tx: &mut Tx, rows: &[Row], name: &str) -> Result<ImportedAccounts> {
    let known = Known::load(books).await?;
    let mut after = known.accounts.clone();
    let (mut differences, mut unchanged, mut mistakes) = (Vec::new(), 0, Vec::new());
    for row in rows {
        match import_row(books, tx, &known, row, &mut after).await {
            Ok(None) => unchanged += 1,
            Ok(Some(difference)) => differences.push(difference),
            Err(Error::Usage(mistake)) => mistakes.push(format!("line {}: {mistake}", row.line)),
            Err(error) => return Err(error),
        }
    }
    if !mistakes.is_empty() {
        return Err(file::usage(name, &mistakes));
    }
    Ok(ImportedAccounts {
        differences,
        unchanged,
        before: known.accounts,
        after,
    })
}

/// Brings one account to what its row says; none where it is so already.
async fn import_row(
    books: &Books,
    tx: &mut Tx,
    known: &Known,
    row: &Row,
    after: &mut Accounts,
) -> Result<Option<AccountDifference>> {
    let uin = row.wanted.uin;
    let account = known.accounts.get(uin);
    known.refuse_erased(uin)?;
    let (mut before, mut terms) = (None, None);
    if account.is_none_or(|account| says_other(books, account, &row.wanted)) {
        let added = add_known(books, tx, known, row.wanted.clone()).await?;
        after.extend(vec![(uin, added.account)]);
        before = added.before;
        terms = Some(added.terms);
    }
    let set = set_known(books, tx, uin, &row.said).await?;
    if terms.is_none() && set.changes.is_empty() {
        return Ok(None);
    }
    Ok(Some(AccountDifference {
        uin: uin.to_string(),
        is_new: account.is_none(),
        before,
        terms,
        profile: set.changes,
    }))
}

/// Whether an account's terms are other than a row wants them, on the day that it names or today.
fn says_other(books: &Books, account: &Account, wanted: &Wanted) -> bool {
    let today = || local_day(account.terms[0].zone, books.clock.now());
    let on = account.terms_on(wanted.from.unwrap_or_else(today));
    let is_other = [
        wanted.card.as_ref().is_some_and(|card| *card != on.card),
        wanted.zone.is_some_and(|zone| zone != on.zone),
        wanted.cycle.is_some_and(|cycle| cycle != on.cycle),
        wanted
            .discount_percent
            .is_some_and(|discount| discount != on.discount_percent),
    ];
    is_other.contains(&true)
}
