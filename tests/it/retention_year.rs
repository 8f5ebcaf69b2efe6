//! A year of nights against a naive model of the policy: after each night the books, their ledger and the backup hold what the model
//! says, day by day, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Days, Months, NaiveDate, Utc};
use tallybook::backup::check::check;
use tallybook::backup::create::back_up;
use tallybook::backup::manifest::Manifest;
use tallybook::backup::repository::Repository;
use tallybook::catalog::account::end::terminate::terminate;
use tallybook::erasure::{Wanted, erase};
use tallybook::inspect::verify::verify;
use tallybook::pipeline::ingest::payloads::PayloadFilter;
use tallybook::storage::ledger::{Lease, query};

use crate::backups::kept_and_named;
use crate::erasure::search::{found_in_files, found_in_tables};
use crate::queue_data::{deleted, drop_event, edit, place, set_state};
use crate::world::{Place, line, run};

/// The nights: two more than a year, so that the last month's clocks run out too.
const NIGHTS: u64 = 367;

/// An event comes in every third night, a refused line in every second; a backup is made in every fourth.
const EVENTS_EVERY: u64 = 3;
const REFUSED_EVERY: u64 = 2;
const BACKUP_EVERY: u64 = 4;

/// When the source `other` is disabled, and a session is deleted by hand: after these nights.
const DISABLED_AFTER: u64 = 150;
const DELETED_AFTER: u64 = 200;

/// An account that sends a file of its own in every fifth night, ends after one night and is erased after another.
const ERASED: u64 = 100_000_000_042;
const ERASED_APP: u64 = 1_300_000_042;
const FILE_EVERY: u64 = 5;
const ENDED_AFTER: u64 = 120;
const ERASED_AFTER: u64 = 140;

/// What was written: the policy in a few lines, with no file and no table.
#[derive(Default)]
struct Model {
    /// UTC days with records.
    raw: BTreeSet<NaiveDate>,
    /// Days with service-log fields of records.
    log: BTreeSet<NaiveDate>,
    /// Events by day: their sources and sessions.
    events: BTreeMap<NaiveDate, Vec<(&'static str, String)>>,
    refused: BTreeSet<DateTime<Utc>>,
    /// Receipts of files.
    files: Vec<DateTime<Utc>>,
    /// Of those that have the account which is erased.
    files_of_erased: Vec<DateTime<Utc>>,
    disabled: Option<NaiveDate>,
}

/// What must be there after a night, and nothing else.
#[derive(Debug, PartialEq, Eq)]
struct There {
    raw: BTreeSet<String>,
    log: BTreeSet<String>,
    /// Events with their service log, and those without.
    events: BTreeSet<String>,
    bare_events: BTreeSet<String>,
    refused: BTreeSet<String>,
    files: usize,
}

impl Model {
    /// By the policy: 6 months, 1 month, as long as raw or 7 days after the source, 1 month after receipt.
    fn there(&self, now: DateTime<Utc>) -> There {
        let today = now.date_naive();
        let lives = |day: &NaiveDate, months: u32| today < *day + Months::new(months);
        let days = |days: &BTreeSet<NaiveDate>, months| {
            let alive = days.iter().filter(|day| lives(day, months));
            alive.map(|day| format!("day={day}")).collect()
        };
        let is_over = self.disabled.is_some_and(|day| day + Days::new(7) <= today);
        let is_kept = |(source, _): &(&str, String)| *source != "other" || !is_over;
        let events = |with_log: bool| {
            let of_days = self
                .events
                .iter()
                .filter(|(day, _)| lives(day, 6) && lives(day, 1) == with_log);
            let of_days = of_days.filter(|(_, events)| events.iter().any(is_kept));
            of_days.map(|(day, _)| format!("day={day}")).collect()
        };
        let limit = now - Months::new(1);
        There {
            raw: days(&self.raw, 6),
            log: days(&self.log, 1),
            events: events(true),
            bare_events: events(false),
            refused: self
                .refused
                .iter()
                .filter(|at| **at >= limit)
                .map(|at| at.date_naive().to_string())
                .collect(),
            files: self
                .files
                .iter()
                .chain(&self.files_of_erased)
                .filter(|at| **at >= limit)
                .count(),
        }
    }

    /// A deletion by hand is of what is there, and of nothing that comes later.
    fn delete(&mut self, session: &str) {
        for events in self.events.values_mut() {
            events.retain(|(_, of)| of != session);
        }
    }

    /// What comes before a night, into the drop folder.
    fn comes(&mut self, place: &Place, number: u64, now: DateTime<Utc>) {
        let today = now.date_naive();
        let yesterday = today - Days::new(1);
        let with_log = line(&format!("r{number}"), 7, &format!("{yesterday}T10:00:00Z"), 60_000)
            .replace("\"appid\":1", "\"appid\":1,\"task_id\":\"t\"");
        self.raw.insert(yesterday);
        self.log.insert(yesterday);
        let mut text = with_log;
        if number.is_multiple_of(REFUSED_EVERY) {
            text += &format!("no usage in night {number}\n");
            self.refused.insert(now);
        }
        place.drop(&format!("n{number}.ndjson"), text);
        self.files.push(now);
        if number <= ENDED_AFTER && number.is_multiple_of(FILE_EVERY) {
            let own = line(
                &format!("own-{number}"),
                ERASED,
                &format!("{yesterday}T11:00:00Z"),
                60_000,
            );
            place.drop(
                &format!("own{number}.ndjson"),
                own.replace("\"appid\":1", &format!("\"appid\":{ERASED_APP}")),
            );
            self.files_of_erased.push(now);
        }
        if number.is_multiple_of(EVENTS_EVERY) {
            let source = if number.is_multiple_of(2 * EVENTS_EVERY) {
                "mps"
            } else {
                "other"
            };
            // A source that is disabled is sent nothing more: its files would be left in the drop folder.
            if source == "other" && self.disabled.is_some() {
                return;
            }
            let session = format!("session-{}", number % 5);
            drop_event(
                place,
                source,
                &format!("e{number}.ndjson"),
                &edit(&format!("task-{number}"), &session),
            );
            self.raw.insert(today);
            self.log.insert(today);
            self.events.entry(today).or_default().push((source, session));
            self.files.push(now);
        }
    }
}

fn folders(path: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(path) else {
        return BTreeSet::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Days with payload files of a kind, of paths below `payload/`.
fn payload_days<'a>(paths: impl Iterator<Item = &'a str>, is_bare: bool) -> BTreeSet<String> {
    let paths = paths.filter_map(|path| path.strip_prefix("payload/")?.split_once('/'));
    let of_kind = paths.filter(|(_, name)| name.contains("-bare-") == is_bare);
    of_kind.map(|(day, _)| day.to_owned()).collect()
}

/// What the data folder and the ledger have.
fn in_books(place: &Place, now: DateTime<Utc>) -> There {
    let data = place.data();
    let mut paths = Vec::new();
    for day in folders(&data.join("payload")) {
        paths.extend(
            folders(&data.join("payload").join(&day))
                .into_iter()
                .map(|name| format!("payload/{day}/{name}")),
        );
    }
    let refused = run(async {
        let books = place.books(now).await;
        let rows = query("SELECT received_at FROM quarantine WHERE payload IS NOT NULL")
            .fetch_all(&books.ledger)
            .await;
        let named = query("SELECT COUNT(*) FROM segment WHERE kind = 'payload' OR kind = 'bare_payload'");
        let named: i64 = named.fetch_one(&books.ledger).await.unwrap().try_get(0).unwrap();
        assert_eq!(
            usize::try_from(named).unwrap(),
            paths.len(),
            "files and the ledger's names of them"
        );
        books.ledger.close().await;
        rows.unwrap()
            .iter()
            .map(|row| row.try_get::<String>(0).unwrap()[..10].to_owned())
            .collect()
    });
    let there = |names: BTreeSet<String>| names.into_iter().filter(|name| name.starts_with("day=")).collect();
    There {
        raw: there(folders(&data.join("raw"))),
        log: there(folders(&data.join("log"))),
        events: payload_days(paths.iter().map(String::as_str), false),
        bare_events: payload_days(paths.iter().map(String::as_str), true),
        refused,
        files: folders(&data.join("drop/done")).len(),
    }
}

/// What is in the folder of backups, in which earlier ones can be restored, too.
fn in_backup(folder: &Path) -> There {
    let repository = Repository::open(folder).unwrap();
    let manifest: Manifest = repository.newest().unwrap().unwrap().manifest;
    drop(repository);
    let (kept, named) = kept_and_named(folder);
    assert_eq!(kept, named, "files in the folder that no backup needs");
    let paths = || kept.iter().filter_map(|key| key.strip_prefix("files/"));
    let days_of = |kind: &str| {
        let below = paths().filter_map(|path| path.strip_prefix(kind)?.strip_prefix('/')?.split_once('/'));
        below.map(|(day, _)| day.to_owned()).collect()
    };
    There {
        raw: days_of("raw"),
        log: days_of("log"),
        events: payload_days(paths(), false),
        bare_events: payload_days(paths(), true),
        refused: manifest.quarantine.iter().map(|day| day.day.clone()).collect(),
        files: manifest.originals.len(),
    }
}

fn decide(place: &Place, now: DateTime<Utc>, decision: impl AsyncFnOnce(&tallybook::context::Books, &Lease)) {
    run(async {
        let books = place.books(now).await;
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        decision(&books, &lease).await;
        lease.release().await.unwrap();
        books.ledger.close().await;
    });
}

fn in_files(folder: &Path) -> Vec<String> {
    let texts = [ERASED.to_string(), ERASED_APP.to_string()];
    found_in_files(folder, &texts, &[ERASED, ERASED_APP])
}

/// What the data folder and the ledger have of the account that is erased.
fn of_erased(place: &Place, now: DateTime<Utc>) -> Vec<String> {
    let mut found = in_files(&place.data());
    found.extend(run(async {
        let books = place.books(now).await;
        let texts = [ERASED.to_string(), ERASED_APP.to_string()];
        let found = found_in_tables(&books, &texts).await;
        books.ledger.close().await;
        found
    }));
    found
}

#[test]
fn a_years_nights_leave_what_the_policy_says_in_books_ledger_and_backup() {
    let place = place();
    let backups = place.path().join("backup");
    let mut model = Model::default();
    let first: DateTime<Utc> = "2025-12-31T02:00:00Z".parse().unwrap();
    let mut gone = 0;
    for number in 1..=NIGHTS {
        let now = first + Days::new(number);
        model.comes(&place, number, now);
        let night = place.night(&now.to_rfc3339());
        assert!(night.needs_person.is_empty(), "{now}: {:?}", night.needs_person);
        gone += night.expired.days.len();
        let expected = model.there(now);
        assert_eq!(in_books(&place, now), expected, "the books after the night of {now}");
        let after = now + chrono::TimeDelta::hours(1);
        if number % BACKUP_EVERY == 0 {
            run(async {
                let books = place.books(after).await;
                back_up(&books, &backups).await.unwrap();
                books.ledger.close().await;
            });
            assert_eq!(in_backup(&backups), expected, "the backup after the night of {now}");
        }
        if number == DISABLED_AFTER {
            set_state(&place, &after.to_rfc3339(), "other", false);
            model.disabled = Some(after.date_naive());
        }
        if number == ENDED_AFTER {
            let end_day = (now + Days::new(1)).date_naive();
            decide(&place, after, async |books, lease| {
                terminate(books, lease, ERASED, end_day, "it moves").await.unwrap();
            });
        }
        if number == ERASED_AFTER {
            let wanted = Wanted {
                uin: ERASED,
                request: "letter 12",
                page: None,
            };
            assert_ne!(of_erased(&place, after), Vec::<String>::new());
            decide(&place, after, async |books, lease| {
                erase(books, lease, wanted).await.unwrap();
            });
            model.files_of_erased.clear();
        }
        if number > ERASED_AFTER && number % BACKUP_EVERY == 0 {
            assert_eq!(
                of_erased(&place, after),
                Vec::<String>::new(),
                "after the night of {now}"
            );
            assert_eq!(
                in_files(&backups),
                Vec::<String>::new(),
                "the backup after the night of {now}"
            );
        }
        if number == DELETED_AFTER {
            let filter = PayloadFilter {
                session: Some("session-1".to_owned()),
                ..PayloadFilter::default()
            };
            assert!(deleted(&place, &after.to_rfc3339(), &filter).payloads > 5);
            model.delete("session-1");
        }
    }
    assert!(gone > 180, "{gone} days of raw records went");
    let last = first + Days::new(NIGHTS);
    run(async {
        let books = place.books(last).await;
        assert_eq!(verify(&books).await.unwrap().differences, Vec::<String>::new());
        books.ledger.close().await;
    });
    assert_eq!(check(&backups).unwrap().differences, Vec::<String>::new());
}
