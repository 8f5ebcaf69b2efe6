//! TDMQ for CMQ as a source, against a loopback server that keeps the service's rules.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tallybook::catalog::source::kinds::Kind;
use tallybook::catalog::source::kinds::cmq::Queue;
use tallybook::sources::cmq::CmqQueue;
use tallybook::sources::fetch::{Content, Fetch as _, FetchError, Part};
use tallybook::support::clock::Clock;
use tallybook::values::format::Format;

use super::cmq_server::{CmqServer, Fault, SECRET_ID, SECRET_KEY};
use super::killed::{BATCH, Feed, Ground, pulling, survives_a_kill_at_each_point};
use super::pulled::{batches, exports, exports_of_a_file, makes_the_books_of_a_file, many, records};
use super::server_faults::{
    Breakable, is_pulled_by_one_process_at_a_time, needs_a_person_when_the_secret_was_changed,
    survives_the_death_of_its_server, waits_for_a_server_that_is_away,
};
use crate::crashes::process::run as run_program;
use crate::world::{at, line, run};

/// When the tests play.
const NOW: &str = "2026-11-01T12:00:00Z";

const QUEUE: &str = "usage";

fn server() -> CmqServer {
    CmqServer::start(QUEUE, at(NOW).timestamp())
}

/// A folder with the keys in it, and a definition that names them.
struct Keys(tempfile::TempDir);

impl Keys {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("id"), format!("{SECRET_ID}\n")).unwrap();
        std::fs::write(dir.path().join("key"), SECRET_KEY).unwrap();
        Self(dir)
    }

    fn text(&self, server: &CmqServer, more: &str) -> String {
        format!(
            "endpoint = \"{}\"\nqueue = \"{QUEUE}\"\nsecret_id_file = \"{}\"\nsecret_key_file = \"{}\"\nwarn_age_s = 600\n{more}",
            server.endpoint(),
            self.0.path().join("id").display(),
            self.0.path().join("key").display(),
        )
    }

    fn definition(&self, server: &CmqServer, more: &str) -> Queue {
        let text = self.text(server, more);
        match Kind::read("cmq", toml::from_str(&text).unwrap()).unwrap() {
            Kind::Cmq(queue) => queue,
            other => panic!("{other:?}"),
        }
    }

    fn open(&self, server: &CmqServer, more: &str) -> CmqQueue {
        self.open_as(server, more, Format::Ndjson)
    }

    fn open_as(&self, server: &CmqServer, more: &str, format: Format) -> CmqQueue {
        let now = chrono::DateTime::from_timestamp(server.state().now_s, 0).unwrap();
        CmqQueue::open(&self.definition(server, more), format, Clock::at(now)).unwrap()
    }
}

fn body(number: usize) -> String {
    line(&format!("id-{number}"), 7, "2026-11-01T10:00:00Z", 60_000)
        .trim_end()
        .to_owned()
}

fn lines(part: &Part) -> Vec<String> {
    match &part.content {
        Content::Lines { bytes, .. } => String::from_utf8(bytes.clone())
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect(),
        other => panic!("lines are expected, not {other:?}"),
    }
}

/// Fetches and acknowledges until there is nothing more.
async fn drain(queue: &mut CmqQueue) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(part) = queue.fetch().await.unwrap() {
        found.extend(lines(&part));
        queue.acknowledge().await.unwrap();
    }
    found
}

#[test]
fn messages_are_handed_over_in_batches_and_deleted_when_they_are_acknowledged() {
    let (server, keys) = (server(), Keys::new());
    let bodies: Vec<String> = (0..70).map(body).collect();
    for body in &bodies {
        server.send(QUEUE, body);
    }
    run(async {
        let mut queue = keys.open(&server, "max_messages = 40");
        let part = queue.fetch().await.unwrap().unwrap();
        assert_eq!(part.name, "queue usage of TDMQ for CMQ: 40 messages from CMQ-m-1 on");
        assert_eq!(
            (lines(&part), part.position, part.newest),
            (bodies[..40].to_vec(), None, Some(at(NOW)))
        );
        assert!(part.warnings.is_empty());
        assert_eq!(server.left(QUEUE).len(), 70);
        queue.acknowledge().await.unwrap();
        assert_eq!(server.left(QUEUE), bodies[40..]);
        assert_eq!(drain(&mut queue).await, bodies[40..]);
        assert!(server.left(QUEUE).is_empty());
    });
    // Only a call that has nothing yet waits.
    let waits: Vec<u32> = server.state().calls.iter().filter_map(|(_, wait)| *wait).collect();
    assert_eq!(waits, [3, 0, 0, 3, 0, 0, 3]);
}

#[test]
fn what_is_fetched_and_not_acknowledged_comes_again_when_it_is_not_hidden_any_more() {
    let (server, keys) = (server(), Keys::new());
    server.send(QUEUE, &body(1));
    run(async {
        let mut queue = keys.open(&server, "");
        assert!(queue.fetch().await.unwrap().is_some());
        // Another process, while the message is hidden.
        let mut other = keys.open(&server, "");
        assert!(other.fetch().await.unwrap().is_none());
        server.pass(30);
        assert_eq!(drain(&mut other).await, [body(1)]);
        // The first one comes too late, and says nothing of it.
        queue.acknowledge().await.unwrap();
        queue.acknowledge().await.unwrap();
        assert!(server.left(QUEUE).is_empty());
    });
}

#[test]
fn a_handle_that_is_too_late_deletes_nothing_and_stops_nothing() {
    let (server, keys) = (server(), Keys::new());
    for number in 0..20 {
        server.send(QUEUE, &body(number));
    }
    run(async {
        let mut queue = keys.open(&server, "");
        assert_eq!(lines(&queue.fetch().await.unwrap().unwrap()).len(), 20);
        server.pass(31);
        queue.acknowledge().await.unwrap();
        assert_eq!(server.left(QUEUE).len(), 20);
        assert_eq!(drain(&mut queue).await.len(), 20);
        assert!(server.left(QUEUE).is_empty());
    });
}

#[test]
fn a_fetch_that_is_dropped_in_the_middle_acknowledges_nothing() {
    let (server, keys) = (server(), Keys::new());
    for number in 0..20 {
        server.send(QUEUE, &body(number));
    }
    server.plan("BatchReceiveMessage", [None, Some(Fault::Hold)]);
    run(async {
        let mut queue = keys.open(&server, "");
        tokio::select! {
            part = queue.fetch() => panic!("{part:?}"),
            () = server.held() => {}
        }
        queue.acknowledge().await.unwrap();
        assert_eq!(server.left(QUEUE).len(), 20);
        server.pass(30);
        assert_eq!(drain(&mut queue).await.len(), 20);
    });
}

#[test]
fn a_service_that_is_not_there_is_tried_again_and_one_that_refuses_needs_a_person() {
    let (server, keys) = (server(), Keys::new());
    server.send(QUEUE, &body(1));
    for fault in [
        Fault::CutBefore,
        Fault::Status(503),
        Fault::Garbage,
        Fault::Code(6000),
        Fault::Code(4420),
        Fault::CutAfter,
    ] {
        server.plan("BatchReceiveMessage", [Some(fault)]);
        let error = run(keys.open(&server, "").fetch()).unwrap_err();
        assert!(
            matches!(&error, FetchError::Unavailable(said) if said.ends_with("it is tried again later")),
            "{fault:?}: {error}"
        );
    }
    for code in [4000, 4100, 4300, 4440] {
        server.plan("BatchReceiveMessage", [Some(Fault::Code(code))]);
        let error = run(keys.open(&server, "").fetch()).unwrap_err();
        assert!(
            matches!(&error, FetchError::NeedsPerson(said) if said.contains(&code.to_string())),
            "{error}"
        );
    }
    server.pass(30);
    assert_eq!(run(drain(&mut keys.open(&server, ""))), [body(1)]);
}

#[test]
fn trouble_after_the_first_messages_keeps_them_from_nobody() {
    let (server, keys) = (server(), Keys::new());
    for number in 0..20 {
        server.send(QUEUE, &body(number));
    }
    server.plan("BatchReceiveMessage", [None, Some(Fault::Code(6000))]);
    run(async {
        let mut queue = keys.open(&server, "");
        assert_eq!(lines(&queue.fetch().await.unwrap().unwrap()).len(), 16);
        // The answer to the delete is lost: nobody knows, and asking again is harmless.
        server.plan("BatchDeleteMessage", [Some(Fault::CutAfter)]);
        assert!(matches!(queue.acknowledge().await, Err(FetchError::Unavailable(_))));
        assert_eq!(server.left(QUEUE).len(), 4);
        queue.acknowledge().await.unwrap();
        assert_eq!(drain(&mut queue).await.len(), 4);
    });
}

#[test]
fn a_key_that_is_refused_is_named_by_its_place_and_not_shown() {
    let (server, keys) = (server(), Keys::new());
    std::fs::write(keys.0.path().join("id"), "AKIDunknown").unwrap();
    let error = run(keys.open(&server, "").fetch()).unwrap_err().to_string();
    assert!(
        error.contains("code 4100") && error.contains("`secret_id_*`"),
        "{error}"
    );
    assert!(
        !error.contains("AKIDunknown") && error.contains("SecretId ***"),
        "{error}"
    );
    std::fs::remove_file(keys.0.path().join("key")).unwrap();
    let definition = keys.definition(&server, "");
    let Err(error) = CmqQueue::open(&definition, Format::Ndjson, Clock::at(at(NOW))) else {
        panic!("the key is not there");
    };
    assert!(
        matches!(&error, FetchError::NeedsPerson(said) if said.contains("key")),
        "{error}"
    );
}

#[test]
fn messages_that_near_the_queues_limit_are_warned_of() {
    let (server, keys) = (server(), Keys::new());
    server.state().unacknowledged_s = Some(1200);
    server.send(QUEUE, &body(1));
    server.send(QUEUE, &body(2));
    server.pass(601);
    run(async {
        let part = keys.open(&server, "max_messages = 1").fetch().await.unwrap().unwrap();
        assert_eq!(part.warnings.len(), 1);
        assert!(
            part.warnings[0].contains("601 s old (`warn_age_s` is 600)"),
            "{:?}",
            part.warnings
        );
        // What it warns of: nobody is told when it happens.
        server.pass(600);
        assert!(keys.open(&server, "").fetch().await.unwrap().is_none());
    });
    assert_eq!(server.state().dropped.len(), 2);
}

#[test]
fn an_event_is_handed_over_in_its_message_without_the_handle() {
    let (server, keys) = (server(), Keys::new());
    server.send(QUEUE, "{\"EventType\":\n\"WorkflowTask\"}");
    server.send(QUEUE, "no event at all");
    let part = run(keys.open_as(&server, "", Format::MpsEvents).fetch())
        .unwrap()
        .unwrap();
    assert_eq!(
        lines(&part),
        [
            r#"{"msgId":"CMQ-m-1","msgBody":"{\"EventType\":\n\"WorkflowTask\"}","enqueueTime":1793534400}"#,
            r#"{"msgId":"CMQ-m-2","msgBody":"no event at all","enqueueTime":1793534400}"#,
        ]
    );
    let Err(refused) = CmqQueue::open(&keys.definition(&server, ""), Format::Csv, Clock::at(at(NOW))) else {
        panic!("a message is no CSV");
    };
    assert!(refused.to_string().contains("mps-events"), "{refused}");
}

#[test]
fn a_pulled_queue_makes_the_books_of_a_file() {
    let (server, keys) = (server(), Keys::new());
    let records = records(many());
    for record in &records {
        server.send(QUEUE, record);
    }
    let definition = format!("kind = \"cmq\"\n{}", keys.text(&server, &batches()));
    makes_the_books_of_a_file(&definition, &records, None);
    assert!(server.left(QUEUE).is_empty());
}

#[test]
fn a_pull_that_is_killed_at_each_point_and_run_again_makes_the_same_books() {
    let own = ["received messages", "deleted messages"];
    survives_a_kill_at_each_point(&own, || CmqFeed(server(), Keys::new()));
}

struct CmqFeed(CmqServer, Keys);

impl Feed for CmqFeed {
    fn definition(&self) -> String {
        let size = format!("max_messages = {BATCH}");
        let token = self.1.0.path().join("token");
        let token_file = match &self.0.state().token {
            Some(text) => {
                std::fs::write(&token, text).unwrap();
                format!("token_file = \"{}\"\n", token.display())
            }
            None => String::new(),
        };
        format!("kind = \"cmq\"\n{}", self.1.text(&self.0, &(token_file + &size)))
    }

    fn send(&self, records: &[String]) {
        for record in records {
            self.0.send(QUEUE, record);
        }
    }

    fn left(&self) -> usize {
        // Nothing stays hidden.
        self.0.pass(30);
        self.0.left(QUEUE).len()
    }
}

impl Breakable for CmqFeed {
    fn kill(&self) {
        self.0.stop();
    }

    fn start(&self) {
        self.0.start_again();
    }

    fn change_secret(&self) {
        self.0.state().token = Some("token-2".to_owned());
    }

    fn mend_secret(&self) {
        let token = self.0.state().token.clone().unwrap();
        std::fs::write(self.1.0.path().join("token"), token).unwrap();
    }
}

#[test]
fn a_server_that_dies_or_lets_nobody_in_in_the_middle_of_a_pull_loses_nothing() {
    let feed = CmqFeed(server(), Keys::new());
    feed.0.state().token = Some("token-1".to_owned());
    let ground = Ground::lay(feed);
    let points = [
        "received messages",
        "fetched part",
        "committed part",
        "deleted messages",
        "acknowledged part#2",
    ];
    survives_the_death_of_its_server(&ground, &points);
    waits_for_a_server_that_is_away(&ground);
    needs_a_person_when_the_secret_was_changed(&ground);
    is_pulled_by_one_process_at_a_time(&ground);
}

#[test]
fn a_call_that_fails_at_the_service_ends_a_pull_and_the_next_one_goes_on() {
    let records = records(3 * BATCH);
    let expected = exports_of_a_file(&records);
    let ground = Ground::lay(CmqFeed(server(), Keys::new()));
    for (action, fault) in [
        ("BatchReceiveMessage", Fault::Status(500)),
        ("BatchReceiveMessage", Fault::Status(503)),
        ("BatchReceiveMessage", Fault::Code(4420)),
        ("BatchReceiveMessage", Fault::CutAfter),
        ("BatchDeleteMessage", Fault::Status(500)),
        ("BatchDeleteMessage", Fault::Status(502)),
        ("BatchDeleteMessage", Fault::Code(6000)),
        ("BatchDeleteMessage", Fault::CutBefore),
        ("BatchDeleteMessage", Fault::CutAfter),
    ] {
        for calls_before in 0..3 {
            let place = ground.place(&records);
            let faults = std::iter::repeat_n(None, calls_before).chain([Some(fault)]);
            ground.feed().0.plan(action, faults);
            let ended = run_program(&mut pulling(&place));
            // A receive call that fails after one that brought messages ends their batch alone.
            let is_first_of_a_batch = action == "BatchDeleteMessage" || calls_before % 2 == 0;
            let expected_code = i32::from(is_first_of_a_batch);
            assert_eq!(
                ended.code,
                Some(expected_code),
                "{action} {fault:?} after {calls_before}: {}",
                ended.said
            );
            ground.pull_all(&place).unwrap();
            assert!(exports(&place) == expected, "{action} {fault:?} after {calls_before}");
        }
    }
}

/// What a random history does.
#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    /// Fetches, commits what came, and acknowledges it unless the process dies before.
    Pull {
        dies_before_acknowledging: bool,
    },
    Pass(i64),
    Fault {
        deletes: bool,
        fault: Fault,
    },
    /// A new process: all that the old one knew is gone.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        Just(Fault::CutBefore),
        Just(Fault::CutAfter),
        Just(Fault::Status(502)),
        Just(Fault::Code(6000)),
        Just(Fault::Garbage),
    ];
    prop_oneof![
        3 => (1..40_usize).prop_map(Step::Send),
        4 => any::<bool>().prop_map(|dies_before_acknowledging| Step::Pull { dies_before_acknowledging }),
        1 => (1..40_i64).prop_map(Step::Pass),
        2 => (any::<bool>(), fault).prop_map(|(deletes, fault)| Step::Fault { deletes, fault }),
        1 => Just(Step::Restart),
    ]
}

/// The history, and what is in the books after it: no message may be in neither the queue nor the books.
async fn play(steps: &[Step]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (server, keys) = (server(), Keys::new());
    let (mut sent, mut books) = (BTreeSet::new(), BTreeSet::new());
    let mut queue = keys.open(&server, "max_messages = 20");
    for step in steps {
        match step {
            Step::Send(count) => {
                for _ in 0..*count {
                    let body = body(sent.len());
                    server.send(QUEUE, &body);
                    sent.insert(body);
                }
            }
            Step::Pull {
                dies_before_acknowledging,
            } => {
                if let Ok(Some(part)) = queue.fetch().await {
                    books.extend(lines(&part));
                    if !dies_before_acknowledging {
                        let _ = queue.acknowledge().await;
                    }
                }
            }
            Step::Pass(seconds) => server.pass(*seconds),
            Step::Fault { deletes: true, fault } => server.plan("BatchDeleteMessage", [Some(*fault)]),
            Step::Fault { deletes: false, fault } => server.plan("BatchReceiveMessage", [Some(*fault)]),
            Step::Restart => queue = keys.open(&server, "max_messages = 20"),
        }
        let left: BTreeSet<String> = server.left(QUEUE).into_iter().collect();
        assert!(
            sent.iter().all(|body| left.contains(body) || books.contains(body)),
            "after {step:?}"
        );
    }
    // In the end all of it comes: the faults that are left are used up, and nothing stays hidden.
    for _ in 0..3 * steps.len() + 3 {
        server.pass(30);
        while let Ok(Some(part)) = queue.fetch().await {
            books.extend(lines(&part));
            let _ = queue.acknowledge().await;
        }
    }
    assert!(server.left(QUEUE).is_empty());
    (sent, books)
}

proptest! {
    #![proptest_config(crate::laws::config())]
    #[test]
    fn no_message_is_lost_whatever_is_cut_and_whenever(steps in proptest::collection::vec(step(), 1..12)) {
        let (sent, books) = run(play(&steps));
        prop_assert_eq!(sent, books);
    }
}
