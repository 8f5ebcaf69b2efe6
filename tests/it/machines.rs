//! Several programs on one ledger at the same time, as real processes: the books end as if one had worked after another.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value as Json;

use crate::crashes::books::{differences, dump, files, with_books};
use crate::crashes::play::{DAY, card};
use crate::crashes::process::{Ended, program, run, stop_at};
use crate::faults::small::{NIGHT, ends, night, place, same_books, says};
use crate::ledgers::{engine, execute, is_embedded};
use crate::world::line;

/// When December closes.
const SETTLED: &str = "2025-01-10T00:00:00Z";

const INGESTERS: usize = 4;

/// What each ingester is given. The last file of each is one that another has too.
fn inputs_of(ingester: usize) -> Vec<String> {
    let own = (0..3).map(|file| format!("in/{ingester}-{file}.ndjson"));
    own.chain([format!("in/shared-{}.ndjson", ingester / 2)]).collect()
}

/// November, metered by nobody yet and due; and December, which comes while others work: lines that stand in several files, whole
/// files twice, an account that is new, a void of another ingester's record, lines that are no usage.
fn lay(path: &Path) {
    for folder in ["in", "cards/c", "books/drop"] {
        std::fs::create_dir_all(path.join(folder)).unwrap();
    }
    card(path, "0.5", false);
    let november: String = (0..40)
        .map(|n| line(&format!("n{n}"), 7 + n % 3, DAY, 60_000 + n))
        .collect();
    std::fs::write(path.join("in/november.ndjson"), november).unwrap();
    let december = |id: &str, number: u64| {
        let day = format!("2024-12-{:02}T10:00:00+08:00", 1 + number % 9);
        line(id, 7 + number % 4, &day, 1_000 + number)
    };
    for ingester in 0..INGESTERS {
        for file in 0..3 {
            let mut text = "not usage\n".to_owned();
            for n in 0..30 {
                text += &december(&format!("d{ingester}-{file}-{n}"), n);
                text += &december(&format!("everywhere-{n}"), n);
            }
            let other = (ingester + 1) % INGESTERS;
            text += &format!("{{\"id\":\"v{ingester}-{file}\",\"kind\":\"void\",\"voids\":\"d{other}-{file}-3\"}}\n");
            std::fs::write(path.join(format!("in/{ingester}-{file}.ndjson")), text).unwrap();
        }
    }
    for shared in 0..2 {
        let text: String = (0..50).map(|n| december(&format!("shared{shared}-{n}"), n)).collect();
        std::fs::write(path.join(format!("in/shared-{shared}.ndjson")), text).unwrap();
    }
    ends(&mut program(path, NIGHT, &["rate-card", "import", "cards"]), 0);
    // The reader's account is there before its usage is.
    let account = ["account", "add", "7", "--card", "c", "--from", "2024-11-01"];
    ends(&mut program(path, NIGHT, &account), 0);
    ends(&mut program(path, NIGHT, &["ingest", "in/november.ndjson"]), 0);
}

fn ingester(path: &Path, number: usize) -> Command {
    let files = inputs_of(number);
    let args: Vec<&str> = ["ingest"].into_iter().chain(files.iter().map(String::as_str)).collect();
    program(path, NIGHT, &args)
}

fn settle(path: &Path) {
    ends(&mut program(path, SETTLED, &["nightly"]), 0);
}

fn start(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What a command answers with `--json`.
fn answer(path: &Path, as_of: &str, args: &[&str]) -> Json {
    let mut command = program(path, as_of, args);
    let output = command
        .arg("--json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Reads as a dashboard does. Whatever it sees is whole. Returns how many records the account has.
fn read(path: &Path) -> i64 {
    let status = answer(path, NIGHT, &["status"]);
    assert!(
        status["batches_metered"].as_i64() <= status["batches"].as_i64(),
        "{status}"
    );
    for run in status["runs"].as_array().unwrap() {
        assert_eq!(run["report"]["control"]["all"]["balances"], true, "{run}");
    }
    let of_december = ["--from", "2024-12-01", "--to", "2025-01-01"];
    for statement in statements(path, NIGHT, "7") {
        let amount = |text: &Json| text.as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
        let lines = statement["lines"].as_array().unwrap();
        let sum: rust_decimal::Decimal = lines.iter().map(|line| amount(&line["amount"])).sum();
        assert_eq!(sum, amount(&statement["total"]), "{statement}");
    }
    let usage = answer(path, NIGHT, &[&["usage", "7"], &of_december[..]].concat());
    let lines = usage.as_array().unwrap();
    lines.iter().map(|line| line["records"].as_i64().unwrap()).sum()
}

fn statements(path: &Path, as_of: &str, uin: &str) -> Vec<Json> {
    let args = ["statement", uin, "--from", "2024-11-01", "--to", "2025-01-01"];
    answer(path, as_of, &args).as_array().unwrap().clone()
}

/// What must not depend on who came first: exports to the byte, statements, usage, and the control totals.
fn outcome(place: &Path) -> BTreeMap<String, String> {
    let mut outcome = BTreeMap::new();
    for (path, file) in files(&place.join("books/exports")) {
        outcome.insert(path.display().to_string(), std::fs::read_to_string(file).unwrap());
    }
    for uin in ["7", "8", "9", "10"] {
        let usage = ["usage", uin, "--from", "2024-11-01", "--to", "2025-01-01"];
        outcome.insert(format!("usage of {uin}"), answer(place, SETTLED, &usage).to_string());
        let statements = statements(place, SETTLED, uin);
        outcome.insert(format!("statements of {uin}"), format!("{statements:?}"));
    }
    let status = answer(place, SETTLED, &["status"]);
    outcome.insert(
        "totals".to_owned(),
        status["runs"][0]["report"]["control"]["all"].to_string(),
    );
    outcome.insert("quarantined".to_owned(), status["quarantined"].to_string());
    outcome.insert("batches".to_owned(), status["batches"].to_string());
    outcome
}

#[test]
fn four_ingesters_two_nights_and_a_reader_at_once_end_with_the_books_of_one_after_another() {
    let (alone, together) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    lay(alone.path());
    lay(together.path());
    for number in 0..INGESTERS {
        ends(&mut ingester(alone.path(), number), 0);
    }
    for _ in 0..2 {
        ends(&mut night(alone.path()), 0);
    }
    settle(alone.path());

    let place = together.path();
    let is_done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = vec![read(place)];
            while !is_done.load(Ordering::Relaxed) {
                seen.push(read(place));
            }
            seen
        });
        let nights = [0, 1].map(|_| start(night(place)));
        let ingesters: Vec<Child> = (0..INGESTERS).map(|number| start(ingester(place, number))).collect();
        let ingested: Vec<Ended> = ingesters.into_iter().map(end).collect();
        let nights = nights.map(end);
        is_done.store(true, Ordering::Relaxed);
        for ended in ingested {
            assert_eq!(ended.code, Some(0), "an ingester: {}", ended.said);
        }
        for ended in nights {
            let is_right =
                ended.code == Some(0) || ended.code == Some(5) && ended.said.contains("another run is active");
            assert!(is_right, "a night: {ended:?}");
        }
        reader.join().unwrap()
    });
    assert!(seen.is_sorted(), "usage went back: {seen:?}");
    // Whichever nights were turned away: one more before the end of December, and one after it.
    ends(&mut night(place), 0);
    settle(place);
    let (expected, found) = (outcome(alone.path()), outcome(place));
    for (what, text) in &expected {
        assert_eq!(found.get(what), Some(text), "{what}");
    }
    assert_eq!(expected.len(), found.len());
    assert_eq!(differences(place), Vec::<String>::new());
}

#[test]
fn the_lease_of_another_machine_is_waited_for_until_its_limit_and_not_longer() {
    let (alone, place) = (place(), place());
    ends(&mut night(alone.path()), 0);
    let place = place.path();
    ends(&mut program(place, NIGHT, &["migrate"]), 0);
    let heard_of = |ago: i64| {
        let now = engine().now_seconds();
        execute(
            place,
            &format!(
                "UPDATE lease SET owner = 'nightly (process 1 on elsewhere)', process = 1, place = 'elsewhere', token = 7, \
                 heartbeat_at = {now} - {ago}"
            ),
        );
    };
    heard_of(0);
    says(
        &run(&mut night(place)),
        5,
        &[
            "another run is active",
            "process 1 on elsewhere",
            "for 60 s is considered dead",
        ],
    );
    heard_of(60);
    ends(&mut night(place), 0);
    same_books(place, alone.path());
}

/// The embedded ledger has no server that could end a session: there, others wait for `ledger_wait_s` and say who has it locked.
#[test]
fn a_run_that_stands_still_while_it_writes_is_undone_by_the_server_and_commits_nothing_when_it_wakes_up() {
    if is_embedded() {
        return;
    }
    let (alone, place) = (place(), place());
    ends(&mut night(alone.path()), 0);
    let place = place.path();
    // The server ends its session after the least time that there is, ten seconds.
    let stale = stop_at(night(place).env("TALLYBOOK_LEDGER_WAIT_S", "20"), "meter.before_commit").unwrap();
    stale.freeze(true);
    // Its lease lives for another minute; this waits for its transaction to be undone.
    with_books(place, async |books| {
        let mut tx = books.ledger.begin().await.unwrap();
        tallybook::storage::ledger::query("UPDATE lease SET heartbeat_at = heartbeat_at - 120")
            .execute(&mut tx)
            .await
            .unwrap();
        books.ledger.commit(tx, "test").await.unwrap();
    });
    ends(&mut night(place), 0);
    let books = dump(place);
    stale.freeze(false);
    says(&stale.go_on(), 1, &["run the same command again"]);
    assert!(dump(place) == books, "the run that woke up changed the books");
    same_books(place, alone.path());
}
