//! All sources at a glance: what each is, how far it has been read, and how its last pull ended.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::pull::{State, UNKNOWN_KIND};
use super::store::{self, LastPull, Position};
use crate::catalog::source::import::faults;
use crate::catalog::source::store as catalog;
use crate::context::Books;
use crate::support::error::Result;
use crate::support::table::counted;
use crate::values::format::Format;

/// A source at a glance.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Overview {
    pub source: String,
    pub kind: &'static str,
    pub format: Option<&'static str>,
    /// Of its definition; none where none was ever imported.
    pub version: Option<i64>,
    /// `disabled`, `needs_person` where its definition is not taken, `files`, `never pulled`, or how the last pull ended.
    pub state: String,
    /// Why its definition is not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    pub position: Option<Position>,
    pub last_pull: Option<LastPull>,
    /// Seconds between the newest time that the source has for what was read, and now.
    pub behind_s: Option<i64>,
    #[serde(skip)]
    pub behind: Option<String>,
}

/// Hours without a pull that ended as done, after which a person is told.
const SILENT_HOURS: i64 = 24;

impl Overview {
    /// Such as `orders (cmq): done, 1,204 records, 12 min behind`.
    pub fn sentence(&self) -> String {
        let records = self.position.as_ref().map_or(0, |position| position.records);
        let behind = self
            .behind
            .as_ref()
            .map_or_else(String::new, |behind| format!(", {behind} behind"));
        let message = self
            .message()
            .map_or_else(String::new, |message| format!(": {message}"));
        format!(
            "{} ({}): {}, {}{behind}{message}",
            self.source,
            self.kind,
            self.state.replace('_', " "),
            counted(records, "record")
        )
    }

    /// What there is to say of it: why its definition is not taken, or why its last pull ended.
    pub fn message(&self) -> Option<&str> {
        let of_pull = || self.last_pull.as_ref().and_then(|pull| pull.message.as_deref());
        self.fault.as_deref().or_else(of_pull)
    }

    /// What a person should do about it, in a sentence; none where nothing.
    pub fn needs_person(&self, now: DateTime<Utc>) -> Option<String> {
        if self.state == "disabled" {
            return None;
        }
        if let Some(fault) = &self.fault {
            return Some(format!("source {}: {fault}", self.source));
        }
        let pull = self.last_pull.as_ref()?;
        let message = pull.message.as_deref().unwrap_or_default();
        if matches!(pull.state.as_str(), "needs_person" | "failed") {
            return Some(format!("source {}: {message}", self.source));
        }
        let done_at = pull.done_at.as_deref().and_then(|at| at.parse::<DateTime<Utc>>().ok());
        let is_silent = done_at.is_some_and(|at| now - at > TimeDelta::hours(SILENT_HOURS));
        (pull.state == "unavailable" && is_silent).then(|| {
            format!(
                "source {} could not be read for more than {SILENT_HOURS} hours: {message}",
                self.source
            )
        })
    }
}

/// Reads it: of all sources in the ledger, and of those whose definitions are not taken.
pub async fn overview(books: &Books) -> Result<Vec<Overview>> {
    let mut positions = store::positions(&books.ledger).await?;
    let mut pulls = store::last_pulls(&books.ledger).await?;
    let disabled = catalog::disabled(&books.ledger).await?;
    let now = books.clock.now();
    let mut versions = catalog::newest_of_all(&books.ledger).await?.versions;
    let mut faults = faults(books).await?;
    let names: BTreeSet<String> = versions.keys().chain(faults.keys()).cloned().collect();
    let at_a_glance = |name: String| {
        let (version, fault) = (versions.remove(&name), faults.remove(&name));
        let source = version.as_ref().map(|version| &version.definition.source);
        let (position, last_pull) = (positions.remove(&name), pulls.remove(&name));
        let newest = position.as_ref().and_then(|position| position.newest.as_ref());
        let behind = newest
            .and_then(|at| at.parse::<DateTime<Utc>>().ok())
            .map(|at| now - at);
        let state = match &last_pull {
            _ if disabled.contains_key(&name) => "disabled",
            _ if fault.is_some() => State::NeedsPerson.text(),
            _ if !source.is_some_and(|source| source.kind.is_pulled()) => "files",
            Some(pull) => pull.state.as_str(),
            None => "never pulled",
        };
        Overview {
            state: state.to_owned(),
            fault: fault.map(|fault| fault.what),
            kind: source.map_or(UNKNOWN_KIND, |source| source.kind.name()),
            format: source.and_then(|source| source.format).map(Format::text),
            version: version.as_ref().map(|version| version.version),
            behind_s: behind.map(|behind| behind.num_seconds()),
            behind: behind.map(span_text),
            position,
            last_pull,
            source: name,
        }
    };
    Ok(names.into_iter().map(at_a_glance).collect())
}

/// Such as `3 d 4 h`, `12 min` or `5 s`.
fn span_text(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    match (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        let text = |seconds| span_text(TimeDelta::seconds(seconds));
        assert_eq!([text(0), text(59), text(60)], ["0 s", "59 s", "1 min"]);
        assert_eq!([text(3_600), text(90_000)], ["1 h 0 min", "1 d 1 h"]);
    }
}
