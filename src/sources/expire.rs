//! Configuration of accounts that ended goes: the sources that are theirs alone, and of other sources the earlier versions that name them.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::store::forget;
use crate::catalog::source::ended::EndedAccounts;
use crate::catalog::source::store::{Version, delete_source, delete_versions, newest_of_all, versions_of_all};
use crate::context::Books;
use crate::context::keeping::Class;
use crate::pipeline::retention::ExpiredConfiguration;
use crate::pipeline::retention::deletion::{Deletion, Why, note};
use crate::storage::ledger::Lease;
use crate::support::error::Result;

/// Deletes what is due; nothing while the machine's clock is in doubt. The caller holds the lease.
///
/// # Errors
/// The ledger's.
pub async fn expire_configuration(books: &Books, lease: &Lease) -> Result<ExpiredConfiguration> {
    let mut expired = ExpiredConfiguration::default();
    if books.clock.doubt().is_some() {
        return Ok(expired);
    }
    let ended = EndedAccounts::of(books).await?;
    if ended.is_empty() {
        return Ok(expired);
    }
    let unreadable = newest_of_all(&books.ledger).await?.unreadable;
    for (source, versions) in versions_of_all(&books.ledger).await? {
        // What its newest version says is not known here: whoever runs pulls is told.
        if unreadable.iter().any(|fault| fault.source == source) {
            continue;
        }
        let (Some(newest), earlier) = parted(versions) else {
            continue;
        };
        let owner = &newest.definition.source.owner;
        if let Some(accounts) = ended.all_of(owner) {
            delete_whole(books, lease, &source, &accounts).await?;
            expired.sources += 1;
            continue;
        }
        let named = naming(&earlier, &ended);
        if !named.is_empty() {
            expired.versions += named.len();
            delete_earlier(books, lease, &source, &named).await?;
        }
        let still = ended.among(owner).into_keys();
        expired.left.extend(still.map(|uin| (source.clone(), uin)));
    }
    Ok(expired)
}

/// The newest version, and those before it.
fn parted(mut versions: Vec<Version>) -> (Option<Version>, Vec<Version>) {
    (versions.pop(), versions)
}

/// Versions that name an account that ended, with the day of the last such end.
fn naming(versions: &[Version], ended: &EndedAccounts) -> BTreeMap<i64, NaiveDate> {
    let last_end = |version: &Version| ended.among(&version.definition.source.owner).into_values().max();
    versions
        .iter()
        .filter_map(|version| Some((version.version, last_end(version)?)))
        .collect()
}

async fn delete_whole(books: &Books, lease: &Lease, source: &str, accounts: &BTreeMap<u64, NaiveDate>) -> Result<()> {
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    let rows = delete_source(&mut tx, source).await?;
    forget(&mut tx, source).await?;
    if let Some(day) = accounts.values().max() {
        note(&mut tx, books, &deletion(*day, rows)).await?;
    }
    books.ledger.commit(tx, "expire_source").await
}

async fn delete_earlier(books: &Books, lease: &Lease, source: &str, named: &BTreeMap<i64, NaiveDate>) -> Result<()> {
    let versions: Vec<i64> = named.keys().copied().collect();
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    let rows = delete_versions(&mut tx, source, &versions).await?;
    if let Some(day) = named.values().max() {
        note(&mut tx, books, &deletion(*day, rows)).await?;
    }
    books.ledger.commit(tx, "expire_versions").await
}

/// Named by the day on which the account ended, not by the source, whose name may be the customer's.
fn deletion(ended_on: NaiveDate, rows: i64) -> Deletion {
    Deletion {
        why: Why::AccountEnded,
        ..Deletion::by_clock(Class::Configuration, &ended_on, rows)
    }
}
