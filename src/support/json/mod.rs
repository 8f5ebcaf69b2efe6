//! A strict scanner of JSON (RFC 8259) that copies nothing: it hands out slices of the text it was given.
//!
//! It exists because the door of ingest reads gigabytes of small objects whose top level alone matters;
//! a tree of values would cost several times the rest of the work. What it accepts is exactly the
//! grammar of the RFC, with two limits: nesting to [`MAX_DEPTH`], and no escape of half a surrogate pair
//! (no text has such a character). Duplicate keys are the caller's to find.

#![expect(
    clippy::inline_always,
    reason = "measured: a value returned through memory, tag by tag, stalls; inlined, ingest is 1.8 times as fast"
)]

#[cfg(test)]
mod tests;
mod text;
pub mod tree;

pub use text::{Text, first_of, is_printable};
use text::{escape, plain_run_end};

/// The deepest nesting that is read. Records nest twice; the limit bounds the stack of hostile input.
pub const MAX_DEPTH: u32 = 32;

/// What is wrong with a text that is not JSON, and at which byte (counted from 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {fault}")]
pub struct SyntaxError {
    /// Offset of the offending byte; the length of the text where it ends too early.
    pub at: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// The kinds of [`SyntaxError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text ends inside a value.
    #[error("the text ends here, in the middle of a value")]
    CutOff,
    /// Something else stands where a value should.
    #[error("a value is expected here")]
    NoValue,
    /// Something else stands where an object should begin.
    #[error("an object `{{` is expected here")]
    NoObject,
    /// Something else stands where a key should.
    #[error("a key in quotes is expected here")]
    NoKey,
    /// Something else stands where a colon should.
    #[error("`:` is expected here")]
    NoColon,
    /// Something else stands where a comma should, or the end of the object or array.
    #[error("`,` or the closing bracket is expected here")]
    NoComma,
    /// Something else stands where a digit should.
    #[error("a digit is expected here")]
    NoDigit,
    /// A character below U+0020 stands in a string without being escaped.
    #[error("a control character in a string must be escaped")]
    ControlCharacter,
    /// A backslash that begins no escape of JSON, or half of a surrogate pair.
    #[error("this is not a valid escape sequence")]
    BadEscape,
    /// Nesting beyond [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Something follows the value.
    #[error("the value has ended; nothing may follow it")]
    Trailing,
}

/// One value. Objects and arrays are given as their text, braces included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it is written.
    Number(&'a str),
    /// A string.
    Text(Text<'a>),
    /// An object, as it is written.
    Object(&'a str),
    /// An array, as it is written.
    Array(&'a str),
}

/// Whether JSON writes a byte of a string as an escape.
pub fn is_escaped(byte: u8) -> bool {
    matches!(byte, ..b' ' | b'"' | b'\\')
}

/// Reads one text from left to right.
#[derive(Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// A scanner at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Steps into an object.
    #[inline(always)]
    pub fn open_object(&mut self) -> Result<(), SyntaxError> {
        self.skip_space();
        self.take(b'{', Fault::NoObject)
    }

    /// The first key of the object just opened, or none where it is empty; the scanner then stands before
    /// the key's value, or after the object.
    #[inline(always)]
    pub fn first_key(&mut self) -> Result<Option<Text<'a>>, SyntaxError> {
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(None);
        }
        self.key().map(Some)
    }

    /// The key after a value, or none where the object ends.
    #[inline(always)]
    pub fn next_key(&mut self) -> Result<Option<Text<'a>>, SyntaxError> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                self.key().map(Some)
            }
            Some(b'}') => {
                self.at += 1;
                Ok(None)
            }
            _ => Err(self.expected(Fault::NoComma)),
        }
    }

    /// The next value.
    #[inline(always)]
    pub fn value(&mut self) -> Result<Value<'a>, SyntaxError> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string().map(Value::Text)
            }
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            _ => self.other_value(MAX_DEPTH),
        }
    }

    /// The next value, where an object that holds only scalars is measured but not checked: its text ends
    /// at the right brace if it is JSON at all. For a caller that checks the text of each distinct object once.
    #[inline(always)]
    pub fn value_unchecked_if_flat_object(&mut self) -> Result<Value<'a>, SyntaxError> {
        self.skip_space();
        if let Some(length) = flat_object_length(&self.text.as_bytes()[self.at..]) {
            let object = &self.text[self.at..self.at + length];
            self.at += length;
            return Ok(Value::Object(object));
        }
        self.value()
    }

    /// Fails unless only white space is left.
    pub fn finish(&mut self) -> Result<(), SyntaxError> {
        self.skip_space();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.fault(Fault::Trailing))
        }
    }

    fn value_within(&mut self, depth: u32) -> Result<Value<'a>, SyntaxError> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string().map(Value::Text)
            }
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            _ => self.other_value(depth),
        }
    }

    /// A value that is no string and no number.
    fn other_value(&mut self, depth: u32) -> Result<Value<'a>, SyntaxError> {
        match self.peek() {
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'{') => self.object(depth).map(Value::Object),
            Some(b'[') => self.array(depth).map(Value::Array),
            _ => Err(self.expected(Fault::NoValue)),
        }
    }

    fn object(&mut self, depth: u32) -> Result<&'a str, SyntaxError> {
        let start = self.at;
        let deeper = depth.checked_sub(1).ok_or(self.fault(Fault::TooDeep))?;
        self.at += 1;
        let mut key = self.first_key()?;
        while key.is_some() {
            self.value_within(deeper)?;
            key = self.next_key()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn array(&mut self, depth: u32) -> Result<&'a str, SyntaxError> {
        let start = self.at;
        let deeper = depth.checked_sub(1).ok_or(self.fault(Fault::TooDeep))?;
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(&self.text[start..self.at]);
        }
        loop {
            self.value_within(deeper)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.expected(Fault::NoComma)),
            }
        }
        self.at += 1;
        Ok(&self.text[start..self.at])
    }

    #[inline(always)]
    fn key(&mut self) -> Result<Text<'a>, SyntaxError> {
        self.take(b'"', Fault::NoKey)?;
        let key = self.string()?;
        self.skip_space();
        self.take(b':', Fault::NoColon)?;
        Ok(key)
    }

    /// A string whose opening quote has been read.
    #[inline(always)]
    fn string(&mut self) -> Result<Text<'a>, SyntaxError> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = plain_run_end(bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Text::scanned(raw, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    let (_, length) = escape(&bytes[self.at..]).map_err(|fault| self.fault(fault))?;
                    self.at += length;
                }
                Some(_) => return Err(self.fault(Fault::ControlCharacter)),
                None => return Err(self.fault(Fault::CutOff)),
            }
        }
    }

    #[inline(always)]
    fn number(&mut self) -> Result<&'a str, SyntaxError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    #[inline(always)]
    fn digits(&mut self) -> Result<(), SyntaxError> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.expected(Fault::NoDigit));
        }
        self.at += count;
        Ok(())
    }

    fn word(&mut self, word: &'static str, value: Value<'a>) -> Result<Value<'a>, SyntaxError> {
        let rest = &self.text.as_bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(value);
        }
        if word.as_bytes().starts_with(rest) {
            self.at = self.text.len();
        }
        Err(self.expected(Fault::NoValue))
    }

    #[inline]
    fn take(&mut self, byte: u8, fault: Fault) -> Result<(), SyntaxError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.expected(fault))
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[cold]
    fn expected(&self, fault: Fault) -> SyntaxError {
        self.fault(if self.at < self.text.len() {
            fault
        } else {
            Fault::CutOff
        })
    }

    #[cold]
    fn fault(&self, fault: Fault) -> SyntaxError {
        SyntaxError { at: self.at, fault }
    }
}

/// Checks that the whole of `text` is one JSON value, and gives it.
pub fn check(text: &str) -> Result<Value<'_>, SyntaxError> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value()?;
    scanner.finish()?;
    Ok(value)
}

/// Whether `text` is a JSON number, no more and no less.
pub fn is_number(text: &str) -> bool {
    let starts_well = matches!(text.as_bytes().first(), Some(b'-' | b'0'..=b'9'));
    starts_well && Scanner::new(text).number() == Ok(text)
}

/// The length of an object at the start of `bytes`, if it is plainly flat: up to the first `}`, when there
/// is no backslash and no second `{` before it, and an even number of quotes, so that it is in no string.
#[inline]
fn flat_object_length(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let end = memchr::memchr(b'}', bytes)?;
    let (words, rest) = bytes[1..end].as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let (mut quotes, mut doubtful) = (0, 0);
    for word in words.iter().chain([&last]) {
        let word = u64::from_le_bytes(*word);
        quotes ^= bytes_equal(word, b'"');
        doubtful |= bytes_equal(word, b'\\') | bytes_equal(word, b'{');
    }
    (quotes.count_ones() % 2 == 0 && doubtful == 0).then_some(end + 1)
}

/// The high bit of each byte of `word` that is `byte`.
#[inline(always)]
fn bytes_equal(word: u64, byte: u8) -> u64 {
    const LOWS: u64 = u64::from_le_bytes([0x7F; 8]);
    let differing = word ^ u64::from_le_bytes([byte; 8]);
    !(((differing & LOWS) + LOWS) | differing | LOWS)
}
