//! Rating: usage x rate card x terms -> charges. Pure: no I/O, no clock, no float.
//!
//! A line is (period, app, region, SKU, span); a span is a run of days with one card version. The usage of
//! a line is summed in base units, rounded once into the pricing unit, split by the tiers of its price
//! where its counter stands, and priced slice by slice. Drafts, closing, adjustments and what-if are this
//! function with other inputs. The result does not depend on the order of the input.

mod charge;
mod counter;
mod discount;
mod error;
mod line_usage;
#[cfg(test)]
mod model_tests;
mod priced_line;
mod quantity;
#[cfg(test)]
mod tests;
mod tiers;

pub use charge::{Charge, Corrects, Kind, Unpriced};
use charge::{charge_slices, unpriced};
pub use counter::Packages;
pub use error::RateError;
pub use line_usage::DayUsage;
pub use priced_line::Step;
use priced_line::{CountedLine, count, count_earlier, step};
pub use quantity::Quantity;
pub use tiers::{Counted, ModelError, Slice, slice};

use std::sync::Arc;

use chrono::NaiveDate;

use crate::catalog::account::terms::Terms;
use crate::catalog::rate_card::{Price, RateCard};
use crate::values::calendar::{Cycle, Period};
use crate::values::money::Currency;
use counter::{Counters, Ends};
use line_usage::{DaysOfLines, LineUsage, Span, sum_lines};

/// All that the charges of one account and period depend on.
#[derive(Debug, Clone, Copy)]
pub struct PeriodUsage<'a> {
    /// The account.
    pub uin: u64,
    /// The period.
    pub period: Period,
    /// The terms that hold in it.
    pub terms: &'a Terms,
    /// The versions of the card of the terms, by first day, ascending; at least those in force in the
    /// period (and, for a daily cycle, in its calendar month).
    pub cards: &'a [Arc<RateCard>],
    /// The usage of the period, in any order.
    pub usage: &'a [DayUsage<'a>],
    /// For a daily cycle, the usage of the days of the calendar month before the period, which moves its
    /// counters; each of these days was a period of its own. Empty for a monthly cycle.
    pub earlier: &'a [DayUsage<'a>],
    /// All terms of the account, by first day: those of the earlier days say where nothing was included.
    pub account_terms: &'a [Terms],
}

/// The charges of a period, as far as it could be priced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rated<'a> {
    uin: u64,
    card: &'a str,
    currency: Option<Currency>,
    charges: Vec<Charge<'a>>,
    unpriced: Vec<Unpriced<'a>>,
}

impl<'a> Rated<'a> {
    /// The currency of the charges; none when there is none.
    pub fn currency(&self) -> Option<Currency> {
        self.currency
    }

    /// What has no price in force; while there is any, the period cannot close.
    pub fn unpriced(&self) -> &[Unpriced<'a>] {
        &self.unpriced
    }

    /// All charges, to close the period with.
    ///
    /// # Errors
    /// When some usage has no price in force: it is never left out, never billed as zero.
    pub fn complete(self) -> Result<Vec<Charge<'a>>, RateError> {
        let Some(first) = self.unpriced.first() else {
            return Ok(self.charges);
        };
        Err(RateError::Unpriced {
            uin: self.uin,
            card: self.card.to_owned(),
            count: self.unpriced.len(),
            first: first.to_string(),
        })
    }

    /// The charges so far, and what is missing from them: for drafts only.
    pub fn draft(self) -> (Vec<Charge<'a>>, Vec<Unpriced<'a>>) {
        (self.charges, self.unpriced)
    }
}

/// The charges of one account and period, sorted by span start, app (number), region, SKU (bytes) and slice.
///
/// # Errors
/// See [`RateError`]; usage without a price is no error here but listed in the result.
pub fn rate<'a>(input: &PeriodUsage<'a>) -> Result<Rated<'a>, RateError> {
    let mut rated = Rated {
        uin: input.uin,
        card: &input.terms.card,
        currency: None,
        charges: Vec::new(),
        unpriced: Vec::new(),
    };
    walk(input, |line| {
        match line {
            Walked::Unpriced(line) => rated.unpriced.push(unpriced(line)),
            Walked::Priced(step) => {
                rated.currency = Some(one_currency(input, rated.currency, step.card.currency)?);
                charge_slices(input, &step, &mut rated.charges)?;
            }
        }
        Ok(())
    })?;
    Ok(rated)
}

/// The steps from usage to charges, line by line, for those who ask how an amount came about: the same walk as [`rate`]'s.
///
/// # Errors
/// See [`rate`]. Usage without a price has no step.
pub fn steps<'a>(input: &PeriodUsage<'a>) -> Result<Vec<Step<'a>>, RateError> {
    let mut steps = Vec::new();
    walk(input, |line| {
        if let Walked::Priced(step) = line {
            steps.push(step);
        }
        Ok(())
    })?;
    Ok(steps)
}

/// A line on the way to its charges.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and nearly all are priced"
)]
enum Walked<'l, 'a> {
    Unpriced(&'l LineUsage<'a>),
    Priced(Step<'a>),
}

/// Takes the lines of a period one after the other through their counters, in the order of the rules. Where a price depends on where its
/// counter stands at the end, all of them are counted before the first is priced.
fn walk<'a>(
    input: &PeriodUsage<'a>,
    mut then: impl FnMut(Walked<'_, 'a>) -> Result<(), RateError>,
) -> Result<(), RateError> {
    check_cards(input)?;
    check_days(input)?;
    let versions: &'a [Arc<RateCard>] = input.cards;
    let versions = &versions[..versions.partition_point(|card| card.from < input.period.end)];
    let mut counters = Counters::new(versions, input.terms.cycle);
    let mut ends = Ends::needed(versions);
    count_earlier_days(input, &mut counters, ends.as_mut())?;
    let span_of = |day| span_in_period(input, day);
    let lines = sum_lines(input.uin, input.usage, span_of)?;
    let by_day = input.terms.cycle != Cycle::Daily && versions.iter().any(|card| card.has_packages_of_a_day());
    let days = by_day.then(|| DaysOfLines::of(input.uin, input.usage, span_of));
    let mut later: Vec<Result<CountedLine, &LineUsage>> = Vec::new();
    for line in &lines {
        let counted = match price_in_force(input, line) {
            None => Err(line),
            Some(price) => Ok(count(
                input,
                line,
                price,
                days.as_ref(),
                (&mut counters, ends.as_mut()),
            )?),
        };
        if ends.is_some() {
            later.push(counted);
        } else {
            then(walked(input, counted, None)?)?;
        }
    }
    for counted in later {
        then(walked(input, counted, ends.as_ref())?)?;
    }
    Ok(())
}

fn walked<'l, 'a>(
    input: &PeriodUsage<'a>,
    counted: Result<CountedLine<'l, 'a>, &'l LineUsage<'a>>,
    ends: Option<&Ends<'a>>,
) -> Result<Walked<'l, 'a>, RateError> {
    match counted {
        Ok(counted) => Ok(Walked::Priced(step(input, &counted, ends)?)),
        Err(line) => Ok(Walked::Unpriced(line)),
    }
}

fn check_cards(input: &PeriodUsage) -> Result<(), RateError> {
    let mut before = None;
    for card in input.cards {
        if card.name != input.terms.card || before.is_some_and(|before| card.from <= before) {
            return Err(RateError::Cards {
                uin: input.uin,
                card: input.terms.card.clone(),
                given: card.name.clone(),
                from: card.from,
            });
        }
        before = Some(card.from);
    }
    Ok(())
}

fn check_days(input: &PeriodUsage) -> Result<(), RateError> {
    let counted = Period {
        start: input.terms.cycle.counters_from(&input.period),
        end: input.period.start,
    };
    for (window, rows) in [(input.period, input.usage), (counted, input.earlier)] {
        if let Some(row) = rows.iter().find(|row| !window.contains(row.day)) {
            let Period { start: from, end: to } = window;
            return Err(RateError::OutsidePeriod {
                uin: input.uin,
                day: row.day,
                from,
                to,
            });
        }
    }
    Ok(())
}

/// The card version in force on a day: the last one that started by then.
fn version_on(cards: &[Arc<RateCard>], day: NaiveDate) -> Option<usize> {
    cards.partition_point(|card| card.from <= day).checked_sub(1)
}

/// The run of days of the period that share the card version of `day`.
fn span_in_period(input: &PeriodUsage, day: NaiveDate) -> Span {
    let version = version_on(input.cards, day);
    let start = version.map_or(input.period.start, |version| {
        input.period.start.max(input.cards[version].from)
    });
    Span { start, version }
}

/// Moves the counters by the earlier days of the month; each was a period, and rounded, by itself.
fn count_earlier_days<'a>(
    input: &PeriodUsage<'a>,
    counters: &mut Counters<'a>,
    mut ends: Option<&mut Ends<'a>>,
) -> Result<(), RateError> {
    let day_by_itself = |day| Span {
        start: day,
        version: version_on(input.cards, day),
    };
    for line in sum_lines(input.uin, input.earlier, day_by_itself)? {
        if let Some(price) = price_in_force(input, &line) {
            count_earlier(input, &line, price, (counters, ends.as_deref_mut()))?;
        }
    }
    Ok(())
}

/// The card version and price of a line; none without a version, a region group or a price for the SKU.
fn price_in_force<'a>(input: &PeriodUsage<'a>, line: &LineUsage) -> Option<(usize, &'a Price)> {
    let version = line.span.version?;
    let cards: &'a [Arc<RateCard>] = input.cards;
    Some((version, cards[version].price(line.sku, line.region)?))
}

fn one_currency(input: &PeriodUsage, so_far: Option<Currency>, other: Currency) -> Result<Currency, RateError> {
    match so_far {
        Some(one) if one != other => Err(RateError::Currencies {
            uin: input.uin,
            period: input.period,
            one,
            other,
        }),
        _ => Ok(other),
    }
}
