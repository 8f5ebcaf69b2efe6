//! What accounts come to in a month, over all their periods that begin in it: for dashboards, in order of size.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::catalog::account::store::parse_uin;
use crate::pipeline::close::Closed;
use crate::pipeline::close::store::Draft;
use crate::storage::ledger::{Ledger, Row, Tx, Value, delete_rows, insert_rows, query, set_counter};
use crate::support::error::{Error, Result};
use crate::values::calendar::month_text;
use crate::values::money::{Currency, sum};

/// The counter of the last closing that is summed up.
const SUMMED: &str = "summed";

/// Currency and account.
type Key = (Currency, u64);

/// Total, records, and periods that are not closed.
type MonthSum = (Decimal, i64, i64);

/// Sums of a month.
type MonthSums = HashMap<Key, MonthSum>;

/// What a statement that was just closed comes to.
#[derive(Clone, Copy, Debug)]
pub struct JustStated {
    pub uin: u64,
    pub start: NaiveDate,
    pub currency: Currency,
    pub total: Decimal,
    pub records: i64,
}

/// Sums months up anew, with the drafts that are to be: those with drafts, before and now, and those of periods that closed since the
/// last time. What the last close stated is at hand and not read again.
#[tracing::instrument(skip_all)]
pub async fn sum_up(ledger: &Ledger, closed: &Closed, drafts: &[Draft]) -> Result<BTreeMap<String, MonthSums>> {
    let mut months: BTreeMap<String, MonthSums> = BTreeMap::new();
    for sql in [
        "SELECT DISTINCT month FROM account_month WHERE drafts > 0",
        "SELECT DISTINCT SUBSTR(p.period_start, 1, 7) FROM stated_period p \
         WHERE p.closing > (SELECT c.value FROM counter c WHERE c.name = 'summed')",
    ] {
        for row in query(sql).fetch_all(ledger).await? {
            months.entry(row.try_get(0)?).or_default();
        }
    }
    for draft in drafts {
        let sums = months.entry(month_text(draft.period.start)).or_default();
        add(sums, (draft.currency, draft.uin), (draft.foot.total, draft.records, 1))?;
    }
    for stated in &closed.stated {
        let sums = months.entry(month_text(stated.start)).or_default();
        add(sums, (stated.currency, stated.uin), (stated.total, stated.records, 0))?;
    }
    let just_closed = closed.closing.unwrap_or(0);
    for row in query("SELECT DISTINCT SUBSTR(period_start, 1, 7) FROM stated_period WHERE closing <> ?")
        .bind(just_closed)
        .fetch_all(ledger)
        .await?
    {
        let month: String = row.try_get(0)?;
        let Some(sums) = months.get_mut(&month) else { continue };
        query("SELECT uin, currency, total, records, 0 FROM statement WHERE month = ? AND closing <> ?")
            .bind(month.as_str())
            .bind(just_closed)
            .for_each(ledger, |row| add(sums, key_of(&row)?, sum_of(&row)?))
            .await?;
    }
    Ok(months)
}

/// Puts sums of whole months in the place of what they were.
#[tracing::instrument(skip_all)]
pub async fn replace_sums(tx: &mut Tx, months: BTreeMap<String, MonthSums>) -> Result<()> {
    for (month, sums) in months {
        delete_rows(tx, "account_month", "month = ?", &[month.as_str().into()]).await?;
        let mut sums: Vec<(Key, MonthSum)> = sums.into_iter().collect();
        // In the order of the index, so that it grows at its end.
        sums.sort_unstable_by_key(|&((currency, uin), (total, ..))| (currency, total, uin));
        insert_rows(
            tx,
            "account_month (month, currency, uin, total, records, drafts)",
            sums.iter().map(|sum| row_of(&month, sum)),
        )
        .await?;
    }
    let row = query("SELECT COALESCE(MAX(closing), 0) FROM closing")
        .fetch_one(&mut *tx)
        .await?;
    set_counter(tx, SUMMED, row.try_get(0)?).await
}

fn add(sums: &mut MonthSums, key: Key, (amount, some_records, some_drafts): MonthSum) -> Result<()> {
    let (total, records, drafts) = sums.entry(key).or_default();
    *total = sum([*total, amount]).map_err(|e| Error::Unbalanced(e.to_string()))?;
    *records += some_records;
    *drafts += some_drafts;
    Ok(())
}

/// The account and the currency that a row begins with.
fn key_of(row: &Row) -> Result<Key> {
    let currency: String = row.try_get(1)?;
    let known = currency.parse();
    let currency = known.map_err(|_| Error::Unbalanced(format!("the ledger has the currency {currency:?}")))?;
    Ok((currency, parse_uin(&row.try_get::<String>(0)?)?))
}

/// What follows them.
fn sum_of(row: &Row) -> Result<MonthSum> {
    Ok((row.try_get(2)?, row.try_get(3)?, row.try_get(4)?))
}

fn row_of(month: &str, &((currency, uin), (total, records, drafts)): &(Key, MonthSum)) -> [Value; 6] {
    [
        month.into(),
        currency.to_string().into(),
        uin.to_string().into(),
        total.into(),
        records.into(),
        drafts.into(),
    ]
}

/// Months and accounts whose sum is not that of their periods, once every closing is summed up.
pub async fn sums_that_differ(ledger: &Ledger) -> Result<Vec<String>> {
    let row =
        query("SELECT (SELECT value FROM counter WHERE name = ?), (SELECT COALESCE(MAX(closing), 0) FROM closing)")
            .bind(SUMMED)
            .fetch_one(ledger)
            .await?;
    let (summed, last): (Option<i64>, i64) = (row.try_get(0)?, row.try_get(1)?);
    match summed {
        Some(summed) if summed == last => {}
        Some(summed) if summed < last => return Ok(Vec::new()),
        _ => {
            let says = summed.map_or_else(|| "nothing".to_owned(), |summed| summed.to_string());
            return Ok(vec![format!(
                "the counter `{SUMMED}` says {says}, and the last closing is {last}: months would not be summed up again"
            )]);
        }
    }
    let months = query("SELECT month FROM statement UNION SELECT month FROM draft UNION SELECT month FROM account_month ORDER BY month")
        .fetch_all(ledger)
        .await?;
    let mut differing = Vec::new();
    for row in months {
        let month: String = row.try_get(0)?;
        for (currency, uin) in keys_that_differ(ledger, &month).await? {
            differing.push(format!(
                "account_month: {month} of account {uin} in {currency} is not the sum of its periods"
            ));
        }
    }
    Ok(differing)
}

async fn keys_that_differ(ledger: &Ledger, month: &str) -> Result<BTreeSet<Key>> {
    let mut due = MonthSums::new();
    query(
        "SELECT uin, currency, total, records, 0 FROM statement WHERE month = ? \
         UNION ALL SELECT uin, currency, total, records, 1 FROM draft WHERE month = ?",
    )
    .bind(month)
    .bind(month)
    .for_each(ledger, |row| add(&mut due, key_of(&row)?, sum_of(&row)?))
    .await?;
    let mut differing = BTreeSet::new();
    query("SELECT uin, currency, total, records, drafts FROM account_month WHERE month = ?")
        .bind(month)
        .for_each(ledger, |row| {
            let key = key_of(&row)?;
            // A second row of the same account finds nothing any more.
            if due.remove(&key) != Some(sum_of(&row)?) {
                differing.insert(key);
            }
            Ok(())
        })
        .await?;
    differing.extend(due.into_keys());
    Ok(differing)
}
