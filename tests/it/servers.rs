//! Servers that are restarted while a run works, that ask for a password, that have TLS.

/// A server of the test's own.
mod private;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::crashes::books::with_books;
use crate::crashes::process::{program, run, stop_at};
use crate::faults::small::{NIGHT, ends, lay, night, place, same_books, says};
use crate::ledgers::{URL_FILE, engine};
use private::{Server, dead_port};
use tallybook::ledger::Engine;

/// A small world with its ledger in the server.
fn place_in(server: &mut Server) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join(URL_FILE), server.new_database()).unwrap();
    lay(place.path());
    place
}

fn night_that_waits(place: &Path, seconds: &str) -> Command {
    let mut night = night(place);
    night.env("TALLYBOOK_LEDGER_WAIT_S", seconds);
    night
}

#[test]
fn a_night_whose_server_is_restarted_goes_on_or_ends_cleanly() {
    let Some(mut server) = Server::start_one() else {
        return;
    };
    let undisturbed = place();
    ends(&mut night(undisturbed.path()), 0);

    let place = place_in(&mut server);
    let between = stop_at(&mut night(place.path()), "written raw").unwrap();
    server.restart();
    let ended = between.go_on();
    assert_eq!(ended.code, Some(0), "between transactions: {}", ended.said);
    same_books(place.path(), undisturbed.path());

    for point in ["ingest.before_commit", "meter.before_commit", "close.before_commit"] {
        let place = place_in(&mut server);
        let within = stop_at(&mut night(place.path()), point).unwrap();
        server.restart();
        says(&within.go_on(), 1, &["ledger", "run the same command again"]);
        ends(&mut night(place.path()), 0);
        same_books(place.path(), undisturbed.path());
    }

    let place = place_in(&mut server);
    let asks = stop_at(&mut night_that_waits(place.path(), "40"), "written raw").unwrap();
    server.stop();
    let ended = asks.go_on_until(Some("the ledger does not answer; trying again"), || server.start());
    assert_eq!(ended.code, Some(0), "a server that was away: {}", ended.said);
    same_books(place.path(), undisturbed.path());

    let place = place_in(&mut server);
    let forsaken = stop_at(&mut night_that_waits(place.path(), "3"), "written raw").unwrap();
    server.stop();
    let gone = Instant::now();
    let ended = forsaken.go_on();
    says(&ended, 1, &["see that it runs", "run the same command again"]);
    assert!(gone.elapsed() < Duration::from_secs(30), "{:?}", gone.elapsed());
    server.start();
    ends(&mut night(place.path()), 0);
    same_books(place.path(), undisturbed.path());
}

/// The beginning of every password here; nothing that is printed has it.
const SECRET: &str = "Zq9secret";

/// With signs that a URL must have in percent-encoding.
const PASSWORD: &str = "Zq9secret?/#@:% +é";
const ENCODED: &str = "Zq9secret%3F%2F%23%40%3A%25%20%2B%C3%A9";

/// Runs the program, as talkative as it can be, and asserts that no password is in what it says.
fn tells_no_secret(place: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    command
        .current_dir(place)
        .env_clear()
        .env("RUST_LOG", "trace")
        .args(args);
    command.env("TALLYBOOK_LEDGER_WAIT_S", "3");
    command.envs(environment.iter().copied());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = said(&output);
    assert!(!said.contains(SECRET), "{args:?} {environment:?}: {said}");
    output
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn answers(output: &Output, code: i32, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

#[test]
fn passwords_come_by_url_environment_and_settings_file_and_are_told_by_nothing() {
    let Some(mut server) = Server::start_one() else {
        return;
    };
    let is_postgres = engine() == Engine::Postgres;
    server.administer(&if is_postgres {
        format!("CREATE ROLE clerk LOGIN PASSWORD '{PASSWORD}'")
    } else {
        format!(
            "CREATE USER clerk@'%' IDENTIFIED BY '{PASSWORD}'; CREATE USER clerk@localhost IDENTIFIED BY '{PASSWORD}'"
        )
    });
    for statement in if is_postgres {
        ["CREATE DATABASE books OWNER clerk", "SELECT 1"]
    } else {
        [
            "CREATE DATABASE books",
            "GRANT ALL ON books.* TO clerk@'%', clerk@localhost",
        ]
    } {
        server.administer(statement);
    }
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    let migrate = |url: &str, environment: &[(&str, &str)]| {
        let ledger = ("TALLYBOOK_LEDGER", url);
        tells_no_secret(place, &["migrate"], &[&[ledger], environment].concat())
    };
    let host = "127.0.0.1";
    let (engines, own_variable, require, verify, authority) = if is_postgres {
        (
            "PostgreSQL",
            "PGPASSWORD",
            "sslmode=require",
            "sslmode=verify-full",
            "sslrootcert",
        )
    } else {
        (
            "MySQL",
            "MYSQL_PWD",
            "ssl-mode=REQUIRED",
            "ssl-mode=VERIFY_IDENTITY",
            "ssl-ca",
        )
    };
    let bare = server.url_at(host, "clerk", "books");
    let full = server.url_at(host, &format!("clerk:{ENCODED}"), "books");

    let made = format!("made the tables of the {engines} ledger: version 9");
    answers(&migrate(&full, &[]), 0, &[&made]);
    answers(
        &migrate(&bare, &[("TALLYBOOK_LEDGER_PASSWORD", PASSWORD)]),
        0,
        &["nothing to do"],
    );
    answers(&migrate(&bare, &[(own_variable, PASSWORD)]), 0, &["nothing to do"]);
    std::fs::write(place.join("own.toml"), format!("ledger = \"{full}\"\n")).unwrap();
    answers(
        &tells_no_secret(place, &["--config", "own.toml", "status"], &[]),
        0,
        &[],
    );
    answers(
        &tells_no_secret(place, &["--config", "own.toml", "--json", "verify"], &[]),
        0,
        &[],
    );

    let refused = if is_postgres {
        "password authentication failed"
    } else {
        "Access denied"
    };
    let wrong = server.url_at(host, &format!("clerk:{SECRET}%3Fx"), "books");
    answers(&migrate(&wrong, &[]), 1, &[refused, "TALLYBOOK_LEDGER_PASSWORD"]);
    answers(&migrate(&bare, &[(own_variable, SECRET)]), 1, &[refused]);
    let unknown = server.url_at(host, &format!("clerk:{ENCODED}"), "nonesuch");
    let no_database = if is_postgres {
        "make it with CREATE DATABASE"
    } else {
        "Access denied"
    };
    answers(&migrate(&unknown, &[]), 1, &["nonesuch", no_database]);
    let nowhere = server.url_at("host.invalid", &format!("clerk:{ENCODED}"), "books");
    answers(&migrate(&nowhere, &[]), 1, &[]);
    let (before, _) = full.rsplit_once(':').unwrap();
    let closed = format!("{before}:{}/books", dead_port());
    answers(
        &migrate(&closed, &[]),
        1,
        &["Connection refused", "no database server answers there"],
    );

    let raw = server.url_at(host, &format!("clerk:{PASSWORD}"), "books");
    answers(&migrate(&raw, &[]), 2, &["%40", "TALLYBOOK_LEDGER_PASSWORD"]);
    let numbered = server.url_at(host, "clerk:5/Zq9secret", "books");
    answers(&migrate(&numbered, &[]), 2, &["TALLYBOOK_LEDGER_PASSWORD"]);
    answers(
        &migrate(&format!("{bare}?passwd={SECRET}"), &[]),
        2,
        &["\"passwd\" is not known"],
    );
    answers(
        &migrate(&format!("{bare}?sslmod={SECRET}"), &[]),
        2,
        &["\"sslmod\" is not known (is `"],
    );
    answers(
        &migrate(&format!("oracle://clerk:{SECRET}@h/d"), &[]),
        2,
        &["oracle://...@h/d"],
    );
    answers(&migrate(SECRET, &[]), 2, &["postgres://USER@HOST/DATABASE"]);
    answers(
        &tells_no_secret(place, &["--help"], &[("TALLYBOOK_LEDGER", &full)]),
        0,
        &["TALLYBOOK_LEDGER"],
    );
    for text in [
        format!("ledger = \"{full}"),
        format!("ledger_wait_s = \"{full}\""),
        format!("unknown_accounts = \"{full}\""),
    ] {
        std::fs::write(place.join("bad.toml"), text).unwrap();
        let bad = ["--config", "bad.toml", "--json", "status"];
        answers(&tells_no_secret(place, &bad, &[]), 2, &["bad.toml, line 1"]);
    }

    let password = [("TALLYBOOK_LEDGER_PASSWORD", PASSWORD)];
    answers(&migrate(&format!("{bare}?{require}"), &password), 0, &[]);
    answers(
        &migrate(&format!("{bare}?{verify}"), &password),
        1,
        &["invalid peer certificate", authority],
    );
    let signed = format!("{authority}={}", server.authority().display());
    let by_name = server.url_at("localhost", "clerk", "books");
    answers(&migrate(&format!("{by_name}?{verify}&{signed}"), &password), 0, &[]);
    let by_number = migrate(&format!("{bare}?{verify}&{signed}"), &password);
    answers(&by_number, 1, &["not valid for name", "is for another host"]);
    server.restart_without_tls();
    answers(
        &migrate(&format!("{bare}?{require}"), &password),
        1,
        &["does not support TLS", "the server has no TLS"],
    );
    answers(&migrate(&bare, &password), 0, &[]);

    std::fs::write(place.join(URL_FILE), &full).unwrap();
    let shown = with_books(place, async |books| format!("{books:?} {:#?}", books.ledger));
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn a_wrong_option_of_a_url_is_wrong_usage_on_every_engine() {
    let place = tempfile::tempdir().unwrap();
    for (url, offender) in [
        ("postgres://h/d?sslmode=sometimes", "sometimes"),
        ("mysql://h/d?ssl-mode=sometimes", "sometimes"),
        ("sqlite://x?mood=rw", "mood"),
    ] {
        let mut status = program(place.path(), NIGHT, &["--ledger", url, "status"]);
        says(&run(&mut status), 2, &["--ledger", offender]);
    }
}
