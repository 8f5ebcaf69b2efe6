//! Raw against usage, usage against the dashboards' rows, and the control totals.

use std::collections::{BTreeMap, BTreeSet};

use super::files::DamagedFiles;
use super::{Verified, store};
use crate::books::Books;
use crate::error::{Error, Result};
use crate::expire::ledger::{USAGE, expired_months};
use crate::meter::rebuild::recount;
use crate::meter::store::{progress, usage_paths};
use crate::meter::sums::Status;
use crate::meter::usage::for_each_row;
use crate::nightly::control;
use crate::span::{all_days, day_of_number, month_text};

pub async fn verify(books: &Books, damaged: &DamagedFiles, verified: &mut Verified) -> Result<()> {
    let metered = progress(&books.ledger).await?;
    match control(books, 0, metered.batch_hi).await {
        Err(Error::Unbalanced(why)) => verified.differs(why),
        other => drop(other?),
    }
    for sentence in store::unbalanced_batches(&books.ledger, metered.batch_hi).await? {
        verified.differs(sentence);
    }
    let recounted = recount(books, damaged).await;
    match recounted {
        Ok(recounted) => {
            verified.raw_rows = recounted.rows;
            verified.usage_sums = recounted.compared;
            verified.not_proved.extend(recounted.not_counted);
            verified.differences.extend(recounted.differences);
        }
        Err(error) => verified.differs(format!("raw could not be measured again: {error}")),
    }
    let expired = expired_months(&books.ledger, USAGE).await?;
    let (from, to) = all_days();
    for (path, metering) in usage_paths(&books.ledger, from, to, metered.metering).await? {
        if !damaged.contains(&path) {
            let part = verify_daily(books, &path, metering, &expired, verified).await;
            verified.part(part);
        }
    }
    Ok(())
}

/// Day, app, region and SKU.
type Key = (String, String, String, String);

/// The totals of all accounts are their sums.
async fn verify_totals(
    books: &Books,
    path: &str,
    metering: i64,
    accounts: &BTreeMap<u64, BTreeMap<Key, [i64; 3]>>,
    verified: &mut Verified,
) -> Result<()> {
    let mut sums: BTreeMap<[String; 3], [i64; 3]> = BTreeMap::new();
    for ((day, _, region, sku), values) in accounts.values().flatten() {
        let sum = sums.entry([day.clone(), region.clone(), sku.clone()]).or_default();
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum = sum.saturating_add(*value);
        }
    }
    let mut shown = store::usage_totals(&books.ledger, metering).await?;
    shown.retain(|_, sums| *sums != [0; 3]);
    sums.retain(|_, sums| *sums != [0; 3]);
    if shown != sums {
        verified.differs(format!("usage_total of metering {metering} is not what {path} holds"));
    }
    Ok(())
}

/// What a metering added to the dashboards is what its usage file says.
async fn verify_daily(
    books: &Books,
    path: &str,
    metering: i64,
    expired: &BTreeSet<String>,
    verified: &mut Verified,
) -> Result<()> {
    let mut accounts: BTreeMap<u64, BTreeMap<Key, [i64; 3]>> = BTreeMap::new();
    tokio::task::block_in_place(|| {
        for_each_row(&books.data.join(path), |row| {
            let month = month_text(day_of_number(row.day));
            if row.status == Status::Metered.text() && !expired.contains(&month) {
                let (day, appid) = (day_of_number(row.day).to_string(), row.appid.to_string());
                let key = (day, appid, row.region.to_owned(), row.sku.to_owned());
                let sums = [row.records, row.raw, row.billable];
                accounts.entry(row.uin).or_default().insert(key, sums);
            }
        })
    })?;
    verify_totals(books, path, metering, &accounts, verified).await?;
    for (uin, (records, days)) in store::usage_daily(&books.ledger, metering).await? {
        let mut shown: BTreeMap<Key, [i64; 3]> = BTreeMap::new();
        for (day, lines) in days {
            for (appid, region, sku, records, raw, billable) in lines {
                shown.insert((day.clone(), appid, region, sku), [records, raw, billable]);
            }
        }
        let stored = accounts.remove(&uin).unwrap_or_default();
        let counted: i64 = stored.values().map(|sums| sums[0]).sum();
        if shown != stored || records != counted {
            verified.differs(format!(
                "usage_daily of account {uin}, metering {metering}, is not what {path} holds"
            ));
        }
    }
    for uin in accounts.keys() {
        verified.differs(format!(
            "usage_daily of account {uin}, metering {metering}, is missing; {path} has it"
        ));
    }
    Ok(())
}
