//! A queue of a real `RabbitMQ` as a source.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tallybook::catalog::source::kinds::Kind;
use tallybook::catalog::source::kinds::amqp::Queue;
use tallybook::sources::amqp::AmqpQueue;
use tallybook::sources::fetch::{Fetch as _, FetchError};
use tallybook::values::format::Format;

use super::broker::{Broker, Line, WAYS, Way, bodies, body, drain, lines, pull_until_all_came, sorted, unique};
use super::killed::{BATCH, Feed, Ground, survives_a_kill_at_each_point};
use super::own_server::{OwnServer, USER};
use super::pulled::{batches, makes_the_books_of_a_file, many, records};
use super::server_faults::{
    Breakable, is_pulled_by_one_process_at_a_time, needs_a_person_when_the_secret_was_changed,
    survives_the_death_of_its_server, waits_for_a_server_that_is_away,
};
use crate::world::{at, run};

const VARIABLE: &str = "TALLYBOOK_TEST_AMQP";

/// The delivery mode of a message that is written to disk.
const PERSISTENT: u8 = 2;

/// How long a broker may take to see that a client is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// A queue of the test's own.
struct Place {
    line: Line,
    login: Mutex<String>,
    name: String,
    channel: Channel,
    _connection: Connection,
    dir: tempfile::TempDir,
}

impl Place {
    async fn new(broker: &Broker) -> Self {
        Self::with(broker, FieldTable::default()).await
    }

    /// With arguments of the queue.
    async fn with(broker: &Broker, arguments: FieldTable) -> Self {
        let url = format!("amqp://{}@{}", broker.login, broker.host);
        let connection = Connection::connect(&url, ConnectionProperties::default())
            .await
            .unwrap();
        let place = Self {
            line: Line::to(&broker.host),
            login: Mutex::new(broker.login.clone()),
            name: unique(),
            channel: connection.create_channel().await.unwrap(),
            _connection: connection,
            dir: tempfile::tempdir().unwrap(),
        };
        let declaring = place.channel.queue_declare(
            place.name.as_str().into(),
            QueueDeclareOptions {
                durable: true,
                ..QueueDeclareOptions::default()
            },
            arguments,
        );
        declaring.await.unwrap();
        place
    }

    async fn send(&self, body: &[u8], properties: BasicProperties) {
        let sending = self.channel.basic_publish(
            "".into(),
            self.name.as_str().into(),
            BasicPublishOptions::default(),
            body,
            properties,
        );
        sending.await.unwrap().await.unwrap();
    }

    async fn send_all(&self, bodies: &[String]) {
        for body in bodies {
            self.send(body.as_bytes(), BasicProperties::default()).await;
        }
    }

    /// `USER:PASSWORD`.
    fn login(&self) -> String {
        self.login.lock().unwrap().clone()
    }

    fn password_file(&self) -> PathBuf {
        self.dir.path().join("password")
    }

    fn text(&self, more: &str) -> String {
        let login = self.login();
        let (user, password) = login.split_once(':').unwrap();
        let file = self.password_file();
        std::fs::write(&file, password).unwrap();
        format!(
            "url = \"amqp://{}\"\nqueue = \"{}\"\nuser = \"{user}\"\npassword_file = \"{}\"\n{more}",
            self.line.host,
            self.name,
            file.display()
        )
    }

    fn definition(&self, more: &str) -> Queue {
        let text = self.text(more);
        match Kind::read("amqp", toml::from_str(&text).unwrap()).unwrap() {
            Kind::Amqp(queue) => queue,
            other => panic!("{other:?}"),
        }
    }

    fn open(&self, more: &str) -> AmqpQueue {
        AmqpQueue::open(&self.definition(more), Format::Ndjson).unwrap()
    }

    /// What the broker still has, once nobody consumes.
    async fn left(&self) -> Vec<String> {
        drain(&mut self.open("")).await
    }

    async fn end(self) {
        self.channel
            .queue_delete(self.name.as_str().into(), QueueDeleteOptions::default())
            .await
            .unwrap();
    }
}

/// Runs a test on the broker, if there is one.
fn on_a_queue(test: impl AsyncFnOnce(&Place)) {
    let Some(broker) = Broker::named(VARIABLE) else { return };
    run(async {
        let place = Place::new(&broker).await;
        test(&place).await;
        place.end().await;
    });
}

#[test]
fn messages_are_handed_over_in_batches_and_are_gone_when_they_are_acknowledged() {
    on_a_queue(async |place| {
        place.send_all(&bodies(70)).await;
        let mut queue = place.open("max_messages = 40");
        let part = queue.fetch().await.unwrap().unwrap();
        assert_eq!((lines(&part), part.position.clone()), (bodies(40), None));
        assert_eq!(part.name, format!("queue {}: 40 messages", place.name));
        queue.acknowledge().await.unwrap();
        queue.acknowledge().await.unwrap();
        assert_eq!(drain(&mut queue).await, bodies(70)[40..]);
        drop(queue);
        assert!(place.left().await.is_empty());
    });
}

#[test]
fn what_is_fetched_and_not_acknowledged_comes_again() {
    on_a_queue(async |place| {
        place.send_all(&bodies(30)).await;
        let mut queue = place.open("max_messages = 10");
        assert_eq!(lines(&queue.fetch().await.unwrap().unwrap()), bodies(10));
        // The commit failed: the same queue is asked again, and the acknowledgement that follows is for what came now.
        assert_eq!(lines(&queue.fetch().await.unwrap().unwrap()), bodies(10));
        queue.acknowledge().await.unwrap();
        assert_eq!(lines(&queue.fetch().await.unwrap().unwrap()), bodies(20)[10..]);
        // The process ends before the acknowledgement.
        drop(queue);
        assert_eq!(sorted(place.left().await), sorted(bodies(30)[10..].to_vec()));
    });
}

#[test]
fn a_quorum_queue_delivers_as_much_as_a_batch_may_have() {
    let Some(broker) = Broker::named(VARIABLE) else { return };
    run(async {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let place = Place::with(&broker, arguments).await;
        send_all(&place.channel, &place.name, &bodies(3_000)).await;
        let mut queue = place.open("max_messages = 2500\nmax_wait_ms = 60000");
        for size in [2_500, 500] {
            let part = queue.fetch().await.unwrap().unwrap();
            assert_eq!(lines(&part).len(), size);
            queue.acknowledge().await.unwrap();
        }
        drop(queue);
        assert!(place.left().await.is_empty());
        place.end().await;
    });
}

#[test]
fn a_connection_that_is_cut_at_any_point_loses_nothing() {
    on_a_queue(async |place| {
        for cut in [
            "before the fetch",
            "before the acknowledgement",
            "after the acknowledgement",
            "never",
        ] {
            place.send_all(&bodies(25)).await;
            let mut queue = place.open("max_messages = 10");
            let mut books = Vec::new();
            // The session is made, and one batch is past.
            books.extend(lines(&queue.fetch().await.unwrap().unwrap()));
            queue.acknowledge().await.unwrap();
            if cut == "before the fetch" {
                place.line.cut();
            }
            match queue.fetch().await {
                Ok(part) => {
                    books.extend(lines(&part.unwrap()));
                    if cut == "before the acknowledgement" {
                        place.line.cut();
                    }
                    // What was delivered before the cut is handed over, and cannot be acknowledged.
                    let acknowledged = queue.acknowledge().await;
                    assert!(
                        acknowledged.is_ok() || cut.starts_with("before"),
                        "{cut}: {acknowledged:?}"
                    );
                }
                Err(error) => assert!(
                    matches!(&error, FetchError::Unavailable(said) if said.contains(&place.name)),
                    "{cut}: {error}"
                ),
            }
            if cut == "after the acknowledgement" {
                place.line.cut();
            }
            // Trouble may be told once more; then it goes on.
            for _ in 0..6 {
                if let Ok(Some(part)) = queue.fetch().await {
                    books.extend(lines(&part));
                    let _ = queue.acknowledge().await;
                }
            }
            let repeated = books.len() - 25;
            let mut books = sorted(books);
            books.dedup();
            assert_eq!(books, sorted(bodies(25)), "{cut}");
            assert!(repeated <= if cut == "never" { 0 } else { 10 }, "{cut}: {repeated}");
            drop(queue);
            assert!(place.left().await.is_empty(), "{cut}");
        }
    });
}

#[test]
fn what_is_lost_on_the_way_to_the_broker_or_from_it_comes_again() {
    on_a_queue(async |place| {
        for way in WAYS {
            // While the connection is made.
            place.send_all(&bodies(25)).await;
            let mut queue = place.open("max_messages = 10");
            place.line.lose_next(way);
            let repeats = pull_until_all_came(&mut queue, Vec::new(), &bodies(25)).await;
            assert!(place.line.has_lost() && repeats <= 10, "{way:?}: {repeats} repeats");
            // While a batch is acknowledged: the broker hears of it, or does not.
            place.send_all(&bodies(25)).await;
            let books = lines(&queue.fetch().await.unwrap().unwrap());
            place.line.lose_next(way);
            let error = queue.acknowledge().await.unwrap_err();
            assert!(matches!(error, FetchError::Unavailable(_)), "{way:?}: {error}");
            let repeats = pull_until_all_came(&mut queue, books, &bodies(25)).await;
            // What is lost on the way from the broker may be a message before the answer: then it has heard of nothing.
            let may_be: &[usize] = if way == Way::ToBroker { &[10] } else { &[0, 10] };
            assert!(may_be.contains(&repeats), "{way:?}: {repeats} repeats");
            drop(queue);
            assert!(place.left().await.is_empty(), "{way:?}");
        }
        // While messages are delivered.
        let mut queue = place.open("max_messages = 10\nmax_wait_ms = 300");
        assert!(queue.fetch().await.unwrap().is_none());
        place.line.lose_next(Way::FromBroker);
        place.send_all(&bodies(25)).await;
        pull_until_all_came(&mut queue, Vec::new(), &bodies(25)).await;
        assert!(place.line.has_lost());
        drop(queue);
        assert!(place.left().await.is_empty());
    });
}

#[test]
fn a_fetch_that_is_dropped_in_the_middle_leaves_its_messages_to_the_next() {
    on_a_queue(async |place| {
        let mut queue = place.open("max_messages = 10\nmax_wait_ms = 60000");
        // The queue is empty yet, so the fetch waits; it is dropped with the messages that come meanwhile, or without.
        let bodies = bodies(5);
        let sent = place.send_all(&bodies);
        tokio::select! {
            part = queue.fetch() => panic!("{part:?}"),
            () = sent => {}
        }
        queue.acknowledge().await.unwrap();
        assert_eq!(drain_while_there(&mut queue, 5).await, bodies);
        drop(queue);
        assert!(place.left().await.is_empty());
    });
}

/// Fetches and acknowledges until so many lines came.
async fn drain_while_there(queue: &mut AmqpQueue, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < count {
        found.extend(lines(&queue.fetch().await.unwrap().unwrap()));
        queue.acknowledge().await.unwrap();
    }
    found
}

#[test]
fn two_that_pull_at_once_get_each_message_once_between_them() {
    on_a_queue(async |place| {
        place.send_all(&bodies(200)).await;
        let (mut one, mut other) = (place.open("max_messages = 10"), place.open("max_messages = 10"));
        let (first, second) = tokio::join!(drain(&mut one), drain(&mut other));
        assert_eq!(sorted([first, second].concat()), sorted(bodies(200)));
    });
}

#[test]
fn a_message_of_any_bytes_is_a_line_of_its_own() {
    on_a_queue(async |place| {
        let poison: [&[u8]; 5] = [b"", b"\xff\xfe\n", b"{\"a\":\n", b"[1]", b"{\"a\":1}{\"b\":2}"];
        for bytes in poison {
            place
                .send(bytes, BasicProperties::default().with_message_id("m".into()))
                .await;
        }
        place.send(body(1).as_bytes(), BasicProperties::default()).await;
        let mut queue = place.open("");
        let found = lines(&queue.fetch().await.unwrap().unwrap());
        assert_eq!((found.len(), &found[5]), (6, &body(1)));
        assert_eq!(found[1], r#"{"msgId":"m","msgBodyBase64":"//4K"}"#);
        queue.acknowledge().await.unwrap();
    });
}

#[test]
fn an_event_has_the_senders_time_and_id_around_it() {
    on_a_queue(async |place| {
        let sent = u64::try_from(at("2026-11-01T00:00:01Z").timestamp()).unwrap();
        let known = BasicProperties::default()
            .with_message_id("m-1".into())
            .with_timestamp(sent);
        place.send(b"{\"EventType\":\"WorkflowTask\"}", known).await;
        place
            .send(b"{\"EventType\":\"EditMediaTask\"}", BasicProperties::default())
            .await;
        let mut queue = AmqpQueue::open(&place.definition(""), Format::MpsEvents).unwrap();
        let part = queue.fetch().await.unwrap().unwrap();
        assert_eq!(
            lines(&part),
            [
                r#"{"msgId":"m-1","msgBody":"{\"EventType\":\"WorkflowTask\"}","enqueueTime":1793491201}"#,
                r#"{"EventType":"EditMediaTask"}"#,
            ]
        );
        assert_eq!(part.newest, Some(at("2026-11-01T00:00:01Z")));
        queue.acknowledge().await.unwrap();
    });
}

#[test]
fn a_broker_that_is_not_there_is_tried_again_and_one_that_refuses_needs_a_person() {
    on_a_queue(async |place| {
        let mut definition = place.definition("");
        definition.queue = unique();
        let error = fails(&definition).await;
        assert!(
            matches!(&error, FetchError::NeedsPerson(said) if said.contains("create the queue")),
            "{error}"
        );
        let mut definition = place.definition("");
        definition.url += "/no-such-host";
        assert!(matches!(fails(&definition).await, FetchError::NeedsPerson(_)));
        let definition = place.definition("");
        std::fs::write(place.dir.path().join("password"), "hunter2").unwrap();
        let error = fails(&definition).await;
        assert!(
            matches!(&error, FetchError::NeedsPerson(said) if said.contains("`user`") && !said.contains(".:")),
            "{error}"
        );
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let mut definition = place.definition("");
        definition.url = "amqp://127.0.0.1:1".to_owned();
        assert!(matches!(fails(&definition).await, FetchError::Unavailable(_)));
    });
}

async fn fails(definition: &Queue) -> FetchError {
    let mut queue = AmqpQueue::open(definition, Format::Ndjson).unwrap();
    tokio::time::timeout(Duration::from_secs(20), queue.fetch())
        .await
        .unwrap()
        .unwrap_err()
}

#[test]
fn a_pulled_queue_makes_the_books_of_a_file() {
    let Some(broker) = Broker::named(VARIABLE) else { return };
    let place = run(Place::new(&broker));
    let records = records(many());
    // A client that only reads and acknowledges.
    run(on_its_own_channel(&place, async |channel| {
        send_all(channel, &place.name, &records).await;
    }));
    let plain = run(on_its_own_channel(&place, async |channel| {
        read_all(channel, &place.name, records.len()).await
    }));
    run(on_its_own_channel(&place, async |channel| {
        send_all(channel, &place.name, &records).await;
    }));
    let definition = format!("kind = \"amqp\"\n{}", place.text(&batches()));
    makes_the_books_of_a_file(&definition, &records, Some(plain));
    run(on_its_own_channel(&place, async |channel| {
        delete(channel, &place.name).await;
    }));
}

#[test]
fn a_pull_that_is_killed_at_each_point_and_run_again_makes_the_same_books() {
    let Some(broker) = Broker::named(VARIABLE) else { return };
    let own = ["received messages", "sent acknowledgements"];
    survives_a_kill_at_each_point(&own, || AmqpFeed(run(Place::new(&broker))));
}

/// A queue that goes when the test does.
struct AmqpFeed(Place);

/// The same on a broker of its own.
struct OwnBroker {
    feed: AmqpFeed,
    server: Mutex<OwnServer>,
}

impl OwnBroker {
    fn start() -> Option<Self> {
        let server = OwnServer::rabbitmq()?;
        let broker = Broker {
            host: server.host(),
            login: format!("{USER}:guest"),
        };
        Some(Self {
            feed: AmqpFeed(run(Place::new(&broker))),
            server: Mutex::new(server),
        })
    }
}

impl Feed for OwnBroker {
    fn definition(&self) -> String {
        self.feed.definition()
    }

    fn send(&self, records: &[String]) {
        self.feed.send(records);
    }

    fn left(&self) -> usize {
        self.feed.left()
    }
}

impl Breakable for OwnBroker {
    fn kill(&self) {
        self.server.lock().unwrap().kill();
    }

    fn start(&self) {
        self.server.lock().unwrap().start();
    }

    fn change_secret(&self) {
        self.server.lock().unwrap().change_password("another");
        *self.feed.0.login.lock().unwrap() = format!("{USER}:another");
    }

    fn mend_secret(&self) {
        std::fs::write(self.feed.0.password_file(), "another").unwrap();
    }
}

#[test]
fn a_broker_that_dies_or_lets_nobody_in_in_the_middle_of_a_pull_loses_nothing() {
    let Some(broker) = OwnBroker::start() else { return };
    let ground = Ground::lay(broker);
    survives_the_death_of_its_server(&ground, &["fetched part", "sent acknowledgements#2"]);
    waits_for_a_server_that_is_away(&ground);
    needs_a_person_when_the_secret_was_changed(&ground);
    is_pulled_by_one_process_at_a_time(&ground);
}

impl Feed for AmqpFeed {
    fn definition(&self) -> String {
        let size = format!("max_messages = {BATCH}\nmax_wait_ms = 300");
        format!("kind = \"amqp\"\n{}", self.0.text(&size))
    }

    fn send(&self, records: &[String]) {
        run(on_its_own_channel(&self.0, async |channel| {
            send_all(channel, &self.0.name, records).await;
        }));
    }

    fn left(&self) -> usize {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let began = std::time::Instant::now();
        run(on_its_own_channel(&self.0, async |channel| {
            loop {
                let asked = channel.queue_declare(self.0.name.as_str().into(), passive, FieldTable::default());
                let queue = asked.await.unwrap();
                // With its consumer, a dead client's messages are back.
                if queue.consumer_count() == 0 {
                    return queue.message_count() as usize;
                }
                assert!(began.elapsed() < PATIENCE, "the broker keeps a dead consumer");
            }
        }))
    }
}

impl Drop for AmqpFeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        run(on_its_own_channel(&self.0, async |channel| {
            delete(channel, &self.0.name).await;
        }));
    }
}

/// Runs something on a connection that lives in this runtime.
async fn on_its_own_channel<T>(place: &Place, act: impl AsyncFnOnce(&Channel) -> T) -> T {
    let url = format!("amqp://{}@{}", place.login(), place.line.broker);
    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let done = act(&channel).await;
    // What was sent before has arrived when this is answered.
    channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    done
}

/// Sends messages that outlive the broker, and waits until it has them on its disk.
async fn send_all(channel: &Channel, queue: &str, records: &[String]) {
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for record in records {
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let options = BasicPublishOptions::default();
        channel
            .basic_publish("".into(), queue.into(), options, record.as_bytes(), properties)
            .await
            .unwrap();
    }
    channel.wait_for_confirms().await.unwrap();
}

/// How long it takes to read and acknowledge so many messages, in seconds.
async fn read_all(channel: &Channel, queue: &str, count: usize) -> f64 {
    use futures_util::StreamExt as _;
    let began = std::time::Instant::now();
    channel.basic_qos(1000, BasicQosOptions::default()).await.unwrap();
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = channel
        .basic_consume(queue.into(), "".into(), options, arguments)
        .await
        .unwrap();
    for number in 1..=count {
        let delivery = consumer.next().await.unwrap().unwrap();
        if number % 500 == 0 || number == count {
            delivery.ack(BasicAckOptions { multiple: true }).await.unwrap();
        }
    }
    began.elapsed().as_secs_f64()
}

async fn delete(channel: &Channel, queue: &str) {
    channel
        .queue_delete(queue.into(), QueueDeleteOptions::default())
        .await
        .unwrap();
}
