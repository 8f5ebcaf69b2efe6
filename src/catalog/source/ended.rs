//! Configuration of accounts that ended: definitions and templates of their sources are kept for some days, and not taken again after that.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use super::configured::{Fault, Found};
use super::events::Owner;
use crate::catalog::account::end::store::ended_accounts;
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
        let today = books.clock.irreversible().date_naive();
        let keep = Days::new(u64::from(books.settings.keep_configuration_days));
        let is_over = |day: NaiveDate| day.checked_add_days(keep).is_some_and(|last| last < today);
        let ended = ended_accounts(&books.ledger).await?.into_iter();
        let days = ended.map(|(uin, ended)| (uin, ended.day));
        Ok(Self(days.filter(|(_, day)| is_over(*day)).collect()))
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
