//! Adjustments: what closed periods should have been, minus all that was billed for them. Pure.
//!
//! A line is known by its period, span, app, region, SKU, slice, unit price and discount. Each of these whose quantity is not
//! what was billed is one adjustment line; a changed price so gives a negative line and a positive one. Records stand on
//! the first line of their span, app, region and SKU, as they do in a statement. Running it again adds nothing.

pub mod closed_periods;
pub mod pending;
pub mod settlement;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::statement::document::{Line, Priced};
use crate::pipeline::rate::{Charge, Corrects, Kind};
use crate::support::error::{Error, Result};
use crate::values::calendar::Period;
use crate::values::money::{line_amount, sum};

/// What shares its records: span start, app, region, SKU.
type Group<'a> = (NaiveDate, u64, &'a str, &'a str);

/// What has a quantity of its own within a group: slice, unit price, discount.
type Slice = (u32, Decimal, Decimal);

/// A line of a statement, in the order of billing.
type Named<'a> = (&'a str, u32);

/// Everything that was billed for some periods.
#[derive(Debug, Default)]
pub struct Billed<'a> {
    groups: BTreeMap<Group<'a>, BilledGroup<'a>>,
}

#[derive(Debug, Default)]
struct BilledGroup<'a> {
    records: i64,
    slices: BTreeMap<Slice, BilledSlice<'a>>,
    first_of_slice: BTreeMap<u32, Named<'a>>,
}

#[derive(Debug)]
struct BilledSlice<'a> {
    quantity: Decimal,
    /// The first line of it.
    named: Named<'a>,
    line: &'a Line<'a>,
}

impl<'a> Billed<'a> {
    /// Adds the lines of a statement or settlement, by its name, that bill or adjust usage. They come in the order in which they were made.
    pub fn add(&mut self, name: &'a str, period: &Period, lines: &'a [Line<'a>]) -> Result<()> {
        for line in lines {
            if let (Some(priced), Some(appid)) = (line.priced, line.appid) {
                let span_start = line.span_start_in(period);
                let group = (span_start, appid, &*line.region, &*line.sku);
                let named = (name, line.line_no);
                self.groups.entry(group).or_default().add(line, priced, named)?;
            }
        }
        Ok(())
    }
}

impl<'a> BilledGroup<'a> {
    fn add(&mut self, line: &'a Line<'a>, priced: Priced, named: Named<'a>) -> Result<()> {
        self.records += line.records.unwrap_or(0);
        self.first_of_slice.entry(line.slice).or_insert(named);
        let slice = (line.slice, priced.unit_price, priced.discount_percent);
        let billed = self.slices.entry(slice).or_insert(BilledSlice {
            quantity: Decimal::ZERO,
            named,
            line,
        });
        billed.quantity = sum([billed.quantity, priced.quantity]).map_err(|e| Error::TooLarge(e.to_string()))?;
        Ok(())
    }
}

/// What a group should be.
#[derive(Debug, Default)]
struct Due<'a, 'c> {
    records: i64,
    slices: BTreeMap<Slice, &'c Charge<'a>>,
}

/// The adjustment lines of one period: `should_be` is what it comes to now. Sorted by span start, app, region, SKU, slice, what
/// is given back before what is charged, then price.
pub fn adjust<'a>(
    uin: u64,
    period: Period,
    should_be: &[Charge<'a>],
    billed: &Billed<'a>,
    note: &'a str,
) -> Result<Vec<Charge<'a>>> {
    let mut due: BTreeMap<Group<'a>, Due<'a, '_>> = BTreeMap::new();
    for charge in should_be {
        let appid = charge.appid.ok_or_else(|| {
            Error::Unbalanced(format!(
                "account {uin} has a charge of SKU `{}` without an app",
                charge.sku
            ))
        })?;
        let group = due
            .entry((charge.span_start, appid, charge.region, charge.sku))
            .or_default();
        group.records += charge.records;
        let slice = (charge.slice, charge.unit_price, charge.discount_percent);
        group.slices.insert(slice, charge);
    }
    let in_period = billed.groups.keys().filter(|group| period.contains(group.0));
    let groups: std::collections::BTreeSet<Group> = due.keys().chain(in_period).copied().collect();
    let (no_due, no_billed) = (Due::default(), BilledGroup::default());
    let mut lines = Vec::new();
    for group in groups {
        let due = due.get(&group).unwrap_or(&no_due);
        let billed = billed.groups.get(&group).unwrap_or(&no_billed);
        adjust_group(uin, group, due, billed, note, &mut lines)?;
    }
    Ok(lines)
}

fn adjust_group<'a>(
    uin: u64,
    group: Group<'a>,
    due: &Due<'a, '_>,
    billed: &BilledGroup<'a>,
    note: &'a str,
    lines: &mut Vec<Charge<'a>>,
) -> Result<()> {
    let slices: std::collections::BTreeSet<Slice> = due.slices.keys().chain(billed.slices.keys()).copied().collect();
    let mut differences: Vec<(Slice, Decimal)> = Vec::new();
    for slice in slices {
        let should_be = due.slices.get(&slice).map_or(Decimal::ZERO, |charge| charge.quantity);
        let was = billed.slices.get(&slice).map_or(Decimal::ZERO, |was| was.quantity);
        let difference = sum([should_be, -was]).map_err(|e| Error::TooLarge(e.to_string()))?;
        if !difference.is_zero() {
            differences.push((slice, difference));
        }
    }
    let mut records = due.records - billed.records;
    if differences.is_empty() && records != 0 {
        let lowest = due.slices.keys().next().or_else(|| billed.slices.keys().next());
        differences.extend(lowest.map(|slice| (*slice, Decimal::ZERO)));
    }
    differences
        .sort_by_key(|&((slice, price, discount), quantity)| (slice, quantity.is_sign_positive(), price, discount));
    for (slice, quantity) in differences {
        let mut line = line_of(group, slice, due, billed);
        line.records = std::mem::take(&mut records);
        line.quantity = quantity;
        line.note = note;
        line.amount = line_amount(quantity, slice.1, slice.2)
            .map_err(|e| Error::TooLarge(format!("account {uin}, SKU `{}`: {e}", group.3)))?;
        lines.push(line);
    }
    Ok(())
}

/// A line like the one that should be, or else like the one that was; still without its quantity.
fn line_of<'a>(group: Group<'a>, slice: Slice, due: &Due<'a, '_>, billed: &BilledGroup<'a>) -> Charge<'a> {
    let (span_start, appid, region, sku) = group;
    let was = billed.slices.get(&slice);
    let named = was
        .map(|was| was.named)
        .or_else(|| billed.first_of_slice.get(&slice.0).copied());
    let (meter, unit, card, card_version) = match (due.slices.get(&slice), was) {
        (Some(charge), _) => (charge.meter, charge.unit, charge.card, charge.card_version),
        (None, Some(BilledSlice { line, .. })) => (
            &*line.meter,
            &*line.unit,
            &*line.card,
            line.card_version.unwrap_or_default(),
        ),
        (None, None) => unreachable!("a difference is of something due or billed"),
    };
    Charge {
        kind: Kind::Adjustment,
        appid: Some(appid),
        region,
        sku,
        meter,
        unit,
        card,
        card_version,
        span_start,
        slice: slice.0,
        records: 0,
        quantity: Decimal::ZERO,
        unit_price: slice.1,
        discount_percent: slice.2,
        amount: Decimal::ZERO,
        corrects: named.map(|(statement_id, line_no)| Corrects { statement_id, line_no }),
        note: "",
    }
}
