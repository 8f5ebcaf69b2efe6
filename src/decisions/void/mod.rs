//! Voids whose record has not come. One whose record has expired waits for nothing: a person dismisses it.

pub mod store;

use crate::context::Books;
use crate::pipeline::meter::store::dismiss_void;
use crate::storage::ledger::{Decision, Lease, add_audit};
use crate::support::error::{Error, Result};

/// A void as people see it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    pub source: String,
    /// Its own id.
    pub id: String,
    /// The id that it takes back.
    pub voids: String,
    /// `waiting` or `dismissed`.
    pub state: String,
    pub input: String,
    pub batch: i64,
    pub line: i64,
    pub since: String,
}

/// What was dismissed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Dismissed {
    #[serde(flatten)]
    pub void: Listed,
    pub audit_entry: i64,
}

/// Voids that wait for their record, oldest first; with `all` also those that were dismissed.
pub async fn list(books: &Books, all: bool) -> Result<Vec<Listed>> {
    store::voids(&books.ledger, all).await
}

/// Dismisses a void that waits, for good: when a record with the id that it names comes after all, it counts. `source` is needed where
/// several have sent a void of that id. The caller holds the lease: metering must not run beside it.
pub async fn dismiss(books: &Books, lease: &Lease, id: &str, source: Option<&str>, reason: &str) -> Result<Dismissed> {
    let of_id = |void: &Listed| void.id == id && source.is_none_or(|source| void.source == source);
    let all = store::voids(&books.ledger, true).await?;
    let found: Vec<Listed> = all.into_iter().filter(of_id).collect();
    let waiting: Vec<&Listed> = found.iter().filter(|void| void.state == "waiting").collect();
    let void = match waiting[..] {
        [void] => void.clone(),
        [] if found.is_empty() => {
            return Err(Error::Usage(format!(
                "no void with ID {id:?} is waiting for its record; `tallybook void list` shows the waiting voids by their own IDs"
            )));
        }
        [] => {
            return Err(Error::Usage(format!(
                "void {id:?} is already dismissed; decisions are final"
            )));
        }
        [one, other, ..] => {
            return Err(Error::Usage(format!(
                "several sources sent a void with ID {id:?}: {} and {}; choose one, such as --source {}",
                one.source, other.source, one.source
            )));
        }
    };
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    dismiss_void(&mut tx, &void.id, (void.batch, void.line)).await?;
    let decision = Decision {
        who: &books.settings.who,
        action: "void dismiss",
        subject: format!("void {} of {}", void.id, void.source),
        detail: serde_json::to_value(&void)?,
        reason,
        at: books.clock.text(),
    };
    let audit_entry = add_audit(&mut tx, &decision).await?;
    books.ledger.commit(tx, "dismiss_void").await?;
    Ok(Dismissed {
        void: Listed {
            state: "dismissed".to_owned(),
            ..void
        },
        audit_entry,
    })
}
