//! The named fields of a record, as they were given: by JSON, by a `CloudEvent` or by a CSV row.

use chrono_tz::Tz;

use crate::support::json::{Scanner, SyntaxError, Text, Value, check};
use crate::support::nearest::nearest;

use super::refusal::{Refusal, duplicate_field, not_json, unknown_field};

/// Declares [`Field`] from the one list of fields, and `each_field`, which does something for each of them in turn: a loop over all would
/// leave the processor to guess which is next.
macro_rules! fields {
    ($d:tt $($(#[$doc:meta])* $field:ident = $name:literal,)*) => {
        /// A field of the usage record. Names are the same in JSON, CSV and Parquet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field {
            $($(#[$doc])* $field,)*
        }

        const FIELD_COUNT: usize = [$($name),*].len();

        impl Field {
            /// Every field, in the order of the record's documentation.
            pub const ALL: [Self; FIELD_COUNT] = [$(Self::$field),*];

            /// The field's name in JSON, CSV and Parquet.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$field => $name,)*
                }
            }
        }

        macro_rules! each_field {
            ($d act:ident) => {
                $($d act!($field);)*
            };
        }

        pub(super) use each_field;
    };
}

fields! { $
    /// Who sent it; scope of `id`.
    Source = "source",
    /// The idempotency key.
    Id = "id",
    /// `usage` or `void`.
    Kind = "kind",
    /// The id that a void takes back.
    Voids = "voids",
    /// The customer account.
    Uin = "uin",
    /// The application under the account.
    Appid = "appid",
    /// What was done.
    TaskType = "task_type",
    /// Named scalars.
    Parameters = "parameters",
    /// Billable media time in milliseconds.
    DurationMs = "duration_ms",
    /// When the output was done.
    FinishedAt = "finished_at",
    /// `SUCCESS` or `FAIL`.
    Status = "status",
    /// Service log: the task.
    TaskId = "task_id",
    /// Service log: the event.
    EventId = "event_id",
    /// Service log: the input.
    InputUrl = "input_url",
    /// Service log: when the task was created.
    CreatedAt = "created_at",
    /// Service log: when the work began.
    StartedAt = "started_at",
}

impl Field {
    /// The field of that name.
    #[inline]
    pub fn named(name: &str) -> Option<Self> {
        let field = match name.len() {
            2 => Self::Id,
            3 => Self::Uin,
            4 => Self::Kind,
            5 if name.starts_with('a') => Self::Appid,
            5 => Self::Voids,
            6 if name.starts_with("so") => Self::Source,
            6 => Self::Status,
            7 => Self::TaskId,
            8 => Self::EventId,
            9 if name.starts_with('t') => Self::TaskType,
            9 => Self::InputUrl,
            10 if name.starts_with('p') => Self::Parameters,
            10 if name.starts_with('c') => Self::CreatedAt,
            10 => Self::StartedAt,
            11 if name.starts_with('d') => Self::DurationMs,
            11 => Self::FinishedAt,
            _ => return None,
        };
        (field.name() == name).then_some(field)
    }

    /// The field that a name which is none most likely means.
    pub fn likely(name: &str) -> Option<&'static str> {
        nearest(name, Self::ALL.map(Self::name))
    }
}

/// What was given for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given<'a> {
    /// Nothing.
    Absent,
    /// A CSV cell that is not empty.
    Cell(&'a str),
    /// A JSON value.
    Json(Value<'a>),
}

/// The account that an event's `subject` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The customer account.
    pub uin: u64,
    /// The application under it.
    pub appid: u64,
}

/// What was given for each field.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    given: [Given<'a>; FIELD_COUNT],
    any_escaped: bool,
    /// The account that the envelope names, besides what the fields say.
    pub subject: Option<Subject>,
    /// The subject of an envelope that names no account.
    pub other_subject: Option<Text<'a>>,
    /// Whether the time is the envelope's.
    pub has_time_of_envelope: bool,
    /// The zone of the sender, if it writes local times.
    pub zone: Option<Tz>,
}

/// Why members do not make fields. The text after the offence has not been looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Offence<'a> {
    /// Not JSON.
    Syntax(SyntaxError),
    /// A key that is no field.
    Unknown(Text<'a>),
    /// A field for the second time.
    Twice(Field),
}

impl From<SyntaxError> for Offence<'_> {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

impl Offence<'_> {
    /// The refusal of `text`, in which this was found. That it is not JSON comes before all else.
    #[cold]
    pub(crate) fn refusal(self, text: &str) -> Refusal {
        if let Err(error) = check(text) {
            return not_json(text, error);
        }
        match self {
            Self::Syntax(error) => not_json(text, error),
            Self::Unknown(key) => unknown_field(&key.value(), Field::likely(&key.value())),
            Self::Twice(field) => duplicate_field(field.name()),
        }
    }
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self {
            given: [Given::Absent; FIELD_COUNT],
            any_escaped: false,
            subject: None,
            other_subject: None,
            has_time_of_envelope: false,
            zone: None,
        }
    }
}

impl<'a> Fields<'a> {
    /// The fields of the JSON object that `text` is. `parameters` may be unchecked, see
    /// [`Scanner::value_unchecked_if_flat_object`].
    pub(crate) fn of_object(text: &'a str) -> Result<Self, Offence<'a>> {
        let mut fields = Self::default();
        let mut scanner = Scanner::new(text);
        scanner.open_object()?;
        let mut key = scanner.first_key()?;
        while let Some(name) = key {
            let Some(field) = field_of(name) else {
                // What has no value is absent, whatever its name.
                if scanner.value()? != Value::Null {
                    return Err(Offence::Unknown(name));
                }
                key = scanner.next_key()?;
                continue;
            };
            let value = if field == Field::Parameters {
                scanner.value_unchecked_if_flat_object()?
            } else {
                scanner.value()?
            };
            if !fields.put(field, Given::Json(value)) {
                return Err(Offence::Twice(field));
            }
            key = scanner.next_key()?;
        }
        scanner.finish()?;
        Ok(fields)
    }

    /// What was given for `field`.
    #[inline]
    pub fn get(&self, field: Field) -> Given<'a> {
        self.given[field as usize]
    }

    /// What the sender calls the time at which the output was done.
    #[inline]
    pub(crate) fn name_of_time(&self) -> &'static str {
        if self.has_time_of_envelope {
            "time"
        } else {
            Field::FinishedAt.name()
        }
    }

    /// Who sent it, where that is said. Escapes have been resolved.
    pub(crate) fn source(&self) -> Option<&'a str> {
        match self.get(Field::Source) {
            Given::Cell(text) => Some(text),
            Given::Json(Value::Text(text)) => Some(text.raw()),
            _ => None,
        }
    }

    /// Whether `field` has a value: JSON null has none.
    pub fn has(&self, field: Field) -> bool {
        !matches!(self.get(field), Given::Absent | Given::Json(Value::Null))
    }

    /// Takes `given` for `field`; false if the field was given before (null counts).
    #[inline]
    #[must_use]
    pub fn put(&mut self, field: Field, given: Given<'a>) -> bool {
        if let Given::Json(Value::Text(text)) = given {
            self.any_escaped |= text.unescaped().is_none();
        }
        let place = &mut self.given[field as usize];
        let is_first = matches!(place, Given::Absent);
        *place = given;
        is_first
    }

    /// Takes `given` for `field` instead of what was given before.
    pub fn replace(&mut self, field: Field, given: Given<'a>) {
        let _was_absent = self.put(field, given);
    }

    /// Resolves the escapes of every text, in `resolved`; nothing is done where there are none.
    #[inline]
    pub(crate) fn unescape(&mut self, resolved: &'a mut String) {
        if self.any_escaped {
            self.unescape_each(resolved);
        }
    }

    #[cold]
    fn unescape_each(&mut self, out: &'a mut String) {
        let mut ends = [0; FIELD_COUNT];
        out.clear();
        for (given, end) in self.given.iter().zip(&mut ends) {
            if let Given::Json(Value::Text(text)) = given {
                text.unescape_into(out);
            }
            *end = out.len();
        }
        let resolved: &'a str = out;
        let mut start = 0;
        for (given, end) in self.given.iter_mut().zip(ends) {
            if let Given::Json(Value::Text(text)) = given {
                *text = Text::verbatim(&resolved[start..end]);
            }
            start = end;
        }
        self.any_escaped = false;
    }
}

#[inline]
fn field_of(key: Text<'_>) -> Option<Field> {
    match key.unescaped() {
        Some(name) => Field::named(name),
        None => Field::named(&key.value()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_to_its_field() {
        for (index, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, index);
            assert_eq!(Field::named(field.name()), Some(field));
        }
        for name in [
            "",
            "Id",
            "idx",
            "uIn",
            "aaaaa",
            "sourcx",
            "statux",
            "parameterz",
            "created_an",
            "é",
        ] {
            assert_eq!(Field::named(name), None, "{name}");
        }
    }
}
