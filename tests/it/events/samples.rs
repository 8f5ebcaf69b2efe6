//! The seven samples, each with exactly the records that it stands for.

use serde_json::Value;
use tallybook::catalog::source::events::{EventSource, Owner};
use tallybook::pipeline::ingest::formats::events::Outcome;

use super::{APPID, UIN, one, records, refused, row, sample, source, text};

/// Id, what is billed, when it was done, and whether that time is derived.
fn told(line: usize, source: &EventSource) -> Vec<(String, String, String, bool)> {
    let Outcome::Records(found) = one(sample(line), source).outcome else {
        panic!("line {line}")
    };
    let tell = |record: &tallybook::pipeline::ingest::formats::events::EventRecord| {
        let value: Value = serde_json::from_str(&record.line).unwrap();
        assert_eq!((&value["uin"], &value["appid"]), (&UIN.into(), &APPID.into()));
        let (_, id) = value["id"].as_str().unwrap().split_once('/').unwrap();
        (
            id.to_owned(),
            row(&value),
            text(&value["finished_at"]),
            record.derived_time,
        )
    };
    found.iter().map(tell).collect()
}

fn expected(rows: &[(&str, &str, &str, bool)]) -> Vec<(String, String, String, bool)> {
    let own = |(id, row, time, derived): &(&str, &str, &str, bool)| {
        ((*id).to_owned(), (*row).to_owned(), (*time).to_owned(), *derived)
    };
    rows.iter().map(own).collect()
}

#[test]
fn a_workflow_with_six_results_gives_six_records() {
    let sent = "2026-10-05T01:30:48Z";
    let rows = [
        ("Transcode/0", "Transcode Standard H264 1920x1080 93067", sent, true),
        ("Transcode/1", "Transcode TESHD-10 H264 1280x720 93067", sent, true),
        ("Transcode/2", "Transcode Audio 93100", sent, true),
        (
            "AnimatedGraphics/0",
            "AnimatedGraphics 0 FAIL",
            "2026-10-05T01:30:12Z",
            false,
        ),
        (
            "SampleSnapshot/0",
            "Snapshot SampleSnapshot images 10 0",
            "2026-10-05T01:30:19Z",
            false,
        ),
        (
            "ImageSprites/0",
            "Snapshot ImageSprite images 1 0",
            "2026-10-05T01:30:21Z",
            false,
        ),
    ];
    assert_eq!(told(1, &source()), expected(&rows));
}

#[test]
fn an_enhanced_transcoding_gives_a_record_for_each_of_the_two() {
    // The last second of 5 October at +08:00.
    let pushed = "2026-10-05T15:59:59Z";
    let rows = [
        ("Transcode/0", "Transcode TESHD-10 H265 1080x1920 20534", pushed, true),
        (
            "Transcode/0/Enhance/SuperResolution",
            "Enhance SuperResolution H265 1080x1920 fps 30 20534",
            pushed,
            true,
        ),
        ("Transcode/1", "Transcode Remuxing 20533", pushed, true),
    ];
    assert_eq!(told(2, &source()), expected(&rows));
}

#[test]
fn a_schedule_gives_a_record_for_each_activity_if_its_template_is_known() {
    let enqueued = "2026-10-06T08:21:37Z";
    let rows = [
        ("Transcode/0", "Transcode TESHD-30 AV1 3840x2160 600040", enqueued, true),
        ("AIRecognition/0", "AIRecognition 600000", "2026-10-06T08:03:40Z", false),
        ("AIAnalysis/0", "AIAnalysis 0 FAIL", "2026-10-06T08:00:09Z", false),
        ("AiQualityControl/0", "AiQualityControl 600000", enqueued, true),
    ];
    assert_eq!(told(3, &source()), expected(&rows));
    let without = EventSource {
        templates: std::collections::BTreeMap::new(),
        ..source()
    };
    let refusal = refused(sample(3), &without);
    assert_eq!(refusal.code, "unknown_template");
    assert_eq!(
        refusal.sentence,
        "`ScheduleTaskEvent.ActivityResultSet[0].ActivityResItem.TranscodeTask.Input.Definition` is 1205731, a template whose type is \
         not known; add it with `tallybook source template add mps 1205731 --type TYPE --reason TEXT`, then retry the event"
    );
}

#[test]
fn an_edit_without_a_time_has_that_of_its_receipt() {
    let rows = [(
        "Edit/0",
        "Transcode Edit H264 1280x720 1500120",
        "2026-10-20T00:00:00Z",
        true,
    )];
    assert_eq!(told(4, &source()), expected(&rows));
}

#[test]
fn a_workflow_whose_source_could_not_be_read_gives_its_failure() {
    let rows = [("Transcode/0", "Transcode 0 FAIL", "2026-10-07T00:12:09Z", true)];
    assert_eq!(told(5, &source()), expected(&rows));
}

#[test]
fn adaptive_streaming_gives_a_record_for_each_stream_that_is_not_above_its_source() {
    let done = "2026-10-08T10:27:31Z";
    let stream = |lines: &str, row| (format!("AdaptiveDynamicStreaming/0/Stream/{lines}"), row);
    let found = told(6, &source());
    let streams = [
        stream("0", "Transcode Standard H264 426x240 1260500"),
        stream("1", "Transcode Standard H264 854x480 1260500"),
        stream("2", "Transcode Standard H264 1280x720 1260500"),
        stream("3", "Transcode Standard H264 1920x1080 1260500"),
    ];
    let streams = streams.map(|(id, row)| (id, row.to_owned(), done.to_owned(), false));
    assert_eq!(found, streams);
}

#[test]
fn a_job_of_mediaconvert_gives_a_record_for_each_output() {
    let by_data = EventSource {
        owner: Owner::Record,
        ..source()
    };
    let done = "2026-10-09T12:00:31.118Z";
    let rows = [
        ("0/0", "Transcode 426x240 180041", done, false),
        ("0/1", "Transcode 1280x720 180041", done, false),
        ("0/2", "Transcode Audio 180053", done, false),
        ("1/0", "Transcode 1920x1080 180041", done, false),
    ];
    assert_eq!(told(7, &by_data), expected(&rows));
}

#[test]
fn a_record_has_the_service_log_of_its_event() {
    let first = &records(sample(2), &source())[0];
    assert_eq!(first["source"], "mps");
    assert_eq!(
        first["task_id"],
        "2600000001-WorkflowTask-d9de75d7a2b8ef16d32a22c30cdd6927tt7"
    );
    assert_eq!(first["event_id"], "m-000000000017");
    assert_eq!(first["input_url"], "cos://media-1250000001/in/clip.mov");
    assert_eq!(first["parameters"]["region"], "ap-shanghai");
    assert_eq!(first["parameters"]["definition"], 0);
    let edit = &records(sample(4), &source())[0];
    assert_eq!(edit["input_url"], "https://media.example.com/a.mp4");
    assert_eq!(edit["parameters"]["region"], "ap-guangzhou");
    let detail = &records(sample(6), &source())[0];
    assert_eq!(detail["event_id"], "5b0f0b7e-2a6e-4c7c-9f5b-9d8a4e0b1c22");
    assert_eq!(detail["created_at"], "2026-10-08T10:01:58Z");
    assert_eq!(detail["started_at"], "2026-10-08T10:02:00Z");
    let job = &records(sample(7), &source())[0];
    assert_eq!(job["event_id"], "5f7a1c0e-93a1-4f0e-8a52-0d7d2b1f6c11");
    assert_eq!(job["task_id"], "1791547200123-a1b2c3");
    assert_eq!(job["parameters"]["region"], "eu-central-1");
}

#[test]
fn an_event_brings_the_session_of_the_customer() {
    let event = one(sample(1), &source());
    assert_eq!(event.session_id, "7d3f0c52-4a0e-4c0b-9a77-0d6a4f1e2b10");
    assert_eq!(event.session_context, "order=4711");
    assert_eq!(
        event.task_id,
        "2600000001-WorkflowTask-e71b3cb69fa6e06d8f470faa8e354d20tt1"
    );
    assert_eq!(one(sample(4), &source()).session_context, "tenant-7");
    assert_eq!(one(sample(7), &source()).task_id, "1791547200123-a1b2c3");
}
