//! Close: due periods become statements, in order, for good.
//!
//! ```text
//! due         periods whose end and grace have passed, account by account, strictly in order
//! read        their usage, as far as metering has come
//! rate        usage x card x terms; an account without a price for something stops here and is named
//! state       lines, total, digest chained to the account's last statement
//! commit      one transaction: the closing, its statements, its closed periods
//! ```

pub mod document;
pub mod due;
pub mod proof;
pub mod statement;
pub mod store;

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use rayon::prelude::*;

use crate::account::{Account, AccountBook};
use crate::books::Books;
use crate::card::book::CardBook;
use crate::card::store::load_cards;
use crate::error::{Error, Result};
use crate::ledger::{Lease, next_number};
use crate::meter::store::{progress, usage_paths};
use crate::meter::usage::{UsageDay, UsageTable};
use crate::rate::{DayUsage, PeriodUsage, Rated, rate};
use crate::span::{Cycle, Period};
use due::Due;
use statement::{Closing, Statement};

/// What a close did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Closed {
    /// Periods closed, with and without a statement.
    pub periods: usize,
    pub statements: usize,
    pub lines: u64,
    /// By currency: the sum of the totals, plain decimals.
    pub totals: BTreeMap<String, String>,
    pub blocked: Vec<Blocked>,
}

/// A due period that cannot close until a person acts.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Blocked {
    pub uin: u64,
    pub period_start: String,
    pub period_end: String,
    pub why: String,
    /// What has no price in force.
    pub unpriced: Vec<String>,
}

/// Closes every due period. The caller holds the lease.
#[tracing::instrument(skip_all)]
pub async fn close(books: &Books, lease: &Lease, accounts: &AccountBook) -> Result<Closed> {
    let cards = load_cards(&books.ledger).await?;
    let due = due::due(accounts, &cards, books.clock.now());
    let Some((from, to)) = due::days_needed(&due) else {
        return Ok(Closed::default());
    };
    let metered = progress(&books.ledger).await?;
    let paths = usage_paths(&books.ledger, from, to, metered.metering).await?;
    let heads = store::heads(&books.ledger).await?;
    let (statements, closed_periods, closed) = tokio::task::block_in_place(|| {
        let usage = read_usage(books, &paths, &due, (from, to))?;
        let rated = state_all(books, accounts, &cards, &due, &usage, &heads, metered.batch_hi)?;
        summed(rated)
    })?;
    if closed_periods.is_empty() {
        return Ok(closed);
    }
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    let closing = next_number(&mut tx, "closing").await?;
    store::add_closing(
        &mut tx,
        closing,
        metered.batch_hi,
        metered.metering,
        &books.clock.text(),
    )
    .await?;
    store::add_statements(&mut tx, closing, &statements).await?;
    store::add_closed_periods(&mut tx, closing, &closed_periods).await?;
    crate::fault::point("close.before_commit");
    tx.commit().await?;
    crate::fault::point("close.after_commit");
    Ok(closed)
}

/// Usage rows of the due accounts, sorted by account and day.
#[tracing::instrument(skip_all)]
fn read_usage(books: &Books, paths: &[String], due: &[Due], (from, to): (NaiveDate, NaiveDate)) -> Result<UsageTable> {
    let ranges: HashMap<u64, (NaiveDate, NaiveDate)> = due.iter().map(|d| (d.uin, (d.from, d.to()))).collect();
    let wanted = |uin, day| ranges.get(&uin).is_some_and(|&(from, to)| from <= day && day < to);
    let mut table = UsageTable::default();
    for path in paths {
        table.read(&books.data.join(path), from, to, &wanted)?;
    }
    table.rows.par_sort_unstable_by_key(|row| (row.uin, row.day));
    Ok(table)
}

/// One account's closed periods, its statements, and what blocks the next one.
#[derive(Default)]
struct AccountClose {
    statements: Vec<Stated>,
    periods: Vec<(u64, Period)>,
    blocked: Option<Blocked>,
}

/// A statement and the metered records that it bills.
pub struct Stated {
    pub statement: Statement,
    pub records: i64,
}

#[tracing::instrument(skip_all)]
fn state_all(
    books: &Books,
    accounts: &AccountBook,
    cards: &CardBook,
    due: &[Due],
    usage: &UsageTable,
    heads: &HashMap<u64, String>,
    batch_hi: i64,
) -> Result<Vec<AccountClose>> {
    due.par_iter()
        .map(|due| {
            let account = accounts
                .get(due.uin)
                .ok_or_else(|| Error::Unbalanced(format!("account {} is due and is not there", due.uin)))?;
            let start = usage.rows.partition_point(|row| row.uin < due.uin);
            let end = usage.rows.partition_point(|row| row.uin <= due.uin);
            let rows = &usage.rows[start..end];
            state_account(
                books,
                account,
                cards,
                due,
                usage,
                rows,
                heads.get(&due.uin).cloned(),
                batch_hi,
            )
        })
        .collect()
}

#[expect(
    clippy::too_many_arguments,
    reason = "an account's close depends on all of it, and nothing else does"
)]
fn state_account(
    books: &Books,
    account: &Account,
    cards: &CardBook,
    due: &Due,
    usage: &UsageTable,
    rows: &[UsageDay],
    mut head: Option<String>,
    batch_hi: i64,
) -> Result<AccountClose> {
    let mut close = AccountClose::default();
    for &period in &due.periods {
        let terms = account.terms_on(period.start);
        let inputs = PeriodRows::of(account, period, usage, rows);
        let rated = inputs.rate(due.uin, period, account, cards)?;
        if !rated.unpriced().is_empty() {
            close.blocked = Some(blocked(due.uin, period, &rated));
            return Ok(close);
        }
        let currency = rated.currency();
        let charges = rated.complete().map_err(|e| Error::Unbalanced(e.to_string()))?;
        if let Some(currency) = currency.filter(|_| !charges.is_empty()) {
            let closing = Closing {
                uin: due.uin,
                period,
                zone: terms.zone,
                currency,
                closed_at: books.clock.now(),
                high_water_batch: batch_hi,
                charges: &charges,
                previous_digest: head.as_deref(),
            };
            let statement = Statement::close(&closing).map_err(|e| Error::Unbalanced(e.to_string()))?;
            let records = charges.iter().map(|charge| charge.records).sum();
            inputs.check_records(&statement, records)?;
            head = Some(statement.digest.clone());
            close.statements.push(Stated { statement, records });
        }
        close.periods.push((due.uin, period));
    }
    Ok(close)
}

fn blocked(uin: u64, period: Period, rated: &Rated) -> Blocked {
    let unpriced: Vec<String> = rated.unpriced().iter().map(ToString::to_string).collect();
    Blocked {
        uin,
        period_start: period.start.to_string(),
        period_end: period.end.to_string(),
        why: "usage without a price in force; add the price to the rate card (a revision that adds is accepted) and run again"
            .to_owned(),
        unpriced,
    }
}

/// The usage of one period, and of the days before it that move its counters.
pub struct PeriodRows<'a> {
    usage: Vec<DayUsage<'a>>,
    earlier: Vec<DayUsage<'a>>,
}

impl<'a> PeriodRows<'a> {
    /// Picks a period's rows out of an account's, which are sorted by day.
    pub fn of(account: &Account, period: Period, table: &'a UsageTable, rows: &'a [UsageDay]) -> Self {
        let cycle = account.terms_on(period.start).cycle;
        let counters_from = cycle.counters_from(&period);
        let between = |from, to| {
            let start = rows.partition_point(|row: &UsageDay| row.day < from);
            let end = rows.partition_point(|row| row.day < to);
            rows[start.min(end)..end]
                .iter()
                .map(|row| DayUsage {
                    appid: row.appid,
                    region: table.text(row.region),
                    sku: table.text(row.sku),
                    day: row.day,
                    records: row.records,
                    billable: row.billable,
                })
                .collect()
        };
        let earlier = if cycle == Cycle::Daily {
            between(counters_from, period.start)
        } else {
            Vec::new()
        };
        Self {
            usage: between(period.start, period.end),
            earlier,
        }
    }

    /// Charges of the period.
    pub fn rate(&'a self, uin: u64, period: Period, account: &'a Account, cards: &'a CardBook) -> Result<Rated<'a>> {
        let terms = account.terms_on(period.start);
        let input = PeriodUsage {
            uin,
            period,
            terms,
            cards: cards.of_name(&terms.card),
            usage: &self.usage,
            earlier: &self.earlier,
        };
        rate(&input).map_err(|e| Error::Unbalanced(e.to_string()))
    }

    /// Metered usage = usage billed, in records.
    fn check_records(&self, statement: &Statement, billed: i64) -> Result<()> {
        let metered: i64 = self.usage.iter().map(|row| row.records).sum();
        if metered == billed {
            return Ok(());
        }
        Err(Error::Unbalanced(format!(
            "statement {} bills {billed} records where {metered} were metered",
            statement.statement_id
        )))
    }
}

type Summed = (Vec<Stated>, Vec<(u64, Period)>, Closed);

fn summed(accounts: Vec<AccountClose>) -> Result<Summed> {
    let mut closed = Closed::default();
    let (mut statements, mut periods) = (Vec::new(), Vec::new());
    for account in accounts {
        statements.extend(account.statements);
        periods.extend(account.periods);
        closed.blocked.extend(account.blocked);
    }
    closed.periods = periods.len();
    closed.statements = statements.len();
    closed.lines = statements.iter().map(|s| u64::from(s.statement.lines)).sum();
    let mut totals: BTreeMap<crate::money::Currency, Vec<rust_decimal::Decimal>> = BTreeMap::new();
    for stated in &statements {
        totals
            .entry(stated.statement.currency)
            .or_default()
            .push(stated.statement.total);
    }
    for (currency, amounts) in totals {
        let total = crate::money::sum(amounts).map_err(|e| Error::Unbalanced(e.to_string()))?;
        closed
            .totals
            .insert(currency.to_string(), crate::money::plain(total, currency.minor_units()));
    }
    Ok((statements, periods, closed))
}
