//! Writing a close: the pieces of it go into one transaction as they come, so that they need not be in memory together.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::adjustment::pending;
use super::draft::month_totals::JustStated;
use super::store;
use super::store::NewClosing;
use super::{AccountClose, Closed, Stated};
use crate::catalog::account::Accounts;
use crate::context::Books;
use crate::storage::ledger::{Lease, Tx, next_number};
use crate::support::error::{Error, Result};
use crate::values::calendar::Period;
use crate::values::money::{Currency, plain, sum};

/// What every statement of a close rests on.
#[derive(Clone, Copy, Debug)]
pub struct RestsOn {
    pub batch_hi: i64,
    pub metering: i64,
    pub card_hi: i64,
}

/// A close that is being written.
pub struct Writing<'a> {
    books: &'a Books,
    lease: &'a Lease,
    rests_on: RestsOn,
    /// The transaction and the number of the closing; none before the first period that closes.
    open: Option<(Tx, i64)>,
    closed: Closed,
    periods: Vec<(u64, Period)>,
    /// How many statements each period has.
    stated: BTreeMap<Period, i64>,
    totals: BTreeMap<Currency, Decimal>,
}

impl<'a> Writing<'a> {
    pub fn new(books: &'a Books, lease: &'a Lease, rests_on: RestsOn) -> Self {
        Self {
            books,
            lease,
            rests_on,
            open: None,
            closed: Closed::default(),
            periods: Vec::new(),
            stated: BTreeMap::new(),
            totals: BTreeMap::new(),
        }
    }

    /// Adds what some accounts close.
    pub async fn add(&mut self, accounts: Vec<AccountClose>) -> Result<()> {
        let (mut stated, mut periods, mut empty, mut settled) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for account in accounts {
            settled.extend(account.settles);
            empty.extend(account.empty);
            periods.extend(account.periods);
            self.closed.blocked.extend(account.blocked);
            stated.extend(account.statements);
        }
        if periods.is_empty() {
            return Ok(());
        }
        self.closed.periods += periods.len();
        self.closed.statements += stated.len();
        self.closed.adjusted_accounts += settled.len();
        for Stated { statement, records, .. } in &stated {
            self.closed.stated.push(JustStated {
                uin: statement.uin,
                start: statement.period.start,
                currency: statement.currency,
                total: statement.total,
                records: *records,
            });
            self.closed.lines += u64::from(statement.lines);
            *self.stated.entry(statement.period).or_default() += 1;
            let total = self.totals.entry(statement.currency).or_default();
            *total = sum([*total, statement.total]).map_err(|e| Error::Unbalanced(e.to_string()))?;
        }
        let (tx, closing) = match &mut self.open {
            Some(open) => open,
            none => none.insert(begin(self.books, self.lease, self.rests_on).await?),
        };
        store::add_statements(tx, *closing, stated).await?;
        store::add_empty_periods(tx, *closing, &empty).await?;
        pending::settle(tx, &settled, *closing).await?;
        self.periods.append(&mut periods);
        Ok(())
    }

    /// Commits, when there is something to commit, and tells what was closed. The periods are closed in `accounts`, too.
    pub async fn commit(mut self, accounts: &mut Accounts) -> Result<Closed> {
        for (currency, total) in self.totals {
            let total = plain(total, currency.minor_units());
            self.closed.totals.insert(currency.to_string(), total);
        }
        if let Some((mut tx, closing)) = self.open {
            store::add_stated_periods(&mut tx, closing, &self.stated).await?;
            store::count_closing(&mut tx, closing, self.closed.statements, self.closed.periods).await?;
            for &(uin, period) in &self.periods {
                accounts.close_to(uin, period.end);
            }
            self.closed.closed_periods = self.periods;
            self.books.ledger.commit(tx, "close").await?;
            self.closed.closing = Some(closing);
        }
        Ok(self.closed)
    }
}

/// Begins the transaction, with the row that all others name.
async fn begin(books: &Books, lease: &Lease, rests_on: RestsOn) -> Result<(Tx, i64)> {
    crate::support::failpoint::file("stated", books.data.root());
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    let closing = next_number(&mut tx, "closing").await?;
    let new = NewClosing {
        closing,
        batch_hi: rests_on.batch_hi,
        metering: rests_on.metering,
        card_hi: rests_on.card_hi,
        closed_at: &books.clock.text(),
    };
    store::add_closing(&mut tx, &new).await?;
    // The periods that close have drafts; those of the others come back with the next ones.
    store::drop_drafts(&mut tx).await?;
    Ok((tx, closing))
}
