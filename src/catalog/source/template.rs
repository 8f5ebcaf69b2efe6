//! Templates that a person added to a source: what a transcoding template of the service makes, which no event says.

use std::collections::BTreeMap;
use std::fmt;

use super::events::{TEMPLATE_TYPES, Template};
use super::store;
use crate::context::Books;
use crate::storage::ledger::{Decision, Ledger, Tx, add_audit};
use crate::support::error::{Error, Result};
use crate::support::nearest::nearest;
use crate::support::quote::quoted;

/// What to do about a template that is another now, or was wrong from the beginning.
pub(super) const CURE: &str = "A template that changed needs a new number: copy it at the service, and add the copy. Where it was added \
     wrongly, do the same, and take back with voids what was billed by it";

/// The longest `type` or `codec`, in bytes.
const NAME_BYTES_MAX: usize = 64;

impl Template {
    /// Checks its names and sizes.
    ///
    /// # Errors
    /// A sentence that names the key and the limit.
    pub fn check(&self) -> std::result::Result<(), String> {
        check_name("type", &self.transcode_type)?;
        for stream in &self.streams {
            check_name("codec", &stream.codec)?;
            if stream.height == 0 || stream.width == Some(0) {
                return Err("a stream has a width or height of 0".to_owned());
            }
        }
        Ok(())
    }
}

impl Template {
    /// Checks that its type is one that the readers of events know. A template that was added before may have another.
    ///
    /// # Errors
    /// A sentence that names the type and the likeliest one.
    pub fn check_type(&self) -> std::result::Result<(), String> {
        let kind = self.transcode_type.as_str();
        if TEMPLATE_TYPES.contains(&kind) {
            return Ok(());
        }
        let all = TEMPLATE_TYPES.join(", ");
        Err(match nearest(kind, TEMPLATE_TYPES) {
            Some(likely) => format!(
                "`type` is {}; did you mean \"{likely}\"? The types are {all}",
                quoted(kind)
            ),
            None => format!("`type` is {}; one of {all} is expected", quoted(kind)),
        })
    }

    /// Whether another is the same with the streams that this one lacks.
    fn may_become(&self, other: &Self) -> bool {
        self.streams.is_empty() && self.transcode_type == other.transcode_type
    }

    /// Whether two that stand under one number can both be right: they are the same, or one of them lacks the streams.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        self == other || self.may_become(other) || other.may_become(self)
    }
}

/// Adds templates to those that are known already. Of two under one number the one that has streams stands.
pub(super) fn complete(known: &mut BTreeMap<u64, Template>, more: BTreeMap<u64, Template>) {
    for (definition, template) in more {
        match known.get(&definition) {
            Some(there) if !there.may_become(&template) => {}
            _ => {
                known.insert(definition, template);
            }
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "type {}", self.transcode_type)?;
        for (number, stream) in self.streams.iter().enumerate() {
            let before = if number == 0 { " with streams" } else { "," };
            write!(f, "{before} {}:", stream.codec)?;
            if let Some(width) = stream.width {
                write!(f, "{width}x")?;
            }
            write!(f, "{}", stream.height)?;
        }
        Ok(())
    }
}

fn check_name(key: &str, name: &str) -> std::result::Result<(), String> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic());
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !is_plain {
        return Err(format!(
            "`{key}` must be 1 to {NAME_BYTES_MAX} letters, digits and signs without blanks, such as \"Standard\""
        ));
    }
    Ok(())
}

/// A template as `source show` lists it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AddedTemplate {
    pub definition: u64,
    #[serde(flatten)]
    pub template: Template,
    pub added_at: String,
}

/// What became of a template that a person adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Added {
    New,
    /// Its type was there already, and has its streams now.
    Completed,
    /// It was there already, the same.
    Unchanged,
}

/// Adds a template to a source. A template is never altered: usage was billed by it. One of which the type alone was known, by which no
/// adaptive streaming can have been billed, is given its streams.
///
/// # Errors
/// [`Error::Usage`] where the source is unknown, or has the template with another content.
pub async fn add(books: &Books, source: &str, definition: u64, template: &Template, reason: &str) -> Result<Added> {
    template
        .check()
        .and_then(|()| template.check_type())
        .map_err(Error::Usage)?;
    if !store::has(&books.ledger, source).await? {
        return Err(super::import::unknown(source));
    }
    let mut tx = books.ledger.begin().await?;
    let outcome = match known_in(&mut tx, source).await?.get(&definition) {
        None => Added::New,
        Some(there) if there == template => return Ok(Added::Unchanged),
        Some(there) if there.may_become(template) => Added::Completed,
        Some(there) => {
            return Err(Error::Usage(format!(
                "source {source} has template {definition} as {there}, which is never altered: usage may have been billed by it. {CURE}"
            )));
        }
    };
    let at = books.clock.text();
    let decision = Decision {
        who: &books.settings.who,
        action: "source template add",
        subject: format!("source {source}, template {definition}"),
        detail: serde_json::to_value(template)?,
        reason,
        at: at.clone(),
    };
    let entry = add_audit(&mut tx, &decision).await?;
    if store::templates_in(&mut tx, source).await?.contains_key(&definition) {
        store::complete_template(&mut tx, source, definition, template, entry).await?;
    } else {
        store::add_template(&mut tx, source, definition, template, &at, entry).await?;
    }
    books.ledger.commit(tx, "source_template").await?;
    Ok(outcome)
}

/// Every template that a source has or had: of all versions of its definition, and those that were added.
pub(super) async fn known_in(tx: &mut Tx, source: &str) -> Result<BTreeMap<u64, Template>> {
    let of_versions = store::templates_of_versions(&mut *tx, source).await?;
    Ok(all_of(of_versions, store::templates_in(tx, source).await?))
}

/// The same, outside a transaction.
pub(super) async fn known(ledger: &Ledger, source: &str) -> Result<BTreeMap<u64, Template>> {
    let of_versions = store::templates_of_versions(ledger, source).await?;
    Ok(all_of(of_versions, store::templates(ledger, source).await?))
}

fn all_of(of_versions: Vec<BTreeMap<u64, Template>>, added: BTreeMap<u64, Template>) -> BTreeMap<u64, Template> {
    let mut known = BTreeMap::new();
    for templates in of_versions.into_iter().chain([added]) {
        complete(&mut known, templates);
    }
    known
}

/// Templates that were added to a source.
pub async fn added(books: &Books, source: &str) -> Result<BTreeMap<u64, Template>> {
    store::templates(&books.ledger, source).await
}
