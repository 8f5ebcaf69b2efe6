//! The program itself beside a folder or a bucket of a test: books of its own, one card, and the source `mps` in its settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tallybook::storage::ledger::query;

use crate::crashes::books::{differences, dump, with_books};
use crate::crashes::play::{DAY, card};
use crate::crashes::process::program;
use crate::faults::small::{NIGHT, ends};
use crate::world::line;

/// Lays the card and the settings into a folder.
pub fn lay(path: &Path, definition: &str) {
    std::fs::create_dir_all(path.join("cards/c")).unwrap();
    card(path, "0.5", false);
    let from = "from = \"2020-01-01T00:00:00Z\"";
    std::fs::write(
        path.join("tallybook.toml"),
        format!("[source.mps]\n{definition}\n{from}\n"),
    )
    .unwrap();
}

/// What defines a folder as the source.
pub fn folder(root: &Path) -> String {
    format!("kind = \"folder\"\npath = {:?}", root.display().to_string())
}

pub fn pull(path: &Path) -> Command {
    pull_at(path, NIGHT)
}

pub fn pull_at(path: &Path, as_of: &str) -> Command {
    program(path, as_of, &["pull"])
}

/// Lines of usage that the card has a price for.
pub fn usage(name: &str, records: u64) -> String {
    (0..records)
        .map(|number| line(&format!("{name}-{number}"), 7 + number % 2, DAY, 60_000 + number))
        .collect()
}

/// The one number that a query gives.
pub fn count(path: &Path, sql: &'static str) -> i64 {
    with_books(path, async |books| {
        let row = query(sql).fetch_one(&books.ledger).await.unwrap();
        row.try_get(0).unwrap()
    })
}

/// The books, but for how many parts and pulls it took to fill them; `verify` must agree with them, and nothing be left of what was read.
pub fn books(path: &Path) -> String {
    assert_eq!(differences(path), Vec::<String>::new());
    assert_eq!(spooled(path), Vec::<PathBuf>::new());
    let is_of_books = |line: &&str| !line.starts_with("source_position: ") && !line.starts_with("source_pull: ");
    dump(path)
        .lines()
        .filter(is_of_books)
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Files that lie between the source and the books.
fn spooled(path: &Path) -> Vec<PathBuf> {
    crate::crashes::books::files(&path.join("books/spool"))
        .into_values()
        .collect()
}

/// What a night has exported, by path.
pub fn exports(path: &Path, as_of: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    ends(&mut program(path, as_of, &["nightly"]), 0);
    let files = crate::crashes::books::files(&path.join("books/exports"));
    let read = |(name, path): (PathBuf, PathBuf)| (name, std::fs::read(path).unwrap());
    let exports: BTreeMap<_, _> = files.into_iter().map(read).collect();
    assert!(!exports.is_empty(), "the night exports statements");
    exports
}
