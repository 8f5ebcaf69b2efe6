//! Exact numbers as text: a JSON number and its one canonical form. No float is involved.

use std::borrow::Cow;

use crate::support::json::is_number;

/// The most digits that a number may have when it is written out without an exponent. Far beyond any
/// measured value; it keeps `1e999999999` from filling the memory.
pub const MAX_DIGITS: usize = 64;

/// Why a text is no number of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not what JSON calls a number.
    #[error("not a number")]
    NotANumber,
    /// More than [`MAX_DIGITS`] digits.
    #[error("a number of more than {MAX_DIGITS} digits")]
    TooLong,
    /// Below zero where a whole number from zero up is needed.
    #[error("negative")]
    Negative,
    /// A fraction where a whole number is needed.
    #[error("not a whole number")]
    Fraction,
    /// Beyond the limit of the place that it is for.
    #[error("too large")]
    TooLarge,
}

/// The canonical form of the JSON number `text`: plain digits, a point only before a fraction, no trailing
/// zeros, no exponent, no negative zero. Equal values have equal texts: `1920.0` is `1920`, `1e3` is `1000`.
pub fn canonical(text: &str) -> Result<Cow<'_, str>, NumberError> {
    if is_plain_whole(text) && text.len() <= MAX_DIGITS {
        return Ok(Cow::Borrowed(text));
    }
    if !is_number(text) {
        return Err(NumberError::NotANumber);
    }
    write_out(text).map(Cow::Owned)
}

/// The canonical form of a text that is a plain decimal: digits, perhaps a sign before and a fraction after them; no exponent, no `+`, no
/// zero in front of other digits.
pub fn plain_decimal(text: &str) -> Option<Cow<'_, str>> {
    let begins_as_one = matches!(text.as_bytes().first(), Some(b'0'..=b'9' | b'-'));
    if !begins_as_one || text.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        return None;
    }
    canonical(text).ok()
}

/// The value of the JSON number `text` if it is nothing but at most 19 digits, as nearly every whole number is.
#[inline]
pub fn short_whole(text: &str) -> Option<u64> {
    (is_plain_whole(text) && text.len() < 20).then(|| digits_value(text))
}

/// The value of the JSON number `text` if it is whole and fits: `32000`, `32000.0` and `3.2e4` are equal.
#[inline]
pub fn whole(text: &str) -> Result<u64, NumberError> {
    if let Some(value) = short_whole(text) {
        return Ok(value);
    }
    let text = canonical(text)?;
    if text.starts_with('-') {
        Err(NumberError::Negative)
    } else if text.contains('.') {
        Err(NumberError::Fraction)
    } else {
        text.parse().map_err(|_| NumberError::TooLarge)
    }
}

/// The value of `text` if it is nothing but ASCII digits (leading zeros are fine) and fits.
#[inline]
pub fn digits(text: &str) -> Result<u64, NumberError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberError::NotANumber);
    }
    if text.len() < 20 {
        return Ok(digits_value(text));
    }
    text.parse().map_err(|_| NumberError::TooLarge)
}

/// The most digits that [`leading_digits`] reads: more might not fit.
const LEADING_DIGITS_MAX: usize = 19;

/// The value of the digits that `bytes` begins with, and how many they are, at most 19.
#[inline]
pub fn leading_digits(bytes: &[u8]) -> (u64, usize) {
    let (mut value, mut count) = (0, 0);
    while count <= LEADING_DIGITS_MAX - 8
        && let Some(eight) = bytes.get(count..).and_then(<[u8]>::first_chunk)
    {
        let (part, digits) = leading_of_eight(*eight);
        value = value * POWERS_OF_TEN[digits] + part;
        count += digits;
        if digits < 8 {
            return (value, count);
        }
    }
    for &byte in bytes.iter().take(LEADING_DIGITS_MAX).skip(count) {
        if !byte.is_ascii_digit() {
            break;
        }
        value = value * 10 + u64::from(byte - b'0');
        count += 1;
    }
    (value, count)
}

const POWERS_OF_TEN: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// [`leading_digits`] of eight bytes at once: neighbours are joined to pairs, pairs to fours, and fours to eight.
#[inline]
fn leading_of_eight(bytes: [u8; 8]) -> (u64, usize) {
    const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
    const TO_HIGH_FROM_TEN: u64 = u64::from_le_bytes([0x80 - 10; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let values = u64::from_le_bytes(bytes) ^ ZEROS;
    // A carry can only make a false hit above a true one, so the lowest hit is true.
    let others = (values.wrapping_add(TO_HIGH_FROM_TEN) | values) & HIGHS;
    let count = others.trailing_zeros() / 8;
    // With zeros in front the digits are a number of eight digits.
    let digits = values.unbounded_shl(64 - 8 * count);
    let pairs = (digits.wrapping_mul(10) + (digits >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    let eight = (fours.wrapping_mul(10_000) + (fours >> 32)) & 0x0000_0000_FFFF_FFFF;
    (eight, count as usize)
}

/// The value of at most 19 digits, which always fits.
#[inline]
fn digits_value(text: &str) -> u64 {
    text.bytes().fold(0, |value, byte| value * 10 + u64::from(byte - b'0'))
}

#[inline]
fn is_plain_whole(text: &str) -> bool {
    let leads_with_zero = text.len() > 1 && text.starts_with('0');
    !text.is_empty() && !leads_with_zero && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `text` is a JSON number.
fn write_out(text: &str) -> Result<String, NumberError> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", text),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Ok("0".to_owned());
    }
    let trailing = digits.len() - digits.trim_end_matches('0').len();
    // The value is `significant` times ten to the power of `scale`.
    let scale = saturating_exponent(exponent)
        .saturating_sub_unsigned(fraction.len() as u64)
        .saturating_add_unsigned(trailing as u64);
    place_point(sign, significant, scale).ok_or(NumberError::TooLong)
}

fn place_point(sign: &str, significant: &str, scale: i64) -> Option<String> {
    let count = significant.len();
    if scale >= 0 {
        let zeros = usize::try_from(scale).ok()?;
        let fits = count.checked_add(zeros)? <= MAX_DIGITS;
        return fits.then(|| format!("{sign}{significant}{}", "0".repeat(zeros)));
    }
    let places = usize::try_from(scale.unsigned_abs()).ok()?;
    if places.max(count) > MAX_DIGITS {
        return None;
    }
    Some(if places < count {
        let (whole, fraction) = significant.split_at(count - places);
        format!("{sign}{whole}.{fraction}")
    } else {
        format!("{sign}0.{}{significant}", "0".repeat(places - count))
    })
}

fn saturating_exponent(text: &str) -> i64 {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = digits.bytes().fold(0_i64, |value, byte| {
        value.saturating_mul(10).saturating_add(i64::from(byte - b'0'))
    });
    if negative { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_values_have_one_text() {
        for (text, expected) in [
            ("1920", "1920"),
            ("1920.0", "1920"),
            ("1e3", "1000"),
            ("1E+3", "1000"),
            ("-0", "0"),
            ("-0.0e5", "0"),
            ("0e999999999999999999999", "0"),
            ("29.970", "29.97"),
            ("0.5", "0.5"),
            ("5e-1", "0.5"),
            ("0.00012e2", "0.012"),
            ("-12.50", "-12.5"),
            ("100e-2", "1"),
            ("123e-2", "1.23"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_does_not_fit_is_said() {
        for text in [
            "", "NaN", "Infinity", "+1", "01", "1.", ".5", "1e", "0x10", "1 ", " 1", "-", "1_000", "١",
        ] {
            assert_eq!(canonical(text), Err(NumberError::NotANumber), "{text}");
        }
        for text in [
            "1e400",
            "1e-400",
            "1e64",
            "1e99999999999999999999",
            "1e-99999999999999999999",
        ] {
            assert_eq!(canonical(text), Err(NumberError::TooLong), "{text}");
        }
        assert_eq!(canonical(&"9".repeat(64)).map(|text| text.len()), Ok(64));
        assert_eq!(canonical(&"9".repeat(65)), Err(NumberError::TooLong));
        assert_eq!(canonical("1e63").map(|text| text.len()), Ok(64));
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_decimal() {
        assert_eq!(whole("32000.0"), Ok(32_000));
        assert_eq!(whole("3.2e4"), Ok(32_000));
        assert_eq!(whole("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(whole("18446744073709551616"), Err(NumberError::TooLarge));
        assert_eq!(whole("9999999999999999999"), Ok(9_999_999_999_999_999_999));
        assert_eq!(whole("-1"), Err(NumberError::Negative));
        assert_eq!(whole("-0"), Ok(0));
        assert_eq!(whole("0.5"), Err(NumberError::Fraction));
        assert_eq!(whole("01"), Err(NumberError::NotANumber));
        assert_eq!(digits("00123"), Ok(123));
        assert_eq!(digits("00000000000000000000000000000007"), Ok(7));
        assert_eq!(digits("1e3"), Err(NumberError::NotANumber));
        assert_eq!(digits(""), Err(NumberError::NotANumber));
        assert_eq!(digits("18446744073709551616"), Err(NumberError::TooLarge));
    }

    #[test]
    fn digits_in_front_are_read_up_to_where_they_end() {
        for (text, expected) in [
            ("", (0, 0)),
            ("x1", (0, 0)),
            ("0", (0, 1)),
            ("007,8", (7, 3)),
            ("12345678", (12_345_678, 8)),
            ("12345678\"", (12_345_678, 8)),
            ("100005052322\",\"appid\":1", (100_005_052_322, 12)),
            ("9999999999999999999999", (9_999_999_999_999_999_999, 19)),
            ("1é", (1, 1)),
        ] {
            assert_eq!(leading_digits(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn digits_in_front_are_those_that_are_read_one_by_one(digits in "[0-9]{0,19}", rest in "([^0-9].{0,9})?") {
            let value = if digits.is_empty() { 0 } else { digits_value(&digits) };
            let text = format!("{digits}{rest}");
            prop_assert_eq!(leading_digits(text.as_bytes()), (value, digits.len()));
        }

        #[test]
        fn shifting_the_point_and_the_exponent_changes_nothing(
            digits in "[1-9][0-9]{0,20}", places in 0_usize..20, zeros in 0_usize..5, negative: bool,
        ) {
            let sign = if negative { "-" } else { "" };
            let plain = canonical(&format!("{sign}{digits}e-{places}")).unwrap().into_owned();
            let longer = format!("{sign}{digits}{}e-{}", "0".repeat(zeros), places + zeros);
            prop_assert_eq!(canonical(&longer).unwrap(), plain.as_str());
            let fraction = format!("{sign}0.{digits}E{}", digits.len().cast_signed() - places.cast_signed());
            prop_assert_eq!(canonical(&fraction).unwrap(), plain.as_str());
            prop_assert_eq!(canonical(&plain).unwrap(), plain.as_str());
        }
    }
}
