//! The usage record: one billable output of one task, or the void of one.
//!
//! A line is read in two steps: what was given for each field ([`Fields`], by JSON, `CloudEvent` or CSV), and
//! what it means ([`Record`]). Only `parameters` is left as its text: texts repeat, so the caller checks each
//! distinct one once, with [`parameters::canonical`]. A record is not accepted before that has succeeded.

pub(crate) mod fast_fields;
pub mod field_values;
pub mod fields;
pub mod fingerprint;
pub(crate) mod invisible;
mod message;
pub(crate) mod parameter_keys;
pub mod refusal;
#[cfg(test)]
mod tests;
pub mod timestamp;
pub mod timestamp_text;

use std::sync::Arc;

use crate::support::quote::quoted;
use crate::values::parameters;

use super::formats::cloudevent;
use field_values::{
    MAX_ID_BYTES, MAX_TASK_TYPE_BYTES, account_number, check_identifier, duration, finish, identifier, optional_time,
    required, text,
};
use fields::{Field, Fields, Offence};
use refusal::{Refusal, code};
use timestamp_text::Zones;

/// The longest line that is read. A record has some hundred bytes; the limit bounds what one line can hold.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// Whether a record adds usage or takes some back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// One billable output.
    #[default]
    Usage,
    /// Takes back an earlier record.
    Void,
}

/// One record. What a kind needs is there: a usage record has `uin`, `appid`, `task_type`, `duration_ms` and
/// `finished_at`; a void has `voids`. What belongs to the other kind is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// Who sent it, 1 to 128 bytes; none means the ingest's own source.
    pub source: Option<&'a str>,
    /// Unique within the source, 1 to 128 bytes.
    pub id: &'a str,
    /// Usage or void.
    pub kind: Kind,
    /// The id (of the same source) that a void takes back.
    pub voids: Option<&'a str>,
    /// The customer account.
    pub uin: Option<u64>,
    /// The application under the account.
    pub appid: Option<u64>,
    /// What was done, 1 to 64 bytes.
    pub task_type: Option<&'a str>,
    /// The JSON object of the parameters, unchecked; none means no parameters (`{}`).
    pub parameters: Option<&'a str>,
    /// Billable media time in milliseconds, 0 to 2^53.
    pub duration_ms: Option<i64>,
    /// When the output was done, in nanoseconds since 1970-01-01T00:00:00Z.
    pub finished_at: Option<i64>,
    /// Whether that is the time of a message or of its receipt, and not the task's own.
    pub has_derived_time: bool,
    /// Whether the work failed: such a record is counted, never charged.
    pub failed: bool,
    /// Service log: the task.
    pub task_id: Option<&'a str>,
    /// Service log: the event.
    pub event_id: Option<&'a str>,
    /// Service log: the input.
    pub input_url: Option<&'a str>,
    /// Service log: when the task was created, in nanoseconds since 1970.
    pub created_at: Option<i64>,
    /// Service log: when the work began, in nanoseconds since 1970.
    pub started_at: Option<i64>,
}

/// Memory that parsing reuses from line to line.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Texts whose escapes are resolved.
    pub(super) text: String,
    /// The parameters object made of a CSV row's cells, or of a line's `parameters.` keys.
    pub(super) object: String,
    /// Zones of senders that write local times.
    pub(super) zones: Option<Arc<Zones>>,
}

/// Whether a line holds nothing: such a line is counted in the numbering, but is no record.
pub fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// The record of one line of NDJSON, without its line end (a `\r` before it is white space). UTF-8 is checked here, by line.
/// Not checked: the parameters' inside, and `finished_at` against the clock ([`crate::pipeline::ingest::record::timestamp::check_time`]).
pub fn parse_line<'a>(line: &'a [u8], scratch: &'a mut Scratch) -> Result<Record<'a>, Refusal> {
    let text = line_text(line)?;
    let Scratch {
        text: resolved,
        object,
        zones,
    } = scratch;
    let fields = match Fields::of_object(text) {
        Ok(fields) => fields,
        Err(Offence::Unknown(_)) if cloudevent::is_event(text) => cloudevent::fields_of(text, object)?,
        Err(Offence::Unknown(_)) if parameter_keys::is_dotted(text) => parameter_keys::fields_of(text, object)?,
        Err(offence) => return Err(not_fields(offence, text)),
    };
    Record::of_fields(fields, resolved, zones.as_deref())
}

/// Refuses a name for an ingest's own source that a record could not have.
pub fn check_source(source: &str) -> Result<(), Refusal> {
    check_identifier(Field::Source.name(), source, MAX_ID_BYTES)
}

/// The canonical text of a record's parameters.
pub fn canonical_parameters(record: &Record<'_>) -> Result<String, Refusal> {
    Ok(parameters::canonical(record.parameters.unwrap_or("{}").as_bytes())?)
}

impl<'a> Record<'a> {
    /// The record that the fields mean.
    pub(super) fn of_fields(
        mut fields: Fields<'a>,
        resolved: &'a mut String,
        zones: Option<&Zones>,
    ) -> Result<Self, Refusal> {
        fields.unescape(resolved);
        fields.zone = zones.and_then(|zones| zones.of(fields.source()));
        Self::of_plain_fields(&fields)
    }

    /// The record that the fields mean, in which no text has an escape.
    #[inline]
    pub(super) fn of_plain_fields(fields: &Fields<'a>) -> Result<Self, Refusal> {
        let mut record = Self::read(fields)?;
        if record.kind == Kind::Usage && record.uin.is_none() {
            cloudevent::check_subject(fields)?;
        }
        record.complete()?;
        Ok(record)
    }

    /// Checks that what its kind needs is there, and leaves out what belongs to the other kind.
    #[inline]
    pub(super) fn complete(&mut self) -> Result<(), Refusal> {
        match self.kind {
            Kind::Usage => self.check_usage(),
            Kind::Void => self.strip_void(),
        }
    }

    /// Every field that is there, each checked for itself.
    fn read(fields: &Fields<'a>) -> Result<Self, Refusal> {
        let (uin, appid) = account(fields)?;
        Ok(Self {
            source: identifier(fields, Field::Source, MAX_ID_BYTES)?,
            id: required(identifier(fields, Field::Id, MAX_ID_BYTES)?, Field::Id)?,
            kind: kind(fields)?,
            voids: identifier(fields, Field::Voids, MAX_ID_BYTES)?,
            uin,
            appid,
            task_type: identifier(fields, Field::TaskType, MAX_TASK_TYPE_BYTES)?,
            parameters: crate::pipeline::ingest::record::field_values::parameters(fields)?,
            duration_ms: duration(fields, Field::DurationMs)?,
            finished_at: finish(fields)?,
            has_derived_time: false,
            failed: failed(fields)?,
            task_id: text(fields, Field::TaskId)?,
            event_id: text(fields, Field::EventId)?,
            input_url: text(fields, Field::InputUrl)?,
            created_at: optional_time(fields, Field::CreatedAt)?,
            started_at: optional_time(fields, Field::StartedAt)?,
        })
    }

    #[inline]
    fn check_usage(&self) -> Result<(), Refusal> {
        if let Some(voids) = self.voids {
            let sentence = format!(
                "`voids` is {} on a usage record; `kind` must be \"void\" with it",
                quoted(voids)
            );
            return Err(Refusal::new(code::VOIDS_ON_USAGE, sentence));
        }
        required(self.uin, Field::Uin)?;
        required(self.appid, Field::Appid)?;
        required(self.task_type, Field::TaskType)?;
        required(self.duration_ms, Field::DurationMs)?;
        required(self.finished_at, Field::FinishedAt)?;
        Ok(())
    }

    /// A void's usage fields must be right where they are there, but are no part of it.
    fn strip_void(&mut self) -> Result<(), Refusal> {
        let Some(voids) = self.voids else {
            let sentence = "`voids` is missing; a void needs the ID of the record that it voids";
            return Err(Refusal::new(code::MISSING_FIELD, sentence));
        };
        if voids == self.id {
            let sentence = format!(
                "`voids` is {}, which is this record's own ID; a void needs an ID of its own",
                quoted(voids)
            );
            return Err(Refusal::new(code::VOID_OF_ITSELF, sentence));
        }
        canonical_parameters(self)?;
        *self = Self {
            uin: None,
            appid: None,
            task_type: None,
            parameters: None,
            duration_ms: None,
            finished_at: None,
            failed: false,
            ..*self
        };
        Ok(())
    }
}

fn line_text(line: &[u8]) -> Result<&str, Refusal> {
    if line.len() > MAX_LINE_BYTES {
        let sentence = format!(
            "the line is {} bytes long; at most {MAX_LINE_BYTES} are allowed",
            line.len()
        );
        return Err(Refusal::new(code::LINE_TOO_LONG, sentence));
    }
    std::str::from_utf8(line).map_err(|error| {
        let sentence = format!(
            "the line is not UTF-8 from byte {} on; send it as UTF-8",
            error.valid_up_to()
        );
        Refusal::new(code::NOT_UTF8, sentence)
    })
}

#[cold]
fn not_fields(offence: Offence<'_>, text: &str) -> Refusal {
    if let Offence::Unknown(_) = offence
        && let Some(refusal) = message::refusal(text)
    {
        return refusal;
    }
    match crate::support::json::check(text) {
        Ok(crate::support::json::Value::Object(_)) | Err(_) => offence.refusal(text),
        Ok(value) => {
            let shown = crate::support::quote::plain(text.trim());
            let cure = match value {
                crate::support::json::Value::Array(_) => {
                    "; an array of records is accepted only as a whole file: otherwise write each record on its own line"
                }
                _ => "",
            };
            Refusal::new(
                code::NOT_AN_OBJECT,
                format!("the line is {shown}; one JSON object is expected{cure}"),
            )
        }
    }
}

/// The account and application, from the fields and the envelope; they must not differ.
#[inline]
fn account(fields: &Fields<'_>) -> Result<(Option<u64>, Option<u64>), Refusal> {
    let uin = account_number(fields, Field::Uin)?;
    let appid = account_number(fields, Field::Appid)?;
    let Some(subject) = fields.subject else {
        return Ok((uin, appid));
    };
    for (field, given, named) in [(Field::Uin, uin, subject.uin), (Field::Appid, appid, subject.appid)] {
        if let Some(given) = given.filter(|given| *given != named) {
            let name = field.name();
            let sentence = format!("`{name}` is {given} in the event's data, but {named} in its `subject`");
            return Err(Refusal::new(code::EVENT_CONFLICT, sentence));
        }
    }
    Ok((Some(subject.uin), Some(subject.appid)))
}

#[inline]
fn kind(fields: &Fields<'_>) -> Result<Kind, Refusal> {
    match text(fields, Field::Kind)? {
        None | Some("usage") => Ok(Kind::Usage),
        Some("void") => Ok(Kind::Void),
        Some(other) => {
            let sentence = format!("`kind` is {}; \"usage\" or \"void\" is expected", quoted(other));
            Err(Refusal::new(code::UNKNOWN_KIND, sentence))
        }
    }
}

#[inline]
fn failed(fields: &Fields<'_>) -> Result<bool, Refusal> {
    match text(fields, Field::Status)? {
        None | Some("SUCCESS") => Ok(false),
        Some("FAIL") => Ok(true),
        Some(other) => {
            let sentence = format!("`status` is {}; \"SUCCESS\" or \"FAIL\" is expected", quoted(other));
            Err(Refusal::new(code::UNKNOWN_STATUS, sentence))
        }
    }
}
