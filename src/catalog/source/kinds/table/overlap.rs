//! How far before the newest row a pull begins.

use serde::de::Error as _;

/// Rows become visible when they are committed, not in the order of their cursor: what is so near to the newest row is read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// Of a cursor that is an integer: how much smaller.
    Integer(u64),
    /// Of a cursor that is a time: `text` such as `10m`.
    Time { text: String, seconds: u64 },
}

/// A year: further back is another first read.
const SECONDS_MAX: u64 = 366 * 86_400;

impl Overlap {
    fn of_text(text: &str) -> Option<Self> {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit_seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        let count = crate::values::number::digits(digits).ok()?;
        let seconds = count
            .checked_mul(unit_seconds)
            .filter(|seconds| *seconds <= SECONDS_MAX)?;
        Some(Self::Time {
            text: text.to_owned(),
            seconds,
        })
    }
}

impl serde::Serialize for Overlap {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(value) => to.serialize_u64(*value),
            Self::Time { text, .. } => to.serialize_str(text),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Overlap {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = match toml::Value::deserialize(from)? {
            toml::Value::String(text) => Self::of_text(&text),
            toml::Value::Integer(value) => u64::try_from(value).ok().map(Self::Integer),
            _ => None,
        };
        let expected = "`overlap` must be a time such as \"10m\" (s, m, h or d, at most 366d), or a whole number where the cursor is one";
        read.ok_or_else(|| D::Error::custom(expected))
    }
}
