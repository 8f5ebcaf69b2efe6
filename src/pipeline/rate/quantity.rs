//! A rated quantity: whole millionths of a pricing unit, so that splitting and adding lose nothing.

use rust_decimal::Decimal;

use crate::values::money::QUANTITY_DECIMALS;

/// Millionths in one pricing unit.
const SCALE: i128 = 10_i128.pow(QUANTITY_DECIMALS);

/// Millionths of a pricing unit; never negative where it comes from usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Quantity(i128);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `billable` base units (ms or counts) in units of `base_units` each, rounded once, half-up away from
    /// zero, to 6 decimals. None when a unit has no base units.
    pub fn from_base_units(billable: i64, base_units: u64) -> Option<Self> {
        if let Some(magnitude) = narrow(billable.unsigned_abs(), base_units) {
            return Some(Self(i128::from(magnitude) * i128::from(billable.signum())));
        }
        half_up(i128::from(billable) * SCALE, base_units.into()).map(Self)
    }

    /// `billable` base units times a multiplier, in units of `base_units` each, rounded once as by [`Self::from_base_units`]. None where
    /// it does not fit.
    pub fn multiplied(billable: i64, multiplier: Decimal, base_units: u64) -> Option<Self> {
        let scaled = i128::from(billable)
            .checked_mul(multiplier.mantissa())?
            .checked_mul(SCALE)?;
        let divisor = i128::from(base_units).checked_mul(10_i128.checked_pow(multiplier.scale())?)?;
        half_up(scaled, divisor).map(Self)
    }

    /// The base units of it, rounded half-up, where a unit has `base_units` and they were multiplied. None where they do not fit.
    pub fn to_base_units(self, multiplier: Option<Decimal>, base_units: u64) -> Option<i128> {
        let multiplier = multiplier.unwrap_or(Decimal::ONE);
        let scaled = self
            .0
            .checked_mul(base_units.into())?
            .checked_mul(10_i128.checked_pow(multiplier.scale())?)?;
        half_up(scaled, SCALE.checked_mul(multiplier.mantissa())?)
    }

    /// A decimal of at most 6 decimals, exactly; none when it is finer or too large.
    pub fn from_decimal(value: Decimal) -> Option<Self> {
        let value = if value.scale() <= QUANTITY_DECIMALS {
            value
        } else {
            value.normalize()
        };
        let up = QUANTITY_DECIMALS.checked_sub(value.scale())?;
        value.mantissa().checked_mul(10_i128.pow(up)).map(Self)
    }

    /// The same with 6 decimals; none when a decimal cannot hold it.
    pub fn to_decimal(self) -> Option<Decimal> {
        Decimal::try_from_i128_with_scale(self.0, QUANTITY_DECIMALS).ok()
    }

    /// The sum; none when it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; none when it does not fit.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

/// A quotient, rounded half-up away from zero; none of a division by zero, and where it does not fit.
fn half_up(dividend: i128, divisor: i128) -> Option<i128> {
    let twice = dividend.checked_abs()?.checked_mul(2)?.checked_add(divisor)?;
    Some(twice.checked_div(divisor.checked_mul(2)?)? * dividend.signum())
}

/// The rounded millionths, when all of it fits 64 bits: nearly always, and wide divisions are slow.
fn narrow(billable: u64, base_units: u64) -> Option<u64> {
    const TWICE_SCALE: u64 = 2 * 10_u64.pow(QUANTITY_DECIMALS);
    let twice = billable.checked_mul(TWICE_SCALE)?.checked_add(base_units)?;
    twice.checked_div(base_units.checked_mul(2)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::money::{parse_plain, plain};
    use proptest::prelude::*;

    fn minutes(billable_ms: i64) -> String {
        plain(
            Quantity::from_base_units(billable_ms, 60_000)
                .unwrap()
                .to_decimal()
                .unwrap(),
            6,
        )
    }

    #[test]
    fn base_units_are_rounded_once_half_up_to_6_decimals() {
        assert_eq!(minutes(32_000), "0.533333");
        assert_eq!(minutes(1), "0.000017");
        assert_eq!(minutes(60_000), "1.000000");
        assert_eq!(minutes(-1), "-0.000017");
        assert_eq!(
            Quantity::from_base_units(1, 2_000_000),
            Some(Quantity(1)),
            "the half goes up"
        );
        assert_eq!(
            Quantity::from_base_units(-1, 2_000_000),
            Some(Quantity(-1)),
            "away from zero"
        );
        assert_eq!(Quantity::from_base_units(1, 2_000_001), Some(Quantity::ZERO));
    }

    #[test]
    fn the_largest_sum_of_base_units_fits() {
        assert_eq!(
            plain(Quantity::from_base_units(i64::MAX, 1).unwrap().to_decimal().unwrap(), 0),
            i64::MAX.to_string()
        );
        assert_eq!(Quantity::from_base_units(1, 0), None);
        assert_eq!(Quantity::from_base_units(i64::MAX, u64::MAX), Some(Quantity(500_000)));
    }

    #[test]
    fn a_multiplier_is_applied_before_the_one_rounding() {
        let of = |billable, multiplier: &str| Quantity::multiplied(billable, parse_plain(multiplier).unwrap(), 60_000);
        // 1 ms is 0.0000166... minutes: rounded before, it would be 0.000017 x 2 = 0.000034.
        assert_eq!(of(1, "2"), Some(Quantity(33)));
        assert_eq!(of(1, "0.03"), Some(Quantity(1)), "0.0000005 is a half");
        assert_eq!(of(90_000, "1.7500"), Some(Quantity(2_625_000)));
        assert_eq!(of(-90_000, "1.75"), Some(Quantity(-2_625_000)));
        assert!(of(i64::MAX, "999999.9999").is_some());
    }

    #[test]
    fn base_units_of_a_quantity_are_rounded_half_up() {
        let of = |quantity, multiplier: Option<&str>, base_units| {
            Quantity(quantity).to_base_units(multiplier.map(|text| parse_plain(text).unwrap()), base_units)
        };
        assert_eq!(of(1_500_000, None, 60_000), Some(90_000));
        assert_eq!(of(1, None, 500_000), Some(1), "half of a base unit");
        assert_eq!(of(1, None, 499_999), Some(0));
        assert_eq!(of(2_625_000, Some("1.75"), 60_000), Some(90_000));
    }

    #[test]
    fn a_decimal_finer_than_6_decimals_is_no_quantity() {
        assert_eq!(
            Quantity::from_decimal(parse_plain("100.5000000").unwrap()),
            Some(Quantity(100_500_000))
        );
        assert_eq!(Quantity::from_decimal(parse_plain("0.0000001").unwrap()), None);
    }

    proptest! {
        #[test]
        fn narrow_and_wide_divisions_agree(billable in any::<i64>(), shift in 0_u32..60, base_units in 1_u64..10_000_000_000) {
            let billable = billable >> shift;
            let twice = i128::from(billable).abs() * SCALE * 2 + i128::from(base_units);
            let rounded = twice / (i128::from(base_units) * 2) * i128::from(billable.signum());
            prop_assert_eq!(Quantity::from_base_units(billable, base_units), Some(Quantity(rounded)));
        }
    }
}
