//! A micro-batch: messages that were taken from a queue one after another and are put into the books together.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use super::fetch::{Content, FetchError, Part};
use super::message_line::{Message, append};
use crate::catalog::source::kinds::batch_size::BatchSize;
use crate::values::format::Format;

/// Messages of one queue, until it is full.
#[derive(Debug)]
pub struct MicroBatch {
    format: Format,
    lines: Vec<u8>,
    messages: usize,
    /// When the first message came.
    began: Option<Instant>,
    first_id: Option<String>,
    oldest: Option<DateTime<Utc>>,
    newest: Option<DateTime<Utc>>,
}

impl MicroBatch {
    pub fn new(format: Format) -> Self {
        Self {
            format,
            lines: Vec::new(),
            messages: 0,
            began: None,
            first_id: None,
            oldest: None,
            newest: None,
        }
    }

    /// Takes a message in.
    pub fn add(&mut self, message: &Message) {
        if self.messages == 0 {
            self.began = Some(Instant::now());
            self.first_id = message.id.as_deref().map(str::to_owned);
        }
        append(&mut self.lines, self.format, message);
        self.messages += 1;
        if let Some(at) = message.sent_at {
            self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
            self.newest = Some(self.newest.map_or(at, |newest| newest.max(at)));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    pub fn messages(&self) -> usize {
        self.messages
    }

    /// Whether it has enough of anything.
    pub fn is_full(&self, size: &BatchSize) -> bool {
        let is_over = self.began.is_some_and(|began| size.wait <= began.elapsed());
        size.messages <= self.messages || size.bytes <= self.lines.len() || is_over
    }

    /// How old its oldest message is.
    pub fn age(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        self.oldest.map(|oldest| now - oldest)
    }

    /// The part that goes into the books. `queue` is the queue's name for people.
    pub fn into_part(self, queue: &str, warnings: Vec<String>) -> Part {
        let messages = if self.messages == 1 { "message" } else { "messages" };
        let from = self.first_id.map(|id| format!(" from {id} on")).unwrap_or_default();
        Part {
            name: format!("{queue}: {} {messages}{from}", self.messages),
            content: Content::Lines {
                bytes: self.lines,
                format: self.format,
            },
            position: None,
            newest: self.newest,
            again: 0,
            warnings,
        }
    }
}

/// Refuses formats that no message is written in.
///
/// # Errors
/// [`FetchError::NeedsPerson`] for CSV, whose rows need a header, and Parquet, which is a file.
pub fn check_format(format: Format) -> Result<(), FetchError> {
    match format {
        Format::Ndjson | Format::MpsEvents | Format::MediaconvertEvents => Ok(()),
        Format::Csv | Format::Parquet => Err(FetchError::NeedsPerson(format!(
            "messages of a queue cannot be read as {}: a message is a record or an event; set `format` to ndjson, mps-events or \
             mediaconvert-events",
            format.text()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use std::time::Duration;

    fn message<'a>(id: &'a str, sent_at: &str) -> Message<'a> {
        Message {
            id: Some(Cow::Borrowed(id)),
            sent_at: Some(sent_at.parse().unwrap()),
            body: Cow::Borrowed(b"{}"),
        }
    }

    #[test]
    fn a_batch_is_full_by_messages_bytes_or_time() {
        let size = BatchSize {
            messages: 2,
            bytes: 100,
            wait: Duration::from_hours(1),
        };
        let mut batch = MicroBatch::new(Format::Ndjson);
        assert!(
            batch.is_empty()
                && !batch.is_full(&BatchSize {
                    wait: Duration::ZERO,
                    ..size
                })
        );
        batch.add(&message("a", "2026-11-01T00:00:05Z"));
        assert!(!batch.is_full(&size));
        assert!(batch.is_full(&BatchSize { bytes: 3, ..size }));
        assert!(batch.is_full(&BatchSize {
            wait: Duration::ZERO,
            ..size
        }));
        batch.add(&message("b", "2026-11-01T00:00:01Z"));
        assert!(batch.is_full(&size));
        assert_eq!(
            batch.age("2026-11-01T00:01:01Z".parse().unwrap()),
            Some(TimeDelta::minutes(1))
        );
        let part = batch.into_part("queue usage", Vec::new());
        assert_eq!(part.name, "queue usage: 2 messages from a on");
        assert_eq!(part.newest, Some("2026-11-01T00:00:05Z".parse().unwrap()));
    }
}
