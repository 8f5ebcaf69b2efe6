//! No secret of an event is in what is kept of it, in its records, or in a sentence about it.

use serde_json::{Value, json};
use tallybook::pipeline::ingest::formats::events::Outcome;
use tallybook::values::format::Format;

use super::{Event, all, changed, one, sample, source};

/// What stands for a secret in these tests, wherever it is put.
pub const PLANTED: &str = "hunter2Zq";

/// All that is told of an event.
pub fn told(event: &Event) -> String {
    let mut told = format!(
        "{}\n{}\n{}\n{}",
        event.kept, event.session_id, event.session_context, event.task_id
    );
    match &event.outcome {
        Outcome::Records(records) => records.iter().for_each(|record| told += &record.line),
        Outcome::Refused(refusal) => told += &refusal.sentence,
        Outcome::Skipped(_) => {}
    }
    told
}

/// Puts secrets wherever an event can have them.
pub fn plant(event: &mut Value) {
    let s3 = json!({"S3Bucket": "b", "S3Region": "us-east-1", "S3Object": "/o", "S3SecretId": PLANTED, "S3SecretKey": PLANTED});
    let url = format!("https://user:{PLANTED}@media.example.com/a.mp4?sign={PLANTED}&t=1#{PLANTED}");
    let nested =
        json!({"NotifyKey": PLANTED, "Url": url, "deeper": json!({"secretKey": PLANTED, "u": url}).to_string()})
            .to_string();
    event["ExtInfo"] = nested.clone().into();
    event["SessionContext"] = url.clone().into();
    event["TaskNotifyConfig"] =
        json!({"NotifyType": "URL", "NotifyUrl": url, "NotifyKey": PLANTED, "AwsSQS": {"S3SecretKey": PLANTED}});
    for task in ["WorkflowTaskEvent", "ScheduleTaskEvent", "EditMediaTaskEvent"] {
        if event[task].is_object() {
            event[task]["Message"] = format!("cannot read {url}").into();
            event[task]["InputInfo"]["S3InputInfo"] = s3.clone();
            event[task]["OutputStorage"] = json!({"Type": "AWS-S3", "S3OutputStorage": s3});
        }
    }
    if let Some(results) = event["WorkflowTaskEvent"]["MediaProcessResultSet"].as_array_mut() {
        for item in results {
            if item["TranscodeTask"]["Output"].is_object() {
                item["TranscodeTask"]["Output"]["CallBackExtInfo"] = nested.clone().into();
            }
        }
    }
}

#[test]
fn each_secret_is_blanked_wherever_it_stands() {
    for line in [1, 2, 3, 4, 5] {
        let document = changed(line, plant);
        assert!(document.contains(PLANTED));
        let told = told(&one(&document, &source()));
        assert!(!told.contains(PLANTED), "{told}");
    }
}

#[test]
fn what_is_billed_is_the_same_without_them() {
    for line in [1, 2, 3, 4, 5] {
        // The enhancement of the second sample stands in a text that is written over.
        let expected: Vec<String> = super::rows(sample(line), &source());
        assert_eq!(super::rows(&changed(line, plant), &source()), expected);
    }
}

#[test]
fn a_task_detail_has_its_notification_key_blanked() {
    let document = changed(6, |detail| {
        detail["Response"]["TaskNotifyConfig"] =
            json!({"NotifyKey": PLANTED, "NotifyUrl": format!("http://h/?k={PLANTED}")});
    });
    let kept = one(&document, &source()).kept;
    assert!(
        kept.contains(r#""NotifyKey":"***","NotifyUrl":"http://h/?***""#),
        "{kept}"
    );
}

#[test]
fn a_refused_event_shows_no_secret_in_its_sentence() {
    let url = format!("https://h/a?sign={PLANTED}");
    let refusals = [
        changed(1, |event| event["WorkflowTaskEvent"]["Status"] = url.clone().into()),
        changed(1, |event| {
            event["WorkflowTaskEvent"]["MediaProcessResultSet"][0] = json!({"Type": url});
        }),
        changed(1, |event| event["EventType"] = url.clone().into()),
        changed(1, |event| event["WorkflowTaskEvent"]["InputInfo"] = url.clone().into()),
        changed(1, |event| {
            event["WorkflowTaskEvent"]["MediaProcessResultSet"] = json!({"S3SecretKey": PLANTED});
        }),
        json!({"msgBody": [{"S3SecretKey": PLANTED}]}).to_string(),
        json!({"msgBody": format!("{{\"S3SecretKey\":\"{PLANTED}\"")}).to_string(),
    ];
    for document in refusals {
        let event = one(&document, &source());
        assert!(matches!(event.outcome, Outcome::Refused(_)), "{document}");
        assert!(!told(&event).contains(PLANTED), "{event:?}");
    }
}

#[test]
fn a_document_that_is_cut_off_anywhere_keeps_no_secret() {
    for line in [2, 4] {
        let document = changed(line, plant);
        for end in (0..document.len())
            .filter(|end| document.is_char_boundary(*end))
            .step_by(7)
        {
            for event in all(Format::MpsEvents, &document[..end], &source()) {
                let told = told(&event);
                assert!(!told.contains(PLANTED), "{told}");
            }
        }
    }
}

#[test]
fn text_that_has_no_secret_is_kept_as_it_is() {
    let context = "{ \"order\": 4711, \"note\": \"a: b = c\" }";
    let document = changed(1, |event| event["SessionContext"] = context.into());
    assert_eq!(one(&document, &source()).session_context, context);
}
