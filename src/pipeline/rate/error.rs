//! Why nothing was rated: each error names the offender, the limit and the cure.

use chrono::NaiveDate;
use thiserror::Error;

use super::ModelError;
use crate::values::calendar::Period;
use crate::values::money::{Currency, MoneyError};

/// Why nothing was rated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RateError {
    /// A card is not that of the terms, or the versions do not ascend.
    #[error(
        "account {uin} is rated by card `{card}`, but was given `{given}` from {from} out of place; give the versions of that card, each once, by first day"
    )]
    Cards {
        /// The account.
        uin: u64,
        /// The card of the terms.
        card: String,
        /// The offender.
        given: String,
        /// Its first day.
        from: NaiveDate,
    },
    /// Two card versions of one period have different currencies.
    #[error(
        "account {uin}: period {period} would have amounts in {one} and in {other}; one statement has one currency, so the card may change it only where a period starts"
    )]
    Currencies {
        /// The account.
        uin: u64,
        /// The period.
        period: Period,
        /// The one.
        one: Currency,
        /// The other.
        other: Currency,
    },
    /// A usage row lies outside of the period.
    #[error("account {uin}: usage of {day} is outside of [{from}, {to}); read the usage of the period only")]
    OutsidePeriod {
        /// The account.
        uin: u64,
        /// The day of the row.
        day: NaiveDate,
        /// The first day allowed.
        from: NaiveDate,
        /// The first day after those allowed.
        to: NaiveDate,
    },
    /// More was taken back than there was.
    #[error(
        "{key}: {records} records with {billable} base units from {first_day} to {last_day}; usage is never less than nothing, run `verify`"
    )]
    NegativeUsage {
        /// Account, app, region and SKU.
        key: String,
        /// The first day of the line.
        first_day: NaiveDate,
        /// The last day of the line.
        last_day: NaiveDate,
        /// The sum of the records.
        records: i64,
        /// The sum of the base units.
        billable: i64,
    },
    /// A sum or a quantity does not fit.
    #[error("{what} does not fit; check the records for impossible durations and counts")]
    Overflow {
        /// The sum.
        what: String,
    },
    /// The price cannot be applied.
    #[error("account {uin}, SKU `{sku}`, card `{card}` from {version}: {source}")]
    Model {
        /// The account.
        uin: u64,
        /// The SKU.
        sku: String,
        /// The card.
        card: String,
        /// Its version.
        version: NaiveDate,
        /// Why.
        source: ModelError,
    },
    /// The amount cannot be computed.
    #[error("account {uin}, SKU `{sku}`: {source}")]
    Amount {
        /// The account.
        uin: u64,
        /// The SKU.
        sku: String,
        /// Why.
        source: MoneyError,
    },
    /// Some usage has no price in force.
    #[error(
        "account {uin}: no price in force for {} line(s), first {first}; add the price to card `{card}`",
        count
    )]
    Unpriced {
        /// The account.
        uin: u64,
        /// The card.
        card: String,
        /// How many lines of usage.
        count: usize,
        /// The first of them.
        first: String,
    },
}
