//! Version 1 of the document: statements and settlements of before. They stay as they are to the byte; none is written any more.
//!
//! A compact JSON array of groups. A group is an array of the strings of `SHARED`, and as its last element the array of its lines; a line is
//! the array of its own strings, in the order of `OWN`, without the empty ones at its end. An absent value is empty. The digest of such a
//! statement is the SHA-256 of [`digest`]'s lines, which hold what version 2 has in the document itself.
//!
//! A statement rated again must come out with its digest, also when its lines are gone: so the text can still be made, for that alone.

use super::format::{Group, More, Row, Text};
use super::{DocumentError, Line, Renaming};
use crate::pipeline::close::statement::Statement;
use crate::values::digest::sha256_hex;
use crate::values::money::{AMOUNT_DECIMALS, plain};

/// What lines of a group have in common, in order.
const SHARED: [&str; 8] = [
    "first_line",
    "appid",
    "kind",
    "card",
    "card_version",
    "region",
    "meter",
    "unit",
];

/// What each line has of its own, in order.
const OWN: [&str; 11] = [
    "sku",
    "records",
    "quantity",
    "unit_price",
    "amount",
    "slice",
    "discount_percent",
    "corrects_statement",
    "corrects_line",
    "note",
    "span_start",
];

/// A group as it stands in the text: what its lines have in common, and their own strings.
type Stored<'a> = (
    Text<'a>,
    Text<'a>,
    Text<'a>,
    Text<'a>,
    Text<'a>,
    Text<'a>,
    Text<'a>,
    Text<'a>,
    Vec<Vec<Text<'a>>>,
);

/// Whether a text is of this version.
pub fn is_of_this_version(document: &str) -> bool {
    document.starts_with('[')
}

/// The groups of a document.
pub(super) fn groups(document: &str) -> Result<Vec<Group<'_>>, DocumentError> {
    let stored: Vec<Stored> = serde_json::from_str(document).map_err(|error| DocumentError::Shape {
        what: error.to_string(),
    })?;
    let mut row = 1;
    let mut groups = Vec::with_capacity(stored.len());
    for (first_line, appid, kind, card, card_version, region, meter, unit, stored) in stored {
        let first_line = whole(SHARED[0], &first_line, row)?;
        let mut lines = Vec::with_capacity(stored.len());
        for own in stored {
            lines.push(row_of(own, (&meter, &unit), row)?);
            row += 1;
        }
        groups.push(Group {
            first_line,
            kind,
            appid,
            card,
            card_version,
            region,
            lines,
        });
    }
    Ok(groups)
}

/// The text with other numbers.
pub(super) fn renamed(document: &str, renaming: &Renaming) -> Result<String, DocumentError> {
    let mut stored: Vec<Stored> = serde_json::from_str(document).map_err(|error| DocumentError::Shape {
        what: error.to_string(),
    })?;
    let corrects = OWN.iter().position(|name| *name == "corrects_statement");
    let corrects = corrects.expect("it is one of them");
    let mut row = 0;
    for (_, appid, .., lines) in &mut stored {
        renaming.rename_app(appid, row + 1)?;
        for own in lines {
            row += 1;
            if let Some(id) = own.get_mut(corrects) {
                renaming.rename_id(id);
            }
        }
    }
    Ok(serde_json::to_string(&stored).expect("strings in arrays always have a JSON text"))
}

fn row_of<'a>(own: Vec<Text<'a>>, (meter, unit): (&Text<'a>, &Text<'a>), row: usize) -> Result<Row<'a>, DocumentError> {
    if own.is_empty() || OWN.len() < own.len() {
        return Err(DocumentError::Shape {
            what: format!("line {row} has {} strings, not 1 to {}", own.len(), OWN.len()),
        });
    }
    let mut own = own.into_iter();
    let mut next = || own.next().unwrap_or_default();
    let (sku, records, quantity, unit_price, amount, slice) = (next(), next(), next(), next(), next(), next());
    let (discount_percent, corrects_statement, corrects_line, note, span_start) =
        (next(), next(), next(), next(), next());
    Ok(Row {
        sku,
        meter: meter.clone(),
        unit: unit.clone(),
        records: optional("records", &records, row)?,
        quantity,
        unit_price,
        amount,
        more: More {
            discount_percent,
            slice: optional("slice", &slice, row)?.unwrap_or(0),
            corrects_statement,
            corrects_line: optional("corrects_line", &corrects_line, row)?,
            span_start,
            note,
            ..More::default()
        },
    })
}

fn whole<T: std::str::FromStr>(column: &'static str, text: &str, row: usize) -> Result<T, DocumentError> {
    text.parse().map_err(|_| DocumentError::Cell {
        row,
        column,
        text: text.to_owned(),
    })
}

/// An empty string is absent; anything else must read.
fn optional<T: std::str::FromStr>(column: &'static str, text: &str, row: usize) -> Result<Option<T>, DocumentError> {
    (!text.is_empty()).then(|| whole(column, text, row)).transpose()
}

/// The text that these lines had in this version.
pub fn text(lines: &[Line]) -> String {
    let groups: Vec<_> = lines
        .chunk_by(|before, line| line.follows(before) && line.meter == before.meter && line.unit == before.unit)
        .map(|group| {
            let (first, row) = (&group[0], Row::of(&group[0]));
            let day = |day: Option<chrono::NaiveDate>| day.map_or_else(String::new, |day| day.to_string());
            (
                first.line_no.to_string(),
                first.appid.map_or_else(String::new, |appid| appid.to_string()),
                first.kind.word(),
                &*first.card,
                day(first.card_version),
                &*first.region,
                row.meter,
                row.unit,
                group.iter().map(own_strings).collect::<Vec<_>>(),
            )
        })
        .collect();
    serde_json::to_string(&groups).expect("strings in arrays always have a JSON text")
}

fn own_strings<'a>(line: &'a Line) -> Vec<Text<'a>> {
    let row = Row::of(line);
    let number = |value: Option<i64>| Text::from(value.map_or_else(String::new, |value| value.to_string()));
    let mut own: Vec<Text<'a>> = vec![
        row.sku,
        number(row.records),
        row.quantity,
        row.unit_price,
        row.amount,
        number(Some(i64::from(row.more.slice)).filter(|slice| *slice != 0)),
        row.more.discount_percent,
        row.more.corrects_statement,
        number(row.more.corrects_line.map(i64::from)),
        row.more.note,
        row.more.span_start,
    ];
    while own.last().is_some_and(Text::is_empty) {
        own.pop();
    }
    own
}

/// The digest of a statement with this document: of these texts, joined by single line feeds.
pub fn digest(statement: &Statement, document: &str) -> String {
    let texts = [
        "tallybook statement 3",
        &statement.statement_id,
        &statement.uin.to_string(),
        &statement.period_start_text(),
        &statement.period_end_text(),
        statement.zone.name(),
        &statement.currency.to_string(),
        &statement.closed_at_text(),
        &statement.lines.to_string(),
        &plain(statement.usage_amount, AMOUNT_DECIMALS),
        &plain(statement.adjustment_amount, AMOUNT_DECIMALS),
        &plain(statement.rounding, AMOUNT_DECIMALS),
        &statement.total_text(),
        statement.previous_digest.as_deref().unwrap_or_default(),
        document,
    ];
    sha256_hex(texts.join("\n").as_bytes())
}

/// The digest that a statement would have had in this version.
///
/// # Errors
/// A document that does not read.
pub fn digest_again(statement: &Statement) -> Result<String, DocumentError> {
    Ok(digest(statement, &text(&statement.read_lines()?)))
}

#[cfg(test)]
mod tests {
    use crate::pipeline::close::statement::Statement;
    use crate::pipeline::close::statement::samples::{charge, close};
    use crate::pipeline::rate::Kind;
    use crate::values::digest::sha256_hex;

    #[test]
    fn a_statement_of_version_1_has_the_digest_of_its_day_with_its_lines_and_without_them() {
        let again = close(7, "CNY", &[charge(Kind::Usage, "2", "0.015")], Some("beef")).unwrap();
        let document = concat!(
            r#"[["1","1300000001","usage","mps-cn","2024-01-01","ap-guangzhou","transcode","minute","#,
            r#"[["Standard.H264.HD","2","2.000000","0.015","0.0300000000"]]]]"#
        );
        let digested = format!(
            "tallybook statement 3\n7-20241101-20241201\n7\n2024-11-01T00:00:00+08:00\n2024-12-01T00:00:00+08:00\n\
             Asia/Shanghai\nCNY\n2024-12-20T01:02:03+00:00\n1\n0.0300000000\n0.0000000000\n0.0000000000\n0.03\nbeef\n{document}"
        );
        let mut old = Statement {
            document: Some(document.to_owned()),
            digest: sha256_hex(digested.as_bytes()),
            ..again.clone()
        };
        assert_eq!(old.verify(), []);
        assert!(old.is_the_same_as(&again).unwrap());
        old.document = None;
        assert!(old.is_the_same_as(&again).unwrap());
        let other = close(7, "CNY", &[charge(Kind::Usage, "3", "0.015")], Some("beef")).unwrap();
        assert!(!old.is_the_same_as(&other).unwrap());
        assert!(again.is_the_same_as(&again).unwrap() && !again.is_the_same_as(&other).unwrap());
    }
}
