//! What `rate-card schema` prints says of a card's shape what the parser says: every card that one takes the other takes, and for
//! every change of a card that one of them refuses the other does, but for what no schema can say.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tallybook::catalog::rate_card::RateCard;
use tallybook::catalog::rate_card::schema::SCHEMA;
use toml::de::{DeTable, DeValue};

use super::validator::complaints_about;

/// A TOML value whose keys stay in the order of the file: steps have one.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Integer(i64),
    Float(&'static str),
    Bool(bool),
    Date(String),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

/// What the parser finds and a schema cannot say; docs/reference/rate-card.md lists it.
const BEYOND_A_SCHEMA: [&str; 25] = [
    "but the file's name is",
    "which ISO 4217 does not know",
    "which the time zone database does not know",
    "is in no region group",
    " and in group `",
    "missing SKU",
    "no meter yields the SKU",
    "which it does not yield",
    "has a price, but meter",
    "names the dimension",
    "and measure differently",
    "yield the SKU",
    "which [regions] does not have",
    "in region group `",
    "use one counter per unit",
    "use one counter per size of a package",
    "or use one counter each",
    "in which it is not sold",
    "a count, and its meter measures a duration",
    "a duration, and its meter counts",
    "not above step",
    "the first tier of",
    "which is empty",
    "nothing prices",
    "both price",
];

/// Tiers without an end before the last.
const NO_END: &str = "has no `to`, but another tier follows";

/// A card with every key and every form of a value.
const CARD: &str = r#"
card = "every-key"
from = 2024-01-01
currency = "USD"
zone = "Asia/Tokyo"
grace = "1d"
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
minimum = "500ms"
round_up_to = "60s"
not_sold = ["V.4K"]
[meter.dimensions]
size = { of = "short_side", steps = { SD = 480, HD = 720, 4K = 2160 } }
kind = { of = "type", values = ["Standard"] }
codec = ["H264", "H265"]
[[meter]]
name = "shot"
task_type = "Shot"
sku = "Shot"
quantity = "images"
unit = { name = "1000 images", of = 1000 }
minimum = 10
round_up_to = 10
[[meter]]
name = "call"
task_type = "Call"
sku = "Call"
quantity = "count"
unit = "call"
[prices]
"V.SD" = { origin = "published", counter = "all", tiers = [{ from = 0, to = 100, unit_price = "0.10" }, { from = "100", unit_price = "0.05" }] }
"V.HD" = { origin = "published", model = "volume", included = { one = 5 }, multiplier = "1.75", tiers = { one = [{ from = 0, unit_price = "0.2" }], two = "not sold" } }
Shot = { unit_price = { one = "1", two = "not sold" }, package = 1000, per = "day", counter = "shots", origin = "inferred" }
Call = { unit_price = "0.5", included = "0.5", multiplier = 2, counter = "calls", origin = "illustrative" }
"#;

/// Values of every type, at the edges of what is written in cards.
fn pool() -> Vec<Node> {
    let texts = [
        "",
        "x",
        "*",
        "r1",
        "duration",
        "count",
        "minute",
        "image",
        "published",
        "illustrative",
        "inferred",
        "volume",
        "graduated",
        "day",
        "month",
        "0.00",
        "1.12345",
        "0000001.5",
        "1000000",
        "999999.9999",
        "not sold",
        "{",
        "A.{size}",
        "0d",
        "031d",
        "32d",
        "d",
        "10s",
        "0s",
        "10",
        "5ms",
        "1.5s",
        "2h",
        "0",
        "0.5",
        "0.123456",
        "0.1234567",
        "0.123456789012",
        "0.1234567890123",
        "999999999999",
        "1234567890123",
        "-1",
        "1e3",
        "1,5",
        ".5",
        "5.",
        "2024-01-01",
        "2024-01-01T00:00:00Z",
        "USD",
        "usd",
        "a b",
        "\u{7f}",
        "short_side",
    ];
    let mut pool: Vec<Node> = texts.map(text).into();
    pool.extend(
        [
            0,
            1,
            7,
            -7,
            999_999_999_999,
            1_000_000_000_000,
            9_007_199_254_740_992,
            9_007_199_254_740_993,
        ]
        .map(Node::Integer),
    );
    pool.extend([
        Node::Bool(true),
        Node::Float("1.5"),
        Node::Date("2024-01-01".into()),
        Node::Date("2024-01-01T00:00:00Z".into()),
    ]);
    pool.extend([
        Node::List(vec![]),
        Node::List(vec![text("x")]),
        Node::List(vec![text("x"), text("x")]),
    ]);
    pool.extend([
        Node::List(vec![text("*")]),
        Node::List(vec![text("*"), text("x")]),
        Node::List(vec![text("")]),
    ]);
    pool.extend([
        Node::List(vec![Node::Integer(1)]),
        Node::List(vec![Node::Table(vec![])]),
    ]);
    pool.push(Node::Table(vec![]));
    pool.extend(
        [
            ("x", Node::Integer(7)),
            ("x", text("y")),
            ("of", text("x")),
            ("", Node::Integer(1)),
        ]
        .map(|(key, value)| table(key, value)),
    );
    pool
}

fn text(text: &str) -> Node {
    Node::Text(text.to_owned())
}

fn table(key: &str, value: Node) -> Node {
    Node::Table(vec![(key.to_owned(), value)])
}

fn read(card: &str) -> Node {
    let root = DeTable::parse(card).unwrap();
    node(&DeValue::Table(root.into_inner()))
}

fn node(value: &DeValue) -> Node {
    match value {
        DeValue::String(value) => text(value),
        DeValue::Integer(value) => Node::Integer(i64::from_str_radix(value.as_str(), value.radix()).unwrap()),
        DeValue::Boolean(value) => Node::Bool(*value),
        DeValue::Datetime(value) => Node::Date(value.to_string()),
        DeValue::Float(value) => panic!("a card has no float: {value:?}"),
        DeValue::Array(items) => Node::List(items.iter().map(|item| node(item.get_ref())).collect()),
        DeValue::Table(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| key.span().start);
            let members = members
                .into_iter()
                .map(|(key, value)| (key.get_ref().to_string(), node(value.get_ref())));
            Node::Table(members.collect())
        }
    }
}

impl Node {
    /// As TOML, in one line.
    fn toml(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => (*number).to_owned(),
            Self::Bool(flag) => flag.to_string(),
            Self::Date(date) => date.clone(),
            Self::List(items) => format!("[{}]", items.iter().map(Self::toml).collect::<Vec<_>>().join(", ")),
            Self::Table(members) => {
                let members = members
                    .iter()
                    .map(|(key, value)| format!("{} = {}", quoted(key), value.toml()));
                format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// As an editor hands it to a schema: a date is its text.
    fn json(&self) -> Value {
        match self {
            Self::Text(text) | Self::Date(text) => json!(text),
            Self::Integer(number) => json!(number),
            Self::Float(number) => json!(number.parse::<f64>().unwrap()),
            Self::Bool(flag) => json!(flag),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Table(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.clone(), value.json())).collect())
            }
        }
    }

    /// Whether a date stands where a text belongs: an editor hands it to the schema as that text.
    fn has_date_for_text(&self) -> bool {
        match self {
            Self::Date(_) => true,
            Self::List(items) => items.iter().any(Self::has_date_for_text),
            Self::Table(members) => members.iter().any(|(_, value)| value.has_date_for_text()),
            _ => false,
        }
    }

    /// The nodes below it, as the way of places that leads to each.
    fn ways(&self) -> Vec<Vec<usize>> {
        let below: Vec<&Self> = match self {
            Self::List(items) => items.iter().collect(),
            Self::Table(members) => members.iter().map(|(_, value)| value).collect(),
            _ => Vec::new(),
        };
        let mut ways = vec![Vec::new()];
        for (at, one) in below.into_iter().enumerate() {
            ways.extend(one.ways().into_iter().map(|way| [vec![at], way].concat()));
        }
        ways
    }

    fn at(&mut self, way: &[usize]) -> &mut Self {
        let Some((first, rest)) = way.split_first() else {
            return self;
        };
        match self {
            Self::List(items) => items[*first].at(rest),
            Self::Table(members) => members[*first].1.at(rest),
            leaf => panic!("nothing is below {leaf:?}"),
        }
    }

    /// The card with one change, for each change: another value, a member or item less, a key more.
    fn mutants(&self) -> Vec<Self> {
        let mut mutants = Vec::new();
        let mut changed = |way: &[usize], change: &dyn Fn(&mut Self)| {
            let mut mutant = self.clone();
            change(mutant.at(way));
            mutants.push(mutant);
        };
        let pool = pool();
        for way in self.ways() {
            for value in &pool {
                if !way.is_empty() {
                    changed(&way, &|node| *node = value.clone());
                }
                changed(&way, &|node| match node {
                    Self::Table(members) => members.push(("colour".to_owned(), value.clone())),
                    Self::List(items) => items.push(value.clone()),
                    _ => {}
                });
            }
            let count = match self.clone().at(&way) {
                Self::Table(members) => members.len(),
                Self::List(items) => items.len(),
                _ => 0,
            };
            for gone in 0..count {
                changed(&way, &|node| match node {
                    Self::Table(members) => drop(members.remove(gone)),
                    Self::List(items) => drop(items.remove(gone)),
                    _ => {}
                });
            }
        }
        mutants
    }
}

/// A text or key of TOML; JSON escapes the same characters in the same way, but for DEL.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap().replace('\u{7f}', "\\u007f")
}

/// A card's members, each on a line of its own.
fn card_text(card: &Node) -> String {
    let Node::Table(members) = card else {
        panic!("a card is a table")
    };
    let lines = members
        .iter()
        .map(|(key, value)| format!("{} = {}\n", quoted(key), value.toml()));
    lines.collect()
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn complaints(schema: &Value, card: &Node) -> Vec<String> {
    complaints_about(schema, schema, &card.json(), "")
}

/// Every card of the repository, and every block of its documents that the parser takes for one.
fn cards_of_the_repository() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["rate-cards", "docs", "tests", "install", "README.md"] {
        add_files(&root.join(folder), &mut files);
    }
    let mut cards = Vec::new();
    for path in files {
        let read = || std::fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("toml") => cards.push((name, read())),
            Some("md") => {
                let text = read();
                let blocks = text.split("```toml").skip(1).filter_map(|block| block.split_once('\n'));
                cards.extend(
                    blocks.map(|(_, block)| (name.clone(), block.split("```").next().unwrap_or_default().to_owned())),
                );
            }
            _ => {}
        }
    }
    cards.retain(|(_, text)| text.contains("\n[prices]") && text.contains("card = "));
    cards
}

fn add_files(path: &Path, files: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        files.push(path.to_owned());
        return;
    }
    for entry in std::fs::read_dir(path).unwrap() {
        add_files(&entry.unwrap().path(), files);
    }
}

#[test]
fn every_card_of_the_repository_and_its_documents_is_valid() {
    let schema = schema();
    let cards = cards_of_the_repository();
    assert!(5 <= cards.len(), "{}", cards.len());
    for (name, text) in cards {
        assert_eq!(complaints(&schema, &read(&text)), Vec::<String>::new(), "{name}");
    }
}

/// Whether a card has a date anywhere but in its `from`.
fn has_other_date(card: &Node) -> bool {
    let Node::Table(members) = card else { return false };
    let others = members.iter().filter(|(key, _)| key != "from");
    others.map(|(_, value)| value).any(Node::has_date_for_text)
}

#[test]
fn the_schema_takes_what_the_parser_takes_and_refuses_what_it_refuses_for_its_shape() {
    let schema = schema();
    let card = read(CARD);
    assert_eq!(RateCard::parse(&card_text(&card), "2024-01-01.toml").err(), None);
    let mut differences = Vec::new();
    let (mut taken, mut refused) = (0, 0);
    for mutant in card.mutants() {
        let text = card_text(&mutant);
        let complaints = complaints(&schema, &mutant);
        match RateCard::parse(&text, "2024-01-01.toml") {
            Ok(_) if complaints.is_empty() => taken += 1,
            Ok(_) => differences.push(format!("only the schema refuses: {complaints:?}\n{text}")),
            Err(_) if !complaints.is_empty() => refused += 1,
            Err(_) if has_other_date(&mutant) => {}
            Err(findings) => {
                let is_beyond =
                    |what: &str| what.contains(NO_END) || BEYOND_A_SCHEMA.iter().any(|part| what.contains(part));
                if findings
                    .iter()
                    .any(|finding| !is_beyond(&finding.what) && !is_beyond(&finding.cure))
                {
                    differences.push(format!("only the parser refuses: {findings:?}\n{text}"));
                }
            }
        }
    }
    assert!(100 < taken && 1_000 < refused, "{taken} taken, {refused} refused");
    assert!(
        differences.is_empty(),
        "{}:\n{}",
        differences.len(),
        differences[..differences.len().min(5)].join("\n")
    );
}
