//! What events brought besides usage: for how long it is kept, how it is found, deleted by hand, and put through the door again.

use tallybook::catalog::account::end::reinstate::reinstate;
use tallybook::catalog::account::end::terminate::terminate;
use tallybook::catalog::source::state;
use tallybook::inspect::verify::verify;
use tallybook::pipeline::ingest::payloads::{Listed, PayloadFilter, list};
use tallybook::pipeline::ingest::redrive::{Redrive, Redriven, redrive};
use tallybook::pipeline::retention::payload_deletion::{DeletedPayloads, delete};
use tallybook::storage::ledger::{Entry, Lease, audit_trail, query};

use crate::crashes::play::card;
use crate::crashes::process;
use crate::crashes::process::program;
use crate::world::{Place, at, run};

const SAMPLES: &str = include_str!("../data/events/samples.ndjson");

/// An edit, which has no time of its own: its day is that of its receipt.
pub fn edit(task: &str, session: &str) -> String {
    let sample = SAMPLES.lines().nth(3).unwrap();
    let event = sample
        .replace("1250000001-EditMedia-59f6c2f8d34e8ae37f63518589c857a1", task)
        .replace("\"SessionId\":\"\"", &format!("\"SessionId\":\"{session}\""));
    assert_ne!(event, sample);
    event + "\n"
}

/// Books with the sources `mps` and `other`, of one account, under a card that prices whatever is transcoded.
pub fn place() -> Place {
    let mut place = Place::new();
    std::fs::create_dir_all(place.path().join("cards/c")).unwrap();
    card(place.path(), "0.5", false);
    place.settings().rate_cards = place.path().join("cards");
    "c".clone_into(&mut place.settings().default_card);
    for name in ["mps", "other"] {
        let text = "format = \"mps-events\"\nuin = 100000000000\nappid = 1250000001\n";
        place
            .settings()
            .sources
            .insert(name.to_owned(), toml::from_str(text).unwrap());
    }
    place
}

pub fn drop_event(place: &Place, source: &str, name: &str, text: &str) {
    let folder = place.data().join("drop").join(source);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}

/// Two events of `mps` and one of `other`, received in the night of 2026-01-05.
fn three_events() -> Place {
    let place = place();
    drop_event(
        &place,
        "mps",
        "one.ndjson",
        &(edit("task-1", "session-a") + &edit("task-2", "session-b")),
    );
    drop_event(&place, "other", "two.ndjson", &edit("task-3", "session-a"));
    place.night("2026-01-05T02:00:00Z");
    place
}

pub fn listed(place: &Place, now: &str, filter: &PayloadFilter) -> Vec<Listed> {
    run(async {
        let books = place.books(at(now)).await;
        let listed = list(&books, filter, 1000).await.unwrap();
        books.ledger.close().await;
        listed
    })
}

/// Tasks of the payloads that are kept, each with `-` where its service log is gone.
fn tasks(place: &Place, now: &str) -> Vec<String> {
    let all = listed(place, now, &PayloadFilter::default()).into_iter();
    let mut tasks: Vec<String> = all
        .map(|it| it.task_id + if it.without_service_log { "-" } else { "" })
        .collect();
    tasks.sort();
    tasks
}

pub fn set_state(place: &Place, now: &str, source: &str, is_enabled: bool) {
    run(async {
        let books = place.books(at(now)).await;
        state::set(&books, source, is_enabled, "it moved").await.unwrap();
        books.ledger.close().await;
    });
}

pub fn deleted(place: &Place, now: &str, filter: &PayloadFilter) -> DeletedPayloads {
    run(async {
        let books = place.books(at(now)).await;
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        let deleted = delete(&books, &lease, filter, "the customer asked").await.unwrap();
        lease.release().await.unwrap();
        books.ledger.close().await;
        deleted
    })
}

fn redriven(place: &Place, now: &str, filter: &PayloadFilter) -> Redriven {
    run(async {
        let books = place.books(at(now)).await;
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        let done = redrive(&books, filter, Redrive::Commit(&lease)).await.unwrap();
        lease.release().await.unwrap();
        books.ledger.close().await;
        done
    })
}

fn by_session(session: &str) -> PayloadFilter {
    PayloadFilter {
        session: Some(session.to_owned()),
        ..PayloadFilter::default()
    }
}

fn verified(place: &Place, now: &str) {
    run(async {
        let books = place.books(at(now)).await;
        assert_eq!(verify(&books).await.unwrap().differences, Vec::<String>::new());
        books.ledger.close().await;
    });
}

fn trail(place: &Place, now: &str) -> Vec<Entry> {
    run(async {
        let books = place.books(at(now)).await;
        let trail = audit_trail(&books.ledger).await.unwrap();
        books.ledger.close().await;
        trail
    })
}

/// Rows of deletions as class, subject, rows, why.
fn deletions(place: &Place, now: &str) -> Vec<(String, String, i64, String)> {
    run(async {
        let books = place.books(at(now)).await;
        let rows = query("SELECT class, subject, row_count, why FROM deletion ORDER BY deletion")
            .fetch_all(&books.ledger)
            .await
            .unwrap();
        books.ledger.close().await;
        let texts = |row: &tallybook::storage::ledger::Row| {
            let text = |at| row.try_get::<String>(at).unwrap();
            (text(0), text(1), row.try_get(2).unwrap(), text(3))
        };
        rows.iter().map(texts).collect()
    })
}

#[test]
fn payloads_live_as_long_as_raw_and_lose_their_service_log_with_it() {
    let place = three_events();
    let all = listed(&place, "2026-01-05T02:00:00Z", &PayloadFilter::default());
    assert_eq!(all.len(), 3);
    assert!(
        all.iter()
            .all(|it| it.payload.contains("/a.mp4") && it.uin.as_deref() == Some("100000000000"))
    );
    place.night("2026-02-04T02:00:00Z");
    assert_eq!(tasks(&place, "2026-02-04T02:00:00Z"), ["task-1", "task-2", "task-3"]);
    place.night("2026-02-05T02:00:00Z");
    assert_eq!(tasks(&place, "2026-02-05T02:00:00Z"), ["task-1-", "task-2-", "task-3-"]);
    let bare = listed(&place, "2026-02-05T02:00:00Z", &PayloadFilter::default());
    for it in &bare {
        assert!(
            !it.payload.contains("a.mp4") && it.payload.contains("\"Duration\":1500.12"),
            "{}",
            it.payload
        );
        assert_eq!(it.session_context, "tenant-7");
    }
    verified(&place, "2026-02-05T02:00:00Z");
    place.night("2026-07-04T02:00:00Z");
    assert_eq!(tasks(&place, "2026-07-04T02:00:00Z").len(), 3);
    place.night("2026-07-05T02:00:00Z");
    assert_eq!(tasks(&place, "2026-07-05T02:00:00Z"), Vec::<String>::new());
    let last = deletions(&place, "2026-07-05T02:00:00Z");
    let of_queue: Vec<_> = last.iter().filter(|it| it.0 == "queue").collect();
    assert_eq!(
        of_queue,
        [&("queue".to_owned(), "2026-01-05".to_owned(), 3, "raw".to_owned())]
    );
    verified(&place, "2026-07-05T02:00:00Z");
}

#[test]
fn payloads_of_a_source_go_seven_days_after_it_was_disabled_unless_it_is_enabled_again() {
    let place = three_events();
    set_state(&place, "2026-01-06T12:00:00Z", "mps", false);
    set_state(&place, "2026-01-06T12:00:00Z", "other", false);
    set_state(&place, "2026-01-08T12:00:00Z", "other", true);
    place.night("2026-01-12T02:00:00Z");
    assert_eq!(tasks(&place, "2026-01-12T02:00:00Z").len(), 3);
    place.night("2026-01-13T02:00:00Z");
    assert_eq!(tasks(&place, "2026-01-13T02:00:00Z"), ["task-3"]);
    let gone = (
        "queue".to_owned(),
        "2026-01-05".to_owned(),
        2,
        "source_disabled".to_owned(),
    );
    assert!(deletions(&place, "2026-01-13T02:00:00Z").contains(&gone));
    verified(&place, "2026-01-13T02:00:00Z");
}

#[test]
fn payloads_of_an_account_go_seven_days_after_it_ended_unless_that_is_taken_back() {
    const UIN: u64 = 100_000_000_000;
    for (is_taken_back, left) in [(true, 3), (false, 0)] {
        let place = three_events();
        run(async {
            let books = place.books(at("2026-01-06T02:00:00Z")).await;
            let lease = Lease::take(&books.ledger, "test").await.unwrap();
            let end_day = "2026-01-06".parse().unwrap();
            terminate(&books, &lease, UIN, end_day, "it moves").await.unwrap();
            if is_taken_back {
                reinstate(&books, &lease, UIN, "it stays").await.unwrap();
            }
            lease.release().await.unwrap();
            books.ledger.close().await;
        });
        place.night("2026-01-12T02:00:00Z");
        assert_eq!(tasks(&place, "2026-01-12T02:00:00Z").len(), 3);
        place.night("2026-01-13T02:00:00Z");
        assert_eq!(tasks(&place, "2026-01-13T02:00:00Z").len(), left);
        let gone = (
            "queue".to_owned(),
            "2026-01-05".to_owned(),
            3,
            "account_ended".to_owned(),
        );
        assert_eq!(
            deletions(&place, "2026-01-13T02:00:00Z").contains(&gone),
            !is_taken_back
        );
        verified(&place, "2026-01-13T02:00:00Z");
    }
}

#[test]
fn a_person_deletes_a_session_and_the_audit_trail_does_not_keep_what_it_was() {
    let place = three_events();
    let now = "2026-01-06T12:00:00Z";
    let found = listed(&place, now, &by_session("session-a"));
    assert_eq!(found.len(), 2);
    assert_eq!(deleted(&place, now, &by_session("session-a")).payloads, 2);
    assert_eq!(tasks(&place, now), ["task-2"]);
    assert_eq!(
        deleted(&place, now, &by_session("session-a")),
        DeletedPayloads::default()
    );
    let trail = trail(&place, now);
    let entry = trail.iter().find(|entry| entry.action == "payloads delete").unwrap();
    assert_eq!(entry.reason, "the customer asked");
    assert!(
        !serde_json::to_string(entry).unwrap().contains("session-a"),
        "{entry:?}"
    );
    let by_hand = deletions(&place, now);
    assert_eq!(
        by_hand
            .iter()
            .filter(|it| it.3 == "by_hand")
            .map(|it| it.2)
            .sum::<i64>(),
        2
    );
    let night = place.night("2026-01-07T02:00:00Z");
    assert!(night.needs_person.is_empty(), "{:?}", night.needs_person);
    let folder = place.data().join("payload/day=2026-01-05");
    assert_eq!(
        std::fs::read_dir(folder).unwrap().count(),
        1,
        "files that nothing names are gone"
    );
    verified(&place, "2026-01-07T02:00:00Z");
}

#[test]
fn a_redrive_gives_duplicates_once_and_changes_no_usage() {
    let place = three_events();
    let before = usage_rows(&place, "2026-01-06T02:00:00Z");
    let all = PayloadFilter::default();
    let done = redriven(&place, "2026-01-06T12:00:00Z", &all);
    assert_eq!((done.events, done.records, done.batches.len()), (3, 3, 2), "{done:?}");
    let again = redriven(&place, "2026-01-06T13:00:00Z", &all);
    assert_eq!(
        (again.records, again.known, again.batches.len()),
        (0, 3, 0),
        "{again:?}"
    );
    let night = place.night("2026-01-07T02:00:00Z");
    assert!(
        night.needs_person.is_empty() && night.metered.conflicts == 0,
        "{:?}",
        night.needs_person
    );
    assert_eq!(usage_rows(&place, "2026-01-07T02:00:00Z"), before);
    assert_eq!(
        tasks(&place, "2026-01-07T02:00:00Z").len(),
        3,
        "what is kept is kept once"
    );
    // Without the service log the identities and the content are the same.
    place.night("2026-02-05T02:00:00Z");
    let bare = redriven(&place, "2026-02-05T12:00:00Z", &all);
    assert_eq!((bare.events, bare.records), (3, 3), "{bare:?}");
    let night = place.night("2026-02-06T02:00:00Z");
    assert_eq!(night.metered.conflicts, 0);
    assert_eq!(usage_rows(&place, "2026-02-06T02:00:00Z"), before);
    verified(&place, "2026-02-06T02:00:00Z");
}

#[test]
fn a_redrive_reads_by_the_definition_of_now() {
    let mut place = three_events();
    // Since then the applications of the source are those of another account: other content under the same identity.
    let text = "format = \"mps-events\"\nuin = 100000000009\nappid = 1250000001\n";
    place
        .settings()
        .sources
        .insert("mps".to_owned(), toml::from_str(text).unwrap());
    place.night("2026-01-06T02:00:00Z");
    let done = redriven(&place, "2026-01-06T12:00:00Z", &PayloadFilter::default());
    assert_eq!(done.records, 3);
    let night = place.night("2026-01-07T02:00:00Z");
    assert_eq!(night.metered.conflicts, 2, "the two events of mps");
}

/// Sums of usage, to be compared.
fn usage_rows(place: &Place, now: &str) -> Vec<String> {
    run(async {
        let books = place.books(at(now)).await;
        let (from, to) = ("2026-01-01".parse().unwrap(), "2026-03-01".parse().unwrap());
        let usage = tallybook::inspect::usage::usage(&books.ledger, 100_000_000_000, from, to)
            .await
            .unwrap();
        books.ledger.close().await;
        usage.iter().map(|row| serde_json::to_string(row).unwrap()).collect()
    })
}

#[test]
fn events_of_a_day_that_has_expired_are_refused_by_a_redrive() {
    let place = three_events();
    place.night("2026-02-10T02:00:00Z");
    place.night("2026-07-04T02:00:00Z");
    std::fs::create_dir_all(place.path().join("sources")).unwrap();
    for name in ["mps", "other"] {
        let text = "format = \"mps-events\"\nuin = 100000000000\nappid = 1250000001\n";
        std::fs::write(place.path().join(format!("sources/{name}.toml")), text).unwrap();
    }
    // The program dies when raw has gone and the events have not.
    let now = "2026-07-05T02:00:00Z";
    let mut night = program(place.path(), now, &["nightly"]);
    process::stop_at(&mut night, "expire_queue.before_commit")
        .unwrap()
        .kill();
    let mut redrive = program(place.path(), now, &["source", "redrive", "mps", "--json"]);
    let output = redrive.stdout(std::process::Stdio::piped()).output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!((output.status.code(), &told["records"]), (Some(3), &0.into()), "{told}");
    assert_eq!(told["refused"].as_array().unwrap().len(), 2, "{told}");
    assert!(
        told["refused"][0]["sentence"].as_str().unwrap().contains("expired"),
        "{told}"
    );
    let ended = process::run(&mut program(place.path(), now, &["nightly"]));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(tasks(&place, now), Vec::<String>::new());
}
