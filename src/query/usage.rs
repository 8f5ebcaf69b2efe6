//! An account's usage by day, from the ledger.

use super::store;
use crate::error::{Error, Result};
use crate::expire::ledger::{USAGE, expired_months};
use crate::ledger::Ledger;
use crate::span::month_text;
use chrono::NaiveDate;

/// Usage of one day, app, region and SKU.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UsageLine {
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
            "usage of {month} is past its retention (`keep_usage_months`); ask with --from for a later day"
        )));
    }
    let days = store::usage_days(ledger, uin, from, to).await?;
    let mut sums: std::collections::BTreeMap<(String, u64, String, String), [i64; 3]> =
        std::collections::BTreeMap::new();
    for (day, lines) in days {
        for (appid, region, sku, records, raw, billable) in lines {
            let appid = crate::account::store::parse_uin(&appid)?;
            let sum = sums.entry((day.clone(), appid, region, sku)).or_default();
            for (sum, more) in sum.iter_mut().zip([records, raw, billable]) {
                *sum = sum.saturating_add(more);
            }
        }
    }
    Ok(sums
        .into_iter()
        .filter(|(_, sums)| *sums != [0; 3])
        .map(
            |((day, appid, region, sku), [records, raw_units, billable_units])| UsageLine {
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
