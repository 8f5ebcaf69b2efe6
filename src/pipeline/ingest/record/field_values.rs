//! How the value of one field is read: its type, its limits, and the sentence where it is refused.

#![expect(
    clippy::inline_always,
    reason = "every record has names, and nearly every one is read this way"
)]

use crate::support::json::{Value, is_printable};
use crate::support::quote::{plain, quoted};
use crate::values::number;
use crate::values::number::NumberError;
use crate::values::parameters::MAX_MEASURED;

use super::fields::{Field, Fields, Given};
use super::invisible::unseen;
use super::refusal::{Refusal, code, number_code};
use super::timestamp::{NOT_REACHED, refuse_instant};
use super::timestamp_text::read_time;

/// The most bytes of `source`, `id` and `voids`: they are keys, kept for months in every index.
pub const MAX_ID_BYTES: usize = 128;

/// The most bytes of `task_type`: a name from the service's list, the longest of which has 21.
pub const MAX_TASK_TYPE_BYTES: usize = 64;

/// A text of any length; none where it is absent or null.
#[inline]
pub(crate) fn text<'a>(fields: &Fields<'a>, field: Field) -> Result<Option<&'a str>, Refusal> {
    match fields.get(field) {
        Given::Absent | Given::Json(Value::Null) => Ok(None),
        Given::Cell(cell) => Ok(Some(cell)),
        // Escapes have been resolved: the raw text is the text.
        Given::Json(Value::Text(text)) => Ok(Some(text.raw())),
        Given::Json(other) => Err(wrong_type(field.name(), other, "a text in quotes")),
    }
}

/// A text that names something: 1 to `max_bytes` bytes, each character of which can be seen. An id may be an integer.
#[inline(always)]
pub(crate) fn identifier<'a>(fields: &Fields<'a>, field: Field, max_bytes: usize) -> Result<Option<&'a str>, Refusal> {
    let text = match fields.get(field) {
        Given::Absent | Given::Json(Value::Null) => None,
        Given::Cell(text) => Some(text),
        // Escapes have been resolved: the raw text is the text.
        Given::Json(Value::Text(text)) => Some(text.raw()),
        Given::Json(other) => Some(number_as_name(field, other)?),
    };
    if let Some(text) = text {
        match field {
            // What is there already can be taken back, whatever its id.
            Field::Voids => check_name(field.name(), text, max_bytes)?,
            _ => check_identifier(field.name(), text, max_bytes)?,
        }
    }
    Ok(text)
}

/// An id that is written as a JSON number; nothing else that names something may be.
#[cold]
fn number_as_name(field: Field, value: Value<'_>) -> Result<&str, Refusal> {
    match value {
        Value::Number(number) if matches!(field, Field::Id | Field::Voids) => check_exact(field, number),
        other => Err(wrong_type(field.name(), other, "a text in quotes")),
    }
}

/// The JSON number of something that is named, as its digits.
#[cold]
fn check_exact(field: Field, number: &str) -> Result<&str, Refusal> {
    if number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-')) {
        return Ok(number);
    }
    let sentence = format!("`{}` is {}, {INEXACT}", field.name(), plain(number));
    Err(Refusal::new(code::NOT_WHOLE, sentence))
}

/// What is wrong with a number that names something and is written as a float is.
const INEXACT: &str = "with a fraction or an exponent: spreadsheets and floating-point columns write long numbers this way and \
    lose digits; send all digits, as text or as an integer (in a spreadsheet, format the column as text before entering numbers)";

/// Refuses a `text` for `name` that is empty, longer than `max_bytes` or has an invisible character: it would not survive every
/// ledger, log and spreadsheet that it comes to, and who looks at two such texts sees one.
#[inline]
pub(crate) fn check_identifier(name: &str, text: &str, max_bytes: usize) -> Result<(), Refusal> {
    if text.len() <= max_bytes && is_printable(text.as_bytes()) && has_no_blank_at_ends(text) {
        return Ok(());
    }
    check_odd_identifier(name, text, max_bytes)
}

#[cold]
fn check_odd_identifier(name: &str, text: &str, max_bytes: usize) -> Result<(), Refusal> {
    check_name(name, text, max_bytes)?;
    match unseen(text) {
        None => Ok(()),
        Some((what, place)) => {
            let sentence = format!(
                "`{name}` is {} with {what} {place}, which is invisible; send it without",
                quoted(text)
            );
            Err(Refusal::new(code::INVISIBLE_CHARACTER, sentence))
        }
    }
}

/// Whether a text neither begins nor ends with a blank; an empty one does.
#[inline]
pub(crate) fn has_no_blank_at_ends(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if *first != b' ' && *last != b' ')
}

/// Refuses a text that is empty, longer than `max_bytes` or has a control character.
fn check_name(name: &str, text: &str, max_bytes: usize) -> Result<(), Refusal> {
    let limit = format!("1 to {max_bytes} bytes are expected");
    if text.is_empty() {
        return Err(Refusal::new(code::EMPTY_TEXT, format!("`{name}` is empty; {limit}")));
    }
    if text.len() > max_bytes {
        let sentence = format!("`{name}` is {} with {} bytes; {limit}", quoted(text), text.len());
        return Err(Refusal::new(code::TEXT_TOO_LONG, sentence));
    }
    if text.chars().any(char::is_control) {
        let sentence = format!(
            "`{name}` contains a control character: {}; control characters are not allowed",
            quoted(text)
        );
        return Err(Refusal::new(code::CONTROL_CHARACTER, sentence));
    }
    Ok(())
}

/// An account or application number: a JSON number, or digits in a JSON string or a CSV cell. A cell in
/// another form (`1.00005E+11`) is refused: a spreadsheet that writes it has lost digits.
#[inline]
pub(crate) fn account_number(fields: &Fields<'_>, field: Field) -> Result<Option<u64>, Refusal> {
    let read = match fields.get(field) {
        Given::Absent | Given::Json(Value::Null) => return Ok(None),
        Given::Cell(cell) => number::digits(cell),
        Given::Json(Value::Text(text)) => number::digits(text.raw()),
        Given::Json(Value::Number(text)) => match number::short_whole(text) {
            Some(value) => Ok(value),
            None => number::whole(check_exact(field, text)?),
        },
        Given::Json(other) => {
            return Err(wrong_type(field.name(), other, "a number, or its digits in quotes,"));
        }
    };
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(refuse_number(
            fields,
            field,
            error,
            "digits up to 18446744073709551615 are expected",
        )),
    }
}

/// A duration in milliseconds: a JSON number, or its text in a CSV cell.
#[inline]
pub(crate) fn duration(fields: &Fields<'_>, field: Field) -> Result<Option<i64>, Refusal> {
    let text = match fields.get(field) {
        Given::Absent | Given::Json(Value::Null) => return Ok(None),
        Given::Cell(text) | Given::Json(Value::Number(text)) => text,
        Given::Json(other) => return Err(wrong_type(field.name(), other, "a number")),
    };
    let within = |value: u64| i64::try_from(value).ok().filter(|_| value <= MAX_MEASURED);
    match number::whole(text).and_then(|value| within(value).ok_or(NumberError::TooLarge)) {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            let limit = format!("a whole number of milliseconds from 0 to {MAX_MEASURED} is expected");
            Err(refuse_number(fields, field, error, &limit))
        }
    }
}

/// The time at which a record's output was done, in nanoseconds since 1970.
#[inline]
pub(crate) fn finish(fields: &Fields<'_>) -> Result<Option<i64>, Refusal> {
    let name = fields.name_of_time();
    match time(fields, Field::FinishedAt)? {
        None => Ok(None),
        Some(NOT_REACHED) => {
            let sentence =
                format!("`{name}` is \"{NOT_REACHED}\", not reached yet; send the record when the work is finished");
            Err(Refusal::new(code::NOT_FINISHED, sentence))
        }
        Some(text) => read_time(text, fields.zone)
            .map(Some)
            .map_err(|error| refuse_instant(name, text, error)),
    }
}

/// A time that need not be there, in nanoseconds since 1970; none also where it was not reached.
#[inline]
pub(crate) fn optional_time(fields: &Fields<'_>, field: Field) -> Result<Option<i64>, Refusal> {
    match time(fields, field)? {
        None | Some(NOT_REACHED) => Ok(None),
        Some(text) => read_time(text, fields.zone)
            .map(Some)
            .map_err(|error| refuse_instant(field.name(), text, error)),
    }
}

/// The text of a time.
#[inline]
fn time<'a>(fields: &Fields<'a>, field: Field) -> Result<Option<&'a str>, Refusal> {
    match fields.get(field) {
        Given::Json(number @ Value::Number(_)) => Err(wrong_type(
            field.name(),
            number,
            "a time as text, such as \"2026-10-22T07:54:27Z\",",
        )),
        _ => text(fields, field),
    }
}

/// The text of the parameters object, not yet checked inside.
#[inline]
pub(crate) fn parameters<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, Refusal> {
    let name = Field::Parameters.name();
    match fields.get(Field::Parameters) {
        Given::Absent | Given::Json(Value::Null) => Ok(None),
        Given::Json(Value::Object(object)) => Ok(Some(object)),
        Given::Json(other) => Err(wrong_type(name, other, "an object")),
        Given::Cell(cell) if cell.trim_start().starts_with('{') => Ok(Some(cell)),
        Given::Cell(cell) => {
            let sentence = format!("`{name}` is {}; one JSON object is expected", quoted(cell));
            Err(Refusal::new(code::WRONG_TYPE, sentence))
        }
    }
}

/// The value of a field that must be there.
#[inline]
pub(crate) fn required<T>(value: Option<T>, field: Field) -> Result<T, Refusal> {
    value.ok_or_else(|| missing(field))
}

#[cold]
fn missing(field: Field) -> Refusal {
    let whom = if field == Field::Id {
        "every record"
    } else {
        "a usage record"
    };
    Refusal::new(
        code::MISSING_FIELD,
        format!("`{}` is missing; {whom} needs it", field.name()),
    )
}

/// The refusal of a `value` for `name` that is of another type than `expected` says.
#[cold]
pub(crate) fn wrong_type(name: &str, value: Value<'_>, expected: &str) -> Refusal {
    let value = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(raw) | Value::Object(raw) | Value::Array(raw) => plain(raw),
        Value::Text(text) => format!("the text {}", quoted(&text.value())),
    };
    let name = plain(name);
    Refusal::new(code::WRONG_TYPE, format!("`{name}` is {value}; {expected} is expected"))
}

#[cold]
fn refuse_number(fields: &Fields<'_>, field: Field, error: NumberError, limit: &str) -> Refusal {
    let value = match fields.get(field) {
        Given::Cell(text) => quoted(text),
        Given::Json(Value::Text(text)) => quoted(text.raw()),
        Given::Json(Value::Number(text)) => plain(text),
        _ => "something else".to_owned(),
    };
    let cure = cure_of_number(fields, field, error);
    let sentence = format!("`{}` is {value}, which is {error}; {limit}{cure}", field.name());
    Refusal::new(number_code(error), sentence)
}

/// What a sender of such a number most likely has to do.
fn cure_of_number(fields: &Fields<'_>, field: Field, error: NumberError) -> &'static str {
    let text = match fields.get(field) {
        Given::Cell(text) => text,
        Given::Json(Value::Text(text)) => text.raw(),
        _ => "",
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_float = || number::canonical(text).is_ok() && text.contains(['.', 'e', 'E']);
    if error == NumberError::Negative && field == Field::DurationMs {
        "; to cancel usage, send a void: `kind` is \"void\" and `voids` is the ID of the record"
    } else if matches!(field, Field::Uin | Field::Appid) && is_float() {
        "; in this form it may have lost digits (spreadsheets do this to long numbers): format the column as text before entering \
         numbers"
    } else if text.strip_prefix('\'').is_some_and(is_digits) {
        "; remove the apostrophe in front, which a spreadsheet adds"
    } else if text
        .strip_prefix("=\"")
        .and_then(|text| text.strip_suffix('"'))
        .is_some_and(is_digits)
    {
        "; write the digits alone: `=\"...\"` is a spreadsheet formula"
    } else if text.contains(',') && text.split(',').all(is_digits) {
        "; commas are not accepted, neither as decimal point nor between thousands: write the digits alone"
    } else if text.trim() != text && is_digits(text.trim()) {
        "; remove the space at its end"
    } else {
        ""
    }
}
