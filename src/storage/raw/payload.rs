//! What events brought beside usage: the customer's session id and context, and the event itself without secrets. It is kept to make
//! records of it again, apart from what is billed, and for its own time.

use polars_arrow::array::{PrimitiveArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, TimeUnit as ArrowTimeUnit};

use crate::storage::parquet_writer::{FileColumn, Packing};

/// One event.
#[derive(Clone, Debug)]
pub struct PayloadRow {
    /// The number of its first record in the batch.
    pub line: u32,
    pub source: String,
    pub task_id: String,
    pub session_id: String,
    pub session_context: String,
    /// The event, secrets blanked.
    pub payload: String,
}

/// Rows as columns of a segment. `receipt_ns` is when their bytes were received first.
pub fn payload_columns(intake: i64, rows: &[PayloadRow], receipt_ns: i64) -> Vec<FileColumn> {
    let text = |name: &'static str, pick: fn(&PayloadRow) -> &str| {
        let texts: Vec<Option<&str>> = rows
            .iter()
            .map(|row| Some(pick(row)).filter(|text| !text.is_empty()))
            .collect();
        FileColumn::new(name, Box::new(Utf8ViewArray::from_slice(texts)), Packing::Distinct)
    };
    let instants: PrimitiveArray<i64> = rows.iter().map(|_| Some(receipt_ns)).collect();
    let dtype = ArrowDataType::Timestamp(ArrowTimeUnit::Nanosecond, None);
    vec![
        FileColumn::numbers("intake", vec![intake; rows.len()], Packing::Deltas),
        FileColumn::numbers("line", rows.iter().map(|row| row.line).collect(), Packing::Deltas),
        text("source", |row| &row.source),
        text("task_id", |row| &row.task_id),
        text("session_id", |row| &row.session_id),
        text("session_context", |row| &row.session_context),
        text("payload", |row| &row.payload),
        FileColumn::new("received_at", Box::new(instants.to(dtype)), Packing::Distinct),
    ]
}
