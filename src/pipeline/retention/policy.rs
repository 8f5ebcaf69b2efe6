//! The policy: nothing is kept longer than it allows, but with a reason in the audit trail.

use crate::context::Books;
use crate::context::keeping::Class;
use crate::storage::ledger::{Decision, Entry, Ledger, add_audit, audit_trail};
use crate::support::error::{Error, Result};

/// What such a reason is called in the audit trail.
const ACTION: &str = "retention exceed";

/// A reason in the audit trail, for a class that is kept longer than the policy allows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Exceeded {
    pub class: Class,
    /// In months or days; none: for ever.
    pub kept: Option<u32>,
    pub reason: String,
    pub who: String,
    pub at: String,
    pub audit_entry: i64,
}

/// Fails where the settings keep a class for longer than the policy allows, and nobody gave a reason.
///
/// # Errors
/// [`Error::Usage`], which names the first such setting, the limit and the command.
pub async fn check(books: &Books) -> Result<()> {
    let settings = &books.settings;
    let too_long: Vec<Class> = Class::ALL.into_iter().filter(|class| class.exceeds(settings)).collect();
    if too_long.is_empty() {
        return Ok(());
    }
    let reasons = exceeded(&books.ledger).await?;
    let unfounded = too_long.into_iter().find(|class| !is_covered(books, *class, &reasons));
    let Some(class) = unfounded else { return Ok(()) };
    Err(Error::Usage(format!(
        "{} keeps data for {}, and the policy allows {}: set it shorter, or give a reason with `tallybook retention exceed {} --reason \
         TEXT`. Nothing was done",
        class.setting(),
        length(class, class.kept(settings)),
        length(class, class.allowed(&settings.policy)),
        class.text()
    )))
}

/// Such as `6 months`.
pub fn length(class: Class, count: Option<u32>) -> String {
    match count {
        None => "ever".to_owned(),
        Some(1) => format!("1 {}", class.unit().trim_end_matches('s')),
        Some(count) => format!("{count} {}", class.unit()),
    }
}

/// Whether a reason was given for what the settings say now: a reason for longer is one for shorter too.
fn is_covered(books: &Books, class: Class, reasons: &[Exceeded]) -> bool {
    let kept = class.kept(&books.settings);
    let of_class = reasons.iter().rev().find(|reason| reason.class == class);
    of_class.is_some_and(|reason| match (reason.kept, kept) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(reason), Some(kept)) => kept <= reason,
    })
}

/// Writes down why a class is kept for as long as the settings say. The same reason again changes nothing.
///
/// # Errors
/// Where the policy allows that anyway: such a reason would hold for a setting that nobody has seen.
pub async fn exceed(books: &Books, class: Class, reason: &str) -> Result<()> {
    let settings = &books.settings;
    if !class.exceeds(settings) {
        return Err(Error::Usage(format!(
            "{} keeps data for {}, which the policy allows: no reason is needed",
            class.setting(),
            length(class, class.kept(settings))
        )));
    }
    let reasons = exceeded(&books.ledger).await?;
    let newest = reasons.iter().rev().find(|it| it.class == class);
    if newest.is_some_and(|it| it.kept == class.kept(settings) && it.reason == reason) {
        return Ok(());
    }
    let decision = Decision {
        who: &settings.who,
        action: ACTION,
        subject: class.text().to_owned(),
        detail: serde_json::json!({
            "kept": class.kept(settings),
            "allowed": class.allowed(&settings.policy),
            "unit": class.unit(),
        }),
        reason,
        at: books.clock.text(),
    };
    let mut tx = books.ledger.begin().await?;
    add_audit(&mut tx, &decision).await?;
    books.ledger.commit(tx, "exceed").await
}

/// All reasons that were given, oldest first.
pub async fn exceeded(ledger: &Ledger) -> Result<Vec<Exceeded>> {
    let trail = audit_trail(ledger).await?;
    Ok(trail.into_iter().filter_map(exceeded_of).collect())
}

fn exceeded_of(entry: Entry) -> Option<Exceeded> {
    if entry.action != ACTION {
        return None;
    }
    let class = Class::ALL.into_iter().find(|class| class.text() == entry.subject)?;
    let kept = entry.detail.get("kept")?;
    Some(Exceeded {
        class,
        kept: kept.as_u64().and_then(|kept| u32::try_from(kept).ok()),
        reason: entry.reason,
        who: entry.who,
        at: entry.at,
        audit_entry: entry.entry,
    })
}
