//! The JSON line that says the same as a row: for the full reading, and for quarantine.

use polars::prelude::*;
use serde_json::{Map, Number, Value};

use super::PARAMETER_PREFIX;

/// The line of a row, without a line end.
pub fn of_row(frame: &DataFrame, row: usize) -> Result<Vec<u8>, String> {
    serde_json::to_vec(&record(frame, row)?).map_err(|e| e.to_string())
}

/// The text of a row's parameters, as it stands in its line.
pub fn parameters_of_row(frame: &DataFrame, row: usize) -> Result<Option<String>, String> {
    Ok(record(frame, row)?.get("parameters").map(Value::to_string))
}

fn record(frame: &DataFrame, row: usize) -> Result<Map<String, Value>, String> {
    let mut record = Map::new();
    let mut parameters = Map::new();
    for column in frame.columns() {
        let name = column.name().as_str();
        let value = column.get(row).map_err(|e| e.to_string())?;
        if matches!(value, AnyValue::Null) {
            continue;
        }
        let value = json(name, &value)?;
        if let Some(parameter) = name.strip_prefix(PARAMETER_PREFIX) {
            parameters.insert(parameter.to_owned(), value);
        } else if name == "parameters" {
            record.insert(name.to_owned(), object(value));
        } else {
            record.insert(name.to_owned(), value);
        }
    }
    if !parameters.is_empty() {
        record.insert("parameters".to_owned(), Value::Object(parameters));
    }
    Ok(record)
}

/// A text column of parameters holds JSON; what does not parse stays text, which the door refuses.
fn object(value: Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    }
}

fn json(name: &str, value: &AnyValue) -> Result<Value, String> {
    Ok(match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(v) => Value::Bool(*v),
        AnyValue::String(v) => Value::String((*v).to_owned()),
        AnyValue::StringOwned(v) => Value::String(v.to_string()),
        AnyValue::UInt8(v) => (*v).into(),
        AnyValue::UInt16(v) => (*v).into(),
        AnyValue::UInt32(v) => (*v).into(),
        AnyValue::UInt64(v) => (*v).into(),
        AnyValue::Int8(v) => (*v).into(),
        AnyValue::Int16(v) => (*v).into(),
        AnyValue::Int32(v) => (*v).into(),
        AnyValue::Int64(v) => (*v).into(),
        // The sender's own floats, as the shortest decimals that mean them; a NaN is text, which the door refuses.
        AnyValue::Float32(v) => decimal(v.to_string()),
        AnyValue::Float64(v) => decimal(v.to_string()),
        AnyValue::Datetime(v, unit, Some(_)) | AnyValue::DatetimeOwned(v, unit, Some(_)) => {
            Value::String(instant(*v, *unit)?)
        }
        AnyValue::Datetime(_, _, None) | AnyValue::DatetimeOwned(_, _, None) => {
            return Err(format!(
                "column {name:?} has times without a zone; write them as UTC or as text with offset"
            ));
        }
        AnyValue::Struct(_, _, fields) => members(name, fields.iter(), value._iter_struct_av())?,
        AnyValue::StructOwned(owned) => members(name, owned.1.iter(), owned.0.iter().cloned())?,
        other => {
            return Err(format!(
                "column {name:?} has the type {}, which no field of a usage record has",
                other.dtype()
            ));
        }
    })
}

fn members<'v>(
    name: &str,
    fields: impl Iterator<Item = &'v Field>,
    values: impl Iterator<Item = AnyValue<'v>>,
) -> Result<Value, String> {
    let members = fields
        .zip(values)
        .map(|(field, value)| Ok((field.name().to_string(), json(name, &value)?)));
    members.collect::<Result<Map<_, _>, String>>().map(Value::Object)
}

/// Decimal text as a number, or as text where it is none.
fn decimal(text: String) -> Value {
    serde_json::from_str::<Number>(&text).map_or(Value::String(text), Value::Number)
}

fn instant(value: i64, unit: TimeUnit) -> Result<String, String> {
    let per_second = match unit {
        TimeUnit::Nanoseconds => 1_000_000_000,
        TimeUnit::Microseconds => 1_000_000,
        TimeUnit::Milliseconds => 1_000,
    };
    let nanoseconds = u32::try_from(value.rem_euclid(per_second) * (1_000_000_000 / per_second)).unwrap_or(0);
    chrono::DateTime::from_timestamp(value.div_euclid(per_second), nanoseconds)
        .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
        .ok_or_else(|| format!("holds a time out of range: {value}"))
}
