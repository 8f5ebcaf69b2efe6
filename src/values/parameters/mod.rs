//! A record's parameters: named scalars, and the one canonical text that stands for them.
//!
//! The canonical text is a JSON object without white space: keys sorted by their bytes, nulls left out,
//! numbers as canonical decimals ([`crate::values::number::canonical`]), strings with as few escapes as can be. A text stays text, so that raw
//! says what was written.
//!
//! Senders write one value as a number here and as text there: a CSV has nothing but text. So two texts, or two numbers, are equal as they
//! stand, a number and a text where the text is a plain decimal of that value, and a truth value and its name ([`are_equal`]). The coarse
//! text ([`coarse`]) has plain decimals in text as numbers: parameters that are equal have the same one, but not the other way round
//! (`"1.0"` and `"1.00"`).

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::support::json::{Scanner, SyntaxError, Value, check, is_escaped};
use crate::support::quote::{plain, quoted};
use crate::values::number;
use crate::values::number::NumberError;

/// The most parameters of one record; absent ones (null) do not count.
pub const MAX_KEYS: usize = 32;

/// The most bytes of the canonical text: white space and spelling do not count, so that a record is the same
/// in JSON and in CSV.
pub const MAX_CANONICAL_BYTES: usize = 4096;

/// The largest measured value, 2^53: what any JSON reader on the way here still has exactly.
pub const MAX_MEASURED: u64 = 1 << 53;

/// The parameters that are measured, and so must be whole numbers from 0 to [`MAX_MEASURED`].
pub const MEASURED: [&str; 3] = ["images", "width", "height"];

/// One parameter's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// An exact decimal in canonical form, such as `1920` or `29.97`.
    Number(String),
    /// A truth value.
    Bool(bool),
}

/// Parameters by name, sorted by the names' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(pub BTreeMap<String, Scalar>);

/// Why a text is not a record's parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// Not UTF-8.
    #[error("`parameters` is not UTF-8")]
    NotUtf8,
    /// Not JSON.
    #[error("`parameters` is not JSON, {0}")]
    Syntax(#[from] SyntaxError),
    /// JSON, but not an object.
    #[error("`parameters` is {value}; an object is expected")]
    NotAnObject {
        /// What is there.
        value: String,
    },
    /// A parameter without a name.
    #[error("`parameters` has an empty key; each needs a name")]
    EmptyKey,
    /// A control character in a name, or U+0000 in a text.
    #[error("`parameters` has a control character in {place}; it is not allowed in names, and U+0000 not in texts")]
    ControlCharacter {
        /// The name, or the name of the text.
        place: String,
    },
    /// The same name twice.
    #[error("`parameters` has {key} twice; it is unclear which one counts")]
    Duplicate {
        /// The name.
        key: String,
    },
    /// An object or a list.
    #[error("`parameters` has {value} for {key}; only text, numbers, true, false and null are values")]
    Nested {
        /// The name.
        key: String,
        /// What is there.
        value: String,
    },
    /// A number that does not fit, or a measured one that is not whole.
    #[error("`parameters` has {value} for {key}, which is {problem}; {limit}")]
    Number {
        /// The name.
        key: String,
        /// The number.
        value: String,
        /// What is wrong with it.
        problem: NumberError,
        /// What would be right.
        limit: String,
    },
    /// A measured value that is not a number, or text that is no plain decimal.
    #[error(
        "`parameters` has {value} for {key}; a number is expected, such as 1920: digits alone, no comma and no unit"
    )]
    NotMeasured {
        /// The name.
        key: String,
        /// What is there.
        value: String,
    },
    /// More than [`MAX_KEYS`].
    #[error("`parameters` has {count} keys; at most {MAX_KEYS} are allowed")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// More than [`MAX_CANONICAL_BYTES`].
    #[error("`parameters` is {bytes} bytes of canonical JSON; at most {MAX_CANONICAL_BYTES} are allowed")]
    TooLarge {
        /// How many there are.
        bytes: usize,
    },
}

/// The canonical text of the parameters that `raw_json`, one JSON object, holds.
pub fn canonical(raw_json: &[u8]) -> Result<String, ParametersError> {
    let text = std::str::from_utf8(raw_json).map_err(|_| ParametersError::NotUtf8)?;
    let canonical = read(text)?.canonical();
    if canonical.len() > MAX_CANONICAL_BYTES {
        return Err(ParametersError::TooLarge { bytes: canonical.len() });
    }
    Ok(canonical)
}

/// Whether two canonical texts mean the same parameters.
pub fn are_equal(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    match (read(one), read(other)) {
        (Ok(one), Ok(other)) => one.is_equal(&other),
        _ => false,
    }
}

/// The coarse text of a canonical one: plain decimals in text are numbers, and the names of truth values are these.
pub fn coarse(canonical: &str) -> Cow<'_, str> {
    // A text that stands for another value begins with a digit, a sign, or as a truth value does.
    let bytes = canonical.as_bytes();
    let may_differ = memchr::memchr_iter(b':', bytes)
        .any(|at| matches!(bytes.get(at + 1..), Some([b'"', b'0'..=b'9' | b'-' | b't' | b'f', ..])));
    if !may_differ {
        return Cow::Borrowed(canonical);
    }
    match read(canonical) {
        Ok(parameters) => Cow::Owned(
            Parameters(
                parameters
                    .0
                    .into_iter()
                    .map(|(name, value)| (name, value.coarse()))
                    .collect(),
            )
            .canonical(),
        ),
        Err(_) => Cow::Borrowed(canonical),
    }
}

impl Scalar {
    /// Whether both mean the same value.
    pub fn is_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(text), value @ (Self::Number(_) | Self::Bool(_)))
            | (value @ (Self::Number(_) | Self::Bool(_)), Self::Text(text)) => meaning_of(text).as_ref() == Some(value),
            _ => self == other,
        }
    }

    /// The value as a list writes it: a number as its shortest decimal text.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
        }
    }

    /// The value as a canonical decimal, where it is a number or a plain decimal in text.
    pub fn decimal(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Number(number) => Some(Cow::Borrowed(number)),
            Self::Text(text) => number::plain_decimal(text),
            Self::Bool(_) => None,
        }
    }

    fn coarse(self) -> Self {
        match self {
            Self::Text(text) => meaning_of(&text).unwrap_or(Self::Text(text)),
            other => other,
        }
    }
}

/// The number or truth value that a text is equal to.
fn meaning_of(text: &str) -> Option<Scalar> {
    match text {
        "true" => Some(Scalar::Bool(true)),
        "false" => Some(Scalar::Bool(false)),
        _ => number::plain_decimal(text).map(|number| Scalar::Number(number.into_owned())),
    }
}

impl Parameters {
    /// Whether both have the same names with equal values.
    pub fn is_equal(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|((name, value), (other_name, other))| name == other_name && value.is_equal(other))
    }

    /// The parameters of a canonical text, which [`canonical`] made.
    pub fn from_canonical(text: &str) -> Result<Self, ParametersError> {
        read(text)
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&Scalar> {
        self.0.get(name)
    }

    /// The text of `name`, if it is one.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The number `name`, also of a plain decimal in text, if it is a whole one from 0 that fits u64.
    pub fn integer(&self, name: &str) -> Option<u64> {
        self.get(name)?.decimal()?.parse().ok()
    }

    /// The canonical text, whatever its length.
    pub fn canonical(&self) -> String {
        let mut out = String::from("{");
        for (index, (name, value)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_string(&mut out, name);
            out.push(':');
            match value {
                Scalar::Text(text) => push_string(&mut out, text),
                Scalar::Number(number) => out.push_str(number),
                Scalar::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            }
        }
        out.push('}');
        out
    }
}

/// Appends `text` as a JSON string with as few escapes as can be.
pub fn push_string(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    if !text.bytes().any(is_escaped) {
        out.push_str(text);
        out.push('"');
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                let code = c as usize;
                out.push_str("\\u00");
                out.push(char::from(HEX[code / 16]));
                out.push(char::from(HEX[code % 16]));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn read(text: &str) -> Result<Parameters, ParametersError> {
    let Value::Object(object) = check(text)? else {
        return Err(ParametersError::NotAnObject {
            value: plain(text.trim()),
        });
    };
    // Null and value alike claim the name: `{"a":null,"a":1}` has it twice.
    let mut found: BTreeMap<String, Option<Scalar>> = BTreeMap::new();
    let mut scanner = Scanner::new(object);
    scanner.open_object()?;
    let mut key = scanner.first_key()?;
    while let Some(name) = key {
        let name = name.value().into_owned();
        check_name(&name)?;
        let value = scalar(&name, scanner.value()?)?;
        match found.entry(name) {
            Entry::Vacant(place) => place.insert(value),
            Entry::Occupied(place) => {
                return Err(ParametersError::Duplicate {
                    key: quoted(place.key()),
                });
            }
        };
        key = scanner.next_key()?;
    }
    let present: BTreeMap<_, _> = found
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    if present.len() > MAX_KEYS {
        return Err(ParametersError::TooMany { count: present.len() });
    }
    Ok(Parameters(present))
}

fn check_name(name: &str) -> Result<(), ParametersError> {
    if name.is_empty() {
        return Err(ParametersError::EmptyKey);
    }
    if name.chars().any(char::is_control) {
        return Err(ParametersError::ControlCharacter {
            place: format!("the key {}", quoted(name)),
        });
    }
    Ok(())
}

/// The value of `name`; none for null.
fn scalar(name: &str, value: Value<'_>) -> Result<Option<Scalar>, ParametersError> {
    let is_measured = MEASURED.contains(&name);
    let not_measured = |value: String| ParametersError::NotMeasured {
        key: quoted(name),
        value,
    };
    match value {
        Value::Null => Ok(None),
        Value::Number(text) => number_of(name, text).map(Some),
        Value::Bool(truth) if is_measured => Err(not_measured(truth.to_string())),
        Value::Bool(truth) => Ok(Some(Scalar::Bool(truth))),
        Value::Text(text) => {
            let text = text.value();
            if is_measured {
                let number = number::plain_decimal(&text);
                let number = number.ok_or_else(|| not_measured(format!("the text {}", quoted(&text))))?;
                number_of(name, &number)?;
            }
            if text.contains('\0') {
                return Err(ParametersError::ControlCharacter {
                    place: format!("the text of {}", quoted(name)),
                });
            }
            Ok(Some(Scalar::Text(text.into_owned())))
        }
        Value::Object(raw) | Value::Array(raw) => Err(ParametersError::Nested {
            key: quoted(name),
            value: plain(raw),
        }),
    }
}

fn number_of(name: &str, text: &str) -> Result<Scalar, ParametersError> {
    let refuse = |problem, limit: String| ParametersError::Number {
        key: quoted(name),
        value: plain(text),
        problem,
        limit,
    };
    if MEASURED.contains(&name) {
        let limit = || format!("a whole number from 0 to {MAX_MEASURED} is expected");
        let value = number::whole(text).map_err(|problem| refuse(problem, limit()))?;
        if value > MAX_MEASURED {
            return Err(refuse(NumberError::TooLarge, limit()));
        }
    }
    let canonical = number::canonical(text)
        .map_err(|problem| refuse(problem, format!("at most {} digits are allowed", number::MAX_DIGITS)))?;
    Ok(Scalar::Number(canonical.into_owned()))
}
