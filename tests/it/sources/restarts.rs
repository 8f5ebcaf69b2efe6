//! Servers of databases that die, change and forget in the middle of a pull: it goes on, or says what to do, and the bills are those of a
//! file with the same records.

use std::path::Path;

use super::bills::{Exports, exports, exports_of_a_file, place, pull, tells};
use super::database::{Database, databases};
use super::table_pull::{TABLE, definition, fill};
use crate::crashes::books::differences;
use crate::crashes::process::{run, stop_at};
use crate::faults::small::{ends, night};
use crate::servers::private::Server;
use tallybook::storage::ledger::Engine;

/// Servers of the test's own; the suite that runs again on another ledger leaves them out.
fn servers() -> impl Iterator<Item = (Server, Database)> {
    let engines: &[Engine] = if std::env::var_os("TALLYBOOK_TEST_LEDGER").is_some() {
        &[]
    } else {
        &[Engine::Postgres, Engine::MySql]
    };
    engines.iter().filter_map(|engine| {
        let server = Server::start_of(*engine)?;
        let main = if *engine == Engine::Postgres {
            "postgres"
        } else {
            "mysql"
        };
        let database = Database::at(*engine, server.administrators_url(main));
        Some((server, database))
    })
}

/// A last pull, the night, and what it exports.
pub fn ends_in(expected: &Exports, path: &Path, case: &str) {
    ends(&mut pull(path), 0);
    ends(&mut night(path), 0);
    assert!(exports(path) == *expected, "{case}: other bills than those of a file");
    assert_eq!(differences(path), Vec::<String>::new(), "{case}");
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_pull_and_started_again_is_read_to_the_same_bills() {
    for (mut server, database) in servers() {
        let expected = exports_of_a_file();
        fill(&database);
        let dir = place(&definition(&database));
        for point in ["fetched part#2", "committed part#2"] {
            let between = stop_at(&mut pull(dir.path()), point).unwrap();
            server.kill();
            let ended = between.go_on();
            tells(dir.path(), &ended, 1, &["source usage"]);
            tells(
                dir.path(),
                &run(&mut pull(dir.path())),
                1,
                &["check that the server is running"],
            );
            server.start();
        }
        ends_in(expected, dir.path(), database.engine.name());
    }
}

#[test]
fn a_password_that_is_changed_in_the_middle_of_a_run_needs_a_person_until_its_file_has_it() {
    for (server, database) in servers() {
        let expected = exports_of_a_file();
        fill(&database);
        let name = database.name();
        server.administer_in(
            name,
            database.either(
                "CREATE ROLE reader LOGIN PASSWORD 'first one'; GRANT SELECT ON usage_log TO reader",
                "CREATE USER reader IDENTIFIED BY 'first one'; GRANT SELECT ON *.* TO reader",
            ),
        );
        let secrets = tempfile::tempdir().unwrap();
        let file = secrets.path().join("password");
        std::fs::write(&file, "first one").unwrap();
        let dir = place(&format!(
            "kind = '{}'\nurl = '{}'\npassword_file = '{}'\n{TABLE}",
            database.either("postgres", "mysql"),
            database.url_of("reader"),
            file.display()
        ));
        let between = stop_at(&mut pull(dir.path()), "committed part#2").unwrap();
        server.administer_in(
            name,
            database.either(
                "ALTER ROLE reader PASSWORD 'second one'",
                "ALTER USER reader IDENTIFIED BY 'second one'",
            ),
        );
        database.cut_connections();
        assert_eq!(between.go_on().code, Some(1));
        let refused = run(&mut pull(dir.path()));
        tells(
            dir.path(),
            &refused,
            3,
            &["check the user in `url`, and the password where `password_file`"],
        );
        std::fs::write(&file, "second one").unwrap();
        ends_in(expected, dir.path(), database.engine.name());
    }
}

#[test]
fn columns_that_change_in_the_middle_of_a_run_are_told_or_make_no_difference() {
    for database in databases() {
        let expected = exports_of_a_file();
        let rename = |from: &str, to: &str| format!("ALTER TABLE usage_log RENAME COLUMN {from} TO {to}");
        let retype = database.either(
            "ALTER TABLE usage_log ALTER COLUMN ms TYPE numeric(12, 0)",
            "ALTER TABLE usage_log MODIFY ms decimal(12, 0)",
        );
        // What is done, how the pull ends and what it says then, and what a person does.
        let cases: [(String, i32, &str, String); 4] = [
            (
                rename("ms", "milliseconds"),
                3,
                "correct `columns`, `cursor` or `key`",
                rename("milliseconds", "ms"),
            ),
            (
                rename("seen", "at"),
                3,
                "correct `columns`, `cursor` or `key`",
                rename("at", "seen"),
            ),
            (
                retype.to_owned(),
                3,
                "check that it still means the same",
                String::new(),
            ),
            (
                "ALTER TABLE usage_log ADD COLUMN note varchar(9)".to_owned(),
                0,
                "",
                String::new(),
            ),
        ];
        for (change, code, told, mend) in cases {
            fill(&database);
            let dir = place(&definition(&database));
            let between = stop_at(&mut pull(dir.path()), "committed part#2").unwrap();
            database.sql(&change);
            tells(dir.path(), &between.go_on(), code, &[told]);
            if !mend.is_empty() {
                tells(dir.path(), &run(&mut pull(dir.path())), 3, &[told]);
                database.sql(&mend);
            }
            ends_in(expected, dir.path(), &change);
            database.sql("DROP TABLE usage_log");
        }
    }
}
