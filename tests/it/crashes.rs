//! Death at every commit point, then the same night again: the books are what they would have been.

use std::path::Path;
use std::process::Command;

use crate::world::{Place, at, line, real_cards, run};

const NOVEMBER: &str = "2024-11-15T10:00:00+08:00";

/// Every point at which a commit may or may not have happened.
const POINTS: [&str; 13] = [
    "ingest.files_written",
    "ingest.before_commit",
    "ingest.after_commit",
    "drop.before_move",
    "meter.files_written",
    "meter.before_commit",
    "meter.after_commit",
    "close.before_commit",
    "close.after_commit",
    "export.files_written",
    "export.before_commit",
    "export.after_commit",
    "expire.before_commit",
];

fn night(data: &Path, now: &str, die_at: Option<&str>) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    command
        .arg("--data-dir")
        .arg(data)
        .arg("--rate-cards")
        .arg(real_cards());
    command.args(["--as-of", now, "nightly"]);
    match die_at {
        Some(point) => command.env("TALLYBOOK_DIE_AT", point),
        None => command.env_remove("TALLYBOOK_DIE_AT"),
    };
    command.output().unwrap().status.code()
}

/// Two nights; the one that may be disturbed closes November and, half a year on, lets its raw go.
fn play(die_at: Option<&str>) -> (Place, bool) {
    let place = Place::new();
    place.drop(
        "a.ndjson",
        format!(
            "{}{}not usage\n",
            line("a", 7, NOVEMBER, 60_000),
            line("b", 8, NOVEMBER, 90_000)
        ),
    );
    let mut died = false;
    for now in ["2024-12-10T00:00:00Z", "2025-05-20T00:00:00Z"] {
        if die_at.is_some() && night(&place.data(), now, die_at).is_none() {
            died = true;
        }
        assert_eq!(night(&place.data(), now, None), Some(0));
    }
    (place, died)
}

/// Lets a day pass for writers that died, by the ledger's own clock.
fn age_intakes(place: &Place) {
    run(async {
        let books = place.books(at("2025-05-20T00:00:00Z")).await;
        sqlx::query("UPDATE intake SET registered_at = registered_at - 90000")
            .execute(books.ledger.pool())
            .await
            .unwrap();
        books.ledger.close().await;
    });
}

#[test]
fn a_night_killed_at_any_point_and_run_again_gives_the_same_books() {
    let undisturbed = play(None).0;
    let names = ["statement_lines.csv", "statements.csv", "manifest.json"];
    let expected = names.map(|name| undisturbed.exported(name));
    for point in POINTS {
        let (place, died) = play(Some(point));
        assert!(died, "{point} was never reached");
        assert_eq!(names.map(|name| place.exported(name)), expected, "killed at {point}");
        let verified = Command::new(env!("CARGO_BIN_EXE_tallybook"))
            .arg("--data-dir")
            .arg(place.data())
            .arg("verify")
            .output()
            .unwrap();
        assert!(
            verified.status.success(),
            "killed at {point}: {}",
            String::from_utf8_lossy(&verified.stdout)
        );
        age_intakes(&place);
        assert_eq!(night(&place.data(), "2025-05-21T00:00:00Z", None), Some(0));
        assert_eq!(
            std::fs::read_dir(place.data().join("raw")).unwrap().count(),
            0,
            "killed at {point}: orphans are swept"
        );
    }
}
