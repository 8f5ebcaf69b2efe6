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

pub mod adjustment;
mod commit;
pub mod draft;
pub mod due;
pub mod period_charges;
pub mod statement;
pub mod store;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::account::Accounts;
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::store::load_cards_and_number;
use crate::context::Books;
use crate::pipeline::meter::store::{Progress, progress, usage_paths};
use crate::storage::ledger::Lease;
use crate::storage::usage::table::UsageTable;
use crate::support::error::{Error, Result};
use crate::support::overlap::{Taker, write_while_making};
use crate::support::threads;
use crate::values::calendar::Period;
use adjustment::closed_periods::{Past, read_past};
use commit::{RestsOn, Writing};
use draft::month_totals::JustStated;
use due::Due;
use period_charges::{AccountUsage, PeriodCharges};
use statement::{Closing, Statement, StatementError};

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
    /// How many accounts have due periods that wait for a card, by the card's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, usize>,
    /// The number of the closing; none when nothing closed.
    #[serde(skip)]
    pub closing: Option<i64>,
    #[serde(skip)]
    pub stated: Vec<JustStated>,
    /// With and without a statement, by account.
    #[serde(skip)]
    pub closed_periods: Vec<(u64, Period)>,
}

/// A due period that cannot close until a person acts.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Blocked {
    #[serde(serialize_with = "uin_as_text")]
    pub uin: u64,
    pub period_start: String,
    pub period_end: String,
    pub why: String,
    /// What has no price in force.
    pub unpriced: Vec<String>,
}

/// An account's number has up to 20 digits, more than a number in JSON keeps with every reader.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a field over by reference")]
fn uin_as_text<S: serde::Serializer>(uin: &u64, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_str(uin)
}

/// Accounts that a thread rates at a time: few enough that writing begins soon and ends soon after the last is rated, enough for
/// INSERTs of many rows.
const ACCOUNTS_OF_A_PIECE: usize = 512;

/// Pieces that are rated and wait to be written: enough that neither side waits for long.
const PIECES_AHEAD: usize = 8;

/// Closes every due period, in the ledger and in `accounts`, but for those under cards of which the ledger lacks a version
/// (`incomplete`, by name); nothing while the machine's clock is in doubt. The caller holds the lease.
#[tracing::instrument(skip_all)]
pub async fn close(
    books: &Books,
    lease: &Lease,
    accounts: &mut Accounts,
    incomplete: &BTreeSet<String>,
) -> Result<Closed> {
    if books.clock.doubt().is_some() {
        return Ok(Closed::default());
    }
    let (cards, card_hi) = load_cards_and_number(&books.ledger).await?;
    let mut due = due::due(accounts, &cards, books.clock.irreversible());
    let held = due::hold_back(&mut due, accounts, incomplete);
    let past = read_past(&books.ledger, &due).await?;
    reach_back(&mut due, accounts, &past);
    let Some((from, to)) = due::days_needed(&due) else {
        return Ok(Closed {
            held,
            ..Closed::default()
        });
    };
    let metered = progress(&books.ledger).await?;
    let rating = Rating {
        books,
        accounts,
        cards: &cards,
        files: &usage_paths(&books.ledger, from, to, metered.metering).await?,
        due: &due,
        heads: &store::heads(&books.ledger).await?,
        past: &past,
        metered: &metered,
    };
    let rests_on = RestsOn {
        batch_hi: metered.batch_hi,
        metering: metered.metering,
        card_hi,
    };
    let mut writing = Writing::new(books, lease, rests_on);
    write_while_making(
        PIECES_AHEAD,
        |to| rating.rate(to),
        async |piece| writing.add(piece).await,
    )
    .await?;
    let closed = writing.commit(accounts).await?;
    Ok(Closed { held, ..closed })
}

/// Moves back the days whose usage is read, for accounts with something to adjust.
pub fn reach_back(due: &mut [Due], accounts: &Accounts, past: &HashMap<u64, Past>) {
    for due in due {
        if let (Some(past), Some(account)) = (past.get(&due.uin), accounts.get(due.uin)) {
            let needed = AccountUsage::needed_from(account, &past.closed, &past.touched);
            due.from = needed.map_or(due.from, |from| from.min(due.from));
        }
    }
}

/// One account's closed periods, its statements, and what blocks the next one.
#[derive(Default)]
struct AccountClose {
    statements: Vec<Stated>,
    periods: Vec<(u64, Period)>,
    /// Those of the periods that have no statement.
    empty: Vec<(u64, Period)>,
    blocked: Option<Blocked>,
    /// The account, when what waited for an adjustment has it now.
    settles: Option<u64>,
}

/// A statement and the metered records that it bills.
pub struct Stated {
    pub statement: Statement,
    pub records: i64,
    /// Of earlier periods, more or less than was billed.
    pub adjusted_records: i64,
}

/// All that a close depends on.
struct Rating<'a> {
    books: &'a Books,
    accounts: &'a Accounts,
    cards: &'a RateCatalog,
    files: &'a [(String, i64)],
    due: &'a [Due],
    heads: &'a HashMap<u64, String>,
    past: &'a HashMap<u64, Past>,
    metered: &'a Progress,
}

impl Rating<'_> {
    /// Sends the closes of all due accounts on, in pieces and in the order of accounts, until nobody takes them any more.
    #[tracing::instrument(skip_all)]
    fn rate(&self, to: &Taker<Vec<AccountClose>>) -> Result<()> {
        due::by_piece(&self.books.data, self.files, self.due, |table, due| {
            let pieces: Vec<&[Due]> = due.chunks(ACCOUNTS_OF_A_PIECE).collect();
            let state = |at: usize| pieces[at].iter().map(|due| self.state_account(due, table)).collect();
            threads::in_order(pieces.len(), PIECES_AHEAD, state, |closes| to.take(closes))
        })
    }

    fn state_account(&self, due: &Due, table: &UsageTable) -> Result<AccountClose> {
        let account = self
            .accounts
            .get(due.uin)
            .ok_or_else(|| Error::Unbalanced(format!("account {} is due and is not there", due.uin)))?;
        let usage = AccountUsage {
            uin: due.uin,
            account,
            cards: self.cards,
            rows: table.of_account(due.uin),
            metering: self.metered.metering,
        };
        let past = self.past.get(&due.uin);
        let mut head = self.heads.get(&due.uin).cloned();
        let mut close = AccountClose::default();
        for (at, &period) in due.periods.iter().enumerate() {
            // The first that closes is the earliest unclosed one: it carries the adjustments.
            let again = past.filter(|_| at == 0);
            let stated = usage.with_charges(period, Past::again(again), |charges| {
                let other_currency = charges.blocked_by_currency(due.uin, period);
                if !charges.unpriced.is_empty() {
                    return Ok(Err(unpriced(due.uin, period, charges.unpriced)));
                }
                if let Some(why) = other_currency {
                    return Ok(Err(blocked(due.uin, period, why, Vec::new())));
                }
                let closing = ClosingOf {
                    uin: due.uin,
                    period,
                    zone: account.terms_on(period.start).zone,
                    high_water_batch: self.metered.batch_hi,
                    head: head.as_deref(),
                };
                state(&closing, self.books.clock.now(), &charges).map(Ok)
            });
            let stated = match stated {
                Err(Error::TooLarge(why)) => Err(blocked(due.uin, period, why, Vec::new())),
                stated => stated?,
            };
            match stated {
                Ok(Some(stated)) => {
                    head = Some(stated.statement.digest.clone());
                    close.statements.push(stated);
                }
                Ok(None) => close.empty.push((due.uin, period)),
                Err(blocked) => {
                    close.blocked = Some(blocked);
                    return Ok(close);
                }
            }
            close.settles = close.settles.or(again.map(|_| due.uin));
            close.periods.push((due.uin, period));
        }
        Ok(close)
    }
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
    let statement = Statement::close(&closing).map_err(|e| match e {
        StatementError::Money { .. } => Error::TooLarge(e.to_string()),
        _ => Error::Unbalanced(e.to_string()),
    })?;
    let own = charges
        .charges
        .iter()
        .filter(|c| c.kind != crate::pipeline::rate::Kind::Adjustment);
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
    let why = "usage without a price in force; add the price to the rate card (a revision that only adds is accepted) and run \
               again";
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
