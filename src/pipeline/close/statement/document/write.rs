//! Writing a document.

use chrono::{Datelike as _, NaiveDate};
use rust_decimal::Decimal;

use super::{Line, has_byte};
use crate::support::json::is_escaped;
use crate::values::money::{AMOUNT_DECIMALS, QUANTITY_DECIMALS, write_plain};

/// Bytes of a usual line, to reserve by.
const LINE_BYTES: usize = 112;

/// The document of these lines.
#[expect(clippy::missing_panics_doc, reason = "whole strings and ASCII make UTF-8")]
pub fn write<'a>(lines: impl Iterator<Item = Line<'a>>) -> String {
    let mut document = Vec::with_capacity(2 + lines.size_hint().0 * LINE_BYTES);
    document.push(b'[');
    let mut before: Option<Line> = None;
    for line in lines {
        match &before {
            None => write_shared(&mut document, &line),
            Some(before) if line.is_of_group(before) => document.push(b','),
            Some(_) => {
                document.extend_from_slice(b"]],");
                write_shared(&mut document, &line);
            }
        }
        write_own(&mut document, &line);
        before = Some(line);
    }
    if before.is_some() {
        document.extend_from_slice(b"]]");
    }
    document.push(b']');
    String::from_utf8(document).expect("whole strings and ASCII")
}

/// What a group begins with, up to its first line.
fn write_shared(out: &mut Vec<u8>, line: &Line) {
    out.extend_from_slice(b"[\"");
    write_whole(out, Some(line.line_no));
    out.extend_from_slice(b"\",\"");
    write_whole(out, line.appid);
    out.extend_from_slice(b"\",\"");
    out.extend_from_slice(line.kind.word().as_bytes());
    out.extend_from_slice(b"\",");
    write_string(out, &line.card);
    out.extend_from_slice(b",\"");
    write_day(out, line.card_version);
    out.extend_from_slice(b"\",");
    for text in [&line.region, &line.meter, &line.unit] {
        write_string(out, text);
        out.push(b',');
    }
    out.push(b'[');
}

fn write_own(out: &mut Vec<u8>, line: &Line) {
    out.push(b'[');
    write_string(out, &line.sku);
    out.extend_from_slice(b",\"");
    write_whole(out, line.records);
    out.extend_from_slice(b"\",\"");
    let priced = line.priced.as_ref();
    write_decimal(out, priced.map(|priced| priced.quantity), QUANTITY_DECIMALS);
    out.extend_from_slice(b"\",\"");
    write_decimal(out, priced.map(|priced| priced.unit_price), 0);
    out.extend_from_slice(b"\",\"");
    write_plain(out, line.amount, AMOUNT_DECIMALS);
    out.extend_from_slice(b"\",\"");
    write_whole(out, Some(line.slice).filter(|slice| *slice != 0));
    out.extend_from_slice(b"\",\"");
    let discount = priced.map(|priced| priced.discount_percent);
    write_decimal(out, discount.filter(|discount| !discount.is_zero()), 0);
    out.extend_from_slice(b"\",");
    let corrects = line.corrects.as_ref();
    write_string(out, corrects.map_or("", |(statement_id, _)| statement_id));
    out.extend_from_slice(b",\"");
    write_whole(out, corrects.map(|(_, line_no)| *line_no));
    out.extend_from_slice(b"\",");
    write_string(out, &line.note);
    out.extend_from_slice(b",\"");
    write_day(out, line.span_start);
    out.push(b'"');
    // A quote within a string is escaped, so this is an empty one; `amount` never is.
    while out.ends_with(b",\"\"") {
        out.truncate(out.len() - 3);
    }
    out.push(b']');
}

fn write_whole(out: &mut Vec<u8>, value: Option<impl itoa::Integer>) {
    if let Some(value) = value {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }
}

/// `YYYY-MM-DD`.
fn write_day(out: &mut Vec<u8>, day: Option<NaiveDate>) {
    let Some(day) = day else { return };
    let pair = |number: u32| [number / 10, number % 10].map(|digit| b"0123456789"[digit as usize]);
    match u32::try_from(day.year()) {
        Ok(year) if year < 10_000 => {
            out.extend(pair(year / 100));
            out.extend(pair(year % 100));
            out.push(b'-');
            out.extend(pair(day.month()));
            out.push(b'-');
            out.extend(pair(day.day()));
        }
        _ => out.extend_from_slice(day.to_string().as_bytes()),
    }
}

fn write_decimal(out: &mut Vec<u8>, value: Option<Decimal>, decimals: u32) {
    if let Some(value) = value {
        write_plain(out, value, decimals);
    }
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    if has_byte(text, is_escaped) {
        serde_json::to_writer(out, text).expect("a string always has a JSON text, and a vector takes it");
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}
