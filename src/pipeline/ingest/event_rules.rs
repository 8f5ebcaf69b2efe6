//! What the events of an input are read with: the source's definition, and when their bytes were received.

use chrono::{DateTime, Utc};

use crate::catalog::source::events::EventSource;
use crate::catalog::source::{store, template};
use crate::context::Books;
use crate::support::error::{Error, Result};
use crate::values::format::Format;

/// What the events of an input are read with.
#[derive(Clone, Debug)]
pub struct EventRules {
    pub format: Format,
    pub source: EventSource,
    /// When the bytes were received first.
    pub receipt: DateTime<Utc>,
}

/// The rules of a source, where the format is one of events.
///
/// # Errors
/// [`Error::Usage`] where nobody defined the source: an event does not say whose usage it is.
pub(crate) async fn event_rules(
    books: &Books,
    source: &str,
    format: Format,
    receipt: DateTime<Utc>,
) -> Result<Option<EventRules>> {
    if !format.is_events() {
        return Ok(None);
    }
    let Some(version) = store::newest(&books.ledger, source).await? else {
        return Err(Error::Usage(format!(
            "events do not say whose usage they are, and source {source} is not defined: write [source.{source}] with format = \"{}\" \
             and `uin` into the settings, or a file {source}.toml into the sources folder, and name the source with --source",
            format.text()
        )));
    };
    let added = template::added(books, source).await?;
    Ok(Some(EventRules {
        format,
        source: version.definition.source.for_events(added)?,
        receipt,
    }))
}
