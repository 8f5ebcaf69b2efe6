//! What a metering adds for people and dashboards: accounts that appeared, usage by day, usage that came late.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveDate};

use crate::catalog::account::Account;
use crate::pipeline::meter::snapshot::Snapshot;
use crate::pipeline::meter::store::{AccountDays, DayTotal};
use crate::pipeline::meter::totals::Outcome;
use crate::storage::usage::daily;
use crate::storage::usage::daily::{DaySums, SkuDays};
use crate::storage::usage::row::Status;
use crate::storage::usage::row::UsageRow;
use crate::storage::usage::sku_region::{SkuCode, SkuRegion, SkuRegions};
use crate::support::error::{Error, Result};
use crate::values::calendar::{day_of_number, month_text};

/// The first day with records of each account.
pub fn first_days(rows: &[UsageRow]) -> Vec<(u64, NaiveDate)> {
    let accounts = rows.chunk_by(|a, b| a.uin == b.uin);
    let first_day = |account: &[UsageRow]| {
        let days = account.iter().filter(|row| row.records > 0).map(|row| row.day);
        Some((account[0].uin, day_of_number(days.min()?)))
    };
    accounts.filter_map(first_day).collect()
}

/// By number.
type Accounts = Vec<(u64, Account)>;

/// The accounts that appeared, and those that were there and begin earlier now.
pub fn changed_accounts(snapshot: &Snapshot, first_days: &[(u64, NaiveDate)]) -> (Accounts, Accounts) {
    let (mut new, mut moved) = (Vec::new(), Vec::new());
    for &(uin, day) in first_days {
        match snapshot.accounts.get(uin) {
            None => {
                let account = Account {
                    terms: vec![snapshot.default_terms.clone()],
                    first_day: Some(day),
                    closed_to: None,
                    ends: Vec::new(),
                };
                new.push((uin, account));
            }
            Some(known) if known.first_day.is_none_or(|first| day < first) && known.closed_to.is_none() => {
                let account = Account {
                    first_day: Some(day),
                    ..known.clone()
                };
                moved.push((uin, account));
            }
            Some(_) => {}
        }
    }
    (new, moved)
}

/// Metered usage per account and month, as text. Rows stand in the order of a usage file.
///
/// # Errors
/// None that is known.
pub fn usage_daily(rows: &[UsageRow], places: &SkuRegions) -> Result<Vec<AccountDays>> {
    let mut all = Vec::new();
    for account in rows.chunk_by(|a, b| a.uin == b.uin) {
        for month in account_months(account, places) {
            all.push(month.done(account[0].uin)?);
        }
    }
    Ok(all)
}

/// A month of an account in the making.
struct Month<'p> {
    /// The number of its first day.
    first: i32,
    /// ... and of the first day after it.
    end: i32,
    records: i64,
    skus: Vec<SkuDays<'p>>,
    /// App and code of the last of these.
    last: Option<(u64, SkuCode)>,
}

fn account_months<'p>(account: &[UsageRow], places: &'p SkuRegions) -> Vec<Month<'p>> {
    let mut months: Vec<Month> = Vec::new();
    for row in account.iter().filter(|row| row.status == Status::Metered) {
        let at = months
            .iter()
            .position(|month| month.first <= row.day && row.day < month.end);
        let at = at.unwrap_or_else(|| {
            months.push(Month::of(row.day));
            months.len() - 1
        });
        months[at].add(row, places.get(row.code));
    }
    months.sort_unstable_by_key(|month| month.first);
    months
}

impl<'p> Month<'p> {
    /// The month of a day.
    fn of(day: i32) -> Self {
        let date = day_of_number(day);
        let first = day - date.day0().cast_signed();
        Self {
            first,
            end: first + i32::from(date.num_days_in_month()),
            records: 0,
            skus: Vec::new(),
            last: None,
        }
    }

    fn add(&mut self, row: &UsageRow, place: &'p SkuRegion) {
        self.records += row.records;
        let of = Some((row.appid, row.code));
        if self.last != of {
            self.last = of;
            self.skus.push(SkuDays {
                appid: row.appid,
                region: Cow::Borrowed(&place.region),
                sku: Cow::Borrowed(&place.sku),
                days: Vec::new(),
            });
        }
        let sums = DaySums {
            day: (row.day - self.first).unsigned_abs() + 1,
            records: row.records,
            raw: row.raw,
            billable: row.billable,
        };
        self.skus.last_mut().expect("one was pushed above").days.push(sums);
    }

    fn done(self, uin: u64) -> Result<AccountDays> {
        Ok(AccountDays {
            month: month_text(day_of_number(self.first)),
            uin,
            records: self.records,
            days: daily::to_text(&self.skus)?,
        })
    }
}

/// Metered usage of all accounts together, with the task type.
///
/// # Errors
/// A sum that does not fit.
pub fn usage_totals(outcome: &Outcome) -> Result<Vec<DayTotal>> {
    let of_place = |(&(code, day), sums): (&(SkuCode, i32), &[i128; 3])| -> Result<DayTotal> {
        let (day, place) = (day_of_number(day), outcome.places.get(code).clone());
        let narrow = |value: i128| {
            i64::try_from(value).map_err(|_| {
                Error::TooLarge(format!(
                    "{day}: the usage of all accounts adds up to {value} base units, which does not fit; look for impossible durations \
                     and counts"
                ))
            })
        };
        let sums = [narrow(sums[0])?, narrow(sums[1])?, narrow(sums[2])?];
        Ok(DayTotal { day, place, sums })
    };
    let is_some = |total: &Result<DayTotal>| total.as_ref().map_or(true, |total| total.sums != [0; 3]);
    outcome.day_totals().iter().map(of_place).filter(is_some).collect()
}

/// Metered usage on days whose period is closed: account, day, records, billable.
pub fn late_usage(snapshot: &Snapshot, rows: &[UsageRow]) -> Vec<(u64, NaiveDate, i64, i64)> {
    let mut late: BTreeMap<(u64, NaiveDate), (i64, i64)> = BTreeMap::new();
    for account in rows.chunk_by(|a, b| a.uin == b.uin) {
        let Some(closed_to) = snapshot
            .accounts
            .get(account[0].uin)
            .and_then(|account| account.closed_to)
        else {
            continue;
        };
        for row in account.iter().filter(|row| row.status == Status::Metered) {
            let day = day_of_number(row.day);
            if day < closed_to {
                let sums = late.entry((row.uin, day)).or_default();
                sums.0 += row.records;
                sums.1 += row.billable;
            }
        }
    }
    late.into_iter()
        .map(|((uin, day), (records, billable))| (uin, day, records, billable))
        .collect()
}
