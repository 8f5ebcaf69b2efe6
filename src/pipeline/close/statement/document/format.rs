//! Version 2 of the document, as types: serde writes and reads exactly these keys, in this order. What they mean is in
//! `docs/internals/statement-document.md`.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{SerializeTuple as _, Serializer};
use serde::{Deserialize as DeriveDeserialize, Serialize};

/// The version that is written.
pub const VERSION: u32 = 2;

/// How each document of [`VERSION`] begins.
pub(super) const BEGIN: &str = "{\"version\":2,";

/// The whole of a statement, or the lines of a settlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Document<'a> {
    /// [`VERSION`].
    pub version: u32,
    /// What the statement says beside its lines; a settlement has none.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Head<'a>>,
    /// [`COLUMNS`].
    #[serde(borrow)]
    pub columns: Vec<Text<'a>>,
    /// The lines.
    #[serde(borrow)]
    pub groups: Vec<Group<'a>>,
}

/// What a statement says beside its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Head<'a> {
    /// `UIN-YYYYMMDD-YYYYMMDD`.
    #[serde(borrow)]
    pub statement_id: Text<'a>,
    /// The account.
    #[serde(borrow)]
    pub uin: Text<'a>,
    /// The first day, in the zone.
    #[serde(borrow)]
    pub period_start: Text<'a>,
    /// The first day after it.
    #[serde(borrow)]
    pub period_end: Text<'a>,
    /// IANA name.
    #[serde(borrow)]
    pub zone: Text<'a>,
    /// ISO 4217.
    #[serde(borrow)]
    pub currency: Text<'a>,
    /// RFC 3339, whole seconds, +00:00.
    #[serde(borrow)]
    pub closed_at: Text<'a>,
    /// The sum of the lines that are neither adjustment nor rounding, 10 decimals.
    #[serde(borrow)]
    pub usage_amount: Text<'a>,
    /// The sum of the adjustment lines, 10 decimals.
    #[serde(borrow)]
    pub adjustment_amount: Text<'a>,
    /// The amount of the rounding line, 10 decimals.
    #[serde(borrow)]
    pub rounding: Text<'a>,
    /// The sum of all lines, with the decimals of the currency.
    #[serde(borrow)]
    pub total: Text<'a>,
    /// The digest of the account's statement before; the first has none.
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub previous_digest: Text<'a>,
}

/// Lines that stand one after another and have this in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Group<'a> {
    /// The number of its first line; each later one has the next.
    pub first_line: u32,
    /// A word of [`Kind`](crate::pipeline::rate::Kind).
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// The application.
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub appid: Text<'a>,
    /// The rate card.
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub card: Text<'a>,
    /// The first day of the version of the card.
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub card_version: Text<'a>,
    /// The region.
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub region: Text<'a>,
    /// At least one.
    #[serde(borrow)]
    pub lines: Vec<Row<'a>>,
}

/// What the values of each line are, in order; a document says it of itself. What else a line has stands behind them by name: [`More`].
pub const COLUMNS: [&str; 7] = ["sku", "meter", "unit", "records", "quantity", "unit_price", "amount"];

/// What a line has of its own: an array of the values of [`COLUMNS`], and [`More`] where there is more. What it does not have is empty here, and
/// `null` in the array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// The SKU.
    pub sku: Text<'a>,
    /// The meter.
    pub meter: Text<'a>,
    /// The pricing unit.
    pub unit: Text<'a>,
    /// Records.
    pub records: Option<i64>,
    /// In pricing units, 6 decimals.
    pub quantity: Text<'a>,
    /// Per pricing unit, before the discount, with as many decimals as it needs.
    pub unit_price: Text<'a>,
    /// 10 decimals.
    pub amount: Text<'a>,
    /// Everything else.
    pub more: More<'a>,
}

/// What few lines have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct More<'a> {
    /// In percent, with as many decimals as it needs; none where there is no discount.
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub discount_percent: Text<'a>,
    /// The tier, where it is not the first.
    #[serde(default, skip_serializing_if = "is_first")]
    pub slice: u32,
    /// Started packages, which are priced in place of the quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<i64>,
    /// What the usage was multiplied by, with as many decimals as it needs.
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub multiplier: Text<'a>,
    /// The usage before the multiplier, 6 decimals.
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub usage_quantity: Text<'a>,
    /// The statement or settlement that it corrects.
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub corrects_statement: Text<'a>,
    /// The line of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrects_line: Option<u32>,
    /// The kind that it corrects, where that is not `usage`.
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub corrects_kind: Text<'a>,
    /// The first day of the span, where it is not the usual one.
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub span_start: Text<'a>,
    /// For the reader.
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub note: Text<'a>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_first(slice: &u32) -> bool {
    *slice == 0
}

impl Row<'_> {
    /// The discount: what has a quantity has one, if only of nothing.
    pub fn discount(&self) -> &str {
        if self.more.discount_percent.is_empty() && !self.quantity.is_empty() {
            "0"
        } else {
            &self.more.discount_percent
        }
    }

    /// The note as people are shown it: with what else the amount or the quantity is made of.
    pub fn shown_note(&self) -> Cow<'_, str> {
        let More {
            packages,
            multiplier,
            usage_quantity,
            note,
            ..
        } = &self.more;
        let mut parts = Vec::new();
        parts.extend(packages.map(|packages| format!("packages {packages}")));
        if !multiplier.is_empty() {
            parts.push(format!("multiplier {}", &**multiplier));
        }
        if !usage_quantity.is_empty() {
            parts.push(format!("usage {}", &**usage_quantity));
        }
        if parts.is_empty() {
            return Cow::Borrowed(note);
        }
        parts.extend((!note.is_empty()).then(|| note.to_string()));
        Cow::Owned(parts.join("; "))
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let value = |text| Some(text).filter(|text: &&Text| !text.is_empty());
        let has_more = self.more != More::default();
        let mut row = to.serialize_tuple(COLUMNS.len() + usize::from(has_more))?;
        for text in [&self.sku, &self.meter, &self.unit] {
            row.serialize_element(&value(text))?;
        }
        row.serialize_element(&self.records)?;
        for text in [&self.quantity, &self.unit_price, &self.amount] {
            row.serialize_element(&value(text))?;
        }
        if has_more {
            row.serialize_element(&self.more)?;
        }
        row.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Row<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Row<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a line: {}, and what else it has", COLUMNS.join(", "))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Row<'de>, A::Error> {
        Ok(Row {
            sku: next(&mut from, 0)?,
            meter: next(&mut from, 1)?,
            unit: next(&mut from, 2)?,
            records: from.next_element()?.ok_or_else(|| A::Error::invalid_length(3, &self))?,
            quantity: next(&mut from, 4)?,
            unit_price: next(&mut from, 5)?,
            amount: next(&mut from, 6)?,
            more: from.next_element()?.unwrap_or_default(),
        })
    }
}

/// The text at that place; empty where it is `null`.
fn next<'de, A: SeqAccess<'de>>(from: &mut A, at: usize) -> Result<Text<'de>, A::Error> {
    let text: Option<Option<Text>> = from.next_element()?;
    let text = text.ok_or_else(|| A::Error::invalid_length(at, &RowVisitor))?;
    Ok(text.unwrap_or_default())
}

impl Head<'_> {
    /// Its keys and values, in order.
    pub fn fields(&self) -> [(&'static str, &str); 12] {
        [
            ("statement_id", &self.statement_id),
            ("uin", &self.uin),
            ("period_start", &self.period_start),
            ("period_end", &self.period_end),
            ("zone", &self.zone),
            ("currency", &self.currency),
            ("closed_at", &self.closed_at),
            ("usage_amount", &self.usage_amount),
            ("adjustment_amount", &self.adjustment_amount),
            ("rounding", &self.rounding),
            ("total", &self.total),
            ("previous_digest", &self.previous_digest),
        ]
    }
}

/// One string of a document, borrowed from it wherever nothing is escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// Whether the line or statement has no such thing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.into())
    }
}

/// By hand, because serde copies every text that may be absent.
impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(text.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(text.to_owned().into())
    }
}
