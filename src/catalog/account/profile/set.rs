//! Setting the profile of an account.

use super::store::{add_profile, profile_of};
use super::{Profile, ProfileChange, Said, profile_changes};
use crate::catalog::account::erased::store::refuse_erased;
use crate::catalog::account::store::has_account;
use crate::catalog::account::unknown::unknown_account;
use crate::context::Books;
use crate::storage::ledger::{Decision, Tx, add_audit};
use crate::support::error::Result;

/// What setting changed, or would change.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Set {
    pub uin: String,
    /// None where it is as it was: then nothing was written.
    pub changes: Vec<ProfileChange>,
    pub profile: Profile,
}

/// Sets what is said. Where that is what holds, nothing is written.
pub async fn set(books: &Books, uin: u64, said: &Said) -> Result<Set> {
    let mut tx = books.ledger.begin().await?;
    let set = set_in(books, &mut tx, uin, said).await?;
    if set.changes.is_empty() {
        drop(tx);
    } else {
        books.ledger.commit(tx, "profile").await?;
    }
    Ok(set)
}

/// Does what [`set`] does, and undoes it.
pub async fn try_set(books: &Books, uin: u64, said: &Said) -> Result<Set> {
    let mut tx = books.ledger.begin().await?;
    let set = set_in(books, &mut tx, uin, said).await?;
    drop(tx);
    Ok(set)
}

async fn set_in(books: &Books, tx: &mut Tx, uin: u64, said: &Said) -> Result<Set> {
    refuse_erased(&books.ledger, uin).await?;
    if !has_account(tx, uin).await? {
        return Err(unknown_account(&books.ledger, uin).await?);
    }
    set_known(books, tx, uin, said).await
}

/// Sets what is said of an account that is there.
pub(in crate::catalog::account) async fn set_known(books: &Books, tx: &mut Tx, uin: u64, said: &Said) -> Result<Set> {
    said.check()?;
    let old = profile_of(&mut *tx, uin).await?;
    let new = said.applied_to(&old, &books.clock.text())?;
    let changes = profile_changes(&old, &new);
    if changes.is_empty() {
        return Ok(Set {
            uin: uin.to_string(),
            changes,
            profile: old,
        });
    }
    add_profile(tx, uin, &new).await?;
    // The trail names what changed and never what it says: an erasure finds names in the profile alone.
    let changed: Vec<&str> = changes.iter().map(|change| change.what.as_str()).collect();
    let decision = Decision {
        who: &books.settings.who,
        action: "account set",
        subject: format!("account {uin}"),
        detail: serde_json::json!({ "version": new.version, "changed": changed }),
        reason: "",
        at: books.clock.text(),
    };
    add_audit(tx, &decision).await?;
    Ok(Set {
        uin: uin.to_string(),
        changes,
        profile: new,
    })
}
