//! Servers that are restarted while a run works, that ask for a password, that have TLS.

/// A server of the test's own.
pub mod private;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::crashes::books::with_books;
use crate::crashes::process::{program, run, stop_at};
use crate::faults::small::{NIGHT, ends, lay, night, place, same_books, says};
use crate::ledgers::{URL_FILE, engine, is_mysql_itself};
use private::Server;
use tallybook::storage::ledger::Engine;

/// A small world with its ledger in the server.
fn place_in(server: &mut Server) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join(URL_FILE), server.new_database()).unwrap();
    lay(place.path());
    place
}

fn night_that_waits(path: &Path, seconds: &str) -> Command {
    let mut night = night(path);
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
    let ended = asks.go_on_until(Some("the ledger does not respond; retrying"), || server.start());
    assert_eq!(ended.code, Some(0), "a server that was away: {}", ended.said);
    same_books(place.path(), undisturbed.path());

    let place = place_in(&mut server);
    let forsaken = stop_at(&mut night_that_waits(place.path(), "3"), "written raw").unwrap();
    server.stop();
    let gone = Instant::now();
    let ended = forsaken.go_on();
    says(&ended, 1, &["check that it is running", "run the same command again"]);
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
fn tells_no_secret(path: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    command
        .current_dir(path)
        .env_clear()
        .env("RUST_LOG", "trace")
        .args(args);
    // Long enough to reach a server while other suites run beside.
    command.env("TALLYBOOK_LEDGER_WAIT_S", "60");
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

/// A user with a password, a database of theirs, and how this engine calls things.
struct Clerk {
    server: Server,
    dir: tempfile::TempDir,
    words: Words,
}

struct Words {
    engine: &'static str,
    /// The variable of the engine's own that has a password.
    variable: &'static str,
    refused: &'static str,
    no_database: &'static str,
    /// Options of the URL.
    require: &'static str,
    verify: &'static str,
    authority: &'static str,
}

const POSTGRES: Words = Words {
    engine: "PostgreSQL",
    variable: "PGPASSWORD",
    refused: "password authentication failed",
    no_database: "create it with CREATE DATABASE",
    require: "sslmode=require",
    verify: "sslmode=verify-full",
    authority: "sslrootcert",
};

const MYSQL: Words = Words {
    engine: "MySQL",
    variable: "MYSQL_PWD",
    refused: "Access denied",
    no_database: "Access denied",
    require: "ssl-mode=REQUIRED",
    verify: "ssl-mode=VERIFY_IDENTITY",
    authority: "ssl-ca",
};

impl Clerk {
    fn with(server: Server) -> Self {
        let is_postgres = engine() == Engine::Postgres;
        let statements = if is_postgres {
            vec![
                format!("CREATE ROLE clerk LOGIN PASSWORD '{PASSWORD}'"),
                "CREATE DATABASE books OWNER clerk".to_owned(),
            ]
        } else {
            vec![
                "CREATE DATABASE books".to_owned(),
                format!("CREATE USER clerk@'%' IDENTIFIED BY '{PASSWORD}', clerk@localhost IDENTIFIED BY '{PASSWORD}'"),
                "GRANT ALL ON books.* TO clerk@'%', clerk@localhost".to_owned(),
            ]
        };
        for statement in statements {
            server.administer(&statement);
        }
        Self {
            server,
            dir: tempfile::tempdir().unwrap(),
            words: if is_postgres { POSTGRES } else { MYSQL },
        }
    }

    fn place(&self) -> &Path {
        self.dir.path()
    }

    /// The URL of the books with this user, or USER:PASSWORD.
    fn url(&self, user: &str) -> String {
        self.server.url_at("127.0.0.1", user, "books")
    }

    fn full_url(&self) -> String {
        self.url(&format!("clerk:{ENCODED}"))
    }

    /// Opens a ledger and asserts how that ends.
    fn opens(&self, url: &str, environment: &[(&str, &str)], code: i32, words: &[&str]) {
        let ledger = [("TALLYBOOK_LEDGER", url)];
        let output = tells_no_secret(self.place(), &["migrate"], &[&ledger, environment].concat());
        answers(&output, code, words);
    }

    fn says_with_settings(&self, settings: &str, args: &[&str], code: i32, words: &[&str]) {
        std::fs::write(self.place().join("own.toml"), settings).unwrap();
        let args = [&["--config", "own.toml", "--json"], args].concat();
        answers(&tells_no_secret(self.place(), &args, &[]), code, words);
    }

    fn passwords_are_taken_from_everywhere(&self) {
        let (bare, full) = (self.url("clerk"), self.full_url());
        let made = format!("created the tables of the {} ledger", self.words.engine);
        self.opens(&full, &[], 0, &[&made]);
        let ours = [("TALLYBOOK_LEDGER_PASSWORD", PASSWORD)];
        self.opens(&bare, &ours, 0, &["up to date"]);
        self.opens(&bare, &[(self.words.variable, PASSWORD)], 0, &["up to date"]);
        for command in ["status", "verify"] {
            self.says_with_settings(&format!("ledger = \"{full}\"\n"), &[command], 0, &[]);
        }
    }

    fn what_the_server_refuses_is_told_with_the_cure(&self) {
        let wrong = self.url(&format!("clerk:{SECRET}%3Fx"));
        self.opens(&wrong, &[], 1, &[self.words.refused, "TALLYBOOK_LEDGER_PASSWORD"]);
        let by_variable = [(self.words.variable, SECRET)];
        self.opens(&self.url("clerk"), &by_variable, 1, &[self.words.refused]);
        let clerk = format!("clerk:{ENCODED}");
        let unknown = self.server.url_at("127.0.0.1", &clerk, "nonesuch");
        self.opens(&unknown, &[], 1, &["nonesuch", self.words.no_database]);
        let in_vain = [("TALLYBOOK_LEDGER_WAIT_S", "1")];
        let nowhere = self.server.url_at("host.invalid", &clerk, "books");
        self.opens(&nowhere, &in_vain, 1, &["ledger: "]);
        let full = self.full_url();
        let (before, _) = full.rsplit_once(':').unwrap();
        // A port that no server of another test takes meanwhile.
        let closed = format!("{before}:1/books");
        let cure = ["Connection refused", "no database server responds there"];
        self.opens(&closed, &in_vain, 1, &cure);
    }

    fn what_was_typed_wrong_is_told_with_the_cure(&self) {
        let bare = self.url("clerk");
        for (url, words) in [
            (self.url(&format!("clerk:{PASSWORD}")), "%40"),
            (self.url(&format!("clerk:5/{SECRET}")), "TALLYBOOK_LEDGER_PASSWORD"),
            (format!("{bare}?passwd={SECRET}"), "unknown option \"passwd\""),
            (
                format!("{bare}?sslmod={SECRET}"),
                "unknown option \"sslmod\" (did you mean `",
            ),
            (format!("oracle://clerk:{SECRET}@h/d"), "oracle://...@h/d"),
            (SECRET.to_owned(), "postgres://USER@HOST/DATABASE"),
        ] {
            self.opens(&url, &[], 2, &[words]);
        }
        let full = self.full_url();
        let help = tells_no_secret(self.place(), &["--help"], &[("TALLYBOOK_LEDGER", &full)]);
        answers(&help, 0, &["TALLYBOOK_LEDGER"]);
        for settings in [
            format!("ledger = \"{full}"),
            format!("ledger_wait_s = \"{full}\""),
            format!("unknown_accounts = \"{full}\""),
        ] {
            self.says_with_settings(&settings, &["status"], 2, &["own.toml, line 1"]);
        }
    }

    fn certificates_are_checked_when_asked_for(&mut self) {
        let password = [("TALLYBOOK_LEDGER_PASSWORD", PASSWORD)];
        let Words {
            require,
            verify,
            authority,
            ..
        } = self.words;
        let bare = self.url("clerk");
        let by_name = self.server.url_at("localhost", "clerk", "books");
        let signed = format!("{authority}={}", self.server.authority().display());
        self.opens(&format!("{bare}?{require}"), &password, 0, &[]);
        self.opens(&format!("{by_name}?{verify}&{signed}"), &password, 0, &[]);
        let untrusted = ["invalid peer certificate", authority];
        self.opens(&format!("{bare}?{verify}"), &password, 1, &untrusted);
        let other_name = ["not valid for name", "is for another host"];
        self.opens(&format!("{bare}?{verify}&{signed}"), &password, 1, &other_name);
        self.server.restart_without_tls();
        let no_tls = ["does not support TLS", "the server has no TLS"];
        self.opens(&format!("{bare}?{require}"), &password, 1, &no_tls);
        // What MySQL knew of the password it forgot when it was restarted.
        let (code, words): (i32, &[&str]) = if is_mysql_itself() { (1, &NEEDS_TLS) } else { (0, &[]) };
        self.opens(&bare, &password, code, words);
    }

    fn who_may_only_write_rows_opens_what_is_made(&self) {
        for statement in if engine() == Engine::Postgres {
            [
                format!("CREATE ROLE writer LOGIN PASSWORD '{SECRET}'"),
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO writer".to_owned(),
            ]
        } else {
            [
                format!("CREATE USER writer@'%' IDENTIFIED BY '{SECRET}', writer@localhost IDENTIFIED BY '{SECRET}'"),
                "GRANT SELECT, INSERT, UPDATE, DELETE ON books.* TO writer@'%', writer@localhost".to_owned(),
            ]
        } {
            self.server.administer_in("books", &statement);
        }
        let url = self.url(&format!("writer:{SECRET}"));
        self.opens(&url, &[], 0, &["up to date"]);
        std::fs::write(
            self.place().join("a.ndjson"),
            crate::world::line("a", 7, "2024-11-15T10:00:00Z", 1),
        )
        .unwrap();
        self.says_with_settings(
            &format!("ledger = \"{url}\"\n"),
            &["--data-dir", "books", "--as-of", NIGHT, "ingest", "a.ndjson"],
            0,
            &[],
        );
    }

    fn nothing_shows_it_to_who_debugs(&self) {
        std::fs::write(self.place().join(URL_FILE), self.full_url()).unwrap();
        let shown = with_books(self.place(), async |books| format!("{books:?} {:#?}", books.ledger));
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn passwords_come_by_url_environment_and_settings_file_and_are_told_by_nothing() {
    let Some(server) = Server::start_one() else {
        return;
    };
    let mut clerk = Clerk::with(server);
    clerk.passwords_are_taken_from_everywhere();
    clerk.what_the_server_refuses_is_told_with_the_cure();
    clerk.what_was_typed_wrong_is_told_with_the_cure();
    clerk.who_may_only_write_rows_opens_what_is_made();
    clerk.nothing_shows_it_to_who_debugs();
    clerk.certificates_are_checked_when_asked_for();
}

/// What is told where MySQL takes a password only over TLS.
const NEEDS_TLS: [&str; 3] = ["only over TLS", "ssl-mode", "REQUIRED"];

#[test]
fn a_new_account_of_mysql_needs_tls_and_is_told_so() {
    if !is_mysql_itself() {
        return;
    }
    let Some(server) = Server::start_one() else {
        return;
    };
    let socket = server.socket();
    let clerk = Clerk::with(server);
    let full = clerk.full_url();
    let by_socket = format!("{full}?socket={}", socket.display());
    clerk.opens(&format!("{full}?ssl-mode=DISABLED"), &[], 1, &NEEDS_TLS);
    clerk.opens(
        &format!("{by_socket}&ssl-mode=DISABLED"),
        &[],
        1,
        &["Access denied", "ssl-mode"],
    );
    clerk.opens(&by_socket, &[], 0, &["created the tables"]);
    // The server knows the password now, until it is restarted.
    clerk.opens(&format!("{full}?ssl-mode=DISABLED"), &[], 0, &["up to date"]);
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
