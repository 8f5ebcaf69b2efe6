//! The same file without its column index, to the byte as [`ColumnFile`](crate::storage::parquet_writer::ColumnFile) writes it.
//!
//! Until the ledger's tables had version 14, this program's files had a column index that calls each page without a smallest value a page
//! of nulls. Our own reader does not look at it; Spark and DuckDB do, and a filter on such a column finds no row. The rows are not touched:
//! the pages are copied as they are, and only what follows them is written anew.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use polars_parquet_format::FileMetaData;

use super::footer::{FooterError, footer_bytes, read_footer};
use crate::storage::durable_files::DigestedFile;
use crate::support::error::{AtPath as _, Error, Result};

/// How files are laid out now, as the ledger has it: without a column index. Files of before have no number.
pub const LAYOUT: i64 = 1;

/// What is copied at a time.
const COPIED_BYTES: usize = 1 << 20;

/// Copies one of our own files to a place where nothing is yet, without its column index; not synced. A file that has none stays as it is.
/// Returns size and SHA-256 of the copy.
///
/// # Errors
/// [`Error::Damaged`] when the file is not laid out as this program writes files.
pub fn copy_without_index(from: &Path, to: &Path) -> Result<(u64, String)> {
    let mut file = File::open(from).at(from)?;
    let (mut metadata, pages_and_indexes) = read_footer(&mut file).map_err(|error| damaged(from, error))?;
    let index = take_index(&mut metadata, pages_and_indexes)
        .ok_or_else(|| Error::damaged(from, "has its indexes where this program does not write them"))?;
    let footer = footer_bytes(&metadata).map_err(|error| damaged(from, error))?;
    let (mut copy, digest) = DigestedFile::create_new(to)?;
    for bytes in [0..index.start, index.end..pages_and_indexes] {
        copy_bytes((&mut file, from), bytes, (&mut copy, to))?;
    }
    copy.write_all(&footer).at(to)?;
    let bytes = index.start + (pages_and_indexes - index.end) + footer.len() as u64;
    Ok((bytes, digest.hex()))
}

/// Takes the column index out of a footer. Returns where its bytes are: after all pages, before the offset index, which moves up by as many
/// bytes. None when they are elsewhere.
fn take_index(metadata: &mut FileMetaData, end: u64) -> Option<Range<u64>> {
    let columns = || metadata.row_groups.iter().flat_map(|group| &group.columns);
    let first = columns().find_map(|column| column.column_index_offset);
    let start = first.map_or(Some(end), |first| u64::try_from(first).ok())?;
    let mut index = start..start;
    for column in columns() {
        let (Some(offset), Some(length)) = (column.column_index_offset, column.column_index_length) else {
            if first.is_some() {
                return None;
            }
            continue;
        };
        if u64::try_from(offset).ok()? != index.end {
            return None;
        }
        index.end += u64::try_from(length).ok()?;
    }
    let moved = i64::try_from(index.end - index.start).ok()?;
    if index.end > end {
        return None;
    }
    for column in metadata.row_groups.iter_mut().flat_map(|group| &mut group.columns) {
        (column.column_index_offset, column.column_index_length) = (None, None);
        if let Some(offset) = &mut column.offset_index_offset
            && first.is_some()
        {
            if u64::try_from(*offset).ok()? < index.end {
                return None;
            }
            *offset -= moved;
        }
    }
    Some(index)
}

fn damaged(place: &Path, error: FooterError) -> Error {
    match error {
        FooterError::Read(error) => Error::Io {
            path: place.to_owned(),
            source: error,
        },
        FooterError::NotParquet(what) => Error::damaged(place, format!("has changed since it was written: {what}")),
    }
}

fn copy_bytes((file, from): (&mut File, &Path), bytes: Range<u64>, (copy, to): (&mut impl Write, &Path)) -> Result<()> {
    let mut buffer = vec![0; COPIED_BYTES];
    file.seek(SeekFrom::Start(bytes.start)).at(from)?;
    let mut left = bytes.end - bytes.start;
    while left > 0 {
        let part = usize::try_from(left).map_or(COPIED_BYTES, |left| left.min(COPIED_BYTES));
        file.read_exact(&mut buffer[..part]).at(from)?;
        copy.write_all(&buffer[..part]).at(to)?;
        left -= part as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::parquet_writer::{ColumnFile, FileColumn, NULLS, Packing, RowGroup, schema_of};
    use crate::storage::raw::segment::read_columns;

    fn columns(rows: u64) -> Vec<FileColumn> {
        let numbers = (0..rows).map(|row| u32::try_from(row % 3).unwrap()).collect();
        let keep: Vec<bool> = (0..rows).map(|row| row % 2 == 0).collect();
        vec![
            FileColumn::numbers("uin", (0..rows).collect(), Packing::Deltas).with_range(),
            FileColumn::numbers("key", (0..rows).map(|row| row * row).collect(), Packing::Plain)
                .null_where_false(&keep),
            FileColumn::named("status", numbers, ["metered", "failed", "voided"].into_iter()),
        ]
    }

    fn write(mut file: ColumnFile, groups: u64) -> (u64, String) {
        for group in 0..groups {
            file.write(&RowGroup::of(columns(1_000 + group)).unwrap()).unwrap();
        }
        file.finish().unwrap()
    }

    #[test]
    fn a_file_without_its_column_index_is_the_file_that_is_written_today() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for groups in [1, 3] {
            let schema = schema_of(&columns(1));
            let as_before = ColumnFile::with(&place("before"), schema.clone(), NULLS).unwrap();
            let (bytes_before, _) = write(as_before, groups);
            let today = write(ColumnFile::create(&place("today"), schema).unwrap(), groups);
            assert!(bytes_before > today.0);
            for from in ["before", "today"] {
                assert_eq!(copy_without_index(&place(from), &place("copy")).unwrap(), today);
                assert!(std::fs::read(place("copy")).unwrap() == std::fs::read(place("today")).unwrap());
                std::fs::remove_file(place("copy")).unwrap();
            }
            let rows = |name| read_columns(&place(name), &[]).unwrap();
            assert!(rows("before").equals_missing(&rows("today")));
            std::fs::remove_file(place("before")).unwrap();
            std::fs::remove_file(place("today")).unwrap();
        }
    }

    #[test]
    fn what_is_no_file_of_ours_is_damaged_wherever_it_was_cut_and_leaves_no_copy() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        write(
            ColumnFile::with(&place("whole"), schema_of(&columns(1)), NULLS).unwrap(),
            1,
        );
        let whole = std::fs::read(place("whole")).unwrap();
        for length in (0..whole.len()).step_by(7).chain(whole.len() - 12..whole.len()) {
            std::fs::write(place("cut"), &whole[..length]).unwrap();
            let refused = copy_without_index(&place("cut"), &place("copy")).unwrap_err();
            assert!(matches!(refused, Error::Damaged { .. }), "{length} bytes: {refused}");
            assert!(!place("copy").exists());
        }
    }
}
