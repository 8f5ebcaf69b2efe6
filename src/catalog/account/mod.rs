//! Accounts: who is billed, under which terms, and how far their periods are closed.

pub mod add;
pub mod cohorts;
pub mod end;
pub mod erased;
pub mod import;
pub mod part;
pub mod profile;
pub mod store;
pub mod terms;
pub mod unknown;
pub mod usage;

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::values::calendar::Period;
use end::AccountEnd;
use terms::Terms;

/// An account as the ledger has it.
#[derive(Clone, Debug)]
pub struct Account {
    /// Ascending by first day, never empty.
    pub terms: Vec<Terms>,
    /// First day of usage or terms, whichever is earlier; none before there is usage.
    pub first_day: Option<NaiveDate>,
    /// End of the last closed period.
    pub closed_to: Option<NaiveDate>,
    /// Days on which it ended, ascending, with those that were taken back: a period ends on each of them.
    pub ends: Vec<AccountEnd>,
}

impl Account {
    /// The terms of a day; usage before the first terms is under them too.
    pub fn terms_on(&self, day: NaiveDate) -> &Terms {
        let at = self.terms.partition_point(|t| t.from <= day).max(1);
        &self.terms[at - 1]
    }

    /// The earliest period that is not closed; none while there is neither usage nor terms.
    pub fn open_period(&self) -> Option<Period> {
        let start = match (self.closed_to, self.first_day) {
            (Some(closed_to), _) => closed_to,
            (None, Some(first_day)) => self.terms_on(first_day).cycle.period_of(first_day).start,
            (None, None) => return None,
        };
        Some(self.period_from(start))
    }

    /// The first day that is not billed any more; none while the account has not ended.
    pub fn ended_on(&self) -> Option<NaiveDate> {
        let end = self.ends.iter().find(|end| !end.is_taken_back)?;
        Some(end.day)
    }

    /// The period that starts on a day: it ends where the cycle says, where new terms start, or where the account ended. After an end
    /// periods go on, for adjustments.
    pub fn period_from(&self, start: NaiveDate) -> Period {
        let mut period = self.terms_on(start).cycle.period_of(start);
        period.start = start;
        if let Some(next) = self
            .terms
            .iter()
            .skip(1)
            .find(|t| start < t.from && t.from < period.end)
        {
            period.end = next.from;
        }
        if let Some(end) = self.ends.iter().find(|end| start < end.day && end.day < period.end) {
            period.end = end.day;
        }
        period
    }

    /// The first day whose usage a period's tiers depend on: where its counters start, at the latest its first day.
    pub fn counters_from(&self, period: &Period) -> NaiveDate {
        let cycle = self.terms_on(period.start).cycle;
        cycle.counters_from(period).min(period.start)
    }

    /// The period that a day lies in.
    pub fn period_of(&self, day: NaiveDate) -> Period {
        let mut period = self.terms_on(day).cycle.period_of(day);
        let terms_from = self.terms_on(day).from;
        if self.terms.first().is_some_and(|first| first.from < terms_from) && period.start < terms_from {
            period.start = terms_from;
        }
        for end in &self.ends {
            if period.start < end.day && end.day <= day {
                period.start = end.day;
            }
            if day < end.day && end.day < period.end {
                period.end = end.day;
            }
        }
        period
    }
}

/// All accounts, by UIN.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    accounts: BTreeMap<u64, Account>,
}

impl Accounts {
    pub fn new(accounts: BTreeMap<u64, Account>) -> Self {
        Self { accounts }
    }

    pub fn get(&self, uin: u64) -> Option<&Account> {
        self.accounts.get(&uin)
    }

    /// Adds accounts, or puts them in the place of what they were.
    pub fn extend(&mut self, accounts: Vec<(u64, Account)>) {
        self.accounts.extend(accounts);
    }

    /// Notes that an account's periods are closed up to a day.
    pub fn close_to(&mut self, uin: u64, day: NaiveDate) {
        if let Some(account) = self.accounts.get_mut(&uin) {
            account.closed_to = account.closed_to.max(Some(day));
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &Account)> {
        self.accounts.iter().map(|(&uin, account)| (uin, account))
    }

    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }
}
