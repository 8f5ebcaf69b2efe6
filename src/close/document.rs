//! The document of a statement: its lines, as they are stored and digested.
//!
//! A compact JSON array (no white space) of groups. Lines that stand one after another, are numbered without a gap and have the same values
//! of [`SHARED`] (but its first) are one group: an array of these values, and as its last element the array of its lines. A line is the array of its own values, in the order
//! of [`OWN`], without the empty ones at its end. So what an account's lines have in common does not stand in each of them: documents are
//! most of what a close writes.
//!
//! Every value is a string, and an absent one is empty. The number of a line is that of its group's first line and its place in the
//! group. Decimals are plain: `quantity` has 6 decimals, `amount` 10, `unit_price` and `discount_percent` as many as they need; a line
//! with a price and an empty `discount_percent` has no discount. `card_version` is `YYYY-MM-DD`. `slice` and `span_start` are for
//! adjustments to come: `slice` is empty for the first, and `span_start` where it is the later of the period's first day and the card
//! version, as it is for every line of the period's own usage. What does not vary by line stands in the statement's header. Strings are
//! escaped as Python's `json.dumps(groups, separators=(",", ":"), ensure_ascii=False)` does it, so that the text is canonical.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use chrono::{Datelike as _, NaiveDate};
use rust_decimal::Decimal;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::money::{AMOUNT_DECIMALS, QUANTITY_DECIMALS, parse_plain, write_plain};
use crate::rate::{Charge, Kind};
use crate::span::Period;

/// The number of a group's first line, and what all its lines have in common, in order.
pub const SHARED: [&str; 8] = [
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
pub const OWN: [&str; 11] = [
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

/// All values of a line, as people are shown them.
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
const LINE_BYTES: usize = 112;

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
    /// It is not an array of groups.
    #[error("the stored lines are not a JSON array of groups of lines: {what}; restore the ledger from a backup")]
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

/// The strings of a line, in the order of [`OWN`].
pub type OwnCells<'a> = [Cell<'a>; OWN.len()];

/// The strings of a group, in the order of [`SHARED`].
type SharedCells<'a> = [Cell<'a>; SHARED.len()];

/// A group as it stands in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
struct GroupCells<'a> {
    shared: SharedCells<'a>,
    lines: Vec<OwnCells<'a>>,
}

/// Lines that stand one after another and have this in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    /// The number of its first line; each later one has the next.
    pub first_line: u32,
    /// As in [`SHARED`].
    pub appid: Cell<'a>,
    /// As in [`SHARED`].
    pub kind: Cell<'a>,
    /// As in [`SHARED`].
    pub card: Cell<'a>,
    /// As in [`SHARED`].
    pub card_version: Cell<'a>,
    /// As in [`SHARED`].
    pub region: Cell<'a>,
    /// As in [`SHARED`].
    pub meter: Cell<'a>,
    /// As in [`SHARED`].
    pub unit: Cell<'a>,
    /// What each line has of its own.
    pub lines: Vec<OwnCells<'a>>,
}

/// The groups of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups<'a> {
    /// In the order of the document.
    pub groups: Vec<Group<'a>>,
    /// No string in it has an escape or a comma.
    pub is_simple: bool,
}

/// The document of these lines.
#[expect(clippy::missing_panics_doc, reason = "whole strings and ASCII make UTF-8")]
pub fn write<'a>(lines: impl Iterator<Item = Line<'a>>) -> String {
    let mut document = Vec::with_capacity(2 + lines.size_hint().0 * LINE_BYTES);
    document.push(b'[');
    let mut before: Option<Line> = None;
    for line in lines {
        match &before {
            None => write_shared(&mut document, &line),
            Some(before) if line.is_of_group(before) => document.push(b','),
            Some(_) => {
                document.extend_from_slice(b"]],");
                write_shared(&mut document, &line);
            }
        }
        write_own(&mut document, &line);
        before = Some(line);
    }
    if before.is_some() {
        document.extend_from_slice(b"]]");
    }
    document.push(b']');
    String::from_utf8(document).expect("whole strings and ASCII")
}

/// The groups of a document.
///
/// # Errors
/// [`DocumentError::Shape`], and a group whose first line has no number.
pub fn groups(document: &str) -> Result<Groups<'_>, DocumentError> {
    let (cells, is_simple) = match plain_groups(document) {
        Some((groups, commas)) => {
            let all = document.bytes().fold(0, |sum, byte| sum + usize::from(byte == b','));
            (groups, all == commas)
        }
        None => (parsed_groups(document)?, false),
    };
    let mut row = 1;
    let mut groups = Vec::with_capacity(cells.len());
    for GroupCells { shared, lines } in cells {
        let [first_line, appid, kind, card, card_version, region, meter, unit] = shared;
        let first_line = first_line.parse().map_err(|_| DocumentError::Cell {
            row,
            column: SHARED[0],
            text: first_line.to_string(),
        })?;
        row += lines.len();
        groups.push(Group {
            first_line,
            appid,
            kind,
            card,
            card_version,
            region,
            meter,
            unit,
            lines,
        });
    }
    Ok(Groups { groups, is_simple })
}

/// The lines, as they were written.
///
/// # Errors
/// The first thing that does not read as what it should be.
pub fn lines(document: &str) -> Result<Vec<Line<'_>>, DocumentError> {
    let groups = groups(document)?.groups;
    let mut lines = Vec::with_capacity(groups.iter().map(|group| group.lines.len()).sum());
    for mut group in groups {
        for (number, own) in (u64::from(group.first_line)..).zip(std::mem::take(&mut group.lines)) {
            let row = lines.len() + 1;
            let line_no = u32::try_from(number).map_err(|_| DocumentError::Cell {
                row,
                column: SHARED[0],
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
    for group in groups(document)?.groups {
        for (number, own) in (u64::from(group.first_line)..).zip(group.lines) {
            let discount_percent = discount_of(&own).to_owned();
            let [
                sku,
                records,
                quantity,
                unit_price,
                amount,
                slice,
                _,
                statement,
                line,
                note,
                span_start,
            ] = own.map(|cell| cell.0);
            rows.push([
                number.to_string().into(),
                group.appid.0.clone(),
                group.kind.0.clone(),
                group.card.0.clone(),
                group.card_version.0.clone(),
                group.region.0.clone(),
                sku,
                group.meter.0.clone(),
                group.unit.0.clone(),
                records,
                quantity,
                unit_price,
                discount_percent.into(),
                amount,
                statement,
                line,
                note,
                slice,
                span_start,
            ]);
        }
    }
    Ok(rows)
}

/// The discount of a line: what has a quantity has one, if only of nothing.
pub fn discount_of<'c>(own: &'c OwnCells<'_>) -> &'c str {
    let [_, _, quantity, _, _, _, discount_percent, ..] = own;
    if discount_percent.is_empty() && !quantity.is_empty() {
        "0"
    } else {
        discount_percent
    }
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

    /// Whether it is the next line of the group of the line before.
    fn is_of_group(&self, before: &Self) -> bool {
        let shared = |line: &Self| (line.appid, line.kind, line.card_version);
        before.line_no.checked_add(1) == Some(self.line_no)
            && shared(self) == shared(before)
            && self.region == before.region
            && self.meter == before.meter
            && self.unit == before.unit
            && self.card == before.card
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

/// What a group begins with, up to its first line.
fn write_shared(out: &mut Vec<u8>, line: &Line) {
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
    for text in [&line.region, &line.meter, &line.unit] {
        write_string(out, text);
        out.push(b',');
    }
    out.push(b'[');
}

fn write_own(out: &mut Vec<u8>, line: &Line) {
    out.push(b'[');
    write_string(out, &line.sku);
    out.extend_from_slice(b",\"");
    write_whole(out, line.records);
    out.extend_from_slice(b"\",\"");
    let priced = line.priced.as_ref();
    write_decimal(out, priced.map(|priced| priced.quantity), QUANTITY_DECIMALS);
    out.extend_from_slice(b"\",\"");
    write_decimal(out, priced.map(|priced| priced.unit_price), 0);
    out.extend_from_slice(b"\",\"");
    write_plain(out, line.amount, AMOUNT_DECIMALS);
    out.extend_from_slice(b"\",\"");
    write_whole(out, Some(line.slice).filter(|slice| *slice != 0));
    out.extend_from_slice(b"\",\"");
    let discount = priced.map(|priced| priced.discount_percent);
    write_decimal(out, discount.filter(|discount| !discount.is_zero()), 0);
    out.extend_from_slice(b"\",");
    let corrects = line.corrects.as_ref();
    write_string(out, corrects.map_or("", |(statement_id, _)| statement_id));
    out.extend_from_slice(b",\"");
    write_whole(out, corrects.map(|(_, line_no)| *line_no));
    out.extend_from_slice(b"\",");
    write_string(out, &line.note);
    out.extend_from_slice(b",\"");
    write_day(out, line.span_start);
    out.push(b'"');
    // A quote within a string is escaped, so this is an empty one; `amount` never is.
    while out.ends_with(b",\"\"") {
        out.truncate(out.len() - 3);
    }
    out.push(b']');
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

/// The groups of a document exactly as [`write`] makes it, with nothing escaped in it, and how many commas stand between them and
/// between their parts; none for any other text.
fn plain_groups(document: &str) -> Option<(Vec<GroupCells<'_>>, usize)> {
    if !has_no_escape(document) {
        return None;
    }
    let mut rest = document.strip_prefix('[')?;
    let mut groups = Vec::new();
    let mut commas = 0;
    loop {
        rest = rest.strip_prefix("[\"")?;
        let mut shared: SharedCells = no_cells();
        let (last, others) = shared.split_last_mut()?;
        for cell in others {
            *cell = take_cell(&mut rest)?;
            rest = rest.strip_prefix("\",\"")?;
        }
        *last = take_cell(&mut rest)?;
        rest = rest.strip_prefix("\",[[\"")?;
        commas += SHARED.len();
        let mut lines = Vec::new();
        loop {
            let mut line: OwnCells = no_cells();
            let mut found = 0;
            loop {
                *line.get_mut(found)? = take_cell(&mut rest)?;
                found += 1;
                match rest.strip_prefix("\",\"") {
                    Some(after) => rest = after,
                    None => break,
                }
            }
            commas += found - 1;
            lines.push(line);
            rest = rest.strip_prefix("\"]")?;
            match rest.strip_prefix(",[\"") {
                Some(after) => rest = after,
                None => break,
            }
            commas += 1;
        }
        groups.push(GroupCells { shared, lines });
        match rest.strip_prefix("]]")? {
            "]" => return Some((groups, commas)),
            after => rest = after.strip_prefix(',')?,
        }
        commas += 1;
    }
}

/// The groups of any document.
fn parsed_groups(document: &str) -> Result<Vec<GroupCells<'_>>, DocumentError> {
    serde_json::from_str(document).map_err(|error| DocumentError::Shape {
        what: error.to_string(),
    })
}

fn no_cells<'a, const N: usize>() -> [Cell<'a>; N] {
    std::array::from_fn(|_| Cell(Cow::Borrowed("")))
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

fn read_line<'a>(group: &Group<'a>, line_no: u32, own: OwnCells<'a>, row: usize) -> Result<Line<'a>, DocumentError> {
    let [
        sku,
        records,
        quantity,
        unit_price,
        amount,
        slice,
        discount_percent,
        corrects_statement,
        corrects_line,
        note,
        span_start,
    ] = own;
    let bad = |column, text: &Cell| DocumentError::Cell {
        row,
        column,
        text: text.to_string(),
    };
    let integer = |column, text: &Cell| text.parse::<u32>().map_err(|_| bad(column, text));
    let decimal = |column, text: &Cell| parse_plain(text).map_err(|_| bad(column, text));
    let priced = if quantity.is_empty() && unit_price.is_empty() && discount_percent.is_empty() {
        None
    } else {
        Some(Priced {
            quantity: decimal("quantity", &quantity)?,
            unit_price: decimal("unit_price", &unit_price)?,
            discount_percent: match &*discount_percent {
                "" => Decimal::ZERO,
                _ => decimal("discount_percent", &discount_percent)?,
            },
        })
    };
    let corrects = if corrects_statement.is_empty() && corrects_line.is_empty() {
        None
    } else {
        Some(integer("corrects_line", &corrects_line)?)
    };
    let Group {
        appid,
        kind,
        card_version,
        ..
    } = group;
    Ok(Line {
        line_no,
        appid: optional(appid, || bad("appid", appid))?,
        kind: Kind::from_word(kind).ok_or_else(|| bad("kind", kind))?,
        card: group.card.0.clone(),
        card_version: optional(card_version, || bad("card_version", card_version))?,
        region: group.region.0.clone(),
        sku: sku.0,
        meter: group.meter.0.clone(),
        unit: group.unit.0.clone(),
        records: optional(&records, || bad("records", &records))?,
        priced,
        amount: decimal("amount", &amount)?,
        corrects: corrects.map(|line_no| (corrects_statement.0, line_no)),
        note: note.0,
        slice: if slice.is_empty() { 0 } else { integer("slice", &slice)? },
        span_start: optional(&span_start, || bad("span_start", &span_start))?,
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

impl<'de: 'a, 'a> Deserialize<'de> for GroupCells<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(GroupVisitor)
    }
}

struct GroupVisitor;

impl<'de> Visitor<'de> for GroupVisitor {
    type Value = GroupCells<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a group of {} strings and its lines", SHARED.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<GroupCells<'de>, A::Error> {
        let mut shared: SharedCells = no_cells();
        for (at, cell) in shared.iter_mut().enumerate() {
            *cell = from
                .next_element()?
                .ok_or_else(|| A::Error::invalid_length(at, &self))?;
        }
        let lines: Vec<Own> = from
            .next_element()?
            .ok_or_else(|| A::Error::invalid_length(SHARED.len(), &self))?;
        Ok(GroupCells {
            shared,
            lines: lines.into_iter().map(|own| own.0).collect(),
        })
    }
}

/// A line's own strings, of which those at the end may be left out.
struct Own<'a>(OwnCells<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Own<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(OwnVisitor)
    }
}

struct OwnVisitor;

impl<'de> Visitor<'de> for OwnVisitor {
    type Value = Own<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a line of at most {} strings", OWN.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Own<'de>, A::Error> {
        let mut own: OwnCells = no_cells();
        let mut found = 0;
        while let Some(cell) = from.next_element()? {
            *own.get_mut(found)
                .ok_or_else(|| A::Error::invalid_length(found + 1, &self))? = cell;
            found += 1;
        }
        if found == 0 {
            return Err(A::Error::invalid_length(0, &self));
        }
        Ok(Own(own))
    }
}

#[cfg(test)]
mod tests;
