//! An account that is erased from the files of the books: what holds it goes, what must stay stays under its pseudonym, and nothing of
//! anybody else changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use polars::prelude::*;
use polars_io::prelude::*;
use tallybook::catalog::account::end::terminate::terminate;
use tallybook::context::Books;
use tallybook::context::restore_guard::files_on_disk;
use tallybook::decisions::conflict::{list, resolve};
use tallybook::erasure::files::{Class, Finished, Rewritten, apps_of, finish, obstacles, rewrite};
use tallybook::erasure::pseudonym::Pseudonyms;
use tallybook::inspect::verify::verify;
use tallybook::pipeline::export::manifest::Manifest;
use tallybook::pipeline::meter::dedupe::identity_index::KeyRun;
use tallybook::pipeline::meter::dedupe::resolution::Resolution;
use tallybook::storage::ledger::{Lease, commit_intake, query, register_intake};
use tallybook::storage::raw::store::{batches_by_intake, files_in_use};
use tallybook::values::digest::sha256_hex_of_file;

use crate::crashes::play::card;
use crate::exactly_once::shop::records;
use crate::queue_data::{drop_event, edit};
use crate::world::{Place, at, run};

/// The account that is erased, and its applications; and what they are called afterwards.
const UIN: u64 = 100_000_000_000;
const APPS: [u64; 2] = [1_250_000_001, 1_250_000_002];
const NEW_UIN: u64 = 9_404_142_135_623_730_950;
const NEW_APPS: [u64; 2] = [2_360_679_774_997_896_964, 7_320_508_075_688_772_935];

/// Accounts before and after it, and one after its pseudonym.
const OTHERS: [u64; 3] = [7, 200_000_000_000, u64::MAX];

const ERASED: &str = "2026-03-05T06:00:00Z";

fn names() -> Pseudonyms {
    Pseudonyms {
        erased_uin: UIN,
        uin: NEW_UIN,
        apps: APPS.into_iter().zip(NEW_APPS).collect(),
        shared_apps: BTreeSet::new(),
    }
}

/// A line with its service log.
fn line(id: &str, uin: u64, appid: u64, task_type: &str, day: &str, duration_ms: u64) -> String {
    format!(
        "{{\"id\":\"{id}\",\"uin\":\"{uin}\",\"appid\":\"{appid}\",\"task_type\":\"{task_type}\",\"duration_ms\":{duration_ms},\
         \"finished_at\":\"{day}T03:00:00Z\",\"task_id\":\"task of {uin}\",\"input_url\":\"cos://{appid}/a.mp4\"}}\n"
    )
}

fn void(id: &str, target: &str, day: &str) -> String {
    format!("{{\"id\":\"{id}\",\"kind\":\"void\",\"voids\":\"{target}\",\"finished_at\":\"{day}T04:00:00Z\"}}\n")
}

fn of_others(prefix: &str, day: &str) -> String {
    let lines = OTHERS.iter().zip(1..).map(|(uin, at)| {
        let id = format!("{prefix}-{at}");
        line(&id, *uin, 1, "Transcode", day, 60_000 * at) + &line(&format!("{id}-b"), *uin, 2, "Transcode", day, 90_000)
    });
    lines.collect()
}

fn of_account(prefix: &str, uin: u64, apps: [u64; 2], day: &str) -> String {
    let lines = apps
        .iter()
        .zip(1..)
        .map(|(app, at)| line(&format!("{prefix}-own-{at}"), uin, *app, "Transcode", day, 120_000 * at));
    lines.collect()
}

fn packed(text: &str) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap()
}

fn as_parquet(uin: u64, appid: u64, day: &str) -> Vec<u8> {
    let mut frame = df!(
        "id" => ["parquet-1"],
        "uin" => [uin],
        "appid" => [appid],
        "task_type" => ["Transcode"],
        "duration_ms" => [45_000_i64],
        "finished_at" => [format!("{day}T10:00:00Z")],
    )
    .unwrap();
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
    bytes
}

/// Two closed months of an account that ended, and of others, in every kind of file.
fn books_of(uin: u64, apps: [u64; 2]) -> Place {
    let mut place = Place::new();
    std::fs::create_dir_all(place.path().join("cards/c")).unwrap();
    card(place.path(), "0.5", false);
    place.settings().rate_cards = place.path().join("cards");
    "c".clone_into(&mut place.settings().default_card);
    for (source, uin, appid) in [("own", uin, apps[0]), ("other", 7, 1)] {
        let text = format!("format = \"mps-events\"\nuin = \"{uin}\"\nappid = \"{appid}\"\n");
        let source = source.to_owned();
        place.settings().sources.insert(source, toml::from_str(&text).unwrap());
    }
    let event = |task: &str, session: &str| edit(task, session).replace("1250000001", "4");
    drop_event(
        &place,
        "own",
        "one.ndjson",
        &(event("task-1", "session-a") + &event("task-2", "session-b")),
    );
    drop_event(&place, "other", "one.ndjson", &event("task-3", "session-c"));
    place.drop(
        "jan.ndjson",
        of_others("jan", "2026-01-04") + &of_account("jan", uin, apps, "2026-01-04"),
    );
    place.night("2026-01-05T02:00:00Z");

    drop_event(&place, "own", "two.ndjson", &event("task-4", "session-a"));
    drop_event(&place, "other", "two.ndjson", &event("task-5", "session-c"));
    place.drop(
        "feb.ndjson",
        of_others("feb", "2026-02-03")
            + &of_account("feb", uin, apps, "2026-02-03")
            + &line("shared", uin, apps[0], "Transcode", "2026-02-03", 60_000)
            + &line("odd-own", uin, apps[0], "Evaluation", "2026-02-03", 60_000)
            + &line("odd-7", 7, 1, "Evaluation", "2026-02-03", 60_000)
            + &void("v-own", "feb-own-1", "2026-02-03")
            + &void("v-7", "feb-1", "2026-02-03")
            + &void("v-v", "v-own", "2026-02-03"),
    );
    place.drop("own.csv.gz", {
        let header = "id,uin,appid,task_type,duration_ms,finished_at\n";
        packed(&format!(
            "{header}csv-1,{uin},{},Transcode,60000,2026-02-04T00:00:00Z\n",
            apps[1]
        ))
    });
    place.drop("own.parquet", as_parquet(uin, apps[0], "2026-02-04"));
    place.drop("others.ndjson", of_others("alone", "2026-02-04"));
    place.drop(
        &format!("usage-with-{uin}.ndjson"),
        line("named", 7, 1, "Transcode", "2026-02-04", 1000),
    );
    place.drop("bad.ndjson", format!("no usage of {uin}\n"));
    place.drop("cut.ndjson.gz", &packed(&of_others("cut", "2026-02-04"))[..40]);
    place.night("2026-02-05T02:00:00Z");

    drop_event(&place, "own", "three.ndjson", &event("task-6", "session-a"));
    drop_event(&place, "other", "three.ndjson", &event("task-7", "session-c"));
    place.drop("again.ndjson", line("shared", 7, 1, "Transcode", "2026-02-10", 180_000));
    place.drop(
        "late.ndjson",
        of_others("late", "2026-02-10") + &of_account("late", uin, apps, "2026-02-10"),
    );
    place.night("2026-02-11T02:00:00Z");
    run(async {
        let books = place.books(at("2026-02-11T03:00:00Z")).await;
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        let open = list(&books, false, None).await.unwrap();
        resolve(&books, &lease, open[0].row.conflict, Resolution::Kept, "seen")
            .await
            .unwrap();
        terminate(&books, &lease, uin, "2026-03-01".parse().unwrap(), "it moves")
            .await
            .unwrap();
        lease.release().await.unwrap();
        books.ledger.close().await;
    });
    place.night("2026-03-05T02:00:00Z");
    place
}

fn account_books() -> Place {
    books_of(UIN, APPS)
}

/// What runs that were killed left behind, with the account in it. Returns the number of a writer that did not commit.
async fn leave_behind(books: &Books) -> i64 {
    let intake = register_intake(&books.ledger, "ingest").await.unwrap();
    let raw = first_file(&books.data.join("raw"));
    std::fs::copy(&raw, raw.with_file_name(format!("i{intake:08}-000.parquet"))).unwrap();
    for (path, text) in [
        ("spool/source-own.part", format!("{UIN}\n")),
        ("attempts/0123456789abcdef", format!("1 in/usage-with-{UIN}.ndjson\n")),
        ("attempts/fedcba9876543210", "1 in/other.ndjson\n".to_owned()),
    ] {
        let path = books.data.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    intake
}

fn first_file(folder: &Path) -> PathBuf {
    let mut files = files_below(folder);
    files.sort();
    files.remove(0)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if !folder.is_dir() {
        return files;
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

type Rows = Vec<BTreeMap<String, String>>;

/// All rows of a Parquet file, each column as text.
fn rows_in(path: &Path) -> Rows {
    let frame = ParquetReader::new(std::fs::File::open(path).unwrap()).finish().unwrap();
    let cell = |column: &Column, at: usize| (column.name().to_string(), column.get(at).unwrap().to_string());
    let row = |at: usize| frame.columns().iter().map(|column| cell(column, at)).collect();
    (0..frame.height()).map(row).collect()
}

/// All rows below a folder, in no order.
fn rows_below(folder: &Path) -> Rows {
    let files = files_below(folder);
    let mut rows: Rows = files.iter().flat_map(|file| rows_in(file)).collect();
    rows.sort();
    rows
}

/// All rows of the books, by folder.
fn all_rows(place: &Place) -> BTreeMap<&'static str, Rows> {
    let folders = ["raw", "log", "payload", "usage", "unmetered"];
    folders
        .map(|folder| (folder, rows_below(&place.data().join(folder))))
        .into()
}

fn place_of(row: &BTreeMap<String, String>) -> (String, String) {
    (row["intake"].clone(), row["line"].clone())
}

/// Places of the account's rows in raw, with those of the voids that are of it.
fn places_of_account(raw: &Rows) -> BTreeSet<(String, String)> {
    let is_own = |row: &&BTreeMap<String, String>| {
        row["uin"] == UIN.to_string() || row["id"].contains("v-own") || row["id"].contains("v-v")
    };
    raw.iter().filter(is_own).map(place_of).collect()
}

/// What the rows are to be after the erasure.
fn without_account(before: &BTreeMap<&'static str, Rows>) -> BTreeMap<&'static str, Rows> {
    let own = places_of_account(&before["raw"]);
    let mut expected = before.clone();
    for folder in ["raw", "log", "payload"] {
        expected
            .get_mut(folder)
            .unwrap()
            .retain(|row| !own.contains(&place_of(row)));
    }
    expected
        .get_mut("unmetered")
        .unwrap()
        .retain(|row| row["uin"] != UIN.to_string());
    let usage = expected.get_mut("usage").unwrap();
    for row in usage.iter_mut().filter(|row| row["uin"] == UIN.to_string()) {
        row.insert("uin".to_owned(), NEW_UIN.to_string());
        let app = APPS.iter().position(|app| app.to_string() == row["appid"]);
        let new = app.map_or(0, |at| NEW_APPS[at]);
        row.insert("appid".to_owned(), new.to_string());
    }
    usage.sort();
    expected
}

/// Rewrites, swaps and commits.
async fn erase_from_files(books: &Books, lease: &Lease) -> Told {
    let rewritten = rewrite(books, lease, &names()).await.unwrap();
    let told = Told::of(&rewritten);
    let mut tx = rewritten.begin().await.unwrap();
    rewritten.swap(&mut tx).await.unwrap();
    rewritten.commit(tx).await.unwrap();
    told
}

/// The name of a file of an export, and its digests before and after.
type Sheet = (String, String, String);

/// What an erasure says of itself.
#[derive(Debug)]
struct Told {
    rows: Vec<(i64, String, i64, i64)>,
    voids: usize,
    unmetered: Vec<(i64, i64)>,
    removed: BTreeMap<Class, i64>,
    digests: Vec<(String, Option<String>, Option<String>)>,
    exports: Vec<(i64, String, String, Vec<Sheet>)>,
    inputs: Vec<String>,
    unreadable: Vec<String>,
}

impl Told {
    fn of(rewritten: &Rewritten) -> Self {
        let rows = rewritten.erased_rows().iter();
        let exports = rewritten.exports().iter().map(|export| {
            let sheets = export.sheets.iter();
            let sheets = sheets.map(|sheet| (sheet.name.clone(), sheet.before.clone(), sheet.after.clone()));
            (
                export.export,
                export.manifest_before.clone(),
                export.manifest_after.clone(),
                sheets.collect(),
            )
        });
        let digests = rewritten.files().iter();
        Self {
            rows: rows
                .map(|rows| (rows.batch, rows.day.to_string(), rows.rows, rows.duration_ms))
                .collect(),
            voids: rewritten.voids().len(),
            unmetered: rewritten
                .unmetered_rows()
                .iter()
                .map(|rows| (rows.rows, rows.duration_ms))
                .collect(),
            digests: digests
                .map(|file| (file.before.clone(), file.new_path.clone(), file.after.clone()))
                .collect(),
            removed: rewritten.removed(),
            exports: exports.collect(),
            inputs: rewritten.inputs().files.clone(),
            unreadable: rewritten.inputs().unreadable.clone(),
        }
    }
}

/// Runs a future with the books and their lease.
fn with_books<T>(place: &Place, now: &str, act: impl AsyncFnOnce(&Books, &Lease) -> T) -> T {
    run(async {
        let books = place.books(at(now)).await;
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        let done = act(&books, &lease).await;
        lease.release().await.unwrap();
        books.ledger.close().await;
        done
    })
}

/// Erases the account from the files, to the end.
fn erased(place: &Place) -> (Told, Finished) {
    with_books(place, ERASED, async |books, lease| {
        let told = erase_from_files(books, lease).await;
        (told, finish(books, &names()).await.unwrap())
    })
}

/// Files of the books but the ledger in which a number of the account stands, as text, as bytes, or as a value of a column.
fn files_with_account(place: &Place) -> Vec<String> {
    let numbers = [UIN, APPS[0], APPS[1]];
    let mut found = Vec::new();
    for path in files_below(&place.data()) {
        let name = path.strip_prefix(place.data()).unwrap().display().to_string();
        if name.starts_with("ledger.") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let has = |pattern: &[u8]| bytes.windows(pattern.len()).any(|window| window == pattern);
        let in_bytes = numbers
            .iter()
            .any(|number| has(number.to_string().as_bytes()) || has(&number.to_le_bytes()));
        let is_parquet = name.ends_with(".parquet");
        let in_rows = is_parquet
            && rows_in(&path)
                .iter()
                .flat_map(BTreeMap::values)
                .any(|cell| numbers.iter().any(|number| cell.contains(&number.to_string())));
        if in_bytes || in_rows || numbers.iter().any(|number| name.contains(&number.to_string())) {
            found.push(name);
        }
    }
    found
}

/// Every file that the ledger names is there and is what it names, and nothing else lies beside them.
async fn files_agree(books: &Books) {
    let named = files_in_use(&books.ledger).await.unwrap();
    for file in &named {
        let path = books.data.join(&file.path);
        assert_eq!(sha256_hex_of_file(&path).unwrap(), file.digest, "{}", file.path);
        let bytes = i64::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
        assert_eq!(file.bytes.unwrap_or(bytes), bytes, "{}", file.path);
    }
    let named: BTreeSet<String> = named.into_iter().map(|file| file.path).collect();
    let there: BTreeSet<String> = files_on_disk(books.data.root()).unwrap().into_iter().collect();
    assert_eq!(there, named);
}

/// Batch and line of all keys.
async fn keys(books: &Books) -> BTreeSet<(u32, u32)> {
    let mut keys = BTreeSet::new();
    for file in files_in_use(&books.ledger).await.unwrap() {
        if file.path.starts_with("keys/") {
            let run = KeyRun::open(&books.data.join(&file.path)).unwrap();
            keys.extend(run.iter().map(|key| (key.batch, key.line)));
        }
    }
    keys
}

/// The rows of a CSV file by its columns, without those that are named.
fn sheet(text: &str, without: &[&str]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let columns: Vec<usize> = (0..header.len())
        .filter(|at| !without.contains(&&header[*at]))
        .collect();
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        columns.iter().map(|at| row[*at].to_owned()).collect()
    });
    rows.collect()
}

fn sheets(place: &Place, name: &str, without: &[&str]) -> Vec<(String, Vec<Vec<String>>)> {
    let exported = place.exported(name).into_iter();
    exported.map(|(path, text)| (path, sheet(&text, without))).collect()
}

#[test]
fn no_file_has_the_account_any_more_and_all_other_rows_are_as_before() {
    let place = account_books();
    let killed = with_books(&place, ERASED, async |books, _| leave_behind(books).await);
    for folder in [
        "raw",
        "log",
        "payload",
        "usage",
        "unmetered",
        "exports",
        "drop/done",
        "drop/refused",
        "spool",
        "attempts",
    ] {
        let with_account = files_with_account(&place);
        assert!(
            with_account.iter().any(|name| name.starts_with(folder)),
            "{folder} in {with_account:?}"
        );
    }
    let mut before = all_rows(&place);
    // One of them was copied by a run that was killed.
    before.get_mut("raw").unwrap().dedup();
    let own = places_of_account(&before["raw"]);
    let keys_before = with_books(&place, ERASED, async |books, _| keys(books).await);
    let (told, finished) = erased(&place);
    assert_eq!(files_with_account(&place), Vec::<String>::new());
    assert!(!place.data().join("drop/.erased").exists());
    let (after, expected) = (all_rows(&place), without_account(&before));
    for (folder, rows) in &after {
        assert_eq!(rows, &expected[folder], "{folder}");
        assert!(!rows.is_empty(), "{folder}");
    }
    let rows: i64 = told.rows.iter().map(|rows| rows.2).sum();
    assert_eq!(usize::try_from(rows).unwrap(), own.len());
    assert_eq!((told.voids, told.removed[&Class::Raw]), (2, rows));
    assert_eq!(told.unmetered, [(1, 60_000)]);
    for class in [Class::Log, Class::Payload, Class::Identities] {
        assert!(told.removed[&class] > 0, "{class:?}");
    }
    assert_eq!(
        (told.removed.get(&Class::Usage), told.removed[&Class::Unmetered]),
        (None, 1)
    );
    assert_eq!(
        (finished.exports, finished.inputs),
        (told.exports.len(), told.inputs.len())
    );
    let others = std::fs::read_to_string(place.data().join("attempts/fedcba9876543210")).unwrap();
    assert_eq!(others, "1 in/other.ndjson\n");
    with_books(&place, ERASED, async |books, _| {
        files_agree(books).await;
        let mut tx = books.ledger.begin().await.unwrap();
        let late = commit_intake(&mut tx, killed).await.unwrap_err().to_string();
        assert!(late.contains("run the command again"), "{late}");
        drop(tx);
        let batches = batches_by_intake(&books.ledger).await.unwrap();
        let number = |text: &str| text.parse::<i64>().unwrap();
        let own = own.iter().map(|(intake, line)| {
            let batch = u32::try_from(batches[&number(intake)]).unwrap();
            (batch, u32::try_from(number(line)).unwrap())
        });
        let own: BTreeSet<(u32, u32)> = own.collect();
        // The key of the row whose conflict with another account's was decided stays.
        let shared = keys(books).await.intersection(&own).count();
        assert_eq!(shared, 1);
        let gone: BTreeSet<(u32, u32)> = keys_before.difference(&keys(books).await).copied().collect();
        assert!(gone.is_subset(&own) && gone.len() > 5, "{gone:?} of {own:?}");
        for (_, path, digest) in &told.digests {
            let Some(path) = path else { continue };
            assert_eq!(sha256_hex_of_file(&books.data.join(path)).ok(), *digest);
        }
    });
}

#[test]
fn input_files_that_hold_the_account_or_cannot_be_read_go_and_all_others_stay() {
    let place = account_books();
    let names = |folder: &str| -> BTreeSet<String> {
        let files = files_below(&place.data().join(folder)).into_iter();
        files
            .map(|path| path.file_name().unwrap().to_string_lossy()[17..].to_owned())
            .collect()
    };
    let (done, refused) = (names("drop/done"), names("drop/refused"));
    let (told, _) = erased(&place);
    let gone = |before: &BTreeSet<String>, folder| before.difference(&names(folder)).cloned().collect::<Vec<_>>();
    let named = format!("usage-with-{UIN}.ndjson");
    assert_eq!(
        gone(&done, "drop/done"),
        [
            "feb.ndjson",
            "late.ndjson",
            "own.csv.gz",
            "own.parquet",
            "own@three.ndjson",
            "own@two.ndjson",
            &*named
        ]
    );
    assert_eq!(gone(&refused, "drop/refused"), ["bad.ndjson", "cut.ndjson.gz"]);
    assert_eq!(
        names("drop/done"),
        BTreeSet::from(
            [
                "again.ndjson",
                "other@three.ndjson",
                "other@two.ndjson",
                "others.ndjson"
            ]
            .map(str::to_owned)
        )
    );
    assert_eq!(told.inputs.len(), 9);
    assert!(
        told.unreadable.len() == 1 && told.unreadable[0].ends_with("-cut.ndjson.gz"),
        "{told:?}"
    );
    let known = with_books(&place, ERASED, async |books, _| {
        let rows = query("SELECT place FROM original")
            .fetch_all(&books.ledger)
            .await
            .unwrap();
        rows.iter()
            .map(|row| row.try_get::<String>(0).unwrap())
            .collect::<Vec<_>>()
    });
    assert!(
        known.len() == 4 && known.iter().all(|place| place.starts_with("done/")),
        "{known:?}"
    );
}

#[test]
fn input_files_are_looked_through_however_they_are_packed_and_written() {
    let place = Place::new();
    let folder = |name: &str, text: &str| {
        let folder = place.data().join("drop").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("part-0.ndjson"), text).unwrap();
        std::fs::write(folder.join("_SUCCESS"), "").unwrap();
    };
    let of_account = format!("no usage of {UIN}\n");
    let utf16: Vec<u8> = format!("\u{feff}{of_account}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let parquet = |owner: &str| {
        let mut frame = df!("id" => [owner], "owner" => [UIN], "text" => ["no usage"]).unwrap();
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
        bytes
    };
    let others = as_parquet(7, 1, "2026-02-04");
    place.drop("stays.ndjson", of_others("a", "2026-02-04"));
    place.drop("stays-longer.ndjson", format!("no usage of {UIN}1, nor of 1{UIN}\n"));
    place.drop("stays.parquet", &others);
    place.drop(
        "stays.parquet.zst",
        zstd::encode_all(&as_parquet(8, 1, "2026-02-04")[..], 1).unwrap(),
    );
    folder("stays", &of_others("b", "2026-02-04"));
    place.drop("goes.csv", format!("id,uin\na,{UIN}\n"));
    place.drop("goes.ndjson", utf16);
    place.drop("goes.ndjson.zst", zstd::encode_all(of_account.as_bytes(), 1).unwrap());
    place.drop("goes.parquet", parquet("a"));
    place.drop("goes.parquet.zst", zstd::encode_all(&parquet("b")[..], 1).unwrap());
    place.drop("goes-unread.xlsx", b"PK\x03\x04\0\0");
    folder("goes", &of_account);
    place.night("2026-02-05T02:00:00Z");
    let (told, _) = erased(&place);
    let own_name = |place: &String| place.split_once('/').unwrap().1[17..].to_owned();
    let gone: BTreeSet<String> = told.inputs.iter().map(own_name).collect();
    let goes = [
        "goes",
        "goes-unread.xlsx",
        "goes.csv",
        "goes.ndjson",
        "goes.ndjson.zst",
        "goes.parquet",
        "goes.parquet.zst",
    ];
    assert_eq!(gone, BTreeSet::from(goes.map(str::to_owned)));
    assert_eq!(
        told.unreadable.iter().map(own_name).collect::<Vec<_>>(),
        ["goes-unread.xlsx"]
    );
    let left = ["done", "refused"].map(|name| files_below(&place.data().join("drop").join(name)).len());
    assert_eq!(left.iter().sum::<usize>(), 6, "one of them is a folder of two files");
}

#[test]
fn exports_are_those_of_an_account_that_always_had_the_pseudonym() {
    let place = account_books();
    let digests = sheets(&place, "statements.csv", &[]);
    let manifests_before = place.exported("manifest.json");
    let (told, _) = erased(&place);
    let twin = books_of(NEW_UIN, NEW_APPS);
    let digest_columns = ["digest", "previous_digest"];
    assert_eq!(
        place.exported("statement_lines.csv"),
        twin.exported("statement_lines.csv")
    );
    assert_eq!(
        sheets(&place, "statements.csv", &digest_columns),
        sheets(&twin, "statements.csv", &digest_columns)
    );
    // The digests are those that finance has.
    let all = |sheets: &[(String, Vec<Vec<String>>)]| -> BTreeSet<String> {
        let rows = sheets.iter().flat_map(|(_, rows)| rows);
        rows.map(|row| row[row.len() - 2].clone() + &row[row.len() - 1])
            .collect()
    };
    assert_eq!(all(&digests), all(&sheets(&place, "statements.csv", &[])));
    let recorded = with_books(&place, ERASED, async |books, _| {
        let rows =
            query("SELECT manifest, manifest_digest, written FROM export ORDER BY export").fetch_all(&books.ledger);
        let rows = rows.await.unwrap();
        let row = |row: &tallybook::storage::ledger::Row| -> (String, String, i64) {
            (
                row.try_get(0).unwrap(),
                row.try_get(1).unwrap(),
                row.try_get(2).unwrap(),
            )
        };
        rows.iter().map(row).collect::<Vec<_>>()
    });
    let on_disk = place.exported("manifest.json");
    assert_eq!((on_disk.len(), told.exports.len()), (2, 2));
    let mut previous = None;
    for (at, (text, digest, written)) in recorded.iter().enumerate() {
        assert_eq!((text, *written), (&on_disk[at].1, 1));
        let (before, now) = (
            Manifest::from_bytes(manifests_before[at].1.as_bytes()).unwrap(),
            Manifest::from_bytes(text.as_bytes()).unwrap(),
        );
        let (_, manifest_before, manifest_after, sheets) = &told.exports[at];
        assert_eq!(
            (manifest_before, now.sha256_before_erasure.as_ref()),
            (digest, Some(digest))
        );
        assert_eq!((&before.digest(), &now.digest()), (manifest_before, manifest_after));
        assert_eq!((&now.totals, &now.previous_manifest), (&before.totals, &previous));
        for (old, new) in before.files.iter().zip(&now.files) {
            let place = place.data().join("exports").join(&now.folder).join(&new.name);
            assert_eq!(sha256_hex_of_file(&place).unwrap(), new.sha256);
            assert_eq!(new.sha256_before_erasure.as_ref(), Some(&old.sha256));
            assert!(sheets.contains(&(new.name.clone(), old.sha256.clone(), new.sha256.clone())));
        }
        let heads = |manifest: &Manifest| -> Vec<(String, String)> {
            let heads = manifest.heads.iter();
            heads
                .map(|head| (head.uin.clone(), head.statement_id.clone()))
                .collect()
        };
        let of_twin = Manifest::from_bytes(twin.exported("manifest.json")[at].1.as_bytes()).unwrap();
        assert_eq!(heads(&now), heads(&of_twin));
        previous = Some(digest.clone());
    }
}

#[test]
fn a_run_that_dies_before_its_commit_is_done_again_and_one_that_dies_after_it_is_finished() {
    let place = account_books();
    let twin = place.copy();
    let before = all_rows(&place);
    // It dies after everything was written.
    let first = with_books(&place, ERASED, async |books, lease| {
        let rewritten = rewrite(books, lease, &names()).await.unwrap();
        Told::of(&rewritten).inputs
    });
    assert!(place.data().join("drop/.erased").is_dir());
    let named = with_books(&place, ERASED, async |books, _| {
        files_in_use(&books.ledger).await.unwrap().len()
    });
    assert_eq!(
        named,
        with_books(&twin, ERASED, async |books, _| files_in_use(&books.ledger)
            .await
            .unwrap()
            .len())
    );
    // It is done again, and dies after its commit, between two files of an export.
    let second = with_books(&place, ERASED, async |books, lease| {
        let told = erase_from_files(books, lease).await;
        let moved = place.data().join("exports/2026-01-01_2026-02-01");
        std::fs::rename(
            moved.join(".000001.erased/statements.csv"),
            moved.join("000001/statements.csv"),
        )
        .unwrap();
        told
    });
    assert_eq!(second.inputs, first);
    let finished = with_books(&place, ERASED, async |books, _| {
        let finished = finish(books, &names()).await.unwrap();
        assert_eq!(finish(books, &names()).await.unwrap(), Finished::default());
        files_agree(books).await;
        finished
    });
    assert_eq!((finished.exports, finished.inputs), (2, first.len()));
    assert_eq!(files_with_account(&place), Vec::<String>::new());
    // All rows but the numbers of writers are those of an erasure that nobody disturbed.
    erased(&twin);
    assert_eq!(all_rows(&place), all_rows(&twin));
    assert_eq!(all_rows(&place), without_account(&before));
    for name in ["statement_lines.csv", "statements.csv", "manifest.json"] {
        assert_eq!(place.exported(name), twin.exported(name));
    }
}

#[test]
fn what_is_proved_of_all_others_still_is() {
    let place = account_books();
    erased(&place);
    let differences = with_books(&place, ERASED, async |books, _| {
        verify(books).await.unwrap().differences
    });
    let is_of_account = |sentence: &String| {
        [UIN, NEW_UIN].iter().any(|uin| sentence.contains(&uin.to_string()))
            || sentence.starts_with("export ") && sentence.contains("its manifest differs from the recorded one")
    };
    let others: Vec<&String> = differences.iter().filter(|sentence| !is_of_account(sentence)).collect();
    assert_eq!(others, Vec::<&String>::new());
}

#[test]
fn a_repeat_of_a_row_whose_conflict_with_the_account_was_decided_is_a_duplicate_still() {
    let place = account_books();
    let before = place.copy();
    erased(&place);
    let again = |place: &Place| {
        let lines = line("shared", 7, 1, "Transcode", "2026-02-10", 180_000);
        place.drop(
            "late.ndjson",
            lines + &line("late", 7, 1, "Transcode", "2026-03-05", 1000),
        );
        let night = place.night("2026-03-06T02:00:00Z");
        records(&night, "duplicate")
    };
    assert_eq!(again(&place), again(&before));
}

#[test]
fn damage_and_a_service_log_of_nobody_knows_whom_are_refused_before_anything_is_written() {
    let place = account_books();
    let told = |place: &Place| {
        with_books(place, ERASED, async |books, lease| {
            rewrite(books, lease, &names()).await.err().unwrap().to_string()
        })
    };
    let sheet = place.data().join("exports/2026-01-01_2026-02-01/000001/statements.csv");
    let text = std::fs::read_to_string(&sheet).unwrap();
    std::fs::write(&sheet, text.replace("CNY", "USD")).unwrap();
    let refused = told(&place);
    assert!(
        refused.contains("statements.csv is missing or changed")
            && refused.contains("`tallybook export --again 1` recreates it"),
        "{refused}"
    );
    std::fs::write(&sheet, text).unwrap();
    assert!(!place.data().join("drop/.erased").exists());
    let usage = first_file(&place.data().join("usage"));
    let bytes = std::fs::read(&usage).unwrap();
    let mut changed = bytes.clone();
    changed.extend(b"PAR1");
    changed[4] ^= 1;
    std::fs::remove_file(&usage).unwrap();
    assert!(told(&place).contains("No such file"), "a usage file is gone");
    std::fs::write(&usage, &bytes).unwrap();
    with_books(&place, ERASED, async |books, _| {
        assert_eq!(obstacles(books, UIN).await.unwrap(), Vec::<String>::new());
        let mut tx = books.ledger.begin().await.unwrap();
        query(
            "INSERT INTO expired_day (day, kind, row_count, expired_at, duration_ms, seal) \
             SELECT '2026-02-10', 'usage', 0, '2026-03-01T00:00:00Z', '0', 0",
        )
        .execute(&mut tx)
        .await
        .unwrap();
        books.ledger.commit(tx, "test").await.unwrap();
        let obstacles = obstacles(books, UIN).await.unwrap();
        assert!(
            obstacles.len() == 1 && obstacles[0].contains("service log of 2026-02-10"),
            "{obstacles:?}"
        );
    });
    assert!(told(&place).contains("keep_log_months"));
}

#[test]
fn pseudonyms_of_applications_in_another_order_are_refused_because_statements_would_be_rated_otherwise() {
    let place = account_books();
    let mut names = names();
    names.apps = APPS.into_iter().zip([9, 8]).collect();
    let refused = with_books(&place, ERASED, async |books, lease| {
        rewrite(books, lease, &names).await.err().unwrap().to_string()
    });
    assert!(refused.contains("not in the order of the applications"), "{refused}");
}

#[test]
fn all_applications_of_the_account_are_found() {
    let place = account_books();
    let apps = with_books(&place, ERASED, async |books, _| apps_of(books, UIN).await.unwrap());
    assert_eq!(apps, BTreeSet::from(APPS));
    let apps = with_books(&place, ERASED, async |books, _| {
        apps_of(books, OTHERS[0]).await.unwrap()
    });
    assert_eq!(apps, BTreeSet::from([1, 2]));
}
