//! A queue of TDMQ for CMQ as a source.
//!
//! ```text
//! receive       16 messages a call, waiting for the first; the queue hides them from others for its visibility timeout
//! hand over     a micro-batch of them
//! commit        by the pull
//! delete        16 handles a call; a message whose handle came too late is delivered again, and is a duplicate then
//! ```

mod answer;
mod client;
mod http;
mod signature;

use std::time::{Duration, Instant};

use chrono::TimeDelta;

use answer::{Delivery, HANDLE_INVALID};
use client::{BATCH, Client};

use super::fetch::{Fetch, FetchError, Part};
use super::message_line::Message;
use super::micro_batch::{MicroBatch, check_format};
use crate::catalog::source::kinds::cmq::Queue;
use crate::support::clock::Clock;
use crate::support::failpoint;
use crate::values::format::Format;

/// An opened queue.
pub struct CmqQueue {
    queue: Queue,
    name: String,
    format: Format,
    clock: Clock,
    client: Client,
    /// Of the part that was handed over last; empty while there is none.
    handed: Hold,
}

/// A hold on received messages.
#[derive(Default)]
struct Hold {
    /// What deletes them.
    handles: Vec<String>,
    /// When the first was received.
    since: Option<Instant>,
}

impl CmqQueue {
    /// Opens a queue. Nothing is sent yet.
    ///
    /// # Errors
    /// [`FetchError::NeedsPerson`] when a key is not where the definition says, or messages have no such format.
    pub fn open(queue: &Queue, format: Format, clock: Clock) -> Result<Self, FetchError> {
        check_format(format)?;
        let name = format!("queue {} of TDMQ for CMQ", queue.queue);
        Ok(Self {
            client: Client::new(queue, &name, clock)?,
            queue: queue.clone(),
            name,
            format,
            clock,
            handed: Hold::default(),
        })
    }

    /// Receives until the micro-batch is full or the queue has nothing more.
    async fn collect(&mut self) -> Result<(MicroBatch, Hold), FetchError> {
        let mut size = self.queue.batch_size();
        // A batch that is collected for longer would be delivered again before it is in the books.
        size.wait = size.wait.min(self.visibility() / 2);
        let (mut batch, mut hold) = (MicroBatch::new(self.format), Hold::default());
        while !batch.is_full(&size) {
            let wait_s = if batch.is_empty() { self.queue.polling_wait_s } else { 0 };
            let wanted = size.messages - batch.messages();
            match self.client.receive(wanted, wait_s).await {
                Ok(deliveries) if deliveries.is_empty() => break,
                Ok(deliveries) => {
                    take(deliveries, &mut batch, &mut hold);
                    failpoint::point("received messages");
                }
                // What was received before the trouble is not kept waiting for its end.
                Err(error) if !batch.is_empty() => {
                    tracing::warn!("{error}");
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok((batch, hold))
    }

    /// Warns of messages that the service may soon drop.
    fn warning(&self, batch: &MicroBatch) -> Option<String> {
        let age = batch.age(self.clock.machine_by_now())?;
        let limit = TimeDelta::seconds(self.queue.warn_age_s.into());
        (limit < age).then(|| {
            format!(
                "{}: the oldest message of this batch is {} s old (`warn_age_s` is {}). The service silently drops a message that is \
                 not deleted within the queue's maximum unacknowledged time, and its usage is lost: pull more often, raise that time \
                 in the console, or find out what kept this pull",
                self.name,
                age.num_seconds(),
                self.queue.warn_age_s
            )
        })
    }

    /// For so long the queue hides messages that were received.
    fn visibility(&self) -> Duration {
        Duration::from_secs(self.queue.visibility_s.into())
    }

    /// Tells when the messages were hidden for too short a time.
    fn tell_late(&self) {
        if self
            .handed
            .since
            .is_some_and(|since| self.visibility() < since.elapsed())
        {
            tracing::warn!(
                "{}: a batch took longer than the queue's visibility timeout (`visibility_s` is {}), so its messages are delivered \
                 again, as duplicates; raise the timeout in the console and `visibility_s`, or lower `max_messages`",
                self.name,
                self.queue.visibility_s
            );
        }
    }
}

fn take(deliveries: Vec<Delivery>, batch: &mut MicroBatch, hold: &mut Hold) {
    hold.since.get_or_insert_with(Instant::now);
    for delivery in deliveries {
        batch.add(&Message {
            id: delivery.id.map(Into::into),
            sent_at: delivery.sent_at,
            body: delivery.body.into(),
        });
        hold.handles.push(delivery.handle);
    }
}

impl Fetch for CmqQueue {
    async fn fetch(&mut self) -> Result<Option<Part>, FetchError> {
        // Messages of a part that was not acknowledged come again when they are not hidden any more. Nothing that this call receives
        // can be deleted before the whole of it is handed over.
        self.handed = Hold::default();
        let (batch, hold) = self.collect().await?;
        if batch.is_empty() {
            return Ok(None);
        }
        self.handed = hold;
        let warnings = self.warning(&batch).into_iter().collect();
        Ok(Some(batch.into_part(&self.name, warnings)))
    }

    async fn acknowledge(&mut self) -> Result<(), FetchError> {
        self.tell_late();
        while !self.handed.handles.is_empty() {
            let some = self.handed.handles.len().min(BATCH);
            for left in self.client.delete(&self.handed.handles[..some]).await? {
                if left.code == HANDLE_INVALID {
                    tracing::info!(
                        "{}: a message was deleted already, or is delivered again, as a duplicate",
                        self.name
                    );
                } else {
                    tracing::warn!(
                        "{}: a message was not deleted and is delivered again, as a duplicate: code {} ({})",
                        self.name,
                        left.code,
                        left.message
                    );
                }
            }
            self.handed.handles.drain(..some);
            failpoint::point("deleted messages");
        }
        Ok(())
    }
}
