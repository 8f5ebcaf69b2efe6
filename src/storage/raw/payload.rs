//! What events brought beside usage: the customer's session id and context, and the event itself without secrets. It is kept to make
//! records of it again, apart from what is billed, and for its own time.

use std::path::Path;

use polars::prelude::{DataFrame, DataType};
use polars_arrow::array::{PrimitiveArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, TimeUnit as ArrowTimeUnit};

use super::segment::Groups;
use crate::storage::parquet_writer::{FileColumn, Packing};
use crate::support::error::{Doing as _, Error, Result};

/// The account of an event's records; files of before it was kept have no such column.
pub const UIN: &str = "uin";

const COLUMNS: [&str; 8] = [
    "intake",
    "line",
    "source",
    "task_id",
    "session_id",
    "session_context",
    "payload",
    "received_at",
];

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadRow {
    /// The writer of its first record's row, and that row's number there.
    pub intake: i64,
    pub line: u32,
    pub source: String,
    /// The account of its records; none in files of before it was kept.
    pub uin: Option<u64>,
    pub task_id: String,
    pub session_id: String,
    pub session_context: String,
    /// The event, secrets blanked.
    pub payload: String,
    /// When its bytes were received first, nanoseconds since 1970.
    pub receipt_ns: i64,
}

/// Rows as columns of a segment.
pub fn payload_columns(rows: &[PayloadRow]) -> Vec<FileColumn> {
    let text = |name: &'static str, pick: fn(&PayloadRow) -> &str| {
        let texts: Vec<Option<&str>> = rows
            .iter()
            .map(|row| Some(pick(row)).filter(|text| !text.is_empty()))
            .collect();
        FileColumn::new(name, Box::new(Utf8ViewArray::from_slice(texts)), Packing::Distinct)
    };
    let instants: PrimitiveArray<i64> = rows.iter().map(|row| Some(row.receipt_ns)).collect();
    let uins: PrimitiveArray<u64> = rows.iter().map(|row| row.uin).collect();
    let dtype = ArrowDataType::Timestamp(ArrowTimeUnit::Nanosecond, None);
    vec![
        FileColumn::numbers("intake", rows.iter().map(|row| row.intake).collect(), Packing::Deltas),
        FileColumn::numbers("line", rows.iter().map(|row| row.line).collect(), Packing::Deltas),
        text("source", |row| &row.source),
        text("task_id", |row| &row.task_id),
        text("session_id", |row| &row.session_id),
        text("session_context", |row| &row.session_context),
        text("payload", |row| &row.payload),
        FileColumn::new("received_at", Box::new(instants.to(dtype)), Packing::Distinct),
        FileColumn::new(UIN, Box::new(uins), Packing::Distinct),
    ]
}

/// Hands on the rows of a file, row group by row group.
pub fn for_each_payload_group(path: &Path, mut take: impl FnMut(Vec<PayloadRow>) -> Result<()>) -> Result<()> {
    let groups = Groups::open(path)?;
    let columns = groups.with_optional(&COLUMNS, UIN);
    (0..groups.count()).try_for_each(|at| take(rows_of(path, &groups.read(at, &columns)?)?))
}

/// Whether a file has rows of which `is_meant` holds, by source and account alone: nothing else is read.
pub fn has_payloads_of(path: &Path, is_meant: impl Fn(&str, Option<u64>) -> bool) -> Result<bool> {
    let groups = Groups::open(path)?;
    let columns = groups.with_optional(&["source"], UIN);
    for at in 0..groups.count() {
        let frame = groups.read(at, &columns)?;
        let doing = || format!("reading {}", path.display());
        let sources = frame.column("source").and_then(|column| column.str()).doing(doing())?;
        let uins = uins_of(path, &frame)?;
        if sources
            .iter()
            .zip(uins)
            .any(|(source, uin)| is_meant(source.unwrap_or_default(), uin))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uins_of(path: &Path, frame: &DataFrame) -> Result<Vec<Option<u64>>> {
    match frame.column(UIN) {
        Ok(column) => {
            let numbers = column.u64().doing(format!("reading {}", path.display()))?;
            Ok(numbers.iter().collect())
        }
        Err(_) => Ok(vec![None; frame.height()]),
    }
}

fn rows_of(path: &Path, frame: &DataFrame) -> Result<Vec<PayloadRow>> {
    let doing = || format!("reading {}", path.display());
    let texts = |name: &str| -> Result<Vec<String>> {
        let column = frame.column(name).and_then(|column| column.str()).doing(doing())?;
        Ok(column.iter().map(|text| text.unwrap_or_default().to_owned()).collect())
    };
    let numbers = |name: &str| -> Result<Vec<i64>> {
        let column = frame
            .column(name)
            .and_then(|column| column.cast(&DataType::Int64))
            .doing(doing())?;
        let numbers: Option<Vec<i64>> = column.i64().doing(doing())?.iter().collect();
        numbers.ok_or_else(|| Error::damaged(path, format!("has a row without `{name}`")))
    };
    let (intakes, lines, receipts) = (numbers("intake")?, numbers("line")?, numbers("received_at")?);
    let uins = uins_of(path, frame)?;
    let (mut sources, mut tasks) = (texts("source")?.into_iter(), texts("task_id")?.into_iter());
    let (mut sessions, mut contexts) = (texts("session_id")?.into_iter(), texts("session_context")?.into_iter());
    let payloads = texts("payload")?;
    let mut rows = Vec::with_capacity(payloads.len());
    for (at, payload) in payloads.into_iter().enumerate() {
        let line = u32::try_from(lines[at]).map_err(|_| Error::damaged(path, "has a row whose `line` is no line"))?;
        rows.push(PayloadRow {
            intake: intakes[at],
            line,
            source: sources.next().unwrap_or_default(),
            uin: uins[at],
            task_id: tasks.next().unwrap_or_default(),
            session_id: sessions.next().unwrap_or_default(),
            session_context: contexts.next().unwrap_or_default(),
            payload,
            receipt_ns: receipts[at],
        });
    }
    Ok(rows)
}
