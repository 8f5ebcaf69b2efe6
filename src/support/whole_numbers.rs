//! Whole numbers in text: digits that are not next to other digits.

use std::io::{self, Read};

/// Numbers that are looked for.
#[derive(Clone, Debug, Default)]
pub struct WholeNumbers {
    texts: Vec<Vec<u8>>,
    longest: usize,
}

/// Read at a time.
const BLOCK_BYTES: usize = 1 << 16;

impl WholeNumbers {
    pub fn new(numbers: impl IntoIterator<Item = u64>) -> Self {
        let texts: Vec<Vec<u8>> = numbers
            .into_iter()
            .map(|number| number.to_string().into_bytes())
            .collect();
        Self {
            longest: texts.iter().map(Vec::len).max().unwrap_or(0),
            texts,
        }
    }

    /// Whether one of them stands in a text.
    pub fn are_in(&self, text: impl AsRef<[u8]>) -> bool {
        let mut looking = Looking::of(self);
        looking.at(text.as_ref()) || looking.end()
    }

    /// Looks at bytes that come piece by piece.
    pub fn look(&self) -> Looking<'_> {
        Looking::of(self)
    }

    /// Whether one of them stands in what is read, to its end or to the first.
    ///
    /// # Errors
    /// Those of the reader, and [`io::ErrorKind::InvalidData`] where what is read is no text.
    pub fn are_read(&self, mut reader: impl Read) -> io::Result<bool> {
        let mut looking = Looking::of(self);
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            match reader.read(&mut block) {
                Ok(0) => return Ok(looking.end()),
                Ok(read) if block[..read].contains(&0) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no text"));
                }
                Ok(read) if looking.at(&block[..read]) => return Ok(true),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }
}

/// A search under way.
#[derive(Debug)]
pub struct Looking<'n> {
    numbers: &'n WholeNumbers,
    /// Digits that the last piece ended with; of a number that is too long, no more than say so.
    run: Vec<u8>,
}

impl<'n> Looking<'n> {
    fn of(numbers: &'n WholeNumbers) -> Self {
        Self {
            numbers,
            run: Vec::new(),
        }
    }

    /// Whether a number ends in these bytes.
    pub fn at(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            if byte.is_ascii_digit() {
                if self.run.len() <= self.numbers.longest {
                    self.run.push(byte);
                }
            } else if !self.run.is_empty() && self.end() {
                return true;
            }
        }
        false
    }

    /// Whether the bytes ended with a number.
    pub fn end(&mut self) -> bool {
        let is_one = self.numbers.texts.contains(&self.run);
        self.run.clear();
        is_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_is_found_where_no_digit_is_beside_it() {
        let numbers = WholeNumbers::new([100_000, 7]);
        for (text, is_there) in [
            ("100000", true),
            ("{\"uin\":\"100000\"}", true),
            ("a7b", true),
            ("x=7", true),
            ("1000001", false),
            ("9100000", false),
            ("77", false),
            ("100000.5", true),
            ("", false),
            ("no digit", false),
        ] {
            assert_eq!(numbers.are_in(text), is_there, "{text}");
            assert_eq!(numbers.are_read(text.as_bytes()).unwrap(), is_there, "{text}");
        }
        assert!(!WholeNumbers::default().are_in("7"));
        numbers.are_read(&b"a\0b"[..]).unwrap_err();
    }

    proptest! {
        #[test]
        fn pieces_are_searched_as_the_whole(text in "[017a,]{0,40}", cuts in prop::collection::vec(0_usize..40, 0..4)) {
            let numbers = WholeNumbers::new([7, 10, 171]);
            let expected = text.split(|c: char| !c.is_ascii_digit()).any(|run| ["7", "10", "171"].contains(&run));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([text.len()]).collect();
            cuts.sort_unstable();
            let (mut looking, mut from, mut found) = (numbers.look(), 0, false);
            for to in cuts {
                found |= looking.at(&text.as_bytes()[from..to]);
                from = to;
            }
            prop_assert_eq!(found | looking.end(), expected);
        }
    }
}
