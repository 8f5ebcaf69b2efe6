//! Of which type a transcoding is, and which streams a template has.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tallybook::catalog::source::events::{EventSource, Template, TemplateStream};

use super::{changed, refused, rows, sample, source, template, with_result};

fn knowing(definition: u64, known: Template) -> EventSource {
    EventSource {
        templates: BTreeMap::from([(definition, known)]),
        ..source()
    }
}

/// The first output of the first sample with another template and other parameters.
fn first_row(definition: u64, parameters: &Value, source: &EventSource) -> String {
    rows(&with(definition, parameters), source).remove(0)
}

fn with(definition: u64, parameters: &Value) -> String {
    with_result(1, 0, |item| {
        let input = item["TranscodeTask"]["Input"].as_object_mut().unwrap();
        input.insert("Definition".to_owned(), definition.into());
        input.extend(parameters.as_object().unwrap().clone());
    })
}

#[test]
fn presets_of_the_service_have_their_types() {
    for (presets, kind) in [
        (
            &[100_010, 100_020, 100_030, 100_040, 100_070, 100_080, 100_210, 100_280][..],
            "Standard H264 1920x1080",
        ),
        (
            &[100_800, 100_810, 100_820, 100_830, 100_840],
            "TESHD-10 H264 1920x1080",
        ),
        (&[875, 876], "Remuxing"),
        (&[1010, 1020, 1100, 1110, 1140], "Audio"),
    ] {
        for &preset in presets {
            let row = first_row(preset, &json!({}), &source());
            assert_eq!(row, format!("Transcode {kind} 93067"), "{preset}");
        }
    }
}

#[test]
fn the_sources_table_says_what_its_templates_make() {
    assert_eq!(
        first_row(77, &json!({}), &knowing(77, template("TESHD-30"))),
        "Transcode TESHD-30 H264 1920x1080 93067"
    );
    assert_eq!(
        first_row(77, &json!({}), &knowing(77, template("Remuxing"))),
        "Transcode Remuxing 93067"
    );
    // It stands above a preset of the same id.
    assert_eq!(
        first_row(100_040, &json!({}), &knowing(100_040, template("TESHD-10"))),
        "Transcode TESHD-10 H264 1920x1080 93067"
    );
}

#[test]
fn what_the_task_asked_for_stands_above_its_template() {
    let config = |kind: &str| json!({"OverrideParameter": {"TEHDConfig": {"Type": kind}}});
    let known = knowing(77, template("Standard"));
    assert_eq!(
        first_row(77, &config("TEHD-100"), &known),
        "Transcode TESHD-10 H264 1920x1080 93067"
    );
    assert_eq!(
        first_row(77, &config(""), &known),
        "Transcode Standard H264 1920x1080 93067"
    );
    let refusal = refused(&with(77, &config("TEHD-300")), &known);
    assert_eq!(refusal.code, "unknown_template");
    assert!(
        refusal
            .sentence
            .contains("OverrideParameter.TEHDConfig.Type` is \"TEHD-300\""),
        "{refusal}"
    );
}

#[test]
fn raw_parameters_say_it_all_where_there_is_no_template() {
    let raw = |config: Value| json!({"RawParameter": {"Container": "mp4", "TEHDConfig": config}});
    assert_eq!(
        first_row(0, &raw(json!(null)), &source()),
        "Transcode Standard H264 1920x1080 93067"
    );
    assert_eq!(
        first_row(0, &raw(json!({"Type": ""})), &source()),
        "Transcode Standard H264 1920x1080 93067"
    );
    assert_eq!(
        first_row(0, &raw(json!({"Type": "TEHD-100"})), &source()),
        "Transcode TESHD-10 H264 1920x1080 93067"
    );
    let refusal = refused(&with(0, &json!({})), &source());
    assert_eq!(refusal.code, "unknown_template");
    assert!(refusal.sentence.contains("Input.RawParameter` is missing"), "{refusal}");
    // With a template they mean nothing.
    assert_eq!(
        first_row(100_040, &raw(json!({"Type": "TEHD-100"})), &source()),
        "Transcode Standard H264 1920x1080 93067"
    );
}

#[test]
fn sound_alone_is_audio_whatever_its_template() {
    let sound = |definition: u64, parameters: Value| {
        with_result(1, 2, |item| {
            let input = item["TranscodeTask"]["Input"].as_object_mut().unwrap();
            input.insert("Definition".to_owned(), definition.into());
            input.extend(parameters.as_object().unwrap().clone());
        })
    };
    assert_eq!(rows(&sound(77, json!({})), &source())[2], "Transcode Audio 93100");
    let tsc = json!({"OverrideParameter": {"TEHDConfig": {"Type": "TEHD-200"}}});
    assert_eq!(rows(&sound(77, tsc), &source())[2], "Transcode TESHD-20 93100");
    assert_eq!(
        rows(&sound(77, json!({})), &knowing(77, template("TESHD-20")))[2],
        "Transcode TESHD-20 93100"
    );
    assert_eq!(
        rows(&sound(77, json!({})), &knowing(77, template("Remuxing")))[2],
        "Transcode Remuxing 93100"
    );
}

#[test]
fn a_template_that_is_not_known_is_refused_with_the_cure_and_billed_when_it_is() {
    let refusal = refused(&with(77, &json!({})), &source());
    assert_eq!(refusal.code, "unknown_template");
    assert!(
        refusal
            .sentence
            .contains("`tallybook source template add mps 77 --type TYPE --reason TEXT`"),
        "{refusal}"
    );
    let document = with(77, &json!({}));
    assert_eq!(rows(&document, &knowing(77, template("Standard"))).len(), 6);
    // A failure is never charged, and needs none.
    let failed = with_result(1, 0, |item| {
        item["TranscodeTask"]["Status"] = "FAIL".into();
        item["TranscodeTask"]["Input"]["Definition"] = json!(77);
        item["TranscodeTask"]["Output"] = json!(null);
    });
    assert_eq!(rows(&failed, &source())[0], "Transcode 0 FAIL");
}

fn adaptive(definition: u64, input: &Value) -> String {
    changed(6, |detail| {
        let task = &mut detail["Response"]["WorkflowTask"]["MediaProcessResultSet"][0]["AdaptiveDynamicStreamingTask"];
        let known = task["Input"].as_object_mut().unwrap();
        known.insert("Definition".to_owned(), definition.into());
        known.extend(input.as_object().unwrap().clone());
    })
}

fn with_source_size(width: u64, height: u64) -> String {
    changed(6, |detail| {
        let media = &mut detail["Response"]["WorkflowTask"]["MetaData"];
        media["Width"] = width.into();
        media["Height"] = height.into();
    })
}

#[test]
fn streams_of_the_preset_above_the_source_are_left_out() {
    let portrait = rows(&with_source_size(720, 1280), &source());
    assert_eq!(portrait.last().unwrap(), "Transcode Standard H264 720x1280 1260500");
    assert_eq!(portrait.len(), 3);
    assert_eq!(rows(&with_source_size(3840, 2160), &source()).len(), 6);
    // The lowest stays.
    assert_eq!(
        rows(&with_source_size(160, 90), &source()),
        ["Transcode Standard H264 426x240 1260500"]
    );
    let unknown = changed(6, |detail| {
        let media = &mut detail["Response"]["WorkflowTask"]["MetaData"];
        *media = json!({"Duration": 1});
    });
    assert!(refused(&unknown, &source()).sentence.contains("MetaData.Height"));
}

#[test]
fn streams_of_other_templates_are_in_the_sources_table() {
    let stream = |width, height| TemplateStream {
        codec: "hevc".to_owned(),
        width,
        height,
    };
    let table = Template {
        transcode_type: "TESHD-10".to_owned(),
        streams: vec![stream(None, 2160), stream(Some(640), 360)],
    };
    assert_eq!(
        rows(&adaptive(77, &json!({})), &knowing(77, table)),
        [
            "Transcode TESHD-10 H265 3840x2160 1260500",
            "Transcode TESHD-10 H265 640x360 1260500"
        ]
    );
    let refusal = refused(&adaptive(77, &json!({})), &source());
    assert_eq!(refusal.code, "unknown_template");
    assert!(
        refusal
            .sentence
            .contains(" 77 --type TYPE --stream CODEC:HEIGHT --reason TEXT`"),
        "{refusal}"
    );
    let refusal = refused(&adaptive(77, &json!({})), &knowing(77, template("Standard")));
    assert!(
        refusal
            .sentence
            .contains("not the streams; add it with `tallybook source template add mps 77 --type Standard --stream CODEC:HEIGHT --reason TEXT`"),
        "{refusal}"
    );
}

#[test]
fn streams_that_the_task_asked_for_take_the_place_of_its_templates() {
    let streams = json!({"StdExtStreamInfos": [
        {"Video": {"Codec": "h265", "Width": 1280, "Height": 720}, "RemoveVideo": 0},
        {"Video": {"Codec": "h264", "Width": 0, "Height": 480}},
        {"Video": {"Codec": "h264"}},
        {"RemoveVideo": 1},
    ]});
    let expected = [
        "Transcode Standard H265 1280x720 1260500",
        "Transcode Standard H264 854x480 1260500",
        "Transcode Standard H264 1920x1080 1260500",
        "Transcode Audio 1260500",
    ];
    assert_eq!(rows(&adaptive(77, &streams), &source()), expected);
    assert!(rows(&adaptive(77, &streams), &knowing(77, template("TESHD-10")))[0].contains("TESHD-10"));
}

#[test]
fn a_blind_watermark_is_billed_for_each_stream() {
    let found = rows(&adaptive(10, &json!({"BlindWatermark": {"Definition": 5}})), &source());
    assert_eq!(found.len(), 8);
    assert_eq!(found[1], "AddBlindWatermark H264 426x240 1260500");
    assert_eq!(rows(sample(6), &source()).len(), 4);
}
