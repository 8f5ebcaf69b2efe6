//! Parts of a text that are encoded for URLs (`%3A`) or in base64: what they say, and the same encoded again. Pure.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The shortest part that is taken for base64: shorter ones are words, and hold no secret with its name.
const BASE64_BYTES_MIN: usize = 16;

/// As a sender may have written it, with or without `=` at its end. What is written has none, so that nothing looks like a name and `=`.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// A part of a text that is encoded.
#[derive(Debug)]
pub(super) struct Encoded {
    pub place: Range<usize>,
    pub says: String,
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Percent,
    Base64 { is_for_urls: bool },
}

impl Encoded {
    /// Other words in the same encoding.
    pub fn write(&self, says: &str) -> String {
        match self.encoding {
            Encoding::Percent => percent_encoded(says),
            Encoding::Base64 { is_for_urls } => engine(is_for_urls).encode(says),
        }
    }
}

fn engine(is_for_urls: bool) -> GeneralPurpose {
    GeneralPurpose::new(if is_for_urls { &URL_SAFE } else { &STANDARD }, LENIENT)
}

/// The parts that are encoded for URLs: what stands between blanks and quotes and has a `%` with two digits.
pub(super) fn in_percent(text: &str) -> Vec<Encoded> {
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return Vec::new();
    }
    let is_part = |byte: u8| !byte.is_ascii_whitespace() && !b"\"'<>\\{}".contains(&byte);
    runs(text.as_bytes(), is_part)
        .filter_map(|place| {
            let says = percent_decoded(&text[place.clone()])?;
            Some(Encoded {
                place,
                says,
                encoding: Encoding::Percent,
            })
        })
        .collect()
}

/// The parts that are in base64.
pub(super) fn in_base64(text: &str) -> Vec<Encoded> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte);
    runs(text.as_bytes(), is_part)
        .filter(|place| place.len() >= BASE64_BYTES_MIN)
        .filter_map(|place| {
            let part = &text[place.clone()];
            let is_for_urls = part.contains(['-', '_']);
            let says = base64_decoded(part, is_for_urls)?;
            Some(Encoded {
                place,
                says,
                encoding: Encoding::Base64 { is_for_urls },
            })
        })
        .collect()
}

/// The longest runs of bytes of a kind.
fn runs(bytes: &[u8], is_part: impl Fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(|&byte| is_part(byte))?;
        let length = bytes[start..].iter().position(|&byte| !is_part(byte));
        at = length.map_or(bytes.len(), |length| start + length);
        Some(start..at)
    })
}

/// None where nothing is encoded. Bytes that are no text are replaced.
fn percent_decoded(part: &str) -> Option<String> {
    let bytes = part.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut says = Vec::with_capacity(bytes.len());
    let (mut at, mut any) = (0, false);
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                says.push(u8::try_from(high * 16 + low).ok()?);
                (at, any) = (at + 3, true);
            }
            (byte, ..) => {
                says.push(byte);
                at += 1;
            }
        }
    }
    any.then(|| String::from_utf8_lossy(&says).into_owned())
}

fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte) {
            out.push(byte.into());
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// None where it is no base64. What is cut off at its end is left out, and bytes that are no text are replaced.
fn base64_decoded(part: &str, is_for_urls: bool) -> Option<String> {
    let part = part.trim_end_matches('=');
    let whole = if part.len() % 4 == 1 {
        part.len() - 1
    } else {
        part.len()
    };
    let says = engine(is_for_urls).decode(&part[..whole]).ok()?;
    Some(String::from_utf8_lossy(&says).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_for_urls_is_read_and_written_again() {
        let text = "see https%3A%2F%2Fh%2Fa%3Ft%3D1 and 50% of 20%zz";
        let found = in_percent(text);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (&text[found[0].place.clone()], found[0].says.as_str()),
            ("https%3A%2F%2Fh%2Fa%3Ft%3D1", "https://h/a?t=1")
        );
        assert_eq!(found[0].write("https://h/a?***"), "https%3A%2F%2Fh%2Fa%3F***");
    }

    #[test]
    fn text_in_base64_is_read_with_and_without_its_end_and_other_words_are_not() {
        for (part, says) in [
            ("eyJ0b2tlbiI6ImFiYyJ9", "{\"token\":\"abc\"}"),
            ("eyJ0b2tlbiI6ImFiIn0=", "{\"token\":\"ab\"}"),
            ("eyJ0b2tlbiI6ImFiIn0", "{\"token\":\"ab\"}"),
            ("eyJ0b2tlbiI6ImFi7", "{\"token\":\"ab"),
            ("eyJ0b2tlbiI6Ij8_In0", "{\"token\":\"??\"}"),
        ] {
            let text = format!("\"{part}\"");
            let found = in_base64(&text);
            assert_eq!(found.len(), 1, "{part}");
            assert_eq!(found[0].says, says);
            assert_eq!(
                in_base64(&found[0].write("{\"token\":\"***\"}"))[0].says,
                "{\"token\":\"***\"}"
            );
        }
        for none in ["/mps/usage_of/2026/11/30/file", "aaaa"] {
            assert!(in_base64(none).is_empty(), "{none}");
        }
    }
}
