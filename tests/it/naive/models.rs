//! Every model of a price, on cards that are drawn at random: what a period must cost, from the rules alone.
//!
//! No counter is kept: where a line's counter stands is added up from all lines before it, each time anew. One region group, so that a
//! counter without a name is its SKU's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{Datelike, NaiveDate};

use super::arithmetic::{divide_half_up, fixed, quantity, trimmed};

/// Millionths in one.
const MICRO: i128 = 1_000_000;

/// Base units (ms) of the pricing unit.
pub const MINUTE: u64 = 60_000;

/// Decimals of a price.
const PRICE_DECIMALS: u32 = 12;

/// Hundredths of a percent in one whole.
const WHOLE: i128 = 10_000;

/// A version of a card.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its first day.
    pub from: NaiveDate,
    /// What it sells.
    pub sold: Vec<Sold>,
}

/// A SKU with its price.
#[derive(Debug, Clone)]
pub struct Sold {
    /// The SKU.
    pub sku: &'static str,
    /// The counter that it shares.
    pub counter: Option<&'static str>,
    /// What costs nothing, in millionths of a minute; 0 is nothing.
    pub included: i128,
    /// In ten-thousandths.
    pub multiplier: Option<i128>,
    /// How the rest is priced.
    pub model: Model,
}

/// How a quantity is priced. Prices are in units of 10^-12, bounds in millionths.
#[derive(Debug, Clone)]
pub enum Model {
    Unit(i128),
    Graduated(Vec<(i128, i128)>),
    Volume(Vec<(i128, i128)>),
    Package { size: u64, price: i128, per: Per },
}

/// When packages start anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    Period,
    Day,
    Month,
}

/// How an account is billed, and when.
#[derive(Debug, Clone, Copy)]
pub struct Billing {
    /// Whether each day is a period; else November is.
    pub is_daily: bool,
    /// The first day of the period.
    pub start: NaiveDate,
    /// In hundredths of a percent.
    pub discount: i128,
}

/// Usage of a day, of one record.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    pub appid: u64,
    pub region: &'static str,
    pub sku: &'static str,
    pub day: NaiveDate,
    pub billable: u64,
}

/// A line, and what it took of its counter.
#[derive(Debug, Clone)]
struct Line {
    version: usize,
    key: (NaiveDate, u64, &'static str, &'static str),
    is_earlier: bool,
    records: u64,
    days: BTreeMap<NaiveDate, u64>,
    included: i128,
    priced: i128,
    included_base: u64,
    priced_base: u64,
    included_of_days: BTreeMap<NaiveDate, u64>,
    started: i128,
    had_some_left: bool,
}

impl Line {
    fn base(&self) -> u64 {
        self.days.values().sum()
    }
}

/// The version of a day.
fn version_on(versions: &[Version], day: NaiveDate) -> usize {
    versions
        .iter()
        .rposition(|version| version.from <= day)
        .expect("a version is in force")
}

impl Version {
    fn sold(&self, sku: &str) -> Option<&Sold> {
        self.sold.iter().find(|sold| sold.sku == sku)
    }

    /// The counter in which it would put a SKU.
    fn counter(&self, sku: &'static str) -> Option<&'static str> {
        self.sold(sku).map(|sold| sold.counter.unwrap_or(sold.sku))
    }

    /// The card as a file.
    pub fn toml(&self) -> String {
        let all = ["A", "B", "C", "D"];
        let not_sold: Vec<String> = all
            .iter()
            .filter(|sku| self.sold(sku).is_none())
            .map(|sku| format!("\"{sku}\""))
            .collect();
        let mut text = format!(
            "card = \"drawn\"\nfrom = {}\ncurrency = \"CNY\"\nzone = \"UTC\"\ndefault_region = \"r1\"\n[regions]\nall = [\"*\"]\n[[meter]]\n\
             name = \"video\"\ntask_type = \"Video\"\nsku = \"{{type}}\"\nquantity = \"duration\"\nunit = \"minute\"\nnot_sold = [{}]\n\
             dimensions.type = [\"A\", \"B\", \"C\", \"D\"]\n[prices]\n",
            self.from,
            not_sold.join(", ")
        );
        if not_sold.is_empty() {
            text = text.replace("not_sold = []\n", "");
        }
        for sold in &self.sold {
            let mut keys = vec![sold.model.toml(), "origin = \"illustrative\"".to_owned()];
            keys.extend(sold.counter.map(|counter| format!("counter = \"{counter}\"")));
            keys.extend((sold.included != 0).then(|| format!("included = \"{}\"", fixed(sold.included, 6))));
            keys.extend(
                sold.multiplier
                    .map(|multiplier| format!("multiplier = \"{}\"", fixed(multiplier, 4))),
            );
            let _ = writeln!(text, "{} = {{ {} }}", sold.sku, keys.join(", "));
        }
        text
    }
}

impl Model {
    fn toml(&self) -> String {
        let price = |price: i128| fixed(price, PRICE_DECIMALS);
        let listed = |tiers: &[(i128, i128)]| {
            let tier = |(at, (from, of)): (usize, &(i128, i128))| {
                let to = tiers
                    .get(at + 1)
                    .map_or_else(String::new, |(to, _)| format!("to = \"{}\", ", fixed(*to, 6)));
                format!(
                    "{{ from = \"{}\", {to}unit_price = \"{}\" }}",
                    fixed(*from, 6),
                    price(*of)
                )
            };
            tiers.iter().enumerate().map(tier).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Unit(of) => format!("unit_price = \"{}\"", price(*of)),
            Self::Graduated(tiers) => format!("tiers = [{}]", listed(tiers)),
            Self::Volume(tiers) => format!("model = \"volume\", tiers = [{}]", listed(tiers)),
            Self::Package { size, price: of, per } => {
                let per = match per {
                    Per::Period => "",
                    Per::Day => ", per = \"day\"",
                    Per::Month => ", per = \"month\"",
                };
                format!("package = \"{size}ms\", unit_price = \"{}\"{per}", price(*of))
            }
        }
    }
}

/// The lines of a period, one text each, in order.
pub fn rate(versions: &[Version], billing: Billing, used: &[Used]) -> Vec<String> {
    let mut lines = lines_of(versions, billing, used);
    for at in 0..lines.len() {
        take(versions, billing, &mut lines, at);
    }
    let own = (0..lines.len()).filter(|at| !lines[*at].is_earlier);
    own.flat_map(|at| price(versions, billing, &lines, at)).collect()
}

/// Earlier days of the month of a daily account are lines too, each day by itself; so are those of the period.
fn lines_of(versions: &[Version], billing: Billing, used: &[Used]) -> Vec<Line> {
    let mut lines: BTreeMap<(NaiveDate, u64, &str, &str), Line> = BTreeMap::new();
    for row in used {
        let is_in = if billing.is_daily {
            row.day <= billing.start && row.day.month() == billing.start.month()
        } else {
            row.day.month() == billing.start.month()
        };
        if !is_in {
            continue;
        }
        let version = version_on(versions, row.day);
        let span = if billing.is_daily {
            row.day
        } else {
            versions[version].from.max(billing.start)
        };
        let key = (span, row.appid, row.region, row.sku);
        let line = lines.entry(key).or_insert_with(|| Line {
            version,
            key,
            is_earlier: row.day < billing.start,
            records: 0,
            days: BTreeMap::new(),
            included: 0,
            priced: 0,
            included_base: 0,
            priced_base: 0,
            included_of_days: BTreeMap::new(),
            started: 0,
            had_some_left: false,
        });
        line.records += 1;
        *line.days.entry(row.day).or_default() += row.billable;
    }
    let is_sold = |line: &Line| versions[line.version].sold(line.key.3).is_some();
    lines.into_values().filter(is_sold).collect()
}

/// The lines before a line that move its counter.
fn before<'l>(versions: &'l [Version], lines: &'l [Line], at: usize) -> impl Iterator<Item = &'l Line> {
    let version = &versions[lines[at].version];
    let own = version.counter(lines[at].key.3);
    lines[..at]
        .iter()
        .filter(move |line| version.counter(line.key.3) == own)
}

/// Parts what is included of a line, and counts its packages.
fn take(versions: &[Version], billing: Billing, lines: &mut [Line], at: usize) {
    let line = &lines[at];
    let sold = versions[line.version].sold(line.key.3).expect("it is sold");
    let whole = line_quantity(line.base(), sold);
    let mut new = line.clone();
    if let Model::Package { size, per, .. } = sold.model {
        let is_of_a_day = per == Per::Day || (per == Per::Period && billing.is_daily);
        let all = u64::try_from(divide_half_up(sold.included * i128::from(MINUTE), MICRO)).expect("small");
        let days: Vec<Option<NaiveDate>> = if is_of_a_day {
            line.days.keys().copied().map(Some).collect()
        } else {
            vec![None]
        };
        for day in days {
            let (mut taken, mut stands) = (0, 0);
            for other in before(versions, lines, at) {
                if let Some(day) = day {
                    let included = other.included_of_days.get(&day).copied().unwrap_or(0);
                    taken += included;
                    stands += other.days.get(&day).copied().unwrap_or(0) - included;
                } else {
                    taken += other.included_base;
                    stands += other.priced_base;
                }
            }
            let base = day.map_or_else(|| line.base(), |day| line.days[&day]);
            let left = all.saturating_sub(taken);
            let included = base.min(left);
            new.had_some_left |= 0 < left;
            new.included_base += included;
            if let Some(day) = day {
                new.included_of_days.insert(day, included);
            }
            let up = |units: u64| i128::from(units.div_ceil(size));
            new.started += up(stands + base - included) - up(stands);
        }
        new.priced_base = new.base() - new.included_base;
        new.included = if new.priced_base == 0 && new.included_base != 0 {
            whole
        } else {
            quantity(new.included_base, MINUTE)
        };
    } else {
        let taken: i128 = before(versions, lines, at).map(|other| other.included).sum();
        let left = (sold.included - taken).max(0);
        new.had_some_left = 0 < left;
        new.included = whole.min(left);
        new.included_base = if new.included == whole {
            if new.had_some_left { new.base() } else { 0 }
        } else {
            let multiplier = sold.multiplier.unwrap_or(WHOLE);
            let base = divide_half_up(new.included * i128::from(MINUTE) * WHOLE, MICRO * multiplier);
            u64::try_from(base).expect("small").min(new.base())
        };
        new.priced_base = new.base() - new.included_base;
    }
    new.priced = whole - new.included;
    lines[at] = new;
}

fn line_quantity(base: u64, sold: &Sold) -> i128 {
    match sold.multiplier {
        None => quantity(base, MINUTE),
        Some(multiplier) => divide_half_up(i128::from(base) * multiplier * MICRO, i128::from(MINUTE) * WHOLE),
    }
}

/// The rows of a line: what is included, then the rest by its model.
fn price(versions: &[Version], billing: Billing, lines: &[Line], at: usize) -> Vec<String> {
    let line = &lines[at];
    let sold = versions[line.version].sold(line.key.3).expect("it is sold");
    let mut rows = Rows {
        line,
        discount: billing.discount,
        multiplier: sold.multiplier,
        rows: Vec::new(),
    };
    let is_package = matches!(sold.model, Model::Package { .. });
    let (included, priced) = if is_package {
        (i128::from(line.included_base), i128::from(line.priced_base))
    } else {
        (line.included, line.priced)
    };
    let has_included = 0 < included || (line.had_some_left && priced == 0);
    if has_included {
        rows.add("included", 0, line.included, None, 0);
    }
    if 0 < priced || !has_included {
        price_rest(versions, lines, at, &sold.model, &mut rows);
    }
    rows.rows
}

fn price_rest(versions: &[Version], lines: &[Line], at: usize, model: &Model, rows: &mut Rows) {
    let line = &lines[at];
    match model {
        Model::Unit(price) => rows.add("usage", 0, line.priced, None, *price),
        Model::Package { price, .. } => rows.add("usage", 0, line.priced, Some(line.started), *price),
        Model::Volume(tiers) => {
            let version = &versions[line.version];
            let own = version.counter(line.key.3);
            // A SKU that this version does not sell counts where its own version puts it.
            let counter = |line: &Line| {
                let sku = line.key.3;
                version.counter(sku).or_else(|| versions[line.version].counter(sku))
            };
            let end: i128 = lines
                .iter()
                .filter(|line| counter(line) == own)
                .map(|line| line.priced)
                .sum();
            let tier = tiers
                .iter()
                .rposition(|(from, _)| *from <= end)
                .expect("tiers start at 0");
            rows.add("usage", tier, line.priced, None, tiers[tier].1);
        }
        Model::Graduated(tiers) => {
            let mut position: i128 = before(versions, lines, at).map(|line| line.priced).sum();
            let end = position + line.priced;
            loop {
                let tier = tiers
                    .iter()
                    .rposition(|(from, _)| *from <= position)
                    .expect("tiers start at 0");
                let next = tiers.get(tier + 1).map_or(end, |(from, _)| end.min(*from));
                rows.add("usage", tier, next - position, None, tiers[tier].1);
                position = next;
                if position == end {
                    break;
                }
            }
        }
    }
}

struct Rows<'l> {
    line: &'l Line,
    discount: i128,
    multiplier: Option<i128>,
    rows: Vec<String>,
}

impl Rows<'_> {
    fn add(&mut self, kind: &str, tier: usize, quantity: i128, packages: Option<i128>, price: i128) {
        let is_first = self.rows.is_empty();
        let (span, appid, region, sku) = self.line.key;
        let discount = if kind == "included" { 0 } else { self.discount };
        let times = packages.map_or(quantity, |packages| packages * MICRO);
        // 6, 12 and 4 decimals, rounded once to 10.
        let amount = divide_half_up(times * price * (WHOLE - discount), 10_i128.pow(12));
        let records = if is_first { self.line.records } else { 0 };
        let usage = self
            .multiplier
            .filter(|_| is_first)
            .map(|_| super::arithmetic::quantity(self.line.base(), MINUTE));
        self.rows.push(format!(
            "{span} {appid} {region} {sku} {kind} {tier}: {records} records, {} ({}) in {} x {} = {}",
            fixed(quantity, 6),
            usage.map_or_else(|| "-".to_owned(), |usage| fixed(usage, 6)),
            packages.map_or_else(|| "-".to_owned(), |packages| packages.to_string()),
            trimmed(price, PRICE_DECIMALS),
            fixed(amount, 10)
        ));
    }
}
