//! Values as a dump writes them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

use crate::storage::ledger::Value;
use crate::storage::ledger::value::amount_text;
use crate::values::money::parse_plain;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Integer,
    Text,
    Amount,
    Bytes,
}

impl Kind {
    /// The kind of a column by its type in an engine's own words.
    pub fn of(in_engine: &str) -> Option<Self> {
        Some(match in_engine.to_ascii_lowercase().as_str() {
            "integer" | "bigint" | "int" => Self::Integer,
            "text" | "varchar" | "mediumtext" | "longtext" | "character varying" => Self::Text,
            "numeric" | "decimal" => Self::Amount,
            "blob" | "bytea" | "longblob" => Self::Bytes,
            _ => return None,
        })
    }
}

/// Adds a value of a column.
pub(super) fn push(out: &mut Vec<u8>, kind: Kind, value: &Value) {
    match (kind, value) {
        (_, Value::NullInteger | Value::NullText) => out.extend_from_slice(b"null"),
        (Kind::Integer, Value::Integer(value)) => push_integer(out, *value),
        (Kind::Text, Value::Text(text)) => push_text(out, text),
        (Kind::Amount, Value::Amount(amount)) => push_text(out, &amount_text(*amount)),
        (Kind::Amount, Value::Text(text)) if is_amount_text(text) => push_text(out, text),
        (Kind::Bytes, Value::Bytes(bytes)) => push_text(out, &BASE64_STANDARD.encode(bytes)),
        (_, Value::Integer(value)) => push_odd(out, "integer", |out| push_integer(out, *value)),
        (_, Value::Text(text)) => push_odd(out, "text", |out| push_text(out, text)),
        (_, Value::Amount(amount)) => push_odd(out, "amount", |out| push_text(out, &amount_text(*amount))),
        (_, Value::Bytes(bytes)) => push_odd(out, "bytes", |out| push_text(out, &BASE64_STANDARD.encode(bytes))),
    }
}

/// Whether a text is the one that an amount has in every engine.
fn is_amount_text(text: &str) -> bool {
    parse_plain(text).is_ok_and(|amount| amount_text(amount) == text)
}

fn push_integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("text goes to memory");
}

fn push_odd(out: &mut Vec<u8>, kind: &str, push: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(format!("{{\"{kind}\":").as_bytes());
    push(out);
    out.push(b'}');
}

/// A value as it was written; none when it is not one of a column of this kind.
pub(super) fn value(kind: Kind, json: Json) -> Option<Value> {
    match (kind, json) {
        (Kind::Integer, Json::Null) => Some(Value::NullInteger),
        (_, Json::Null) => Some(Value::NullText),
        (_, Json::Object(odd)) => {
            let (kind, json) = odd.into_iter().next()?;
            let kind = serde_json::from_value(Json::String(kind)).ok()?;
            let is_whole = !matches!(json, Json::Null | Json::Object(_));
            is_whole.then(|| value(kind, json)).flatten()
        }
        (Kind::Integer, Json::Number(number)) => number.as_i64().map(Value::Integer),
        (Kind::Text, Json::String(text)) => Some(Value::Text(text)),
        (Kind::Amount, Json::String(text)) => parse_plain(&text).ok().map(Value::Amount),
        (Kind::Bytes, Json::String(text)) => BASE64_STANDARD.decode(text).ok().map(Value::Bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_it_was_written_also_where_its_column_is_of_another_kind() {
        let values = [
            Value::Integer(i64::MIN),
            Value::Text("a\n\"\u{0}漢".to_owned()),
            Value::Amount("-12.3".parse().unwrap()),
            Value::Bytes(vec![0, 255, 128]),
        ];
        for kind in [Kind::Integer, Kind::Text, Kind::Amount, Kind::Bytes] {
            for written in &values {
                let mut text = Vec::new();
                push(&mut text, kind, written);
                let read = value(kind, serde_json::from_slice(&text).unwrap());
                assert_eq!(read.as_ref(), Some(written), "{kind:?}");
            }
        }
    }

    #[test]
    fn an_amount_is_one_text_in_every_engine() {
        for (of_engine, text) in [
            (Value::Amount("12.3000000000".parse().unwrap()), "\"12.3\""),
            (Value::Text("12.3".to_owned()), "\"12.3\""),
            (Value::Text("12.30".to_owned()), "{\"text\":\"12.30\"}"),
        ] {
            let mut written = Vec::new();
            push(&mut written, Kind::Amount, &of_engine);
            assert_eq!(String::from_utf8(written).unwrap(), text);
        }
    }

    #[test]
    fn what_no_dump_has_is_no_value() {
        for text in ["1.5", "\"1\"", "true", "{}", "{\"float\":1}", "{\"text\":null}", "[1]"] {
            assert_eq!(
                value(Kind::Integer, serde_json::from_str(text).unwrap()),
                None,
                "{text}"
            );
        }
    }
}
