//! The value of a cell as JSON: what the server wrote, to the digit.

use std::borrow::Cow;

use super::column_type::ColumnType;
use crate::sources::line::{Place, is_whole, write_json, write_text};
use crate::support::json::is_escaped;

/// What a time of zeros is, which the service writes for "not reached yet".
const NOT_REACHED: &[u8] = b"0000-00-00T00:00:00Z";

/// Writes the value of a cell of this type.
pub fn write_value(line: &mut Vec<u8>, bytes: &[u8], column_type: ColumnType, place: Place) {
    match column_type {
        ColumnType::Integer | ColumnType::Decimal | ColumnType::Bits => {
            let digits = without_zeros(bytes);
            if place == Place::Text && is_whole(&digits) {
                write_text(line, &digits);
            } else {
                line.extend(&*digits);
            }
        }
        ColumnType::Float | ColumnType::SingleFloat => write_float(line, bytes),
        ColumnType::Bool => line.extend(if bytes == b"t" { "true".as_bytes() } else { b"false" }),
        ColumnType::Json => write_json(line, bytes),
        ColumnType::Text if place == Place::Parameters => write_json(line, bytes),
        ColumnType::Instant => write_time(line, bytes, b"Z"),
        ColumnType::LocalTime => write_time(line, bytes, b""),
        ColumnType::Text | ColumnType::Bytes => write_text(line, bytes),
        ColumnType::HexBytes => write_text(line, &of_hex(bytes)),
    }
}

/// A number without the zeros with which MySQL fills it up in front, which no number of JSON has.
fn without_zeros(bytes: &[u8]) -> Cow<'_, [u8]> {
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let digits = unsigned.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let zeros = unsigned.iter().take_while(|byte| **byte == b'0').count();
    let surplus = zeros.min(digits.saturating_sub(1));
    if surplus == 0 {
        return Cow::Borrowed(bytes);
    }
    let sign = &bytes[..bytes.len() - unsigned.len()];
    Cow::Owned([sign, &unsigned[surplus..]].concat())
}

/// A floating-point number always has a fraction or an exponent: it may have lost digits, so that it is no account and no id. What JSON
/// has no number for (`NaN`) stands as it is, and the line is refused.
fn write_float(line: &mut Vec<u8>, bytes: &[u8]) {
    line.extend(bytes);
    if is_whole(bytes) {
        line.extend(b".0");
    }
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff][+00]`, with `T` between date and time.
fn write_time(line: &mut Vec<u8>, bytes: &[u8], zone: &[u8]) {
    line.push(b'"');
    if bytes.starts_with(b"0000-00-00") {
        line.extend(NOT_REACHED);
    } else if bytes.get(10) == Some(&b' ') && bytes[..10].iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
        let end = bytes.strip_suffix(b"+00").unwrap_or(bytes);
        line.extend(&end[..10]);
        line.push(b'T');
        line.extend(&end[11..]);
        line.extend(zone);
    } else {
        // `infinity`, and years of five digits or before the first: no time of a record.
        line.extend(bytes.iter().filter(|byte| !is_escaped(**byte)));
    }
    line.push(b'"');
}

/// The bytes of `\x` and hexadecimal digits; what is not written so stays as it is.
fn of_hex(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.strip_prefix(b"\\x").unwrap_or(b"?").as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect();
    bytes.filter(|_| rest.is_empty()).unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests;
