//! The drop folder at its edges: files that are still written, or change after they were read.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use tallybook::pipeline::ingest::drop_folder::{Dropped, take_dropped_waiting};

use crate::world::{Place, at, line, run};

const DAY: &str = "2024-11-15T10:00:00+08:00";

/// By the machine's clock of the tests, a time after the files were really written.
const LATER: &str = "2100-01-01T00:00:00Z";

/// Takes what was dropped, at a time, with files that must rest for a minute. `meanwhile` happens while the night waits. Also says
/// how long it waited.
fn take(place: &mut Place, now: &str, meanwhile: impl FnOnce()) -> (Dropped, Option<Duration>) {
    place.settings().drop_rest_s = 60;
    run(async {
        let books = place.books(at(now)).await;
        let mut waited = None;
        let wait = async |how_long| {
            waited = Some(how_long);
            meanwhile();
        };
        let dropped = take_dropped_waiting(&books, wait).await.unwrap();
        books.ledger.close().await;
        (dropped, waited)
    })
}

/// The machine's clock a few seconds after a file was written.
fn soon_after(file: &std::path::Path, seconds: i64) -> String {
    let written: chrono::DateTime<chrono::Utc> = std::fs::metadata(file).unwrap().modified().unwrap().into();
    (written + chrono::TimeDelta::seconds(seconds)).to_rfc3339()
}

fn names(place: &Place, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place.data().join(folder)).unwrap();
    let files = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = files.map(|file| file.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_that_rests_is_taken_at_once() {
    let mut place = Place::new();
    place.drop("a.ndjson", line("a", 7, DAY, 60_000));
    let (dropped, waited) = take(&mut place, LATER, || ());
    assert_eq!((dropped.ingested.len(), dropped.left.len(), waited), (1, 0, None));
}

#[test]
fn a_night_waits_once_for_what_is_missing_of_a_rest_and_takes_what_stood_still() {
    let mut place = Place::new();
    place.drop("a.ndjson", line("a", 7, DAY, 60_000));
    let now = soon_after(&place.data().join("drop/a.ndjson"), 20);
    let (dropped, waited) = take(&mut place, &now, || ());
    assert_eq!((dropped.ingested.len(), dropped.left.len()), (1, 0));
    let waited = waited.unwrap();
    assert!(
        waited > Duration::from_secs(35) && waited <= Duration::from_secs(40),
        "{waited:?}"
    );
}

#[test]
fn a_file_from_the_future_is_taken_when_it_stood_still_for_a_whole_rest() {
    let mut place = Place::new();
    place.drop("a.ndjson", line("a", 7, DAY, 60_000));
    let (dropped, waited) = take(&mut place, "2024-12-01T00:00:00Z", || ());
    assert_eq!((dropped.ingested.len(), waited), (1, Some(Duration::from_mins(1))));
}

#[test]
fn a_file_that_grows_while_the_night_waits_is_left_for_the_next_night_and_stays_where_it_is() {
    let mut place = Place::new();
    place.settings().first_day = Some("2024-01-01".parse().unwrap());
    place.drop("a.ndjson", line("a", 7, DAY, 60_000));
    let path = place.data().join("drop/a.ndjson");
    let more = || {
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(line("b", 7, DAY, 60_000).as_bytes()).unwrap();
    };
    let (dropped, _) = take(&mut place, "2024-12-01T00:00:00Z", more);
    assert_eq!((dropped.ingested.len(), dropped.left.len()), (0, 1));
    assert_eq!(names(&place, "drop"), ["a.ndjson"]);
    let (dropped, _) = take(&mut place, LATER, || ());
    assert_eq!(dropped.ingested[0].batch.stored, 2);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_somebody_has_open_for_writing_is_left_however_old_it_is() {
    let mut place = Place::new();
    place.drop("a.ndjson", line("a", 7, DAY, 60_000));
    let writer = File::options()
        .append(true)
        .open(place.data().join("drop/a.ndjson"))
        .unwrap();
    let (dropped, waited) = take(&mut place, LATER, || ());
    assert_eq!((dropped.ingested.len(), dropped.left.len()), (0, 1));
    assert_eq!(waited, Some(Duration::from_mins(1)));
    drop(writer);
    let (dropped, _) = take(&mut place, LATER, || ());
    assert_eq!(dropped.ingested.len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_night_names_what_it_leaves_for_the_next_one_and_needs_no_person_for_it() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, DAY, 60_000));
    let _writer = File::options()
        .append(true)
        .open(place.data().join("drop/a.ndjson"))
        .unwrap();
    let night = place.night("2024-12-01T00:00:00Z");
    assert_eq!(u8::from(night.exit_code()), 0);
    let text = tallybook::nightly::report::night(&night);
    assert!(text.contains("a.ndjson is left for the next run: it is open"), "{text}");
}

#[test]
fn uploads_under_way_and_what_systems_leave_are_left_alone_without_a_word() {
    let place = Place::new();
    let alone = [
        ".a.ndjson.Xy12",
        "a.ndjson.filepart",
        "b.ndjson.crdownload",
        "_SUCCESS",
        "Thumbs.db",
        "~$usage.csv",
    ];
    for name in alone {
        place.drop(name, line("a", 7, DAY, 60_000));
    }
    std::fs::create_dir_all(place.data().join("drop/_temporary/0")).unwrap();
    let night = place.night("2024-12-01T00:00:00Z");
    assert_eq!(u8::from(night.exit_code()), 0, "{:?}", night.needs_person);
    let mut expected = alone.map(ToOwned::to_owned);
    expected.sort();
    assert_eq!(names(&place, "drop"), expected);
}

const HEADER: &str = "id,uin,appid,task_type,parameters.type,finished_at,duration_ms\n";

/// Rows of an hour each, or of as many milliseconds as are told.
fn rows(range: std::ops::Range<u32>, duration_ms: u32) -> String {
    range
        .map(|at| format!("w-{at},7,1,Transcode,Audio,2024-11-15T10:00:0{at}+08:00,{duration_ms}\n"))
        .collect()
}

/// The only file in a folder of the drop folder.
fn only(place: &Place, folder: &str) -> std::path::PathBuf {
    let names = names(place, folder);
    assert_eq!(names.len(), 1, "{names:?}");
    place.data().join(folder).join(&names[0])
}

fn append(path: &std::path::Path, text: &str) {
    let mut file = File::options().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Records and raw milliseconds of a status, over all batches.
fn total(night: &tallybook::nightly::Night, status: &str) -> (i64, i64) {
    let statuses = &night.control.all.statuses;
    let total = statuses.iter().find(|(name, _)| *name == status).unwrap().1;
    (total.records, total.raw_ms)
}

/// Everything agrees: raw measured again, statements, originals. Says which originals changed.
fn verified(place: &Place, now: &str) -> Vec<String> {
    run(async {
        let books = place.books(at(now)).await;
        let verified = tallybook::inspect::verify::verify(&books).await.unwrap();
        let conflicts = tallybook::decisions::conflict::list(&books, false, None).await.unwrap();
        books.ledger.close().await;
        assert_eq!((verified.differences, conflicts.len()), (Vec::<String>::new(), 0));
        verified.rewritten
    })
}

/// Lines that wait in quarantine.
fn waiting(place: &Place) -> i64 {
    run(async {
        let books = place.books(at(THIRD)).await;
        let counts = tallybook::pipeline::ingest::quarantine::store::quarantine_counts(&books.ledger, None)
            .await
            .unwrap();
        books.ledger.close().await;
        counts.iter().map(|(_, count)| count).sum()
    })
}

const FIRST: &str = "2024-11-20T00:00:00Z";
const SECOND: &str = "2024-11-21T00:00:00Z";
const THIRD: &str = "2024-11-22T00:00:00Z";

#[test]
fn what_a_writer_appends_after_its_file_was_read_is_read_by_the_next_night() {
    let place = Place::new();
    place.drop("u.ndjson", line("a", 7, DAY, 60_000));
    place.night(FIRST);
    append(&only(&place, "drop/done"), &line("b", 7, DAY, 30_000));
    let night = place.night(SECOND);
    assert_eq!(
        (total(&night, "metered"), total(&night, "duplicate").0),
        ((2, 90_000), 1)
    );
    assert_eq!(u8::from(night.exit_code()), 0);
    let reread = &night.dropped.reread[0];
    assert_eq!(
        (reread.first_batch, reread.batch, reread.cut_line, reread.gone),
        (1, 2, None, 0)
    );
    let told = verified(&place, THIRD);
    assert!(
        told[0].contains("the input file of batch 1") && told[0].contains("was read again as batch 2"),
        "{told:?}"
    );
    let quiet = place.night(THIRD);
    assert!(quiet.dropped.reread.is_empty() && quiet.dropped.ingested.is_empty());
}

#[test]
fn a_csv_row_that_was_cut_in_its_last_number_is_billed_by_the_whole_row() {
    let place = Place::new();
    let text = format!("{HEADER}{}", rows(0..8, 3_600_000));
    let cut = text.find("w-4").unwrap() - 4;
    place.drop("u.csv", &text[..cut]);
    let night = place.night(FIRST);
    assert_eq!(
        total(&night, "metered"),
        (4, 3 * 3_600_000 + 3_600),
        "the cut row looks like a record"
    );
    append(&only(&place, "drop/done"), &text[cut..]);
    let night = place.night(SECOND);
    assert_eq!(total(&night, "metered"), (8, 8 * 3_600_000));
    assert_eq!(
        (
            night.metered.conflicts,
            night.metered.completed,
            u8::from(night.exit_code())
        ),
        (0, 1, 0)
    );
    assert_eq!(verified(&place, THIRD).len(), 1);
    run(async {
        let books = place.books(at(THIRD)).await;
        let trail = tallybook::storage::ledger::audit_trail(&books.ledger).await.unwrap();
        books.ledger.close().await;
        let entry = trail.iter().find(|entry| entry.action == "whole line").unwrap();
        assert_eq!(
            (entry.who.as_str(), entry.subject.as_str()),
            ("tallybook", "batch 1 line 5")
        );
    });
}

#[test]
fn a_csv_row_that_was_cut_in_its_id_is_taken_back_and_the_whole_row_is_billed() {
    let place = Place::new();
    let header = "uin,appid,task_type,parameters.type,finished_at,duration_ms,id\n";
    let text = format!("{header}7,1,Transcode,Audio,{DAY},60000,w-1\n7,1,Transcode,Audio,{DAY},60000,w-1234\n");
    place.drop("u.csv", &text[..text.len() - 3]);
    place.night(FIRST);
    append(&only(&place, "drop/done"), &text[text.len() - 3..]);
    let night = place.night(SECOND);
    assert_eq!((total(&night, "metered"), total(&night, "voided").0), ((2, 120_000), 1));
    assert_eq!((night.metered.completed, night.metered.voids), (1, 0));
    verified(&place, THIRD);
}

#[test]
fn a_json_line_that_was_cut_is_taken_whole_and_waits_no_more() {
    let place = Place::new();
    let text = line("a", 7, DAY, 60_000) + &line("b", 7, DAY, 30_000);
    place.drop("u.ndjson", &text[..text.len() - 40]);
    let night = place.night(FIRST);
    assert_eq!((total(&night, "metered").0, waiting(&place)), (1, 1));
    append(&only(&place, "drop/done"), &text[text.len() - 40..]);
    let night = place.night(SECOND);
    assert_eq!((total(&night, "metered"), waiting(&place)), ((2, 90_000), 0));
    assert_eq!(total(&night, "quarantined").0, 1, "it was refused, and still counts so");
    verified(&place, THIRD);
}

#[test]
fn a_csv_row_that_was_cut_in_its_time_is_whole_afterwards() {
    let place = Place::new();
    let header = "id,uin,appid,task_type,parameters.type,duration_ms,finished_at\n";
    let text = format!("{header}a,7,1,Transcode,Audio,60000,{DAY}\nb,7,1,Transcode,Audio,60000,{DAY}\n");
    place.drop("u.csv", &text[..text.len() - 10]);
    let night = place.night(FIRST);
    assert_eq!((total(&night, "metered").0, total(&night, "quarantined").0), (1, 1));
    append(&only(&place, "drop/done"), &text[text.len() - 10..]);
    let night = place.night(SECOND);
    assert_eq!(total(&night, "metered"), (2, 120_000));
    assert_eq!(waiting(&place), 0, "nobody need look at the cut line");
    verified(&place, THIRD);
}

#[test]
fn a_cut_row_of_a_closed_period_becomes_an_adjustment() {
    let place = Place::new();
    let text = format!("{HEADER}{}", rows(0..2, 3_600_000));
    let cut = text.len() - 4;
    place.drop("u.csv", &text[..cut]);
    place.night("2024-12-10T00:00:00Z");
    append(&only(&place, "drop/done"), &text[cut..]);
    let night = place.night("2024-12-11T00:00:00Z");
    assert_eq!(total(&night, "metered"), (2, 2 * 3_600_000));
    assert!(
        night.metered.late_records == 0 && u8::from(night.exit_code()) == 0,
        "{:?}",
        night.needs_person
    );
    verified(&place, "2024-12-12T00:00:00Z");
    place.night("2025-01-10T00:00:00Z");
    let lines: String = place
        .exported("statement_lines.csv")
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert!(lines.contains("adjustment"), "{lines}");
}

#[test]
fn the_full_file_sent_again_under_its_name_replaces_the_cut_row() {
    let place = Place::new();
    let text = format!("{HEADER}{}", rows(0..8, 3_600_000));
    let cut = text.find("w-4").unwrap() - 4;
    place.drop("u.csv", &text[..cut]);
    place.night(FIRST);
    place.drop("u.csv", &text);
    let night = place.night(SECOND);
    assert_eq!(
        (total(&night, "metered"), night.metered.conflicts),
        ((8, 8 * 3_600_000), 0)
    );
    verified(&place, THIRD);
}

#[test]
fn a_cut_row_and_its_whole_in_one_metering_are_told_apart() {
    let place = Place::new();
    let text = format!("{HEADER}{}", rows(0..2, 3_600_000));
    let path = place.file("u.csv", &text[..text.len() - 4]);
    place.ingest(FIRST, &path).unwrap();
    let path = place.file("u.csv", &text);
    place.ingest(FIRST, &path).unwrap();
    let night = place.night(FIRST);
    assert_eq!(
        (total(&night, "metered"), night.metered.completed),
        ((2, 2 * 3_600_000), 1)
    );
    verified(&place, SECOND);
}

#[test]
fn an_original_that_was_rewritten_is_read_again_and_what_is_gone_is_counted() {
    let place = Place::new();
    let [a, b, c] = ["a", "b", "c"].map(|id| line(id, 7, DAY, 60_000));
    place.drop("u.ndjson", format!("{a}{b}{c}"));
    place.night(FIRST);
    let done = only(&place, "drop/done");
    std::fs::write(
        &done,
        format!("{}{}", line("b", 7, DAY, 61_000), line("d", 7, DAY, 60_000)),
    )
    .unwrap();
    let night = place.night(SECOND);
    assert_eq!((night.metered.conflicts, night.dropped.reread[0].gone), (1, 2));
    assert_eq!(
        total(&night, "metered"),
        (4, 240_000),
        "the first stands, the new one is new"
    );
    let text = tallybook::nightly::report::night(&night);
    assert!(
        text.contains("records that are no longer in it: 2. They stay billed"),
        "{text}"
    );
}

#[test]
fn half_a_gz_is_refused_and_read_when_it_is_whole() {
    let place = Place::new();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(line("a", 7, DAY, 60_000).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    place.drop("u.ndjson.gz", &packed[..packed.len() / 2]);
    assert_eq!(place.night(FIRST).exit_code(), 3);
    let mut file = File::options().append(true).open(only(&place, "drop/refused")).unwrap();
    file.write_all(&packed[packed.len() / 2..]).unwrap();
    drop(file);
    let night = place.night(SECOND);
    assert_eq!((total(&night, "metered").0, u8::from(night.exit_code())), (1, 0));
    assert!(names(&place, "drop/refused").is_empty());
    only(&place, "drop/done");
    verified(&place, THIRD);
}

#[test]
fn an_original_that_can_be_read_no_more_needs_a_person_until_it_is_put_right() {
    let place = Place::new();
    let text = line("a", 7, DAY, 60_000);
    let packed = zstd::encode_all(text.as_bytes(), 3).unwrap();
    place.drop("u.ndjson.zst", &packed);
    place.night(FIRST);
    let done = only(&place, "drop/done");
    std::fs::write(&done, "no zstd").unwrap();
    for now in [SECOND, THIRD] {
        let night = place.night(now);
        assert_eq!((u8::from(night.exit_code()), night.dropped.spoilt.len()), (3, 1));
    }
    std::fs::write(&done, &packed).unwrap();
    assert_eq!(place.night("2024-11-23T00:00:00Z").exit_code(), 0);
    assert!(verified(&place, "2024-11-24T00:00:00Z").is_empty());
}

#[test]
fn an_original_with_its_old_bytes_and_another_time_is_what_it_was() {
    let place = Place::new();
    place.drop("u.ndjson", line("a", 7, DAY, 60_000));
    place.night(FIRST);
    let done = only(&place, "drop/done");
    let bytes = std::fs::read(&done).unwrap();
    std::fs::write(&done, bytes).unwrap();
    let night = place.night(SECOND);
    assert!(night.dropped.reread.is_empty() && night.dropped.ingested.is_empty());
    assert!(verified(&place, THIRD).is_empty());
}

#[test]
fn an_empty_file_is_taken_and_the_full_one_after_it_too() {
    let place = Place::new();
    place.drop("u.ndjson", "");
    assert_eq!(place.night(FIRST).exit_code(), 0);
    place.drop("u.ndjson", line("a", 7, DAY, 60_000));
    assert_eq!(total(&place.night(SECOND), "metered").0, 1);
    verified(&place, THIRD);
}

#[test]
fn the_same_bytes_under_another_source_are_refused_until_somebody_means_it() {
    let place = Place::new();
    let path = place.file("u.ndjson", line("a", 7, DAY, 60_000));
    place.ingest(FIRST, &path).unwrap();
    let copy = place.file("copy.ndjson", line("a", 7, DAY, 60_000));
    let again = |input: tallybook::pipeline::ingest::input::Input| {
        run(async {
            let books = place.books(at(FIRST)).await;
            let ingested = tallybook::pipeline::ingest::ingest(&books, &input, "mps").await;
            books.ledger.close().await;
            ingested
        })
    };
    let input = || tallybook::pipeline::ingest::input::Input::named(&copy, None).unwrap();
    let error = again(input()).unwrap_err();
    assert_eq!(u8::from(error.exit_code()), 2);
    assert!(error.to_string().contains("--again-as mps"), "{error}");
    assert_eq!(again(input().again()).unwrap().batch.stored, 1);
}

#[test]
fn bytes_known_under_another_name_are_told_with_both_names() {
    let place = Place::new();
    place
        .ingest(FIRST, &place.file("old.ndjson", line("a", 7, DAY, 60_000)))
        .unwrap();
    let known = place
        .ingest(FIRST, &place.file("good.ndjson", line("a", 7, DAY, 60_000)))
        .unwrap();
    let text = tallybook::nightly::report::ingested(&known);
    assert!(
        text.contains("good.ndjson: already ingested as batch 1 under the name "),
        "{text}"
    );
    assert!(text.contains("old.ndjson, nothing changed"), "{text}");
}

/// Runs the program in a small world, where reading a file of this name aborts.
fn poisoned(place: &std::path::Path, args: &[&str]) -> crate::crashes::process::Ended {
    let mut command = crate::crashes::process::program(place, crate::faults::small::NIGHT, args);
    command.env("TALLYBOOK_ABORT_READING", "poison.ndjson");
    crate::crashes::process::run(&mut command)
}

#[test]
fn a_file_that_ends_the_process_is_set_aside_by_the_third_night_and_the_others_are_billed() {
    let place = crate::faults::small::place();
    let place = place.path();
    std::fs::write(place.join("books/drop/poison.ndjson"), line("p", 7, DAY, 60_000)).unwrap();
    for _ in 0..2 {
        assert_eq!(poisoned(place, &["nightly"]).code, None, "the night dies of it");
    }
    let night = poisoned(place, &["nightly"]);
    assert_eq!(night.code, Some(3), "{}", night.said);
    let refused = std::fs::read_dir(place.join("books/drop/refused")).unwrap();
    let refused: Vec<String> = refused
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        refused.len() == 1 && refused[0].ends_with("-poison.ndjson"),
        "{refused:?}"
    );
    let night = poisoned(place, &["nightly"]);
    assert_eq!(night.code, Some(0), "{}", night.said);
    assert_eq!(crate::crashes::books::differences(place), Vec::<String>::new());
}

#[test]
fn an_input_that_ends_the_process_needs_a_person_the_third_time() {
    let place = crate::faults::small::place();
    let place = place.path();
    std::fs::write(place.join("in/poison.ndjson"), line("p", 7, DAY, 60_000)).unwrap();
    let ingest = || poisoned(place, &["ingest", "in/poison.ndjson"]);
    assert_eq!([ingest().code, ingest().code], [None, None]);
    let words = [
        "poison.ndjson",
        "crashed the program three times",
        "have it created again",
    ];
    crate::faults::small::says(&ingest(), 3, &words);
}

#[test]
fn an_input_that_was_only_unlucky_is_taken_by_the_child() {
    let place = crate::faults::small::place();
    let place = place.path();
    std::fs::write(place.join("in/poison.ndjson"), line("p", 7, DAY, 60_000)).unwrap();
    for _ in 0..2 {
        assert_eq!(poisoned(place, &["ingest", "in/poison.ndjson"]).code, None);
    }
    let mut command =
        crate::crashes::process::program(place, crate::faults::small::NIGHT, &["ingest", "in/poison.ndjson"]);
    let ended = crate::crashes::process::run(&mut command);
    assert!(ended.said.contains("read in a separate process"), "{}", ended.said);
    crate::faults::small::ends(&mut command, 0);
    crate::faults::small::ends(&mut crate::faults::small::night(place), 0);
    assert_eq!(crate::crashes::books::differences(place), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(place.join("books/attempts")).unwrap().count(), 0);
}

/// A folder beside the books: paths below it, and texts.
fn folder(place: &Place, name: &str, files: &[(&str, &str)]) -> std::path::PathBuf {
    let root = place.path().join(name);
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

const PART_HEADER: &str = "id,appid,task_type,parameters.type,duration_ms,finished_at\n";

fn part_row(id: &str) -> String {
    format!("{id},1,Transcode,Audio,60000,{DAY}\n")
}

#[test]
fn a_hive_folder_of_csv_is_one_input_whose_partitions_fill_fields() {
    let place = Place::new();
    let one = format!("{PART_HEADER}{}{}", part_row("a"), part_row("b"));
    let two = format!("{PART_HEADER}{}not a row\n", part_row("c"));
    let root = folder(
        &place,
        "usage",
        &[
            ("region=cn/uin=7/part-0.csv", &one),
            ("region=cn/uin=8/part-1.csv", &two),
            ("region=cn/uin=8/.part-1.csv.crc", "x"),
            ("_SUCCESS", ""),
        ],
    );
    let ingested = place.ingest(FIRST, &root).unwrap();
    assert_eq!((ingested.batch.stored, ingested.batch.quarantined), (3, 1));
    assert_eq!(ingested.left_out, ["region"]);
    run(async {
        let books = place.books(at(FIRST)).await;
        let of_batch = tallybook::pipeline::ingest::quarantine::filter::Filter::of_batch(1);
        let page = tallybook::pipeline::ingest::quarantine::store::Page::default();
        let lines = tallybook::pipeline::ingest::quarantine::store::lines(&books.ledger, &of_batch, page)
            .await
            .unwrap();
        assert!(
            lines[0].sentence.contains("(line 3 of region=cn/uin=8/part-1.csv)"),
            "{}",
            lines[0].sentence
        );
        books.ledger.close().await;
    });
    assert!(
        place.ingest(FIRST, &root).unwrap().already,
        "the same folder again changes nothing"
    );
    let night = place.night(FIRST);
    assert_eq!((total(&night, "metered").0, night.metered.new_accounts), (3, 2));
    verified(&place, SECOND);
}

#[test]
fn a_spark_folder_in_the_drop_folder_is_taken_when_it_is_finished() {
    let place = Place::new();
    let [a, b] = ["a", "b"].map(|id| line(id, 7, DAY, 60_000));
    let root = folder(&place, "books/drop/out", &[("part-0.json", &a), ("part-1.json", &b)]);
    let night = place.night(FIRST);
    assert_eq!(
        (night.dropped.ingested.len(), u8::from(night.exit_code())),
        (0, 3),
        "it has no _SUCCESS"
    );
    std::fs::write(root.join("_SUCCESS"), "").unwrap();
    let night = place.night(SECOND);
    assert_eq!(
        (total(&night, "metered").0, u8::from(night.exit_code())),
        (2, 0),
        "{:?}",
        night.needs_person
    );
    assert!(!root.exists());
    verified(&place, THIRD);
    let done = std::fs::read_dir(place.data().join("drop/done")).unwrap();
    assert_eq!(done.count(), 1);
    place.night("2025-01-01T00:00:00Z");
    let done = std::fs::read_dir(place.data().join("drop/done")).unwrap();
    assert_eq!(done.count(), 0, "it goes a month after receipt, as a file does");
}

#[test]
fn a_spark_folder_of_parquet_has_its_partition_in_every_record() {
    use polars::prelude::*;
    use polars_io::prelude::*;
    let place = Place::new();
    for (at, uin) in [(0, 7), (1, 8)] {
        let mut frame = df!(
            "id" => [format!("a{at}"), format!("b{at}")],
            "appid" => [1_i64, 1],
            "task_type" => ["Transcode", "Transcode"],
            "parameters.type" => ["Audio", "Audio"],
            "duration_ms" => [60_000_i64, 60_000],
            "finished_at" => [DAY, DAY],
        )
        .unwrap();
        let path = place.path().join(format!("usage/uin={uin}/part-{at}.parquet"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        ParquetWriter::new(File::create(path).unwrap())
            .finish(&mut frame)
            .unwrap();
    }
    let ingested = place.ingest(FIRST, &place.path().join("usage")).unwrap();
    assert_eq!((ingested.batch.stored, ingested.batch.quarantined), (4, 0));
    let night = place.night(FIRST);
    assert_eq!(
        (total(&night, "metered"), night.metered.new_accounts),
        ((4, 240_000), 2)
    );
    verified(&place, SECOND);
}

#[test]
fn a_folder_of_two_formats_or_of_none_is_an_error_that_names_them() {
    let place = Place::new();
    let mixed = folder(&place, "mixed", &[("a.csv", PART_HEADER), ("b.json", "{}")]);
    let error = place.ingest(FIRST, &mixed).unwrap_err().to_string();
    assert!(error.contains("a.csv and b.json"), "{error}");
    let empty = folder(&place, "empty", &[("_SUCCESS", "")]);
    let error = place.ingest(FIRST, &empty).unwrap_err().to_string();
    assert!(error.contains("without any file of records"), "{error}");
}

#[test]
fn a_row_that_grows_night_by_night_is_billed_as_it_is_in_the_end() {
    let place = Place::new();
    let text = format!("{HEADER}{}", rows(0..2, 3_600_000));
    place.drop("u.csv", &text[..text.len() - 6]);
    // What of the text is not there yet, and what that comes to.
    let mut missing = 6;
    assert_eq!(total(&place.night(FIRST), "metered"), (2, 3_600_000 + 36));
    for (now, left, metered) in [(SECOND, 4, 3_600_000 + 3_600), (THIRD, 0, 2 * 3_600_000)] {
        append(
            &only(&place, "drop/done"),
            &text[text.len() - missing..text.len() - left],
        );
        missing = left;
        let night = place.night(now);
        assert_eq!(
            (total(&night, "metered"), night.metered.conflicts),
            ((2, metered), 0),
            "{now}"
        );
    }
    verified(&place, "2024-11-23T00:00:00Z");
}
