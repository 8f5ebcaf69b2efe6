//! The JSON line that says the same as a row: for the full reading, and for quarantine.

use polars::prelude::*;

use super::frame::{Frame, FrameColumn, Role};
use crate::pipeline::ingest::record::fields::Field;

/// How the values of a column are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// As their type is.
    Plain,
    /// Text that is a plain decimal, as a number.
    Number,
    /// Floating-point numbers as such, with a fraction or an exponent.
    Float,
    /// Text that is JSON, as it stands.
    Json,
    /// Nothing that a line could hold: the name of their type.
    Named(String),
}

/// The line of a row, without a line end.
pub fn of_row(frame: &Frame, row: usize) -> PolarsResult<Vec<u8>> {
    let mut line = vec![b'{'];
    let mut columns = frame.columns.iter().peekable();
    while let Some(column) = columns.peek() {
        if matches!(column.role, Role::Parameter(_)) {
            let from = line.len();
            begin_member(&mut line, Field::Parameters.name());
            if !write_parameters(&mut line, frame, row)? {
                line.truncate(from);
            }
            while columns
                .next_if(|column| matches!(column.role, Role::Parameter(_)))
                .is_some()
            {}
            continue;
        }
        if !is_null(column, row) {
            begin_member(&mut line, name_of(&column.role));
            write_value(&mut line, column, row)?;
        }
        columns.next();
    }
    line.push(b'}');
    Ok(line)
}

/// The text of a row's parameters, as it stands in its line.
pub fn parameters_of_row(frame: &Frame, row: usize) -> PolarsResult<Option<String>> {
    let mut text = Vec::new();
    let whole = frame
        .columns
        .iter()
        .find(|column| column.role == Role::Field(Field::Parameters));
    let is_there = match whole {
        Some(column) if is_null(column, row) => false,
        Some(column) => {
            write_value(&mut text, column, row)?;
            true
        }
        None => write_parameters(&mut text, frame, row)?,
    };
    Ok(String::from_utf8(text).ok().filter(|_| is_there))
}

fn name_of(role: &Role) -> &str {
    match role {
        Role::Field(field) => field.name(),
        Role::Parameter(name) | Role::Unknown(name) => name,
    }
}

fn is_null(column: &FrameColumn, row: usize) -> bool {
    matches!(column.series.get(row), Ok(AnyValue::Null) | Err(_))
}

/// Writes the object of the parameters that have a column each; false if none is there.
fn write_parameters(line: &mut Vec<u8>, frame: &Frame, row: usize) -> PolarsResult<bool> {
    line.push(b'{');
    let mut is_there = false;
    for column in &frame.columns {
        if let Role::Parameter(name) = &column.role
            && !is_null(column, row)
        {
            begin_member(line, name);
            write_value(line, column, row)?;
            is_there = true;
        }
    }
    line.push(b'}');
    Ok(is_there)
}

/// The name of a member, after a comma if it is not the first.
fn begin_member(line: &mut Vec<u8>, name: &str) {
    if line.last() != Some(&b'{') {
        line.push(b',');
    }
    write_text(line, name.as_bytes());
    line.push(b':');
}

/// Writes the value of a row as JSON. Bytes that are no text stay what they are, for the record's check to refuse.
pub fn write_value(line: &mut Vec<u8>, column: &FrameColumn, row: usize) -> PolarsResult<()> {
    let value = column.series.get(row)?;
    match (&column.spelling, &value) {
        (_, AnyValue::Null) => line.extend(b"null"),
        (Spelling::Named(what), _) => write_text(line, format!("a value of type {what}").as_bytes()),
        (Spelling::Number, AnyValue::String(number)) => line.extend(number.as_bytes()),
        (Spelling::Json, AnyValue::String(json)) => write_json(line, json),
        (Spelling::Plain, AnyValue::String(json)) if column.role == Role::Field(Field::Parameters) => {
            write_json(line, json);
        }
        (Spelling::Float, AnyValue::Float64(number)) => write_number(line, &format!("{number:?}")),
        (Spelling::Float, AnyValue::Float32(number)) => write_number(line, &format!("{number:?}")),
        (_, value) => write_plain(line, value),
    }
    Ok(())
}

fn write_plain(line: &mut Vec<u8>, value: &AnyValue) {
    match value {
        AnyValue::Boolean(value) => line.extend(if *value { "true".as_bytes() } else { b"false" }),
        AnyValue::String(text) => write_text(line, text.as_bytes()),
        AnyValue::Binary(bytes) => write_text(line, bytes),
        AnyValue::UInt8(value) => line.extend(value.to_string().as_bytes()),
        AnyValue::UInt16(value) => line.extend(value.to_string().as_bytes()),
        AnyValue::UInt32(value) => line.extend(value.to_string().as_bytes()),
        AnyValue::UInt64(value) => line.extend(value.to_string().as_bytes()),
        AnyValue::Int8(value) => line.extend(value.to_string().as_bytes()),
        AnyValue::Int16(value) => line.extend(value.to_string().as_bytes()),
        AnyValue::Int32(value) => line.extend(value.to_string().as_bytes()),
        AnyValue::Int64(value) => line.extend(value.to_string().as_bytes()),
        // The sender's own floats, as the shortest decimals that mean them.
        AnyValue::Float32(value) => write_number(line, &value.to_string()),
        AnyValue::Float64(value) => write_number(line, &value.to_string()),
        AnyValue::Datetime(value, unit, zone) => {
            let instant = i128::from(*value) * i128::from(ns_per(*unit));
            write_text(line, instant_text(instant, zone.is_none()).as_bytes());
        }
        other => write_text(line, format!("a value of type {}", other.dtype()).as_bytes()),
    }
}

/// A number, or text where it is none: a NaN, which the record's check refuses.
fn write_number(line: &mut Vec<u8>, number: &str) {
    if number.bytes().any(|byte| byte.is_ascii_digit()) {
        line.extend(number.as_bytes());
    } else {
        write_text(line, number.as_bytes());
    }
}

/// JSON as it stands; what is none is text, which the record's check refuses where an object is expected.
fn write_json(line: &mut Vec<u8>, json: &str) {
    if crate::support::json::check(json).is_ok() {
        line.extend(json.as_bytes());
    } else {
        write_text(line, json.as_bytes());
    }
}

fn write_text(line: &mut Vec<u8>, text: &[u8]) {
    line.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => line.extend([b'\\', byte]),
            0..0x20 => line.extend(format!("\\u{byte:04x}").as_bytes()),
            _ => line.push(byte),
        }
    }
    line.push(b'"');
}

/// Nanoseconds of a unit.
pub fn ns_per(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Nanoseconds => 1,
        TimeUnit::Microseconds => 1_000,
        TimeUnit::Milliseconds => 1_000_000,
    }
}

/// An instant, nanoseconds since 1970, as RFC 3339 has it; a local time without an offset.
pub fn instant_text(ns: i128, is_local: bool) -> String {
    const NS_PER_S: i128 = 1_000_000_000;
    let seconds = i64::try_from(ns.div_euclid(NS_PER_S)).ok();
    let of_second = u32::try_from(ns.rem_euclid(NS_PER_S)).unwrap_or(0);
    match seconds.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, of_second)) {
        Some(at) if is_local => at.naive_utc().format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
        Some(at) => at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        None => format!("{ns} ns after 1970-01-01"),
    }
}
