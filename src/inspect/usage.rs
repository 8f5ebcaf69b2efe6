//! An account's usage by day, from the ledger.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::store;
use crate::pipeline::retention::row_retention::{USAGE, expired_months};
use crate::storage::ledger::Ledger;
use crate::storage::usage::daily::{self, SkuDays};
use crate::support::error::{Error, Result};
use crate::values::calendar::month_text;

/// Usage of one day, app, region and SKU.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UsageLine {
    pub uin: String,
    pub day: String,
    pub appid: String,
    pub region: String,
    pub sku: String,
    pub records: i64,
    /// Base units (milliseconds or counts) as reported.
    pub raw_units: i64,
    /// Base units after the meter's minimum and rounding.
    pub billable_units: i64,
}

/// Usage with `from <= day && day < to`, by day, app, region and SKU.
pub async fn usage(ledger: &Ledger, uin: u64, from: NaiveDate, to: NaiveDate) -> Result<Vec<UsageLine>> {
    let gone = expired_months(ledger, USAGE).await?;
    if let Some(month) = gone
        .iter()
        .rev()
        .find(|month| month_text(from) <= **month && **month <= month_text(to))
    {
        return Err(Error::Usage(format!(
            "usage of {month} is past its retention (`keep_usage_months`); use a later --from"
        )));
    }
    let (first, end) = (from.to_string(), to.to_string());
    let mut sums: BTreeMap<(String, u64, String, String), [i64; 3]> = BTreeMap::new();
    for month in store::metered_months(ledger, uin, (from, to), i64::MAX).await? {
        let name = month_text(month.first);
        for SkuDays {
            appid,
            region,
            sku,
            days,
        } in daily::from_text(&month.days)?
        {
            for of in days {
                let day = format!("{name}-{:02}", of.day);
                if day < first || end <= day {
                    continue;
                }
                let sum = sums
                    .entry((day, appid, region.to_string(), sku.to_string()))
                    .or_default();
                for (sum, more) in sum.iter_mut().zip([of.records, of.raw, of.billable]) {
                    let added = sum.checked_add(more);
                    *sum = added.ok_or_else(|| Error::TooLarge(format!("usage of {name} does not fit")))?;
                }
            }
        }
    }
    Ok(sums
        .into_iter()
        .filter(|(_, sums)| *sums != [0; 3])
        .map(
            |((day, appid, region, sku), [records, raw_units, billable_units])| UsageLine {
                uin: uin.to_string(),
                day,
                appid: appid.to_string(),
                region,
                sku,
                records,
                raw_units,
                billable_units,
            },
        )
        .collect())
}
