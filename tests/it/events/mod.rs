//! Events as an input: what each document becomes, as a function of the document, the source and the time of receipt alone.

mod carriers;
mod enhancements;
mod hostile;
mod mapping;
mod owners;
mod samples;
mod secrets;
mod service_log;
mod signatures;
mod templates;
mod times;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tallybook::catalog::source::events::{Analysis, EventSource, Owner, SpriteImages, Template};
use tallybook::catalog::source::secret::Secret;
use tallybook::pipeline::ingest::formats::events::{Event, Outcome, Skip, read};
use tallybook::pipeline::ingest::record::refusal::{CODES, Refusal};
use tallybook::values::format::Format;

const SAMPLES: &str = include_str!("../../data/events/samples.ndjson");
const KEY: &str = "sample-notify-key";
const UIN: u64 = 100_000_000_000;
const APPID: u64 = 1_250_000_001;

/// The documents of the samples, counted from 1.
fn sample(line: usize) -> &'static str {
    SAMPLES.lines().nth(line - 1).unwrap()
}

fn format_of(line: usize) -> Format {
    if line == 7 {
        Format::MediaconvertEvents
    } else {
        Format::MpsEvents
    }
}

fn received() -> DateTime<Utc> {
    "2026-10-20T00:00:00Z".parse().unwrap()
}

/// A source of one account that knows the template of the third sample.
fn source() -> EventSource {
    EventSource {
        source: "mps".to_owned(),
        owner: Owner::One {
            uin: UIN,
            appid: Some(APPID),
        },
        region: None,
        templates: BTreeMap::from([(1_205_731, template("TESHD-30"))]),
        notify_keys: Vec::new(),
        sprite_images: SpriteImages::default(),
        analysis: Analysis::default(),
    }
}

fn template(transcode_type: &str) -> Template {
    Template {
        transcode_type: transcode_type.to_owned(),
        streams: Vec::new(),
    }
}

fn signed(keys: &[&str]) -> EventSource {
    EventSource {
        notify_keys: keys.iter().copied().map(Secret::new).collect(),
        ..source()
    }
}

/// The one event of a document. Whatever it is, its kept form must be read the same.
fn one(document: &str, source: &EventSource) -> Event {
    let format = if document.contains("\"detail-type\"") {
        Format::MediaconvertEvents
    } else {
        Format::MpsEvents
    };
    let mut events = all(format, document, source);
    assert_eq!(events.len(), 1, "{document}");
    events.remove(0)
}

fn all(format: Format, document: &str, source: &EventSource) -> Vec<Event> {
    let events = read(format, document, source, received());
    for event in &events {
        assert!(!event.kept.contains('\n'), "{}", event.kept);
        assert_eq!(
            read(format, &event.kept, source, received()),
            std::slice::from_ref(event)
        );
        if let Outcome::Refused(refusal) = &event.outcome {
            assert!(CODES.iter().any(|(code, _)| *code == refusal.code), "{refusal}");
        }
    }
    events
}

fn records(document: &str, source: &EventSource) -> Vec<Value> {
    let event = one(document, source);
    match &event.outcome {
        Outcome::Records(records) => records
            .iter()
            .map(|record| serde_json::from_str(&record.line).unwrap())
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn refused(document: &str, source: &EventSource) -> Refusal {
    match one(document, source).outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn skipped(document: &str, source: &EventSource) -> Skip {
    match one(document, source).outcome {
        Outcome::Skipped(skip) => skip,
        other => panic!("{other:?}"),
    }
}

/// What is billed of each record, in a line.
fn rows(document: &str, source: &EventSource) -> Vec<String> {
    records(document, source).iter().map(row).collect()
}

fn row(record: &Value) -> String {
    let parameters = &record["parameters"];
    let mut words = vec![text(&record["task_type"])];
    words.extend(["type", "codec"].iter().map(|name| text(&parameters[name])));
    if parameters["width"].is_u64() {
        words.push(format!("{}x{}", parameters["width"], parameters["height"]));
    }
    for name in ["fps", "images"] {
        if parameters[name].is_u64() {
            words.push(format!("{name} {}", parameters[name]));
        }
    }
    words.push(record["duration_ms"].to_string());
    if record["status"] == "FAIL" {
        words.push("FAIL".to_owned());
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A sample with something changed; the event in a message is changed in its text.
fn changed(line: usize, change: impl FnOnce(&mut Value)) -> String {
    let mut document: Value = serde_json::from_str(sample(line)).unwrap();
    if let Some(body) = document["msgBody"].as_str() {
        let mut event: Value = serde_json::from_str(body).unwrap();
        change(&mut event);
        document["msgBody"] = event.to_string().into();
    } else {
        change(&mut document);
    }
    document.to_string()
}

/// A sample with something changed in one of its results, counted from 0.
fn with_result(line: usize, result: usize, change: impl FnOnce(&mut Value)) -> String {
    let found = |event: &mut Value| -> Option<Value> {
        let workflow = &mut event["WorkflowTaskEvent"]["MediaProcessResultSet"][result];
        Some(workflow.take()).filter(Value::is_object)
    };
    changed(line, |event| {
        if let Some(mut item) = found(event) {
            change(&mut item);
            event["WorkflowTaskEvent"]["MediaProcessResultSet"][result] = item;
        } else {
            change(&mut event["ScheduleTaskEvent"]["ActivityResultSet"][result]["ActivityResItem"]);
        }
    })
}
