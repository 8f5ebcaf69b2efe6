//! An account's statements: closed ones from the ledger, drafts of open periods rated now.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{Datelike as _, NaiveDate};

use super::store::{MeteredMonth, metered_months};
use crate::catalog::account::Account;
use crate::catalog::account::store::load_account;
use crate::catalog::account::unknown::unknown_account;
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::store::load_cards;
use crate::context::Books;
use crate::pipeline::close::adjustment::pending::waiting_of;
use crate::pipeline::close::adjustment::settlement::Before;
use crate::pipeline::close::adjustment::settlement::store::settlements_of;
use crate::pipeline::close::period_charges::{AccountUsage, NOT_TOUCHED};
use crate::pipeline::close::statement::{Closing, Statement};
use crate::pipeline::close::store::{closed_periods_of, statements_of};
use crate::pipeline::meter::store::{Progress, progress, usage_paths};
use crate::pipeline::retention::row_retention::{USAGE, expired_months};
use crate::storage::usage::daily;
use crate::storage::usage::table::{Run, UsageDay, UsageTable, Wanted};
use crate::support::error::{Error, Result};
use crate::values::calendar::{Period, month_text};

/// A statement, or what it would be.
#[derive(Clone, Debug)]
pub struct Shown {
    pub statement: Statement,
    pub draft: bool,
    /// The last day with usage that it has; the period's last one when it is closed, none in a draft without usage.
    pub usage_through: Option<NaiveDate>,
    /// Usage without a price, which keeps a draft from closing.
    pub unpriced: Vec<String>,
}

/// Closed statements and drafts whose period touches `[from, to)`.
pub async fn statements(books: &Books, uin: u64, from: NaiveDate, to: NaiveDate) -> Result<Vec<Shown>> {
    let Some(account) = load_account(&books.ledger, uin).await? else {
        return Err(unknown_account(&books.ledger, uin).await?);
    };
    Statements::of(books).await?.of_account(uin, &account, (from, to)).await
}

/// What the statements of all accounts depend on.
#[derive(Debug)]
pub struct Statements<'a> {
    books: &'a Books,
    cards: RateCatalog,
    metered: Progress,
    /// Months whose usage is past its retention in the ledger.
    expired: BTreeSet<String>,
}

impl<'a> Statements<'a> {
    /// Reads it once for many accounts.
    pub async fn of(books: &'a Books) -> Result<Self> {
        Ok(Self {
            books,
            cards: load_cards(&books.ledger).await?,
            metered: progress(&books.ledger).await?,
            expired: expired_months(&books.ledger, USAGE).await?,
        })
    }

    /// Closed statements and drafts of an account whose period touches `[from, to)`.
    pub async fn of_account(
        &self,
        uin: u64,
        account: &Account,
        (from, to): (NaiveDate, NaiveDate),
    ) -> Result<Vec<Shown>> {
        let touches = |period: &Period| period.start < to && from < period.end;
        let closed = statements_of(&self.books.ledger, uin).await?;
        let drafts = self.drafts(uin, account, (from, to), &closed).await?;
        let mut shown: Vec<Shown> = closed
            .into_iter()
            .filter(|statement| touches(&statement.period))
            .map(|statement| Shown {
                usage_through: statement.period.end.pred_opt(),
                statement,
                draft: false,
                unpriced: Vec::new(),
            })
            .collect();
        shown.extend(drafts);
        Ok(shown)
    }

    /// Drafts of the open periods; `before` are the account's closed statements.
    async fn drafts(
        &self,
        uin: u64,
        account: &Account,
        (from, to): (NaiveDate, NaiveDate),
        before: &[Statement],
    ) -> Result<Vec<Shown>> {
        let (books, cards, metered) = (self.books, &self.cards, &self.metered);
        let Some(mut period) = account.open_period() else {
            return Ok(Vec::new());
        };
        let mut previous = before.last().map(|statement| statement.digest.clone());
        let touched = waiting_of(&books.ledger, uin).await?;
        let closed = closed_periods_of(&books.ledger, uin).await?;
        let again_from = touched
            .as_ref()
            .and_then(|touched| AccountUsage::needed_from(account, &closed, touched));
        let counters_from = account.counters_from(&period);
        let usage_from = again_from.map_or(counters_from, |from| from.min(counters_from));
        // A draft of the last period shows all of it, also past `to`.
        let usage_to = account.period_of(to).end;
        let table = self.usage_table(uin, (usage_from, usage_to)).await?;
        let usage = AccountUsage {
            uin,
            account,
            cards,
            rows: table.of_account(uin),
            metering: metered.metering,
        };
        let settlements = settlements_of(&books.ledger, uin).await?;
        let past = Before {
            closed: &closed,
            statements: before,
            settlements: &settlements,
        };
        let mut again = touched.as_ref().map(|touched| (touched, past));
        let mut shown = Vec::new();
        while period.start < to && period.start <= books.clock.today().succ_opt().unwrap_or(NaiveDate::MAX) {
            let past = again.take().unwrap_or((&NOT_TOUCHED, Before::NOTHING));
            let draft = usage.with_charges(period, past, |charges| {
                let Some(currency) = charges.draft_currency(&usage, period) else {
                    return Ok(None);
                };
                let closing = Closing {
                    uin,
                    period,
                    zone: account.terms_on(period.start).zone,
                    currency,
                    closed_at: books.clock.now(),
                    high_water_batch: metered.batch_hi,
                    charges: &charges.charges,
                    previous_digest: previous.as_deref(),
                };
                let statement = Statement::draft(&closing).map_err(|e| Error::Unbalanced(e.to_string()))?;
                Ok(Some(Shown {
                    statement,
                    draft: true,
                    usage_through: charges.last_day,
                    unpriced: charges.obstacles(uin, period),
                }))
            })?;
            if let Some(draft) = draft {
                previous = Some(draft.statement.digest.clone());
                if from < period.end {
                    shown.push(draft);
                }
            }
            period = account.period_from(period.end);
        }
        Ok(shown)
    }

    /// The usage of an account's days. The ledger has it in one row for each month and metering, found by the account; days of a month whose
    /// retention is over are read from the usage files.
    async fn usage_table(&self, uin: u64, days: (NaiveDate, NaiveDate)) -> Result<UsageTable> {
        let (books, metering) = (self.books, self.metered.metering);
        if self
            .expired
            .iter()
            .any(|month| month_text(days.0) <= *month && *month <= month_text(days.1))
        {
            let files = usage_paths(&books.ledger, days.0, days.1, metering).await?;
            let wanted = Wanted::new([(uin, days)]);
            return tokio::task::block_in_place(|| UsageTable::read(&books.data, &files, &wanted));
        }
        let months = metered_months(&books.ledger, uin, days, metering).await?;
        let runs: Result<Vec<Run>> = months.iter().map(|month| run_of(uin, month)).collect();
        Ok(UsageTable::new(runs?))
    }
}

fn run_of(uin: u64, month: &MeteredMonth) -> Result<Run> {
    let mut rows = Vec::new();
    let mut places: Vec<(Arc<str>, Arc<str>)> = Vec::new();
    for of in daily::from_text(&month.days)? {
        let place = u32::try_from(places.len()).expect("an account has fewer places");
        places.push((of.region.into(), of.sku.into()));
        for sums in of.days {
            rows.push(UsageDay {
                uin,
                appid: of.appid,
                records: sums.records,
                raw: sums.raw,
                billable: sums.billable,
                place,
                day: month.first.with_day(sums.day).ok_or_else(|| {
                    Error::Unbalanced(format!(
                        "usage_daily of account {uin} has a day outside of {}",
                        month.first
                    ))
                })?,
            });
        }
    }
    Ok(Run::new(month.metering, rows, places))
}
