//! When an output of an event was done: by the task's own time, or by the best that there is instead of one.

use chrono::{DateTime, SecondsFormat, Utc};

use super::carrier::Delivery;
use super::member::Node;
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::pipeline::ingest::record::timestamp::{NOT_REACHED, NS_PER_SECOND, refuse_instant};
use crate::pipeline::ingest::record::timestamp_text::read_time;

/// Nanoseconds since 1970-01-01T00:00:00Z.
pub(super) type Instant = i64;

/// How long after an event was sent its signature holds, unless the task says otherwise.
const SIGNATURE_SECONDS: i64 = 600;

/// From here on a count is one of milliseconds: as seconds it would be the year 5138.
const SECONDS_BELOW: u64 = 100_000_000_000;

/// From here on it is none of milliseconds either.
const MILLISECONDS_BELOW: u64 = SECONDS_BELOW * 1000;

/// What the times of an event's outputs are taken from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When the document says that the task was finished.
    document: Option<Instant>,
    /// What stands for the time of an output without one.
    derived: Instant,
}

/// When an output was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finish {
    pub at: Instant,
    /// Whether it is no time of the task's own.
    pub is_derived: bool,
}

impl Times {
    /// `document` is the object that has the task's times and the signature.
    pub fn of(document: &Node<'_>, delivery: &Delivery<'_>, receipt: DateTime<Utc>) -> Result<Self, Refusal> {
        let signed = match unix_time(document, "Timestamp")? {
            None => None,
            Some(expiry) => expiry.checked_sub(SIGNATURE_SECONDS * NS_PER_SECOND),
        };
        let derived = delivery.message_time.or(signed).or(delivery.event_time);
        let received = || {
            receipt.timestamp_nanos_opt().ok_or_else(|| {
                let sentence =
                    format!("the time of receipt, {receipt}, is outside the supported range, 1677-09-22 to 2262-04-11");
                Refusal::new(code::OUT_OF_RANGE, sentence)
            })
        };
        Ok(Self {
            document: document.time("FinishTime")?,
            derived: derived.map_or_else(received, Ok)?,
        })
    }

    /// When a result was done that has this time of its own, or none.
    pub fn finish(&self, own: Option<Instant>) -> Finish {
        match own.or(self.document) {
            Some(at) => Finish { at, is_derived: false },
            None => Finish {
                at: self.derived,
                is_derived: true,
            },
        }
    }
}

/// A count of seconds since 1970, or of milliseconds where it is too large for seconds; none where it is zero.
pub(super) fn unix_time(node: &Node<'_>, name: &str) -> Result<Option<Instant>, Refusal> {
    let Some(count) = node.digits(name)?.filter(|count| *count > 0) else {
        return Ok(None);
    };
    let unit = match count {
        ..SECONDS_BELOW => NS_PER_SECOND,
        SECONDS_BELOW..MILLISECONDS_BELOW => NS_PER_SECOND / 1000,
        _ => 0,
    };
    let instant = i64::try_from(count).ok().and_then(|count| count.checked_mul(unit));
    let out_of_range = || {
        let sentence = format!(
            "`{}` is {count}; a number of seconds or milliseconds since 1970, before the year 2262, is expected",
            node.path_of(name)
        );
        Refusal::new(code::OUT_OF_RANGE, sentence)
    };
    instant
        .filter(|instant| *instant > 0)
        .ok_or_else(out_of_range)
        .map(Some)
}

/// The instant of a text; none where it was not reached.
pub(super) fn instant(path: &str, text: &str) -> Result<Option<Instant>, Refusal> {
    if text == NOT_REACHED {
        return Ok(None);
    }
    read_time(text, None)
        .map(Some)
        .map_err(|error| refuse_instant(path, text, error))
}

/// The instant as a record has it.
pub(super) fn written(instant: Instant) -> String {
    DateTime::from_timestamp_nanos(instant).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
