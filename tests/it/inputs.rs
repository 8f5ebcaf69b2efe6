//! Bad input of every kind ends in quarantine by line, or in one clear error for the file; never in half a file.

use std::io::Write as _;

use polars::prelude::*;
use polars_io::prelude::*;
use tallybook::pipeline::ingest::Ingested;
use tallybook::pipeline::ingest::quarantine::filter::Filter;
use tallybook::pipeline::ingest::quarantine::store::{Page, lines_with_bytes};
use tallybook::support::error::Error;

use crate::world::{Place, at, line, run};

const NOW: &str = "2024-12-20T00:00:00Z";
const GOOD_TIME: &str = "2024-12-01T10:00:00+08:00";

fn good() -> String {
    line("good", 7, GOOD_TIME, 60_000)
}

/// Ingests a file between two good lines and says what was quarantined.
fn refused(bad: &[u8]) -> Vec<(String, i64)> {
    let place = Place::new();
    let mut bytes = line("before", 7, GOOD_TIME, 1).into_bytes();
    bytes.extend_from_slice(bad);
    bytes.push(b'\n');
    bytes.extend_from_slice(line("after", 7, GOOD_TIME, 1).as_bytes());
    let ingested = place.ingest(NOW, &place.file("a.ndjson", bytes)).unwrap();
    assert_eq!(ingested.batch.stored, 2, "the lines around a bad one are taken");
    ingested.quarantine
}

fn codes(bad: &[u8]) -> String {
    refused(bad)
        .into_iter()
        .map(|(code, count)| format!("{code} {count}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn with(field: &str, value: &str) -> Vec<u8> {
    let line = good();
    let start = line.find(&format!("\"{field}\":")).unwrap() + field.len() + 3;
    let end = start + line[start..].find([',', '}']).unwrap();
    format!("{}{value}{}", &line[..start], line[end..].trim_end()).into_bytes()
}

#[test]
fn each_bad_line_has_its_reason_and_the_lines_around_it_are_taken() {
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(1 << 20));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("not UTF-8", b"{\"id\":\"\xff\"}".to_vec()),
        ("no JSON", b"hello".to_vec()),
        ("cut off", good().as_bytes()[..60].to_vec()),
        ("1 MiB line", long.into_bytes()),
        ("nested parameter", with("type", "{\"a\":1}")),
        ("NaN", with("duration_ms", "NaN")),
        ("1e400", with("duration_ms", "1e400")),
        ("negative", with("duration_ms", "-1")),
        ("fraction", with("duration_ms", "1.5")),
        ("beyond 2^53", with("duration_ms", "9007199254740993")),
        ("duplicate key", with("appid", "1,\"appid\":1")),
        ("unknown field", with("appid", "1,\"durations\":1")),
        ("not reached", with("finished_at", "\"0000-00-00T00:00:00Z\"")),
        ("future", with("finished_at", "\"2025-12-01T00:00:00Z\"")),
        ("no offset", with("finished_at", "\"2024-12-01T00:00:00\"")),
        ("unknown status", with("appid", "1,\"status\":\"PENDING\"")),
        ("beyond u64", with("appid", "18446744073709551616")),
        ("missing", b"{\"id\":\"a\"}".to_vec()),
        ("an array", b"[]".to_vec()),
    ];
    let report: Vec<String> = cases
        .into_iter()
        .map(|(name, bad)| format!("{name}: {}", codes(&bad)))
        .collect();
    insta::assert_snapshot!(report.join("\n"), @r"
    not UTF-8: not_utf8 1
    no JSON: not_json 1
    cut off: cut_off 1
    1 MiB line: line_too_long 1
    nested parameter: nested_parameter 1
    NaN: not_json 1
    1e400: out_of_range 1
    negative: negative 1
    fraction: not_whole 1
    beyond 2^53: out_of_range 1
    duplicate key: duplicate_field 1
    unknown field: unknown_field 1
    not reached: not_finished 1
    future: in_the_future 1
    no offset: not_a_time 1
    unknown status: unknown_status 1
    beyond u64: out_of_range 1
    missing: missing_field 1
    an array: not_an_object 1
    ");
}

#[test]
fn a_cut_off_last_line_is_quarantined_and_a_whole_one_without_line_end_is_taken() {
    let place = Place::new();
    let cut = format!("{}{}", good(), &good()[..50]);
    let ingested = place.ingest(NOW, &place.file("cut.ndjson", cut)).unwrap();
    assert_eq!((ingested.batch.stored, ingested.batch.quarantined), (1, 1));
    let whole = place
        .ingest(NOW, &place.file("whole.ndjson", good().trim_end()))
        .unwrap();
    assert_eq!((whole.batch.stored, whole.batch.quarantined), (1, 0));
}

#[test]
fn an_empty_file_is_an_empty_batch_and_a_blank_line_is_no_record() {
    let place = Place::new();
    let empty = place.ingest(NOW, &place.file("empty.ndjson", "")).unwrap();
    assert_eq!(empty.batch.received, 0);
    let blank = place.ingest(NOW, &place.file("blank.ndjson", "\n  \n")).unwrap();
    assert_eq!(blank.batch.received, 0);
}

fn file_error(result: Result<Ingested, Error>) -> String {
    match result.unwrap_err() {
        Error::Input { what, .. } => what,
        other => panic!("{other}"),
    }
}

#[test]
fn a_corrupt_gz_is_one_error_and_leaves_nothing() {
    let place = Place::new();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(good().repeat(10_000).as_bytes()).unwrap();
    let mut bytes = packed.finish().unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    let what = file_error(place.ingest(NOW, &place.file("a.ndjson.gz", bytes)));
    assert!(what.contains("nothing was ingested"), "{what}");
    let whole = place.ingest(NOW, &place.file("b.ndjson", good())).unwrap();
    assert_eq!(whole.batch.batch, 1, "the broken file took no batch number");
}

#[test]
fn gz_and_zst_hold_the_same_records_as_the_plain_file() {
    let place = Place::new();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(good().as_bytes()).unwrap();
    let gz = place
        .ingest(NOW, &place.file("a.ndjson.gz", packed.finish().unwrap()))
        .unwrap();
    let zst = zstd::encode_all(good().as_bytes(), 3).unwrap();
    let zst = place.ingest(NOW, &place.file("a.ndjson.zst", zst)).unwrap();
    assert_eq!((gz.batch.stored, zst.batch.stored), (1, 1));
    let night = place.night(NOW);
    let duplicate = night
        .control
        .all
        .statuses
        .iter()
        .find(|(name, _)| *name == "duplicate")
        .unwrap();
    assert_eq!(duplicate.1.records, 1);
}

#[test]
fn a_csv_is_taken_by_its_columns_and_says_what_it_lacks() {
    let place = Place::new();
    let csv = "id,uin,appid,task_type,parameters.type,parameters.images,duration_ms,finished_at\r\n\
               a,7,1,Snapshot,SampleSnapshot,3,0,2024-12-01T10:00:00Z\r\n\
               \"b\",7,1,Snapshot,SampleSnapshot,x,0,2024-12-01T10:00:00Z\r\n\
               c,7,1\r\n";
    let ingested = place.ingest(NOW, &place.file("a.csv", csv)).unwrap();
    assert_eq!(
        (ingested.batch.received, ingested.batch.stored),
        (3, 1),
        "{:?}",
        ingested.quarantine
    );
    let what = file_error(place.ingest(
        NOW,
        &place.file("b.csv", "id,uin,appid,task_type,finished_at\na,1,1,x,y\n"),
    ));
    assert!(what.contains("duration_ms"), "{what}");
    let what = file_error(place.ingest(NOW, &place.file("c.csv", "id,uni\na,1\n")));
    assert!(what.contains("uni"), "{what}");
}

#[test]
fn a_parquet_is_taken_by_its_columns_and_another_schema_is_one_error() {
    let place = Place::new();
    let path = place.file("a.parquet", "");
    let mut frame = df!(
        "id" => ["a", "b"],
        "uin" => [7_u64, 7],
        "appid" => [1_i32, 1],
        "task_type" => ["Snapshot", "Snapshot"],
        "parameters.type" => ["SampleSnapshot", "SampleSnapshot"],
        "parameters.images" => [Some(3_i64), None],
        "duration_ms" => [0.0, 1.5],
        "finished_at" => ["2024-12-01T10:00:00Z", "2024-12-01T10:00:00Z"],
    )
    .unwrap();
    ParquetWriter::new(std::fs::File::create(&path).unwrap())
        .finish(&mut frame)
        .unwrap();
    let ingested = place.ingest(NOW, &path).unwrap();
    assert_eq!(ingested.batch.stored, 1);
    assert_eq!(ingested.quarantine, [("not_whole".to_owned(), 1)]);
    let mut other = df!("a" => [1_i64]).unwrap();
    ParquetWriter::new(std::fs::File::create(&path).unwrap())
        .finish(&mut other)
        .unwrap();
    assert!(file_error(place.ingest(NOW, &path)).contains("has no column `id`, and it has `a`"));
    frame
        .with_column(Column::new("cost".into(), [None, Some(1.5)]))
        .unwrap();
    ParquetWriter::new(std::fs::File::create(&path).unwrap())
        .finish(&mut frame)
        .unwrap();
    let ingested = place.ingest(NOW, &path).unwrap();
    assert_eq!(ingested.batch.stored, 1);
    assert_eq!(ingested.quarantine, [("unknown_field".to_owned(), 1)]);
    let what = file_error(place.ingest(NOW, &place.file("b.parquet", "PAR1 and then nothing")));
    assert!(what.contains("not a readable Parquet file"), "{what}");
}

#[test]
fn the_same_file_again_changes_nothing_and_quarantined_lines_are_tried_again() {
    let place = Place::new();
    let future = line("later", 7, "2024-12-25T00:00:00Z", 60_000);
    let path = place.file("a.ndjson", format!("{}{future}", good()));
    let first = place.ingest(NOW, &path).unwrap();
    assert_eq!(first.quarantine, [("in_the_future".to_owned(), 1)]);
    let again = place.ingest(NOW, &path).unwrap();
    assert!(again.already && again.retried == 0);
    let after = place.ingest("2024-12-26T00:00:00Z", &path).unwrap();
    assert!(after.already && after.retried == 1 && after.quarantine.is_empty());
    let night = place.night("2024-12-26T01:00:00Z");
    let of = |status: &str| {
        night
            .control
            .all
            .statuses
            .iter()
            .find(|(name, _)| *name == status)
            .unwrap()
            .1
            .records
    };
    assert_eq!(
        (night.control.all.received.records, of("quarantined"), of("metered")),
        (2, 0, 2)
    );
}

#[test]
fn unknown_accounts_can_be_kept_out_until_they_are_added() {
    let mut place = Place::new();
    place.settings().unknown_accounts = tallybook::context::UnknownAccounts::Quarantine;
    let path = place.file("a.ndjson", good());
    let ingested = place.ingest(NOW, &path).unwrap();
    assert_eq!(ingested.quarantine, [("unknown_account".to_owned(), 1)]);
    place.add_account(
        NOW,
        7,
        "mps-cn",
        tallybook::values::calendar::Cycle::Monthly { anchor_day: 1 },
        "2024-12-01",
    );
    assert_eq!(place.ingest(NOW, &path).unwrap().retried, 1);
}

#[test]
fn the_drop_folder_takes_complete_files_and_refuses_what_cannot_be_read() {
    let place = Place::new();
    place.drop("a.ndjson", good());
    place.drop("b.ndjson.part", good());
    place.drop("c.ndjson.gz", "no gz");
    place.drop("d.txt", "no usage");
    let night = place.night(NOW);
    assert_eq!((night.dropped.ingested.len(), night.dropped.refused.len()), (1, 2));
    assert_eq!(u8::from(night.exit_code()), 3);
    let names = |folder: &str| {
        let mut names: Vec<String> = std::fs::read_dir(place.data().join(folder))
            .unwrap()
            .map(|e| e.unwrap())
            .filter(|e| e.file_type().unwrap().is_file())
            .map(|e| e.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("drop"), ["b.ndjson.part"]);
    assert!(names("drop/done")[0].ends_with("-a.ndjson"));
    assert_eq!(names("drop/refused").len(), 2);
    place.drop("a.ndjson", line("other", 7, GOOD_TIME, 60_000));
    place.night("2024-12-21T00:00:00Z");
    assert_eq!(names("drop/done").len(), 2, "equal names never overwrite");
}

/// A CSV with these rows below its header.
fn csv_of(rows: &[&str]) -> String {
    let header = "id,uin,appid,task_type,duration_ms,finished_at";
    format!("{header}\n{}\n", rows.join("\n"))
}

#[test]
fn a_byte_order_mark_in_a_row_is_data_wherever_the_row_stands() {
    let row = "\u{feff}y,7,1,Transcode,1,2024-11-15T10:00:00Z";
    let place = Place::new();
    // Were the mark taken off in one place, the rows would have two identities.
    let path = place.file(
        "a.csv",
        csv_of(&[row, row, "z,7,1,Transcode,1,2024-11-15T10:00:00Z", row]),
    );
    assert_eq!(place.ingest("2024-11-20T00:00:00Z", &path).unwrap().batch.stored, 4);
    let night = place.night("2024-11-20T00:00:00Z");
    let duplicates = night
        .control
        .all
        .statuses
        .iter()
        .find(|(name, _)| *name == "duplicate")
        .unwrap();
    assert_eq!(duplicates.1.records, 2);
}

#[test]
fn a_refused_row_keeps_its_spaces_and_its_line_number_and_is_refused_again() {
    let place = Place::new();
    let path = place.file(
        "a.csv",
        csv_of(&[
            "",
            "a,7,1,Transcode,1,2024-11-15T10:00:00Z",
            "b,7,1,Transcode,1,2024-11-15T10:00:00Z ",
            "",
        ]),
    );
    let ingested = place.ingest("2024-11-20T00:00:00Z", &path).unwrap();
    assert_eq!((ingested.batch.stored, ingested.batch.quarantined), (1, 1));
    run(async {
        let books = place.books(at("2024-11-20T00:00:00Z")).await;
        let lines = lines_with_bytes(&books.ledger, &Filter::default(), Page::default())
            .await
            .unwrap();
        assert_eq!(lines[0].line, 4);
        assert!(lines[0].bytes.as_ref().unwrap().ends_with(b"00Z "));
        let retried = tallybook::pipeline::ingest::quarantine::retry::retry(&books, &Filter::default())
            .await
            .unwrap();
        assert_eq!((retried.tried, retried.accepted), (1, 0));
        books.ledger.close().await;
    });
}

/// The first block of a kind on the page of the record.
fn documented_block(kind: &str) -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/record.md")).unwrap();
    let (_, rest) = page.split_once(&format!("```{kind}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_records_that_the_documents_show_are_taken_and_metered() {
    let place = Place::new();
    place.drop("a.ndjson", documented_block("json"));
    place.drop("b.csv", documented_block("csv"));
    let night = place.night("2026-10-06T00:00:00Z");
    let records = |status: &str| {
        let total = night.control.run.statuses.iter().find(|(name, _)| *name == status);
        total.unwrap().1.records
    };
    assert_eq!(night.control.run.received.records, 3);
    assert_eq!((records("metered"), records("void"), records("voided")), (1, 1, 1));
}

#[test]
fn durations_that_no_time_has_are_an_error_of_the_file() {
    let place = Place::new();
    let most = |count: u32| -> String {
        (0..count)
            .map(|at| line(&format!("r{at}"), 7, GOOD_TIME, 1 << 53))
            .collect()
    };
    let error = place.ingest(NOW, &place.file("a.ndjson", most(8))).unwrap_err();
    assert!(
        matches!(&error, Error::Input { what, .. } if what.contains("add up to")),
        "{error}"
    );
    assert_eq!(
        place
            .ingest(NOW, &place.file("b.ndjson", most(7)))
            .unwrap()
            .batch
            .stored,
        7
    );
}

#[test]
fn counts_that_do_not_fit_are_an_error_and_no_smaller_number() {
    let place = Place::new();
    let images = |at: u32| {
        format!(
            "{{\"id\":\"s{at}\",\"uin\":{},\"appid\":2,\"task_type\":\"Snapshot\",\"parameters\":{{\"type\":\"ImageSprite\",\
             \"images\":9007199254740992}},\"duration_ms\":0,\"finished_at\":\"{GOOD_TIME}\"}}\n",
            7 + at % 2
        )
    };
    // Those of each account fit.
    place.drop("a.ndjson", (0..1_200).map(images).collect::<String>());
    let error = place.try_night(NOW).unwrap_err();
    assert_eq!(u8::from(error.exit_code()), 4);
    assert!(error.to_string().contains("does not fit"), "{error}");
}
