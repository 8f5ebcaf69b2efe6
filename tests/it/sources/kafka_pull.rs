//! A topic that is pulled into books: the bills are those of a file with the same records, whatever kills the program or its brokers, and two
//! programs at once read it once.

use std::path::Path;
use std::process::Stdio;

use super::bills::{
    ROWS, as_lines, ends_in_the_same_bills_wherever_it_is_killed, exports, exports_of_a_file, follow, place, pull,
    tells,
};
use super::kafka_cluster::Cluster;
use super::restarts::ends_in;
use super::secrets::{Case, leaves_no_secret};
use crate::crashes::books::differences;
use crate::crashes::process::{program, run, stop_at};
use crate::faults::small::{NIGHT, ends, night, says};

/// Partitions of the topic.
const PARTITIONS: usize = 3;

/// The size of its micro-batches: eight of them have the records.
const BATCH: &str = "max_messages = 7\n";

/// The records, one to a message.
fn records() -> Vec<String> {
    as_lines().lines().map(str::to_owned).collect()
}

/// A cluster with so many of them.
fn cluster_with(records: &[String]) -> Cluster {
    let cluster = Cluster::new(i32::try_from(PARTITIONS).unwrap());
    cluster.spread(PARTITIONS, records);
    cluster
}

fn books(cluster: &Cluster, more: &str) -> tempfile::TempDir {
    place(&cluster.definition(&format!("{BATCH}{more}")))
}

#[test]
fn the_bills_are_those_of_a_file_with_the_same_records() {
    let (first, later) = (&records()[..30], &records()[30..]);
    let cluster = cluster_with(first);
    let dir = books(&cluster, "");
    let path = dir.path();
    ends(&mut pull(path), 0);
    tells(path, &run(&mut pull(path)), 0, &[]);
    cluster.spread(PARTITIONS, later);
    // The night pulls by itself.
    ends(&mut night(path), 0);
    assert!(
        exports(path) == *exports_of_a_file(),
        "other bills than those of the file"
    );
    assert_eq!(differences(path), Vec::<String>::new());
}

#[test]
fn wherever_a_pull_is_killed_the_next_one_goes_on_to_the_same_bills() {
    let cluster = cluster_with(&records());
    let definition = cluster.definition(BATCH);
    ends_in_the_same_bills_wherever_it_is_killed(|_| place(&definition), |_| ());
}

#[test]
fn a_topic_is_pulled_by_one_program_at_a_time() {
    let cluster = cluster_with(&records());
    let dir = books(&cluster, "");
    let path = dir.path();
    let first = stop_at(&mut pull(path), "committed part#2").unwrap();
    says(&run(&mut pull(path)), 5, &[]);
    cluster.line.cut();
    assert_eq!(first.go_on().code, Some(0));
    ends_in(exports_of_a_file(), path, "after both");
}

#[test]
fn brokers_that_go_away_in_the_middle_of_a_pull_and_come_back_are_read_to_the_same_bills() {
    let cluster = cluster_with(&records());
    for (point, codes) in [
        ("looked offsets up", &[1][..]),
        // What was fetched before may be all there is.
        ("fetched part#2", &[0, 1]),
        ("committed part#2", &[0, 1]),
    ] {
        let dir = books(&cluster, "");
        let path = dir.path();
        let between = stop_at(&mut pull(path), point).unwrap();
        cluster.mock.broker_down(-1).unwrap();
        let ended = between.go_on();
        assert!(codes.contains(&ended.code.unwrap()), "{point}: {}", ended.said);
        let away = ["topic usage", "check that the brokers are running"];
        tells(path, &run(&mut pull(path)), 1, &away);
        cluster.mock.broker_up(-1).unwrap();
        ends_in(exports_of_a_file(), path, point);
    }
}

#[test]
fn a_password_that_is_changed_in_the_middle_of_a_pull_needs_a_person_until_its_file_has_it() {
    let cluster = cluster_with(&records());
    cluster.line.ask_for("reader", "first one");
    let dir = books(&cluster, &cluster.login("reader", "first one"));
    let path = dir.path();
    let between = stop_at(&mut pull(path), "committed part#2").unwrap();
    cluster.line.ask_for("reader", "second one");
    cluster.line.cut();
    // What was fetched before may be all there is.
    let ended = between.go_on();
    assert!([Some(0), Some(3)].contains(&ended.code), "{}", ended.said);
    tells(
        path,
        &run(&mut pull(path)),
        3,
        &["check `user`, `mechanism`, and the password"],
    );
    std::fs::write(cluster.password_file(), "second one").unwrap();
    ends_in(exports_of_a_file(), path, "a password that was changed");
}

/// The definition with another start.
fn start_again(path: &Path) {
    let settings = path.join("tallybook.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("2024-11-01T00:00:00Z", "2024-11-01T00:00:01Z")).unwrap();
}

#[test]
fn a_topic_that_lost_messages_needs_a_person_and_is_read_again_from_another_time() {
    let all = records();
    let cluster = cluster_with(&all[..40]);
    let dir = books(&cluster, "");
    let path = dir.path();
    ends(&mut pull(path), 0);
    // A topic of the same name, with the newer half alone.
    let new = cluster_with(&all[20..]);
    new.takes_over(&cluster.line);
    for _ in 0..2 {
        tells(
            path,
            &run(&mut pull(path)),
            3,
            &["is not as it was read before", "ends before offset", "set `from`"],
        );
    }
    // Nobody bills past it without a word.
    says(&run(&mut night(path)), 3, &[]);
    let dir = books(&cluster, "");
    let path = dir.path();
    cluster.takes_over(&cluster.line);
    ends(&mut pull(path), 0);
    new.takes_over(&cluster.line);
    tells(path, &run(&mut pull(path)), 3, &["set `from` to another time"]);
    start_again(path);
    cluster.line.is_before_all("2024-11-01T00:00:01Z");
    ends_in(exports_of_a_file(), path, "after it was read again");
}

#[test]
fn messages_that_are_no_records_go_to_quarantine_and_keep_none_waiting() {
    let cluster = Cluster::new(1);
    let (first, later) = (&records()[..20], &records()[20..]);
    cluster.send(0, first);
    for (body, key) in [
        (Some(&b"not a record"[..]), None),
        (Some(&b"\xff\n{}"[..]), None),
        (None, Some(&b"gone"[..])),
    ] {
        cluster.send_one(0, body, key, super::kafka_cluster::SENT);
    }
    cluster.send(0, later);
    let dir = books(&cluster, "");
    let path = dir.path();
    ends(&mut pull(path), 0);
    let listed = program(path, NIGHT, &["quarantine", "list"])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.matches("waits").count(), 3, "{listed}");
    assert!(
        listed.contains("topic usage: 7 messages from usage:0:14 on"),
        "{listed}"
    );
    ends(&mut night(path), 0);
    assert!(
        exports(path) == *exports_of_a_file(),
        "other bills than those of the file"
    );
}

#[test]
fn a_topic_that_is_followed_sends_each_message_once() {
    let all = records();
    let cluster = cluster_with(&all[1..]);
    let dir = books(&cluster, "max_wait_ms = 60000\n");
    let said = follow(dir.path(), || cluster.send(0, &all[..1]), "\"received\":1,");
    assert!(said.contains(&format!("\"received\":{},", ROWS - 1)), "{said}");
    assert_eq!(said.matches("\"received\"").count(), 2, "{said}");
}

#[test]
fn a_topic_of_events_leaves_no_secret_anywhere() {
    const PASSWORD: &str = "a P4ss/w+rd=&%:@9";
    let cluster = Cluster::new(2);
    let events: Vec<String> = super::secrets::events().lines().map(str::to_owned).collect();
    cluster.spread(2, &events);
    cluster.line.ask_for("reader", PASSWORD);
    let user = format!(
        "format = \"mps-events\"\nuin = 7\nappid = 1\n{}",
        cluster.login("reader", PASSWORD)
    );
    let case = Case {
        definition: cluster.definition(&user),
        env: Vec::new(),
        secrets: vec![PASSWORD.to_owned()],
    };
    let said = leaves_no_secret(&case, super::secrets::COMMANDS, |_| ());
    assert!(said.contains("unknown_template"), "{said}");
    cluster.line.ask_for("reader", "another");
    let said = leaves_no_secret(&case, super::secrets::AWAY, |_| ());
    assert!(said.contains("check `user`"), "{said}");
}
