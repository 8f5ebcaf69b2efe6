//! A made file as Parquet, as another team's exporter would write it: parameters in columns, times as UTC timestamps.

use std::fs::File;
use std::path::Path;

use polars::prelude::*;
use polars_io::prelude::*;

use super::month::DemoRecord;
use super::record::SOURCE;
use crate::support::error::{AtPath as _, Doing as _, Result};

/// Writes records to a Parquet file.
pub fn write(path: &Path, records: &[DemoRecord]) -> Result<()> {
    let text = |name: &str, pick: fn(&DemoRecord) -> Option<&str>| {
        StringChunked::from_iter_options(name.into(), records.iter().map(pick)).into_column()
    };
    let number = |name: &str, pick: fn(&DemoRecord) -> Option<u32>| {
        UInt32Chunked::from_iter_options(name.into(), records.iter().map(pick)).into_column()
    };
    let large = |name: &str, pick: fn(&DemoRecord) -> u64| {
        UInt64Chunked::from_iter_values(name.into(), records.iter().map(pick)).into_column()
    };
    let columns = vec![
        text("source", |_| Some(SOURCE)),
        text("id", |r| Some(&r.id)),
        large("uin", |r| r.uin),
        large("appid", |r| r.appid),
        text("task_type", |r| Some(r.task_type)),
        text("parameters.type", |r| r.parameters.kind),
        text("parameters.codec", |r| r.parameters.codec),
        number("parameters.width", |r| r.parameters.width),
        number("parameters.height", |r| r.parameters.height),
        number("parameters.fps", |r| r.parameters.fps),
        number("parameters.images", |r| r.parameters.images),
        text("parameters.region", |r| r.parameters.region),
        large("duration_ms", |r| r.duration_ms),
        text("status", |r| Some(r.status())),
        Int64Chunked::from_iter_values("finished_at".into(), records.iter().map(|r| r.finished_at_ms))
            .into_datetime(TimeUnit::Milliseconds, Some(TimeZone::UTC))
            .into_column(),
    ];
    let mut frame = DataFrame::new(records.len(), columns).doing("building a made file")?;
    let file = File::create(path).at(path)?;
    ParquetWriter::new(file)
        .finish(&mut frame)
        .doing(format!("writing {}", path.display()))?;
    Ok(())
}
