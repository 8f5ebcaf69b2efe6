//! Records that no meter took: kept whole in a file of their own until a card places them.

use std::path::Path;

use polars::prelude::*;
use polars_arrow::array::Utf8ViewArray;

use crate::pipeline::meter::aggregate::measure::UnmeteredRecord;
use crate::storage::durable_files::{DataDir, create_dir_durably};
use crate::storage::parquet_writer;
use crate::storage::parquet_writer::{FileColumn, Packing};
use crate::storage::raw::segment::read_columns;
use crate::support::error::{Doing as _, Result};

/// Writes the records; not synced. Returns the file's digest.
pub fn write(path: &Path, records: &[UnmeteredRecord]) -> Result<String> {
    if let Some(parent) = path.parent() {
        create_dir_durably(parent)?;
    }
    let text = |name: &'static str, pick: fn(&UnmeteredRecord) -> &str| {
        let texts: Vec<&str> = records.iter().map(pick).collect();
        FileColumn::new(
            name,
            Box::new(Utf8ViewArray::from_slice_values(texts)),
            Packing::Distinct,
        )
    };
    let signed = |name: &'static str, pick: fn(&UnmeteredRecord) -> i64| {
        FileColumn::numbers(name, records.iter().map(pick).collect(), Packing::Deltas)
    };
    let unsigned = |name: &'static str, pick: fn(&UnmeteredRecord) -> u64| {
        FileColumn::numbers(name, records.iter().map(pick).collect(), Packing::Deltas)
    };
    let columns = vec![
        signed("batch", |r| r.batch),
        FileColumn::numbers("line", records.iter().map(|r| r.line).collect(), Packing::Deltas),
        unsigned("uin", |r| r.uin),
        unsigned("appid", |r| r.appid),
        text("task_type", |r| &r.task_type),
        text("parameters", |r| &r.parameters),
        signed("duration_ms", |r| r.duration_ms),
        signed("finished_at_ns", |r| r.finished_at_ns),
        text("code", |r| &r.code),
        text("sentence", |r| &r.sentence),
    ];
    let (_, digest) = parquet_writer::write(path, columns)?;
    Ok(digest)
}

/// Reads all files of unmetered records, by batch and line.
pub fn read_all(data: &DataDir, paths: &[String]) -> Result<Vec<UnmeteredRecord>> {
    let mut records = Vec::new();
    for path in paths {
        let frame = read_columns(&data.join(path), &[])?;
        let text = |name: &str| {
            frame
                .column(name)
                .and_then(Column::str)
                .cloned()
                .doing("reading unmetered")
        };
        let signed = |name: &str| {
            frame
                .column(name)
                .and_then(Column::i64)
                .cloned()
                .doing("reading unmetered")
        };
        let unsigned = |name: &str| {
            frame
                .column(name)
                .and_then(Column::u64)
                .cloned()
                .doing("reading unmetered")
        };
        let line = frame
            .column("line")
            .and_then(Column::u32)
            .cloned()
            .doing("reading unmetered")?;
        let (batch, duration, finished) = (signed("batch")?, signed("duration_ms")?, signed("finished_at_ns")?);
        let (uin, appid) = (unsigned("uin")?, unsigned("appid")?);
        let (task_type, parameters) = (text("task_type")?, text("parameters")?);
        let (code, sentence) = (text("code")?, text("sentence")?);
        let owned = |column: &StringChunked, at: usize| column.get(at).unwrap_or_default().to_owned();
        records.extend((0..frame.height()).map(|at| UnmeteredRecord {
            batch: batch.get(at).unwrap_or(0),
            line: line.get(at).unwrap_or(0),
            uin: uin.get(at).unwrap_or(0),
            appid: appid.get(at).unwrap_or(0),
            task_type: owned(&task_type, at),
            parameters: owned(&parameters, at),
            duration_ms: duration.get(at).unwrap_or(0),
            finished_at_ns: finished.get(at).unwrap_or(0),
            code: owned(&code, at),
            sentence: owned(&sentence, at),
        }));
    }
    records.sort_unstable_by_key(|r| (r.batch, r.line));
    Ok(records)
}
