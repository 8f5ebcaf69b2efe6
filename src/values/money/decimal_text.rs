//! Decimals as plain text: digits and at most one point, never an exponent, never a lost digit.

use rust_decimal::Decimal;

use super::MoneyError;

/// The plain text of `value` with at least `decimals` decimals; more only where digits need them.
#[expect(clippy::missing_panics_doc, reason = "digits, a point and a sign are UTF-8")]
pub fn plain(value: Decimal, decimals: u32) -> String {
    let mut text = Vec::with_capacity(24);
    write_plain(&mut text, value, decimals);
    String::from_utf8(text).expect("ASCII digits, a point and a sign")
}

/// Appends the text of [`plain`]; there is no minus zero.
pub fn write_plain(out: &mut Vec<u8>, value: Decimal, decimals: u32) {
    let (least, mantissa) = (decimals as usize, value.mantissa());
    let mut buffer = itoa::Buffer::new();
    let digits = match u64::try_from(mantissa.unsigned_abs()) {
        Ok(0) => "",
        Ok(small) => buffer.format(small),
        Err(_) => buffer.format(mantissa.unsigned_abs()),
    };
    let (digits, scale) = without_spare_zeros(digits.as_bytes(), value.scale() as usize, least);
    if mantissa < 0 {
        out.push(b'-');
    }
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
    if scale.max(least) == 0 {
        return;
    }
    out.push(b'.');
    out.resize(out.len() + scale - fraction.len(), b'0');
    out.extend_from_slice(fraction);
    out.resize(out.len() + least.saturating_sub(scale), b'0');
}

/// The digits without zeros at the end that are decimals beyond the least number of them, and how many of the digits are decimals.
fn without_spare_zeros(digits: &[u8], scale: usize, least: usize) -> (&[u8], usize) {
    let spare = scale.saturating_sub(least);
    if digits.is_empty() {
        return (digits, scale - spare);
    }
    let zeros = digits
        .iter()
        .rev()
        .take(spare)
        .take_while(|digit| **digit == b'0')
        .count();
    (&digits[..digits.len() - zeros], scale - zeros)
}

/// Reads a plain decimal: `-?digits(.digits)?`, no sign `+`, no exponent, no separators, exactly.
///
/// # Errors
/// Any other text, and digits that a decimal cannot hold (28 digits, 28 decimals).
pub fn parse_plain(text: &str) -> Result<Decimal, MoneyError> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits(whole)
        && all_digits(fraction)
        && let Ok(value) = Decimal::from_str_exact(text)
    {
        return Ok(value);
    }
    Err(MoneyError::Text { text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_has_the_decimals_asked_for_and_never_fewer_digits_than_the_value() {
        let text = |value: &str, decimals| plain(parse_plain(value).unwrap(), decimals);
        assert_eq!(text("12", 0), "12");
        assert_eq!(text("12", 2), "12.00");
        assert_eq!(text("0", 3), "0.000");
        assert_eq!(text("0.0325", 0), "0.0325");
        assert_eq!(text("0.032500", 0), "0.0325");
        assert_eq!(text("0.032500", 5), "0.03250");
        assert_eq!(text("10.00", 0), "10");
        assert_eq!(text("-0.5", 6), "-0.500000");
        assert_eq!(text("-0.00", 2), "0.00");
        assert_eq!(
            text("79228162514264337593543950335", 1),
            "79228162514264337593543950335.0"
        );
        assert_eq!(
            plain(Decimal::from_i128_with_scale(1, 28), 0),
            "0.0000000000000000000000000001"
        );
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        for text in [
            "",
            "-",
            ".5",
            "5.",
            "+5",
            "1e3",
            "1_000",
            "1,5",
            " 1",
            "NaN",
            "--1",
            "1.2.3",
            "٣",
            "123456789012345678901234567890",
            "0.12345678901234567890123456789",
        ] {
            assert!(parse_plain(text).is_err(), "{text}");
        }
    }

    /// The text as a decimal writes itself, cut and filled up with zeros.
    fn model(value: Decimal, decimals: u32) -> String {
        let text = value.abs().to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let mut fraction = fraction.to_owned();
        while (decimals as usize) < fraction.len() && fraction.ends_with('0') {
            fraction.pop();
        }
        while fraction.len() < decimals as usize {
            fraction.push('0');
        }
        let sign = if value < Decimal::ZERO { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}")
    }

    proptest! {
        #[test]
        fn text_is_what_a_decimal_says_of_itself(
            mantissa in prop_oneof![-(1_i128 << 95)..(1_i128 << 95), -1_000_i128..1_000], zeros in 0_u32..4,
            scale in 0_u32..=28, decimals in 0_u32..=12,
        ) {
            let value = Decimal::try_from_i128_with_scale(mantissa * 10_i128.pow(zeros), scale);
            let value = value.unwrap_or(Decimal::from_i128_with_scale(mantissa, scale));
            prop_assert_eq!(plain(value, decimals), model(value, decimals));
        }

        #[test]
        fn text_reads_back_as_the_same_value(mantissa in -(1_i128 << 95)..(1_i128 << 95), scale in 0_u32..=28, decimals in 0_u32..=10) {
            let value = Decimal::from_i128_with_scale(mantissa, scale);
            let text = plain(value, decimals);
            prop_assert!(text.split_once('.').map_or(0, |(_, fraction)| fraction.len()) >= decimals as usize);
            let digits = text.trim_start_matches('-').trim_end_matches('0');
            if digits.len() <= 28 {
                prop_assert_eq!(text.parse::<Decimal>().unwrap(), value);
            }
        }
    }
}
