//! A small world that passes every stage: a list of steps, each of which is one process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use polars::prelude::*;
use polars_io::prelude::*;

use super::process::{Ended, program};
use crate::world::line;

/// The day on which most of the usage happens, in Shanghai.
pub const DAY: &str = "2024-11-15T10:00:00+08:00";

/// What should have been sent in the place of the first line that is no usage.
const MENDED: &str = r#"{"id":"g3","uin":"7","appid":1,"task_type":"Transcode","duration_ms":1000,"finished_at":"2024-11-15T02:00:00Z"}"#;

/// One process of the play.
pub struct Step {
    pub name: &'static str,
    pub as_of: &'static str,
    pub args: &'static [&'static str],
    /// What people and producers do before it: files that come.
    pub before: fn(&Path),
    /// Its exit code.
    pub code: i32,
    /// Its exit code when everything was done the first time, and only the answer was lost.
    pub code_again: i32,
}

const NOTHING: fn(&Path) = |_| {};

impl Step {
    const fn new(name: &'static str, as_of: &'static str, args: &'static [&'static str]) -> Self {
        Self {
            name,
            as_of,
            args,
            before: NOTHING,
            code: 0,
            code_again: 0,
        }
    }

    const fn before(mut self, before: fn(&Path)) -> Self {
        self.before = before;
        self
    }

    /// A decision is made once: made again, it is refused.
    const fn decides(mut self) -> Self {
        self.code_again = 2;
        self
    }

    /// Refuses a file, which needs a person; a night after that has nothing to refuse.
    const fn refuses(mut self) -> Self {
        self.code = 3;
        self
    }

    pub fn exports(&self) -> bool {
        ["nightly", "export"].contains(&self.args[0])
    }

    /// Accounts that nobody added wait in quarantine at first, and are added by their usage later on.
    pub fn command(&self, path: &Path) -> std::process::Command {
        let mut command = program(path, self.as_of, self.args);
        let at_the_door = ["ingest", "quarantine"].contains(&self.args[0]);
        command.env(
            "TALLYBOOK_UNKNOWN_ACCOUNTS",
            if at_the_door { "quarantine" } else { "add" },
        );
        command.env("TALLYBOOK_KEEP_USAGE_MONTHS", "12");
        command.env("TALLYBOOK_KEEP_STATEMENT_MONTHS", "12");
        if self.args[0] == "retention" {
            command.args(["--config", "policy.toml"]);
        }
        command
    }

    pub fn may_end_again(&self, ended: &Ended) -> bool {
        ended.code == Some(self.code) || ended.code == Some(self.code_again)
    }
}

/// The steps after the ground was laid. Together they pass every point.
pub const STEPS: [Step; 30] = [
    Step::new(
        "ingest",
        "2024-11-16T12:00:00Z",
        &["ingest", "in/lines.ndjson", "in/more.parquet.gz"],
    )
    .before(inputs),
    Step::new(
        "account add",
        "2024-11-17T00:00:00Z",
        &["account", "add", "9", "--card", "c", "--from", "2024-11-01"],
    )
    .decides(),
    Step::new(
        "account set",
        "2024-11-17T00:00:00Z",
        &["account", "set", "9", "--name", "Nine", "--label", "tier=gold"],
    ),
    Step::new(
        "account import",
        "2024-11-17T00:00:00Z",
        &["account", "import", "in/accounts.csv"],
    )
    .before(accounts),
    Step::new(
        "first-day",
        "2024-11-17T00:00:00Z",
        &["first-day", "2023-01-01", "--reason", "last year's usage comes late"],
    )
    .decides(),
    Step::new("quarantine retry", "2024-11-17T00:00:00Z", &["quarantine", "retry"]),
    Step::new(
        "quarantine edit",
        "2024-11-17T00:00:00Z",
        &[
            "quarantine",
            "edit",
            "1",
            "--line",
            MENDED,
            "--reason",
            "a log went into it",
        ],
    ),
    Step::new(
        "quarantine dismiss",
        "2024-11-17T00:00:00Z",
        &["quarantine", "dismiss", "2", "--reason", "a log went into it"],
    )
    .decides(),
    Step::new("night that merges", "2024-11-20T00:00:00Z", &["nightly"])
        .before(first_drop)
        .refuses(),
    Step::new(
        "conflict replace",
        "2024-11-21T00:00:00Z",
        &["conflict", "replace", "1", "--reason", "the second is right"],
    )
    .decides(),
    Step::new("night that closes", "2024-12-10T00:00:00Z", &["nightly"]).before(second_drop),
    Step::new(
        "source template add",
        "2024-12-11T00:00:00Z",
        &[
            "source",
            "template",
            "add",
            "mps",
            "7",
            "--type",
            "Standard",
            "--reason",
            "as the console shows it",
        ],
    ),
    Step::new(
        "source disable",
        "2024-12-11T00:00:00Z",
        &["source", "disable", "mps", "--reason", "it moved"],
    ),
    Step::new(
        "source enable",
        "2024-12-12T00:00:00Z",
        &["source", "enable", "mps", "--reason", "it moved back"],
    ),
    Step::new("source redrive", "2024-12-12T00:00:00Z", &["source", "redrive", "mps"]),
    Step::new(
        "source payloads delete",
        "2024-12-12T00:00:00Z",
        &[
            "source",
            "payloads",
            "delete",
            "--task",
            SECOND_TASK,
            "--reason",
            "the customer asked",
        ],
    ),
    Step::new(
        "retention exceed",
        "2024-12-12T00:00:00Z",
        &["retention", "exceed", "statements", "--reason", "the tax office"],
    ),
    Step::new(
        "rate-card import --corrects",
        "2024-12-20T00:00:00Z",
        &[
            "rate-card",
            "import",
            "cards",
            "--corrects",
            "2024-01-01",
            "--reason",
            "a typing error",
        ],
    )
    .before(corrected_card),
    Step::new(
        "ingest of late usage",
        "2024-12-21T00:00:00Z",
        &["ingest", "in/late.ndjson"],
    )
    .before(late_usage),
    Step::new("meter", "2025-01-10T00:00:00Z", &["meter"]),
    Step::new("close", "2025-01-10T00:00:00Z", &["close"]),
    Step::new("export", "2025-01-10T00:00:00Z", &["export"]),
    Step::new("expire of logs", "2025-01-10T00:00:00Z", &["expire"]),
    Step::new("export --again", "2025-01-11T00:00:00Z", &["export", "--again", "1"]),
    Step::new(
        "expire --waive",
        "2025-01-12T00:00:00Z",
        &["expire", "--waive", "2024-11-15", "--reason", "settled by hand"],
    ),
    Step::new(
        "terminate",
        "2025-01-12T00:00:00Z",
        &["terminate", "8", "--on", "2025-01-20", "--reason", "it moves"],
    )
    .decides(),
    Step::new(
        "reinstate",
        "2025-01-13T00:00:00Z",
        &["reinstate", "8", "--reason", "it stays"],
    )
    .decides(),
    Step::new("night that expires", "2025-07-20T00:00:00Z", &["nightly"]).before(last_drop),
    Step::new(
        "terminate for good",
        "2025-07-21T00:00:00Z",
        &["terminate", "9", "--on", "2025-07-22", "--reason", "it closes"],
    )
    .decides(),
    Step::new("expire of the ledger's rows", "2026-02-01T00:00:00Z", &["expire"]),
];

/// Eight batches of one day, each metered by itself: one more, and segments and key runs are merged.
pub fn lay_ground(path: &Path) {
    for folder in ["in", "cards/c", "books/drop"] {
        std::fs::create_dir_all(path.join(folder)).unwrap();
    }
    card(path, "0.5", false);
    let run = |args: &[&str]| {
        let ended = super::process::run(&mut program(path, "2024-11-16T00:00:00Z", args));
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.said);
    };
    run(&["rate-card", "import", "cards"]);
    for number in 1..=8 {
        let name = format!("in/{number}.ndjson");
        std::fs::write(path.join(&name), with_log(&line(&format!("r{number}"), 7, DAY, 60_000))).unwrap();
        run(&["ingest", &name]);
        run(&["meter"]);
    }
}

fn with_log(line: &str) -> String {
    line.replace("\"appid\":1", "\"appid\":1,\"task_id\":\"t-1\"")
}

fn void(id: &str, target: &str) -> String {
    format!("{{\"id\":\"{id}\",\"kind\":\"void\",\"voids\":\"{target}\"}}\n")
}

/// A rate card with one price, and later on a second meter.
pub fn card(path: &Path, price: &str, grown: bool) {
    let meter = |name: &str, task: &str| {
        format!(
            "[[meter]]\nname = \"{name}\"\ntask_type = \"{task}\"\nsku = \"{task}\"\nquantity = \"duration\"\nunit = \"minute\"\n"
        )
    };
    let price_of =
        |sku: &str, price: &str| format!("\"{sku}\" = {{ unit_price = \"{price}\", origin = \"illustrative\" }}\n");
    let mut text =
        "card = \"c\"\nfrom = 2024-01-01\ncurrency = \"CNY\"\nzone = \"Asia/Shanghai\"\ndefault_region = \"r\"\n\
                    [regions]\nall = [\"*\"]\n"
            .to_owned();
    text += &meter("work", "Transcode");
    if grown {
        text += &meter("evaluation", "Evaluation");
    }
    text += "[prices]\n";
    text += &price_of("Transcode", price);
    if grown {
        text += &price_of("Evaluation", "2");
    }
    std::fs::write(path.join("cards/c/2024-01-01.toml"), text).unwrap();
}

/// A good line with service-log fields, two that are no usage, one of an account that is not there yet; and a packed Parquet.
fn accounts(path: &Path) {
    std::fs::write(path.join("in/accounts.csv"), "uin,name,label.tier\n9,Nine Ltd,gold\n").unwrap();
}

fn inputs(path: &Path) {
    let text = with_log(&line("g1", 7, DAY, 90_000)) + "not usage\nnor this\n" + &line("g2", 9, DAY, 30_000);
    std::fs::write(path.join("in/lines.ndjson"), text).unwrap();
    let mut frame = df!(
        "id" => ["p1", "p2"],
        "uin" => [7_u64, 7],
        "appid" => [1_i32, 2],
        "task_type" => ["Transcode", "Transcode"],
        "parameters.type" => ["Standard", "Standard"],
        "duration_ms" => [45_000_i64, 15_000],
        "finished_at" => ["2024-11-14T10:00:00Z", "2024-11-16T10:00:00Z"],
    )
    .unwrap();
    let file = std::fs::File::create(path.join("in/more.parquet.gz")).unwrap();
    let mut plain = Vec::new();
    ParquetWriter::new(&mut plain).finish(&mut frame).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &plain).unwrap();
    packed.finish().unwrap();
}

pub fn drop_file(path: &Path, name: &str, text: &str) {
    std::fs::write(path.join("books/drop").join(name), text).unwrap();
}

fn first_batch() -> String {
    let same = with_log(&line("r2", 7, DAY, 60_000));
    let others = [
        line("r1", 7, DAY, 75_000),
        line("r4", 7, DAY, 61_000),
        line("n1", 8, DAY, 120_000),
    ];
    let no_meter = line("e1", 7, DAY, 60_000).replace("Transcode", "Evaluation");
    same + &others.concat() + &void("v1", "r3") + &void("v2", "w1") + &no_meter
}

/// A repeat, two conflicts, a void and one that waits, a record without a meter, a new account; and a file of no format.
fn first_drop(path: &Path) {
    drop_file(path, "a.ndjson", &first_batch());
    drop_file(path, "b.unknown", "what is this");
}

const SAMPLES: &str = include_str!("../../data/events/samples.ndjson");

/// The task of the second event.
const SECOND_TASK: &str = "1250000001-EditMedia-2";

/// Two events without a time of their own, in the folder of its source; and a source that is pulled.
fn events(path: &Path) {
    for folder in ["sources", "books/drop/mps"] {
        std::fs::create_dir_all(path.join(folder)).unwrap();
    }
    let definition = "format = \"mps-events\"\nuin = 7\nappid = 1\n";
    std::fs::write(path.join("sources/mps.toml"), definition).unwrap();
    let event = SAMPLES.lines().nth(3).unwrap();
    let second = event.replace("1250000001-EditMedia-59f6c2f8d34e8ae37f63518589c857a1", SECOND_TASK);
    assert_ne!(second, event);
    drop_file(path, "mps/events.ndjson", &format!("{event}\n{second}\n"));
    let own = "format = \"mps-events\"\nuin = 9\nappid = 1\n";
    std::fs::write(path.join("sources/nine.toml"), own).unwrap();
    let shared = "format = \"mps-events\"\n[accounts]\n1 = 7\n2 = 9\n";
    std::fs::write(path.join("sources/shared.toml"), shared).unwrap();
    std::fs::write(path.join("policy.toml"), "policy = { statement_months = 11 }\n").unwrap();
    let definition = format!(
        "kind = \"folder\"\npath = \"{}\"\nfrom = \"2024-01-01T00:00:00Z\"\n",
        incoming().display()
    );
    std::fs::write(path.join("sources/files.toml"), definition).unwrap();
}

/// A folder with one file that stays where it is: one for all places, since a definition names it.
fn incoming() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("incoming");
    let file = folder.join("one.ndjson");
    if !file.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        let made = folder.join(format!(".{}", std::process::id()));
        std::fs::write(&made, line("k1", 7, DAY, 60_000)).unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(1_732_000_000);
        File::options()
            .write(true)
            .open(&made)
            .unwrap()
            .set_modified(time)
            .unwrap();
        std::fs::rename(&made, &file).unwrap();
    }
    folder
}

/// The same file again, the record that a void waits for, usage of another day; and a card with a meter more.
fn second_drop(path: &Path) {
    card(path, "0.5", true);
    events(path);
    drop_file(path, "a.ndjson", &first_batch());
    let text = line("w1", 7, DAY, 60_000) + &line("m1", 8, "2024-11-30T10:00:00+08:00", 60_000);
    drop_file(path, "c.ndjson", &text);
}

fn corrected_card(path: &Path) {
    card(path, "0.6", true);
}

fn late_usage(path: &Path) {
    let text = line("l1", 7, DAY, 600_000) + &line("d1", 8, "2024-12-05T10:00:00+08:00", 60_000);
    std::fs::write(path.join("in/late.ndjson"), text).unwrap();
}

/// Usage of another day, and a source that is no longer of account 9.
fn last_drop(path: &Path) {
    let shared = "format = \"mps-events\"\n[accounts]\n1 = 7\n";
    std::fs::write(path.join("sources/shared.toml"), shared).unwrap();
    drop_file(path, "d.ndjson", &line("j1", 9, "2025-06-10T10:00:00+08:00", 60_000));
}
