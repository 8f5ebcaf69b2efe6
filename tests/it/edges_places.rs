//! What people mistype, and the days that they mean: places, variables, days, accounts; and the types of `--json`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::crashes::process::program;
use crate::exactly_once::shop::{Shop, usage, void};
use crate::ledgers;
use crate::world::{Place, line, real_cards};

/// What a command printed.
struct Told {
    code: Option<i32>,
    out: String,
    said: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.said))
    }
}

fn told(command: &mut Command) -> Told {
    let output = command.output().unwrap();
    Told {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        said: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The program in a folder, with nothing from this process's environment and nothing said about places.
fn bare(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    command.current_dir(folder).env_clear().args(args);
    command
}

/// The program on a place's books.
fn on(place: &Place, args: &[&str]) -> Command {
    let mut command = bare(place.path(), &["--data-dir", "books"]);
    command.arg("--rate-cards").arg(real_cards()).args(args);
    if let Some(ledger) = ledgers::url(place.path()) {
        command.env("TALLYBOOK_LEDGER", ledger);
    }
    command
}

fn refused(told: &Told, words: &[&str]) {
    assert_eq!(told.code, Some(2), "{}{}", told.out, told.said);
    for word in words {
        assert!(told.said.contains(word), "{word:?} is not in: {}", told.said);
    }
}

/// Every command that brings nothing in.
const READERS: [&[&str]; 20] = [
    &["status"],
    &["verify"],
    &["usage", "7"],
    &["usage", "--all"],
    &["statement", "7"],
    &["explain", "7-20241101-20241201"],
    &["audit"],
    &["account", "list"],
    &["account", "show", "7"],
    &["quarantine", "list"],
    &["quarantine", "show", "1"],
    &["conflict", "list"],
    &["conflict", "show", "1"],
    &["rate-card", "list"],
    &["rate-card", "show", "mps-cn"],
    &["meter"],
    &["meter", "--rebuild"],
    &["close"],
    &["export"],
    &["expire"],
];

fn entries(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// first-use A7: a mistyped `--data-dir`, or cron without `cd`.
#[test]
fn a7_a_command_that_brings_nothing_in_makes_no_books_and_names_the_nearest() {
    if !ledgers::is_embedded() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let cards = real_cards();
    let made = told(bare(home.path(), &["migrate"]).arg("--rate-cards").arg(&cards));
    assert_eq!(made.code, Some(0), "{}", made.said);
    assert_eq!(entries(home.path()), BTreeSet::from(["tallybook-data".to_owned()]));
    for args in READERS {
        let mistyped = told(bare(home.path(), args).args(["--data-dir", "tallybok-data"]));
        refused(
            &mistyped,
            &[
                "tallybok-data is not a tallybook data folder",
                "--data-dir tallybook-data",
                "Nothing was created",
            ],
        );
        assert_eq!(entries(home.path()).len(), 1, "{args:?}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    for args in READERS {
        refused(
            &told(&mut bare(elsewhere.path(), args)),
            &["tallybook-data is not a tallybook data folder"],
        );
        assert!(entries(elsewhere.path()).is_empty(), "{args:?}");
    }
    // Made on purpose or not, new books beside others are told.
    let beside = told(bare(home.path(), &["migrate"]).args(["--data-dir", "second"]));
    assert_eq!(beside.code, Some(0), "{}", beside.said);
    assert!(
        beside.said.contains("there is already one in tallybook-data"),
        "{}",
        beside.said
    );
    assert!(
        told(bare(home.path(), &["migrate"]).args(["--data-dir", "second"]))
            .said
            .is_empty()
    );
    std::fs::remove_dir_all(home.path().join("second")).unwrap();
    // One folder too high, and one that has a file of this name and no books.
    let above = home.path().display().to_string();
    let inside = format!("--data-dir {above}/tallybook-data");
    refused(
        &told(bare(elsewhere.path(), &["status"]).args(["--data-dir", &above])),
        &[&inside],
    );
    std::fs::write(elsewhere.path().join("ledger.sqlite"), "").unwrap();
    refused(
        &told(bare(elsewhere.path(), &["status"]).args(["--data-dir", "."])),
        &["is not a tallybook data folder"],
    );
    assert_eq!(
        std::fs::metadata(elsewhere.path().join("ledger.sqlite")).unwrap().len(),
        0
    );
}

#[test]
fn a_database_without_books_is_told_and_books_without_their_folder_too() {
    if ledgers::is_embedded() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let name = format!("tallybook_test_{}_nobooks", std::process::id());
    ledgers::run_sql(ledgers::server(), format!("CREATE DATABASE {name}"));
    let url = ledgers::server_with(&name);
    for args in READERS {
        let none = told(bare(home.path(), args).args(["--ledger", &url]));
        refused(&none, &["has no tallybook tables", &name, "Nothing was created"]);
        assert!(entries(home.path()).is_empty(), "{args:?}");
    }
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema IN ('public', '";
    let tables = told_tables(&url, &format!("{tables}{name}')"));
    assert_eq!(tables, 0);
    ledgers::run_sql(ledgers::server(), format!("DROP DATABASE {name}"));

    let place = Place::new();
    let file = place.file("u.ndjson", line("a", 7, "2024-11-15T10:00:00+08:00", 60_000));
    place.ingest("2024-11-15T12:00:00Z", &file).unwrap();
    let url = ledgers::url(place.path()).unwrap();
    for args in READERS.iter().chain([&["ingest", "u.ndjson"][..], &["nightly"]].iter()) {
        let mut command = bare(place.path(), args);
        let lost = told(command.args(["--ledger", &url, "--data-dir", "bokks"]));
        refused(&lost, &["bokks does not exist", "--data-dir"]);
        assert!(!place.path().join("bokks").exists(), "{args:?}");
    }
}

fn told_tables(url: &str, sql: &str) -> usize {
    crate::dashboards::answered(url, sql).len()
}

/// first-use A6: a new price list would never arrive.
#[test]
fn a6_a_folder_of_rate_cards_that_was_named_and_is_not_there_is_an_error() {
    let place = Place::new();
    let night = |args: &[&str]| {
        let mut command = bare(place.path(), &["--data-dir", "books", "--as-of", "2024-11-16"]);
        if let Some(ledger) = ledgers::url(place.path()) {
            command.env("TALLYBOOK_LEDGER", ledger);
        }
        command.args(args);
        command
    };
    place.night("2024-11-15T00:00:00Z");
    for command in [&["nightly"][..], &["rate-card", "import"]] {
        let flag = told(night(command).args(["--rate-cards", "rate-crads"]));
        refused(&flag, &["rate-crads does not exist", "--rate-cards"]);
        let variable = told(night(command).env("TALLYBOOK_RATE_CARDS", "rate-crads"));
        refused(&variable, &["rate-crads does not exist"]);
    }
    std::fs::write(place.path().join("tallybook.toml"), "rate_cards = \"rate-crads\"\n").unwrap();
    refused(
        &told(&mut night(&["nightly"])),
        &["rate-crads does not exist", "`rate_cards`"],
    );
    // A drop folder likewise: no file would ever come.
    let drop = told(
        night(&["nightly"])
            .env("TALLYBOOK_RATE_CARDS", real_cards())
            .env("TALLYBOOK_DROP", "incomming"),
    );
    refused(&drop, &["the drop folder incomming does not exist", "TALLYBOOK_DROP"]);
    assert!(!place.path().join("incomming").exists());
    // Who only reads needs none.
    assert_eq!(told(&mut night(&["status"])).code, Some(0));
    std::fs::remove_file(place.path().join("tallybook.toml")).unwrap();
    // Nobody named one: the cards of the ledger hold, and the night says so.
    let quiet = told(&mut night(&["nightly"]));
    assert_eq!(quiet.code, Some(0), "{}", quiet.said);
    assert!(
        quiet.out.contains("the folder rate-cards does not exist"),
        "{}",
        quiet.out
    );
}

#[test]
fn a_variable_that_no_setting_has_is_an_error_with_the_nearest() {
    let home = tempfile::tempdir().unwrap();
    for (variable, words) in [
        ("TALLYBOOK_DATADIR", "did you mean TALLYBOOK_DATA_DIR?"),
        ("TALLYBOOK_DEFAULT_CRAD", "did you mean TALLYBOOK_DEFAULT_CARD?"),
        ("TALLYBOOK_AS_OF", "only be set with --as-of"),
        ("TALLYBOOK_KEEP_CONFLICT_MONTHS", "settings are TALLYBOOK_"),
    ] {
        for args in [&["status"][..], &["nightly"], &["demo"], &["rate-card", "check"]] {
            refused(&told(bare(home.path(), args).env(variable, "1")), &[variable, words]);
        }
    }
    assert!(entries(home.path()).is_empty());
}

#[test]
fn what_is_mistyped_is_answered_with_an_example_of_what_is_wanted() {
    let place = Place::new();
    let file = place.file(
        "u.ndjson",
        line("a", 100_000_000_000, "2024-11-15T10:00:00+08:00", 60_000),
    );
    place.ingest("2024-11-15T12:00:00Z", &file).unwrap();
    place.night("2024-11-16T00:00:00Z");
    let account = "100000000000";
    let cases: [(&[&str], &[&str]); 15] = [
        (
            &["--as-of", "yesterday", "status"],
            &["2026-11-01T03:00:00Z", "2026-11-01 (00:00 UTC)"],
        ),
        (&["usage", account, "--from", "1.11.2024"], &["2026-11-01", "2026-11"]),
        (
            &["usage", account, "--to", "2024-11"],
            &["day after the last", "--month 2024-11"],
        ),
        (&["statement", account, "--month", "November"], &["such as 2026-10"]),
        (
            &["statement", account, "--month", "2024-11", "--from", "2024-11-02"],
            &["cannot be used with"],
        ),
        (
            &["usage", account, "--from", "2099-01"],
            &["is in the future", "Asia/Shanghai"],
        ),
        (
            &["usage", account, "--from", "2024-11-02", "--to", "2024-11-02"],
            &["is not before"],
        ),
        (&["usage"], &["UIN"]),
        (&["usage", account, "--all"], &["cannot be used with"]),
        (&["account", "add", "acme"], &["digits only", "100000000000"]),
        (&["account", "show", "acme"], &["digits only"]),
        (
            &["account", "add", "8", "--zone", "Asia/Shangai"],
            &["did you mean Asia/Shanghai?"],
        ),
        (&["account", "add", "8", "--from", "2024-11"], &["2024-11-01"]),
        (
            &["usage", "100000000001"],
            &["no account 100000000001", "did you mean 100000000000?"],
        ),
        (
            &["statement", account, "10000000000"],
            &["no account 10000000000;", "did you mean 100000000000?"],
        ),
    ];
    for (args, words) in cases {
        refused(&told(&mut on(&place, args)), words);
    }
    let card = told(&mut on(&place, &["rate-card", "show", "mps-c"]));
    refused(&card, &["\"mps-c\" is not imported", "did you mean mps-cn?"]);
    let shown = told(&mut on(&place, &["account", "show", "99"]));
    refused(&shown, &["no account 99;", "account list"]);
}

#[test]
fn a_waiver_is_for_a_day_that_has_come_and_has_raw() {
    let place = Place::new();
    let file = place.file("u.ndjson", line("a", 7, "2024-11-15T10:00:00+08:00", 60_000));
    place.ingest("2024-11-15T12:00:00Z", &file).unwrap();
    place.night("2024-11-16T00:00:00Z");
    let waive = |day: &str| {
        let args = ["--as-of", "2024-11-20", "expire", "--waive", day, "--reason", "seen"];
        told(&mut on(&place, &args))
    };
    refused(&waive("2024-11-21"), &["is in the future", "today is 2024-11-20"]);
    refused(
        &waive("2024-11-14"),
        &["there are no records on this UTC day", "`tallybook status`"],
    );
    assert_eq!(waive("2024-11-15").code, Some(0));
    let trail = told(&mut on(&place, &["audit", "--json"])).json();
    assert_eq!(trail.as_array().unwrap().len(), 1, "{trail}");
}

/// bug-log case 3: at 02:00 of the account's day its today is shown, and on the 1st the new month's draft.
#[test]
fn bug_case_03_today_is_in_the_default_days_at_any_hour_in_three_zones() {
    for (zone, offset, two_of_the_31st, two_of_the_1st) in [
        (
            "Asia/Shanghai",
            "+08:00",
            "2024-10-30T18:00:00Z",
            "2024-10-31T18:00:00Z",
        ),
        (
            "America/Los_Angeles",
            "-07:00",
            "2024-10-31T09:00:00Z",
            "2024-11-01T09:00:00Z",
        ),
        (
            "Pacific/Auckland",
            "+13:00",
            "2024-10-30T13:00:00Z",
            "2024-10-31T13:00:00Z",
        ),
    ] {
        let place = Place::new();
        let at = |time: &str, args: &[&str]| {
            let told = told(&mut on(&place, &[&["--as-of", time][..], args].concat()));
            assert_eq!(told.code, Some(0), "{zone}: {}{}", told.out, told.said);
            told
        };
        at("2024-10-01", &["rate-card", "import"]);
        at(
            "2024-10-01",
            &["account", "add", "7", "--zone", zone, "--from", "2024-10-01"],
        );
        let first = [
            line("a", 7, &format!("2024-10-31T01:30:00{offset}"), 60_000),
            line("b", 7, &format!("2024-10-30T23:30:00{offset}"), 60_000),
        ];
        place.file("first.ndjson", first.concat());
        at(two_of_the_31st, &["ingest", "first.ndjson"]);
        at(two_of_the_31st, &["nightly"]);
        let used = at(two_of_the_31st, &["usage", "7", "--json"]).json();
        let days: Vec<&str> = used
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l["day"].as_str().unwrap())
            .collect();
        assert_eq!(days, ["2024-10-30", "2024-10-31"], "{zone}");
        // The evening before, that day is not today yet, and its usage is not shown early.
        place.file(
            "second.ndjson",
            line("c", 7, &format!("2024-11-01T00:30:00{offset}"), 60_000),
        );
        at(two_of_the_1st, &["ingest", "second.ndjson"]);
        at(two_of_the_1st, &["nightly"]);
        let stated = at(two_of_the_1st, &["statement", "7", "--json"]).json();
        let drafts: Vec<(&str, &str)> = stated
            .as_array()
            .unwrap()
            .iter()
            .map(|s| {
                (
                    &s["period_start"].as_str().unwrap()[..10],
                    s["usage_through"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            drafts,
            [("2024-10-01", "2024-10-31"), ("2024-11-01", "2024-11-01")],
            "{zone}"
        );
        assert_eq!(stated[1]["draft"], true, "{zone}");
    }
}

#[test]
fn a_month_is_a_span_and_several_accounts_or_all_are_shown_at_once() {
    let place = Place::new();
    place.drop(
        "usage.ndjson",
        [
            line("a", 7, "2024-10-31T23:59:59+08:00", 60_000),
            line("b", 7, "2024-11-30T23:59:59+08:00", 60_000),
            line("c", 9, "2024-11-02T10:00:00+08:00", 60_000),
            line("d", 8, "2024-12-01T00:00:00+08:00", 60_000),
        ]
        .concat(),
    );
    place.night("2024-12-10T00:00:00Z");
    let at = |args: &[&str]| {
        let told = told(&mut on(&place, &[&["--as-of", "2024-12-11"][..], args].concat()));
        assert_eq!(told.code, Some(0), "{}{}", told.out, told.said);
        told
    };
    let field = |json: &Value, name: &str| -> Vec<String> {
        let items = json.as_array().unwrap().iter();
        items.map(|item| item[name].as_str().unwrap().to_owned()).collect()
    };
    let november = at(&["usage", "9", "7", "9", "--month", "2024-11", "--json"]).json();
    assert_eq!(field(&november, "uin"), ["9", "7"]);
    assert_eq!(field(&november, "day"), ["2024-11-02", "2024-11-30"]);
    let all = at(&["usage", "--all", "--from", "2024-11", "--csv"]).out;
    let rows: Vec<&str> = all.lines().map(|row| row.split(",1,").next().unwrap()).collect();
    assert_eq!(rows[0], "uin,day,app,region,sku,records,raw_units,billable_units");
    assert_eq!(rows[1..], ["7,2024-11-30", "8,2024-12-01", "9,2024-11-02"]);
    let stated = at(&["statement", "--all", "--month", "2024-11", "--json"]).json();
    assert_eq!(
        field(&stated, "statement_id"),
        ["7-20241101-20241201", "9-20241101-20241201"]
    );
    let csv = at(&["statement", "7", "9", "--month", "2024-11", "--csv"]).out;
    assert_eq!(
        csv.lines().filter(|row| row.starts_with("statement_id,")).count(),
        1,
        "{csv}"
    );
    assert!(
        csv.contains("\n7-20241101-20241201,") && csv.contains("\n9-20241101-20241201,"),
        "{csv}"
    );
    let text = at(&["usage", "7", "9", "--month", "2024-11"]).out;
    assert!(
        text.starts_with("account 7\n") && text.contains("\n\naccount 9\n"),
        "{text}"
    );
    let none = at(&["usage", "8", "--month", "2024-10", "--json"]);
    assert_eq!(none.out, "[]\n");
    let draft = at(&["statement", "8", "--month", "2024-12"]).out;
    assert!(
        draft.contains("DRAFT") && draft.ends_with("usage through 2024-12-01\n"),
        "{draft}"
    );
}

#[test]
fn usage_that_a_void_took_back_is_not_reached_by_a_draft() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }");
    shop.drop(&[
        usage("a", 7, "A", "2024-11-04T10:00:00+08:00", 60_000),
        usage("b", 7, "A", "2024-11-09T10:00:00+08:00", 60_000),
    ]);
    shop.place.night("2024-11-10T00:00:00Z");
    shop.drop(&[void("v", "b")]);
    shop.place.night("2024-11-11T00:00:00Z");
    let reached = crate::dashboards::answered(
        &ledgers::url(shop.place.path())
            .unwrap_or_else(|| tallybook::storage::ledger::Ledger::embedded_url(&shop.place.data())),
        "SELECT usage_through FROM dash_charges WHERE uin = '7'",
    );
    assert_eq!(reached, [["2024-11-04"]]);
}

/// What is written as a number is one in every report, and what a reader could round is text.
const NUMBERS: [&str; 12] = [
    "line_no",
    "records",
    "raw_units",
    "billable_units",
    "duration_ms",
    "batch",
    "line",
    "corrects_line",
    "raw_ms",
    "raw_count",
    "exit_code",
    "received",
];
const TEXTS: [&str; 16] = [
    "uin",
    "appid",
    "id",
    "source",
    "statement_id",
    "quantity",
    "unit_price",
    "discount_percent",
    "amount",
    "total",
    "rounding",
    "digest",
    "day",
    "as_of",
    "period_start",
    "usage_through",
];

#[test]
fn every_field_of_json_output_has_one_type_in_all_reports() {
    let place = books_with_everything();
    let commands: [&[&str]; 24] = [
        &["ingest", "u.ndjson"],
        &["nightly"],
        &["status"],
        &["usage", "--all", "--from", "2024-11"],
        &["statement", "--all", "--from", "2024-11"],
        &["explain", "7-20241101-20241201"],
        &["explain", "7-20241201-20250101"],
        &["account", "list"],
        &["account", "show", "7"],
        &["quarantine", "list"],
        &["quarantine", "show", "1"],
        &["quarantine", "retry"],
        &["conflict", "list"],
        &["conflict", "show", "1"],
        &["conflict", "replace", "1", "--reason", "seen"],
        &["audit"],
        &["verify"],
        &["meter"],
        &["meter", "--rebuild"],
        &["close"],
        &["export", "--again", "1"],
        &["expire"],
        &["rate-card", "list"],
        &["rate-card", "show", "c"],
    ];
    // By the name of a field: its scalar types, and where each was seen.
    let mut types: BTreeMap<String, BTreeMap<&'static str, String>> = BTreeMap::new();
    for args in commands {
        let mut command = program(place.path(), "2025-01-10T00:00:00Z", &[&["--json"][..], args].concat());
        let told = told(command.stdout(std::process::Stdio::piped()));
        assert!(matches!(told.code, Some(0 | 3)), "{args:?}: {}{}", told.out, told.said);
        collect(&told.json(), &args.join(" "), &mut types);
    }
    for (name, seen) in &types {
        assert!(seen.len() <= 1, "{name} has several types: {seen:?}");
    }
    for (names, kind) in [(&NUMBERS[..], "number"), (&TEXTS[..], "text")] {
        for name in names {
            let seen: Vec<_> = types
                .get(*name)
                .unwrap_or_else(|| panic!("no report has {name}"))
                .keys()
                .collect();
            assert_eq!(seen, [&kind], "{name}");
        }
    }
}

fn collect(value: &Value, command: &str, types: &mut BTreeMap<String, BTreeMap<&'static str, String>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, command, types)),
        Value::Object(fields) => {
            for (name, value) in fields {
                let kind = match value {
                    Value::String(_) => "text",
                    Value::Number(_) => "number",
                    Value::Bool(_) => "truth",
                    Value::Null | Value::Array(_) | Value::Object(_) => {
                        collect(value, command, types);
                        continue;
                    }
                };
                let seen = types.entry(name.clone()).or_default();
                seen.entry(kind).or_insert_with(|| format!("{command}: {value}"));
            }
        }
        _ => {}
    }
}

/// Two months closed, with an adjustment, a conflict, a refused line, and a period that is blocked.
fn books_with_everything() -> tempfile::TempDir {
    let dir = crate::faults::small::place();
    let place = dir.path();
    let drop = |name: &str, lines: &[String]| crate::crashes::play::drop_file(place, name, &lines.concat());
    let night = |at: &str| {
        let night = told(&mut program(place, at, &["nightly"]));
        assert!(matches!(night.code, Some(0 | 3)), "{}", night.said);
    };
    drop(
        "november.ndjson",
        &[
            line("n1", 7, "2024-11-15T10:00:00+08:00", 60_000),
            line("n2", 9, "2024-11-15T10:00:00+08:00", 61_000),
        ],
    );
    night("2024-12-10T00:00:00Z");
    drop(
        "late.ndjson",
        &[
            line("n1", 7, "2024-11-15T10:00:00+08:00", 90_000),
            line("n3", 7, "2024-11-16T10:00:00+08:00", 60_000),
            line("d1", 7, "2024-12-02T10:00:00+08:00", 60_000),
        ],
    );
    night("2025-01-09T00:00:00Z");
    std::fs::write(place.join("u.ndjson"), line("x", 7, "2025-01-02T10:00:00+08:00", 1)).unwrap();
    dir
}
