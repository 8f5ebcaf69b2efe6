//! A queue of a broker that speaks AMQP 0-9-1 as a source.
//!
//! ```text
//! consume       with manual acknowledgement; the broker delivers up to two micro-batches ahead
//! hand over     a micro-batch
//! commit        by the pull
//! acknowledge   the batch's last message and all before it, and wait until the broker has heard it
//! ```
//!
//! An acknowledgement takes all messages before it along. So a batch that was handed over and not acknowledged ends the session: the broker
//! then delivers all that the session held again, and no later acknowledgement can reach it.

mod session;

use std::time::Duration;

use chrono::DateTime;
use lapin::message::Delivery;

use session::Session;

use super::fetch::{Fetch, FetchError, Part};
use super::message_line::Message;
use super::micro_batch::{MicroBatch, check_format};
use crate::catalog::source::kinds::amqp::Queue;
use crate::catalog::source::secret::Secret;
use crate::support::failpoint;
use crate::values::format::Format;

/// With messages in hand, so long without another one means that there are no more at this time.
const PAUSE: Duration = Duration::from_millis(200);

/// An opened queue.
pub struct AmqpQueue {
    queue: Queue,
    name: String,
    format: Format,
    password: Secret,
    session: Option<Session>,
    /// What the session delivered and was not handed over: a fetch that is dropped leaves it to the next.
    batch: MicroBatch,
    /// The delivery tag of its last message.
    tag: u64,
    /// The tag of the last message of the part that was handed over and not acknowledged.
    handed: Option<u64>,
}

impl AmqpQueue {
    /// Opens a queue. The connection is made by the first fetch.
    ///
    /// # Errors
    /// [`FetchError::NeedsPerson`] when the password is not where the definition says, or messages have no such format.
    pub fn open(queue: &Queue, format: Format) -> Result<Self, FetchError> {
        check_format(format)?;
        let place = queue.password().map_err(FetchError::NeedsPerson)?;
        Ok(Self {
            password: place
                .read()
                .map_err(|error| FetchError::NeedsPerson(error.to_string()))?,
            name: format!("queue {}", queue.queue),
            queue: queue.clone(),
            format,
            session: None,
            batch: MicroBatch::new(format),
            tag: 0,
            handed: None,
        })
    }

    /// Ends the session; what it held is delivered again.
    fn forget(&mut self) {
        self.session = None;
        self.batch = MicroBatch::new(self.format);
        self.handed = None;
    }

    /// Collects messages until the batch is full or no more come.
    async fn collect(&mut self) -> Result<(), FetchError> {
        let size = self.queue.batch_size();
        if self.session.is_none() {
            self.session = Some(Session::open(&self.queue, &self.password).await?);
        }
        let session = self.session.as_mut().expect("it was opened above");
        while !self.batch.is_full(&size) {
            let wait = if self.batch.is_empty() { size.wait } else { PAUSE };
            let Some(delivery) = session.next(wait).await? else {
                break;
            };
            self.batch.add(&message(&delivery));
            self.tag = delivery.delivery_tag;
            failpoint::point("received messages");
        }
        Ok(())
    }

    fn named(&self, error: FetchError) -> FetchError {
        match error {
            FetchError::Unavailable(said) => FetchError::Unavailable(format!("{}: {said}", self.name)),
            FetchError::NeedsPerson(said) => FetchError::NeedsPerson(format!("{}: {said}", self.name)),
            books @ FetchError::Books(_) => books,
        }
    }
}

/// A delivery with what its sender says of it.
fn message(delivery: &Delivery) -> Message<'_> {
    let seconds = delivery
        .properties
        .timestamp()
        .as_ref()
        .and_then(|seconds| i64::try_from(*seconds).ok());
    Message {
        id: delivery.properties.message_id().as_ref().map(|id| id.as_str().into()),
        sent_at: seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        body: delivery.data.as_slice().into(),
    }
}

impl Fetch for AmqpQueue {
    async fn fetch(&mut self) -> Result<Option<Part>, FetchError> {
        if self.handed.is_some() {
            self.forget();
        }
        if let Err(error) = self.collect().await {
            self.forget();
            return Err(self.named(error));
        }
        if self.batch.is_empty() {
            return Ok(None);
        }
        let batch = std::mem::replace(&mut self.batch, MicroBatch::new(self.format));
        self.handed = Some(self.tag);
        Ok(Some(batch.into_part(&self.name, Vec::new())))
    }

    async fn acknowledge(&mut self) -> Result<(), FetchError> {
        let (Some(tag), Some(session)) = (self.handed, &self.session) else {
            return Ok(());
        };
        if let Err(error) = session.acknowledge(tag).await {
            self.forget();
            return Err(self.named(error));
        }
        self.handed = None;
        Ok(())
    }
}
