//! Lines as one sender writes them: the same keys in the same order, with the same bytes between the values.
//!
//! After a line was read in full, its layout is kept: the bytes between its values, and which field each value is. The next line
//! is first held against it: the bytes between must be equal, and each value must be one that needs no second look ([`FieldTexts`]).
//! Then the line means what a full reading finds, at two thirds of its instructions (`benches/instructions.json`). Any difference at all, and nothing is decided here: the line is read in full, so that what is accepted
//! and what is said of a refused line never depend on the lines before.
//!
//! One condition is left to the caller: the text of the parameters must be an object by itself, as one that was seen before is. If
//! its first `}` stands in a string or ends an object inside, it is none.

#[cfg(test)]
mod tests;

use crate::support::json::{Scanner, Value, first_of};

use crate::pipeline::ingest::record::fast_fields::FieldTexts;
use crate::pipeline::ingest::record::fields::Field;
use crate::pipeline::ingest::record::{MAX_LINE_BYTES, Record};

/// Layouts kept at a time: fields that are there or not, voids, a few senders.
const LAYOUTS_MAX: usize = 8;

/// Lines of one chunk from which a layout is learned. Where lines have no layout in common, learning more would be in vain.
const LESSONS_MAX: usize = 16;

/// The layouts of the lines read of late, most recent first.
#[derive(Debug, Default)]
pub struct Layouts {
    known: Vec<Layout>,
    lessons: usize,
}

impl Layouts {
    /// Allows layouts to be learned again.
    pub fn begin_chunk(&mut self) {
        self.lessons = LESSONS_MAX;
    }

    /// Reads the first line of `text` into `record`, and says how long it is without its end. None where no layout fits or the
    /// line needs a second look; then nothing in `record` counts.
    #[inline]
    pub fn read<'a>(&mut self, text: &'a str, record: &mut Record<'a>) -> Option<usize> {
        let first = self.known.first()?;
        first.read(text, record).or_else(|| self.read_by_others(text, record))
    }

    fn read_by_others<'a>(&mut self, text: &'a str, record: &mut Record<'a>) -> Option<usize> {
        let (at, length) = (1..).zip(&self.known[1..]).find_map(|(at, layout)| {
            // The layout before may have set some fields.
            *record = Record::default();
            Some((at, layout.read(text, record)?))
        })?;
        self.known[..=at].rotate_right(1);
        Some(length)
    }

    /// Keeps the layout of `line`, which was read in full and is a record. An event has none.
    pub fn learn(&mut self, line: &[u8]) {
        if self.lessons == 0 {
            return;
        }
        self.lessons -= 1;
        let layout = std::str::from_utf8(line).ok().and_then(Layout::of);
        let Some(layout) = layout.filter(|layout| !self.known.contains(layout)) else {
            return;
        };
        self.known.truncate(LAYOUTS_MAX - 1);
        self.known.insert(0, layout);
    }
}

/// The layout of one line.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    places: Vec<Slot>,
    end: Between,
}

/// A value's place: the bytes between the value before it and this one, and the byte that ends it.
#[derive(Debug, PartialEq, Eq)]
struct Slot {
    between: Between,
    field: Field,
    form: Form,
    stop: u8,
}

/// How a value stands in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// In quotes, which are not part of it: a text, or the digits of an account.
    Quoted,
    Number,
    /// Its closing brace is part of it.
    Object,
}

impl Layout {
    /// The layout of a record's line; none where the line is an event.
    fn of(line: &str) -> Option<Self> {
        let mut scanner = Scanner::new(line);
        let mut places = Vec::new();
        let mut from = 0;
        scanner.open_object().ok()?;
        let mut key = scanner.first_key().ok()?;
        while let Some(name) = key {
            let value = scanner.value().ok()?;
            // A null is as good as nothing, whatever its name: it is part of what stands between the values.
            if value != Value::Null {
                let field = Field::named(&name.value())?;
                let (length, form) = extent(field, value)?;
                let to = scanner.position() - usize::from(form == Form::Quoted);
                let next = line.as_bytes().get(to).copied()?;
                places.push(Slot {
                    between: Between::new(&line.as_bytes()[from..to - length]),
                    field,
                    form,
                    stop: if form == Form::Object { b'}' } else { next },
                });
                from = to;
            }
            key = scanner.next_key().ok()?;
        }
        Some(Self {
            places,
            end: Between::new(&line.as_bytes()[from..]),
        })
    }

    #[inline]
    fn read<'a>(&self, text: &'a str, record: &mut Record<'a>) -> Option<usize> {
        let mut values = FieldTexts::default();
        let length = self.find(text, &mut values)?;
        values.read(record)?;
        Some(length)
    }

    /// Finds the values, and how long the line is. No branch depends on which field is next or what its value is: a processor
    /// cannot foretell that, and would be wrong several times in each line.
    #[inline]
    fn find<'a>(&self, text: &'a str, values: &mut FieldTexts<'a>) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut at = 0;
        for place in &self.places {
            let start = at + place.between.bytes.len();
            let end = first_of(place.stop, bytes, start)? + usize::from(place.form == Form::Object);
            let leads_with_zero = place.form == Form::Number && bytes[start] == b'0' && end - start > 1;
            // White space before an object is no part of it.
            let begins_late = place.form == Form::Object && bytes[start] != b'{';
            if !place.between.is_at(bytes, at) || leads_with_zero || begins_late {
                return None;
            }
            values.put(place.field, text.get(start..end)?);
            at = end;
        }
        let length = at + self.end.bytes.len();
        let is_line = self.end.is_at(bytes, at) && matches!(bytes.get(length), None | Some(b'\n'));
        (is_line && length <= MAX_LINE_BYTES).then_some(length)
    }
}

/// How many bytes a value has, without quotes, and how it stands; none where no record has such a value.
fn extent(field: Field, value: Value<'_>) -> Option<(usize, Form)> {
    match (field, value) {
        (Field::Parameters, Value::Object(text)) => Some((text.len(), Form::Object)),
        (Field::Uin | Field::Appid | Field::DurationMs, Value::Number(text)) => Some((text.len(), Form::Number)),
        (Field::Parameters | Field::DurationMs, _) => None,
        (_, Value::Text(text)) => Some((text.raw().len(), Form::Quoted)),
        _ => None,
    }
}

/// The bytes between two values, compared as numbers where that can be done.
#[derive(Debug, PartialEq, Eq)]
struct Between {
    bytes: Box<[u8]>,
    /// The first sixteen bytes, or as many as there are.
    head: Sixteen,
    /// The last sixteen and where they begin, where there are more than sixteen.
    tail: Sixteen,
    tail_from: usize,
}

impl Between {
    fn new(bytes: &[u8]) -> Self {
        let tail_from = bytes.len().saturating_sub(16);
        Self {
            bytes: bytes.into(),
            head: Sixteen::of(&bytes[..bytes.len().min(16)]),
            tail: Sixteen::of(&bytes[tail_from..]),
            tail_from,
        }
    }

    #[inline]
    fn is_at(&self, text: &[u8], at: usize) -> bool {
        let Some(rest) = text.get(at..) else { return false };
        let length = self.bytes.len();
        if length <= 32
            && let Some(head) = self.head.begins(rest)
        {
            if length <= 16 {
                return head;
            }
            if let Some(tail) = rest.get(self.tail_from..).and_then(|rest| self.tail.begins(rest)) {
                return head & tail;
            }
        }
        rest.starts_with(&self.bytes)
    }
}

/// Up to sixteen bytes as a number, and the bits of it that count.
#[derive(Debug, PartialEq, Eq)]
struct Sixteen {
    number: u128,
    mask: u128,
}

impl Sixteen {
    fn of(bytes: &[u8]) -> Self {
        let (mut number, mut mask) = ([0; 16], [0; 16]);
        number[..bytes.len()].copy_from_slice(bytes);
        mask[..bytes.len()].fill(u8::MAX);
        Self {
            number: u128::from_le_bytes(number),
            mask: u128::from_le_bytes(mask),
        }
    }

    /// Whether `text` begins with the bytes. None where it has no sixteen to compare.
    #[inline]
    fn begins(&self, text: &[u8]) -> Option<bool> {
        Some(u128::from_le_bytes(*text.first_chunk()?) & self.mask == self.number)
    }
}
