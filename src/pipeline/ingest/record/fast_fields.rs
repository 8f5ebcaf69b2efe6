//! Values that need no second look: printable ASCII without a backslash, plain digits, times as everybody writes them.
//!
//! Formats that find values faster than by a full reading hand them over here. What is read is what a full reading finds; for
//! what is not read, and what is wrong, there is the full reading, so nothing is refused here.

#![expect(
    clippy::inline_always,
    reason = "measured: with the field known where it is set, a line takes two thirds of the time"
)]

use crate::support::json::is_printable;
use crate::values::number::{short_digits, short_whole};
use crate::values::parameters::MAX_MEASURED;

use super::field_values::{MAX_ID_BYTES, MAX_TASK_TYPE_BYTES, has_no_blank_at_ends};
use super::fields::{Field, each_field};
use super::timestamp::{InstantError, NOT_REACHED};
use super::timestamp_text::read_time;
use super::{Kind, Record};

/// The text of each field that is there.
#[derive(Debug, Default)]
pub struct FieldTexts<'a>([Option<&'a str>; Field::ALL.len()]);

impl<'a> FieldTexts<'a> {
    /// Sets the text of a field: of JSON what stands between the quotes, or the number or object as it is written.
    #[inline]
    pub fn put(&mut self, field: Field, text: &'a str) {
        self.0[field as usize] = Some(text);
    }

    /// Reads the record into `record`, in which nothing is set yet; none where a value needs a second look or the record is wrong, and then
    /// nothing in `record` counts.
    #[inline(always)]
    pub fn read(&self, record: &mut Record<'a>) -> Option<()> {
        macro_rules! give {
            ($field:ident) => {
                self.give(Field::$field, record)?
            };
        }
        each_field!(give);
        finish(record)
    }

    /// Called once for each field by its name, see `fields!`.
    #[inline(always)]
    fn give(&self, field: Field, record: &mut Record<'a>) -> Option<()> {
        match self.0[field as usize] {
            None => Some(()),
            Some(text) => set(record, field, text),
        }
    }
}

/// Checks that the record has what its kind needs.
#[inline]
pub fn finish(record: &mut Record) -> Option<()> {
    if record.id.is_empty() {
        return None;
    }
    record.complete().ok()
}

/// Sets a field to what its text means, with the limits of a full reading; none where it needs a second look. The parameters are
/// left as they are.
#[inline(always)]
pub fn set<'a>(record: &mut Record<'a>, field: Field, text: &'a str) -> Option<()> {
    match field {
        Field::Source => record.source = Some(identifier(text, MAX_ID_BYTES)?),
        Field::Id => record.id = identifier(text, MAX_ID_BYTES)?,
        Field::Kind => record.kind = kind(text)?,
        Field::Voids => record.voids = Some(identifier(text, MAX_ID_BYTES)?),
        Field::Uin => record.uin = Some(short_digits(text)?),
        Field::Appid => record.appid = Some(short_digits(text)?),
        Field::TaskType => record.task_type = Some(identifier(text, MAX_TASK_TYPE_BYTES)?),
        Field::Parameters => record.parameters = Some(text),
        Field::DurationMs => record.duration_ms = Some(duration(text)?),
        Field::FinishedAt => record.finished_at = Some(read_time(text, None).ok()?),
        Field::Status => record.failed = failed(text)?,
        Field::TaskId => record.task_id = Some(printable(text)?),
        Field::EventId => record.event_id = Some(printable(text)?),
        Field::InputUrl => record.input_url = Some(printable(text)?),
        Field::CreatedAt => record.created_at = log_time(text).ok()?,
        Field::StartedAt => record.started_at = log_time(text).ok()?,
    }
    Some(())
}

/// [`set`] for a value that comes as a whole number.
#[inline]
pub fn set_whole(record: &mut Record, field: Field, value: u64) -> Option<()> {
    match field {
        Field::Uin => record.uin = Some(value),
        Field::Appid => record.appid = Some(value),
        Field::DurationMs => record.duration_ms = Some(milliseconds(value)?),
        _ => return None,
    }
    Some(())
}

/// [`set`] for a value that comes as nanoseconds since 1970.
#[inline]
pub fn set_instant(record: &mut Record, field: Field, instant_ns: i64) -> Option<()> {
    match field {
        Field::FinishedAt => record.finished_at = Some(instant_ns),
        Field::CreatedAt => record.created_at = Some(instant_ns),
        Field::StartedAt => record.started_at = Some(instant_ns),
        _ => return None,
    }
    Some(())
}

#[inline]
fn printable(text: &str) -> Option<&str> {
    is_printable(text.as_bytes()).then_some(text)
}

#[inline]
fn identifier(text: &str, bytes_max: usize) -> Option<&str> {
    printable(text).filter(|text| text.len() <= bytes_max && has_no_blank_at_ends(text))
}

/// As a JSON number a duration has no zeros in front.
#[inline(always)]
fn duration(text: &str) -> Option<i64> {
    milliseconds(short_whole(text)?)
}

#[inline]
fn milliseconds(value: u64) -> Option<i64> {
    i64::try_from(value).ok().filter(|_| value <= MAX_MEASURED)
}

#[inline]
fn kind(text: &str) -> Option<Kind> {
    match text {
        "usage" => Some(Kind::Usage),
        "void" => Some(Kind::Void),
        _ => None,
    }
}

#[inline]
fn failed(text: &str) -> Option<bool> {
    match text {
        "SUCCESS" => Some(false),
        "FAIL" => Some(true),
        _ => None,
    }
}

#[inline]
fn log_time(text: &str) -> Result<Option<i64>, InstantError> {
    if text == NOT_REACHED {
        return Ok(None);
    }
    read_time(text, None).map(Some)
}
