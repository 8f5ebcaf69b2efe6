//! Which refused lines are meant.

use chrono::{Days, NaiveDate};

use crate::pipeline::ingest::record::refusal::CODES;
use crate::pipeline::ingest::store::has_batch;
use crate::storage::ledger::{Ledger, Value};
use crate::support::error::{Error, Result};

/// Which refused lines are meant: those that fit all that is said.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By number, as `quarantine list` shows them; empty is any.
    pub numbers: Vec<i64>,
    /// Received by this batch.
    pub batch: Option<i64>,
    /// The input's name, or the end of it from a slash on.
    pub input: Option<String>,
    /// The reason code.
    pub code: Option<String>,
    /// Received on this UTC day.
    pub day: Option<NaiveDate>,
    /// The default source of the input.
    pub source: Option<String>,
}

impl Filter {
    /// All lines that a batch received.
    pub fn of_batch(batch: i64) -> Self {
        Self {
            batch: Some(batch),
            ..Self::default()
        }
    }

    /// Lines by number.
    pub fn of_numbers(numbers: Vec<i64>) -> Self {
        Self {
            numbers,
            ..Self::default()
        }
    }

    /// Whether nothing is said, so that every line fits.
    pub fn is_empty(&self) -> bool {
        let Self {
            numbers,
            batch,
            input,
            code,
            day,
            source,
        } = self;
        numbers.is_empty() && batch.is_none() && input.is_none() && code.is_none() && day.is_none() && source.is_none()
    }

    /// Refuses a batch and a reason code that there are not: nothing would fit, and a person means something by it.
    pub async fn check(&self, ledger: &Ledger) -> Result<()> {
        if let Some(code) = &self.code
            && !CODES.iter().any(|(known, _)| known == code)
        {
            let known: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
            return Err(Error::Usage(format!(
                "--code {code}: unknown reason code; the reason codes are {}",
                known.join(", ")
            )));
        }
        match self.batch {
            Some(batch) if !has_batch(ledger, batch).await? => Err(Error::Usage(format!(
                "--batch {batch}: there is no such batch; `tallybook quarantine list` shows the batch of each line"
            ))),
            _ => Ok(()),
        }
    }

    /// SQL over the quarantine (`q`) and its batches (`b`), and the values of its question marks.
    pub(super) fn condition(&self) -> (String, Vec<Value>) {
        let (mut parts, mut values) = (vec!["1 = 1".to_owned()], Vec::new());
        if !self.numbers.is_empty() {
            parts.push(format!(
                "q.quarantine IN ({})",
                vec!["?"; self.numbers.len()].join(", ")
            ));
            values.extend(self.numbers.iter().map(Value::from));
        }
        if let Some(batch) = self.batch {
            parts.push("q.batch = ?".to_owned());
            values.push(batch.into());
        }
        if let Some(input) = &self.input {
            // LIKE does not tell capitals on every engine; REPLACE does.
            parts.push("(b.name = ? OR (b.name LIKE ? ESCAPE '!' AND REPLACE(b.name, ?, '') <> b.name))".to_owned());
            let mut pattern = "%/".to_owned();
            for c in input.chars() {
                if matches!(c, '%' | '_' | '!') {
                    pattern.push('!');
                }
                pattern.push(c);
            }
            values.extend([input.into(), pattern.into(), input.into()]);
        }
        if let Some(code) = &self.code {
            parts.push("q.code = ?".to_owned());
            values.push(code.into());
        }
        if let Some(day) = self.day {
            parts.push("q.received_at >= ? AND q.received_at < ?".to_owned());
            let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
            values.extend([day.to_string().into(), next.to_string().into()]);
        }
        if let Some(source) = &self.source {
            parts.push("b.source = ?".to_owned());
            values.push(source.into());
        }
        (parts.join(" AND "), values)
    }
}
