//! What rating yields: charges, and what could not be priced.

use std::fmt;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::discount::discounted_amount;
use super::line_usage::LineUsage;
use super::{PeriodUsage, Quantity, RateError, Step};
use crate::catalog::rate_card::Model;

/// What a line of the model `volume` says: more usage may cost less.
const VOLUME_NOTE: &str = "volume: all of it at the price of the slice in which the counter ended";

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
    /// Per pricing unit, or per package where there are packages; before the discount.
    pub unit_price: Decimal,
    /// In percent.
    pub discount_percent: Decimal,
    /// Started packages, which are paid in place of the quantity.
    pub packages: Option<i64>,
    /// What the usage was multiplied by.
    pub multiplier: Option<Decimal>,
    /// The usage before the multiplier, in pricing units: on the first slice, so that the column adds up.
    pub usage_quantity: Option<Decimal>,
    /// In the card's currency, 10 decimals.
    pub amount: Decimal,
    /// The closed line that it corrects.
    pub corrects: Option<Corrects<'a>>,
    /// The kind of what it corrects; none where that is `usage`.
    pub corrects_kind: Option<Kind>,
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
    let decimal = |quantity: Quantity| {
        quantity.to_decimal().ok_or_else(|| RateError::Overflow {
            what: format!("a quantity of SKU `{}`", line.sku),
        })
    };
    let mut records = line.records;
    let mut usage_quantity = line.usage_quantity.map(decimal).transpose()?;
    let note = match line.price.model {
        Model::Volume { .. } if !line.agreed => VOLUME_NOTE,
        _ => "",
    };
    for slice in &line.slices {
        let is_included = slice.kind == Kind::Included;
        let discount_percent = if is_included {
            Decimal::ZERO
        } else {
            input.terms.discount_percent
        };
        let quantity = decimal(slice.quantity)?;
        let priced = slice.packages.map_or(quantity, Decimal::from);
        let amount = discounted_amount(input, line.sku, priced, slice.unit_price, discount_percent)?;
        charges.push(Charge {
            kind: slice.kind,
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
            packages: slice.packages,
            multiplier: line.price.multiplier,
            usage_quantity: usage_quantity.take(),
            amount,
            corrects: None,
            corrects_kind: None,
            note: if is_included { "" } else { note },
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
