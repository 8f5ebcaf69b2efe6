//! A backup and a restore that are killed at any point and run again, run twice at once, or run while a night does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::backups::newest;
use crate::crashes::books::{difference, differences, dump};
use crate::crashes::points::{BACKUP_POINTS, RESTORE_POINTS, chosen, is_tried, passes};
use crate::crashes::process::{program, run, stop_at};
use crate::crashes::{copy, play};
use crate::faults::small::{NIGHT, ends, night, place, says};
use crate::world::line;

const BACKUP: [&str; 2] = ["backup", "kept"];
const RESTORE: [&str; 2] = ["restore", "../from/kept"];

/// A command with one thread, so that it passes each point as often in every run.
fn alone(path: &Path, args: &[&str]) -> std::process::Command {
    let mut command = program(path, NIGHT, args);
    command.env("RAYON_NUM_THREADS", "1");
    command
}

/// Which points a command passes, and how often.
pub fn points(command: &mut std::process::Command, log: &Path) -> BTreeMap<String, u32> {
    let ended = run(command.env("TALLYBOOK_FAULT_LOG", log));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let mut points = BTreeMap::new();
    for point in std::fs::read_to_string(log).unwrap().lines() {
        *points.entry(point.to_owned()).or_default() += 1;
    }
    points
}

/// The passes of each point that are tried.
fn cases(points: &BTreeMap<String, u32>) -> Vec<String> {
    let mut all = Vec::new();
    for (point, &times) in points.iter().filter(|(point, _)| is_tried(point)) {
        all.extend(passes(times).into_iter().map(|pass| format!("{point}#{pass}")));
    }
    chosen(all)
}

pub fn kill_at(command: &mut std::process::Command, point: &str) {
    match stop_at(command, point) {
        Ok(stopped) => stopped.kill(),
        Err(ended) => panic!("never came to {point}: {ended:?}"),
    }
}

/// Restores what is in `from/kept` into a folder beside it, and compares with the books that it is of.
fn restores(from: &Path, books: &str) {
    let to = tempfile::tempdir().unwrap();
    let mut command = program(to.path(), NIGHT, &["restore", from.join("kept").to_str().unwrap()]);
    ends(&mut command, 0);
    assert_eq!(difference(books, &dump(to.path())), None);
}

/// A place with a night behind it, and no backup.
fn first_ground() -> tempfile::TempDir {
    let place = place();
    std::fs::write(place.path().join("tallybook.toml"), "backup_points = 0\n").unwrap();
    ends(&mut night(place.path()), 0);
    place
}

/// A place with a backup, and more in the books since: files that are new and files that go.
fn ground() -> tempfile::TempDir {
    let place = first_ground();
    ends(&mut program(place.path(), NIGHT, &BACKUP), 0);
    play::drop_file(
        place.path(),
        "b.ndjson",
        &(line("c", 7, play::DAY, 30_000) + "nor this\n"),
    );
    let later = "2025-02-10T00:00:00Z";
    ends(&mut program(place.path(), later, &["nightly"]), 0);
    place
}

/// Kills a backup at each point that it passes and runs it again: then it is the one that was never killed. Returns the points.
fn backs_up_whenever_killed(ground: &Path) -> BTreeSet<String> {
    let books = dump(ground);
    let has_backup = ground.join("kept").exists();
    let undisturbed = tempfile::tempdir().unwrap();
    copy(ground, undisturbed.path());
    let points = points(
        &mut alone(undisturbed.path(), &BACKUP),
        &undisturbed.path().join("points"),
    );
    let expected = newest(&undisturbed.path().join("kept"));
    for point in cases(&points) {
        let place = tempfile::tempdir().unwrap();
        copy(ground, place.path());
        kill_at(&mut alone(place.path(), &BACKUP), &point);
        // What is there at that moment is whole, too, once there was a backup.
        if has_backup {
            ends(&mut program(place.path(), NIGHT, &["backup", "verify", "kept"]), 0);
        }
        ends(&mut program(place.path(), NIGHT, &BACKUP), 0);
        ends(&mut program(place.path(), NIGHT, &["backup", "verify", "kept"]), 0);
        let found = newest(&place.path().join("kept"));
        assert_eq!(found.files, expected.files, "{point}");
        let (kept, named) = crate::backups::kept_and_named(&place.path().join("kept"));
        assert_eq!(kept, named, "{point}");
        restores(place.path(), &books);
    }
    points.into_keys().collect()
}

#[test]
fn a_backup_killed_at_any_point_and_run_again_is_the_same() {
    let mut passed = backs_up_whenever_killed(first_ground().path());
    passed.extend(backs_up_whenever_killed(ground().path()));
    assert_eq!(passed.iter().collect::<Vec<_>>(), BACKUP_POINTS);
}

#[test]
fn a_restore_killed_at_any_point_and_run_again_gives_the_same_books() {
    let ground = ground();
    let books = dump(ground.path());
    ends(&mut program(ground.path(), NIGHT, &BACKUP), 0);
    let root = tempfile::tempdir().unwrap();
    let from = root.path().join("from");
    std::fs::create_dir(&from).unwrap();
    let status = std::process::Command::new("cp")
        .arg("-a")
        .arg(ground.path().join("kept"))
        .arg(&from)
        .status();
    assert!(status.unwrap().success());
    let to = |name: &str| {
        let path = root.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let undisturbed = to("undisturbed");
    let points = points(&mut alone(&undisturbed, &RESTORE), &root.path().join("points"));
    assert_eq!(points.keys().collect::<Vec<_>>(), RESTORE_POINTS);
    for (number, point) in cases(&points).iter().enumerate() {
        let place = to(&number.to_string());
        kill_at(&mut alone(&place, &RESTORE), point);
        let is_unfinished = place.join("books/restore.json").exists();
        let is_empty = std::fs::read_dir(place.join("books")).map_or(true, |mut files| files.next().is_none());
        if is_unfinished {
            let refused = run(&mut program(&place, NIGHT, &["status"]));
            says(&refused, 3, &["a backup is being restored"]);
        }
        if is_unfinished || is_empty {
            ends(&mut program(&place, NIGHT, &RESTORE), 0);
        }
        assert_eq!(difference(&books, &dump(&place)), None, "{point}");
        assert_eq!(differences(&place), Vec::<String>::new(), "{point}");
    }
}

#[test]
fn a_restore_that_is_not_told_of_its_commit_is_run_again_or_is_done() {
    let ground = ground();
    let books = dump(ground.path());
    ends(&mut program(ground.path(), NIGHT, &BACKUP), 0);
    let kept = ground.path().join("kept");
    let restore = ["restore", kept.to_str().unwrap()];
    for (commit, code, words) in [
        ("restore", 1, "run the same command again"),
        ("restored", 0, "restore is complete"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let mut command = program(place.path(), NIGHT, &restore);
        says(&run(command.env("TALLYBOOK_LOSE_ANSWER_AT", commit)), code, &[words]);
        if code != 0 {
            ends(&mut program(place.path(), NIGHT, &restore), 0);
        }
        assert_eq!(difference(&books, &dump(place.path())), None, "{commit}");
    }
}

#[test]
fn two_backups_at_once_do_not_mix() {
    let place = place();
    ends(&mut night(place.path()), 0);
    let first = stop_at(&mut program(place.path(), NIGHT, &BACKUP), "backup.read").unwrap();
    for args in [
        &BACKUP[..],
        &["backup", "verify", "kept"],
        &["backup", "prune", "kept"],
        &["backup", "drill", "kept"],
    ] {
        says(&run(&mut program(place.path(), NIGHT, args)), 5, &["another command"]);
    }
    // A monitor may look at any time.
    ends(&mut program(place.path(), NIGHT, &["backup", "list", "kept"]), 0);
    assert_eq!(first.go_on().code, Some(0));
    ends(&mut program(place.path(), NIGHT, &["backup", "verify", "kept"]), 0);
    assert_eq!(newest(&place.path().join("kept")).number, 1);
}

#[test]
fn a_night_that_removes_files_while_they_are_backed_up_leaves_a_backup_of_one_state() {
    let place = place();
    ends(&mut night(place.path()), 0);
    let backup = stop_at(&mut program(place.path(), NIGHT, &BACKUP), "backup.read").unwrap();
    let raw = place.path().join("books/raw/day=2024-11-15");
    assert!(raw.exists());
    ends(&mut program(place.path(), "2025-06-20T00:00:00Z", &["nightly"]), 0);
    assert!(!raw.exists(), "the night removed raw");
    let ended = backup.go_on();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let manifest = newest(&place.path().join("kept"));
    assert!(manifest.is_whole() && !manifest.files.iter().any(|file| file.path.starts_with("raw/")));
    restores(place.path(), &dump(place.path()));
}

#[test]
fn an_input_that_is_read_while_a_backup_is_made_is_in_the_next_one() {
    let place = place();
    ends(&mut night(place.path()), 0);
    let backup = stop_at(&mut program(place.path(), NIGHT, &BACKUP), "backup.read").unwrap();
    play::drop_file(place.path(), "late.ndjson", &line("late", 7, play::DAY, 30_000));
    ends(&mut program(place.path(), "2024-12-11T00:00:00Z", &["nightly"]), 0);
    assert_eq!(backup.go_on().code, Some(0));
    let has_late = || {
        let originals = newest(&place.path().join("kept")).originals;
        originals
            .iter()
            .any(|original| original.place.ends_with("-late.ndjson"))
    };
    assert!(!has_late(), "restored, it would look as if it were in the books");
    ends(&mut program(place.path(), NIGHT, &BACKUP), 0);
    assert!(has_late());
    restores(place.path(), &dump(place.path()));
}
