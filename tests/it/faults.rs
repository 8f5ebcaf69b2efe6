//! What the machine does to the books: full and read-only disks, a ledger that is locked, gone, old or damaged. Nothing is lost,
//! nothing comes twice, and the error says what to do.

/// Two runs, and runs that stood still.
mod runs;

/// A small world.
pub mod small;

/// A small file system.
mod tmpfs;

use crate::crashes::books::with_books;
use crate::crashes::play::{DAY, drop_file};
use crate::crashes::process::{program, run};
use crate::ledgers::{engine, is_embedded};
use crate::world::line;
use small::{NIGHT, ends, lay, night, place, same_books, says};
use tallybook::storage::ledger::Engine;
use tmpfs::Tmpfs;

#[test]
fn an_ingest_on_a_full_disk_says_so_and_works_when_there_is_room() {
    let (alone, place) = (place(), tempfile::tempdir().unwrap());
    let place = place.path();
    let Some(disk) = Tmpfs::mount(&place.join("books"), "16m") else {
        return;
    };
    lay(place);
    // Digits of a seeded generator, so that the segment is as large as the ids.
    let mut state = 1_u64;
    let mut text = String::new();
    for _ in 0..20_000 {
        let id: String = (0..4)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                format!("{:x}", state >> 16)
            })
            .collect();
        text += &line(&id, 7, DAY, 1_000);
    }
    for place in [alone.path(), place] {
        std::fs::write(place.join("in/large.ndjson"), &text).unwrap();
        ends(&mut program(place, NIGHT, &["rate-card", "import", "cards"]), 0);
    }
    let ingest = |place| program(place, NIGHT, &["ingest", "in/large.ndjson"]);
    disk.fill(400);
    says(
        &run(&mut ingest(place)),
        1,
        &["raw/day=", "the disk is full: free some space"],
    );
    disk.remount("size=64m");
    for place in [alone.path(), place] {
        ends(&mut ingest(place), 0);
        ends(&mut night(place), 0);
    }
    same_books(place, alone.path());
}

#[test]
fn a_night_whose_ledger_is_on_a_full_disk_says_so_and_works_when_there_is_room() {
    if !is_embedded() {
        return;
    }
    let (alone, place) = (place(), tempfile::tempdir().unwrap());
    let place = place.path();
    let Some(disk) = Tmpfs::mount(&place.join("books"), "16m") else {
        return;
    };
    lay(place);
    for place in [alone.path(), place] {
        ends(&mut program(place, NIGHT, &["rate-card", "import", "cards"]), 0);
    }
    disk.fill(64);
    says(
        &run(&mut night(place)),
        1,
        &["ledger", "full", "run the same command again"],
    );
    disk.remount("size=64m");
    for place in [alone.path(), place] {
        ends(&mut night(place), 0);
    }
    same_books(place, alone.path());
}

#[test]
fn a_read_only_folder_is_named_with_the_cure() {
    let (alone, place) = (place(), tempfile::tempdir().unwrap());
    let place = place.path();
    let Some(disk) = Tmpfs::mount(&place.join("books"), "16m") else {
        return;
    };
    lay(place);
    for place in [alone.path(), place] {
        ends(&mut program(place, NIGHT, &["rate-card", "import", "cards"]), 0);
    }
    disk.remount("ro");
    says(
        &run(&mut night(place)),
        1,
        &["books", "read-only file system: mount it writable"],
    );
    disk.remount("rw");
    for place in [alone.path(), place] {
        ends(&mut night(place), 0);
    }
    same_books(place, alone.path());
}

#[test]
fn a_locked_ledger_is_named_and_the_same_night_works_later() {
    let (alone, place) = (place(), place());
    ends(&mut night(alone.path()), 0);
    ends(&mut program(place.path(), NIGHT, &["migrate"]), 0);
    let ended = with_books(place.path(), async |books| {
        let _held = books.ledger.begin().await.unwrap();
        run(night(place.path()).env("TALLYBOOK_LEDGER_WAIT_S", "0"))
    });
    says(
        &ended,
        1,
        &[
            "locked for longer than `ledger_wait_s`",
            match engine() {
                Engine::Sqlite => "ledger.sqlite",
                Engine::Postgres => "pg_stat_activity",
                Engine::MySql => "SHOW PROCESSLIST",
            },
            "run the same command again",
        ],
    );
    ends(&mut night(place.path()), 0);
    same_books(place.path(), alone.path());
}

fn ledger_files(place: &std::path::Path) -> [std::path::PathBuf; 3] {
    ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"].map(|name| place.join("books").join(name))
}

#[test]
fn a_folder_of_books_without_its_ledger_is_refused_and_nothing_in_it_is_touched() {
    if !is_embedded() {
        return;
    }
    let place = place();
    let place = place.path();
    ends(&mut night(place), 0);
    let [ledger, ..] = ledger_files(place);
    let backup = std::fs::read(&ledger).unwrap();
    for file in ledger_files(place) {
        std::fs::remove_file(file).ok();
    }
    let files = || crate::crashes::books::files(&place.join("books"));
    let before = files();
    for args in [&["nightly"][..], &["status"], &["expire"]] {
        let ended = run(&mut program(place, "2025-07-20T00:00:00Z", args));
        says(
            &ended,
            3,
            &[
                "books has data files",
                "the ledger is missing",
                "Restore ledger.sqlite from a backup",
            ],
        );
    }
    assert_eq!(files(), before);
    std::fs::write(ledger, backup).unwrap();
    ends(&mut program(place, NIGHT, &["verify"]), 0);
}

#[test]
fn a_ledger_older_than_the_files_removes_none_of_them() {
    if !is_embedded() {
        return;
    }
    let place = place();
    let place = place.path();
    ends(&mut night(place), 0);
    let [ledger, ..] = ledger_files(place);
    let old = std::fs::read(&ledger).unwrap();
    drop_file(place, "b.ndjson", &line("later", 8, DAY, 30_000));
    ends(&mut night(place), 0);
    let new = std::fs::read(&ledger).unwrap();
    for file in ledger_files(place) {
        std::fs::remove_file(file).ok();
    }
    std::fs::write(&ledger, old).unwrap();
    let raw = || crate::crashes::books::files(&place.join("books/raw"));
    let before = raw();
    std::fs::write(place.join("in/c.ndjson"), line("c", 7, DAY, 1)).unwrap();
    for args in [&["nightly"][..], &["expire"], &["ingest", "in/c.ndjson"]] {
        let ended = run(&mut program(place, NIGHT, args));
        says(
            &ended,
            3,
            &[
                "the ledger is older than the files",
                "Restore the newest ledger",
                "Nothing was changed",
            ],
        );
    }
    assert_eq!(raw(), before);
    for file in ledger_files(place) {
        std::fs::remove_file(file).ok();
    }
    std::fs::write(&ledger, new).unwrap();
    ends(&mut program(place, NIGHT, &["ingest", "in/c.ndjson"]), 0);
    ends(&mut program(place, NIGHT, &["verify"]), 0);
}

#[test]
fn a_damaged_ledger_is_named_with_the_cure() {
    if !is_embedded() {
        return;
    }
    let place = place();
    let place = place.path();
    ends(&mut night(place), 0);
    let [ledger, ..] = ledger_files(place);
    let mut bytes = std::fs::read(&ledger).unwrap();
    bytes[..64].fill(b'x');
    std::fs::write(&ledger, bytes).unwrap();
    says(
        &run(&mut night(place)),
        1,
        &["file is damaged or is not a ledger: restore it from a backup"],
    );
}
