//! A small world for faults: one card, a dropped file of two accounts, one night that closes and exports.

use std::path::Path;
use std::process::Command;

use crate::crashes::books::{differences, dump};
use crate::crashes::play::{DAY, card, drop_file};
use crate::crashes::process::{Ended, program, run};
use crate::world::line;

pub const NIGHT: &str = "2024-12-10T00:00:00Z";

/// A folder with a card and a dropped file.
pub fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    lay(dir.path());
    dir
}

/// Lays card and dropped file; the folder of the books may be there already.
pub fn lay(path: &Path) {
    for folder in ["in", "cards/c", "books/drop"] {
        std::fs::create_dir_all(path.join(folder)).unwrap();
    }
    card(path, "0.5", false);
    let text = line("a", 7, DAY, 60_000) + &line("b", 8, DAY, 90_000) + "not usage\n";
    drop_file(path, "a.ndjson", &text);
}

pub fn night(path: &Path) -> Command {
    program(path, NIGHT, &["nightly"])
}

/// Runs a command and asserts how it ends.
pub fn ends(command: &mut Command, code: i32) -> String {
    let ended = run(command);
    assert_eq!(ended.code, Some(code), "{}", ended.said);
    ended.said
}

/// Asserts an error with its exit code and what it says.
pub fn says(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.said);
    for word in words {
        assert!(ended.said.contains(word), "{word:?} is not in: {}", ended.said);
    }
}

/// Asserts that the books are those of another place and that `verify` agrees. Times of dropped files are of the nights.
pub fn same_books(path: &Path, undisturbed: &Path) {
    if let Some(what) = crate::crashes::books::difference(&dump(undisturbed), &dump(path)) {
        panic!("{what}");
    }
    assert_eq!(differences(path), Vec::<String>::new());
}
