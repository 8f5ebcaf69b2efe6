//! One billable output of a task, and the usage record that it becomes.

use std::borrow::Cow;

use serde::Serialize;

use super::EventRecord;
use super::member::Node;
use super::owner::Account;
use super::times::{Finish, Instant, written};
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::pipeline::ingest::record::{Scratch, canonical_parameters, parse_line};
use crate::support::quote::quoted;

/// The parameters of a record, in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Parameters<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<&'a str>,
}

/// One billable output.
#[derive(Clone, Debug)]
pub(super) struct Output<'a> {
    /// Unique in the source, and the same in each event about this output.
    pub id: String,
    pub task_type: &'a str,
    pub parameters: Parameters<'a>,
    pub duration_ms: u64,
    pub finish: Finish,
    pub failed: bool,
    pub started_at: Option<Instant>,
    /// The bucket into which it was written: its name may end in the APPID.
    pub bucket: Option<&'a str>,
}

/// What all records of an event have in common.
#[derive(Clone, Debug)]
pub(super) struct Common<'a> {
    pub source: &'a str,
    pub account: Account,
    pub task_id: &'a str,
    pub event_id: Option<&'a str>,
    pub input_url: Option<String>,
    pub created_at: Option<Instant>,
}

/// A record as a line of a file has it.
#[derive(Serialize)]
struct Line<'a> {
    source: &'a str,
    id: &'a str,
    uin: u64,
    appid: u64,
    task_type: &'a str,
    parameters: &'a Parameters<'a>,
    duration_ms: u64,
    finished_at: String,
    status: &'static str,
    task_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
}

impl Output<'_> {
    /// The record, as one that the door takes.
    ///
    /// # Errors
    /// Where the door would refuse it, such as for an id that is too long.
    pub fn record(&self, common: &Common<'_>) -> Result<EventRecord, Refusal> {
        let line = Line {
            source: common.source,
            id: &self.id,
            uin: common.account.uin,
            appid: common.account.appid,
            task_type: self.task_type,
            parameters: &self.parameters,
            duration_ms: self.duration_ms,
            finished_at: written(self.finish.at),
            status: if self.failed { "FAIL" } else { "SUCCESS" },
            task_id: common.task_id,
            event_id: common.event_id,
            input_url: common.input_url.as_deref(),
            created_at: common.created_at.map(written),
            started_at: self.started_at.map(written),
        };
        let line = serde_json::to_string(&line).expect("texts and numbers are JSON");
        check(&line)?;
        Ok(EventRecord {
            line,
            derived_time: self.finish.is_derived,
        })
    }
}

/// An event is taken whole or not at all, so none of its records may be refused later for what it says itself.
fn check(line: &str) -> Result<(), Refusal> {
    let mut scratch = Scratch::default();
    let checked = parse_line(line.as_bytes(), &mut scratch).and_then(|record| canonical_parameters(&record));
    checked
        .map(|_| ())
        .map_err(|Refusal { code, sentence }| Refusal::new(code, format!("in a record of the event: {sentence}")))
}

/// Whether a result is one of a failure.
pub(super) fn has_failed(result: &Node<'_>) -> Result<bool, Refusal> {
    match result.text("Status")? {
        Some("SUCCESS") => Ok(false),
        Some("FAIL") => Ok(true),
        None => Err(result.missing("Status")),
        Some(other) => {
            let sentence = format!(
                "`{}` is {} in a task that is finished; SUCCESS or FAIL is expected",
                result.path_of("Status"),
                quoted(other)
            );
            Err(Refusal::new(code::UNKNOWN_STATUS, sentence))
        }
    }
}
