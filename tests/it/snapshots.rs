//! What people read: statements, exports, help.

use std::process::Command;

use tallybook::values::calendar::Cycle;

use crate::crashes::process::MACHINE_CLOCK;
use crate::world::{Place, line, real_cards};

fn printed(place: &Place, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    command.arg("--data-dir").arg(place.data());
    command.arg("--rate-cards").arg(real_cards()).args(arguments);
    command.env("TALLYBOOK_MACHINE_CLOCK", MACHINE_CLOCK);
    command.env("TALLYBOOK_DROP_REST_S", "0");
    if let Some(ledger) = crate::ledgers::url(place.path()) {
        command.env("TALLYBOOK_LEDGER", ledger);
    }
    let output = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    format!(
        "{}exit code {:?}\n",
        text.replace(&place.data().display().to_string(), "DATA"),
        output.status.code()
    )
}

fn place_with_usage() -> Place {
    let place = Place::new();
    place.add_account(
        "2024-11-01T00:00:00Z",
        9,
        "mps-intl",
        Cycle::Monthly { anchor_day: 15 },
        "2024-10-15",
    );
    let snapshot = "{\"id\":\"s\",\"uin\":\"7\",\"appid\":2,\"task_type\":\"Snapshot\",\"parameters\":{\"type\":\"ImageSprite\",\"images\":333},\
                    \"duration_ms\":0,\"finished_at\":\"2024-11-30T23:59:59.999+08:00\"}\n";
    place.drop(
        "usage.ndjson",
        format!(
            "{}{}{}{snapshot}{}",
            line("a", 7, "2024-11-15T10:00:00+08:00", 61_001),
            line("b", 7, "2024-12-01T00:00:00+08:00", 60_000),
            line("c", 9, "2024-11-14T10:00:00+08:00", 3_600_000),
            "{\"id\":\"d\",\"uin\":\"7\"}\n",
        ),
    );
    place
}

#[test]
fn a_night_as_a_person_reads_it() {
    let place = place_with_usage();
    insta::assert_snapshot!(printed(&place, &["--as-of", "2024-12-04T00:00:00Z", "nightly"]));
}

#[test]
fn statements_closed_and_draft() {
    let place = place_with_usage();
    place.night("2024-12-04T00:00:00Z");
    insta::assert_snapshot!(printed(
        &place,
        &[
            "--as-of",
            "2024-12-05T00:00:00Z",
            "statement",
            "7",
            "--from",
            "2024-11-01"
        ]
    ));
}

#[test]
fn usage_by_day() {
    let place = place_with_usage();
    place.night("2024-12-04T00:00:00Z");
    insta::assert_snapshot!(printed(&place, &["--as-of", "2024-12-05T00:00:00Z", "usage", "7"]));
}

#[test]
fn the_exported_files() {
    let place = place_with_usage();
    place.night("2024-12-04T00:00:00Z");
    let files = ["statement_lines.csv", "statements.csv", "manifest.json"];
    let text: Vec<String> = files
        .iter()
        .flat_map(|name| place.exported(name))
        .map(|(name, text)| format!("== {name}\n{text}"))
        .collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn what_waits_is_listed_one_by_one() {
    let place = place_with_usage();
    place.night("2024-12-04T00:00:00Z");
    place.drop(
        "more.ndjson",
        format!(
            "{}{}{}",
            line("a", 7, "2024-11-15T10:00:00+08:00", 99_000),
            line("late", 7, "2024-11-15T10:00:00+08:00", 60_000),
            "{\"id\":\"v\",\"kind\":\"void\",\"voids\":\"not here yet\"}\n"
        ),
    );
    place.night("2024-12-05T00:00:00Z");
    let text = printed(&place, &["--as-of", "2024-12-06T00:00:00Z", "status"]);
    let without_sizes: Vec<&str> = text.lines().filter(|line| !line.starts_with("raw ")).collect();
    insta::assert_snapshot!(without_sizes.join("\n"));
}

#[test]
fn help() {
    let place = Place::new();
    insta::assert_snapshot!(printed(&place, &["--help"]));
}

#[test]
fn what_was_typed_wrong_is_answered_with_the_cure() {
    let place = place_with_usage();
    place.night("2024-12-04T00:00:00Z");
    let wrong: [&[&str]; 8] = [
        &["ingest", "usage.txt"],
        &["ingest", "missing.ndjson"],
        &["statement", "1"],
        &["export", "--again", "99"],
        &["account", "add", "7", "--card", "nonesuch"],
        &["account", "add", "7", "--price", "Audio=1e3"],
        &["--ledger", "oracle://u:secret@h/d", "status"],
        &["--ledger", "postgres://u:secret@h", "status"],
    ];
    let answers: Vec<String> = wrong
        .iter()
        .map(|arguments| format!("$ {}\n{}", arguments.join(" "), printed(&place, arguments)))
        .collect();
    insta::assert_snapshot!(answers.join("\n"));
}

/// November closed; then a late record, a void and another content of one id.
fn place_with_a_past() -> Place {
    let place = Place::new();
    place.drop(
        "november.ndjson",
        format!(
            "{}{}{}",
            line("a", 7, "2024-11-15T10:00:00+08:00", 60_000),
            line("b", 7, "2024-11-16T10:00:00+08:00", 90_000),
            line("c", 7, "2024-11-17T10:00:00+08:00", 30_000)
        ),
    );
    place.night("2024-12-10T00:00:00Z");
    let void = "{\"id\":\"v\",\"kind\":\"void\",\"voids\":\"a\"}\n";
    place.drop(
        "late.ndjson",
        format!(
            "{}{void}{}",
            line("d", 7, "2024-11-20T10:00:00+08:00", 600_000),
            line("b", 7, "2024-11-16T10:00:00+08:00", 120_000)
        ),
    );
    place.night("2024-12-11T00:00:00Z");
    place
}

#[test]
fn a_conflict_from_its_list_to_the_audit_trail() {
    let place = place_with_a_past();
    let at = ["--as-of", "2024-12-12T00:00:00Z", "--who", "mira"];
    let conflict = |arguments: &[&str]| printed(&place, &[&at[..], &["conflict"], arguments].concat());
    let told = [
        conflict(&["list"]),
        conflict(&["show", "1"]),
        conflict(&["replace", "1", "--reason", "the customer sent the right duration"]),
        conflict(&["list"]),
        conflict(&["keep", "1", "--reason", "no"]),
        printed(&place, &[&at[..], &["audit"]].concat()),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_statement_and_its_adjustment_explained_before_and_after_their_raw_expires() {
    let place = place_with_a_past();
    place.night("2025-01-10T00:00:00Z");
    let explain = |arguments: &[&str]| printed(&place, &[&["explain"], arguments].concat());
    let before = [
        explain(&["7-20241101-20241201"]),
        explain(&["7-20241201-20250101"]),
        explain(&["7-20241101-20241201", "--line", "9"]),
        explain(&["7-20250101-20250201"]),
    ];
    printed(
        &place,
        &[
            "--as-of",
            "2025-06-20T00:00:00Z",
            "expire",
            "--waive",
            "2024-11-16",
            "--reason",
            "seen",
        ],
    );
    place.night("2025-06-20T00:00:00Z");
    let after = [
        explain(&["7-20241101-20241201", "--line", "1"]),
        printed(&place, &["verify"]),
    ];
    insta::assert_snapshot!(format!("{}\n{}", before.join("\n"), after.join("\n")));
}
