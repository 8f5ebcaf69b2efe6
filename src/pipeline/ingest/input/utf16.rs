//! UTF-16 by its mark, as spreadsheets and Windows tools save text: read as UTF-8, some kilobytes at a time.

use std::io::{self, Read};

/// What is read of the input at a time, an even number.
const READ_BYTES: usize = 1 << 16;

/// A reader of text: UTF-16 that begins with its byte order mark becomes UTF-8, all else passes as it is.
pub struct Utf8<R> {
    reader: R,
    form: Form,
    /// What was read and not handed on yet.
    held: Vec<u8>,
    handed_on: usize,
}

enum Form {
    /// Nothing has been read.
    Unknown,
    /// It passes as it is.
    Bytes,
    Utf16(Decoder),
}

impl<R: Read> Utf8<R> {
    pub fn of(reader: R) -> Self {
        Self {
            reader,
            form: Form::Unknown,
            held: Vec::new(),
            handed_on: 0,
        }
    }

    /// Looks at the first two bytes.
    fn begin(&mut self) -> io::Result<()> {
        let mut mark = Vec::new();
        self.reader.by_ref().take(2).read_to_end(&mut mark)?;
        let units: Option<fn([u8; 2]) -> u16> = match mark[..] {
            [0xFF, 0xFE] => Some(u16::from_le_bytes),
            [0xFE, 0xFF] => Some(u16::from_be_bytes),
            _ => None,
        };
        if let Some(unit) = units {
            self.form = Form::Utf16(Decoder::new(unit));
        } else {
            self.form = Form::Bytes;
            self.held = mark;
        }
        Ok(())
    }

    fn hand_on(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.held[self.handed_on..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.handed_on += count;
        count
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.form, Form::Unknown) {
            self.begin()?;
        }
        loop {
            if self.handed_on < self.held.len() {
                return Ok(self.hand_on(buffer));
            }
            let Form::Utf16(decoder) = &mut self.form else {
                return self.reader.read(buffer);
            };
            self.held.clear();
            self.handed_on = 0;
            if decoder.ended || buffer.is_empty() {
                return Ok(0);
            }
            let mut bytes = Vec::with_capacity(READ_BYTES);
            self.reader.by_ref().take(READ_BYTES as u64).read_to_end(&mut bytes)?;
            decoder.ended = bytes.len() < READ_BYTES;
            decoder.decode(&bytes, &mut self.held);
        }
    }
}

/// What remains of the units before.
struct Decoder {
    unit: fn([u8; 2]) -> u16,
    /// The first half of a pair, whose second has not come.
    first_half: Option<u16>,
    ended: bool,
}

/// A byte that UTF-8 never has: what is no character must not become one, so that its line is refused.
const NO_CHARACTER: u8 = 0xFF;

impl Decoder {
    fn new(unit: fn([u8; 2]) -> u16) -> Self {
        Self {
            unit,
            first_half: None,
            ended: false,
        }
    }

    fn decode(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let (units, odd) = bytes.as_chunks::<2>();
        let units = units.iter().map(|unit| (self.unit)(*unit));
        let held_back = self.first_half.take();
        let mut all: Vec<u16> = held_back.into_iter().chain(units).collect();
        if !self.ended {
            self.first_half = all.pop_if(|last| (0xD800..0xDC00).contains(last));
        }
        for character in char::decode_utf16(all) {
            match character {
                Ok(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(_) => out.push(NO_CHARACTER),
            }
        }
        if !odd.is_empty() {
            out.push(NO_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Utf8::of(bytes).read_to_end(&mut out).unwrap();
        out
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let units: Vec<u16> = std::iter::once(0xFEFF).chain(text.encode_utf16()).collect();
        units.into_iter().flat_map(unit).collect()
    }

    #[test]
    fn utf_16_with_its_mark_is_read_in_either_order_also_where_a_pair_is_cut_by_a_read() {
        for text in [
            "{}\n",
            "id,任务,😀\r\n",
            "",
            &format!("{}😀é", "x".repeat(READ_BYTES / 2 - 1)),
            &"😀".repeat(READ_BYTES),
        ] {
            assert!(read(&utf16(text, u16::to_le_bytes)) == text.as_bytes());
            assert!(read(&utf16(text, u16::to_be_bytes)) == text.as_bytes());
        }
    }

    #[test]
    fn what_has_no_such_mark_passes_as_it_is() {
        for bytes in [
            &b""[..],
            b"x",
            b"{}",
            b"\xEF\xBB\xBF{}",
            b"\xFF",
            b"\xFFx",
            b"\xFE\xFEx",
        ] {
            assert_eq!(read(bytes), bytes);
        }
    }

    #[test]
    fn half_a_pair_and_half_a_unit_are_no_characters() {
        let of = |units: &[u16], odd: &[u8]| {
            let bytes: Vec<u8> = units
                .iter()
                .flat_map(|unit| unit.to_le_bytes())
                .chain(odd.iter().copied())
                .collect();
            read(&bytes)
        };
        assert_eq!(of(&[0xFEFF, 0x61, 0xD83D], b""), b"a\xFF");
        assert_eq!(of(&[0xFEFF, 0xDE00, 0x61], b""), b"\xFFa");
        assert_eq!(of(&[0xFEFF, 0x61], b"b"), b"a\xFF");
    }
}
