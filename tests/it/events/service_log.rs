//! Events that are kept when their service-log fields have expired.

use serde_json::Value;
use tallybook::pipeline::ingest::formats::events::{Event, Outcome, without_service_log};

use super::{SAMPLES, all, format_of, sample, source};

/// The fields that go. The id of the task stays: identities begin with it.
const FIELDS: [&str; 4] = ["event_id", "input_url", "created_at", "started_at"];

fn records_of(event: &Event) -> Vec<Value> {
    match &event.outcome {
        Outcome::Records(records) => records
            .iter()
            .map(|it| serde_json::from_str(&it.line).unwrap())
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_without_its_service_log_gives_the_same_records_but_for_these_fields() {
    let mut dropped = 0;
    for line in 1..=SAMPLES.lines().count() {
        for event in all(format_of(line), sample(line), &source()) {
            let bare = all(format_of(line), &without_service_log(&event.kept), &source()).remove(0);
            let (before, after) = (records_of(&event), records_of(&bare));
            assert_eq!(before.len(), after.len(), "sample {line}");
            for (mut record, bare) in before.into_iter().zip(after) {
                let members = record.as_object_mut().unwrap();
                dropped += FIELDS.iter().filter(|field| members.remove(**field).is_some()).count();
                assert_eq!(record, bare, "sample {line}");
            }
            assert_eq!(bare.session_context, event.session_context);
        }
    }
    assert!(dropped > 20, "{dropped}");
}
