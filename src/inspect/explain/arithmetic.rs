//! The arithmetic of a line: from base units to its amount.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::{Explained, Known};
use crate::catalog::rate_card::{Model, Quantity as Measures};
use crate::pipeline::close::statement::Statement;
use crate::pipeline::close::statement::document::{Line, Priced};
use crate::pipeline::rate::{Quantity, Step};
use crate::support::error::{Error, Result};
use crate::support::table::{counted, grouped};
use crate::values::calendar::Period;
use crate::values::money::{AMOUNT_DECIMALS, Currency, QUANTITY_DECIMALS, line_amount, plain};

/// The revision of a card version that a statement was priced by.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Card {
    pub name: String,
    pub from: String,
    pub revision: i64,
    pub digest: String,
}

/// The usage behind a line, and how it became a quantity.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Usage {
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
    pub records: i64,
    /// Base units (`ms` or `count`) as reported, and after the meter's minimum and rounding up.
    pub raw_units: i64,
    pub billable_units: i64,
    pub base_unit: &'static str,
    /// What people call the base unit: `ms`, `records`, or the parameter that is counted, such as `images`.
    #[serde(skip)]
    pub measured: String,
    pub base_units_per_unit: u64,
    /// All of it in the pricing unit; tiers may cut it into several lines.
    pub quantity: String,
    /// Where the counter stood before it.
    pub counter_before: String,
    pub card: Card,
    /// Whether a price agreed with the account took the place of the card's.
    pub agreed_price: bool,
}

/// Explains a line of the statement's own usage.
pub fn explain(known: &Known, line: &Line, period: Period, explained: &mut Explained) -> Result<()> {
    with_step(known, line, period, |step| {
        let Some(step) = step else {
            return Err(drift(known, line));
        };
        let slice = step.slices.iter().find(|slice| slice.index == line.slice);
        let (Some(slice), Some(priced)) = (slice, line.priced) else {
            return Err(drift(known, line));
        };
        let is_billed =
            slice.quantity == quantity_of(known, line, priced.quantity)? && slice.unit_price == priced.unit_price;
        if !is_billed {
            return Err(drift(known, line));
        }
        let usage = usage_of(known, period, step)?;
        explained.steps = usage_steps(&usage, &line.unit);
        explained.steps.extend(tier_steps(step, line.slice));
        explained
            .steps
            .extend(price_steps(&usage, &line.unit, known.statement.currency, priced)?);
        check_amount(known, line, priced)?;
        explained.usage = Some(usage);
        Ok(())
    })
}

/// Hands the step of the line's span, app, region and SKU to `then`; none when there is no usage any more.
pub fn with_step<T>(
    known: &Known,
    line: &Line,
    period: Period,
    then: impl FnOnce(Option<&Step>) -> Result<T>,
) -> Result<T> {
    let rows = known.usage.rows_of(period);
    let span_start = line.span_start_in(&known.statement.period);
    let steps = rows.steps(known.usage.uin, period, known.usage.account, known.usage.cards)?;
    let found = steps.iter().find(|step| {
        let of = (step.span_start, Some(step.appid), step.region, step.sku);
        of == (span_start, line.appid, &*line.region, &*line.sku)
    });
    then(found)
}

/// The line's amount must come out again.
pub fn check_amount(known: &Known, line: &Line, priced: Priced) -> Result<()> {
    let amount = line_amount(priced.quantity, priced.unit_price, priced.discount_percent);
    if amount.as_ref().ok() == Some(&line.amount) {
        return Ok(());
    }
    Err(drift(known, line))
}

/// An explanation that does not lead to what was billed is none.
pub fn drift(known: &Known, line: &Line) -> Error {
    Error::Unbalanced(format!(
        "line {} of statement {} cannot be reproduced; run `tallybook verify`",
        line.line_no, known.statement.statement_id
    ))
}

fn quantity_of(known: &Known, line: &Line, quantity: Decimal) -> Result<Quantity> {
    Quantity::from_decimal(quantity).ok_or_else(|| drift(known, line))
}

/// What the usage of a step is, with its raw units.
pub fn usage_of(known: &Known, period: Period, step: &Step) -> Result<Usage> {
    let rows = known.usage.rows.between(period.start, period.end, known.usage.metering);
    let rows = rows.filter(|(row, region, sku)| {
        (step.first_day..=step.last_day).contains(&row.day)
            && row.appid == step.appid
            && *region == step.region
            && *sku == step.sku
    });
    let meter = step.card.meters.iter().find(|meter| meter.name == step.price.meter);
    let (base_unit, measured) = match meter.map(|meter| &meter.quantity) {
        Some(Measures::Duration) => ("ms", "ms"),
        Some(Measures::Parameter(name)) => ("count", name.as_str()),
        Some(Measures::Count) | None => ("count", "records"),
    };
    let (name, from) = (&step.card.name, step.card.from.to_string());
    let card = known.cards.iter().find(|card| card.name == *name && card.from == from);
    Ok(Usage {
        first_day: step.first_day,
        last_day: step.last_day,
        records: step.records,
        raw_units: rows.map(|(row, ..)| row.raw).sum(),
        billable_units: step.billable,
        base_unit,
        measured: measured.to_owned(),
        base_units_per_unit: step.price.unit.base_units,
        quantity: shown(step.quantity),
        counter_before: shown(step.position),
        card: card
            .cloned()
            .ok_or_else(|| Error::Unbalanced(format!("rate card {name} of {from} is not in the ledger")))?,
        agreed_price: step.agreed,
    })
}

/// From records to the quantity.
pub fn usage_steps(usage: &Usage, unit: &str) -> Vec<String> {
    let days = if usage.first_day == usage.last_day {
        format!("on {}", usage.first_day)
    } else {
        format!("from {} to {}", usage.first_day, usage.last_day)
    };
    let (measured, billable) = (&usage.measured, grouped(usage.billable_units));
    vec![
        format!(
            "{} {days}: {} {measured} reported; {billable} billable",
            counted(usage.records, "record"),
            grouped(usage.raw_units)
        ),
        format!(
            "{billable} {measured} / {} = {} {unit} (rounded once, half up, to 6 decimals)",
            grouped(i64::try_from(usage.base_units_per_unit).unwrap_or(i64::MAX)),
            usage.quantity
        ),
    ]
}

/// How the tiers cut the quantity; the line's own slice is marked.
pub fn tier_steps(step: &Step, own: u32) -> Vec<String> {
    let Model::Graduated { tiers } = &step.price.model else {
        return Vec::new();
    };
    if step.agreed {
        return Vec::new();
    }
    let mut sentences = vec![format!("tier counter before this usage: {}", shown(step.position))];
    for slice in &step.slices {
        let at = slice.index as usize;
        let from = tiers.get(at).map_or(Decimal::ZERO, |tier| tier.from);
        let to = tiers
            .get(at + 1)
            .map_or_else(|| "...".to_owned(), |next| plain(next.from, 0));
        let mark = if slice.index == own { ", this line" } else { "" };
        let quantity = shown(slice.quantity);
        let price = plain(slice.unit_price, 0);
        sentences.push(format!("tier [{}, {to}): {quantity} at {price}{mark}", plain(from, 0)));
    }
    sentences
}

/// From the quantity to the amount.
pub fn price_steps(usage: &Usage, unit: &str, currency: Currency, priced: Priced) -> Result<Vec<String>> {
    let Card {
        name,
        from,
        revision,
        digest,
    } = &usage.card;
    let agreed = if usage.agreed_price {
        "negotiated, instead of "
    } else {
        ""
    };
    Ok(vec![
        format!(
            "price {} {currency} per {unit}: {agreed}card {name} of {from}, revision {revision}, digest {digest}",
            plain(priced.unit_price, 0)
        ),
        amount_step(currency, priced)?,
    ])
}

/// The product, and its one rounding.
pub fn amount_step(currency: Currency, priced: Priced) -> Result<String> {
    let amount = line_amount(priced.quantity, priced.unit_price, priced.discount_percent)
        .map_err(|e| Error::Unbalanced(e.to_string()))?;
    Ok(format!(
        "{} x {} x (1 - {} / 100) = {} {currency} (rounded once, half up, to 10 decimals)",
        plain(priced.quantity, QUANTITY_DECIMALS),
        plain(priced.unit_price, 0),
        plain(priced.discount_percent, 0),
        plain(amount, AMOUNT_DECIMALS)
    ))
}

/// The rounding line.
pub fn rounding(statement: &Statement) -> Vec<String> {
    let text = |amount| plain(amount, AMOUNT_DECIMALS);
    vec![format!(
        "usage {} + adjustments {}, rounded half up to {} decimals of {} is {}; the difference is {}",
        text(statement.usage_amount),
        text(statement.adjustment_amount),
        statement.currency.minor_units(),
        statement.currency,
        statement.total_text(),
        text(statement.rounding)
    )]
}

/// A quantity with its 6 decimals.
pub fn shown(quantity: Quantity) -> String {
    quantity.to_decimal().map_or_else(
        || "more than a decimal holds".to_owned(),
        |value| plain(value, QUANTITY_DECIMALS),
    )
}
