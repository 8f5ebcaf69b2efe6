//! Raw rows of one UTC day in columns, between the door and the segment file.

use polars::prelude::*;

use super::symbols::{Symbol, Symbols};
use crate::error::{Doing as _, Result};

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

/// Texts end to end.
#[derive(Default)]
struct Texts {
    bytes: String,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

/// Columns of raw rows.
#[derive(Default)]
pub struct RawRows {
    line: Vec<u32>,
    source: Vec<Symbol>,
    id: Texts,
    voids: Vec<(usize, Box<str>)>,
    uin: Vec<u64>,
    appid: Vec<u64>,
    task_type: Vec<Symbol>,
    parameters: Vec<Symbol>,
    duration_ms: Vec<i64>,
    failed: Vec<bool>,
    finished_at_ns: Vec<i64>,
    undated: Vec<usize>,
    key: Vec<u64>,
    content: Vec<u64>,
}

impl RawRows {
    pub fn len(&self) -> usize {
        self.line.len()
    }

    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub fn push(&mut self, row: &RawRow) {
        let at = self.line.len();
        self.line.push(row.line);
        self.source.push(row.source);
        self.id.push(row.id);
        if let Some(target) = row.voids {
            self.voids.push((at, target.into()));
        }
        if row.finished_at_ns.is_none() {
            self.undated.push(at);
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

    /// The rows as a frame in the raw schema; see `raw/segment.rs` for its columns.
    pub fn into_frame(self, intake: i64, symbols: &Symbols) -> Result<DataFrame> {
        let rows = self.len();
        let text = |name: &str, column: &[Symbol]| {
            StringChunked::from_iter_values(name.into(), column.iter().map(|&s| symbols.text(s))).into_column()
        };
        let mut is_usage = vec![true; rows];
        let mut kind = vec!["usage"; rows];
        let mut voids = vec![None; if self.voids.is_empty() { 0 } else { rows }];
        for (at, target) in &self.voids {
            is_usage[*at] = false;
            kind[*at] = "void";
            voids[*at] = Some(&**target);
        }
        let voids = if self.voids.is_empty() {
            StringChunked::full_null("voids".into(), rows)
        } else {
            StringChunked::from_iter_options("voids".into(), voids.into_iter())
        };
        let mut dated = vec![true; rows];
        for &at in &self.undated {
            dated[at] = false;
        }
        let usage_only = |column: Column| {
            if self.voids.is_empty() {
                Ok(column)
            } else {
                null_where_false(&column, &is_usage)
            }
        };
        let finished_at = Int64Chunked::from_vec("finished_at".into(), self.finished_at_ns)
            .into_datetime(TimeUnit::Nanoseconds, None)
            .into_column();
        let status = self
            .failed
            .iter()
            .map(|&failed| if failed { "FAIL" } else { "SUCCESS" });
        let columns = vec![
            Int64Chunked::full("intake".into(), intake, rows).into_column(),
            UInt32Chunked::from_vec("line".into(), self.line).into_column(),
            text("source", &self.source),
            StringChunked::from_iter_values("id".into(), self.id.iter()).into_column(),
            StringChunked::from_iter_values("kind".into(), kind.into_iter()).into_column(),
            voids.into_column(),
            usage_only(UInt64Chunked::from_vec("uin".into(), self.uin).into_column())?,
            usage_only(UInt64Chunked::from_vec("appid".into(), self.appid).into_column())?,
            usage_only(text("task_type", &self.task_type))?,
            usage_only(text("parameters", &self.parameters))?,
            usage_only(Int64Chunked::from_vec("duration_ms".into(), self.duration_ms).into_column())?,
            if self.undated.is_empty() {
                finished_at
            } else {
                null_where_false(&finished_at, &dated)?
            },
            usage_only(StringChunked::from_iter_values("status".into(), status).into_column())?,
            UInt64Chunked::from_vec("key".into(), self.key).into_column(),
            UInt64Chunked::from_vec("content".into(), self.content).into_column(),
        ];
        DataFrame::new(rows, columns).doing("building raw rows")
    }
}

fn null_where_false(column: &Column, keep: &[bool]) -> Result<Column> {
    let mask = BooleanChunked::from_slice("keep".into(), keep);
    let nulls = Column::full_null(column.name().clone(), column.len(), column.dtype());
    column.zip_with(&mask, &nulls).doing("building raw rows")
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

/// Log rows as a frame.
pub fn log_frame(intake: i64, rows: &[LogRow]) -> Result<DataFrame> {
    let text = |name: &str, pick: fn(&LogRow) -> Option<&str>| {
        StringChunked::from_iter_options(name.into(), rows.iter().map(pick)).into_column()
    };
    let instant = |name: &str, pick: fn(&LogRow) -> Option<i64>| {
        Int64Chunked::from_iter_options(name.into(), rows.iter().map(pick))
            .into_datetime(TimeUnit::Nanoseconds, None)
            .into_column()
    };
    let columns = vec![
        Int64Chunked::full("intake".into(), intake, rows.len()).into_column(),
        UInt32Chunked::from_iter_values("line".into(), rows.iter().map(|r| r.line)).into_column(),
        text("source", |r| Some(&r.source)),
        text("id", |r| Some(&r.id)),
        text("task_id", |r| r.task_id.as_deref()),
        text("event_id", |r| r.event_id.as_deref()),
        text("input_url", |r| r.input_url.as_deref()),
        instant("created_at", |r| r.created_at_ns),
        instant("started_at", |r| r.started_at_ns),
    ];
    DataFrame::new(rows.len(), columns).doing("building service-log rows")
}
