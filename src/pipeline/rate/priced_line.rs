//! A line of usage on its way to charges: every number that its amount rests on.

use chrono::NaiveDate;

use super::quantity::Quantity;
use super::tiers::Slice;
use crate::catalog::rate_card::{Price, RateCard};

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
