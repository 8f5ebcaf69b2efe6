//! A pull consumer of a real NATS `JetStream` server as a source.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, Context, consumer, stream};
use tallybook::catalog::source::kinds::Kind;
use tallybook::catalog::source::kinds::nats::Consumer;
use tallybook::sources::fetch::{Fetch as _, FetchError};
use tallybook::sources::nats::NatsConsumer;
use tallybook::support::clock::Clock;
use tallybook::values::format::Format;

use super::broker::{Broker, Line, WAYS, Way, bodies, body, drain, lines, pull_until_all_came, sorted, unique};
use super::killed::{BATCH, Feed, Ground, survives_a_kill_at_each_point};
use super::own_server::{OwnServer, USER};
use super::pulled::{batches, makes_the_books_of_a_file, many, records};
use super::server_faults::{
    Breakable, is_pulled_by_one_process_at_a_time, needs_a_person_when_the_secret_was_changed,
    survives_the_death_of_its_server, waits_for_a_server_that_is_away,
};
use crate::world::run;

const VARIABLE: &str = "TALLYBOOK_TEST_NATS";

/// So soon the server delivers again what was not acknowledged.
const ACK_WAIT: Duration = Duration::from_secs(1);

/// Longer than a batch can take on a busy machine: what is taken in time is delivered once.
const LONG_WAIT: Duration = Duration::from_mins(1);

/// The server has delivered again what a dead client took before a request's wait is over.
const SHORT_WAIT: Duration = Duration::from_millis(200);

/// A stream of the test's own with a consumer.
struct Place {
    line: Line,
    /// `USER:PASSWORD`; empty where nobody is asked.
    login: Mutex<String>,
    name: String,
    context: Context,
    dir: tempfile::TempDir,
}

impl Place {
    async fn new(broker: &Broker, ack_wait: Duration) -> Self {
        let place = Self {
            line: Line::to(&broker.host),
            login: Mutex::new(broker.login.clone()),
            name: unique(),
            context: context(broker).await,
            dir: tempfile::tempdir().unwrap(),
        };
        let config = stream::Config {
            name: place.name.clone(),
            subjects: vec![place.name.clone()],
            ..stream::Config::default()
        };
        place.context.create_stream(config).await.unwrap();
        let config = consumer::pull::Config {
            ack_wait,
            ..consumer::pull::Config::default()
        };
        place.consumer("usage", config).await;
        place
    }

    async fn consumer(&self, name: &str, config: consumer::pull::Config) {
        let stream = self.context.get_stream(&self.name).await.unwrap();
        let config = consumer::pull::Config {
            durable_name: Some(name.to_owned()),
            ..config
        };
        stream.create_consumer(config).await.unwrap();
    }

    async fn send(&self, body: &[u8]) {
        self.context
            .publish(self.name.clone(), body.to_vec().into())
            .await
            .unwrap()
            .await
            .unwrap();
    }

    async fn send_all(&self, bodies: &[String]) {
        for body in bodies {
            self.send(body.as_bytes()).await;
        }
    }

    fn broker(&self) -> Broker {
        Broker {
            host: self.line.broker.clone(),
            login: self.login.lock().unwrap().clone(),
        }
    }

    fn password_file(&self) -> PathBuf {
        self.dir.path().join("password")
    }

    fn text(&self, more: &str) -> String {
        let login = match self.broker().login.split_once(':') {
            Some((user, password)) => {
                std::fs::write(self.password_file(), password).unwrap();
                let file = self.password_file();
                format!("user = \"{user}\"\npassword_file = \"{}\"\n", file.display())
            }
            None => String::new(),
        };
        format!(
            "url = \"nats://{}\"\nstream = \"{}\"\nconsumer = \"usage\"\n{login}{more}",
            self.line.host, self.name
        )
    }

    fn definition(&self, more: &str) -> Consumer {
        let text = self.text(more);
        match Kind::read("nats", toml::from_str(&text).unwrap()).unwrap() {
            Kind::Nats(consumer) => consumer,
            other => panic!("{other:?}"),
        }
    }

    fn open(&self, more: &str) -> NatsConsumer {
        self.open_as(more, Format::Ndjson)
    }

    fn open_as(&self, more: &str, format: Format) -> NatsConsumer {
        NatsConsumer::open(&self.definition(more), format, Clock::system()).unwrap()
    }

    async fn end(self) {
        self.context.delete_stream(&self.name).await.unwrap();
    }
}

/// Runs a test on the server, if there is one.
fn on_a_stream(test: impl AsyncFnOnce(&Place)) {
    let Some(broker) = Broker::named(VARIABLE) else { return };
    run(async {
        let place = Place::new(&broker, ACK_WAIT).await;
        test(&place).await;
        place.end().await;
    });
}

#[test]
fn messages_are_handed_over_in_batches_and_come_no_more_when_they_are_acknowledged() {
    on_a_stream(async |place| {
        place.send_all(&bodies(70)).await;
        let mut queue = place.open("max_messages = 40");
        let part = queue.fetch().await.unwrap().unwrap();
        assert_eq!(
            (lines(&part), part.position.clone(), part.warnings.clone()),
            (bodies(40), None, Vec::new())
        );
        assert_eq!(
            part.name,
            format!("consumer usage of stream {0}: 40 messages from {0}:1 on", place.name)
        );
        queue.acknowledge().await.unwrap();
        queue.acknowledge().await.unwrap();
        assert_eq!(drain(&mut queue).await, bodies(70)[40..]);
        // Longer than the server waits before it delivers again.
        let mut later = place.open("max_wait_ms = 3000");
        assert!(later.fetch().await.unwrap().is_none());
    });
}

#[test]
fn what_is_fetched_and_not_acknowledged_comes_again() {
    on_a_stream(async |place| {
        place.send_all(&bodies(30)).await;
        let mut queue = place.open("max_messages = 10");
        assert_eq!(lines(&queue.fetch().await.unwrap().unwrap()), bodies(10));
        // The commit failed. What comes next is acknowledged, and that says nothing of what came before.
        assert_eq!(lines(&queue.fetch().await.unwrap().unwrap()), bodies(20)[10..]);
        queue.acknowledge().await.unwrap();
        drop(queue);
        let mut again = place.open("");
        let mut found = Vec::new();
        while found.len() < 20 {
            if let Some(part) = again.fetch().await.unwrap() {
                found.extend(lines(&part));
                again.acknowledge().await.unwrap();
            }
        }
        assert_eq!(sorted(found), sorted([bodies(10), bodies(30)[20..].to_vec()].concat()));
    });
}

#[test]
fn a_batch_has_no_more_messages_than_the_server_delivers_before_it_hears_of_some() {
    on_a_stream(async |place| {
        let few = consumer::pull::Config {
            ack_wait: Duration::from_mins(1),
            max_ack_pending: 100,
            ..consumer::pull::Config::default()
        };
        place.consumer("few", few).await;
        let sent = bodies(1_000);
        place.send_all(&sent).await;
        let mut definition = place.definition("max_messages = 600");
        definition.consumer = "few".to_owned();
        let mut queue = NatsConsumer::open(&definition, Format::Ndjson, Clock::system()).unwrap();
        let (mut found, mut sizes, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(part) = queue.fetch().await.unwrap() {
            let came = lines(&part);
            sizes.push(came.len());
            found.extend(came);
            warnings.extend(part.warnings);
            queue.acknowledge().await.unwrap();
        }
        assert_eq!((found, sizes), (sent, vec![100; 10]));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains("`max_ack_pending` of 100 is less than `max_messages` (600)"),
            "{warnings:?}"
        );
    });
}

#[test]
fn what_another_puller_holds_keeps_a_batch_small_and_not_waiting() {
    on_a_stream(async |place| {
        let few = consumer::pull::Config {
            ack_wait: Duration::from_mins(1),
            max_ack_pending: 100,
            ..consumer::pull::Config::default()
        };
        place.consumer("few", few).await;
        let sent = bodies(150);
        place.send_all(&sent).await;
        let open = |more: &str| {
            let mut definition = place.definition(more);
            definition.consumer = "few".to_owned();
            NatsConsumer::open(&definition, Format::Ndjson, Clock::system()).unwrap()
        };
        let mut one = open("max_messages = 60");
        assert_eq!(lines(&one.fetch().await.unwrap().unwrap()), sent[..60]);
        let mut other = open("max_wait_ms = 300");
        assert_eq!(lines(&other.fetch().await.unwrap().unwrap()), sent[60..100]);
        other.acknowledge().await.unwrap();
        assert_eq!(lines(&other.fetch().await.unwrap().unwrap()), sent[100..140]);
        // All that may be delivered is: nothing comes, and that is no trouble.
        assert!(open("max_wait_ms = 300").fetch().await.unwrap().is_none());
        one.acknowledge().await.unwrap();
        other.acknowledge().await.unwrap();
        assert_eq!(drain(&mut other).await, sent[140..]);
    });
}

#[test]
fn a_consumer_that_limits_each_request_is_asked_within_its_limits() {
    on_a_stream(async |place| {
        let strict = consumer::pull::Config {
            max_batch: 7,
            max_expires: Duration::from_millis(400),
            ..consumer::pull::Config::default()
        };
        place.consumer("strict", strict).await;
        place.send_all(&bodies(50)).await;
        let mut definition = place.definition("max_messages = 20");
        definition.consumer = "strict".to_owned();
        let mut queue = NatsConsumer::open(&definition, Format::Ndjson, Clock::system()).unwrap();
        assert_eq!(drain(&mut queue).await, bodies(50));
    });
}

#[test]
fn a_connection_that_is_cut_at_any_point_loses_nothing() {
    on_a_stream(async |place| {
        for (round, cut) in [
            "before the fetch",
            "before the acknowledgement",
            "after the acknowledgement",
        ]
        .iter()
        .enumerate()
        {
            let sent: Vec<String> = (25 * round..25 * (round + 1)).map(body).collect();
            place.send_all(&sent).await;
            let mut queue = place.open("max_messages = 10");
            let mut books = lines(&queue.fetch().await.unwrap().unwrap());
            queue.acknowledge().await.unwrap();
            for point in [
                "before the fetch",
                "before the acknowledgement",
                "after the acknowledgement",
            ] {
                match point {
                    _ if point == *cut => place.line.cut(),
                    "before the acknowledgement" => {
                        if let Ok(Some(part)) = queue.fetch().await {
                            books.extend(lines(&part));
                        }
                    }
                    _ => {}
                }
                if point == "before the acknowledgement" {
                    let _ = queue.acknowledge().await;
                }
            }
            let has_all = |books: &[String]| sent.iter().all(|body| books.contains(body));
            while !has_all(&books) {
                if let Ok(Some(part)) = queue.fetch().await {
                    books.extend(lines(&part));
                    let _ = queue.acknowledge().await;
                }
            }
        }
    });
}

/// What comes while something is lost: an error, or messages where it was an earlier word that was lost, and the client connected again.
/// Never that there is nothing.
async fn fetch_on_a_bad_line(queue: &mut NatsConsumer, way: Way) -> Vec<String> {
    match queue.fetch().await {
        Ok(Some(part)) => {
            let _ = queue.acknowledge().await;
            lines(&part)
        }
        Ok(None) => panic!("{way:?}: a server that says nothing is none that has nothing"),
        Err(error) => {
            assert!(matches!(error, FetchError::Unavailable(_)), "{way:?}: {error}");
            Vec::new()
        }
    }
}

#[test]
fn what_is_lost_on_the_way_to_the_server_or_from_it_comes_again() {
    on_a_stream(async |place| {
        for (round, way) in WAYS.into_iter().enumerate() {
            let sent: Vec<String> = (50 * round..50 * (round + 1)).map(body).collect();
            let (first, later) = sent.split_at(25);
            // While the connection is made.
            place.send_all(first).await;
            let mut queue = place.open("max_messages = 10\nmax_wait_ms = 300");
            place.line.lose_next(way);
            let books = fetch_on_a_bad_line(&mut queue, way).await;
            pull_until_all_came(&mut queue, books, first).await;
            // While a batch is asked for: a server that says nothing is none that has nothing.
            place.send_all(later).await;
            place.line.lose_next(way);
            let books = fetch_on_a_bad_line(&mut queue, way).await;
            pull_until_all_came(&mut queue, books, later).await;
            // While one is acknowledged.
            place.send_all(&sent).await;
            let books = lines(&queue.fetch().await.unwrap().unwrap());
            place.line.lose_next(way);
            let _ = queue.acknowledge().await;
            assert!(place.line.has_lost(), "{way:?}");
            pull_until_all_came(&mut queue, books, &sent).await;
        }
    });
}

#[test]
fn two_that_pull_at_once_share_the_messages() {
    on_a_stream(async |place| {
        place.send_all(&bodies(200)).await;
        let (mut one, mut other) = (place.open("max_messages = 10"), place.open("max_messages = 10"));
        let (first, second) = tokio::join!(drain(&mut one), drain(&mut other));
        let mut all = sorted([first, second].concat());
        all.dedup();
        assert_eq!(all, sorted(bodies(200)));
    });
}

#[test]
fn a_message_of_any_bytes_is_a_line_of_its_own() {
    on_a_stream(async |place| {
        let poison: [&[u8]; 5] = [b"", b"\xff\xfe\n", b"{\"a\":\n", b"[1]", b"{\"a\":1}{\"b\":2}"];
        for bytes in poison {
            place.send(bytes).await;
        }
        place.send(body(1).as_bytes()).await;
        let mut queue = place.open("");
        let found = lines(&queue.fetch().await.unwrap().unwrap());
        assert_eq!((found.len(), &found[5]), (6, &body(1)));
        assert!(found[1].contains(r#""msgBodyBase64":"//4K""#), "{}", found[1]);
        queue.acknowledge().await.unwrap();
    });
}

#[test]
fn an_event_has_its_id_and_the_time_of_the_stream_around_it_and_both_stay() {
    on_a_stream(async |place| {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", "m-1");
        let sending =
            place
                .context
                .publish_with_headers(place.name.clone(), headers, "{\"EventType\":\"WorkflowTask\"}".into());
        sending.await.unwrap().await.unwrap();
        place.send(b"{}").await;
        let first = lines(&place.open_as("", Format::MpsEvents).fetch().await.unwrap().unwrap());
        assert!(
            first[0].starts_with(r#"{"msgId":"m-1","msgBody":"{\"EventType\":\"WorkflowTask\"}","enqueueTime":"#),
            "{}",
            first[0]
        );
        assert!(
            first[1].starts_with(&format!("{{\"msgId\":\"{}:2\"", place.name)),
            "{}",
            first[1]
        );
        let mut again = place.open_as("max_wait_ms = 3000", Format::MpsEvents);
        let mut second = Vec::new();
        while second.len() < 2 {
            if let Some(part) = again.fetch().await.unwrap() {
                second.extend(lines(&part));
                again.acknowledge().await.unwrap();
            }
        }
        assert_eq!(sorted(second), sorted(first));
    });
}

#[test]
fn what_could_lose_messages_is_refused_or_warned_of() {
    on_a_stream(async |place| {
        let none = consumer::pull::Config {
            ack_policy: consumer::AckPolicy::None,
            ..consumer::pull::Config::default()
        };
        place.consumer("none", none).await;
        let mut definition = place.definition("");
        definition.consumer = "none".to_owned();
        let error = fails(&definition).await;
        assert!(
            matches!(&error, FetchError::NeedsPerson(said) if said.contains("policy")),
            "{error}"
        );
        let headers = consumer::pull::Config {
            headers_only: true,
            ..consumer::pull::Config::default()
        };
        place.consumer("headers", headers).await;
        definition.consumer = "headers".to_owned();
        let error = fails(&definition).await;
        assert!(
            matches!(&error, FetchError::NeedsPerson(said) if said.contains("headers only")),
            "{error}"
        );
        let pushes = consumer::push::Config {
            durable_name: Some("pushes".to_owned()),
            deliver_subject: format!("{}-out", place.name),
            ..consumer::push::Config::default()
        };
        let stream = place.context.get_stream(&place.name).await.unwrap();
        stream.create_consumer(pushes).await.unwrap();
        definition.consumer = "pushes".to_owned();
        let error = fails(&definition).await;
        assert!(
            matches!(&error, FetchError::NeedsPerson(said) if said.contains("push consumer") && said.contains("create a durable pull")),
            "{error}"
        );
        let limited = consumer::pull::Config {
            max_deliver: 5,
            ..consumer::pull::Config::default()
        };
        place.consumer("limited", limited).await;
        place.send(body(1).as_bytes()).await;
        definition.consumer = "limited".to_owned();
        let part = NatsConsumer::open(&definition, Format::Ndjson, Clock::system())
            .unwrap()
            .fetch()
            .await
            .unwrap()
            .unwrap();
        assert!(part.warnings[0].contains("after 5 deliveries"), "{:?}", part.warnings);
    });
}

#[test]
fn a_server_that_is_not_there_is_tried_again_and_what_is_missing_needs_a_person() {
    on_a_stream(async |place| {
        let mut definition = place.definition("");
        definition.consumer = "missing".to_owned();
        let error = fails(&definition).await;
        assert!(
            matches!(&error, FetchError::NeedsPerson(said) if said.contains("correct `consumer`")),
            "{error}"
        );
        let mut definition = place.definition("");
        definition.stream = "missing".to_owned();
        let error = fails(&definition).await;
        assert!(
            matches!(&error, FetchError::NeedsPerson(said) if said.contains("correct `stream`")),
            "{error}"
        );
        let mut definition = place.definition("");
        definition.url = "nats://127.0.0.1:1".to_owned();
        assert!(matches!(fails(&definition).await, FetchError::Unavailable(_)));
    });
}

async fn fails(definition: &Consumer) -> FetchError {
    let mut queue = NatsConsumer::open(definition, Format::Ndjson, Clock::system()).unwrap();
    tokio::time::timeout(Duration::from_secs(30), queue.fetch())
        .await
        .unwrap()
        .unwrap_err()
}

#[test]
fn a_pulled_stream_makes_the_books_of_a_file() {
    let Some(broker) = Broker::named(VARIABLE) else { return };
    let place = run(Place::new(&broker, LONG_WAIT));
    let records = records(many());
    run(send_many(&broker, &place.name, &records));
    // A client that only reads and acknowledges, with a consumer of its own.
    let plain = run(read_all(&broker, &place.name, records.len()));
    let definition = format!("kind = \"nats\"\n{}", place.text(&batches()));
    makes_the_books_of_a_file(&definition, &records, Some(plain));
    run(delete(&broker, &place.name));
}

#[test]
fn a_pull_that_is_killed_at_each_point_and_run_again_makes_the_same_books() {
    let Some(broker) = Broker::named(VARIABLE) else { return };
    let own = ["received messages", "sent acknowledgements"];
    survives_a_kill_at_each_point(&own, || NatsFeed(run(Place::new(&broker, LONG_WAIT))));
}

#[test]
fn a_server_that_dies_or_lets_nobody_in_in_the_middle_of_a_pull_loses_nothing() {
    let Some(server) = OwnServer::nats("one") else { return };
    let broker = Broker {
        host: server.host(),
        login: format!("{USER}:one"),
    };
    let ground = Ground::lay(OwnBroker {
        feed: NatsFeed(run(Place::new(&broker, LONG_WAIT))),
        server: Mutex::new(server),
    });
    let points = [
        "fetched part",
        "committed part",
        "sent acknowledgements",
        "acknowledged part#2",
    ];
    survives_the_death_of_its_server(&ground, &points);
    waits_for_a_server_that_is_away(&ground);
    needs_a_person_when_the_secret_was_changed(&ground);
    is_pulled_by_one_process_at_a_time(&ground);
}

/// A stream that goes when the test does.
struct NatsFeed(Place);

/// The same on a server of its own.
struct OwnBroker {
    feed: NatsFeed,
    server: Mutex<OwnServer>,
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
        self.server.lock().unwrap().change_password("two");
        *self.feed.0.login.lock().unwrap() = format!("{USER}:two");
    }

    fn mend_secret(&self) {
        std::fs::write(self.feed.0.password_file(), "two").unwrap();
    }
}

impl Feed for NatsFeed {
    fn definition(&self) -> String {
        let size = format!("max_messages = {BATCH}\nmax_wait_ms = 300");
        format!("kind = \"nats\"\n{}", self.0.text(&size))
    }

    fn send(&self, records: &[String]) {
        run(send_many(&self.0.broker(), &self.0.name, records));
    }

    fn left(&self) -> usize {
        run(async {
            let stream = context(&self.0.broker()).await.get_stream(&self.0.name).await.unwrap();
            let info = stream.consumer_info("usage").await.unwrap();
            let left = usize::try_from(info.num_pending).unwrap() + info.num_ack_pending;
            // Only what a dead client took is delivered again at once.
            let ack_wait = if left == 0 { LONG_WAIT } else { SHORT_WAIT };
            if info.config.ack_wait != ack_wait {
                let config = consumer::pull::Config {
                    durable_name: Some("usage".to_owned()),
                    ack_wait,
                    ..consumer::pull::Config::default()
                };
                stream.create_consumer(config).await.unwrap();
            }
            left
        })
    }
}

impl Drop for NatsFeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        run(delete(&self.0.broker(), &self.0.name));
    }
}

async fn context(broker: &Broker) -> Context {
    let options = match broker.login.split_once(':') {
        Some((user, password)) => ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned()),
        None => ConnectOptions::new(),
    };
    jetstream::new(options.connect(format!("nats://{}", broker.host)).await.unwrap())
}

/// Sends without waiting for each confirmation.
async fn send_many(broker: &Broker, stream: &str, records: &[String]) {
    let context = context(broker).await;
    for some in records.chunks(500) {
        let mut confirmations = Vec::new();
        for record in some {
            confirmations.push(context.publish(stream.to_owned(), record.clone().into()).await.unwrap());
        }
        for confirmation in confirmations {
            confirmation.await.unwrap();
        }
    }
}

/// How long it takes to read and acknowledge so many messages, in seconds.
async fn read_all(broker: &Broker, stream: &str, count: usize) -> f64 {
    use futures_util::StreamExt as _;
    let context = context(broker).await;
    let config = consumer::pull::Config {
        durable_name: Some("plain".to_owned()),
        ..consumer::pull::Config::default()
    };
    let consumer = context
        .get_stream(stream)
        .await
        .unwrap()
        .create_consumer(config)
        .await
        .unwrap();
    let began = std::time::Instant::now();
    let mut read = 0;
    while read < count {
        let mut messages = consumer.fetch().max_messages(500).messages().await.unwrap();
        while let Some(message) = messages.next().await {
            message.unwrap().ack().await.unwrap();
            read += 1;
        }
    }
    began.elapsed().as_secs_f64()
}

async fn delete(broker: &Broker, stream: &str) {
    context(broker).await.delete_stream(stream).await.unwrap();
}
