//! A collection that is pulled into books, read or watched: the bills are those of a file with the same records, whatever kills the
//! program, and two programs at once read it once.

use std::process::Stdio;

use mongodb::Collection as Documents;
use mongodb::bson::{DateTime, Document, doc};

use super::bills::{
    ROWS, ends_in_the_same_bills_wherever_it_is_killed, exports, exports_of_a_file, follow, pull, time, usage,
};
use super::database::run;
use super::mongodb::{Place, place};
use crate::crashes::books::differences;
use crate::crashes::process::{program, run as run_program, stop_at};
use crate::faults::small::{NIGHT, ends, night, says};

fn date(text: &str) -> DateTime {
    let time: chrono::DateTime<chrono::Utc> = format!("{}Z", text.replace(' ', "T")).parse().unwrap();
    DateTime::from_millis(time.timestamp_millis())
}

fn document(number: u32) -> Document {
    let (finished_at, seen) = time(number);
    let (uin, duration_ms) = usage(number);
    doc! {
        "_id": i64::from(number), "name": format!("r{number}"), "seen": date(&seen), "owner": { "uin": i64::from(uin), "app": 1 },
        "video": { "type": "Standard", "codec": "H264", "w": 1280, "h": 720 }, "ms": i64::from(duration_ms), "done": date(&finished_at),
    }
}

pub fn insert_into(documents: &Documents<Document>, numbers: impl Iterator<Item = u32>) {
    run(documents.insert_many(numbers.map(document))).unwrap();
}

fn insert(place: &Place, collection: &str, numbers: impl Iterator<Item = u32>) {
    insert_into(
        &place
            .documents
            .client()
            .database(&place.database)
            .collection(collection),
        numbers,
    );
}

/// The definition of a collection as a source; `place` is what it says of the server and the database.
pub fn definition(place: &str, collection: &str, watch: bool) -> String {
    format!(
        "kind = 'mongodb'\n{place}collection = '{collection}'\nwatch = {watch}\nfrom = '2024-11-01T00:00:00Z'\n\
         cursor = 'seen'\noverlap = '5s'\npage_documents = 7\n[source.usage.columns]\nid = 'name'\nuin = 'owner.uin'\n\
         appid = 'owner.app'\ntask_type = {{ value = 'Transcode' }}\nparameters.type = 'video.type'\nparameters.codec = 'video.codec'\n\
         parameters.width = 'video.w'\nparameters.height = 'video.h'\nduration_ms = 'ms'\nfinished_at = 'done'\n"
    )
}

/// A folder with a card, and the collection as its source.
fn books(place: &Place, collection: &str, watch: bool) -> tempfile::TempDir {
    let server = format!("url = '{}'\ndatabase = '{}'\n", place.url, place.database);
    super::bills::place(&definition(&server, collection, watch))
}

#[test]
fn the_bills_are_those_of_a_file_with_the_same_records_read_or_watched() {
    let Some(place) = place("bills") else { return };
    let expected = exports_of_a_file();
    for watch in [false, true] {
        let collection = format!("watch_{watch}");
        insert(&place, &collection, 0..30);
        let dir = books(&place, &collection, watch);
        let path = dir.path();
        ends(&mut pull(path), 0);
        insert(&place, &collection, 30..ROWS);
        ends(&mut pull(path), 0);
        // The night pulls by itself.
        ends(&mut night(path), 0);
        assert!(
            exports(path) == *expected,
            "watch {watch}: other bills than those of the file"
        );
        assert_eq!(differences(path), Vec::<String>::new());
    }
}

#[test]
fn wherever_a_pull_is_killed_the_next_one_goes_on_to_the_same_bills() {
    let Some(place) = place("kills") else { return };
    insert(&place, "all", 0..ROWS);
    ends_in_the_same_bills_wherever_it_is_killed(|_| books(&place, "all", false), |_| ());
}

#[test]
fn wherever_the_reading_of_a_watched_collection_is_killed_what_changed_meanwhile_is_billed_too() {
    let Some(place) = place("watch_kills") else { return };
    let filled = |name: &str| {
        // Newer ones alone: what comes later has older dates than what was read, by more than the overlap.
        insert(&place, name, 20..ROWS);
        books(&place, name, true)
    };
    ends_in_the_same_bills_wherever_it_is_killed(filled, |name| insert(&place, name, 0..20));
}

#[test]
fn wherever_the_following_of_a_change_stream_is_killed_no_change_is_lost() {
    let Some(place) = place("stream_kills") else { return };
    let filled = |name: &str| {
        insert(&place, name, 40..ROWS);
        let dir = books(&place, name, true);
        // The collection is read: what comes from now on comes by its stream.
        ends(&mut pull(dir.path()), 0);
        insert(&place, name, 0..40);
        dir
    };
    ends_in_the_same_bills_wherever_it_is_killed(filled, |_| ());
}

#[test]
fn a_collection_is_pulled_by_one_program_at_a_time() {
    let Some(place) = place("two") else { return };
    let expected = exports_of_a_file();
    for watch in [false, true] {
        let collection = format!("watch_{watch}");
        insert(&place, &collection, 0..ROWS);
        let dir = books(&place, &collection, watch);
        let path = dir.path();
        let first = stop_at(&mut pull(path), "committed part#2").unwrap();
        says(&run_program(&mut pull(path)), 5, &[]);
        assert_eq!(first.go_on().code, Some(0));
        ends(&mut night(path), 0);
        assert!(exports(path) == *expected, "watch {watch}");
    }
}

#[test]
fn a_watched_collection_that_is_followed_sends_each_document_once() {
    let Some(place) = place("followed") else { return };
    insert(&place, "all", 0..ROWS);
    let dir = books(&place, "all", true);
    let said = follow(dir.path(), || insert(&place, "all", 50..51), "\"received\":1,");
    assert!(said.contains(&format!("\"received\":{ROWS},")), "{said}");
    assert_eq!(said.matches("\"received\"").count(), 2, "{said}");
}

#[test]
fn a_billed_document_that_is_changed_is_a_conflict_which_a_person_decides() {
    let Some(place) = place("changed") else { return };
    insert(&place, "all", 0..ROWS);
    let dir = books(&place, "all", true);
    let path = dir.path();
    ends(&mut program(path, NIGHT, &["rate-card", "import", "cards"]), 0);
    ends(&mut pull(path), 0);
    ends(&mut program(path, NIGHT, &["meter"]), 0);
    let documents: Documents<Document> = place.documents.client().database(&place.database).collection("all");
    run(documents.update_one(doc! { "_id": 7_i64 }, doc! { "$set": { "ms": 1 } })).unwrap();
    ends(&mut pull(path), 0);
    ends(&mut program(path, NIGHT, &["meter"]), 0);
    let listed = program(path, NIGHT, &["conflict", "list"])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("r7"), "{listed}");
}
