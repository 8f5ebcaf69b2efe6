//! Rows read column by column: values of the type that a field has are taken as they are, and the same values of all parameters
//! are checked once. A row with any other value is read in full, as its line.

use std::ops::Range;

use polars::prelude::*;
use polars_arrow::array::{BooleanArray, Float32Array, Float64Array, Int64Array, UInt64Array, Utf8ViewArray};

use super::frame::{Frame, FrameColumn, Role};
use super::line;
use super::line::{Spelling, ns_per};
use crate::pipeline::ingest::record::Record;
use crate::pipeline::ingest::record::fast_fields;
use crate::pipeline::ingest::record::fields::Field;
use crate::pipeline::ingest::segment_builder::SegmentBuilder;
use crate::storage::raw::interner::Symbol;
use crate::support::error::{Doing as _, Result};

/// Rows whose records are made at a time: few enough to stay in a core's cache.
const WINDOW_ROWS: usize = 512;

/// One bit of a word says whether a parameter is there.
const PARAMETERS_MAX: usize = 64;

/// Gives the rows of a frame to a segment builder; the first has the number `first_line`.
pub fn check(builder: &mut SegmentBuilder, frame: &Frame, first_line: u64) -> Result<()> {
    let columns = columns(frame)?;
    let unknown = unknown_columns(frame);
    let mut parameters = ParameterColumns::of(frame)?;
    let mut records = Vec::with_capacity(WINDOW_ROWS);
    for from in (0..frame.height).step_by(WINDOW_ROWS) {
        let rows = from..frame.height.min(from + WINDOW_ROWS);
        make_records(&mut records, &columns, &unknown, rows.clone());
        parameters.make_words(rows.clone(), builder);
        for (at, (row, Made { record, is_whole })) in rows.zip(&records).enumerate() {
            let line = first_line + row as u64;
            let known = is_whole.then(|| parameters.known(builder, at, record));
            if let Some(known) = known.flatten() {
                builder.take_known(line, record, known, || line_of(frame, row))?;
                continue;
            }
            let bytes = line_of(frame, row)?;
            if builder.take_line(line, &bytes)? && *is_whole {
                let text = line::parameters_of_row(frame, row).doing(READING)?;
                parameters.learn(builder, at, record, text.as_deref());
            }
        }
    }
    builder.write_what_is_full()
}

const READING: &str = "reading Parquet columns";

fn line_of(frame: &Frame, row: usize) -> Result<Vec<u8>> {
    line::of_row(frame, row).doing(READING)
}

/// A column's values.
enum Column {
    Text(Utf8ViewArray),
    /// Text that is a plain decimal, and counts as a number.
    Number(Utf8ViewArray),
    Truth(BooleanArray),
    Unsigned(UInt64Array),
    /// Of any width.
    Signed(Int64Array),
    Float32(Float32Array),
    Float(Float64Array),
    /// With the nanoseconds of a unit; since 1970.
    Time(i64, Int64Array),
    /// Of a type that only a full reading knows: whether each is null.
    Other(BooleanArray),
}

fn columns(frame: &Frame) -> Result<Vec<(Field, Column)>> {
    let fields = frame.columns.iter().filter_map(|column| match column.role {
        Role::Field(field) => Some(column_of(column).map(|values| (field, values))),
        _ => None,
    });
    fields.collect::<PolarsResult<_>>().doing(READING)
}

/// Whether each value is null, of columns that no record has.
fn unknown_columns(frame: &Frame) -> Vec<BooleanArray> {
    let unknown = frame
        .columns
        .iter()
        .filter(|column| matches!(column.role, Role::Unknown(_)));
    unknown.map(|column| nulls(&column.series)).collect()
}

fn nulls(series: &Series) -> BooleanArray {
    series.is_null().rechunk().downcast_as_array().clone()
}

fn column_of(column: &FrameColumn) -> PolarsResult<Column> {
    let series = &column.series;
    Ok(match (&column.spelling, series.dtype()) {
        (Spelling::Plain, DataType::String) => Column::Text(series.str()?.downcast_as_array().clone()),
        (Spelling::Json, DataType::String) if column.role == Role::Field(Field::Parameters) => {
            Column::Text(series.str()?.downcast_as_array().clone())
        }
        (Spelling::Number, DataType::String) => Column::Number(series.str()?.downcast_as_array().clone()),
        (Spelling::Plain, DataType::Boolean) => Column::Truth(series.bool()?.downcast_as_array().clone()),
        (Spelling::Plain, DataType::UInt64) => Column::Unsigned(series.u64()?.downcast_as_array().clone()),
        (Spelling::Plain, DataType::Float32) => Column::Float32(series.f32()?.downcast_as_array().clone()),
        (Spelling::Plain, DataType::Float64) => Column::Float(series.f64()?.downcast_as_array().clone()),
        (Spelling::Plain, DataType::Datetime(unit, Some(_))) => {
            Column::Time(ns_per(*unit), series.datetime()?.physical().downcast_as_array().clone())
        }
        (Spelling::Plain, dtype) if dtype.is_integer() => {
            let wide = series.cast(&DataType::Int64)?;
            Column::Signed(wide.i64()?.downcast_as_array().clone())
        }
        _ => Column::Other(nulls(series)),
    })
}

/// The whole number that a float is, up to 2^53: beyond it has lost digits.
fn whole(value: f64) -> Option<u64> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    let is_whole = value.is_sign_positive() && value <= LIMIT && value.fract() == 0.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 0 to 2^53"
    )]
    is_whole.then_some(value as u64)
}

/// What was made of a row.
#[derive(Clone, Copy)]
struct Made<'a> {
    record: Record<'a>,
    /// Or it is to be read in full.
    is_whole: bool,
}

/// Makes the records of some rows where they lie: to hand them around costs more than to fill them.
fn make_records<'a>(
    made: &mut Vec<Made<'a>>,
    columns: &'a [(Field, Column)],
    unknown: &[BooleanArray],
    rows: Range<usize>,
) {
    let nothing = Made {
        record: Record::default(),
        is_whole: true,
    };
    made.clear();
    made.resize(rows.len(), nothing);
    for (field, column) in columns {
        for (made, row) in made.iter_mut().zip(rows.clone()) {
            made.is_whole = made.is_whole && set(&mut made.record, *field, column, row).is_some();
        }
    }
    for nulls in unknown {
        for (made, row) in made.iter_mut().zip(rows.clone()) {
            made.is_whole = made.is_whole && nulls.value(row);
        }
    }
    for made in made {
        made.is_whole = made.is_whole && fast_fields::finish(&mut made.record).is_some();
    }
}

/// Sets a field of a record to the value of a row, if there is one; none if it is to be read in full.
#[inline]
fn set<'a>(record: &mut Record<'a>, field: Field, column: &'a Column, row: usize) -> Option<()> {
    match column {
        Column::Text(texts) => match texts.get(row) {
            None => Some(()),
            // As JSON it is a text, which is no duration.
            Some(_) if field == Field::DurationMs => None,
            Some(text) => fast_fields::set(record, field, text),
        },
        Column::Number(numbers) => match numbers.get(row) {
            None => Some(()),
            Some(number) if takes_number(field) => fast_fields::set(record, field, number),
            Some(_) => None,
        },
        Column::Unsigned(values) => values
            .get(row)
            .map_or(Some(()), |value| fast_fields::set_whole(record, field, value)),
        Column::Signed(values) => values.get(row).map_or(Some(()), |value| {
            fast_fields::set_whole(record, field, u64::try_from(value).ok()?)
        }),
        Column::Float(values) => values
            .get(row)
            .map_or(Some(()), |value| fast_fields::set_whole(record, field, whole(value)?)),
        Column::Time(per_unit, instants) => instants.get(row).map_or(Some(()), |instant| {
            fast_fields::set_instant(record, field, instant.checked_mul(*per_unit)?)
        }),
        Column::Truth(values) => values.get(row).map_or(Some(()), |_| None),
        Column::Float32(values) => values.get(row).map_or(Some(()), |_| None),
        Column::Other(nulls) => nulls.value(row).then_some(()),
    }
}

/// Whether a field may be a number in JSON.
#[inline]
fn takes_number(field: Field) -> bool {
    matches!(field, Field::Uin | Field::Appid | Field::DurationMs)
}

/// The parameters of all rows.
enum ParameterColumns {
    /// There are none, or each is one JSON text.
    OfRecord,
    /// By columns: for each of some rows a word that says which are there, and a word for each.
    Words { columns: Vec<Column>, words: Vec<u64> },
    /// In columns of types that only a full reading knows.
    Other,
}

impl ParameterColumns {
    fn of(frame: &Frame) -> Result<Self> {
        let columns = frame
            .columns
            .iter()
            .filter(|column| matches!(column.role, Role::Parameter(_)));
        let columns: Vec<Column> = columns.map(column_of).collect::<PolarsResult<_>>().doing(READING)?;
        if columns.is_empty() {
            return Ok(Self::OfRecord);
        }
        let has_words = |column: &Column| !matches!(column, Column::Time(..) | Column::Other(_));
        if columns.len() > PARAMETERS_MAX || !columns.iter().all(has_words) {
            return Ok(Self::Other);
        }
        Ok(Self::Words {
            words: Vec::with_capacity(WINDOW_ROWS * (1 + columns.len())),
            columns,
        })
    }

    /// Makes the words of some rows.
    fn make_words(&mut self, rows: Range<usize>, builder: &mut SegmentBuilder) {
        let Self::Words { columns, words } = self else { return };
        let per_row = 1 + columns.len();
        words.clear();
        words.resize(per_row * rows.len(), 0);
        for (at, column) in columns.iter().enumerate() {
            for (row, words) in rows.clone().zip(words.chunks_exact_mut(per_row)) {
                if let Some(word) = word_of(column, row, builder) {
                    words[0] |= 1 << at;
                    words[1 + at] = word;
                }
            }
        }
    }

    /// The canonical parameters of the row at a place among those whose words were made, if they were seen before.
    #[inline]
    fn known(&self, builder: &SegmentBuilder, at: usize, record: &Record) -> Option<Symbol> {
        match self {
            Self::OfRecord => builder.known_parameters(record.parameters),
            Self::Words { columns, words } => builder.known_words(of_row(words, columns.len(), at)),
            Self::Other => None,
        }
    }

    /// Keeps what the parameters of such a row are, which was read in full from this text.
    fn learn(&self, builder: &mut SegmentBuilder, at: usize, record: &Record, text: Option<&str>) {
        match self {
            Self::OfRecord => builder.learn_parameters(record.parameters, text),
            Self::Words { columns, words } => builder.learn_words(of_row(words, columns.len(), at), text),
            Self::Other => {}
        }
    }
}

fn of_row(words: &[u64], columns: usize, at: usize) -> &[u64] {
    let per_row = 1 + columns;
    &words[at * per_row..(at + 1) * per_row]
}

/// A word for a value: equal words of one column are equal values. None for no value.
#[inline]
fn word_of(column: &Column, row: usize, builder: &mut SegmentBuilder) -> Option<u64> {
    match column {
        Column::Text(texts) | Column::Number(texts) => texts.get(row).map(|text| u64::from(builder.intern(text))),
        Column::Truth(values) => values.get(row).map(u64::from),
        Column::Unsigned(values) => values.get(row),
        Column::Signed(values) => values.get(row).map(i64::cast_unsigned),
        Column::Float32(values) => values.get(row).map(|value| value.to_bits().into()),
        Column::Float(values) => values.get(row).map(f64::to_bits),
        Column::Time(..) | Column::Other(_) => None,
    }
}
