//! Earlier backups that can be restored: as the books were then, less what has expired since.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tallybook::backup::check::check;
use tallybook::backup::points::{Ended, WhyEnded};
use tallybook::backup::restore::{Point, Restored, restore_point};
use tallybook::pipeline::ingest::payloads::PayloadFilter;
use tallybook::pipeline::retention::store::waive;
use tallybook::support::clock::Clock;
use tallybook::support::error::Error;

use super::deaths::{kill_at, points};
use super::kept::{files_with, spoken_books};
use super::{backed_up, beside, differences, has, kept_and_named, newest, says, small_books, try_back_up, try_restore};
use crate::crashes::books::{difference, dump};
use crate::crashes::play::{self, DAY};
use crate::crashes::points::{chosen, is_tried};
use crate::crashes::process::{program, run as run_program};
use crate::exactly_once::shop::{Shop, usage};
use crate::faults::small::{NIGHT, ends, night, place};
use crate::ledgers::{is_embedded, url};
use crate::queue_data;
use crate::world::{Place, at, line, run};

const RESTORED_AT: &str = "2025-06-21T00:00:00Z";

pub fn try_restore_to(from: &Path, point: Point, place: &mut Place) -> Result<Restored, Error> {
    let (folder, ledger) = (place.data(), url(place.path()));
    let settings = place.settings().clone();
    let wanted = (point, Clock::at(at(RESTORED_AT)));
    run(restore_point(from, wanted, &folder, ledger.as_deref(), &settings))
}

pub fn empty_place_for(place: &mut Place) -> Place {
    let settings = place.settings().clone();
    let mut empty = Place::with_cards(&settings.rate_cards, "c");
    *empty.settings() = settings;
    empty
}

fn restored_to(shop: &mut Shop, from: &Path, number: u64) -> Place {
    let mut place = empty_place_for(&mut shop.place);
    try_restore_to(from, Point::Number(number), &mut place).unwrap();
    place
}

fn agrees(place: &Place, now: &str) {
    assert_eq!(differences(place, now), Vec::<String>::new());
}

/// Books without what their restore has written, and without the names of the folders that inputs came from.
pub fn without_restore(place: &Place, of: [&Place; 2]) -> String {
    let text = super::without_names_of(of, place);
    let is_of_books = |line: &&str| {
        !line.starts_with("audit:") && !line.contains("name=restored") && !line.starts_with("counter: name=audit")
    };
    // A copy's input files have another time.
    let without_time = |line: &str| match line.strip_prefix("drop/") {
        Some(file) => file.split(' ').take(2).collect::<Vec<_>>().join(" "),
        None => line.to_owned(),
    };
    let lines = text.lines().filter(is_of_books).map(without_time);
    lines.collect::<Vec<_>>().join("\n")
}

/// Rows of a table, as text.
fn rows(of: &Place, table: &str) -> Vec<String> {
    let text = dump(of.path());
    let begins = format!("{table}: ");
    text.lines()
        .filter(|line| line.starts_with(&begins))
        .map(str::to_owned)
        .collect()
}

fn ended(folder: &Path) -> Vec<(u64, WhyEnded)> {
    let ended = newest(folder).ended.into_iter();
    ended.map(|Ended { number, why }| (number, why)).collect()
}

fn numbers(folder: &Path) -> Vec<u64> {
    newest(folder).points.into_iter().map(|point| point.number).collect()
}

#[test]
fn an_earlier_backup_is_the_books_of_its_time_and_goes_on_to_the_same_bills() {
    let mut shop = small_books();
    let from = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    let then = shop.place.copy();
    // The books go on: seven more files of the same day, so that small files are merged.
    for number in 0..8 {
        shop.drop(&[usage(&format!("b{number}"), 8, "A", DAY, 90_000)]);
    }
    shop.place.night("2024-12-12T00:00:00Z");
    backed_up(&shop.place, "2024-12-12T00:00:00Z");
    shop.drop(&[usage("c", 9, "A", DAY, 30_000), "no usage either\n".to_owned()]);
    shop.place.night("2024-12-13T00:00:00Z");
    backed_up(&shop.place, "2024-12-13T00:00:00Z");
    assert_eq!(numbers(&from), [1, 2]);
    assert_eq!(check(&from).unwrap().differences, Vec::<String>::new());
    let place = restored_to(&mut shop, &from, 1);
    let same = |one: &Place, other: &Place| {
        let both = [one, other];
        assert_eq!(
            difference(&without_restore(one, both), &without_restore(other, both)),
            None
        );
    };
    same(&then, &place);
    agrees(&place, "2024-12-13T00:00:00Z");
    for place in [&then, &place] {
        place.drop("more.ndjson", usage("m", 7, "A", "2024-12-20T10:00:00+08:00", 90_000));
        place.night("2025-01-10T00:00:00Z");
        agrees(place, "2025-01-10T00:00:00Z");
    }
    for sheet in ["statement_lines.csv", "statements.csv", "manifest.json"] {
        assert_eq!(place.exported(sheet), then.exported(sheet), "{sheet}");
    }
}

#[test]
fn files_that_were_merged_since_stay_as_long_as_an_earlier_backup_needs_them() {
    let mut shop = small_books();
    let from = beside(&shop.place);
    for number in 0..6 {
        shop.drop(&[usage(&format!("b{number}"), 8, "A", DAY, 90_000)]);
    }
    shop.place.night("2024-12-11T00:00:00Z");
    let raw_files = |number: usize| {
        let raw = newest(&from).files.into_iter();
        let raw = raw.filter(|file| file.path.starts_with("raw/")).count();
        assert_eq!(raw, number);
    };
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    raw_files(7);
    shop.drop(&[usage("last", 8, "A", DAY, 90_000)]);
    shop.place.night("2024-12-12T00:00:00Z");
    backed_up(&shop.place, "2024-12-12T00:00:00Z");
    raw_files(1);
    let place = restored_to(&mut shop, &from, 1);
    agrees(&place, "2024-12-12T00:00:00Z");
    assert_eq!(
        rows(&place, "segment")
            .iter()
            .filter(|row| row.contains("kind=usage"))
            .count(),
        7
    );
    // As soon as it can be restored no more, they go.
    shop.place.settings().backup_points = 0;
    assert!(backed_up(&shop.place, "2024-12-12T00:00:00Z").removed_files >= 7);
    let (kept, named) = kept_and_named(&from);
    assert_eq!(kept, named);
    assert_eq!(check(&from).unwrap().differences, Vec::<String>::new());
}

#[test]
fn an_earlier_backup_is_restored_without_what_has_expired_since_and_says_so() {
    let mut shop = spoken_books();
    let from = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    shop.place.night("2025-02-10T00:00:00Z");
    std::fs::remove_dir_all(shop.place.data().join("drop/done")).unwrap();
    backed_up(&shop.place, "2025-02-10T00:00:00Z");
    shop.place.night("2025-06-19T00:00:00Z");
    shop.place.night("2025-06-20T00:00:00Z");
    backed_up(&shop.place, "2025-06-20T00:00:00Z");
    assert_eq!(numbers(&from), [1, 2]);
    for number in [1, 2] {
        let place = restored_to(&mut shop, &from, number);
        for words in ["identity-seven", "task-of-the-log", "refused-line"] {
            assert_eq!(files_with(&place.data(), words), Vec::<PathBuf>::new(), "{words}");
        }
        for table in ["expired_day", "proved_day", "proved_account", "deletion"] {
            let expected = rows(&shop.place, table);
            assert!(!expected.is_empty(), "{table}");
            assert_eq!(rows(&place, table), expected, "{table} of backup {number}");
        }
        assert_eq!(rows(&place, "segment"), Vec::<String>::new());
        let audit = rows(&place, "audit");
        assert!(audit.last().unwrap().contains("action=restore"), "{audit:?}");
        agrees(&place, RESTORED_AT);
        // The day is gone for good, and the next night goes on.
        place.drop("late.ndjson", usage("late", 7, "A", DAY, 60_000));
        place.night(RESTORED_AT);
        agrees(&place, RESTORED_AT);
        assert_eq!(
            place.exported("statement_lines.csv"),
            shop.place.exported("statement_lines.csv")
        );
        let refused = rows(&place, "quarantine");
        assert!(refused.iter().any(|line| line.contains("expired")), "{refused:?}");
    }
}

#[test]
fn events_of_a_day_from_which_some_were_deleted_since_are_left_out() {
    let mut place = queue_data::place();
    let event =
        queue_data::edit("task-one", "session-of-the-one") + &queue_data::edit("task-two", "session-of-another");
    queue_data::drop_event(&place, "mps", "events.ndjson", &event);
    place.night("2026-01-05T02:00:00Z");
    let folder = beside(&place);
    backed_up(&place, "2026-01-05T12:00:00Z");
    let filter = PayloadFilter {
        session: Some("session-of-the-one".to_owned()),
        ..PayloadFilter::default()
    };
    assert_eq!(queue_data::deleted(&place, "2026-01-06T02:00:00Z", &filter).payloads, 1);
    std::fs::remove_dir_all(place.data().join("drop/done")).unwrap();
    let done = backed_up(&place, "2026-01-06T12:00:00Z");
    assert_eq!(done.points, 1);
    assert_eq!(files_with(&folder, "session-of-the-one"), Vec::<PathBuf>::new());
    let mut earlier = empty_place_for(&mut place);
    try_restore_to(&folder, Point::Number(1), &mut earlier).unwrap();
    let now = "2026-01-06T12:00:00Z";
    let all = PayloadFilter::default();
    assert_eq!(queue_data::listed(&place, now, &all).len(), 1);
    assert_eq!(queue_data::listed(&earlier, now, &all).len(), 0);
    agrees(&earlier, now);
}

#[test]
fn a_backup_is_chosen_by_time_and_one_that_can_be_restored_no_more_is_refused_with_those_that_can() {
    let mut shop = small_books();
    shop.place.settings().backup_points = 1;
    let from = beside(&shop.place);
    for day in 11..=13 {
        backed_up(&shop.place, &format!("2024-12-{day}T00:00:00Z"));
    }
    assert_eq!(numbers(&from), [2]);
    assert_eq!(ended(&from), [(1, WhyEnded::Older)]);
    let mut place = empty_place_for(&mut shop.place);
    let by = |time: &str| Point::At(at(time));
    for (point, why) in [
        (by("2024-12-10T23:59:59Z"), "no backup was made by then"),
        (by("2024-12-11T23:59:59Z"), "backup 1 cannot be restored: older than"),
        (Point::Number(1), "backup 1 cannot be restored: older than"),
        (Point::Number(7), "backup 7 is not there"),
    ] {
        let refused = try_restore_to(&from, point, &mut place).unwrap_err();
        says(&refused, 2, why);
        says(
            &refused,
            2,
            "2 (2024-12-12T00:00:00+00:00), 3 (2024-12-13T00:00:00+00:00), the newest",
        );
    }
    for (time, number) in [
        ("2024-12-12T00:00:00Z", 2),
        ("2024-12-12T23:00:00Z", 2),
        ("2030-01-01T00:00:00Z", 3),
    ] {
        let mut place = empty_place_for(&mut shop.place);
        let restored = try_restore_to(&from, by(time), &mut place).unwrap();
        assert_eq!(
            (restored.number, restored.left_out.is_some()),
            (number, number == 2),
            "{time}"
        );
        agrees(&place, RESTORED_AT);
    }
}

#[test]
fn usage_for_dashboards_that_expires_ends_the_backups_whose_ledgers_have_it() {
    let mut shop = small_books();
    shop.place.settings().keep_usage_months = Some(7);
    let from = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    for night in ["2025-06-19T00:00:00Z", "2025-06-20T00:00:00Z"] {
        shop.place.night(night);
    }
    assert_eq!(backed_up(&shop.place, "2025-06-20T00:00:00Z").points, 1);
    shop.place.night("2025-07-02T00:00:00Z");
    assert_eq!(backed_up(&shop.place, "2025-07-02T00:00:00Z").points, 0);
    assert_eq!(ended(&from), [(1, WhyEnded::Usage), (2, WhyEnded::Usage)]);
    let (kept, named) = kept_and_named(&from);
    assert_eq!(kept, named);
}

#[test]
fn records_without_a_meter_end_the_backups_that_have_them_once_the_books_have_them_no_more() {
    let shop = small_books();
    let from = beside(&shop.place);
    shop.drop(&[usage("no-meter-takes-it", 7, "Z", DAY, 60_000)]);
    shop.place.night("2024-12-11T00:00:00Z");
    run(async {
        let books = shop.place.books(at("2024-12-11T00:00:00Z")).await;
        waive(&books, "2024-11-15".parse().unwrap(), "a trial").await.unwrap();
        books.ledger.close().await;
    });
    std::fs::remove_dir_all(shop.place.data().join("drop/done")).unwrap();
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    assert!(has(&from, "files/unmetered/"));
    shop.place.night("2025-06-19T00:00:00Z");
    shop.place.night("2025-06-20T00:00:00Z");
    backed_up(&shop.place, "2025-06-20T00:00:00Z");
    assert!(!has(&from, "files/raw/"), "the waived day expired");
    assert_eq!(numbers(&from), [1], "the books list it still");
    // The next file of records without a meter is without those of the expired day.
    shop.drop(&[usage("nor-this", 7, "Z", "2025-06-20T10:00:00+08:00", 60_000)]);
    shop.place.night("2025-06-21T00:00:00Z");
    backed_up(&shop.place, "2025-06-21T00:00:00Z");
    assert_eq!(ended(&from), [(1, WhyEnded::Unmetered), (2, WhyEnded::Unmetered)]);
    assert_eq!(files_with(&from, "no-meter-takes-it"), Vec::<PathBuf>::new());
}

#[test]
fn records_that_were_to_be_measured_end_a_backup_when_their_day_expires() {
    let shop = small_books();
    let from = beside(&shop.place);
    // Read, and not measured yet.
    let late = shop.place.file("late.ndjson", usage("late", 7, "A", DAY, 60_000));
    shop.place.ingest("2024-12-11T00:00:00Z", &late).unwrap();
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    assert_eq!(newest(&from).unmeasured_days, ["2024-11-15".parse().unwrap()]);
    for now in ["2025-01-10T00:00:00Z", "2025-06-19T00:00:00Z", "2025-06-20T00:00:00Z"] {
        shop.place.night(now);
    }
    backed_up(&shop.place, "2025-06-20T00:00:00Z");
    assert!(!has(&from, "files/raw/"));
    assert_eq!(ended(&from), [(1, WhyEnded::Unmeasured)]);
}

#[test]
fn books_that_were_restored_from_an_earlier_backup_get_a_place_of_their_own() {
    let mut shop = small_books();
    let from = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    shop.drop(&[usage("b", 7, "A", DAY, 30_000)]);
    shop.place.night("2024-12-12T00:00:00Z");
    backed_up(&shop.place, "2024-12-12T00:00:00Z");
    let mut place = restored_to(&mut shop, &from, 1);
    let refused = |place: &Place| {
        let refused = try_back_up(place, RESTORED_AT, &from).unwrap_err();
        says(&refused, 3, "back the restored ones up into a new folder");
    };
    refused(&place);
    // Also when they have gone on for longer than the others.
    for number in 0..9 {
        place.drop(
            &format!("{number}.ndjson"),
            usage(&format!("c{number}"), 7, "A", DAY, 10),
        );
        place.night("2024-12-13T00:00:00Z");
    }
    refused(&place);
    let own = place.path().join("own");
    assert_eq!(try_back_up(&place, RESTORED_AT, &own).unwrap().number, 1);
    let mut again = empty_place_for(&mut place);
    try_restore(&own, &mut again).unwrap();
    assert_eq!(try_back_up(&again, RESTORED_AT, &own).unwrap().number, 2);
    assert_eq!(numbers(&from), [1], "the place of the others is as it was");
}

#[test]
fn a_damaged_file_of_an_earlier_backup_is_found_and_a_changed_manifest_ends_it() {
    let shop = small_books();
    let from = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    let ledger = from.join(newest(&from).ledger.object.key);
    backed_up(&shop.place, "2024-12-12T00:00:00Z");
    let whole = std::fs::read(&ledger).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    std::fs::write(&ledger, flipped).unwrap();
    let found = check(&from).unwrap();
    let name = ledger.file_name().unwrap().to_str().unwrap();
    assert!(
        found.points == 1 && found.differences.len() == 1 && found.differences[0].contains(name),
        "{found:?}"
    );
    std::fs::write(&ledger, whole).unwrap();
    let mut manifests: Vec<PathBuf> = std::fs::read_dir(from.join("manifests"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    manifests.sort();
    std::fs::write(&manifests[0], "{}").unwrap();
    backed_up(&shop.place, "2024-12-13T00:00:00Z");
    assert_eq!((numbers(&from), ended(&from)), (vec![2], vec![(1, WhyEnded::Damaged)]));
    assert!(!ledger.exists());
}

/// A folder with two backups, between which things came and things expired.
fn ground() -> tempfile::TempDir {
    let place = place();
    ends(&mut night(place.path()), 0);
    ends(&mut program(place.path(), NIGHT, &["backup", "kept"]), 0);
    let more = line("c", 7, DAY, 30_000) + "nor this\n";
    play::drop_file(place.path(), "b.ndjson", &more);
    for now in ["2025-02-10T00:00:00Z", "2025-06-19T00:00:00Z", "2025-06-20T00:00:00Z"] {
        ends(&mut program(place.path(), now, &["nightly"]), 0);
    }
    ends(
        &mut program(place.path(), "2025-06-20T00:00:00Z", &["backup", "kept"]),
        0,
    );
    place
}

#[test]
fn a_restore_of_an_earlier_backup_killed_at_any_point_and_run_again_gives_the_same_books() {
    let ground = ground();
    let kept = ground.path().join("kept");
    let restore = ["restore", kept.to_str().unwrap(), "--to-time", "2024-12-10"];
    let now = "2025-06-20T00:00:00Z";
    let command = |place: &Path| {
        let mut command = program(place, now, &restore);
        command.env("RAYON_NUM_THREADS", "1");
        command
    };
    let root = tempfile::tempdir().unwrap();
    let to = |name: &str| {
        let path = root.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let undisturbed = to("undisturbed");
    let passed = points(&mut command(&undisturbed), &root.path().join("points"));
    for point in ["leave_out.before_commit", "leave_out.after_commit"] {
        assert!(passed.contains_key(point), "{passed:?}");
    }
    let books = dump(&undisturbed);
    assert!(books.contains("expired_day: "), "what expired is left out and marked");
    let cases = chosen(passed.keys().filter(|point| is_tried(point)));
    for (number, point) in cases.into_iter().enumerate() {
        let place = to(&number.to_string());
        kill_at(&mut command(&place), point);
        let is_unfinished = place.join("books/restore.json").exists();
        let is_empty = std::fs::read_dir(place.join("books")).map_or(true, |mut files| files.next().is_none());
        if is_unfinished || is_empty {
            ends(&mut command(&place), 0);
        }
        assert_eq!(difference(&books, &dump(&place)), None, "{point}");
        assert_eq!(
            crate::crashes::books::differences(&place),
            Vec::<String>::new(),
            "{point}"
        );
    }
}

#[test]
fn a_backup_that_ends_an_earlier_one_and_is_killed_leaves_what_can_be_restored_whole() {
    let place = place();
    std::fs::write(place.path().join("tallybook.toml"), "backup_points = 1\n").unwrap();
    ends(&mut night(place.path()), 0);
    let backup = ["backup", "kept"];
    for _ in 0..2 {
        ends(&mut program(place.path(), NIGHT, &backup), 0);
    }
    let cases = [
        "moved ledger",
        "moved manifests",
        "synced folder manifests",
        "removed ledger",
    ];
    for point in cases.into_iter().take(if is_embedded() { 4 } else { 2 }) {
        let killed = tempfile::tempdir().unwrap();
        crate::crashes::copy(place.path(), killed.path());
        kill_at(&mut program(killed.path(), NIGHT, &backup), point);
        let kept = killed.path().join("kept");
        ends(&mut program(killed.path(), NIGHT, &["backup", "verify", "kept"]), 0);
        let number = *numbers(&kept).last().unwrap();
        let to = tempfile::tempdir().unwrap();
        let number = number.to_string();
        let restore = ["restore", kept.to_str().unwrap(), "--to", &number];
        ends(&mut program(to.path(), NIGHT, &restore), 0);
        ends(&mut program(killed.path(), NIGHT, &backup), 0);
        ends(&mut program(killed.path(), NIGHT, &["backup", "verify", "kept"]), 0);
        let (files, named) = kept_and_named(&kept);
        assert_eq!(files, named, "{point}");
        let ledgers: BTreeSet<&String> = files.iter().filter(|key| key.starts_with("ledger/")).collect();
        assert_eq!(ledgers.len(), 2, "{point}");
    }
}

#[test]
fn what_is_no_time_and_two_points_at_once_are_refused() {
    let place = place();
    for (args, words) in [
        (
            &["restore", "kept", "--to-time", "yesterday"][..],
            "a day or an instant",
        ),
        (
            &["restore", "kept", "--to-time", "2024-12-10", "--to", "1"],
            "cannot be used with",
        ),
    ] {
        let ended = run_program(&mut program(place.path(), NIGHT, args));
        assert!(ended.code == Some(2) && ended.said.contains(words), "{}", ended.said);
    }
}
