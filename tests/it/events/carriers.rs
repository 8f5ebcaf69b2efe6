//! What brings an event: it is the same event in each of them.

use serde_json::{Value, json};
use tallybook::pipeline::ingest::formats::events::{Outcome, Skip};
use tallybook::values::format::Format;

use super::{all, changed, one, records, refused, row, rows, sample, skipped, source};

fn body() -> String {
    let message: Value = serde_json::from_str(sample(2)).unwrap();
    message["msgBody"].as_str().unwrap().to_owned()
}

fn in_message(body: &Value) -> String {
    json!({"msgId": "m-1", "enqueueTime": 1_791_215_999, "receiptHandle": "h", "msgBody": body}).to_string()
}

#[test]
fn one_event_gives_the_same_billing_in_every_carrier() {
    let expected = rows(sample(2), &source());
    let event: Value = serde_json::from_str(&body()).unwrap();
    let detail = json!({"Response": {
        "TaskType": "WorkflowTask", "Status": "FINISH", "FinishTime": "2026-10-05T15:59:50Z",
        "WorkflowTask": event["WorkflowTaskEvent"],
    }});
    let cloud_event =
        |data: &Value| json!({"specversion": "1.0", "id": "e", "source": "s", "type": "t", "data": data}).to_string();
    for document in [
        body(),
        format!("\u{feff}{}", body()),
        format!("[{}]", body()),
        in_message(&body().into()),
        in_message(&event),
        // Encoded twice.
        in_message(&Value::from(body()).to_string().into()),
        json!({"code": 0, "msgInfoList": [{"msgId": "m", "msgBody": body()}]}).to_string(),
        cloud_event(&event),
        cloud_event(&body().into()),
        cloud_event(&serde_json::from_str(&in_message(&body().into())).unwrap()),
        detail.to_string(),
        detail["Response"].to_string(),
        // As the service itself parses it.
        json!({"Response": event}).to_string(),
    ] {
        assert_eq!(rows(&document, &source()), expected, "{document}");
    }
}

#[test]
fn a_batch_of_messages_gives_each_its_own_event() {
    let third: Value = serde_json::from_str(sample(3)).unwrap();
    let batch = json!({"code": 0, "message": "", "requestId": "r", "msgInfoList": [
        {"msgId": "m-1", "enqueueTime": 1_791_215_999, "msgBody": body()},
        third,
        {"msgId": "m-3", "msgBody": "{\"EventType\":"},
        {"msgId": "m-4"},
        {"msgId": "m-5", "msgBody": ""},
    ]});
    let events = all(Format::MpsEvents, &batch.to_string(), &source());
    let counts: Vec<_> = events
        .iter()
        .map(|event| match &event.outcome {
            Outcome::Records(records) => records.len().to_string(),
            Outcome::Skipped(skip) => skip.text().to_owned(),
            Outcome::Refused(refusal) => refusal.code.to_owned(),
        })
        .collect();
    assert_eq!(counts, ["3", "4", "cut_off", "not_an_event", "missing_field"]);
    let kept: Value = serde_json::from_str(&events[0].kept).unwrap();
    assert_eq!(
        (&kept["msgId"], &kept["enqueueTime"]),
        (&"m-1".into(), &1_791_215_999.into())
    );
    assert!(events[2].kept.contains("m-3"), "{}", events[2].kept);
}

#[test]
fn an_answer_of_the_queue_without_a_message_is_counted() {
    let empty = r#"{"code":0,"message":"","requestId":"r","msgInfoList":[]}"#;
    assert_eq!(skipped(empty, &source()), Skip::NoResults);
}

#[test]
fn events_before_the_end_are_recognised_and_counted() {
    // In `Change` mode an event comes with each change of a part.
    let document = changed(1, |event| {
        event["WorkflowTaskEvent"]["Status"] = "PROCESSING".into();
        event["WorkflowTaskEvent"]["MediaProcessResultSet"][0]["TranscodeTask"]["Status"] = "PROCESSING".into();
    });
    assert_eq!(skipped(&document, &source()), Skip::NotFinished);
    let waiting = changed(6, |detail| detail["Response"]["Status"] = "WAITING".into());
    assert_eq!(skipped(&waiting, &source()), Skip::NotFinished);
    let refusal = refused(
        &changed(1, |event| event["WorkflowTaskEvent"]["Status"] = "DONE".into()),
        &source(),
    );
    assert_eq!(refusal.code, "unknown_status");
    assert!(
        refusal.sentence.contains("`WorkflowTaskEvent.Status` is \"DONE\""),
        "{refusal}"
    );
}

#[test]
fn live_events_are_recognised_and_counted() {
    for kind in [
        "AiReviewResult",
        "AiRecognitionResult",
        "LiveRecordResult",
        "AiQualityControlResult",
        "AiAnalysisResult",
        "AiSmartSubtitleResult",
        "ProcessEof",
    ] {
        let document = json!({"NotificationType": kind, "TaskId": "t", "SessionId": "s", format!("{kind}Info"): {}});
        let event = one(&document.to_string(), &source());
        assert_eq!(event.outcome, Outcome::Skipped(Skip::Live));
        assert_eq!((event.task_id.as_str(), event.session_id.as_str()), ("t", "s"));
    }
    let parsed = r#"{"Response":{"NotificationType":"ProcessEof","ProcessEofInfo":{}}}"#;
    assert_eq!(skipped(parsed, &source()), Skip::Live);
    let detail = r#"{"Response":{"TaskType":"LiveStreamProcessTask","Status":"FINISH","LiveStreamProcessTask":{}}}"#;
    assert_eq!(skipped(detail, &source()), Skip::Live);
}

#[test]
fn a_task_without_results_is_counted() {
    let empty = changed(1, |event| {
        event["WorkflowTaskEvent"]["MediaProcessResultSet"] = json!([]);
    });
    assert_eq!(skipped(&empty, &source()), Skip::NoResults);
    let condition = changed(3, |event| {
        event["ScheduleTaskEvent"]["ActivityResultSet"] =
            json!([{"ActivityType": "condition-1", "ActivityResItem": {"ExecRuleTask": {"Status": "SUCCESS"}}}]);
    });
    assert_eq!(skipped(&condition, &source()), Skip::NoResults);
}

#[test]
fn what_is_no_event_is_refused_and_says_what_it_is() {
    for (document, code, words) in [
        ("{}", "not_an_event", "`EventType`"),
        ("[]", "not_an_object", "object"),
        ("7", "not_an_object", "object"),
        ("", "cut_off", "not JSON"),
        ("{\"EventType\"", "cut_off", "not JSON"),
        ("{'EventType':1}", "not_json", "Python"),
        (
            r#"{"EventType":"BatchTask","BatchTaskEvent":{}}"#,
            "unsupported_event",
            "\"BatchTask\"",
        ),
        (r#"{"EventType":"NewTask"}"#, "unsupported_event", "\"NewTask\""),
        (
            r#"{"EventType":"WorkflowTask","WorkflowTaskEvent":null}"#,
            "missing_field",
            "`WorkflowTaskEvent`",
        ),
        (r#"{"EventType":5}"#, "wrong_type", "`EventType` is 5"),
        (
            r#"{"Response":{"Error":{"Code":"x"},"RequestId":"r"}}"#,
            "not_an_event",
            "failed",
        ),
        (r#"{"msgBody":5}"#, "wrong_type", "`msgBody` is 5"),
        (r#"{"msgBody":"{}","msgBody":"{}"}"#, "duplicate_field", "`msgBody`"),
        (
            r#"{"specversion":"1.0","data_base64":"e30="}"#,
            "missing_field",
            "`data`",
        ),
    ] {
        let refusal = super::refused(document, &source());
        assert_eq!(refusal.code, code, "{document}: {refusal}");
        assert!(refusal.sentence.contains(words), "{document}: {refusal}");
    }
    let job = super::all(Format::MpsEvents, sample(7), &source());
    let Outcome::Refused(refusal) = &job[0].outcome else {
        panic!("{job:?}")
    };
    assert!(refusal.sentence.contains("mediaconvert-events"), "{refusal}");
    let workflow = super::all(Format::MediaconvertEvents, sample(1), &source());
    let Outcome::Refused(refusal) = &workflow[0].outcome else {
        panic!("{workflow:?}")
    };
    assert_eq!(refusal.code, "not_an_event");
}

#[test]
fn a_job_of_mediaconvert_that_is_not_complete_is_counted() {
    for status in ["ERROR", "CANCELED", "PROGRESSING"] {
        let document = changed(7, |event| event["detail"]["status"] = status.into());
        assert_eq!(skipped(&document, &source()), Skip::NotComplete);
    }
    let none = changed(7, |event| event["detail"]["outputGroupDetails"] = json!([]));
    assert_eq!(skipped(&none, &source()), Skip::NoResults);
}

#[test]
fn text_in_a_message_is_what_its_escapes_mean() {
    let name = "/in/\u{6f22}\u{5b57} \"q\" \\ \u{1f600}\n.mp4";
    let document = changed(2, |event| {
        event["WorkflowTaskEvent"]["InputInfo"]["CosInputInfo"]["Object"] = name.into();
    });
    let escaped = document
        .replace('\u{6f22}', "\\u6f22")
        .replace('\u{1f600}', "\\ud83d\\ude00");
    for document in [document, escaped] {
        let record = &records(&document, &source())[0];
        assert_eq!(record["input_url"], format!("cos://media-1250000001{name}"));
        assert_eq!(row(record), "Transcode TESHD-10 H265 1080x1920 20534");
    }
}
