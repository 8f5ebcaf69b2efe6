//! The arithmetic of an adjustment: what should be, minus all that was billed.

use rust_decimal::Decimal;

use super::arithmetic::{
    amount_step, check_amount, drift, price_steps, shown, tier_steps, usage_of, usage_steps, with_step,
};
use super::{Explained, Known};
use crate::pipeline::close::statement::document::{Line, Priced};
use crate::support::error::{Error, Result};
use crate::values::calendar::Period;
use crate::values::money::{QUANTITY_DECIMALS, plain, sum};

/// A line that billed the same before.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Billed {
    pub statement_id: String,
    pub line_no: u32,
    pub kind: &'static str,
    pub quantity: String,
}

pub fn explain(known: &Known, line: &Line, period: Period, explained: &mut Explained) -> Result<()> {
    let priced = line.priced.ok_or_else(|| drift(known, line))?;
    let (billed, was) = billed_before(known, line, priced)?;
    let should_be = with_step(known, line, period, |step| {
        let Some(step) = step else {
            explained
                .steps
                .push("no usage remains: nothing should be billed".to_owned());
            return Ok(Decimal::ZERO);
        };
        let usage = usage_of(known, period, step)?;
        explained.steps = usage_steps(&usage, &line.unit);
        explained.steps.extend(tier_steps(step, line.slice));
        let slice = step
            .slices
            .iter()
            .find(|slice| slice.index == line.slice && slice.unit_price == priced.unit_price);
        explained.steps.push(match slice {
            Some(slice) => format!("correct quantity: {} {}", shown(slice.quantity), line.unit),
            None => format!("no quantity should be billed at {}", plain(priced.unit_price, 0)),
        });
        if slice.is_some() {
            let price = price_steps(&usage, &line.unit, known.statement.currency, priced)?;
            explained.steps.extend(price.into_iter().take(1));
        }
        explained.usage = Some(usage);
        let quantity = slice.map_or(Some(Decimal::ZERO), |slice| slice.quantity.to_decimal());
        quantity.ok_or_else(|| drift(known, line))
    })?;
    let difference = sum([should_be, -was]).map_err(|e| Error::Unbalanced(e.to_string()))?;
    if difference != priced.quantity {
        return Err(drift(known, line));
    }
    check_amount(known, line, priced)?;
    for billed in &billed {
        explained.steps.push(format!(
            "billed: {} {} in line {} of {} ({})",
            billed.quantity, line.unit, billed.line_no, billed.statement_id, billed.kind
        ));
    }
    let text = |value: Decimal| plain(value, QUANTITY_DECIMALS);
    explained.steps.push(format!(
        "{} correct - {} billed = {} {}",
        text(should_be),
        text(was),
        text(difference),
        line.unit
    ));
    explained.steps.push(amount_step(known.statement.currency, priced)?);
    explained.billed = billed;
    Ok(())
}

/// Every line before that billed exactly the same, and the sum of their quantities.
fn billed_before(known: &Known, line: &Line, priced: Priced) -> Result<(Vec<Billed>, Decimal)> {
    let span_start = line.span_start_in(&known.statement.period);
    let (mut billed, mut quantities) = (Vec::new(), Vec::new());
    let mut add = |name: &str, period: &Period, earlier: &Line| {
        let Some(was) = earlier.priced else { return };
        let is_same = earlier.span_start_in(period) == span_start
            && earlier.appid == line.appid
            && earlier.region == line.region
            && earlier.sku == line.sku
            && earlier.slice == line.slice
            && (was.unit_price, was.discount_percent) == (priced.unit_price, priced.discount_percent);
        if is_same {
            quantities.push(was.quantity);
            billed.push(Billed {
                statement_id: name.to_owned(),
                line_no: earlier.line_no,
                kind: earlier.kind.word(),
                quantity: plain(was.quantity, QUANTITY_DECIMALS),
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
    Ok((billed, was))
}
