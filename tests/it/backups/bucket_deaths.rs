//! A backup into a bucket, a restore from it and a prune of it that are killed at any point and run again.

use std::collections::BTreeMap;
use std::path::Path;

use tallybook::backup::location::Location;
use tallybook::context::Settings;
use tallybook::storage::objects::Cloud;

use super::buckets::{agrees, kept_and_named, large_file, newest, on_each, table};
use super::deaths::{kill_at, points};
use crate::crashes::books::{difference, differences, dump};
use crate::crashes::points::{BUCKET_BACKUP_POINTS, BUCKET_PRUNE_POINTS, BUCKET_RESTORE_POINTS, is_every_point_tried};
use crate::crashes::process::program;
use crate::crashes::{copy, play};
use crate::faults::small::{NIGHT, ends, night, place, says};
use crate::sources::objects::servers::TestBucket;
use crate::world::{line, run};

/// The same books before and after a night, and a bucket in which each case has a prefix of its own.
struct Ground<'a> {
    bucket: &'a TestBucket,
    before: tempfile::TempDir,
    after: tempfile::TempDir,
}

impl<'a> Ground<'a> {
    fn new(bucket: &'a TestBucket) -> Self {
        let before = place();
        let mut settings = toml::Table::new();
        settings.insert("backup_bucket".to_owned(), table(bucket, before.path()).into());
        settings.insert("backup_points".to_owned(), 0.into());
        std::fs::write(before.path().join("tallybook.toml"), settings.to_string()).unwrap();
        ends(&mut night(before.path()), 0);
        let after = tempfile::tempdir().unwrap();
        copy(before.path(), after.path());
        let more = line("c", 7, play::DAY, 30_000) + "nor this\n";
        play::drop_file(after.path(), "b.ndjson", &more);
        ends(&mut program(after.path(), "2025-02-10T00:00:00Z", &["nightly"]), 0);
        large_file(&after.path().join("books"));
        Self { bucket, before, after }
    }

    fn to(&self, case: &str) -> String {
        self.bucket.name_of(case)
    }

    fn location(&self, case: &str) -> Location {
        let settings = Settings {
            backup_bucket: Some(table(self.bucket, self.before.path())),
            ..Settings::default()
        };
        Location::of(Path::new(&self.to(case)), &settings).unwrap()
    }

    fn backed_up(&self, books: &Path, case: &str) {
        ends(&mut program(books, NIGHT, &["backup", &self.to(case)]), 0);
    }

    /// No upload and no file of this machine is left, and the bucket has what the newest backup names.
    fn is_tidy(&self, case: &str, books: &Path) {
        let at = self.location(case);
        agrees(&at);
        let (kept, named) = kept_and_named(&at);
        assert_eq!(kept, named, "{case}");
        assert_eq!(run(self.bucket.writable().unfinished(case)).unwrap(), [], "{case}");
        assert!(!books.join("books/spool/backup").exists(), "{case}");
    }
}

/// The points that a command passes in a copy of these books.
fn passed(books: &Path, args: &[&str]) -> BTreeMap<String, u32> {
    let place = tempfile::tempdir().unwrap();
    copy(books, place.path());
    points(&mut program(place.path(), NIGHT, args), &place.path().join("points"))
}

fn names(points: &BTreeMap<String, u32>) -> Vec<&String> {
    points.keys().collect()
}

/// Each point on one of the three stores, or on each where every point is tried: the first pass on the stub, the last on a server.
fn cases(bucket: &TestBucket, points: &BTreeMap<String, u32>) -> Vec<String> {
    let is_moto = std::env::var("TALLYBOOK_TEST_MOTO").is_ok_and(|moto| moto == bucket.endpoint);
    let store = match bucket.cloud {
        Cloud::Cos => 0,
        _ if is_moto => 1,
        Cloud::S3 => 2,
    };
    let pass = |times: u32| if bucket.cloud == Cloud::Cos { 1 } else { times };
    let cases = points.iter().map(|(point, &times)| format!("{point}#{}", pass(times)));
    if is_every_point_tried() {
        cases.collect()
    } else {
        cases.skip(store).step_by(3).collect()
    }
}

#[test]
fn a_backup_into_a_bucket_killed_at_any_point_and_run_again_is_the_same() {
    on_each(|bucket| {
        let ground = Ground::new(bucket);
        let books = dump(ground.after.path());
        ground.backed_up(ground.before.path(), "undisturbed");
        let points = passed(ground.after.path(), &["backup", &ground.to("undisturbed")]);
        assert_eq!(names(&points), BUCKET_BACKUP_POINTS);
        let expected = newest(&ground.location("undisturbed")).manifest;
        for (number, point) in cases(bucket, &points).iter().enumerate() {
            let case = format!("killed-{number}");
            let place = tempfile::tempdir().unwrap();
            copy(ground.after.path(), place.path());
            ground.backed_up(ground.before.path(), &case);
            kill_at(&mut program(place.path(), NIGHT, &["backup", &ground.to(&case)]), point);
            // What is there at that moment is whole, too.
            agrees(&ground.location(&case));
            ground.backed_up(place.path(), &case);
            let found = newest(&ground.location(&case)).manifest;
            assert_eq!(
                (found.files, found.originals),
                (expected.files.clone(), expected.originals.clone()),
                "{point}"
            );
            ground.is_tidy(&case, place.path());
        }
        let to = tempfile::tempdir().unwrap();
        copy_settings(ground.before.path(), to.path());
        ends(&mut program(to.path(), NIGHT, &["restore", &ground.to("killed-0")]), 0);
        assert_eq!(difference(&books, &dump(to.path())), None);
    });
}

fn copy_settings(from: &Path, to: &Path) {
    std::fs::copy(from.join("tallybook.toml"), to.join("tallybook.toml")).unwrap();
}

#[test]
fn a_restore_from_a_bucket_killed_at_any_point_and_run_again_gives_the_same_books() {
    on_each(|bucket| {
        let ground = Ground::new(bucket);
        let books = dump(ground.after.path());
        ground.backed_up(ground.after.path(), "a");
        let restore = ["restore", &ground.to("a")];
        let place = || {
            let place = tempfile::tempdir().unwrap();
            copy_settings(ground.before.path(), place.path());
            place
        };
        let undisturbed = place();
        let mut command = program(undisturbed.path(), NIGHT, &restore);
        let points = points(
            command.env("RAYON_NUM_THREADS", "1"),
            &undisturbed.path().join("points"),
        );
        assert_eq!(names(&points), BUCKET_RESTORE_POINTS);
        for point in cases(bucket, &points) {
            let place = place();
            let mut command = program(place.path(), NIGHT, &restore);
            kill_at(command.env("RAYON_NUM_THREADS", "1"), &point);
            let is_unfinished = place.path().join("books/restore.json").exists();
            let is_empty =
                std::fs::read_dir(place.path().join("books")).map_or(true, |mut files| files.next().is_none());
            if is_unfinished {
                let refused = crate::crashes::process::run(&mut program(place.path(), NIGHT, &["status"]));
                says(&refused, 3, &["a backup is being restored"]);
            }
            if is_unfinished || is_empty {
                ends(&mut program(place.path(), NIGHT, &restore), 0);
            }
            assert_eq!(difference(&books, &dump(place.path())), None, "{point}");
            assert_eq!(differences(place.path()), Vec::<String>::new(), "{point}");
            assert!(!place.path().join("books/spool/backup").exists(), "{point}");
        }
    });
}

#[test]
fn a_prune_of_a_bucket_killed_at_any_point_and_run_again_leaves_what_is_needed() {
    on_each(|bucket| {
        let ground = Ground::new(bucket);
        // Two backups, an object that nobody needs, and an upload that came to no end.
        let lay = |case: &str| {
            ground.backed_up(ground.before.path(), case);
            ground.backed_up(ground.after.path(), case);
            let left = tempfile::tempdir().unwrap();
            copy(ground.after.path(), left.path());
            let other = left.path().join("books/drop/done/other.gz");
            std::fs::rename(left.path().join("books/drop/done/large.gz"), &other).unwrap();
            let mut bytes = std::fs::read(&other).unwrap();
            bytes[100] ^= 1;
            std::fs::write(&other, bytes).unwrap();
            kill_at(
                &mut program(left.path(), NIGHT, &["backup", &ground.to(case)]),
                "put part originals",
            );
            run(bucket.put(&format!("{case}/originals/left"), "left"));
        };
        lay("undisturbed");
        let prune = |case: &str| {
            [
                "backup".to_owned(),
                "prune".to_owned(),
                ground.to(case),
                "--keep".to_owned(),
                "1".to_owned(),
            ]
        };
        let args = prune("undisturbed");
        let points = passed(
            ground.after.path(),
            &args.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        assert_eq!(names(&points), BUCKET_PRUNE_POINTS);
        for (number, point) in cases(bucket, &points).iter().enumerate() {
            let case = format!("pruned-{number}");
            lay(&case);
            let args = prune(&case);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let place = tempfile::tempdir().unwrap();
            copy(ground.after.path(), place.path());
            kill_at(&mut program(place.path(), NIGHT, &args), point);
            agrees(&ground.location(&case));
            ends(&mut program(place.path(), NIGHT, &args), 0);
            ground.is_tidy(&case, place.path());
            assert_eq!(newest(&ground.location(&case)).manifest.number, 2, "{point}");
        }
    });
}
