//! The pages of docs/reference are complete: what the program has is on them, and nothing else is.
//!
//! The program itself says what it has, in its help, its refusals and its output.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tallybook::pipeline::export::csv::{LINE_COLUMNS, STATEMENT_COLUMNS};
use tallybook::pipeline::ingest::record::fields::Field;
use tallybook::pipeline::ingest::record::refusal::CODES;

use crate::crashes::process::program;
use crate::faults::small::{NIGHT, place as small_place};
use crate::world::{Place, line};

/// A key that nothing has: the program answers it with those that it has.
const UNKNOWN: &str = "colour";

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands under a heading, up to the next one that is not below it.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (marks, _) = heading.split_once(' ').unwrap();
    let start = page
        .find(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("the page has no heading {heading:?}"));
    let section = &page[start + heading.len() + 2..];
    let ends = (1..=marks.len()).filter_map(|level| section.find(&format!("\n{} ", "#".repeat(level))));
    ends.min().map_or(section, |end| &section[..end])
}

/// The names in the first cells of the tables in a section.
fn rows(section: &str) -> Vec<&str> {
    let names = section
        .lines()
        .filter_map(|row| row.strip_prefix("| `")?.split('`').next());
    names.collect()
}

/// All that stands between backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The first block of a kind.
fn block<'a>(page: &'a str, kind: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("```{kind}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// What the program answers in a folder.
fn ask_in(place: &Path, args: &[&str], variable: Option<(&str, &str)>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    command.current_dir(place).env_clear().envs(variable).args(args);
    command.stdin(Stdio::null()).output().unwrap()
}

/// What the program says on standard error.
pub fn tallybook(place: &Path, args: &[&str]) -> String {
    text(&ask_in(place, args, None).stderr)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn every_column_of_every_exported_file_is_described_in_its_order() {
    let page = page("exports.md");
    assert_eq!(rows(section(&page, "## statements.csv")), STATEMENT_COLUMNS);
    assert_eq!(rows(section(&page, "## statement_lines.csv")), LINE_COLUMNS);
}

#[test]
fn every_key_of_the_manifest_is_described() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, "2024-11-05T01:30:00Z", 60_000));
    let night = place.night("2024-12-10T00:00:00Z");
    let manifest = std::fs::read(night.exported[0].folder.join("manifest.json")).unwrap();
    let mut keys = BTreeSet::new();
    add_leaves("", &serde_json::from_slice(&manifest).unwrap(), &mut keys);
    let page = page("exports.md");
    let described = rows(section(&page, "## manifest.json")).into_iter();
    // The row of the object itself.
    let described = described.filter(|key| *key != "totals").map(str::to_owned);
    assert_eq!(described.collect::<BTreeSet<_>>(), keys);
}

/// The paths of all values that are neither list nor object, as `files[].name`.
fn add_leaves(path: &str, value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items
            .iter()
            .take(1)
            .for_each(|item| add_leaves(&format!("{path}[]"), item, keys)),
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                add_leaves(&path, member, keys);
            }
        }
        _ => {
            keys.insert(path.to_owned());
        }
    }
}

#[test]
fn every_field_of_a_record_is_described() {
    let page = page("record.md");
    let described: BTreeSet<&str> = rows(section(&page, "## Fields")).into_iter().collect();
    assert_eq!(described, BTreeSet::from(Field::ALL.map(Field::name)));
}

#[test]
fn every_refusal_code_is_described_in_its_order() {
    let codes: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(rows(section(&page("record.md"), "## Refusal codes")), codes);
}

#[test]
fn every_setting_is_described_with_its_key_and_variable() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tallybook.toml"), format!("{UNKNOWN} = 1")).unwrap();
    let of_file = text(&ask_in(dir.path(), &["status"], None).stderr);
    let (_, of_file) = of_file.split_once("expected one of ").unwrap();
    let of_environment = text(&ask_in(dir.path(), &["status"], Some(("TALLYBOOK_COLOUR", "1"))).stderr);

    let page = page("settings.md");
    let table = section(&page, "## All settings");
    let first_cells = table.lines().filter_map(|row| row.strip_prefix('|')?.split('|').next());
    let described: BTreeSet<&str> = first_cells.flat_map(quoted).collect();
    let mut keys = quoted(of_file);
    assert!(keys.len() > 15, "{keys:?}");
    // What is said of one source.
    keys.extend(["[source.NAME]", "zone"]);
    assert_eq!(described, keys);
    let mut known = variables_of(&of_environment);
    assert!(known.remove("TALLYBOOK_COLOUR") && known.len() > 15, "{known:?}");
    assert_eq!(variables_of(&page), known);
}

/// The variables that a text names.
fn variables_of(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    let names = words.filter(|word| word.starts_with("TALLYBOOK_") && !word.ends_with('_'));
    names.collect()
}

#[test]
fn the_settings_file_of_the_page_has_every_key_and_is_taken() {
    let page = page("settings.md");
    let whole = section(&page, "## A whole file");
    let whole = block(whole, "toml");
    let keys = whole.lines().filter_map(|line| Some(line.split_once(" = ")?.0));
    let keys: BTreeSet<&str> = keys.collect();
    let table = rows(section(&page, "## All settings"));
    for key in table
        .into_iter()
        .filter(|key| !["source", "[source.NAME]"].contains(key))
    {
        assert!(keys.contains(key), "{key} is not in the whole file");
    }
    // Without what is not on this machine.
    let here = |line: &&str| {
        let elsewhere = ["data_dir", "rate_cards", "drop", "ledger", "sources"];
        !elsewhere.iter().any(|key| line.starts_with(&format!("{key} = ")))
    };
    let dir = tempfile::tempdir().unwrap();
    let file: Vec<&str> = whole.lines().filter(here).collect();
    std::fs::write(dir.path().join("tallybook.toml"), file.join("\n")).unwrap();
    let made = ask_in(dir.path(), &["migrate"], None);
    assert!(made.status.success(), "{}", text(&made.stderr));
}

#[test]
fn every_key_of_a_rate_card_is_described_and_the_example_is_a_card() {
    let page = page("rate-card.md");
    let dir = tempfile::tempdir().unwrap();
    let check = |card: &str, toml: &str| {
        let folder = dir.path().join(card);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("2024-01-01.toml"), toml).unwrap();
        text(&ask_in(dir.path(), &["rate-card", "check", card], None).stdout)
    };
    let example = check("example", block(&page, "toml"));
    assert!(example.contains("no findings"), "{example}");

    let unknown = format!("{UNKNOWN} = 1");
    let findings = check(
        "c",
        &format!(
            "{unknown}\ncard = \"c\"\nfrom = 2024-01-01\ncurrency = \"USD\"\nzone = \"UTC\"\ndefault_region = \"a\"\n\
             [regions]\nall = [\"*\"]\n\
             [[meter]]\n{unknown}\nname = \"m\"\ntask_type = \"T\"\nsku = \"S.{{d}}\"\nquantity = \"count\"\n\
             unit = {{ name = \"u\", of = 2, {unknown} }}\n[meter.dimensions]\nd = {{ of = \"x\", values = [\"A\"], {unknown} }}\n\
             [prices]\n\"S.A\" = {{ origin = \"published\", {unknown}, tiers = [{{ from = 0, unit_price = \"1\", {unknown} }}] }}\n"
        ),
    );
    let known: Vec<&str> = findings
        .lines()
        .filter_map(|line| Some(line.rsplit_once(" are ")?.1))
        .collect();
    assert_eq!(known.len(), 6, "top, meter, unit, dimension, price, tier: {findings}");
    for key in known.iter().flat_map(|keys| keys.split(", ")) {
        let in_table = format!("`{key}`");
        let in_example = format!("{key} = ");
        assert!(page.contains(&in_table) || page.contains(&in_example), "{key}");
    }
}

/// A command's help: the commands below it and its own options.
struct Help {
    commands: Vec<String>,
    options: BTreeSet<String>,
}

impl Help {
    fn of(place: &Path, command: &[&str]) -> Self {
        let help = text(&ask_in(place, &[command, &["--help"]].concat(), None).stdout);
        let (_, listed) = help.split_once("\nCommands:\n").unwrap_or_default();
        let (listed, _) = listed.split_once("\n\n").unwrap_or((listed, ""));
        let first_word = |line: &str| {
            let line = line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?;
            line.split_whitespace().next().map(str::to_owned)
        };
        let options = help.lines().filter_map(|line| {
            let line = line.trim_start();
            let at = if line.starts_with('-') {
                line.find("--")?
            } else {
                return None;
            };
            let name = line[at..].split(|c: char| !c.is_ascii_lowercase() && c != '-').next()?;
            Some(name.to_owned())
        });
        Self {
            commands: listed
                .lines()
                .filter_map(first_word)
                .filter(|name| name != "help")
                .collect(),
            options: options.collect(),
        }
    }
}

/// The options that a text names.
fn options_of(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '-');
    let is_letter = |sign: Option<&u8>| sign.is_some_and(u8::is_ascii_lowercase);
    let options = words.filter(|word| word.starts_with("--") && is_letter(word.as_bytes().get(2)));
    options.map(str::to_owned).collect()
}

#[test]
fn every_command_and_every_option_is_described() {
    let dir = tempfile::tempdir().unwrap();
    let page = page("commands.md");
    let all = Help::of(dir.path(), &[]);
    assert!(all.commands.len() > 15, "{:?}", all.commands);
    let of_every_command = options_of(section(&page, "## Options of every command"));
    assert_eq!(of_every_command, all.options);
    for command in &all.commands {
        let section = section(&page, &format!("### `{command}`"));
        let help = Help::of(dir.path(), &[command]);
        let mut options = help.options;
        for below in &help.commands {
            assert!(section.contains(&format!("| `{command} {below}")), "{command} {below}");
            let help = Help::of(dir.path(), &[command, below]);
            for last in &help.commands {
                assert!(
                    section.contains(&format!("| `{command} {below} {last}")),
                    "{command} {below} {last}"
                );
                options.extend(Help::of(dir.path(), &[command, below, last]).options);
            }
            options.extend(help.options);
        }
        let described = options_of(section);
        let missing: Vec<_> = options
            .difference(&all.options)
            .filter(|it| !described.contains(*it))
            .collect();
        assert!(missing.is_empty(), "{command}: {missing:?}");
        let unknown: Vec<_> = described.iter().filter(|it| !options.contains(*it)).collect();
        assert!(unknown.is_empty(), "{command}: {unknown:?}");
    }
    let headings = page
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let described: BTreeSet<&str> = headings.filter(|name| *name != "help").collect();
    assert_eq!(described, all.commands.iter().map(String::as_str).collect());
}

#[test]
fn every_exit_code_is_described() {
    let dir = tempfile::tempdir().unwrap();
    let help = text(&ask_in(dir.path(), &["--help"], None).stdout);
    let (_, codes) = help.split_once("Exit codes: ").unwrap();
    let (codes, _) = codes.split_once("\n\n").unwrap();
    let codes: Vec<&str> = codes
        .split(|c: char| !c.is_ascii_digit())
        .filter(|code| !code.is_empty())
        .collect();
    let page = page("commands.md");
    let table = section(&page, "## Exit codes").lines();
    let described: Vec<&str> = table
        .filter_map(|row| row.strip_prefix("| ")?.split(' ').next())
        .filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    assert_eq!(described, codes);
}

/// Objects whose keys are names of what was billed or decided, and the card, which has a page of its own.
const OPEN_OBJECTS: [&str; 7] = [
    "labels",
    "totals",
    "by_status",
    "detail",
    "held",
    "region_groups",
    "meters",
];

#[test]
fn every_key_of_the_json_output_is_described() {
    let dir = small_place();
    let page = page("json-output.md");
    let described = quoted(&page);
    let mut missing = BTreeSet::new();
    for args in [
        &["nightly"][..],
        &["status"],
        &["usage", "7", "--month", "2024-11"],
        &["statement", "--all", "--month", "2024-11"],
        &["explain", "7-20241101-20241201"],
        &["verify"],
        &["audit"],
        &["account", "set", "7", "--name", "Acme", "--label", "tier=gold"],
        &["account", "list"],
        &["account", "add", "9", "--card", "c", "--discount", "5", "--dry-run"],
        &["terminate", "7", "--on", "2025-01-01", "--reason", "x"],
        &["account", "show", "7"],
        &["reinstate", "7", "--reason", "x"],
        &["rate-card", "list"],
        &["rate-card", "diff", "c@2024-11-01", "c@2024-11-01"],
        &["rate-card", "import", "--dry-run"],
        &["quarantine", "list"],
        &["quarantine", "show", "1"],
        &["quarantine", "retry"],
        &["quarantine", "alarms"],
        &["quarantine", "dismiss", "1", "--reason", "x"],
        &["conflict", "list"],
        &["void", "list"],
        &["meter"],
        &["meter", "--rebuild"],
        &["close"],
        &["export", "--again", "1"],
        &["expire"],
        &["retention"],
        &["retention", "deleted"],
        &["source", "payloads", "list"],
        &["source", "payloads", "delete", "--all", "--reason", "x"],
        &["first-day"],
        &["migrate"],
        &["rewrite-files"],
    ] {
        let args = [args, &["--json"]].concat();
        let output = program(dir.path(), NIGHT, &args)
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}"));
        assert!(printed.get("error").is_none(), "{args:?}: {printed}");
        let mut keys = BTreeSet::new();
        add_keys(&printed, &mut keys);
        let unknown = keys.into_iter().filter(|key| !described.contains(key.as_str()));
        missing.extend(unknown.map(|key| format!("{key} of {args:?}")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

fn add_keys(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| add_keys(item, keys)),
        Value::Object(members) => {
            for (name, member) in members {
                keys.insert(name.clone());
                if !(member.is_object() && OPEN_OBJECTS.contains(&name.as_str())) {
                    add_keys(member, keys);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_source_file_that_the_internals_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches"] {
        add_files(&root.join(folder), &mut files);
    }
    let mut gone = Vec::new();
    for page in std::fs::read_dir(root.join("docs/internals")).unwrap() {
        let page = page.unwrap().path();
        let text = std::fs::read_to_string(&page).unwrap();
        let named = quoted(&text)
            .into_iter()
            .filter(|name| Path::new(name).extension().is_some_and(|it| it == "rs"));
        let is_gone = |name: &&str| !files.iter().any(|file| file.ends_with(&format!("/{name}")));
        gone.extend(
            named
                .filter(is_gone)
                .map(|name| format!("{name} in {}", page.display())),
        );
    }
    assert!(gone.is_empty(), "{gone:#?}");
}

fn add_files(folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_files(&path, files);
        } else {
            files.push(path.to_str().unwrap().to_owned());
        }
    }
}
