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

mod json;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::borrow::Cow;
use std::ops::Deref;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::pipeline::rate::{Charge, Kind};
use crate::values::calendar::Period;
pub use read::{discount_of, groups, lines, rows};
pub use write::write;

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

/// Whether a text has such a byte. Looks at all of them, without stopping early: so the compiler compares many at once.
fn has_byte(text: &str, is_such: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(0, |found, byte| found | u8::from(is_such(byte))) != 0
}

impl Deref for Cell<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}
