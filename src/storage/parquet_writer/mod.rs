//! Parquet files of our own: columns whose encoding and compression we choose, because we know what is in them.
//!
//! A row group is encoded apart from its file, so that several threads encode for one file and only the writing waits.

pub mod footer;
mod without_index;

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use polars::prelude::{Column, CompatLevel, PlSmallStr, PolarsResult};
use polars_arrow::array::{Array, DictionaryArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field, IntegerType};
use polars_arrow::types::NativeType;
use polars_parquet::write::{
    CompressedPage, CompressionOptions, DynIter, DynStreamingIterator, Encoding, FileWriter, KeyValue,
    StatisticsOptions, Version, WriteOptions, ZstdLevel, array_to_columns, compress, fallible_streaming_iterator,
    to_parquet_type,
};

use crate::storage::durable_files::{DigestedFile, WrittenDigest};
use crate::support::error::{AtPath as _, Doing as _, Result};
pub use without_index::{LAYOUT, copy_without_index};

/// What the footer tells of a column.
const NULLS: StatisticsOptions = StatisticsOptions {
    min_value: false,
    max_value: false,
    distinct_count: false,
    null_count: true,
    binary_statistics_truncate_length: None,
};

const RANGE: StatisticsOptions = StatisticsOptions {
    min_value: true,
    max_value: true,
    ..NULLS
};

/// How the values of a column lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As they are, not compressed: for hashes and ids, in which nothing repeats.
    Plain,
    /// Differences between neighbours in as few bits as they need (`DELTA_BINARY_PACKED`): for numbers of one magnitude.
    Deltas,
    /// Each distinct value once, and its number for each row, if that is worth it; compressed.
    Distinct,
}

/// A column of a row group.
#[derive(Clone)]
pub struct FileColumn {
    name: PlSmallStr,
    array: Box<dyn Array>,
    packing: Packing,
    has_range: bool,
}

impl FileColumn {
    /// An array as it is.
    pub fn new(name: impl Into<PlSmallStr>, array: Box<dyn Array>, packing: Packing) -> Self {
        let name = name.into();
        Self {
            name,
            array,
            packing,
            has_range: false,
        }
    }

    /// A column of a frame.
    pub fn of(column: &Column, packing: Packing) -> Self {
        let series = column.as_materialized_series().rechunk();
        Self::new(
            column.name().clone(),
            series.to_arrow(0, CompatLevel::newest()),
            packing,
        )
    }

    /// Numbers without nulls.
    pub fn numbers<T: NativeType>(name: &'static str, values: Vec<T>, packing: Packing) -> Self {
        Self::new(name, Box::new(PrimitiveArray::from_vec(values)), packing)
    }

    /// Numbers that are instants, dates or the like.
    pub fn typed<T: NativeType>(name: &'static str, values: Vec<T>, dtype: ArrowDataType, packing: Packing) -> Self {
        Self::new(name, Box::new(PrimitiveArray::from_vec(values).to(dtype)), packing)
    }

    /// Texts by their number in `texts`.
    pub fn named<'a>(name: &'static str, numbers: Vec<u32>, texts: impl Iterator<Item = &'a str>) -> Self {
        let texts: Box<dyn Array> = Box::new(Utf8ViewArray::from_slice_values(texts.collect::<Vec<_>>()));
        Self::distinct(name, numbers, texts)
    }

    /// Values by their number in `values`.
    pub fn distinct(name: &'static str, numbers: Vec<u32>, values: Box<dyn Array>) -> Self {
        let dtype = ArrowDataType::Dictionary(IntegerType::UInt32, Box::new(values.dtype().clone()), false);
        let numbers = PrimitiveArray::from_vec(numbers);
        let array = DictionaryArray::try_new(dtype, numbers, values).expect("each number is that of a value");
        Self::new(name, Box::new(array), Packing::Distinct)
    }

    /// The column with its smallest and largest value in the footer, by which readers find row groups.
    #[must_use]
    pub fn with_range(self) -> Self {
        Self {
            has_range: true,
            ..self
        }
    }

    /// The column with nulls where `keep` is false.
    #[must_use]
    pub fn null_where_false(self, keep: &[bool]) -> Self {
        let array = self.array.with_validity(Some(keep.into()));
        Self { array, ..self }
    }

    fn field(&self) -> Field {
        let dtype = match self.array.dtype() {
            ArrowDataType::Dictionary(_, values, _) => (**values).clone(),
            other => other.clone(),
        };
        Field::new(self.name.clone(), dtype, true)
    }

    fn encoding(&self) -> Encoding {
        match self.packing {
            Packing::Plain => Encoding::Plain,
            Packing::Deltas => Encoding::DeltaBinaryPacked,
            Packing::Distinct => Encoding::RleDictionary,
        }
    }

    /// zstd at its fastest level, where there is something to compress.
    fn options(&self) -> WriteOptions {
        WriteOptions {
            statistics: if self.has_range { RANGE } else { NULLS },
            version: Version::V1,
            compression: match self.packing {
                Packing::Plain | Packing::Deltas => CompressionOptions::Uncompressed,
                Packing::Distinct => CompressionOptions::Zstd(ZstdLevel::try_new(1).ok()),
            },
            data_page_size: None,
        }
    }

    fn pages(self) -> Result<Vec<CompressedPage>> {
        let doing = format!("encoding {}", self.name);
        let options = self.options();
        let dtype = to_parquet_type(&self.field()).doing(&*doing)?;
        let mut columns = array_to_columns(&self.array, dtype, options, &[self.encoding()]).doing(&*doing)?;
        let column = columns.pop().expect("a flat array is one column");
        column
            .map(|page| {
                let page = page?;
                Ok(compress(page, Vec::new(), options.compression)?)
            })
            .collect::<PolarsResult<_>>()
            .doing(doing)
    }
}

/// An encoded row group.
pub struct RowGroup {
    rows: usize,
    columns: Vec<Vec<CompressedPage>>,
}

impl RowGroup {
    /// Encodes columns of one length.
    pub fn of(columns: Vec<FileColumn>) -> Result<Self> {
        Ok(Self {
            rows: columns.first().map_or(0, |column| column.array.len()),
            columns: columns.into_iter().map(FileColumn::pages).collect::<Result<_>>()?,
        })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// Names and types of the columns of a file.
pub type Schema = ArrowSchema;

/// The schema of a file with such columns.
pub fn schema_of(columns: &[FileColumn]) -> Schema {
    columns
        .iter()
        .map(|column| (column.name.clone(), column.field()))
        .collect()
}

/// Bytes that are handed to the system at a time, at least: heads of pages and the footer are written in pieces of a few bytes.
const BLOCK_BYTES: usize = 64 << 10;

/// A file that is being written.
pub struct ColumnFile {
    writer: FileWriter<BufWriter<DigestedFile>>,
    digest: WrittenDigest,
    path: PathBuf,
    notes: Vec<KeyValue>,
}

impl ColumnFile {
    /// Creates a file that must not be there yet.
    pub fn create(path: &Path, schema: Schema) -> Result<Self> {
        // What is told of a column is its own to say. With statistics here the file would have a column index as well, in which a page
        // without a smallest value counts as one of nulls alone: Spark and DuckDB believe it, and skip the page without a word.
        Self::with(path, schema, StatisticsOptions::empty())
    }

    fn with(path: &Path, schema: Schema, statistics: StatisticsOptions) -> Result<Self> {
        let (file, digest) = DigestedFile::create_new(path)?;
        let options = WriteOptions {
            statistics,
            version: Version::V1,
            compression: CompressionOptions::Uncompressed,
            data_page_size: None,
        };
        let file = BufWriter::with_capacity(BLOCK_BYTES, file);
        let writer = FileWriter::try_new(file, schema, options).doing(format!("writing {}", path.display()))?;
        let path = path.to_owned();
        Ok(Self {
            writer,
            digest,
            path,
            notes: Vec::new(),
        })
    }

    /// Adds a name and a value to the footer.
    pub fn note(&mut self, name: &str, value: &str) {
        self.notes.push(KeyValue {
            key: name.to_owned(),
            value: Some(value.to_owned()),
        });
    }

    /// Appends a row group.
    pub fn write(&mut self, group: &RowGroup) -> Result<()> {
        let columns = group.columns.iter().map(|pages| {
            let pages = fallible_streaming_iterator::convert(pages.iter().map(Ok));
            Ok(DynStreamingIterator::new(pages))
        });
        let written = self.writer.write(group.rows as u64, DynIter::new(columns));
        self.outcome(written)
    }

    /// Ends the file; not synced. Returns its size and SHA-256.
    pub fn finish(mut self) -> Result<(u64, String)> {
        let notes = std::mem::take(&mut self.notes);
        let ended = self.writer.end((!notes.is_empty()).then_some(notes));
        let bytes = self.outcome(ended)?;
        Ok((bytes, self.digest.hex()))
    }

    /// What the disk said comes before what the writer made of it.
    fn outcome<T>(&self, result: PolarsResult<T>) -> Result<T> {
        match (result, self.digest.refused()) {
            (Err(_), Some(refused)) => Err(refused).at(&self.path),
            (result, _) => result.doing(format!("writing {}", self.path.display())),
        }
    }
}

/// Writes a small file of one row group; not synced. Returns its size and SHA-256.
pub fn write(path: &Path, columns: Vec<FileColumn>) -> Result<(u64, String)> {
    let mut file = ColumnFile::create(path, schema_of(&columns))?;
    file.write(&RowGroup::of(columns)?)?;
    file.finish()
}
