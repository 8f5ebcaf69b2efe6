//! Each model of a price: random cards against the naive model, and the program's own way from usage to the proved bill.

mod documented;
mod drawn;
mod nights;
mod revisions;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use proptest::prelude::*;
use rust_decimal::Decimal;
use tallybook::catalog::account::terms::{PriceOverride, Terms};
use tallybook::catalog::rate_card::RateCard;
use tallybook::pipeline::close::adjustment::{Billed, adjust};
use tallybook::pipeline::close::statement::document::Line;
use tallybook::pipeline::rate::{Charge, DayUsage, Kind, PeriodUsage, rate};
use tallybook::values::calendar::{Cycle, Period};
use tallybook::values::money::{plain, sum};

use crate::laws::config;
use crate::naive::models::{self, Before, Billing, Used, Version};
use drawn::{billing, november, used, versions};

/// The program's side of a drawn card and account.
struct Program {
    cards: Vec<Arc<RateCard>>,
    /// The terms before, and those of the period.
    terms: Vec<Terms>,
}

fn agreed_price(sku: &str, region_group: Option<&str>, price: i128) -> PriceOverride {
    PriceOverride {
        sku: sku.to_owned(),
        region_group: region_group.map(str::to_owned),
        unit_price: Decimal::from_i128_with_scale(price, 12),
    }
}

impl Program {
    fn new(versions: &[Version], billing: &Billing) -> Self {
        let parsed = versions.iter().map(|version| {
            let text = version.toml();
            let card = RateCard::parse(&text, &format!("{}.toml", version.from));
            let card = card.unwrap_or_else(|findings| panic!("{findings:#?}\n{text}"));
            assert_eq!(RateCard::from_canonical(&card.canonical()).unwrap(), card);
            Arc::new(card)
        });
        let monthly = Cycle::Monthly { anchor_day: 1 };
        let cycle = if billing.is_daily { Cycle::Daily } else { monthly };
        let terms = |from: NaiveDate, card: &str, cycle: Cycle, agreed: Vec<PriceOverride>| {
            let discount = Decimal::from_i128_with_scale(billing.discount, 2);
            Terms::new(from, card.to_owned(), chrono_tz::UTC, cycle, discount, agreed).unwrap()
        };
        let first = versions[0].from;
        let before = billing.before.map(|(_, before)| match before {
            Before::OtherCard => terms(first, "other", cycle, Vec::new()),
            Before::Monthly => terms(first, "drawn", monthly, Vec::new()),
            Before::Agreed(sku) => terms(first, "drawn", cycle, vec![agreed_price(sku, None, 1)]),
        });
        let from = billing.before.map_or(first, |(until, _)| until);
        let agreed = billing.agreed.iter();
        let agreed = agreed.map(|(sku, group, price)| agreed_price(sku, *group, *price));
        let now = terms(from, "drawn", cycle, agreed.collect());
        Self {
            cards: parsed.collect(),
            terms: before.into_iter().chain([now]).collect(),
        }
    }

    fn period(&self, start: NaiveDate) -> Period {
        self.terms.last().unwrap().cycle.period_of(start)
    }

    /// What is priced of the period that begins on a day.
    fn charges<'a>(&'a self, start: NaiveDate, rows: &'a Rows) -> Vec<Charge<'a>> {
        let input = PeriodUsage {
            uin: 7,
            period: self.period(start),
            terms: self.terms.last().unwrap(),
            cards: &self.cards,
            usage: &rows.own,
            earlier: &rows.earlier,
            account_terms: &self.terms,
        };
        rate(&input).unwrap().draft().0
    }
}

/// The usage of a period, and that of the days before it.
struct Rows {
    earlier: Vec<DayUsage<'static>>,
    own: Vec<DayUsage<'static>>,
}

impl Rows {
    fn of(is_daily: bool, start: NaiveDate, rows: &[DayUsage<'static>]) -> Self {
        let picked = |wanted: &dyn Fn(NaiveDate) -> bool| rows.iter().filter(|row| wanted(row.day)).copied().collect();
        Self {
            earlier: picked(&|day| is_daily && day < start),
            own: picked(&|day| !is_daily || day == start),
        }
    }
}

/// What metering makes of records: a row for each, and another that takes it back.
fn rows(used: &[Used]) -> Vec<DayUsage<'static>> {
    let rows = used.iter().flat_map(|used| {
        let row = DayUsage {
            appid: used.appid,
            region: used.region,
            sku: used.sku,
            day: used.day,
            records: 1,
            billable: i64::try_from(used.billable).unwrap(),
        };
        let void = DayUsage {
            records: -1,
            billable: -row.billable,
            ..row
        };
        [Some(row), used.is_voided.then_some(void)].into_iter().flatten()
    });
    rows.collect()
}

fn shown(charge: &Charge) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    format!(
        "{} {} {} {} {} {}: {} records, {} ({}) in {} x {} = {}",
        charge.span_start,
        charge.appid.unwrap(),
        charge.region,
        charge.sku,
        charge.kind.word(),
        charge.slice,
        charge.records,
        plain(charge.quantity, 6),
        or_dash(charge.usage_quantity.map(|quantity| plain(quantity, 6))),
        or_dash(charge.packages.map(|packages| packages.to_string())),
        plain(charge.unit_price, 0),
        plain(charge.amount, 10),
    )
}

/// What is billed of each part of a line: quantity and packages; and of each multiplier the usage before it, and all records.
fn billed_sums(lines: &[Line]) -> Vec<String> {
    let mut sums: BTreeMap<String, (Decimal, i64)> = BTreeMap::new();
    let mut usage: BTreeMap<String, Decimal> = BTreeMap::new();
    for line in lines {
        let priced = line.priced.unwrap();
        let of_line = format!("{:?} {:?} {} {}", line.span_start, line.appid, line.region, line.sku);
        let part = format!(
            "{of_line} {:?} {} {} {} {:?} {}",
            line.usage_kind(),
            line.slice,
            priced.unit_price.normalize(),
            priced.discount_percent.normalize(),
            line.multiplier,
            priced.packages.is_some()
        );
        let so_far = sums.entry(part).or_default();
        so_far.0 = (so_far.0 + priced.quantity).normalize();
        so_far.1 += priced.packages.unwrap_or(0);
        let before = usage.entry(format!("{of_line} x {:?}", line.multiplier)).or_default();
        *before = sum([*before, line.usage_quantity.unwrap_or_default()])
            .unwrap()
            .normalize();
    }
    sums.retain(|_, sum| *sum != (Decimal::ZERO, 0));
    usage.retain(|_, sum| !sum.is_zero());
    let records: i64 = lines.iter().filter_map(|line| line.records).sum();
    let sums = sums.iter().map(|sum| format!("{sum:?}"));
    let usage = usage.iter().map(|sum| format!("{sum:?}"));
    sums.chain(usage).chain([format!("{records} records")]).collect()
}

/// Lines as statements number them, with the span that an adjustment names.
fn numbered<'a>(charges: &[Charge<'a>]) -> Vec<Line<'a>> {
    let lines = (1..).zip(charges).map(|(line_no, charge)| Line {
        span_start: Some(charge.span_start),
        ..Line::of_charge(line_no, charge)
    });
    lines.collect()
}

/// Bills all periods of November, then adjusts them to what they should be, and holds that the two together are what all at once would have
/// been, and that nothing is left to adjust.
fn assert_adjusted(periods: &[Period], billed: &[Vec<Charge>], due: &[Vec<Charge>]) {
    let of_period = |period: &Period| format!("7-{}", period.start);
    let names: Vec<String> = periods.iter().map(of_period).collect();
    let billed_lines: Vec<Vec<Line>> = billed.iter().map(|charges| numbered(charges)).collect();
    let mut known = Billed::default();
    for ((name, period), lines) in names.iter().zip(periods).zip(&billed_lines) {
        known.add(name, period, lines).unwrap();
    }
    let adjustments: Vec<Vec<Charge>> = periods
        .iter()
        .zip(due)
        .map(|(period, due)| adjust(7, *period, due, &known, "late").unwrap())
        .collect();
    let adjusted_lines: Vec<Vec<Line>> = adjustments.iter().map(|charges| numbered(charges)).collect();
    let mut again = Billed::default();
    for ((name, period), lines) in names.iter().zip(periods).zip(&billed_lines) {
        again.add(name, period, lines).unwrap();
    }
    for ((adjusted, lines), (period, due)) in adjustments.iter().zip(&adjusted_lines).zip(periods.iter().zip(due)) {
        for line in adjusted {
            assert_eq!(line.kind, Kind::Adjustment);
            assert_eq!(Line::of_charge(1, line).priced.unwrap().amount().unwrap(), line.amount);
        }
        again.add("later", period, lines).unwrap();
        let left = adjust(7, *period, due, &again, "again").unwrap();
        assert_eq!(left.iter().map(shown).collect::<Vec<_>>(), Vec::<String>::new());
    }
    for at in 0..periods.len() {
        let both: Vec<Line> = billed_lines[at].iter().chain(&adjusted_lines[at]).cloned().collect();
        assert_eq!(billed_sums(&both), billed_sums(&numbered(&due[at])));
    }
}

/// Charges of each period, under one card.
fn each<'a>(program: &'a Program, periods: &[Period], rows: &'a [Rows]) -> Vec<Vec<Charge<'a>>> {
    let of_period = |(period, rows): (&Period, &'a Rows)| program.charges(period.start, rows);
    periods.iter().zip(rows).map(of_period).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: config().cases * 20, ..config() })]

    #[test]
    fn every_model_on_any_card_costs_what_the_naive_model_says(
        versions in versions(), billing in billing(), used in used(),
    ) {
        let program = Program::new(&versions, &billing);
        let rows = Rows::of(billing.is_daily, billing.start, &rows(&used));
        let charges: Vec<String> = program.charges(billing.start, &rows).iter().map(shown).collect();
        prop_assert_eq!(charges, models::rate(&versions, &billing, &used));
    }

    #[test]
    fn under_every_model_what_is_billed_and_adjusted_later_is_what_all_at_once_would_have_been(
        versions in versions(), billing in billing(), used in used(), late in any::<prop::sample::Index>(),
    ) {
        let program = Program::new(&versions, &billing);
        let days = if billing.is_daily { 1..=30 } else { 1..=1 };
        let periods: Vec<Period> = days.map(|day| program.period(november(day))).collect();
        let all = rows(&used);
        // A void may come late, too; never before its record.
        let early = &all[..late.index(all.len() + 1)];
        let of = |rows: &[DayUsage<'static>]| -> Vec<Rows> {
            periods.iter().map(|period| Rows::of(billing.is_daily, period.start, rows)).collect()
        };
        let (early, all) = (of(early), of(&all));
        assert_adjusted(&periods, &each(&program, &periods, &early), &each(&program, &periods, &all));
    }

    #[test]
    fn a_correction_of_any_card_to_any_other_adjusts_to_what_the_other_would_have_billed(
        wrong in versions(), right in versions(), billing in billing(), used in used(),
    ) {
        let billing = Billing { before: None, ..billing };
        let (wrong, right) = (Program::new(&wrong, &billing), Program::new(&right, &billing));
        let days = if billing.is_daily { 1..=30 } else { 1..=1 };
        let periods: Vec<Period> = days.map(|day| wrong.period(november(day))).collect();
        let all = rows(&used);
        let rows: Vec<Rows> =
            periods.iter().map(|period| Rows::of(billing.is_daily, period.start, &all)).collect();
        assert_adjusted(&periods, &each(&wrong, &periods, &rows), &each(&right, &periods, &rows));
    }
}
