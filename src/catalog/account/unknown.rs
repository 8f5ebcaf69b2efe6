//! An account that is not there.

use super::store::all_uins;
use crate::storage::ledger::Ledger;
use crate::support::error::{Error, Result};
use crate::support::nearest::nearest;

/// What a person is told who named it, with the nearest that is there.
pub async fn unknown_account(ledger: &Ledger, uin: u64) -> Result<Error> {
    let known = all_uins(ledger).await?;
    let meant = nearest(&uin.to_string(), known.iter().map(String::as_str));
    let meant = meant
        .map(|meant| format!("; did you mean {meant}?"))
        .unwrap_or_default();
    Ok(Error::Usage(format!(
        "there is no account {uin}{meant}; `tallybook account list` shows all accounts"
    )))
}
