//! Adjustments: what closed periods should have been, minus all that was billed for them. Pure.
//!
//! A line is known by its period, span, app, region, SKU, kind, slice, unit price, discount and multiplier, and by whether packages are
//! priced. Each of these whose quantity or packages are not what was billed is one adjustment line; a changed price or multiplier so gives a
//! negative line and a positive one. Records stand on the first line of their span, app, region and SKU, as they do in a statement, and so
//! does the usage before each multiplier on the first line with it. Running it again adds nothing.

pub mod closed_periods;
pub mod pending;
pub mod settlement;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::statement::document::{Line, Priced};
use crate::pipeline::rate::{Charge, Corrects, Kind};
use crate::support::error::{Error, Result};
use crate::values::calendar::Period;
use crate::values::money::{line_amount, sum};

/// What shares its records: span start, app, region, SKU.
type Group<'a> = (NaiveDate, u64, &'a str, &'a str);

/// What has a quantity of its own within a group. Slices are in the order of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    kind: Kind,
    index: u32,
    unit_price: Decimal,
    discount_percent: Decimal,
    multiplier: Option<Decimal>,
    is_of_packages: bool,
}

impl Ord for Slice {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Slice {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Slice {
    /// What is included comes before what is priced.
    fn order(self) -> impl Ord {
        let kind = (self.kind != Kind::Included, self.kind);
        (
            kind,
            self.index,
            self.unit_price,
            self.discount_percent,
            self.multiplier,
            self.is_of_packages,
        )
    }

    fn of_charge(charge: &Charge) -> Self {
        Self {
            kind: charge.kind,
            index: charge.slice,
            unit_price: charge.unit_price,
            discount_percent: charge.discount_percent,
            multiplier: charge.multiplier,
            is_of_packages: charge.packages.is_some(),
        }
    }

    fn of_line(line: &Line, priced: &Priced) -> Self {
        Self {
            kind: line.usage_kind(),
            index: line.slice,
            unit_price: priced.unit_price,
            discount_percent: priced.discount_percent,
            multiplier: line.multiplier,
            is_of_packages: priced.packages.is_some(),
        }
    }
}

/// How much of a slice there is: its quantity, and its packages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Measure {
    quantity: Decimal,
    packages: i64,
}

impl Measure {
    fn plus(self, quantity: Decimal, packages: i64) -> Result<Self> {
        Ok(Self {
            quantity: sum([self.quantity, quantity]).map_err(|e| Error::TooLarge(e.to_string()))?,
            packages: self
                .packages
                .checked_add(packages)
                .ok_or_else(|| Error::TooLarge("the packages of a line do not fit".to_owned()))?,
        })
    }

    fn is_nothing(&self) -> bool {
        self.quantity.is_zero() && self.packages == 0
    }

    /// Whether it is given back.
    fn is_negative(&self) -> bool {
        self.packages < 0 || (self.packages == 0 && self.quantity < Decimal::ZERO)
    }
}

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
    usage: UsageQuantities,
    slices: BTreeMap<Slice, BilledSlice<'a>>,
    first_of_slice: BTreeMap<(Kind, u32), Named<'a>>,
}

#[derive(Debug)]
struct BilledSlice<'a> {
    measure: Measure,
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
        add_usage(&mut self.usage, line.multiplier, line.usage_quantity)?;
        let slice = Slice::of_line(line, &priced);
        self.first_of_slice.entry((slice.kind, slice.index)).or_insert(named);
        let billed = self.slices.entry(slice).or_insert(BilledSlice {
            measure: Measure::default(),
            named,
            line,
        });
        billed.measure = billed.measure.plus(priced.quantity, priced.packages.unwrap_or(0))?;
        Ok(())
    }
}

/// The usage before each multiplier.
type UsageQuantities = BTreeMap<Decimal, Decimal>;

fn add_usage(usage: &mut UsageQuantities, multiplier: Option<Decimal>, more: Option<Decimal>) -> Result<()> {
    if let (Some(multiplier), Some(more)) = (multiplier, more) {
        let so_far = usage.entry(multiplier).or_default();
        *so_far = sum([*so_far, more]).map_err(|e| Error::TooLarge(e.to_string()))?;
    }
    Ok(())
}

/// What a group should be.
#[derive(Debug, Default)]
struct Due<'a, 'c> {
    records: i64,
    usage: UsageQuantities,
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
        add_usage(&mut group.usage, charge.multiplier, charge.usage_quantity)?;
        group.slices.insert(Slice::of_charge(charge), charge);
    }
    let in_period = billed.groups.keys().filter(|group| period.contains(group.0));
    let groups: BTreeSet<Group> = due.keys().chain(in_period).copied().collect();
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
    let slices: BTreeSet<Slice> = due.slices.keys().chain(billed.slices.keys()).copied().collect();
    let mut differences: BTreeMap<Slice, Measure> = BTreeMap::new();
    for slice in slices {
        let was = billed
            .slices
            .get(&slice)
            .map_or_else(Measure::default, |was| was.measure);
        let given_back = Measure::default().plus(-was.quantity, -was.packages)?;
        let difference = match due.slices.get(&slice) {
            Some(charge) => given_back.plus(charge.quantity, charge.packages.unwrap_or(0))?,
            None => given_back,
        };
        if !difference.is_nothing() {
            differences.insert(slice, difference);
        }
    }
    let mut records = due.records - billed.records;
    let mut usage = due.usage.clone();
    for (multiplier, was) in &billed.usage {
        add_usage(&mut usage, Some(*multiplier), Some(-was))?;
    }
    add_carriers(due, billed, (records, &usage), &mut differences);
    let mut differences: Vec<(Slice, Measure)> = differences.into_iter().collect();
    differences.sort_by_key(|&(slice, difference)| {
        let place = (slice.kind != Kind::Included, slice.index);
        (place, !difference.is_negative(), slice)
    });
    for (slice, difference) in differences {
        let mut line = line_of(group, slice, due, billed);
        line.records = std::mem::take(&mut records);
        line.usage_quantity = slice.multiplier.and_then(|multiplier| usage.remove(&multiplier));
        line.quantity = difference.quantity;
        line.packages = slice.is_of_packages.then_some(difference.packages);
        line.note = note;
        let priced = line.packages.map_or(line.quantity, Decimal::from);
        line.amount = line_amount(priced, slice.unit_price, slice.discount_percent)
            .map_err(|e| Error::TooLarge(format!("account {uin}, SKU `{}`: {e}", group.3)))?;
        lines.push(line);
    }
    Ok(())
}

/// Lines without a quantity for records, and for usage before a multiplier, that no other line carries: on the first slice that should be,
/// or else that was billed.
fn add_carriers(
    due: &Due,
    billed: &BilledGroup,
    (records, usage): (i64, &UsageQuantities),
    differences: &mut BTreeMap<Slice, Measure>,
) {
    let first = |wanted: &dyn Fn(&Slice) -> bool| {
        let is_due = due.slices.keys().find(|slice| wanted(slice));
        is_due
            .or_else(|| billed.slices.keys().find(|slice| wanted(slice)))
            .copied()
    };
    for (multiplier, usage) in usage {
        let has_it = |slice: &Slice| slice.multiplier == Some(*multiplier);
        if !usage.is_zero() && !differences.keys().any(has_it) {
            differences.extend(first(&has_it).map(|slice| (slice, Measure::default())));
        }
    }
    if records != 0 && differences.is_empty() {
        differences.extend(first(&|_| true).map(|slice| (slice, Measure::default())));
    }
}

/// A line like the one that should be, or else like the one that was; still without its quantity.
fn line_of<'a>(group: Group<'a>, slice: Slice, due: &Due<'a, '_>, billed: &BilledGroup<'a>) -> Charge<'a> {
    let (span_start, appid, region, sku) = group;
    let was = billed.slices.get(&slice);
    let named = was
        .map(|was| was.named)
        .or_else(|| billed.first_of_slice.get(&(slice.kind, slice.index)).copied());
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
        slice: slice.index,
        records: 0,
        quantity: Decimal::ZERO,
        unit_price: slice.unit_price,
        discount_percent: slice.discount_percent,
        packages: None,
        multiplier: slice.multiplier,
        usage_quantity: None,
        amount: Decimal::ZERO,
        corrects: named.map(|(statement_id, line_no)| Corrects { statement_id, line_no }),
        corrects_kind: Some(slice.kind).filter(|kind| *kind != Kind::Usage),
        note: "",
    }
}
