//! Reading a document: as groups, as lines, as the strings that people are shown.

use std::borrow::Cow;
use std::str::FromStr;

use rust_decimal::Decimal;

use super::json::parsed_groups;
use super::{COLUMNS, Cell, DocumentError, Group, Groups, Line, OwnCells, Priced, SHARED, has_byte};
use crate::pipeline::rate::Kind;
use crate::support::json::is_escaped;
use crate::values::money::parse_plain;

/// The strings of a group, in the order of [`SHARED`].
pub(super) type SharedCells<'a> = [Cell<'a>; SHARED.len()];

/// A group as it stands in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupCells<'a> {
    pub(super) shared: SharedCells<'a>,
    pub(super) lines: Vec<OwnCells<'a>>,
}

/// The groups of a document.
///
/// # Errors
/// [`DocumentError::Shape`], and a group whose first line has no number.
pub fn groups(document: &str) -> Result<Groups<'_>, DocumentError> {
    let (cells, is_simple) = match plain_groups(document) {
        Some((groups, commas)) => {
            let all = document.bytes().fold(0, |sum, byte| sum + usize::from(byte == b','));
            (groups, all == commas)
        }
        None => (parsed_groups(document)?, false),
    };
    let mut row = 1;
    let mut groups = Vec::with_capacity(cells.len());
    for GroupCells { shared, lines } in cells {
        let [first_line, appid, kind, card, card_version, region, meter, unit] = shared;
        let first_line = first_line.parse().map_err(|_| DocumentError::Cell {
            row,
            column: SHARED[0],
            text: first_line.to_string(),
        })?;
        row += lines.len();
        groups.push(Group {
            first_line,
            appid,
            kind,
            card,
            card_version,
            region,
            meter,
            unit,
            lines,
        });
    }
    Ok(Groups { groups, is_simple })
}

/// The lines, as they were written.
///
/// # Errors
/// The first thing that does not read as what it should be.
pub fn lines(document: &str) -> Result<Vec<Line<'_>>, DocumentError> {
    let groups = groups(document)?.groups;
    let mut lines = Vec::with_capacity(groups.iter().map(|group| group.lines.len()).sum());
    for mut group in groups {
        for (number, own) in (u64::from(group.first_line)..).zip(std::mem::take(&mut group.lines)) {
            let row = lines.len() + 1;
            let line_no = u32::try_from(number).map_err(|_| DocumentError::Cell {
                row,
                column: SHARED[0],
                text: group.first_line.to_string(),
            })?;
            lines.push(read_line(&group, line_no, own, row)?);
        }
    }
    Ok(lines)
}

/// The strings of each line, in the order of [`COLUMNS`].
///
/// # Errors
/// As [`groups`].
pub fn rows(document: &str) -> Result<Vec<[Cow<'_, str>; COLUMNS.len()]>, DocumentError> {
    let mut rows = Vec::new();
    for group in groups(document)?.groups {
        for (number, own) in (u64::from(group.first_line)..).zip(group.lines) {
            let discount_percent = discount_of(&own).to_owned();
            let [
                sku,
                records,
                quantity,
                unit_price,
                amount,
                slice,
                _,
                statement,
                line,
                note,
                span_start,
            ] = own.map(|cell| cell.0);
            rows.push([
                number.to_string().into(),
                group.appid.0.clone(),
                group.kind.0.clone(),
                group.card.0.clone(),
                group.card_version.0.clone(),
                group.region.0.clone(),
                sku,
                group.meter.0.clone(),
                group.unit.0.clone(),
                records,
                quantity,
                unit_price,
                discount_percent.into(),
                amount,
                statement,
                line,
                note,
                slice,
                span_start,
            ]);
        }
    }
    Ok(rows)
}

/// The discount of a line: what has a quantity has one, if only of nothing.
pub fn discount_of<'c>(own: &'c OwnCells<'_>) -> &'c str {
    let [_, _, quantity, _, _, _, discount_percent, ..] = own;
    if discount_percent.is_empty() && !quantity.is_empty() {
        "0"
    } else {
        discount_percent
    }
}

/// The groups of a document exactly as [`write`] makes it, with nothing escaped in it, and how many commas stand between them and
/// between their parts; none for any other text.
pub(super) fn plain_groups(document: &str) -> Option<(Vec<GroupCells<'_>>, usize)> {
    if !has_no_escape(document) {
        return None;
    }
    let mut rest = document.strip_prefix('[')?;
    let mut groups = Vec::new();
    let mut commas = 0;
    loop {
        rest = rest.strip_prefix("[\"")?;
        let mut shared: SharedCells = no_cells();
        let (last, others) = shared.split_last_mut()?;
        for cell in others {
            *cell = take_cell(&mut rest)?;
            rest = rest.strip_prefix("\",\"")?;
        }
        *last = take_cell(&mut rest)?;
        rest = rest.strip_prefix("\",[[\"")?;
        commas += SHARED.len();
        let mut lines = Vec::new();
        loop {
            let mut line: OwnCells = no_cells();
            let mut found = 0;
            loop {
                *line.get_mut(found)? = take_cell(&mut rest)?;
                found += 1;
                match rest.strip_prefix("\",\"") {
                    Some(after) => rest = after,
                    None => break,
                }
            }
            commas += found - 1;
            lines.push(line);
            rest = rest.strip_prefix("\"]")?;
            match rest.strip_prefix(",[\"") {
                Some(after) => rest = after,
                None => break,
            }
            commas += 1;
        }
        groups.push(GroupCells { shared, lines });
        match rest.strip_prefix("]]")? {
            "]" => return Some((groups, commas)),
            after => rest = after.strip_prefix(',')?,
        }
        commas += 1;
    }
}

pub(super) fn no_cells<'a, const N: usize>() -> [Cell<'a>; N] {
    std::array::from_fn(|_| Cell(Cow::Borrowed("")))
}

/// Whether no byte of a document is part of an escape, or would have to be.
fn has_no_escape(document: &str) -> bool {
    !has_byte(document, |byte| byte != b'"' && is_escaped(byte))
}

/// What comes before the next quote.
fn take_cell<'a>(rest: &mut &'a str) -> Option<Cell<'a>> {
    let (cell, after) = rest.split_at(memchr::memchr(b'"', rest.as_bytes())?);
    *rest = after;
    Some(Cell(Cow::Borrowed(cell)))
}

fn read_line<'a>(group: &Group<'a>, line_no: u32, own: OwnCells<'a>, row: usize) -> Result<Line<'a>, DocumentError> {
    let [
        sku,
        records,
        quantity,
        unit_price,
        amount,
        slice,
        discount_percent,
        corrects_statement,
        corrects_line,
        note,
        span_start,
    ] = own;
    let bad = |column, text: &Cell| DocumentError::Cell {
        row,
        column,
        text: text.to_string(),
    };
    let integer = |column, text: &Cell| text.parse::<u32>().map_err(|_| bad(column, text));
    let decimal = |column, text: &Cell| parse_plain(text).map_err(|_| bad(column, text));
    let priced = if quantity.is_empty() && unit_price.is_empty() && discount_percent.is_empty() {
        None
    } else {
        Some(Priced {
            quantity: decimal("quantity", &quantity)?,
            unit_price: decimal("unit_price", &unit_price)?,
            discount_percent: match &*discount_percent {
                "" => Decimal::ZERO,
                _ => decimal("discount_percent", &discount_percent)?,
            },
        })
    };
    let corrects = if corrects_statement.is_empty() && corrects_line.is_empty() {
        None
    } else {
        Some(integer("corrects_line", &corrects_line)?)
    };
    let Group {
        appid,
        kind,
        card_version,
        ..
    } = group;
    Ok(Line {
        line_no,
        appid: optional(appid, || bad("appid", appid))?,
        kind: Kind::from_word(kind).ok_or_else(|| bad("kind", kind))?,
        card: group.card.0.clone(),
        card_version: optional(card_version, || bad("card_version", card_version))?,
        region: group.region.0.clone(),
        sku: sku.0,
        meter: group.meter.0.clone(),
        unit: group.unit.0.clone(),
        records: optional(&records, || bad("records", &records))?,
        priced,
        amount: decimal("amount", &amount)?,
        corrects: corrects.map(|line_no| (corrects_statement.0, line_no)),
        note: note.0,
        slice: if slice.is_empty() { 0 } else { integer("slice", &slice)? },
        span_start: optional(&span_start, || bad("span_start", &span_start))?,
    })
}

/// An empty cell is absent; anything else must read.
fn optional<T: FromStr>(text: &str, bad: impl FnOnce() -> DocumentError) -> Result<Option<T>, DocumentError> {
    if text.is_empty() {
        Ok(None)
    } else {
        text.parse().map(Some).map_err(|_| bad())
    }
}
