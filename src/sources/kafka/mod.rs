//! A topic of Kafka as a source.
//!
//! ```text
//! plan          which offsets each partition has, and which of them the books do not have yet
//! fetch         all partitions at once, each from where the books say, up to what there was when the pull began
//! hand over     a micro-batch, with the offset of each partition after it
//! commit        by the pull, with these offsets
//! acknowledge   go on behind it
//! ```
//!
//! The books alone say where reading goes on. So there is no consumer group: none shares the partitions out, as the pull has the lease of the
//! source and takes all of them, and none is told how far was read, as the library then waits for the group's coordinator without end where
//! that is away.

mod context;
mod fault;
mod plan;
mod position;
mod round;
mod session;

use chrono::{DateTime, TimeDelta, Utc};

use position::Position;
use round::Round;

use super::fetch::{Content, Fetch, FetchError, Part};
use super::micro_batch::{MicroBatch, check_format};
use crate::catalog::source::kinds::kafka::Topic;
use crate::support::clock::Clock;
use crate::support::quote::plain;
use crate::values::format::Format;

/// An opened topic. It connects when it is first asked.
pub struct KafkaTopic {
    topic: Topic,
    name: String,
    format: Format,
    clock: Clock,
    from: DateTime<Utc>,
    /// What is in the books.
    position: Position,
    /// What this pull reads, once it is known.
    round: Option<Box<Round>>,
    /// Where reading goes on after the part that was handed over, which is not known to be in the books.
    handed_over: Option<Position>,
}

impl KafkaTopic {
    /// A topic as its definition has it. `from` is the definition's start, `position` what the books kept of the last part.
    ///
    /// # Errors
    /// [`FetchError::NeedsPerson`] where messages have no such format, `from` is no time, or the position is none of a topic.
    pub fn open(
        topic: &Topic,
        format: Format,
        from: &str,
        position: Option<&str>,
        clock: Clock,
    ) -> Result<Self, FetchError> {
        check_format(format)?;
        let from = DateTime::parse_from_rfc3339(from).map_err(|_| {
            FetchError::NeedsPerson(format!(
                "`from` is {}; a time with an offset, such as 2026-11-01T00:00:00Z, is expected",
                plain(from)
            ))
        })?;
        Ok(Self {
            name: format!("topic {}", topic.topic),
            topic: topic.clone(),
            format,
            clock,
            from: from.to_utc(),
            position: position.map(Position::read).transpose()?.unwrap_or_default(),
            round: None,
            handed_over: None,
        })
    }

    /// The next micro-batch of this pull, with the offsets after it; none where all was read.
    async fn read(&mut self) -> Result<Option<Part>, FetchError> {
        let round = self.round.take();
        let (topic, position, from) = (self.topic.clone(), self.position.clone(), self.from);
        let mut batch = MicroBatch::new(self.format);
        // Where this future is dropped, so is the connection, and what it fetched comes again.
        let (mut round, batch) = blocking(move || {
            let mut round = match round {
                Some(round) => round,
                None => Box::new(Round::begin(&topic, &position, from)?),
            };
            round.collect(&mut batch, &topic.batch_size())?;
            Ok((round, batch))
        })
        .await?;
        let after = round.position().clone();
        let mut warnings = round.warnings();
        self.round = Some(round);
        if batch.is_empty() && after == self.position {
            return Ok(None);
        }
        warnings.extend(self.old(&batch));
        let mut part = if batch.is_empty() {
            self.nothing_but_a_position(warnings)
        } else {
            batch.into_part(&self.name, warnings)
        };
        part.position = Some(after.text());
        self.handed_over = Some(after);
        Ok(Some(part))
    }

    /// Ends the connection, which may take a moment.
    async fn close(&mut self) -> Result<(), FetchError> {
        let round = self.round.take();
        blocking(move || {
            drop(round);
            Ok(())
        })
        .await
    }

    fn nothing_but_a_position(&self, warnings: Vec<String>) -> Part {
        Part {
            name: self.name.clone(),
            content: Content::Nothing,
            position: None,
            again: 0,
            newest: None,
            warnings,
        }
    }

    /// Warns of messages that the topic may soon drop.
    fn old(&self, batch: &MicroBatch) -> Option<String> {
        let limit = self.topic.warn_age_s?;
        let age = batch.age(self.clock.machine_by_now())?;
        (TimeDelta::seconds(limit.into()) < age).then(|| {
            format!(
                "{}: the oldest message of this batch is {} s old, more than {limit} s (`warn_age_s`): a topic drops messages that are older \
                 than its retention, read or not. Pull more often, or let it keep them for longer (`retention.ms`)",
                self.name,
                age.num_seconds()
            )
        })
    }

    fn named(&self, error: FetchError) -> FetchError {
        match error {
            FetchError::Unavailable(said) => FetchError::Unavailable(format!("{}: {said}", self.name)),
            FetchError::NeedsPerson(said) if said.starts_with(&self.name) => FetchError::NeedsPerson(said),
            FetchError::NeedsPerson(said) => FetchError::NeedsPerson(format!("{}: {said}", self.name)),
            books @ FetchError::Books(_) => books,
        }
    }
}

/// Runs what waits for the network where that holds nothing else up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(FetchError::Unavailable(format!("the program is ending: {error}"))),
        },
    }
}

impl Fetch for KafkaTopic {
    async fn fetch(&mut self) -> Result<Option<Part>, FetchError> {
        // What was not acknowledged is read again.
        if self.handed_over.take().is_some() {
            self.close().await?;
        }
        match self.read().await {
            Ok(Some(part)) => Ok(Some(part)),
            Ok(None) => {
                self.close().await?;
                Ok(None)
            }
            Err(error) => Err(self.named(error)),
        }
    }

    async fn acknowledge(&mut self) -> Result<(), FetchError> {
        if let Some(after) = self.handed_over.take() {
            self.position = after;
        }
        Ok(())
    }
}
