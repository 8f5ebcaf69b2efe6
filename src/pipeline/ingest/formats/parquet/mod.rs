//! Records in Parquet. A row means what the JSON line of the same fields means ([`line`]). Most rows are read column by column,
//! without that line ([`columns`]); the others are read as that line, and it is what a refused row leaves in quarantine.

mod column_types;
mod fast;
mod frame;
mod lengths;
mod line;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use polars::prelude::*;
use polars_io::prelude::*;
use polars_parquet::read::{FileMetadata, RowGroupMetadata, infer_schema, read_metadata};
use polars_parquet_format::FileMetaData as Footer;

use crate::pipeline::ingest::segment_builder::SegmentBuilder;
use crate::storage::parquet_writer::footer::{FooterError, MAGIC, footer_bytes, read_footer};
use crate::support::error::{AtPath as _, Error, Result};
use frame::Frame;

/// Rows decoded at a time, at most: some tens of megabytes.
const SLICE_ROWS: usize = 128 * 1024;

/// Columns `parameters.codec` and so on are parameters of that name.
const PARAMETER_PREFIX: &str = "parameters.";

/// A Parquet file of records.
pub struct Rows<'a> {
    name: &'a str,
    path: &'a Path,
    types: Vec<column_types::Column>,
    metadata: FileMetadataRef,
    first_line: u64,
    /// Columns that the file itself does not have, with the value of all rows.
    filled: &'a [(String, String)],
}

/// Some rows of a row group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    first: usize,
    count: usize,
}

impl<'a> Rows<'a> {
    pub fn open(name: &'a str, path: &'a Path) -> Result<Self> {
        let unusable = |what: String| unusable(name, what);
        let no_parquet = |what: String| unusable(format!("is not a readable Parquet file: {what}"));
        let mut file = File::open(path).at(path)?;
        let (mut footer, pages_end) = match read_footer(&mut file) {
            Ok(read) => read,
            Err(FooterError::Read(error)) => return Err(error).at(path),
            Err(FooterError::NotParquet(what)) => return Err(no_parquet(what)),
        };
        if footer.encryption_algorithm.is_some() {
            return Err(unusable("is encrypted; write it without encryption".to_owned()));
        }
        let mut types = column_types::columns(&footer).map_err(unusable)?;
        if column_types::has_arrow_schema(&footer)
            && let Ok(arrow) = decoded(|| infer_schema(&metadata_of(&footer)?))
        {
            column_types::refine(&mut types, &arrow);
        }
        column_types::check(&types).map_err(unusable)?;
        lengths::check(&file, &footer, pages_end).map_err(no_parquet)?;
        column_types::simplify(&mut footer);
        let metadata = decoded(|| {
            let metadata = metadata_of(&footer)?;
            infer_schema(&metadata)?;
            Ok(metadata)
        });
        Ok(Self {
            name,
            path,
            types,
            metadata: Arc::new(metadata.map_err(no_parquet)?),
            first_line: 1,
            filled: &[],
        })
    }

    /// The same with another number for the first row.
    #[must_use]
    pub fn numbered_from(self, first_line: u64) -> Self {
        Self { first_line, ..self }
    }

    /// The same with columns of one value each.
    pub fn filled_with(self, filled: &'a [(String, String)]) -> Result<Self> {
        let own = |name: &str| self.types.iter().any(|column| column.name == name);
        match filled.iter().find(|(name, _)| own(name)) {
            Some((name, _)) => Err(unusable(
                self.name,
                format!("has the column {name:?}, which is also in its folder name; remove one"),
            )),
            None => Ok(Self { filled, ..self }),
        }
    }

    /// How many rows it has.
    pub fn count(&self) -> u64 {
        let groups = self.metadata.row_groups.iter();
        groups.map(|group| group.num_rows() as u64).sum()
    }

    /// All rows, in slices that lie in one row group each.
    pub fn slices(&self) -> impl Iterator<Item = Slice> + use<> {
        slices(
            self.metadata
                .row_groups
                .iter()
                .map(RowGroupMetadata::num_rows)
                .collect(),
        )
    }

    /// Gives a slice's rows to a segment builder. A row's line is its number in the file, from 1.
    pub fn check(&self, builder: &mut SegmentBuilder, slice: Slice) -> Result<()> {
        fast::check(builder, &self.frame(slice)?, self.first_line + slice.first as u64)
    }

    /// Hands on each row of a slice as its line, and whether all of its values can be read.
    pub fn for_each_line(&self, slice: Slice, mut take: impl FnMut(&[u8], bool)) -> Result<()> {
        let frame = self.frame(slice)?;
        let is_read = !frame
            .columns
            .iter()
            .any(|column| matches!(column.spelling, line::Spelling::Named(_)));
        for row in 0..frame.height {
            let text = decoded(|| line::of_row(&frame, row)).map_err(|what| unusable(self.name, what))?;
            take(&text, is_read);
        }
        Ok(())
    }

    fn frame(&self, slice: Slice) -> Result<Frame> {
        let mut reader = ParquetReader::new(File::open(self.path).at(self.path)?)
            .read_parallel(ParallelStrategy::None)
            .with_slice(Some((slice.first, slice.count)));
        reader.set_metadata(self.metadata.clone());
        decoded(|| {
            let mut rows = reader.finish()?;
            for (name, value) in self.filled {
                let column = StringChunked::full(name.as_str().into(), value, rows.height());
                rows.with_column(column.into_series().into())?;
            }
            Frame::of(&rows, &self.types)
        })
        .map_err(|what| {
            let what = format!(
                "cannot be read at row {}: {what}; nothing was ingested",
                slice.first + 1
            );
            unusable(self.name, what)
        })
    }
}

fn slices(group_rows: Vec<usize>) -> impl Iterator<Item = Slice> {
    let groups = group_rows.into_iter().scan(0, |rows_before, rows| {
        let first = *rows_before;
        *rows_before += rows;
        Some((first, rows))
    });
    groups.flat_map(|(first, rows)| {
        (0..rows).step_by(SLICE_ROWS).map(move |at| Slice {
            first: first + at,
            count: SLICE_ROWS.min(rows - at),
        })
    })
}
fn unusable(name: &str, what: String) -> Error {
    Error::Input {
        input: name.to_owned(),
        what,
    }
}

/// What polars makes of a sender's bytes, or why it does not. Of some damaged files its decoder panics instead of saying so.
fn decoded<T>(decode: impl FnOnce() -> PolarsResult<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(decoded)) => Ok(decoded),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it is damaged and cannot be decoded".to_owned()),
    }
}

/// What the decoder needs of a footer.
fn metadata_of(footer: &Footer) -> PolarsResult<FileMetadata> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(footer_bytes(footer).map_err(|error| polars_err!(ComputeError: "{error}"))?);
    read_metadata(&mut Cursor::new(bytes))
}
