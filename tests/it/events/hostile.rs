//! Documents that nobody sends in good faith: none takes the process down, and none is billed for more than it says.

use proptest::prelude::*;
use serde_json::{Value, json};
use tallybook::pipeline::ingest::formats::events::{MAX_DOCUMENT_BYTES, Outcome, read};
use tallybook::values::format::Format;

use super::secrets::{PLANTED, plant, told};
use super::{all, changed, format_of, one, received, records, refused, rows, sample, source};

#[test]
fn nesting_is_refused_beyond_a_limit() {
    for open in [
        "[",
        "{\"a\":",
        "{\"msgBody\":",
        "{\"msgInfoList\":[",
        "{\"specversion\":\"1.0\",\"data\":",
    ] {
        let events = all(Format::MpsEvents, &open.repeat(100_000), &source());
        let Outcome::Refused(refusal) = &events[0].outcome else {
            panic!("{open}")
        };
        assert_eq!(refusal.code, "too_deep", "{open}");
    }
}

#[test]
fn carriers_in_carriers_and_texts_of_texts_end_somewhere() {
    let mut document = sample(1).to_owned();
    for _ in 0..2 {
        document = json!({"msgBody": document}).to_string();
        assert_eq!(rows(&document, &source()).len(), 6);
    }
    for _ in 0..2 {
        document = json!({"msgBody": document}).to_string();
    }
    assert_eq!(refused(&document, &source()).code, "too_deep");
    let mut text = sample(1).to_owned();
    for _ in 0..8 {
        text = Value::from(text).to_string();
    }
    assert_eq!(
        refused(&json!({"msgBody": text}).to_string(), &source()).code,
        "too_deep"
    );
}

#[test]
fn a_document_that_is_too_large_is_refused_unread() {
    let document = format!(
        "{{\"NotifyKey\":\"{PLANTED}\",\"a\":\"{}\"}}",
        "x".repeat(MAX_DOCUMENT_BYTES)
    );
    let events = read(Format::MpsEvents, &document, &source(), received());
    let Outcome::Refused(refusal) = &events[0].outcome else {
        panic!()
    };
    assert_eq!(refusal.code, "event_too_large");
    assert!(!events[0].kept.contains(PLANTED));
}

#[test]
fn what_carries_an_event_is_kept_by_what_matters_alone() {
    let document =
        json!({"msgBody": sample(1), "msgId": "m", "junk": "x".repeat(1000), "receiptHandle": "h"}).to_string();
    let kept: Value = serde_json::from_str(&one(&document, &source()).kept).unwrap();
    let names: Vec<&String> = kept.as_object().unwrap().keys().collect();
    assert_eq!(names, ["msgBody", "msgId"]);
}

#[test]
fn a_text_of_millions_of_marks_is_searched_in_one_pass() {
    // Twice the text takes about twice the time; a search that begins anew at each mark would not end here.
    for mark in ["://", "?", "https://a@b?", "secret:", "\\", "\"", "token=\\\""] {
        let long = mark.repeat((2 << 20) / mark.len());
        let events = read(Format::MpsEvents, &long, &source(), received());
        assert_eq!(events.len(), 1);
    }
}

/// Somewhere in a document: a value is changed, removed, moved or doubled.
fn mutate(value: &mut Value, steps: &[u8], to: &Value) {
    let Some((step, rest)) = steps.split_first() else {
        *value = to.clone();
        return;
    };
    let step = usize::from(*step);
    match value {
        Value::Array(items) if !items.is_empty() => {
            let at = step % items.len();
            match step / items.len() {
                0..=2 => mutate(&mut items[at], rest, to),
                3 => drop(items.remove(at)),
                4 => items.insert(at, items[at].clone()),
                _ => items.reverse(),
            }
        }
        Value::Object(members) if !members.is_empty() => {
            let at = step % members.len();
            let name = members.keys().nth(at).unwrap().clone();
            match step / members.len() {
                0..=5 => mutate(&mut members[&name], rest, to),
                6 => drop(members.remove(&name)),
                _ => {
                    members.insert(name, to.clone());
                }
            }
        }
        Value::String(text) if text.starts_with('{') => {
            let mut inner: Value = serde_json::from_str(text).unwrap_or_default();
            mutate(&mut inner, steps, to);
            *text = inner.to_string();
        }
        other => *other = to.clone(),
    }
}

fn replacement() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!("")),
        Just(json!([])),
        Just(json!({})),
        Just(json!(true)),
        Just(json!("SUCCESS")),
        Just(json!("FAIL")),
        Just(json!("PROCESSING")),
        Just(json!("WorkflowTask")),
        Just(json!("0000-00-00T00:00:00Z")),
        Just(json!("9999-12-31T23:59:59Z")),
        Just(json!(u64::MAX)),
        Just(json!(i64::MIN)),
        Just(json!(1e300)),
        any::<i32>().prop_map(|number| json!(number)),
        any::<f32>().prop_map(|number| json!(number)),
        ".{0,12}".prop_map(|text| json!(text)),
    ]
}

/// The most of a sample that can be billed, by id: durations and images.
fn most(line: usize) -> usize {
    records(sample(line), &source()).len() + 12
}

proptest! {
    #[test]
    fn any_change_of_a_document_is_answered_and_tells_no_secret(
        line in 1_usize..=7, steps in prop::collection::vec(any::<u8>(), 0..9), to in replacement()
    ) {
        let mut document: Value = serde_json::from_str(&changed(line, plant)).unwrap();
        mutate(&mut document, &steps, &to);
        let document = document.to_string();
        for event in all(format_of(line), &document, &source()) {
            let told = told(&event);
            prop_assert!(!told.contains(PLANTED), "{}", told);
            if let Outcome::Records(records) = &event.outcome {
                prop_assert!(!records.is_empty() && records.len() <= most(line));
            }
        }
    }

    #[test]
    fn any_bytes_of_a_document_may_be_lost_or_doubled(
        line in 1_usize..=7, at in any::<prop::sample::Index>(), length in 0_usize..40, again in any::<bool>()
    ) {
        let document = sample(line);
        let from = document.floor_char_boundary(at.index(document.len()));
        let to = document.ceil_char_boundary((from + length).min(document.len()));
        let middle = if again { document[from..to].repeat(2) } else { String::new() };
        let document = format!("{}{middle}{}", &document[..from], &document[to..]);
        let _answered = all(format_of(line), &document, &source());
    }

    #[test]
    fn any_text_is_answered(text in ".{0,200}") {
        for format in [Format::MpsEvents, Format::MediaconvertEvents] {
            prop_assert_eq!(read(format, &text, &source(), received()).len(), 1);
        }
    }
}
