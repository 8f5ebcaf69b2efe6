//! A line of usage on its way to charges: every number that its amount rests on.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::NaiveDate;

use super::line_usage::LineUsage;
use super::quantity::Quantity;
use super::tier_counter::Counters;
use super::tiers::{Slice, slice};
use super::{PeriodUsage, RateError};
use crate::catalog::rate_card::{Model, Price, RateCard};

/// A line of usage, its price, and how its counter and tiers cut it.
#[derive(Debug, Clone)]
pub struct Step<'a> {
    /// The first day of the span.
    pub span_start: NaiveDate,
    /// The application.
    pub appid: u64,
    /// The region.
    pub region: &'a str,
    /// The SKU.
    pub sku: &'a str,
    /// The first day with usage.
    pub first_day: NaiveDate,
    /// The last day with usage.
    pub last_day: NaiveDate,
    /// Records.
    pub records: i64,
    /// Billable base units (ms or counts).
    pub billable: i64,
    /// The card version in force.
    pub card: &'a RateCard,
    /// Its price for the SKU and region.
    pub price: &'a Price,
    /// Whether a price agreed with the account took the place of the card's.
    pub agreed: bool,
    /// The base units in the pricing unit, rounded once.
    pub quantity: Quantity,
    /// Where the counter stood before the line.
    pub position: Quantity,
    /// The quantity, cut by the tiers.
    pub slices: Vec<Slice>,
}

/// Splits a line where its counter stands, and moves the counter. An agreed price takes the place of the
/// card's model; the usage still moves the counters, which belong to the card.
pub(super) fn step<'a>(
    input: &PeriodUsage<'a>,
    line: &LineUsage<'a>,
    version: usize,
    price: &'a Price,
    counters: &mut Counters<'a>,
) -> Result<Step<'a>, RateError> {
    let cards: &'a [Arc<RateCard>] = input.cards;
    let quantity = line_quantity(line, price)?;
    let agreed = input.terms.agreed_price(line.sku, &price.region_group);
    let model = agreed.map_or(Cow::Borrowed(&price.model), |unit_price| {
        Cow::Owned(Model::Unit { unit_price })
    });
    let position = counters.position(version, price);
    let mut slices = Vec::with_capacity(1);
    slice(&model, position, quantity, &mut slices).map_err(|source| RateError::Model {
        uin: input.uin,
        sku: line.sku.to_owned(),
        card: cards[version].name.clone(),
        version: cards[version].from,
        source,
    })?;
    counters
        .advance(version, price, (line.sku, line.region), quantity)
        .ok_or_else(|| counter_overflow(line))?;
    Ok(Step {
        span_start: line.span.start,
        appid: line.appid,
        region: line.region,
        sku: line.sku,
        first_day: line.first_day,
        last_day: line.last_day,
        records: line.records,
        billable: line.billable,
        card: &cards[version],
        price,
        agreed: agreed.is_some(),
        quantity,
        position,
        slices,
    })
}

/// The quantity of a line in the unit of its price.
pub(super) fn line_quantity(line: &LineUsage, price: &Price) -> Result<Quantity, RateError> {
    Quantity::from_base_units(line.billable, price.unit.base_units).ok_or_else(|| RateError::Overflow {
        what: format!(
            "the quantity of SKU `{}` in a unit of {} base units",
            line.sku, price.unit.base_units
        ),
    })
}

pub(super) fn counter_overflow(line: &LineUsage) -> RateError {
    RateError::Overflow {
        what: format!("the counter of SKU `{}` in region `{}`", line.sku, line.region),
    }
}
