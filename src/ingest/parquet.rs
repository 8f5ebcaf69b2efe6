//! Records in Parquet: each row becomes the JSON line that says the same, so that one door checks them all.
//! That line is what a refused row leaves in quarantine.

use std::fs::File;
use std::path::Path;

use polars::prelude::*;
use serde_json::{Map, Number, Value};

use super::chunk::Chunk;
use super::field::Field;
use crate::error::{AtPath as _, Doing as _, Error, Result};

/// Rows turned into lines at a time.
const SLICE_ROWS: usize = 16 * 1024;

/// Columns `parameters.codec` and so on are parameters of that name.
const PARAMETER_PREFIX: &str = "parameters.";

/// Hands over the rows of a Parquet file as chunks of JSON lines, numbered from 1.
pub fn chunks(name: &str, path: &Path, take: &mut dyn FnMut(Chunk) -> Result<()>) -> Result<()> {
    let unusable = |what: String| Error::Input {
        input: name.to_owned(),
        what,
    };
    let open = || File::open(path).map(ParquetReader::new).at(path);
    let mut reader = open()?;
    let schema = reader
        .schema()
        .map_err(|e| unusable(format!("is no Parquet file that can be read: {e}")))?;
    check_columns(schema.iter_names().map(PlSmallStr::as_str)).map_err(&unusable)?;
    let rows = reader.num_rows().doing(format!("reading {name}"))?;
    let mut at = 0;
    while at < rows {
        let frame = open()?.with_slice(Some((at, SLICE_ROWS))).finish().map_err(|e| {
            unusable(format!(
                "cannot be read at row {}: {e}; nothing of it was taken",
                at + 1
            ))
        })?;
        let bytes = lines(&frame).map_err(&unusable)?;
        take(Chunk {
            first_line: at as u64 + 1,
            bytes,
        })?;
        at += frame.height().max(1);
    }
    Ok(())
}

fn check_columns<'a>(names: impl Iterator<Item = &'a str>) -> std::result::Result<(), String> {
    let names: Vec<&str> = names.collect();
    for name in &names {
        if Field::named(name).is_none() && !name.starts_with(PARAMETER_PREFIX) {
            return Err(format!(
                "column {name:?} is no field of a usage record; rename or leave it out"
            ));
        }
    }
    if !names.contains(&"id") {
        return Err("has no column `id`; every record needs one".to_owned());
    }
    if names.contains(&"parameters") && names.iter().any(|n| n.starts_with(PARAMETER_PREFIX)) {
        return Err("has `parameters` and `parameters.…` columns; use one of the two".to_owned());
    }
    Ok(())
}

fn lines(frame: &DataFrame) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for row in 0..frame.height() {
        let record = record(frame, row)?;
        serde_json::to_writer(&mut bytes, &record).map_err(|e| e.to_string())?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

fn record(frame: &DataFrame, row: usize) -> std::result::Result<Map<String, Value>, String> {
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

fn json(name: &str, value: &AnyValue) -> std::result::Result<Value, String> {
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
        AnyValue::Struct(_, _, fields) => {
            let mut object = Map::new();
            for (field, value) in fields.iter().zip(value._iter_struct_av()) {
                object.insert(field.name().to_string(), json(name, &value)?);
            }
            Value::Object(object)
        }
        other => {
            return Err(format!(
                "column {name:?} has the type {}, which no field of a usage record has",
                other.dtype()
            ));
        }
    })
}

/// Decimal text as a number, or as text where it is none.
fn decimal(text: String) -> Value {
    serde_json::from_str::<Number>(&text).map_or(Value::String(text), Value::Number)
}

fn instant(value: i64, unit: TimeUnit) -> std::result::Result<String, String> {
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
