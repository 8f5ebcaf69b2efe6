//! Drafts: what every open period would cost if it closed now. Dashboards show them beside the closed ones; nothing else rests
//! on them, and each night makes them anew.

pub mod month_totals;

use std::collections::HashMap;

use chrono::NaiveDate;
use rayon::prelude::*;

use super::adjustment::closed_periods::{Past, read_past};
use super::due;
use super::due::Due;
use super::period_charges::AccountUsage;
use super::statement::Foot;
use super::store;
use super::store::Draft;
use super::{Closed, reach_back};
use crate::catalog::account::{Account, Accounts};
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::store::load_cards;
use crate::context::Books;
use crate::pipeline::meter::store::{progress, usage_paths};
use crate::storage::durable_files::DataDir;
use crate::storage::ledger::Lease;
use crate::storage::usage::table::UsageTable;
use crate::support::error::{Error, Result};
use crate::values::calendar::Period;

/// Replaces the drafts of all open periods, and the list of blocked ones. Returns how many drafts there are. The caller holds the
/// lease, and has the accounts as the last close left them, and what it `closed`. While the machine's clock is in doubt, drafts stay as they are.
#[tracing::instrument(skip_all)]
pub async fn draft_open_periods(books: &Books, lease: &Lease, accounts: &Accounts, closed: &Closed) -> Result<usize> {
    if books.clock.doubt().is_some() {
        return Ok(0);
    }
    let cards = load_cards(&books.ledger).await?;
    let mut open = open_periods(accounts, books.clock.today());
    let past = read_past(&books.ledger, &open).await?;
    reach_back(&mut open, accounts, &past);
    let drafts = match due::days_needed(&open) {
        None => Vec::new(),
        Some(days) => {
            let metering = progress(&books.ledger).await?.metering;
            let files = usage_paths(&books.ledger, days.0, days.1, metering).await?;
            let drafting = Drafting {
                accounts,
                cards: &cards,
                past: &past,
                metering,
            };
            tokio::task::block_in_place(|| drafting.draft_all(&books.data, &files, &open))?
        }
    };
    let sums = month_totals::sum_up(&books.ledger, closed, &drafts).await?;
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    store::drop_drafts(&mut tx).await?;
    store::add_drafts(&mut tx, &drafts, &books.clock.text()).await?;
    month_totals::replace_sums(&mut tx, sums).await?;
    store::replace_blocked(&mut tx, &closed.blocked).await?;
    books.ledger.commit(tx, "draft").await?;
    Ok(drafts.len())
}

/// Periods that have begun and are not closed, by account.
fn open_periods(accounts: &Accounts, today: NaiveDate) -> Vec<Due> {
    // West and east of UTC it may be another day.
    let to = today.succ_opt().unwrap_or(today);
    accounts
        .iter()
        .filter_map(|(uin, account)| open_periods_of(uin, account, to))
        .collect()
}

fn open_periods_of(uin: u64, account: &Account, to: NaiveDate) -> Option<Due> {
    let first = account.open_period()?;
    let mut periods = Vec::new();
    let mut period = first;
    while period.start <= to {
        periods.push(period);
        period = account.period_from(period.end);
    }
    let from = account.counters_from(&first);
    (!periods.is_empty()).then_some(Due { uin, periods, from })
}

/// All that drafts depend on.
struct Drafting<'a> {
    accounts: &'a Accounts,
    cards: &'a RateCatalog,
    past: &'a HashMap<u64, Past>,
    metering: i64,
}

impl Drafting<'_> {
    #[tracing::instrument(skip_all)]
    fn draft_all(&self, data: &DataDir, files: &[(String, i64)], open: &[Due]) -> Result<Vec<Draft>> {
        let mut drafts = Vec::new();
        due::by_piece(data, files, open, |table, open| {
            let drafts_of = |open: &Due| self.drafts_of(open, table);
            let piece: Vec<Vec<Draft>> = open.par_iter().map(drafts_of).collect::<Result<_>>()?;
            drafts.extend(piece.into_iter().flatten());
            Ok(())
        })?;
        Ok(drafts)
    }

    fn drafts_of(&self, open: &Due, table: &UsageTable) -> Result<Vec<Draft>> {
        let account = self
            .accounts
            .get(open.uin)
            .ok_or_else(|| Error::Unbalanced(format!("account {} has open periods and is not there", open.uin)))?;
        let usage = AccountUsage {
            uin: open.uin,
            account,
            cards: self.cards,
            rows: table.of_account(open.uin),
            metering: self.metering,
        };
        let mut past = self.past.get(&open.uin);
        let mut drafts = Vec::new();
        for &period in &open.periods {
            match draft(&usage, period, past.take()) {
                // It blocks the period's close, which tells why.
                Err(Error::TooLarge(_)) => drafts.extend(draft_without_amounts(&usage, period)?),
                draft => drafts.extend(draft?),
            }
        }
        Ok(drafts)
    }
}

/// The draft of a period whose amounts do not fit: it says that something is not in the total.
fn draft_without_amounts(usage: &AccountUsage, period: Period) -> Result<Option<Draft>> {
    let Some(currency) = usage.card_currency(period) else {
        return Ok(None);
    };
    Ok(Some(Draft {
        uin: usage.uin,
        period,
        currency,
        foot: Foot::of(std::iter::empty(), currency).map_err(|e| Error::Unbalanced(e.to_string()))?,
        lines: 0,
        records: 0,
        usage_through: usage.rows_of(period).last_day(),
        unpriced: 1,
    }))
}

/// The draft of a period; none when there is nothing to charge and nothing without a price.
fn draft(usage: &AccountUsage, period: Period, past: Option<&Past>) -> Result<Option<Draft>> {
    usage.with_charges(period, Past::again(past), |charges| {
        let Some(currency) = charges.draft_currency(usage, period) else {
            return Ok(None);
        };
        let amounts = charges.charges.iter().map(|charge| (charge.kind, charge.amount));
        let foot = Foot::of(amounts, currency)
            .map_err(|e| Error::TooLarge(format!("the draft of account {}, {period}: {e}", usage.uin)))?;
        Ok(Some(Draft {
            uin: usage.uin,
            period,
            currency,
            foot,
            lines: charges.charges.len() + usize::from(!foot.rounding.is_zero()),
            records: charges.records,
            usage_through: charges.last_day,
            unpriced: charges.unpriced.len() + usize::from(!charges.in_other_currency.is_empty()),
        }))
    })
}
