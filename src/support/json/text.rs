//! JSON strings: where they end, and what their escapes mean.

use std::borrow::Cow;

use super::Fault;

/// A string as it stands between its quotes, known to be well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// A string that the scanner has checked.
    #[inline]
    pub(super) fn scanned(raw: &'a str, escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// The text itself, if no escape is in it.
    pub fn unescaped(self) -> Option<&'a str> {
        (!self.escaped).then_some(self.raw)
    }

    /// The text as it stands, escapes and all.
    pub fn raw(self) -> &'a str {
        self.raw
    }

    /// A text that is meant as it stands, such as one that was unescaped before.
    pub fn verbatim(text: &'a str) -> Self {
        Self {
            raw: text,
            escaped: false,
        }
    }

    /// The text with its escapes resolved; borrowed if there are none.
    pub fn value(self) -> Cow<'a, str> {
        if self.escaped {
            let mut text = String::with_capacity(self.raw.len());
            self.unescape_into(&mut text);
            Cow::Owned(text)
        } else {
            Cow::Borrowed(self.raw)
        }
    }

    /// Appends the text with its escapes resolved.
    pub fn unescape_into(self, out: &mut String) {
        if !self.escaped {
            out.push_str(self.raw);
            return;
        }
        let mut rest = self.raw;
        while let Some(slash) = memchr::memchr(b'\\', rest.as_bytes()) {
            // The scanner has checked each escape.
            let Ok((character, length)) = escape(&rest.as_bytes()[slash..]) else {
                break;
            };
            out.push_str(&rest[..slash]);
            out.push(character);
            rest = &rest[slash + length..];
        }
        out.push_str(rest);
    }
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);

/// Where the run of bytes that stand for themselves in a string ends: at a quote, a backslash or a control
/// character, else at the end. Eight bytes at a time: a borrow can only make a false hit above a true
/// one, so the lowest hit is true.
#[inline]
pub(super) fn plain_run_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let quote = word ^ (ONES * u64::from(b'"'));
        let slash = word ^ (ONES * u64::from(b'\\'));
        let hits = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let hits = hits & HIGHS;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let tail = &bytes[at..];
    at + tail
        .iter()
        .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')
        .unwrap_or(tail.len())
}

/// Where the first `byte` from `start` on is. As in [`plain_run_end`], the lowest hit is true.
#[inline]
pub fn first_of(byte: u8, bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while let Some(eight) = bytes.get(at..)?.first_chunk() {
        let differing = u64::from_le_bytes(*eight) ^ (ONES * u64::from(byte));
        let hits = differing.wrapping_sub(ONES) & !differing & HIGHS;
        if hits != 0 {
            return Some(at + (hits.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let tail = &bytes[at..];
    tail.iter().position(|&other| other == byte).map(|offset| at + offset)
}

/// Whether `bytes` are printable ASCII that stands for itself in a string: no quote, no backslash.
#[inline]
pub fn is_printable(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let odd = words.iter().fold(0, |odd, word| odd | not_printable(*word));
    let rest_is_printable = match bytes.last_chunk() {
        _ if rest.is_empty() => true,
        Some(last) => not_printable(*last) == 0,
        None => rest
            .iter()
            .all(|&byte| (0x20..0x7F).contains(&byte) && byte != b'"' && byte != b'\\'),
    };
    odd == 0 && rest_is_printable
}

/// Zero if [`is_printable`]. As in [`plain_run_end`], the lowest hit is true: where there is any, one is.
#[inline]
fn not_printable(bytes: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(bytes);
    let quote = word ^ (ONES * u64::from(b'"'));
    let slash = word ^ (ONES * u64::from(b'\\'));
    // A byte from 0x7F up is high, or becomes so by one more.
    let hits = quote.wrapping_sub(ONES)
        | slash.wrapping_sub(ONES)
        | word.wrapping_sub(ONES * 0x20)
        | word.wrapping_add(ONES)
        | word;
    hits & HIGHS
}

/// The character that the escape at the start of `bytes` means, and the escape's length in bytes.
pub(super) fn escape(bytes: &[u8]) -> Result<(char, usize), Fault> {
    let character = match bytes.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(bytes),
        Some(_) => return Err(Fault::BadEscape),
        None => return Err(Fault::CutOff),
    };
    Ok((character, 2))
}

fn unicode_escape(bytes: &[u8]) -> Result<(char, usize), Fault> {
    let first = four_hex(&bytes[2..])?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, 6));
    }
    match (bytes.get(6), bytes.get(7)) {
        (Some(b'\\'), Some(b'u')) => {}
        (None, _) | (Some(b'\\'), None) => return Err(Fault::CutOff),
        _ => return Err(Fault::BadEscape),
    }
    let second = four_hex(&bytes[8..])?;
    let is_pair = (0xD800..0xDC00).contains(&first) && (0xDC00..0xE000).contains(&second);
    let scalar = 0x1_0000 + ((first & 0x3FF) << 10) + (second & 0x3FF);
    let character = if is_pair { char::from_u32(scalar) } else { None };
    character.map(|character| (character, 12)).ok_or(Fault::BadEscape)
}

fn four_hex(bytes: &[u8]) -> Result<u32, Fault> {
    let mut value = 0;
    for place in 0..4 {
        let byte = *bytes.get(place).ok_or(Fault::CutOff)?;
        let digit = char::from(byte).to_digit(16).ok_or(Fault::BadEscape)?;
        value = value * 16 + digit;
    }
    Ok(value)
}
