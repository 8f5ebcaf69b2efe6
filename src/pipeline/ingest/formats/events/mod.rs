//! Events as an input: what a service tells when a task is done, as the usage records that a file would have held.
//!
//! ```text
//! open        the event is taken out of its message, batch or CloudEvent
//! blank       secrets go, before anything is looked at
//! recognise   the kind of event, its signature, and whether it is finished
//! outputs     one for each billable output, by its kind
//! records     with the account, the times and the service log of the event
//! ```
//!
//! Everything here is pure: the same document, source and time of receipt give the same. An event is taken whole or refused; members that
//! are not known are let pass, and those that decide money are read strictly.

mod adaptive;
mod analysis;
mod carrier;
mod encoded;
mod enhancement;
mod images;
mod mediaconvert;
mod member;
mod mps;
mod output;
mod owner;
mod results;
mod seconds;
mod secrets;
mod service_log;
mod signature;
mod storage;
mod task;
mod template;
mod times;
mod transcode;

pub use carrier::MAX_DOCUMENT_BYTES;
pub use service_log::without_service_log;

use chrono::{DateTime, Utc};

use crate::catalog::source::events::EventSource;
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::values::format::Format;
use carrier::{Carried, Content};
use member::Node;

/// One event of a document, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event as it is kept (with its carrier's members that matter), secrets blanked: reading it again gives the same.
    pub kept: String,
    /// The customer's own session id and context; empty where there is none.
    pub session_id: String,
    pub session_context: String,
    pub task_id: String,
    pub outcome: Outcome,
}

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// One usage record per billable output.
    Records(Vec<EventRecord>),
    /// Recognised, and nothing to bill; it is counted.
    Skipped(Skip),
    Refused(Refusal),
}

/// A usage record of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The record as a line of a file would have it (JSON with our field names; parameters as an object; numbers exact).
    pub line: String,
    /// Whether `finished_at` is the queue's, the push's, the signature's or the receipt's time and not the task's own.
    pub derived_time: bool,
}

/// Why an event has nothing to bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// The task goes on: another event tells of its end.
    NotFinished,
    /// It is about a live stream.
    Live,
    /// The task has no result that is billed.
    NoResults,
    /// The job was canceled, failed, or goes on.
    NotComplete,
}

impl Skip {
    pub const ALL: [Self; 4] = [Self::NotFinished, Self::Live, Self::NoResults, Self::NotComplete];

    pub fn text(self) -> &'static str {
        match self {
            Self::NotFinished => "not_finished",
            Self::Live => "live",
            Self::NoResults => "no_results",
            Self::NotComplete => "not_complete",
        }
    }
}

/// The events of one JSON document: one, or several of a batch of messages. `receipt`: when the bytes were received first.
pub fn read(format: Format, document: &str, source: &EventSource, receipt: DateTime<Utc>) -> Vec<Event> {
    let carried = carrier::open(document).into_iter();
    carried
        .map(|carried| read_one(format, carried, source, receipt))
        .collect()
}

fn read_one(format: Format, mut carried: Carried, source: &EventSource, receipt: DateTime<Utc>) -> Event {
    carried.blank_secrets();
    let event = match &carried.content {
        Content::Json(tree) => Node::root(tree),
        Content::Broken { .. } => None,
    };
    let about = event.as_ref().map(About::of).unwrap_or_default();
    let outcome = outcome(format, &carried, event.as_ref(), source, receipt).unwrap_or_else(Outcome::Refused);
    Event {
        kept: carried.written(),
        session_id: about.session_id.to_owned(),
        session_context: about.session_context.to_owned(),
        task_id: about.task_id.to_owned(),
        outcome,
    }
}

fn outcome(
    format: Format,
    carried: &Carried,
    event: Option<&Node<'_>>,
    source: &EventSource,
    receipt: DateTime<Utc>,
) -> Result<Outcome, Refusal> {
    if let Content::Broken { text, cause } = &carried.content {
        return Err(cause.refusal(text));
    }
    let event = event.ok_or_else(|| Refusal::new(code::NOT_AN_OBJECT, "the event is no JSON object"))?;
    let delivery = carried.delivery()?;
    match format {
        Format::MpsEvents => mps::read(event, source, &delivery, receipt),
        Format::MediaconvertEvents => mediaconvert::read(event, source, &delivery),
        Format::Ndjson | Format::Csv | Format::Parquet => {
            let sentence = format!("the format {} has no events", format.text());
            Err(Refusal::new(code::NOT_AN_EVENT, sentence))
        }
    }
}

/// What is known of an event even where it is refused.
#[derive(Default)]
struct About<'a> {
    session_id: &'a str,
    session_context: &'a str,
    task_id: &'a str,
}

impl<'a> About<'a> {
    fn of(event: &Node<'a>) -> Self {
        let inside = |node: &Node<'a>, name: &str| node.object(name).ok().flatten();
        let document = inside(event, "Response").unwrap_or_else(|| event.clone());
        let text = |node: &Node<'a>, name: &str| node.text(name).ok().flatten();
        let in_parts = |name: &str| document.names().find_map(|part| text(&inside(&document, part)?, name));
        Self {
            session_id: text(&document, "SessionId").unwrap_or_default(),
            session_context: text(&document, "SessionContext").unwrap_or_default(),
            task_id: text(&document, "TaskId")
                .or_else(|| in_parts("TaskId"))
                .or_else(|| in_parts("jobId"))
                .unwrap_or_default(),
        }
    }
}
