//! Values of a document as JSON: what is there, to the digit.

use chrono::DateTime;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document};

use crate::sources::line::{Place, is_whole, write_json, write_text};

/// The value at a path of names with dots between; in an array, a name is the number of an element from 0.
pub fn at_path<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    let mut names = path.split('.');
    let mut value = document.get(names.next()?)?;
    for name in names {
        value = match value {
            Bson::Document(inner) => inner.get(name)?,
            Bson::Array(items) => items.get(name.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

/// Writes a value; false, and nothing written, where it is null.
pub fn write_value(line: &mut Vec<u8>, value: &Bson, place: Place) -> bool {
    match value {
        Bson::Null | Bson::Undefined => return false,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Decimal128(_) => {
            let digits = number(value);
            if place == Place::Text && is_whole(digits.as_bytes()) {
                write_text(line, digits.as_bytes());
            } else {
                line.extend(digits.as_bytes());
            }
        }
        Bson::String(text) if place == Place::Parameters => write_json(line, text.as_bytes()),
        value => write_inner(line, value),
    }
    true
}

fn number(value: &Bson) -> String {
    match value {
        Bson::Int32(number) => number.to_string(),
        Bson::Int64(number) => number.to_string(),
        Bson::Decimal128(number) => number.to_string(),
        _ => String::new(),
    }
}

fn write_inner(line: &mut Vec<u8>, value: &Bson) {
    match value {
        Bson::Null | Bson::Undefined => line.extend(b"null"),
        Bson::Int32(_) | Bson::Int64(_) | Bson::Decimal128(_) => line.extend(number(value).as_bytes()),
        // With a fraction or an exponent: it may have lost digits, so that it is no account and no id. What JSON has no number for stands
        // as it is, and the line is refused.
        Bson::Double(number) => line.extend(format!("{number:?}").as_bytes()),
        Bson::Boolean(truth) => line.extend(truth.to_string().as_bytes()),
        Bson::String(text) | Bson::Symbol(text) => write_text(line, text.as_bytes()),
        Bson::Document(document) => write_document(line, document),
        Bson::Array(items) => write_array(line, items),
        other => write_text(line, &text_of(other)),
    }
}

fn write_document(line: &mut Vec<u8>, document: &Document) {
    line.push(b'{');
    for (name, value) in document {
        if line.last() != Some(&b'{') {
            line.push(b',');
        }
        write_text(line, name.as_bytes());
        line.push(b':');
        write_inner(line, value);
    }
    line.push(b'}');
}

fn write_array(line: &mut Vec<u8>, items: &[Bson]) {
    line.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            line.push(b',');
        }
        write_inner(line, item);
    }
    line.push(b']');
}

/// What is no JSON, as text.
fn text_of(value: &Bson) -> Vec<u8> {
    match value {
        Bson::DateTime(date) => match DateTime::from_timestamp_millis(date.timestamp_millis()) {
            Some(time) => time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into_bytes(),
            None => b"a date out of range".to_vec(),
        },
        Bson::ObjectId(id) => id.to_hex().into_bytes(),
        Bson::Binary(Binary {
            subtype: BinarySubtype::Uuid,
            bytes,
        }) => hyphenated(bytes).into_bytes(),
        Bson::Binary(binary) => binary.bytes.clone(),
        other => format!("a value of type {:?}", other.element_type()).into_bytes(),
    }
}

fn hyphenated(bytes: &[u8]) -> String {
    let mut text = crate::values::digest::hex(bytes);
    for at in [20, 16, 12, 8] {
        if at < text.len() {
            text.insert(at, '-');
        }
    }
    text
}

/// A value as people see it.
pub fn shown(value: &Bson) -> String {
    let mut text = Vec::new();
    write_inner(&mut text, value);
    String::from_utf8_lossy(&text).trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;
    use mongodb::bson::oid::ObjectId;

    use super::*;

    fn json(value: impl Into<Bson>, place: Place) -> String {
        let mut line = Vec::new();
        if !write_value(&mut line, &value.into(), place) {
            return String::new();
        }
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn values_are_exact() {
        use Place::{Other, Parameters, Text};
        let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
        for (value, place, expected) in [
            (Bson::Int64(i64::MAX), Other, "9223372036854775807"),
            (Bson::Int32(-7), Text, "\"-7\""),
            (
                decimal("123456789012345678901234567.890"),
                Other,
                "123456789012345678901234567.890",
            ),
            (decimal("5"), Text, "\"5\""),
            (decimal("NaN"), Other, "NaN"),
            (Bson::Double(32_000.0), Other, "32000.0"),
            (Bson::Double(0.1), Text, "0.1"),
            (Bson::Double(1e21), Other, "1e21"),
            (Bson::Boolean(true), Other, "true"),
            (Bson::Null, Other, ""),
            ("a\"\n".into(), Text, r#""a\"\u000a""#),
            ("{\"a\": 1}".into(), Parameters, "{\"a\": 1}"),
            ("{}, \"uin\": 5".into(), Parameters, r#""{}, \"uin\": 5""#),
            (
                doc! { "a": [1, null, { "b": "c" }], "d": 0.5 }.into(),
                Parameters,
                r#"{"a":[1,null,{"b":"c"}],"d":0.5}"#,
            ),
            (
                ObjectId::from_bytes([0xAB; 12]).into(),
                Text,
                "\"abababababababababababab\"",
            ),
        ] {
            assert_eq!(json(value, place), expected);
        }
        let date = mongodb::bson::DateTime::from_millis(1_793_491_200_123);
        assert_eq!(json(date, Other), "\"2026-11-01T00:00:00.123Z\"");
        assert!(json(Bson::MaxKey, Other).contains("a value of type MaxKey"));
    }

    #[test]
    fn a_path_goes_through_documents_and_numbered_elements() {
        let document = doc! { "a": { "b": [ { "c": 1 }, { "c": 2 } ] }, "d": 3 };
        assert_eq!(at_path(&document, "a.b.1.c"), Some(&Bson::Int32(2)));
        assert_eq!(at_path(&document, "d"), Some(&Bson::Int32(3)));
        for path in ["a.b.c", "a.b.2.c", "d.e", "x", "", "a..b"] {
            assert_eq!(at_path(&document, path), None, "{path}");
        }
    }
}
