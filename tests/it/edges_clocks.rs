//! Clocks that are wrong: far ahead, behind, never set; a backlog in one night; a night that is killed.
//!
//! The machine's clock is what `TALLYBOOK_MACHINE_CLOCK` says, which only a debug build reads.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value as Json;
use tallybook::storage::ledger::query;

use crate::crashes::books::with_books;
use crate::crashes::play::card;
use crate::crashes::process::{run as run_to_end, stop_at};
use crate::ledgers::execute;
use crate::nights::verified;
use crate::world::{Place, at, line, run};

/// The machine's clock on the evening of first use: November is not over.
const NOW: &str = "2026-11-29T20:21:20Z";

/// What a command printed, and its exit code.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, words: &str) -> Self {
        let said = format!("{}{}", self.out, self.err);
        assert!(said.contains(words), "{words:?} is not in: {said}");
        self
    }

    fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

/// The program on a machine whose clock says this.
fn command(path: &Path, machine: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    command.current_dir(path).env_clear();
    command.args(["--data-dir", "books", "--rate-cards", "cards", "--who", "test"]);
    command.args(args);
    command.env("TALLYBOOK_DEFAULT_CARD", "c");
    command.env("TALLYBOOK_MACHINE_CLOCK", machine);
    if let Some(ledger) = crate::ledgers::url(path) {
        command.env("TALLYBOOK_LEDGER", ledger);
    }
    command
}

fn said(command: &mut Command) -> Said {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        code: output.status.code().unwrap(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

fn at_machine(path: &Path, machine: &str, args: &[&str]) -> Said {
    said(&mut command(path, machine, args))
}

/// A folder with a card and an input: usage of the week before, and a line that is none.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["in", "cards/c"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    card(dir.path(), "0.5", false);
    let mut text = "not usage\n".to_owned();
    for day in 20..=26 {
        text += &line(&format!("r{day}"), 7, &format!("2026-11-{day}T10:00:00+08:00"), 60_000);
    }
    input(dir.path(), "week", &text);
    dir
}

fn input(path: &Path, name: &str, text: &str) {
    std::fs::write(path.join(format!("in/{name}.ndjson")), text).unwrap();
}

/// Books with the week's usage, after a night at the right time.
fn books() -> tempfile::TempDir {
    let place = place();
    at_machine(place.path(), NOW, &["ingest", "in/week.ndjson"]);
    at_machine(place.path(), NOW, &["nightly"]).ends(0);
    place
}

fn count(path: &Path, sql: &'static str) -> i64 {
    with_books(path, async |books| {
        let row = query(sql).fetch_one(&books.ledger).await.unwrap();
        row.try_get(0).unwrap()
    })
}

/// Closed periods, expired days, raw segments, and quarantined lines that have their bytes.
fn undone(path: &Path) -> [i64; 4] {
    [
        count(path, "SELECT COUNT(*) FROM closed_period"),
        count(path, "SELECT COUNT(*) FROM expired_day"),
        count(path, "SELECT COUNT(*) FROM segment WHERE kind = 'usage'"),
        count(path, "SELECT COUNT(*) FROM quarantine WHERE payload IS NOT NULL"),
    ]
}

/// A night at a wrong machine's clock: it ends with 3, names the cure, and does nothing that cannot be undone.
fn a_night_at_a_wrong_clock_does_no_harm(machine: &str, hour: &str) {
    let place = books();
    let before = undone(place.path());
    at_machine(place.path(), machine, &["nightly"])
        .ends(3)
        .says(&format!("--accept-clock {hour}"))
        .says("nothing is closed, exported or deleted");
    assert_eq!(undone(place.path()), before);
    assert_eq!(before, [0, 0, 7, 1]);
    assert!(!place.path().join("books/exports").exists());
    for refused in ["close", "export", "expire"] {
        at_machine(place.path(), machine, &[refused])
            .ends(3)
            .says("--accept-clock");
    }
    assert_eq!(undone(place.path()), before);
    at_machine(place.path(), "2026-11-30T02:30:00Z", &["nightly"]).ends(0);
    at_machine(place.path(), "2026-11-30T02:30:00Z", &["verify"]).ends(0);
}

#[test]
fn a1_a_night_two_years_ahead_by_hand_is_refused_before_anything_is_made() {
    let place = place();
    let ahead = ["--as-of", "2028-11-29T20:21:20Z", "nightly"];
    at_machine(place.path(), NOW, &ahead).ends(2).says("Omit --as-of");
    assert!(!place.path().join("books").exists(), "nothing was made");
    let books = books();
    let before = undone(books.path());
    for command in ["nightly", "close", "expire", "status"] {
        at_machine(books.path(), NOW, &["--as-of", "2028-11-29T20:21:20Z", command]).ends(2);
    }
    assert_eq!(undone(books.path()), before);
}

#[test]
fn a1_a_machine_two_years_ahead_closes_exports_and_deletes_nothing() {
    a_night_at_a_wrong_clock_does_no_harm("2028-11-29T20:21:20Z", "2028-11-29T20Z");
}

#[test]
fn a2_five_weeks_ahead_close_no_running_month_and_delete_no_quarantined_bytes() {
    a_night_at_a_wrong_clock_does_no_harm("2027-01-03T20:21:20Z", "2027-01-03T20Z");
    let place = books();
    let ahead = ["--as-of", "2027-01-03T20:21:20Z", "nightly"];
    at_machine(place.path(), NOW, &ahead).ends(2).says("--as-of 2027-01-03");
    assert_eq!(undone(place.path()), [0, 0, 7, 1]);
}

#[test]
fn less_than_an_hour_ahead_by_hand_is_taken_and_closes_by_the_machines_clock() {
    let place = books();
    // November is due on 3 December, 16:00 UTC.
    let early = ["--as-of", "2026-12-03T16:30:00Z", "nightly"];
    at_machine(place.path(), "2026-12-03T15:59:59Z", &early).ends(0);
    assert_eq!(undone(place.path())[0], 0);
    at_machine(place.path(), "2026-12-03T16:00:00Z", &["nightly"]).ends(0);
    assert_eq!(undone(place.path())[0], 1);
}

#[test]
fn a3_no_variable_fixes_the_clock() {
    let place = books();
    let mut status = command(place.path(), NOW, &["--json", "status"]);
    let said = said(status.env("TALLYBOOK_AS_OF", "2026-11-20T00:00:00Z"));
    // A variable that no setting has is an error, or is not read.
    if said.code != 2 {
        assert_eq!(said.ends(0).json()["as_of"], "2026-11-29T20:21:20+00:00");
    }
}

#[test]
fn a3_a_run_before_the_last_one_says_so_in_its_first_line() {
    let place = books();
    let replay = ["--as-of", "2026-11-20T00:00:00Z", "nightly"];
    let replayed = at_machine(place.path(), NOW, &replay).ends(0);
    let first = replayed.out.lines().next().unwrap();
    assert_eq!(
        first,
        "this run is as of 2026-11-20T00:00:00+00:00, earlier than the last run, which was as of 2026-11-29T20:21:20+00:00"
    );
    let json = ["--json", "--as-of", "2026-11-19T00:00:00Z", "meter"];
    let beside = at_machine(place.path(), NOW, &json).ends(0);
    assert!(beside.err.contains("earlier than the last run"), "{}", beside.err);
    beside.json();
    let next = at_machine(place.path(), NOW, &["meter"]).ends(0);
    assert!(!next.out.contains("earlier than the last run"), "{}", next.out);
}

#[test]
fn a3_a_clock_in_2020_writes_nothing_and_reads_as_ever() {
    let place = books();
    let before = undone(place.path());
    let batches = count(place.path(), "SELECT COUNT(*) FROM batch");
    input(
        place.path(),
        "more",
        &line("more", 7, "2026-11-29T10:00:00+08:00", 60_000),
    );
    let wrong = "2020-01-01T00:00:00Z";
    for args in [
        &["ingest", "in/more.ndjson"][..],
        &["nightly"],
        &["meter"],
        &["close"],
        &["account", "add", "8"],
        &["quarantine", "retry"],
    ] {
        at_machine(place.path(), wrong, args)
            .ends(3)
            .says("nothing was done. If the clock is wrong, correct it");
    }
    for args in [
        &["status"][..],
        &["verify"],
        &["usage", "7", "--from", "2026-11-01", "--to", "2026-12-01"],
        &["quarantine", "list"],
        &["account", "list"],
        &["audit"],
        &["first-day"],
    ] {
        at_machine(place.path(), wrong, args).ends(0);
    }
    assert_eq!(undone(place.path()), before);
    assert_eq!(count(place.path(), "SELECT COUNT(*) FROM batch"), batches);
}

#[test]
fn a_clock_that_jumped_nine_days_takes_in_and_meters_up_to_the_eighth_day_until_a_person_accepts_it() {
    let place = books();
    let jumped = "2026-12-08T20:21:21Z";
    let text =
        line("believed", 7, "2026-12-07T20:00:00Z", 60_000) + &line("not believed", 7, "2026-12-08T00:00:00Z", 60_000);
    input(place.path(), "later", &text);
    let ingested = at_machine(place.path(), jumped, &["--json", "ingest", "in/later.ndjson"]).ends(3);
    assert!(
        ingested.err.contains("--accept-clock 2026-12-08T20Z"),
        "{}",
        ingested.err
    );
    let batch = &ingested.json()[0];
    assert_eq!((&batch["stored"], &batch["quarantined"]), (&1.into(), &1.into()));
    assert_eq!(batch["quarantine"][0][0], "in_the_future");
    // What is in doubt is not recorded, however often it runs.
    for _ in 0..2 {
        at_machine(place.path(), jumped, &["nightly"]).ends(3);
    }
    at_machine(place.path(), jumped, &["account", "add", "8"]).ends(3);
    assert_eq!(undone(place.path())[0], 0);
    let accept = |hour: &'static str| at_machine(place.path(), jumped, &["--accept-clock", hour, "nightly"]);
    accept("2026-12-08T19Z").ends(2).says("--accept-clock 2026-12-08T20Z");
    accept("next year").ends(2).says("2026-11-29T20Z");
    accept("2026-12-08T20Z").ends(0);
    assert_eq!(undone(place.path())[0], 1, "November is closed");
    let audit = at_machine(place.path(), jumped, &["--json", "audit"]).ends(0).json();
    let entry = &audit[0];
    assert_eq!(
        (&entry["action"], &entry["who"], &entry["reason"]),
        (
            &"clock accept".into(),
            &"test".into(),
            &"--accept-clock 2026-12-08T20Z".into()
        )
    );
    assert_eq!(entry["detail"]["newest_before"], "2026-11-29T20:21:20+00:00");
    at_machine(place.path(), "2026-12-09T20:21:21Z", &["nightly"]).ends(0);
    at_machine(place.path(), "2026-12-09T20:21:21Z", &["verify"]).ends(0);
}

#[test]
fn a_command_in_a_crontab_cannot_accept_a_second_jump() {
    let place = books();
    let line = ["--accept-clock", "2026-12-20T02Z", "nightly"];
    at_machine(place.path(), "2026-12-20T02:30:00Z", &line).ends(0);
    at_machine(place.path(), "2026-12-21T02:30:00Z", &line).ends(2);
    at_machine(place.path(), "2028-12-21T02:30:00Z", &line).ends(2);
}

#[test]
fn a_wrong_clock_that_was_accepted_is_taken_back_by_accepting_the_right_one() {
    let place = books();
    let wrong = ["--accept-clock", "2028-11-29T20Z", "meter"];
    at_machine(place.path(), "2028-11-29T20:21:20Z", &wrong).ends(0);
    let right = "2026-11-30T02:30:00Z";
    at_machine(place.path(), right, &["nightly"])
        .ends(3)
        .says("--accept-clock 2026-11-30T02Z");
    at_machine(place.path(), right, &["--accept-clock", "2026-11-30T02Z", "nightly"]).ends(0);
    at_machine(place.path(), right, &["nightly"]).ends(0);
    assert_eq!(
        count(place.path(), "SELECT COUNT(*) FROM audit WHERE action = 'clock accept'"),
        2
    );
}

#[test]
fn a_command_that_only_reads_accepts_no_clock() {
    let place = books();
    let args = ["--accept-clock", "2026-11-29T20Z", "status"];
    at_machine(place.path(), NOW, &args).ends(2).says("such as nightly");
}

#[test]
fn the_jump_is_a_setting_of_1_to_40_days() {
    let place = books();
    let set = |days: &str, machine: &str| {
        std::fs::write(
            place.path().join("tallybook.toml"),
            format!("clock_jump_days = {days}\n"),
        )
        .unwrap();
        at_machine(place.path(), machine, &["meter"])
    };
    set("41", NOW).ends(2).says("clock_jump_days = 41: must be 1 to 40");
    set("0", NOW).ends(2).says("clock_jump_days = 0");
    set("1", "2026-12-01T20:21:20Z").ends(3).says("more than 1 days");
    set("40", "2027-01-08T20:21:20Z").ends(0);
}

#[test]
fn status_tells_the_clocks_that_the_books_know_and_where_they_begin() {
    let place = books();
    let replay = ["--as-of", "2026-11-28T00:00:00Z", "meter"];
    at_machine(place.path(), "2026-11-30T02:30:00Z", &replay).ends(0);
    let status = at_machine(place.path(), "2026-12-24T00:00:00Z", &["--json", "status"])
        .ends(0)
        .json();
    assert_eq!(status["newest_machine_clock"], "2026-11-30T02:30:00+00:00");
    assert_eq!(status["last_run_clock"], "2026-11-28T00:00:00+00:00");
    assert_eq!(status["first_day"], "2025-10-25");
}

#[test]
fn a_demo_on_a_machine_before_its_month_is_refused_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    demo.current_dir(dir.path()).env_clear();
    demo.env("TALLYBOOK_MACHINE_CLOCK", "2026-11-04T00:00:00Z");
    said(demo.args(["demo", "--records", "10"]))
        .ends(2)
        .says("correct the clock");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_replay_of_the_past_is_no_jump_and_moves_no_clock() {
    let place = books();
    for day in ["2024-01-01T00:00:00Z", "2026-11-28T00:00:00Z"] {
        at_machine(place.path(), NOW, &["--as-of", day, "nightly"]).ends(0);
    }
    at_machine(place.path(), "2026-12-01T00:00:00Z", &["nightly"]).ends(0);
}

#[test]
fn a_server_whose_clock_differs_by_two_hours_is_asked_about() {
    let place = books();
    for server in ["2026-11-30T00:30:00Z", "2026-11-30T04:30:00Z"] {
        let mut night = command(place.path(), "2026-11-30T02:30:00Z", &["nightly"]);
        said(night.env("TALLYBOOK_SERVER_CLOCK", server))
            .ends(3)
            .says("more than an hour from the database server's clock")
            .says("--accept-clock 2026-11-30T02Z");
    }
    // What cannot be undone goes by the server's clock, where that is the earliest.
    let mut night = command(place.path(), "2026-12-03T16:00:00Z", &["nightly"]);
    said(night.env("TALLYBOOK_SERVER_CLOCK", "2026-12-03T15:59:00Z")).ends(0);
    assert_eq!(undone(place.path())[0], 0);
    let mut night = command(place.path(), "2026-12-03T16:00:00Z", &["nightly"]);
    said(night.env("TALLYBOOK_SERVER_CLOCK", "2026-12-03T16:00:00Z")).ends(0);
    assert_eq!(undone(place.path())[0], 1);
}

#[test]
fn books_that_know_no_clock_yet_take_the_first_one_without_ceremony() {
    let place = books();
    execute(
        place.path(),
        "DELETE FROM fact WHERE name <> 'first_day'; DELETE FROM fact WHERE name = 'first_day'; DELETE FROM tally WHERE name = 'fact'",
    );
    at_machine(place.path(), "2027-02-01T02:30:00Z", &["nightly"]).ends(0);
    at_machine(place.path(), "2027-02-01T02:30:00Z", &["verify"]).ends(0);
    at_machine(place.path(), "2027-03-01T02:30:00Z", &["nightly"]).ends(3);
}

/// A minute in each month of 2024.
fn backlog() -> Place {
    let place = Place::new();
    let records = (1..=12).map(|month| {
        line(
            &format!("r{month}"),
            7,
            &format!("2024-{month:02}-15T10:00:00+08:00"),
            60_000,
        )
    });
    let file = place.file("backlog.ndjson", records.collect::<String>());
    place.ingest("2025-01-10T02:00:00Z", &file).unwrap();
    place
}

#[test]
fn a8_a_backlog_of_twelve_months_closes_and_keeps_its_raw_until_a_night_12_hours_later() {
    let place = backlog();
    let first = place.night("2025-01-10T02:30:00Z");
    assert_eq!(first.closed.periods, 12);
    assert_eq!(first.expired.days, []);
    let held: Vec<_> = first
        .expired
        .held
        .iter()
        .map(|held| (held.code, held.needs_person))
        .collect();
    assert_eq!(held, [("not_long_closed", false); 6]);
    assert_eq!(u8::from(first.exit_code()), 0);
    assert_eq!(place.night("2025-01-10T14:29:59Z").expired.days, []);
    let later = place.night("2025-01-11T02:29:59Z");
    assert_eq!(later.expired.days.len(), 6);
    assert_eq!(
        verified(&place, "2025-01-11T03:00:00Z").differences,
        Vec::<String>::new()
    );
}

#[test]
fn a_day_that_gets_rows_again_waits_again() {
    let place = backlog();
    place.night("2025-01-10T02:30:00Z");
    // The same record under another line: a row more of the day.
    let again = format!("\n{}", line("r4", 7, "2024-04-15T10:00:00+08:00", 60_000));
    let again = place.file("again.ndjson", again);
    place.ingest("2025-01-11T02:00:00Z", &again).unwrap();
    let night = place.night("2025-01-11T02:30:00Z");
    assert_eq!(night.expired.days.len(), 5);
    let held: Vec<_> = night
        .expired
        .held
        .iter()
        .map(|held| (held.code, held.day.to_string()))
        .collect();
    assert_eq!(held, [("not_long_closed", "2024-04-15".to_owned())]);
    assert_eq!(place.night("2025-01-12T02:30:00Z").expired.days.len(), 1);
}

#[test]
fn an_expiry_by_hand_waits_for_a_night_too() {
    let place = backlog();
    place.night("2025-01-10T02:30:00Z");
    let expire = |now: &str| {
        run(async {
            let books = place.books(at(now)).await;
            let lease = tallybook::storage::ledger::Lease::take(&books.ledger, "expire")
                .await
                .unwrap();
            let accounts = tallybook::catalog::account::store::load_accounts(&books.ledger)
                .await
                .unwrap();
            let expired = tallybook::pipeline::retention::expire(&books, &lease, &accounts)
                .await
                .unwrap();
            lease.release().await.unwrap();
            books.ledger.close().await;
            expired.days.len()
        })
    };
    assert_eq!(expire("2025-01-10T14:29:59Z"), 0);
    assert_eq!(expire("2025-01-10T14:30:00Z"), 6);
}

#[test]
fn case_22_a_record_of_1970_is_quarantined_and_opens_no_period() {
    let place = place();
    let text = line("never set", 7, "1970-01-01T00:00:00Z", 60_000) + &line("good", 7, "2026-11-20T00:00:00Z", 60_000);
    input(place.path(), "1970", &text);
    let ingested = at_machine(place.path(), NOW, &["--json", "ingest", "in/1970.ndjson"]).json();
    assert_eq!(
        (&ingested[0]["stored"], &ingested[0]["quarantined"]),
        (&1.into(), &1.into())
    );
    assert_eq!(ingested[0]["quarantine"][0][0], "before_first_day");
    at_machine(place.path(), NOW, &["nightly"]);
    at_machine(place.path(), "2026-12-07T02:30:00Z", &["nightly"]);
    assert_eq!(undone(place.path())[0], 1, "November alone is closed");
    assert_eq!(
        count(place.path(), "SELECT COUNT(*) FROM statement WHERE month < '2026-11'"),
        0
    );
}

#[test]
fn the_books_begin_400_days_before_their_first_batch_and_a_person_moves_that_back() {
    let place = place();
    at_machine(place.path(), NOW, &["ingest", "in/week.ndjson"]);
    at_machine(place.path(), NOW, &["first-day"])
        .ends(0)
        .says("the first billing day is 2025-10-25");
    let text = line("before", 7, "2025-10-24T23:59:59Z", 60_000) + &line("on", 7, "2025-10-25T00:00:00Z", 60_000);
    input(place.path(), "old", &text);
    let ingested = at_machine(place.path(), NOW, &["--json", "ingest", "in/old.ndjson"]).json();
    assert_eq!(ingested[0]["quarantine"], serde_json::json!([["before_first_day", 1]]));
    at_machine(place.path(), NOW, &["first-day", "2025-10-01"])
        .ends(2)
        .says("--reason");
    let later = ["first-day", "2025-10-26", "--reason", "no"];
    at_machine(place.path(), NOW, &later)
        .ends(2)
        .says("can only be moved back");
    let back = ["first-day", "2025-10-01", "--reason", "a sender was off for a year"];
    at_machine(place.path(), NOW, &back).ends(0);
    at_machine(place.path(), NOW, &["quarantine", "retry"]).ends(0);
    assert_eq!(
        count(
            place.path(),
            "SELECT COUNT(*) FROM quarantine WHERE accepted_by IS NOT NULL"
        ),
        1
    );
    let audit = at_machine(place.path(), NOW, &["--json", "audit"]).json();
    assert_eq!(
        (&audit[0]["action"], &audit[0]["subject"]),
        (&"first day".into(), &"2025-10-01".into())
    );
    assert_eq!(audit[0]["detail"]["before"], "2025-10-25");
    at_machine(place.path(), NOW, &["nightly"]);
    at_machine(place.path(), NOW, &["verify"]).ends(0);
}

#[test]
fn the_first_day_is_never_moved_over_a_closed_period() {
    let place = place();
    std::fs::write(place.path().join("tallybook.toml"), "first_day = \"2026-11-20\"\n").unwrap();
    at_machine(place.path(), NOW, &["ingest", "in/week.ndjson"]);
    at_machine(place.path(), NOW, &["rate-card", "import", "cards"]).ends(0);
    at_machine(place.path(), NOW, &["account", "add", "8", "--from", "2026-10-01"]).ends(0);
    at_machine(place.path(), "2026-12-04T02:30:00Z", &["nightly"]);
    // Account 8 has a closed October, and a closed November that lies over the first day.
    let moved = |to: &str| {
        at_machine(
            place.path(),
            "2026-12-04T02:30:00Z",
            &["first-day", to, "--reason", "why not"],
        )
    };
    moved("2026-11-10").ends(2).says("cannot move past a closed period");
    moved("2026-09-01").ends(2).says("cannot move past a closed period");
    at_machine(place.path(), NOW, &["first-day"]).says("the first billing day is 2026-11-20");
}

#[test]
fn the_first_day_is_a_setting_that_cannot_say_another_day_than_the_books() {
    let place = place();
    let set =
        |day: &str| std::fs::write(place.path().join("tallybook.toml"), format!("first_day = \"{day}\"\n")).unwrap();
    set("2026-11-22");
    let ingested = at_machine(place.path(), NOW, &["--json", "ingest", "in/week.ndjson"]).json();
    assert_eq!(
        (&ingested[0]["stored"], &ingested[0]["quarantined"]),
        (&5.into(), &3.into())
    );
    set("2026-11-20");
    at_machine(place.path(), NOW, &["quarantine", "retry"])
        .ends(2)
        .says("the first billing day in the ledger, 2026-11-22");
    set("tomorrow");
    at_machine(place.path(), NOW, &["status"])
        .ends(2)
        .says("such as 2026-11-01");
}

#[test]
fn a_killed_night_is_among_the_runs_at_once_and_after_the_next() {
    let place = books();
    let night = "2026-11-30T02:30:00Z";
    stop_at(&mut command(place.path(), night, &["nightly"]), "hold.before_commit")
        .unwrap()
        .kill();
    let runs = || at_machine(place.path(), night, &["--json", "status"]).json()["runs"].clone();
    let killed = |run: &Json| {
        assert_eq!((&run["command"], &run["exit_code"]), (&"nightly".into(), &1.into()));
        assert_eq!(run["as_of"], "2026-11-30T02:30:00+00:00");
        assert_eq!(run["report"]["failed"], "killed");
    };
    killed(&runs()[0]);
    at_machine(place.path(), night, &["status"]).says("was killed, or the machine stopped");
    assert_eq!(
        run_to_end(&mut command(place.path(), night, &["nightly"])).code,
        Some(0)
    );
    let after = runs();
    assert_eq!((&after[0]["run"], &after[0]["exit_code"]), (&3.into(), &0.into()));
    killed(&after[1]);
    assert_eq!(after[1]["run"], 2);
    at_machine(place.path(), night, &["verify"]).ends(0);
}

#[test]
fn a_night_that_runs_is_not_said_to_be_killed() {
    let place = books();
    let night = "2026-11-30T02:30:00Z";
    let stopped = stop_at(&mut command(place.path(), night, &["nightly"]), "hold.before_commit").unwrap();
    let status = at_machine(place.path(), night, &["--json", "status"]).json();
    assert_eq!(status["runs"].as_array().unwrap().len(), 1);
    assert_eq!(stopped.go_on().code, Some(0));
}
