//! A message of a queue as lines for the door. Whatever a message holds, it becomes lines of its own and changes no other message's: each
//! line is one JSON object, and a message that is none is put into one, which the door refuses with the message in it. Text in UTF-16 is
//! read as what it says.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use crate::support::json::{Scanner, Value};
use crate::values::format::Format;

/// A message as its queue delivers it.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The queue's own id of it; none where the queue gives none.
    pub id: Option<Cow<'a, str>>,
    /// When it was sent, by the queue's clock or the sender's. It is the same whenever the message is delivered again.
    pub sent_at: Option<DateTime<Utc>>,
    pub body: Cow<'a, [u8]>,
}

/// A message around its body, with the names that TDMQ for CMQ uses.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    msg_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg_body: Option<&'a str>,
    /// Of a body that is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    msg_body_base64: Option<String>,
    /// Of an event that is no text, in place of it: nobody can tell whether there are secrets in it, and so it is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    msg_body_bytes: Option<usize>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    enqueue_time: Option<i64>,
}

/// Appends a message in the form that the door reads this format in.
pub fn append(lines: &mut Vec<u8>, format: Format, message: &Message) {
    let Some(text) = utf16_text(&message.body) else {
        return append_text(lines, format, message);
    };
    let message = Message {
        body: Cow::Owned(text.into_bytes()),
        ..message.clone()
    };
    append_text(lines, format, &message);
}

fn append_text(lines: &mut Vec<u8>, format: Format, message: &Message) {
    match format {
        Format::MpsEvents if message.id.is_some() || message.sent_at.is_some() => append_event(lines, message),
        Format::MpsEvents | Format::MediaconvertEvents => {
            if !append_object(lines, &message.body) {
                append_event(lines, message);
            }
        }
        Format::Ndjson | Format::Csv | Format::Parquet => append_records(lines, message),
    }
}

/// What a body in UTF-16 says: by its byte order mark, or by the zeros of its first signs, as JSON begins with one of ASCII. None of a
/// body that is something else.
fn utf16_text(body: &[u8]) -> Option<String> {
    let (unit, marked): (fn([u8; 2]) -> u16, _) = match body {
        [0xFF, 0xFE, rest @ ..] => (u16::from_le_bytes, rest),
        [0xFE, 0xFF, rest @ ..] => (u16::from_be_bytes, rest),
        [1..=0x7F, 0, ..] => (u16::from_le_bytes, body),
        [0, 1..=0x7F, ..] => (u16::from_be_bytes, body),
        _ => return None,
    };
    let (units, []) = marked.as_chunks::<2>() else {
        return None;
    };
    let units: Vec<u16> = units.iter().map(|two| unit(*two)).collect();
    // A sign of zero is no text: it may be another encoding, in whose text no secret would be found.
    String::from_utf16(&units).ok().filter(|text| !text.contains('\0'))
}

/// An event around which its message stands. One that is no text is told and not kept.
fn append_event(lines: &mut Vec<u8>, message: &Message) {
    let is_text = std::str::from_utf8(&message.body).is_ok_and(|text| !text.contains('\0'));
    if is_text {
        return append_envelope(lines, message);
    }
    write_envelope(
        lines,
        &Envelope {
            msg_body_bytes: Some(message.body.len()),
            ..Envelope::around(message)
        },
    );
}

/// A body with one record, or with several that stand on a line each.
fn append_records(lines: &mut Vec<u8>, message: &Message) {
    if append_object(lines, &message.body) {
        return;
    }
    let before = lines.len();
    let mut records = message
        .body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty());
    // A body of white space alone has no line, and must not vanish.
    let is_of_records = records.clone().count() > 1 && records.all(|line| append_object(lines, line));
    if !is_of_records {
        lines.truncate(before);
        append_envelope(lines, message);
    }
}

/// Appends text that is one JSON object, as a line. Nothing is appended where it is something else.
fn append_object(lines: &mut Vec<u8>, text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let text = text.trim_start_matches('\u{feff}');
    let mut scanner = Scanner::new(text);
    if !matches!(scanner.value(), Ok(Value::Object(_))) || scanner.finish().is_err() {
        return false;
    }
    // In JSON a raw line end can only stand between tokens, where a blank means the same.
    let start = lines.len();
    lines.extend_from_slice(text.trim_ascii().as_bytes());
    for byte in &mut lines[start..] {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    lines.push(b'\n');
    true
}

fn append_envelope(lines: &mut Vec<u8>, message: &Message) {
    let text = std::str::from_utf8(&message.body).ok();
    let envelope = Envelope {
        msg_body: text,
        msg_body_base64: text.is_none().then(|| STANDARD.encode(&message.body)),
        ..Envelope::around(message)
    };
    write_envelope(lines, &envelope);
}

impl<'a> Envelope<'a> {
    /// What the queue says of a message, without its body.
    fn around(message: &'a Message) -> Self {
        Self {
            msg_id: message.id.as_deref(),
            msg_body: None,
            msg_body_base64: None,
            msg_body_bytes: None,
            enqueue_time: message.sent_at.map(|at| at.timestamp()),
        }
    }
}

fn write_envelope(lines: &mut Vec<u8>, envelope: &Envelope<'_>) {
    serde_json::to_writer(&mut *lines, envelope).expect("texts and numbers can be written into memory as JSON");
    lines.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(format: Format, message: &Message) -> String {
        let mut lines = Vec::new();
        append(&mut lines, format, message);
        String::from_utf8(lines).unwrap()
    }

    fn bare(body: &[u8]) -> Message<'_> {
        Message {
            id: None,
            sent_at: None,
            body: Cow::Borrowed(body),
        }
    }

    fn sent(body: &[u8]) -> Message<'_> {
        Message {
            id: Some(Cow::Borrowed("m-1")),
            sent_at: Some("2026-11-01T00:00:01.9Z".parse().unwrap()),
            ..bare(body)
        }
    }

    #[test]
    fn a_record_is_the_line_that_it_was_sent_as() {
        let record = br#"{"id":"a", "uin":1}"#;
        assert_eq!(lines(Format::Ndjson, &sent(record)), "{\"id\":\"a\", \"uin\":1}\n");
        assert_eq!(
            lines(Format::MediaconvertEvents, &bare(b" {\"a\":\r\n1}\n")),
            "{\"a\":  1}\n"
        );
        assert_eq!(lines(Format::Ndjson, &bare("\u{feff}{}".as_bytes())), "{}\n");
    }

    #[test]
    fn several_records_of_a_message_are_a_line_each() {
        assert_eq!(
            lines(Format::Ndjson, &sent(b"{\"id\":\"a\"}\r\n\n{\"id\":\"b\"}\n")),
            "{\"id\":\"a\"}\n{\"id\":\"b\"}\n"
        );
        // One of them is none: the message is refused whole.
        let refused = lines(Format::Ndjson, &sent(b"{\"id\":\"a\"}\n{\"id\":"));
        assert_eq!(
            refused,
            "{\"msgId\":\"m-1\",\"msgBody\":\"{\\\"id\\\":\\\"a\\\"}\\n{\\\"id\\\":\",\"enqueueTime\":1793491201}\n"
        );
    }

    #[test]
    fn an_event_has_its_message_around_it_where_the_queue_knows_more_than_the_event() {
        let event = b"{\"EventType\":\n\"WorkflowTask\"}";
        assert_eq!(
            lines(Format::MpsEvents, &sent(event)),
            "{\"msgId\":\"m-1\",\"msgBody\":\"{\\\"EventType\\\":\\n\\\"WorkflowTask\\\"}\",\"enqueueTime\":1793491201}\n"
        );
        assert_eq!(
            lines(Format::MpsEvents, &bare(event)),
            "{\"EventType\": \"WorkflowTask\"}\n"
        );
    }

    #[test]
    fn what_is_no_object_is_put_into_one() {
        for body in [
            &b""[..],
            b"\n \n",
            b"[{\"id\":\"a\"}]",
            b"{\"a\":1}{\"b\":2}",
            b"{\"a\":",
            b"PAR1",
            b"12",
            b"null",
            b"{\"a\":1},",
        ] {
            for format in [Format::Ndjson, Format::MediaconvertEvents, Format::MpsEvents] {
                let line = lines(format, &bare(body));
                assert!(
                    line.starts_with("{\"msgBody\":\"") && line.matches('\n').count() == 1,
                    "{line}"
                );
            }
        }
        assert_eq!(
            lines(Format::Ndjson, &bare(b"\xff\n{}")),
            "{\"msgBodyBase64\":\"/wp7fQ==\"}\n"
        );
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn a_body_in_utf16_is_read_as_what_it_says_with_and_without_its_mark() {
        let text = "{\"id\":\"ü\u{1F600}\"}";
        for mark in ["", "\u{feff}"] {
            for unit in [u16::to_le_bytes, u16::to_be_bytes] {
                let body = utf16(&format!("{mark}{text}"), unit);
                assert_eq!(lines(Format::Ndjson, &bare(&body)), format!("{text}\n"));
                assert_eq!(lines(Format::MpsEvents, &bare(&body)), format!("{text}\n"));
            }
        }
    }

    #[test]
    fn an_event_that_is_no_text_is_told_by_its_size_and_not_kept() {
        let secret = "{\"S3SecretKey\":\"hunter2\"}";
        let of_four_bytes: Vec<u8> = secret.bytes().flat_map(|byte| [byte, 0, 0, 0]).collect();
        let mut cut = utf16(secret, u16::to_le_bytes);
        cut.pop();
        for body in [&of_four_bytes[..], &cut, b"\xff{\"S3SecretKey\":\"hunter2\"}"] {
            for format in [Format::MpsEvents, Format::MediaconvertEvents] {
                let expected = format!("{{\"msgBodyBytes\":{}}}\n", body.len());
                assert_eq!(lines(format, &bare(body)), expected);
            }
        }
        let of_queue = lines(Format::MpsEvents, &sent(&cut));
        assert!(
            of_queue.starts_with("{\"msgId\":\"m-1\",\"msgBodyBytes\":"),
            "{of_queue}"
        );
    }

    proptest::proptest! {
        #[test]
        fn each_line_is_one_object_whatever_the_bytes(
            body in proptest::collection::vec(proptest::prop_oneof![
                proptest::sample::select(b"{}[]\",:\n\r \\1a".to_vec()), proptest::num::u8::ANY,
            ], 0..60),
            is_sent in proptest::bool::ANY,
        ) {
            let message = if is_sent { sent(&body) } else { bare(&body) };
            for format in [Format::Ndjson, Format::MpsEvents, Format::MediaconvertEvents] {
                let text = lines(format, &message);
                proptest::prop_assert!(text.ends_with('\n') && !text.contains('\r'));
                for line in text.lines() {
                    let object: serde_json::Value = serde_json::from_str(line).unwrap();
                    proptest::prop_assert!(object.is_object());
                }
            }
        }
    }
}
