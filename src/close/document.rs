//! The document of a statement: its lines, as they are stored and digested.
//!
//! A compact JSON array (no white space) of arrays of strings, one per line, in the order of [`COLUMNS`].
//! What does not vary by line stands in the statement's header. The last two columns are for adjustments to come: `slice` is
//! empty for the first, and `span_start` where it is the later of the period's first day and the card version, as it is for
//! every line of the period's own usage. Absent values are empty strings; decimals
//! are plain: `quantity` has 6 decimals, `amount` 10, `unit_price` and `discount_percent` as many as they
//! need; `card_version` is `YYYY-MM-DD`. Strings are escaped as Python's
//! `json.dumps(rows, separators=(",", ":"), ensure_ascii=False)` does it, so that the text is canonical.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use chrono::{Datelike as _, NaiveDate};
use rust_decimal::Decimal;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::money::{AMOUNT_DECIMALS, QUANTITY_DECIMALS, parse_plain, write_plain};
use crate::rate::{Charge, Kind};
use crate::span::Period;

/// The columns of a line, in order.
pub const COLUMNS: [&str; 19] = [
    "line_no",
    "appid",
    "kind",
    "card",
    "card_version",
    "region",
    "sku",
    "meter",
    "unit",
    "records",
    "quantity",
    "unit_price",
    "discount_percent",
    "amount",
    "corrects_statement",
    "corrects_line",
    "note",
    "slice",
    "span_start",
];

/// The first so many columns are for finance; the others are for adjustments to come.
pub const EXPORTED_COLUMNS: usize = 17;

/// Bytes of a usual line, to reserve by.
const LINE_BYTES: usize = 192;

/// A line of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// From 1, without a gap.
    pub line_no: u32,
    /// The application; none for what belongs to the account as a whole.
    pub appid: Option<u64>,
    /// What it is for.
    pub kind: Kind,
    /// The rate card; empty for `rounding`.
    pub card: Cow<'a, str>,
    /// The version of the card: its first day.
    pub card_version: Option<NaiveDate>,
    /// The region.
    pub region: Cow<'a, str>,
    /// The SKU.
    pub sku: Cow<'a, str>,
    /// The meter.
    pub meter: Cow<'a, str>,
    /// The pricing unit.
    pub unit: Cow<'a, str>,
    /// Records, once per line of usage.
    pub records: Option<i64>,
    /// What the amount is made of; none for `rounding`.
    pub priced: Option<Priced>,
    /// In the statement's currency, at most 10 decimals.
    pub amount: Decimal,
    /// The statement and line that it corrects.
    pub corrects: Option<(Cow<'a, str>, u32)>,
    /// For the reader.
    pub note: Cow<'a, str>,
    /// The tier, from 0.
    pub slice: u32,
    /// The first day of the span, where it is not the usual one; see the head of this file.
    pub span_start: Option<NaiveDate>,
}

/// The factors of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    /// In pricing units, at most 6 decimals.
    pub quantity: Decimal,
    /// Per pricing unit, before the discount.
    pub unit_price: Decimal,
    /// In percent.
    pub discount_percent: Decimal,
}

/// A document that does not read as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is not an array of arrays of as many strings as there are columns.
    #[error("the stored lines are not a JSON array of arrays of {} strings: {what}; restore the ledger from a backup", COLUMNS.len())]
    Shape {
        /// What the parser found, and where.
        what: String,
    },
    /// The lines are gone, by the setting `keep_statement_months`.
    #[error(
        "the lines of statement {statement_id} are past their retention (`keep_statement_months`); its totals and its digest are kept"
    )]
    Expired {
        /// The statement.
        statement_id: String,
    },
    /// A cell does not read as its column.
    #[error("stored line {row}: `{text}` is no {column}; restore the ledger from a backup")]
    Cell {
        /// The position of the line, from 1.
        row: usize,
        /// The column.
        column: &'static str,
        /// The offender.
        text: String,
    },
}

/// One string of a document, borrowed from it wherever nothing is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell<'a>(Cow<'a, str>);

/// The strings of a line, in the order of [`COLUMNS`].
pub type Cells<'a> = [Cell<'a>; COLUMNS.len()];

/// The document of these lines.
#[expect(clippy::missing_panics_doc, reason = "whole strings and ASCII make UTF-8")]
pub fn write<'a>(lines: impl Iterator<Item = Line<'a>>) -> String {
    let mut document = Vec::with_capacity(2 + lines.size_hint().0 * LINE_BYTES);
    document.push(b'[');
    for line in lines {
        if document.len() != 1 {
            document.push(b',');
        }
        write_line(&mut document, &line);
    }
    document.push(b']');
    String::from_utf8(document).expect("whole strings and ASCII")
}

/// The strings of each line.
///
/// # Errors
/// [`DocumentError::Shape`].
pub fn cells(document: &str) -> Result<Vec<Cells<'_>>, DocumentError> {
    if let Some(rows) = plain_cells(document) {
        return Ok(rows);
    }
    serde_json::from_str(document).map_err(|error| DocumentError::Shape {
        what: error.to_string(),
    })
}

/// The lines, as they were written.
///
/// # Errors
/// The first thing that does not read as what it should be.
pub fn lines(document: &str) -> Result<Vec<Line<'_>>, DocumentError> {
    let rows = cells(document)?;
    rows.into_iter()
        .zip(1..)
        .map(|(cells, row)| read_line(cells, row))
        .collect()
}

impl<'a> Line<'a> {
    /// A charge as the line of that number.
    pub fn of_charge(line_no: u32, charge: &Charge<'a>) -> Self {
        let Charge {
            quantity,
            unit_price,
            discount_percent,
            ..
        } = *charge;
        Self {
            line_no,
            appid: charge.appid,
            kind: charge.kind,
            card: charge.card.into(),
            card_version: Some(charge.card_version),
            region: charge.region.into(),
            sku: charge.sku.into(),
            meter: charge.meter.into(),
            unit: charge.unit.into(),
            records: Some(charge.records),
            priced: Some(Priced {
                quantity,
                unit_price,
                discount_percent,
            }),
            amount: charge.amount,
            corrects: charge.corrects.map(|line| (line.statement_id.into(), line.line_no)),
            note: charge.note.into(),
            slice: charge.slice,
            span_start: (charge.kind == Kind::Adjustment).then_some(charge.span_start),
        }
    }

    /// The first day of the span of usage that the line bills, in a statement of that period.
    pub fn span_start_in(&self, period: &Period) -> NaiveDate {
        let usual = self
            .card_version
            .map_or(period.start, |version| version.max(period.start));
        self.span_start.unwrap_or(usual)
    }

    /// The difference between the sum of the lines and the total.
    pub fn rounding(line_no: u32, amount: Decimal, note: String) -> Self {
        Self {
            line_no,
            appid: None,
            kind: Kind::Rounding,
            card: "".into(),
            card_version: None,
            region: "".into(),
            sku: "".into(),
            meter: "".into(),
            unit: "".into(),
            records: None,
            priced: None,
            amount,
            corrects: None,
            note: note.into(),
            slice: 0,
            span_start: None,
        }
    }
}

fn write_line(out: &mut Vec<u8>, line: &Line) {
    out.extend_from_slice(b"[\"");
    write_whole(out, Some(line.line_no));
    out.extend_from_slice(b"\",\"");
    write_whole(out, line.appid);
    out.extend_from_slice(b"\",\"");
    out.extend_from_slice(line.kind.word().as_bytes());
    out.extend_from_slice(b"\",");
    write_string(out, &line.card);
    out.extend_from_slice(b",\"");
    write_day(out, line.card_version);
    out.extend_from_slice(b"\",");
    for text in [&line.region, &line.sku, &line.meter, &line.unit] {
        write_string(out, text);
        out.push(b',');
    }
    out.push(b'"');
    write_whole(out, line.records);
    out.extend_from_slice(b"\",\"");
    let priced = line.priced.as_ref();
    write_decimal(out, priced.map(|priced| priced.quantity), QUANTITY_DECIMALS);
    out.extend_from_slice(b"\",\"");
    write_decimal(out, priced.map(|priced| priced.unit_price), 0);
    out.extend_from_slice(b"\",\"");
    write_decimal(out, priced.map(|priced| priced.discount_percent), 0);
    out.extend_from_slice(b"\",\"");
    write_plain(out, line.amount, AMOUNT_DECIMALS);
    out.extend_from_slice(b"\",");
    let corrects = line.corrects.as_ref();
    write_string(out, corrects.map_or("", |(statement_id, _)| statement_id));
    out.extend_from_slice(b",\"");
    write_whole(out, corrects.map(|(_, line_no)| *line_no));
    out.extend_from_slice(b"\",");
    write_string(out, &line.note);
    out.extend_from_slice(b",\"");
    write_whole(out, Some(line.slice).filter(|slice| *slice != 0));
    out.extend_from_slice(b"\",\"");
    write_day(out, line.span_start);
    out.extend_from_slice(b"\"]");
}

fn write_whole(out: &mut Vec<u8>, value: Option<impl itoa::Integer>) {
    if let Some(value) = value {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }
}

/// `YYYY-MM-DD`.
fn write_day(out: &mut Vec<u8>, day: Option<NaiveDate>) {
    let Some(day) = day else { return };
    let pair = |number: u32| [number / 10, number % 10].map(|digit| b"0123456789"[digit as usize]);
    match u32::try_from(day.year()) {
        Ok(year) if year < 10_000 => {
            out.extend(pair(year / 100));
            out.extend(pair(year % 100));
            out.push(b'-');
            out.extend(pair(day.month()));
            out.push(b'-');
            out.extend(pair(day.day()));
        }
        _ => out.extend_from_slice(day.to_string().as_bytes()),
    }
}

fn write_decimal(out: &mut Vec<u8>, value: Option<Decimal>, decimals: u32) {
    if let Some(value) = value {
        write_plain(out, value, decimals);
    }
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    if has_byte(text, is_escaped) {
        serde_json::to_writer(out, text).expect("a string always has a JSON text, and a vector takes it");
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

/// Whether JSON writes a byte as an escape.
fn is_escaped(byte: u8) -> bool {
    matches!(byte, ..b' ' | b'"' | b'\\')
}

/// Whether a text has such a byte. Looks at all of them, without stopping early: so the compiler compares many at once.
fn has_byte(text: &str, is_such: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(0, |found, byte| found | u8::from(is_such(byte))) != 0
}

/// The strings of each line of a document exactly as [`write`] makes it, with nothing escaped in it; none for any other text.
fn plain_cells(document: &str) -> Option<Vec<Cells<'_>>> {
    if !has_no_escape(document) {
        return None;
    }
    let mut rest = document.strip_prefix('[')?;
    let mut rows = Vec::with_capacity(document.len() / LINE_BYTES);
    loop {
        rest = rest.strip_prefix("[\"")?;
        let mut row: Cells = std::array::from_fn(|_| Cell(Cow::Borrowed("")));
        let (last, others) = row.split_last_mut()?;
        for cell in others {
            *cell = take_cell(&mut rest)?;
            rest = rest.strip_prefix("\",\"")?;
        }
        *last = take_cell(&mut rest)?;
        rest = rest.strip_prefix("\"]")?;
        rows.push(row);
        match rest {
            "]" => return Some(rows),
            _ => rest = rest.strip_prefix(',')?,
        }
    }
}

/// Whether no byte of a document is part of an escape, or would have to be.
fn has_no_escape(document: &str) -> bool {
    !has_byte(document, |byte| byte != b'"' && is_escaped(byte))
}

/// What comes before the next quote.
fn take_cell<'a>(rest: &mut &'a str) -> Option<Cell<'a>> {
    let (cell, after) = rest.split_at(memchr::memchr(b'"', rest.as_bytes())?);
    *rest = after;
    Some(Cell(Cow::Borrowed(cell)))
}

/// Whether no string of a document with so many lines has an escape or a comma in it.
pub fn is_simple(document: &str, lines: usize) -> bool {
    let commas = document
        .bytes()
        .fold(0, |count, byte| count + usize::from(byte == b','));
    commas + 1 == lines * COLUMNS.len() && has_no_escape(document)
}

fn read_line(cells: Cells<'_>, row: usize) -> Result<Line<'_>, DocumentError> {
    let [
        line_no,
        appid,
        kind,
        card,
        card_version,
        region,
        sku,
        meter,
        unit,
        records,
        quantity,
        unit_price,
        discount_percent,
        amount,
        corrects_statement,
        corrects_line,
        note,
        slice,
        span_start,
    ] = cells;
    let bad = |at: usize, text: &Cell| DocumentError::Cell {
        row,
        column: COLUMNS[at],
        text: text.to_string(),
    };
    let integer = |at, text: &Cell| text.parse::<u32>().map_err(|_| bad(at, text));
    let decimal = |at, text: &Cell| parse_plain(text).map_err(|_| bad(at, text));
    let priced = if quantity.is_empty() && unit_price.is_empty() && discount_percent.is_empty() {
        None
    } else {
        Some(Priced {
            quantity: decimal(10, &quantity)?,
            unit_price: decimal(11, &unit_price)?,
            discount_percent: decimal(12, &discount_percent)?,
        })
    };
    let corrects = if corrects_statement.is_empty() && corrects_line.is_empty() {
        None
    } else {
        Some(integer(15, &corrects_line)?)
    };
    Ok(Line {
        line_no: integer(0, &line_no)?,
        appid: optional(&appid, || bad(1, &appid))?,
        kind: Kind::from_word(&kind).ok_or_else(|| bad(2, &kind))?,
        card: card.0,
        card_version: optional(&card_version, || bad(4, &card_version))?,
        region: region.0,
        sku: sku.0,
        meter: meter.0,
        unit: unit.0,
        records: optional(&records, || bad(9, &records))?,
        priced,
        amount: decimal(13, &amount)?,
        corrects: corrects.map(|line_no| (corrects_statement.0, line_no)),
        note: note.0,
        slice: if slice.is_empty() { 0 } else { integer(17, &slice)? },
        span_start: optional(&span_start, || bad(18, &span_start))?,
    })
}

/// An empty cell is absent; anything else must read.
fn optional<T: FromStr>(text: &str, bad: impl FnOnce() -> DocumentError) -> Result<Option<T>, DocumentError> {
    if text.is_empty() {
        Ok(None)
    } else {
        text.parse().map(Some).map_err(|_| bad())
    }
}

impl Deref for Cell<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Cell<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(CellVisitor)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cell<'de>, E> {
        Ok(Cell(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cell<'de>, E> {
        Ok(Cell(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests;
