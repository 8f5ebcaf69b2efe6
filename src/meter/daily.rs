//! What a metering adds for people and dashboards: accounts that appeared, usage by day, usage that came late.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{Datelike as _, NaiveDate};
use rayon::prelude::*;

use super::outcome::Outcome;
use super::place::{PlaceCode, Places};
use super::plan::Plan;
use super::store::{AccountDays, DayTotal};
use super::sums::Status;
use super::usage::UsageRow;
use crate::account::store::{add_accounts, set_first_day};
use crate::error::Result;
use crate::ledger::Tx;
use crate::span::{day_of_number, month_text};

/// Adds the accounts that appeared, and moves back where earlier usage begins. Returns how many are new.
pub async fn add_accounts_of(tx: &mut Tx, plan: &Plan, rows: &[UsageRow], now: &str) -> Result<usize> {
    let mut new = Vec::new();
    for account in rows.chunk_by(|a, b| a.uin == b.uin) {
        let uin = account[0].uin;
        let Some(day) = account.iter().filter(|row| row.records > 0).map(|row| row.day).min() else {
            continue;
        };
        let day = day_of_number(day);
        match plan.accounts.get(uin) {
            None => new.push((uin, plan.default_terms.clone(), Some(day))),
            Some(account) if account.first_day.is_none_or(|first| day < first) && account.closed_to.is_none() => {
                set_first_day(tx, uin, day).await?;
            }
            Some(_) => {}
        }
    }
    add_accounts(tx, &new, "usage", now).await?;
    Ok(new.len())
}

/// Metered usage per account and month, its days and lines as JSON.
#[tracing::instrument(skip_all)]
pub fn usage_daily(rows: &[UsageRow], places: &Places) -> Vec<AccountDays> {
    let by_account: Vec<&[UsageRow]> = rows.chunk_by(|a, b| a.uin == b.uin).collect();
    by_account
        .par_iter()
        .flat_map_iter(|account| account_days(account, places))
        .collect()
}

/// Records and lines of an account's day, JSON without brackets.
type DayLines = (i64, String);

fn account_days(account: &[UsageRow], places: &Places) -> Vec<AccountDays> {
    let mut by_day: BTreeMap<i32, DayLines> = BTreeMap::new();
    for row in account.iter().filter(|row| row.status == Status::Metered) {
        let (records, lines) = by_day.entry(row.day).or_default();
        *records += row.records;
        if !lines.is_empty() {
            lines.push(',');
        }
        push_line(lines, row, places);
    }
    let mut months: Vec<AccountDays> = Vec::new();
    let mut last_month = None;
    for (day, (records, lines)) in by_day {
        let day = day_of_number(day);
        let month = (day.year(), day.month());
        if last_month.replace(month) != Some(month) {
            months.push(AccountDays {
                month: month_text(day),
                uin: account[0].uin,
                records: 0,
                days: String::new(),
            });
        }
        let last = months.last_mut().expect("one was pushed if there was none");
        last.records += records;
        let before = if last.days.is_empty() { '[' } else { ',' };
        let _infallible = write!(last.days, "{before}[\"{day}\",[{lines}]]");
    }
    for month in &mut months {
        month.days.push(']');
    }
    months
}

/// Metered usage of all accounts together, with the task type.
pub fn usage_totals(outcome: &Outcome) -> Vec<DayTotal> {
    let narrow = |value: i128| i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX });
    let of_place = |(&(code, day), sums): (&(PlaceCode, i32), &[i128; 3])| DayTotal {
        day: day_of_number(day),
        place: outcome.places.get(code).clone(),
        sums: sums.map(narrow),
    };
    let is_some = |total: &DayTotal| total.sums != [0; 3];
    outcome.day_totals().iter().map(of_place).filter(is_some).collect()
}

/// `["appid","region","sku",records,raw,billable]`; appid is text because JSON readers round large numbers.
fn push_line(lines: &mut String, row: &UsageRow, places: &Places) {
    let place = places.get(row.code);
    let _infallible = write!(lines, "[\"{}\",", row.appid);
    crate::parameters::push_string(lines, &place.region);
    lines.push(',');
    crate::parameters::push_string(lines, &place.sku);
    let _infallible = write!(lines, ",{},{},{}]", row.records, row.raw, row.billable);
}

/// Metered usage on days whose period is closed: account, day, records, billable.
pub fn late_usage(plan: &Plan, rows: &[UsageRow]) -> Vec<(u64, NaiveDate, i64, i64)> {
    let mut late: BTreeMap<(u64, NaiveDate), (i64, i64)> = BTreeMap::new();
    for account in rows.chunk_by(|a, b| a.uin == b.uin) {
        let Some(closed_to) = plan.accounts.get(account[0].uin).and_then(|account| account.closed_to) else {
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
