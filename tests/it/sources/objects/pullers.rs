//! Two programs that pull one folder: at once, and when one of them stood still until the other had taken over.

use std::path::Path;

use tallybook::storage::ledger::query;

use super::program::{books, exports, folder, lay, pull, usage};
use crate::crashes::books::with_books;
use crate::crashes::process::{Stopped, run, stop_at};
use crate::faults::small::{NIGHT, ends, says};

/// A folder of objects, and books beside it.
struct Site {
    objects: tempfile::TempDir,
    place: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let objects = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(objects.path().join(format!("{name}.ndjson")), usage(name, 2)).unwrap();
        }
        let place = Self::beside(objects.path());
        Self { objects, place }
    }

    fn beside(objects: &Path) -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        lay(place.path(), &folder(objects));
        place
    }

    fn path(&self) -> &Path {
        self.place.path()
    }

    /// Fails where the books are others than those of one pull that nobody disturbed.
    fn is_as_if_alone(&self, case: &str) {
        let alone = Self::beside(self.objects.path());
        ends(&mut pull(alone.path()), 0);
        assert_eq!(books(self.path()), books(alone.path()), "{case}");
        assert!(exports(self.path(), NIGHT) == exports(alone.path(), NIGHT), "{case}");
    }
}

#[test]
fn of_two_pulls_at_once_the_second_is_told_and_the_first_goes_on() {
    for point in ["downloading spool", "fetched part#2", "committed part"] {
        let site = Site::new();
        let first = stop_at(&mut pull(site.path()), point).unwrap();
        says(&run(&mut pull(site.path())), 5, &[]);
        let ended = first.go_on();
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        site.is_as_if_alone(point);
    }
}

/// Freezes a pull while nobody writes, and lets two minutes pass on its lease.
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

#[test]
fn a_pull_that_wakes_up_after_another_finished_changes_nothing() {
    for point in ["written spool", "spooled part", "written raw"] {
        let site = Site::new();
        let stale = stop_at(&mut pull(site.path()), point).unwrap();
        take_for_dead(site.path(), &stale);
        ends(&mut pull(site.path()), 0);
        stale.freeze(false);
        let ended = stale.go_on();
        assert_ne!(ended.code, Some(0), "{point}: {}", ended.said);
        site.is_as_if_alone(point);
    }
}
