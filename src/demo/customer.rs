//! Who the customers are: a few large ones, many small ones, and some with terms of their own.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::calendar::{closing_night, day_of, first_day};
use super::random::Random;
use super::record::DemoRecord;
use crate::values::calendar::Cycle;

/// The card of the accounts that appear by themselves.
pub(super) const DOMESTIC: &str = "mps-cn";

/// The card of the accounts abroad.
pub(super) const ABROAD: &str = "mps-intl";

/// How many accounts there are: in a month of the default size each of them is seen.
const ACCOUNTS: usize = 480;

/// The first account's number. The others follow at steps of [`UIN_STEP`], so that they do not look like a row.
const UIN_FIRST: u64 = 100_000_000_000;
const UIN_STEP: u64 = 7_919;

/// The first application's number; each account has up to [`APPS_MAX`].
const APPID_FIRST: u64 = 1_250_000_000;
const APPS_MAX: u64 = 3;

/// The weight of the largest account: 2^32 divides finely even for the smallest.
const LARGEST_WEIGHT: u64 = 1 << 32;

/// Of a thousand records of an account, those from its home region.
const AT_HOME_PER_MILLE: u64 = 850;

/// Of a thousand accounts in the default region, those that never name it.
const SILENT_PER_MILLE: u64 = 400;

/// The default region of both cards.
const DEFAULT_REGION: &str = "ap-guangzhou";

const DOMESTIC_REGIONS: [(&str, u32); 4] = [
    (DEFAULT_REGION, 70),
    ("ap-singapore", 15),
    ("eu-frankfurt", 8),
    ("na-ashburn", 7),
];

const ABROAD_REGIONS: [(&str, u32); 7] = [
    ("ap-singapore", 30),
    ("na-ashburn", 20),
    ("na-siliconvalley", 15),
    ("eu-frankfurt", 15),
    ("ap-tokyo", 10),
    ("sa-saopaulo", 5),
    (DEFAULT_REGION, 5),
];

/// An account that is added by hand before the first night, because its terms are not the default ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoAccount {
    /// The account.
    pub uin: u64,
    /// The first day of its terms: a period starts on it.
    pub from: NaiveDate,
    /// Its rate card; both cards are in UTC+8.
    pub card: &'static str,
    /// How often it is billed.
    pub cycle: Cycle,
    /// Taken off its prices, in percent.
    pub discount_percent: Decimal,
}

/// A rank by size, from 0, and the card, cycle and whole percent of discount that the account of that rank has.
type ByHand = (usize, &'static str, Cycle, u32);

const MONTHLY: Cycle = Cycle::Monthly { anchor_day: 1 };

const BY_HAND: [ByHand; 8] = [
    (3, ABROAD, MONTHLY, 0),
    (6, DOMESTIC, MONTHLY, 10),
    (14, ABROAD, MONTHLY, 0),
    (21, DOMESTIC, Cycle::Daily, 0),
    (33, DOMESTIC, Cycle::Monthly { anchor_day: 15 }, 0),
    (52, ABROAD, MONTHLY, 5),
    (110, ABROAD, MONTHLY, 0),
    (260, ABROAD, MONTHLY, 0),
];

/// One account as the demo sees it.
#[derive(Clone, Debug)]
pub(super) struct Customer {
    pub(super) uin: u64,
    pub(super) card: &'static str,
    cycle: Cycle,
    discount_percent: u32,
    appid_first: u64,
    apps: u64,
    home: &'static str,
    /// Leaves the region out where it is the default.
    is_silent: bool,
}

/// All accounts, from the largest to the smallest.
#[derive(Clone, Debug)]
pub(super) struct Customers {
    customers: Vec<Customer>,
    /// The sum of the weights up to and with each account: the n-th has one n-th of the first one's weight (Zipf).
    weights: Vec<u64>,
}

impl Customers {
    pub(super) fn new(random: &mut Random) -> Self {
        let mut sum = 0;
        let weights = (1..=ACCOUNTS as u64).map(|rank| {
            sum += LARGEST_WEIGHT / rank;
            sum
        });
        Self {
            weights: weights.collect(),
            customers: (0..ACCOUNTS).map(|rank| Customer::new(random, rank)).collect(),
        }
    }

    /// One of the accounts, the larger the more often.
    pub(super) fn draw(&self, random: &mut Random) -> &Customer {
        let total = self.weights.last().copied().unwrap_or(0);
        let at = random.below(total);
        &self.customers[self.weights.partition_point(|&sum| sum <= at)]
    }

    /// The accounts to be added by hand.
    pub(super) fn by_hand(&self) -> Vec<DemoAccount> {
        let by_hand = BY_HAND.iter().map(|(rank, ..)| &self.customers[*rank]);
        by_hand.map(Customer::account).collect()
    }

    /// The night in which the period of a record is closed.
    pub(super) fn closing_night(&self, record: &DemoRecord) -> usize {
        closing_night(self.of(record).cycle, day_of(record.finished_at_ms))
    }

    /// The card of a record's account.
    pub(super) fn card(&self, record: &DemoRecord) -> &'static str {
        self.of(record).card
    }

    fn of(&self, record: &DemoRecord) -> &Customer {
        let rank = usize::try_from((record.uin - UIN_FIRST) / UIN_STEP).expect("the number of an account");
        &self.customers[rank]
    }
}

impl Customer {
    fn new(random: &mut Random, rank: usize) -> Self {
        let own = BY_HAND.iter().find(|(of, ..)| *of == rank);
        let &(_, card, cycle, discount_percent) = own.unwrap_or(&(rank, DOMESTIC, MONTHLY, 0));
        let number = rank as u64;
        let home = random.pick(regions(card));
        Self {
            uin: UIN_FIRST + number * UIN_STEP,
            card,
            cycle,
            discount_percent,
            appid_first: APPID_FIRST + number * APPS_MAX,
            apps: 1 + random.below(APPS_MAX),
            home,
            is_silent: home == DEFAULT_REGION && random.per_mille(SILENT_PER_MILLE),
        }
    }

    fn account(&self) -> DemoAccount {
        DemoAccount {
            uin: self.uin,
            from: self.cycle.period_of(first_day()).start,
            card: self.card,
            cycle: self.cycle,
            discount_percent: Decimal::from(self.discount_percent),
        }
    }

    /// The application of a record.
    pub(super) fn appid(&self, random: &mut Random) -> u64 {
        self.appid_first + random.below(self.apps)
    }

    /// The region of a record, as it says it.
    pub(super) fn region(&self, random: &mut Random) -> Option<&'static str> {
        let region = if random.per_mille(AT_HOME_PER_MILLE) {
            self.home
        } else {
            random.pick(regions(self.card))
        };
        (!self.is_silent || region != DEFAULT_REGION).then_some(region)
    }
}

fn regions(card: &str) -> &'static [(&'static str, u32)] {
    if card == ABROAD {
        &ABROAD_REGIONS
    } else {
        &DOMESTIC_REGIONS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_account_has_about_a_seventh_of_all() {
        let mut random = Random::new(1);
        let customers = Customers::new(&mut random);
        let largest = (0..10_000)
            .filter(|_| customers.draw(&mut random).uin == UIN_FIRST)
            .count();
        assert!(1_300 < largest && largest < 1_650, "{largest}");
    }

    #[test]
    fn terms_start_where_a_period_starts() {
        for account in Customers::new(&mut Random::new(1)).by_hand() {
            assert_eq!(account.cycle.period_of(account.from).start, account.from);
            assert!(account.from <= first_day());
        }
    }
}
