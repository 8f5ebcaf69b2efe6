//! Values of columns, as every engine takes and gives them.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use crate::support::error::{Error, Result};
use crate::values::money::{parse_plain, plain};

/// A column's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
    /// An amount of money or another exact decimal: NUMERIC or DECIMAL in a server, plain text in SQLite.
    Amount(Decimal),
    /// Nothing, in a column of integers.
    NullInteger,
    /// Nothing, in a column of text or bytes.
    NullText,
}

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Self::NullInteger | Self::NullText)
    }

    /// About how many bytes it takes in the ledger.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            _ => 8,
        }
    }
}

/// The one text of an amount, without zeros that say nothing: the same for every engine.
pub fn amount_text(amount: Decimal) -> String {
    plain(amount.normalize(), 0)
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&i64> for Value {
    fn from(value: &i64) -> Self {
        Self::Integer(*value)
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::NullInteger, Self::Integer)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        value.map_or(Self::NullText, Self::Text)
    }
}

impl From<Decimal> for Value {
    fn from(value: Decimal) -> Self {
        Self::Amount(value)
    }
}

/// What a column's value can be read as.
pub trait FromValue: Sized {
    /// None when the value is of another kind or does not fit.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(value) => Some(*value),
            // Servers add integers up in decimals.
            Value::Amount(sum) if sum.fract().is_zero() => sum.to_i64(),
            _ => None,
        }
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            Value::Amount(amount) => Some(amount_text(*amount)),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }
}

impl FromValue for Decimal {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Amount(amount) => Some(*amount),
            Value::Text(text) => parse_plain(text).ok(),
            Value::Integer(whole) => Some(Self::from(*whole)),
            _ => None,
        }
    }
}

impl FromValue for Value {
    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        if value.is_null() {
            return Some(None);
        }
        T::from_value(value).map(Some)
    }
}

/// A row of an answer.
#[derive(Clone, Debug)]
pub struct Row {
    names: std::sync::Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    pub(super) fn new(names: std::sync::Arc<[String]>, values: Vec<Value>) -> Self {
        Self { names, values }
    }

    /// The value of the column at a place, counted from 0.
    ///
    /// # Errors
    /// A value of another kind: the ledger holds what no writer of ours wrote.
    pub fn try_get<T: FromValue>(&self, at: usize) -> Result<T> {
        self.values.get(at).and_then(T::from_value).ok_or_else(|| {
            let name = self.names.get(at).map_or("?", String::as_str);
            Error::Unbalanced(format!(
                "the ledger holds {} in the column {name}, where {} belongs",
                self.values.get(at).map_or_else(|| "nothing".to_owned(), shown),
                kind_name::<T>()
            ))
        })
    }

    /// A sum of [`wide_sum`](crate::storage::ledger::Engine::wide_sum), of which the first column is at a place.
    pub fn wide(&self, at: usize) -> Result<i128> {
        let high: i64 = self.try_get(at)?;
        let low: Decimal = self.try_get(at + 1)?;
        let low = low.to_i128().filter(|_| low.fract().is_zero());
        let low = low.ok_or_else(|| Error::Unbalanced("the ledger returned an invalid sum".to_owned()))?;
        Ok((i128::from(high) << 32) + low)
    }

    /// The value of a named column.
    pub fn named<T: FromValue>(&self, name: &str) -> Result<T> {
        let at = self.names.iter().position(|other| other == name);
        self.try_get(at.unwrap_or(usize::MAX))
    }

    /// The columns' names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns' values, in order.
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Integer(value) => value.to_string(),
        Value::Amount(value) => amount_text(*value),
        Value::Text(text) => crate::support::quote::quoted(text),
        Value::Bytes(bytes) if std::str::from_utf8(bytes).is_err() => {
            format!("{} bytes that are not UTF-8", bytes.len())
        }
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::NullInteger | Value::NullText => "nothing".to_owned(),
    }
}

fn kind_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    match name {
        _ if name.contains("i64") => "an integer",
        _ if name.contains("Decimal") => "a decimal",
        _ if name.contains("String") => "text",
        _ => "another value",
    }
}
