//! Cohorts: accounts that are alike in all that their open period depends on, so that what is due is counted without making every account.

use super::Account;
use super::store::{CLOSED_TO, account_of, load_alone};
use crate::storage::ledger::{Ledger, query};
use crate::support::error::Result;

/// One account of each cohort with the number of them. Accounts whose terms have changed, or that ended, are few, and stand alone.
pub async fn cohorts(ledger: &Ledger) -> Result<Vec<(Account, usize)>> {
    let rows = query(format!(
        "SELECT g.body, c.first_day, c.stated_to, c.emptied_to, c.accounts FROM ( \
             SELECT t.agreement, a.first_day, {CLOSED_TO}, COUNT(*) AS accounts FROM account a JOIN ( \
                 SELECT uin, MIN(agreement) AS agreement FROM terms WHERE uin NOT IN (SELECT uin FROM account_end) \
                 GROUP BY uin HAVING COUNT(*) = 1 \
             ) t ON t.uin = a.uin GROUP BY t.agreement, a.first_day, stated_to, emptied_to \
         ) c JOIN agreement g ON g.agreement = c.agreement"
    ))
    .fetch_all(ledger)
    .await?;
    let alone = load_alone(ledger).await?.into_values();
    let mut cohorts: Vec<(Account, usize)> = alone.map(|account| (account, 1)).collect();
    for row in rows {
        let terms = serde_json::from_str(&row.try_get::<String>(0)?)?;
        let accounts: i64 = row.try_get(4)?;
        let account = account_of(vec![terms], Vec::new(), &row)?;
        cohorts.push((account, usize::try_from(accounts).unwrap_or(0)));
    }
    Ok(cohorts)
}
