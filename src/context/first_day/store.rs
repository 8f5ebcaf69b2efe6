//! What the ledger knows of the books' beginning.

use chrono::NaiveDate;

use crate::storage::ledger::{Ledger, Tx, query};
use crate::storage::raw::store::parse_day;
use crate::support::error::Result;

/// The UTC day of the first batch, by its run's clock.
pub async fn first_batch_day(ledger: &Ledger) -> Result<Option<NaiveDate>> {
    let row = query("SELECT committed_at FROM batch ORDER BY batch LIMIT 1")
        .fetch_optional(ledger)
        .await?;
    let day = |text: String| parse_day(text.get(..10).unwrap_or(&text));
    row.map(|row| day(row.try_get(0)?)).transpose()
}

/// The first day of which there is a raw row or a closed period.
pub async fn earliest_day(ledger: &Ledger) -> Result<Option<NaiveDate>> {
    let rows = query(
        "SELECT MIN(day) FROM segment WHERE kind = 'usage' UNION ALL SELECT MIN(period_start) FROM closed_period",
    )
    .fetch_all(ledger)
    .await?;
    let days = rows.iter().filter_map(|row| row.try_get::<String>(0).ok());
    let days: Vec<NaiveDate> = days.map(|day| parse_day(&day)).collect::<Result<_>>()?;
    Ok(days.into_iter().min())
}

/// A closed period that began before `before` and ended after `after`: account, start and end.
pub async fn closed_between(
    tx: &mut Tx,
    after: NaiveDate,
    before: NaiveDate,
) -> Result<Option<(String, String, String)>> {
    let row = query(
        "SELECT uin, period_start, period_end FROM closed_period WHERE period_start < ? AND period_end > ? \
         ORDER BY period_end DESC, uin LIMIT 1",
    )
    .bind(before.to_string())
    .bind(after.to_string())
    .fetch_optional(&mut *tx)
    .await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .transpose()
}
