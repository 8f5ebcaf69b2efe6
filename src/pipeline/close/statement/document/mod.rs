//! The document of a statement: what is stored, digested and never changed.
//!
//! One compact JSON object: its version, what the statement says beside its lines, and the lines in groups of what stands one after another
//! and has app, kind, card version and region in common. A line is an array of seven values that nearly each line has, and an object with
//! the rest by name. [`format`](self::format) has all keys; `docs/internals/statement-document.md` says what they mean, and which are kept for
//! what is to come. The digest of a statement is the SHA-256 of exactly these bytes.
//!
//! Statements of before have a document of version 1 ([`v1`]): still read, checked, exported and explained, never written.

pub mod format;
mod read;
mod renamed;
#[cfg(test)]
mod tests;
pub mod v1;
mod write;

use std::borrow::Cow;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::pipeline::rate::{Charge, Kind};
use crate::values::calendar::Period;
use crate::values::money::{MoneyError, line_amount};
pub use read::{groups, head, lines, rows};
pub use renamed::{Renaming, renamed};
pub use write::write;

/// All values of a line, as people are shown them.
pub const COLUMNS: [&str; 23] = [
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
    "packages",
    "multiplier",
    "usage_quantity",
    "corrects_kind",
];

/// The first so many columns are for finance; of the others the note says what a reader must know.
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
    /// What the usage was multiplied by.
    pub multiplier: Option<Decimal>,
    /// The usage before the multiplier, in pricing units; on the first line of its usage.
    pub usage_quantity: Option<Decimal>,
    /// The statement and line that it corrects.
    pub corrects: Option<(Cow<'a, str>, u32)>,
    /// The kind of what it corrects, where that is not `usage`.
    pub corrects_kind: Option<Kind>,
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
    /// Per pricing unit, or per package; before the discount.
    pub unit_price: Decimal,
    /// In percent.
    pub discount_percent: Decimal,
    /// Packages, which the amount is made of in place of the quantity.
    pub packages: Option<i64>,
}

impl Priced {
    /// Quantity, or packages, times the price less the discount.
    ///
    /// # Errors
    /// An amount that does not fit.
    pub fn amount(&self) -> Result<Decimal, MoneyError> {
        let priced = self.packages.map_or(self.quantity, Decimal::from);
        line_amount(priced, self.unit_price, self.discount_percent)
    }
}

/// A document that does not read as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It has not the keys and values of its version.
    #[error(
        "the stored document does not read: {what}; where a later release of tallybook wrote it, use that one, else restore the ledger \
         from a backup"
    )]
    Shape {
        /// What the parser found, and where.
        what: String,
    },
    /// It is of a later version.
    #[error(
        "the stored document is of version {version}, which this release does not know; use the release that wrote it, or a later one"
    )]
    Version {
        /// The version.
        version: u32,
    },
    /// The lines are gone, by the setting `keep_statement_months`.
    #[error(
        "the lines of statement {statement_id} are past their retention (`keep_statement_months`); its totals and its digest are \
         kept"
    )]
    Expired {
        /// The statement.
        statement_id: String,
    },
    /// A value does not read as what its key says.
    #[error("stored line {row}: `{text}` is no {column}; restore the ledger from a backup")]
    Cell {
        /// The position of the line, from 1.
        row: usize,
        /// The key.
        column: &'static str,
        /// The offender.
        text: String,
    },
}

impl<'a> Line<'a> {
    /// A charge as the line of that number.
    pub fn of_charge(line_no: u32, charge: &Charge<'a>) -> Self {
        let Charge {
            quantity,
            unit_price,
            discount_percent,
            packages,
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
                packages,
            }),
            amount: charge.amount,
            multiplier: charge.multiplier,
            usage_quantity: charge.usage_quantity,
            corrects_kind: charge.corrects_kind,
            corrects: charge.corrects.map(|line| (line.statement_id.into(), line.line_no)),
            note: charge.note.into(),
            slice: charge.slice,
            span_start: (charge.kind == Kind::Adjustment).then_some(charge.span_start),
        }
    }

    /// Whether it stands in the group of the line before.
    fn follows(&self, before: &Self) -> bool {
        let shared = |line: &Self| (line.appid, line.kind, line.card_version);
        before.line_no.checked_add(1) == Some(self.line_no)
            && shared(self) == shared(before)
            && self.region == before.region
            && self.card == before.card
    }

    /// The kind of usage that it bills or corrects.
    pub fn usage_kind(&self) -> Kind {
        match self.kind {
            Kind::Adjustment => self.corrects_kind.unwrap_or(Kind::Usage),
            kind => kind,
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
            multiplier: None,
            usage_quantity: None,
            corrects: None,
            corrects_kind: None,
            note: note.into(),
            slice: 0,
            span_start: None,
        }
    }
}
