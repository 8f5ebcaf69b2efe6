//! The reading of what a topic had when a pull began.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use xxhash_rust::xxh3::Xxh3;

use super::plan::{Reading, anew, plan};
use super::position::{Last, Mark, Position};
use super::session::{Next, PATIENCE, Session};
use crate::catalog::source::kinds::batch_size::BatchSize;
use crate::catalog::source::kinds::kafka::Topic;
use crate::sources::fetch::FetchError;
use crate::sources::message_line::Message;
use crate::sources::micro_batch::MicroBatch;
use crate::support::failpoint;

/// For so long it is waited for a message before it is looked whether the micro-batch has waited long enough.
const STEP: Duration = Duration::from_millis(100);

/// What one pull reads, and how far it is.
pub(super) struct Round {
    session: Session,
    topic: String,
    /// Partitions that have more.
    readings: BTreeMap<i32, Reading>,
    /// After the last message that was taken.
    position: Position,
    warnings: Vec<String>,
    /// What ended the reading, after the messages that came before it.
    trouble: Option<FetchError>,
}

impl Round {
    /// Looks up what there is, and begins to fetch it.
    pub(super) fn begin(definition: &Topic, position: &Position, from: DateTime<Utc>) -> Result<Self, FetchError> {
        let session = Session::new(definition)?;
        let extents = session.extents(position, from)?;
        failpoint::point("looked offsets up");
        let planned = plan(&definition.topic, position, &extents).map_err(FetchError::NeedsPerson)?;
        let starts = planned.readings.iter();
        session.assign(starts.map(|(partition, reading)| (*partition, reading.start())))?;
        Ok(Self {
            session,
            topic: definition.topic.clone(),
            readings: planned.readings,
            position: planned.position,
            warnings: planned.warnings,
            trouble: None,
        })
    }

    /// After the last message that was taken.
    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// What a person should know, told once.
    pub(super) fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Takes messages until the micro-batch is full or all is read.
    pub(super) fn collect(&mut self, batch: &mut MicroBatch, size: &BatchSize) -> Result<(), FetchError> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        self.session.goes_on();
        let mut heard_at = Instant::now();
        while !self.readings.is_empty() && !batch.is_full(size) {
            let taken = match self.take_next(batch) {
                Ok(false) if PATIENCE <= heard_at.elapsed() => Err(self.session.silence()),
                taken => taken,
            };
            match taken {
                Ok(true) => heard_at = Instant::now(),
                Ok(false) => {}
                Err(trouble) if batch.is_empty() => return Err(trouble),
                // What came before it is handed over first.
                Err(trouble) => {
                    self.trouble = Some(trouble);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Takes what comes next. Whether something came.
    fn take_next(&mut self, batch: &mut MicroBatch) -> Result<bool, FetchError> {
        let Self {
            session,
            topic,
            readings,
            position,
            ..
        } = self;
        let ended = match session.next(STEP)? {
            Next::Nothing => return Ok(false),
            Next::End(partition) => end(topic, partition, readings, position)?,
            Next::Message(message) => take(topic, &message, readings, position, batch)?,
        };
        if let Some(partition) = ended {
            session.leave(partition)?;
        }
        Ok(true)
    }
}

/// Takes a message. The partition, where it was its last one.
fn take(
    topic: &str,
    message: &BorrowedMessage<'_>,
    readings: &mut BTreeMap<i32, Reading>,
    position: &mut Position,
    batch: &mut MicroBatch,
) -> Result<Option<i32>, FetchError> {
    let (partition, offset) = (message.partition(), message.offset());
    // What came since the pull began waits for the next one.
    let Some(reading) = readings.get_mut(&partition) else {
        return Ok(None);
    };
    let here = Last {
        offset,
        digest: digest(message),
    };
    if let Some(known) = reading.known.take() {
        if here == known {
            return Ok(None);
        }
        return Err(another(topic, partition, known.offset));
    }
    if offset < reading.next {
        return Err(another(topic, partition, offset));
    }
    batch.add(&line(topic, message));
    failpoint::point("received messages");
    reading.next = offset + 1;
    position.set(
        partition,
        Mark {
            last: Some(here),
            ..Mark::at(offset + 1)
        },
    );
    let is_last = reading.ceiling <= reading.next;
    if is_last {
        readings.remove(&partition);
    }
    Ok(is_last.then_some(partition))
}

/// A partition has nothing more that may be read: what lies before its ceiling are marks of transactions, and messages of such as were given
/// up.
fn end(
    topic: &str,
    partition: i32,
    readings: &mut BTreeMap<i32, Reading>,
    position: &mut Position,
) -> Result<Option<i32>, FetchError> {
    let Some(reading) = readings.remove(&partition) else {
        return Ok(None);
    };
    if let Some(known) = reading.known {
        return Err(another(topic, partition, known.offset));
    }
    let last = position.get(partition).and_then(|mark| mark.last.clone());
    position.set(
        partition,
        Mark {
            last,
            ..Mark::at(reading.next.max(reading.ceiling))
        },
    );
    Ok(Some(partition))
}

fn another(topic: &str, partition: i32, offset: i64) -> FetchError {
    let what = format!("the message at offset {offset} of partition {partition} is not the one that was read there");
    FetchError::NeedsPerson(anew(topic, &what))
}

/// A message as a line of the micro-batch. One without a content is refused, and kept as such.
fn line<'a>(topic: &str, message: &'a BorrowedMessage<'_>) -> Message<'a> {
    Message {
        id: Some(format!("{topic}:{}:{}", message.partition(), message.offset()).into()),
        sent_at: message
            .timestamp()
            .to_millis()
            .and_then(DateTime::from_timestamp_millis),
        body: message.payload().unwrap_or_default().into(),
    }
}

/// A digest of a message that stays as long as the message does.
fn digest(message: &BorrowedMessage<'_>) -> String {
    let mut digest = Xxh3::new();
    digest.update(&message.timestamp().to_millis().unwrap_or_default().to_le_bytes());
    for part in [message.key(), message.payload()] {
        let part = part.unwrap_or_default();
        digest.update(&(part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    format!("{:016x}", digest.digest())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "usage";

    fn last(offset: i64) -> Last {
        Last {
            offset,
            digest: "d".to_owned(),
        }
    }

    fn reading(next: i64, ceiling: i64, known: Option<Last>) -> BTreeMap<i32, Reading> {
        BTreeMap::from([(0, Reading { next, ceiling, known })])
    }

    #[test]
    fn what_a_partition_ends_with_beside_messages_is_passed() {
        let mut position = Position::default();
        let read = Mark {
            last: Some(last(4)),
            ..Mark::at(5)
        };
        position.set(0, read.clone());
        let mut readings = reading(5, 8, None);
        assert_eq!(end(TOPIC, 0, &mut readings, &mut position).unwrap(), Some(0));
        assert!(readings.is_empty());
        assert_eq!(position.get(0), Some(&Mark { next: 8, ..read }));
        // It ends again, or another one does that is not read.
        assert_eq!(end(TOPIC, 0, &mut readings, &mut position).unwrap(), None);
    }

    #[test]
    fn a_partition_that_ends_before_its_last_message_came_is_another_one() {
        let mut position = Position::default();
        let mut readings = reading(5, 8, Some(last(4)));
        let error = end(TOPIC, 0, &mut readings, &mut position).unwrap_err();
        assert!(
            matches!(&error, FetchError::NeedsPerson(said) if said.contains("offset 4 of partition 0")),
            "{error:?}"
        );
    }
}
