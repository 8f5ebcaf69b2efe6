//! Cohorts: accounts that are alike in all that their open period depends on, so that what is due is counted without making every account.

use super::Account;
use super::store::{CLOSED_TO, account_of, load_with_several_terms};
use crate::storage::ledger::{Ledger, query};
use crate::support::error::Result;

/// One account of each cohort with the number of them. Accounts whose terms have changed are few, and stand alone.
pub async fn cohorts(ledger: &Ledger) -> Result<Vec<(Account, usize)>> {
    let rows = query(format!(
        "SELECT g.body, c.first_day, c.stated_to, c.emptied_to, c.accounts FROM ( \
             SELECT t.agreement, a.first_day, {CLOSED_TO}, COUNT(*) AS accounts FROM account a JOIN ( \
                 SELECT uin, MIN(agreement) AS agreement FROM terms GROUP BY uin HAVING COUNT(*) = 1 \
             ) t ON t.uin = a.uin GROUP BY t.agreement, a.first_day, stated_to, emptied_to \
         ) c JOIN agreement g ON g.agreement = c.agreement"
    ))
    .fetch_all(ledger)
    .await?;
    let alone = load_with_several_terms(ledger).await?.into_values();
    let mut cohorts: Vec<(Account, usize)> = alone.map(|account| (account, 1)).collect();
    for row in rows {
        let terms = serde_json::from_str(&row.try_get::<String>(0)?)?;
        let accounts: i64 = row.try_get(4)?;
        cohorts.push((account_of(vec![terms], &row)?, usize::try_from(accounts).unwrap_or(0)));
    }
    Ok(cohorts)
}
