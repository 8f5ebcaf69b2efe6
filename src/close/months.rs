//! What accounts come to in a month, over all their periods that begin in it: for dashboards, in order of size.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::account::store::parse_uin;
use crate::error::{Error, Result};
use crate::ledger::{Ledger, Row, Tx, Value, delete_rows, insert_rows, query};
use crate::money::sum;

/// The counter of the last closing that is summed up.
const SUMMED: &str = "summed";

/// Month, currency and account.
type Key = (String, String, u64);

/// Total, records, and periods that are not closed.
type MonthSum = (Decimal, i64, i64);

/// Sums months up anew: those with drafts, before and now, and those of periods that closed since the last time.
pub async fn sum_up(tx: &mut Tx) -> Result<()> {
    let mut months = BTreeSet::new();
    for sql in [
        "SELECT DISTINCT month FROM account_month WHERE drafts > 0",
        "SELECT DISTINCT month FROM period_charge WHERE state = 'draft'",
        "SELECT DISTINCT SUBSTR(s.period_start, 1, 7) FROM statement s WHERE s.closing > (SELECT c.value FROM counter c WHERE c.name = 'summed')",
    ] {
        for row in query(sql).fetch_all(&mut *tx).await? {
            months.insert(row.try_get::<String>(0)?);
        }
    }
    for month in months {
        delete_rows(tx, "account_month", "month = ?", &[month.as_str().into()]).await?;
        let rows = query(format!("SELECT {COLUMNS} FROM period_charge WHERE month = ?"))
            .bind(month)
            .fetch_all(&mut *tx)
            .await?;
        let mut sums = BTreeMap::new();
        for row in &rows {
            add(&mut sums, row)?;
        }
        insert_rows(
            tx,
            "account_month (month, currency, uin, total, records, drafts)",
            sums.iter().map(row_of),
        )
        .await?;
    }
    query("UPDATE counter SET value = (SELECT COALESCE(MAX(c.closing), 0) FROM closing c) WHERE name = ?")
        .bind(SUMMED)
        .execute(tx)
        .await?;
    Ok(())
}

const COLUMNS: &str = "month, currency, uin, total, records, state";

fn add(sums: &mut BTreeMap<Key, MonthSum>, row: &Row) -> Result<()> {
    let key = (row.try_get(0)?, row.try_get(1)?, parse_uin(&row.try_get::<String>(2)?)?);
    let (total, records, drafts) = sums.entry(key).or_default();
    *total = sum([*total, row.try_get(3)?]).map_err(|e| Error::Unbalanced(e.to_string()))?;
    *records += row.try_get::<i64>(4)?;
    *drafts += i64::from(row.try_get::<String>(5)? == "draft");
    Ok(())
}

fn row_of(((month, currency, uin), (total, records, drafts)): (&Key, &MonthSum)) -> [Value; 6] {
    [
        month.into(),
        currency.into(),
        uin.to_string().into(),
        (*total).into(),
        (*records).into(),
        (*drafts).into(),
    ]
}

/// Months and accounts whose sum is not that of their periods, once every closing is summed up.
pub async fn sums_that_differ(ledger: &Ledger) -> Result<Vec<String>> {
    let newer = query("SELECT COUNT(*) FROM closing WHERE closing > (SELECT value FROM counter WHERE name = 'summed')")
        .fetch_one(ledger)
        .await?;
    if newer.try_get::<i64>(0)? > 0 {
        return Ok(Vec::new());
    }
    let mut due = BTreeMap::new();
    query(format!("SELECT {COLUMNS} FROM period_charge"))
        .for_each(ledger, |row| add(&mut due, &row))
        .await?;
    let mut found = BTreeMap::new();
    query("SELECT month, currency, uin, total, records, drafts FROM account_month")
        .for_each(ledger, |row| {
            let key: Key = (row.try_get(0)?, row.try_get(1)?, parse_uin(&row.try_get::<String>(2)?)?);
            found.insert(key, (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?));
            Ok(())
        })
        .await?;
    let keys: BTreeSet<&Key> = due.keys().chain(found.keys()).collect();
    let differing = keys.into_iter().filter(|key| due.get(*key) != found.get(*key));
    Ok(differing
        .map(|(month, currency, uin)| {
            format!("account_month: {month} of account {uin} in {currency} is not the sum of its periods")
        })
        .collect())
}
