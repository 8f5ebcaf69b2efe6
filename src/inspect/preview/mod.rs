//! Preview: what a change of prices or terms comes to, before it is made. Writes nothing.
//!
//! ```text
//! change      the accounts and cards as they would be, and the closed periods that would be rated again
//! read        usage, what was billed, what waits for an adjustment: as a close reads them
//! rate        each account twice, as it is and as it would be, with the function that closes and drafts
//! sum         the money of closed and of open periods, per currency and for the largest accounts
//! ```

mod money;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use rayon::prelude::*;

use crate::catalog::account::{Account, Accounts};
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::store::load_cards_and_number;
use crate::context::Books;
use crate::pipeline::close::adjustment::closed_periods::{Past, past_of};
use crate::pipeline::close::adjustment::pending::waiting;
use crate::pipeline::close::adjustment::settlement::Before;
use crate::pipeline::close::due;
use crate::pipeline::close::due::Due;
use crate::pipeline::close::period_charges::{AccountUsage, Touched, closed_period_of};
use crate::pipeline::meter::store::{progress, usage_paths};
use crate::pipeline::rate::Kind;
use crate::storage::usage::table::UsageTable;
use crate::support::error::{Error, Result};
use crate::values::calendar::Period;
pub use money::{AccountMoney, Difference, Money, Sum};
use money::{Amounts, OfAccount};

/// Accounts told one by one.
const LARGEST: usize = 10;

/// The books as they would be.
#[derive(Debug)]
pub struct Change<'a> {
    /// All accounts before.
    pub before: &'a Accounts,
    /// All accounts after.
    pub after: &'a Accounts,
    /// All cards after.
    pub cards: &'a RateCatalog,
    /// Accounts whose money may change.
    pub uins: BTreeSet<u64>,
    /// Closed periods, by account and first day, that would be rated again.
    pub again: Vec<(u64, NaiveDate)>,
}

/// What a change comes to. Nobody may close or meter beside it: the caller holds the lease, or looks whether somebody did.
pub async fn preview(books: &Books, change: &Change<'_>) -> Result<Money> {
    let (cards, _) = load_cards_and_number(&books.ledger).await?;
    let metering = progress(&books.ledger).await?.metering;
    let waits = waiting(&books.ledger).await?;
    let touched = touched(change, &waits);
    let today = books.clock.today();
    // West and east of UTC it may be another day.
    let to = today.succ_opt().unwrap_or(today);
    let uins = change.uins.iter().copied();
    let mut open: Vec<Due> = uins.filter_map(|uin| change.open_periods(uin, to)).collect();
    let past = past_of(&books.ledger, &open, touched).await?;
    reach_back(&mut open, change, &past);
    let Some((from, to)) = due::days_needed(&open) else {
        return Ok(Money::default());
    };
    let files = usage_paths(&books.ledger, from, to, metering).await?;
    let rating = Rating {
        change,
        cards: &cards,
        waits: &waits,
        past: &past,
        today,
        metering,
    };
    let mut money = Vec::new();
    tokio::task::block_in_place(|| {
        due::by_piece(&books.data, &files, &open, |table, open| {
            let of_piece: Vec<OfAccount> = open
                .par_iter()
                .map(|open| rating.of_account(open.uin, table))
                .collect::<Result<_>>()?;
            money.extend(of_piece);
            Ok(())
        })
    })?;
    Money::of(money, LARGEST)
}

/// How far the books have come: a preview holds for books that stand still.
pub async fn books_at(books: &Books) -> Result<(i64, i64, Option<i64>)> {
    let (_, card) = load_cards_and_number(&books.ledger).await?;
    let closing = crate::pipeline::close::store::closings(&books.ledger)
        .await?
        .into_keys()
        .max();
    Ok((progress(&books.ledger).await?.metering, card, closing))
}

/// The same, and an error where another run went on meanwhile.
pub fn check_still(before: (i64, i64, Option<i64>), after: (i64, i64, Option<i64>)) -> Result<()> {
    if before == after {
        return Ok(());
    }
    Err(Error::Overtaken(
        "another run metered, closed or imported cards meanwhile, so these amounts would be out of date; run it again"
            .to_owned(),
    ))
}

/// What is rated again of each account: what waits, and what the change touches.
fn touched(change: &Change, waits: &HashMap<u64, Touched>) -> HashMap<u64, Touched> {
    let mut touched: HashMap<u64, Touched> = HashMap::new();
    for uin in &change.uins {
        if let Some(waits) = waits.get(uin) {
            touched.insert(*uin, waits.clone());
        }
    }
    for &(uin, start) in &change.again {
        touched.entry(uin).or_default().add(start, true);
    }
    touched
}

/// Moves back the days whose usage is read, for accounts with something to rate again, before the change or after it.
fn reach_back(open: &mut [Due], change: &Change, past: &HashMap<u64, Past>) {
    for open in open {
        let Some(past) = past.get(&open.uin) else { continue };
        for account in [change.before.get(open.uin), change.after.get(open.uin)] {
            let needed = account.and_then(|account| AccountUsage::needed_from(account, &past.closed, &past.touched));
            open.from = needed.map_or(open.from, |from| from.min(open.from));
        }
    }
}

impl Change<'_> {
    /// The days of an account that are rated, before or after: from its first open period on.
    fn open_periods(&self, uin: u64, to: NaiveDate) -> Option<Due> {
        let mut all: Option<Due> = None;
        for account in [self.before.get(uin), self.after.get(uin)].into_iter().flatten() {
            let periods = open_periods(account, to);
            let Some(first) = periods.first() else { continue };
            let from = account.counters_from(first);
            all = Some(match all {
                None => Due { uin, periods, from },
                Some(known) => Due {
                    uin,
                    from: known.from.min(from),
                    periods: if known.to() < periods[periods.len() - 1].end {
                        periods
                    } else {
                        known.periods
                    },
                },
            });
        }
        all
    }
}

/// The first open period of an account, which carries adjustments, and those after it that have begun.
fn open_periods(account: &Account, to: NaiveDate) -> Vec<Period> {
    let Some(mut period) = account.open_period() else {
        return Vec::new();
    };
    let mut periods = vec![period];
    loop {
        period = account.period_from(period.end);
        if to < period.start {
            return periods;
        }
        periods.push(period);
    }
}

/// All that the money depends on.
struct Rating<'a> {
    change: &'a Change<'a>,
    cards: &'a RateCatalog,
    waits: &'a HashMap<u64, Touched>,
    past: &'a HashMap<u64, Past>,
    today: NaiveDate,
    metering: i64,
}

/// One account, as it is or as it would be.
#[derive(Default)]
struct Side {
    open: Amounts,
    /// By closed period: what adjustments come to.
    adjustments: BTreeMap<Period, Amounts>,
    obstacles: Vec<String>,
}

impl Rating<'_> {
    fn of_account(&self, uin: u64, table: &UsageTable) -> Result<OfAccount> {
        let waits = self.waits.get(&uin).cloned().unwrap_or_default();
        let past = self.past.get(&uin);
        let sides = [
            (self.change.before.get(uin), self.cards, &waits),
            (
                self.change.after.get(uin),
                self.change.cards,
                past.map_or(&waits, |past| &past.touched),
            ),
        ];
        let [before, after] = sides.map(|(account, cards, touched)| match account {
            Some(account) => self.side(uin, account, cards, (touched, past), table),
            None => Ok(Side::default()),
        });
        let (before, after) = (before?, after?);
        let mut of_account = OfAccount::new(uin);
        let is_new = |it: &&String| !before.obstacles.contains(it);
        of_account.obstacles = after.obstacles.iter().filter(is_new).cloned().collect();
        of_account.add_open(&before.open, &after.open)?;
        let periods: BTreeSet<Period> = before
            .adjustments
            .keys()
            .chain(after.adjustments.keys())
            .copied()
            .collect();
        let starts: BTreeSet<NaiveDate> = self
            .change
            .again
            .iter()
            .filter(|(of, _)| *of == uin)
            .map(|(_, start)| *start)
            .collect();
        let nothing = Amounts::default();
        for period in periods.into_iter().chain(untouched(&starts, past, &before, &after)) {
            let [before, after] = [&before, &after].map(|side| side.adjustments.get(&period).unwrap_or(&nothing));
            if before != after || starts.contains(&period.start) {
                let billed = billed(past, period)?;
                of_account.add_closed(&billed, before, after)?;
            }
        }
        Ok(of_account)
    }

    fn side(
        &self,
        uin: u64,
        account: &Account,
        cards: &RateCatalog,
        (touched, past): (&Touched, Option<&Past>),
        table: &UsageTable,
    ) -> Result<Side> {
        let usage = AccountUsage {
            uin,
            account,
            cards,
            rows: table.of_account(uin),
            metering: self.metering,
        };
        let nothing = Touched::default();
        let closed = past.map_or(&[][..], |past| &past.closed);
        let mut side = Side::default();
        let to = self.today.succ_opt().unwrap_or(self.today);
        for (at, period) in open_periods(account, to).into_iter().enumerate() {
            let again = match past.filter(|_| at == 0) {
                Some(past) => (touched, past.before()),
                None => (&nothing, Before::NOTHING),
            };
            let rated = usage.with_charges(period, again, |charges| {
                side.obstacles.extend(charges.obstacles(uin, period));
                let in_other = charges.in_other_currency.iter();
                let in_other = in_other.flat_map(|it| it.lines.iter().map(|line| (it.currency, line)));
                let own = charges.charges.iter().map(|line| (charges.currency, line));
                for (currency, line) in own.chain(in_other) {
                    let Some(currency) = currency else { continue };
                    let amounts = if line.kind == Kind::Adjustment {
                        let of = closed_period_of(account, closed, line.span_start);
                        side.adjustments.entry(of).or_default()
                    } else {
                        &mut side.open
                    };
                    amounts.add(currency, line.amount)?;
                }
                Ok(())
            });
            match rated {
                Err(Error::TooLarge(why)) => side.obstacles.push(why),
                rated => rated?,
            }
        }
        Ok(side)
    }
}

/// Closed periods that are rated again and come to the same.
fn untouched<'a>(
    starts: &'a BTreeSet<NaiveDate>,
    past: Option<&'a Past>,
    before: &'a Side,
    after: &'a Side,
) -> impl Iterator<Item = Period> + 'a {
    let closed = past
        .into_iter()
        .flat_map(|past| past.closed.iter().map(|closed| closed.period));
    closed.filter(move |period| {
        let is_adjusted = [before, after].iter().any(|side| side.adjustments.contains_key(period));
        starts.contains(&period.start) && !is_adjusted
    })
}

/// What was billed and settled of a closed period.
fn billed(past: Option<&Past>, period: Period) -> Result<Amounts> {
    let mut billed = Amounts::default();
    let Some(past) = past else { return Ok(billed) };
    for statement in past.statements.iter().filter(|statement| statement.document.is_some()) {
        let lines = statement.read_lines().map_err(|e| Error::Unbalanced(e.to_string()))?;
        for line in lines.iter().filter(|line| line.kind != Kind::Rounding) {
            if period.contains(line.span_start_in(&statement.period)) {
                billed.add(statement.currency, line.amount)?;
            }
        }
    }
    for settlement in past.settlements.iter().filter(|settled| settled.period == period) {
        billed.add(settlement.currency, settlement.amount)?;
    }
    Ok(billed)
}
