//! A table that is pulled into books: the bills are those of a file with the same records, whatever kills the program, and two programs
//! at once read it once.

use super::bills::{
    ROWS, ends_in_the_same_bills_wherever_it_is_killed, exports, exports_of_a_file, follow, place, pull, tells, time,
    usage,
};
use super::database::{Database, databases};
use crate::crashes::books::differences;
use crate::crashes::process::{run, stop_at};
use crate::faults::small::{ends, night, says};

pub fn fill(database: &Database) {
    let instant = database.either("timestamptz", "timestamp(6) NULL");
    database.sql(&format!(
        "CREATE TABLE usage_log (id varchar(20) NOT NULL PRIMARY KEY, seen {instant}, owner numeric(20) NOT NULL, app int NOT NULL, \
         kind varchar(20), codec varchar(20), w int, h smallint, ms bigint, done {instant})"
    ));
    let zone = database.either("+00", "");
    let rows: Vec<String> = (0..ROWS)
        .map(|number| {
            let (finished_at, seen) = time(number);
            let (uin, duration_ms) = usage(number);
            format!(
                "('r{number}', '{seen}{zone}', {uin}, 1, 'Standard', 'H264', 1280, 720, {duration_ms}, '{finished_at}{zone}')"
            )
        })
        .collect();
    database.sql(&format!("INSERT INTO usage_log VALUES {}", rows.join(", ")));
}

/// The definition of the table as a source, beside where its database is.
pub const TABLE: &str = "table = 'usage_log'\nfrom = '2024-11-01T00:00:00Z'\ncursor = 'seen'\nkey = 'id'\noverlap = '5s'\npage_rows = 7\n\
     [source.usage.columns]\nid = 'id'\nuin = 'owner'\nappid = 'app'\ntask_type = { value = 'Transcode' }\n\
     parameters.type = 'kind'\nparameters.codec = 'codec'\nparameters.width = 'w'\nparameters.height = 'h'\n\
     duration_ms = 'ms'\nfinished_at = 'done'\n";

pub fn definition(database: &Database) -> String {
    format!(
        "kind = '{}'\n{}",
        database.either("postgres", "mysql"),
        database.toml(TABLE)
    )
}

#[test]
fn the_bills_are_those_of_a_file_with_the_same_records() {
    for database in databases() {
        let expected = exports_of_a_file();
        fill(&database);
        let dir = place(&definition(&database));
        let path = dir.path();
        // The night pulls by itself.
        ends(&mut night(path), 0);
        assert!(
            exports(path) == *expected,
            "{}: other bills than those of the file",
            database.engine.name()
        );
        ends(&mut pull(path), 0);
        ends(&mut night(path), 0);
        assert!(exports(path) == *expected);
        assert_eq!(differences(path), Vec::<String>::new());
    }
}

#[test]
fn what_the_overlap_brings_again_is_told_apart_from_what_is_new() {
    for database in databases() {
        fill(&database);
        let dir = place(&definition(&database));
        let path = dir.path();
        tells(path, &run(&mut pull(path)), 0, &["50 received, 50 stored"]);
        database.sql(
            "INSERT INTO usage_log (id, seen, owner, app, kind, codec, w, h, ms, done) SELECT 'late', MAX(seen), 9, 1, 'Standard', \
             'H264', 1, 1, 1, MAX(done) FROM usage_log",
        );
        // Two rows a second for five seconds and the newest itself, and the late one among them.
        tells(
            path,
            &run(&mut pull(path)),
            0,
            &["13 received (13 again, in the overlap"],
        );
    }
}

#[test]
fn wherever_a_pull_is_killed_the_next_one_goes_on_to_the_same_bills() {
    for database in databases() {
        fill(&database);
        let definition = definition(&database);
        ends_in_the_same_bills_wherever_it_is_killed(|_| place(&definition), |_| ());
    }
}

#[test]
fn a_table_is_pulled_by_one_program_at_a_time_and_a_server_that_cuts_is_asked_again() {
    for database in databases() {
        let expected = exports_of_a_file();
        fill(&database);
        let dir = place(&definition(&database));
        let path = dir.path();
        let first = stop_at(&mut pull(path), "committed part#2").unwrap();
        says(&run(&mut pull(path)), 5, &[]);
        database.cut_connections();
        let ended = first.go_on();
        assert_eq!(ended.code, Some(1), "the source was away: {}", ended.said);
        ends(&mut pull(path), 0);
        ends(&mut night(path), 0);
        assert!(exports(path) == *expected);
    }
}

#[test]
fn a_table_that_is_followed_sends_each_row_once() {
    for database in databases() {
        fill(&database);
        let dir = place(&definition(&database));
        let add = || {
            let columns = "owner, app, kind, codec, w, h, ms, done";
            let new = format!(
                "INSERT INTO usage_log (id, seen, {columns}) SELECT 'new', MAX(seen), 9, 1, 'Standard', 'H264', 1, 1, 1, MAX(done) FROM usage_log"
            );
            database.sql(&new);
        };
        let said = follow(dir.path(), add, "\"received\":1,");
        assert!(said.contains(&format!("\"received\":{ROWS},")), "{said}");
        assert_eq!(said.matches("\"received\"").count(), 2, "{said}");
    }
}
