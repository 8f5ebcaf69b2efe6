//! A file of accounts, CSV or TOML: what it says, row by row.
//!
//! Both forms come down to texts by field, so that what a field means is said once.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use crate::catalog::account::add::Wanted;
use crate::catalog::account::profile::Said;
use crate::support::error::Error;
use crate::values::calendar::Cycle;
use crate::values::money::parse_plain;

/// Fields of an account. A label's field is [`LABEL`] and its key.
const FIELDS: [&str; 10] = [
    "uin",
    "name",
    "contact",
    "contract",
    "card",
    "zone",
    "cycle",
    "anchor_day",
    "discount",
    "from",
];

/// What a label's field begins with; in TOML labels are a table.
const LABEL: &str = "label.";

/// The list of accounts in TOML, and the table of labels.
const ACCOUNT: &str = "account";
const LABELS: &str = "labels";

/// What a file says of one account.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line on which it begins, from 1.
    pub line: usize,
    pub said: Said,
    pub wanted: Wanted,
}

/// The fields of an account as texts, and its line.
type Fields = (usize, BTreeMap<String, String>);

/// Reads a file. Its name says which of the two it is.
///
/// # Errors
/// [`Error::Usage`] with every mistake, by line.
pub fn read(text: &str, name: &str) -> crate::support::error::Result<Vec<Row>> {
    let fields = match name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase())
        .as_deref()
    {
        Some("csv") => csv_fields(text),
        Some("toml") => toml_fields(text),
        _ => Err(vec![
            "the name ends in neither .csv nor .toml; write one of the two".to_owned(),
        ]),
    };
    let mut mistakes = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    for (line, fields) in fields.map_err(|mistakes| usage(name, &mistakes))? {
        match row(line, &fields) {
            Ok(row) => match rows.iter().find(|before| before.wanted.uin == row.wanted.uin) {
                Some(before) => mistakes.push(format!(
                    "line {line}: account {} is on line {} too; write it once",
                    row.wanted.uin, before.line
                )),
                None => rows.push(row),
            },
            Err(mistake) => mistakes.push(format!("line {line}: {mistake}")),
        }
    }
    if mistakes.is_empty() {
        Ok(rows)
    } else {
        Err(usage(name, &mistakes))
    }
}

/// All mistakes of a file as one error, a line each.
pub fn usage(name: &str, mistakes: &[String]) -> Error {
    Error::Usage(format!("{name}: {}", mistakes.join(&format!("\n{name}: "))))
}

/// The rows of a CSV. An empty cell says nothing.
fn csv_fields(text: &str) -> Result<Vec<Fields>, Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().map_err(|error| vec![error.to_string()])?.clone();
    let mut mistakes: Vec<String> = header.iter().filter_map(unknown).collect();
    for (at, name) in header.iter().enumerate() {
        if header.iter().take(at).any(|before| before == name) {
            mistakes.push(format!("the column {name} is there twice; keep one"));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record
                    .position()
                    .map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
                let said = header.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
                rows.push((
                    line,
                    said.map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect(),
                ));
            }
            Err(error) => mistakes.push(error.to_string()),
        }
    }
    if mistakes.is_empty() { Ok(rows) } else { Err(mistakes) }
}

fn unknown(field: &str) -> Option<String> {
    let is_label = field.strip_prefix(LABEL).is_some_and(|key| !key.is_empty());
    (!is_label && !FIELDS.contains(&field)).then(|| {
        format!(
            "the field {field:?} is unknown; known are {} and {LABEL}KEY",
            FIELDS.join(", ")
        )
    })
}

/// The tables `[[account]]` of a TOML file. An empty text takes away.
fn toml_fields(text: &str) -> Result<Vec<Fields>, Vec<String>> {
    let root = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        vec![format!(
            "line {}: this is not TOML: {}",
            line_of(text, at),
            error.message()
        )]
    })?;
    let mut mistakes = Vec::new();
    let mut rows = Vec::new();
    for (key, value) in root.get_ref() {
        let list = value.get_ref().as_array().filter(|_| key.get_ref() == ACCOUNT);
        let Some(list) = list else {
            let line = line_of(text, key.span().start);
            mistakes.push(format!(
                "line {line}: {} is no list of accounts; write [[{ACCOUNT}]]",
                key.get_ref()
            ));
            continue;
        };
        for item in list {
            let line = line_of(text, item.span().start);
            match item.get_ref().as_table().map(entry_fields) {
                Some(Ok(fields)) => rows.push((line, fields)),
                Some(Err(mistake)) => mistakes.push(format!("line {line}: {mistake}")),
                None => mistakes.push(format!("line {line}: an account is no table; write [[{ACCOUNT}]]")),
            }
        }
    }
    if mistakes.is_empty() { Ok(rows) } else { Err(mistakes) }
}

fn entry_fields(table: &DeTable) -> Result<BTreeMap<String, String>, String> {
    let mut fields = BTreeMap::new();
    for (key, value) in table {
        let key = key.get_ref().as_ref();
        if let (LABELS, DeValue::Table(labels)) = (key, value.get_ref()) {
            for (label, value) in labels {
                fields.insert(
                    format!("{LABEL}{}", label.get_ref()),
                    plain(value.get_ref(), label.get_ref())?,
                );
            }
        } else if FIELDS.contains(&key) {
            fields.insert(key.to_owned(), plain(value.get_ref(), key)?);
        } else {
            return Err(format!(
                "the key {key:?} is unknown; known are {} and the table {LABELS}",
                FIELDS.join(", ")
            ));
        }
    }
    Ok(fields)
}

/// The text of a value that loses nothing: text, a whole number, a date.
fn plain(value: &DeValue, key: &str) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Datetime(date) => Ok(date.to_string()),
        _ => Err(format!("{key} is neither text nor a whole number; write it in quotes")),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())]
        .split(|&byte| byte == b'\n')
        .count()
}

fn row(line: usize, fields: &BTreeMap<String, String>) -> Result<Row, String> {
    let field = |name: &str| fields.get(name).map(String::as_str);
    let uin = field("uin").ok_or("there is no uin")?;
    let digits = uin.bytes().all(|byte| byte.is_ascii_digit());
    let uin = uin
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| format!("uin is {uin:?}, not an account number"))?;
    let parsed = |name: &str, what: &str| -> Result<Option<_>, String> {
        let text = field(name);
        let read = text.map(|text| text.parse().map_err(|_| format!("{name} is {text:?}, not {what}")));
        read.transpose()
    };
    let zone = field("zone").map(|text| {
        text.parse()
            .map_err(|_| format!("zone is {text:?}, which is no IANA time zone"))
    });
    let discount =
        field("discount").map(|text| parse_plain(text).map_err(|_| format!("discount is {text:?}, not a percentage")));
    let from = field("from").map(|text| {
        text.parse()
            .map_err(|_| format!("from is {text:?}, not a day such as 2026-11-01"))
    });
    let labels = fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(LABEL)?.to_owned(), value.clone())));
    let said = Said {
        name: field("name").map(str::to_owned),
        contact: field("contact").map(str::to_owned),
        contract: field("contract").map(str::to_owned),
        labels: labels.collect(),
        unlabel: Vec::new(),
    };
    said.check().map_err(|error| error.to_string())?;
    Ok(Row {
        line,
        said,
        wanted: Wanted {
            uin,
            card: field("card").map(str::to_owned),
            zone: zone.transpose()?,
            cycle: cycle(field("cycle"), parsed("anchor_day", "a day of the month, 1 to 31")?)?,
            discount_percent: discount.transpose()?,
            from: from.transpose()?,
            ..Wanted::default()
        },
    })
}

fn cycle(name: Option<&str>, anchor_day: Option<u8>) -> Result<Option<Cycle>, String> {
    if let Some(day) = anchor_day.filter(|day| !(1..=31).contains(day)) {
        return Err(format!("anchor_day is {day}, not a day of the month, 1 to 31"));
    }
    match (name, anchor_day) {
        (None, None) => Ok(None),
        (Some("daily"), None) => Ok(Some(Cycle::Daily)),
        (Some("daily"), Some(_)) => Err("anchor_day applies only to a monthly cycle; leave it out".to_owned()),
        (None | Some("monthly"), anchor_day) => Ok(Some(Cycle::Monthly {
            anchor_day: anchor_day.unwrap_or(1),
        })),
        (Some(other), _) => Err(format!("cycle is {other:?}; write \"monthly\" or \"daily\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "uin,name,contract,label.tier,card,cycle,anchor_day,discount,from\n\
                       7,\"Acme, Ltd\",C-1,gold,mps-cn,monthly,15,7.5,2026-11-15\n\
                       9,,,,,,,,\n";

    const TOML: &str = "[[account]]\nuin = 7\nname = \"Acme, Ltd\"\ncontract = \"C-1\"\nlabels = { tier = \"gold\" }\n\
                        card = \"mps-cn\"\ncycle = \"monthly\"\nanchor_day = 15\ndiscount = \"7.5\"\nfrom = 2026-11-15\n\
                        [[account]]\nuin = \"9\"\n";

    #[test]
    fn both_forms_say_the_same() {
        let (csv, toml) = (read(CSV, "a.csv").unwrap(), read(TOML, "a.toml").unwrap());
        for rows in [&csv, &toml] {
            assert_eq!(rows.len(), 2);
            assert_eq!(rows[0].said.name.as_deref(), Some("Acme, Ltd"));
            assert_eq!(rows[0].said.labels["tier"], "gold");
            assert_eq!(rows[0].wanted.cycle, Some(Cycle::Monthly { anchor_day: 15 }));
            assert_eq!(rows[0].wanted.from.unwrap().to_string(), "2026-11-15");
            assert!(rows[1].said.is_empty());
        }
        assert_eq!(format!("{:?}", csv[0].wanted), format!("{:?}", toml[0].wanted));
        assert_eq!((csv[1].line, toml[1].line), (3, 11));
    }

    fn mistakes(text: &str, name: &str) -> String {
        read(text, name).unwrap_err().to_string()
    }

    #[test]
    fn every_mistake_is_told_by_its_line() {
        let csv = "uin,cycle,anchor_day,discount,from,zone\nx,,,,,\n7,weekly,,,,\n8,daily,3,,,\n9,,32,,,\n10,,,5%,,\n11,,,,November,\n12,,,,,Mars\n12,,,,,\n13,,,,,\n13,,,,,\n";
        assert_eq!(
            mistakes(csv, "a.csv"),
            "a.csv: line 2: uin is \"x\", not an account number\n\
             a.csv: line 3: cycle is \"weekly\"; write \"monthly\" or \"daily\"\n\
             a.csv: line 4: anchor_day applies only to a monthly cycle; leave it out\n\
             a.csv: line 5: anchor_day is 32, not a day of the month, 1 to 31\n\
             a.csv: line 6: discount is \"5%\", not a percentage\n\
             a.csv: line 7: from is \"November\", not a day such as 2026-11-01\n\
             a.csv: line 8: zone is \"Mars\", which is no IANA time zone\n\
             a.csv: line 11: account 13 is on line 10 too; write it once"
        );
    }

    #[test]
    fn an_unknown_field_is_no_default() {
        assert!(
            mistakes("uin,nmae\n7,x\n", "a.csv")
                .starts_with("a.csv: the field \"nmae\" is unknown; known are uin, name")
        );
        assert!(mistakes("uin,uin\n7,7\n", "a.csv").contains("the column uin is there twice"));
        assert!(
            mistakes("[[account]]\nuin = 7\nnmae = \"x\"\n", "a.toml").contains("line 1: the key \"nmae\" is unknown")
        );
        assert!(mistakes("[[account]]\nuin = 7\ndiscount = 7.5\n", "a.toml").contains("write it in quotes"));
        assert!(mistakes("uin = 7\n", "a.toml").contains("write [[account]]"));
        assert!(mistakes("name\nx\n", "a.csv").contains("there is no uin"));
        assert!(mistakes("", "a.txt").contains("neither .csv nor .toml"));
    }
}
