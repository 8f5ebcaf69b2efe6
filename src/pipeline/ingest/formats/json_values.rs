//! JSON values that do not stand line by line: arrays of records, objects over several lines, several objects on a line.
//!
//! They are told apart by their braces alone, one after another and in bounded memory; whether one is JSON, and a record, is for the
//! segment builder to say. An array is stepped into, once: its elements are records. Commas between values are let pass. So a broken record
//! costs itself alone:
//!
//! - A line end in a string is none of JSON. The record is broken, and the next one begins with the next line that begins with `{`.
//! - A `{` that begins a line where a key belongs is the next record: the one before it was not closed.
//! - Text that is no object, array or string goes to the end of its line, in an array to the next comma.
//!
//! An array that is not closed at the end was cut off: the input is refused whole, as a packed file is that was cut off.

use std::io::{self, Read};

/// What is read at a time.
const BLOCK_BYTES: usize = 1 << 18;

/// Bytes of values in a part before the next value goes into another part.
const PART_BYTES: usize = 1 << 20;

/// A value longer than this makes the whole input unreadable: it is not one of records.
const VALUE_BYTES_MAX: usize = 64 << 20;

/// The deepest nesting for which it is known what is open; a record's is 2.
const KINDS_MAX: u32 = 64;

/// Whole values of an input, in a buffer that is filled again and again.
#[derive(Debug, Default)]
pub struct JsonValues {
    /// The number of the first value: from 1, in the order of the input.
    first: u64,
    bytes: Vec<u8>,
    /// Where each value ends, and the line on which it begins.
    ends: Vec<(usize, u64)>,
}

/// One value.
#[derive(Debug, PartialEq, Eq)]
pub struct Value<'v> {
    /// Which of the input's values it is, from 1.
    pub number: u64,
    /// The line of the input on which it begins, from 1.
    pub line: u64,
    pub bytes: &'v [u8],
}

impl JsonValues {
    /// The values in their order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'_>> {
        let mut from = 0;
        (self.first..).zip(&self.ends).map(move |(number, &(end, line))| {
            let bytes = &self.bytes[from..end];
            from = end;
            Value { number, line, bytes }
        })
    }

    fn begin(&mut self, first: u64) {
        self.first = first;
        self.bytes.clear();
        self.ends.clear();
    }

    /// Bytes of the value that is not whole yet.
    fn open_bytes(&self) -> usize {
        self.bytes.len() - self.ends.last().map_or(0, |end| end.0)
    }
}

/// Where in the input the splitter stands.
#[derive(Clone, Copy, Debug)]
enum Position {
    Between,
    /// In an object, an array or a string.
    Nested(Nested),
    /// In text that is none of these.
    Junk,
    /// In a record that is broken; whether the line has only blanks so far.
    Broken {
        at_line_start: bool,
    },
}

/// What is known of a value that is being read.
#[derive(Clone, Copy, Debug)]
struct Nested {
    depth: u32,
    /// A bit for each level, the innermost lowest: whether it is an object.
    objects: u64,
    in_string: bool,
    is_escaped: bool,
    /// The last byte outside of strings that is no white space.
    before: u8,
    at_line_start: bool,
}

/// What a step did.
enum Step {
    /// Bytes that belong to no value.
    Skip,
    /// Bytes of the value.
    Keep,
    /// The value ends after these bytes.
    KeepAndEnd,
    /// The value ends before them; they are looked at again.
    EndBefore,
}

/// Splits JSON into its values.
pub struct Splitter<R> {
    reader: R,
    block: Vec<u8>,
    /// The part of the block that was read, and how far it was looked at.
    held: usize,
    at: usize,
    place: Position,
    in_array: bool,
    /// Whole values so far.
    count: u64,
    /// The line at `at`, and that on which the open value began.
    line: u64,
    began: u64,
}

impl<R: Read> Splitter<R> {
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            block: vec![0; BLOCK_BYTES],
            held: 0,
            at: 0,
            place: Position::Between,
            in_array: false,
            count: 0,
            line: 1,
            began: 1,
        }
    }

    /// Fills the part with the next values; false at the end.
    pub fn fill(&mut self, part: &mut JsonValues) -> io::Result<bool> {
        part.begin(self.count + 1);
        while part.bytes.len() < PART_BYTES || part.open_bytes() > 0 {
            if self.at == self.held && !self.read_block()? {
                self.finish(part)?;
                break;
            }
            self.take_step(part)?;
        }
        Ok(!part.ends.is_empty())
    }

    fn read_block(&mut self) -> io::Result<bool> {
        self.at = 0;
        self.held = crate::pipeline::ingest::input::chunk::read_full(&mut self.reader, &mut self.block)?;
        Ok(self.held > 0)
    }

    /// The input ends: what is open is the last value, cut off; an open array makes all of it a part of something.
    fn finish(&mut self, part: &mut JsonValues) -> io::Result<()> {
        if self.in_array {
            let what = format!(
                "its JSON array is not closed after {} complete values: the file was cut off, or is still being written",
                self.count
            );
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        if part.open_bytes() > 0 {
            self.end_value(part);
        }
        Ok(())
    }

    /// Goes on to the next byte that means something.
    fn take_step(&mut self, part: &mut JsonValues) -> io::Result<()> {
        let from = self.at;
        let (step, length) = match self.place {
            Position::Between => self.between(),
            Position::Nested(nested) => self.nested(nested),
            Position::Junk => self.junk(),
            Position::Broken { at_line_start } => self.broken(at_line_start),
        };
        self.at += length;
        if !matches!(step, Step::Skip) {
            part.bytes.extend_from_slice(&self.block[from..self.at]);
        }
        if matches!(step, Step::KeepAndEnd | Step::EndBefore) {
            self.end_value(part);
        }
        if part.open_bytes() > VALUE_BYTES_MAX {
            let what = format!(
                "the value that begins on line {} is longer than 64 MiB: it is not a usage file",
                self.began
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(())
    }

    fn end_value(&mut self, part: &mut JsonValues) {
        let begins = part.ends.last().map_or(0, |end| end.0);
        let kept = part.bytes[begins..].trim_ascii_end().len();
        part.bytes.truncate(begins + kept);
        part.ends.push((part.bytes.len(), self.began));
        self.count += 1;
        self.place = Position::Between;
    }

    fn rest(&self) -> &[u8] {
        &self.block[self.at..self.held]
    }

    fn between(&mut self) -> (Step, usize) {
        let byte = self.rest()[0];
        match byte {
            b'\n' => self.line += 1,
            b' ' | b'\t' | b'\r' | b',' => {}
            b'[' if !self.in_array => self.in_array = true,
            b']' if self.in_array => self.in_array = false,
            first => {
                self.began = self.line;
                let is_nested = matches!(first, b'{' | b'[' | b'"');
                self.place = if is_nested {
                    Position::Nested(Nested::NEW)
                } else {
                    Position::Junk
                };
                return (Step::Keep, 0);
            }
        }
        (Step::Skip, 1)
    }

    fn junk(&mut self) -> (Step, usize) {
        let in_array = self.in_array;
        let ends = |byte: &u8| *byte == b'\n' || in_array && matches!(byte, b',' | b']');
        match self.rest().iter().position(ends) {
            Some(length) => (Step::EndBefore, length),
            None => (Step::Keep, self.held - self.at),
        }
    }

    fn broken(&mut self, at_line_start: bool) -> (Step, usize) {
        let rest = self.rest();
        if !at_line_start {
            let Some(length) = memchr::memchr(b'\n', rest) else {
                return (Step::Keep, rest.len());
            };
            self.line += 1;
            self.place = Position::Broken { at_line_start: true };
            return (Step::Keep, length + 1);
        }
        let byte = rest[0];
        match byte {
            b'{' => return (Step::EndBefore, 0),
            b']' if self.in_array => return (Step::EndBefore, 0),
            b'\n' => self.line += 1,
            b' ' | b'\t' | b'\r' => {}
            _ => self.place = Position::Broken { at_line_start: false },
        }
        (Step::Keep, 1)
    }

    fn nested(&mut self, mut nested: Nested) -> (Step, usize) {
        let stepped = if nested.in_string {
            self.in_string(&mut nested)
        } else {
            self.outside_of_strings(&mut nested)
        };
        if let (Step::Keep, _) = stepped
            && let Position::Nested(_) = self.place
        {
            self.place = Position::Nested(nested);
        }
        stepped
    }

    fn in_string(&mut self, nested: &mut Nested) -> (Step, usize) {
        let rest = self.rest();
        if std::mem::take(&mut nested.is_escaped) && rest[0] != b'\n' {
            return (Step::Keep, 1);
        }
        let Some(at) = memchr::memchr3(b'"', b'\\', b'\n', rest) else {
            return (Step::Keep, rest.len());
        };
        let byte = rest[at];
        match byte {
            b'"' => {
                nested.in_string = false;
                nested.before = b'"';
                if nested.depth == 0 {
                    return (Step::KeepAndEnd, at + 1);
                }
            }
            b'\\' => nested.is_escaped = true,
            _ => {
                self.line += 1;
                self.place = Position::Broken { at_line_start: true };
            }
        }
        (Step::Keep, at + 1)
    }

    fn outside_of_strings(&mut self, nested: &mut Nested) -> (Step, usize) {
        let rest = self.rest();
        let plain = rest.iter().position(|byte| {
            matches!(
                byte,
                b'"' | b'{' | b'}' | b'[' | b']' | b'\n' | b' ' | b'\t' | b'\r' | b',' | b':'
            )
        });
        let at = match plain {
            Some(0) => 0,
            Some(length) => {
                (nested.before, nested.at_line_start) = (rest[length - 1], false);
                return (Step::Keep, length);
            }
            None => {
                (nested.before, nested.at_line_start) = (rest[rest.len() - 1], false);
                return (Step::Keep, rest.len());
            }
        };
        let byte = rest[at];
        match byte {
            b' ' | b'\t' | b'\r' => return (Step::Keep, 1),
            b'\n' => {
                self.line += 1;
                nested.at_line_start = true;
                return (Step::Keep, 1);
            }
            b'{' if nested.at_line_start && nested.is_in_object() && nested.before != b':' => {
                return (Step::EndBefore, 0);
            }
            b']' if self.in_array && nested.depth == 1 && nested.is_in_object() => return (Step::EndBefore, 0),
            b'"' => nested.in_string = true,
            b'{' | b'[' => nested.open(byte == b'{'),
            b'}' | b']' => {
                nested.close();
                if nested.depth == 0 {
                    return (Step::KeepAndEnd, 1);
                }
            }
            _ => {}
        }
        nested.before = byte;
        nested.at_line_start = false;
        (Step::Keep, 1)
    }
}

impl Nested {
    const NEW: Self = Self {
        depth: 0,
        objects: 0,
        in_string: false,
        is_escaped: false,
        before: 0,
        at_line_start: false,
    };

    fn is_in_object(&self) -> bool {
        0 < self.depth && self.depth <= KINDS_MAX && self.objects & 1 == 1
    }

    fn open(&mut self, is_object: bool) {
        self.depth += 1;
        self.objects = self.objects << 1 | u64::from(is_object);
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that gives a few bytes at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let few = buffer.len().min(self.1);
            self.0.read(&mut buffer[..few])
        }
    }

    fn split_with(mut splitter: Splitter<impl Read>) -> io::Result<Vec<(u64, u64, String)>> {
        let (mut found, mut part) = (Vec::new(), JsonValues::default());
        while splitter.fill(&mut part)? {
            found.extend(part.iter().map(|value| {
                (
                    value.number,
                    value.line,
                    String::from_utf8_lossy(value.bytes).into_owned(),
                )
            }));
        }
        Ok(found)
    }

    /// The values of a text, however it is handed over.
    fn split(text: &str) -> Vec<(u64, u64, String)> {
        let whole = split_with(Splitter::new(text.as_bytes())).unwrap();
        for few in [1, 2, 3, 7] {
            let mut splitter = Splitter::new(Drops(text.as_bytes(), few));
            splitter.block = vec![0; few];
            assert_eq!(split_with(splitter).unwrap(), whole, "{few} bytes at a time: {text}");
        }
        whole
    }

    fn texts(text: &str) -> Vec<String> {
        split(text).into_iter().map(|(_, _, text)| text).collect()
    }

    #[test]
    fn an_array_is_its_elements_and_each_knows_its_line() {
        let expected = |lines: [u64; 2]| {
            vec![
                (1, lines[0], r#"{"id":"a, ] }"}"#.to_owned()),
                (2, lines[1], r#"{"id":"b\"{"}"#.to_owned()),
            ]
        };
        assert_eq!(split(r#"[{"id":"a, ] }"},{"id":"b\"{"}]"#), expected([1, 1]));
        assert_eq!(
            split("\n[\n  {\"id\":\"a, ] }\"},\n\n  {\"id\":\"b\\\"{\"}\n]\n"),
            expected([3, 5])
        );
        assert_eq!(split("[{\"id\":\"a, ] }\"}]\n[{\"id\":\"b\\\"{\"}]"), expected([1, 2]));
        assert_eq!(split("[]"), []);
        assert_eq!(split("[ ]\n[]\n"), []);
    }

    #[test]
    fn objects_over_several_lines_and_several_on_a_line_are_one_each() {
        let pretty = "{\n  \"id\": \"a\",\n  \"parameters\": {\n    \"w\": [1,\n 2]\n  }\n}";
        assert_eq!(
            split(&format!("{pretty}\n{pretty}{{\"id\":\"b\"}} {{}}\n")),
            [
                (1, 1, pretty.to_owned()),
                (2, 8, pretty.to_owned()),
                (3, 14, "{\"id\":\"b\"}".to_owned()),
                (4, 14, "{}".to_owned())
            ]
        );
        assert_eq!(texts("{\"a\":\n{\n}}\n{}"), ["{\"a\":\n{\n}}", "{}"]);
    }

    #[test]
    fn what_is_no_object_is_a_value_too_so_that_it_is_refused_and_not_lost() {
        assert_eq!(
            texts(r#"[1, "a,]", null, [{"id":"a"}], {}]"#),
            ["1", r#""a,]""#, "null", r#"[{"id":"a"}]"#, "{}"]
        );
        assert_eq!(texts("hello, {you}\n{}\n]\n}"), ["hello, {you}", "{}", "]", "}"]);
    }

    #[test]
    fn a_broken_record_costs_itself_alone() {
        // A quote that is not closed.
        assert_eq!(
            texts("[\n{\"id\":\"a},\n{\"id\":\"b\"},\n{\"id\":\"c\"}\n]"),
            ["{\"id\":\"a},", "{\"id\":\"b\"}", "{\"id\":\"c\"}"]
        );
        assert_eq!(
            texts("{\n \"id\": \"a,\n \"uin\": 7\n}\n{\n \"id\": \"b\"\n}\n"),
            ["{\n \"id\": \"a,\n \"uin\": 7\n}", "{\n \"id\": \"b\"\n}"]
        );
        // A brace that is missing.
        assert_eq!(
            texts("[\n{\"id\":\"a\",\"p\":{\"x\":1},\n{\"id\":\"b\"}]"),
            ["{\"id\":\"a\",\"p\":{\"x\":1},", "{\"id\":\"b\"}"]
        );
        assert_eq!(texts("[{\"id\":\"a\",\"uin\":7]"), ["{\"id\":\"a\",\"uin\":7"]);
        // The last one, cut off.
        assert_eq!(
            texts("{\n\"id\":\"a\"}\n{\n\"id\":\"b"),
            ["{\n\"id\":\"a\"}", "{\n\"id\":\"b"]
        );
    }

    #[test]
    fn an_array_that_is_not_closed_is_an_error() {
        for text in [
            "[",
            "[{\"id\":\"a\"},",
            "[{\"id\":\"a\"},{\"id\":\"b",
            "[{\"id\":\"a\"}\n",
        ] {
            let error = split_with(Splitter::new(text.as_bytes())).unwrap_err();
            assert!(error.to_string().contains("array is not closed"), "{text}: {error}");
        }
    }

    #[test]
    fn many_values_come_in_parts_of_bounded_size_and_one_without_end_is_an_error() {
        let value = format!("{{\"id\":\"{}\"}}", "x".repeat(9_990));
        let text = format!("[{}]", vec![value.clone(); 1_000].join(",\n"));
        let (mut splitter, mut part) = (Splitter::new(text.as_bytes()), JsonValues::default());
        let mut count = 0;
        while splitter.fill(&mut part).unwrap() {
            assert!(part.bytes.len() < PART_BYTES + 2 * value.len());
            for found in part.iter() {
                count += 1;
                assert_eq!((found.number, found.line), (count, count));
                assert!(found.bytes == value.as_bytes());
            }
        }
        assert_eq!(count, 1_000);
        let endless = b"{\"id\":\"".chain(io::repeat(b'x'));
        let error = split_with(Splitter::new(endless)).unwrap_err();
        assert!(error.to_string().contains("longer than 64 MiB"), "{error}");
    }
}
