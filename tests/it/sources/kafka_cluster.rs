//! librdkafka's own mock cluster, in the process of the test, with a topic and a line to it.

use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use tallybook::catalog::source::definition::Definition;
use tallybook::catalog::source::kinds::Kind;
use tallybook::catalog::source::kinds::kafka::Topic;

use super::kafka_line::Line;

/// How long the cluster may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// The topic of every test.
pub const TOPIC: &str = "usage";

/// When a source starts, unless a test says otherwise: the line makes it the time before all messages.
pub const FROM: &str = "2024-11-01T00:00:00Z";

/// When a message was sent, in milliseconds: 2026-11-01T00:00:00Z.
pub const SENT: i64 = 1_793_491_200_000;

/// A cluster with a topic.
pub struct Cluster {
    pub mock: MockCluster<'static, DefaultProducerContext>,
    pub line: Line,
    producer: BaseProducer,
    dir: tempfile::TempDir,
}

impl Cluster {
    /// A cluster with one broker, and a topic with so many partitions.
    pub fn new(partitions: i32) -> Self {
        Self::of(1, partitions)
    }

    /// With more brokers than one the line leads nowhere: what they say of each other is not for it.
    pub fn of(brokers: i32, partitions: i32) -> Self {
        let mock = MockCluster::new(brokers).unwrap();
        mock.create_topic(TOPIC, partitions, 1).unwrap();
        let line = Line::to(mock.bootstrap_servers().split(',').next().unwrap());
        line.is_before_all(FROM);
        let producer = ClientConfig::new()
            .set("bootstrap.servers", mock.bootstrap_servers())
            // Each message is a batch of its own, so that the topic can drop one.
            .set("batch.num.messages", "1")
            .set("linger.ms", "0")
            .create()
            .unwrap();
        Self {
            mock,
            line,
            producer,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// The line leads to this cluster from now on, whatever cluster it led to.
    pub fn takes_over(&self, line: &Line) {
        line.lead_to(&self.mock.bootstrap_servers());
    }

    /// Sends messages to a partition, a millisecond one after the other, and waits until they are there.
    pub fn send(&self, partition: i32, bodies: &[String]) {
        for body in bodies {
            self.send_one(partition, Some(body.as_bytes()), None, SENT);
        }
        self.flush();
    }

    /// Sends them to each partition in turn.
    pub fn spread(&self, partitions: usize, bodies: &[String]) {
        for (number, body) in bodies.iter().enumerate() {
            let partition = i32::try_from(number % partitions).unwrap();
            self.send_one(partition, Some(body.as_bytes()), None, SENT);
        }
        self.flush();
    }

    pub fn send_one(&self, partition: i32, body: Option<&[u8]>, key: Option<&[u8]>, sent: i64) {
        let mut record: BaseRecord<[u8], [u8]> = BaseRecord::to(TOPIC).partition(partition).timestamp(sent);
        record.payload = body;
        record.key = key;
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
        self.producer.poll(Duration::ZERO);
    }

    pub fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }

    /// A client of the test's own, which is in a group.
    pub fn client(&self, group: &str) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", self.mock.bootstrap_servers())
            .set("group.id", group)
            .create()
            .unwrap()
    }

    /// The first offset of a partition that is there, and the one after the last.
    pub fn offsets(&self, partition: i32) -> (i64, i64) {
        self.client("offsets")
            .fetch_watermarks(TOPIC, partition, PATIENCE)
            .unwrap()
    }

    pub fn password_file(&self) -> PathBuf {
        self.dir.path().join("password")
    }

    /// The definition, with keys more, and without a name.
    pub fn definition(&self, more: &str) -> String {
        let host = &self.line.host;
        format!("kind = \"kafka\"\nfrom = \"{FROM}\"\nbrokers = [\"{host}\"]\ntopic = \"{TOPIC}\"\ntls = false\n{more}")
    }

    /// What a definition says of a user with this password.
    pub fn login(&self, user: &str, password: &str) -> String {
        std::fs::write(self.password_file(), password).unwrap();
        let file = self.password_file();
        format!(
            "user = \"{user}\"\nmechanism = \"PLAIN\"\npassword_file = \"{}\"\n",
            file.display()
        )
    }
}

/// The topic of a definition.
pub fn topic_of(definition: &str) -> Topic {
    match Definition::read_text("usage", definition).unwrap().source.kind {
        Kind::Kafka(topic) => topic,
        other => panic!("a topic is expected, not {}", other.name()),
    }
}
