//! Kills at every point of a pull: the points that an undisturbed pull passes are noted, and a kill at each of them, at its first and its
//! last pass, ends in the same books and exports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::program::{books, exports, folder, lay, pull_at, usage};
use crate::crashes::books::difference;
use crate::crashes::copy;
use crate::crashes::points::{is_tried, passes};
use crate::crashes::process::{run, stop_at};

/// What happens to the objects before a pull, and when it is.
pub struct Phase<'a> {
    pub change: Box<dyn Fn() + 'a>,
    pub as_of: &'static str,
}

/// Points without which a pull would not be one.
const PASSED: [&str; 7] = [
    "downloading spool",
    "written spool",
    "fetched part",
    "ingest.before_commit",
    "ingest.after_commit",
    "committed part",
    "acknowledged part",
];

/// Plays the phases, each from the books that the one before left, and kills the program at each point of each.
pub fn is_the_same_wherever_it_is_killed(definition: &str, phases: &[Phase]) -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let place = |number: usize| dir.path().join(number.to_string());
    lay(&place(0), definition);
    let mut passed = BTreeSet::new();
    for (number, phase) in phases.iter().enumerate() {
        (phase.change)();
        let (before, after) = (place(number), place(number + 1));
        copy(&before, &after);
        let points = undisturbed(&after, phase.as_of);
        passed.extend(points.keys().cloned());
        let cases: Vec<String> = points
            .iter()
            .filter(|(point, _)| is_tried(point))
            .flat_map(|(point, &times)| passes(times).into_iter().map(move |pass| format!("{point}#{pass}")))
            .collect();
        let as_of = phase.as_of;
        let expected = (books(&after), exports_of_copy(&after, as_of));
        let failed = Mutex::new(Vec::new());
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(point) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Some(why) = killed(&before, as_of, point, &expected) {
                    failed
                        .lock()
                        .unwrap()
                        .push(format!("phase {number}, killed at {point}: {why}"));
                }
            }
        };
        std::thread::scope(|scope| [scope.spawn(work), scope.spawn(work)].map(|thread| thread.join().unwrap()));
        let failed = failed.into_inner().unwrap();
        assert!(
            failed.is_empty(),
            "{} of {}:\n{}",
            failed.len(),
            cases.len(),
            failed.join("\n")
        );
    }
    for point in PASSED {
        assert!(passed.contains(point), "{point} is not passed: {passed:?}");
    }
    passed
}

/// A pull that nobody disturbs: how often it passes each point.
fn undisturbed(path: &Path, as_of: &str) -> BTreeMap<String, u32> {
    let log = path.with_extension("points");
    let ended = run(pull_at(path, as_of).env("TALLYBOOK_FAULT_LOG", &log));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let mut points = BTreeMap::new();
    for point in std::fs::read_to_string(log).unwrap().lines() {
        *points.entry(point.to_owned()).or_default() += 1;
    }
    points
}

type Books = (String, BTreeMap<PathBuf, Vec<u8>>);

/// Kills a pull at a point and pulls again, twice. What is not as it should be then.
fn killed(before: &Path, as_of: &str, point: &str, expected: &Books) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    copy(before, path);
    match stop_at(&mut pull_at(path, as_of), point) {
        Ok(stopped) => stopped.kill(),
        Err(ended) => return Some(format!("it never came there: {ended:?}")),
    }
    for _ in 0..2 {
        let ended = run(&mut pull_at(path, as_of));
        if ended.code != Some(0) {
            return Some(format!("pulled again: {ended:?}"));
        }
    }
    if let Some(what) = difference(&expected.0, &books(path)) {
        return Some(what);
    }
    (exports(path, as_of) != expected.1).then(|| "other exports".to_owned())
}

fn exports_of_copy(path: &Path, as_of: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    copy(path, dir.path());
    exports(dir.path(), as_of)
}

#[test]
fn a_folder_gives_the_same_bills_wherever_a_pull_of_it_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let phases = [
        Phase {
            change: Box::new(|| {
                put("a.ndjson", &usage("a", 3));
                put("b.ndjson", &(usage("b", 20) + "not usage\n"));
                put("copy.ndjson", &usage("a", 3));
                put("notes.txt", "x");
            }),
            as_of: "2024-12-10T00:00:00Z",
        },
        Phase {
            change: Box::new(|| {
                put("a.ndjson", &(usage("a", 3) + &usage("more", 1)));
                std::fs::remove_file(dir.path().join("b.ndjson")).unwrap();
                std::fs::remove_file(dir.path().join("notes.txt")).unwrap();
            }),
            as_of: "2024-12-10T01:00:00Z",
        },
        Phase {
            change: Box::new(|| put("c.ndjson", &usage("c", 1))),
            as_of: "2025-01-15T00:00:00Z",
        },
    ];
    let passed = is_the_same_wherever_it_is_killed(&folder(dir.path()), &phases);
    for point in [
        "gone objects.before_commit",
        "gone objects.after_commit",
        "position.after_commit",
    ] {
        assert!(passed.contains(point), "{point} is not passed: {passed:?}");
    }
}

#[cfg(feature = "objects")]
fn a_bucket_gives_the_same_bills(cloud: tallybook::storage::objects::Cloud) {
    use super::servers::{TestBucket, server};
    let Some(endpoint) = server(cloud) else { return };
    let bucket = TestBucket::at(cloud, &endpoint);
    let put = |name: &str, text: &str| crate::world::run(bucket.put(name, text));
    crate::world::run(bucket.make());
    let keys = tempfile::tempdir().unwrap();
    let phases = [
        Phase {
            change: Box::new(|| {
                put("a.ndjson", &usage("a", 3));
                put("b.ndjson", &(usage("b", 20) + "not usage\n"));
                put("copy.ndjson", &usage("a", 3));
                put("notes.txt", "x");
            }),
            as_of: "2024-12-10T00:00:00Z",
        },
        Phase {
            change: Box::new(|| {
                put("a.ndjson", &(usage("a", 3) + &usage("more", 1)));
                put("c.ndjson", &usage("c", 1));
            }),
            as_of: "2024-12-10T01:00:00Z",
        },
    ];
    is_the_same_wherever_it_is_killed(&toml::to_string(&bucket.definition(keys.path())).unwrap(), &phases);
}

#[cfg(feature = "objects")]
#[test]
fn a_bucket_of_s3_gives_the_same_bills_wherever_a_pull_of_it_is_killed() {
    a_bucket_gives_the_same_bills(tallybook::storage::objects::Cloud::S3);
}

#[cfg(feature = "objects")]
#[test]
fn a_bucket_of_cos_gives_the_same_bills_wherever_a_pull_of_it_is_killed() {
    a_bucket_gives_the_same_bills(tallybook::storage::objects::Cloud::Cos);
}
