//! One account at its close: the charges of its open period, and the adjustments of its closed ones.

use std::collections::HashMap;

use chrono::NaiveDate;

use super::adjustment::settlement::Before;
use super::adjustment::{Billed, adjust};
use super::statement::Statement;
use super::statement::document::Line;
use crate::catalog::account::Account;
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::pipeline::rate::{Charge, DayUsage, ModelError, PeriodUsage, RateError, Rated, Step, rate, steps};
use crate::storage::usage::table::AccountRows;
use crate::support::error::{Error, Result};
use crate::values::calendar::{Cycle, Period, all_days};
use crate::values::money::Currency;

/// Why closed periods are rated again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Days of closed periods whose usage changed after the close.
    pub days: Vec<NaiveDate>,
    /// First days of closed periods whose prices were corrected.
    pub corrected: Vec<NaiveDate>,
}

impl Touched {
    /// Adds a day, or the first day of a period whose prices were corrected.
    pub fn add(&mut self, day: NaiveDate, corrects: bool) {
        if corrects {
            self.corrected.push(day);
        } else {
            self.days.push(day);
        }
    }

    /// The first of all these days.
    pub fn first_day(&self) -> Option<NaiveDate> {
        self.days.iter().chain(&self.corrected).min().copied()
    }
}

/// A period that is closed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedPeriod {
    pub period: Period,
    pub closing: i64,
}

/// All that the charges of an account depend on.
#[derive(Clone)]
pub struct AccountUsage<'a> {
    pub uin: u64,
    pub account: &'a Account,
    pub cards: &'a RateCatalog,
    pub rows: AccountRows<'a>,
    /// Usage of later meterings does not count.
    pub metering: i64,
}

/// What the closing of a period adjusted: only the first period that an account closed in it carries adjustments.
pub fn adjusted_with<'a>(
    periods: &[ClosedPeriod],
    at: usize,
    settled: &'a HashMap<i64, Touched>,
) -> Option<&'a Touched> {
    let closing = periods[at].closing;
    let is_first = at == 0 || periods[at - 1].closing != closing;
    settled.get(&closing).filter(|_| is_first)
}

/// The charges of a period.
pub struct PeriodCharges<'a> {
    /// None when there is no charge.
    pub currency: Option<Currency>,
    /// The same, also when all that there is was in another currency.
    billed_in: Option<Currency>,
    /// The period's own usage, then adjustments.
    pub charges: Vec<Charge<'a>>,
    /// Usage without a price, of the period or of one that is rated again; it cannot close until a person acts.
    pub unpriced: Vec<String>,
    /// Adjustments in another currency than the period's; it cannot close with them either, and they are not among the charges.
    pub in_other_currency: Vec<Adjusted<'a>>,
    /// Metered records of the period itself.
    pub records: i64,
    /// The last day of the period with usage; none without usage.
    pub last_day: Option<NaiveDate>,
    /// Records of closed periods, more or less than was billed.
    pub adjusted_records: i64,
}

/// What a closed period should be, beside what was billed for it.
pub struct Adjusted<'a> {
    pub period: Period,
    /// None when nothing of it has a price and nothing was billed.
    pub currency: Option<Currency>,
    pub lines: Vec<Charge<'a>>,
    unpriced: Vec<String>,
}

impl Adjusted<'_> {
    /// Records, more or less than was billed.
    pub fn records(&self) -> i64 {
        self.lines.iter().map(|line| line.records).sum()
    }
}

impl PeriodCharges<'_> {
    /// What keeps the period from closing until a person acts: usage without a price, adjustments in another currency.
    pub fn obstacles(&self, uin: u64, period: Period) -> Vec<String> {
        let blocked = self.blocked_by_currency(uin, period);
        self.unpriced.iter().cloned().chain(blocked).collect()
    }

    /// The currency in which a draft of the period is shown: that of its charges, or its card's. None when there is nothing to show.
    pub fn draft_currency(&self, usage: &AccountUsage, period: Period) -> Option<Currency> {
        let is_empty = self.charges.is_empty() && self.unpriced.is_empty() && self.in_other_currency.is_empty();
        let currency = self.currency.or_else(|| usage.card_currency(period));
        currency.filter(|_| !is_empty)
    }

    /// The currency of the period, also when all that there is of it is in another.
    pub fn billed_in(&self) -> Option<Currency> {
        self.billed_in
    }

    /// Why the period cannot close, when an adjustment is in another currency.
    pub fn blocked_by_currency(&self, uin: u64, period: Period) -> Option<String> {
        let (other, one) = (self.in_other_currency.last()?, self.billed_in?);
        let currency = other.currency?;
        let start = other.period.start;
        Some(format!(
            "account {uin}: period {period} is billed in {one}, and the adjustment of {} would be in {currency}; a statement has \
             one currency. Settle the adjustment outside tallybook and record it (`tallybook adjustment list`, `tallybook \
             adjustment settle {uin} {start} --reason TEXT`), or undo the change to that period (send voided records again under \
             new IDs, void late records)",
            other.period
        ))
    }
}

/// A closed period that is rated again.
struct Again<'a> {
    period: Period,
    rows: PeriodRows<'a>,
    note: String,
}

impl<'a> AccountUsage<'a> {
    /// The currency of the account's card as it is at the end of a period; of its last version where none is in force yet.
    pub fn card_currency(&self, period: Period) -> Option<Currency> {
        let name = &self.account.terms_on(period.start).card;
        let card = self
            .cards
            .in_force(name, period.end)
            .or(self.cards.of_name(name).last());
        card.map(|card| card.currency)
    }

    /// Hands the charges of a period to `then`: they live as long as the call. What `touched` closed periods is among them as
    /// adjustments of what was billed `before`.
    pub fn with_charges<T>(
        &self,
        period: Period,
        (touched, before): (&Touched, Before),
        then: impl FnOnce(PeriodCharges) -> Result<T>,
    ) -> Result<T> {
        let own = self.rows_of(period);
        let earlier = self.days_before(before.closed, touched);
        let again: Vec<Again> = periods_again(self.account, before.closed, touched, &earlier)
            .into_iter()
            .map(|period| self.again(period, touched))
            .collect();
        let read = read_before(if again.is_empty() { Before::NOTHING } else { before })?;
        let billed = billed(&read)?;
        let rated = own.rate(self.uin, period, self.account, self.cards)?;
        let mut currency = rated.currency();
        let mut in_other_currency = Vec::new();
        let (records, last_day) = (own.records(), own.last_day());
        let (mut charges, unpriced) = rated.draft();
        let mut unpriced: Vec<String> = unpriced.iter().map(ToString::to_string).collect();
        let mut adjusted_records = 0;
        for again in &again {
            let adjusted = self.adjusted(again, before, &billed)?;
            unpriced.extend(adjusted.unpriced.iter().cloned());
            if adjusted.lines.is_empty() {
                continue;
            }
            match (currency, adjusted.currency) {
                (Some(one), Some(other)) if one != other => {
                    in_other_currency.push(adjusted);
                    continue;
                }
                _ => currency = currency.or(adjusted.currency),
            }
            adjusted_records += adjusted.records();
            charges.extend(adjusted.lines);
        }
        then(PeriodCharges {
            currency: currency.filter(|_| !charges.is_empty()),
            billed_in: currency,
            charges,
            unpriced,
            in_other_currency,
            records,
            last_day,
            adjusted_records,
        })
    }

    /// Hands to `then` what a closed period should be, beside what was billed for it `before`.
    pub fn with_adjustment_of<T>(
        &self,
        period: Period,
        before: Before,
        then: impl FnOnce(Adjusted) -> Result<T>,
    ) -> Result<T> {
        let again = self.again(period, &NOT_TOUCHED);
        let read = read_before(before)?;
        then(self.adjusted(&again, before, &billed(&read)?)?)
    }

    fn again(&self, period: Period, touched: &Touched) -> Again<'a> {
        Again {
            period,
            rows: self.rows_of(period),
            note: note(period, touched, self.moved_by_earlier_usage(period)),
        }
    }

    /// What earlier usage of the month moves. Statements of cards that have tiers alone say so since before there was anything else, and are
    /// rated again to the same text.
    fn moved_by_earlier_usage(&self, period: Period) -> &'static str {
        let versions = self.cards.of_name(&self.account.terms_on(period.start).card);
        let mut in_force = versions.iter().filter(|card| card.from < period.end);
        if in_force.any(|card| card.counts_more_than_tiers()) {
            "counters"
        } else {
            "tiers"
        }
    }

    /// What a closed period should be, beside what was `billed` for it.
    fn adjusted<'b>(&'b self, again: &'b Again<'b>, before: Before, billed: &Billed<'b>) -> Result<Adjusted<'b>> {
        let rated = again.rows.rate(self.uin, again.period, self.account, self.cards)?;
        let currency = rated
            .currency()
            .or_else(|| currency_billed(before.statements, again.period));
        let (should_be, without) = rated.draft();
        Ok(Adjusted {
            period: again.period,
            currency,
            lines: adjust(self.uin, again.period, &should_be, billed, &again.note)?,
            unpriced: without.iter().map(ToString::to_string).collect(),
        })
    }

    /// The first day whose usage is needed to adjust closed periods.
    pub fn needed_from(account: &Account, closed: &[ClosedPeriod], touched: &Touched) -> Option<NaiveDate> {
        // Days with usage before the first closed period come after the touched one that moves them, and need no more.
        let again = periods_again(account, closed, touched, &[]).into_iter();
        again.map(|period| account.counters_from(&period)).min()
    }

    /// Days with usage before the first closed period, when something is touched: an earlier close adjusted them.
    fn days_before(&self, closed: &[ClosedPeriod], touched: &Touched) -> Vec<NaiveDate> {
        let Some(first) = closed.first().filter(|_| touched.first_day().is_some()) else {
            return Vec::new();
        };
        let rows = self.rows.between(all_days().0, first.period.start, self.metering);
        let mut days: Vec<NaiveDate> = rows.map(|(row, ..)| row.day).collect();
        days.sort_unstable();
        days.dedup();
        days
    }

    /// The usage of a period.
    pub fn rows_of(&self, period: Period) -> PeriodRows<'a> {
        PeriodRows::of(self.account, period, &self.rows, self.metering)
    }
}

/// Nothing of an account's past is rated again.
pub static NOT_TOUCHED: Touched = Touched {
    days: Vec::new(),
    corrected: Vec::new(),
};

/// The lines of a statement or settlement, with its name and its period.
type Read<'a> = (String, Period, Vec<Line<'a>>);

fn read_before(before: Before<'_>) -> Result<Vec<Read<'_>>> {
    let mut read = Vec::with_capacity(before.statements.len() + before.settlements.len());
    // Lines past their retention bill nothing that can still be adjusted: see expire/ledger.rs.
    for statement in before
        .statements
        .iter()
        .filter(|statement| statement.document.is_some())
    {
        let lines = statement.read_lines().map_err(|e| Error::Unbalanced(e.to_string()))?;
        read.push((statement.statement_id.clone(), statement.period, lines));
    }
    for settlement in before.settlements {
        read.push((settlement.name(), settlement.period, settlement.read_lines()?));
    }
    Ok(read)
}

fn billed<'a>(read: &'a [Read<'a>]) -> Result<Billed<'a>> {
    let mut billed = Billed::default();
    for (name, period, lines) in read {
        billed.add(name, period, lines)?;
    }
    Ok(billed)
}

fn currency_billed(statements: &[Statement], period: Period) -> Option<Currency> {
    let billed = statements.iter().rev().find(|s| s.period.start <= period.start);
    billed.or(statements.first()).map(|s| s.currency)
}

/// Closed periods to be rated again: those with a touched day among the days that move their counters, in order. A day before
/// the first closed period, touched or `earlier` adjusted, lies in a period of its own that was closed without a statement.
fn periods_again(account: &Account, closed: &[ClosedPeriod], touched: &Touched, earlier: &[NaiveDate]) -> Vec<Period> {
    let days = || touched.days.iter().chain(&touched.corrected).copied();
    let first = closed.first().map(|closed| closed.period.start);
    let before = days()
        .chain(earlier.iter().copied())
        .filter(|day| first.is_some_and(|first| *day < first))
        .map(|day| closed_period_of(account, closed, day));
    let mut all: Vec<Period> = before.chain(closed.iter().map(|closed| closed.period)).collect();
    all.sort_unstable();
    all.dedup();
    all.retain(|period| {
        let from = account.counters_from(period);
        days().any(|day| from <= day && day < period.end)
    });
    all
}

/// The closed period that a day lies in; before the first one, the period that it would have been.
pub fn closed_period_of(account: &Account, closed: &[ClosedPeriod], day: NaiveDate) -> Period {
    if let Some(found) = closed.iter().find(|closed| closed.period.contains(day)) {
        return found.period;
    }
    let mut period = account.period_of(day);
    if let Some(first) = closed.first().filter(|first| day < first.period.start) {
        period.end = period.end.min(first.period.start);
    }
    period
}

/// Why a period is adjusted, for the reader of the statement.
fn note(period: Period, touched: &Touched, moved: &str) -> String {
    let mut causes = Vec::new();
    if touched.days.iter().any(|day| period.contains(*day)) {
        causes.push("usage changed after the close".to_owned());
    }
    if touched.corrected.contains(&period.start) {
        causes.push("price corrected".to_owned());
    }
    if causes.is_empty() {
        causes.push(format!("earlier usage moved its {moved}"));
    }
    format!("{} to {}: {}", period.start, period.end, causes.join("; "))
}

/// What does not fit concerns its account alone.
fn not_rated(error: &RateError) -> Error {
    match error {
        RateError::Overflow { .. }
        | RateError::Amount { .. }
        | RateError::Model {
            source: ModelError::Overflow,
            ..
        } => Error::TooLarge(error.to_string()),
        _ => Error::Unbalanced(error.to_string()),
    }
}

/// The usage of one period, and of the days before it that move its counters.
pub struct PeriodRows<'a> {
    usage: Vec<DayUsage<'a>>,
    earlier: Vec<DayUsage<'a>>,
}

impl<'a> PeriodRows<'a> {
    /// Picks a period's rows out of an account's, as far as `metering` had come.
    pub fn of(account: &Account, period: Period, rows: &AccountRows<'a>, metering: i64) -> Self {
        let cycle = account.terms_on(period.start).cycle;
        let counters_from = cycle.counters_from(&period);
        let between = |from, to| {
            rows.between(from, to, metering)
                .map(|(row, region, sku)| DayUsage {
                    appid: row.appid,
                    region,
                    sku,
                    day: row.day,
                    records: row.records,
                    billable: row.billable,
                })
                .collect()
        };
        let earlier = if cycle == Cycle::Daily {
            between(counters_from, period.start)
        } else {
            Vec::new()
        };
        Self {
            usage: between(period.start, period.end),
            earlier,
        }
    }

    /// Adds a row of usage that is not in the files, to see what it would change.
    pub fn add(&mut self, period: Period, row: DayUsage<'a>) {
        if period.contains(row.day) {
            self.usage.push(row);
        } else {
            self.earlier.push(row);
        }
    }

    /// Metered records.
    pub fn records(&self) -> i64 {
        self.usage.iter().map(|row| row.records).sum()
    }

    /// The last day with usage that no void took back.
    pub fn last_day(&self) -> Option<NaiveDate> {
        let mut before = None;
        loop {
            let earlier = self
                .usage
                .iter()
                .filter(|row| before.is_none_or(|before| row.day < before));
            let day = earlier.map(|row| row.day).max()?;
            let of_day = self.usage.iter().filter(|row| row.day == day);
            if of_day.map(|row| row.records).sum::<i64>() != 0 {
                return Some(day);
            }
            before = Some(day);
        }
    }

    /// Usage of the period, in no order.
    pub fn usage(&self) -> &[DayUsage<'a>] {
        &self.usage
    }

    /// Charges of the period.
    pub fn rate(&'a self, uin: u64, period: Period, account: &'a Account, cards: &'a RateCatalog) -> Result<Rated<'a>> {
        rate(&self.input(uin, period, account, cards)).map_err(|error| not_rated(&error))
    }

    /// The steps to the charges of the period.
    pub fn steps(
        &'a self,
        uin: u64,
        period: Period,
        account: &'a Account,
        cards: &'a RateCatalog,
    ) -> Result<Vec<Step<'a>>> {
        steps(&self.input(uin, period, account, cards)).map_err(|error| not_rated(&error))
    }

    fn input(&'a self, uin: u64, period: Period, account: &'a Account, cards: &'a RateCatalog) -> PeriodUsage<'a> {
        let terms = account.terms_on(period.start);
        PeriodUsage {
            uin,
            period,
            terms,
            cards: cards.of_name(&terms.card),
            usage: &self.usage,
            earlier: &self.earlier,
            account_terms: &account.terms,
        }
    }
}
