//! A statement: the immutable outcome of closing a period. Pure.
//!
//! Its [`document`] has all of it. `digest` is the SHA-256 of exactly the document's bytes, in lower-case hex (statements with a document of
//! version 1: see [`document::v1`]). The high-water batch is no part of it, on purpose: the same records in more or fewer batches give the
//! same statement.

pub mod check;
pub mod document;

use chrono::{DateTime, Datelike as _, SubsecRound, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use thiserror::Error;

use crate::pipeline::rate::{Charge, Kind};
use crate::values::calendar::Period;
use crate::values::digest::sha256_hex;
use crate::values::money::{AMOUNT_DECIMALS, Currency, MoneyError, plain, round_half_up, sum};
use document::format::Head;
use document::{DocumentError, Line, v1};

/// What a statement is made of.
#[derive(Debug, Clone, Copy)]
pub struct Closing<'a> {
    /// The account.
    pub uin: u64,
    /// The period.
    pub period: Period,
    /// The account's zone.
    pub zone: Tz,
    /// The currency of all charges.
    pub currency: Currency,
    /// The run's clock; fractions of a second are dropped.
    pub closed_at: DateTime<Utc>,
    /// The last batch whose usage is in it.
    pub high_water_batch: i64,
    /// The charges, in the order of the lines; not empty, none of kind `rounding`.
    pub charges: &'a [Charge<'a>],
    /// The digest of the account's statement before.
    pub previous_digest: Option<&'a str>,
}

/// A closed period of an account; never changed after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// `UIN-YYYYMMDD-YYYYMMDD`, from account and period alone.
    pub statement_id: String,
    /// The account.
    pub uin: u64,
    /// The period.
    pub period: Period,
    /// The account's zone.
    pub zone: Tz,
    /// The currency of every amount in it.
    pub currency: Currency,
    /// When it was closed, in whole seconds.
    pub closed_at: DateTime<Utc>,
    /// The last batch whose usage is in it.
    pub high_water_batch: i64,
    /// The number of lines.
    pub lines: u32,
    /// The sum of the lines that are neither adjustment nor rounding.
    pub usage_amount: Decimal,
    /// The sum of the adjustment lines.
    pub adjustment_amount: Decimal,
    /// The amount of the rounding line, or zero.
    pub rounding: Decimal,
    /// The sum of all lines, in minor units; may be negative.
    pub total: Decimal,
    /// See [`document`]; none once the retention of the lines is over.
    pub document: Option<String>,
    /// The digest of the account's statement before.
    pub previous_digest: Option<String>,
    /// See the head of this file.
    pub digest: String,
}

/// Why no statement was made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StatementError {
    /// There is nothing to state.
    #[error("statement {statement_id} would have no line; a period without lines closes without a statement")]
    NoLines {
        /// The statement.
        statement_id: String,
    },
    /// A charge is of kind `rounding`.
    #[error("statement {statement_id} was given a rounding charge; the rounding line is made by the close")]
    Rounding {
        /// The statement.
        statement_id: String,
    },
    /// More lines than can be numbered.
    #[error("statement {statement_id} has {charges} charges; a statement has less than 4294967295 lines")]
    TooManyLines {
        /// The statement.
        statement_id: String,
        /// How many there are.
        charges: usize,
    },
    /// The amounts do not add up to what a decimal holds.
    #[error("statement {statement_id}: {source}")]
    Money {
        /// The statement.
        statement_id: String,
        /// Why.
        source: MoneyError,
    },
}

/// The amounts at the foot of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foot {
    pub usage_amount: Decimal,
    pub adjustment_amount: Decimal,
    pub rounding: Decimal,
    pub total: Decimal,
}

impl Foot {
    /// Adds up amounts by kind, leaving rounding lines out, and rounds the total.
    pub fn of(amounts: impl Iterator<Item = (Kind, Decimal)> + Clone, currency: Currency) -> Result<Self, MoneyError> {
        let is_usage = |kind| !matches!(kind, Kind::Adjustment | Kind::Rounding);
        let usage_amount = sum(amounts
            .clone()
            .filter(|&(kind, _)| is_usage(kind))
            .map(|(_, amount)| amount))?;
        let adjustments = amounts.filter(|&(kind, _)| kind == Kind::Adjustment);
        let adjustment_amount = sum(adjustments.map(|(_, amount)| amount))?;
        let exact = sum([usage_amount, adjustment_amount])?;
        let total = round_half_up(exact, currency.minor_units());
        Ok(Self {
            usage_amount,
            adjustment_amount,
            rounding: sum([total, -exact])?,
            total,
        })
    }
}

impl Statement {
    /// Closes a period: numbers the lines from 1, adds the rounding line where there is a difference, and
    /// digests all of it. The same input gives the same bytes.
    ///
    /// # Errors
    /// See [`StatementError`].
    pub fn close(closing: &Closing) -> Result<Self, StatementError> {
        check_charges(&statement_id(closing.uin, &closing.period), closing.charges)?;
        Self::draft(closing)
    }

    /// What the statement would be; a draft may have no line, when nothing could be priced yet.
    ///
    /// # Errors
    /// See [`StatementError`].
    pub fn draft(closing: &Closing) -> Result<Self, StatementError> {
        let statement_id = statement_id(closing.uin, &closing.period);
        let amounts = closing.charges.iter().map(|charge| (charge.kind, charge.amount));
        let foot = Foot::of(amounts, closing.currency).map_err(|source| StatementError::Money {
            statement_id: statement_id.clone(),
            source,
        })?;
        let lines = line_count(&statement_id, closing, foot.rounding)?;
        let mut statement = Self {
            statement_id,
            uin: closing.uin,
            period: closing.period,
            zone: closing.zone,
            currency: closing.currency,
            closed_at: closing.closed_at.trunc_subsecs(0),
            high_water_batch: closing.high_water_batch,
            lines,
            usage_amount: foot.usage_amount,
            adjustment_amount: foot.adjustment_amount,
            rounding: foot.rounding,
            total: foot.total,
            document: None,
            previous_digest: closing.previous_digest.map(str::to_owned),
            digest: String::new(),
        };
        let document = document::write(Some(statement.head()), &numbered_lines(closing, foot.rounding));
        statement.digest = sha256_hex(document.as_bytes());
        statement.document = Some(document);
        Ok(statement)
    }

    /// The amounts at its foot.
    pub fn foot(&self) -> Foot {
        Foot {
            usage_amount: self.usage_amount,
            adjustment_amount: self.adjustment_amount,
            rounding: self.rounding,
            total: self.total,
        }
    }

    /// The lines, read back from the document.
    ///
    /// # Errors
    /// A document that is damaged, or gone.
    pub fn read_lines(&self) -> Result<Vec<Line<'_>>, DocumentError> {
        document::lines(self.text()?)
    }

    /// The document as it is stored.
    ///
    /// # Errors
    /// Their retention is over.
    pub fn text(&self) -> Result<&str, DocumentError> {
        self.document.as_deref().ok_or_else(|| DocumentError::Expired {
            statement_id: self.statement_id.clone(),
        })
    }

    /// The first instant of the period, in the zone's offset: `2024-11-01T00:00:00+08:00`.
    pub fn period_start_text(&self) -> String {
        self.period.bounds(self.zone).0.to_rfc3339()
    }

    /// The first instant after the period, in the zone's offset.
    pub fn period_end_text(&self) -> String {
        self.period.bounds(self.zone).1.to_rfc3339()
    }

    /// When it was closed: `2024-12-20T00:00:00+00:00`.
    pub fn closed_at_text(&self) -> String {
        self.closed_at.trunc_subsecs(0).to_rfc3339()
    }

    /// The total with exactly the decimals of the currency.
    pub fn total_text(&self) -> String {
        plain(self.total, self.currency.minor_units())
    }

    /// The digest of what is in the statement now. Without its document there is none.
    ///
    /// # Errors
    /// The retention of the lines is over.
    pub fn compute_digest(&self) -> Result<String, DocumentError> {
        let document = self.text()?;
        Ok(if v1::is_of_this_version(document) {
            v1::digest(self, document)
        } else {
            sha256_hex(document.as_bytes())
        })
    }

    /// Whether this statement is the one that rating its period `again` gave: it has the same digest, in the version that it was written in.
    /// That of a statement whose lines are gone may be either.
    ///
    /// # Errors
    /// A damaged document of `again`.
    pub fn is_the_same_as(&self, again: &Self) -> Result<bool, DocumentError> {
        Ok(self.digest == again.digest || self.digest == v1::digest_again(again)?)
    }

    /// What its document says beside the lines.
    pub(super) fn head(&self) -> Head<'_> {
        let amount = |amount| plain(amount, AMOUNT_DECIMALS).into();
        Head {
            statement_id: (&*self.statement_id).into(),
            uin: self.uin.to_string().into(),
            period_start: self.period.start.to_string().into(),
            period_end: self.period.end.to_string().into(),
            zone: self.zone.name().into(),
            currency: self.currency.to_string().into(),
            closed_at: self.closed_at_text().into(),
            usage_amount: amount(self.usage_amount),
            adjustment_amount: amount(self.adjustment_amount),
            rounding: amount(self.rounding),
            total: self.total_text().into(),
            previous_digest: self.previous_digest.as_deref().unwrap_or_default().into(),
        }
    }
}

/// The name of the statement of an account and period.
pub fn statement_id(uin: u64, period: &Period) -> String {
    let [start, end] = [period.start, period.end].map(|day| (day.year(), day.month(), day.day()));
    format!(
        "{uin}-{:04}{:02}{:02}-{:04}{:02}{:02}",
        start.0, start.1, start.2, end.0, end.1, end.2
    )
}

/// The name of an account's statement, if the account had another number. A name that is not one of the account's stays.
pub fn renamed_statement(statement_id: &str, uin: u64, new_uin: u64) -> String {
    match statement_id.split_once('-') {
        Some((of, period)) if of == uin.to_string() => format!("{new_uin}-{period}"),
        _ => statement_id.to_owned(),
    }
}

fn check_charges(statement_id: &str, charges: &[Charge]) -> Result<(), StatementError> {
    let statement_id = || statement_id.to_owned();
    if charges.is_empty() {
        return Err(StatementError::NoLines {
            statement_id: statement_id(),
        });
    }
    if charges.iter().any(|charge| charge.kind == Kind::Rounding) {
        return Err(StatementError::Rounding {
            statement_id: statement_id(),
        });
    }
    Ok(())
}

/// How many lines there are, with that of rounding.
fn line_count(statement_id: &str, closing: &Closing, rounding: Decimal) -> Result<u32, StatementError> {
    let charges = closing.charges.len();
    match u32::try_from(charges) {
        Ok(count) if count < u32::MAX => Ok(count + u32::from(!rounding.is_zero())),
        _ => Err(StatementError::TooManyLines {
            statement_id: statement_id.to_owned(),
            charges,
        }),
    }
}

/// The charges as lines from 1, and the rounding line last when the difference is not zero.
fn numbered_lines<'a>(closing: &Closing<'a>, rounding: Decimal) -> Vec<Line<'a>> {
    let charges = (1..).zip(closing.charges);
    let lines = charges.map(|(line_no, charge)| Line::of_charge(line_no, charge));
    let currency = closing.currency;
    let last = closing.charges.len() + 1;
    let rounding = (!rounding.is_zero()).then(|| {
        let last = u32::try_from(last).expect("lines are counted before");
        Line::rounding(last, rounding, rounding_note(currency))
    });
    lines.chain(rounding).collect()
}

/// `total rounded to 0.01 CNY`.
fn rounding_note(currency: Currency) -> String {
    let coin = Decimal::new(1, currency.minor_units());
    format!("total rounded to {} {currency}", plain(coin, 0))
}

/// Statements that the tests of this stage and of later ones share.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::values::money::{line_amount, parse_plain};

    /// A charge of that quantity at that price.
    pub fn charge<'a>(kind: Kind, quantity: &str, unit_price: &str) -> Charge<'a> {
        let [quantity, unit_price] = [quantity, unit_price].map(|text| parse_plain(text).unwrap());
        Charge {
            kind,
            appid: Some(1_300_000_001),
            region: "ap-guangzhou",
            sku: "Standard.H264.HD",
            meter: "transcode",
            unit: "minute",
            card: "mps-cn",
            card_version: "2024-01-01".parse().unwrap(),
            span_start: "2024-11-01".parse().unwrap(),
            slice: 0,
            records: 2,
            quantity,
            unit_price,
            discount_percent: Decimal::ZERO,
            packages: None,
            multiplier: None,
            usage_quantity: None,
            amount: line_amount(quantity, unit_price, Decimal::ZERO).unwrap(),
            corrects: None,
            corrects_kind: None,
            note: "",
        }
    }

    /// Closes November 2024 of an account in Shanghai.
    pub fn close(
        uin: u64,
        currency: &str,
        charges: &[Charge],
        previous: Option<&str>,
    ) -> Result<Statement, StatementError> {
        Statement::close(&Closing {
            uin,
            period: Period {
                start: "2024-11-01".parse().unwrap(),
                end: "2024-12-01".parse().unwrap(),
            },
            zone: Tz::Asia__Shanghai,
            currency: currency.parse().unwrap(),
            closed_at: "2024-12-20T01:02:03.456Z".parse().unwrap(),
            high_water_batch: 42,
            charges,
            previous_digest: previous,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::close::statement::samples::{charge, close};
    use crate::pipeline::rate::Corrects;
    use crate::values::digest::sha256_hex;
    use proptest::prelude::*;

    #[test]
    fn a_statement_numbers_its_lines_and_rounds_its_total_in_a_line_of_its_own() {
        let charges = [
            charge(Kind::Usage, "0.533333", "0.0325"),
            charge(Kind::Usage, "3", "0.065"),
        ];
        let statement = close(7, "CNY", &charges, None).unwrap();
        assert_eq!(statement.statement_id, "7-20241101-20241201");
        assert_eq!((statement.lines, statement.total_text()), (3, "0.21".to_owned()));
        assert_eq!(plain(statement.usage_amount, 10), "0.2123333225");
        assert_eq!(
            statement.text().unwrap(),
            concat!(
                r#"{"version":2,"statement":{"statement_id":"7-20241101-20241201","uin":"7","period_start":"2024-11-01","#,
                r#""period_end":"2024-12-01","zone":"Asia/Shanghai","currency":"CNY","closed_at":"2024-12-20T01:02:03+00:00","#,
                r#""usage_amount":"0.2123333225","adjustment_amount":"0.0000000000","rounding":"-0.0023333225","total":"0.21"},"#,
                r#""columns":["sku","meter","unit","records","quantity","unit_price","amount"],"groups":[{"first_line":1,"#,
                r#""kind":"usage","appid":"1300000001","card":"mps-cn","card_version":"2024-01-01","region":"ap-guangzhou","#,
                r#""lines":[["Standard.H264.HD","transcode","minute",2,"0.533333","0.0325","0.0173333225"],"#,
                r#"["Standard.H264.HD","transcode","minute",2,"3.000000","0.065","0.1950000000"]]},{"first_line":3,"kind":"rounding","#,
                r#""lines":[[null,null,null,null,null,null,"-0.0023333225",{"note":"total rounded to 0.01 CNY"}]]}]}"#
            )
        );
    }

    #[test]
    fn a_total_that_needs_no_rounding_has_no_rounding_line() {
        let statement = close(7, "CNY", &[charge(Kind::Usage, "2", "0.015")], None).unwrap();
        assert_eq!(
            (statement.lines, statement.rounding.is_zero(), statement.total_text()),
            (1, true, "0.03".to_owned())
        );
    }

    #[test]
    fn totals_have_the_minor_units_of_the_currency_and_are_never_clamped() {
        let mut back = charge(Kind::Adjustment, "-3", "0.8335");
        back.corrects = Some(Corrects {
            statement_id: "7-20241001-20241101",
            line_no: 4,
        });
        let charges = [charge(Kind::Usage, "1", "0.0005"), back];
        for (currency, total) in [("CNY", "-2.50"), ("JPY", "-3"), ("KWD", "-2.500")] {
            let statement = close(7, currency, &charges, None).unwrap();
            assert_eq!(statement.total_text(), total);
            assert_eq!(plain(statement.adjustment_amount, 0), "-2.5005");
            let corrected = statement.read_lines().unwrap()[1].corrects.clone();
            assert_eq!(corrected, Some(("7-20241001-20241101".into(), 4)));
        }
    }

    #[test]
    fn no_line_is_no_statement_and_rounding_is_no_charge() {
        assert!(matches!(
            close(7, "CNY", &[], None),
            Err(StatementError::NoLines { .. })
        ));
        let rounding = charge(Kind::Rounding, "1", "1");
        assert!(matches!(
            close(7, "CNY", &[rounding], None),
            Err(StatementError::Rounding { .. })
        ));
    }

    #[test]
    fn the_digest_is_that_of_the_stored_bytes() {
        let statement = close(7, "CNY", &[charge(Kind::Usage, "2", "0.015")], Some("beef")).unwrap();
        assert_eq!(statement.digest, sha256_hex(statement.text().unwrap().as_bytes()));
        assert_eq!(statement.compute_digest().unwrap(), statement.digest);
    }

    proptest! {
        #[test]
        fn all_lines_add_up_to_the_total(
            amounts in prop::collection::vec((any::<bool>(), -9_000_000_000_000_i64..9_000_000_000_000, 0_i64..9_000_000), 1..20),
            currency in prop::sample::select(vec!["CNY", "JPY", "KWD"]),
        ) {
            let charges: Vec<_> = amounts.iter().map(|&(adjustment, quantity, price)| {
                let kind = if adjustment { Kind::Adjustment } else { Kind::Usage };
                charge(kind, &plain(Decimal::new(quantity, 6), 6), &plain(Decimal::new(price, 6), 0))
            }).collect();
            let statement = close(7, currency, &charges, None).unwrap();
            let lines = statement.read_lines().unwrap();
            prop_assert_eq!(sum(lines.iter().map(|line| line.amount)).unwrap(), statement.total);
            prop_assert_eq!(sum([statement.usage_amount, statement.adjustment_amount, statement.rounding]).unwrap(), statement.total);
            prop_assert!(statement.total.normalize().scale() <= statement.currency.minor_units());
            prop_assert!(statement.rounding.abs() * Decimal::TWO <= Decimal::new(1, statement.currency.minor_units()));
            prop_assert_eq!(statement.verify(), []);
        }
    }
}
