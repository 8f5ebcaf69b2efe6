//! The arithmetic of an adjustment: what should be, minus all that was billed.

use rust_decimal::Decimal;

use super::arithmetic::{
    amount_step, check_amount, drift, model_steps, price_steps, shown, usage_of, usage_steps, with_step,
};
use super::{Explained, Known};
use crate::pipeline::close::statement::document::{Line, Priced};
use crate::support::error::{Error, Result};
use crate::support::table::counted;
use crate::values::calendar::Period;
use crate::values::money::{QUANTITY_DECIMALS, plain, sum};

/// A line that billed the same before.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Billed {
    pub statement_id: String,
    pub line_no: u32,
    pub kind: &'static str,
    pub quantity: String,
    /// Packages, where they were priced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<i64>,
}

/// ` in 3 packages`.
fn in_packages(packages: Option<i64>) -> String {
    packages.map_or_else(String::new, |packages| format!(" in {}", counted(packages, "package")))
}

pub fn explain(known: &Known, line: &Line, period: Period, explained: &mut Explained) -> Result<()> {
    let priced = line.priced.ok_or_else(|| drift(known, line))?;
    let (billed, was) = billed_before(known, line, priced)?;
    let should_be = with_step(known, line, period, |step| {
        let Some(step) = step else {
            explained
                .steps
                .push("no usage remains: nothing should be billed".to_owned());
            return Ok((Decimal::ZERO, 0));
        };
        let usage = usage_of(known, period, step)?;
        explained.steps = usage_steps(&usage, &line.unit);
        explained.steps.extend(model_steps(step, line));
        let slice = step.slices.iter().find(|slice| {
            (slice.kind, slice.index, slice.unit_price) == (line.usage_kind(), line.slice, priced.unit_price)
                && slice.packages.is_some() == priced.packages.is_some()
                && step.price.multiplier == line.multiplier
        });
        explained.steps.push(match slice {
            Some(slice) => format!(
                "correct quantity: {} {}{}",
                shown(slice.quantity),
                line.unit,
                in_packages(slice.packages)
            ),
            None => format!("no quantity should be billed at {}", plain(priced.unit_price, 0)),
        });
        if slice.is_some() {
            let price = price_steps(&usage, &line.unit, known.statement.currency, priced)?;
            explained.steps.extend(price.into_iter().take(1));
        }
        explained.usage = Some(usage);
        let quantity = slice.map_or(Some(Decimal::ZERO), |slice| slice.quantity.to_decimal());
        let packages = slice.and_then(|slice| slice.packages).unwrap_or(0);
        Ok((quantity.ok_or_else(|| drift(known, line))?, packages))
    })?;
    let difference = sum([should_be.0, -was.0]).map_err(|e| Error::Unbalanced(e.to_string()))?;
    let packages = should_be.1 - was.1;
    if (difference, packages) != (priced.quantity, priced.packages.unwrap_or(0)) {
        return Err(drift(known, line));
    }
    check_amount(known, line, priced)?;
    for billed in &billed {
        explained.steps.push(format!(
            "billed: {} {}{} in line {} of {} ({})",
            billed.quantity,
            line.unit,
            in_packages(billed.packages),
            billed.line_no,
            billed.statement_id,
            billed.kind
        ));
    }
    let text = |value: Decimal| plain(value, QUANTITY_DECIMALS);
    explained.steps.push(format!(
        "{} correct - {} billed = {} {}",
        text(should_be.0),
        text(was.0),
        text(difference),
        line.unit
    ));
    if priced.packages.is_some() {
        explained.steps.push(format!(
            "{} packages correct - {} billed = {packages}",
            should_be.1, was.1
        ));
    }
    explained.steps.push(amount_step(known.statement.currency, priced)?);
    explained.billed = billed;
    Ok(())
}

/// Every line before that billed exactly the same, and the sums of their quantities and packages.
fn billed_before(known: &Known, line: &Line, priced: Priced) -> Result<(Vec<Billed>, (Decimal, i64))> {
    let span_start = line.span_start_in(&known.statement.period);
    let (mut billed, mut quantities) = (Vec::new(), Vec::new());
    let mut add = |name: &str, period: &Period, earlier: &Line| {
        let Some(was) = earlier.priced else { return };
        let is_same = earlier.span_start_in(period) == span_start
            && earlier.appid == line.appid
            && earlier.region == line.region
            && earlier.sku == line.sku
            && (earlier.usage_kind(), earlier.slice) == (line.usage_kind(), line.slice)
            && (was.unit_price, was.discount_percent) == (priced.unit_price, priced.discount_percent)
            && was.packages.is_some() == priced.packages.is_some()
            && earlier.multiplier == line.multiplier;
        if is_same {
            quantities.push(was.quantity);
            billed.push(Billed {
                statement_id: name.to_owned(),
                line_no: earlier.line_no,
                kind: earlier.kind.word(),
                quantity: plain(was.quantity, QUANTITY_DECIMALS),
                packages: was.packages,
            });
        }
    };
    for statement in known.before.statements {
        let lines = statement.read_lines().map_err(|e| Error::Unbalanced(e.to_string()))?;
        for line in &lines {
            add(&statement.statement_id, &statement.period, line);
        }
    }
    for settlement in known.before.settlements {
        let lines = settlement.read_lines()?;
        for line in &lines {
            add(&settlement.name(), &settlement.period, line);
        }
    }
    let was = sum(quantities).map_err(|e| Error::Unbalanced(e.to_string()))?;
    let packages = billed.iter().filter_map(|billed| billed.packages).sum();
    Ok((billed, (was, packages)))
}
