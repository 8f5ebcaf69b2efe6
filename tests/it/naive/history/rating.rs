//! Usage to lines: what each period of an account should be.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::correction::price_of;
use crate::naive::arithmetic::quantity;
use crate::naive::calendar::{Period, Terms};
use crate::naive::card::{Measured, SoldSku, Version};
use crate::naive::identity::Judged;
use crate::naive::{Counters, LineKey, slices, sums};

/// What was metered for an account: day, app and measure of each record.
pub type UsageByPeriod<'a> = BTreeMap<Period, Vec<(NaiveDate, u64, &'a Measured)>>;

/// What records are billed for together, in the order of adjustments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The period of the usage.
    pub period: Period,
    /// The first day of the span.
    pub span_start: NaiveDate,
    /// The application.
    pub appid: u64,
    /// The region.
    pub region: String,
    /// The SKU.
    pub sku: &'static str,
}

/// A line, billed or to be billed. All but records and quantity is its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is for.
    pub group: Group,
    /// The number of its tier, from 0 on.
    pub slice: usize,
    /// In millionths.
    pub price: i128,
    /// In hundredths of a percent.
    pub discount: i128,
    /// Records; an adjustment may take them back.
    pub records: i128,
    /// In millionths of a unit; an adjustment may take it back.
    pub quantity: i128,
}

impl Group {
    /// The version of the card in its span.
    pub fn version(&self) -> Version {
        Version::on(self.span_start)
    }

    /// What is sold.
    pub fn sold(&self) -> &'static SoldSku {
        self.version().sold(self.sku)
    }
}

impl Line {
    /// Whether both have the same key.
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.group, self.slice, self.price, self.discount) == (&other.group, other.slice, other.price, other.discount)
    }
}

/// The metered usage of an account, whose periods begin on some days more.
pub fn usage_by_period<'j>(
    uin: u64,
    terms: Terms,
    breaks: &BTreeSet<NaiveDate>,
    judged: &'j [Judged],
) -> UsageByPeriod<'j> {
    let mut usage = UsageByPeriod::new();
    for record in judged {
        if let (Some((of, day)), Some((appid, measured))) = (record.account_day, record.metered())
            && of == uin
        {
            let period = terms.cycle.period_between(day, breaks);
            usage.entry(period).or_default().push((day, appid, measured));
        }
    }
    usage
}

/// The lines of all periods that end by a day, in order, with counters that run from one to the next.
pub fn rate(terms: Terms, usage: &UsageByPeriod, until: NaiveDate, is_corrected: bool) -> Vec<Line> {
    let mut counters = Counters::default();
    let mut lines = Vec::new();
    for (&period, usage) in usage.iter().take_while(|(period, _)| period.end <= until) {
        counters.begin(terms.cycle, period);
        for (key, (records, billable)) in sums(period, usage) {
            let group = group(period, key);
            let slices = take(&mut counters, &group, quantity(billable, group.sold().unit_size));
            let mut records = i128::from(records);
            for (quantity, slice) in slices {
                lines.push(Line {
                    price: price_of(&group, slice, is_corrected),
                    group: group.clone(),
                    slice,
                    discount: terms.discount,
                    records: std::mem::take(&mut records),
                    quantity,
                });
            }
        }
    }
    lines
}

fn group(period: Period, key: LineKey) -> Group {
    let LineKey {
        span_start,
        appid,
        region,
        sku,
    } = key;
    Group {
        period,
        span_start,
        appid,
        region,
        sku,
    }
}

/// Moves the counter of a group on: quantity and tier of each slice.
fn take(counters: &mut Counters, group: &Group, quantity: i128) -> Vec<(i128, usize)> {
    let sold = group.sold();
    let position = counters.taken.entry(sold.counter_in(&group.region)).or_default();
    // The number of each tier in the place of its price.
    let tiers: Vec<(i128, i128)> = (0..)
        .zip(sold.tiers(&group.region))
        .map(|(tier, &(from, _))| (from, tier))
        .collect();
    let slices = slices(&tiers, *position, quantity);
    *position += quantity;
    let numbered = slices.into_iter();
    numbered
        .map(|(quantity, tier)| (quantity, usize::try_from(tier).expect("few tiers")))
        .collect()
}
