//! The money of a change: sums, differences, the largest accounts. Pure.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::support::error::{Error, Result};
use crate::values::money::{Currency, plain, sum};

/// What a change comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Money {
    /// Accounts whose closed periods are rated again, or whose open periods come to something else.
    pub accounts: usize,
    /// Closed periods that are rated again; the next statement of each account carries the difference.
    pub closed_periods: usize,
    /// By currency.
    pub sums: Vec<Sum>,
    /// The accounts with the largest differences, largest first; per currency.
    pub largest: Vec<AccountMoney>,
    /// What would have no price, or could not close, that can now.
    pub obstacles: Vec<String>,
}

/// The money in a currency, before statements are rounded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sum {
    pub currency: String,
    pub accounts: usize,
    /// Of the closed periods that are rated again.
    pub closed: Difference,
    /// Of the open periods, as far as their usage has come, of the accounts for which they come to something else.
    pub open: Difference,
}

/// The money of an account in a currency.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AccountMoney {
    pub uin: String,
    pub currency: String,
    pub closed_periods: usize,
    pub closed: Difference,
    pub open: Difference,
    /// Of both.
    pub difference: String,
}

/// Plain decimals, with at least the currency's minor units.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    pub old: String,
    pub new: String,
    /// New minus old.
    pub difference: String,
}

/// Exact amounts by currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Amounts(BTreeMap<Currency, Decimal>);

impl Amounts {
    pub fn add(&mut self, currency: Currency, amount: Decimal) -> Result<()> {
        let total = self.0.entry(currency).or_default();
        *total = add(*total, amount)?;
        Ok(())
    }

    fn of(&self, currency: Currency) -> Decimal {
        self.0.get(&currency).copied().unwrap_or_default()
    }
}

fn add(one: Decimal, other: Decimal) -> Result<Decimal> {
    sum([one, other]).map_err(|e| Error::TooLarge(format!("the amounts of the change: {e}")))
}

/// Old and new.
#[derive(Clone, Copy, Debug, Default)]
struct Sides {
    old: Decimal,
    new: Decimal,
}

impl Sides {
    fn add(&mut self, other: Self) -> Result<()> {
        self.old = add(self.old, other.old)?;
        self.new = add(self.new, other.new)?;
        Ok(())
    }

    fn difference(&self) -> Result<Decimal> {
        add(self.new, -self.old)
    }

    fn told(&self, currency: Currency) -> Result<Difference> {
        let text = |amount| plain(amount, currency.minor_units());
        Ok(Difference {
            old: text(self.old),
            new: text(self.new),
            difference: text(self.difference()?),
        })
    }
}

/// An account's money in a currency.
#[derive(Clone, Copy, Debug, Default)]
struct InCurrency {
    closed: Sides,
    open: Sides,
}

/// What a change comes to for one account.
#[derive(Debug)]
pub(super) struct OfAccount {
    uin: u64,
    closed_periods: usize,
    by_currency: BTreeMap<Currency, InCurrency>,
    pub obstacles: Vec<String>,
}

impl OfAccount {
    pub fn new(uin: u64) -> Self {
        Self {
            uin,
            closed_periods: 0,
            by_currency: BTreeMap::new(),
            obstacles: Vec::new(),
        }
    }

    /// Adds the open periods, where they come to something else.
    pub fn add_open(&mut self, old: &Amounts, new: &Amounts) -> Result<()> {
        let currencies: BTreeSet<Currency> = old.0.keys().chain(new.0.keys()).copied().collect();
        for currency in currencies {
            let (old, new) = (old.of(currency), new.of(currency));
            if old != new {
                self.by_currency
                    .entry(currency)
                    .or_default()
                    .open
                    .add(Sides { old, new })?;
            }
        }
        Ok(())
    }

    /// Adds a closed period: what was billed of it, and its adjustments, before and after.
    pub fn add_closed(&mut self, billed: &Amounts, before: &Amounts, after: &Amounts) -> Result<()> {
        self.closed_periods += 1;
        let all = [billed, before, after]
            .into_iter()
            .flat_map(|amounts| amounts.0.keys().copied());
        let currencies: BTreeSet<Currency> = all.collect();
        for currency in currencies {
            let closed = Sides {
                old: add(billed.of(currency), before.of(currency))?,
                new: add(billed.of(currency), after.of(currency))?,
            };
            self.by_currency.entry(currency).or_default().closed.add(closed)?;
        }
        Ok(())
    }

    fn is_changed(&self) -> bool {
        self.closed_periods > 0 || !self.by_currency.is_empty()
    }
}

impl Money {
    /// Sums of all accounts, and the money of the `largest` ones.
    pub(super) fn of(accounts: Vec<OfAccount>, largest: usize) -> Result<Self> {
        let mut money = Self::default();
        let mut sums: BTreeMap<Currency, (usize, InCurrency)> = BTreeMap::new();
        let mut each: Vec<(Decimal, u64, Currency, usize, InCurrency)> = Vec::new();
        for account in accounts {
            money.accounts += usize::from(account.is_changed());
            money.closed_periods += account.closed_periods;
            money.obstacles.extend(account.obstacles);
            for (currency, of_account) in account.by_currency {
                let (count, total) = sums.entry(currency).or_default();
                *count += 1;
                total.closed.add(of_account.closed)?;
                total.open.add(of_account.open)?;
                let difference = add(of_account.closed.difference()?, of_account.open.difference()?)?;
                each.push((difference, account.uin, currency, account.closed_periods, of_account));
            }
        }
        for (currency, (accounts, total)) in sums {
            money.sums.push(Sum {
                currency: currency.to_string(),
                accounts,
                closed: total.closed.told(currency)?,
                open: total.open.told(currency)?,
            });
        }
        // Amounts of two currencies have no order; the largest of each stand together.
        each.sort_by(|a, b| (a.2, b.0.abs(), a.1).cmp(&(b.2, a.0.abs(), b.1)));
        let mut told_of: BTreeMap<Currency, usize> = BTreeMap::new();
        for (difference, uin, currency, closed_periods, of_account) in each {
            let told = told_of.entry(currency).or_default();
            *told += 1;
            if *told <= largest && !difference.is_zero() {
                money.largest.push(AccountMoney {
                    uin: uin.to_string(),
                    currency: currency.to_string(),
                    closed_periods,
                    closed: of_account.closed.told(currency)?,
                    open: of_account.open.told(currency)?,
                    difference: plain(difference, currency.minor_units()),
                });
            }
        }
        Ok(money)
    }
}
