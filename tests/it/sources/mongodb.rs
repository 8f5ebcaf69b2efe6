//! Collections as sources: what their documents become, and that none is lost or read twice. The server is one that speaks MongoDB's
//! protocol; what MongoDB's own does when its primary changes is not seen here.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{Client, Collection as Documents};
use tallybook::catalog::source::kinds::mongodb::Collection;
use tallybook::sources::fetch::{Content, Fetch as _, FetchError, Part};
use tallybook::sources::mongodb::{self as source, CollectionSource};

use super::database::run;
use crate::left_out::named_by;

pub const START: &str = "2026-11-01T00:00:00Z";

/// A collection of the test's own, which is dropped at the end.
pub struct Place {
    pub url: String,
    pub database: String,
    pub documents: Documents<Document>,
    _alone: MutexGuard<'static, ()>,
}

/// One test at a time: a failure that the server is told to have is had by all.
static ALONE: Mutex<()> = Mutex::new(());

/// None where the environment names no server.
pub fn place(name: &str) -> Option<Place> {
    if std::env::var_os("TALLYBOOK_TEST_LEDGER").is_some() {
        return None;
    }
    let url = named_by(
        "TALLYBOOK_TEST_MONGODB",
        "collections of MongoDB as sources: the URL of a server",
    )?;
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let database = format!("tallybook_test_{}_{name}", std::process::id());
    let documents = run(async {
        let client = Client::with_uri_str(&url).await.unwrap();
        let documents = client.database(&database).collection("usage");
        client.database(&database).create_collection("usage").await.unwrap();
        documents
    });
    Some(Place {
        url,
        database,
        documents,
        _alone: alone,
    })
}

impl Drop for Place {
    fn drop(&mut self) {
        let client = self.documents.client().clone();
        run(client.database(&self.database).drop()).ok();
    }
}

impl Place {
    pub fn definition(&self, rest: &str) -> Collection {
        let text = format!(
            "url = '{}'\ndatabase = '{}'\ncollection = 'usage'\n{rest}",
            self.url, self.database
        );
        let definition: Collection = toml::from_str(&text).unwrap();
        definition.check().unwrap();
        definition
    }

    pub fn open(&self, rest: &str) -> CollectionSource {
        source::open(&self.definition(rest), START, None).unwrap()
    }

    pub fn add(&self, documents: Vec<Document>) {
        run(self.documents.insert_many(documents)).unwrap();
    }

    /// Runs a command of the server's tests.
    pub fn admin(&self, command: Document) {
        run(self.documents.client().database("admin").run_command(command)).unwrap();
    }

    /// The server fails this command so many times; `how` is an `errorCode`, or `closeConnection`.
    pub fn fail(&self, command: &str, how: Document, times: i32) {
        let mut data = doc! { "failCommands": [command] };
        data.extend(how);
        self.admin(doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data });
    }

    pub fn fail_no_more(&self) {
        self.admin(doc! { "configureFailPoint": "failCommand", "mode": "off" });
    }
}

/// Pages of three, by the date `seen`.
const BY_DATE: &str = "cursor = 'seen'\noverlap = '10m'\npage_documents = 3\n[columns]\nid = 'name'\n";

/// Pages of three, by ids of `MongoDB`'s own making.
const BY_ID: &str = "overlap = '10m'\npage_documents = 3\n[columns]\nid = 'name'\n";

pub fn at(seconds: u32) -> DateTime {
    DateTime::from_millis(1_793_491_200_000 + i64::from(seconds) * 1_000)
}

/// An id of `MongoDB`'s own making: a second, and what tells those of one second apart.
pub fn id_at(seconds: u32, last: u8) -> ObjectId {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&(1_793_491_200 + seconds).to_be_bytes());
    bytes[11] = last;
    ObjectId::from_bytes(bytes)
}

pub fn named(seconds: u32, id: impl Into<Bson>, name: &str) -> Document {
    doc! { "_id": id.into(), "seen": at(seconds), "name": name }
}

pub fn lines(part: &Part) -> Vec<String> {
    let bytes = match &part.content {
        Content::Lines { bytes, .. } => bytes.clone(),
        // A place that moved on alone.
        Content::Nothing => Vec::new(),
        Content::File { .. } => panic!("a collection gives lines: {part:?}"),
    };
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

pub fn names(part: &Part) -> Vec<String> {
    let name = |line: &String| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        value["id"].as_str().unwrap().to_owned()
    };
    lines(part).iter().map(name).collect()
}

/// The names of all parts, and what is said at the end.
pub fn pull(source: &mut CollectionSource) -> (Vec<String>, Option<FetchError>) {
    let mut all = Vec::new();
    loop {
        match run(source.fetch()) {
            Ok(Some(part)) => all.extend(names(&part)),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
        run(source.acknowledge()).unwrap();
    }
}

pub fn pulled(source: &mut CollectionSource) -> Vec<String> {
    let (all, said) = pull(source);
    assert!(said.is_none(), "{said:?}");
    all
}

#[test]
fn documents_of_one_date_are_read_once_each_whatever_their_ids_are() {
    let Some(place) = place("ids") else { return };
    let ids: [Bson; 9] = [
        3.into(),
        4.5.into(),
        "a".into(),
        "b".into(),
        Bson::Document(doc! { "a": 1 }),
        id_at(1, 1).into(),
        id_at(1, 2).into(),
        true.into(),
        at(5).into(),
    ];
    let documents = (0..).zip(ids).map(|(number, id)| named(7, id, &format!("n{number}")));
    place.add(documents.collect());
    place.add(vec![named(8, 1, "later")]);
    let mut source = place.open(BY_DATE);
    let all = pulled(&mut source);
    assert_eq!(all.len(), 10);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 10);
    assert_eq!(pulled(&mut source), [""; 0]);
}

#[test]
fn what_comes_late_is_found_within_the_overlap() {
    let Some(place) = place("late") else { return };
    for (rest, is_by_id) in [(BY_DATE, false), (BY_ID, true)] {
        run(place.documents.delete_many(doc! {})).unwrap();
        let one = |seconds: u32, name: &str| {
            let last = name.as_bytes()[0];
            named(if is_by_id { 0 } else { seconds }, id_at(seconds, last), name)
        };
        place.add(vec![one(0, "a"), one(1000, "b"), one(1300, "c"), one(1300, "d")]);
        let mut source = place.open(rest);
        assert_eq!(pulled(&mut source), ["a", "b", "c", "d"]);
        assert_eq!(pulled(&mut source), [""; 0]);
        place.add(vec![one(1100, "x"), one(1700, "e")]);
        assert_eq!(pulled(&mut source), ["x", "e"]);
        // Another process begins at the overlap before the newest.
        let position = r#"{"cursor":"2026-11-01T00:28:20.000000Z","key":"e"}"#;
        let mut again = source::open(&place.definition(rest), START, Some(position)).unwrap();
        assert_eq!(pulled(&mut again), ["x", "c", "d", "e"]);
    }
}

#[test]
fn values_are_those_of_the_document_to_the_digit() {
    let Some(place) = place("values") else { return };
    place.add(vec![doc! {
        "_id": 1, "seen": at(1), "task": { "id": 42_i64, "outputs": [ { "codec": "H264", "h": 720 } ] },
        "uin": i64::MAX, "ms": Bson::Decimal128("32000.50".parse().unwrap()), "fps": 29.97, "whole": 5.0, "done": at(9), "none": Bson::Null,
    }]);
    let mut source = place.open(
        "cursor = 'seen'\noverlap = '10m'\n[columns]\nid = 'task.id'\nuin = 'uin'\nappid = 'none'\ntask_type = { value = 'Transcode' }\n\
         parameters.codec = 'task.outputs.0.codec'\nparameters.height = 'task.outputs.0.h'\nparameters.fps = 'fps'\n\
         parameters.w = 'whole'\nparameters.gone = 'task.gone'\nduration_ms = 'ms'\nfinished_at = 'done'\n",
    );
    let part = run(source.fetch()).unwrap().unwrap();
    let expected = concat!(
        r#"{"id":"42","uin":9223372036854775807,"task_type":"Transcode","duration_ms":32000.50,"#,
        r#""finished_at":"2026-11-01T00:00:09.000Z","#,
        r#""parameters":{"codec":"H264","fps":29.97,"height":720,"w":5.0}}"#
    );
    assert_eq!(lines(&part), [expected]);
    assert_eq!(
        part.newest.map(|time| time.to_rfc3339()).as_deref(),
        Some("2026-11-01T00:00:01+00:00")
    );
}

#[test]
fn documents_without_a_place_are_told_after_the_others_and_a_missing_collection_needs_a_person() {
    let Some(place) = place("places") else { return };
    let ahead = DateTime::from_millis(4_000_000_000_000);
    place.add(vec![
        named(1, 1, "a"),
        doc! { "_id": 2, "name": "no date" },
        doc! { "_id": 3, "name": "text", "seen": "2026-11-01" },
        doc! { "_id": 4, "name": "far", "seen": ahead },
        named(2, 5, "b"),
    ]);
    let (all, said) = pull(&mut place.open(BY_DATE));
    assert_eq!(all, ["a", "b"]);
    let Some(FetchError::NeedsPerson(said)) = said else {
        panic!("{said:?}")
    };
    assert!(
        said.contains("2 rows without a value in seen") && said.contains("1 row whose seen is"),
        "{said}"
    );
    let mut gone = place.definition(BY_DATE);
    gone.collection = "gone".to_owned();
    match run(source::open(&gone, START, None).unwrap().fetch()) {
        Err(FetchError::NeedsPerson(said)) => assert!(said.contains("there is no collection"), "{said}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_document_whose_date_is_an_array_is_told_with_its_id_and_stops_no_other() {
    let Some(place) = place("arrays") else { return };
    place.add(vec![
        named(1, 1, "a"),
        doc! { "_id": 7, "name": "array", "seen": [at(2), at(3)] },
        named(2, 5, "b"),
        doc! { "_id": 8, "name": "array", "seen": [at(6)] },
        named(3, 9, "c"),
    ]);
    let (all, said) = pull(&mut place.open(BY_DATE));
    assert_eq!(all, ["a", "b", "c"]);
    let Some(FetchError::NeedsPerson(said)) = said else {
        panic!("{said:?}")
    };
    assert!(
        said.contains("2 rows without a value in seen") && said.contains("such as that with _id "),
        "{said}"
    );
    // The same of an array on the way to the date.
    let by_inner = BY_DATE.replace("'seen'", "'at.seen'");
    place.add(vec![
        doc! { "_id": 21, "name": "inner", "at": { "seen": at(1) } },
        doc! { "_id": 22, "name": "outer", "at": [{ "seen": at(2) }] },
    ]);
    let (all, said) = pull(&mut place.open(&by_inner));
    assert_eq!(all, ["inner"]);
    assert!(
        matches!(&said, Some(FetchError::NeedsPerson(said)) if said.contains("rows without a value in at.seen")),
        "{said:?}"
    );
}

#[test]
fn a_cursor_that_the_server_lost_and_a_server_that_is_away_leave_no_gap() {
    let Some(place) = place("lost") else { return };
    let documents = (0..20).map(|number| named(u32::try_from(number).unwrap(), number, &format!("n{number:02}")));
    place.add(documents.collect());
    let mut source = place.open(BY_DATE);
    let mut all = names(&run(source.fetch()).unwrap().unwrap());
    run(source.acknowledge()).unwrap();
    // 43: the cursor is not found; 91: the server shuts down; 10107: it is no primary any more.
    for code in [43, 91, 10_107] {
        place.admin(doc! {
            "configureFailPoint": "failCommand", "mode": { "times": 2 },
            "data": { "failCommands": ["find", "getMore"], "errorCode": code },
        });
        let failed = run(source.fetch());
        assert!(matches!(failed, Err(FetchError::Unavailable(_))), "{code}: {failed:?}");
        place.admin(doc! { "configureFailPoint": "failCommand", "mode": "off" });
    }
    all.extend(pulled(&mut source));
    let expected: Vec<String> = (0..20).map(|number| format!("n{number:02}")).collect();
    assert_eq!(all, expected);
    let mut away = place.definition(BY_DATE);
    away.url = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200".to_owned();
    let failed = run(source::open(&away, START, None).unwrap().fetch());
    assert!(matches!(failed, Err(FetchError::Unavailable(_))), "{failed:?}");
}
