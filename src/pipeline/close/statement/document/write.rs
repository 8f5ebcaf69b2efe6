//! Writing a document.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::Line;
use super::format::{COLUMNS, Document, Group, Head, More, Row, Text, VERSION};
use crate::pipeline::rate::Kind;
use crate::values::money::{AMOUNT_DECIMALS, QUANTITY_DECIMALS, plain};

/// Bytes of a usual line and of a head, to reserve by.
const LINE_BYTES: usize = 128;
const HEAD_BYTES: usize = 512;

/// The document of a statement with that head, or of a settlement, which has none. The same lines give the same bytes.
pub fn write(statement: Option<Head>, lines: &[Line]) -> String {
    let groups = lines.chunk_by(|before, line| line.follows(before)).map(group).collect();
    let document = Document {
        version: VERSION,
        statement,
        columns: COLUMNS.map(Text::from).to_vec(),
        groups,
    };
    let mut text = Vec::with_capacity(HEAD_BYTES + lines.len() * LINE_BYTES);
    serde_json::to_writer(&mut text, &document).expect("strings and numbers have a JSON text, and a vector takes it");
    String::from_utf8(text).expect("JSON is UTF-8")
}

fn group<'a>(lines: &'a [Line]) -> Group<'a> {
    let first = &lines[0];
    Group {
        first_line: first.line_no,
        kind: first.kind.word().into(),
        appid: first.appid.map_or_else(Text::default, |appid| appid.to_string().into()),
        card: (&*first.card).into(),
        card_version: day(first.card_version),
        region: (&*first.region).into(),
        lines: lines.iter().map(Row::of).collect(),
    }
}

impl<'a> Row<'a> {
    /// What a line has of its own.
    pub(super) fn of(line: &'a Line) -> Self {
        let priced = line.priced.as_ref();
        let discount = priced.map(|priced| priced.discount_percent);
        Self {
            sku: (&*line.sku).into(),
            meter: (&*line.meter).into(),
            unit: (&*line.unit).into(),
            records: line.records,
            quantity: decimal(priced.map(|priced| priced.quantity), QUANTITY_DECIMALS),
            unit_price: decimal(priced.map(|priced| priced.unit_price), 0),
            amount: decimal(Some(line.amount), AMOUNT_DECIMALS),
            more: More {
                discount_percent: decimal(discount.filter(|discount| !discount.is_zero()), 0),
                slice: line.slice,
                packages: priced.and_then(|priced| priced.packages),
                multiplier: decimal(line.multiplier, 0),
                usage_quantity: decimal(line.usage_quantity, QUANTITY_DECIMALS),
                corrects_statement: line
                    .corrects
                    .as_ref()
                    .map_or("", |(statement_id, _)| statement_id)
                    .into(),
                corrects_line: line.corrects.as_ref().map(|(_, line_no)| *line_no),
                corrects_kind: line.corrects_kind.map_or("", Kind::word).into(),
                span_start: day(line.span_start),
                note: (&*line.note).into(),
            },
        }
    }
}

/// `YYYY-MM-DD`.
fn day<'a>(day: Option<NaiveDate>) -> Text<'a> {
    day.map_or_else(Text::default, |day| day.to_string().into())
}

fn decimal<'a>(value: Option<Decimal>, decimals: u32) -> Text<'a> {
    value.map_or_else(Text::default, |value| plain(value, decimals).into())
}
