//! Values as services really write them: what is equal, what is refused, and with which words.

use std::fmt::Write as _;
use std::path::Path;

use tallybook::nightly::Night;
use tallybook::pipeline::retention::day_digest::{Parameters, proofs_of};
use tallybook::pipeline::retention::store::{proved_day, replace_proofs};
use tallybook::storage::ledger::query;
use tallybook::storage::raw::segment::SegmentKind;
use tallybook::storage::raw::store::segments_of_day;

use crate::exactly_once::shop::records;
use crate::laws::rows_of;
use crate::nights::verified;
use crate::world::{Place, at, run};

const NOW: &str = "2026-10-06T00:00:00Z";
const LATER: &str = "2026-11-05T00:00:00Z";

/// A card that counts jobs: SKU by type, of words that look like numbers, and jobs by steps of `level`.
fn card() -> tempfile::TempDir {
    let cards = tempfile::tempdir().unwrap();
    std::fs::create_dir(cards.path().join("t")).unwrap();
    let words = [
        "0.5", "007", "1", "1.0", "1.1", "1.10", "120000", "12E4", "1e3", "false", "true",
    ];
    let listed: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let mut text = format!(
        "card = \"t\"\nfrom = 2026-01-01\ncurrency = \"CNY\"\nzone = \"Asia/Shanghai\"\ndefault_region = \"1\"\n[regions]\none = [\"1\"]\n\
         two = [\"2\"]\n[[meter]]\nname = \"m\"\ntask_type = \"Job\"\nsku = \"S.{{type}}\"\nquantity = \"count\"\nunit = \"job\"\n\
         [meter.dimensions]\ntype = [{}]\n[[meter]]\nname = \"l\"\ntask_type = \"Level\"\nsku = \"L.{{step}}\"\nquantity = \"images\"\n\
         unit = \"image\"\n[meter.dimensions]\nstep = {{ of = \"level\", steps = {{ low = 30, high = 60 }} }}\n[prices]\n",
        listed.join(", ")
    );
    for (price, word) in (1..).zip(words) {
        let _ = writeln!(
            text,
            "\"S.{word}\" = {{ unit_price = {{ one = \"{price}\", two = \"100\" }}, origin = \"illustrative\" }}"
        );
    }
    for step in ["low", "high"] {
        let _ = writeln!(
            text,
            "\"L.{step}\" = {{ unit_price = \"3\", origin = \"illustrative\" }}"
        );
    }
    std::fs::write(cards.path().join("t/2026-01-01.toml"), text).unwrap();
    cards
}

fn place(cards: &Path) -> Place {
    Place::with_cards(cards, "t")
}

/// A job in JSON, with this value as it stands for its type.
fn job(id: &str, uin: u64, value: &str) -> String {
    format!(
        "{{\"id\":\"{id}\",\"uin\":{uin},\"appid\":1,\"task_type\":\"Job\",\"duration_ms\":0,\"finished_at\":\"2026-10-05T01:30:00Z\",\
         \"parameters\":{{\"type\":{value}}}}}\n"
    )
}

const HEADER: &str = "id,uin,appid,task_type,duration_ms,finished_at,parameters.type\n";

/// The same as a row below [`HEADER`].
fn row(id: &str, uin: u64, cell: &str) -> String {
    format!("{id},{uin},1,Job,0,2026-10-05T01:30:00Z,{cell}\n")
}

/// SKU, quantity and amount of an account's lines.
fn lines(place: &Place, uin: u64) -> Vec<String> {
    let rows = rows_of(place, &["uin", "period_start", "line_no", "sku", "quantity", "amount"]);
    let own = rows
        .iter()
        .filter(|row| row[0] == uin.to_string() && !row[3].is_empty());
    own.map(|row| row[3..].join(" ")).collect()
}

fn counts(night: &Night) -> [i64; 4] {
    ["metered", "unmetered", "duplicate", "conflict"].map(|status| records(night, status))
}

fn assert_in_order(place: &Place, now: &str) {
    assert_eq!(verified(place, now).differences, Vec::<String>::new());
}

#[test]
fn the_same_words_find_the_same_sku_from_json_and_csv() {
    let cards = card();
    let place = place(cards.path());
    let words = ["12E4", "1.10", "1.0", "007", "1e3", "0.5", "true", "120000"];
    let (mut json, mut csv) = (String::new(), HEADER.to_owned());
    for (at, word) in words.iter().enumerate() {
        json += &job(&format!("j-{at}"), 1, &format!("\"{word}\""));
        csv += &row(&format!("c-{at}"), 2, word);
        csv += &row(&format!("q-{at}"), 3, &format!("\"{word}\""));
    }
    place.drop("u.ndjson", json);
    place.drop("u.csv", csv);
    let night = place.night(LATER);
    assert_eq!(counts(&night), [24, 0, 0, 0]);
    let of_json = lines(&place, 1);
    assert_eq!(of_json.len(), words.len());
    assert!(
        of_json.contains(&"S.12E4 1.000000 8.0000000000".to_owned()),
        "{of_json:?}"
    );
    assert_eq!(lines(&place, 2), of_json);
    assert_eq!(lines(&place, 3), of_json);
    assert_in_order(&place, LATER);
}

#[test]
fn a_number_finds_the_value_of_a_list_that_is_its_shortest_decimal_text() {
    let cards = card();
    let place = place(cards.path());
    for (at, value) in ["1.10", "1e0", "12e4", "5e-1", "true", "1000"].iter().enumerate() {
        place.drop(&format!("{at}.ndjson"), job(&format!("j-{at}"), 1, value));
    }
    assert_eq!(
        counts(&place.night(LATER)),
        [5, 1, 0, 0],
        "1000 is in no list: `1e3` is a word"
    );
    let skus: Vec<String> = lines(&place, 1)
        .iter()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(skus, ["S.0.5", "S.1", "S.1.1", "S.120000", "S.true"]);
}

#[test]
fn a_region_is_a_word_also_where_it_is_a_number() {
    let cards = card();
    let place = place(cards.path());
    let header = HEADER.replace('\n', ",parameters.region\n");
    let csv = |cell: &str, id: &str| row(id, 1, &format!("1,{cell}"));
    place.drop(
        "r.csv",
        header + &csv("2", "a") + &csv("\"2\"", "b") + &csv("", "c") + &csv("3", "d"),
    );
    place.drop(
        "r.ndjson",
        job("e", 1, "\"1\",\"region\":2") + &job("f", 1, "\"1\",\"region\":\"1\""),
    );
    assert_eq!(counts(&place.night(LATER)), [5, 1, 0, 0]);
    assert_eq!(
        lines(&place, 1),
        ["S.1 2.000000 6.0000000000", "S.1 3.000000 300.0000000000"]
    );
}

#[test]
fn what_a_card_measures_is_read_as_a_plain_decimal_from_text() {
    let cards = card();
    let place = place(cards.path());
    let header = "id,uin,appid,task_type,duration_ms,finished_at,parameters.level,parameters.images\n";
    let row = |id: &str, level: &str, images: &str| format!("{id},1,1,Level,0,2026-10-05T01:30:00Z,{level},{images}\n");
    let rows = row("a", "30", "2")
        + &row("b", "30.01", "3.0")
        + &row("c", "1e1", "1")
        + &row("d", "+5", "1")
        + &row("e", "60", "1e3");
    place.drop("u.csv", header.to_owned() + &rows);
    let night = place.night(LATER);
    assert_eq!(
        counts(&night),
        [2, 2, 0, 0],
        "a level that is no plain decimal is in no step"
    );
    assert_eq!(
        lines(&place, 1),
        ["L.high 3.000000 9.0000000000", "L.low 2.000000 6.0000000000"]
    );
}

/// One record in each spelling.
fn spellings() -> Vec<(&'static str, String)> {
    let csv = HEADER.to_owned() + &row("x", 1, "1.10").replace("Job", "Other");
    let json = |value: &str| job("x", 1, value).replace("Job", "Other");
    vec![
        ("number.ndjson", json("1.1")),
        ("float.ndjson", json("11e-1")),
        ("text.ndjson", json("\"1.10\"")),
        ("cells.csv", csv.clone()),
        ("quoted.csv", csv.replace("1.10", "\"1.10\"")),
        (
            "object.csv",
            csv.replace("parameters.type", "parameters")
                .replace("1.10", "\"{\"\"type\"\":1.1}\""),
        ),
    ]
}

#[test]
fn a_record_in_json_with_numbers_json_with_texts_and_csv_is_one_record() {
    let cards = card();
    for first in 0..spellings().len() {
        let place = place(cards.path());
        let mut files = spellings();
        files.rotate_left(first);
        let rest = files.split_off(2);
        for (name, text) in files {
            place.ingest(NOW, &place.file(name, text)).unwrap();
        }
        place.night(NOW);
        for (name, text) in rest {
            place.ingest(NOW, &place.file(name, text)).unwrap();
        }
        let night = place.night(NOW);
        assert_eq!(records(&night, "duplicate"), 5, "first came {}", spellings()[first].0);
        assert_eq!(records(&night, "conflict"), 0);
        assert_in_order(&place, NOW);
    }
}

#[test]
fn a_truth_value_is_its_name_and_no_other_word() {
    let cards = card();
    let place = place(cards.path());
    place.drop("1.ndjson", job("x", 1, "true"));
    place.drop("2.csv", HEADER.to_owned() + &row("x", 1, "true"));
    place.drop("3.csv", HEADER.to_owned() + &row("x", 1, "TRUE"));
    assert_eq!(counts(&place.night(NOW)), [1, 0, 1, 1]);
}

#[test]
fn two_texts_of_one_number_are_two_words_and_each_is_that_number() {
    let cards = card();
    let place = place(cards.path());
    for (number, text) in [(1, "1.10"), (2, "1.1"), (3, "12E4")] {
        place.drop(&format!("{number}.csv"), HEADER.to_owned() + &row("x", 1, text));
    }
    place.drop("4.ndjson", job("x", 1, "1.1"));
    place.drop("5.ndjson", job("x", 1, "120000"));
    // Each is compared with the first: the texts `1.1` and `12E4` and the number 120000 are no `1.10`.
    assert_eq!(counts(&place.night(NOW)), [1, 0, 1, 3]);
}

/// The digest that stands for account 1 on the day of the jobs, once it is proved.
fn proof(place: &Place) -> String {
    run(async {
        let books = place.books(at("2027-04-04T12:00:00Z")).await;
        let row = query("SELECT digest FROM proved_account WHERE uin = '1'")
            .fetch_one(&books.ledger)
            .await
            .unwrap();
        books.ledger.close().await;
        row.try_get(0).unwrap()
    })
}

#[test]
fn equal_records_have_one_digest_of_their_day_however_they_were_written() {
    let cards = card();
    let digests = spellings().into_iter().map(|(name, text)| {
        let place = place(cards.path());
        place.drop(name, text.replace("Other", "Job").replace("1.10", "1.1"));
        place.night(LATER);
        place.night("2027-04-04T00:00:00Z");
        assert_in_order(&place, "2027-04-04T12:00:00Z");
        proof(&place)
    });
    let digests: Vec<String> = digests.collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_proof_made_of_texts_as_they_were_written_still_stands() {
    let cards = card();
    let place = place(cards.path());
    place.drop("1.ndjson", job("x", 1, "\"1.10\""));
    place.night(LATER);
    place.night("2027-04-04T00:00:00Z");
    let made = proof(&place);
    let before = run(async {
        let books = place.books(at("2027-04-04T12:00:00Z")).await;
        let day = "2026-10-05".parse().unwrap();
        let segments = segments_of_day(&books.ledger, SegmentKind::Usage, day).await.unwrap();
        let before = proofs_of(&books.data, &segments, Parameters::AsWritten).unwrap();
        let proved = proved_day(&books.ledger, day).await.unwrap().unwrap();
        let mut tx = books.ledger.begin().await.unwrap();
        replace_proofs(&mut tx, day, &proved, &before).await.unwrap();
        books.ledger.commit(tx, "prove").await.unwrap();
        books.ledger.close().await;
        before[0].digest.clone()
    });
    assert_ne!(made, before);
    assert_eq!(proof(&place), before);
    assert_in_order(&place, "2027-04-04T13:00:00Z");
}

/// A record with this time in JSON.
fn timed(id: &str, time: &str) -> String {
    job(id, 1, "\"1\"").replace("2026-10-05T01:30:00Z", time)
}

#[test]
fn a_sure_instant_is_one_record_however_services_write_it_in_json_and_csv() {
    let cards = card();
    let place = place(cards.path());
    let forms = [
        "2026-10-05T01:30:00Z",
        "2026-10-05t01:30:00z",
        "2026-10-05T01:30:00.000Z",
        "2026-10-05T01:30Z",
        "2026-10-05 01:30:00Z",
        "2026-10-05 09:30:00+08:00",
        "2026-10-05 09:30:00.000000+08:00",
        "2026-10-05T09:30:00+0800",
        "2026-10-05T09:30:00.000+0800",
        "2026-10-05 09:30:00+08",
        "2026-10-05 01:30:00 UTC",
        "2026-10-05 01:30:00.000000 UTC",
        "2026-10-05T09:30:00+08:00[Asia/Shanghai]",
    ];
    let json: String = forms.iter().map(|time| timed("x", time)).collect();
    let csv: String = forms
        .iter()
        .map(|time| row("x", 1, "1").replace("2026-10-05T01:30:00Z", time))
        .collect();
    place.drop("1.ndjson", json);
    place.drop("2.csv", HEADER.to_owned() + &csv);
    let night = place.night(NOW);
    assert_eq!(counts(&night), [1, 0, 25, 0]);
}

/// The reason codes of an input with their numbers, and the first sentence.
fn refused(place: &Place, name: &str, text: impl AsRef<[u8]>) -> (Vec<(String, i64)>, String) {
    let ingested = place.ingest(NOW, &place.file(name, text)).unwrap();
    let sentence = run(async {
        let books = place.books(at(NOW)).await;
        let sql = "SELECT sentence FROM quarantine WHERE batch = ? ORDER BY line";
        let row = query(sql)
            .bind(ingested.batch.batch)
            .fetch_optional(&books.ledger)
            .await
            .unwrap();
        books.ledger.close().await;
        row.map_or_else(String::new, |row| row.try_get(0).unwrap())
    });
    (ingested.quarantine, sentence)
}

#[test]
fn a_time_that_is_not_sure_is_refused_with_what_is_wrong_and_the_cure() {
    let cards = card();
    let place = place(cards.path());
    for (at, (time, told)) in [
        ("2026-10-05T09:30:00", "the offset is missing; add it"),
        ("2026-10-05 09:30", "or set the source's time zone in the settings"),
        ("2026-10-05", "a date alone is not enough"),
        ("1760000000", "a number of seconds"),
        ("1760000000000", "a number of seconds"),
        ("05/10/2026 09:30:00", "not in the form year-month-day"),
        ("2026/10/05 09:30:00", "not in the form year-month-day"),
        ("20261005T013000Z", "not in the form year-month-day"),
        ("2026-10-05T01:30:00\u{2009}Z", "write it in RFC 3339"),
        ("2026-10-05 01:30:00 CST", "a time zone abbreviation is ambiguous"),
        ("2026-10-05T01:30:00.5 +0800", "there is a space before the offset"),
        (
            "2026-10-05T09:30:00+09:00[Asia/Shanghai]",
            "the zone in brackets has another offset",
        ),
        ("2026-10-05T24:00:00Z", "no such date, time of day or offset"),
        ("Mon, 05 Oct 2026 01:30:00 GMT", "write it in RFC 3339"),
    ]
    .into_iter()
    .enumerate()
    {
        let (codes, sentence) = refused(&place, &format!("{at}.ndjson"), timed("x", time));
        assert_eq!(codes, [("not_a_time".to_owned(), 1)], "{time}");
        assert!(
            sentence.starts_with(&format!("`finished_at` is \"{}", &time[..10])) && sentence.contains(told),
            "{sentence}"
        );
    }
    let log_field =
        timed("y", "2026-10-05T01:30:00Z").replace("\"uin\"", "\"created_at\":\"2026-10-05 01:30:00\",\"uin\"");
    let (_, sentence) = refused(&place, "log.ndjson", log_field);
    assert!(
        sentence.starts_with("`created_at` is \"2026-10-05 01:30:00\": the offset is missing"),
        "{sentence}"
    );
}

#[test]
fn a_local_time_is_read_in_its_senders_zone_and_refused_where_that_has_it_twice_or_never() {
    let cards = card();
    let mut place = place(cards.path());
    let zones = [("default", "Asia/Shanghai"), ("us", "America/New_York")];
    place.settings().zones = zones
        .map(|(source, zone)| (source.to_owned(), zone.parse().unwrap()))
        .into();
    let of = |id: &str, source: &str, time: &str| {
        timed(id, time).replace("{\"id\"", &format!("{{\"source\":\"{source}\",\"id\""))
    };
    place.drop(
        "1.ndjson",
        timed("x", "2026-10-05T09:30:00") + &timed("x", "2026-10-05T01:30:00Z"),
    );
    place.drop(
        "2.csv",
        HEADER.to_owned() + &row("x", 1, "1").replace("2026-10-05T01:30:00Z", "2026-10-05 09:30"),
    );
    place.drop(
        "3.ndjson",
        of("x", "us", "2026-10-04 21:30:00") + &of("x", "us", "2026-10-05T01:30:00Z"),
    );
    assert_eq!(counts(&place.night(NOW)), [2, 0, 3, 0]);
    for (name, time, told) in [
        ("twice.ndjson", "2025-11-02 01:30:00", "this local time occurs twice"),
        ("never.ndjson", "2026-03-08 02:30:00", "this local time does not exist"),
    ] {
        let (codes, sentence) = refused(&place, name, of("y", "us", time));
        assert_eq!(codes, [("not_a_time".to_owned(), 1)]);
        assert!(sentence.contains(told), "{sentence}");
    }
    let (_, sentence) = refused(&place, "other.ndjson", of("y", "eu", "2026-10-05T09:30:00"));
    assert!(sentence.contains("the offset is missing; add it"), "{sentence}");
}

#[test]
fn an_id_that_is_an_integer_is_its_digits_in_json_and_csv() {
    let cards = card();
    let place = place(cards.path());
    place.drop("1.ndjson", job("7", 1, "\"1\"").replace("\"7\"", "7"));
    place.drop("2.csv", HEADER.to_owned() + &row("7", 1, "1"));
    place.drop("3.ndjson", job("7", 1, "\"1\""));
    place.drop("4.ndjson", "{\"id\":8,\"kind\":\"void\",\"voids\":7}\n");
    let night = place.night(NOW);
    assert_eq!(
        ["voided", "void", "duplicate"].map(|status| records(&night, status)),
        [1, 1, 2]
    );
}

#[test]
fn parameters_have_keys_of_their_own_in_ndjson_as_in_csv() {
    let cards = card();
    let place = place(cards.path());
    let dotted = job("x", 1, "\"1.10\"").replace("\"parameters\":{\"type\":\"1.10\"}", "\"parameters.type\":\"1.10\"");
    place.drop("1.ndjson", dotted);
    place.drop("2.csv", HEADER.to_owned() + &row("x", 1, "1.10"));
    place.drop("3.ndjson", job("x", 1, "\"1.10\""));
    assert_eq!(counts(&place.night(NOW)), [1, 0, 2, 0]);
}

/// What a file has by status, in books of its own.
fn of_file(name: &str, bytes: impl AsRef<[u8]>) -> [i64; 4] {
    let cards = card();
    let place = place(cards.path());
    place.drop(name, bytes);
    counts(&place.night(NOW))
}

#[test]
fn a_byte_order_mark_at_the_start_of_an_input_or_of_a_line_is_no_part_of_an_id() {
    let cards = card();
    let place = place(cards.path());
    let rows = row("t-1", 1, "1") + &row("t-2", 1, "1");
    place.drop("1.csv", format!("\u{feff}{HEADER}\u{feff}{rows}"));
    place.drop("2.csv", format!("{HEADER}{rows}"));
    place.drop("3.csv", format!("\u{feff}\u{feff}{HEADER}\u{feff}\u{feff}{rows}"));
    place.drop(
        "4.ndjson",
        format!("\u{feff}{}\u{feff}{}", job("t-1", 1, "\"1\""), job("t-2", 1, "\"1\"")),
    );
    place.drop(
        "5.csv",
        format!(
            "\u{feff}\"id\"{}\u{feff}\"t-1\"{}",
            HEADER.strip_prefix("id").unwrap(),
            row("", 1, "1")
        ),
    );
    let night = place.night(NOW);
    assert_eq!(counts(&night), [2, 0, 7, 0]);
    assert_eq!(records(&night, "quarantined"), 0);
    for id in ["t-1\u{200b}", "t-1 ", "t\u{feff}-1", " t-1"] {
        let (codes, sentence) = refused(
            &place,
            &format!("{}.csv", id.len()),
            HEADER.to_owned() + &row(id, 1, "1"),
        );
        assert_eq!(codes, [("invisible_character".to_owned(), 1)], "{id:?}: {sentence}");
    }
}

const OTHER: &str = "finished_at,duration_ms,parameters.level,parameters.images,task_type,uin,appid,id\n";

fn other_row(id: &str, uin: u64) -> String {
    format!("2026-10-05T01:30:00Z,0,30,2,Level,{uin},1,{id}\n")
}

#[test]
fn joined_files_are_read_each_by_its_own_header() {
    let same = format!(
        "{HEADER}{}{HEADER}{}\u{feff}{HEADER}{}",
        row("a", 1, "1"),
        row("b", 1, "1"),
        row("a", 1, "1")
    );
    assert_eq!(of_file("same.csv", same), [2, 0, 1, 0]);
    let cards = card();
    let place = place(cards.path());
    let semicolons = HEADER.replace(',', ";") + &row("c", 1, "1").replace(',', ";");
    let joined = format!(
        "{HEADER}{}{OTHER}{}{semicolons}\u{feff}{HEADER}{}",
        row("a", 1, "1"),
        other_row("b", 1),
        row("d", 1, "1")
    );
    let ingested = place.ingest(NOW, &place.file("joined.csv", &joined)).unwrap();
    assert_eq!((ingested.batch.received, ingested.batch.stored), (4, 4));
    assert_eq!(counts(&place.night(LATER)), [4, 0, 0, 0]);
    assert_eq!(
        lines(&place, 1),
        ["L.low 2.000000 6.0000000000", "S.1 3.000000 9.0000000000"]
    );
    let again = place.ingest(LATER, &place.file("again.csv", &joined)).unwrap();
    assert!(again.already);
}

#[test]
fn large_joined_files_are_read_each_by_its_own_header_whatever_thread_reads_them() {
    let many = |text: &dyn Fn(usize) -> String, from: usize| -> String { (from..from + 30_000).map(text).collect() };
    let first = many(&|n| row(&format!("a{n}"), 1, ["1", "1.0", "true"][n % 3]), 0);
    let second = many(&|n| other_row(&format!("b{n}"), 1), 0);
    let third = many(&|n| row(&format!("c{n}"), 1, ["1", "1.0", "true"][n % 3]), 0);
    let text = format!("{HEADER}{first}{OTHER}{second}{HEADER}{third}");
    assert_eq!(of_file("large.csv", text), [90_000, 0, 0, 0]);
}

#[test]
fn a_refused_row_below_a_later_header_is_tried_again_by_that_header() {
    let cards = card();
    let mut place = place(cards.path());
    place.settings().unknown_accounts = tallybook::context::UnknownAccounts::Quarantine;
    // Below the first header the row would be one of account 1 and application 2.
    let swapped = HEADER.replace("uin,appid", "appid,uin");
    let text = format!(
        "{HEADER}{}{swapped}{}",
        row("a", 1, "1"),
        row("b", 1, "1").replace(",1,1,Job", ",1,2,Job")
    );
    let file = place.file("joined.csv", text);
    assert_eq!(place.ingest(NOW, &file).unwrap().batch.quarantined, 2);
    place.add_account(
        NOW,
        1,
        "t",
        tallybook::values::calendar::Cycle::Monthly { anchor_day: 1 },
        "2026-01-01",
    );
    assert_eq!(
        place.ingest(NOW, &file).unwrap().retried,
        1,
        "the other one is of account 2"
    );
    place.add_account(
        NOW,
        2,
        "t",
        tallybook::values::calendar::Cycle::Monthly { anchor_day: 1 },
        "2026-01-01",
    );
    assert_eq!(place.ingest(NOW, &file).unwrap().retried, 1);
    place.night(LATER);
    assert_eq!((lines(&place, 1).len(), lines(&place, 2).len()), (1, 1));
}

#[test]
fn a_header_in_the_middle_that_is_none_of_usage_records_refuses_the_file_and_leaves_nothing() {
    let cards = card();
    let place = place(cards.path());
    let text = format!("{HEADER}{}id,uin,appid\n{}", row("a", 1, "1"), row("b", 1, "1"));
    let error = place.ingest(NOW, &place.file("a.csv", text)).unwrap_err().to_string();
    assert!(
        error.contains("line 3 is a second header: the header lacks `task_type`"),
        "{error}"
    );
    assert_eq!(
        place
            .ingest(NOW, &place.file("b.csv", HEADER.to_owned() + &row("a", 1, "1")))
            .unwrap()
            .batch
            .batch,
        1
    );
}

#[test]
fn files_joined_without_a_line_end_between_them_are_refused_whole() {
    let cards = card();
    let place = place(cards.path());
    let first = HEADER.to_owned() + row("a", 1, "1").trim_end();
    for (name, mark) in [("a.csv", ""), ("b.csv", "\u{feff}")] {
        let text = format!("{first}{mark}{OTHER}{}", other_row("b", 1));
        let error = place.ingest(NOW, &place.file(name, text)).unwrap_err().to_string();
        assert!(error.contains("line 2 is a row and a header in one"), "{error}");
    }
    let lacks = format!(
        "{first}\n{}{}",
        HEADER.strip_prefix("id,").unwrap(),
        row("b", 1, "1").strip_prefix("b,").unwrap()
    );
    let error = place.ingest(NOW, &place.file("c.csv", lacks)).unwrap_err().to_string();
    assert!(
        error.contains("line 3 is a second header: the header lacks `id`"),
        "{error}"
    );
    assert_eq!(place.ingest(NOW, &place.file("d.csv", first)).unwrap().batch.batch, 1);
}

#[test]
fn a_record_is_the_same_from_parquet_with_texts_or_numbers_as_from_json_and_csv() {
    use polars::prelude::*;
    use polars_io::prelude::*;
    let cards = card();
    let place = place(cards.path());
    let columns = |value: Column| {
        let text = |name: &str, text: &str| Column::new(name.into(), [text]);
        let number = |name: &str, number: i64| Column::new(name.into(), [number]);
        vec![
            text("id", "x"),
            number("uin", 1),
            number("appid", 1),
            text("task_type", "Job"),
            number("duration_ms", 0),
            text("finished_at", "2026-10-05 01:30:00 UTC"),
            value,
        ]
    };
    place.drop("1.csv", HEADER.to_owned() + &row("x", 1, "1.10"));
    place.drop("2.ndjson", job("x", 1, "1.1"));
    for (name, value) in [
        ("3.parquet", Column::new("parameters.type".into(), ["1.10"])),
        ("4.parquet", Column::new("parameters.type".into(), [1.1])),
    ] {
        let mut frame = DataFrame::new_infer_height(columns(value)).unwrap();
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
        place.drop(name, bytes);
    }
    assert_eq!(counts(&place.night(NOW)), [1, 0, 3, 0]);
}

#[test]
fn excels_csv_of_other_countries_is_read_by_its_header() {
    let text = HEADER.to_owned() + &row("a", 1, "1") + &row("b", 1, "1.0");
    for separator in [";", "\t", "|"] {
        assert_eq!(
            of_file("a.csv", text.replace(',', separator)),
            [2, 0, 0, 0],
            "{separator:?}"
        );
    }
    assert_eq!(
        of_file("a.csv", format!("sep=;\r\n{}", text.replace(',', ";"))),
        [2, 0, 0, 0]
    );
    let quoted = text.replace(',', ";").replace("1.0", "\"1.0\"").replace('\n', "\r\n");
    assert_eq!(of_file("a.csv", quoted), [2, 0, 0, 0]);
    let units: Vec<u16> = format!("\u{feff}{}", text.replace(',', "\t")).encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    assert_eq!(of_file("a.csv", little), [2, 0, 0, 0]);
    assert_eq!(of_file("a.csv", big), [2, 0, 0, 0]);
    let units: Vec<u16> = format!("\u{feff}{}", job("a", 1, "\"1\"")).encode_utf16().collect();
    let json: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    assert_eq!(of_file("a.ndjson", json), [1, 0, 0, 0]);
}

#[test]
fn what_a_spreadsheet_makes_of_values_is_refused_with_the_cure() {
    let cards = card();
    let place = place(cards.path());
    let semicolons = |text: String| text.replace(',', ";");
    for (at, (text, code, told)) in [
        (
            semicolons(HEADER.to_owned() + &row("a", 1, "1")).replace("Job;0", "Job;60,5"),
            "not_a_number",
            "commas are not accepted",
        ),
        (
            semicolons(HEADER.to_owned() + &row("a", 1, "1")).replace("Z;1", "Z;29,97"),
            "not_a_number",
            "write it with a point, as 29.97",
        ),
        (
            HEADER.to_owned() + &row("a", 1, "1").replace("a,1", "a,'1"),
            "not_a_number",
            "remove the apostrophe",
        ),
        (
            HEADER.to_owned() + &row("a", 1, "1").replace("a,1", "a,=\"1\""),
            "bad_cell",
            "write 123 alone",
        ),
        (
            HEADER.to_owned() + &row("a", 1, "1").replace("a,1", "a,\"=\"\"1\"\"\""),
            "not_a_number",
            "a spreadsheet formula",
        ),
        (
            HEADER.to_owned() + &row("a", 1, "1").replace("a,1", "a,1.00005E+11"),
            "not_a_number",
            "format the column as text",
        ),
        (
            HEADER.to_owned() + &row("a", 1, "1").replace(",0,", ",-5,"),
            "negative",
            "send a void",
        ),
        (
            HEADER.to_owned() + "a,\"1\n\",1,Job,0,2026-10-05T01:30:00Z,1\n",
            "bad_cell",
            "write it on one line",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (codes, sentence) = refused(&place, &format!("{at}.csv"), text);
        assert_eq!(codes[0].0, code, "{sentence}");
        assert!(sentence.contains(told), "{sentence}");
    }
    for (name, text, told) in [
        (
            "a.csv",
            "流水号,账号\n1,2\n".to_owned(),
            "names no field of a usage record",
        ),
        ("b.csv", HEADER.replace('\n', "\r") + "a,1\r", "carriage return"),
        (
            "c.csv",
            HEADER.replace("duration_ms", "durationMs"),
            "did you mean `duration_ms` instead of \"durationMs\"?",
        ),
        ("d.xlsx", String::new(), "save it as CSV UTF-8"),
    ] {
        let path = place.file(name, text);
        let refused = tallybook::pipeline::ingest::input::Input::named(&path, None).map(|_| ());
        let error = refused
            .and_then(|()| place.ingest(NOW, &path).map(|_| ()))
            .unwrap_err()
            .to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn an_unknown_column_or_field_refuses_the_records_that_have_a_value_in_it() {
    let cards = card();
    let place = place(cards.path());
    let header = format!(",{}", HEADER.replace('\n', ",colour\n"));
    let of = |index: &str, id: &str, colour: &str| {
        format!("{index},{}", row(id, 1, "1").replace('\n', &format!(",{colour}\n")))
    };
    let (codes, sentence) = refused(&place, "1.csv", header.clone() + &of("", "a", "") + &of("", "b", "red"));
    assert_eq!(codes, [("unknown_field".to_owned(), 1)]);
    assert!(
        sentence.starts_with("column 9, \"colour\", is not a field of a usage record"),
        "{sentence}"
    );
    let (codes, sentence) = refused(&place, "2.csv", header + &of("0", "c", ""));
    assert_eq!(codes, [("unknown_field".to_owned(), 1)]);
    assert!(sentence.contains("the index that pandas writes"), "{sentence}");
    let json = |colour: &str| job("a", 1, "\"1\"").replace("\"uin\"", &format!("\"colour\":{colour},\"uin\""));
    let (codes, sentence) = refused(&place, "3.ndjson", json("null") + &json("\"red\""));
    assert_eq!(codes, [("unknown_field".to_owned(), 1)]);
    assert!(
        sentence.starts_with("\"colour\" is not a field of a usage record"),
        "{sentence}"
    );
    assert_eq!(counts(&place.night(NOW)), [1, 0, 1, 0]);
}
