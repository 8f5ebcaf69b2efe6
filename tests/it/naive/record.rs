//! Usage records, as values.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

/// The records of one input, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// One for each line.
    pub lines: Vec<NaiveRecord>,
}

/// A record that passed the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NaiveRecord {
    /// Who sent it.
    pub source: String,
    /// Unique within the source.
    pub id: String,
    /// Billable content.
    pub content: Content,
}

/// What is compared when an identity comes again: values, not their text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One output.
    Usage(Usage),
    /// Takes back the record of the same source with this id.
    Void(String),
}

/// The billable content of one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The account.
    pub uin: u64,
    /// The application.
    pub appid: u64,
    /// What was done.
    pub task_type: String,
    /// No nulls.
    pub parameters: BTreeMap<String, Value>,
    /// Milliseconds.
    pub duration_ms: u64,
    /// When it was done.
    pub finished_at: DateTime<Utc>,
    /// Whether it failed.
    pub failed: bool,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number; 1920 and 1920.0 are equal.
    Number(Decimal),
}

impl Usage {
    /// A parameter that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.parameters.get(name)? {
            Value::Text(text) => Some(text),
            Value::Number(_) => None,
        }
    }

    /// A parameter that is a number.
    pub fn number(&self, name: &str) -> Option<Decimal> {
        match self.parameters.get(name)? {
            Value::Text(_) => None,
            Value::Number(number) => Some(*number),
        }
    }
}
