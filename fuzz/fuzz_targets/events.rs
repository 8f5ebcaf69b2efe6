//! Events of services: each line of the input as a document of either format.
//!
//! What is held, beyond that nothing panics: what is kept of an event is one line where it is JSON, is read as the event was, and has no
//! secret of it; a refusal has a code of the list and one short printable sentence; every record is one that the door takes.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use libfuzzer_sys::fuzz_target;
use tallybook::catalog::source::events::{Analysis, EventSource, Owner, SpriteImages, Template, TemplateStream};
use tallybook::pipeline::ingest::formats::events::{Event, Outcome, read};
use tallybook::pipeline::ingest::record::refusal::CODES;
use tallybook::pipeline::ingest::record::{Scratch, canonical_parameters, parse_line};
use tallybook::values::format::Format;

/// More than any sentence with each of its values cut.
const SENTENCE_BYTES_MAX: usize = 2_000;

/// What is put into a document as a secret.
const SECRET: &str = "hunter2Zq";

static SOURCE: LazyLock<EventSource> = LazyLock::new(|| EventSource {
    source: "mps".to_owned(),
    owner: Owner::One { uin: 1, appid: Some(2) },
    region: None,
    templates: BTreeMap::from([(77, template(Vec::new())), (78, template(vec![stream(None), stream(Some(640))]))]),
    notify_keys: Vec::new(),
    sprite_images: SpriteImages::default(),
    analysis: Analysis::Capability,
});

fn template(streams: Vec<TemplateStream>) -> Template {
    Template { transcode_type: "Standard".to_owned(), streams }
}

fn stream(width: Option<u32>) -> TemplateStream {
    TemplateStream { codec: "h264".to_owned(), width, height: 360 }
}

fn receipt() -> DateTime<Utc> {
    DateTime::from_timestamp(1_793_836_800, 0).expect("a time")
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for line in text.lines() {
        for format in [Format::MpsEvents, Format::MediaconvertEvents] {
            let events = read(format, line, &SOURCE, receipt());
            assert!(!events.is_empty());
            for event in events {
                hold(&event);
                assert_eq!(read(format, &event.kept, &SOURCE, receipt()), [event]);
            }
        }
        with_secrets(line);
    }
});

fn hold(event: &Event) {
    match &event.outcome {
        Outcome::Skipped(_) => {}
        Outcome::Refused(refusal) => {
            assert!(CODES.iter().any(|(code, _)| *code == refusal.code), "{refusal}");
            assert!(refusal.sentence.len() <= SENTENCE_BYTES_MAX, "{refusal}");
            assert!(!refusal.sentence.contains(char::is_control), "{refusal}");
        }
        Outcome::Records(records) => {
            assert!(!records.is_empty());
            for record in records {
                let mut scratch = Scratch::default();
                let record = parse_line(record.line.as_bytes(), &mut scratch).expect("the door takes it");
                canonical_parameters(&record).expect("the door takes its parameters");
            }
        }
    }
}

/// A document with secrets in it keeps none.
fn with_secrets(line: &str) {
    let Some(rest) = line.trim_start().strip_prefix('{').filter(|_| !line.contains(SECRET)) else {
        return;
    };
    let document = format!(
        "{{\"S3SecretKey\":\"{SECRET}\",\"ExtInfo\":\"{{\\\"NotifyKey\\\":\\\"{SECRET}\\\"}}\",\"Url\":\"https://u:{SECRET}@h/?{SECRET}\",{rest}"
    );
    for event in read(Format::MpsEvents, &document, &SOURCE, receipt()) {
        assert!(!format!("{event:?}").contains(SECRET), "{event:?}");
    }
}
