//! A line of usage on its way to charges: every number that its amount rests on.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::counter::{Counters, Counting, Ends, Packages, Taken, is_of_a_day};
use super::line_usage::{DaysOfLines, LineUsage};
use super::quantity::Quantity;
use super::tiers::{Slice, slice};
use super::{Kind, PeriodUsage, RateError};
use crate::catalog::account::terms::Terms;
use crate::catalog::rate_card::{Model, Price, RateCard};
use crate::values::calendar::Cycle;

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
    /// The base units in the pricing unit, times the multiplier where there is one, rounded once.
    pub quantity: Quantity,
    /// The same before the multiplier; none without one.
    pub usage_quantity: Option<Quantity>,
    /// Where the counter stood before the line.
    pub position: Quantity,
    /// Where the counter stands at the end of the period, where the price depends on it.
    pub end: Option<Quantity>,
    /// The base units by which its packages are counted.
    pub packages: Option<Packages>,
    /// The quantity, cut by what is included and by the tiers.
    pub slices: Vec<Slice>,
}

/// A line that was taken through its counters, and is not cut yet.
pub(super) struct CountedLine<'l, 'a> {
    line: &'l LineUsage<'a>,
    version: usize,
    price: &'a Price,
    agreed: Option<Decimal>,
    quantity: Quantity,
    taken: Taken,
}

/// Takes a line of the period through its counters, and moves them. An agreed price takes the place of the
/// card's model and takes nothing that is included; the usage still moves the counters, which belong to the card.
pub(super) fn count<'l, 'a>(
    input: &PeriodUsage<'a>,
    line: &'l LineUsage<'a>,
    (version, price): (usize, &'a Price),
    days: Option<&DaysOfLines>,
    (counters, ends): (&mut Counters<'a>, Option<&mut Ends<'a>>),
) -> Result<CountedLine<'l, 'a>, RateError> {
    let agreed = input.terms.agreed_price(line.sku, &price.region_group);
    let pricing = Pricing {
        version,
        price,
        agreed,
        takes_included: agreed.is_none(),
    };
    count_under(input, line, pricing, days, (counters, ends))
}

/// The same of an earlier day of the month.
pub(super) fn count_earlier<'a>(
    input: &PeriodUsage<'a>,
    line: &LineUsage<'a>,
    (version, price): (usize, &'a Price),
    counting: (&mut Counters<'a>, Option<&mut Ends<'a>>),
) -> Result<(), RateError> {
    let pricing = Pricing {
        version,
        price,
        // Nothing of that day is priced any more.
        agreed: None,
        takes_included: price.included.is_some() && took_included(input, line, price),
    };
    count_under(input, line, pricing, None, counting).map(|_| ())
}

/// Whether an earlier day took of what the card of the period includes in the month: it did where it was billed by days under that card, at
/// the card's price.
fn took_included(input: &PeriodUsage, line: &LineUsage, price: &Price) -> bool {
    let terms = terms_before(input, line.span.start);
    terms.card == input.terms.card
        && terms.cycle == Cycle::Daily
        && terms.agreed_price(line.sku, &price.region_group).is_none()
}

/// The terms of an earlier day; before the first terms, the first.
fn terms_before<'a>(input: &PeriodUsage<'a>, day: NaiveDate) -> &'a Terms {
    let at = input.account_terms.partition_point(|terms| terms.from <= day).max(1);
    input.account_terms.get(at - 1).unwrap_or(input.terms)
}

/// By what a line is priced.
#[derive(Clone, Copy)]
struct Pricing<'a> {
    version: usize,
    price: &'a Price,
    agreed: Option<Decimal>,
    takes_included: bool,
}

fn count_under<'l, 'a>(
    input: &PeriodUsage<'a>,
    line: &'l LineUsage<'a>,
    pricing: Pricing<'a>,
    days: Option<&DaysOfLines>,
    (counters, ends): (&mut Counters<'a>, Option<&mut Ends<'a>>),
) -> Result<CountedLine<'l, 'a>, RateError> {
    let Pricing {
        version,
        price,
        agreed,
        takes_included,
    } = pricing;
    let quantity = line_quantity(line, price)?;
    let of_one_day = [(line.first_day, i128::from(line.billable))];
    let days = match days {
        Some(days) if is_of_a_day(price, input.terms.cycle) => days.of_line(line)?,
        _ => &of_one_day[..],
    };
    let counting = Counting {
        line,
        version,
        price,
        quantity,
        agreed: agreed.is_some(),
        takes_included,
        days,
    };
    let taken = counters.take(&counting).ok_or_else(|| counter_overflow(line))?;
    if let Some(ends) = ends {
        ends.add(&counting, &taken).ok_or_else(|| counter_overflow(line))?;
    }
    Ok(CountedLine {
        line,
        version,
        price,
        agreed,
        quantity,
        taken,
    })
}

/// Splits a line where its counter stands.
pub(super) fn step<'a>(
    input: &PeriodUsage<'a>,
    counted: &CountedLine<'_, 'a>,
    ends: Option<&Ends<'a>>,
) -> Result<Step<'a>, RateError> {
    let CountedLine {
        line,
        version,
        price,
        agreed,
        quantity,
        mut taken,
    } = *counted;
    let cards: &'a [Arc<RateCard>] = input.cards;
    let model = agreed.map_or(Cow::Borrowed(&price.model), |unit_price| {
        Cow::Owned(Model::Unit { unit_price })
    });
    let end = match (&*model, ends) {
        (Model::Volume { .. }, Some(ends)) => Some(ends.of(version, price)),
        _ => None,
    };
    taken.counted.end = end.unwrap_or(taken.counted.end);
    let mut slices = Vec::with_capacity(1);
    slices.extend(taken.included.map(|quantity| Slice {
        kind: Kind::Included,
        index: 0,
        quantity,
        unit_price: Decimal::ZERO,
        packages: None,
    }));
    if let Some(priced) = taken.priced {
        slice(&model, &taken.counted, priced, &mut slices).map_err(|source| RateError::Model {
            uin: input.uin,
            sku: line.sku.to_owned(),
            card: cards[version].name.clone(),
            version: cards[version].from,
            source,
        })?;
    }
    let usage_quantity = price.multiplier.map(|_| in_unit(line, price)).transpose()?;
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
        usage_quantity,
        position: taken.counted.position,
        end,
        packages: taken.packages,
        slices,
    })
}

/// The quantity of a line that its price sees, in the unit of it.
fn line_quantity(line: &LineUsage, price: &Price) -> Result<Quantity, RateError> {
    let Some(multiplier) = price.multiplier else {
        return in_unit(line, price);
    };
    Quantity::multiplied(line.billable, multiplier, price.unit.base_units).ok_or_else(|| quantity_overflow(line, price))
}

/// The base units of a line in the unit of its price.
fn in_unit(line: &LineUsage, price: &Price) -> Result<Quantity, RateError> {
    Quantity::from_base_units(line.billable, price.unit.base_units).ok_or_else(|| quantity_overflow(line, price))
}

fn quantity_overflow(line: &LineUsage, price: &Price) -> RateError {
    RateError::Overflow {
        what: format!(
            "the quantity of SKU `{}` in a unit of {} base units",
            line.sku, price.unit.base_units
        ),
    }
}

fn counter_overflow(line: &LineUsage) -> RateError {
    RateError::Overflow {
        what: format!("the counter of SKU `{}` in region `{}`", line.sku, line.region),
    }
}
