//! The ledger without an account: every row that names it, in one transaction.
//!
//! ```text
//! files         rows of the old files become those of the new ones
//! account       the account, its terms and its end stand under the pseudonym; its profile goes; the true number is in no row at the end
//! statements    documents with other numbers, and their second digests
//! rows          what has the number in a column of its own
//! work          names of the customer's records: of conflicts, voids, refused lines
//! texts         reports, sentences and the audit trail, where they say a number
//! ```

mod rows;
mod statements;
mod texts;
mod work;

pub use statements::SecondDigest;

use std::collections::BTreeMap;

use super::files::Rewritten;
use super::pseudonym::Pseudonyms;
use super::words::Words;
use crate::catalog::account::erased::store::{add_pseudonym, add_tombstone, remove_true_account};
use crate::catalog::account::profile;
use crate::catalog::account::profile::store::remove_profile;
use crate::context::Books;
use crate::storage::ledger::Tx;
use crate::support::error::Result;

/// What was renamed.
#[derive(Clone, Debug, Default)]
pub struct Renamed {
    /// Rows that were changed or went, by table.
    pub rows: BTreeMap<&'static str, i64>,
    /// Of the account's statements, oldest first.
    pub digests: Vec<SecondDigest>,
}

impl Renamed {
    fn add(&mut self, table: &'static str, rows: i64) {
        if rows > 0 {
            *self.rows.entry(table).or_default() += rows;
        }
    }
}

/// Tables that an erasure writes to: these are written anew afterwards, so that nothing of what they were remains.
pub fn tables() -> Vec<&'static str> {
    let own = [
        "account",
        "account_end",
        "conflict",
        "erasure_in_progress",
        "settlement",
        "statement",
        "document",
        "terms",
        "quarantine",
        "void",
    ];
    let files = [
        "dropped_file",
        "export",
        "key_run",
        "original",
        "segment",
        "unmetered",
        "unmetered_file",
        "usage_file",
    ];
    let mut all: Vec<&str> = own
        .into_iter()
        .chain(files)
        .chain(profile::store::TABLES)
        .chain(rows::tables())
        .chain(texts::tables())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Takes an account out of the ledger. Erasure `number` is written down by the caller, in the same transaction.
pub async fn rename(
    books: &Books,
    tx: &mut Tx,
    number: i64,
    names: &Pseudonyms,
    files: &Rewritten<'_>,
) -> Result<Renamed> {
    let mut renamed = Renamed::default();
    files.swap(tx).await?;
    add_pseudonym(tx, number, names.erased_uin, names.uin).await?;
    renamed.digests = statements::rename(books, tx, names).await?;
    rows::rename(tx, names, files, &mut renamed).await?;
    let words = Words::of(names);
    let ids = work::rename(books, tx, &words, files, names, &mut renamed).await?;
    texts::rename(tx, &words.with_ids(ids), &mut renamed).await?;
    for (table, rows) in remove_profile(tx, names.erased_uin).await? {
        renamed.add(table, rows);
    }
    remove_true_account(tx, names.erased_uin).await?;
    add_tombstone(tx, names.erased_uin).await?;
    Ok(renamed)
}
