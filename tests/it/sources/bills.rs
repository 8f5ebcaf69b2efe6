//! A database that is pulled into books: the bills are those of a file with the same records, wherever the program is killed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::crashes::books::differences;
use crate::crashes::play::card;
use crate::crashes::points::{chosen, is_tried, passes};
use crate::crashes::process::{Ended, program, run, stop_at};
use crate::faults::small::{NIGHT, ends, night};
use crate::world::line;

pub const ROWS: u32 = 50;

/// The name of the source in the settings of a place.
pub const SOURCE: &str = "usage";

/// What every pull of a database must pass.
const CONTRACT: [&str; 9] = [
    "fetched part",
    "ingest.before_commit",
    "ingest.after_commit",
    "committed part",
    "acknowledged part",
    "pull.before_commit",
    "pull.after_commit",
    "source_lease.before_commit",
    "source_lease.after_commit",
];

/// When the row was done, and the second at which it was written.
pub fn time(number: u32) -> (String, String) {
    let finished_at = format!("2024-11-{:02} 02:00:{:02}.5", 1 + number % 28, number);
    let seen = format!("2024-11-30 00:00:{:02}", number / 2);
    (finished_at, seen)
}

/// The account and the milliseconds of a row.
pub fn usage(number: u32) -> (u32, u32) {
    (7 + number % 3, 1_000 * number)
}

/// The same records as lines of a file.
pub fn as_lines() -> String {
    let lines = (0..ROWS).map(|number| {
        let finished_at = time(number).0.replace(' ', "T") + "Z";
        let (uin, duration_ms) = usage(number);
        line(&format!("r{number}"), uin.into(), &finished_at, duration_ms.into())
    });
    lines.collect()
}

/// A folder with a card, and a source: what its definition says.
pub fn place(definition: &str) -> tempfile::TempDir {
    let dir = bare_place();
    std::fs::write(
        dir.path().join("tallybook.toml"),
        format!("[source.{SOURCE}]\n{definition}"),
    )
    .unwrap();
    dir
}

fn bare_place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["in", "cards/c", "books/drop"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    card(dir.path(), "0.5", false);
    dir
}

/// The report of a pull, in the folder of its place.
const TOLD: &str = "told";

pub fn pull(path: &Path) -> Command {
    let mut pull = program(path, NIGHT, &["pull"]);
    pull.stdout(std::fs::File::create(path.join(TOLD)).unwrap());
    pull
}

fn told(path: &Path) -> String {
    std::fs::read_to_string(path.join(TOLD)).unwrap()
}

/// Asserts how a pull ended, and what its report says.
pub fn tells(path: &Path, ended: &Ended, code: i32, words: &[&str]) {
    let told = told(path);
    assert_eq!(ended.code, Some(code), "{told}{}", ended.said);
    for word in words {
        assert!(told.contains(word), "{word:?} is not in: {told}");
    }
}

/// Exported files, by their names in the folder.
pub type Exports = BTreeMap<PathBuf, Vec<u8>>;

pub fn exports(path: &Path) -> Exports {
    let root = path.join("books/exports");
    let mut folders = vec![root.clone()];
    let mut files = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(
                    path.strip_prefix(&root).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    assert!(!files.is_empty(), "the night exports statements");
    files
}

/// What is exported when the same records come in a file.
pub fn exports_of_a_file() -> &'static Exports {
    static EXPORTS: LazyLock<Exports> = LazyLock::new(export_a_file);
    &EXPORTS
}

fn export_a_file() -> Exports {
    let dir = bare_place();
    let path = dir.path();
    std::fs::write(path.join("in/usage.ndjson"), as_lines()).unwrap();
    ends(
        &mut program(path, NIGHT, &["ingest", "--source", SOURCE, "in/usage.ndjson"]),
        0,
    );
    ends(&mut night(path), 0);
    exports(path)
}

/// How often a pull that nothing disturbs passes each point.
fn points(path: &Path) -> BTreeMap<String, u32> {
    let log = path.join("points");
    ends(pull(path).env("TALLYBOOK_FAULT_LOG", &log), 0);
    let mut points = BTreeMap::new();
    for point in std::fs::read_to_string(log).unwrap().lines() {
        *points.entry(point.to_owned()).or_default() += 1;
    }
    points
}

/// Kills a pull at every point that an undisturbed one passes; then a night goes on, which pulls by itself. `prepared` makes the place of each death. `meanwhile` is what others do to its database before the night.
pub fn ends_in_the_same_bills_wherever_it_is_killed(
    prepared: impl Fn(&str) -> tempfile::TempDir + Sync,
    meanwhile: impl Fn(&str) + Sync,
) {
    let expected = exports_of_a_file();
    let passed = points(prepared("undisturbed").path());
    for point in CONTRACT {
        assert!(passed.contains_key(point), "{point} is not among {:?}", passed.keys());
    }
    let tried = passed.iter().filter(|(point, _)| is_tried(point));
    let cases: Vec<String> =
        chosen(tried.flat_map(|(point, &times)| passes(times).into_iter().map(move |pass| format!("{point}#{pass}"))));
    let next = AtomicUsize::new(0);
    let die = |number: usize, point: &str| -> Result<(), String> {
        let name = format!("death_{number}");
        let dir = prepared(&name);
        let path = dir.path();
        let stopped =
            stop_at(&mut pull(path), point).map_err(|ended| format!("never came there: {ended:?} {}", told(path)))?;
        stopped.kill();
        meanwhile(&name);
        let ended = run(&mut night(path));
        if ended.code != Some(0) {
            return Err(format!("the night: {ended:?}"));
        }
        if exports(path) != *expected {
            return Err("other bills than those of a file".to_owned());
        }
        match differences(path).as_slice() {
            [] => Ok(()),
            differences => Err(format!("verify: {}", differences.join("; "))),
        }
    };
    let work = || {
        let mut failed = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(point) = cases.get(number) else {
                return failed;
            };
            if let Err(why) = die(number, point) {
                failed.push(format!("killed at {point}: {why}"));
            }
        }
    };
    let failed: Vec<String> = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    println!("{} deaths at {} points: {passed:?}", cases.len(), passed.len());
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n")
    );
}

/// Follows the source until it is told to stop. `act` is done when the first rows have come, `until` is what is waited for then.
pub fn follow(path: &Path, act: impl FnOnce(), until: &str) -> String {
    let mut command = program(path, NIGHT, &["--json", "pull", "--follow"]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said = lines.next().unwrap();
    act();
    while !said.contains(until) {
        said = said + "\n" + &lines.next().unwrap();
    }
    let stopped = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(stopped.success());
    said.extend(lines);
    assert!(child.wait().unwrap().success());
    said
}
