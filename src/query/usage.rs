//! An account's usage by day, from the ledger.

use super::store;
use crate::error::Result;
use crate::ledger::Ledger;
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
