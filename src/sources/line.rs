//! A row as the line of JSON that a file would have: the members that a definition maps, and nothing that a row does not say.

use std::fmt::Write as _;

use crate::catalog::source::kinds::table::{Columns, Fixed, Member, Origin, PARAMETER};
use crate::support::json::{check, is_escaped};

/// Fields that are text in a record: a whole number is written as its digits in quotes.
const TEXT_FIELDS: [&str; 9] = [
    "source",
    "id",
    "kind",
    "voids",
    "task_type",
    "status",
    "task_id",
    "event_id",
    "input_url",
];

/// Writes the lines of one source.
#[derive(Debug)]
pub struct LineWriter {
    fields: Vec<Part>,
    parameters: Vec<Part>,
}

/// A member of the line, or of its parameters.
#[derive(Debug)]
struct Part {
    /// `"NAME":`
    name: Vec<u8>,
    value: Value,
}

#[derive(Debug)]
enum Value {
    /// JSON that all rows have.
    Fixed(Vec<u8>),
    Column {
        at: usize,
        place: Place,
    },
}

/// What a value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Text,
    /// The whole object of parameters, which may stand in a column of text.
    Parameters,
    Other,
}

impl LineWriter {
    pub fn new(columns: &Columns) -> Self {
        let (mut fields, mut parameters, mut count) = (Vec::new(), Vec::new(), 0);
        for Member { field, origin } in columns.iter() {
            let parameter = field.strip_prefix(PARAMETER);
            let value = match origin {
                Origin::Fixed(value) => Value::Fixed(fixed(value)),
                Origin::Column(_) => {
                    count += 1;
                    Value::Column {
                        at: count - 1,
                        place: place(field),
                    }
                }
            };
            let mut name = Vec::new();
            write_text(&mut name, parameter.unwrap_or(field).as_bytes());
            name.push(b':');
            let parts = if parameter.is_some() {
                &mut parameters
            } else {
                &mut fields
            };
            parts.push(Part { name, value });
        }
        Self { fields, parameters }
    }

    /// Writes the line of a row, without its end. `value` writes that of a column, by its place among [`names`]; it writes nothing and
    /// says false where there is none.
    pub fn write(&self, line: &mut Vec<u8>, mut value: impl FnMut(&mut Vec<u8>, usize, Place) -> bool) {
        line.push(b'{');
        for part in &self.fields {
            part.write(line, &mut value);
        }
        if !self.parameters.is_empty() {
            let start = line.len();
            separate(line);
            line.extend(b"\"parameters\":{");
            let empty = line.len();
            for part in &self.parameters {
                part.write(line, &mut value);
            }
            if line.len() == empty {
                line.truncate(start);
            } else {
                line.push(b'}');
            }
        }
        line.push(b'}');
    }
}

/// The columns whose values the lines need, in the order of their places.
pub fn names(columns: &Columns) -> Vec<String> {
    let of_column = |member: &Member| match &member.origin {
        Origin::Column(name) => Some(name.clone()),
        Origin::Fixed(_) => None,
    };
    columns.iter().filter_map(of_column).collect()
}

fn place(field: &str) -> Place {
    match field {
        "parameters" => Place::Parameters,
        _ if TEXT_FIELDS.contains(&field) => Place::Text,
        _ => Place::Other,
    }
}

impl Part {
    fn write(&self, line: &mut Vec<u8>, value: &mut impl FnMut(&mut Vec<u8>, usize, Place) -> bool) {
        let start = line.len();
        separate(line);
        line.extend(&self.name);
        let is_there = match &self.value {
            Value::Fixed(json) => {
                line.extend(json);
                true
            }
            Value::Column { at, place } => value(line, *at, *place),
        };
        if !is_there {
            line.truncate(start);
        }
    }
}

fn separate(line: &mut Vec<u8>) {
    if line.last() != Some(&b'{') {
        line.push(b',');
    }
}

fn fixed(value: &Fixed) -> Vec<u8> {
    let mut json = Vec::new();
    match value {
        Fixed::Text(text) => write_text(&mut json, text.as_bytes()),
        Fixed::Integer(number) => json.extend(number.to_string().as_bytes()),
        Fixed::Bool(truth) => json.extend(truth.to_string().as_bytes()),
    }
    json
}

/// Whether a number is nothing but digits, perhaps after a minus.
pub fn is_whole(digits: &[u8]) -> bool {
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    !unsigned.is_empty() && unsigned.iter().all(u8::is_ascii_digit)
}

/// JSON as it stands, on one line. What is none is text, which is refused where an object is expected.
pub fn write_json(line: &mut Vec<u8>, bytes: &[u8]) {
    let is_json = std::str::from_utf8(bytes).is_ok_and(|text| check(text).is_ok());
    if is_json {
        // Outside of strings a line end is white space, and in strings JSON has none.
        line.extend(
            bytes
                .iter()
                .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }),
        );
    } else {
        write_text(line, bytes);
    }
}

/// Bytes in quotes. Those that are no text stay what they are, so that the line is refused and kept.
pub fn write_text(line: &mut Vec<u8>, bytes: &[u8]) {
    line.push(b'"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => line.extend([b'\\', byte]),
            byte if is_escaped(byte) => {
                let mut escape = String::new();
                let _infallible = write!(escape, "\\u{byte:04x}");
                line.extend(escape.as_bytes());
            }
            byte => line.push(byte),
        }
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests;
