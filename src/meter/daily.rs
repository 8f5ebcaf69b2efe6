//! What a metering adds for people and dashboards: accounts that appeared, usage by day, usage that came late.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::NaiveDate;
use rayon::prelude::*;

use super::place::Places;
use super::plan::Plan;
use super::store::AccountDays;
use super::sums::Status;
use super::usage::UsageRow;
use crate::account::store::{add_accounts, set_first_day};
use crate::error::Result;
use crate::ledger::Tx;
use crate::span::day_of_number;

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

/// Metered usage per account, its days and lines as JSON.
#[tracing::instrument(skip_all)]
pub fn usage_daily(rows: &[UsageRow], places: &Places) -> Vec<AccountDays> {
    let by_account: Vec<&[UsageRow]> = rows.chunk_by(|a, b| a.uin == b.uin).collect();
    by_account
        .par_iter()
        .filter_map(|account| account_days(account, places))
        .collect()
}

fn account_days(account: &[UsageRow], places: &Places) -> Option<AccountDays> {
    let mut by_day: BTreeMap<i32, String> = BTreeMap::new();
    let mut records = 0;
    for row in account.iter().filter(|row| row.status == Status::Metered) {
        records += row.records;
        let lines = by_day.entry(row.day).or_default();
        if !lines.is_empty() {
            lines.push(',');
        }
        push_line(lines, row, places);
    }
    let (day_min, day_max) = (*by_day.keys().next()?, *by_day.keys().next_back()?);
    let mut days = String::from("[");
    for (day, lines) in by_day {
        if days.len() > 1 {
            days.push(',');
        }
        let _infallible = write!(days, "[\"{}\",[{lines}]]", day_of_number(day));
    }
    days.push(']');
    Some(AccountDays {
        uin: account[0].uin,
        day_min: day_of_number(day_min),
        day_max: day_of_number(day_max),
        records,
        days,
    })
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
