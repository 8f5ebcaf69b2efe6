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
    let leads_with_zero = text.len() > 1 && text.starts_with('0');
    short_digits(text).filter(|_| !leads_with_zero)
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
    short_digits(text).map_or_else(|| long_digits(text), Ok)
}

#[cold]
fn long_digits(text: &str) -> Result<u64, NumberError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberError::NotANumber);
    }
    text.parse().map_err(|_| NumberError::TooLarge)
}

const POWERS_OF_TEN: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The value of `text` if it is nothing but 1 to 19 ASCII digits, which always fit. The lengths that most numbers have are read in one
/// or two steps; the two may share digits in the middle.
#[inline]
pub fn short_digits(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    match bytes.len() {
        length @ 4..=8 => {
            let (first, last) = (
                values_of_four(*bytes.first_chunk()?),
                values_of_four(*bytes.last_chunk()?),
            );
            eight_digits(first << (8 * (8 - length)) | last << 32)
        }
        length @ 9..=16 => {
            let (first, last) = (
                values_of_eight(*bytes.first_chunk()?),
                values_of_eight(*bytes.last_chunk()?),
            );
            let fresh = length - 8;
            let last = last & (u64::MAX << (8 * (8 - fresh)));
            Some(eight_digits(first)? * POWERS_OF_TEN[fresh] + eight_digits(last)?)
        }
        1..=3 | 17..=19 => bytes.iter().try_fold(0, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0'))
        }),
        _ => None,
    }
}

/// The values of four digits, a byte each; another byte has a value from 10 up.
#[inline]
fn values_of_four(bytes: [u8; 4]) -> u64 {
    u64::from(u32::from_le_bytes(bytes) ^ u32::from_le_bytes([b'0'; 4]))
}

/// [`values_of_four`] of eight.
#[inline]
fn values_of_eight(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes) ^ u64::from_le_bytes([b'0'; 8])
}

/// The number that eight values of digits are: neighbours are joined to pairs, pairs to fours, and fours to eight. None where one is from
/// 10 up.
#[inline]
fn eight_digits(values: u64) -> Option<u64> {
    const TO_HIGH_FROM_TEN: u64 = u64::from_le_bytes([0x80 - 10; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    // A carry can only make a false hit above a true one: where there is any, one is true.
    if (values.wrapping_add(TO_HIGH_FROM_TEN) | values) & HIGHS != 0 {
        return None;
    }
    let pairs = (values.wrapping_mul(10) + (values >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some((fours.wrapping_mul(10_000) + (fours >> 32)) & 0x0000_0000_FFFF_FFFF)
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
    fn up_to_19_digits_are_read_and_nothing_else_is() {
        for (text, expected) in [
            ("", None),
            ("0", Some(0)),
            ("007", Some(7)),
            ("1234", Some(1_234)),
            ("12345", Some(12_345)),
            ("12345678", Some(12_345_678)),
            ("123456789", Some(123_456_789)),
            ("100005052322", Some(100_005_052_322)),
            ("9999999999999999", Some(9_999_999_999_999_999)),
            ("9999999999999999999", Some(9_999_999_999_999_999_999)),
            ("10000000000000000000", None),
            ("-1", None),
            ("1é", None),
            ("é12345", None),
        ] {
            assert_eq!(short_digits(text), expected, "{text}");
        }
    }

    #[test]
    fn a_byte_that_is_no_digit_is_found_wherever_it_stands() {
        for length in 1..=19 {
            for at in 0..length {
                for byte in (0..128).filter(|byte: &u8| !byte.is_ascii_digit()) {
                    let mut text = vec![b'7'; length];
                    text[at] = byte;
                    let text = String::from_utf8(text).unwrap();
                    assert_eq!(short_digits(&text), None, "{text:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn up_to_19_digits_are_those_that_are_read_one_by_one(digits in "[0-9]{1,19}", other in ".{0,20}") {
            let value = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
            prop_assert_eq!(short_digits(&digits), value(&digits));
            prop_assert_eq!(short_digits(&other), value(&other).filter(|_| other.len() < 20));
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
