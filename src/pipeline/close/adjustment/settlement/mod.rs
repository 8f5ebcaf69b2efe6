//! Settlements: adjustments of closed periods that no statement can carry, because the account is billed in another currency by now.
//! A person settled them outside. They are never billed; what their period should be from then on starts from them.

pub mod store;

use rust_decimal::Decimal;

use crate::pipeline::close::period_charges::ClosedPeriod;
use crate::pipeline::close::statement::Statement;
use crate::pipeline::close::statement::document;
use crate::pipeline::close::statement::document::Line;
use crate::pipeline::rate::Charge;
use crate::support::error::{Error, Result};
use crate::values::calendar::Period;
use crate::values::money::{Currency, sum};

/// The note of each line, in place of that of a statement's.
pub const NOTE: &str = "settled outside";

/// An adjustment that was settled outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub number: i64,
    pub uin: u64,
    /// The closed period that it adjusts.
    pub period: Period,
    pub currency: Currency,
    /// What its lines come to, at most 10 decimals, not rounded to the currency's minor unit.
    pub amount: Decimal,
    /// Metered records, more or less than was billed.
    pub records: i64,
    /// Its lines, as [`document`] writes them.
    pub document: String,
    /// The last closing before it; those after it count it as billed.
    pub closing: i64,
    /// What it rests on.
    pub metering: i64,
    pub card_hi: i64,
    /// The run's clock, RFC 3339.
    pub settled_at: String,
    /// Its entry in the audit trail.
    pub audit: i64,
}

impl Settlement {
    /// What stands where a statement's id would: `settlement-3`.
    pub fn name(&self) -> String {
        format!("settlement-{}", self.number)
    }

    /// Its lines, read back.
    pub fn read_lines(&self) -> Result<Vec<Line<'_>>> {
        let lines = document::lines(&self.document);
        lines.map_err(|error| Error::Unbalanced(format!("settlement {}: {error}", self.number)))
    }
}

/// The lines of a settlement, as they are stored, and what they come to: amount and records.
pub fn settled_lines(charges: &[Charge]) -> Result<(String, Decimal, i64)> {
    let amount = sum(charges.iter().map(|charge| charge.amount)).map_err(|e| Error::TooLarge(e.to_string()))?;
    let records = charges.iter().map(|charge| charge.records).sum();
    let lines = (1..).zip(charges).map(|(line_no, charge)| Line {
        note: NOTE.into(),
        ..Line::of_charge(line_no, charge)
    });
    let lines: Vec<Line> = lines.collect();
    Ok((document::write(None, &lines), amount, records))
}

/// What an account was billed and what was settled with it, before something of it is rated again.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// Closed periods, in order.
    pub closed: &'a [ClosedPeriod],
    /// In the order in which they were closed.
    pub statements: &'a [Statement],
    /// In the order in which they were settled.
    pub settlements: &'a [Settlement],
}

impl Before<'_> {
    /// An account that has no past.
    pub const NOTHING: Self = Self {
        closed: &[],
        statements: &[],
        settlements: &[],
    };

    /// The same with the settlements alone that a closing knew: those before it.
    #[must_use]
    pub fn known_to(self, closing: i64) -> Self {
        let known = self.settlements.partition_point(|settled| settled.closing < closing);
        Self {
            settlements: &self.settlements[..known],
            ..self
        }
    }
}
