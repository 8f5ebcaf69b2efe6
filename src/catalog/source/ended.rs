//! Configuration of accounts that ended: definitions and templates of their sources are kept for some days, and not taken again after that.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta};

use super::configured::{Fault, Found};
use super::events::Owner;
use crate::catalog::account::end::store::{Ended, ended_accounts};
use crate::context::Books;
use crate::support::error::Result;

/// Accounts whose configuration is kept no more, each with the first day that was not billed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndedAccounts(BTreeMap<u64, NaiveDate>);

impl EndedAccounts {
    /// Those that ended more days ago than the settings say, by the clock of deletions. While the default of 30 days lasts, an end can be
    /// taken back, and the configuration is still there.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn of(books: &Books) -> Result<Self> {
        let now = books.clock.irreversible();
        // The last of these days is over in the account's zone, also where its clocks were put back meanwhile.
        let keep = TimeDelta::days(i64::from(books.settings.keep_configuration_days) + 1) + TimeDelta::hours(1);
        let is_over = |ended: &Ended| DateTime::from_timestamp_nanos(ended.from_ns) + keep <= now;
        let ended = ended_accounts(&books.ledger).await?.into_iter();
        let over = ended.filter(|(_, ended)| is_over(ended));
        Ok(Self(over.map(|(uin, ended)| (uin, ended.day)).collect()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those whose usage a definition says it is, with their days.
    pub fn among(&self, owner: &Owner) -> BTreeMap<u64, NaiveDate> {
        let ended = owner.accounts().into_iter();
        ended
            .filter_map(|uin| self.0.get(&uin).map(|day| (uin, *day)))
            .collect()
    }

    /// The same, where the definition is of no other account.
    pub fn all_of(&self, owner: &Owner) -> Option<BTreeMap<u64, NaiveDate>> {
        let ended = self.among(owner);
        (!ended.is_empty() && ended.len() == owner.accounts().len()).then_some(ended)
    }

    /// Why a definition is not taken: it is of nobody else.
    pub(super) fn fault_of(&self, one: &Found) -> Option<Fault> {
        let source = &one.definition.source;
        let ended = self.all_of(&source.owner)?;
        let accounts: Vec<String> = ended
            .iter()
            .map(|(uin, day)| format!("account {uin}, which ended on {day}"))
            .collect();
        let why = format!(
            "it is configuration of {}, and is kept no more; remove the definition",
            accounts.join(", and of ")
        );
        Some(Fault::new(&source.name, &one.origin, &why))
    }
}
