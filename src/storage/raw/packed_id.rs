//! Ids in raw: those of 32 lower-case hex digits, as most senders make them, lie there as 16 bytes, which is half.

use std::borrow::Cow;
use std::cmp::Ordering;

use polars::prelude::*;
use polars_arrow::array::MutableFixedSizeBinaryArray;

use crate::storage::parquet_writer::{FileColumn, Packing};
use crate::support::error::{Doing as _, Result};
use crate::values::digest::hex;

/// Columns of a segment that hold ids.
pub const ID_COLUMNS: [&str; 2] = ["id", "id_128"];

/// The bytes that `id` spells, if it is 32 lower-case hex digits.
#[inline]
pub fn packed(id: &str) -> Option<[u8; 16]> {
    let digits: &[u8; 32] = id.as_bytes().try_into().ok()?;
    let mut bytes = [0; 16];
    let mut wrong = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]);
        wrong |= high | low;
        *byte = high << 4 | low & 15;
    }
    (wrong < 16).then_some(bytes)
}

const NO_DIGIT: u8 = 0xFF;

/// The value of each byte as a lower-case hex digit.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// The ids of a segment's rows.
pub struct Ids {
    text: StringChunked,
    packed: BinaryChunked,
}

impl Ids {
    /// Of a frame with [`ID_COLUMNS`].
    pub fn of(frame: &DataFrame) -> Result<Self> {
        let [text, packed] = ID_COLUMNS.map(|name| frame.column(name).cloned().doing("reading ids"));
        Ok(Self {
            text: text?.str().cloned().doing("reading ids")?,
            packed: packed?.binary().cloned().doing("reading ids")?,
        })
    }

    /// The id of a row.
    pub fn get(&self, at: usize) -> Id<'_> {
        match self.packed.get(at) {
            Some(bytes) => Id::Packed(bytes),
            None => Id::Text(self.text.get(at).unwrap_or_default()),
        }
    }
}

/// An id as it lies in raw, in the order of its text.
#[derive(Clone, Copy, Debug)]
pub enum Id<'i> {
    Packed(&'i [u8]),
    Text(&'i str),
}

impl<'i> Id<'i> {
    pub fn text(self) -> Cow<'i, str> {
        match self {
            Self::Packed(bytes) => Cow::Owned(hex(bytes)),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }
}

impl Ord for Id<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            // Digits are in the order of what they spell.
            (Self::Packed(one), Self::Packed(other)) => one.cmp(other),
            (one, other) => one.text().cmp(&other.text()),
        }
    }
}

impl PartialOrd for Id<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Id<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Id<'_> {}

/// The column of packed ids, read from a segment, to be written again.
pub fn column(packed: &Column) -> Result<FileColumn> {
    let read = packed.binary().doing("reading ids")?;
    let mut ids = MutableFixedSizeBinaryArray::with_capacity(16, read.len());
    for id in read.iter() {
        ids.try_push(id).doing("reading ids")?;
    }
    Ok(FileColumn::new(
        packed.name().clone(),
        Box::new(ids.freeze()),
        Packing::Plain,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_32_lower_case_hex_digits_are_packed() {
        for id in [
            "",
            "0123456789abcdef",
            "0123456789ABCDEF0123456789abcdef",
            "0123456789abcdefg123456789abcdef",
            "0123456789abcdef0123456789abcdef0",
            "0123456789abcde\u{e9}0123456789abcde",
            "01234567-89ab-cdef-0123-456789abcdef",
        ] {
            assert_eq!(packed(id), None, "{id}");
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_spelled_the_same_again(bytes: [u8; 16]) {
            prop_assert_eq!(packed(&hex(&bytes)), Some(bytes));
        }

        #[test]
        fn ids_are_in_the_order_of_their_texts(one in "[0-9a-b]{32}|[0-9a-c]{0,3}", other in "[0-9a-b]{32}|[0-9a-c]{0,3}") {
            let bytes = [&one, &other].map(|id| packed(id));
            let id = |at: usize, text| bytes[at].as_ref().map_or(Id::Text(text), |bytes| Id::Packed(bytes));
            prop_assert_eq!(id(0, &one).cmp(&id(1, &other)), one.cmp(&other));
        }

        #[test]
        fn any_other_text_is_left_as_it_is(id in "[0-9a-fA-F:g]{32}") {
            let is_hex = id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            prop_assert_eq!(packed(&id).map(|bytes| hex(&bytes)), is_hex.then_some(id));
        }
    }
}
