//! Retention of the ledger's own rows: usage for dashboards, and the lines of statements. Both are kept for ever unless a setting
//! says otherwise; a statement's totals and digest always are.
//!
//! What goes must not be needed any more. Usage for dashboards goes by whole months, which raw has left long before. Lines go when their statement is
//! exported and nothing of their account waits for an adjustment; a correction of prices in periods without lines is refused.

use std::collections::BTreeSet;

use chrono::{Months, NaiveDate};

use super::deletion::{Deletion, note};
use crate::context::Books;
use crate::context::keeping::Class;
use crate::pipeline::close::store::{drop_lines_of_month, months_whose_lines_may_go};
use crate::pipeline::meter::store::drop_usage_of_month;
use crate::storage::ledger::{Lease, Ledger, Tx, insert_row, query};
use crate::support::error::Result;
use crate::values::calendar::month_text;

/// Usage for dashboards: `usage_daily` and `usage_total`.
pub const USAGE: &str = "usage";

/// The lines of statements.
pub const LINES: &str = "lines";

/// The least that may be set, in months: raw is gone after six, and nothing comes for its days any more.
pub const KEEP_USAGE_MONTHS_MIN: u32 = 7;

/// The least that may be set, in months.
pub const KEEP_STATEMENT_MONTHS_MIN: u32 = 12;

/// Months that went in a run.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ExpiredMonths {
    pub usage: Vec<String>,
    pub statement_lines: Vec<String>,
}

/// Drops what the settings say. The caller holds the lease.
pub async fn expire_months(books: &Books, lease: &Lease) -> Result<ExpiredMonths> {
    let mut expired = ExpiredMonths::default();
    let today = books.clock.irreversible().date_naive();
    if let Some(before) = books.settings.keep_usage_months.and_then(|keep| kept_from(today, keep)) {
        // Of each account the first month is found at once; all rows are many.
        let first = "SELECT DISTINCT m.month FROM \
             (SELECT (SELECT MIN(u.month) FROM usage_daily u WHERE u.uin = a.uin) AS month FROM account a) m WHERE m.month < ?";
        loop {
            let months = months_of(&books.ledger, first, &before).await?;
            if months.is_empty() {
                break;
            }
            for month in months {
                expire_usage(books, lease, &month).await?;
                expired.usage.push(month);
            }
        }
        expired.usage.sort_unstable();
    }
    if let Some(before) = books
        .settings
        .keep_statement_months
        .and_then(|keep| kept_from(today, keep))
    {
        for month in months_whose_lines_may_go(&books.ledger, &before).await? {
            expire_lines(books, lease, &month).await?;
            expired.statement_lines.push(month);
        }
    }
    Ok(expired)
}

/// The first month that is kept: `keep` months before this one.
fn kept_from(today: NaiveDate, keep: u32) -> Option<String> {
    today.checked_sub_months(Months::new(keep)).map(month_text)
}

async fn months_of(
    ledger: &Ledger,
    sql: impl Into<std::borrow::Cow<'static, str>>,
    bound: &str,
) -> Result<BTreeSet<String>> {
    let rows = query(sql).bind(bound).fetch_all(ledger).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

async fn expire_usage(books: &Books, lease: &Lease, month: &str) -> Result<()> {
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    let rows = drop_usage_of_month(&mut tx, month).await?;
    note(&mut tx, books, &Deletion::by_clock(Class::Usage, &month, rows)).await?;
    mark(&mut tx, USAGE, month, &books.clock.text()).await?;
    books.ledger.commit(tx, "expire_usage").await
}

async fn expire_lines(books: &Books, lease: &Lease, month: &str) -> Result<()> {
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    let rows = drop_lines_of_month(&mut tx, month).await?;
    note(&mut tx, books, &Deletion::by_clock(Class::Statements, &month, rows)).await?;
    mark(&mut tx, LINES, month, &books.clock.text()).await?;
    books.ledger.commit(tx, "expire_lines").await
}

/// Stragglers of a month that went already add nothing to its mark.
async fn mark(tx: &mut Tx, kind: &str, month: &str, now: &str) -> Result<()> {
    let known = query("SELECT COUNT(*) FROM expired_month WHERE kind = ? AND month = ?")
        .bind(kind)
        .bind(month)
        .fetch_one(&mut *tx)
        .await?;
    if known.try_get::<i64>(0)? > 0 {
        return Ok(());
    }
    insert_row(
        tx,
        "expired_month (kind, month, expired_at)",
        [kind.into(), month.into(), now.into()],
    )
    .await
}

/// Months of a kind that are gone.
pub async fn expired_months(ledger: &Ledger, kind: &str) -> Result<BTreeSet<String>> {
    months_of(ledger, "SELECT month FROM expired_month WHERE kind = ?", kind).await
}

#[cfg(test)]
mod tests {
    use crate::pipeline::retention::row_retention::kept_from;

    #[test]
    fn whole_months_are_kept() {
        let today = "2026-11-23".parse().unwrap();
        assert_eq!(kept_from(today, 7), Some("2026-04".to_owned()));
        assert_eq!(kept_from("2026-08-31".parse().unwrap(), 12), Some("2025-08".to_owned()));
    }
}
