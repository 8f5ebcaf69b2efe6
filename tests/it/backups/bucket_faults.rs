//! A store that lies: it fails after it has done what was asked, cuts answers, lists what is not so; and books that are backed up twice.

use tallybook::backup::repository::Repository;
use tallybook::storage::objects::Cloud;

use super::buckets::{
    NOW, PREFIX, agrees, delete, large_file, location, named, newest, on, on_each, pruned, reach, table, try_check,
};
use super::{differences, restored, says, small_books, try_back_up, try_restore};
use crate::crashes::books::{difference, dump};
use crate::crashes::play::DAY;
use crate::crashes::process::{program, run as run_program, stop_at};
use crate::exactly_once::shop::usage;
use crate::faults::small::{NIGHT, ends, night, place, says as program_says};
use crate::sources::objects::proxy::Proxy;
use crate::world::{Place, run};

#[test]
fn what_fails_before_or_after_it_was_done_is_done_once_more_and_is_the_same() {
    on(Cloud::Cos, |bucket| {
        let mut shop = small_books();
        reach(&mut shop.place, bucket);
        large_file(&shop.place.data());
        for (method, fault, key) in [
            ("PUT", "before", "backup.json"),
            ("PUT", "after", "ledger/"),
            ("PUT", "after", "files/raw/"),
            ("PUT", "before", "files/usage/"),
            ("PUT", "after", "manifests/"),
            ("PUT", "after", "newest"),
            ("DELETE", "after", "ledger/"),
        ] {
            bucket.goes_wrong(method, fault, 1, &format!("{PREFIX}/{key}"));
        }
        // An upload is begun twice, a part of it is put twice, and it is ended twice.
        for (method, fault, parameter) in [
            ("POST", "after", "uploads="),
            ("PUT", "after", "partNumber=1"),
            ("PUT", "before", "partNumber=2"),
            ("POST", "after", "uploadId="),
        ] {
            bucket.goes_wrong(method, fault, 1, &format!("%3F{parameter}"));
        }
        let first = try_back_up(&shop.place, NOW, &named(bucket)).unwrap();
        assert!(first.is_whole(), "{first:?}");
        let place_of = location(&mut shop.place, bucket);
        agrees(&place_of);
        try_back_up(&shop.place, NOW, &named(bucket)).unwrap();
        agrees(&place_of);
        // The upload that was begun first was given up.
        assert_eq!(run(bucket.writable().unfinished(PREFIX)).unwrap(), []);
    });
}

#[test]
fn an_upload_whose_end_was_answered_with_an_error_is_there() {
    on(Cloud::Cos, |bucket| {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), vec![7; 17 << 20]).unwrap();
        let digest = tallybook::values::digest::sha256_hex_of_file(path.path()).unwrap();
        let store = bucket.writable();
        bucket.goes_wrong("POST", "after", 1, "large%3Fuploads");
        bucket.goes_wrong("POST", "after", 1, "large%3FuploadId");
        run(store.put_file("large", path.path(), &digest)).unwrap();
        let noted = run(store.noted("large")).unwrap().unwrap();
        assert_eq!((noted.bytes, noted.sha256), (17 << 20, Some(digest)));
        // Bytes that are not what they were said to be are not put.
        for bytes in [vec![8; 17 << 20], vec![8; 10]] {
            std::fs::write(path.path(), bytes).unwrap();
            let refused = run(store.put_file("other", path.path(), &"0".repeat(64)))
                .unwrap_err()
                .to_string();
            assert!(refused.contains("changed while it was copied"), "{refused}");
        }
        assert_eq!(run(store.noted("other")).unwrap(), None);
        assert_eq!(
            run(store.unfinished("")).unwrap().len(),
            1,
            "the one that was begun twice"
        );
    });
}

#[test]
fn answers_that_are_cut_are_gone_on_with_and_every_byte_comes_once() {
    on(Cloud::Cos, |bucket| {
        let mut shop = small_books();
        reach(&mut shop.place, bucket);
        large_file(&shop.place.data());
        try_back_up(&shop.place, NOW, &named(bucket)).unwrap();
        for (times, key) in [
            (3, "originals/"),
            (2, "ledger/"),
            (2, "manifests/"),
            (1, "files/raw/"),
            (1, "backup.json"),
        ] {
            bucket.goes_wrong("GET", "cut", times, &format!("{PREFIX}/{key}"));
        }
        agrees(&location(&mut shop.place, bucket));
        bucket.goes_wrong("GET", "cut", 3, &format!("{PREFIX}/originals/"));
        bucket.goes_wrong("GET", "before", 1, &format!("{PREFIX}/ledger/"));
        let place = restored(&mut shop, &named(bucket));
        assert_eq!(difference(&dump(shop.place.path()), &dump(place.path())), None);
        assert_eq!(differences(&place, NOW), Vec::<String>::new());
    });
}

#[test]
fn a_listing_that_is_out_of_date_hides_no_backup_and_no_file() {
    on(Cloud::Cos, |bucket| {
        let mut shop = small_books();
        reach(&mut shop.place, bucket);
        let to = named(bucket);
        try_back_up(&shop.place, NOW, &to).unwrap();
        let place_of = location(&mut shop.place, bucket);
        // From now on nothing that was put is listed.
        bucket.goes_wrong("GET", "forget", 1, PREFIX);
        let second = try_back_up(&shop.place, NOW, &to).unwrap();
        assert_eq!((second.number, second.new_files), (2, 1), "{second:?}");
        agrees(&place_of);
        assert_eq!(newest(&place_of).manifest.number, 2);
        let place = restored(&mut shop, &to);
        assert_eq!(difference(&dump(shop.place.path()), &dump(place.path())), None);
        bucket.goes_wrong("-", "none", 0, "");
        let third = try_back_up(&shop.place, NOW, &to).unwrap();
        // What the second could not see to remove goes now.
        assert_eq!((third.number, third.removed_files), (3, 2), "{third:?}");
        agrees(&place_of);
    });
}

#[test]
fn a_manifest_that_is_gone_and_still_listed_is_not_taken_for_the_newest() {
    on(Cloud::Cos, |bucket| {
        let mut shop = small_books();
        reach(&mut shop.place, bucket);
        let to = named(bucket);
        try_back_up(&shop.place, NOW, &to).unwrap();
        try_back_up(&shop.place, NOW, &to).unwrap();
        let place_of = location(&mut shop.place, bucket);
        let mut other = newest(&place_of).manifest;
        other.number = 3;
        let key = format!("{PREFIX}/manifests/00000003-{}.json", &other.digest()[..16]);
        run(bucket.put(&key, other.to_text()));
        bucket.goes_wrong("-", "remember", 0, "");
        run(delete(bucket, &key));
        assert!(run(bucket.keys()).contains(&key), "it is listed");
        assert_eq!(newest(&place_of).manifest.number, 2);
        assert_eq!(pruned(&shop.place, &place_of, Some(1)).unwrap().removed_manifests, 1);
        assert_eq!(newest(&place_of).manifest.number, 2);
        agrees(&place_of);
    });
}

#[test]
fn manifests_go_one_after_another_the_oldest_first() {
    on_each(|bucket| {
        let mut shop = small_books();
        let proxy = Proxy::to(&bucket.endpoint);
        reach(&mut shop.place, &bucket.through(&proxy.endpoint));
        let place_of = location(&mut shop.place, bucket);
        for _ in 0..4 {
            try_back_up(&shop.place, NOW, &named(bucket)).unwrap();
        }
        // The second cannot be deleted: what is left has no gap.
        let second = format!("/{PREFIX}/manifests/00000002");
        proxy.refuse_after(0, &second, (403, "AccessDenied"), || ());
        says(&pruned(&shop.place, &place_of, Some(1)).unwrap_err(), 3, "AccessDenied");
        proxy.allow();
        assert_eq!(try_check(&place_of).unwrap().manifests, 3);
        agrees(&place_of);
        assert_eq!(pruned(&shop.place, &place_of, Some(1)).unwrap().removed_manifests, 2);
        agrees(&place_of);
    });
}

#[test]
fn what_was_made_goes_as_soon_as_it_was_put_and_a_restore_that_is_refused_removes_nothing_of_it() {
    on(Cloud::Cos, |bucket| {
        let place = program_place(bucket);
        let to = named(bucket).display().to_string();
        let made = || {
            let files = std::fs::read_dir(place.path().join("books/spool/backup"));
            files.map_or(0, Iterator::count)
        };
        let first = stop_at(&mut program(place.path(), NIGHT, &["backup", &to]), "put manifests").unwrap();
        assert_eq!(made(), 0);
        assert_eq!(first.go_on().code, Some(0));
        let second = stop_at(&mut program(place.path(), NIGHT, &["backup", &to]), "backup.read").unwrap();
        assert!(made() > 0, "the dump is there");
        program_says(
            &run_program(&mut program(place.path(), NIGHT, &["restore", &to])),
            2,
            &["is not empty"],
        );
        assert!(made() > 0, "the dump is still there");
        assert_eq!(second.go_on().code, Some(0));
    });
}

#[test]
fn a_backup_that_was_refused_half_way_goes_on_from_there() {
    on_each(|bucket| {
        let mut shop = small_books();
        let proxy = Proxy::to(&bucket.endpoint);
        reach(&mut shop.place, &bucket.through(&proxy.endpoint));
        let place_of = location(&mut shop.place, bucket);
        // The dump goes over when the files of the books are there.
        proxy.refuse_after(0, &format!("/{PREFIX}/ledger/"), (403, "AccessDenied"), || ());
        let refused = try_back_up(&shop.place, NOW, &named(bucket)).unwrap_err();
        says(&refused, 3, "may not write there");
        proxy.allow();
        assert!(run(async {
            Repository::open_to_read(place_of.clone())
                .unwrap()
                .newest()
                .unwrap()
                .is_none()
        }));
        let mut place = Place::with_cards(shop.cards(), "c");
        reach(&mut place, bucket);
        says(
            &try_restore(&named(bucket), &mut place).unwrap_err(),
            2,
            "has come to its end",
        );
        let done = try_back_up(&shop.place, NOW, &named(bucket)).unwrap();
        assert!(
            done.is_whole() && done.new_files < done.files,
            "what went over before is there: {done:?}"
        );
        agrees(&place_of);
    });
}

/// A place of the program whose settings name a bucket.
fn program_place(bucket: &crate::sources::objects::servers::TestBucket) -> tempfile::TempDir {
    let place = place();
    let mut settings = toml::Table::new();
    settings.insert("backup_bucket".to_owned(), table(bucket, place.path()).into());
    std::fs::write(place.path().join("tallybook.toml"), settings.to_string()).unwrap();
    ends(&mut night(place.path()), 0);
    place
}

#[test]
fn two_backups_at_once_do_not_mix_and_nothing_is_pruned_meanwhile() {
    on_each(|bucket| {
        let place = program_place(bucket);
        let to = named(bucket).display().to_string();
        let first = stop_at(&mut program(place.path(), NIGHT, &["backup", &to]), "backup.read").unwrap();
        for args in [&["backup", &to][..], &["backup", "prune", &to]] {
            program_says(
                &run_program(&mut program(place.path(), NIGHT, args)),
                5,
                &["another run is active: backup"],
            );
        }
        assert_eq!(first.go_on().code, Some(0));
        for args in [
            &["backup", "verify", &to][..],
            &["backup", "list", &to],
            &["backup", "drill", &to],
            &["backup", "prune", &to],
            &["restore", &to, "--data-dir", "again"],
        ] {
            // Other books have another ledger, on a server too.
            let mut command = program(place.path(), NIGHT, args);
            if args[0] == "restore" {
                command.env_remove("TALLYBOOK_LEDGER");
            }
            let ended = command.env("RUST_LOG", "debug").output().unwrap();
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert_eq!(ended.status.code(), Some(0), "{args:?}: {said}");
            assert!(!said.contains(&bucket.secret), "{said}");
        }
    });
}

#[test]
fn a_copy_of_the_books_that_backs_up_at_the_same_time_is_told_and_makes_no_backup() {
    on_each(|bucket| {
        let place = program_place(bucket);
        let to = named(bucket).display().to_string();
        ends(&mut program(place.path(), NIGHT, &["backup", &to]), 0);
        let copy = tempfile::tempdir().unwrap();
        crate::crashes::copy(place.path(), copy.path());
        let first = stop_at(&mut program(place.path(), NIGHT, &["backup", &to]), "backup.read").unwrap();
        ends(&mut program(copy.path(), NIGHT, &["backup", &to]), 0);
        program_says(&first.go_on(), 5, &["another backup was made"]);
        let verified = run_program(&mut program(place.path(), NIGHT, &["backup", "verify", &to]));
        assert_eq!(verified.code, Some(0), "{}", verified.said);
    });
}

#[test]
fn a_backup_that_another_replaces_while_it_is_read_is_not_taken_for_a_damaged_one() {
    on(Cloud::Cos, |bucket| {
        let mut shop = small_books();
        let proxy = Proxy::to(&bucket.endpoint);
        reach(&mut shop.place, bucket);
        let to = named(bucket);
        try_back_up(&shop.place, NOW, &to).unwrap();
        let old = newest(&location(&mut shop.place, bucket)).manifest.ledger.object.key;
        let mut place = Place::with_cards(shop.cards(), "c");
        reach(&mut place, &bucket.through(&proxy.endpoint));
        // When the dump is asked for, the next backup has replaced it.
        shop.drop(&[usage("b", 7, "A", DAY, 30_000)]);
        let (send, wait) = std::sync::mpsc::channel::<()>();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        proxy.refuse_after(0, &format!("GET /{PREFIX}/{old}"), (404, "NoSuchKey"), move || {
            send.send(()).unwrap();
            is_done.recv().unwrap();
        });
        let from = to.clone();
        let restoring = std::thread::spawn(move || {
            let refused = try_restore(&from, &mut place).unwrap_err();
            (u8::from(refused.exit_code()), refused.to_string())
        });
        wait.recv().unwrap();
        try_back_up(&shop.place, NOW, &to).unwrap();
        done.send(()).unwrap();
        let (code, said) = restoring.join().unwrap();
        assert!(code == 5 && said.contains("another backup was made"), "{code} {said}");
    });
}
