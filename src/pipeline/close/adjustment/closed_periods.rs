//! The past of accounts whose closed periods wait for an adjustment: as much of it as what touched them can change, and no more,
//! however long an account has been a customer.

use std::collections::HashMap;

use chrono::NaiveDate;

use super::pending;
use super::settlement::store::settlements_of_all;
use super::settlement::{Before, Settlement};
use crate::pipeline::close::due::Due;
use crate::pipeline::close::period_charges::{ClosedPeriod, NOT_TOUCHED, Touched};
use crate::pipeline::close::statement::Statement;
use crate::pipeline::close::store;
use crate::storage::ledger::Ledger;
use crate::support::error::{Error, Result};

/// What is known of an account's closed periods: all of it from the first one that is touched on, at least.
#[derive(Clone, Debug, Default)]
pub struct Past {
    pub touched: Touched,
    /// In order, and without a gap.
    pub closed: Vec<ClosedPeriod>,
    /// In the order in which they were closed. The last one before the touched periods is among them, perhaps without its lines: it tells
    /// the currency of a period that had none.
    pub statements: Vec<Statement>,
    /// In the order in which they were settled.
    pub settlements: Vec<Settlement>,
}

impl Past {
    /// What is rated again of a past, if there is one.
    pub fn again(past: Option<&Self>) -> (&Touched, Before<'_>) {
        past.map_or((&NOT_TOUCHED, Before::NOTHING), |past| (&past.touched, past.before()))
    }

    pub fn before(&self) -> Before<'_> {
        Before {
            closed: &self.closed,
            statements: &self.statements,
            settlements: &self.settlements,
        }
    }
}

/// Accounts that are asked for at a time: so many that a question costs little beside its answer, so few that those who reach back
/// differently rarely share one.
const ACCOUNTS_A_QUERY: usize = 256;

/// The past of those accounts for which something waits.
#[tracing::instrument(skip_all)]
pub async fn read_past(ledger: &Ledger, due: &[Due]) -> Result<HashMap<u64, Past>> {
    let waiting = pending::waiting(ledger).await?;
    if waiting.is_empty() {
        return Ok(HashMap::new());
    }
    past_of(ledger, due, waiting).await
}

/// The past of those accounts of which something is touched.
pub async fn past_of(ledger: &Ledger, due: &[Due], mut waiting: HashMap<u64, Touched>) -> Result<HashMap<u64, Past>> {
    let mut past = HashMap::new();
    let mut touched: Vec<(NaiveDate, u64, Touched)> = due
        .iter()
        .filter_map(|due| waiting.remove_entry(&due.uin))
        .filter_map(|(uin, touched)| Some((touched.first_day()?, uin, touched)))
        .collect();
    // Those that reach back about as far are asked for together.
    touched.sort_by_key(|&(first_day, uin, _)| (first_day, uin));
    for some in touched.chunks_mut(ACCOUNTS_A_QUERY) {
        let uins: Vec<u64> = some.iter().map(|(_, uin, _)| *uin).collect();
        let from = some[0].0;
        let mut closed = store::closed_periods_from(ledger, &uins, from).await?;
        let mut statements = store::statements_from(ledger, &uins, from).await?;
        let mut settlements = settlements_of_all(ledger, &uins).await?;
        for (_, uin, touched) in some {
            let none_closed =
                || Error::Unbalanced(format!("account {uin} waits for an adjustment of no closed period"));
            let past_of = Past {
                touched: std::mem::take(touched),
                closed: closed.remove(uin).ok_or_else(none_closed)?,
                // Periods may have closed without a statement.
                statements: statements.remove(uin).unwrap_or_default(),
                settlements: settlements.remove(uin).unwrap_or_default(),
            };
            past.insert(*uin, past_of);
        }
    }
    Ok(past)
}
