//! Notifications and task details of the media-processing service: which they are, and the records of one.

use chrono::{DateTime, Utc};

use super::carrier::Delivery;
use super::member::Node;
use super::output::{Common, Output};
use super::owner::{appid_of_bucket, of_application};
use super::task::{Own, Task, log_time, size};
use super::times::Times;
use super::transcode::{TASK_TYPE, with_video};
use super::{Outcome, Skip, mediaconvert, results, signature, storage};
use crate::catalog::source::events::EventSource;
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::support::json::tree::Tree;
use crate::support::quote::quoted;

/// What a task is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Workflow,
    Schedule,
    Edit,
    ExtractBlindWatermark,
}

/// What a document is.
enum Document<'a> {
    /// One event about a task, or its details; the kind of the task, and its own object in there.
    Task(Node<'a>, Kind, Node<'a>),
    Live,
    /// An answer of the queue without a message.
    Nothing,
}

/// What becomes of one event.
pub(super) fn read(
    event: &Node<'_>,
    source: &EventSource,
    delivery: &Delivery<'_>,
    receipt: DateTime<Utc>,
) -> Result<Outcome, Refusal> {
    let sent = delivery.message_time.or(delivery.event_time);
    let (document, kind, body) = match recognised(event, |signed| signature::check(source, signed, sent))? {
        Document::Task(document, kind, body) => (document, kind, body),
        Document::Live => return Ok(Outcome::Skipped(Skip::Live)),
        Document::Nothing => return Ok(Outcome::Skipped(Skip::NoResults)),
    };
    if !is_finished(&document)? || !is_finished(&body)? {
        return Ok(Outcome::Skipped(Skip::NotFinished));
    }
    if !body.has("Status") && !document.has("Status") {
        return Err(body.missing("Status"));
    }
    let task = Task {
        source,
        id: body.text("TaskId")?.ok_or_else(|| body.missing("TaskId"))?,
        input: storage::input(input_info(&body, kind)?.as_ref())?,
        times: Times::of(&document, delivery, receipt)?,
        started_at: log_time(&document, "BeginProcessTime"),
        body,
    };
    let outputs = outputs(&task, kind)?;
    if outputs.is_empty() {
        return Ok(Outcome::Skipped(Skip::NoResults));
    }
    let mut buckets = task
        .input
        .bucket
        .name
        .into_iter()
        .chain(outputs.iter().filter_map(|output| output.bucket));
    let appid = delivery.topic_owner.or_else(|| buckets.find_map(appid_of_bucket));
    let common = Common {
        source: &source.source,
        account: of_application(source, appid)?,
        task_id: task.id,
        event_id: delivery.message_id.or(document.text("RequestId").ok().flatten()),
        input_url: task.input.url.clone(),
        created_at: log_time(&document, "CreateTime"),
    };
    let records: Result<Vec<_>, Refusal> = outputs.iter().map(|output| output.record(&common)).collect();
    Ok(Outcome::Records(records?))
}

/// What a document is; `check` sees the object with the signature before anything is said about the rest.
fn recognised<'a>(
    event: &Node<'a>,
    check: impl FnOnce(&Node<'a>) -> Result<(), Refusal>,
) -> Result<Document<'a>, Refusal> {
    // Answers to calls stand in a `Response`: the details of a task, and events that the service was asked to parse.
    let document = match event.object("Response")? {
        Some(response) => response,
        None => event.clone(),
    };
    if document.has("NotificationType") {
        check(&document)?;
        return Ok(Document::Live);
    }
    for (member, suffix) in [("EventType", "Event"), ("TaskType", "")] {
        if document.has(member) {
            check(&document)?;
            let name = document.text(member)?.unwrap_or_default();
            return of_kind(&document, name, suffix);
        }
    }
    if event.is_blank("msgInfoList") {
        return Ok(Document::Nothing);
    }
    Err(not_an_event(event, &document))
}

/// The task of that type in an event, where the name of its object ends in `suffix`, or in details.
fn of_kind<'a>(document: &Node<'a>, name: &str, suffix: &str) -> Result<Document<'a>, Refusal> {
    let (kind, member) = match name {
        "WorkflowTask" => (Kind::Workflow, format!("WorkflowTask{suffix}")),
        "ScheduleTask" => (Kind::Schedule, format!("ScheduleTask{suffix}")),
        "EditMediaTask" => (Kind::Edit, format!("EditMediaTask{suffix}")),
        "ExtractBlindWatermark" | "ExtractBlindWatermarkTask" => {
            (Kind::ExtractBlindWatermark, "ExtractBlindWatermarkTask".to_owned())
        }
        "LiveScheduleTask" | "LiveStreamProcessTask" => return Ok(Document::Live),
        other => {
            let sentence = format!(
                "the event is of type {}, which says nothing that can be billed here; supported are WorkflowTask, ScheduleTask, \
                 EditMediaTask and ExtractBlindWatermark",
                quoted(other)
            );
            return Err(Refusal::new(code::UNSUPPORTED_EVENT, sentence));
        }
    };
    let body = document.object(&member)?.ok_or_else(|| document.missing(&member))?;
    Ok(Document::Task(document.clone(), kind, body))
}

fn not_an_event(event: &Node<'_>, document: &Node<'_>) -> Refusal {
    let sentence = if mediaconvert::is_event(event) {
        "this is an event of MediaConvert; its source needs the format mediaconvert-events".to_owned()
    } else if document.has("Error") {
        "this is the answer to a call that failed; the details of a task are expected".to_owned()
    } else {
        "this is no event of the media-processing service: it has no `EventType`, `NotificationType`, `TaskType` or `msgBody`".to_owned()
    };
    Refusal::new(code::NOT_AN_EVENT, sentence)
}

/// Whether a task is done. FINISH is no success: that is for each result to say.
fn is_finished(node: &Node<'_>) -> Result<bool, Refusal> {
    match node.text("Status")? {
        None | Some("FINISH") => Ok(true),
        Some("PROCESSING" | "WAITING") => Ok(false),
        Some(other) => {
            let sentence = format!(
                "`{}` is {}; FINISH, PROCESSING or WAITING is expected",
                node.path_of("Status"),
                quoted(other)
            );
            Err(Refusal::new(code::UNKNOWN_STATUS, sentence))
        }
    }
}

/// Where a task's source is named; of an edit, that of the first.
fn input_info<'a>(body: &Node<'a>, kind: Kind) -> Result<Option<Node<'a>>, Refusal> {
    if kind != Kind::Edit {
        return body.object("InputInfo");
    }
    let Some(input) = body.object("Input")? else {
        return Ok(None);
    };
    match input.list("FileInfoSet")?.first() {
        Some(file) => file.object("InputInfo"),
        None => Ok(None),
    }
}

fn outputs<'a>(task: &Task<'a>, kind: Kind) -> Result<Vec<Output<'a>>, Refusal> {
    match kind {
        Kind::Workflow => results::of_workflow(task),
        Kind::Schedule => results::of_schedule(task),
        Kind::Edit => edit(task).map(|output| vec![output]),
        Kind::ExtractBlindWatermark => extraction(task).map(|output| vec![output]),
    }
}

/// What was edited: one output, like a transcoding.
fn edit<'a>(task: &Task<'a>) -> Result<Output<'a>, Refusal> {
    let mut output = task.output(format!("{}/Edit/0", task.id), TASK_TYPE, &of_body(task)?);
    output.parameters.kind = Some("Edit".into());
    if output.failed {
        return Ok(output);
    }
    let made = task.body.object("Output")?.ok_or_else(|| task.body.missing("Output"))?;
    let media = made.object("MetaData")?.ok_or_else(|| made.missing("MetaData"))?;
    output.duration_ms = media
        .milliseconds("Duration")?
        .ok_or_else(|| media.missing("Duration"))?;
    match media.list("VideoStreamSet")?.first() {
        Some(stream) => {
            output = with_video(output, &media, stream)?;
            output.parameters.fps = None;
        }
        None if size(&media, None)?.is_some() => return Err(media.missing("VideoStreamSet")),
        None => {}
    }
    Ok(output)
}

/// A call that looked for a blind watermark; whether there is one does not matter.
fn extraction<'a>(task: &Task<'a>) -> Result<Output<'a>, Refusal> {
    let id = format!("{}/ExtractBlindWatermark/0", task.id);
    Ok(task.output(id, "ExtractBlindWatermark", &of_body(task)?))
}

/// What a task without results says about itself: it has failed where its error code is not 0.
fn of_body<'a>(task: &Task<'a>) -> Result<Own<'a>, Refusal> {
    let failed = match task.body.value("ErrCode")? {
        None => false,
        Some(Tree::Number(number)) => number != "0",
        Some(other) => {
            return Err(super::member::wrong_type(
                &task.body.path_of("ErrCode"),
                other,
                "a number",
            ));
        }
    };
    Ok(Own {
        failed,
        bucket: storage::output(&task.body)?,
        started_at: log_time(&task.body, "BeginProcessTime"),
        finished_at: task.body.time("FinishTime")?,
        ..Own::default()
    })
}
