//! The rules of the house, held against its sources: which room may use which, who writes a table and who reads it, where a crate with a
//! wide surface is met, and where nobody asks for the time or calculates in floats.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, each using only those above it.
const ROOMS: [&str; 20] = [
    "support",
    "values",
    "storage",
    "context",
    "catalog",
    "pipeline/ingest",
    "pipeline/meter",
    "pipeline/rate",
    "pipeline/close",
    "pipeline/export",
    "pipeline/retention",
    "pipeline/maintenance",
    "decisions",
    "sources",
    "backup",
    "erasure",
    "nightly",
    "inspect",
    "demo",
    "cli",
];

/// The tables that each room writes: no other room inserts, updates or deletes their rows.
const OWNERS: [(&str, &str); 10] = [
    (
        "storage",
        "audit begun_run counter dropped_file fact intake lease segment tally",
    ),
    (
        "catalog",
        "account account_end account_label account_profile agreement erased_account rate_card rerate source_state source_template source_version terms tombstone withdrawn_card",
    ),
    (
        "pipeline/ingest",
        "alarm batch blanked_original original quarantine reread skipped_event",
    ),
    (
        "pipeline/meter",
        "conflict control_total key_run late_usage metering unmetered unmetered_file usage_daily usage_file usage_total void",
    ),
    (
        "pipeline/close",
        "account_month blocked_period closed_period closing document draft empty_period erased_statement settlement stated_period statement",
    ),
    ("pipeline/export", "erased_export export"),
    (
        "pipeline/retention",
        "deletion expired_day expired_month held_day proved_account proved_day waiver",
    ),
    ("sources", "source_object source_position source_pull"),
    ("erasure", "erased_rows erasure erasure_in_progress"),
    ("nightly", "run"),
];

/// Tables of another room that a room names in SQL of its own, to join or to count them where the database does it better. `inspect`
/// may read any table: it writes none. A name that is needed no more fails the test too, so the list only gets shorter by itself.
const READERS: [(&str, &str); 12] = [
    ("storage", "batch expired_day key_run run unmetered_file usage_file"),
    ("context", "batch closed_period segment"),
    (
        "catalog",
        "closed_period document empty_period late_usage statement usage_file",
    ),
    ("pipeline/ingest", "account erased_rows"),
    ("pipeline/meter", "batch reread"),
    ("pipeline/close", "counter expired_month late_usage rerate"),
    ("pipeline/export", "stated_period statement"),
    ("backup", "batch counter erased_export erasure export quarantine"),
    (
        "erasure",
        "conflict document erased_export export late_usage proved_account quarantine rerate settlement source_version stated_period statement \
         unmetered usage_daily waiver",
    ),
    ("nightly", "closing"),
    (
        "pipeline/retention",
        "account conflict late_usage segment unmetered usage_daily",
    ),
    ("decisions", "batch conflict void"),
];

/// Where a crate with a wide surface may be named: folders and files under `src/`.
const MET_IN: [(&str, &[&str]); 15] = [
    ("age", &["backup/encryption.rs"]),
    (
        "polars",
        &[
            "storage/",
            "pipeline/ingest/formats/parquet/",
            "pipeline/ingest/earlier_read.rs",
            "pipeline/meter/aggregate/measure.rs",
            "pipeline/meter/classify/unmetered.rs",
            "pipeline/meter/dedupe/",
            "pipeline/retention/day_digest.rs",
            "pipeline/maintenance/merge_segments.rs",
            "catalog/account/usage.rs",
            "demo/parquet.rs",
            "support/error/mod.rs",
        ],
    ),
    ("sqlx", &["storage/ledger/", "support/error/mod.rs", "sources/table/"]),
    (
        "clap",
        &["cli/", "context/keeping.rs", "context/mod.rs", "values/format.rs"],
    ),
    ("libc", &["storage/"]),
    ("hyper", &["sources/cmq/http.rs", "storage/objects/bucket/http.rs"]),
    ("quick_xml", &["storage/objects/bucket/"]),
    ("ring", &["storage/objects/bucket/"]),
    ("argon2", &["catalog/account/erased/tombstone.rs"]),
    ("getrandom", &["support/random.rs"]),
    ("memmap2", &["pipeline/meter/dedupe/identity_index/read.rs"]),
    ("indicatif", &["support/progress.rs"]),
    ("lapin", &["sources/amqp/"]),
    ("async_nats", &["sources/nats/"]),
    ("rdkafka", &["sources/kafka/"]),
];

/// A source file: its path under `src/`, the room it belongs to, and its text without comments and unit tests.
struct Source {
    path: String,
    room: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        if path.ends_with("tests.rs") || path.ends_with("samples.rs") {
            continue;
        }
        sources.push(Source {
            room: room_of(path.trim_end_matches(".rs")),
            code: without_comments(&without_tests(&fs::read_to_string(&file).unwrap())),
            path,
        });
    }
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The first of the names on a path; of the pipeline, two.
fn room_of(path: &str) -> String {
    let mut names = path.split('/');
    let first = names.next().unwrap_or_default();
    match (first, names.next()) {
        ("pipeline", Some(stage)) => format!("pipeline/{stage}"),
        _ => first.to_owned(),
    }
}

fn without_tests(text: &str) -> String {
    text.split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn without_comments(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The string literals of a text, with continued lines joined.
fn strings(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            // A character such as `'\"'`; a lifetime has no quote two characters on.
            let mut ahead = chars.clone();
            let length = if ahead.next() == Some('\\') { 3 } else { 2 };
            if chars.clone().nth(length - 1) == Some('\'') {
                chars.nth(length - 1);
            }
            continue;
        }
        if c != '"' {
            continue;
        }
        let mut text = String::new();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => match chars.next() {
                    Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                    Some(escaped) => text.push(escaped),
                    None => break,
                },
                c => text.push(c),
            }
        }
        found.push(text);
    }
    found
}

fn words(text: &str) -> Vec<&str> {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.split(|c| !is_of_word(c)).filter(|word| !word.is_empty()).collect()
}

/// Whether code names a path that begins with this name, such as `polars::` or `polars_io::`.
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let is_start = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
        let after = code[at + name.len()..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        is_start && after.starts_with("::")
    })
}

fn rank(room: &str) -> usize {
    let at = ROOMS.iter().position(|one| *one == room);
    at.unwrap_or_else(|| panic!("{room} is no room of the house: give it a place in `ROOMS`"))
}

#[test]
fn a_room_uses_only_those_above_it() {
    let mut wrong = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !matches!(source.path.as_str(), "lib.rs" | "main.rs"))
    {
        let mine = source.path.trim_end_matches(".rs");
        if mine == "pipeline/mod" {
            continue;
        }
        for (at, _) in source.code.match_indices("crate::") {
            let path = &source.code[at + "crate::".len()..];
            let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
            if path.starts_with('{') {
                wrong.push(format!("{} imports several rooms in one line", source.path));
                continue;
            }
            let used = room_of(&path[..end.unwrap_or(path.len())].replace("::", "/"));
            if rank(&used) > rank(&source.room) {
                wrong.push(format!("{} uses {used}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_table_is_written_by_one_room_and_read_by_those_that_are_named() {
    let owners: BTreeMap<&str, &str> = OWNERS
        .iter()
        .flat_map(|(room, tables)| tables.split(' ').map(move |table| (table, *room)))
        .collect();
    let readers: BTreeSet<(&str, &str)> = READERS
        .iter()
        .flat_map(|(room, tables)| tables.split(' ').map(move |table| (*room, table)))
        .collect();
    let (mut wrong, mut unused) = (Vec::new(), readers.clone());
    let sources = sources();
    for source in &sources {
        let room = source.room.as_str();
        for text in strings(&source.code) {
            for (table, writes) in tables_named(&text, &owners) {
                let owner = owners[table];
                if owner == room {
                    continue;
                }
                unused.remove(&(room, table));
                if writes || (room != "inspect" && !readers.contains(&(room, table))) {
                    let verb = if writes { "writes" } else { "reads" };
                    wrong.push(format!("{} {verb} `{table}`, which is {owner}'s", source.path));
                }
            }
        }
    }
    wrong.extend(
        unused
            .iter()
            .map(|(room, table)| format!("{room} need not be among the readers of `{table}` any more")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The tables that a string names as SQL does, and whether it changes their rows.
fn tables_named<'t>(text: &str, tables: &BTreeMap<&'t str, &str>) -> Vec<(&'t str, bool)> {
    let words = words(text);
    let mut named = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let Some(table) = tables.keys().copied().find(|table| table == word) else {
            continue;
        };
        let before = at.checked_sub(1).map_or("", |at| words[at]);
        match before {
            "INTO" | "UPDATE" => named.push((table, true)),
            "FROM" => named.push((table, at > 1 && words[at - 2] == "DELETE")),
            "JOIN" => named.push((table, false)),
            // The text of `insert_rows`: the table, and its columns in parentheses.
            "" if text.strip_prefix(word).is_some_and(begins_with_columns) => named.push((table, true)),
            _ => {}
        }
    }
    named
}

/// Whether a text begins with names in parentheses.
fn begins_with_columns(text: &str) -> bool {
    let columns = text.strip_prefix(" (").and_then(|rest| rest.split_once(')'));
    columns.is_some_and(|(names, _)| {
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        names.split(", ").all(is_name)
    })
}

#[test]
fn every_table_has_an_owner() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let owned: BTreeSet<&str> = OWNERS.iter().flat_map(|(_, tables)| tables.split(' ')).collect();
    let (mut made, mut dropped) = (BTreeSet::new(), BTreeSet::new());
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        for line in fs::read_to_string(file).unwrap().lines() {
            if let Some(rest) = line.trim().strip_prefix("CREATE TABLE ") {
                made.insert(words(rest)[0].to_owned());
            }
            if let Some(rest) = line.trim().strip_prefix("DROP TABLE ") {
                dropped.insert(words(rest)[0].to_owned());
            }
            if let Some(rest) = line.trim().strip_prefix("ALTER TABLE ")
                && let [old, "RENAME", "TO", new, ..] = words(rest)[..]
            {
                made.insert(new.to_owned());
                dropped.insert(old.to_owned());
            }
        }
    }
    let without: Vec<&String> = made
        .iter()
        .filter(|table| !dropped.contains(*table) && !owned.contains(table.as_str()))
        .collect();
    assert!(without.is_empty(), "tables without an owner in `OWNERS`: {without:?}");
}

/// Files that are all about rows of their own, and too small for a folder.
const ALSO: [&str; 6] = [
    "catalog/account/cohorts.rs",
    "pipeline/close/adjustment/pending.rs",
    "pipeline/close/draft/month_totals.rs",
    "pipeline/ingest/quarantine/cut_lines.rs",
    "pipeline/retention/deletion.rs",
    "pipeline/retention/row_retention.rs",
];

#[test]
fn sql_stands_in_the_files_of_the_ledger_alone() {
    let may = |path: &str| {
        path.starts_with("storage/ledger/") || path.rsplit('/').any(|name| name == "store" || name == "store.rs")
    };
    let mut wrong = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !may(&source.path) && !ALSO.contains(&source.path.as_str()))
    {
        let is_sql = |text: &String| {
            ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "]
                .iter()
                .any(|verb| text.starts_with(verb))
        };
        wrong.extend(
            strings(&source.code)
                .into_iter()
                .filter(is_sql)
                .map(|text| format!("{}: {text}", source.path)),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_crate_with_a_wide_surface_is_met_in_few_places() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, places) in MET_IN {
            if names_crate(&source.code, name) && !places.iter().any(|place| source.path.starts_with(place)) {
                wrong.push(format!("{} names {name}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nobody_but_the_clock_asks_what_time_it_is() {
    // How long something lasts is another question, and `Instant` answers it.
    let asks = ["SystemTime::now", "Utc::now", "Local::now"];
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|source| source.path != "support/clock.rs" && asks.iter().any(|ask| source.code.contains(ask)))
        .map(|source| source.path.clone())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_float_stands_where_money_or_usage_is_counted() {
    // What a sender's file says in floats is read there, and shares and rates are shown to people.
    let may = [
        "pipeline/ingest/formats/parquet/",
        "pipeline/ingest/quarantine/alarm/",
        "demo/",
        "cli/",
        "support/",
    ];
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|source| !may.iter().any(|place| source.path.starts_with(place)))
        .filter(|source| words(&source.code).iter().any(|word| matches!(*word, "f32" | "f64")))
        .map(|source| source.path.clone())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_and_functions_are_of_a_size_that_one_reads() {
    const LINES_MAX: usize = 640;
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| source.code.lines().count() > LINES_MAX)
        .map(|source| source.path.clone())
        .collect();
    assert!(long.is_empty(), "split these files: {}", long.join(", "));
}
