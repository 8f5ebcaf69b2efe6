//! Whether anything needs a person: one line and an exit code, for monitors.

use chrono::{DateTime, TimeDelta, Utc};

use crate::context::Books;
use crate::nightly::store::{Run, last_runs};
use crate::pipeline::ingest::quarantine::alarm;
use crate::pipeline::ingest::quarantine::alarm::Alarm;
use crate::sources::overview::overview;
use crate::support::error::exit_code::ExitCode;
use crate::support::error::{Error, Result};

/// The answer.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Health {
    pub as_of: String,
    /// The run's clock of the last night; none before the first.
    pub last_night: Option<String>,
    /// Its exit code.
    pub last_exit_code: Option<i64>,
    /// What the last night left to a person, and alarms and sources since. A night that failed or is too long ago is among it.
    pub needs_person: Vec<String>,
}

impl Health {
    /// Done, or needs a person.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::unless(self.needs_person.is_empty(), ExitCode::NeedsPerson)
    }

    /// One line: `ok`, or the first sentence and how many there are.
    pub fn line(&self) -> String {
        let night = match &self.last_night {
            Some(as_of) => format!("last nightly run as of {as_of}"),
            None => "no nightly run yet".to_owned(),
        };
        let Some(first) = self.needs_person.first() else {
            return format!("ok: {night}\n");
        };
        // A sentence may have a sender's text in it.
        let first = first.split_whitespace().collect::<Vec<_>>().join(" ");
        let more = match self.needs_person.len() {
            1 => String::new(),
            count => format!(" (and {} more: see `tallybook status`)", count - 1),
        };
        format!("ACTION REQUIRED: {first}{more}; {night}\n")
    }
}

/// Reads it from the last night's report, the open alarms and the sources. `hours_max`: how long ago the last night may be.
pub async fn health(books: &Books, hours_max: Option<u32>) -> Result<Health> {
    let runs = last_runs(&books.ledger, 1).await?;
    let last = runs.first();
    let mut needs_person = last.map(left_by).unwrap_or_default();
    let alarms = alarm::store::open(&books.ledger).await?;
    for sentence in alarms.iter().map(Alarm::sentence) {
        if !needs_person.contains(&sentence) {
            needs_person.push(sentence);
        }
    }
    let now = books.clock.by_now();
    let sources = overview(books).await?;
    for sentence in sources.iter().filter_map(|source| source.needs_person(now)) {
        if !needs_person.contains(&sentence) {
            needs_person.push(sentence);
        }
    }
    if let Some(hours) = hours_max {
        needs_person.extend(too_long_ago(last, hours, now)?);
    }
    Ok(Health {
        as_of: books.clock.text(),
        last_night: last.map(|run| run.as_of.clone()),
        last_exit_code: last.map(|run| run.exit_code),
        needs_person,
    })
}

/// What a night left to a person: its sentences, or that it failed.
fn left_by(run: &Run) -> Vec<String> {
    let sentences: Vec<String> = run.report["needs_person"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|sentence| sentence.as_str().map(ToOwned::to_owned))
        .collect();
    if run.exit_code == 0 || !sentences.is_empty() {
        return sentences;
    }
    vec![format!("{} (exit code {})", run.text.trim_end(), run.exit_code)]
}

fn too_long_ago(last: Option<&Run>, hours: u32, now: DateTime<Utc>) -> Result<Option<String>> {
    let Some(run) = last else {
        return Ok(Some("there has been no nightly run yet".to_owned()));
    };
    let as_of = DateTime::parse_from_rfc3339(&run.as_of)
        .map_err(|error| Error::Unbalanced(format!("run as of {}: {error}", run.as_of)))?;
    let is_too_long = now.signed_duration_since(as_of) > TimeDelta::hours(i64::from(hours));
    Ok(is_too_long.then(|| format!("there has been no nightly run for more than {hours} hours")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health_of(needs_person: &[&str]) -> Health {
        Health {
            as_of: String::new(),
            last_night: Some("2026-11-29T02:30:00+00:00".to_owned()),
            last_exit_code: Some(0),
            needs_person: needs_person.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn a_monitor_reads_one_line_whatever_a_sender_wrote() {
        let night = "last nightly run as of 2026-11-29T02:30:00+00:00\n";
        assert_eq!(health_of(&[]).line(), format!("ok: {night}"));
        assert_eq!(
            health_of(&["a\nb.csv: no\tfile"]).line(),
            format!("ACTION REQUIRED: a b.csv: no file; {night}")
        );
        assert_eq!(
            health_of(&["one", "two", "three"]).line(),
            format!("ACTION REQUIRED: one (and 2 more: see `tallybook status`); {night}")
        );
    }

    #[test]
    fn a_night_that_is_missing_is_told_when_it_is_asked_for() {
        let run = Run {
            run: Some(1),
            command: "nightly".to_owned(),
            as_of: "2026-11-29T02:30:00+00:00".to_owned(),
            exit_code: 0,
            report: serde_json::Value::Null,
            text: String::new(),
        };
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (just, over) = (at("2026-12-01T04:30:00Z"), at("2026-12-01T04:30:01Z"));
        assert_eq!(too_long_ago(Some(&run), 50, just).unwrap(), None);
        assert!(
            too_long_ago(Some(&run), 50, over)
                .unwrap()
                .unwrap()
                .contains("50 hours")
        );
        assert!(
            too_long_ago(None, 50, just)
                .unwrap()
                .unwrap()
                .contains("no nightly run")
        );
    }
}
