//! Disabling a source, and enabling it again: a decision of a person.

use super::import::unknown_among;
use super::store;
use crate::context::Books;
use crate::storage::ledger::{Decision, add_audit};
use crate::support::error::Result;

/// Disables or enables a source. False where it is so already.
///
/// # Errors
/// Where there is no such source.
pub async fn set(books: &Books, source: &str, is_enabled: bool, reason: &str) -> Result<bool> {
    if !store::has(&books.ledger, source).await? {
        return Err(unknown_among(books, source).await?);
    }
    let was_enabled = !store::disabled(&books.ledger).await?.contains_key(source);
    if was_enabled == is_enabled {
        return Ok(false);
    }
    let at = books.clock.text();
    let decision = Decision {
        who: &books.settings.who,
        action: if is_enabled { "source enable" } else { "source disable" },
        subject: format!("source {source}"),
        detail: serde_json::json!({}),
        reason,
        at: at.clone(),
    };
    let mut tx = books.ledger.begin().await?;
    let entry = add_audit(&mut tx, &decision).await?;
    store::set_disabled(&mut tx, source, (!is_enabled).then_some(at.as_str()), entry).await?;
    books.ledger.commit(tx, "source_state").await?;
    Ok(true)
}
