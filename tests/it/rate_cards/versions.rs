//! A version that measures otherwise from a day inside a billing period: what counts on runs on.

use tallybook::values::calendar::Cycle;

use crate::world::Place;

/// The first version: seconds as they are, HD up to 720, and tiers at 100 minutes.
const FIRST: &str = r#"card = "c"
from = 2024-01-01
currency = "USD"
zone = "UTC"
default_region = "r"
[regions]
all = ["*"]
[[meter]]
name = "video"
task_type = "Video"
sku = "V.{size}"
quantity = "duration"
unit = "minute"
dimensions.size = { of = "short_side", steps = { SD = 480, HD = 720 } }
[prices]
"V.SD" = { origin = "illustrative", unit_price = "1" }
"V.HD" = { origin = "illustrative", tiers = [{ from = 0, to = 100, unit_price = "3" }, { from = 100, unit_price = "2" }] }
"#;

/// One record per day: 61 s in HD on each of the days, and what is told of the period's lines.
fn lines(second: &str, height: u32) -> Vec<String> {
    let cards = tempfile::tempdir().unwrap();
    let folder = cards.path().join("c");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("2024-01-01.toml"), FIRST).unwrap();
    std::fs::write(folder.join("2024-11-16.toml"), second).unwrap();
    let place = Place::with_cards(cards.path(), "c");
    place.add_account(
        "2024-11-01T00:00:00Z",
        7,
        "c",
        Cycle::Monthly { anchor_day: 1 },
        "2024-11-01",
    );
    // 99 minutes before the change, then 61 seconds of the same.
    place.drop(
        "usage.ndjson",
        format!(
            "{}{}",
            video("a", "2024-11-15T10:00:00Z", 99 * 60_000, 720),
            video("b", "2024-11-16T10:00:00Z", 61_000, height)
        ),
    );
    place.night("2024-12-05T00:00:00Z");
    let (_, text) = place.exported("statement_lines.csv").remove(0);
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let header = rows.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let columns = ["card_version", "sku", "quantity", "unit_price", "amount"].map(column);
    let kind = column("kind");
    let usage = rows.records().map(Result::unwrap).filter(|row| &row[kind] == "usage");
    usage
        .map(|row| columns.map(|at| row[at].to_owned()).join(" "))
        .collect()
}

fn video(id: &str, finished_at: &str, duration_ms: u64, height: u32) -> String {
    format!(
        "{{\"id\":\"{id}\",\"uin\":\"7\",\"appid\":1,\"task_type\":\"Video\",\"parameters\":{{\"width\":4000,\"height\":{height}}},\
         \"duration_ms\":{duration_ms},\"finished_at\":\"{finished_at}\"}}\n"
    )
}

/// The first version with one change, from 16 November on.
fn second(from: &str, to: &str) -> String {
    let text = FIRST.replace("from = 2024-01-01", "from = 2024-11-16");
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// What was used before the change, at 3 a minute.
const BEFORE: &str = "2024-01-01 V.HD 99.000000 3 297.0000000000";

#[test]
fn a_new_minimum_changes_the_quantity_and_not_the_counter() {
    // 61 s count as 120 s: one minute is left of the first tier.
    assert_eq!(
        lines(
            &second("unit = \"minute\"", "unit = \"minute\"\nminimum = \"120s\""),
            720
        ),
        [
            BEFORE,
            "2024-11-16 V.HD 1.000000 3 3.0000000000",
            "2024-11-16 V.HD 1.000000 2 2.0000000000"
        ]
    );
}

#[test]
fn a_new_rounding_changes_the_quantity_and_not_the_counter() {
    // 61 s count as 180 s.
    assert_eq!(
        lines(
            &second("unit = \"minute\"", "unit = \"minute\"\nround_up_to = \"3m\""),
            720
        ),
        [
            BEFORE,
            "2024-11-16 V.HD 1.000000 3 3.0000000000",
            "2024-11-16 V.HD 2.000000 2 4.0000000000"
        ]
    );
}

#[test]
fn a_new_step_table_changes_the_sku_and_not_its_counter() {
    // 1080 lines were in no step before, and are HD now: 61 s are 1.016667 minutes.
    assert_eq!(
        lines(&second("HD = 720", "HD = 1080"), 1080),
        [
            BEFORE,
            "2024-11-16 V.HD 1.000000 3 3.0000000000",
            "2024-11-16 V.HD 0.016667 2 0.0333340000"
        ]
    );
}
