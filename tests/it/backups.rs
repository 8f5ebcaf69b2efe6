//! Books from their backups: the same to the byte, in any ledger, whatever happens while they are made.

/// Buckets in the place of a folder.
#[cfg(feature = "objects")]
mod bucket_deaths;
#[cfg(feature = "objects")]
mod bucket_faults;
#[cfg(feature = "objects")]
mod buckets;

/// Death at every point.
mod deaths;

/// The ledger as a file.
mod dumps;

/// Encrypted with age.
mod encrypted;

/// What stays in a folder of backups and what goes.
mod kept;

/// From engine to engine.
mod moves;

/// Nights that end with a backup.
mod nights;

/// Earlier backups that can be restored.
mod points;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tallybook::backup::check::check;
use tallybook::backup::create::{BackedUp, back_up};
use tallybook::backup::manifest::Manifest;
use tallybook::backup::points::{manifests_of_points, objects_of_point};
use tallybook::backup::repository::Repository;
use tallybook::backup::restore::{Restored, restore};
use tallybook::inspect::verify::verify;
use tallybook::support::error::Error;

use crate::crashes::books::{difference, dump};
use crate::crashes::play::DAY;
use crate::exactly_once::shop::{Shop, usage};
use crate::ledgers::{is_embedded, url};
use crate::old_books::{old_books, usage_as_csv, verified};
use crate::tamper::{NOW, rich_books};
use crate::world::{Place, at, line, run};

/// A folder of backups beside the books.
fn beside(place: &Place) -> PathBuf {
    place.path().join("backup")
}

fn try_back_up(place: &Place, now: &str, to: &Path) -> Result<BackedUp, Error> {
    run(async {
        let books = place.books(at(now)).await;
        let done = back_up(&books, to).await;
        books.ledger.close().await;
        done
    })
}

fn backed_up(place: &Place, now: &str) -> BackedUp {
    try_back_up(place, now, &beside(place)).unwrap()
}

fn try_restore(from: &Path, place: &mut Place) -> Result<Restored, Error> {
    let (folder, ledger) = (place.data(), url(place.path()));
    let settings = place.settings().clone();
    run(restore(from, &folder, ledger.as_deref(), &settings))
}

/// A place whose books were restored.
fn restored(shop: &mut Shop, from: &Path) -> Place {
    let mut place = Place::with_cards(shop.cards(), "c");
    *place.settings() = shop.place.settings().clone();
    try_restore(from, &mut place).unwrap();
    place
}

fn differences(place: &Place, now: &str) -> Vec<String> {
    run(async {
        let books = place.books(at(now)).await;
        let verified = verify(&books).await.unwrap();
        books.ledger.close().await;
        verified.differences
    })
}

/// A dump of the books without the name of the folder of the one or the other: inputs are known by it.
fn without_names_of(places: [&Place; 2], of: &Place) -> String {
    let names = places.map(|place| place.path().to_str().unwrap());
    names.iter().fold(dump(of.path()), |text, name| text.replace(name, ""))
}

fn newest(folder: &Path) -> Manifest {
    Repository::open(folder).unwrap().newest().unwrap().unwrap().manifest
}

/// All files of a folder of backups that a manifest could name, and all that are needed for the backups that can be restored.
pub fn kept_and_named(folder: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    kept_and_named_in(&Repository::open(folder).unwrap())
}

fn kept_and_named_in(repository: &Repository) -> (BTreeSet<String>, BTreeSet<String>) {
    let newest = repository.newest().unwrap().unwrap().manifest;
    let mut objects = newest.objects();
    for point in manifests_of_points(repository, &newest).unwrap() {
        objects.extend(objects_of_point(&point, &newest));
    }
    let kept = repository.keys().unwrap().into_iter().collect();
    (kept, objects.into_iter().map(|object| object.key).collect())
}

fn has(folder: &Path, beginning: &str) -> bool {
    let (kept, _) = kept_and_named(folder);
    kept.iter().any(|key| key.starts_with(beginning))
}

/// Books of a shop with a night behind them.
fn small_books() -> Shop {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }");
    let with_log = |line: String| line.replace("\"appid\":1", "\"appid\":1,\"task_id\":\"t\"");
    shop.drop(&[with_log(usage("a", 7, "A", DAY, 60_000)), "not usage\n".to_owned()]);
    shop.place.night("2024-12-10T00:00:00Z");
    shop
}

#[test]
fn restored_books_are_the_same_and_so_is_what_becomes_of_them() {
    let mut shop = rich_books();
    let from = beside(&shop.place);
    let done = backed_up(&shop.place, NOW);
    assert!(done.is_whole() && done.unsettled.is_empty(), "{done:?}");
    assert_eq!(check(&from).unwrap().differences, Vec::<String>::new());
    let place = restored(&mut shop, &from);
    assert_eq!(difference(&dump(shop.place.path()), &dump(place.path())), None);
    assert_eq!(differences(&place, NOW), Vec::<String>::new());
    for now in ["2025-08-10T00:00:00Z", "2026-01-10T00:00:00Z"] {
        for place in [&shop.place, &place] {
            place.drop("more.ndjson", usage("m", 7, "A", "2025-07-20T10:00:00+08:00", 90_000));
            place.night(now);
        }
        for sheet in ["statement_lines.csv", "statements.csv", "manifest.json"] {
            assert_eq!(place.exported(sheet), shop.place.exported(sheet), "{sheet} of {now}");
        }
        let books = |of: &Place| without_names_of([&shop.place, &place], of);
        assert_eq!(difference(&books(&shop.place), &books(&place)), None, "{now}");
        assert_eq!(differences(&place, now), Vec::<String>::new(), "{now}");
    }
    // And they are backed up on where they came from.
    let next = try_back_up(&place, "2026-01-11T00:00:00Z", &from).unwrap();
    assert_eq!(next.number, 2);
    assert_eq!(check(&from).unwrap().differences, Vec::<String>::new());
}

#[test]
fn books_of_an_earlier_program_are_backed_up_and_restored() {
    let now = "2025-01-01T00:00:00Z";
    let mut old = old_books();
    let usage = usage_as_csv(&old);
    assert!(backed_up(&old, now).is_whole());
    let mut place = Place::new();
    *place.settings() = old.settings().clone();
    let restored = try_restore(&beside(&old), &mut place).unwrap();
    assert!(restored.files > 0 && restored.ledger_rows > 0);
    verified(&place, now);
    assert_eq!(usage_as_csv(&place), usage);
}

#[test]
fn what_is_in_the_folder_is_not_copied_again_and_what_the_books_have_no_more_goes() {
    let shop = small_books();
    let folder = beside(&shop.place);
    let first = backed_up(&shop.place, "2024-12-11T00:00:00Z");
    assert_eq!(
        (first.new_files, first.new_bytes, first.removed_files),
        (first.files, first.bytes, 0)
    );
    let again = backed_up(&shop.place, "2024-12-11T00:00:00Z");
    // The ledger's dump alone, beside the one before.
    assert_eq!(
        (again.number, again.new_files, again.removed_files, again.points),
        (2, 1, 0, 1),
        "{again:?}"
    );
    for kind in [
        "files/raw/",
        "files/log/",
        "files/usage/",
        "files/keys/",
        "files/exports/",
        "originals/",
        "quarantine/",
    ] {
        assert!(has(&folder, kind), "{kind}");
    }
    // The drop folder's files are of this machine's today, and go by it.
    shop.place.night("2025-02-10T00:00:00Z");
    backed_up(&shop.place, "2025-02-10T00:00:00Z");
    assert!(
        !has(&folder, "files/log/") && !has(&folder, "quarantine/"),
        "{:?}",
        kept_and_named(&folder).0
    );
    assert!(has(&folder, "files/raw/"));
    shop.place.night("2025-06-19T00:00:00Z");
    shop.place.night("2025-06-20T00:00:00Z");
    backed_up(&shop.place, "2025-06-20T00:00:00Z");
    assert!(!has(&folder, "files/raw/") && has(&folder, "files/usage/"));
    let (kept, named) = kept_and_named(&folder);
    assert_eq!(kept, named);
    assert_eq!(check(&folder).unwrap().differences, Vec::<String>::new());
    assert_eq!(check(&folder).unwrap().manifests, 4);
}

#[test]
fn input_files_are_packed_once_and_come_back_as_they_were() {
    let mut shop = small_books();
    let done = |name: &str| shop.place.data().join("drop/done").join(name);
    let lines = "a line of a producer\n".repeat(10_000);
    let gzip = [&[0x1f, 0x8b][..], &[7; 500]].concat();
    for (name, bytes) in [
        ("one.csv", lines.as_bytes()),
        ("again.csv", lines.as_bytes()),
        ("two.csv.gz", &gzip[..]),
        ("none.csv", b""),
    ] {
        std::fs::write(done(name), bytes).unwrap();
    }
    let from = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    let of = |name: &str| {
        let place = format!("done/{name}");
        let mut originals = newest(&from).originals.into_iter();
        originals.find(|original| original.place == place).unwrap()
    };
    let (one, gzipped) = (of("one.csv"), of("two.csv.gz"));
    assert!(one.is_packed() && one.stored.bytes < 1000 && one.bytes == lines.len() as u64);
    assert_eq!(of("again.csv").stored, one.stored);
    assert!(!gzipped.is_packed() && gzipped.stored.bytes == gzip.len() as u64);
    let place = restored(&mut shop, &from);
    let back = |name: &str| std::fs::read(place.data().join("drop/done").join(name)).unwrap();
    assert_eq!((back("one.csv"), back("two.csv.gz")), (lines.into_bytes(), gzip));
    assert_eq!((back("again.csv"), back("none.csv")), (back("one.csv"), Vec::new()));
    let time = |data: PathBuf| data.join("drop/done/one.csv").metadata().unwrap().modified().unwrap();
    assert_eq!(time(place.data()), time(shop.place.data()));
}

#[test]
fn a_folder_of_another_layout_is_refused_with_the_cure() {
    let shop = small_books();
    let folder = beside(&shop.place);
    let now = "2024-12-11T00:00:00Z";
    backed_up(&shop.place, now);
    let mark = std::fs::read_to_string(folder.join("backup.json")).unwrap();
    for (version, cure) in [
        ("2", "back up into a new folder"),
        ("9", "install the program that wrote it"),
    ] {
        let other = mark.replace("\"version\":3", &format!("\"version\":{version}"));
        assert_ne!(other, mark);
        std::fs::write(folder.join("backup.json"), &other).unwrap();
        says(&try_back_up(&shop.place, now, &folder).unwrap_err(), 3, cure);
        says(&check(&folder).unwrap_err(), 3, cure);
        let mut place = Place::with_cards(shop.cards(), "c");
        says(&try_restore(&folder, &mut place).unwrap_err(), 3, cure);
    }
    std::fs::write(folder.join("backup.json"), &mark).unwrap();
    assert_eq!(backed_up(&shop.place, now).number, 2);
}

#[test]
fn a_flipped_byte_of_a_backup_is_found_and_the_file_is_named_and_nothing_is_restored_from_it() {
    let shop = small_books();
    let folder = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    let (kept, _) = kept_and_named(&folder);
    for key in &kept {
        let path = folder.join(key);
        let whole = std::fs::read(&path).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            let found = check(&folder).unwrap().differences;
            assert!(
                found.len() == 1 && found[0].contains(key),
                "byte {at} of {key}: {found:?}"
            );
        }
        std::fs::remove_file(&path).unwrap();
        let found = check(&folder).unwrap().differences;
        assert!(found.len() == 1 && found[0].contains(key), "{key} gone: {found:?}");
        std::fs::write(&path, whole).unwrap();
    }
    for of in ["files/raw/", "originals/", "ledger/"] {
        let key = kept.iter().find(|key| key.starts_with(of)).unwrap();
        let whole = std::fs::read(folder.join(key)).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        let refused = |words: &str| {
            let refused = try_restore(&folder, &mut Place::with_cards(shop.cards(), "c")).unwrap_err();
            says(&refused, 1, words);
            says(&refused, 1, key);
        };
        std::fs::write(folder.join(key), flipped).unwrap();
        refused("has changed since it was backed up");
        std::fs::remove_file(folder.join(key)).unwrap();
        refused("is missing in the backup");
        std::fs::write(folder.join(key), whole).unwrap();
    }
}

#[test]
fn a_changed_manifest_breaks_the_chain() {
    let shop = small_books();
    let folder = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    backed_up(&shop.place, "2024-12-12T00:00:00Z");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder.join("manifests"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    paths.sort();
    let [first, newest] = &paths[..] else {
        panic!("{paths:?}");
    };
    let whole = std::fs::read_to_string(first).unwrap();
    let changed = whole.replace("2024-12-11", "2024-12-10");
    std::fs::write(first, &changed).unwrap();
    let found = check(&folder).unwrap().differences;
    assert!(
        found.iter().any(|what| what.contains("manifests/00000001")),
        "{found:?}"
    );
    // Also under a name that fits it.
    std::fs::remove_file(first).unwrap();
    let digest = tallybook::values::digest::sha256_hex(changed.as_bytes());
    let renamed = folder.join(format!("manifests/00000001-{}.json", &digest[..16]));
    std::fs::write(&renamed, changed).unwrap();
    let found = check(&folder).unwrap().differences;
    assert!(found.len() == 1 && found[0].contains("manifest 2"), "{found:?}");
    std::fs::remove_file(renamed).unwrap();
    std::fs::write(first, whole).unwrap();
    assert_eq!(check(&folder).unwrap().differences, Vec::<String>::new());
    let bytes = std::fs::read(newest).unwrap();
    std::fs::write(newest, [&bytes[..], b" "].concat()).unwrap();
    let refused = check(&folder).unwrap_err().to_string();
    assert!(refused.contains("manifests/00000002"), "{refused}");
    says(
        &try_back_up(&shop.place, NOW, &folder).unwrap_err(),
        1,
        "has changed since it was written",
    );
}

#[test]
fn a_backup_that_lacks_a_file_says_so_and_removes_nothing() {
    let mut shop = small_books();
    shop.place.settings().backup_points = 0;
    let folder = beside(&shop.place);
    let first = backed_up(&shop.place, "2024-12-11T00:00:00Z");
    let (before, _) = kept_and_named(&folder);
    shop.drop(&[usage("b", 7, "A", DAY, 30_000)]);
    shop.place.night("2024-12-12T00:00:00Z");
    let known: BTreeSet<String> = newest(&folder).files.into_iter().map(|file| file.path).collect();
    let day = shop.place.data().join("raw/day=2024-11-15");
    let names = std::fs::read_dir(&day)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap());
    let new = names
        .map(|name| format!("raw/day=2024-11-15/{name}"))
        .find(|path| !known.contains(path))
        .unwrap();
    let lost = shop.place.data().join(&new);
    let bytes = std::fs::read(&lost).unwrap();
    std::fs::remove_file(&lost).unwrap();
    let lacking = backed_up(&shop.place, "2024-12-12T00:00:00Z");
    assert!(
        lacking.missing.len() == 1 && lacking.missing[0].contains(&new),
        "{lacking:?}"
    );
    assert_eq!(lacking.removed_files, 0);
    let (after, _) = kept_and_named(&folder);
    assert!(after.is_superset(&before));
    assert!(check(&folder).unwrap().differences[0].contains(&new));
    std::fs::write(&lost, bytes).unwrap();
    let whole = backed_up(&shop.place, "2024-12-13T00:00:00Z");
    assert!(
        whole.is_whole() && whole.removed_files > 0 && whole.number == first.number + 2,
        "{whole:?}"
    );
}

#[test]
fn a_file_that_was_damaged_after_its_backup_comes_back_whole() {
    let mut shop = small_books();
    let from = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    let path = newest(&from)
        .files
        .into_iter()
        .find(|file| file.path.starts_with("usage/"))
        .unwrap()
        .path;
    std::fs::write(shop.place.data().join(&path), "gone bad").unwrap();
    assert!(backed_up(&shop.place, "2024-12-12T00:00:00Z").is_whole());
    let place = restored(&mut shop, &from);
    assert_eq!(differences(&place, "2024-12-12T00:00:00Z"), Vec::<String>::new());
}

#[test]
fn a_changed_row_is_told_by_the_backup_and_is_in_it_as_it_is() {
    let mut shop = small_books();
    let from = beside(&shop.place);
    crate::ledgers::execute(
        shop.place.path(),
        "UPDATE batch SET received = received + 1 WHERE batch = 1",
    );
    let done = backed_up(&shop.place, "2024-12-11T00:00:00Z");
    assert!(
        !done.is_whole() && done.damaged[0].contains("batch (batch 1"),
        "{done:?}"
    );
    let told = differences(&shop.place, "2024-12-11T00:00:00Z");
    assert!(!told.is_empty());
    let place = restored(&mut shop, &from);
    assert_eq!(differences(&place, "2024-12-11T00:00:00Z"), told);
}

fn says(refused: &Error, code: u8, words: &str) {
    assert_eq!(u8::from(refused.exit_code()), code, "{refused}");
    assert!(refused.to_string().contains(words), "{refused}");
}

#[test]
fn a_folder_has_backups_of_one_set_of_books_and_none_goes_back() {
    let shop = small_books();
    let folder = beside(&shop.place);
    let older = shop.place.copy();
    shop.place.night("2024-12-11T00:00:00Z");
    shop.drop(&[usage("b", 7, "A", DAY, 30_000)]);
    shop.place.night("2024-12-12T00:00:00Z");
    backed_up(&shop.place, "2024-12-12T00:00:00Z");
    let refused = try_back_up(&older, "2024-12-12T00:00:00Z", &folder).unwrap_err();
    says(&refused, 3, "has more than these books");
    let first = Place::with_cards(shop.cards(), "c");
    first
        .ingest("2024-12-13T00:00:00Z", &first.file("z.ndjson", line("z", 7, DAY, 1)))
        .unwrap();
    says(&try_back_up(&first, NOW, &folder).unwrap_err(), 3, "other books");
    assert_eq!(newest(&folder).number, 1);
}

#[cfg(not(feature = "objects"))]
#[test]
fn a_bucket_is_refused_by_a_program_that_was_built_without_buckets() {
    let mut shop = small_books();
    let keys = "bucket_region = \"x\"\nsecret_id_env = \"A\"\nsecret_key_env = \"B\"";
    shop.place.settings().backup_bucket = Some(keys.parse().unwrap());
    let refused = try_back_up(&shop.place, NOW, Path::new("s3://books/a")).unwrap_err();
    says(
        &refused,
        3,
        "this program was built without objects; build it with --features objects",
    );
}

#[test]
fn what_would_be_overwritten_or_would_hold_itself_is_refused() {
    let shop = small_books();
    let now = "2024-12-11T00:00:00Z";
    let data = shop.place.data();
    let link = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&data, link.path().join("link")).unwrap();
    for nested in [
        data.join("backup"),
        data.clone(),
        shop.place.path().to_owned(),
        link.path().join("link/new/backup"),
    ] {
        says(
            &try_back_up(&shop.place, now, &nested).unwrap_err(),
            2,
            "in the data folder",
        );
    }
    let full = tempfile::tempdir().unwrap();
    std::fs::write(full.path().join("notes.txt"), "mine").unwrap();
    says(
        &try_back_up(&shop.place, now, full.path()).unwrap_err(),
        2,
        "is not empty",
    );
    let mut place = Place::with_cards(shop.cards(), "c");
    says(&try_restore(full.path(), &mut place).unwrap_err(), 2, "has no backups");
    let folder = beside(&shop.place);
    backed_up(&shop.place, now);
    // Into books that are there.
    let mut there = shop.place.copy();
    says(&try_restore(&folder, &mut there).unwrap_err(), 2, "is not empty");
    std::fs::remove_dir_all(there.data()).unwrap();
    if is_embedded() {
        try_restore(&folder, &mut there).unwrap();
    } else {
        says(
            &try_restore(&folder, &mut there).unwrap_err(),
            2,
            "has tallybook tables already",
        );
    }
}
