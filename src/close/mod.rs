//! Close: due periods become statements, in order, for good.
//!
//! ```text
//! due         periods whose end and grace have passed, account by account, strictly in order
//! read        their usage, as far as metering has come, and that of closed periods that changed since
//! rate        usage x card x terms; an account without a price for something stops here and is named
//! adjust      closed periods rated again, minus what was billed for them: lines of the first period that closes
//! state       lines, total, digest chained to the account's last statement
//! commit      one transaction: the closing, its statements, its closed periods, what it adjusted
//! draft       what the periods that stay open would cost now, for dashboards
//! ```

pub mod account;
pub mod adjust;
pub mod document;
pub mod draft;
pub mod due;
pub mod months;
pub mod proof;
pub mod statement;
pub mod store;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use rayon::prelude::*;

use crate::account::AccountBook;
use crate::books::Books;
use crate::card::book::CardBook;
use crate::card::store::load_cards_and_number;
use crate::error::{Error, Result};
use crate::ledger::{Lease, next_number};
use crate::meter::store::{progress, usage_paths};
use crate::meter::usage::UsageTable;
use crate::span::Period;
use account::{AccountUsage, ClosedPeriod, PeriodCharges, Touched};
use due::Due;
use statement::{Closing, Statement};

/// What a close did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Closed {
    /// Periods closed, with and without a statement.
    pub periods: usize,
    pub statements: usize,
    pub lines: u64,
    /// Accounts whose closed periods were adjusted.
    pub adjusted_accounts: usize,
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

/// What is known of accounts whose closed periods changed.
#[derive(Clone, Debug, Default)]
struct Past {
    touched: Touched,
    closed: Vec<ClosedPeriod>,
    /// In the order in which they were closed.
    statements: Vec<Statement>,
}

/// Closes every due period. The caller holds the lease.
#[tracing::instrument(skip_all)]
pub async fn close(books: &Books, lease: &Lease, accounts: &AccountBook) -> Result<Closed> {
    let (cards, card_hi) = load_cards_and_number(&books.ledger).await?;
    let mut due = due::due(accounts, &cards, books.clock.now());
    let past = read_past(books, &due).await?;
    reach_back(&mut due, accounts, &past);
    let Some(days) = due::days_needed(&due) else {
        return Ok(Closed::default());
    };
    let metered = progress(&books.ledger).await?;
    let paths = usage_paths(&books.ledger, days.0, days.1, metered.metering).await?;
    let heads = store::heads(&books.ledger).await?;
    let (stated, periods, closed) = tokio::task::block_in_place(|| {
        let usage = read_usage(books, &paths, &due, days)?;
        let books_of = |due: &Due| state_account(books, accounts, &cards, due, &usage, &heads, &past, &metered);
        summed(due.par_iter().map(books_of).collect::<Result<_>>()?)
    })?;
    if periods.is_empty() {
        return Ok(closed);
    }
    crate::fault::file("stated", books.data.root());
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    let closing = store::NewClosing {
        closing: next_number(&mut tx, "closing").await?,
        batch_hi: metered.batch_hi,
        metering: metered.metering,
        card_hi,
        statements: stated.len(),
        periods: periods.len(),
        closed_at: &books.clock.text(),
    };
    store::add_closing(&mut tx, &closing).await?;
    store::add_statements(&mut tx, closing.closing, &stated).await?;
    store::add_closed_periods(&mut tx, closing.closing, &periods).await?;
    // The periods that close have drafts; those of the others come back with the next ones.
    store::drop_drafts(&mut tx).await?;
    let charges: Vec<_> = stated.iter().map(store::PeriodCharge::closed).collect();
    store::add_charges(&mut tx, &charges).await?;
    let closed_accounts: BTreeSet<u64> = periods.iter().map(|(uin, _)| *uin).collect();
    for &uin in closed_accounts.iter().filter(|uin| past.contains_key(*uin)) {
        store::settle(&mut tx, uin, closing.closing).await?;
    }
    books.ledger.commit(tx, "close").await?;
    Ok(closed)
}

/// The past of due accounts whose closed periods wait for an adjustment.
async fn read_past(books: &Books, due: &[Due]) -> Result<HashMap<u64, Past>> {
    let mut waiting = store::waiting(&books.ledger).await?;
    let mut past = HashMap::new();
    if waiting.is_empty() {
        return Ok(past);
    }
    for due in due {
        if let Some(touched) = waiting.remove(&due.uin) {
            let past_of = Past {
                touched,
                closed: store::closed_periods_of(&books.ledger, due.uin).await?,
                statements: store::statements_of(&books.ledger, due.uin).await?,
            };
            past.insert(due.uin, past_of);
        }
    }
    Ok(past)
}

/// Moves back the days whose usage is read, for accounts with something to adjust.
fn reach_back(due: &mut [Due], accounts: &AccountBook, past: &HashMap<u64, Past>) {
    for due in due {
        if let (Some(past), Some(account)) = (past.get(&due.uin), accounts.get(due.uin)) {
            let needed = AccountUsage::needed_from(account, &past.closed, &past.touched);
            due.from = needed.map_or(due.from, |from| from.min(due.from));
        }
    }
}

/// Usage rows of the due accounts, sorted by account and day.
#[tracing::instrument(skip_all)]
fn read_usage(
    books: &Books,
    paths: &[(String, i64)],
    due: &[Due],
    (from, to): (NaiveDate, NaiveDate),
) -> Result<UsageTable> {
    let ranges: HashMap<u64, (NaiveDate, NaiveDate)> = due.iter().map(|d| (d.uin, (d.from, d.to()))).collect();
    let wanted = |uin, day| ranges.get(&uin).is_some_and(|&(from, to)| from <= day && day < to);
    let mut table = UsageTable::default();
    for (path, metering) in paths {
        table.read((&books.data.join(path), *metering), from, to, &wanted)?;
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
    is_adjusted: bool,
}

/// A statement and the metered records that it bills.
pub struct Stated {
    pub statement: Statement,
    pub records: i64,
    /// Of earlier periods, more or less than was billed.
    pub adjusted_records: i64,
}

#[expect(
    clippy::too_many_arguments,
    reason = "an account's close depends on all of it, and nothing else does"
)]
fn state_account(
    books: &Books,
    accounts: &AccountBook,
    cards: &CardBook,
    due: &Due,
    table: &UsageTable,
    heads: &HashMap<u64, String>,
    past: &HashMap<u64, Past>,
    metered: &crate::meter::store::Progress,
) -> Result<AccountClose> {
    let account = accounts
        .get(due.uin)
        .ok_or_else(|| Error::Unbalanced(format!("account {} is due and is not there", due.uin)))?;
    let usage = AccountUsage {
        uin: due.uin,
        account,
        cards,
        table,
        rows: table.of_account(due.uin),
        metering: metered.metering,
    };
    let past = past.get(&due.uin);
    let mut head = heads.get(&due.uin).cloned();
    let mut close = AccountClose::default();
    for (at, &period) in due.periods.iter().enumerate() {
        // The first that closes is the earliest unclosed one: it carries the adjustments.
        let again = past.filter(|_| at == 0);
        let again = again.map(|past| (&past.touched, &past.closed[..], &past.statements[..]));
        let stated = usage.with_charges(period, again, |charges| {
            if !charges.unpriced.is_empty() {
                return Ok(Err(unpriced(due.uin, period, charges.unpriced)));
            }
            if let Some(why) = charges.other_currency {
                return Ok(Err(blocked(due.uin, period, why, Vec::new())));
            }
            let closing = ClosingOf {
                uin: due.uin,
                period,
                zone: account.terms_on(period.start).zone,
                high_water_batch: metered.batch_hi,
                head: head.as_deref(),
            };
            state(&closing, books.clock.now(), &charges).map(Ok)
        });
        match stated? {
            Ok(Some(stated)) => {
                head = Some(stated.statement.digest.clone());
                close.statements.push(stated);
            }
            Ok(None) => {}
            Err(blocked) => {
                close.blocked = Some(blocked);
                return Ok(close);
            }
        }
        close.is_adjusted |= again.is_some();
        close.periods.push((due.uin, period));
    }
    Ok(close)
}

/// What a statement is named and chained by.
pub struct ClosingOf<'a> {
    pub uin: u64,
    pub period: Period,
    pub zone: chrono_tz::Tz,
    pub high_water_batch: i64,
    pub head: Option<&'a str>,
}

/// The statement of a period, or none when it has no line. Metered usage = usage billed, in records.
pub fn state(
    of: &ClosingOf,
    closed_at: chrono::DateTime<chrono::Utc>,
    charges: &PeriodCharges,
) -> Result<Option<Stated>> {
    let Some(currency) = charges.currency else {
        return Ok(None);
    };
    let closing = Closing {
        uin: of.uin,
        period: of.period,
        zone: of.zone,
        currency,
        closed_at,
        high_water_batch: of.high_water_batch,
        charges: &charges.charges,
        previous_digest: of.head,
    };
    let statement = Statement::close(&closing).map_err(|e| Error::Unbalanced(e.to_string()))?;
    let own = charges
        .charges
        .iter()
        .filter(|c| c.kind != crate::rate::Kind::Adjustment);
    let billed: i64 = own.map(|charge| charge.records).sum();
    if billed != charges.records {
        return Err(Error::Unbalanced(format!(
            "statement {} bills {billed} records where {} were metered",
            statement.statement_id, charges.records
        )));
    }
    Ok(Some(Stated {
        statement,
        records: billed,
        adjusted_records: charges.adjusted_records,
    }))
}

fn unpriced(uin: u64, period: Period, unpriced: Vec<String>) -> Blocked {
    let why = "usage without a price in force; add the price to the rate card (a revision that adds is accepted) and run again";
    blocked(uin, period, why.to_owned(), unpriced)
}

fn blocked(uin: u64, period: Period, why: String, unpriced: Vec<String>) -> Blocked {
    Blocked {
        uin,
        period_start: period.start.to_string(),
        period_end: period.end.to_string(),
        why,
        unpriced,
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
        closed.adjusted_accounts += usize::from(account.is_adjusted);
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
