//! A connection to the brokers of a topic. The interface to rdkafka is here and in what it names. Every call may block.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rdkafka::ClientConfig;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::metadata::Metadata;

use super::context::{Context, Heard};
use super::fault::{fault_of, is_for_a_person};
use super::plan::{Extent, asks_for_start};
use super::position::Position;
use crate::catalog::source::kinds::kafka::Topic;
use crate::catalog::source::secret::Secret;
use crate::sources::fetch::FetchError;

/// How long the brokers may take for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// For so long a question waits before it is looked at what the client has told meanwhile.
const STEP: Duration = Duration::from_secs(1);

/// For so long it is listened to what the client tells.
const LISTEN: Duration = Duration::from_millis(50);

/// The library wants a group. Nobody joins it, and nothing is committed to it.
const NO_GROUP: &str = "tallybook";

pub(super) struct Session {
    consumer: BaseConsumer<Context>,
    topic: String,
}

/// What comes next of the partitions that are read.
pub(super) enum Next<'a> {
    Message(BorrowedMessage<'a>),
    /// A partition has nothing more.
    End(i32),
    /// Nothing within the time.
    Nothing,
}

impl Session {
    /// Makes a client. It connects when it is first asked.
    pub(super) fn new(definition: &Topic) -> Result<Self, FetchError> {
        let (config, secret) = configured(definition)?;
        let context = Context::new(secret.clone());
        // What the library says of a setting may repeat it.
        let consumer = config.create_with_context(context).map_err(|error: KafkaError| {
            let said = Context::new(secret).blanked(&error.to_string());
            FetchError::NeedsPerson(format!("{said}: correct the definition, or the file that it names"))
        })?;
        Ok(Self {
            consumer,
            topic: definition.topic.clone(),
        })
    }

    /// What each partition holds. `from` is looked up where it decides.
    pub(super) fn extents(
        &self,
        position: &Position,
        from: DateTime<Utc>,
    ) -> Result<BTreeMap<i32, Extent>, FetchError> {
        let partitions = self.partitions()?;
        let mut extents = BTreeMap::new();
        for &partition in &partitions {
            let asked = || self.consumer.fetch_watermarks(&self.topic, partition, STEP);
            let (low, high) = self.patiently(asked)?;
            extents.insert(partition, Extent { low, high, from: None });
        }
        let undecided = partitions.into_iter().filter(|one| asks_for_start(position, *one));
        for (partition, start) in self.starts(undecided, from)? {
            if let Some(extent) = extents.get_mut(&partition) {
                // What came since the end was looked up waits for the next pull.
                extent.from = start.filter(|start| *start < extent.high);
            }
        }
        Ok(extents)
    }

    /// The partitions that the topic has.
    fn partitions(&self) -> Result<Vec<i32>, FetchError> {
        let metadata = self.patiently(|| {
            let metadata = self.consumer.fetch_metadata(Some(&self.topic), STEP)?;
            match error_in(&metadata) {
                Some(code) => Err(KafkaError::MetadataFetch(code)),
                None => Ok(metadata),
            }
        })?;
        let topics = metadata.topics().iter();
        Ok(topics
            .flat_map(rdkafka::metadata::MetadataTopic::partitions)
            .map(rdkafka::metadata::MetadataPartition::id)
            .collect())
    }

    /// The first offset of each of these partitions that has a message of this time or later.
    fn starts(
        &self,
        partitions: impl Iterator<Item = i32>,
        from: DateTime<Utc>,
    ) -> Result<Vec<(i32, Option<i64>)>, FetchError> {
        let mut asked = TopicPartitionList::new();
        for partition in partitions {
            let time = Offset::Offset(from.timestamp_millis());
            asked
                .add_partition_offset(&self.topic, partition, time)
                .map_err(|error| self.fault(&error))?;
        }
        if asked.count() == 0 {
            return Ok(Vec::new());
        }
        let found = self.patiently(|| {
            let found = self.consumer.offsets_for_times(asked.clone(), STEP)?;
            found
                .elements()
                .iter()
                .try_for_each(rdkafka::topic_partition_list::TopicPartitionListElem::error)?;
            Ok(found)
        })?;
        let elements = found.elements().into_iter();
        Ok(elements
            .map(|element| match element.offset() {
                Offset::Offset(offset) => (element.partition(), Some(offset)),
                _ => (element.partition(), None),
            })
            .collect())
    }

    /// Asks until there is an answer, a person must do something, or patience ends.
    fn patiently<T>(&self, ask: impl Fn() -> Result<T, KafkaError>) -> Result<T, FetchError> {
        let began = Instant::now();
        loop {
            let error = match ask() {
                Ok(answer) => {
                    self.context().forget();
                    return Ok(answer);
                }
                Err(error) => self.as_heard(&error),
            };
            // There are no messages yet: this hears what the client tells by itself.
            let _heard_by_the_context = self.consumer.poll(LISTEN);
            let told = self.context().told();
            let most = told.error.unwrap_or_else(|| error.clone());
            if let Some(error) = [error, most.clone()].iter().find(|error| is_for_a_person(error)) {
                return Err(fault_of(error));
            }
            if told.all_away || PATIENCE <= began.elapsed() {
                return Err(fault_of(&most));
            }
        }
    }

    /// Begins to fetch each partition at an offset.
    pub(super) fn assign(&self, starts: impl Iterator<Item = (i32, i64)>) -> Result<(), FetchError> {
        let list = self.list(starts)?;
        self.consumer.assign(&list).map_err(|error| self.fault(&error))
    }

    /// Fetches no more of a partition.
    pub(super) fn leave(&self, partition: i32) -> Result<(), FetchError> {
        let list = self.list(std::iter::once((partition, 0)))?;
        self.consumer.pause(&list).map_err(|error| self.fault(&error))
    }

    /// What comes next within a time. What passes by itself is waited for.
    pub(super) fn next(&self, wait: Duration) -> Result<Next<'_>, FetchError> {
        let error = match self.consumer.poll(wait) {
            None => return Ok(Next::Nothing),
            Some(Ok(message)) => return Ok(Next::Message(message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => return Ok(Next::End(partition)),
            Some(Err(error)) => error,
        };
        // A broker that is away may be back before patience ends.
        let heard = self.context().told().error.unwrap_or_else(|| self.as_heard(&error));
        if is_for_a_person(&heard) {
            return Err(fault_of(&heard));
        }
        Ok(Next::Nothing)
    }

    /// What it means that nothing came for as long as patience lasts.
    pub(super) fn silence(&self) -> FetchError {
        match self.context().told().error {
            Some(heard) => fault_of(&heard),
            None => FetchError::Unavailable(format!(
                "the brokers sent nothing within {} s, though there are messages: it is tried again later",
                PATIENCE.as_secs()
            )),
        }
    }

    fn list(&self, offsets: impl Iterator<Item = (i32, i64)>) -> Result<TopicPartitionList, FetchError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))
                .map_err(|error| self.fault(&error))?;
        }
        Ok(list)
    }

    /// Something came: the trouble before it is over.
    pub(super) fn goes_on(&self) {
        self.context().forget();
    }

    fn context(&self) -> &Context {
        self.consumer.context()
    }

    fn fault(&self, error: &KafkaError) -> FetchError {
        fault_of(&self.as_heard(error))
    }

    fn as_heard(&self, error: &KafkaError) -> Heard {
        Heard {
            code: error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
            reason: self.context().blanked(&error.to_string()),
        }
    }
}

/// What is wrong with the topic, or with one of its partitions, by what the brokers say of it.
fn error_in(metadata: &Metadata) -> Option<RDKafkaErrorCode> {
    let of_topic = metadata
        .topics()
        .iter()
        .find_map(rdkafka::metadata::MetadataTopic::error);
    let is_empty = || metadata.topics().iter().all(|topic| topic.partitions().is_empty());
    match of_topic {
        Some(error) => Some(error.into()),
        None if is_empty() => Some(RDKafkaErrorCode::UnknownTopicOrPartition),
        None => None,
    }
}

/// The file with the certificates that a broker's must come from, or what looks for those of the system.
fn certificates(definition: &Topic) -> Result<String, FetchError> {
    let Some(path) = &definition.ca_file else {
        return Ok("probe".to_owned());
    };
    match std::fs::File::open(path) {
        Ok(_) => Ok(path.display().to_string()),
        Err(error) => Err(FetchError::NeedsPerson(format!(
            "{}, which `ca_file` names, cannot be read: {error}",
            path.display()
        ))),
    }
}

/// The settings of a client, and the secret among them.
fn configured(definition: &Topic) -> Result<(ClientConfig, Option<Secret>), FetchError> {
    let mut config = ClientConfig::new();
    let login = definition.login().map_err(FetchError::NeedsPerson)?;
    let protocol = match (&login, definition.tls) {
        (None, false) => "plaintext",
        (None, true) => "ssl",
        (Some(_), false) => "sasl_plaintext",
        (Some(_), true) => "sasl_ssl",
    };
    let patience = PATIENCE.as_millis().to_string();
    for (name, value) in [
        ("bootstrap.servers", &*definition.brokers.join(",")),
        ("client.id", "tallybook"),
        ("group.id", NO_GROUP),
        ("security.protocol", protocol),
        // The books keep the position. Where it is not in the topic any more, nothing else is read in its place.
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("enable.partition.eof", "true"),
        ("isolation.level", "read_committed"),
        ("allow.auto.create.topics", "false"),
        ("check.crcs", "true"),
        // Two micro-batches, however many partitions there are.
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.max.bytes", "16777216"),
        ("socket.timeout.ms", &*patience),
        ("socket.connection.setup.timeout.ms", &*patience),
        ("reconnect.backoff.max.ms", "1000"),
        // No measurements of this client are sent to anybody.
        ("enable.metrics.push", "false"),
    ] {
        config.set(name, value);
    }
    if definition.tls {
        config.set("ssl.ca.location", certificates(definition)?);
    }
    config.set_log_level(RDKafkaLogLevel::Info);
    let Some(login) = login else { return Ok((config, None)) };
    let password = login
        .password
        .read()
        .map_err(|error| FetchError::NeedsPerson(error.to_string()))?;
    config.set("sasl.mechanism", login.mechanism.name());
    config.set("sasl.username", login.user);
    config.set("sasl.password", password.reveal());
    Ok((config, Some(password)))
}
