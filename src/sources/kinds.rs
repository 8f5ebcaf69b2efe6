//! The kinds of source that this program was built with.

use super::fetch::{Fetch, FetchError, Part};
#[cfg(feature = "mongodb")]
use super::mongodb::{self, CollectionSource};
use super::objects::Objects;
use super::objects::listed::Listed;
use super::table::{self, TableSource};
use crate::catalog::source::Source;
use crate::catalog::source::kinds::Kind;
use crate::context::Books;
use crate::storage::ledger::Engine;
use crate::values::format::Format;

/// An opened source of any kind.
#[allow(
    clippy::large_enum_variant,
    reason = "one value for each source that is read; which is largest depends on the build"
)]
pub enum Opened {
    Table(TableSource),
    #[cfg(feature = "mongodb")]
    Collection(CollectionSource),
    #[cfg(feature = "cmq")]
    Cmq(super::cmq::CmqQueue),
    #[cfg(feature = "amqp")]
    Amqp(super::amqp::AmqpQueue),
    #[cfg(feature = "kafka")]
    Kafka(super::kafka::KafkaTopic),
    #[cfg(feature = "nats")]
    Nats(super::nats::NatsConsumer),
    Objects(Objects),
}

impl Opened {
    /// Opens a source at a position, or at its start.
    ///
    /// # Errors
    /// [`FetchError::NeedsPerson`] where this program was built without the kind.
    #[cfg_attr(
        not(all(feature = "amqp", feature = "cmq", feature = "kafka", feature = "nats")),
        allow(unused_variables, reason = "kinds of queues ask for the clock and the format")
    )]
    pub fn open(books: &Books, source: &Source, position: Option<&str>) -> Result<Self, FetchError> {
        let from = source.from.as_deref().unwrap_or_default();
        // Of what is handed over line by line.
        let format = source.format.unwrap_or(Format::Ndjson);
        match &source.kind {
            Kind::Mysql(table) => Ok(Self::Table(table::open(
                Engine::MySql,
                table,
                from,
                source.zone,
                position,
            )?)),
            Kind::Postgres(table) => Ok(Self::Table(table::open(
                Engine::Postgres,
                table,
                from,
                source.zone,
                position,
            )?)),
            #[cfg(feature = "mongodb")]
            Kind::Mongodb(collection) => Ok(Self::Collection(mongodb::open(collection, from, position)?)),
            #[cfg(feature = "cmq")]
            Kind::Cmq(queue) => super::cmq::CmqQueue::open(queue, format, books.clock).map(Self::Cmq),
            #[cfg(feature = "amqp")]
            Kind::Amqp(queue) => super::amqp::AmqpQueue::open(queue, format).map(Self::Amqp),
            #[cfg(feature = "kafka")]
            Kind::Kafka(topic) => {
                super::kafka::KafkaTopic::open(topic, format, from, position, books.clock).map(Self::Kafka)
            }
            #[cfg(feature = "nats")]
            Kind::Nats(consumer) => super::nats::NatsConsumer::open(consumer, format, books.clock).map(Self::Nats),
            Kind::S3(_) | Kind::Cos(_) | Kind::Folder(_) => {
                let from = source.from.as_deref();
                let objects = Objects::open(books, &source.name, &source.kind, source.format, from)?;
                Ok(Self::Objects(objects.after(position)))
            }
            other => Err(without(other)),
        }
    }
}

impl Opened {
    /// Whether it is better left open between pulls: a table remembers what it sent of the overlap, a bucket what was told of it, even
    /// when a pull failed. A queue gives back what it holds.
    pub fn remembers(&self, has_failed: bool) -> bool {
        match self {
            Self::Table(_) => !has_failed,
            #[cfg(feature = "mongodb")]
            Self::Collection(_) => !has_failed,
            Self::Objects(_) => true,
            #[allow(unreachable_patterns, reason = "a build may have no other kind")]
            _ => false,
        }
    }

    /// Whether it can be pulled again as it is: it stands where the books say that the source was read to.
    pub fn stands_at(&self, position: Option<&str>) -> bool {
        match self {
            Self::Table(table) => table.stands_at(position),
            #[cfg(feature = "mongodb")]
            Self::Collection(collection) => collection.stands_at(position),
            // What was read is known from the ledger.
            Self::Objects(_) => true,
            #[allow(unreachable_patterns, reason = "a build may have no other kind")]
            _ => false,
        }
    }

    /// As it is pulled again.
    #[must_use]
    pub fn again(self, position: Option<&str>) -> Self {
        if let Self::Objects(objects) = self {
            return Self::Objects(objects.after(position));
        }
        self
    }

    /// The books refused what was handed over last, and go on without it.
    pub fn refuse(&mut self, sentence: &str) {
        if let Self::Objects(objects) = self {
            objects.refuse(sentence);
        }
    }

    /// What was told by an earlier pull of this run and is still so.
    pub fn standing(&self) -> &[String] {
        let Self::Objects(objects) = self else { return &[] };
        objects.standing()
    }

    /// Objects that are there and were read before; 0 of other kinds.
    pub fn read_before(&self) -> u64 {
        let Self::Objects(objects) = self else { return 0 };
        objects.read_before()
    }

    /// All keys that are there, when it is time to look for what is gone.
    pub fn whole_listing(&mut self) -> Option<Listed> {
        let Self::Objects(objects) = self else { return None };
        objects.whole_listing()
    }
}

impl Fetch for Opened {
    async fn fetch(&mut self) -> Result<Option<Part>, FetchError> {
        match self {
            Self::Table(table) => table.fetch().await,
            #[cfg(feature = "mongodb")]
            Self::Collection(collection) => collection.fetch().await,
            #[cfg(feature = "cmq")]
            Self::Cmq(queue) => Box::pin(queue.fetch()).await,
            #[cfg(feature = "amqp")]
            Self::Amqp(queue) => Box::pin(queue.fetch()).await,
            #[cfg(feature = "kafka")]
            Self::Kafka(topic) => Box::pin(topic.fetch()).await,
            #[cfg(feature = "nats")]
            Self::Nats(consumer) => Box::pin(consumer.fetch()).await,
            Self::Objects(objects) => objects.fetch().await,
        }
    }

    async fn acknowledge(&mut self) -> Result<(), FetchError> {
        match self {
            Self::Table(table) => table.acknowledge().await,
            #[cfg(feature = "mongodb")]
            Self::Collection(collection) => collection.acknowledge().await,
            #[cfg(feature = "cmq")]
            Self::Cmq(queue) => Box::pin(queue.acknowledge()).await,
            #[cfg(feature = "amqp")]
            Self::Amqp(queue) => Box::pin(queue.acknowledge()).await,
            #[cfg(feature = "kafka")]
            Self::Kafka(topic) => Box::pin(topic.acknowledge()).await,
            #[cfg(feature = "nats")]
            Self::Nats(consumer) => Box::pin(consumer.acknowledge()).await,
            Self::Objects(objects) => objects.acknowledge().await,
        }
    }
}

fn without(kind: &Kind) -> FetchError {
    let feature = kind.name();
    FetchError::NeedsPerson(format!(
        "this program was built without sources of kind \"{}\"; build it with `--features {feature}`",
        kind.name()
    ))
}
