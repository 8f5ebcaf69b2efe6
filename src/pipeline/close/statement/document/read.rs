//! Reading a document: as groups, as lines, as the strings that people are shown.

use std::borrow::Cow;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::Deserialize;

use super::format::{self, BEGIN, Document, Group, Head, Row, VERSION};
use super::{COLUMNS, DocumentError, Line, Priced, v1};
use crate::pipeline::rate::Kind;
use crate::values::money::parse_plain;

/// The groups of a document of any version.
///
/// # Errors
/// [`DocumentError::Shape`], [`DocumentError::Version`]; in version 1 a number that is none, too.
pub fn groups(document: &str) -> Result<Vec<Group<'_>>, DocumentError> {
    if v1::is_of_this_version(document) {
        return v1::groups(document);
    }
    Ok(parsed(document)?.groups)
}

/// What a statement's document says beside its lines; version 1 and settlements say nothing there.
///
/// # Errors
/// As [`groups`].
pub fn head(document: &str) -> Result<Option<Head<'_>>, DocumentError> {
    if v1::is_of_this_version(document) {
        return Ok(None);
    }
    Ok(parsed(document)?.statement)
}

pub(super) fn parsed(document: &str) -> Result<Document<'_>, DocumentError> {
    if !document.starts_with(BEGIN) {
        return Err(unknown_version(document));
    }
    let parsed: Document = serde_json::from_str(document).map_err(|error| shape(&error))?;
    if parsed.columns.iter().map(|column| &**column).eq(format::COLUMNS) {
        return Ok(parsed);
    }
    Err(DocumentError::Shape {
        what: format!("its `columns` are not {}", format::COLUMNS.join(", ")),
    })
}

fn shape(error: &serde_json::Error) -> DocumentError {
    DocumentError::Shape {
        what: error.to_string(),
    }
}

/// A document of a later release says its version first; anything else is damaged.
fn unknown_version(document: &str) -> DocumentError {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    match serde_json::from_str(document) {
        Ok(Versioned { version }) if version != VERSION => DocumentError::Version { version },
        Ok(_) => DocumentError::Shape {
            what: format!("it does not begin with `{BEGIN}`"),
        },
        Err(error) => shape(&error),
    }
}

/// The lines, as they were written.
///
/// # Errors
/// The first thing that does not read as what it should be.
pub fn lines(document: &str) -> Result<Vec<Line<'_>>, DocumentError> {
    let groups = groups(document)?;
    let mut lines = Vec::with_capacity(groups.iter().map(|group| group.lines.len()).sum());
    for mut group in groups {
        for (number, own) in (u64::from(group.first_line)..).zip(std::mem::take(&mut group.lines)) {
            let row = lines.len() + 1;
            let line_no = u32::try_from(number).map_err(|_| DocumentError::Cell {
                row,
                column: "first_line",
                text: group.first_line.to_string(),
            })?;
            lines.push(read_line(&group, line_no, own, row)?);
        }
    }
    Ok(lines)
}

/// The strings of each line, in the order of [`COLUMNS`].
///
/// # Errors
/// As [`groups`].
pub fn rows(document: &str) -> Result<Vec<[Cow<'_, str>; COLUMNS.len()]>, DocumentError> {
    let mut rows = Vec::new();
    for group in groups(document)? {
        for (number, own) in (u64::from(group.first_line)..).zip(group.lines) {
            let discount_percent = own.discount().to_owned();
            let note = own.shown_note().into_owned();
            let text = |number: Option<i64>| number.map_or_else(String::new, |number| number.to_string());
            rows.push([
                number.to_string().into(),
                group.appid.0.clone(),
                group.kind.0.clone(),
                group.card.0.clone(),
                group.card_version.0.clone(),
                group.region.0.clone(),
                own.sku.0,
                own.meter.0,
                own.unit.0,
                text(own.records).into(),
                own.quantity.0,
                own.unit_price.0,
                discount_percent.into(),
                own.amount.0,
                own.more.corrects_statement.0,
                text(own.more.corrects_line.map(i64::from)).into(),
                note.into(),
                text(Some(i64::from(own.more.slice)).filter(|slice| *slice != 0)).into(),
                own.more.span_start.0,
                text(own.more.packages).into(),
                own.more.multiplier.0,
                own.more.usage_quantity.0,
                own.more.corrects_kind.0,
            ]);
        }
    }
    Ok(rows)
}

fn read_line<'a>(group: &Group<'a>, line_no: u32, own: Row<'a>, row: usize) -> Result<Line<'a>, DocumentError> {
    let bad = |column, text: &str| DocumentError::Cell {
        row,
        column,
        text: text.to_owned(),
    };
    let decimal = |column, text: &str| parse_plain(text).map_err(|_| bad(column, text));
    let priced = if own.quantity.is_empty()
        && own.unit_price.is_empty()
        && own.more.discount_percent.is_empty()
        && own.more.packages.is_none()
    {
        None
    } else {
        Some(Priced {
            quantity: decimal("quantity", &own.quantity)?,
            unit_price: decimal("unit_price", &own.unit_price)?,
            discount_percent: match &*own.more.discount_percent {
                "" => Decimal::ZERO,
                discount => decimal("discount_percent", discount)?,
            },
            packages: own.more.packages,
        })
    };
    let optional_decimal = |column, text: &str| (!text.is_empty()).then(|| decimal(column, text)).transpose();
    let kind = |column, word: &str| Kind::from_word(word).ok_or_else(|| bad(column, word));
    let optional_kind = |word: &str| (!word.is_empty()).then(|| kind("corrects_kind", word)).transpose();
    let corrects = match (own.more.corrects_statement, own.more.corrects_line) {
        (statement, None) if statement.is_empty() => None,
        (statement, Some(line_no)) if !statement.is_empty() => Some((statement.0, line_no)),
        (statement, _) => return Err(bad("corrects_statement", &statement)),
    };
    Ok(Line {
        line_no,
        appid: optional("appid", &group.appid, bad)?,
        kind: kind("kind", &group.kind)?,
        card: group.card.0.clone(),
        card_version: optional("card_version", &group.card_version, bad)?,
        region: group.region.0.clone(),
        sku: own.sku.0,
        meter: own.meter.0,
        unit: own.unit.0,
        records: own.records,
        priced,
        amount: decimal("amount", &own.amount)?,
        multiplier: optional_decimal("multiplier", &own.more.multiplier)?,
        usage_quantity: optional_decimal("usage_quantity", &own.more.usage_quantity)?,
        corrects,
        corrects_kind: optional_kind(&own.more.corrects_kind)?,
        note: own.more.note.0,
        slice: own.more.slice,
        span_start: optional("span_start", &own.more.span_start, bad)?,
    })
}

/// An empty text is absent; anything else must read.
fn optional<T: FromStr>(
    column: &'static str,
    text: &str,
    bad: impl Fn(&'static str, &str) -> DocumentError,
) -> Result<Option<T>, DocumentError> {
    (!text.is_empty())
        .then(|| text.parse().map_err(|_| bad(column, text)))
        .transpose()
}
