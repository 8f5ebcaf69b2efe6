//! Records in Parquet. A row means what the JSON line of the same fields means ([`line`]). Most rows are read column by column,
//! without that line ([`columns`]); the others are read as that line, and it is what a refused row leaves in quarantine.

mod columns;
mod line;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use polars::prelude::*;
use polars_io::prelude::*;
use polars_parquet::read::RowGroupMetadata;

use super::field::Field;
use super::worker::Worker;
use crate::error::{AtPath as _, Doing as _, Error, Result};

/// Rows decoded at a time, at most: some tens of megabytes.
const SLICE_ROWS: usize = 128 * 1024;

/// Columns `parameters.codec` and so on are parameters of that name.
const PARAMETER_PREFIX: &str = "parameters.";

/// A Parquet file of records.
pub struct Rows<'a> {
    name: &'a str,
    path: &'a Path,
    metadata: FileMetadataRef,
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
        let mut reader = ParquetReader::new(File::open(path).at(path)?);
        let schema = decoded(|| reader.schema())
            .map_err(|what| unusable(format!("is no Parquet file that can be read: {what}")))?;
        check_columns(schema.iter_names().map(PlSmallStr::as_str)).map_err(unusable)?;
        for column in schema.iter_values() {
            check_type(&column.name, &column.dtype).map_err(unusable)?;
        }
        let metadata = reader.get_metadata().doing(format!("reading {name}"))?.clone();
        Ok(Self { name, path, metadata })
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

    /// Gives a slice's rows to a worker. A row's line is its number in the file, from 1.
    pub fn check(&self, worker: &mut Worker, slice: Slice) -> Result<()> {
        let mut reader = ParquetReader::new(File::open(self.path).at(self.path)?)
            .read_parallel(ParallelStrategy::None)
            .with_slice(Some((slice.first, slice.count)));
        reader.set_metadata(self.metadata.clone());
        let frame = decoded(|| reader.finish()).map_err(|what| {
            let what = format!(
                "cannot be read at row {}: {what}; nothing of it was taken",
                slice.first + 1
            );
            unusable(self.name, what)
        })?;
        columns::check(worker, &frame, slice.first as u64 + 1, |what| unusable(self.name, what))
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
        Err(_) => Err("its bytes are damaged; the decoder gave up".to_owned()),
    }
}

/// Values of other types have no meaning in a record, and polars, as it is built here, panics at some.
fn check_type(name: &str, of_column: &ArrowDataType) -> std::result::Result<(), String> {
    use ArrowDataType as Type;
    match of_column {
        Type::Struct(fields) => {
            let member = |field: &ArrowField| check_type(&format!("{name}.{}", field.name), &field.dtype);
            fields.iter().try_for_each(member)
        }
        Type::Null
        | Type::Boolean
        | Type::Int8
        | Type::Int16
        | Type::Int32
        | Type::Int64
        | Type::UInt8
        | Type::UInt16
        | Type::UInt32
        | Type::UInt64
        | Type::Float32
        | Type::Float64
        | Type::Timestamp(..)
        | Type::Utf8
        | Type::LargeUtf8
        | Type::Utf8View => Ok(()),
        Type::Dictionary(..) => Err(format!(
            "column {name:?} is a dictionary (a category); write it as plain text or numbers"
        )),
        Type::Decimal(..) | Type::Decimal32(..) | Type::Decimal64(..) | Type::Decimal256(..) => Err(format!(
            "column {name:?} has decimals; write whole numbers as integers, others as text or floats"
        )),
        other => Err(format!(
            "column {name:?} has the type {other:?}, which no field of a usage record has"
        )),
    }
}

fn check_columns<'a>(names: impl Iterator<Item = &'a str>) -> std::result::Result<(), String> {
    let names: Vec<&str> = names.collect();
    for name in &names {
        if Field::named(name).is_none() && !name.starts_with(PARAMETER_PREFIX) {
            return Err(format!(
                "column {name:?} is no field of a usage record; rename or leave it out"
            ));
        }
    }
    if !names.contains(&"id") {
        return Err("has no column `id`; every record needs one".to_owned());
    }
    if names.contains(&"parameters") && names.iter().any(|n| n.starts_with(PARAMETER_PREFIX)) {
        return Err("has `parameters` and `parameters.…` columns; use one of the two".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
