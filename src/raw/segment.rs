//! Segment files: immutable Parquet under `raw/day=YYYY-MM-DD/` (billable content) and `log/day=YYYY-MM-DD/`
//! (service-log fields), one UTC day each.
//!
//! Columns of `raw`: `intake` (the writer's number, which the ledger maps to a batch) and `line` name a row for life;
//! `source`, `id`, `kind`, `voids`, `uin`, `appid`, `task_type`, `parameters` (canonical JSON), `duration_ms`,
//! `finished_at` (UTC, nanoseconds), `status` are the record; `key` and `content` are hashes of identity and content.
//! A void has only source, id, kind and voids.

use std::fs::File;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use polars::io::parquet::write::BatchedWriter;
use polars::prelude::*;

use crate::error::{AtPath as _, Doing as _, Result};
use crate::files::{DataDir, DigestedFile, WrittenDigest, create_dir_durably};

/// Rows of a row group at most. Measured at 2 and 20 million records: smaller groups repeat their dictionaries,
/// larger ones cost memory and gain nothing.
pub const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Rows of a segment at most, so that a reader that holds a whole one stays below about a gigabyte.
pub const SEGMENT_ROWS_MAX: usize = 4 * 1024 * 1024;

/// The two kinds of segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    Usage,
    Log,
}

impl SegmentKind {
    pub fn text(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Log => "log",
        }
    }

    /// Its top folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Usage => "raw",
            Self::Log => "log",
        }
    }
}

/// A finished segment, not yet named by the ledger.
#[derive(Clone, Debug)]
pub struct NewSegment {
    pub path: String,
    pub kind: SegmentKind,
    pub day: NaiveDate,
    pub rows: usize,
    pub bytes: u64,
    pub digest: String,
}

/// Writes the segments of one day and intake, rolling over at [`SEGMENT_ROWS_MAX`].
pub struct SegmentWriter {
    data: DataDir,
    kind: SegmentKind,
    day: NaiveDate,
    intake: i64,
    open: Option<Open>,
    finished: Vec<NewSegment>,
}

struct Open {
    path: String,
    writer: BatchedWriter<DigestedFile>,
    digest: WrittenDigest,
    rows: usize,
}

impl SegmentWriter {
    pub fn new(data: &DataDir, kind: SegmentKind, day: NaiveDate, intake: i64) -> Self {
        Self {
            data: data.clone(),
            kind,
            day,
            intake,
            open: None,
            finished: Vec::new(),
        }
    }

    /// Appends one row group.
    pub fn write(&mut self, frame: &DataFrame) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(open_segment(
                &self.data,
                self.kind,
                self.day,
                self.intake,
                self.finished.len(),
                frame.schema(),
            )?),
        };
        open.writer.write_batch(frame).doing(format!("writing {}", open.path))?;
        open.rows += frame.height();
        if open.rows >= SEGMENT_ROWS_MAX {
            self.roll()?;
        }
        Ok(())
    }

    /// Ends the last segment and returns all of them, written but not synced.
    pub fn finish(mut self) -> Result<Vec<NewSegment>> {
        self.roll()?;
        Ok(self.finished)
    }

    fn roll(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            let bytes = open.writer.finish().doing(format!("writing {}", open.path))?;
            self.finished.push(NewSegment {
                path: open.path,
                kind: self.kind,
                day: self.day,
                rows: open.rows,
                bytes,
                digest: open.digest.hex(),
            });
        }
        Ok(())
    }
}

fn open_segment(
    data: &DataDir,
    kind: SegmentKind,
    day: NaiveDate,
    intake: i64,
    part: usize,
    schema: &Schema,
) -> Result<Open> {
    let path = format!("{}/day={day}/i{intake:08}-{part:03}.parquet", kind.folder());
    let place = data.join(&path);
    create_dir_durably(place.parent().unwrap_or(Path::new(".")))?;
    let (file, digest) = DigestedFile::create_new(&place)?;
    let writer = parquet_writer(file).batched(schema).doing(format!("writing {path}"))?;
    Ok(Open {
        path,
        writer,
        digest,
        rows: 0,
    })
}

/// How every Parquet file of ours is written: zstd at its fastest level, no statistics (no reader of ours prunes by
/// them, and days are folders), one thread (days are written side by side).
pub fn parquet_writer(file: DigestedFile) -> ParquetWriter<DigestedFile> {
    ParquetWriter::new(file)
        .with_compression(ParquetCompression::Zstd(
            polars_utils::compression::ZstdLevel::try_new(1).ok(),
        ))
        .with_statistics(StatisticsOptions::empty())
        .with_row_group_size(Some(ROW_GROUP_ROWS))
        .set_parallel(false)
}

/// Reads some columns of a Parquet file, or all for an empty list.
pub fn read_columns(place: &PathBuf, columns: &[&str]) -> Result<DataFrame> {
    let file = File::open(place).at(place)?;
    ParquetReader::new(file)
        .with_columns((!columns.is_empty()).then(|| columns.iter().map(|&c| c.to_owned()).collect()))
        .read_parallel(ParallelStrategy::None)
        .finish()
        .doing(format!("reading {}", place.display()))
}
