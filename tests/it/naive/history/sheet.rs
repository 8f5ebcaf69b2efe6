//! The rows of a statement.

use super::{Account, Billed, HistoryRow, Line, Period, statement_id};
use crate::naive::arithmetic::{amount, fixed, round_to, trimmed};
use crate::naive::card::{CURRENCY, NAME};
use crate::naive::{AMOUNT_DECIMALS, MICRO_DECIMALS, MINOR_DECIMALS, PERCENT_DECIMALS};

/// The total and the rows: usage, then adjustments, then rounding.
pub fn write(account: &Account, period: Period, usage: &[Line], adjustments: &[Line]) -> (String, Vec<HistoryRow>) {
    let mut rows: Vec<HistoryRow> = Vec::new();
    for line in usage {
        let cells = cells("usage", line, None);
        rows.push(row(account, period, rows.len(), cells));
    }
    for line in adjustments {
        let cells = cells("adjustment", line, corrected(line, &account.billed));
        rows.push(row(account, period, rows.len(), cells));
    }
    let sum: i128 = usage.iter().chain(adjustments).map(amount_of).sum();
    let total = round_to(sum, AMOUNT_DECIMALS, MINOR_DECIMALS);
    let rounding = total * 10_i128.pow(AMOUNT_DECIMALS - MINOR_DECIMALS) - sum;
    if rounding != 0 {
        let mut cells: [String; 15] = Default::default();
        "rounding".clone_into(&mut cells[1]);
        cells[12] = fixed(rounding, AMOUNT_DECIMALS);
        rows.push(row(account, period, rows.len(), cells));
    }
    (fixed(total, MINOR_DECIMALS), rows)
}

fn amount_of(line: &Line) -> i128 {
    amount(line.quantity, line.price, line.discount)
}

/// The first line that was ever billed with the key of this one, or for its slice at another price.
fn corrected<'a>(line: &Line, billed: &'a [Billed]) -> Option<&'a Billed> {
    let is_of_slice = |it: &&Billed| it.line.group == line.group && it.line.slice == line.slice;
    let same = billed.iter().find(|it| it.line.is_like(line));
    same.or_else(|| billed.iter().find(is_of_slice))
}

/// From `appid` on, without what all lines of a statement have in common.
fn cells(kind: &str, line: &Line, corrected: Option<&Billed>) -> [String; 15] {
    let (group, sold) = (&line.group, line.group.sold());
    [
        group.appid.to_string(),
        kind.to_owned(),
        NAME.to_owned(),
        group.version().from().to_string(),
        group.region.clone(),
        group.sku.to_owned(),
        sold.meter.to_owned(),
        sold.unit.to_owned(),
        line.records.to_string(),
        fixed(line.quantity, MICRO_DECIMALS),
        trimmed(line.price, MICRO_DECIMALS),
        trimmed(line.discount, PERCENT_DECIMALS),
        fixed(amount_of(line), AMOUNT_DECIMALS),
        corrected.map(|billed| billed.statement.clone()).unwrap_or_default(),
        corrected.map(|billed| billed.line_no.to_string()).unwrap_or_default(),
    ]
}

fn row(account: &Account, period: Period, rows: usize, cells: [String; 15]) -> HistoryRow {
    let [start, end] = [period.start, period.end].map(|day| account.terms.midnight(day).to_rfc3339());
    let [appid, rest @ ..] = cells;
    let before = [
        statement_id(account.uin, period),
        account.uin.to_string(),
        appid,
        start,
        end,
        CURRENCY.to_owned(),
        (rows + 1).to_string(),
    ];
    let mut cells = before.into_iter().chain(rest);
    std::array::from_fn(|_| cells.next().expect("as many cells as columns"))
}
