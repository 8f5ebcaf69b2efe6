//! A pull consumer of a NATS `JetStream` stream as a source.
//!
//! ```text
//! fetch         what the consumer has, or what comes first within a wait
//! hand over     a micro-batch
//! commit        by the pull
//! acknowledge   each message, and wait until the server confirms the last
//! ```

mod session;

use std::time::Duration;

use async_nats::jetstream::Message as Delivery;
use async_nats::jetstream::message::Acker;
use chrono::{DateTime, TimeDelta, Utc};

use session::{Limits, Session};

use super::fetch::{Fetch, FetchError, Part};
use super::message_line::Message;
use super::micro_batch::{MicroBatch, check_format};
use crate::catalog::source::kinds::batch_size::{self, BatchSize};
use crate::catalog::source::kinds::nats::Consumer;
use crate::support::clock::Clock;
use crate::support::failpoint;
use crate::values::format::Format;

/// The header in which a sender says what a message is, so that the stream drops a second one.
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// With messages in hand, so long without another one means that there are no more at this time, or that the server holds them back.
const PAUSE: Duration = Duration::from_millis(200);

/// An opened consumer.
pub struct NatsConsumer {
    consumer: Consumer,
    name: String,
    format: Format,
    clock: Clock,
    session: Option<Session>,
    /// Whether it was said how the consumer is set.
    has_told: bool,
    /// What acknowledges the messages of the part that was handed over last.
    handed: Vec<Acker>,
}

impl NatsConsumer {
    /// Opens a consumer. The connection is made by the first fetch.
    ///
    /// # Errors
    /// [`FetchError::NeedsPerson`] when messages have no such format.
    pub fn open(consumer: &Consumer, format: Format, clock: Clock) -> Result<Self, FetchError> {
        check_format(format)?;
        Ok(Self {
            name: format!("consumer {} of stream {}", consumer.consumer, consumer.stream),
            consumer: consumer.clone(),
            format,
            clock,
            session: None,
            has_told: false,
            handed: Vec::new(),
        })
    }

    /// Fetches until the micro-batch is full or the consumer has nothing more.
    async fn collect(&mut self) -> Result<(MicroBatch, Vec<Acker>), FetchError> {
        if self.session.is_none() {
            self.session = Some(Session::open(&self.consumer).await?);
        }
        let session = self.session.as_ref().expect("it was opened above");
        let (size, wait) = (self.size(session.limits()), self.consumer.batch_size().wait);
        let (mut batch, mut ackers) = (MicroBatch::new(self.format), Vec::new());
        while !batch.is_full(&size) {
            let asked = session.at_a_time(size.messages - batch.messages());
            // Until something came, nothing is waited for too long.
            let wait = if batch.is_empty() { wait } else { PAUSE };
            let deliveries = match session.next(asked, wait).await {
                Ok(deliveries) => deliveries,
                Err(error) if !batch.is_empty() => {
                    tracing::warn!("{}: {error}", self.name);
                    break;
                }
                Err(error) => return Err(error),
            };
            let is_all = deliveries.len() < asked;
            for delivery in deliveries {
                ackers.push(take(delivery, &mut batch));
            }
            failpoint::point("received messages");
            if is_all {
                break;
            }
        }
        Ok((batch, ackers))
    }

    /// When a micro-batch is full, by the definition and by what the consumer allows.
    fn size(&self, limits: &Limits) -> BatchSize {
        let size = self.consumer.batch_size();
        BatchSize {
            // The server holds the others back, however long they are waited for.
            messages: limits
                .ack_pending
                .map_or(size.messages, |limit| size.messages.min(limit)),
            // A batch that is collected for longer would be delivered again before it is in the books.
            wait: size.wait.min(limits.ack_wait / 2),
            ..size
        }
    }

    /// Warns of messages that the stream or the consumer may soon drop, and once of a limit that makes batches small.
    fn warnings(&mut self, batch: &MicroBatch) -> Vec<String> {
        let mut warnings = Vec::new();
        let Some(session) = &self.session else { return warnings };
        let limits = *session.limits();
        let age = batch.age(self.clock.machine_by_now());
        if let (Some(age), Some(max_age)) = (age, limits.max_age)
            && TimeDelta::from_std(max_age / 2).is_ok_and(|half| half < age)
        {
            warnings.push(format!(
                "{}: the oldest message of this batch is {} s old, and the stream drops what is older than {} s (its `max_age`), \
                 taken or not: pull more often, or raise it",
                self.name,
                age.num_seconds(),
                max_age.as_secs()
            ));
        }
        // What is set for the consumer is said once, not of each batch.
        if std::mem::replace(&mut self.has_told, true) {
            return warnings;
        }
        let wanted = self.consumer.max_messages;
        if let Some(limit) = limits.ack_pending
            && limit < wanted as usize
            && wanted != batch_size::MESSAGES
        {
            warnings.push(format!(
                "{}: its `max_ack_pending` of {limit} is less than `max_messages` ({wanted}), and the server delivers no more at a time; \
                 raise the first for larger batches, or lower the second",
                self.name
            ));
        }
        if let Some(deliveries) = limits.max_deliver {
            warnings.push(format!(
                "{}: it gives a message up after {deliveries} deliveries (its `max_deliver`), and its usage is lost then; set that to \
                 -1",
                self.name
            ));
        }
        warnings
    }

    fn named(&self, error: FetchError) -> FetchError {
        match error {
            FetchError::Unavailable(said) => FetchError::Unavailable(format!("{}: {said}", self.name)),
            FetchError::NeedsPerson(said) => FetchError::NeedsPerson(format!("{}: {said}", self.name)),
            books @ FetchError::Books(_) => books,
        }
    }
}

/// Adds a message to a batch, and keeps what acknowledges it.
fn take(delivery: Delivery, batch: &mut MicroBatch) -> Acker {
    let (id, sent_at) = identity(&delivery);
    let (message, acker) = delivery.split();
    batch.add(&Message {
        id: id.map(Into::into),
        sent_at,
        body: message.payload.as_ref().into(),
    });
    acker
}

/// The sender's id of a message, or else its place in the stream, and when the stream took it. Both stay when it is delivered again.
fn identity(delivery: &Delivery) -> (Option<String>, Option<DateTime<Utc>>) {
    let headers = delivery.headers.as_ref();
    let given = headers
        .and_then(|headers| headers.get(MESSAGE_ID))
        .map(ToString::to_string);
    let Ok(info) = delivery.info() else {
        return (given, None);
    };
    let place = || format!("{}:{}", info.stream, info.stream_sequence);
    (Some(given.unwrap_or_else(place)), Some(info.published))
}

impl Fetch for NatsConsumer {
    async fn fetch(&mut self) -> Result<Option<Part>, FetchError> {
        // Messages of a part that was not acknowledged are delivered again after the consumer's `ack_wait`.
        self.handed.clear();
        let collected = self.collect().await;
        let (batch, ackers) = match collected {
            Ok(collected) => collected,
            Err(error) => {
                self.session = None;
                return Err(self.named(error));
            }
        };
        if batch.is_empty() {
            return Ok(None);
        }
        self.handed = ackers;
        let warnings = self.warnings(&batch);
        Ok(Some(batch.into_part(&self.name, warnings)))
    }

    async fn acknowledge(&mut self) -> Result<(), FetchError> {
        session::acknowledge(&self.handed)
            .await
            .map_err(|error| self.named(error))?;
        self.handed.clear();
        Ok(())
    }
}
