//! What rating yields: charges, and what could not be priced.

use std::fmt;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::discount::discounted_amount;
use super::line_usage::LineUsage;
use super::{PeriodUsage, RateError, Step};

/// What a statement line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Usage at a price.
    Usage,
    /// Usage within an included quantity.
    Included,
    /// Usage covered by a prepaid pack.
    Pack,
    /// A fixed price per period.
    Flat,
    /// The true-up to a minimum commitment.
    Minimum,
    /// A correction of a closed statement.
    Adjustment,
    /// The difference between the sum of the lines and the total in minor units.
    Rounding,
}

impl Kind {
    /// Every kind, in the order of the rules.
    pub const ALL: [Self; 7] = [
        Self::Usage,
        Self::Included,
        Self::Pack,
        Self::Flat,
        Self::Minimum,
        Self::Adjustment,
        Self::Rounding,
    ];

    /// The word in statements and exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Included => "included",
            Self::Pack => "pack",
            Self::Flat => "flat",
            Self::Minimum => "minimum",
            Self::Adjustment => "adjustment",
            Self::Rounding => "rounding",
        }
    }

    /// The kind of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.word())
    }
}

/// One priced slice of one line of usage. Ordered as statements are: span start, app (number), region,
/// SKU (bytes), slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge<'a> {
    /// What it is for.
    pub kind: Kind,
    /// The application; none for what belongs to the account as a whole.
    pub appid: Option<u64>,
    /// The region of the usage.
    pub region: &'a str,
    /// The SKU.
    pub sku: &'a str,
    /// The meter that measured it.
    pub meter: &'a str,
    /// The pricing unit, such as `minute`.
    pub unit: &'a str,
    /// The rate card.
    pub card: &'a str,
    /// The version of it: its first day.
    pub card_version: NaiveDate,
    /// The first day of the span: of the period, or of the card version within it.
    pub span_start: NaiveDate,
    /// The tier, from 0; always 0 for one price.
    pub slice: u32,
    /// Records of the line, on its first slice; 0 on the others, so that the column adds up.
    pub records: i64,
    /// In pricing units, 6 decimals.
    pub quantity: Decimal,
    /// Per pricing unit, before the discount.
    pub unit_price: Decimal,
    /// In percent.
    pub discount_percent: Decimal,
    /// In the card's currency, 10 decimals.
    pub amount: Decimal,
    /// The closed line that it corrects.
    pub corrects: Option<Corrects<'a>>,
    /// For the reader of the statement.
    pub note: &'a str,
}

/// A line of a closed statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrects<'a> {
    /// The statement.
    pub statement_id: &'a str,
    /// The line of it, from 1.
    pub line_no: u32,
}

/// Usage without a price in force: a person has to add the price; its period stays open until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpriced<'a> {
    /// The application.
    pub appid: u64,
    /// The region of the usage.
    pub region: &'a str,
    /// The SKU.
    pub sku: &'a str,
    /// The first day with such usage.
    pub first_day: NaiveDate,
    /// The last day with such usage.
    pub last_day: NaiveDate,
    /// Records.
    pub records: i64,
    /// Billable base units (ms or counts).
    pub billable: i64,
}

impl fmt::Display for Unpriced<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "SKU `{}` in region `{}` (app {}): {} records, {} base units from {} to {}",
            self.sku, self.region, self.appid, self.records, self.billable, self.first_day, self.last_day
        )
    }
}

/// Appends the charges of one line, each after the discount of the terms; its records stand on the first.
pub(super) fn charge_slices<'a>(
    input: &PeriodUsage<'a>,
    line: &Step<'a>,
    charges: &mut Vec<Charge<'a>>,
) -> Result<(), RateError> {
    let discount_percent = input.terms.discount_percent;
    let mut records = line.records;
    for slice in &line.slices {
        let quantity = slice.quantity.to_decimal().ok_or_else(|| RateError::Overflow {
            what: format!("a quantity of SKU `{}`", line.sku),
        })?;
        let amount = discounted_amount(input, line.sku, quantity, slice.unit_price)?;
        charges.push(Charge {
            kind: Kind::Usage,
            appid: Some(line.appid),
            region: line.region,
            sku: line.sku,
            meter: &line.price.meter,
            unit: &line.price.unit.name,
            card: &line.card.name,
            card_version: line.card.from,
            span_start: line.span_start,
            slice: slice.index,
            records: std::mem::take(&mut records),
            quantity,
            unit_price: slice.unit_price,
            discount_percent,
            amount,
            corrects: None,
            note: "",
        });
    }
    Ok(())
}

/// A line that has no price.
pub(super) fn unpriced<'a>(line: &LineUsage<'a>) -> Unpriced<'a> {
    let LineUsage {
        appid,
        region,
        sku,
        first_day,
        last_day,
        records,
        billable,
        ..
    } = *line;
    Unpriced {
        appid,
        region,
        sku,
        first_day,
        last_day,
        records,
        billable,
    }
}
