//! The version of the ledger's tables: made once, brought up, and refused where this program does not know it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use crate::crashes::books::{dump, with_books};
use crate::crashes::process::{program, run};
use crate::faults::small::{NIGHT, ends, night, place, says};
use crate::ledgers::{engine, execute, is_embedded, literal};
use tallybook::storage::ledger::{Engine, Value, query};
use tallybook::values::digest::sha256_hex;

/// The version that this program knows.
fn known() -> usize {
    let dialect = match engine() {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
        Engine::MySql => "mysql",
    };
    let steps = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
    // Numbers have gaps.
    let number = |name: &str| name.split('_').next()?.parse().ok();
    let steps = std::fs::read_dir(steps).unwrap();
    let numbers = steps.filter_map(|step| number(step.unwrap().file_name().to_str()?));
    numbers.max().unwrap()
}

/// A ledger whose tables were made by another text of a migration is refused, so that what was merged stays as it is.
#[test]
fn a_migration_is_never_changed_after_it_was_merged() {
    if !is_embedded() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = std::fs::read_to_string(root.join("tests/data/migrations.sha256")).unwrap();
    let listed: BTreeMap<&str, &str> = listed
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(digest, path)| (path, digest))
        .collect();
    for (path, digest) in &listed {
        let text = std::fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path} was removed: {error}"));
        assert_eq!(
            &sha256_hex(&text),
            digest,
            "{path} was changed: put the change into a new migration"
        );
    }
    for dialect in ["sqlite", "postgres", "mysql"] {
        for step in std::fs::read_dir(root.join("migrations").join(dialect)).unwrap() {
            let path = format!("migrations/{dialect}/{}", step.unwrap().file_name().to_str().unwrap());
            assert!(
                listed.contains_key(&*path),
                "{path} is new: add its line of `sha256sum` to tests/data/migrations.sha256"
            );
        }
    }
}

/// What `migrate` prints.
fn migrate(command: &mut std::process::Command) -> String {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn migrate_makes_the_tables_and_says_their_version() {
    let place = place();
    let migrate_with = |args: &[&str]| migrate(&mut program(place.path(), NIGHT, args));
    let made = migrate_with(&["migrate"]);
    if is_embedded() {
        assert_eq!(
            made,
            format!("created the tables of the SQLite ledger: version {}\n", known())
        );
    }
    let again = migrate_with(&["migrate"]);
    assert!(
        again.ends_with(&format!("ledger are up to date: version {}\n", known())),
        "{again}"
    );
    let json: serde_json::Value = serde_json::from_str(&migrate_with(&["migrate", "--json"])).unwrap();
    assert_eq!((&json["before"], &json["version"]), (&known().into(), &known().into()));
}

/// Every command is refused, and after the ledger was put right the books are what they were.
fn refused(path: &Path, words: &[&str], put_right: &str) {
    for args in [&["status"][..], &["migrate"], &["nightly"], &["ingest", "in/a.ndjson"]] {
        says(&run(&mut program(path, NIGHT, args)), 3, words);
    }
    execute(path, put_right);
}

fn place_after_a_night() -> (tempfile::TempDir, String) {
    let place = place();
    std::fs::write(place.path().join("in/a.ndjson"), "").unwrap();
    ends(&mut night(place.path()), 0);
    let books = dump(place.path());
    (place, books)
}

#[test]
fn a_ledger_of_a_newer_program_is_refused_and_not_touched() {
    let (place, books) = place_after_a_night();
    let checksum = literal(&Value::Bytes(vec![1, 2]));
    execute(
        place.path(),
        &format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9001, 'to come', TRUE, {checksum}, 1)"
        ),
    );
    refused(
        place.path(),
        &[
            "version 9001",
            &format!("versions up to {}", known()),
            "install the newer program",
        ],
        "DELETE FROM _sqlx_migrations WHERE version = 9001",
    );
    assert!(dump(place.path()) == books);
}

#[test]
fn a_ledger_of_another_build_is_refused_with_the_cure() {
    let (place, books) = place_after_a_night();
    let right: Vec<u8> = with_books(place.path(), async |books| {
        let sql = "SELECT checksum FROM _sqlx_migrations WHERE version = 4";
        query(sql).fetch_one(&books.ledger).await.unwrap().try_get(0).unwrap()
    });
    let set = |checksum| {
        let checksum = literal(&Value::Bytes(checksum));
        format!("UPDATE _sqlx_migrations SET checksum = {checksum} WHERE version = 4")
    };
    execute(place.path(), &set(vec![0]));
    refused(
        place.path(),
        &["different build", "migration 4", "Use the program that created them"],
        &set(right),
    );
    assert!(dump(place.path()) == books);
}

#[test]
fn tables_that_were_made_halfway_are_named_with_the_cure() {
    let (place, books) = place_after_a_night();
    let set = |ended: &str| format!("UPDATE _sqlx_migrations SET success = {ended} WHERE version = 9");
    execute(place.path(), &set("FALSE"));
    refused(
        place.path(),
        &["step 9", "restore it from the backup", "tallybook migrate"],
        &set("TRUE"),
    );
    assert!(dump(place.path()) == books);
}
