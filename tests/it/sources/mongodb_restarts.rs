//! Servers of collections that die, change and forget in the middle of a pull.

use mongodb::bson::{Document, doc};

use super::bills::{ROWS, exports_of_a_file, place, pull, tells};
use super::database::run as wait_for;
use super::mongodb_pull::{definition, insert_into};
use super::mongodb_server::MongodbServer;
use super::restarts::ends_in;
use crate::crashes::process::{run, stop_at};
use crate::faults::small::ends;

/// What a definition says of the server: who is gone is given up soon.
fn at(server: &MongodbServer, user: &str) -> String {
    let url = server.url(user);
    format!("url = '{url}?serverSelectionTimeoutMS=1000'\ndatabase = 'mps'\n")
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_pull_and_started_again_is_read_to_the_same_bills() {
    let Some(mut server) = MongodbServer::start_one(&["--sync-on-commit"]) else {
        return;
    };
    let expected = exports_of_a_file();
    for watch in [false, true] {
        let name = format!("watch_{watch}");
        let documents = server.collection("mps", &name);
        insert_into(&documents, 30..ROWS);
        let dir = place(&definition(&at(&server, ""), &name, watch));
        if watch {
            // What comes now comes by the stream.
            ends(&mut pull(dir.path()), 0);
        }
        insert_into(&documents, 0..30);
        for point in ["fetched part#2", "committed part#2"] {
            let between = stop_at(&mut pull(dir.path()), point).unwrap();
            server.kill();
            tells(dir.path(), &between.go_on(), 1, &["source usage"]);
            tells(
                dir.path(),
                &run(&mut pull(dir.path())),
                1,
                &["check that the server is running"],
            );
            server.start();
        }
        ends_in(expected, dir.path(), &name);
    }
}

#[test]
fn a_log_that_the_server_has_forgotten_ends_in_the_overlap_and_the_report_says_so() {
    let Some(server) = MongodbServer::start_one(&["--oplog-max-entries", "20"]) else {
        return;
    };
    let expected = exports_of_a_file();
    let documents = server.collection("mps", "usage");
    // By their dates, the newest are those that come later.
    insert_into(&documents, 0..40);
    let dir = place(&definition(&at(&server, ""), "usage", true));
    ends(&mut pull(dir.path()), 0);
    insert_into(&documents, 40..ROWS);
    // The server looks at its log every 1,000 entries.
    let elsewhere = (0..2_000).map(|number| doc! { "number": number });
    wait_for(server.collection("mps", "elsewhere").insert_many(elsewhere)).unwrap();
    let ended = run(&mut pull(dir.path()));
    tells(
        dir.path(),
        &ended,
        0,
        &["could not be taken up", "was read again from the overlap"],
    );
    ends_in(expected, dir.path(), "forgotten");
}

#[test]
fn a_password_that_is_changed_in_the_middle_of_a_run_needs_a_person_until_its_file_has_it() {
    let Some(mut server) = MongodbServer::start_one(&["--sync-on-commit"]) else {
        return;
    };
    let expected = exports_of_a_file();
    server.admin(
        doc! { "createUser": "reader", "pwd": "first one", "roles": [{ "role": "readAnyDatabase", "db": "admin" }] },
    );
    insert_into(&server.collection("mps", "usage"), 0..ROWS);
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("password");
    std::fs::write(&file, "first one").unwrap();
    let password = format!("password_file = '{}'\n", file.display());
    let dir = place(&definition(&(at(&server, "reader@") + &password), "usage", false));
    let between = stop_at(&mut pull(dir.path()), "committed part#2").unwrap();
    server.admin(doc! { "updateUser": "reader", "pwd": "second one" });
    // Every login is asked for again.
    server.kill();
    server.start();
    let ended = between.go_on();
    assert!(matches!(ended.code, Some(1 | 3)), "{}", ended.said);
    let refused = run(&mut pull(dir.path()));
    tells(
        dir.path(),
        &refused,
        3,
        &["check the user in `url`, its `authSource`, and the password"],
    );
    std::fs::write(&file, "second one").unwrap();
    ends_in(expected, dir.path(), "password");
}

#[test]
fn a_collection_that_is_dropped_in_the_middle_of_a_run_is_told_and_read_when_it_is_there_again() {
    let Some(server) = MongodbServer::start_one(&[]) else {
        return;
    };
    let expected = exports_of_a_file();
    for watch in [false, true] {
        let name = format!("watch_{watch}");
        let documents: mongodb::Collection<Document> = server.collection("mps", &name);
        insert_into(&documents, 0..ROWS);
        let dir = place(&definition(&at(&server, ""), &name, watch));
        let between = stop_at(&mut pull(dir.path()), "committed part#2").unwrap();
        wait_for(documents.drop()).unwrap();
        tells(dir.path(), &between.go_on(), 3, &["there is no collection"]);
        tells(dir.path(), &run(&mut pull(dir.path())), 3, &["there is no collection"]);
        insert_into(&documents, 0..ROWS);
        ends_in(expected, dir.path(), &name);
    }
}
