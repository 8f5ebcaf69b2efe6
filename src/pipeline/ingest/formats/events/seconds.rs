//! Seconds as events have them, such as `93.06700134277344`, as whole milliseconds: from the decimal text, half-up. No float is involved.

use num_bigint::BigUint;

use crate::values::number::{NumberError, canonical};
use crate::values::parameters::MAX_MEASURED;

/// A decimal from zero up: its digits, and how many of them stand behind the point.
struct Decimal {
    digits: BigUint,
    places: u32,
}

/// The milliseconds of a JSON number of seconds.
pub(super) fn milliseconds(seconds: &str) -> Result<u64, NumberError> {
    rounded(&Decimal::read(seconds)?)
}

/// The milliseconds from one JSON number of seconds to another; the difference is rounded, and not the two.
pub(super) fn between(start: &str, end: &str) -> Result<u64, NumberError> {
    let (start, end) = (Decimal::read(start)?, Decimal::read(end)?);
    let places = start.places.max(end.places);
    let (start, end) = (start.with_places(places), end.with_places(places));
    if end < start {
        return Err(NumberError::Negative);
    }
    rounded(&Decimal {
        digits: end - start,
        places,
    })
}

impl Decimal {
    fn read(number: &str) -> Result<Self, NumberError> {
        let text = canonical(number)?;
        if text.starts_with('-') {
            return Err(NumberError::Negative);
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = format!("{whole}{fraction}");
        Ok(Self {
            digits: digits.parse().map_err(|_| NumberError::NotANumber)?,
            // At most 64.
            places: u32::try_from(fraction.len()).map_err(|_| NumberError::TooLong)?,
        })
    }

    /// Its digits, if it had so many places, which are at least its own.
    fn with_places(self, places: u32) -> BigUint {
        self.digits * BigUint::from(10_u32).pow(places - self.places)
    }
}

fn rounded(seconds: &Decimal) -> Result<u64, NumberError> {
    let one = BigUint::from(10_u32).pow(seconds.places);
    // Twice the milliseconds and a half, over two.
    let doubled = &seconds.digits * 2000_u32 + &one;
    let milliseconds = u64::try_from(doubled / (one * 2_u32)).map_err(|_| NumberError::TooLarge)?;
    if milliseconds > MAX_MEASURED {
        return Err(NumberError::TooLarge);
    }
    Ok(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_half_up_from_their_decimal_text() {
        for (seconds, expected) in [
            ("0", 0),
            ("60", 60_000),
            ("600.0", 600_000),
            ("1500.12", 1_500_120),
            ("30.571", 30_571),
            ("93.06700134277344", 93_067),
            ("11.26200008392334", 11_262),
            ("60.04700088501", 60_047),
            ("20.534000396728516", 20_534),
            ("0.0005", 1),
            ("0.00049999999999999999999999999999999999999", 0),
            ("1.0005", 1_001),
            ("6e1", 60_000),
            ("5e-4", 1),
            ("0.1000000000000000055511151231257827021181583404541015625", 100),
            ("9007199254740.992", 9_007_199_254_740_992),
        ] {
            assert_eq!(milliseconds(seconds), Ok(expected), "{seconds}");
        }
        assert_eq!(milliseconds("-0.0001"), Err(NumberError::Negative));
        assert_eq!(milliseconds("9007199254740.9925"), Err(NumberError::TooLarge));
        assert_eq!(milliseconds("1e99"), Err(NumberError::TooLong));
        assert_eq!(milliseconds("1e60"), Err(NumberError::TooLarge));
    }

    #[test]
    fn a_difference_is_rounded_once() {
        assert_eq!(between("0", "3"), Ok(3_000));
        assert_eq!(between("1.0004", "2.0009"), Ok(1_001));
        assert_eq!(between("1.0004", "1.0008"), Ok(0));
        assert_eq!(between("2", "2.0"), Ok(0));
        assert_eq!(between("2.1", "2"), Err(NumberError::Negative));
        assert_eq!(between("-1", "2"), Err(NumberError::Negative));
    }
}
