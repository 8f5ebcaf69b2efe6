//! How each kind of result is measured.

use serde_json::{Value, json};
use tallybook::catalog::source::events::{Analysis, EventSource, SpriteImages};

use super::{changed, records, refused, row, rows, sample, source, with_result};

fn workflow(members: &Value) -> String {
    changed(5, |event| {
        let task = event["WorkflowTaskEvent"].as_object_mut().unwrap();
        task.insert("MediaProcessResultSet".to_owned(), json!([]));
        task.insert(
            "MetaData".to_owned(),
            json!({"Duration": 61.0625, "Width": 1280, "Height": 720}),
        );
        task.extend(members.as_object().unwrap().clone());
    })
}

fn capabilities() -> EventSource {
    EventSource {
        analysis: Analysis::Capability,
        ..source()
    }
}

#[test]
fn durations_are_rounded_half_up_from_their_decimal_text() {
    for (seconds, expected) in [
        ("93.06700134277344", 93_067),
        ("0.0005", 1),
        ("0.00049999999999999999", 0),
        ("60.04700088501", 60_047),
        ("6.1e1", 61_000),
        ("9007199254740.992", 9_007_199_254_740_992_u64),
    ] {
        let document = sample(1).replacen("\"Duration\":93.06700134277344", &format!("\"Duration\":{seconds}"), 1);
        assert_eq!(records(&document, &source())[0]["duration_ms"], expected, "{seconds}");
    }
}

#[test]
fn a_success_without_a_duration_is_refused_with_the_members_path() {
    const PATH: &str = "`WorkflowTaskEvent.MediaProcessResultSet[0].TranscodeTask.Output.Duration`";
    for (duration, code) in [
        (json!(null), "missing_field"),
        (json!(""), "missing_field"),
        (json!([]), "missing_field"),
        (json!("93"), "wrong_type"),
        (json!({}), "wrong_type"),
        (json!(true), "wrong_type"),
        (json!(-1), "negative"),
        (json!(1e60), "out_of_range"),
    ] {
        let document = with_result(1, 0, |item| {
            item["TranscodeTask"]["Output"]["Duration"] = duration.clone();
        });
        let refusal = refused(&document, &source());
        assert_eq!(refusal.code, code, "{duration}");
        assert!(refusal.sentence.starts_with(PATH), "{refusal}");
    }
}

#[test]
fn null_an_empty_text_an_empty_list_and_nothing_are_the_same() {
    let expected = rows(sample(1), &source());
    for blank in [json!(null), json!(""), json!([])] {
        let document = changed(1, |event| {
            for path in ["RawParameter", "OverrideParameter", "BlindWatermark"] {
                event["WorkflowTaskEvent"]["MediaProcessResultSet"][0]["TranscodeTask"]["Input"][path] = blank.clone();
            }
            event["WorkflowTaskEvent"]["AiContentReviewResultSet"] = blank.clone();
            event["WorkflowTaskEvent"]["AiQualityControlTaskResult"] = blank.clone();
            event["SessionId"] = blank.clone();
        });
        assert_eq!(rows(&document, &source()), expected);
    }
}

#[test]
fn members_that_are_not_known_are_let_pass() {
    let document = changed(1, |event| {
        event["LiveScheduleTaskEvent"] = json!({"a": [1, {"b": null}]});
        event["New"] = json!(1e300);
        event["WorkflowTaskEvent"]["GetMediaAttributesTaskEvent"] = json!("x");
        event["WorkflowTaskEvent"]["MediaProcessResultSet"][0]["TranscodeTask"]["Output"]["VideoStreamSet"][0]["Duration"] =
            json!("?");
    });
    assert_eq!(rows(&document, &source()), rows(sample(1), &source()));
}

#[test]
fn a_member_that_decides_money_may_be_there_once() {
    let document = sample(1).replacen("\"Duration\":93.06700134277344", "\"Duration\":1,\"Duration\":2", 1);
    let refusal = refused(&document, &source());
    assert_eq!(refusal.code, "duplicate_field");
    assert!(refusal.sentence.contains("TranscodeTask.Output.Duration"), "{refusal}");
}

#[test]
fn codecs_have_one_name() {
    for (stream, expected) in [
        ("h264", "H264"),
        ("hevc", "H265"),
        ("h265", "H265"),
        ("av1", "AV1"),
        ("vp9", "VP9"),
        ("h266", "H266"),
        ("HEVC", "H265"),
    ] {
        let document = with_result(1, 0, |item| {
            item["TranscodeTask"]["Output"]["VideoStreamSet"][0]["Codec"] = stream.into();
        });
        assert_eq!(records(&document, &source())[0]["parameters"]["codec"], expected);
    }
    let multi_view = with_result(2, 0, |item| {
        item["TranscodeTask"]["Input"]["RawParameter"]["VideoTemplate"]["Codec"] = "mv-hevc".into();
    });
    assert_eq!(records(&multi_view, &source())[0]["parameters"]["codec"], "MV-HEVC");
    let none = with_result(1, 0, |item| {
        item["TranscodeTask"]["Output"]["VideoStreamSet"][0]["Codec"] = "".into();
    });
    assert!(refused(&none, &source()).sentence.contains("VideoStreamSet[0].Codec"));
}

#[test]
fn the_size_is_the_outputs_or_that_of_its_first_stream() {
    let document = with_result(1, 0, |item| {
        item["TranscodeTask"]["Output"]["Width"] = json!(0);
        item["TranscodeTask"]["Output"]["VideoStreamSet"][0]["Height"] = json!(1081);
    });
    assert_eq!(rows(&document, &source())[0], "Transcode Standard H264 1920x1081 93067");
    let document = with_result(1, 0, |item| item["TranscodeTask"]["Output"]["Width"] = json!(1920.5));
    assert_eq!(refused(&document, &source()).code, "not_whole");
}

#[test]
fn a_picture_without_a_stream_is_no_sound() {
    let document = with_result(1, 0, |item| {
        item["TranscodeTask"]["Output"]["VideoStreamSet"] = json!([]);
    });
    let refusal = refused(&document, &source());
    assert_eq!(refusal.code, "missing_field");
    assert!(refusal.sentence.contains("Output.VideoStreamSet"), "{refusal}");
}

#[test]
fn sprites_count_sheets_or_tiles() {
    let tiles = EventSource {
        sprite_images: SpriteImages::Tiles,
        ..source()
    };
    assert_eq!(rows(sample(1), &source())[5], "Snapshot ImageSprite images 1 0");
    assert_eq!(rows(sample(1), &tiles)[5], "Snapshot ImageSprite images 10 0");
    let none = with_result(1, 5, |item| {
        item["ImageSpriteTask"]["Output"]["ImagePathSet"] = json!([]);
    });
    assert!(
        refused(&none, &source())
            .sentence
            .contains("ImageSpriteTask.Output.ImagePathSet")
    );
}

#[test]
fn snapshots_count_their_pictures() {
    let document = with_result(1, 4, |item| {
        *item = json!({"Type": "SnapshotByTimeOffset", "SnapshotByTimeOffsetTask": {
            "Status": "SUCCESS", "Input": {"Definition": 10}, "Output": {"PicInfoSet": [{"TimeOffset": 1}, {"TimeOffset": 2}]},
        }});
    });
    let record = &records(&document, &source())[4];
    assert_eq!(row(record), "Snapshot SnapshotByTime images 2 0");
    assert!(record["id"].as_str().unwrap().ends_with("/SnapshotByTimeOffset/0"));
}

#[test]
fn animated_graphics_count_from_their_start_to_their_end() {
    let animated = |start: Value, end: Value| {
        with_result(1, 3, |item| {
            item["AnimatedGraphicTask"]["Status"] = "SUCCESS".into();
            item["AnimatedGraphicTask"]["Output"] =
                json!({"Width": 320, "Height": 180, "StartTimeOffset": start, "EndTimeOffset": end});
        })
    };
    assert_eq!(
        rows(&animated(json!(1.5), json!(4.7504)), &source())[3],
        "AnimatedGraphics 320x180 3250"
    );
    assert_eq!(refused(&animated(json!(5), json!(4)), &source()).code, "negative");
    assert_eq!(
        refused(&animated(json!(0), json!(null)), &source()).code,
        "missing_field"
    );
}

#[test]
fn a_blind_watermark_is_billed_on_top() {
    let document = with_result(1, 0, |item| {
        item["TranscodeTask"]["Input"]["BlindWatermark"] = json!({"Definition": 5});
    });
    let found = records(&document, &source());
    assert_eq!(row(&found[1]), "AddBlindWatermark H264 1920x1080 fps 25 93067");
    assert!(
        found[1]["id"]
            .as_str()
            .unwrap()
            .ends_with("/Transcode/0/AddBlindWatermark")
    );
    assert_eq!(found.len(), 7);
}

#[test]
fn an_extraction_of_a_blind_watermark_is_one_call() {
    let extraction = |code: i64| {
        let task =
            json!({"TaskId": "1-ExtractBlindWatermark-x", "Status": "FINISH", "ErrCode": code, "Type": "blind-basic"});
        json!({"EventType": "ExtractBlindWatermark", "ExtractBlindWatermarkTask": task}).to_string()
    };
    assert_eq!(rows(&extraction(0), &source()), ["ExtractBlindWatermark 0"]);
    assert_eq!(rows(&extraction(-7), &source()), ["ExtractBlindWatermark 0 FAIL"]);
}

#[test]
fn an_edit_fails_by_its_error_code() {
    let failed = changed(4, |event| {
        event["EditMediaTaskEvent"]["ErrCode"] = json!(70000);
        event["EditMediaTaskEvent"]["Output"] = json!(null);
    });
    assert_eq!(rows(&failed, &source()), ["Transcode Edit 0 FAIL"]);
    let none = changed(4, |event| event["EditMediaTaskEvent"]["Output"] = json!(null));
    assert!(
        refused(&none, &source())
            .sentence
            .contains("`EditMediaTaskEvent.Output`")
    );
}

#[test]
fn a_set_of_recognitions_is_one_task() {
    let part = |kind: &str, status: &str, time: Value| json!({"Type": kind, format!("{kind}Task"): {"Status": status, "Input": {"Definition": 10}, "FinishTime": time}});
    let document = workflow(&json!({
        "AiRecognitionResultSet": [
            part("AsrFullTextRecognition", "FAIL", json!(null)),
            part("AsrWordsRecognition", "SUCCESS", json!("2026-10-06T08:03:40+08:00")),
            part("FaceRecognition", "FAIL", json!(null)),
        ],
        "AiAnalysisResultSet": [part("Cover", "FAIL", json!(null))],
    }));
    assert_eq!(rows(&document, &source()), ["AIAnalysis 0 FAIL", "AIRecognition 61063"]);
    let found = records(&document, &source());
    assert_eq!(found[1]["finished_at"], "2026-10-06T00:03:40Z");
    let by_capability = [
        "AIAnalysis SmartCover 0 FAIL",
        "AIRecognition VoiceRecognition 61063",
        "AIRecognition FaceRecognition 0 FAIL",
    ];
    assert_eq!(rows(&document, &capabilities()), by_capability);
    let found = records(&document, &capabilities());
    assert!(
        found[1]["id"]
            .as_str()
            .unwrap()
            .ends_with("/AIRecognition/0/VoiceRecognition")
    );
}

#[test]
fn an_activity_is_one_task_or_one_for_each_capability() {
    let by_capability = rows(sample(3), &capabilities());
    assert_eq!(
        by_capability[1..4],
        [
            "AIRecognition VoiceRecognition 600000",
            "AIRecognition TextRecognition 600000",
            "AIAnalysis 0 FAIL"
        ]
    );
    let without = changed(3, |event| event["ScheduleTaskEvent"]["MetaData"] = json!(null));
    assert!(
        refused(&without, &source())
            .sentence
            .contains("`ScheduleTaskEvent.MetaData`")
    );
}

#[test]
fn a_review_has_its_own_duration_or_that_of_its_source() {
    let review = |duration: Value| {
        let part = json!({"Type": "Porn", "SampleRate": 1, "Duration": duration, "PornTask": {"Status": "SUCCESS"}});
        workflow(&json!({"AiContentReviewResultSet": [part]}))
    };
    assert_eq!(rows(&review(json!(30.5)), &source()), ["AIReview 30500"]);
    assert_eq!(rows(&review(json!(null)), &source()), ["AIReview 61063"]);
}

#[test]
fn quality_subtitles_and_erasing_are_measured_by_their_source() {
    let document = workflow(&json!({
        "AiQualityControlTaskResult": {"Status": "SUCCESS", "Input": {"Definition": 10}},
        "SmartSubtitlesTaskResult": [
            {"Type": "AsrFullTextRecognition", "AsrFullTextTask": {"Status": "SUCCESS"}},
            {"Type": "TransTextRecognition", "TransTextTask": {"Status": "SUCCESS"}},
        ],
        "SmartEraseTaskResult": {"Status": "SUCCESS", "Output": {"Path": "/x"}},
    }));
    let expected = [
        "AiQualityControl 61063",
        "SmartSubtitles AsrFullTextRecognition 61063",
        "SmartSubtitles TransTextRecognition 61063",
        "SmartErase 1280x720 61063",
    ];
    assert_eq!(rows(&document, &source()), expected);
}

#[test]
fn a_kind_that_is_not_known_is_taken_as_it_is() {
    let document = with_result(1, 0, |item| {
        *item = json!({"Type": "Dubbing", "TranscodeTask": null, "DubbingTask": {"Status": "SUCCESS", "Output": {"Duration": 2}}});
    });
    let record = &records(&document, &source())[0];
    assert_eq!(row(record), "Dubbing 2000");
    assert!(record["id"].as_str().unwrap().ends_with("tt1/Dubbing/0"));
    let document = with_result(1, 0, |item| *item = json!({"Type": "Dubbing"}));
    assert_eq!(refused(&document, &source()).code, "unsupported_event");
}

#[test]
fn an_event_is_taken_whole_or_not_at_all() {
    for (status, code) in [
        ("PROCESSING", "unknown_status"),
        ("success", "unknown_status"),
        ("", "missing_field"),
    ] {
        let document = with_result(1, 4, |item| item["SampleSnapshotTask"]["Status"] = status.into());
        assert_eq!(refused(&document, &source()).code, code);
    }
    // What the door would refuse later is refused now.
    let long = changed(1, |event| event["WorkflowTaskEvent"]["TaskId"] = "x".repeat(200).into());
    let refusal = refused(&long, &source());
    assert_eq!(refusal.code, "text_too_long");
    assert!(
        refusal.sentence.starts_with("in a record of the event: `id` is"),
        "{refusal}"
    );
    let none = changed(1, |event| event["WorkflowTaskEvent"]["TaskId"] = json!(null));
    assert!(
        refused(&none, &source())
            .sentence
            .contains("`WorkflowTaskEvent.TaskId`")
    );
}

#[test]
fn a_job_says_its_type_and_codec_in_its_metadata() {
    let document = changed(7, |event| {
        event["detail"]["userMetadata"]["type"] = "Professional".into();
        event["detail"]["userMetadata"]["codec"] = "hevc".into();
    });
    assert_eq!(
        rows(&document, &source())[0],
        "Transcode Professional H265 426x240 180041"
    );
    assert_eq!(rows(&document, &source())[2], "Transcode Audio 180053");
    let fraction = changed(7, |event| {
        event["detail"]["outputGroupDetails"][0]["outputDetails"][1]["durationInMs"] = json!(1.5);
    });
    let refusal = refused(&fraction, &source());
    assert!(
        refusal
            .sentence
            .contains("`detail.outputGroupDetails[0].outputDetails[1].durationInMs` is 1.5"),
        "{refusal}"
    );
}
