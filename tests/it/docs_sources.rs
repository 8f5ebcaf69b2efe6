//! The pages of docs/sources hold against the program: the definitions that they show are taken, and every key is described.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tallybook::catalog::source::definition::Definition;
use tallybook::catalog::source::kinds::Kind;
use toml::{Table, Value};

/// A key that no kind has: its refusal names those that the kind has.
const UNKNOWN: &str = "colour";

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sources").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The page that describes a kind.
fn page_of(kind: &str) -> &'static str {
    match kind {
        "mysql" | "postgres" => "tables.md",
        "mongodb" => "mongodb.md",
        "s3" | "cos" | "folder" => "buckets.md",
        "kafka" => "kafka.md",
        "cmq" | "amqp" | "nats" => "queues.md",
        other => panic!("no page describes the kind {other}"),
    }
}

/// The definitions that a page shows. A block without a kind that is no part of the settings shows some keys alone.
fn definitions(page: &str) -> Vec<(String, Table)> {
    let blocks = page
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let mut found = Vec::new();
    for block in blocks {
        let table: Table = block.parse().unwrap_or_else(|error| panic!("{block}: {error}"));
        match table.get("source") {
            Some(Value::Table(sources)) => {
                found.extend(
                    sources
                        .iter()
                        .map(|(name, table)| (name.clone(), table.as_table().unwrap().clone())),
                );
            }
            _ if table.contains_key("kind") => found.push(("usage".to_owned(), table)),
            _ => {}
        }
    }
    found
}

#[test]
fn every_definition_that_the_pages_show_is_taken_and_every_kind_is_shown() {
    let mut shown: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for name in [
        "README.md",
        "tables.md",
        "mongodb.md",
        "buckets.md",
        "queues.md",
        "kafka.md",
    ] {
        for (source, table) in definitions(&page(name)) {
            let definition = Definition::of_table(&source, table).unwrap_or_else(|error| panic!("{name}: {error}"));
            shown.entry(definition.source.kind.name()).or_default().insert(name);
        }
    }
    for kind in Kind::NAMES {
        let pages = shown.get(kind).cloned().unwrap_or_default();
        // `cos` and `mysql` differ from what is shown before them in a word or two.
        let is_shown = pages.contains("README.md") || ["cos", "mysql"].contains(&kind);
        assert!(is_shown, "README.md shows no definition of kind {kind}");
        let has_a_page = kind == "files" || kind == "mysql" || pages.contains(page_of(kind));
        assert!(has_a_page, "{} shows no definition of kind {kind}", page_of(kind));
    }
}

#[test]
fn every_key_of_every_kind_is_on_its_page() {
    for kind in Kind::NAMES.into_iter().filter(|kind| *kind != "files") {
        let refusal = Kind::read(kind, Table::from_iter([(UNKNOWN.to_owned(), Value::Integer(1))])).unwrap_err();
        let page = page(page_of(kind));
        let described = quoted(&page);
        let keys: BTreeSet<&str> = quoted(&refusal).into_iter().filter(|key| *key != UNKNOWN).collect();
        assert!(1 < keys.len(), "{kind}: {refusal}");
        let missing: Vec<_> = keys.difference(&described).collect();
        assert!(
            missing.is_empty(),
            "{} does not describe {missing:?} of kind {kind}",
            page_of(kind)
        );
    }
}

/// All that stands between backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
