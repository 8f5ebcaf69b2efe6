//! Two runs, and runs that stood still.

use std::path::Path;
use std::process::Command;

use super::small::{NIGHT, ends, night, place, same_books, says};
use crate::crashes::books::{dump, with_books};
use crate::crashes::copy;
use crate::crashes::play::{DAY, drop_file, lay_ground};
use crate::crashes::process::{Stopped, program, run, stop_at};
use crate::world::line;
use tallybook::storage::ledger::query;

#[test]
fn of_two_nights_at_once_the_second_says_who_holds_the_books_and_the_first_goes_on() {
    let (alone, place) = (place(), place());
    ends(&mut night(alone.path()), 0);
    let first = stop_at(&mut night(place.path()), "written raw").unwrap();
    let holder = format!("nightly (process {} on ", first.id());
    says(&run(&mut night(place.path())), 5, &["another run is active", &holder]);
    let ended = first.go_on();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    same_books(place.path(), alone.path());
}

/// Freezes a run while nobody writes, and lets two minutes pass on its lease.
fn take_for_dead(path: &Path, stopped: &Stopped) {
    with_books(path, async |books| {
        let mut tx = books.ledger.begin().await.unwrap();
        stopped.freeze(true);
        query("UPDATE lease SET heartbeat_at = heartbeat_at - 120")
            .execute(&mut tx)
            .await
            .unwrap();
        books.ledger.commit(tx, "test").await.unwrap();
    });
}

/// A run stands still at the point, another one does its work, and the first wakes up.
fn overtaken(place: &Path, command: impl Fn(&Path) -> Command, point: &str) {
    let alone = tempfile::tempdir().unwrap();
    copy(place, alone.path());
    ends(&mut command(alone.path()), 0);
    let stale = stop_at(&mut command(place), point).unwrap();
    take_for_dead(place, &stale);
    ends(&mut command(place), 0);
    let books = dump(place);
    stale.freeze(false);
    says(&stale.go_on(), 5, &["had no heartbeat", "run the same command again"]);
    assert!(dump(place) == books, "the run that woke up changed the books");
    same_books(place, alone.path());
}

#[test]
fn a_metering_that_wakes_up_after_another_run_finished_changes_nothing() {
    overtaken(place().path(), night, "written keys");
}

#[test]
fn a_close_that_wakes_up_after_another_run_finished_changes_nothing() {
    let place = place();
    ends(&mut program(place.path(), "2024-11-20T00:00:00Z", &["nightly"]), 0);
    let close = |place: &Path| program(place, NIGHT, &["close"]);
    overtaken(place.path(), close, "stated books");
}

#[test]
fn a_merge_that_wakes_up_after_another_run_finished_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    lay_ground(place.path());
    let night = |place: &Path| program(place, "2024-11-20T00:00:00Z", &["nightly"]);
    overtaken(place.path(), night, "synced raw");
}

#[test]
fn a_clock_that_goes_backwards_closes_nothing_twice_and_lets_no_expired_day_in() {
    let place = place();
    let place = place.path();
    let night_at = |now: &str| run(&mut program(place, now, &["nightly"]));
    assert_eq!(night_at(NIGHT).code, Some(0));
    assert_eq!(night_at("2025-07-20T00:00:00Z").code, Some(0));
    let counts = || {
        with_books(place, async |books| {
            let sql = "SELECT (SELECT COUNT(*) FROM statement), (SELECT COUNT(*) FROM closed_period), \
                       (SELECT COUNT(*) FROM closing), (SELECT COUNT(*) FROM expired_day), (SELECT COUNT(*) FROM export), \
                       (SELECT COUNT(*) FROM quarantine WHERE code = 'day_expired')";
            let row = query(sql).fetch_one(&books.ledger).await.unwrap();
            [0, 1, 2, 3, 4, 5].map(|at| row.try_get::<i64>(at).unwrap())
        })
    };
    let exports = || {
        let dump = dump(place);
        dump.lines()
            .filter(|line| line.starts_with("exports/"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let (before, exported) = (counts(), exports());
    for (number, now) in ["2024-12-11T00:00:00Z", "2024-11-20T00:00:00Z", NIGHT]
        .into_iter()
        .enumerate()
    {
        drop_file(place, "again.ndjson", &line(&format!("back-{number}"), 7, DAY, 60_000));
        let ended = night_at(now);
        // No record of the file could be taken: a person is told.
        assert_eq!(ended.code, Some(3), "{now}: {}", ended.said);
    }
    assert_eq!(
        counts(),
        [before[0], before[1], before[2], before[3], before[4], before[5] + 3]
    );
    assert_eq!(exports(), exported);
    assert_eq!(crate::crashes::books::differences(place), Vec::<String>::new());
}

#[test]
fn after_a_crash_between_files_and_ledger_the_files_count_for_nothing_and_are_swept_a_day_later() {
    let (alone, place) = (place(), place());
    ends(&mut night(alone.path()), 0);
    stop_at(&mut night(place.path()), "ingest.before_commit")
        .unwrap()
        .kill();
    let files = || crate::crashes::books::files(&place.path().join("books/raw")).len();
    assert_eq!(files(), 1, "written, and named by nobody");
    ends(&mut night(place.path()), 0);
    assert_eq!(files(), 2, "its writer might still be at it");
    same_books(place.path(), alone.path());
    with_books(place.path(), async |books| {
        query("UPDATE intake SET registered_at = registered_at - 90000")
            .execute_alone(&books.ledger)
            .await
            .unwrap();
    });
    ends(&mut night(place.path()), 0);
    assert_eq!(files(), 1);
    same_books(place.path(), alone.path());
}
