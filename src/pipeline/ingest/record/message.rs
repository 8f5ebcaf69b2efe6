//! A message of a queue that is no record. It comes as an object around what was sent, so that it is a line of its own, and is refused for
//! what is wrong with what was sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::refusal::{Refusal, code, not_json};
use crate::support::json::{Scanner, Value, check};

/// What a message must be.
const EXPECTED: &str = "one record as a JSON object is expected, or several with one on each line";

/// Why the message that a line is around is refused; none where the line is no such object.
#[cold]
pub(super) fn refusal(line: &str) -> Option<Refusal> {
    match body_of(line)? {
        Body::Text(text) => of_text(&text),
        Body::Bytes(count) => {
            let sentence = format!(
                "the message is no text: its {count} bytes, which `msgBodyBase64` has, are neither UTF-8 nor UTF-16; {EXPECTED}"
            );
            Some(Refusal::new(code::NOT_UTF8, sentence))
        }
    }
}

enum Body {
    Text(String),
    /// Of no text; how many.
    Bytes(usize),
}

/// The body in an object that has no other members than those of a message.
fn body_of(line: &str) -> Option<Body> {
    let mut scanner = Scanner::new(line);
    scanner.open_object().ok()?;
    let mut body = None;
    let mut key = scanner.first_key().ok()?;
    while let Some(name) = key {
        let value = scanner.value().ok()?;
        match (&*name.value(), value) {
            ("msgId", Value::Text(_)) | ("enqueueTime", Value::Number(_)) => {}
            ("msgBody", Value::Text(text)) => body = Some(Body::Text(text.value().into_owned())),
            ("msgBodyBase64", Value::Text(text)) => {
                body = Some(Body::Bytes(STANDARD.decode(text.value().as_bytes()).ok()?.len()));
            }
            _ => return None,
        }
        key = scanner.next_key().ok()?;
    }
    scanner.finish().ok()?;
    body
}

/// What is wrong with a text; none where it is one record, which would have come without a message around it.
fn of_text(text: &str) -> Option<Refusal> {
    if text.trim().is_empty() {
        return Some(Refusal::new(
            code::NOT_AN_OBJECT,
            format!("the message is empty; {EXPECTED}"),
        ));
    }
    let Err(error) = check(text) else {
        return not_an_object("the message", text);
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let mut lines = lines.map(|(at, line)| (at + 1, line));
    // One object may stand on several lines, none of which is one.
    let is_by_line = lines
        .clone()
        .any(|(_, line)| matches!(check(line), Ok(Value::Object(_))));
    if is_by_line {
        return lines.find_map(|(number, line)| of_line(number, line));
    }
    Some(told("the message", not_json(text, error)))
}

/// What is wrong with one line of several.
fn of_line(number: usize, line: &str) -> Option<Refusal> {
    let name = format!("line {number} of the message");
    match check(line) {
        Ok(_) => not_an_object(&name, line),
        Err(error) => Some(told(&name, not_json(line, error))),
    }
}

/// The refusal of JSON that is no object.
fn not_an_object(name: &str, json: &str) -> Option<Refusal> {
    let what = match Scanner::new(json).value().ok()? {
        Value::Object(_) => return None,
        Value::Array(_) => "a JSON array",
        Value::Text(_) => "a JSON text",
        Value::Number(_) => "a JSON number",
        _ => "null, true or false",
    };
    Some(Refusal::new(
        code::NOT_AN_OBJECT,
        format!("{name} is {what}; {EXPECTED}"),
    ))
}

fn told(name: &str, refusal: Refusal) -> Refusal {
    let Refusal { code, sentence } = refusal;
    Refusal::new(code, format!("{}; {EXPECTED}", sentence.replacen("the line", name, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> (&'static str, String) {
        let line = serde_json::json!({ "msgId": "m", "msgBody": body, "enqueueTime": 1 }).to_string();
        let refusal = refusal(&line).unwrap();
        (refusal.code, refusal.sentence)
    }

    #[test]
    fn what_is_wrong_with_a_message_is_told_and_not_that_it_is_no_field() {
        for (body, code, told) in [
            ("", code::NOT_AN_OBJECT, "the message is empty"),
            ("{\"id\":\"a\",", code::CUT_OFF, "the message is not JSON"),
            ("{\"id\":\n\"a\",", code::CUT_OFF, "the message is not JSON"),
            ("[{\"id\":\"a\"}]", code::NOT_AN_OBJECT, "the message is a JSON array"),
            ("12", code::NOT_AN_OBJECT, "the message is a JSON number"),
            (
                "{\"id\":\"a\"}\n\n{\"id\":",
                code::CUT_OFF,
                "line 3 of the message is not JSON",
            ),
            (
                "{\"id\":\"a\"}\n[1]",
                code::NOT_AN_OBJECT,
                "line 2 of the message is a JSON array",
            ),
            ("usage", code::NOT_JSON, "the message is not JSON"),
        ] {
            let (found, sentence) = refused(body);
            assert_eq!(found, code, "{body}: {sentence}");
            assert!(
                sentence.starts_with(told) && sentence.ends_with(EXPECTED),
                "{body}: {sentence}"
            );
        }
        let bytes = refusal(r#"{"msgBodyBase64":"/wD/"}"#).unwrap();
        assert!(
            bytes.code == code::NOT_UTF8 && bytes.sentence.contains("its 3 bytes"),
            "{bytes}"
        );
    }

    #[test]
    fn a_line_of_other_members_is_no_message() {
        for line in [
            r#"{"msgId":"m"}"#,
            r#"{"msgBody":"{}","uin":7}"#,
            r#"{"msgBody":5}"#,
            r#"{"msgBody":"{}"}"#,
            r#"{"msgBodyBase64":"?"}"#,
        ] {
            assert_eq!(refusal(line), None, "{line}");
        }
    }
}
