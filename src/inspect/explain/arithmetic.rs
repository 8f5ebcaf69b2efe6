//! The arithmetic of a line: from base units to its amount.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::{Explained, Known};
use crate::catalog::rate_card::{Model, Quantity as Measures};
use crate::pipeline::close::statement::Statement;
use crate::pipeline::close::statement::document::{Line, Priced};
use crate::pipeline::rate::{Kind, Quantity, Step};
use crate::support::error::{Error, Result};
use crate::support::table::{counted, grouped};
use crate::values::calendar::Period;
use crate::values::money::{AMOUNT_DECIMALS, Currency, QUANTITY_DECIMALS, plain};

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
    /// What the usage was multiplied by; none without a multiplier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<String>,
    /// The usage before the multiplier; none without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_quantity: Option<String>,
    /// Where the counter stood before it: what was priced, without what was included.
    pub counter_before: String,
    /// Where the counter ended, where the price depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counter_end: Option<String>,
    /// Started packages, where they are priced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<i64>,
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
        let slice = step
            .slices
            .iter()
            .find(|slice| (slice.kind, slice.index) == (line.usage_kind(), line.slice));
        let (Some(slice), Some(priced)) = (slice, line.priced) else {
            return Err(drift(known, line));
        };
        let is_billed = slice.quantity == quantity_of(known, line, priced.quantity)?
            && (slice.unit_price, slice.packages) == (priced.unit_price, priced.packages);
        if !is_billed {
            return Err(drift(known, line));
        }
        let usage = usage_of(known, period, step)?;
        explained.steps = usage_steps(&usage, &line.unit);
        explained.steps.extend(model_steps(step, line));
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
    if priced.amount().as_ref().ok() == Some(&line.amount) {
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
        multiplier: step.price.multiplier.map(|multiplier| plain(multiplier, 0)),
        usage_quantity: step.usage_quantity.map(shown),
        counter_before: shown(step.position),
        counter_end: step.end.map(shown),
        packages: step.packages.map(|packages| packages.started),
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
            "{billable} {measured} / {}{} = {} {unit} (rounded once, half up, to 6 decimals)",
            grouped(i64::try_from(usage.base_units_per_unit).unwrap_or(i64::MAX)),
            usage
                .multiplier
                .as_ref()
                .map_or_else(String::new, |multiplier| format!(" x {multiplier}")),
            usage.quantity
        ),
    ]
}

/// How the price's model cuts the quantity; the line's own part is marked.
pub fn model_steps(step: &Step, line: &Line) -> Vec<String> {
    let mut sentences = Vec::new();
    if let (Some(usage), Some(multiplier)) = (step.usage_quantity, step.price.multiplier) {
        sentences.push(format!(
            "{} {} of usage, with multiplier {}",
            shown(usage),
            line.unit,
            plain(multiplier, 0)
        ));
    }
    let included = step.slices.iter().find(|slice| slice.kind == Kind::Included);
    if let (Some(slice), Some(all)) = (included, step.price.included) {
        let mark = if line.usage_kind() == Kind::Included {
            ", this line"
        } else {
            ""
        };
        sentences.push(format!(
            "included: {} of the counter's {} {}{mark}",
            shown(slice.quantity),
            plain(all, 0),
            line.unit
        ));
    }
    sentences.extend(package_steps(step));
    sentences.extend(tier_steps(step, line));
    sentences
}

/// How packages are counted.
fn package_steps(step: &Step) -> Vec<String> {
    let Some(packages) = step.packages else {
        return Vec::new();
    };
    let text = |units: i128| i64::try_from(units).map_or_else(|_| units.to_string(), grouped);
    let size = i64::try_from(packages.size).map_or_else(|_| packages.size.to_string(), grouped);
    let started = counted(packages.started, "package");
    if let Some(days) = packages.days {
        let days = counted(i64::try_from(days).unwrap_or(i64::MAX), "day");
        return vec![format!(
            "{} base units on {days}, in packages of {size} that start anew each day: {started}",
            text(packages.base_units)
        )];
    }
    vec![format!(
        "package counter from {} to {} base units, in packages of {size}: {started} started",
        text(packages.before),
        text(packages.before + packages.base_units)
    )]
}

/// How the tiers cut the quantity; the line's own slice is marked.
fn tier_steps(step: &Step, line: &Line) -> Vec<String> {
    let (Model::Graduated { tiers } | Model::Volume { tiers }) = &step.price.model else {
        return Vec::new();
    };
    if step.agreed {
        return Vec::new();
    }
    let mut sentences = vec![match step.end {
        Some(end) => format!(
            "volume: the counter ended at {}, and all of it has the price of that slice",
            shown(end)
        ),
        None => format!("tier counter before this usage: {}", shown(step.position)),
    }];
    for slice in step.slices.iter().filter(|slice| slice.kind == Kind::Usage) {
        let at = slice.index as usize;
        let from = tiers.get(at).map_or(Decimal::ZERO, |tier| tier.from);
        let to = tiers
            .get(at + 1)
            .map_or_else(|| "...".to_owned(), |next| plain(next.from, 0));
        let own = (line.usage_kind(), line.slice);
        let mark = if (slice.kind, slice.index) == own {
            ", this line"
        } else {
            ""
        };
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
    let per = if priced.packages.is_some() { "package" } else { unit };
    Ok(vec![
        format!(
            "price {} {currency} per {per}: {agreed}card {name} of {from}, revision {revision}, digest {digest}",
            plain(priced.unit_price, 0)
        ),
        amount_step(currency, priced)?,
    ])
}

/// The product, and its one rounding.
pub fn amount_step(currency: Currency, priced: Priced) -> Result<String> {
    let amount = priced.amount().map_err(|e| Error::Unbalanced(e.to_string()))?;
    let times = match priced.packages {
        Some(packages) => counted(packages, "package"),
        None => plain(priced.quantity, QUANTITY_DECIMALS),
    };
    Ok(format!(
        "{times} x {} x (1 - {} / 100) = {} {currency} (rounded once, half up, to 10 decimals)",
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
