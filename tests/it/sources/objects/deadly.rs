//! Objects that end the process which reads them: a process of its own reads them the third time.

use std::path::Path;

use super::program::{books, count, exports, folder, lay, pull, usage};
use crate::crashes::process::{Ended, run, stop_at};
use crate::faults::small::NIGHT;

const BATCHES: &str = "SELECT COUNT(*) FROM batch";

/// A folder of objects: one that ends the process, before and behind others.
fn objects() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in ["a", "poison", "z"] {
        std::fs::write(root.path().join(format!("{name}.ndjson")), usage(name, 2)).unwrap();
    }
    root
}

/// Books beside them.
fn place(objects: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    lay(dir.path(), &folder(objects));
    dir
}

/// A pull by a program that dies of the object.
fn poisoned(path: &Path) -> Ended {
    run(pull(path).env("TALLYBOOK_ABORT_READING", "poison.ndjson"))
}

#[test]
fn an_object_that_ends_the_process_is_told_by_the_third_pull_and_stops_no_other() {
    let objects = objects();
    let dir = place(objects.path());
    let path = dir.path();
    assert_eq!([poisoned(path).code, poisoned(path).code], [None, None]);
    assert_eq!(count(path, BATCHES), 1);
    for _ in 0..2 {
        let ended = poisoned(path);
        assert_eq!(ended.code, Some(3), "{}", ended.said);
        assert!(ended.said.contains("read in a separate process"), "{}", ended.said);
        assert_eq!(count(path, BATCHES), 2, "the others are in the books");
        assert_eq!(count(path, "SELECT COUNT(*) FROM source_object"), 2);
    }
    let message =
        "SELECT COUNT(*) FROM source_pull WHERE message LIKE '%poison.ndjson%crashed the program three times%'";
    assert_eq!(count(path, message), 1);
}

#[test]
fn an_object_that_was_only_unlucky_is_taken_by_the_child_once_wherever_the_pull_is_killed() {
    let objects = objects();
    let undisturbed = place(objects.path());
    assert_eq!(run(&mut pull(undisturbed.path())).code, Some(0));
    let expected = (books(undisturbed.path()), exports(undisturbed.path(), NIGHT));
    for point in [None, Some("position.before_commit"), Some("position.after_commit")] {
        let dir = place(objects.path());
        let path = dir.path();
        assert_eq!([poisoned(path).code, poisoned(path).code], [None, None]);
        if let Some(point) = point {
            // The child has committed, and the position not yet.
            stop_at(&mut pull(path), point).unwrap().kill();
            assert_eq!(count(path, BATCHES), 2);
        }
        let ended = run(&mut pull(path));
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        assert_eq!(count(path, "SELECT COUNT(*) FROM source_object"), 3);
        assert_eq!(books(path), expected.0, "{point:?}");
        assert_eq!(std::fs::read_dir(path.join("books/attempts")).unwrap().count(), 0);
        assert!(exports(path, NIGHT) == expected.1, "{point:?}");
    }
}
