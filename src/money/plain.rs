//! Decimals as plain text: digits and at most one point, never an exponent, never a lost digit.

use rust_decimal::Decimal;

use super::MoneyError;

/// Room for 28 digits, a point, a leading zero and a sign.
const TEXT_MAX: usize = 40;

/// The plain text of `value` with at least `decimals` decimals; more only where digits need them.
pub fn plain(value: Decimal, decimals: u32) -> String {
    let mut text = String::with_capacity(24);
    write_plain(&mut text, value, decimals);
    text
}

/// Appends the text of [`plain`]; there is no minus zero.
#[expect(clippy::missing_panics_doc, reason = "the buffer holds ASCII only")]
pub fn write_plain(out: &mut String, value: Decimal, decimals: u32) {
    let mantissa = value.mantissa();
    let negative = mantissa < 0;
    let mut buffer = [b'0'; TEXT_MAX];
    let (start, scale) = match u64::try_from(mantissa.unsigned_abs()) {
        Ok(small) => digits_u64(&mut buffer, small, value.scale(), decimals),
        Err(_) => digits_u128(&mut buffer, mantissa.unsigned_abs(), value.scale(), decimals),
    };
    if negative {
        out.push('-');
    }
    out.push_str(std::str::from_utf8(&buffer[start..]).expect("ASCII digits and a point"));
    if scale == 0 && 0 < decimals {
        out.push('.');
    }
    for _ in scale..decimals {
        out.push('0');
    }
}

/// Generates the digit writers: the same text, in the narrow integer where it is enough.
macro_rules! digits {
    ($name:ident, $integer:ty) => {
        /// Writes right-aligned digits; returns where they start and how many are decimals.
        fn $name(buffer: &mut [u8; TEXT_MAX], mut rest: $integer, mut scale: u32, decimals: u32) -> (usize, u32) {
            while decimals < scale && rest % 10 == 0 {
                rest /= 10;
                scale -= 1;
            }
            let mut at = TEXT_MAX;
            let mut written = 0;
            while rest != 0 || written <= scale {
                if written == scale && scale != 0 {
                    at -= 1;
                    buffer[at] = b'.';
                }
                at -= 1;
                buffer[at] = b'0' + u8::try_from(rest % 10).expect("one digit");
                rest /= 10;
                written += 1;
            }
            (at, scale)
        }
    };
}
digits!(digits_u64, u64);
digits!(digits_u128, u128);

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

    proptest! {
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
