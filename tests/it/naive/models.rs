//! Every model of a price, on cards that are drawn at random: what a period must cost, from the rules alone (billing rules, sections 4 and 5).
//!
//! No counter is kept. Each line that was taken leaves what was included of it and what was priced of it, and whoever asks where a counter
//! stands adds up those lines that count on it. Which lines these are is asked anew under the version that asks.

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

/// Ten-thousandths in one: multipliers, and discounts in hundredths of a percent.
const WHOLE: i128 = 10_000;

/// The SKUs of every drawn card.
pub const SKUS: [&str; 4] = ["A", "B", "C", "D"];

/// The region groups of every drawn card.
pub const GROUPS: [&str; 2] = ["one", "two"];

/// A version of a card.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its first day.
    pub from: NaiveDate,
    /// Whether the region `r3` is in group `two`; `r1` is in `one`, `r2` in `two`.
    pub r3_is_in_two: bool,
    /// What it sells.
    pub sold: Vec<Sold>,
}

/// The line of a SKU.
#[derive(Debug, Clone)]
pub struct Sold {
    pub sku: &'static str,
    /// The counter that it names.
    pub counter: Option<&'static str>,
    /// In ten-thousandths.
    pub multiplier: Option<i128>,
    /// Base units of a package, and when packages start anew.
    pub package: Option<(u64, Per)>,
    pub is_volume: bool,
    /// By region group; none where it is not sold.
    pub groups: [Option<Price>; 2],
}

/// A price in a region group.
#[derive(Debug, Clone)]
pub struct Price {
    /// What costs nothing, in millionths of a minute; 0 is nothing.
    pub included: i128,
    pub amounts: Amounts,
}

/// Prices are in units of 10^-12, bounds in millionths.
#[derive(Debug, Clone)]
pub enum Amounts {
    One(i128),
    Tiers(Vec<(i128, i128)>),
}

/// When packages start anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    Period,
    Day,
    Month,
}

/// How an account is billed, and when.
#[derive(Debug, Clone)]
pub struct Billing {
    /// Whether each day is a period; else November is.
    pub is_daily: bool,
    /// The first day of the period.
    pub start: NaiveDate,
    /// In hundredths of a percent.
    pub discount: i128,
    /// Agreed prices: SKU, region group or all others, price.
    pub agreed: Vec<(&'static str, Option<&'static str>, i128)>,
    /// Other terms until a day, which is not one of theirs.
    pub before: Option<(NaiveDate, Before)>,
}

/// The terms before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    OtherCard,
    Monthly,
    /// Daily, under the same card, with a price agreed for this SKU alone.
    Agreed(&'static str),
}

/// Usage of a day, of one record.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    pub appid: u64,
    pub region: &'static str,
    pub sku: &'static str,
    pub day: NaiveDate,
    pub billable: u64,
    /// Whether a void took the record back.
    pub is_voided: bool,
}

/// What counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counter {
    Named(&'static str),
    Of(&'static str, &'static str),
}

/// Span start, app, region, SKU: the order of counters.
type Key = (NaiveDate, u64, &'static str, &'static str);

/// A line of usage that has a price.
#[derive(Debug, Clone)]
struct Line {
    key: Key,
    version: usize,
    records: u64,
    days: BTreeMap<NaiveDate, u64>,
}

/// What was taken of a line, in millionths and in base units; of packages of a day, a part for each day.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    day: Option<NaiveDate>,
    included: i128,
    priced: i128,
    included_base: i128,
    priced_base: i128,
    packages: i128,
    had_some_left: bool,
}

/// A line with what was taken of it.
#[derive(Debug)]
struct Taken {
    line: Line,
    parts: Vec<Part>,
}

impl Taken {
    fn sum(&self, of: impl Fn(&Part) -> i128) -> i128 {
        self.parts.iter().map(of).sum()
    }
}

impl Version {
    fn group(&self, region: &str) -> usize {
        match region {
            "r1" => 0,
            "r2" => 1,
            _ => usize::from(self.r3_is_in_two),
        }
    }

    fn price(&self, sku: &str, region: &str) -> Option<(&Sold, &Price)> {
        let sold = self.sold.iter().find(|sold| sold.sku == sku)?;
        Some((sold, sold.groups[self.group(region)].as_ref()?))
    }
}

/// Rates one period.
struct Rating<'r> {
    versions: &'r [Version],
    billing: &'r Billing,
    taken: Vec<Taken>,
}

/// The lines of a period, one text each, in order.
pub fn rate(versions: &[Version], billing: &Billing, used: &[Used]) -> Vec<String> {
    let mut rating = Rating {
        versions,
        billing,
        taken: Vec::new(),
    };
    for line in lines(versions, billing, used) {
        let parts = rating.take(&line);
        rating.taken.push(Taken { line, parts });
    }
    let own = rating.taken.iter().filter(|taken| !rating.is_earlier(&taken.line));
    own.flat_map(|taken| rating.rows(taken)).collect()
}

/// What has a price, by line, in the order of counters. For a daily cycle each earlier day of the month is a period, and so a span.
fn lines(versions: &[Version], billing: &Billing, used: &[Used]) -> Vec<Line> {
    let mut lines: BTreeMap<Key, Line> = BTreeMap::new();
    let is_counted =
        |day: NaiveDate| day.month() == billing.start.month() && (!billing.is_daily || day <= billing.start);
    for row in used.iter().filter(|row| !row.is_voided && is_counted(row.day)) {
        let version = versions.iter().rposition(|version| version.from <= row.day).unwrap();
        let span = if billing.is_daily {
            row.day
        } else {
            versions[version].from.max(billing.start)
        };
        let key = (span, row.appid, row.region, row.sku);
        let line = lines.entry(key).or_insert_with(|| Line {
            key,
            version,
            records: 0,
            days: BTreeMap::new(),
        });
        line.records += 1;
        *line.days.entry(row.day).or_default() += row.billable;
    }
    let has_price = |line: &Line| versions[line.version].price(line.key.3, line.key.2).is_some();
    lines.into_values().filter(has_price).collect()
}

impl<'r> Rating<'r> {
    fn is_earlier(&self, line: &Line) -> bool {
        line.key.0 < self.billing.start
    }

    fn price(&self, line: &Line) -> (&'r Sold, &'r Price) {
        let version = &self.versions[line.version];
        version.price(line.key.3, line.key.2).expect("a line has a price")
    }

    /// The counter on which a line counts for those who ask under a version.
    fn counter(&self, asking: usize, line: &Line) -> Option<Counter> {
        let (_, _, region, sku) = line.key;
        let version = &self.versions[asking];
        match version.price(sku, region) {
            Some((sold, _)) => {
                let own = || Counter::Of(sku, GROUPS[version.group(region)]);
                Some(sold.counter.map_or_else(own, Counter::Named))
            }
            // "Where a version does not sell it, the counter that its own price names."
            None => self.price(line).0.counter.map(Counter::Named),
        }
    }

    /// All lines so far that count on the counter of a line, under the line's version.
    fn counting_with<'s>(&'s self, line: &'s Line) -> impl Iterator<Item = &'s Taken> {
        let own = self.counter(line.version, line);
        let taken = self.taken.iter();
        taken.filter(move |taken| self.counter(line.version, &taken.line) == own)
    }

    /// The price that was agreed for a line under the terms of the period.
    fn agreed(&self, line: &Line) -> Option<i128> {
        let group = GROUPS[self.versions[line.version].group(line.key.2)];
        let of = |wanted: Option<&str>| {
            let mut agreed = self.billing.agreed.iter();
            agreed.find(|(sku, group, _)| *sku == line.key.3 && *group == wanted)
        };
        of(Some(group)).or_else(|| of(None)).map(|(.., price)| *price)
    }

    /// Whether the line may take of what is included: not at an agreed price, and on an earlier day only where that was billed by days under
    /// this card.
    fn may_take(&self, line: &Line) -> bool {
        match self.billing.before {
            Some((until, before)) if line.key.0 < until && self.is_earlier(line) => {
                matches!(before, Before::Agreed(sku) if sku != line.key.3)
            }
            _ => self.agreed(line).is_none(),
        }
    }

    fn take(&self, line: &Line) -> Vec<Part> {
        let (sold, price) = self.price(line);
        let base = line.days.values().map(|base| i128::from(*base)).sum();
        let included = if self.may_take(line) { price.included } else { 0 };
        let Some((size, per)) = sold.package else {
            return vec![self.part_of_units(line, base, included)];
        };
        let by_day = per == Per::Day || (per == Per::Period && self.billing.is_daily);
        let mut parts: Vec<Part> = if by_day {
            let days = line.days.iter();
            days.map(|(day, base)| self.part_of_packages(line, Some(*day), (*base).into(), (included, size)))
                .collect()
        } else {
            vec![self.part_of_packages(line, None, base, (included, size))]
        };
        // The included slice has the quantity of its base units, and the rest what is left of the line's quantity.
        let whole = line_quantity(base, sold);
        let included_base: i128 = parts.iter().map(|part| part.included_base).sum();
        let included = if included_base == base && base != 0 {
            whole
        } else {
            quantity(u64::try_from(included_base).unwrap(), MINUTE)
        };
        parts[0].included = included;
        parts[0].priced = whole - included;
        parts
    }

    fn part_of_units(&self, line: &Line, base: i128, included: i128) -> Part {
        let (sold, _) = self.price(line);
        let whole = line_quantity(base, sold);
        let so_far: i128 = self
            .counting_with(line)
            .map(|taken| taken.sum(|part| part.included))
            .sum();
        let left = (included - so_far).max(0);
        let included = whole.min(left);
        let included_base = if left == 0 {
            0
        } else if included == whole {
            base
        } else {
            let multiplier = sold.multiplier.unwrap_or(WHOLE);
            divide_half_up(included * i128::from(MINUTE) * WHOLE, MICRO * multiplier).min(base)
        };
        Part {
            included,
            priced: whole - included,
            included_base,
            priced_base: base - included_base,
            had_some_left: 0 < left,
            ..Part::default()
        }
    }

    fn part_of_packages(&self, line: &Line, day: Option<NaiveDate>, base: i128, (included, size): (i128, u64)) -> Part {
        let on_it: Vec<&Part> = self
            .counting_with(line)
            .flat_map(|taken| &taken.parts)
            .filter(|part| day.is_none() || part.day == day)
            .collect();
        let included = divide_half_up(included * i128::from(MINUTE), MICRO);
        let so_far: i128 = on_it.iter().map(|part| part.included_base).sum();
        let left = (included - so_far).max(0);
        let included_base = base.min(left);
        let stands: i128 = on_it.iter().map(|part| part.priced_base).sum();
        let started = |units: i128| units / i128::from(size) + i128::from(units % i128::from(size) != 0);
        let priced_base = base - included_base;
        Part {
            day,
            included_base,
            priced_base,
            packages: started(stands + priced_base) - started(stands),
            had_some_left: 0 < left,
            ..Part::default()
        }
    }

    /// The rows of a line: what is included, then the rest by its model.
    fn rows(&self, taken: &Taken) -> Vec<String> {
        let line = &taken.line;
        let (sold, price) = self.price(line);
        let mut rows = Rows {
            line,
            discount: self.billing.discount,
            multiplier: sold.multiplier,
            texts: Vec::new(),
        };
        // Whether there is anything of a package line is told by its base units.
        let (included, priced) = if sold.package.is_some() {
            (taken.sum(|part| part.included_base), taken.sum(|part| part.priced_base))
        } else {
            (taken.sum(|part| part.included), taken.sum(|part| part.priced))
        };
        let had_some_left = taken.parts.iter().any(|part| part.had_some_left);
        if 0 < included || (had_some_left && priced == 0) {
            rows.add("included", 0, taken.sum(|part| part.included), None, 0);
            if priced == 0 {
                return rows.texts;
            }
        }
        let rest = taken.sum(|part| part.priced);
        match (&price.amounts, self.agreed(line), sold.package) {
            (_, Some(agreed), _) => rows.add("usage", 0, rest, None, agreed),
            (Amounts::One(price), None, None) => rows.add("usage", 0, rest, None, *price),
            (Amounts::One(price), None, Some(_)) => {
                rows.add("usage", 0, rest, Some(taken.sum(|part| part.packages)), *price);
            }
            (Amounts::Tiers(tiers), None, _) if sold.is_volume => {
                let tier = reached(tiers, self.end(line));
                rows.add("usage", tier, rest, None, tiers[tier].1);
            }
            (Amounts::Tiers(tiers), None, _) => slices(tiers, self.position(line), rest, &mut rows),
        }
        rows.texts
    }

    /// Where the counter of a line stands at the end: all of the period counts, whichever version prices it.
    fn end(&self, line: &Line) -> i128 {
        self.counting_with(line)
            .map(|taken| taken.sum(|part| part.priced))
            .sum()
    }

    /// Where the counter of a line stands before it.
    fn position(&self, line: &Line) -> i128 {
        let before = self.counting_with(line).filter(|taken| taken.line.key < line.key);
        before.map(|taken| taken.sum(|part| part.priced)).sum()
    }
}

/// Base units x multiplier in the pricing unit, rounded once.
fn line_quantity(base: i128, sold: &Sold) -> i128 {
    let multiplier = sold.multiplier.unwrap_or(WHOLE);
    divide_half_up(base * multiplier * MICRO, i128::from(MINUTE) * WHOLE)
}

/// The tier that holds a place: half-open, from 0.
fn reached(tiers: &[(i128, i128)], at: i128) -> usize {
    tiers.iter().filter(|(from, _)| *from <= at).count() - 1
}

/// Each tier's share of `[position, position + rest)`; nothing is a share of the tier where the counter stands.
fn slices(tiers: &[(i128, i128)], position: i128, rest: i128, rows: &mut Rows) {
    for (tier, (from, price)) in tiers.iter().enumerate() {
        let to = tiers.get(tier + 1).map_or(i128::MAX, |next| next.0);
        let share = to.min(position + rest) - position.max(*from);
        if 0 < share || (rest == 0 && reached(tiers, position) == tier) {
            rows.add("usage", tier, share.max(0), None, *price);
        }
    }
}

struct Rows<'l> {
    line: &'l Line,
    discount: i128,
    multiplier: Option<i128>,
    texts: Vec<String>,
}

impl Rows<'_> {
    fn add(&mut self, kind: &str, tier: usize, quantity: i128, packages: Option<i128>, price: i128) {
        let is_first = self.texts.is_empty();
        let (span, appid, region, sku) = self.line.key;
        let discount = if kind == "included" { 0 } else { self.discount };
        let times = packages.map_or(quantity, |packages| packages * MICRO);
        // 6, 12 and 4 decimals, rounded once to 10.
        let amount = divide_half_up(times * price * (WHOLE - discount), 10_i128.pow(12));
        let records = if is_first { self.line.records } else { 0 };
        let base: u64 = self.line.days.values().sum();
        let usage = self
            .multiplier
            .filter(|_| is_first)
            .map(|_| super::arithmetic::quantity(base, MINUTE));
        self.texts.push(format!(
            "{span} {appid} {region} {sku} {kind} {tier}: {records} records, {} ({}) in {} x {} = {}",
            fixed(quantity, 6),
            usage.map_or_else(|| "-".to_owned(), |usage| fixed(usage, 6)),
            packages.map_or_else(|| "-".to_owned(), |packages| packages.to_string()),
            trimmed(price, PRICE_DECIMALS),
            fixed(amount, 10)
        ));
    }
}

impl Version {
    /// The card as a file.
    pub fn toml(&self) -> String {
        let not_sold = SKUS
            .iter()
            .filter(|sku| !self.sold.iter().any(|sold| sold.sku == **sku));
        let not_sold: Vec<String> = not_sold.map(|sku| format!("\"{sku}\"")).collect();
        let not_sold = if not_sold.is_empty() {
            String::new()
        } else {
            format!("not_sold = [{}]\n", not_sold.join(", "))
        };
        let (one, two) = if self.r3_is_in_two {
            ("\"r1\"", "\"r2\", \"r3\"")
        } else {
            ("\"r1\", \"r3\"", "\"r2\"")
        };
        let mut text = format!(
            "card = \"drawn\"\nfrom = {}\ncurrency = \"CNY\"\nzone = \"UTC\"\ndefault_region = \"r1\"\n[regions]\none = [{one}]\n\
             two = [{two}]\n[[meter]]\nname = \"video\"\ntask_type = \"Video\"\nsku = \"{{type}}\"\nquantity = \"duration\"\n\
             unit = \"minute\"\n{not_sold}dimensions.type = [\"A\", \"B\", \"C\", \"D\"]\n[prices]\n",
            self.from
        );
        for sold in &self.sold {
            let _ = writeln!(text, "{} = {{ {} }}", sold.sku, sold.keys().join(", "));
        }
        text
    }
}

impl Sold {
    /// The keys of its line.
    fn keys(&self) -> Vec<String> {
        let (mut unit_price, mut tiers, mut included) = (Vec::new(), Vec::new(), Vec::new());
        for (group, price) in GROUPS.iter().zip(&self.groups) {
            let Some(price) = price else { continue };
            match &price.amounts {
                Amounts::One(price) => unit_price.push(format!("{group} = \"{}\"", fixed(*price, PRICE_DECIMALS))),
                Amounts::Tiers(listed) => tiers.push(format!("{group} = [{}]", tiers_text(listed))),
            }
            if price.included != 0 {
                included.push(format!("{group} = \"{}\"", fixed(price.included, 6)));
            }
        }
        for (group, price) in GROUPS.iter().zip(&self.groups) {
            if price.is_none() {
                let of = if tiers.is_empty() { &mut unit_price } else { &mut tiers };
                of.push(format!("{group} = \"not sold\""));
            }
        }
        let mut keys = vec!["origin = \"illustrative\"".to_owned()];
        if self.is_volume && !tiers.is_empty() {
            keys.push("model = \"volume\"".to_owned());
        }
        for (key, groups) in [("unit_price", unit_price), ("tiers", tiers), ("included", included)] {
            keys.extend((!groups.is_empty()).then(|| format!("{key} = {{ {} }}", groups.join(", "))));
        }
        if let Some((size, per)) = self.package {
            keys.push(format!("package = \"{size}ms\""));
            keys.extend(match per {
                Per::Period => None,
                Per::Day => Some("per = \"day\"".to_owned()),
                Per::Month => Some("per = \"month\"".to_owned()),
            });
        }
        keys.extend(self.counter.map(|counter| format!("counter = \"{counter}\"")));
        keys.extend(
            self.multiplier
                .map(|multiplier| format!("multiplier = \"{}\"", fixed(multiplier, 4))),
        );
        keys
    }
}

fn tiers_text(tiers: &[(i128, i128)]) -> String {
    let tier = |(at, (from, price)): (usize, &(i128, i128))| {
        let to = tiers
            .get(at + 1)
            .map_or_else(String::new, |(to, _)| format!("to = \"{}\", ", fixed(*to, 6)));
        format!(
            "{{ from = \"{}\", {to}unit_price = \"{}\" }}",
            fixed(*from, 6),
            fixed(*price, PRICE_DECIMALS)
        )
    };
    tiers.iter().enumerate().map(tier).collect::<Vec<_>>().join(", ")
}
