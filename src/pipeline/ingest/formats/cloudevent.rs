//! A record that comes as a `CloudEvent` (1.0, JSON format): `source` and `id` are the event's, `subject` may be
//! `UIN/APPID`, `time` is `finished_at` where `data` has none, `data` holds the rest.
//!
//! Attributes that mean nothing to a record (`type`, `dataschema`, extensions) must be well formed and are
//! let pass. A record's field at the event's own level is refused: an ignored `kind` would bill a void.

use std::collections::HashSet;

use crate::support::json::{Scanner, Text, Value};
use crate::support::quote::quoted;
use crate::values::number::{NumberError, digits};

use crate::pipeline::ingest::record::field_values::wrong_type;
use crate::pipeline::ingest::record::fields::{Field, Fields, Given, Subject};
use crate::pipeline::ingest::record::parameter_keys;
use crate::pipeline::ingest::record::refusal::{Refusal, code, duplicate_field, unknown_field};

/// The version of `CloudEvents` that is read.
const VERSION: &str = "1.0";

/// The attribute that makes an object a `CloudEvent`.
const VERSION_NAME: &str = "specversion";

/// What the event's own level says that concerns the record.
#[derive(Debug, Default)]
struct Envelope<'a> {
    source: Option<Text<'a>>,
    id: Option<Text<'a>>,
    subject: Option<Text<'a>>,
    time: Option<Text<'a>>,
    data: Option<&'a str>,
}

/// Whether the JSON object `text` is an event rather than a record: it has a `specversion`.
#[cold]
pub(crate) fn is_event(text: &str) -> bool {
    let mut is_event = false;
    let read = each_member(text, |name, _| {
        is_event |= name == VERSION_NAME;
        Ok(())
    });
    read.is_ok() && is_event
}

/// The record's fields that the event `text` carries.
#[cold]
pub(crate) fn fields_of<'a>(text: &'a str, object: &'a mut String) -> Result<Fields<'a>, Refusal> {
    let envelope = read_envelope(text)?;
    let mut fields = match envelope.data {
        Some(data) => parameter_keys::of_object(data, object).map_err(in_data)?,
        None => Fields::default(),
    };
    take_over(&mut fields, Field::Source, envelope.source)?;
    take_over(&mut fields, Field::Id, envelope.id)?;
    if let Some(time) = envelope.time.filter(|_| !fields.has(Field::FinishedAt)) {
        fields.replace(Field::FinishedAt, Given::Json(Value::Text(time)));
        fields.has_time_of_envelope = true;
    }
    if let Some(subject) = envelope.subject {
        fields.subject = account_of(&subject.value())?;
        fields.other_subject = Some(subject).filter(|_| fields.subject.is_none());
    }
    Ok(fields)
}

/// Refuses an event whose subject names no account, where its data names none either.
#[cold]
pub(crate) fn check_subject(fields: &Fields<'_>) -> Result<(), Refusal> {
    let Some(subject) = fields.other_subject else {
        return Ok(());
    };
    let sentence = format!(
        "the event's `subject` is {}, which names no account: UIN/APPID in digits is expected there, or `uin` and `appid` in its \
         `data`",
        quoted(&subject.value())
    );
    Err(Refusal::new(code::MISSING_FIELD, sentence))
}

fn read_envelope(text: &str) -> Result<Envelope<'_>, Refusal> {
    let mut envelope = Envelope::default();
    let mut seen: HashSet<String> = HashSet::new();
    each_member(text, |name, value| {
        if !seen.insert(name.to_owned()) {
            return Err(duplicate_field(name));
        }
        match name {
            VERSION_NAME => check_version(value)?,
            "source" => envelope.source = attribute(name, value)?,
            "id" => envelope.id = attribute(name, value)?,
            "subject" => envelope.subject = attribute(name, value)?,
            "time" => envelope.time = attribute(name, value)?,
            "data" => envelope.data = data(value)?,
            "data_base64" if value != Value::Null => {
                let sentence = "the event has `data_base64`; a record is expected as a JSON object in `data`";
                return Err(Refusal::new(code::BAD_EVENT, sentence));
            }
            _ => check_other(name, value)?,
        }
        Ok(())
    })?;
    Ok(envelope)
}

/// Gives each member of the object `text` to `take`, in order; its key unescaped.
fn each_member<'a>(text: &'a str, mut take: impl FnMut(&str, Value<'a>) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let mut scanner = Scanner::new(text);
    scanner.open_object()?;
    let mut key = scanner.first_key()?;
    while let Some(name) = key {
        take(&name.value(), scanner.value()?)?;
        key = scanner.next_key()?;
    }
    Ok(scanner.finish()?)
}

fn check_version(value: Value<'_>) -> Result<(), Refusal> {
    match value {
        Value::Text(text) if text.value() == VERSION => Ok(()),
        Value::Text(text) => {
            let sentence = format!(
                "`{VERSION_NAME}` is {}; \"{VERSION}\" is expected",
                quoted(&text.value())
            );
            Err(Refusal::new(code::BAD_EVENT, sentence))
        }
        other => Err(wrong_type(VERSION_NAME, other, "the text \"1.0\"")),
    }
}

fn attribute<'a>(name: &str, value: Value<'a>) -> Result<Option<Text<'a>>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        other => Err(wrong_type(name, other, "a text in quotes")),
    }
}

fn data(value: Value<'_>) -> Result<Option<&str>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::Object(object) => Ok(Some(object)),
        other => Err(wrong_type("data", other, "an object")),
    }
}

/// An attribute that means nothing to a record.
fn check_other(name: &str, value: Value<'_>) -> Result<(), Refusal> {
    if Field::named(name).is_some() {
        let sentence = format!("`{name}` is at the event's own level; it belongs in its `data`");
        return Err(Refusal::new(code::UNKNOWN_FIELD, sentence));
    }
    let is_legal_name = !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    if !is_legal_name && name != "data_base64" {
        return Err(unknown_field(name, Field::likely(name)));
    }
    match value {
        Value::Object(_) | Value::Array(_) => Err(wrong_type(name, value, "a text, number or truth value")),
        _ => Ok(()),
    }
}

/// Sets `field` to the event's own attribute, which must be there and which `data` must not contradict.
fn take_over<'a>(fields: &mut Fields<'a>, field: Field, attribute: Option<Text<'a>>) -> Result<(), Refusal> {
    let name = field.name();
    let Some(attribute) = attribute else {
        return Err(Refusal::new(
            code::MISSING_FIELD,
            format!("`{name}` is missing; every event needs it"),
        ));
    };
    match fields.get(field) {
        Given::Json(Value::Text(inner)) if inner.value() != attribute.value() => {
            let (inner, outer) = (quoted(&inner.value()), quoted(&attribute.value()));
            let sentence = format!("`{name}` is {inner} in the event's data, but {outer} at its own level");
            return Err(Refusal::new(code::EVENT_CONFLICT, sentence));
        }
        // An integer is its digits.
        Given::Json(Value::Number(inner)) if field == Field::Id && inner == attribute.value() => {}
        Given::Absent | Given::Cell(_) | Given::Json(Value::Null | Value::Text(_)) => {}
        Given::Json(other) => return Err(wrong_type(name, other, "a text in quotes")),
    }
    fields.replace(field, Given::Json(Value::Text(attribute)));
    Ok(())
}

/// The account that a subject names; none where it has another form than `UIN/APPID`, as it may.
fn account_of(subject: &str) -> Result<Option<Subject>, Refusal> {
    let Some((uin, appid)) = subject.split_once('/') else {
        return Ok(None);
    };
    match (digits(uin), digits(appid)) {
        (Ok(uin), Ok(appid)) => Ok(Some(Subject { uin, appid })),
        (Err(NumberError::TooLarge), Ok(_) | Err(NumberError::TooLarge)) | (Ok(_), Err(NumberError::TooLarge)) => {
            let sentence = format!(
                "`subject` is {}; UIN/APPID with digits up to 18446744073709551615 is expected",
                quoted(subject)
            );
            Err(Refusal::new(code::OUT_OF_RANGE, sentence))
        }
        _ => Ok(None),
    }
}

fn in_data(refusal: Refusal) -> Refusal {
    let Refusal { code, sentence } = refusal;
    Refusal::new(code, format!("in the event's data: {sentence}"))
}

#[cfg(test)]
mod tests {
    use crate::pipeline::ingest::record::refusal::Refusal;
    use crate::pipeline::ingest::record::{Kind, Record, Scratch, canonical_parameters, parse_line};

    const EVENT: &str = r#"{"specversion":"1.0","type":"mps.done","source":"mps","id":"e-1","subject":"100/125","time":"2026-10-22T07:54:27Z","datacontenttype":"application/json","traceparent":"00-1","sampledrate":1,"data":{"task_type":"Transcode","parameters":{"width":1920},"duration_ms":5}}"#;

    fn with(from: &str, to: &str) -> String {
        assert!(EVENT.contains(from), "{from}");
        EVENT.replacen(from, to, 1)
    }

    fn accept(line: &str, look: impl FnOnce(Record<'_>)) {
        let mut scratch = Scratch::default();
        look(parse_line(line.as_bytes(), &mut scratch).expect(line));
    }

    fn refusal(line: &str) -> Refusal {
        parse_line(line.as_bytes(), &mut Scratch::default()).expect_err(line)
    }

    #[test]
    fn an_event_carries_a_record() {
        accept(EVENT, |record| {
            assert_eq!(
                (record.source, record.id, record.kind),
                (Some("mps"), "e-1", Kind::Usage)
            );
            assert_eq!((record.uin, record.appid), (Some(100), Some(125)));
            assert_eq!(
                (record.duration_ms, record.finished_at),
                (Some(5), Some(1_792_655_667_000_000_000))
            );
            assert_eq!(canonical_parameters(&record).as_deref(), Ok(r#"{"width":1920}"#));
        });
        // Wherever its version stands.
        let line = EVENT.replace(r#""specversion":"1.0","#, "");
        accept(
            &format!(r#"{},"specversion":"1.0"}}"#, line.strip_suffix('}').unwrap()),
            |record| assert_eq!(record.id, "e-1"),
        );
    }

    #[test]
    fn a_subject_that_names_no_account_is_named_where_data_names_none_either() {
        let line = with("100/125", "customer-1");
        let found = refusal(&line);
        assert_eq!(
            (found.code, found.sentence.as_str()),
            (
                "missing_field",
                "the event's `subject` is \"customer-1\", which names no account: UIN/APPID in digits is expected there, or `uin` and \
                 `appid` in its `data`"
            )
        );
        let named = line.replace(r#""duration_ms":5"#, r#""duration_ms":5,"uin":7,"appid":8"#);
        accept(&named, |record| {
            assert_eq!((record.uin, record.appid), (Some(7), Some(8)));
        });
        let found = refusal(&with("100/125", "0100005E+11/125"));
        assert!(found.sentence.contains("`subject`"), "{found}");
    }

    #[test]
    fn a_time_of_the_event_is_called_what_the_event_calls_it() {
        let found = refusal(&with("2026-10-22T07:54:27Z", "2026-10-22T07:54:27"));
        assert_eq!(found.code, "not_a_time");
        assert!(
            found
                .sentence
                .starts_with("`time` is \"2026-10-22T07:54:27\": the offset is missing"),
            "{found}"
        );
    }

    #[test]
    fn parameters_of_an_event_may_have_keys_of_their_own() {
        let line = with(
            r#""parameters":{"width":1920}"#,
            r#""parameters.width":1920,"parameters.codec":"H264""#,
        );
        accept(&line, |record| {
            assert_eq!(
                canonical_parameters(&record).as_deref(),
                Ok(r#"{"codec":"H264","width":1920}"#)
            );
        });
        let found = refusal(&with(
            r#""duration_ms":5"#,
            r#""duration_ms":5,"parameters.codec":"H264""#,
        ));
        assert_eq!(found.code, "duplicate_field");
        assert!(
            found
                .sentence
                .starts_with("in the event's data: the record has both `parameters`"),
            "{found}"
        );
    }

    #[test]
    fn data_has_the_time_where_it_has_one() {
        let line = with(
            r#""duration_ms":5"#,
            r#""duration_ms":5,"finished_at":"1970-01-01T00:00:01Z""#,
        );
        accept(&line, |record| {
            assert_eq!(record.finished_at, Some(1_000_000_000));
        });
        let line = with(r#""duration_ms":5"#, r#""duration_ms":5,"finished_at":null"#);
        accept(&line, |record| {
            assert_eq!(record.finished_at, Some(1_792_655_667_000_000_000));
        });
        assert_eq!(
            refusal(&with("2026-10-22T07:54:27Z", "0000-00-00T00:00:00Z")).code,
            "not_finished"
        );
        assert_eq!(
            refusal(&with(r#""time":"2026-10-22T07:54:27Z","#, "")).code,
            "missing_field"
        );
    }

    #[test]
    fn subject_and_data_must_agree_on_the_account() {
        let same = with(
            r#""duration_ms":5"#,
            r#""duration_ms":5,"uin":"0100","appid":125,"source":"mps","id":"e\u002d1""#,
        );
        accept(&same, |record| {
            assert_eq!((record.uin, record.id), (Some(100), "e-1"));
        });
        let other = refusal(&with(r#""duration_ms":5"#, r#""duration_ms":5,"uin":"101""#));
        assert_eq!(
            (other.code, other.sentence.as_str()),
            (
                "event_conflict",
                "`uin` is 101 in the event's data, but 100 in its `subject`"
            )
        );
        let other = refusal(&with(r#""duration_ms":5"#, r#""duration_ms":5,"id":"x""#));
        assert_eq!(
            (other.code, other.sentence.as_str()),
            (
                "event_conflict",
                "`id` is \"x\" in the event's data, but \"e-1\" at its own level"
            )
        );
        // PHP writes a slash so.
        accept(&with("100/125", "100\\/125"), |record| {
            assert_eq!(record.appid, Some(125));
        });
    }

    #[test]
    fn a_subject_of_another_form_is_no_account() {
        let accounts = with(r#""duration_ms":5"#, r#""duration_ms":5,"uin":1,"appid":2"#);
        accept(&accounts.replace("100/125", "videos/1.mp4"), |record| {
            assert_eq!(record.uin, Some(1));
        });
        accept(&accounts.replace(r#""subject":"100/125","#, ""), |record| {
            assert_eq!(record.uin, Some(1));
        });
        assert_eq!(refusal(&with("100/125", "100")).code, "missing_field");
        assert_eq!(refusal(&with("100/125", "100/125/1")).code, "missing_field");
        assert_eq!(
            refusal(&with("100/125", "18446744073709551616/125")).code,
            "out_of_range"
        );
    }

    #[test]
    fn a_void_may_come_as_an_event() {
        accept(
            r#"{"specversion":"1.0","source":"s","id":"v","type":"t","data":{"kind":"void","voids":"a"}}"#,
            |record| {
                assert_eq!((record.kind, record.voids), (Kind::Void, Some("a")));
            },
        );
    }

    #[test]
    fn what_is_wrong_with_an_event_is_said() {
        for (from, to, code, sentence) in [
            (
                "\"1.0\"",
                "\"0.3\"",
                "bad_event",
                "`specversion` is \"0.3\"; \"1.0\" is expected",
            ),
            (
                r#""source":"mps","#,
                "",
                "missing_field",
                "`source` is missing; every event needs it",
            ),
            (
                r#""id":"e-1","#,
                "",
                "missing_field",
                "`id` is missing; every event needs it",
            ),
            (
                r#""type":"#,
                r#""kind":"void","type":"#,
                "unknown_field",
                "`kind` is at the event's own level; it belongs in its `data`",
            ),
            (
                r#""type":"#,
                r#""event_type":1,"type":"#,
                "unknown_field",
                "\"event_type\" is not a field of a usage record; anything that is not one of the record's fields belongs in \
                 `parameters`",
            ),
            (
                r#""type":"#,
                r#""type":"x","type":"#,
                "duplicate_field",
                "`type` appears twice; it is unclear which one counts",
            ),
            (
                r#""type":"mps.done""#,
                r#""type":["x"]"#,
                "wrong_type",
                "`type` is [\"x\"]; a text, number or truth value is expected",
            ),
            (
                r#""data":{"#,
                r#""data_base64":"e30=","data":{"#,
                "bad_event",
                "the event has `data_base64`; a record is expected as a JSON object in `data`",
            ),
            (
                r#""duration_ms":5"#,
                r#""duration_ms":5,"x":1"#,
                "unknown_field",
                "in the event's data: \"x\" is not a field of a usage record; anything that is not one of the record's fields \
                 belongs in `parameters`",
            ),
            (
                r#""duration_ms":5"#,
                r#""duration_ms":5,"duration_ms":5"#,
                "duplicate_field",
                "in the event's data: `duration_ms` appears twice; it is unclear which one counts",
            ),
        ] {
            let found = refusal(&with(from, to));
            assert_eq!((found.code, found.sentence.as_str()), (code, sentence));
        }
        let text = EVENT.split_once("\"data\"").unwrap().0;
        let long = "a".repeat(5_000);
        for twice in [format!("\"{long}\":1,\"{long}\":2"), format!("\"{long}\":[]")] {
            let sentence = refusal(&format!("{text}{twice}}}")).sentence;
            assert!(sentence.len() < 200, "a long name is cut: {sentence}");
        }
        assert_eq!(refusal(&format!("{text}\"data\":\"{{}}\"}}")).code, "wrong_type");
        assert_eq!(refusal(&format!("{text}\"data\":null}}")).code, "missing_field");
        for end in 1..EVENT.len() {
            assert_eq!(refusal(&EVENT[..end]).code, "cut_off", "{}", &EVENT[..end]);
        }
    }
}
