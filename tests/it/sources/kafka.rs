//! A topic of Kafka as a source, beside librdkafka's mock cluster.

use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use tallybook::sources::fetch::{Content, Fetch as _, FetchError, Part};
use tallybook::sources::kafka::KafkaTopic;
use tallybook::support::clock::Clock;
use tallybook::values::format::Format;

use super::broker::{bodies, body, drain, lines, sorted};
use super::kafka_cluster::{Cluster, FROM, SENT, TOPIC, topic_of};
use crate::world::{at, run};

/// Less than the client waits for a broker that says nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// A body so large that a partition of the mock cluster holds five of them.
const LARGE: usize = 950_000;

fn open_at(cluster: &Cluster, more: &str, position: Option<&str>) -> KafkaTopic {
    open_as(cluster, more, position, Format::Ndjson)
}

fn open_as(cluster: &Cluster, more: &str, position: Option<&str>, format: Format) -> KafkaTopic {
    let topic = topic_of(&cluster.definition(more));
    KafkaTopic::open(&topic, format, FROM, position, Clock::system()).unwrap()
}

fn open(cluster: &Cluster, more: &str) -> KafkaTopic {
    open_at(cluster, more, None)
}

/// Reads all there is: the lines, and the position after them.
async fn read_all(topic: &mut KafkaTopic) -> (Vec<String>, Option<String>) {
    let (mut found, mut position) = (Vec::new(), None);
    while let Some(part) = topic.fetch().await.unwrap() {
        if !matches!(part.content, Content::Nothing) {
            found.extend(lines(&part));
        }
        position = part.position;
        topic.acknowledge().await.unwrap();
    }
    (found, position)
}

/// What a person must do about a topic that is read from a position.
fn needs_a_person(cluster: &Cluster, more: &str, position: Option<&str>) -> String {
    let mut topic = open_at(cluster, more, position);
    match run(read_to_trouble(&mut topic)) {
        FetchError::NeedsPerson(said) => said,
        other => panic!("{other:?}"),
    }
}

async fn read_to_trouble(topic: &mut KafkaTopic) -> FetchError {
    loop {
        match topic.fetch().await {
            Ok(Some(_)) => topic.acknowledge().await.unwrap(),
            Ok(None) => panic!("it was read to its end"),
            Err(error) => return error,
        }
    }
}

fn first_part(topic: &mut KafkaTopic) -> Part {
    run(async { topic.fetch().await.unwrap().unwrap() })
}

#[test]
fn messages_of_all_partitions_are_handed_over_in_batches_and_come_once() {
    let cluster = Cluster::new(3);
    cluster.spread(3, &bodies(70));
    run(async {
        let mut topic = open(&cluster, "max_messages = 40");
        let part = topic.fetch().await.unwrap().unwrap();
        assert_eq!((lines(&part).len(), part.warnings.clone()), (40, Vec::new()));
        assert!(
            part.name.starts_with("topic usage: 40 messages from usage:"),
            "{}",
            part.name
        );
        assert_eq!(part.newest.map(|at| at.timestamp_millis()), Some(SENT));
        topic.acknowledge().await.unwrap();
        topic.acknowledge().await.unwrap();
        let mut found = lines(&part);
        let (later, position) = read_all(&mut topic).await;
        found.extend(later);
        for partition in 0..3 {
            let of_partition = |number: &usize| number % 3 == partition;
            let sent: Vec<String> = (0..70).filter(of_partition).map(body).collect();
            let in_order: Vec<&String> = found.iter().filter(|line| sent.contains(line)).collect();
            assert_eq!(in_order, sent.iter().collect::<Vec<_>>(), "partition {partition}");
        }
        assert_eq!(sorted(found), sorted(bodies(70)));
        let position = position.unwrap();
        assert!(
            position.starts_with(r#"{"0":{"next":24,"last":{"offset":23,"digest":""#),
            "{position}"
        );
        assert!(topic.fetch().await.unwrap().is_none());
        // Another pull goes on there.
        cluster.send(1, &[body(70)]);
        let mut later = open_at(&cluster, "", Some(&position));
        assert_eq!(drain(&mut later).await, [body(70)]);
    });
}

#[test]
fn what_is_fetched_and_not_acknowledged_comes_again() {
    let cluster = Cluster::new(1);
    cluster.send(0, &bodies(30));
    run(async {
        let mut topic = open(&cluster, "max_messages = 10");
        for _ in 0..3 {
            assert_eq!(lines(&topic.fetch().await.unwrap().unwrap()), bodies(10));
        }
        topic.acknowledge().await.unwrap();
        assert_eq!(lines(&topic.fetch().await.unwrap().unwrap()), bodies(20)[10..]);
        assert_eq!(drain(&mut topic).await, bodies(30)[10..]);
    });
}

#[test]
fn a_pull_ends_with_what_there_was_when_it_began() {
    let cluster = Cluster::new(2);
    cluster.send(0, &bodies(20));
    run(async {
        let mut topic = open(&cluster, "max_messages = 10");
        let mut found = lines(&topic.fetch().await.unwrap().unwrap());
        topic.acknowledge().await.unwrap();
        cluster.send(0, &bodies(30)[20..]);
        cluster.send(1, &[body(99)]);
        let (later, position) = read_all(&mut topic).await;
        found.extend(later);
        assert_eq!(found, bodies(20));
        let mut next = open_at(&cluster, "", position.as_deref());
        assert_eq!(
            sorted(drain(&mut next).await),
            sorted([bodies(30)[20..].to_vec(), vec![body(99)]].concat())
        );
    });
}

#[test]
fn a_partition_without_a_message_since_from_waits_for_one() {
    let cluster = Cluster::new(2);
    cluster.send(0, &bodies(5));
    run(async {
        // For the mock cluster itself no message is late enough.
        cluster.line.is_before_all("2000-01-01T00:00:00Z");
        let mut topic = open(&cluster, "");
        let part = topic.fetch().await.unwrap().unwrap();
        assert!(matches!(part.content, Content::Nothing));
        assert_eq!(
            part.position.as_deref(),
            Some(r#"{"0":{"next":5,"waits":true},"1":{"next":0,"waits":true}}"#)
        );
        topic.acknowledge().await.unwrap();
        assert!(topic.fetch().await.unwrap().is_none());
        // What comes then is late enough; what was there before is not.
        cluster.line.is_before_all(FROM);
        cluster.send(0, &bodies(7)[5..]);
        let mut later = open_at(&cluster, "", part.position.as_deref());
        assert_eq!(drain(&mut later).await, bodies(7)[5..]);
    });
}

#[test]
fn an_event_has_its_message_around_it_and_a_message_without_content_is_refused_later() {
    let cluster = Cluster::new(1);
    cluster.send_one(0, Some(b"{\"EventType\":\"WorkflowTask\"}"), None, SENT + 1_999);
    cluster.send_one(0, None, Some(b"key"), SENT);
    cluster.send_one(0, Some(b"\xff"), None, SENT);
    cluster.flush();
    let part = first_part(&mut open_as(&cluster, "", None, Format::MpsEvents));
    assert_eq!(
        lines(&part),
        [
            r#"{"msgId":"usage:0:0","msgBody":"{\"EventType\":\"WorkflowTask\"}","enqueueTime":1793491201}"#,
            r#"{"msgId":"usage:0:1","msgBody":"","enqueueTime":1793491200}"#,
            r#"{"msgId":"usage:0:2","msgBodyBytes":1,"enqueueTime":1793491200}"#,
        ]
    );
}

#[test]
fn messages_that_the_topic_dropped_are_told_and_nothing_is_read_past_them() {
    let cluster = Cluster::new(2);
    let large: Vec<String> = (0..8)
        .map(|number| format!("{{\"id\":\"{number}\",\"x\":\"{}\"}}", "x".repeat(LARGE)))
        .collect();
    cluster.send(0, &large[..2]);
    let mut topic = open(&cluster, "");
    let (found, position) = run(read_all(&mut topic));
    assert_eq!(found.len(), 2);
    cluster.send(0, &large[2..]);
    let (low, high) = cluster.offsets(0);
    assert!(2 < low && high == 8, "{low} to {high}");
    let said = needs_a_person(&cluster, "", position.as_deref());
    let told = format!(
        "topic usage dropped messages before they were read: offsets 2 to {} of partition 0.",
        low - 1
    );
    assert!(
        said.starts_with(&told) && said.contains("set `from` to another time"),
        "{said}"
    );
    // From its start it is read again, and what is missing there is told.
    let part = first_part(&mut open(&cluster, ""));
    assert!(
        part.warnings[0].contains(&format!("partition 0 begins at offset {low}")),
        "{:?}",
        part.warnings
    );
}

#[test]
fn messages_that_the_topic_drops_while_it_is_read_are_told() {
    let cluster = Cluster::new(1);
    let large = vec![format!("{{\"x\":\"{}\"}}", "x".repeat(LARGE)); 12];
    cluster.send(0, &large[..5]);
    let mut topic = open(&cluster, "max_messages = 1");
    run(async {
        // The brokers are asked for more than is there when the client comes to it.
        cluster.mock.request_errors(
            RDKafkaApiKey::Fetch,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE],
        );
        let error = read_to_trouble(&mut topic).await;
        assert!(
            matches!(&error, FetchError::NeedsPerson(said) if said.contains("pull again, which says the offsets")),
            "{error:?}"
        );
    });
}

/// The position after all that a cluster has was read.
fn position_of(cluster: &Cluster) -> String {
    run(read_all(&mut open(cluster, ""))).1.unwrap()
}

#[test]
fn a_topic_that_was_made_anew_is_told() {
    let old = Cluster::new(2);
    old.spread(2, &bodies(20));
    let position = position_of(&old);
    let others: Vec<String> = (100..140).map(body).collect();
    for (partitions, sent, told) in [
        (2, &others[..], "the message at offset 9 of partition"),
        (
            2,
            &others[..10],
            "partition 0 ends before offset 5, and was read up to 10",
        ),
        (2, &[], "partition 0 ends before offset 0, and was read up to 10"),
        (1, &others[..], "it has no partition 1 any more"),
    ] {
        let new = Cluster::new(partitions);
        new.spread(usize::try_from(partitions).unwrap(), sent);
        new.takes_over(&old.line);
        let said = needs_a_person(&old, "", Some(&position));
        assert!(
            said.contains("is not as it was read before") && said.contains(told),
            "{said}"
        );
    }
    // It is the messages that count, not the servers.
    let moved = Cluster::new(2);
    moved.spread(2, &bodies(30));
    moved.takes_over(&old.line);
    let found = run(drain(&mut open_at(&old, "", Some(&position))));
    assert_eq!(sorted(found), sorted(bodies(30)[20..].to_vec()));
}

#[test]
fn partitions_that_a_topic_is_given_are_read_from_their_beginning() {
    let small = Cluster::new(1);
    small.send(0, &bodies(10));
    let position = position_of(&small);
    let large = Cluster::new(3);
    large.send(0, &bodies(10));
    large.send(2, &bodies(20)[10..]);
    large.takes_over(&small.line);
    // Whatever `from` says: it is known that nothing was there before.
    small.line.is_before_all("2000-01-01T00:00:00Z");
    let (found, position) = run(read_all(&mut open_at(&small, "", Some(&position))));
    assert_eq!(found, bodies(20)[10..]);
    assert!(position.unwrap().contains(r#""1":{"next":0}"#));
}

#[test]
fn brokers_that_are_away_are_waited_for() {
    let cluster = Cluster::new(1);
    cluster.send(0, &bodies(40));
    run(async {
        let mut topic = open(&cluster, "max_messages = 10");
        let mut found = lines(&topic.fetch().await.unwrap().unwrap());
        topic.acknowledge().await.unwrap();
        // A connection that is cut is made again.
        cluster.line.cut();
        found.extend(lines(&topic.fetch().await.unwrap().unwrap()));
        topic.acknowledge().await.unwrap();
        let later = open(&cluster, "");
        cluster.mock.broker_down(-1).unwrap();
        for mut topic in [later, open(&cluster, "")] {
            let error = topic.fetch().await.unwrap_err();
            assert!(
                matches!(&error, FetchError::Unavailable(said) if said.contains("check that the brokers are running")),
                "{error:?}"
            );
        }
        cluster.mock.broker_up(-1).unwrap();
        found.extend(drain(&mut topic).await);
        assert_eq!(found, bodies(40));
    });
}

#[test]
fn a_broker_that_goes_away_in_the_middle_of_a_pull_ends_it() {
    let cluster = Cluster::new(1);
    let large = vec![format!("{{\"x\":\"{}\"}}", "x".repeat(LARGE)); 5];
    cluster.send(0, &large);
    run(async {
        cluster.mock.request_errors(
            RDKafkaApiKey::Fetch,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT; 1_000],
        );
        let mut topic = open(&cluster, "");
        let error = topic.fetch().await.unwrap_err();
        assert!(matches!(error, FetchError::Unavailable(_)), "{error:?}");
        cluster.mock.clear_request_errors(RDKafkaApiKey::Fetch);
        assert_eq!(drain(&mut topic).await, large);
    });
}

#[test]
fn what_passes_by_itself_is_nothing_to_tell() {
    let cluster = Cluster::of(3, 3);
    cluster.spread(3, &bodies(60));
    let position = r#"{"0":{"next":0},"1":{"next":0},"2":{"next":0}}"#;
    let brokers = cluster.mock.bootstrap_servers().replace(',', "\", \"");
    let definition = cluster
        .definition("max_messages = 20")
        .replace(&cluster.line.host, &brokers);
    let topic = topic_of(&definition);
    run(async {
        let mut topic = KafkaTopic::open(&topic, Format::Ndjson, FROM, Some(position), Clock::system()).unwrap();
        for key in [RDKafkaApiKey::ListOffsets, RDKafkaApiKey::Fetch] {
            cluster.mock.request_errors(
                key,
                &[
                    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                    RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
                ],
            );
        }
        let mut found = lines(&topic.fetch().await.unwrap().unwrap());
        topic.acknowledge().await.unwrap();
        for partition in 0..3 {
            cluster
                .mock
                .partition_leader(TOPIC, partition, Some(1 + (partition + 1) % 3))
                .unwrap();
        }
        found.extend(drain(&mut topic).await);
        assert_eq!(sorted(found), sorted(bodies(60)));
    });
}

#[test]
fn a_topic_that_is_missing_or_forbidden_needs_a_person_and_is_never_made() {
    let cluster = Cluster::new(1);
    let definition = cluster.definition("").replace("\"usage\"", "\"usages\"");
    let topic = topic_of(&definition);
    let mut topic = KafkaTopic::open(&topic, Format::Ndjson, FROM, None, Clock::system()).unwrap();
    let error = run(topic.fetch()).unwrap_err();
    assert!(
        matches!(&error, FetchError::NeedsPerson(said) if said.contains("create the topic, or correct `topic`")),
        "{error:?}"
    );
    let metadata = cluster.client("looks").fetch_metadata(None, PATIENCE).unwrap();
    assert_eq!(
        metadata
            .topics()
            .iter()
            .map(rdkafka::metadata::MetadataTopic::name)
            .collect::<Vec<_>>(),
        [TOPIC]
    );
    let forbidden = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.mock.topic_error(TOPIC, forbidden).unwrap();
    let said = needs_a_person(&cluster, "", None);
    assert!(said.contains("let the user describe and read the topic"), "{said}");
}

#[test]
fn a_user_signs_in_with_the_password_of_a_file() {
    let cluster = Cluster::new(1);
    cluster.send(0, &bodies(3));
    cluster.line.ask_for("reader", "a P4ss/w+rd=&%:@9");
    let login = cluster.login("reader", "a P4ss/w+rd=&%:@9");
    assert_eq!(run(drain(&mut open(&cluster, &login))), bodies(3));
    std::fs::write(cluster.password_file(), "another P4ss").unwrap();
    let said = needs_a_person(&cluster, &login, None);
    assert!(
        said.contains("check `user`, `mechanism`, and the password") && !said.contains("another P4ss"),
        "{said}"
    );
    let said = needs_a_person(&cluster, &login.replace("reader", "nobody"), None);
    assert!(said.contains("check `user`"), "{said}");
    std::fs::remove_file(cluster.password_file()).unwrap();
    assert!(needs_a_person(&cluster, &login, None).contains("which should hold a secret, cannot be read"));
}

#[test]
fn certificates_that_cannot_be_read_need_a_person() {
    let cluster = Cluster::new(1);
    let definition = cluster
        .definition("ca_file = \"/nowhere/ca.pem\"")
        .replace("tls = false\n", "");
    let topic = topic_of(&definition);
    let mut topic = KafkaTopic::open(&topic, Format::Ndjson, FROM, None, Clock::system()).unwrap();
    let error = run(topic.fetch()).unwrap_err();
    assert!(
        matches!(&error, FetchError::NeedsPerson(said) if said.contains("/nowhere/ca.pem, which `ca_file` names")),
        "{error:?}"
    );
}

#[test]
fn no_group_is_told_how_far_was_read() {
    let cluster = Cluster::new(1);
    cluster.send(0, &bodies(9));
    // Whoever may not read the group may read the topic.
    cluster.mock.request_errors(
        RDKafkaApiKey::FindCoordinator,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 9],
    );
    assert_eq!(run(drain(&mut open(&cluster, "max_messages = 4"))), bodies(9));
    cluster.mock.clear_request_errors(RDKafkaApiKey::FindCoordinator);
    let mut asked = TopicPartitionList::new();
    asked.add_partition(TOPIC, 0);
    let committed = cluster.client("tallybook").committed_offsets(asked, PATIENCE).unwrap();
    assert_eq!(committed.elements()[0].offset(), Offset::Invalid);
}

#[test]
fn old_messages_are_warned_of_where_the_definition_says_what_old_is() {
    let cluster = Cluster::new(1);
    cluster.send(0, &bodies(3));
    let clock = at("2026-11-01T01:00:00Z");
    for (limit, warned) in [("", 0), ("warn_age_s = 3600", 0), ("warn_age_s = 3599", 1)] {
        let topic = topic_of(&cluster.definition(limit));
        let mut topic = KafkaTopic::open(&topic, Format::Ndjson, FROM, None, Clock::at(clock)).unwrap();
        let part = first_part(&mut topic);
        assert_eq!(part.warnings.len(), warned, "{limit}: {:?}", part.warnings);
        assert!(
            part.warnings
                .iter()
                .all(|said| said.contains("3600 s old") && said.contains("`retention.ms`"))
        );
    }
}

#[test]
fn what_a_topic_cannot_be_read_as_is_refused() {
    let cluster = Cluster::new(1);
    let topic = topic_of(&cluster.definition(""));
    for (format, from, position, said) in [
        (Format::Csv, FROM, None, "set `format` to ndjson"),
        (Format::Ndjson, "7", None, "`from` is 7; a time with an offset"),
        (Format::Ndjson, FROM, Some("{\"cursor\":\"7\"}"), "none of its kind"),
    ] {
        let refused = KafkaTopic::open(&topic, format, from, position, Clock::system())
            .map(|_| ())
            .unwrap_err();
        assert!(
            matches!(&refused, FetchError::NeedsPerson(what) if what.contains(said)),
            "{refused:?}"
        );
    }
}
