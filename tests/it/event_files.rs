//! Events of the service, through the drop folder and `ingest`: billed once, whole or refused, and without their secrets.

use std::path::{Path, PathBuf};

use tallybook::catalog::source::events::{Template, TemplateStream};
use tallybook::catalog::source::import::import_configured;
use tallybook::catalog::source::template::{Added, add};
use tallybook::inspect::usage::usage;
use tallybook::inspect::verify::verify;
use tallybook::nightly::Night;
use tallybook::pipeline::ingest::quarantine::filter::Filter;
use tallybook::pipeline::ingest::quarantine::retry::{Retried, retry};
use tallybook::pipeline::meter::dedupe::stored_record::{Content, RealRecord, first_of};
use tallybook::pipeline::meter::recount::recount;

use crate::world::{Place, at, run};

const SAMPLES: &str = include_str!("../data/events/samples.ndjson");

/// A source of events of one account.
fn definition(more: &str) -> toml::Table {
    toml::from_str(&format!(
        "format = \"mps-events\"\nuin = 100000000000\nappid = 1250000001\n{more}"
    ))
    .unwrap()
}

/// Books that have a source `mps`.
fn place(more: &str) -> Place {
    let mut place = Place::new();
    place.settings().sources.insert("mps".to_owned(), definition(more));
    place
}

/// The number-th sample, from 1.
fn sample(number: usize) -> &'static str {
    SAMPLES.lines().nth(number - 1).unwrap()
}

/// Lays a file into the source's folder in the drop folder.
fn drop_events(place: &Place, name: &str, text: &str) {
    let folder = place.data().join("drop/mps");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// All records in raw, by source and id.
fn raw(place: &Place) -> Vec<RealRecord> {
    let mut files = Vec::new();
    files_below(&place.data().join("raw"), &mut files);
    let mut records: Vec<RealRecord> = files
        .iter()
        .flat_map(|file| first_of(file, usize::MAX).unwrap())
        .collect();
    records.sort_by(|a, b| (&a.source, &a.id).cmp(&(&b.source, &b.id)));
    records
}

/// Such as `Transcode {"codec":"H264",...} 93067`.
fn described(record: &RealRecord) -> String {
    match &record.content {
        Content::Usage {
            task_type,
            parameters,
            duration_ms,
            failed,
            ..
        } => format!(
            "{task_type} {parameters} {duration_ms}{}",
            if *failed { " FAIL" } else { "" }
        ),
        Content::Void { target } => format!("void {target}"),
    }
}

fn finished_at(record: &RealRecord) -> String {
    let fields = record.content.fields();
    fields.into_iter().find(|(name, _)| *name == "finished_at").unwrap().1
}

/// Verifies the books, and counts raw once more.
fn check(place: &Place, now: &str) {
    run(async {
        let books = place.books(at(now)).await;
        let differences = verify(&books).await.unwrap().differences;
        assert!(differences.is_empty(), "{differences:?}");
        let recounted = recount(&books, &std::collections::HashSet::new()).await.unwrap();
        assert!(recounted.differences.is_empty(), "{:?}", recounted.differences);
        books.ledger.close().await;
    });
}

/// Received, stored, quarantined of the files of a night.
fn counts(night: &Night) -> (i64, i64, i64) {
    let batches = night.dropped.ingested.iter().map(|ingested| &ingested.batch);
    batches.fold((0, 0, 0), |(received, stored, quarantined), batch| {
        (
            received + batch.received,
            stored + batch.stored,
            quarantined + batch.quarantined,
        )
    })
}

fn add_template(place: &Place, now: &str, definition: u64, transcode_type: &str) -> Added {
    run(async {
        let books = place.books(at(now)).await;
        import_configured(&books).await.unwrap();
        let template = Template {
            transcode_type: transcode_type.to_owned(),
            streams: Vec::new(),
        };
        let added = add(&books, "mps", definition, &template, "as the console shows it")
            .await
            .unwrap();
        books.ledger.close().await;
        added
    })
}

fn retry_all(place: &Place, now: &str) -> Retried {
    run(async {
        let books = place.books(at(now)).await;
        let retried = retry(&books, &Filter::default()).await.unwrap();
        books.ledger.close().await;
        retried
    })
}

const FIRST_NIGHT: &str = "2026-10-10T20:00:00Z";

#[test]
fn events_in_the_folder_of_their_source_are_billed() {
    let place = place("[templates.1205731]\ntype = \"TESHD-30\"\n");
    let events: Vec<&str> = (1..=6).map(sample).collect();
    drop_events(&place, "events.ndjson", &events.join("\n"));
    let night = place.night(FIRST_NIGHT);
    assert_eq!(counts(&night), (19, 19, 0), "{:?}", night.dropped);
    let records = raw(&place);
    let all: Vec<String> = records.iter().map(described).collect();
    assert_eq!(all.len(), 19, "{all:#?}");
    assert!(records.iter().all(|record| record.source == "mps"));
    let standard = all
        .iter()
        .filter(|record| record.contains("\"type\":\"Standard\""))
        .count();
    assert_eq!(standard, 5, "one of the first, four of the sixth: {all:#?}");
    assert!(night.needs_person.is_empty(), "{:?}", night.needs_person);
    check(&place, FIRST_NIGHT);
}

#[test]
fn an_event_that_is_delivered_again_is_a_duplicate_whatever_time_the_queue_gave_it() {
    let place = place("[templates.1205731]\ntype = \"TESHD-30\"\n");
    drop_events(&place, "first.ndjson", sample(3));
    place.night("2026-10-07T20:00:00Z");
    let before: Vec<String> = raw(&place).iter().map(finished_at).collect();
    // The queue hands it over again, a day later.
    let again = sample(3).replace("1791274897", "1791361297");
    assert_ne!(again, sample(3));
    drop_events(&place, "again.ndjson", &again);
    let night = place.night("2026-10-08T20:00:00Z");
    assert_eq!(counts(&night), (4, 4, 0));
    assert!(night.conflicts.is_empty(), "{:?}", night.conflicts);
    assert_eq!(night.metered.conflicts, 0);
    let usage = run(async {
        let books = place.books(at("2026-10-08T20:00:00Z")).await;
        let (from, to) = ("2026-10-01".parse().unwrap(), "2026-11-01".parse().unwrap());
        let usage = usage(&books.ledger, 100_000_000_000, from, to).await.unwrap();
        books.ledger.close().await;
        usage
    });
    let days: std::collections::BTreeSet<String> = usage.iter().map(|row| row.day.clone()).collect();
    assert_eq!(days.len(), 1, "the first one stands, with its day: {days:?}");
    assert_eq!(before.len(), 4);
    check(&place, "2026-10-08T20:00:00Z");
}

#[test]
fn an_event_with_an_unknown_template_waits_whole_until_a_person_says_what_it_makes() {
    let place = place("");
    drop_events(&place, "events.ndjson", sample(3));
    let night = place.night("2026-10-07T20:00:00Z");
    assert_eq!(counts(&night), (1, 0, 1));
    let refused = &night.dropped.ingested[0].quarantine;
    assert_eq!(refused.len(), 1);
    let example = &night.dropped.ingested[0].examples[0].sentence;
    assert!(
        example.contains("1205731") && example.contains("tallybook source template add mps 1205731 --type"),
        "{example}"
    );
    assert!(raw(&place).is_empty(), "half an event would hide the rest");
    assert_eq!(
        add_template(&place, "2026-10-09T20:00:00Z", 1_205_731, "TESHD-30"),
        Added::New
    );
    assert_eq!(
        add_template(&place, "2026-10-09T20:00:00Z", 1_205_731, "TESHD-30"),
        Added::Unchanged
    );
    assert_eq!(retry_all(&place, "2026-10-09T20:00:00Z").accepted, 1);
    assert_eq!(raw(&place).len(), 4);
    let night = place.night("2026-10-09T20:00:00Z");
    assert!(night.needs_person.is_empty(), "{:?}", night.needs_person);
    check(&place, "2026-10-09T20:00:00Z");
}

#[test]
fn a_template_is_never_altered() {
    let place = place("");
    add_template(&place, FIRST_NIGHT, 7, "Standard");
    let refused = run(async {
        let books = place.books(at(FIRST_NIGHT)).await;
        let template = Template {
            transcode_type: "TESHD-10".to_owned(),
            streams: Vec::new(),
        };
        let refused = add(&books, "mps", 7, &template, "a second thought").await.unwrap_err();
        books.ledger.close().await;
        refused.to_string()
    });
    assert!(refused.contains("never altered"), "{refused}");
}

#[test]
fn a_definition_may_give_a_template_its_streams_and_never_others() {
    const NOW: &str = "2026-10-09T20:00:00Z";
    let with_streams = |heights: &[u32]| {
        let streams: Vec<String> = heights
            .iter()
            .map(|height| format!("{{ codec = \"H264\", height = {height} }}"))
            .collect();
        format!(
            "[templates.77]\ntype = \"TESHD-10\"\nstreams = [{}]\n",
            streams.join(", ")
        )
    };
    let define = |place: &mut Place, heights| {
        let defined = definition(&with_streams(heights));
        place.settings().sources.insert("mps".to_owned(), defined);
    };
    let mut place = place("[templates.77]\ntype = \"TESHD-10\"\n");
    assert_eq!(add_template(&place, FIRST_NIGHT, 77, "TESHD-10"), Added::Unchanged);
    define(&mut place, &[720, 360]);
    drop_events(&place, "events.ndjson", &adaptive_of_template(77));
    let night = place.night("2026-10-08T20:00:00Z");
    assert_eq!(counts(&night), (2, 2, 0));
    define(&mut place, &[720]);
    let refused = run(async {
        let books = place.books(at(NOW)).await;
        let refused = import_configured(&books).await.unwrap().faults;
        books.ledger.close().await;
        refused[0].sentence()
    });
    assert!(
        refused.contains("is type TESHD-10 with streams H264:720, and")
            && refused.contains("with streams H264:720, H264:360 before"),
        "{refused}"
    );
}

/// The preset of the sixth sample, an adaptive streaming of one task, as a template of the account.
fn adaptive_of_template(definition: u64) -> String {
    let mut detail: serde_json::Value = serde_json::from_str(sample(6)).unwrap();
    let task = &mut detail["Response"]["WorkflowTask"]["MediaProcessResultSet"][0]["AdaptiveDynamicStreamingTask"];
    task["Input"]["Definition"] = definition.into();
    detail.to_string()
}

#[test]
fn a_template_of_which_the_type_alone_was_added_is_given_its_streams_and_its_events_are_billed() {
    const NOW: &str = "2026-10-09T20:00:00Z";
    let place = place("");
    add_template(&place, FIRST_NIGHT, 77, "TESHD-10");
    drop_events(&place, "events.ndjson", &adaptive_of_template(77));
    let night = place.night("2026-10-08T20:00:00Z");
    assert_eq!(counts(&night), (1, 0, 1));
    let told = &night.dropped.ingested[0].examples[0].sentence;
    let command = "tallybook source template add mps 77 --type TESHD-10 --stream CODEC:HEIGHT --reason TEXT";
    assert!(told.contains(command), "{told}");
    let streams = |heights: &[u32]| Template {
        transcode_type: "TESHD-10".to_owned(),
        streams: heights
            .iter()
            .map(|&height| TemplateStream {
                codec: "H264".to_owned(),
                width: None,
                height,
            })
            .collect(),
    };
    run(async {
        let books = place.books(at(NOW)).await;
        let add = async |template: Template| add(&books, "mps", 77, &template, "as the console shows it").await;
        assert_eq!(add(streams(&[720, 360])).await.unwrap(), Added::Completed);
        assert_eq!(add(streams(&[720, 360])).await.unwrap(), Added::Unchanged);
        // From now on usage may have been billed by the streams, too.
        for other in [streams(&[720]), streams(&[])] {
            let refused = add(other).await.unwrap_err().to_string();
            assert!(
                refused.contains("as type TESHD-10 with streams H264:720, H264:360, which is never altered"),
                "{refused}"
            );
        }
        books.ledger.close().await;
    });
    assert_eq!(retry_all(&place, NOW).accepted, 1);
    assert_eq!(raw(&place).len(), 2);
    check(&place, NOW);
}

#[test]
fn no_secret_of_an_event_is_in_any_file_of_the_books() {
    let place = place("");
    let secrets = [
        "AKIDplanted",
        "plantedSecretKey",
        "planted-notify-key",
        "planted-token",
        "planted-password",
    ];
    let storage = "{\"Type\":\"AWS-S3\",\"S3InputInfo\":{\"S3Bucket\":\"b\",\"S3Region\":\"r\",\"S3Object\":\"/o\",\
                   \"S3SecretId\":\"AKIDplanted\",\"S3SecretKey\":\"plantedSecretKey\"}}";
    let url = "{\"Type\":\"URL\",\"UrlInputInfo\":{\"Url\":\"https://u:planted-password@e.example/a.mp4?token=planted-token\"}}";
    let with = |input: &str| {
        let text = sample(5).to_owned();
        let at = text.find("\"InputInfo\":").unwrap() + "\"InputInfo\":".len();
        let end = at + text[at..].find("},\"MetaData\"").unwrap() + 1;
        format!(
            "{}{input}{}",
            &text[..at],
            text[end..].replace(
                "\"ExtInfo\":\"\"",
                "\"ExtInfo\":\"{\\\"NotifyKey\\\":\\\"planted-notify-key\\\"}\""
            )
        )
    };
    // One that is taken, one that is refused, one that is no event.
    let taken = with(url);
    let refused = with(storage).replace("\"Status\":\"FINISH\"", "\"Status\":7");
    let none = "{\"S3SecretKey\":\"plantedSecretKey\",\"NotifyKey\":\"planted-notify-key\"";
    drop_events(&place, "events.ndjson", &format!("{taken}\n{refused}\n"));
    drop_events(&place, "broken.ndjson", &format!("{none}\n"));
    let night = place.night(FIRST_NIGHT);
    assert_eq!(counts(&night), (3, 1, 2), "{:?}", night.dropped.ingested);
    let mut files = Vec::new();
    files_below(&place.data(), &mut files);
    assert!(
        files
            .iter()
            .any(|file| file.display().to_string().contains("drop/done/")),
        "{files:?}"
    );
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let found = secrets
            .iter()
            .find(|secret| memchr::memmem::find(&bytes, secret.as_bytes()).is_some());
        assert_eq!(found, None, "{}", file.display());
    }
    let report = serde_json::to_string(&night).unwrap();
    assert!(secrets.iter().all(|secret| !report.contains(secret)), "{report}");
}

#[test]
fn the_same_file_of_events_is_known_again_though_it_is_kept_without_its_secrets() {
    let place = place("");
    let events = format!("{}\n{}\n", sample(1), sample(4));
    drop_events(&place, "events.ndjson", &events);
    let first = place.night(FIRST_NIGHT);
    drop_events(&place, "again.ndjson", &events);
    let night = place.night("2026-10-11T20:00:00Z");
    assert!(
        night.dropped.ingested.iter().all(|ingested| ingested.already),
        "{:?}",
        night.dropped
    );
    assert!(night.dropped.reread.is_empty());
    let mut kept = Vec::new();
    files_below(&place.data().join("drop/done"), &mut kept);
    let kept: Vec<PathBuf> = kept
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("-mps@"))
        .collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    // What is kept was touched: it is still what was put there.
    let file = std::fs::File::options().write(true).open(&kept[0]).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_791_700_000))
        .unwrap();
    drop(file);
    let night = place.night("2026-10-12T20:00:00Z");
    assert!(
        night.dropped.reread.is_empty() && night.dropped.ingested.is_empty(),
        "{:?}",
        night.dropped
    );
    assert_eq!(counts(&first).0, 7);
    check(&place, "2026-10-12T20:00:00Z");
}

#[test]
fn what_is_no_usage_is_counted_and_not_received() {
    let place = place("");
    let live = "{\"NotificationType\":\"ProcessEof\",\"ProcessEofInfo\":{}}";
    let working = sample(5).replace("\"Status\":\"FINISH\"", "\"Status\":\"PROCESSING\"");
    drop_events(&place, "events.ndjson", &format!("{live}\n{working}\n{live}\n"));
    let night = place.night(FIRST_NIGHT);
    assert_eq!(counts(&night), (0, 0, 0));
    let skipped: i64 = night.dropped.ingested[0]
        .skipped_events
        .iter()
        .map(|(_, events)| events)
        .sum();
    assert_eq!(skipped, 3, "{:?}", night.dropped.ingested[0].skipped_events);
    assert!(night.needs_person.is_empty(), "{:?}", night.needs_person);
}

#[test]
fn where_keys_are_set_an_event_without_a_right_signature_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    std::fs::write(&keys, "another-key\nsample-notify-key\n").unwrap();
    let place = place(&format!("notify_keys_file = \"{}\"\n", keys.display()));
    let forged = sample(1).replace("\"Sign\":\"", "\"Sign\":\"0");
    drop_events(
        &place,
        "events.ndjson",
        &format!("{}\n{}\n{forged}\n", sample(1), sample(4)),
    );
    let night = place.night(FIRST_NIGHT);
    assert_eq!(counts(&night), (8, 6, 2), "{:?}", night.dropped.ingested);
    // A file whose source cannot read its keys is left where it is.
    std::fs::remove_file(&keys).unwrap();
    drop_events(&place, "more.ndjson", sample(5));
    let night = place.night("2026-10-11T20:00:00Z");
    assert!(night.dropped.ingested.is_empty());
    assert!(
        night.dropped.left[0].why.contains("notification keys"),
        "{:?}",
        night.dropped.left
    );
    // Nobody else would say that its usage is not billed.
    assert!(
        night.needs_person[0]
            .contains("more.ndjson stays in the drop folder: source mps: the notification keys: the file"),
        "{:?}",
        night.needs_person
    );
}

#[test]
fn small_segments_of_events_and_of_records_are_merged_into_one() {
    let place = place("");
    for number in 0..6 {
        let event = sample(5).replace("9b143c73", &format!("9b143c7{number}"));
        drop_events(&place, &format!("e{number}.ndjson"), &event);
        let line = crate::world::line(&format!("r{number}"), 7, "2026-10-07T00:00:01Z", 60_000);
        place.drop(&format!("r{number}.ndjson"), line);
    }
    place.night("2026-10-07T20:00:00Z");
    assert_eq!(raw(&place).len(), 12);
    drop_events(&place, "again.ndjson", &sample(5).replace("9b143c73", "9b143c70"));
    let night = place.night("2026-10-08T20:00:00Z");
    assert_eq!(night.metered.conflicts, 0, "{:?}", night.conflicts);
    check(&place, "2026-10-08T20:00:00Z");
}

#[test]
fn an_event_that_was_cut_off_costs_itself_alone() {
    let place = place("");
    let cut = &sample(1)[..sample(1).find("\"MediaProcessResultSet\":[").unwrap() + 25];
    let many = (0..20).map(|number| sample(5).replace("9b143c73", &format!("9b143c{number:02}")));
    let events: Vec<String> = many.collect();
    let text = format!("{}\n{cut}\n{}\n", events[..10].join("\n"), events[10..].join("\n"));
    drop_events(&place, "events.ndjson", &text);
    assert_eq!(counts(&place.night(FIRST_NIGHT)), (21, 20, 1));
    check(&place, FIRST_NIGHT);
}

#[test]
fn an_array_that_is_not_closed_on_a_later_line_costs_itself_alone_and_a_folder_of_events_is_left() {
    let place = place("");
    // Behind what is looked at to tell how an input stands.
    let many = (0..20).map(|number| sample(1).replace("e71b3cb6", &format!("e71b3c{number:02}")));
    let many: Vec<String> = many.collect();
    drop_events(
        &place,
        "events.ndjson",
        &format!("{}\n[{{\n{}\n", many.join("\n"), sample(5)),
    );
    let folder = place.data().join("drop/mps/batch");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("part.ndjson"), sample(1)).unwrap();
    std::fs::write(folder.join("_SUCCESS"), "").unwrap();
    let night = place.night(FIRST_NIGHT);
    assert_eq!(counts(&night), (122, 121, 1), "{:?}", night.dropped);
    assert!(
        night.dropped.left[0].why.contains("events are read from files"),
        "{:?}",
        night.dropped.left
    );
    let mut kept = Vec::new();
    files_below(&place.data().join("drop/done"), &mut kept);
    assert_eq!(std::fs::read_to_string(&kept[0]).unwrap().lines().count(), 22);
    check(&place, FIRST_NIGHT);
}

#[test]
fn files_that_differ_in_their_secrets_alone_are_all_as_they_were_put() {
    let place = place("");
    for secret in ["AAAA", "BBBB", "CCCC"] {
        let event = sample(4).replace("token=abc", &format!("token={secret}"));
        drop_events(&place, &format!("{secret}.ndjson"), &event);
    }
    let night = place.night(FIRST_NIGHT);
    assert_eq!(counts(&night), (3, 3, 0));
    check(&place, FIRST_NIGHT);
    let again = place.night("2026-10-11T20:00:00Z");
    assert!(
        again.dropped.reread.is_empty() && again.dropped.ingested.is_empty(),
        "{:?}",
        again.dropped
    );
    check(&place, "2026-10-11T20:00:00Z");
}

#[test]
fn a_file_with_a_sign_of_sources_in_its_name_is_no_source_s() {
    let place = place("");
    let line = crate::world::line("r1", 7, "2026-10-07T00:00:01Z", 60_000);
    place.drop("mps@2026-10.ndjson", line);
    let night = place.night("2026-10-07T20:00:00Z");
    assert_eq!(counts(&night), (1, 1, 0));
    assert_eq!(raw(&place)[0].source, "default");
    check(&place, "2026-10-07T20:00:00Z");
}
