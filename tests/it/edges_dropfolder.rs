//! The drop folder at its edges: files that are still written, or change after they were read.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use tallybook::ingest::drop_folder::{Dropped, take_dropped_waiting};

use crate::world::{Place, at, line, run};

const DAY: &str = "2024-11-15T10:00:00+08:00";

/// By the machine's clock of the tests, a time after the files were really written.
const LATER: &str = "2100-01-01T00:00:00Z";

/// Takes what was dropped, at a time, with files that must rest for a minute. `meanwhile` happens while the night waits. Also says
/// how long it waited.
fn take(place: &mut Place, now: &str, meanwhile: impl FnOnce()) -> (Dropped, Option<Duration>) {
    place.settings().drop_rest_s = 60;
    run(async {
        let books = place.books(at(now)).await;
        let mut waited = None;
        let wait = async |how_long| {
            waited = Some(how_long);
            meanwhile();
        };
        let dropped = take_dropped_waiting(&books, wait).await.unwrap();
        books.ledger.close().await;
        (dropped, waited)
    })
}

/// The machine's clock a few seconds after a file was written.
fn soon_after(file: &std::path::Path, seconds: i64) -> String {
    let written: chrono::DateTime<chrono::Utc> = std::fs::metadata(file).unwrap().modified().unwrap().into();
    (written + chrono::TimeDelta::seconds(seconds)).to_rfc3339()
}

fn names(place: &Place, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place.data().join(folder)).unwrap();
    let files = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = files.map(|file| file.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_that_rests_is_taken_at_once() {
    let mut place = Place::new();
    place.drop("a.ndjson", line("a", 7, DAY, 60_000));
    let (dropped, waited) = take(&mut place, LATER, || ());
    assert_eq!((dropped.ingested.len(), dropped.left.len(), waited), (1, 0, None));
}

#[test]
fn a_night_waits_once_for_what_is_missing_of_a_rest_and_takes_what_stood_still() {
    let mut place = Place::new();
    place.drop("a.ndjson", line("a", 7, DAY, 60_000));
    let now = soon_after(&place.data().join("drop/a.ndjson"), 20);
    let (dropped, waited) = take(&mut place, &now, || ());
    assert_eq!((dropped.ingested.len(), dropped.left.len()), (1, 0));
    let waited = waited.unwrap();
    assert!(
        waited > Duration::from_secs(35) && waited <= Duration::from_secs(40),
        "{waited:?}"
    );
}

#[test]
fn a_file_from_the_future_is_taken_when_it_stood_still_for_a_whole_rest() {
    let mut place = Place::new();
    place.drop("a.ndjson", line("a", 7, DAY, 60_000));
    let (dropped, waited) = take(&mut place, "2024-12-01T00:00:00Z", || ());
    assert_eq!((dropped.ingested.len(), waited), (1, Some(Duration::from_mins(1))));
}

#[test]
fn a_file_that_grows_while_the_night_waits_is_left_for_the_next_night_and_stays_where_it_is() {
    let mut place = Place::new();
    place.drop("a.ndjson", line("a", 7, DAY, 60_000));
    let path = place.data().join("drop/a.ndjson");
    let more = || {
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(line("b", 7, DAY, 60_000).as_bytes()).unwrap();
    };
    let (dropped, _) = take(&mut place, "2024-12-01T00:00:00Z", more);
    assert_eq!((dropped.ingested.len(), dropped.left.len()), (0, 1));
    assert_eq!(names(&place, "drop"), ["a.ndjson"]);
    let (dropped, _) = take(&mut place, LATER, || ());
    assert_eq!(dropped.ingested[0].batch.stored, 2);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_somebody_has_open_for_writing_is_left_however_old_it_is() {
    let mut place = Place::new();
    place.drop("a.ndjson", line("a", 7, DAY, 60_000));
    let writer = File::options()
        .append(true)
        .open(place.data().join("drop/a.ndjson"))
        .unwrap();
    let (dropped, waited) = take(&mut place, LATER, || ());
    assert_eq!((dropped.ingested.len(), dropped.left.len()), (0, 1));
    assert_eq!(waited, Some(Duration::from_mins(1)));
    drop(writer);
    let (dropped, _) = take(&mut place, LATER, || ());
    assert_eq!(dropped.ingested.len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_night_names_what_it_leaves_for_the_next_one_and_needs_no_person_for_it() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, DAY, 60_000));
    let _writer = File::options()
        .append(true)
        .open(place.data().join("drop/a.ndjson"))
        .unwrap();
    let night = place.night("2024-12-01T00:00:00Z");
    assert_eq!(night.exit_code(), 0);
    let text = tallybook::nightly::report::night(&night);
    assert!(
        text.contains("a.ndjson is left for the next night: somebody has it open"),
        "{text}"
    );
}

#[test]
fn uploads_under_way_and_what_systems_leave_are_left_alone_without_a_word() {
    let place = Place::new();
    let alone = [
        ".a.ndjson.Xy12",
        "a.ndjson.filepart",
        "b.ndjson.crdownload",
        "_SUCCESS",
        "Thumbs.db",
        "~$usage.csv",
    ];
    for name in alone {
        place.drop(name, line("a", 7, DAY, 60_000));
    }
    std::fs::create_dir_all(place.data().join("drop/_temporary/0")).unwrap();
    let night = place.night("2024-12-01T00:00:00Z");
    assert_eq!(night.exit_code(), 0, "{:?}", night.needs_person);
    let mut expected = alone.map(ToOwned::to_owned);
    expected.sort();
    assert_eq!(names(&place, "drop"), expected);
}
