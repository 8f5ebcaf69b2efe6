//! The naive model: what statements and control totals must be, in plain Rust over a list of records.
//!
//! It is written from the billing rules and shares nothing with the program: own types, own arithmetic, own
//! calendar, and the test card written down by hand. It keeps everything in memory and sorts where a `BTreeMap`
//! sorts. Every record is taken to be well-formed; there are no overrides and no packs. Here everything is metered
//! before the first close; [`history`] has nights in a row and adjustments.
//!
//! Where the rules are silent:
//! - the records of a line that tiers split stand on its first slice, and are 0 on the others;
//! - a line whose quantity is 0 is a line, in the tier where its counter stands;
//! - raw units are counted as the record's own meter counts them, whatever its status; in ms where it has none;
//! - a void of a void is a `void` without effect.

pub mod arithmetic;

pub mod calendar;

pub mod card;

pub mod history;

pub mod identity;

pub mod models;

pub mod record;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, NaiveDate, Utc};

use arithmetic::{amount, fixed, quantity, round_to, trimmed};
use calendar::{Cycle, Period, Terms};
use card::{Counter, GRACE_DAYS, Measured, SoldSku, Version};
use identity::{Judged, Status, judge};
use record::Batch;

/// Decimals of a line amount.
const AMOUNT_DECIMALS: u32 = 10;

/// Decimals of a quantity and of a price.
const MICRO_DECIMALS: u32 = 6;

/// Decimals of a percent discount.
const PERCENT_DECIMALS: u32 = 2;

/// Minor units of the card's currency, CNY.
const MINOR_DECIMALS: u32 = 2;

/// The columns of `statement_lines.csv` that the model predicts, as [`Row::cells`] gives them.
pub const COLUMNS: [&str; 18] = [
    "uin",
    "appid",
    "period_start",
    "period_end",
    "currency",
    "line_no",
    "kind",
    "card",
    "card_version",
    "region",
    "sku",
    "meter",
    "unit",
    "records",
    "quantity",
    "unit_price",
    "discount_percent",
    "amount",
];

/// All that statements depend on.
#[derive(Debug, Clone)]
pub struct World {
    /// Accounts that were added with terms of their own, by UIN; others appear by themselves.
    pub accounts: BTreeMap<u64, Terms>,
    /// In the order in which they were committed.
    pub batches: Vec<Batch>,
    /// When all due periods are closed.
    pub clock: DateTime<Utc>,
}

/// What must come of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// By account (number) and period.
    pub statements: Vec<Statement>,
    /// By status, all records.
    pub totals: Totals,
    /// The same for each batch, in order.
    pub totals_of_batches: Vec<Totals>,
    /// The same for each account and period, closed or not. Voids have no account.
    pub totals_of_periods: BTreeMap<(u64, Period), Totals>,
}

/// Records and raw base units by status; a status without records is left out.
pub type Totals = BTreeMap<Status, Total>;

/// Records and their raw base units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// Records.
    pub records: u64,
    /// Milliseconds, of what is measured by duration or not at all.
    pub raw_ms: u128,
    /// Counts, of what is measured by count or by a parameter.
    pub raw_count: u128,
}

/// A closed period with at least one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The account.
    pub uin: u64,
    /// Dates in the account's zone.
    pub period: Period,
    /// 10 decimals.
    pub usage_amount: String,
    /// 10 decimals.
    pub rounding: String,
    /// 2 decimals.
    pub total: String,
    /// With the rounding line, if there is one.
    pub rows: Vec<Row>,
}

/// A row of `statement_lines.csv`, as far as the model predicts it; see [`COLUMNS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    cells: [String; COLUMNS.len()],
}

impl Row {
    /// The cells in the order of [`COLUMNS`], as the export prints them.
    pub fn cells(&self) -> &[String; COLUMNS.len()] {
        &self.cells
    }
}

impl World {
    /// The terms of an account: its own, or those of an account that appears by itself.
    pub fn terms(&self, uin: u64) -> Terms {
        self.accounts.get(&uin).copied().unwrap_or(card::DEFAULT_TERMS)
    }
}

impl Expected {
    /// All rows of all statements, in the order of the export.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.statements.iter().flat_map(|statement| &statement.rows)
    }
}

/// What must come of a world when everything is metered and then all due periods are closed at its clock.
pub fn expect(world: &World) -> Expected {
    let judged = judge(world);
    let usage_of = |uin| judged.iter().filter(move |record| record.uin() == Some(uin));
    let uins: BTreeSet<u64> = judged.iter().filter_map(Judged::uin).collect();
    let statements = uins
        .iter()
        .flat_map(|&uin| statements(world, uin, usage_of(uin)))
        .collect();
    Expected {
        statements,
        totals: totals(judged.iter()),
        totals_of_batches: (0..world.batches.len())
            .map(|batch| totals(judged.iter().filter(|record| record.batch == batch)))
            .collect(),
        totals_of_periods: totals_of_periods(world, &judged),
    }
}

fn totals<'a>(records: impl Iterator<Item = &'a Judged>) -> Totals {
    let mut totals = Totals::new();
    for record in records {
        let total = totals.entry(record.status).or_default();
        total.records += 1;
        total.raw_ms += u128::from(record.raw_ms);
        total.raw_count += u128::from(record.raw_count);
    }
    totals
}

fn totals_of_periods(world: &World, judged: &[Judged]) -> BTreeMap<(u64, Period), Totals> {
    let mut records: BTreeMap<(u64, Period), Vec<&Judged>> = BTreeMap::new();
    for record in judged {
        if let Some((uin, day)) = record.account_day {
            let period = world.terms(uin).cycle.period_of(day);
            records.entry((uin, period)).or_default().push(record);
        }
    }
    records
        .into_iter()
        .map(|(key, records)| (key, totals(records.into_iter())))
        .collect()
}

/// The statements of one account: its due periods that have lines, in order.
fn statements<'a>(world: &World, uin: u64, records: impl Iterator<Item = &'a Judged>) -> Vec<Statement> {
    let terms = world.terms(uin);
    let mut usage: BTreeMap<Period, Vec<(NaiveDate, u64, &Measured)>> = BTreeMap::new();
    for record in records {
        if let (Some((_, day)), Some((appid, measured))) = (record.account_day, record.metered()) {
            let period = terms.cycle.period_of(day);
            usage.entry(period).or_default().push((day, appid, measured));
        }
    }
    let mut counters = Counters::default();
    usage
        .into_iter()
        .take_while(|(period, _)| terms.due_at(*period, GRACE_DAYS) <= world.clock)
        .map(|(period, usage)| {
            counters.begin(terms.cycle, period);
            statement(uin, terms, period, &usage, &mut counters)
        })
        .collect()
}

/// How far each counter of an account has come, in millionths of a unit.
#[derive(Debug, Default)]
struct Counters {
    began: Option<NaiveDate>,
    taken: BTreeMap<Counter, i128>,
}

impl Counters {
    /// Counters start again with each period, or with each calendar month where periods are days.
    fn begin(&mut self, cycle: Cycle, period: Period) {
        let began = match cycle {
            Cycle::Monthly(_) => Some(period.start),
            Cycle::Daily => period.start.with_day(1),
        };
        if self.began != began {
            self.began = began;
            self.taken.clear();
        }
    }
}

/// What makes a line, in the order of the lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct LineKey {
    span_start: NaiveDate,
    appid: u64,
    region: String,
    sku: &'static str,
}

/// Records and billable base units of each line of a period.
fn sums(period: Period, usage: &[(NaiveDate, u64, &Measured)]) -> BTreeMap<LineKey, (u64, u64)> {
    let mut sums: BTreeMap<LineKey, (u64, u64)> = BTreeMap::new();
    for &(day, appid, measured) in usage {
        let key = LineKey {
            span_start: Version::on(day).from().max(period.start),
            appid,
            region: measured.region.clone(),
            sku: measured.sku,
        };
        let (records, billable) = sums.entry(key).or_default();
        *records += 1;
        *billable += measured.billable;
    }
    sums
}

fn statement(
    uin: u64,
    terms: Terms,
    period: Period,
    usage: &[(NaiveDate, u64, &Measured)],
    counters: &mut Counters,
) -> Statement {
    let mut sheet = Sheet::new(uin, terms, period);
    for (key, (records, billable)) in sums(period, usage) {
        let version = Version::on(key.span_start);
        let sold = version.sold(key.sku);
        let quantity = quantity(billable, sold.unit_size);
        let position = counters.taken.entry(sold.counter_in(&key.region)).or_default();
        let slices = slices(sold.tiers(&key.region), *position, quantity);
        *position += quantity;
        sheet.usage(&key, version, sold, records, &slices);
    }
    sheet.foot()
}

/// Splits a quantity that begins at `position` of its counter by half-open tiers: (quantity, price) of each slice.
fn slices(tiers: &[(i128, i128)], position: i128, quantity: i128) -> Vec<(i128, i128)> {
    let mut slices = Vec::new();
    let (mut at, end) = (position, position + quantity);
    loop {
        let reached = tiers
            .iter()
            .rposition(|&(from, _)| from <= at)
            .expect("tiers start at 0");
        let next = tiers.get(reached + 1).map_or(end, |&(from, _)| from.min(end));
        slices.push((next - at, tiers[reached].1));
        at = next;
        if at == end {
            return slices;
        }
    }
}

/// A statement being written.
struct Sheet {
    uin: u64,
    terms: Terms,
    period: Period,
    amount: i128,
    rows: Vec<Row>,
}

impl Sheet {
    fn new(uin: u64, terms: Terms, period: Period) -> Self {
        let (amount, rows) = (0, Vec::new());
        Self {
            uin,
            terms,
            period,
            amount,
            rows,
        }
    }

    /// Appends the slices of a line, each a row of its own.
    fn usage(&mut self, key: &LineKey, version: Version, sold: &SoldSku, records: u64, slices: &[(i128, i128)]) {
        let discount = self.terms.discount;
        for (at, &(quantity, price)) in slices.iter().enumerate() {
            let amount = amount(quantity, price, discount);
            self.amount += amount;
            self.row([
                key.appid.to_string(),
                "usage".to_owned(),
                card::NAME.to_owned(),
                version.from().to_string(),
                key.region.clone(),
                key.sku.to_owned(),
                sold.meter.to_owned(),
                sold.unit.to_owned(),
                (if at == 0 { records } else { 0 }).to_string(),
                fixed(quantity, MICRO_DECIMALS),
                trimmed(price, MICRO_DECIMALS),
                trimmed(discount, PERCENT_DECIMALS),
                fixed(amount, AMOUNT_DECIMALS),
            ]);
        }
    }

    /// The rounding line, where there is a difference, and the sums.
    fn foot(mut self) -> Statement {
        let usage = self.amount;
        let total = round_to(usage, AMOUNT_DECIMALS, MINOR_DECIMALS);
        let rounding = total * 10_i128.pow(AMOUNT_DECIMALS - MINOR_DECIMALS) - usage;
        if rounding != 0 {
            let mut cells: [String; 13] = Default::default();
            "rounding".clone_into(&mut cells[1]);
            cells[12] = fixed(rounding, AMOUNT_DECIMALS);
            self.row(cells);
        }
        Statement {
            uin: self.uin,
            period: self.period,
            usage_amount: fixed(usage, AMOUNT_DECIMALS),
            rounding: fixed(rounding, AMOUNT_DECIMALS),
            total: fixed(total, MINOR_DECIMALS),
            rows: self.rows,
        }
    }

    fn row(&mut self, cells: [String; 13]) {
        let [appid, kind, rest @ ..] = cells;
        let [
            card,
            version,
            region,
            sku,
            meter,
            unit,
            records,
            quantity,
            price,
            discount,
            amount,
        ] = rest;
        let line_no = (self.rows.len() + 1).to_string();
        let [start, end] = [self.period.start, self.period.end].map(|day| self.terms.midnight(day).to_rfc3339());
        let (uin, currency) = (self.uin.to_string(), card::CURRENCY.to_owned());
        self.rows.push(Row {
            cells: [
                uin, appid, start, end, currency, line_no, kind, card, version, region, sku, meter, unit, records,
                quantity, price, discount, amount,
            ],
        });
    }
}
