//! Nobody read what was refused: now an input of which nothing, or too little, could be taken needs a person, JSON is read however it
//! stands in its file, and refused lines can be found, corrected and dismissed.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use tallybook::inspect::status::status;
use tallybook::inspect::verify::verify;
use tallybook::nightly::Night;
use tallybook::pipeline::ingest::Ingested;
use tallybook::pipeline::ingest::quarantine::alarm;
use tallybook::pipeline::ingest::quarantine::alarm::Alarm;
use tallybook::pipeline::ingest::quarantine::correct::{Corrected, correct, edit};
use tallybook::pipeline::ingest::quarantine::dismiss::{Dismissed, dismiss};
use tallybook::pipeline::ingest::quarantine::filter::Filter;
use tallybook::pipeline::ingest::quarantine::retry::{Retried, retry};
use tallybook::pipeline::ingest::quarantine::store::{Page, QuarantinedLine, counts, lines, lines_with_bytes};
use tallybook::storage::ledger::{Entry, audit_trail};
use tallybook::support::error::Error;
use tallybook::values::calendar::Cycle;

use crate::world::{Place, at, line, run};

const NOW: &str = "2024-12-20T00:00:00Z";
const LATER: &str = "2024-12-21T00:00:00Z";
const TIME: &str = "2024-12-01T10:00:00+08:00";

/// As many good lines as numbers, each with an id of its own.
fn good(ids: std::ops::Range<u32>) -> String {
    ids.map(|id| line(&format!("g{id}"), 7, TIME, 60_000)).collect()
}

/// Lines whose times have no offset, as a sender wrote them from one day on.
fn without_offset(ids: std::ops::Range<u32>) -> String {
    good(ids).replace("+08:00", "")
}

fn with_books<T>(place: &Place, now: &str, act: impl AsyncFnOnce(&tallybook::context::Books) -> T) -> T {
    run(async {
        let books = place.books(at(now)).await;
        let done = act(&books).await;
        books.ledger.close().await;
        done
    })
}

fn open_alarms(place: &Place) -> Vec<Alarm> {
    with_books(place, NOW, async |books| status(books).await.unwrap().alarms)
}

fn waiting(place: &Place, filter: &Filter) -> Vec<QuarantinedLine> {
    with_books(place, NOW, async |books| {
        lines(&books.ledger, filter, Page::default()).await.unwrap()
    })
}

fn dismissed(place: &Place, now: &str, filter: &Filter) -> Result<Dismissed, Error> {
    with_books(place, now, async |books| dismiss(books, filter, "seen").await)
}

fn retried(place: &Place, now: &str, filter: &Filter) -> Result<Retried, Error> {
    with_books(place, now, async |books| retry(books, filter).await)
}

fn edited(place: &Place, number: i64, line: &str) -> Result<Corrected, Error> {
    with_books(place, NOW, async |books| {
        edit(books, number, line.as_bytes(), "the sender says so").await
    })
}

fn trail(place: &Place) -> Vec<Entry> {
    with_books(place, NOW, async |books| audit_trail(&books.ledger).await.unwrap())
}

fn all_agree(place: &Place) {
    let differences = with_books(place, NOW, async |books| verify(books).await.unwrap().differences);
    assert_eq!(differences, Vec::<String>::new());
}

/// Records of a status over all batches.
fn records(night: &Night, status: &str) -> i64 {
    let mut statuses = night.control.all.statuses.iter();
    statuses.find(|(name, _)| *name == status).unwrap().1.records
}

fn names(place: &Place, folder: &str) -> Vec<String> {
    let folder = place.data().join("drop").join(folder);
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a4_a_file_whose_lines_are_all_refused_needs_a_person_every_night_until_somebody_dismisses_it() {
    let place = Place::new();
    place.drop("usage.ndjson", without_offset(0..1000));
    let night = place.night(NOW);
    assert_eq!(u8::from(night.exit_code()), 3);
    let [told] = &night.needs_person[..] else {
        panic!("{:?}", night.needs_person)
    };
    for words in [
        "usage.ndjson (batch 1): all of its 1,000 lines were refused",
        "mostly as not_a_time",
        "tallybook quarantine list --batch 1",
        "tallybook quarantine dismiss --batch 1 --reason TEXT",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!((names(&place, "done"), names(&place, "refused").len()), (Vec::new(), 1));
    let [alarm] = &open_alarms(&place)[..] else { panic!() };
    assert_eq!(
        (alarm.code.as_str(), alarm.received, alarm.refused, alarm.waiting),
        ("no_record", 1000, 1000, 1000)
    );
    assert_eq!(place.night(LATER).exit_code(), 3, "the next night tells it again");
    let done = dismissed(&place, LATER, &Filter::of_batch(1)).unwrap();
    assert_eq!(done.lines, 1000);
    assert_eq!(open_alarms(&place), []);
    let night = place.night("2024-12-22T00:00:00Z");
    assert_eq!((u8::from(night.exit_code()), records(&night, "quarantined")), (0, 1000));
    let [entry] = &trail(&place)[..] else { panic!() };
    assert_eq!(
        (entry.action.as_str(), entry.subject.as_str(), entry.reason.as_str()),
        ("quarantine dismiss", "1000 lines of batch 1", "seen")
    );
    all_agree(&place);
}

#[test]
fn a_refused_file_that_is_dropped_again_lies_in_refused_too_and_needs_a_person_still() {
    let place = Place::new();
    for now in [NOW, LATER] {
        place.drop("usage.ndjson", without_offset(0..3));
        assert_eq!(place.night(now).exit_code(), 3);
    }
    assert_eq!((names(&place, "done"), names(&place, "refused").len()), (Vec::new(), 1));
    assert_eq!(open_alarms(&place).len(), 1, "one input, one alarm");
}

#[test]
fn more_than_one_line_in_ten_refused_needs_a_person_and_exactly_one_in_ten_does_not() {
    let place = Place::new();
    let few = good(0..90) + &without_offset(100..110);
    assert!(
        place
            .ingest(NOW, &place.file("few.ndjson", few))
            .unwrap()
            .alarm
            .is_none()
    );
    let many = good(200..289) + &without_offset(300..311);
    let ingested = place.ingest(NOW, &place.file("many.ndjson", many)).unwrap();
    let alarm = ingested.alarm.unwrap();
    assert_eq!(
        (alarm.code.as_str(), alarm.received, alarm.refused),
        ("many_refused", 100, 11)
    );
    assert!(
        alarm.sentence().contains("11 of its 100 lines were refused"),
        "{}",
        alarm.sentence()
    );
    let small = good(400..401) + &without_offset(500..598);
    assert!(
        place
            .ingest(NOW, &place.file("small.ndjson", small))
            .unwrap()
            .alarm
            .is_none()
    );
    assert_eq!(place.night(NOW).exit_code(), 3);
}

#[test]
fn both_limits_of_the_alarm_are_settings() {
    let mut place = Place::new();
    place.settings().alarm_lines_min = 4;
    place.settings().alarm_refused_percent = 50;
    let half = good(0..2) + &without_offset(10..12);
    assert!(
        place
            .ingest(NOW, &place.file("half.ndjson", half))
            .unwrap()
            .alarm
            .is_none()
    );
    let more = good(20..21) + &without_offset(30..33);
    assert!(
        place
            .ingest(NOW, &place.file("more.ndjson", more))
            .unwrap()
            .alarm
            .is_some()
    );
}

#[test]
fn a_file_in_which_nothing_was_refused_raises_no_alarm_however_empty_it_is() {
    let place = Place::new();
    let header = "id,uin,appid,task_type,duration_ms,finished_at\n";
    for (name, text) in [
        ("empty.ndjson", ""),
        ("blank.ndjson", "\n \n"),
        ("array.json", "[]\n"),
        ("header.csv", header),
    ] {
        let ingested = place.ingest(NOW, &place.file(name, text)).unwrap();
        assert_eq!((ingested.batch.received, ingested.alarm), (0, None), "{name}");
    }
    assert_eq!(place.night(NOW).exit_code(), 0);
}

#[test]
fn a_csv_and_a_parquet_row_of_which_nothing_can_be_taken_raise_the_alarm_too() {
    let place = Place::new();
    let csv = "id,uin,appid,task_type,duration_ms,finished_at\na,7,1,Transcode,1,2024-12-01T10:00:00\n";
    let ingested = place.ingest(NOW, &place.file("a.csv", csv)).unwrap();
    assert!(ingested.alarm.unwrap().sentence().contains("its only line was refused"));
}

#[test]
fn the_alarm_ends_when_a_retry_has_taken_its_lines() {
    let mut place = Place::new();
    place.settings().unknown_accounts = tallybook::context::UnknownAccounts::Quarantine;
    place.drop("a.ndjson", good(0..3));
    assert_eq!(place.night(NOW).exit_code(), 3);
    let monthly = Cycle::Monthly { anchor_day: 1 };
    place.add_account(NOW, 7, "mps-cn", monthly, "2024-12-01");
    assert_eq!(retried(&place, NOW, &Filter::default()).unwrap().accepted, 3);
    let all = with_books(&place, NOW, async |books| {
        alarm::store::all(&books.ledger).await.unwrap()
    });
    assert_eq!((all.len(), all[0].state.as_str()), (1, "taken"));
    let night = place.night(LATER);
    assert_eq!(
        (
            u8::from(night.exit_code()),
            records(&night, "quarantined"),
            records(&night, "metered")
        ),
        (0, 0, 3)
    );
    all_agree(&place);
}

#[test]
fn an_alarm_can_be_ended_while_its_lines_wait_on() {
    let place = Place::new();
    place
        .ingest(NOW, &place.file("a.ndjson", without_offset(0..2)))
        .unwrap();
    let end = || {
        with_books(&place, NOW, async |books| {
            alarm::dismiss(books, 1, "the sender knows").await
        })
    };
    end().unwrap();
    assert_eq!(
        (open_alarms(&place), waiting(&place, &Filter::default()).len()),
        (Vec::new(), 2)
    );
    assert_eq!(end().unwrap_err().exit_code(), 2, "once");
    let of_none = with_books(&place, NOW, async |books| alarm::dismiss(books, 9, "x").await);
    assert!(of_none.unwrap_err().to_string().contains("there is no alarm 9"));
    assert_eq!(place.night(NOW).exit_code(), 0);
    all_agree(&place);
}

#[test]
fn the_summary_shows_a_line_for_each_reason() {
    let place = Place::new();
    let text = good(0..1) + "{\"id\":\"x\u{7}\"}\n" + &without_offset(1..3);
    let ingested = place.ingest(NOW, &place.file("a.ndjson", text)).unwrap();
    let shown: Vec<_> = ingested
        .examples
        .iter()
        .map(|example| (example.code.as_str(), example.line, example.shown.as_deref().unwrap()))
        .collect();
    let [time, control] = shown[..] else {
        panic!("{shown:?}")
    };
    assert_eq!(control, ("not_json", 2, "{\"id\":\"x\\u{7}\"}"));
    assert_eq!((time.0, time.1), ("not_a_time", 3));
    let text = tallybook::nightly::report::ingested(&ingested);
    assert!(text.contains("line 3: `finished_at` is"), "{text}");
    assert!(text.contains("see `tallybook quarantine list --batch 1`"), "{text}");
}

/// The same records in another form: once they are metered as lines, all of them are duplicates.
fn are_the_same_records(name: &str, text: impl AsRef<[u8]>) {
    let place = Place::new();
    place.ingest(NOW, &place.file("lines.ndjson", good(0..4))).unwrap();
    let ingested = place.ingest(NOW, &place.file(name, text)).unwrap();
    assert_eq!(
        (ingested.batch.received, ingested.batch.stored, ingested.quarantine),
        (4, 4, vec![]),
        "{name}"
    );
    let night = place.night(NOW);
    assert_eq!(
        (records(&night, "metered"), records(&night, "duplicate")),
        (4, 4),
        "{name}"
    );
}

fn objects() -> Vec<String> {
    good(0..4).lines().map(str::to_owned).collect()
}

fn pretty(line: &str) -> String {
    serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(line).unwrap()).unwrap()
}

#[test]
fn an_array_of_records_is_read_as_records_under_any_name() {
    let array = format!("[{}]", objects().join(","));
    for name in ["a.json", "a.ndjson", "a.jsonl"] {
        are_the_same_records(name, &array);
    }
    are_the_same_records("mark.json", format!("\u{feff}{array}"));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(array.as_bytes()).unwrap();
    are_the_same_records("a.json.gz", packed.finish().unwrap());
}

#[test]
fn an_array_with_a_record_on_each_line_is_read_whole_and_not_its_last_line_alone() {
    are_the_same_records("a.ndjson", format!("[{}]\n", objects().join(",\n")));
    are_the_same_records("b.ndjson", format!("[\n{}\n]\n", objects().join(",\r\n")));
    are_the_same_records("c.ndjson", format!("{}\n", objects().join(",\n")));
}

#[test]
fn lines_that_are_arrays_of_records_are_read_as_records() {
    let o = objects();
    are_the_same_records("a.ndjson", format!("[{},{}]\n[{}]\n[{}]\n", o[0], o[1], o[2], o[3]));
    are_the_same_records("b.ndjson", format!("{}\n[{},{}]\n{}\n", o[0], o[1], o[2], o[3]));
}

#[test]
fn pretty_printed_records_are_read_one_by_one_and_in_an_array() {
    let pretty: Vec<String> = objects().iter().map(|line| pretty(line)).collect();
    are_the_same_records("a.json", pretty.join("\n"));
    are_the_same_records("b.json", format!("[\n{}\n]\n", pretty.join(",\n")));
    are_the_same_records("c.json", objects().concat());
}

#[test]
fn a_broken_record_in_an_array_costs_itself_alone_and_its_place_is_told() {
    let place = Place::new();
    let mut all: Vec<String> = objects().iter().map(|line| pretty(line)).collect();
    all[1] = all[1].replace("60000", "NaN");
    all[2] = all[2].replace("\"g2\"", "\"g2");
    let ingested = place
        .ingest(NOW, &place.file("a.json", format!("[\n{}\n]\n", all.join(",\n"))))
        .unwrap();
    assert_eq!((ingested.batch.received, ingested.batch.stored), (4, 2));
    let refused = waiting(&place, &Filter::default());
    let told: Vec<_> = refused.iter().map(|line| (line.line, line.code.as_str())).collect();
    assert_eq!(told, [(2, "not_json"), (3, "not_json")], "{refused:?}");
    let begins = 2 + all[0].lines().count();
    assert!(
        refused[0]
            .sentence
            .ends_with(&format!("(the record begins on line {begins})")),
        "{}",
        refused[0].sentence
    );
    let right = all[1].replace("NaN", "60000");
    assert_eq!(
        edited(&place, 1, &right).unwrap().accepted,
        1,
        "over several lines, as it came"
    );
}

#[test]
fn an_array_that_was_cut_off_is_refused_whole_and_the_whole_file_is_taken_later() {
    let place = Place::new();
    let whole = format!("[{}]", objects().join(",\n"));
    place.drop("a.json", &whole[..whole.len() - 40]);
    let night = place.night(NOW);
    assert_eq!(
        (u8::from(night.exit_code()), night.control.all.received.records),
        (3, 0)
    );
    assert!(
        night.needs_person[0].contains("array is not closed after 3 complete values"),
        "{:?}",
        night.needs_person
    );
    assert_eq!(names(&place, "refused").len(), 1);
    place.drop("a.json", &whole);
    let night = place.night(LATER);
    assert_eq!((u8::from(night.exit_code()), records(&night, "metered")), (0, 4));
}

#[test]
fn a_packed_file_whose_name_does_not_say_so_is_refused_with_the_cure() {
    let place = Place::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(good(0..4).as_bytes()).unwrap();
    let zstd = zstd::encode_all(good(0..4).as_bytes(), 3).unwrap();
    for (name, bytes, cure) in [
        ("a.ndjson", gzip.finish().unwrap(), "add .gz to its name"),
        ("b.ndjson", zstd, "add .zst to its name"),
        ("c.csv", b"PK\x03\x04rest".to_vec(), "save the sheet as CSV"),
        ("d.json", b"PAR1rest".to_vec(), "rename it to .parquet"),
    ] {
        let error = place.ingest(NOW, &place.file(name, bytes)).unwrap_err().to_string();
        assert!(error.contains(cure) && error.contains(name), "{error}");
    }
}

#[test]
fn what_python_prints_is_refused_with_the_cure() {
    let place = Place::new();
    let text = "{'id': 'a', 'uin': 7}\n".to_owned() + &good(0..1).replace("60000", "NaN");
    let ingested = place.ingest(NOW, &place.file("a.ndjson", text)).unwrap();
    assert!(ingested.alarm.is_some());
    let refused = waiting(&place, &Filter::default());
    assert!(refused[0].sentence.contains("json.dumps"), "{}", refused[0].sentence);
    assert!(
        refused[1].sentence.contains("NaN is not valid JSON"),
        "{}",
        refused[1].sentence
    );
}

#[test]
fn a_dismissed_line_is_neither_tried_nor_listed_and_still_counts() {
    let place = Place::new();
    let future = line("later", 7, "2024-12-25T00:00:00Z", 60_000);
    let path = place.file("a.ndjson", good(0..1) + &future + "junk\n");
    place.ingest(NOW, &path).unwrap();
    assert_eq!(dismissed(&place, NOW, &Filter::of_numbers(vec![1])).unwrap().lines, 1);
    assert_eq!(
        dismissed(&place, NOW, &Filter::of_numbers(vec![1]))
            .unwrap_err()
            .exit_code(),
        2
    );
    let of_none = dismissed(&place, NOW, &Filter::of_numbers(vec![2, 99]))
        .unwrap_err()
        .to_string();
    assert!(of_none.contains("line 99 is not open"), "{of_none}");
    let again = place.ingest("2024-12-26T00:00:00Z", &path).unwrap();
    assert_eq!((again.retried, again.quarantine), (0, vec![("not_json".to_owned(), 1)]));
    let night = place.night("2024-12-26T01:00:00Z");
    assert_eq!((records(&night, "quarantined"), records(&night, "metered")), (2, 1));
    all_agree(&place);
}

#[test]
fn an_edited_line_takes_its_new_status_and_the_trail_has_both_digests() {
    let place = Place::new();
    let bad = without_offset(1..2);
    place.ingest(NOW, &place.file("a.ndjson", good(0..1) + &bad)).unwrap();
    place.night(NOW);
    let still = edited(&place, 1, bad.trim()).unwrap_err();
    assert_eq!(u8::from(still.exit_code()), 2);
    assert!(still.to_string().contains("is refused as well"), "{still}");
    assert!(
        edited(&place, 1, "  ")
            .unwrap_err()
            .to_string()
            .contains("quarantine dismiss")
    );
    assert_eq!(trail(&place).len(), 0, "nothing was written");
    let right = good(1..2);
    assert_eq!(edited(&place, 1, right.trim()).unwrap().accepted, 1);
    let again = edited(&place, 1, right.trim()).unwrap();
    assert_eq!(
        (again.accepted, again.already),
        (0, 1),
        "the same again changes nothing"
    );
    assert_eq!(
        edited(&place, 1, good(2..3).trim()).unwrap_err().exit_code(),
        2,
        "another form is refused"
    );
    let night = place.night(LATER);
    assert_eq!(
        (
            night.control.all.received.records,
            records(&night, "quarantined"),
            records(&night, "metered")
        ),
        (2, 0, 2)
    );
    let [entry] = &trail(&place)[..] else { panic!() };
    let digest = |text: &str| tallybook::values::digest::sha256_hex(text.trim().as_bytes());
    assert_eq!(
        (entry.action.as_str(), entry.subject.as_str()),
        ("quarantine correct", "line 1 of batch 1")
    );
    assert_eq!(
        entry.detail["sha_256"],
        serde_json::json!([{ "line": 1, "came": digest(&bad), "taken": digest(&right) }])
    );
    all_agree(&place);
}

#[test]
fn an_edited_row_of_a_csv_is_read_by_its_header() {
    let place = Place::new();
    let csv = "id,uin,appid,task_type,duration_ms,finished_at\na,7,1,Transcode,60000,2024-12-01T10:00:00\n";
    place.ingest(NOW, &place.file("a.csv", csv)).unwrap();
    assert_eq!(
        edited(&place, 1, "a,7,1,Transcode,60000,2024-12-01T10:00:00Z")
            .unwrap()
            .accepted,
        1
    );
    assert_eq!(open_alarms(&place), []);
    assert_eq!(records(&place.night(NOW), "quarantined"), 0);
    all_agree(&place);
}

#[test]
fn a_file_of_corrected_lines_is_taken_line_by_line_and_the_same_file_again_does_what_is_missing() {
    let place = Place::new();
    place
        .ingest(NOW, &place.file("a.ndjson", without_offset(0..3)))
        .unwrap();
    place
        .ingest(NOW, &place.file("b.ndjson", without_offset(10..12)))
        .unwrap();
    let take = |file: &str| {
        with_books(&place, NOW, async |books| {
            correct(books, "fixed", file.as_bytes(), "mended").await
        })
    };
    let all = with_books(&place, NOW, async |books| {
        lines_with_bytes(&books.ledger, &Filter::default(), Page::default())
            .await
            .unwrap()
    });
    let numbered: Vec<String> = all
        .iter()
        .map(|line| {
            format!(
                "{}\t{}",
                line.quarantine,
                String::from_utf8_lossy(line.bytes.as_ref().unwrap())
            )
        })
        .collect();
    let fixed = numbered.join("\n").replace("10:00:00\"", "10:00:00+08:00\"");
    let half = fixed.replacen("+08:00", "", 1);
    let corrected = take(&half).unwrap();
    assert_eq!(
        (
            corrected.accepted,
            corrected.refused.len(),
            corrected.audit_entries.len()
        ),
        (4, 1, 2)
    );
    assert_eq!(corrected.refused[0].quarantine, 1);
    assert_eq!(open_alarms(&place).len(), 1, "of the input of which a line waits");
    let corrected = take(&fixed).unwrap();
    assert_eq!(
        (corrected.accepted, corrected.already, corrected.refused.len()),
        (1, 4, 0)
    );
    assert_eq!(open_alarms(&place), []);
    let night = place.night(NOW);
    assert_eq!(
        (
            u8::from(night.exit_code()),
            records(&night, "metered"),
            records(&night, "quarantined")
        ),
        (0, 5, 0)
    );
    assert!(
        take("77\t{}\n")
            .unwrap_err()
            .to_string()
            .contains("line 77 is not open")
    );
    all_agree(&place);
}

#[test]
fn lines_are_found_by_batch_input_reason_day_and_source() {
    let place = Place::new();
    place
        .ingest(NOW, &place.file("a.ndjson", without_offset(0..2) + "junk\n"))
        .unwrap();
    place.ingest(LATER, &place.file("b%.ndjson", "junk\n")).unwrap();
    let found = |filter: Filter| -> Vec<i64> { waiting(&place, &filter).iter().map(|line| line.quarantine).collect() };
    assert_eq!(found(Filter::default()), [1, 2, 3, 4]);
    assert_eq!(found(Filter::of_batch(1)), [1, 2, 3]);
    let by_input = |name: &str| Filter {
        input: Some(name.to_owned()),
        ..Filter::default()
    };
    assert_eq!(found(by_input("a.ndjson")), [1, 2, 3]);
    assert_eq!(
        found(by_input(&place.path().join("b%.ndjson").display().to_string())),
        [4]
    );
    assert_eq!(found(by_input("b%.ndjson")), [4]);
    assert!(found(by_input("%")).is_empty(), "a sign of SQL is a sign of a name");
    assert!(
        found(by_input("B%.ndjson")).is_empty(),
        "capitals are told apart on every engine"
    );
    let by_code = Filter {
        code: Some("not_json".to_owned()),
        ..Filter::default()
    };
    assert_eq!(found(by_code.clone()), [3, 4]);
    let by_day = Filter {
        day: Some("2024-12-21".parse().unwrap()),
        ..by_code
    };
    assert_eq!(found(by_day), [4]);
    let by_source = |name: &str| Filter {
        source: Some(name.to_owned()),
        ..Filter::default()
    };
    assert_eq!(
        (found(by_source("default")).len(), found(by_source("mps"))),
        (4, vec![])
    );
    let counted = with_books(&place, NOW, async |books| {
        counts(&books.ledger, &Filter::default(), false).await.unwrap()
    });
    let counted: Vec<_> = counted.iter().map(|c| (c.batch, c.code.as_str(), c.lines)).collect();
    assert_eq!(counted, [(1, "not_a_time", 2), (1, "not_json", 1), (2, "not_json", 1)]);
    let page = |after| {
        with_books(&place, NOW, async |books| {
            let page = Page {
                all: false,
                after,
                limit: Some(3),
            };
            lines(&books.ledger, &Filter::default(), page).await.unwrap().len()
        })
    };
    assert_eq!((page(0), page(3), page(4)), (3, 1, 0));
}

#[test]
fn a_batch_and_a_reason_that_there_are_not_are_errors() {
    let place = Place::new();
    place.ingest(NOW, &place.file("a.ndjson", "junk\n")).unwrap();
    let of_no_batch = retried(&place, NOW, &Filter::of_batch(77)).unwrap_err();
    assert_eq!(u8::from(of_no_batch.exit_code()), 2);
    assert!(of_no_batch.to_string().contains("--batch 77: there is no such batch"));
    let misspelt = Filter {
        code: Some("not_jsn".to_owned()),
        ..Filter::default()
    };
    let error = retried(&place, NOW, &misspelt).unwrap_err();
    assert!(
        u8::from(error.exit_code()) == 2 && error.to_string().contains("not_json"),
        "{error}"
    );
    assert_eq!(retried(&place, NOW, &Filter::of_batch(1)).unwrap().tried, 1);
}

#[test]
fn the_bytes_of_refused_lines_are_kept_as_long_as_the_settings_say() {
    let mut place = Place::new();
    place.settings().keep_quarantine_months = 2;
    place.settings().policy.quarantine_months = 2;
    place
        .ingest(
            "2024-12-20T00:00:00Z",
            &place.file("a.ndjson", "junk\n".to_owned() + &good(0..1)),
        )
        .unwrap();
    assert_eq!(place.night("2025-02-19T00:00:00Z").expired.quarantine_payloads, 0);
    assert_eq!(place.night("2025-02-21T00:00:00Z").expired.quarantine_payloads, 1);
    assert_eq!(
        waiting(&place, &Filter::default()).len(),
        1,
        "the reason and the digest stay"
    );
}

fn program(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    command.env_clear().current_dir(place.path());
    command.arg("--data-dir").arg(place.data());
    command
        .args(["--as-of", NOW, "--who", "test", "--rate-cards"])
        .arg(crate::world::real_cards());
    command.args(arguments);
    if let Some(ledger) = crate::ledgers::url(place.path()) {
        command.env("TALLYBOOK_LEDGER", ledger);
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn case_07_from_the_alarm_to_the_corrected_file_on_the_command_line() {
    let place = Place::new();
    place.file("naive.ndjson", without_offset(0..1000));
    let (code, said) = program(&place, &["ingest", "naive.ndjson"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("ACTION REQUIRED: naive.ndjson (batch 1)"), "{said}");
    let (code, said) = program(&place, &["ingest", "naive.ndjson"]);
    assert_eq!(code, Some(3), "the same file again is no cure: {said}");
    let (_, said) = program(&place, &["status"]);
    assert!(said.contains("ALARM        naive.ndjson (batch 1)"), "{said}");
    let (_, said) = program(&place, &["quarantine", "alarms"]);
    assert!(said.contains("no_record"), "{said}");
    let (_, said) = program(&place, &["quarantine", "list", "--batch", "1", "--limit", "2"]);
    assert!(
        said.contains("2 of 1,000 lines shown; for more use --after 2"),
        "{said}"
    );
    let (_, said) = program(&place, &["quarantine", "list", "--csv"]);
    assert_eq!(said.lines().count(), 1001);
    let (_, said) = program(&place, &["quarantine", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(listed["lines"].as_array().unwrap().len(), 1000);
    let (_, said) = program(&place, &["quarantine", "show", "--batch", "1", "--lines-only"]);
    assert_eq!(said.lines().count(), 1000);
    place.file("fixed", said.replace("10:00:00\"", "10:00:00+08:00\""));
    let (code, said) = program(
        &place,
        &["quarantine", "correct", "fixed", "--reason", "the offset was left out"],
    );
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "1,000 corrected lines accepted (audit entry 1)\n")
    );
    let (code, said) = program(&place, &["quarantine", "retry", "--batch", "77"]);
    assert!(code == Some(2) && said.contains("there is no such batch"), "{said}");
    let (code, said) = program(&place, &["quarantine", "dismiss", "--reason", "all"]);
    assert!(code == Some(2) && said.contains("name the lines by"), "{said}");
    let night = place.night(NOW);
    assert_eq!((u8::from(night.exit_code()), records(&night, "metered")), (0, 1000));
    all_agree(&place);
}

#[test]
fn the_file_as_it_lies_beside_the_bug_log_is_told_of() {
    // As `bug-cases/07-nothing-usable/naive.csv`: pandas without zones.
    let place = Place::new();
    let rows: String = (0..100)
        .map(|id| format!("x{id},7,1,Transcode,60000,2024-12-01 10:00:00\n"))
        .collect();
    place.drop(
        "naive.csv",
        format!("id,uin,appid,task_type,duration_ms,finished_at\n{rows}"),
    );
    let night = place.night(NOW);
    assert_eq!(u8::from(night.exit_code()), 3);
    let [Ingested { alarm: Some(alarm), .. }] = &night.dropped.ingested[..] else {
        panic!()
    };
    assert!(alarm.is_of_no_record());
    assert!(names(&place, "done").is_empty() && Path::new(&names(&place, "refused")[0]).extension().is_some());
}
