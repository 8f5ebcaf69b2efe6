//! Enhancements, each a record on top of its transcoding.

use serde_json::{Value, json};

use super::{records, refused, rows, sample, source, with_result};

fn with(raw: &Value, reported: &str) -> String {
    with_result(2, 0, |item| {
        item["TranscodeTask"]["Input"]["RawParameter"]["EnhanceConfig"] = raw.clone();
        item["TranscodeTask"]["Output"]["CallBackExtInfo"] = reported.into();
    })
}

/// The types of the records on top of the transcoding.
fn on_top(raw: &Value, reported: &str) -> Vec<String> {
    let found = records(&with(raw, reported), &source());
    let enhanced = found.iter().filter(|record| record["task_type"] == "Enhance");
    enhanced
        .map(|record| record["parameters"]["type"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn each_reported_enhancement_is_one_record() {
    let pairs = [
        ("video_super_resolution", "SuperResolution"),
        ("hdr", "Sdr2hdr"),
        ("wd_fps", "InsertFrame"),
        ("repair", "ComprehensiveEnhancement"),
        ("denoise", "NoiseReduction"),
        ("color_enhance", "ColorEnhancement"),
        ("scratch", "RemoveScratches"),
        ("artifact", "Deburr"),
        ("sharp", "DetailEnhancement"),
        ("low_light", "LightEnhancement"),
        ("face_enhance", "FaceEnhancement"),
    ];
    for (key, name) in pairs {
        assert_eq!(on_top(&json!(null), &format!("{{\"{key}\":{{}}}}")), [name]);
    }
    let all: serde_json::Map<_, _> = pairs.iter().map(|(key, _)| ((*key).to_owned(), json!({}))).collect();
    assert_eq!(
        on_top(&json!(null), &Value::Object(all).to_string()),
        pairs.map(|(_, name)| name)
    );
}

#[test]
fn each_enhancement_that_was_asked_for_is_one_record() {
    for (key, name) in [
        ("SuperResolution", "SuperResolution"),
        ("Hdr", "Sdr2hdr"),
        ("FrameRate", "InsertFrame"),
        ("ImageQualityEnhance", "ComprehensiveEnhancement"),
        ("Denoise", "NoiseReduction"),
        ("ColorEnhance", "ColorEnhancement"),
        ("ScratchRepair", "RemoveScratches"),
        ("ArtifactRepair", "Deburr"),
        ("SharpEnhance", "DetailEnhancement"),
        ("LowLightEnhance", "LightEnhancement"),
        ("FaceEnhance", "FaceEnhancement"),
    ] {
        assert_eq!(on_top(&json!({"VideoEnhance": {key: {"Switch": "ON"}}}), ""), [name]);
        // It is on unless it is off.
        assert_eq!(on_top(&json!({"VideoEnhance": {key: {}}}), ""), [name]);
        assert!(on_top(&json!({"VideoEnhance": {key: {"Switch": "OFF"}}}), "").is_empty());
    }
}

#[test]
fn an_enhancement_that_is_asked_for_and_reported_is_billed_once() {
    let asked = json!({"VideoEnhance": {"SuperResolution": {"Switch": "ON"}, "Hdr": {"Switch": "ON"}}});
    assert_eq!(
        on_top(&asked, r#"{"video_super_resolution":{}}"#),
        ["SuperResolution", "Sdr2hdr"]
    );
}

#[test]
fn an_enhancement_that_is_not_known_is_refused_where_it_is_switched_on() {
    for (group, key) in [("VideoEnhance", "DiffusionEnhance"), ("AudioEnhance", "Denoise")] {
        let refusal = refused(&with(&json!({group: {key: {"Switch": "ON"}}}), ""), &source());
        assert_eq!(refusal.code, "unknown_enhancement");
        assert!(
            refusal.sentence.contains(&format!("EnhanceConfig.{group}.{key}`")),
            "{refusal}"
        );
        assert!(on_top(&json!({group: {key: {"Switch": "OFF"}}}), "").is_empty());
    }
    assert!(on_top(&json!({"VideoEnhance": {"EnhanceSceneType": "common"}}), "").is_empty());
}

#[test]
fn what_else_is_reported_means_nothing() {
    for reported in [
        "",
        "ok",
        "{",
        "[1]",
        r#"{"trace":"x","denoise":null}"#,
        r#"{"denoise":{"Switch":"off"},"hdr":false}"#,
    ] {
        assert!(on_top(&json!(null), reported).is_empty(), "{reported}");
    }
}

#[test]
fn a_template_has_enhancements_of_its_own() {
    let document = with_result(2, 0, |item| {
        item["TranscodeTask"]["Input"]["Definition"] = json!(100_830);
    });
    assert_eq!(rows(&document, &source())[1], rows(sample(2), &source())[1]);
    let document = with_result(2, 0, |item| {
        item["TranscodeTask"]["Input"]["Definition"] = json!(100_830);
        item["TranscodeTask"]["Output"]["CallBackExtInfo"] = "".into();
    });
    assert_eq!(rows(&document, &source()).len(), 2);
}

#[test]
fn a_failure_has_none() {
    let document = with_result(2, 0, |item| {
        item["TranscodeTask"]["Status"] = "FAIL".into();
        item["TranscodeTask"]["Output"] = json!(null);
    });
    assert_eq!(
        rows(&document, &source()),
        ["Transcode 0 FAIL", "Transcode Remuxing 20533"]
    );
}
