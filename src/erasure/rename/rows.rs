//! Rows that have the account's number in a column of its own.

use std::collections::BTreeSet;

use super::Renamed;
use crate::erasure::files::Rewritten;
use crate::erasure::pseudonym::Pseudonyms;
use crate::storage::ledger::{Tx, Value, delete_rows, rewrite_rows};
use crate::storage::usage::daily;
use crate::support::error::{Error, Result};

/// Tables with a column `uin` and nothing else of an account.
const BY_NUMBER: [&str; 6] = [
    "account_month",
    "blocked_period",
    "draft",
    "empty_period",
    "late_usage",
    "rerate",
];

/// What stands for days whose raw is gone; what was made ahead of days that are still there is made anew.
const PROOFS: [&str; 2] = ["proved_day", "proved_account"];

/// The tables of this file.
pub fn tables() -> impl Iterator<Item = &'static str> {
    BY_NUMBER.into_iter().chain(PROOFS).chain(["usage_daily", "unmetered"])
}

pub async fn rename(tx: &mut Tx, names: &Pseudonyms, files: &Rewritten<'_>, renamed: &mut Renamed) -> Result<()> {
    let uin: [Value; 1] = [names.erased_uin.to_string().into()];
    for table in BY_NUMBER {
        let rows = rewrite_rows(tx, table, "uin = ?", &uin, |row| row.set("uin", names.uin.to_string())).await?;
        renamed.add(table, rows);
    }
    let rows = rewrite_rows(tx, "usage_daily", "uin = ?", &uin, |row| {
        let days = row.text("days")?.unwrap_or_default();
        let days = days_under(days, names)?;
        row.set("days", days)?;
        row.set("uin", names.uin.to_string())
    })
    .await?;
    renamed.add("usage_daily", rows);
    // Their rows are others now: a proof that was made ahead would be of none.
    let days: BTreeSet<String> = files.erased_rows().iter().map(|rows| rows.day.to_string()).collect();
    for day in days {
        for table in PROOFS {
            delete_rows(tx, table, "day = ?", &[day.as_str().into()]).await?;
        }
    }
    let rows = rewrite_rows(tx, "proved_account", "uin = ?", &uin, |row| {
        row.set("uin", names.uin.to_string())
    })
    .await?;
    renamed.add("proved_account", rows);
    Ok(())
}

/// The text of `usage_daily.days` with the pseudonyms of apps.
fn days_under(text: &str, names: &Pseudonyms) -> Result<String> {
    let mut skus = daily::from_text(text)?;
    for sku in &mut skus {
        sku.appid = match names.apps.get(&sku.appid) {
            Some(pseudonym) => *pseudonym,
            // What has no app has none under the pseudonym.
            None if sku.appid == 0 => 0,
            None => {
                return Err(Error::Unbalanced(format!(
                    "usage of the account has the app {}, which no usage file has",
                    sku.appid
                )));
            }
        };
    }
    daily::to_text(&skus)
}
