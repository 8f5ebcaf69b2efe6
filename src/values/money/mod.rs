//! Exact money: currencies, the amount of a line, sums and rounding. No float, no silent loss.
//!
//! Quantities have at most 6 decimals, prices at most 12, discounts at most 2 and amounts at most 10
//! (billing rules, section 5). What does not fit is an error that says so; nothing wraps or saturates.

mod currency;
mod decimal_text;

pub use currency::Currency;
pub use decimal_text::{parse_plain, plain, write_plain};

use num_bigint::{BigInt, Sign};
use rust_decimal::{Decimal, RoundingStrategy};
use thiserror::Error;

/// Decimals of a line quantity, in the pricing unit.
pub const QUANTITY_DECIMALS: u32 = 6;

/// Most decimals that a unit price may have.
pub const PRICE_DECIMALS: u32 = 12;

/// The first unit price that is too large: with 6 decimals it leaves room for an exact product in 128 bits, with more the product may be wider.
pub const PRICE_END: u64 = 10_u64.pow(12);

/// Most decimals that a percent discount may have.
pub const DISCOUNT_DECIMALS: u32 = 2;

/// Decimals of a line amount: a quantity times a price of 4 decimals is exact in them.
pub const AMOUNT_DECIMALS: u32 = 10;

/// The largest power of ten that an `i128` holds.
const POWER_MAX: u32 = 38;

/// What cannot be computed, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// The discount is not a percentage.
    #[error("discount {discount} % is out of range; a discount is 0 to 100 percent")]
    Discount {
        /// The offender, in percent.
        discount: Decimal,
    },
    /// The result has more digits than a decimal holds.
    #[error("{what} does not fit: an amount with 10 decimals stays below 7.9e18; split the usage or check the price")]
    TooLarge {
        /// The computation.
        what: String,
    },
    /// A summand has more decimals than an amount may have.
    #[error("{value} has more than {AMOUNT_DECIMALS} decimals; round it before it is summed")]
    TooFine {
        /// The offender.
        value: Decimal,
    },
    /// The code names no currency that we know.
    #[error("`{code}` is not an ISO 4217 currency code in use; write three capital letters such as CNY or USD")]
    Currency {
        /// The offender.
        code: String,
    },
    /// The text is not a plain decimal.
    #[error("`{text}` is not a plain decimal; write digits with at most one point, no exponent, at most 28 digits")]
    Text {
        /// The offender.
        text: String,
    },
}

/// Rounds to `decimals`, half-up, away from zero.
pub fn round_half_up(value: Decimal, decimals: u32) -> Decimal {
    value.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero)
}

/// `quantity x unit_price x (1 - discount_percent / 100)`, computed without loss and rounded once,
/// half-up away from zero, to [`AMOUNT_DECIMALS`]. The result always carries that scale.
///
/// # Errors
/// A discount outside 0..=100, or an amount that a decimal cannot hold with 10 decimals.
pub fn line_amount(quantity: Decimal, unit_price: Decimal, discount_percent: Decimal) -> Result<Decimal, MoneyError> {
    if discount_percent < Decimal::ZERO || Decimal::ONE_HUNDRED < discount_percent {
        return Err(MoneyError::Discount {
            discount: discount_percent,
        });
    }
    let factors = [
        quantity.mantissa(),
        unit_price.mantissa(),
        kept_mantissa(discount_percent),
    ];
    let scale = quantity.scale() + unit_price.scale() + kept_scale(discount_percent);
    amount_narrow(factors, scale)
        .or_else(|| amount_wide(factors, scale))
        .and_then(|mantissa| Decimal::try_from_i128_with_scale(mantissa, AMOUNT_DECIMALS).ok())
        .ok_or_else(|| MoneyError::TooLarge {
            what: format!("the amount {quantity} x {unit_price} less {discount_percent} %"),
        })
}

/// The exact sum of amounts of at most [`AMOUNT_DECIMALS`] decimals, whatever their order.
///
/// # Errors
/// A summand with more decimals, or a sum that a decimal cannot hold with 10 decimals.
pub fn sum(amounts: impl IntoIterator<Item = Decimal>) -> Result<Decimal, MoneyError> {
    let mut total: i128 = 0;
    for amount in amounts {
        let units = amount_units(amount)?;
        total = total.checked_add(units).ok_or_else(sum_too_large)?;
    }
    Decimal::try_from_i128_with_scale(total, AMOUNT_DECIMALS).map_err(|_| sum_too_large())
}

fn sum_too_large() -> MoneyError {
    MoneyError::TooLarge {
        what: "the sum of the amounts".to_owned(),
    }
}

/// An amount in units of 10^-10, exactly.
fn amount_units(amount: Decimal) -> Result<i128, MoneyError> {
    let fine = if amount.scale() <= AMOUNT_DECIMALS {
        amount
    } else {
        amount.normalize()
    };
    let Some(up) = AMOUNT_DECIMALS.checked_sub(fine.scale()) else {
        return Err(MoneyError::TooFine { value: amount });
    };
    fine.mantissa()
        .checked_mul(10_i128.pow(up))
        .ok_or_else(|| MoneyError::TooLarge {
            what: format!("the amount {amount}"),
        })
}

/// The mantissa of `1 - discount / 100` at [`kept_scale`]; without a discount both are those of 1.
fn kept_mantissa(discount: Decimal) -> i128 {
    if discount.is_zero() {
        1
    } else {
        100 * 10_i128.pow(discount.scale()) - discount.mantissa()
    }
}

fn kept_scale(discount: Decimal) -> u32 {
    if discount.is_zero() { 0 } else { discount.scale() + 2 }
}

/// The rounded product in units of 10^-10, when all of it fits an `i128`: nearly always.
fn amount_narrow(factors: [i128; 3], scale: u32) -> Option<i128> {
    let product = factors[0].checked_mul(factors[1])?.checked_mul(factors[2])?;
    let down = match scale.checked_sub(AMOUNT_DECIMALS) {
        None => return product.checked_mul(10_i128.pow(AMOUNT_DECIMALS - scale)),
        // A quantity without a discount at a price of 4 decimals: nearly every line, and wide divisions are slow.
        Some(0) => return Some(product),
        Some(down) => down,
    };
    if POWER_MAX < down {
        return None;
    }
    let divisor = 10_i128.pow(down);
    let rest = (product % divisor).unsigned_abs();
    let half_reached = divisor.unsigned_abs() <= rest * 2;
    Some(product / divisor + if half_reached { product.signum() } else { 0 })
}

/// The same in integers of any width; none when the rounded result does not fit an `i128`.
fn amount_wide(factors: [i128; 3], scale: u32) -> Option<i128> {
    let product: BigInt = factors.iter().map(|&factor| BigInt::from(factor)).product();
    let ten = BigInt::from(10);
    let rounded = match scale.checked_sub(AMOUNT_DECIMALS) {
        None => product * ten.pow(AMOUNT_DECIMALS - scale),
        Some(down) => {
            let divisor = ten.pow(down);
            let sign = if product.sign() == Sign::Minus { -1 } else { 1 };
            let magnitude = BigInt::from(product.magnitude().clone());
            (magnitude * 2 + &divisor) / (divisor * 2) * sign
        }
    };
    i128::try_from(rounded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        parse_plain(text).unwrap()
    }

    fn amount(quantity: &str, price: &str, discount: &str) -> String {
        plain(
            line_amount(decimal(quantity), decimal(price), decimal(discount)).unwrap(),
            AMOUNT_DECIMALS,
        )
    }

    #[test]
    fn an_amount_without_discount_is_exact() {
        assert_eq!(amount("0.533333", "0.0325", "0"), "0.0173333225");
        assert_eq!(amount("-12", "0.0325", "0"), "-0.3900000000");
        assert_eq!(amount("7", "0", "0"), "0.0000000000");
        assert_eq!(amount("7", "3", "100"), "0.0000000000");
    }

    #[test]
    fn an_amount_is_rounded_once_half_up_away_from_zero() {
        assert_eq!(amount("0.000001", "0.000050", "0"), "0.0000000001");
        assert_eq!(amount("-0.000001", "0.000050", "0"), "-0.0000000001");
        assert_eq!(amount("0.000001", "0.000049", "0"), "0.0000000000");
        assert_eq!(amount("0.000003", "0.000100", "12.5"), "0.0000000003");
    }

    #[test]
    fn a_product_wider_than_28_digits_loses_nothing() {
        assert_eq!(
            amount("9000000000000.123457", "123456.654321", "33.33"),
            "740776962922306461.5668346109"
        );
    }

    #[test]
    fn an_amount_that_does_not_fit_is_an_error_and_not_a_wrap() {
        let huge = decimal("79228162514264337593543950335");
        assert!(matches!(
            line_amount(huge, huge, Decimal::ZERO),
            Err(MoneyError::TooLarge { .. })
        ));
        assert!(matches!(sum([huge]), Err(MoneyError::TooLarge { .. })));
    }

    #[test]
    fn a_discount_outside_0_to_100_is_refused() {
        for discount in ["-0.01", "100.01"] {
            let error = line_amount(Decimal::ONE, Decimal::ONE, decimal(discount)).unwrap_err();
            assert!(error.to_string().contains(discount), "{error}");
        }
    }

    #[test]
    fn a_sum_refuses_what_is_finer_than_an_amount_but_not_trailing_zeros() {
        assert!(sum([decimal("0.00000000001")]).is_err());
        assert_eq!(sum([decimal("0.100000000000")]).unwrap(), decimal("0.1"));
    }

    #[test]
    fn rounding_goes_away_from_zero_at_the_half() {
        assert_eq!(round_half_up(decimal("2.345"), 2), decimal("2.35"));
        assert_eq!(round_half_up(decimal("-2.345"), 2), decimal("-2.35"));
        assert_eq!(round_half_up(decimal("-2.5"), 0), decimal("-3"));
        assert_eq!(round_half_up(decimal("2.3449"), 2), decimal("2.34"));
    }

    /// The amount as a textbook would write it: |product| x 2 + divisor over 2 x divisor.
    fn model(quantity: Decimal, price: Decimal, discount: Decimal) -> BigInt {
        let ten = BigInt::from(10);
        let kept = BigInt::from(100) * ten.pow(discount.scale()) - discount.mantissa();
        let product = BigInt::from(quantity.mantissa()) * price.mantissa() * kept * ten.pow(AMOUNT_DECIMALS);
        let divisor = ten.pow(quantity.scale() + price.scale() + discount.scale() + 2);
        let negative = product < BigInt::ZERO;
        let magnitude = if negative { -product } else { product };
        let twice = &divisor * 2;
        let quotient = &magnitude / &divisor;
        let rest = &magnitude % &divisor;
        let rounded = if &rest * 2 >= divisor { quotient + 1 } else { quotient };
        assert!(rest < twice);
        if negative { -rounded } else { rounded }
    }

    proptest! {
        #[test]
        fn an_amount_is_what_wide_integers_say(
            quantity in -9_000_000_000_000_000_000_000_000_i128..9_000_000_000_000_000_000_000_000,
            quantity_scale in 0_u32..=28, price in 0_i128..1_000_000_000_000_000, price_scale in 0_u32..=28,
            discount in 0_i128..=10_000,
        ) {
            let quantity = Decimal::from_i128_with_scale(quantity, quantity_scale);
            let price = Decimal::from_i128_with_scale(price, price_scale);
            let discount = Decimal::from_i128_with_scale(discount, 2);
            let expected = model(quantity, price, discount);
            match line_amount(quantity, price, discount) {
                Ok(amount) => {
                    prop_assert_eq!(amount.scale(), AMOUNT_DECIMALS);
                    prop_assert_eq!(BigInt::from(amount.mantissa()), expected);
                }
                Err(_) => prop_assert!(BigInt::from(Decimal::MAX.mantissa()) < BigInt::from(expected.magnitude().clone())),
            }
        }

        #[test]
        fn narrow_and_wide_products_agree(
            a in any::<i64>(), b in 0_i128..1_000_000_000_000, c in 0_i128..=10_000, scale in 0_u32..40,
        ) {
            let factors = [i128::from(a), b, c];
            if let Some(narrow) = amount_narrow(factors, scale) {
                prop_assert_eq!(Some(narrow), amount_wide(factors, scale));
            }
        }
    }
}
