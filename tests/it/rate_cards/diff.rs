//! `rate-card diff`, as people and programs read it.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::crashes::process::program;
use crate::world::{Place, at, real_cards, run};

/// A card with a price of each kind.
const OLD: &str = r#"card = "house"
from = 2024-01-01
currency = "USD"
zone = "UTC"
grace = "3d"
default_region = "r1"
[regions]
one = ["r1", "r2"]
two = ["r3"]
[[meter]]
name = "video"
task_type = "Video"
sku = "V.{size}"
quantity = "duration"
unit = "minute"
round_up_to = "1s"
dimensions.size = { of = "short_side", steps = { SD = 480, HD = 720 } }
[[meter]]
name = "shot"
task_type = "Shot"
sku = "Shot"
quantity = "images"
unit = "image"
[prices]
"V.SD" = { origin = "published", unit_price = { one = "0.0325", two = "0.04" } }
"V.HD" = { origin = "published", tiers = [{ from = 0, to = 1000, unit_price = "0.06" }, { from = 1000, unit_price = "0.05" }] }
Shot = { unit_price = "0.001", origin = "illustrative" }
"#;

/// The same half a year later: another grace, region, rounding, step table, meter, and other prices.
const NEW: &str = r#"card = "house"
from = 2024-07-01
currency = "USD"
zone = "UTC"
grace = "5d"
default_region = "r1"
[regions]
one = ["r1"]
two = ["r2", "r3"]
[[meter]]
name = "audio"
task_type = "Audio"
sku = "Audio"
quantity = "duration"
unit = "minute"
[[meter]]
name = "video"
task_type = "Video"
sku = "V.{size}"
quantity = "duration"
unit = "minute"
minimum = "10s"
round_up_to = "60s"
dimensions.size = { of = "short_side", steps = { SD = 540, HD = 720, 4K = 2160 } }
[prices]
Audio = { origin = "illustrative", unit_price = "0.004" }
"V.SD" = { origin = "published", unit_price = { one = "0.03", two = "0.045" } }
"V.HD" = { origin = "published", counter = "video", tiers = [
    { from = 0, to = 500, unit_price = "0.06" }, { from = 500, to = 2000, unit_price = "0.05" }, { from = 2000, unit_price = "0.04" },
] }
"V.4K" = { origin = "published", unit_price = { one = "0.1", two = "not sold" } }
"#;

fn cards() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("house");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("2024-01-01.toml"), OLD).unwrap();
    std::fs::write(folder.join("2024-07-01.toml"), NEW).unwrap();
    dir
}

fn answer(command: &mut Command) -> String {
    let output = command.output().unwrap();
    format!(
        "{}{}exit code {:?}\n",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code()
    )
}

/// The answer in a folder of cards, where no books are.
fn diff(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    answer(
        command
            .current_dir(dir)
            .env_clear()
            .args(["rate-card", "diff"])
            .args(arguments),
    )
}

#[test]
fn two_files_are_compared_in_words_and_numbers_without_books() {
    let dir = cards();
    insta::assert_snapshot!(diff(dir.path(), &["house/2024-01-01.toml", "house/2024-07-01.toml"]));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was made");
}

#[test]
fn the_same_as_csv_and_as_json() {
    let dir = cards();
    let files = ["house/2024-01-01.toml", "house/2024-07-01.toml"];
    insta::assert_snapshot!(diff(dir.path(), &[&files[..], &["--csv"]].concat()));
    let json = diff(dir.path(), &[&files[..], &["--json"]].concat());
    insta::assert_snapshot!(json);
}

#[test]
fn a_version_does_not_differ_from_itself() {
    let dir = cards();
    assert_eq!(
        diff(dir.path(), &["house/2024-01-01.toml", "house/2024-01-01.toml"]),
        "old: house of 2024-01-01, USD\nnew: house of 2024-01-01, USD\n\nnothing changed\nexit code Some(0)\n"
    );
}

#[test]
fn imported_versions_are_named_by_card_and_day() {
    let dir = cards();
    let place = Place::with_cards(dir.path(), "house");
    run(async {
        let books = place.books(at("2024-07-01T00:00:00Z")).await;
        let paths = [dir.path().to_owned(), real_cards()];
        tallybook::catalog::rate_card::import::import(&books, &paths, None)
            .await
            .unwrap();
        books.ledger.close().await;
    });
    let diff = |arguments: &[&str]| {
        let arguments = [&["rate-card", "diff"], arguments].concat();
        answer(program(place.path(), "2024-07-02T00:00:00Z", &arguments).stdout(Stdio::piped()))
    };
    let file = dir.path().join("house/2024-07-01.toml").display().to_string();
    assert_eq!(
        diff(&["house@2024-06-30", "house@2024-12-31"]),
        diff(&["house@2024-01-01", &file]),
        "the version in force on a day is meant, and a file is read"
    );
    assert!(diff(&["house@2024-06-30", "house@2024-12-31"]).ends_with("exit code Some(0)\n"));
    insta::assert_snapshot!(
        [
            diff(&["house@2023-12-31", &file]),
            diff(&["hause@2024-06-30", &file]),
            diff(&["house@June", &file]),
            diff(&["house/2024-07-01.toml", &file]),
        ]
        .join("\n")
        .replace(&dir.path().display().to_string(), "CARDS")
    );
}
