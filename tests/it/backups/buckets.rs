//! Backups in a bucket: every case on a real `SeaweedFS`, on moto, and on a stub of COS.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tallybook::backup::check::{Checked, check, check_with};
use tallybook::backup::location::Location;
use tallybook::backup::prune::{Pruned, prune_bucket};
use tallybook::backup::repository::{Repository, Saved};
use tallybook::backup::restore::Point;
use tallybook::context::Settings;
use tallybook::nightly::Night;
use tallybook::storage::objects::Cloud;
use tallybook::support::error::Error;
use tallybook::support::error::exit_code::ExitCode;

use super::encrypted::{encrypt, with_identity};
use super::points::{empty_place_for, try_restore_to, without_restore};
use super::{differences, kept_and_named_in, restored, says, small_books, try_back_up, try_restore};
use crate::crashes::books::{difference, dump};
use crate::crashes::play::DAY;
use crate::exactly_once::shop::usage;
use crate::sources::objects::proxy::Proxy;
use crate::sources::objects::servers::{TestBucket, from_environment, server};
use crate::world::{Place, at, run};

/// Where in a bucket the backups are.
pub const PREFIX: &str = "books/a";

pub const NOW: &str = "2024-12-11T00:00:00Z";

/// A case with a bucket of its own, on each server that is there.
pub fn on_each(case: impl Fn(&TestBucket)) {
    for cloud in [Cloud::S3, Cloud::Cos] {
        on(cloud, &case);
    }
    on_moto(&case);
}

/// On moto, which imitates S3.
pub fn on_moto(case: impl Fn(&TestBucket)) {
    let Some(endpoint) = from_environment("TALLYBOOK_TEST_MOTO") else {
        return;
    };
    let bucket = TestBucket::at(Cloud::S3, &endpoint);
    run(bucket.make());
    case(&bucket);
}

pub fn on(cloud: Cloud, case: impl Fn(&TestBucket)) {
    let Some(endpoint) = server(cloud) else { return };
    let bucket = TestBucket::at(cloud, &endpoint);
    run(bucket.make());
    case(&bucket);
}

/// How the backups in a bucket are named.
pub fn named(bucket: &TestBucket) -> PathBuf {
    bucket.name_of(PREFIX).into()
}

/// What settings say of a bucket; its keys are in files of a folder.
pub fn table(bucket: &TestBucket, folder: &Path) -> toml::Table {
    let mut table = bucket.definition(folder);
    table.retain(|key, _| key != "kind" && key != "bucket");
    table
}

/// Names the bucket in the settings of a place.
pub fn reach(place: &mut Place, bucket: &TestBucket) {
    let table = table(bucket, place.path());
    place.settings().backup_bucket = Some(table);
    place.settings().backup_points = 0;
}

pub fn location(place: &mut Place, bucket: &TestBucket) -> Location {
    let settings: &Settings = place.settings();
    Location::of(&named(bucket), settings).unwrap()
}

pub fn try_check(at: &Location) -> Result<Checked, Error> {
    run(async { check(at.clone()) })
}

pub fn pruned(place: &Place, from: &Location, keep: Option<usize>) -> Result<Pruned, Error> {
    run(async {
        let books = place.books(at(NOW)).await;
        let pruned = prune_bucket(&books, from.clone(), keep).await;
        books.ledger.close().await;
        pruned
    })
}

pub fn agrees(at: &Location) {
    assert_eq!(try_check(at).unwrap().differences, Vec::<String>::new());
}

pub fn newest(at: &Location) -> Saved {
    run(async { Repository::open_to_read(at.clone()).unwrap().newest().unwrap().unwrap() })
}

/// All files that a manifest could name, and all that are needed for the backups that can be restored.
pub fn kept_and_named(at: &Location) -> (BTreeSet<String>, BTreeSet<String>) {
    run(async { kept_and_named_in(&Repository::open_to_read(at.clone()).unwrap()) })
}

#[test]
fn books_go_into_a_bucket_and_come_back_and_what_they_have_no_more_goes_from_it() {
    on_each(|bucket| {
        let mut shop = small_books();
        reach(&mut shop.place, bucket);
        let (to, place_of) = (named(bucket), location(&mut shop.place, bucket));
        let first = try_back_up(&shop.place, NOW, &to).unwrap();
        assert!(
            first.is_whole() && first.folder == to.display().to_string(),
            "{first:?}"
        );
        assert_eq!(
            (first.new_files, first.new_bytes, first.removed_files),
            (first.files, first.bytes, 0)
        );
        let again = try_back_up(&shop.place, NOW, &to).unwrap();
        // The ledger's dump alone, in the place of the one before.
        assert_eq!(
            (again.number, again.new_files, again.removed_files),
            (2, 1, 1),
            "{again:?}"
        );
        agrees(&place_of);
        assert!(
            !shop.place.data().join("spool/backup").exists(),
            "what was made of the books is gone"
        );
        let place = restored(&mut shop, &to);
        assert_eq!(difference(&dump(shop.place.path()), &dump(place.path())), None);
        assert_eq!(differences(&place, NOW), Vec::<String>::new());
        for night in ["2025-02-10T00:00:00Z", "2025-06-19T00:00:00Z", "2025-06-20T00:00:00Z"] {
            shop.place.night(night);
        }
        try_back_up(&shop.place, "2025-06-20T00:00:00Z", &to).unwrap();
        let (kept, named) = kept_and_named(&place_of);
        assert_eq!(kept, named);
        let is_gone = |beginning: &str| !kept.iter().any(|key| key.starts_with(beginning));
        assert!(
            is_gone("files/raw/") && is_gone("files/log/") && is_gone("quarantine/"),
            "{kept:?}"
        );
        assert!(!is_gone("files/usage/") && !is_gone("files/exports/"), "{kept:?}");
        agrees(&place_of);
    });
}

#[test]
fn an_earlier_backup_in_a_bucket_can_be_restored_also_where_it_is_encrypted() {
    on_each(|bucket| {
        for is_encrypted in [false, true] {
            let mut shop = small_books();
            reach(&mut shop.place, bucket);
            shop.place.settings().backup_points = 2;
            if is_encrypted {
                encrypt(&mut shop.place);
            }
            let to: PathBuf = bucket.name_of(if is_encrypted { "encrypted" } else { "plain" }).into();
            try_back_up(&shop.place, NOW, &to).unwrap();
            let then = shop.place.copy();
            shop.drop(&[usage("b", 7, "A", DAY, 30_000)]);
            shop.place.night("2024-12-12T00:00:00Z");
            let second = try_back_up(&shop.place, "2024-12-12T00:00:00Z", &to).unwrap();
            assert_eq!((second.number, second.points), (2, 1));
            let settings = with_identity(&mut shop.place);
            let place_of = Location::of(&to, &settings).unwrap();
            let checked = run(async { check_with(place_of.clone(), &settings) }).unwrap();
            assert_eq!((checked.points, checked.is_decrypted), (1, true));
            assert_eq!(checked.differences, Vec::<String>::new());
            let (kept, named) = kept_and_named(&place_of);
            assert_eq!(kept, named);
            let mut place = empty_place_for(&mut shop.place);
            try_restore_to(&to, Point::Number(1), &mut place).unwrap();
            let both = [&then, &place];
            let books = |of: &Place| without_restore(of, both);
            assert_eq!(difference(&books(&then), &books(&place)), None);
            assert_eq!(differences(&place, NOW), Vec::<String>::new());
        }
    });
}

#[test]
fn a_night_ends_with_a_backup_into_a_bucket_that_has_one_already() {
    on_each(|bucket| {
        let mut shop = small_books();
        reach(&mut shop.place, bucket);
        let to = named(bucket);
        shop.place.settings().backup = Some(to.clone());
        let night = |shop: &crate::exactly_once::shop::Shop, id: &str, now: &str| -> Night {
            shop.drop(&[usage(id, 7, "A", DAY, 30_000)]);
            shop.place.night(now)
        };
        let without = night(&shop, "b", NOW);
        assert_eq!(without.exit_code(), ExitCode::NeedsPerson);
        assert!(
            without.needs_person[0].contains("has no backups of tallybook"),
            "{:?}",
            without.needs_person
        );
        assert!(
            without.needs_person[0].contains(&to.display().to_string()),
            "{:?}",
            without.needs_person
        );
        try_back_up(&shop.place, NOW, &to).unwrap();
        let with = night(&shop, "c", "2024-12-12T00:00:00Z");
        assert_eq!((with.backup.unwrap().number, with.needs_person), (2, Vec::new()));
        agrees(&location(&mut shop.place, bucket));
    });
}

#[test]
fn an_input_file_of_many_parts_goes_over_and_comes_back() {
    on_each(|bucket| {
        let mut shop = small_books();
        reach(&mut shop.place, bucket);
        let bytes = large_file(&shop.place.data());
        let done = try_back_up(&shop.place, NOW, &named(bucket)).unwrap();
        assert!(done.bytes > bytes.len() as u64, "{done:?}");
        agrees(&location(&mut shop.place, bucket));
        let place = restored(&mut shop, &named(bucket));
        let back = std::fs::read(place.data().join("drop/done/large.gz")).unwrap();
        assert!(back == bytes);
    });
}

/// Lays an input file among those that were read that needs two parts and cannot be packed.
pub fn large_file(data: &Path) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b];
    bytes.extend((0..20_000_000_u64).map(|at| (at.wrapping_mul(at) >> 7).to_le_bytes()[0]));
    std::fs::write(data.join("drop/done/large.gz"), &bytes).unwrap();
    bytes
}

#[test]
fn a_changed_or_missing_object_is_found_and_named_and_nothing_is_restored_from_it() {
    on_each(|bucket| {
        let mut shop = small_books();
        reach(&mut shop.place, bucket);
        let to = named(bucket);
        try_back_up(&shop.place, NOW, &to).unwrap();
        let place_of = location(&mut shop.place, bucket);
        let (kept, _) = kept_and_named(&place_of);
        let object = |key: &str| format!("{PREFIX}/{key}");
        for key in &kept {
            let whole = run(read(bucket, &object(key)));
            let mut flipped = whole.clone();
            flipped[whole.len() / 2] ^= 1;
            run(bucket.put(&object(key), &flipped));
            let found = try_check(&place_of).unwrap().differences;
            assert!(found.len() == 1 && found[0].contains(key), "{key}: {found:?}");
            run(delete(bucket, &object(key)));
            let found = try_check(&place_of).unwrap().differences;
            assert!(found.len() == 1 && found[0].contains(key), "{key} gone: {found:?}");
            run(bucket.put(&object(key), &whole));
        }
        let raw = kept.iter().find(|key| key.starts_with("files/raw/")).unwrap();
        run(bucket.put(&object(raw), b"other bytes"));
        let mut place = Place::with_cards(shop.cards(), "c");
        reach(&mut place, bucket);
        let refused = try_restore(&to, &mut place).unwrap_err().to_string();
        assert!(refused.contains(raw), "{refused}");
        // What verify says is done: the object is deleted, and the next backup copies it again.
        run(delete(bucket, &object(raw)));
        assert!(try_back_up(&shop.place, NOW, &to).unwrap().is_whole());
        agrees(&place_of);
    });
}

pub async fn read(bucket: &TestBucket, key: &str) -> Vec<u8> {
    let mut reading = bucket.store().read(key, None, 0).await.unwrap();
    let mut bytes = Vec::new();
    let take = |bytes: &mut Vec<u8>, block: &[u8]| bytes.extend_from_slice(block);
    while reading
        .next(|block| {
            take(&mut bytes, block);
            Ok::<_, tallybook::storage::objects::error::StoreError>(())
        })
        .await
        .unwrap()
    {}
    bytes
}

pub async fn delete(bucket: &TestBucket, key: &str) {
    bucket.writable().delete(key).await.unwrap();
}

#[test]
fn two_backups_of_one_number_are_found_and_everything_is_refused_until_a_person_deletes_one() {
    on_each(|bucket| {
        let mut shop = small_books();
        reach(&mut shop.place, bucket);
        let to = named(bucket);
        try_back_up(&shop.place, NOW, &to).unwrap();
        let place_of = location(&mut shop.place, bucket);
        let one = newest(&place_of);
        let mut other = one.manifest.clone();
        other.taken_at = "2024-12-11T00:00:01Z".to_owned();
        let key = format!("{PREFIX}/manifests/00000001-{}.json", &other.digest()[..16]);
        run(bucket.put(&key, other.to_text()));
        let words = "two backups of one number";
        says(&try_check(&place_of).unwrap_err(), 3, words);
        says(&try_back_up(&shop.place, NOW, &to).unwrap_err(), 3, words);
        let mut place = Place::with_cards(shop.cards(), "c");
        reach(&mut place, bucket);
        says(&try_restore(&to, &mut place).unwrap_err(), 3, words);
        run(delete(bucket, &key));
        assert_eq!(try_back_up(&shop.place, NOW, &to).unwrap().number, 2);
        agrees(&place_of);
    });
}

#[test]
fn a_bucket_has_backups_of_one_set_of_books_below_a_prefix_of_their_own() {
    on_each(|bucket| {
        let mut shop = small_books();
        reach(&mut shop.place, bucket);
        let to = named(bucket);
        run(bucket.put("books/elsewhere", "x"));
        run(bucket.put("books/a/notes.txt", "x"));
        says(&try_back_up(&shop.place, NOW, &to).unwrap_err(), 2, "is not empty");
        run(delete(bucket, "books/a/notes.txt"));
        let older = shop.place.copy();
        shop.drop(&[usage("b", 7, "A", DAY, 30_000)]);
        shop.place.night(NOW);
        try_back_up(&shop.place, NOW, &to).unwrap();
        assert_eq!(run(read(bucket, "books/elsewhere")), b"x");
        let refused = try_back_up(&older, NOW, &to).unwrap_err();
        says(&refused, 3, "has more than these books");
        let place_of = location(&mut shop.place, bucket);
        says(
            &pruned(&older, &place_of, Some(1)).unwrap_err(),
            3,
            "has more than these books",
        );
        let other = bucket.name_of("books/b");
        says(
            &run(async { check(Location::of(Path::new(&other), shop.place.settings()).unwrap()) }).unwrap_err(),
            2,
            "has no backups",
        );
    });
}

/// Sets with Amazon's SDK what a bucket keeps; with a lock it is made anew.
const KEEPING: &str = r#"
import sys, boto3
endpoint, bucket, what = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
if what == "Lock":
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
else:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": what})
"#;

fn set_keeping(bucket: &TestBucket, what: &str) {
    let Some(python) = from_environment("TALLYBOOK_TEST_COS_SDK") else {
        panic!("a Python with Amazon's SDK is installed beside moto")
    };
    let ended = std::process::Command::new(python)
        .args(["-c", KEEPING, &bucket.endpoint, &bucket.bucket, what])
        .output()
        .unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn what_a_bucket_keeps_is_read_as_amazons_sdk_sets_it() {
    for (what, words) in [("Enabled", "keeps old versions"), ("Lock", "object lock")] {
        on_moto(|bucket| {
            let mut shop = small_books();
            reach(&mut shop.place, bucket);
            set_keeping(bucket, what);
            says(&try_back_up(&shop.place, NOW, &named(bucket)).unwrap_err(), 3, words);
            assert_eq!(run(bucket.keys()), Vec::<String>::new());
        });
    }
    on_moto(|bucket| {
        let mut shop = small_books();
        reach(&mut shop.place, bucket);
        set_keeping(bucket, "Suspended");
        assert!(try_back_up(&shop.place, NOW, &named(bucket)).unwrap().is_whole());
    });
}

#[test]
fn a_bucket_that_keeps_what_is_deleted_is_refused_before_anything_is_put() {
    on(Cloud::Cos, |bucket| {
        // A bucket of the stub that has a lock keeps it.
        for (fault, words) in [("versions", "keeps old versions"), ("lock", "object lock")] {
            let mut shop = small_books();
            reach(&mut shop.place, bucket);
            bucket.goes_wrong("-", fault, 0, "");
            says(&try_back_up(&shop.place, NOW, &named(bucket)).unwrap_err(), 3, words);
        }
        assert_eq!(run(bucket.keys()), Vec::<String>::new());
    });
    on(Cloud::S3, |bucket| {
        let proxy = Proxy::to(&bucket.endpoint);
        for (of, body, words) in [
            (
                "object-lock=",
                "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
                "object lock",
            ),
            (
                "versioning=",
                "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
                "keeps old versions",
            ),
        ] {
            let mut shop = small_books();
            reach(&mut shop.place, &bucket.through(&proxy.endpoint));
            proxy.answer(of, body);
            says(&try_back_up(&shop.place, NOW, &named(bucket)).unwrap_err(), 3, words);
        }
        assert_eq!(run(bucket.keys()), Vec::<String>::new());
        // One whose versioning was suspended keeps nothing new.
        let mut shop = small_books();
        reach(&mut shop.place, &bucket.through(&proxy.endpoint));
        proxy.answer(
            "versioning=",
            "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>",
        );
        assert!(try_back_up(&shop.place, NOW, &named(bucket)).unwrap().is_whole());
    });
}

#[test]
fn keys_that_may_not_write_are_told_with_the_cure_and_no_secret_is_shown() {
    // Moto takes any keys.
    let case = |bucket: &TestBucket| {
        let (id, secret) = match bucket.cloud {
            Cloud::S3 => ("idThatMayNothing", "secretThatMayNothing"),
            Cloud::Cos => ("AKIDthatMayNothing", "secretThatMayNothing"),
        };
        for (id, secret, cure) in [
            (id, secret, "allow them"),
            (&*bucket.id, "hunter2", "does not belong to the key id"),
        ] {
            let mut shop = small_books();
            reach(&mut shop.place, &bucket.with_keys(id, secret));
            let refused = try_back_up(&shop.place, NOW, &named(bucket)).unwrap_err();
            says(&refused, 3, cure);
            let said = refused.to_string();
            assert!(!said.contains(secret) && !said.contains(id), "{said}");
        }
    };
    on(Cloud::S3, case);
    on(Cloud::Cos, case);
}
