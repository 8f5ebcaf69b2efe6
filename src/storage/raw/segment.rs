//! Segment files: immutable Parquet under `raw/day=YYYY-MM-DD/` (billable content), `log/day=YYYY-MM-DD/` (service-log fields) and
//! `payload/day=YYYY-MM-DD/` (what events brought besides), one UTC day each.
//!
//! Columns of `raw`: `intake` (the writer's number, which the ledger maps to a batch) and `line` name a row for life;
//! `source`, `id`, `kind`, `voids`, `uin`, `appid`, `task_type`, `parameters` (canonical JSON), `duration_ms`,
//! `finished_at` (UTC, nanoseconds), `status` are the record; `key` and `content` are hashes of identity and content.
//! Where some rows of an intake may have the time of a message for `finished_at`, its segments have the column `derived_time`.
//! An id of 32 lower-case hex digits stands in `id_128` as its 16 bytes instead of in `id`. A void has only source, id, kind and voids.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::NaiveDate;
use polars::prelude::*;
use polars_io::prelude::*;
use polars_parquet::read::FileMetadata;
use polars_parquet::write::KeyValue;

use super::fingerprints::Fingerprints;
use crate::storage::durable_files::{DataDir, create_dir_durably};
use crate::storage::parquet_writer::{ColumnFile, RowGroup, Schema};
use crate::support::error::{AtPath as _, Doing as _, Error, Result};
use crate::values::digest::sha256_hex_of_file;

/// Rows of a row group at most. Measured at 2 and 20 million records: smaller groups repeat their dictionaries,
/// larger ones cost memory and gain nothing.
pub const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Rows of a segment at most, so that a reader that holds a whole one stays below about a gigabyte.
pub const SEGMENT_ROWS_MAX: usize = 4 * 1024 * 1024;

/// What a segment's footer names the version of its fingerprints with.
const FINGERPRINTS: &str = "tallybook.fingerprints";

/// The kinds of segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    Usage,
    Log,
    Payload,
    /// Payloads whose service-log fields have expired.
    BarePayload,
}

impl SegmentKind {
    pub fn text(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Log => "log",
            Self::Payload => "payload",
            Self::BarePayload => "bare_payload",
        }
    }

    /// What tells its files from those of another kind in the same folder.
    fn mark(self) -> &'static str {
        match self {
            Self::BarePayload => "bare-",
            _ => "",
        }
    }

    /// Its top folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Usage => "raw",
            Self::Log => "log",
            Self::Payload | Self::BarePayload => "payload",
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

/// Fails when a segment is not what was written, by the digest that the ledger has of it.
pub fn check_written(path: &Path, digest: &str) -> Result<()> {
    if !path.exists() {
        return Err(Error::damaged(path, "is missing; restore it from a backup"));
    }
    if sha256_hex_of_file(path)? != digest {
        let what = "has changed since it was written; restore it from a backup";
        return Err(Error::damaged(path, what));
    }
    Ok(())
}

/// Writes the segments of one day and intake, rolling over at [`SEGMENT_ROWS_MAX`].
pub struct SegmentWriter {
    data: DataDir,
    kind: SegmentKind,
    day: NaiveDate,
    intake: i64,
    first_part: usize,
    fingerprints: Option<Fingerprints>,
    open: Option<Open>,
    finished: Vec<NewSegment>,
}

struct Open {
    path: String,
    file: ColumnFile,
    rows: usize,
}

impl SegmentWriter {
    pub fn new(data: &DataDir, kind: SegmentKind, day: NaiveDate, intake: i64) -> Self {
        Self {
            data: data.clone(),
            kind,
            day,
            intake,
            first_part: 0,
            fingerprints: None,
            open: None,
            finished: Vec::new(),
        }
    }

    /// The writer of segments that name the version of their fingerprints. Those of merged segments are never looked at again.
    #[must_use]
    pub fn with_fingerprints(self, version: Fingerprints) -> Self {
        Self {
            fingerprints: Some(version),
            ..self
        }
    }

    /// The same with another number for its first file: an intake may have several writers of one day.
    #[must_use]
    pub fn numbered_from(self, first_part: usize) -> Self {
        Self { first_part, ..self }
    }

    /// Appends one row group, whose columns are `schema`.
    pub fn write(&mut self, group: &RowGroup, schema: impl FnOnce() -> Schema) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let part = self.first_part + self.finished.len();
                none.insert(open_segment(
                    &self.data,
                    self.kind,
                    self.day,
                    self.intake,
                    part,
                    schema(),
                )?)
            }
        };
        open.file.write(group)?;
        open.rows += group.rows();
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
        if let Some(mut open) = self.open.take() {
            if let Some(version) = self.fingerprints {
                open.file.note(FINGERPRINTS, version.text());
            }
            let (bytes, digest) = open.file.finish()?;
            self.finished.push(NewSegment {
                path: open.path,
                kind: self.kind,
                day: self.day,
                rows: open.rows,
                bytes,
                digest,
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
    schema: Schema,
) -> Result<Open> {
    let (folder, mark) = (kind.folder(), kind.mark());
    let path = format!("{folder}/day={day}/i{intake:08}-{mark}{part:03}.parquet");
    let place = data.join(&path);
    create_dir_durably(place.parent().unwrap_or(Path::new(".")))?;
    let file = ColumnFile::create(&place, schema)?;
    Ok(Open { path, file, rows: 0 })
}

/// Reads some columns of a Parquet file, or all for an empty list.
pub fn read_columns(path: &PathBuf, columns: &[&str]) -> Result<DataFrame> {
    let file = File::open(path).at(path)?;
    ParquetReader::new(file)
        .with_columns((!columns.is_empty()).then(|| columns.iter().map(|&c| c.to_owned()).collect()))
        .read_parallel(ParallelStrategy::None)
        .finish()
        .doing(format!("reading {}", path.display()))
}

/// The same with one column more, where the file has it.
pub fn read_columns_and(path: &PathBuf, columns: &[&str], optional: &str) -> Result<DataFrame> {
    let groups = Groups::open(path)?;
    read_columns(path, &groups.with_optional(columns, optional))
}

/// A Parquet file, to be read row group by row group.
pub struct Groups {
    path: PathBuf,
    metadata: Arc<FileMetadata>,
    /// The first row of each, and the end of the last.
    starts: Vec<usize>,
}

impl Groups {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at(path)?;
        let metadata = ParquetReader::new(file)
            .get_metadata()
            .doing(format!("reading {}", path.display()))?
            .clone();
        let mut starts = vec![0];
        starts.extend(metadata.row_groups.iter().scan(0, |end, group| {
            *end += group.num_rows();
            Some(*end)
        }));
        Ok(Self {
            path: path.to_owned(),
            metadata,
            starts,
        })
    }

    /// The version of a segment's fingerprints; the first one named none.
    pub fn fingerprints(&self) -> Fingerprints {
        let notes = self.metadata.key_value_metadata().iter().flatten();
        let is_now =
            |note: &KeyValue| note.key == FINGERPRINTS && note.value.as_deref() == Some(Fingerprints::NOW.text());
        if notes.into_iter().any(is_now) {
            Fingerprints::NOW
        } else {
            Fingerprints::Spelling
        }
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Names of all columns.
    pub fn names(&self) -> Vec<&str> {
        let columns = self.metadata.schema_descr.columns().iter();
        columns
            .filter_map(|column| Some(column.path_in_schema.first()?.as_str()))
            .collect()
    }

    /// Names of columns, with one more where the file has it.
    pub fn with_optional<'n>(&self, columns: &[&'n str], optional: &'n str) -> Vec<&'n str> {
        let has =
            |column: &polars_parquet::read::ColumnDescriptor| column.path_in_schema.iter().any(|name| name == optional);
        let is_there = self.metadata.schema_descr.columns().iter().any(has);
        columns.iter().copied().chain(is_there.then_some(optional)).collect()
    }

    /// Reads some columns of a row group.
    pub fn read(&self, at: usize, columns: &[&str]) -> Result<DataFrame> {
        let (start, end) = (self.starts[at], self.starts[at + 1]);
        let file = File::open(&self.path).at(&self.path)?;
        let mut reader = ParquetReader::new(file)
            .with_columns(Some(columns.iter().map(|&c| c.to_owned()).collect()))
            .with_slice(Some((start, end - start)))
            .read_parallel(ParallelStrategy::None)
            .set_rechunk(true);
        reader.set_metadata(self.metadata.clone());
        reader.finish().doing(format!("reading {}", self.path.display()))
    }
}

/// Reads some columns of a Parquet file, row group by row group, in order.
pub fn for_each_group(path: &Path, columns: &[&str], mut take: impl FnMut(DataFrame) -> Result<()>) -> Result<()> {
    let groups = Groups::open(path)?;
    (0..groups.count()).try_for_each(|at| take(groups.read(at, columns)?))
}
