//! When an output was done: the first time that there is, and whether it is one of the task's own.

use serde_json::{Value, json};
use tallybook::pipeline::ingest::formats::events::Outcome;

use super::{changed, one, refused, sample, source};

/// The time of the first record, and whether it is derived.
fn first(document: &str) -> (String, bool) {
    let Outcome::Records(records) = one(document, &source()).outcome else {
        panic!("{document}")
    };
    let record: Value = serde_json::from_str(&records[0].line).unwrap();
    (
        record["finished_at"].as_str().unwrap().to_owned(),
        records[0].derived_time,
    )
}

fn derived(time: &str) -> (String, bool) {
    (time.to_owned(), true)
}

#[test]
fn the_first_time_that_is_there_counts() {
    let event = |own: Option<&str>, signed: bool| {
        let mut event: Value = serde_json::from_str(sample(5)).unwrap();
        if let Some(own) = own {
            event["WorkflowTaskEvent"]["MediaProcessResultSet"][0]["TranscodeTask"]["FinishTime"] = own.into();
        }
        if !signed {
            event["Timestamp"] = Value::Null;
        }
        event
    };
    let own = Some("2026-10-06T09:00:00.5+08:00");
    let message = |event: &Value| json!({"msgId": "m", "enqueueTime": 1_791_331_000, "msgBody": event.to_string()});
    let cloud = |event: &Value| json!({"specversion": "1.0", "id": "e", "time": "2026-10-07T00:00:01Z", "data": event});
    let detail = |event: &Value| {
        json!({"Response": {
            "TaskType": "WorkflowTask", "Status": "FINISH", "FinishTime": "2026-10-06T02:00:00Z",
            "Timestamp": event["Timestamp"], "WorkflowTask": event["WorkflowTaskEvent"],
        }})
    };
    // (1) the result's, (2) the document's, (3) the message's, (4) the signature's, (5) the receipt's.
    assert_eq!(
        first(&message(&event(own, true)).to_string()),
        ("2026-10-06T01:00:00.500Z".to_owned(), false)
    );
    assert_eq!(
        first(&message(&detail(&event(None, true))).to_string()),
        ("2026-10-06T02:00:00Z".to_owned(), false)
    );
    assert_eq!(
        first(&message(&event(None, true)).to_string()),
        derived("2026-10-06T23:56:40Z")
    );
    assert_eq!(
        first(&cloud(&event(None, true)).to_string()),
        derived("2026-10-07T00:12:09Z")
    );
    assert_eq!(
        first(&cloud(&event(None, false)).to_string()),
        derived("2026-10-07T00:00:01Z")
    );
    assert_eq!(first(&event(None, false).to_string()), derived("2026-10-20T00:00:00Z"));
    // A time that was not reached is none.
    assert_eq!(
        first(&event(Some("0000-00-00T00:00:00Z"), false).to_string()),
        derived("2026-10-20T00:00:00Z")
    );
}

#[test]
fn a_time_of_its_own_that_is_none_is_refused() {
    for (time, code) in [
        (json!("2026-10-06T09:00:00"), "not_a_time"),
        (json!("soon"), "not_a_time"),
        (json!(1_791_331_000), "wrong_type"),
    ] {
        let document = changed(5, |event| {
            event["WorkflowTaskEvent"]["MediaProcessResultSet"][0]["TranscodeTask"]["FinishTime"] = time;
        });
        let refusal = refused(&document, &source());
        assert_eq!(refusal.code, code);
        assert!(refusal.sentence.contains("TranscodeTask.FinishTime"), "{refusal}");
    }
}

#[test]
fn a_message_has_its_time_in_seconds_or_milliseconds() {
    let pushed = |time: &str| sample(2).replacen("\"publishTime\":1791215999", &format!("\"publishTime\":{time}"), 1);
    for time in ["1791215999", "1791215999000", "\"1791215999\""] {
        assert_eq!(first(&pushed(time)), derived("2026-10-05T15:59:59Z"), "{time}");
    }
    assert_eq!(first(&pushed("1791215999123")), derived("2026-10-05T15:59:59.123Z"));
    // None, as if it were not there.
    assert_eq!(first(&pushed("0")), derived("2026-10-05T15:59:58Z"));
    for time in ["1791215999000000", "99999999999"] {
        assert_eq!(refused(&pushed(time), &source()).code, "out_of_range", "{time}");
    }
    assert_eq!(refused(&pushed("1.5"), &source()).code, "not_a_number");
}

#[test]
fn a_time_of_the_service_log_that_is_none_is_left_out() {
    let document = changed(6, |detail| {
        detail["Response"]["CreateTime"] = "yesterday".into();
        detail["Response"]["BeginProcessTime"] = json!(5);
    });
    let Outcome::Records(records) = one(&document, &source()).outcome else {
        panic!("{document}")
    };
    let record: Value = serde_json::from_str(&records[0].line).unwrap();
    assert_eq!(record["created_at"], Value::Null);
    // The result's own.
    assert_eq!(record["started_at"], "2026-10-08T10:02:00Z");
}
