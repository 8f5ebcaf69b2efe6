//! Collections that are watched: what their change streams say is read once, and wherever a stream ends nothing is lost.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::{Document, doc};
use tallybook::sources::fetch::{Fetch as _, FetchError};
use tallybook::sources::mongodb::{self as source, CollectionSource};

use super::database::run;
use super::mongodb::{Place, START, at, id_at, named, names, place, pull, pulled};

/// Parts of three, by the date `seen`, then by the change stream.
const WATCHED: &str = "cursor = 'seen'\noverlap = '10m'\npage_documents = 3\nwatch = true\n[columns]\nid = 'name'\n";

/// A pull to its end: the names, the last position, and what the report says.
fn pulled_to(source: &mut CollectionSource) -> (Vec<String>, Option<String>, Vec<String>) {
    let (mut all, mut position, mut warnings) = (Vec::new(), None, Vec::new());
    while let Some(part) = run(source.fetch()).unwrap() {
        all.extend(names(&part));
        position.clone_from(&part.position);
        warnings.extend(part.warnings);
        run(source.acknowledge()).unwrap();
    }
    (all, position, warnings)
}

fn reopened(place: &Place, position: Option<&str>) -> CollectionSource {
    source::open(&place.definition(WATCHED), START, position).unwrap()
}

fn set(place: &Place, id: i32, name: &str) {
    run(place
        .documents
        .update_one(doc! { "_id": id }, doc! { "$set": { "name": name } }))
    .unwrap();
}

#[test]
fn after_the_first_reading_every_change_is_read_and_none_twice() {
    let Some(place) = place("watch") else { return };
    place.add((1..=5).map(|id| named(1, id, &format!("n{id}"))).collect());
    let mut source = place.open(WATCHED);
    assert_eq!(pulled(&mut source), ["n1", "n2", "n3", "n4", "n5"]);
    assert_eq!(pulled(&mut source), [""; 0]);
    // A date that is long past, a change without a new date, and a document in the place of another.
    place.add(vec![named(0, 6, "n6")]);
    set(&place, 2, "n2 changed");
    let whole = named(2, 3, "n3 replaced");
    run(place.documents.replace_one(doc! { "_id": 3 }, whole)).unwrap();
    assert_eq!(pulled(&mut source), ["n6", "n2 changed", "n3 replaced"]);
    // Changes where no column looks, and deletions.
    let elsewhere = doc! { "$set": { "elsewhere": 1 } };
    run(place.documents.update_one(doc! { "_id": 6 }, elsewhere)).unwrap();
    run(place.documents.delete_one(doc! { "_id": 1 })).unwrap();
    assert_eq!(pulled(&mut source), [""; 0]);
}

#[test]
fn another_process_goes_on_where_the_books_stand() {
    let Some(place) = place("watch_on") else { return };
    place.add((1..=4).map(|id| named(1000, id, &format!("n{id}"))).collect());
    let (all, position, _) = pulled_to(&mut reopened(&place, None));
    assert_eq!(all.len(), 4);
    set(&place, 1, "n1 changed");
    place.add(vec![named(0, 5, "n5")]);
    let (all, position, warnings) = pulled_to(&mut reopened(&place, position.as_deref()));
    assert_eq!(
        (all, warnings),
        (vec!["n1 changed".to_owned(), "n5".to_owned()], vec![])
    );
    let (all, _, _) = pulled_to(&mut reopened(&place, position.as_deref()));
    assert_eq!(all, [""; 0]);
}

#[test]
fn what_changes_while_the_collection_is_read_comes_after_it_also_from_another_process() {
    let Some(place) = place("watch_between") else { return };
    for is_stopped in [false, true] {
        run(place.documents.delete_many(doc! {})).unwrap();
        place.add((1..=7).map(|id| named(5000, id, &format!("n{id}"))).collect());
        let mut source = reopened(&place, None);
        let part = run(source.fetch()).unwrap().unwrap();
        let mut all: BTreeSet<String> = names(&part).into_iter().collect();
        run(source.acknowledge()).unwrap();
        // Behind what was read, and by more than the overlap.
        place.add(vec![named(0, 8, "late")]);
        set(&place, 1, "n1 changed");
        if is_stopped {
            source = reopened(&place, part.position.as_deref());
        }
        all.extend(pulled(&mut source));
        let mut expected: BTreeSet<String> = (1..=7).map(|id| format!("n{id}")).collect();
        expected.extend(["late".to_owned(), "n1 changed".to_owned()]);
        assert_eq!(all, expected, "stopped: {is_stopped}");
    }
}

#[test]
fn a_part_that_is_not_acknowledged_comes_again() {
    let Some(place) = place("watch_again") else { return };
    let mut source = place.open(WATCHED);
    assert_eq!(pulled(&mut source), [""; 0]);
    place.add((1..=5).map(|id| named(1, id, &format!("n{id}"))).collect());
    for _ in 0..2 {
        assert_eq!(names(&run(source.fetch()).unwrap().unwrap()), ["n1", "n2", "n3"]);
    }
    run(source.acknowledge()).unwrap();
    assert_eq!(pulled(&mut source), ["n4", "n5"]);
}

#[test]
fn a_stream_that_the_server_cannot_take_up_ends_in_the_overlap_and_the_report_says_so() {
    let Some(place) = place("watch_lost") else { return };
    place.add(vec![named(0, 1, "n1"), named(1000, 2, "n2")]);
    let (_, mut position, _) = pulled_to(&mut reopened(&place, None));
    let mut number = 3;
    // 286: the log is gone; 280 and 260: the place is none of this server's; 136: the log was overtaken.
    for (command, code) in [
        ("aggregate", 286),
        ("aggregate", 280),
        ("aggregate", 260),
        ("getMore", 286),
        ("getMore", 136),
    ] {
        place.add(vec![named(1000, number, &format!("n{number}"))]);
        place.fail(command, doc! { "errorCode": code }, 1);
        let (all, after, warnings) = pulled_to(&mut reopened(&place, position.as_deref()));
        let all: BTreeSet<String> = all.into_iter().collect();
        let overlap: BTreeSet<String> = (2..=number).map(|id| format!("n{id}")).collect();
        assert_eq!(all, overlap, "{command} {code}");
        let said = warnings.join("\n");
        assert!(
            said.contains("could not be taken up") && said.contains(&code.to_string()),
            "{said}"
        );
        // The place that was taken before it serves from now on.
        let (all, further, warnings) = pulled_to(&mut reopened(&place, after.as_deref()));
        assert_eq!((all, warnings), (vec![], vec![]), "{command} {code}");
        position = further.or(after);
        set(&place, 1, &format!("n1 at {number}"));
        let (all, after, _) = pulled_to(&mut reopened(&place, position.as_deref()));
        assert_eq!(all, [format!("n1 at {number}")]);
        (position, number) = (after, number + 1);
    }
}

#[test]
fn a_collection_that_is_dropped_or_renamed_is_read_again_from_the_overlap_when_it_is_there_again() {
    let Some(place) = place("watch_dropped") else { return };
    place.add(vec![named(0, 1, "old"), named(1000, 2, "n2")]);
    let (_, mut position, _) = pulled_to(&mut reopened(&place, None));
    let database = place.documents.client().database(&place.database);
    for is_renamed in [false, true] {
        place.add(vec![named(1000, 3, "before")]);
        if is_renamed {
            let to = format!("{}.elsewhere", place.database);
            place.admin(doc! { "renameCollection": format!("{}.usage", place.database), "to": to });
        } else {
            run(place.documents.drop()).unwrap();
        }
        let mut source = reopened(&place, position.as_deref());
        let (_, said) = pull(&mut source);
        let Some(FetchError::NeedsPerson(said)) = said else {
            panic!("{said:?}")
        };
        assert!(said.contains("there is no collection"), "{said}");
        // It comes with a name of its own first, so that its stream never told of these documents.
        let other = database.collection::<Document>("other");
        run(other.insert_many(vec![
            named(0, 1, "old"),
            named(1000, 2, "n2"),
            named(1001, 4, "there again"),
        ]))
        .unwrap();
        let (from, to) = (format!("{}.other", place.database), format!("{}.usage", place.database));
        place.admin(doc! { "renameCollection": from, "to": to });
        let (all, after, warnings) = pulled_to(&mut reopened(&place, position.as_deref()));
        let all: BTreeSet<&str> = all.iter().map(String::as_str).collect();
        let expected = BTreeSet::from(["before", "n2", "there again"]);
        assert_eq!(all, expected, "renamed: {is_renamed}");
        assert!(warnings.join("\n").contains("was dropped or renamed"), "{warnings:?}");
        position = after;
        set(&place, 1, "old changed");
        let (all, after, _) = pulled_to(&mut reopened(&place, position.as_deref()));
        assert_eq!(all, ["old changed"]);
        // As before the next one.
        position = after;
        run(place.documents.delete_one(doc! { "_id": 4 })).unwrap();
    }
}

#[test]
fn a_server_that_steps_down_or_cuts_in_the_middle_of_a_stream_leaves_no_gap() {
    let Some(place) = place("watch_cut") else { return };
    let mut source = place.open(WATCHED);
    assert_eq!(pulled(&mut source), [""; 0]);
    let mut expected = Vec::new();
    // 43: the cursor is not found; 91: the server shuts down; 189, 10107: it is no primary any more.
    let failures = [43, 91, 189, 10_107].map(|code| doc! { "errorCode": code });
    for (number, failure) in (0..).zip(failures.into_iter().chain([doc! { "closeConnection": true }])) {
        let new: Vec<i32> = (0..5).map(|id| 10 * number + id).collect();
        place.add(new.iter().map(|id| named(1, *id, &format!("n{id:02}"))).collect());
        expected.extend(new.iter().map(|id| format!("n{id:02}")));
        place.fail("getMore", failure.clone(), 2);
        let mut all = Vec::new();
        // What the driver does not mend is tried again, as the next pull does it.
        for _ in 0..9 {
            match run(source.fetch()) {
                Ok(Some(part)) => {
                    all.extend(names(&part));
                    run(source.acknowledge()).unwrap();
                }
                Ok(None) => break,
                Err(FetchError::Unavailable(_)) => {}
                Err(other) => panic!("{failure}: {other}"),
            }
        }
        place.fail_no_more();
        all.extend(pulled(&mut source));
        assert_eq!(
            all,
            new.iter().map(|id| format!("n{id:02}")).collect::<Vec<_>>(),
            "{failure}"
        );
    }
    assert_eq!(expected.len(), 25);
}

#[test]
fn only_documents_from_the_start_of_the_source_on_are_read_and_those_without_a_date_are_told() {
    let Some(place) = place("watch_start") else { return };
    let earlier = mongodb::bson::DateTime::from_millis(1_700_000_000_000);
    place.add(vec![
        doc! { "_id": 1, "seen": earlier, "name": "billed elsewhere" },
        named(1, 2, "n2"),
    ]);
    let mut source = place.open(WATCHED);
    assert_eq!(pulled(&mut source), ["n2"]);
    set(&place, 1, "changed");
    place.add(vec![doc! { "_id": 3, "name": "no date" }]);
    for _ in 0..2 {
        let (all, said) = pull(&mut source);
        assert_eq!(all, [""; 0]);
        let Some(FetchError::NeedsPerson(said)) = said else {
            panic!("{said:?}")
        };
        assert!(said.contains("1 row without a value in seen"), "{said}");
    }
    run(place
        .documents
        .update_one(doc! { "_id": 3 }, doc! { "$set": { "seen": at(1) } }))
    .unwrap();
    assert_eq!(pulled(&mut source), ["no date"]);
}

#[test]
fn a_document_that_has_an_array_where_its_date_should_be_is_told_while_the_collection_is_watched() {
    let Some(place) = place("watch_array") else { return };
    place.add(vec![
        named(1, 1, "n1"),
        doc! { "_id": 7, "name": "array", "seen": [at(2)] },
    ]);
    let mut source = place.open(WATCHED);
    let told = |source: &mut CollectionSource, rows: &str| {
        let (all, said) = pull(source);
        let Some(FetchError::NeedsPerson(said)) = said else {
            panic!("{said:?}")
        };
        assert!(said.contains(rows) && said.contains("such as that with _id "), "{said}");
        all
    };
    assert_eq!(told(&mut source, "1 row without a value in seen"), ["n1"]);
    place.add(vec![
        doc! { "_id": 8, "name": "another", "seen": [at(3)] },
        named(2, 4, "n4"),
    ]);
    assert_eq!(told(&mut source, "2 rows without a value in seen"), ["n4"]);
}

#[test]
fn a_date_far_ahead_moves_no_position_and_is_told_where_the_collection_is_read() {
    let Some(place) = place("watch_ahead") else { return };
    let ahead = mongodb::bson::DateTime::from_millis(4_000_000_000_000);
    place.add(vec![named(1, 1, "n1"), doc! { "_id": 2, "seen": ahead, "name": "far" }]);
    let mut source = place.open(WATCHED);
    let (all, said) = pull(&mut source);
    assert_eq!(all, ["n1"]);
    assert!(
        matches!(&said, Some(FetchError::NeedsPerson(said)) if said.contains("1 row whose seen is")),
        "{said:?}"
    );
    // Until it is corrected, the reading is not over: nothing that was not read is left to a stream that began after it.
    run(place
        .documents
        .update_one(doc! { "_id": 2 }, doc! { "$set": { "seen": at(2) } }))
    .unwrap();
    let all: BTreeSet<String> = pulled(&mut source).into_iter().collect();
    assert!(all.contains("far"), "{all:?}");
    place.add(vec![
        doc! { "_id": 3, "seen": ahead, "name": "far again" },
        named(3, 4, "n4"),
    ]);
    let (all, position, _) = pulled_to(&mut source);
    assert_eq!(all, ["far again", "n4"]);
    let position = position.unwrap();
    assert!(position.contains("2026-11-01T00:00:03.000000Z"), "{position}");
}

#[test]
fn a_collection_is_watched_from_now_on_or_no_more_without_a_gap() {
    let Some(place) = place("watch_turned") else { return };
    let read = WATCHED.replace("watch = true\n", "");
    place.add(vec![named(0, 1, "n1"), named(1000, 2, "n2")]);
    let open = |rest: &str, position: Option<&str>| source::open(&place.definition(rest), START, position).unwrap();
    let (_, position, _) = pulled_to(&mut open(&read, None));
    let (all, position, _) = pulled_to(&mut open(WATCHED, position.as_deref()));
    assert_eq!(all, ["n2"], "the overlap");
    set(&place, 1, "n1 changed");
    let (all, position, _) = pulled_to(&mut open(WATCHED, position.as_deref()));
    assert_eq!(all, ["n1 changed"]);
    place.add(vec![named(1001, 3, "n3")]);
    let (all, _, _) = pulled_to(&mut open(&read, position.as_deref()));
    assert_eq!(all, ["n2", "n3"], "the overlap and what is new");
}

#[test]
fn a_view_cannot_be_watched() {
    let Some(place) = place("watch_view") else { return };
    let database = place.documents.client().database(&place.database);
    run(database.run_command(doc! { "create": "seen_usage", "viewOn": "usage", "pipeline": [] })).unwrap();
    let mut definition = place.definition(WATCHED);
    definition.collection = "seen_usage".to_owned();
    match run(source::open(&definition, START, None).unwrap().fetch()) {
        Err(FetchError::NeedsPerson(said)) => {
            assert!(said.contains("is a view") && said.contains("remove `watch`"), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

/// A collection that people write to while it is watched, and the name that each document has.
struct Model<'p> {
    place: &'p Place,
    seed: u64,
    clock: u32,
    written: BTreeMap<i32, String>,
}

impl Model<'_> {
    /// The next number of a fixed sequence, below `limit`.
    fn choose(&mut self, limit: u32) -> u32 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.seed >> 33).unwrap() % limit
    }

    /// Stores a few documents, of any date since the start.
    fn write(&mut self) {
        let mut documents = Vec::new();
        for _ in 0..=self.choose(4) {
            self.clock += 100;
            let seconds = self.choose(self.clock);
            let id = i32::try_from(self.written.len()).unwrap();
            documents.push(named(seconds, id, &format!("d{id}")));
            self.written.insert(id, format!("d{id}"));
        }
        self.place.add(documents);
    }

    /// Changes a document, whose date stays.
    fn change(&mut self) {
        let count = u32::try_from(self.written.len()).unwrap();
        if count > 0 {
            let id = i32::try_from(self.choose(count)).unwrap();
            let name = format!("d{id} changed {}", self.choose(1_000));
            set(self.place, id, &name);
            self.written.insert(id, name);
        }
    }
}

#[test]
fn whatever_happens_in_between_the_last_state_of_every_document_arrives() {
    let Some(place) = place("watch_model") else { return };
    let mut model = Model {
        place: &place,
        seed: 20_261_101,
        clock: 0,
        written: BTreeMap::new(),
    };
    let (mut arrived, mut kept) = (BTreeSet::new(), None);
    let mut source = reopened(&place, None);
    for _ in 0..60 {
        match model.choose(10) {
            0..3 => model.write(),
            3..5 => model.change(),
            5 => source = reopened(&place, kept.as_deref()),
            6 => drop(run(source.fetch())),
            7 => place.fail(
                ["getMore", "aggregate", "find"][model.choose(3) as usize],
                doc! { "errorCode": 91 },
                1,
            ),
            _ => {
                if let Ok(Some(part)) = run(source.fetch()) {
                    arrived.extend(names(&part));
                    kept = part.position;
                    run(source.acknowledge()).unwrap();
                }
            }
        }
    }
    place.fail_no_more();
    arrived.extend(pulled(&mut reopened(&place, kept.as_deref())));
    let missing: Vec<&String> = model.written.values().filter(|name| !arrived.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_watched_collection_whose_cursor_is_its_ids_is_read_as_one_with_dates_is() {
    let Some(place) = place("watch_ids") else { return };
    let rest = WATCHED.replace("cursor = 'seen'\n", "");
    let one = |seconds: u32, last: u8, name: &str| named(0, id_at(seconds, last), name);
    place.add(vec![one(1, 1, "a"), one(1, 2, "b")]);
    let mut source = place.open(&rest);
    assert_eq!(pulled(&mut source), ["a", "b"]);
    place.add(vec![one(0, 1, "late"), doc! { "_id": 7, "name": "no id of MongoDB's" }]);
    let (all, said) = pull(&mut source);
    assert_eq!(all, ["late"]);
    assert!(matches!(said, Some(FetchError::NeedsPerson(_))), "{said:?}");
}
