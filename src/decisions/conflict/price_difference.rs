//! The money between two contents: the periods that they touch, rated as they are and as they would be.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use rust_decimal::Decimal;

use super::SumOfMoney;
use crate::catalog::account::Account;
use crate::catalog::account::Accounts;
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::store::{cards_up_to, load_cards};
use crate::context::Books;
use crate::pipeline::close::period_charges::PeriodRows;
use crate::pipeline::meter::aggregate::measure::delta_of_record;
use crate::pipeline::meter::classify::sku_cache::{AccountCards, SkuCache};
use crate::pipeline::meter::dedupe::stored_record::RealRecord;
use crate::pipeline::meter::snapshot::Snapshot;
use crate::pipeline::meter::store::usage_paths;
use crate::pipeline::rate::DayUsage;
use crate::storage::usage::row::{Status, UsageRow};
use crate::storage::usage::sku_region::SkuRegion;
use crate::storage::usage::table::{UsageTable, Wanted};
use crate::support::error::{Error, Result};
use crate::values::calendar::{Period, all_days, day_of_number};
use crate::values::money::{AMOUNT_DECIMALS, Currency, parse_plain, plain, sum};

/// More than a month, and the day that a time zone may move.
const PERIOD_DAYS_MAX: u64 = 40;

/// A difference of one account's statements, before they are rounded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Money {
    pub uin: String,
    pub currency: String,
    /// Plain decimal; negative is less.
    pub amount: String,
    /// Whether it falls into a period that is closed, and so becomes an adjustment.
    pub closed: bool,
}

/// What it takes to tell the money between records.
pub struct Between {
    accounts: Accounts,
    default: Account,
    cards: RateCatalog,
    map: AccountCards,
    table: UsageTable,
    metering: i64,
}

impl Between {
    /// Reads the usage of every account that the records name.
    pub async fn read(
        books: &Books,
        snapshot: &Snapshot,
        pairs: &[(Option<&RealRecord>, Option<&RealRecord>)],
    ) -> Result<Self> {
        let records = pairs.iter().flat_map(|(one, other)| [*one, *other]).flatten();
        let uins: BTreeSet<u64> = records.filter_map(|record| record.content.uin()).collect();
        let cards = load_cards(&books.ledger).await?;
        // Records count as the last metering placed them; a card that came since has placed nothing yet.
        let placed_by = cards_up_to(&books.ledger, snapshot.progress.card_hi).await?;
        let (from, to) = days_around(pairs);
        let wanted = Wanted::new(uins.into_iter().map(|uin| (uin, (from, to))));
        let files = usage_paths(&books.ledger, from, to, snapshot.progress.metering).await?;
        let table = tokio::task::block_in_place(|| UsageTable::read(&books.data, &files, &wanted))?;
        Ok(Self {
            accounts: snapshot.accounts.clone(),
            default: Account {
                terms: vec![snapshot.default_terms.clone()],
                first_day: None,
                closed_to: None,
                ends: Vec::new(),
            },
            map: AccountCards::new(&snapshot.accounts, placed_by, &snapshot.default_terms),
            cards,
            table,
            metering: snapshot.progress.metering,
        })
    }

    /// What statements come to more when `later` stands in the place of `stands`; and a note where that cannot be told.
    pub fn money(&self, stands: &RealRecord, later: &RealRecord) -> Result<(Vec<Money>, String)> {
        let (mut money, mut note) = (Vec::new(), String::new());
        for (uin, moves) in self.moves(&[(stands, later)])? {
            match self.of_account(uin, &moves)? {
                Some(more) => money.extend(more),
                None => note = format!("account {uin} has usage without a price"),
            }
        }
        if money.is_empty() && note.is_empty() {
            "no statement changes".clone_into(&mut note);
        }
        Ok((money, note))
    }

    /// The same of many pairs together, by currency and by whether it falls into closed periods.
    pub fn sum(&self, pairs: &[(&RealRecord, &RealRecord)]) -> Result<(Vec<SumOfMoney>, String)> {
        let mut sums: BTreeMap<(String, bool), (usize, Decimal)> = BTreeMap::new();
        let mut note = String::new();
        for (uin, moves) in self.moves(pairs)? {
            let Some(of_account) = self.of_account(uin, &moves)? else {
                note = format!("account {uin} has usage without a price and is not included");
                continue;
            };
            for money in of_account {
                let amount = parse_plain(&money.amount).map_err(|e| Error::Unbalanced(e.to_string()))?;
                let (accounts, total) = sums.entry((money.currency, money.closed)).or_default();
                *accounts += 1;
                *total =
                    sum([*total, amount]).map_err(|e| Error::TooLarge(format!("the amounts of the conflicts: {e}")))?;
            }
        }
        let told = sums
            .into_iter()
            .map(|((currency, closed), (accounts, amount))| SumOfMoney {
                currency,
                closed,
                accounts,
                amount: plain(amount, AMOUNT_DECIMALS),
            });
        Ok((told.collect(), note))
    }

    /// What counts no more and what counts instead, by account.
    fn moves(&self, pairs: &[(&RealRecord, &RealRecord)]) -> Result<BTreeMap<u64, Vec<(SkuRegion, UsageRow)>>> {
        let lookup = SkuCache::new(&self.map);
        let mut moves: BTreeMap<u64, Vec<(SkuRegion, UsageRow)>> = BTreeMap::new();
        for (record, sign) in pairs.iter().flat_map(|(stands, later)| [(*stands, -1), (*later, 1)]) {
            let Some(delta) = delta_of_record(record, &self.map, &lookup)? else {
                continue;
            };
            if delta.status == Status::Metered {
                let signed = UsageRow {
                    records: sign * delta.records,
                    billable: sign * delta.billable,
                    ..delta
                };
                moves
                    .entry(delta.uin)
                    .or_default()
                    .push((lookup.sku_region_of(delta.code), signed));
            }
        }
        Ok(moves)
    }

    /// The account of a record and its local day, as it is billed; none of a record that counts nowhere.
    pub fn day_of(&self, record: &RealRecord) -> Result<Option<(u64, NaiveDate)>> {
        let delta = delta_of_record(record, &self.map, &SkuCache::new(&self.map))?;
        Ok(delta.map(|delta| (delta.uin, day_of_number(delta.day))))
    }

    fn of_account(&self, uin: u64, moves: &[(SkuRegion, UsageRow)]) -> Result<Option<Vec<Money>>> {
        let account = self.accounts.get(uin).unwrap_or(&self.default);
        let days: Vec<NaiveDate> = moves.iter().map(|(_, delta)| day_of_number(delta.day)).collect();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut currency = None;
        let mut closed = false;
        for period in periods_of(account, &days) {
            closed |= account.closed_to.is_some_and(|closed_to| period.start < closed_to);
            let mut rows = PeriodRows::of(account, period, &self.table.of_account(uin), self.metering);
            if !self.amounts(uin, account, period, &rows, &mut before, &mut currency)? {
                return Ok(None);
            }
            for (place, delta) in moves {
                let day = day_of_number(delta.day);
                if account.counters_from(&period) <= day && day < period.end {
                    rows.add(period, day_usage(place, delta, day));
                }
            }
            if !self.amounts(uin, account, period, &rows, &mut after, &mut currency)? {
                return Ok(None);
            }
        }
        let failed = |e: crate::values::money::MoneyError| Error::Unbalanced(e.to_string());
        let before = sum(before).map_err(failed)?;
        let amount = sum([sum(after).map_err(failed)?, -before]).map_err(failed)?;
        let money = currency.map(|currency| Money {
            uin: uin.to_string(),
            currency: currency.to_string(),
            amount: plain(amount, AMOUNT_DECIMALS),
            closed,
        });
        Ok(Some(money.into_iter().collect()))
    }

    /// Appends the amounts of a period; false when something has no price.
    fn amounts(
        &self,
        uin: u64,
        account: &Account,
        period: Period,
        rows: &PeriodRows,
        amounts: &mut Vec<Decimal>,
        currency: &mut Option<Currency>,
    ) -> Result<bool> {
        let rated = rows.rate(uin, period, account, &self.cards)?;
        *currency = currency.or(rated.currency());
        let (charges, unpriced) = rated.draft();
        amounts.extend(charges.iter().map(|charge| charge.amount));
        Ok(unpriced.is_empty())
    }
}

/// The days whose usage may share a period or a counter with one of the records.
fn days_around(pairs: &[(Option<&RealRecord>, Option<&RealRecord>)]) -> (NaiveDate, NaiveDate) {
    let records = pairs.iter().flat_map(|(one, other)| [*one, *other]).flatten();
    let days: Vec<NaiveDate> = records.filter_map(|record| record.content.utc_day()).collect();
    let around = Days::new(PERIOD_DAYS_MAX);
    let from = days.iter().min().and_then(|day| day.checked_sub_days(around));
    let to = days.iter().max().and_then(|day| day.checked_add_days(around));
    from.zip(to).unwrap_or_else(all_days)
}

fn day_usage<'a>(place: &'a SkuRegion, delta: &UsageRow, day: NaiveDate) -> DayUsage<'a> {
    DayUsage {
        appid: delta.appid,
        region: &place.region,
        sku: &place.sku,
        day,
        records: delta.records,
        billable: delta.billable,
    }
}

/// The periods that the days lie in, and those after them whose counters they move.
fn periods_of(account: &Account, days: &[NaiveDate]) -> BTreeSet<Period> {
    let mut periods = BTreeSet::new();
    for &day in days {
        let mut period = account.period_of(day);
        while account.counters_from(&period) <= day {
            periods.insert(period);
            period = account.period_from(period.end);
        }
    }
    periods
}
