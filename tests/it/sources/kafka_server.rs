//! Topics of a broker that the environment names, which knows what the mock cluster does not: times and transactions.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tallybook::sources::fetch::{Content, Fetch as _};
use tallybook::sources::kafka::KafkaTopic;
use tallybook::support::clock::Clock;
use tallybook::values::format::Format;

use super::bills::{as_lines, exports, exports_of_a_file, place, pull, tells};
use super::broker::{bodies, body, lines, sorted};
use super::kafka_cluster::{FROM, SENT, topic_of};
use crate::crashes::books::differences;
use crate::crashes::process::run as run_program;
use crate::faults::small::{ends, night};
use crate::left_out::named_by;
use crate::world::run;

/// How long the broker may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

const PARTITIONS: i32 = 2;

/// A topic of a test's own.
struct Topic {
    broker: String,
    name: String,
}

/// None where the environment names no broker.
fn topic() -> Option<Topic> {
    static NUMBERS: AtomicU32 = AtomicU32::new(0);
    if std::env::var_os("TALLYBOOK_TEST_LEDGER").is_some() {
        return None;
    }
    let broker = named_by("TALLYBOOK_TEST_KAFKA", "topics of a broker of Kafka: its HOST:PORT")?;
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let name = format!("tallybook-test-{}-{number}", std::process::id());
    let topic = Topic { broker, name };
    // The times of the messages are older than a broker keeps messages by itself.
    let new = NewTopic::new(&topic.name, PARTITIONS, TopicReplication::Fixed(1)).set("retention.ms", "-1");
    let made = run(topic.administrator().create_topics([&new], &AdminOptions::new())).unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    Some(topic)
}

impl Drop for Topic {
    fn drop(&mut self) {
        run(self.administrator().delete_topics(&[&self.name], &AdminOptions::new())).ok();
    }
}

impl Topic {
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.broker);
        config
    }

    fn administrator(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    fn producer(&self) -> BaseProducer {
        self.client().create().unwrap()
    }

    /// A producer of transactions.
    fn transactor(&self, name: &str) -> BaseProducer {
        let id = format!("{}-{name}", self.name);
        let producer: BaseProducer = self.client().set("transactional.id", id).create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer
    }

    /// Sends messages to the partitions in turn, the first at a time, each a second after the one before.
    fn send(&self, producer: &BaseProducer, sent: i64, bodies: &[String]) {
        for (number, body) in (0..).zip(bodies) {
            let record: BaseRecord<[u8], [u8]> = BaseRecord::to(&self.name)
                .partition(number % PARTITIONS)
                .timestamp(sent + i64::from(number) * 1_000)
                .payload(body.as_bytes());
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    fn definition(&self, from: &str, more: &str) -> String {
        let Self { broker, name } = self;
        format!(
            "kind = \"kafka\"\nfrom = \"{from}\"\nbrokers = [\"{broker}\"]\ntopic = \"{name}\"\ntls = false\n{more}"
        )
    }

    /// Reads all there is after a position: the lines, and the position after them.
    fn read(&self, from: &str, position: Option<&str>) -> (Vec<String>, Option<String>) {
        let topic = topic_of(&self.definition(from, "max_messages = 3"));
        let mut topic = KafkaTopic::open(&topic, Format::Ndjson, from, position, Clock::system()).unwrap();
        let (mut found, mut position) = (Vec::new(), position.map(str::to_owned));
        run(async {
            while let Some(part) = topic.fetch().await.unwrap() {
                if !matches!(part.content, Content::Nothing) {
                    found.extend(lines(&part));
                }
                position = part.position;
                topic.acknowledge().await.unwrap();
            }
        });
        (sorted(found), position)
    }
}

/// So many bodies, from a number on.
fn bodies_from(first: usize, count: usize) -> Vec<String> {
    (first..first + count).map(body).collect()
}

#[test]
fn reading_starts_with_the_first_message_of_the_time_in_each_partition() {
    let Some(topic) = topic() else { return };
    topic.send(&topic.producer(), SENT, &bodies(10));
    let (found, _) = topic.read("2026-11-01T00:00:05Z", None);
    assert_eq!(found, sorted(bodies_from(5, 5)));
    let (found, position) = topic.read("2026-11-01T00:01:00Z", None);
    assert_eq!(found, Vec::<String>::new());
    // A minute later there is one in the first partition, and one that is too early in the other.
    topic.send(&topic.producer(), SENT + 60_000, &[body(20)]);
    topic.send(&topic.producer(), SENT + 20_000, &bodies_from(30, 2));
    let (found, position) = topic.read("2026-11-01T00:01:00Z", position.as_deref());
    assert_eq!(found, sorted(vec![body(20), body(30)]), "{position:?}");
}

#[test]
fn a_topic_of_which_nothing_is_left_when_it_is_first_read_is_told() {
    let Some(topic) = topic() else { return };
    topic.send(&topic.producer(), SENT, &bodies(10));
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(&topic.name, partition, Offset::Offset(5))
            .unwrap();
    }
    run(topic.administrator().delete_records(&all, &AdminOptions::new())).unwrap();
    let dir = place(&topic.definition(FROM, ""));
    let path = dir.path();
    let told = run_program(&mut pull(path));
    tells(
        path,
        &told,
        0,
        &["partition 0 begins at offset 5: what was sent before is not there any more"],
    );
    // What comes then is read.
    topic.send(
        &topic.producer(),
        SENT,
        &as_lines().lines().map(str::to_owned).collect::<Vec<_>>(),
    );
    ends(&mut night(path), 0);
    assert!(
        exports(path) == *exports_of_a_file(),
        "other bills than those of the file"
    );
}

#[test]
fn messages_of_a_transaction_are_read_when_it_is_committed_and_never_when_it_is_given_up() {
    let Some(topic) = topic() else { return };
    let first = topic.transactor("first");
    first.begin_transaction().unwrap();
    topic.send(&first, SENT, &bodies(10));
    first.commit_transaction(PATIENCE).unwrap();
    first.begin_transaction().unwrap();
    topic.send(&first, SENT, &bodies_from(10, 10));
    first.abort_transaction(PATIENCE).unwrap();
    let (found, position) = topic.read(FROM, None);
    assert_eq!(found, sorted(bodies(10)));
    // One that is open holds up what comes after it, and none of it is passed over.
    let second = topic.transactor("second");
    second.begin_transaction().unwrap();
    topic.send(&second, SENT, &bodies_from(20, 10));
    topic.send(&topic.producer(), SENT, &bodies_from(30, 10));
    let (mut found, position) = topic.read(FROM, position.as_deref());
    second.commit_transaction(PATIENCE).unwrap();
    let (later, position) = topic.read(FROM, position.as_deref());
    found.extend(later);
    assert_eq!(sorted(found), sorted(bodies_from(20, 20)));
    let (found, _) = topic.read(FROM, position.as_deref());
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_bills_are_those_of_a_file_with_the_same_records() {
    let Some(topic) = topic() else { return };
    let records: Vec<String> = as_lines().lines().map(str::to_owned).collect();
    topic.send(&topic.producer(), SENT, &records[..30]);
    let dir = place(&topic.definition(FROM, "max_messages = 7\n"));
    let path = dir.path();
    ends(&mut pull(path), 0);
    tells(path, &run_program(&mut pull(path)), 0, &[]);
    topic.send(&topic.producer(), SENT, &records[30..]);
    // The night pulls by itself.
    ends(&mut night(path), 0);
    assert!(
        exports(path) == *exports_of_a_file(),
        "other bills than those of the file"
    );
    assert_eq!(differences(path), Vec::<String>::new());
}
