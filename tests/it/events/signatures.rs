//! Signatures: asked for where the source has keys, and never enough by themselves.

use serde_json::{Value, json};

use super::{KEY, changed, one, refused, rows, sample, signed, source};

const SIGNED: [usize; 3] = [1, 2, 5];

#[test]
fn a_right_signature_is_taken() {
    for line in SIGNED {
        assert_eq!(rows(sample(line), &signed(&[KEY])), rows(sample(line), &source()));
        // One of several.
        assert_eq!(
            rows(sample(line), &signed(&["other", KEY])),
            rows(sample(line), &source())
        );
    }
}

#[test]
fn the_case_of_its_digits_does_not_matter() {
    let document = changed(1, |event| {
        event["Sign"] = event["Sign"].as_str().unwrap().to_uppercase().into();
    });
    assert_eq!(rows(&document, &signed(&[KEY])).len(), 6);
}

#[test]
fn a_signature_by_another_key_is_refused() {
    for line in SIGNED {
        let refusal = refused(
            sample(line),
            &signed(&["other", "sample-notify-kez", "Sample-notify-key"]),
        );
        assert_eq!(refusal.code, "bad_signature");
        assert!(!refusal.sentence.contains("sample-notify"), "{refusal}");
    }
}

#[test]
fn a_wrong_signature_is_refused() {
    for sign in [
        "",
        "3a1f",
        "0a1f03e7541eadac5ebda6e1a1ad394b",
        "3a1f03e7541eadac5ebda6e1a1ad394b0",
    ] {
        let document = changed(1, |event| event["Sign"] = sign.into());
        assert_eq!(refused(&document, &signed(&[KEY])).code, "bad_signature");
    }
    // Another time is another signature.
    let document = changed(1, |event| event["Timestamp"] = json!(1_791_164_449));
    assert_eq!(refused(&document, &signed(&[KEY])).code, "bad_signature");
}

#[test]
fn an_event_of_any_kind_without_a_signature_is_refused() {
    let live = json!({"NotificationType": "ProcessEof"}).to_string();
    let processing = changed(3, |event| event["ScheduleTaskEvent"]["Status"] = "PROCESSING".into());
    for document in [sample(3), sample(4), sample(6), sample(7), &live, &processing] {
        assert_eq!(refused(document, &signed(&[KEY])).code, "bad_signature");
        assert_eq!(refused(document, &signed(&[""])).code, "bad_signature");
    }
}

#[test]
fn a_signature_expires_by_the_time_of_the_message_alone() {
    // The sample's own: published ten minutes before.
    let pushed = |time: i64| sample(2).replacen("\"publishTime\":1791215999", &format!("\"publishTime\":{time}"), 1);
    assert_eq!(rows(&pushed(1_791_216_598), &signed(&[KEY])).len(), 3);
    let refusal = refused(&pushed(1_791_216_599), &signed(&[KEY]));
    assert_eq!(refusal.code, "signature_expired");
    assert_eq!(
        refusal.sentence,
        "`Sign` was good until 2026-10-05T16:09:58Z; the event was sent at 2026-10-05T16:09:59Z"
    );
    assert_eq!(
        refused(&pushed(1_791_216_599_000), &signed(&[KEY])).code,
        "signature_expired"
    );
    // The same in a queue, and in a CloudEvent.
    let event: Value = serde_json::from_str(sample(1)).unwrap();
    let late = json!({"enqueueTime": 1_791_164_449, "msgBody": event.to_string()}).to_string();
    assert_eq!(refused(&late, &signed(&[KEY])).code, "signature_expired");
    let late = json!({"specversion": "1.0", "time": "2026-10-05T01:40:49Z", "data": event}).to_string();
    assert_eq!(refused(&late, &signed(&[KEY])).code, "signature_expired");
    let good = json!({"specversion": "1.0", "time": "2026-10-05T01:40:48Z", "data": event}).to_string();
    assert_eq!(rows(&good, &signed(&[KEY])).len(), 6);
    // An event by itself was received long after, and tells no time at which it was sent.
    assert_eq!(rows(sample(1), &signed(&[KEY])).len(), 6);
}

#[test]
fn a_right_signature_admits_nothing_by_itself() {
    let other_account = changed(1, |event| {
        event["WorkflowTaskEvent"]["MediaProcessResultSet"][0]["TranscodeTask"]["Input"]["Definition"] = json!(77);
    });
    assert_eq!(refused(&other_account, &signed(&[KEY])).code, "unknown_template");
    let negative = changed(1, |event| {
        event["WorkflowTaskEvent"]["MediaProcessResultSet"][0]["TranscodeTask"]["Output"]["Duration"] = json!(-1);
    });
    assert_eq!(refused(&negative, &signed(&[KEY])).code, "negative");
}

#[test]
fn what_is_kept_has_its_signature_and_its_time() {
    let kept = one(sample(2), &signed(&[KEY])).kept;
    assert_eq!(rows(&kept, &signed(&[KEY])).len(), 3);
    assert_eq!(refused(&kept, &signed(&["other"])).code, "bad_signature");
}
