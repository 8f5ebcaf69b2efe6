//! What people read: statements, exports, help.

use std::process::Command;

use tallybook::span::Cycle;

use crate::world::{Place, line, real_cards};

fn printed(place: &Place, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tallybook"))
        .arg("--data-dir")
        .arg(place.data())
        .arg("--rate-cards")
        .arg(real_cards())
        .args(arguments)
        .output()
        .unwrap();
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
    let wrong: [&[&str]; 6] = [
        &["ingest", "usage.txt"],
        &["ingest", "missing.ndjson"],
        &["statement", "1"],
        &["export", "--again", "99"],
        &["account", "add", "7", "--card", "nonesuch"],
        &["--ledger", "oracle://u:secret@h/d", "status"],
    ];
    let answers: Vec<String> = wrong
        .iter()
        .map(|arguments| format!("$ {}\n{}", arguments.join(" "), printed(&place, arguments)))
        .collect();
    insta::assert_snapshot!(answers.join("\n"));
}
