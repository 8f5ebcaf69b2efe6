//! What an input is, told once by its beginning: records line by line, JSON values that do not stand line by line, or another format
//! than its name says.

use std::io::{self, Read};

use super::Input;
use super::chunk::read_full;
use crate::support::error::{Error, Result};
use crate::support::json::{Fault, Scanner};

/// Bytes that are looked at: many lines, and a small part of what is read at a time.
const HEAD_BYTES: usize = 1 << 16;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How files begin that are not lines of text, and what to do about them. Packed ones are told by `packed.rs`.
const OTHERS: [(&[u8], &str); 2] = [
    (
        b"PAR1",
        "it is a Parquet file without that extension: rename it to .parquet, or use --format parquet",
    ),
    (
        b"PK\x03\x04",
        "it is a ZIP file, as .xlsx is: unpack it, or save the sheet as CSV in UTF-8",
    ),
];

/// Reads the beginning of an input, and refuses the input when that is of another format. The beginning is the first part of what
/// the returned reader gives.
pub fn begin(input: &Input, mut reader: impl Read + Send + 'static) -> Result<(Vec<u8>, impl Read + Send + 'static)> {
    let mut head = vec![0; HEAD_BYTES];
    let held = read_full(&mut reader, &mut head).map_err(|error| input.unreadable(&error))?;
    head.truncate(held);
    for (beginning, cure) in OTHERS {
        if head.starts_with(beginning) {
            return Err(Error::Input {
                input: input.name.clone(),
                what: format!("{cure}; nothing was ingested"),
            });
        }
    }
    let whole = io::Cursor::new(head.clone()).chain(reader);
    Ok((head, whole))
}

/// Passes over the byte order mark, if the input begins with one.
pub fn skip_mark(head: &[u8], reader: &mut impl Read) -> io::Result<()> {
    if head.starts_with(BYTE_ORDER_MARK) {
        read_full(reader, &mut [0; BYTE_ORDER_MARK.len()])?;
    }
    Ok(())
}

/// Whether each record of a JSON input stands on a line of its own, told by its beginning. Else its values are to be found by their
/// braces: an array of records, objects over several lines, several objects on a line.
pub fn stands_by_line(head: &[u8]) -> bool {
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
    if text.first() == Some(&b'[') || has_array_of_objects(text) {
        return false;
    }
    if text.first() != Some(&b'{') {
        return true;
    }
    let line = text[..memchr::memchr(b'\n', text).unwrap_or(text.len())].trim_ascii_end();
    let Ok(line) = std::str::from_utf8(line) else {
        return true;
    };
    let mut scanner = Scanner::new(line);
    match scanner.value() {
        // Another object on the line, or a comma before the next one.
        Ok(_) => !matches!(
            line[scanner.position()..].trim_ascii_start().as_bytes(),
            [b'{' | b'[', ..] | [b',']
        ),
        // An object that goes on below. A line that was cut ends so by chance alone, and then nothing is lost: see `values.rs`.
        Err(error) => !(error.fault == Fault::CutOff && line.ends_with(['{', '[', ',', ':'])),
    }
}

/// Whether a line begins as an array of objects does.
fn has_array_of_objects(text: &[u8]) -> bool {
    memchr::memchr_iter(b'[', text).any(|at| {
        let begins_line = at == 0 || text[at - 1] == b'\n';
        begins_line && text[at + 1..].trim_ascii_start().first() == Some(&b'{')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_lines_whatever_is_wrong_with_the_first() {
        for head in [
            "",
            "\n\n",
            "{\"id\":\"a\"}\n{\"id\":\"b\"}\n",
            "\u{feff}{\"id\":\"a\"}\n",
            "{\"id\":\"a\"} \r\n{\"id\":\"b\"}\n",
            "not usage\n{\"id\":\"a\"}\n",
            "{\"id\":\"a\n{\"id\":\"b\"}\n",
            "{\"id\":\"a\"}\n[]\n[1]\n",
            "{\"id\":\"a\",\"parameters\":{\"list\":\n[{\"x\":1}]}}\n"
                .replace('\n', " ")
                .as_str(),
            "{'id': 'a'}\n",
            "{\"id\":NaN}\n",
        ] {
            assert!(stands_by_line(head.as_bytes()), "{head}");
        }
    }

    #[test]
    fn arrays_and_objects_over_several_lines_are_not() {
        for head in [
            "[{\"id\":\"a\"}]",
            "\u{feff}\n  [\n{\"id\":\"a\"}",
            "[",
            "{\n  \"id\": \"a\"\n}\n",
            "{ \"id\": \"a\",\n  \"uin\": 7 }\n",
            "{\"id\":\"a\"}{\"id\":\"b\"}\n",
            "{\"id\":\"a\"} {\"id\":\"b\"}\n",
            "{\"id\":\"a\"},\n{\"id\":\"b\"}\n",
            "{\"id\":\"a\"}\n[{\"id\":\"b\"},{\"id\":\"c\"}]\n",
            "[{\"id\":\"a\"}]\n[{\"id\":\"b\"}]\n",
        ] {
            assert!(!stands_by_line(head.as_bytes()), "{head}");
        }
    }
}
