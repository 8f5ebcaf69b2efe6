//! Raw rows of one UTC day in columns, between the door and the segment file.

use polars::prelude::{Column, DataFrame};
use polars_arrow::array::{BooleanArray, FixedSizeBinaryArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, TimeUnit as ArrowTimeUnit};

use super::interner::{Interner, Symbol};
use super::packed_id;
use super::segment::SegmentKind;
use crate::storage::parquet_writer::{FileColumn, Packing};
use crate::support::error::Result;

/// A checked usage record or void, as raw keeps it.
#[derive(Clone, Copy, Debug)]
pub struct RawRow<'a> {
    pub line: u32,
    pub source: Symbol,
    pub id: &'a str,
    /// The id taken back, of a void.
    pub voids: Option<&'a str>,
    pub usage: Option<UsageFields>,
    /// Nanoseconds since 1970, of a void perhaps none.
    pub finished_at_ns: Option<i64>,
    /// Whether that is the time of a message or of its receipt.
    pub has_derived_time: bool,
    /// Hash of source and id.
    pub key: u64,
    /// Fingerprint of the billable content.
    pub content: u64,
}

/// What only a usage record has.
#[derive(Clone, Copy, Debug)]
pub struct UsageFields {
    pub uin: u64,
    pub appid: u64,
    pub task_type: Symbol,
    /// Canonical parameters.
    pub parameters: Symbol,
    pub duration_ms: i64,
    pub failed: bool,
}

/// Texts of some rows, end to end.
#[derive(Default)]
struct Texts {
    rows: Vec<u32>,
    bytes: String,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, row: usize, text: &str) {
        self.rows
            .push(u32::try_from(row).expect("rows held are fewer than 2^32"));
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    /// A column of `rows` rows with these texts in their places and nulls elsewhere.
    fn column(&self, name: &'static str, rows: usize) -> FileColumn {
        if self.rows.len() == rows {
            let texts = Utf8ViewArray::from_slice_values(self.iter().collect::<Vec<_>>());
            return FileColumn::new(name, Box::new(texts), Packing::Distinct);
        }
        let mut texts = vec![None; rows];
        for (&row, text) in self.rows.iter().zip(self.iter()) {
            texts[row as usize] = Some(text);
        }
        FileColumn::new(name, Box::new(Utf8ViewArray::from_slice(texts)), Packing::Distinct)
    }
}

/// Columns of raw rows.
#[derive(Default)]
pub struct RawRows {
    line: Vec<u32>,
    source: Vec<Symbol>,
    packed_id: Vec<[u8; 16]>,
    /// Ids that cannot be packed.
    id: Texts,
    voids: Texts,
    uin: Vec<u64>,
    appid: Vec<u64>,
    task_type: Vec<Symbol>,
    parameters: Vec<Symbol>,
    duration_ms: Vec<i64>,
    failed: Vec<bool>,
    finished_at_ns: Vec<i64>,
    undated: Vec<usize>,
    /// Rows whose time is derived.
    derived: Vec<usize>,
    key: Vec<u64>,
    content: Vec<u64>,
}

impl RawRows {
    /// For so many rows, none of which is there yet.
    pub fn with_capacity(rows: usize) -> Self {
        Self {
            line: Vec::with_capacity(rows),
            source: Vec::with_capacity(rows),
            packed_id: Vec::with_capacity(rows),
            uin: Vec::with_capacity(rows),
            appid: Vec::with_capacity(rows),
            task_type: Vec::with_capacity(rows),
            parameters: Vec::with_capacity(rows),
            duration_ms: Vec::with_capacity(rows),
            failed: Vec::with_capacity(rows),
            finished_at_ns: Vec::with_capacity(rows),
            key: Vec::with_capacity(rows),
            content: Vec::with_capacity(rows),
            ..Self::default()
        }
    }

    pub fn len(&self) -> usize {
        self.line.len()
    }

    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    #[inline]
    pub fn push(&mut self, row: &RawRow) {
        let at = self.line.len();
        self.line.push(row.line);
        self.source.push(row.source);
        let packed = packed_id::packed(row.id);
        if packed.is_none() {
            self.id.push(at, row.id);
        }
        self.packed_id.push(packed.unwrap_or_default());
        if let Some(target) = row.voids {
            self.voids.push(at, target);
        }
        if row.finished_at_ns.is_none() {
            self.undated.push(at);
        }
        if row.has_derived_time {
            self.derived.push(at);
        }
        let usage = row.usage.unwrap_or(UsageFields {
            uin: 0,
            appid: 0,
            task_type: row.source,
            parameters: row.source,
            duration_ms: 0,
            failed: false,
        });
        self.uin.push(usage.uin);
        self.appid.push(usage.appid);
        self.task_type.push(usage.task_type);
        self.parameters.push(usage.parameters);
        self.duration_ms.push(usage.duration_ms);
        self.failed.push(usage.failed);
        self.finished_at_ns.push(row.finished_at_ns.unwrap_or(0));
        self.key.push(row.key);
        self.content.push(row.content);
    }

    /// The rows as columns of a segment; see `segment.rs`. All segments of an intake have the same columns: `derived_time` where some of
    /// its rows may have such a time.
    pub fn into_columns(self, intake: i64, symbols: &Interner, may_be_derived: bool) -> Vec<FileColumn> {
        let rows = self.len();
        let is_usage = flags(rows, self.voids.rows.iter().map(|&row| row as usize));
        let is_dated = flags(rows, self.undated.iter().copied());
        let is_packed = flags(rows, self.id.rows.iter().map(|&row| row as usize));
        let usage_only = |column: FileColumn| null_where_false(column, is_usage.as_deref());
        let text = |name, symbols_of: Vec<Symbol>| named(name, symbols_of, symbols);
        let id_128 = FixedSizeBinaryArray::new(
            ArrowDataType::FixedSizeBinary(16),
            self.packed_id.into_flattened().into(),
            None,
        );
        let kind = is_usage.as_ref().map_or_else(
            || vec![0; rows],
            |is_usage| is_usage.iter().map(|&is_usage| u32::from(!is_usage)).collect(),
        );
        let status = self.failed.iter().map(|&failed| u32::from(failed)).collect();
        let instants = ArrowDataType::Timestamp(ArrowTimeUnit::Nanosecond, None);
        let derived = may_be_derived.then(|| derived_times(rows, &self.derived));
        let mut columns = vec![
            FileColumn::numbers("intake", vec![intake; rows], Packing::Deltas),
            FileColumn::numbers("line", self.line, Packing::Deltas),
            text("source", self.source),
            self.id.column("id", rows),
            null_where_false(
                FileColumn::new("id_128", Box::new(id_128), Packing::Plain),
                is_packed.as_deref(),
            ),
            FileColumn::named("kind", kind, ["usage", "void"].into_iter()),
            self.voids.column("voids", rows),
            usage_only(FileColumn::numbers("uin", self.uin, Packing::Deltas)),
            usage_only(FileColumn::numbers("appid", self.appid, Packing::Deltas)),
            usage_only(text("task_type", self.task_type)),
            usage_only(text("parameters", self.parameters)),
            usage_only(FileColumn::numbers("duration_ms", self.duration_ms, Packing::Deltas)),
            null_where_false(
                FileColumn::typed("finished_at", self.finished_at_ns, instants, Packing::Deltas),
                is_dated.as_deref(),
            ),
            usage_only(FileColumn::named("status", status, ["SUCCESS", "FAIL"].into_iter())),
            FileColumn::numbers("key", self.key, Packing::Plain),
            FileColumn::numbers("content", self.content, Packing::Plain),
        ];
        columns.extend(derived);
        columns
    }
}

/// The column of a segment that says which times are derived; a segment without it has none.
pub const DERIVED_TIME: &str = "derived_time";

fn derived_times(rows: usize, derived: &[usize]) -> FileColumn {
    let mut flags = vec![false; rows];
    for &row in derived {
        flags[row] = true;
    }
    FileColumn::new(DERIVED_TIME, Box::new(BooleanArray::from_slice(flags)), Packing::Plain)
}

/// True for each row but those of `without`; none if that is every row.
fn flags(rows: usize, without: impl ExactSizeIterator<Item = usize>) -> Option<Vec<bool>> {
    if without.len() == 0 {
        return None;
    }
    let mut flags = vec![true; rows];
    for row in without {
        flags[row] = false;
    }
    Some(flags)
}

fn null_where_false(column: FileColumn, keep: Option<&[bool]>) -> FileColumn {
    match keep {
        Some(keep) => column.null_where_false(keep),
        None => column,
    }
}

/// A column of the texts that symbols stand for, numbered by their first rows.
fn named(name: &'static str, column: Vec<Symbol>, symbols: &Interner) -> FileColumn {
    const UNSEEN: u32 = u32::MAX;
    let mut number_of = vec![UNSEEN; symbols.len()];
    let mut texts = Vec::new();
    let mut numbers = column;
    for number in &mut numbers {
        let symbol = *number;
        let known = &mut number_of[symbol as usize];
        if *known == UNSEEN {
            *known = u32::try_from(texts.len()).expect("texts are fewer than rows");
            texts.push(symbols.text(symbol));
        }
        *number = *known;
    }
    FileColumn::named(name, numbers, texts.into_iter())
}

/// Service-log fields of one record, kept apart from what is billed and for a month only.
#[derive(Clone, Debug)]
pub struct LogRow {
    pub line: u32,
    pub source: String,
    pub id: String,
    pub task_id: Option<String>,
    pub event_id: Option<String>,
    pub input_url: Option<String>,
    pub created_at_ns: Option<i64>,
    pub started_at_ns: Option<i64>,
}

/// Log rows as columns of a segment.
pub fn log_columns(intake: i64, rows: &[LogRow]) -> Vec<FileColumn> {
    let text = |name: &'static str, pick: fn(&LogRow) -> Option<&str>| {
        let texts: Vec<Option<&str>> = rows.iter().map(pick).collect();
        FileColumn::new(name, Box::new(Utf8ViewArray::from_slice(texts)), Packing::Distinct)
    };
    let instant = |name: &'static str, pick: fn(&LogRow) -> Option<i64>| {
        let instants: PrimitiveArray<i64> = rows.iter().map(pick).collect();
        let dtype = ArrowDataType::Timestamp(ArrowTimeUnit::Nanosecond, None);
        FileColumn::new(name, Box::new(instants.to(dtype)), Packing::Distinct)
    };
    let lines = rows.iter().map(|row| row.line).collect();
    vec![
        FileColumn::numbers("intake", vec![intake; rows.len()], Packing::Deltas),
        FileColumn::numbers("line", lines, Packing::Deltas),
        text("source", |r| Some(&r.source)),
        text("id", |r| Some(&r.id)),
        text("task_id", |r| r.task_id.as_deref()),
        text("event_id", |r| r.event_id.as_deref()),
        text("input_url", |r| r.input_url.as_deref()),
        instant("created_at", |r| r.created_at_ns),
        instant("started_at", |r| r.started_at_ns),
    ]
}

/// Columns of a segment that was read, to be written again as they were.
pub fn columns_of(kind: SegmentKind, frame: &DataFrame) -> Result<Vec<FileColumn>> {
    frame.columns().iter().map(|column| column_of(kind, column)).collect()
}

fn column_of(kind: SegmentKind, column: &Column) -> Result<FileColumn> {
    let packing = match (kind, column.name().as_str()) {
        (_, "intake" | "line") | (SegmentKind::Usage, "uin" | "appid" | "duration_ms" | "finished_at") => {
            Packing::Deltas
        }
        (SegmentKind::Usage, "key" | "content" | DERIVED_TIME) => Packing::Plain,
        (SegmentKind::Usage, "id_128") => return packed_id::column(column),
        _ => Packing::Distinct,
    };
    Ok(FileColumn::of(column, packing))
}
