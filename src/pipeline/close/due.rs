//! Which periods are due, and their usage.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use crate::catalog::account::{Account, Accounts};
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::storage::durable_files::DataDir;
use crate::storage::usage::table::{UsageTable, Wanted};
use crate::support::error::Result;
use crate::values::calendar::Period;

/// Days of grace for an account whose card is not there (its period cannot be priced anyway).
const GRACE_DAYS_DEFAULT: u32 = 3;

/// An account's due periods, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub uin: u64,
    pub periods: Vec<Period>,
    /// The first day whose usage is needed: counters may have started before the first due period.
    pub from: NaiveDate,
}

impl Due {
    /// The end of the last due period.
    pub fn to(&self) -> NaiveDate {
        self.periods.last().map_or(self.from, |period| period.end)
    }
}

/// Due periods of every account.
pub fn due(accounts: &Accounts, cards: &RateCatalog, now: DateTime<Utc>) -> Vec<Due> {
    accounts
        .iter()
        .filter_map(|(uin, account)| due_of(uin, account, cards, now))
        .collect()
}

fn due_of(uin: u64, account: &Account, cards: &RateCatalog, now: DateTime<Utc>) -> Option<Due> {
    let mut period = account.open_period()?;
    let first = period;
    let mut periods = Vec::new();
    while is_due(account, &period, cards, now) {
        periods.push(period);
        period = account.period_from(period.end);
    }
    let from = account.counters_from(&first);
    (!periods.is_empty()).then_some(Due { uin, periods, from })
}

/// Takes out periods under some cards, by name, with those after them. Returns how many accounts each holds back.
pub fn hold_back(due: &mut Vec<Due>, accounts: &Accounts, cards: &BTreeSet<String>) -> BTreeMap<String, usize> {
    let mut held = BTreeMap::new();
    if cards.is_empty() {
        return held;
    }
    due.retain_mut(|due| {
        let card = |period: &Period| {
            accounts
                .get(due.uin)
                .map(|account| &account.terms_on(period.start).card)
        };
        let first = due
            .periods
            .iter()
            .position(|period| card(period).is_some_and(|card| cards.contains(card)));
        if let Some(at) = first {
            *held
                .entry(card(&due.periods[at]).cloned().unwrap_or_default())
                .or_default() += 1;
            due.periods.truncate(at);
        }
        !due.periods.is_empty()
    });
    held
}

/// Whether the period's end and the grace of the card in force on its last day have passed.
pub fn is_due(account: &Account, period: &Period, cards: &RateCatalog, now: DateTime<Utc>) -> bool {
    due_at(account, period, cards) <= now
}

/// When the period's end and the grace of the card in force on its last day have passed.
pub fn due_at(account: &Account, period: &Period, cards: &RateCatalog) -> DateTime<Tz> {
    let terms = account.terms_on(period.start);
    let last_day = period.end.pred_opt().unwrap_or(period.end);
    let grace_days = cards
        .in_force(&terms.card, last_day)
        .map_or(GRACE_DAYS_DEFAULT, |card| card.grace_days);
    period.due_at(terms.zone, grace_days)
}

/// The days `[from, to)` over all accounts; none when nothing is due.
pub fn days_needed(due: &[Due]) -> Option<(NaiveDate, NaiveDate)> {
    let from = due.iter().map(|d| d.from).min()?;
    let to = due.iter().map(Due::to).max()?;
    Some((from, to))
}

/// Reads the usage of accounts piece by piece, and hands each piece to `take` with the accounts that are whole in it. They are in
/// ascending order, and so they stay.
pub fn by_piece(
    data: &DataDir,
    files: &[(String, i64)],
    due: &[Due],
    mut take: impl FnMut(&UsageTable, &[Due]) -> Result<()>,
) -> Result<()> {
    let wanted = Wanted::new(due.iter().map(|due| (due.uin, (due.from, due.to()))));
    let mut rest = due;
    UsageTable::read_by_account(data, files, &wanted, |table, whole_to| {
        let whole = whole_to.map_or(rest.len(), |uin| rest.partition_point(|due| due.uin < uin));
        let (now, later) = rest.split_at(whole);
        rest = later;
        take(table, now)
    })
}
