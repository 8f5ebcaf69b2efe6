//! What stands for a day's raw rows: made the night before they go, made anew when more come, held against them while they stay.

use std::path::PathBuf;

use tallybook::inspect::explain::explain;
use tallybook::storage::ledger::query;

use crate::ledgers;
use crate::nights::verified;
use crate::world::{Place, at, line, run};

const NOVEMBER: &str = "2024-11-15T10:00:00+08:00";
const DAY: &str = "2024-11-15";

/// One record, closed; its day is due on 15 May.
fn closed() -> Place {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-12-10T00:00:00Z");
    place
}

/// Rows of the day and of account 7, as they are proved.
fn proved_rows(place: &Place) -> (i64, i64) {
    run(async {
        let books = place.books(at("2025-06-01T00:00:00Z")).await;
        let sql = "SELECT d.row_count, a.row_count FROM proved_day d JOIN proved_account a ON a.day = d.day WHERE a.uin = '7'";
        let row = query(sql).fetch_one(&books.ledger).await.unwrap();
        books.ledger.close().await;
        (row.try_get(0).unwrap(), row.try_get(1).unwrap())
    })
}

/// How many records of the day are explained by their rows, and how many digests stand for such.
fn behind(place: &Place, now: &str) -> (i64, usize) {
    let explanation = run(async {
        let books = place.books(at(now)).await;
        let explained = explain(&books, "7-20241101-20241201", Some(1), 9).await;
        books.ledger.close().await;
        explained.unwrap()
    });
    let behind = explanation.lines[0].behind.as_ref().unwrap();
    (behind.records, behind.expired.len())
}

/// Leaves no row in the day's segments.
fn spoil_segments(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = place.data().join("raw").join(format!("day={DAY}"));
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let spoiled = files.map(|path| {
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, "no rows").unwrap();
        (path, whole)
    });
    spoiled.collect()
}

#[test]
fn a_day_is_proved_the_night_before_it_goes_and_none_of_its_rows_is_read_when_it_goes() {
    let place = closed();
    assert_eq!(place.night("2025-05-13T00:00:00Z").expired.proved_ahead, []);
    let night = place.night("2025-05-14T00:00:00Z");
    assert_eq!(night.expired.proved_ahead, [DAY.parse().unwrap()]);
    assert_eq!(night.expired.days, []);
    let again = place.night("2025-05-14T12:00:00Z");
    assert_eq!(again.expired.proved_ahead, [], "a second night proves nothing again");
    assert_eq!(
        behind(&place, "2025-05-14T12:00:00Z"),
        (1, 0),
        "its rows are still there"
    );
    spoil_segments(&place);
    assert_eq!(
        place.night("2025-05-15T00:00:00Z").expired.days,
        [(DAY.parse().unwrap(), 1)]
    );
    assert_eq!(
        behind(&place, "2025-05-15T12:00:00Z"),
        (0, 1),
        "the digest stands for it"
    );
    assert_eq!(
        verified(&place, "2025-05-15T12:00:00Z").differences,
        Vec::<String>::new()
    );
}

#[test]
fn a_day_that_nobody_proved_in_time_is_proved_when_it_goes() {
    let place = closed();
    let night = place.night("2025-06-20T00:00:00Z");
    assert_eq!(night.expired.days, [(DAY.parse().unwrap(), 1)]);
    assert_eq!(proved_rows(&place), (1, 1));
}

#[test]
fn a_day_that_got_records_after_it_was_proved_is_proved_anew_before_it_goes() {
    let place = closed();
    assert_eq!(place.night("2025-05-14T00:00:00Z").expired.proved_ahead.len(), 1);
    let late = place.file("late.ndjson", line("b", 7, NOVEMBER, 60_000));
    place.ingest("2025-05-14T12:00:00Z", &late).unwrap();
    assert_eq!(proved_rows(&place), (1, 1));
    assert_eq!(
        verified(&place, "2025-05-14T12:00:00Z").differences,
        Vec::<String>::new(),
        "a proof that more rows came after is no difference"
    );
    let held = place.night("2025-05-15T00:00:00Z").expired;
    assert_eq!(
        held.held.iter().map(|held| held.code).collect::<Vec<_>>(),
        ["late_usage"]
    );
    assert_eq!(proved_rows(&place), (2, 2));
    let night = place.night("2025-06-10T00:00:00Z");
    assert_eq!(night.expired.days, [(DAY.parse().unwrap(), 2)]);
    assert_eq!(proved_rows(&place), (2, 2));
}

#[test]
fn a_day_whose_segments_are_merged_after_it_was_proved_is_the_same_day() {
    let place = Place::new();
    for number in 1..8 {
        let record = line(&format!("r{number}"), 7, NOVEMBER, 60_000);
        let file = place.file(&format!("{number}.ndjson"), record);
        place.ingest("2024-11-20T00:00:00Z", &file).unwrap();
    }
    place.night("2024-12-10T00:00:00Z");
    // What is sent again is a row of the day, too, and the eighth segment.
    place.drop("again.ndjson", format!("\n{}", line("r1", 7, NOVEMBER, 60_000)));
    let night = place.night("2025-05-14T00:00:00Z");
    assert_eq!(
        (night.expired.proved_ahead.len(), night.kept.segments_merged),
        (1, (8, 1))
    );
    assert_eq!(
        verified(&place, "2025-05-14T12:00:00Z").differences,
        Vec::<String>::new()
    );
    spoil_segments(&place);
    let night = place.night("2025-05-15T00:00:00Z");
    assert_eq!(night.expired.days, [(DAY.parse().unwrap(), 8)]);
}

#[test]
fn a_day_with_a_damaged_segment_is_held_for_a_person_and_proved_once_it_is_restored() {
    let place = closed();
    let spoiled = spoil_segments(&place);
    for night in ["2025-05-14T00:00:00Z", "2025-05-15T00:00:00Z"] {
        let night = place.night(night);
        let held: Vec<_> = night.expired.held.iter().map(|held| (held.code, held.day)).collect();
        assert_eq!(held, [("damaged", DAY.parse().unwrap())]);
        assert_eq!((u8::from(night.exit_code()), night.expired.proved_ahead.len()), (3, 0));
    }
    for (path, whole) in spoiled {
        std::fs::write(path, whole).unwrap();
    }
    let night = place.night("2025-05-15T12:00:00Z");
    assert_eq!(night.expired.days, [(DAY.parse().unwrap(), 1)]);
    assert_eq!(
        verified(&place, "2025-05-15T12:00:00Z").differences,
        Vec::<String>::new()
    );
}

#[test]
fn a_day_whose_proof_has_lost_an_account_does_not_go() {
    let place = closed();
    place.night("2025-05-14T00:00:00Z");
    ledgers::execute(place.path(), "DELETE FROM proved_account WHERE uin = '7'");
    let failed = place.try_night("2025-05-15T00:00:00Z").unwrap_err().to_string();
    assert!(
        failed.contains("was verified with 1 account, and the ledger has 0"),
        "{failed}"
    );
}

#[test]
fn a_proof_that_is_not_one_of_the_rows_is_named_while_they_are_there() {
    let place = closed();
    place.night("2025-05-14T00:00:00Z");
    assert_eq!(
        verified(&place, "2025-05-14T12:00:00Z").differences,
        Vec::<String>::new()
    );
    ledgers::execute(
        place.path(),
        "UPDATE proved_account SET duration_ms = '60001' WHERE uin = '7'",
    );
    let found = verified(&place, "2025-05-14T12:00:00Z").differences.join("\n");
    assert!(
        found.contains("the digests of 2024-11-15 do not match its records; account 7"),
        "{found}"
    );
}

#[test]
fn a_day_that_went_with_other_rows_than_its_proof_has_is_named() {
    let place = closed();
    assert_eq!(place.night("2025-05-15T00:00:00Z").expired.days.len(), 1);
    ledgers::execute(place.path(), "UPDATE proved_day SET row_count = 2");
    let found = verified(&place, "2025-05-15T12:00:00Z").differences.join("\n");
    assert!(
        found.contains("2024-11-15 expired with records that its digests do not cover"),
        "{found}"
    );
}
