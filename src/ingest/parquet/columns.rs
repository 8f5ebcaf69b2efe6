//! Rows read column by column: values of the type that a field has are taken as they are, and the same values of all parameters
//! are checked once. A row with any other value is read in full, as its line.

use std::ops::Range;

use polars::prelude::*;
use polars_arrow::array::Utf8ViewArray;

use super::{PARAMETER_PREFIX, line};
use crate::error::{Doing as _, Error, Result};
use crate::ingest::field::Field;
use crate::ingest::plain;
use crate::ingest::record::Record;
use crate::ingest::worker::Worker;
use crate::raw::symbols::Symbol;

/// Rows whose records are made at a time: few enough to stay in a core's cache.
const WINDOW_ROWS: usize = 512;

/// One bit of a word says whether a parameter is there.
const PARAMETERS_MAX: usize = 64;

/// Gives the rows of a frame to a worker; the first has the number `first_line`. `unusable` is the error of a file with a type that
/// no record has.
pub fn check(
    worker: &mut Worker,
    frame: &DataFrame,
    first_line: u64,
    unusable: impl Fn(String) -> Error,
) -> Result<()> {
    let columns = columns(frame)?;
    let parameters = Parameters::of(frame, worker)?;
    for from in (0..frame.height()).step_by(WINDOW_ROWS) {
        let rows = from..frame.height().min(from + WINDOW_ROWS);
        for (row, record) in rows.clone().zip(records(&columns, rows)) {
            let line = first_line + row as u64;
            let known = record.and_then(|record| Some((record, parameters.known(worker, row, &record)?)));
            if let Some((record, known)) = known {
                worker.take_known(line, &record, known, || line::of_row(frame, row).map_err(&unusable))?;
                continue;
            }
            let bytes = line::of_row(frame, row).map_err(&unusable)?;
            if worker.take_line(line, &bytes)?
                && let Some(record) = record
            {
                let text = line::parameters_of_row(frame, row).map_err(&unusable)?;
                parameters.learn(worker, row, &record, text.as_deref());
            }
        }
    }
    worker.write_what_is_full()
}

/// A field's values.
enum Column {
    Text(Utf8ViewArray),
    Whole(Vec<Cell<u64>>),
    /// Nanoseconds since 1970.
    Time(Vec<Cell<i64>>),
}

#[derive(Clone, Copy)]
enum Cell<T> {
    Null,
    Value(T),
    /// To be read in full.
    Other,
}

impl<T> Cell<T> {
    /// The cell of a value that may be null; `take` gives none for one that is to be read in full.
    fn of<V>(value: Option<V>, take: impl FnOnce(V) -> Option<T>) -> Self {
        match value.map(take) {
            None => Self::Null,
            Some(None) => Self::Other,
            Some(Some(value)) => Self::Value(value),
        }
    }
}

fn columns(frame: &DataFrame) -> Result<Vec<(Field, Column)>> {
    let fields = frame.columns().iter().filter_map(|column| {
        let field = Field::named(column.name())?;
        let is_struct = field == Field::Parameters && matches!(column.dtype(), DataType::Struct(_));
        (!is_struct).then_some((field, column))
    });
    fields
        .map(|(field, column)| Ok((field, column_of(&column.as_materialized_series().rechunk())?)))
        .collect::<PolarsResult<_>>()
        .doing("reading Parquet columns")
}

fn column_of(series: &Series) -> PolarsResult<Column> {
    Ok(match series.dtype() {
        DataType::String => Column::Text(series.str()?.downcast_as_array().clone()),
        DataType::Datetime(unit, Some(_)) => {
            let per_unit = match unit {
                TimeUnit::Nanoseconds => 1,
                TimeUnit::Microseconds => 1_000,
                TimeUnit::Milliseconds => 1_000_000,
            };
            let instants = series.datetime()?.physical().iter();
            Column::Time(instants.map(|at| Cell::of(at, |at| at.checked_mul(per_unit))).collect())
        }
        _ => Column::Whole(whole_numbers(series)?),
    })
}

fn whole_numbers(series: &Series) -> PolarsResult<Vec<Cell<u64>>> {
    Ok(match series.dtype() {
        DataType::UInt64 => series.u64()?.iter().map(|value| Cell::of(value, Some)).collect(),
        DataType::Float64 => series.f64()?.iter().map(|value| Cell::of(value, whole)).collect(),
        dtype if dtype.is_integer() => {
            let wide = series.cast(&DataType::Int64)?;
            let values = wide.i64()?.iter();
            values
                .map(|value| Cell::of(value, |value| u64::try_from(value).ok()))
                .collect()
        }
        _ => {
            let is_null = series.is_null();
            let cell = |is_null: Option<bool>| if is_null == Some(true) { Cell::Null } else { Cell::Other };
            is_null.iter().map(cell).collect()
        }
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

/// The records of some rows; none for one that is to be read in full.
fn records(columns: &[(Field, Column)], rows: Range<usize>) -> Vec<Option<Record<'_>>> {
    let mut records = vec![Some(Record::default()); rows.len()];
    for (field, column) in columns {
        for (record, row) in records.iter_mut().zip(rows.clone()) {
            if let Some(given) = record
                && set(given, *field, column, row).is_none()
            {
                *record = None;
            }
        }
    }
    for record in &mut records {
        *record = record.filter(|record| !record.id.is_empty()).and_then(|mut record| {
            record.complete().ok()?;
            Some(record)
        });
    }
    records
}

/// Sets a field of a record to the value of a row, if there is one; none if it is to be read in full.
#[inline]
fn set<'a>(record: &mut Record<'a>, field: Field, column: &'a Column, row: usize) -> Option<()> {
    match column {
        Column::Text(texts) => match texts.get(row) {
            None => Some(()),
            // As JSON it is a text, which is no duration.
            Some(_) if field == Field::DurationMs => None,
            Some(text) => plain::set(record, field, text),
        },
        Column::Whole(values) => match values[row] {
            Cell::Null => Some(()),
            Cell::Value(value) => plain::set_whole(record, field, value),
            Cell::Other => None,
        },
        Column::Time(instants) => match instants[row] {
            Cell::Null => Some(()),
            Cell::Value(instant) => plain::set_instant(record, field, instant),
            Cell::Other => None,
        },
    }
}

/// The parameters of all rows.
enum Parameters {
    /// There are none, or each is one JSON text.
    OfRecord,
    /// By columns: for each row a word that says which are there, and a word for each.
    Words { per_row: usize, words: Vec<u64> },
    /// In columns of types that only a full reading knows.
    Other,
}

impl Parameters {
    fn of(frame: &DataFrame, worker: &mut Worker) -> Result<Self> {
        let columns = parameter_columns(frame).doing("reading Parquet columns")?;
        if columns.is_empty() {
            return Ok(Self::OfRecord);
        }
        if columns.len() > PARAMETERS_MAX {
            return Ok(Self::Other);
        }
        let per_row = 1 + columns.len();
        let mut words = vec![0; per_row * frame.height()];
        for (at, column) in columns.iter().enumerate() {
            let Some(values) = words_of(column, worker).doing("reading Parquet columns")? else {
                return Ok(Self::Other);
            };
            for (row, value) in words.chunks_exact_mut(per_row).zip(values) {
                if let Some(value) = value {
                    row[0] |= 1 << at;
                    row[1 + at] = value;
                }
            }
        }
        Ok(Self::Words { per_row, words })
    }

    /// The canonical parameters of a row, if they were seen before.
    #[inline]
    fn known(&self, worker: &Worker, row: usize, record: &Record) -> Option<Symbol> {
        match self {
            Self::OfRecord => worker.known_parameters(record.parameters),
            Self::Words { per_row, words } => worker.known_words(&words[row * per_row..][..*per_row]),
            Self::Other => None,
        }
    }

    /// Keeps what the parameters of a row are, which was read in full from this text.
    fn learn(&self, worker: &mut Worker, row: usize, record: &Record, text: Option<&str>) {
        match self {
            Self::OfRecord => worker.learn_parameters(record.parameters, text),
            Self::Words { per_row, words } => worker.learn_words(&words[row * per_row..][..*per_row], text),
            Self::Other => {}
        }
    }
}

/// The columns `parameters.x`, or the fields of a struct `parameters`.
fn parameter_columns(frame: &DataFrame) -> PolarsResult<Vec<Series>> {
    let mut found = Vec::new();
    for column in frame.columns() {
        let series = column.as_materialized_series();
        if column.name().starts_with(PARAMETER_PREFIX) {
            found.push(series.rechunk());
        } else if column.name() == Field::Parameters.name() && matches!(column.dtype(), DataType::Struct(_)) {
            for field in series.struct_()?.fields_as_series() {
                found.push(where_there(&field, series)?.rechunk());
            }
        }
    }
    Ok(found)
}

/// A field of a struct: what stands in one that is null does not count.
fn where_there(field: &Series, whole: &Series) -> PolarsResult<Series> {
    if whole.null_count() == 0 {
        return Ok(field.clone());
    }
    let nulls = Series::full_null(field.name().clone(), field.len(), field.dtype());
    field.zip_with(&whole.is_not_null(), &nulls)
}

/// A word for each value: equal words of one column are equal values. None where the type has no such word.
fn words_of(series: &Series, worker: &mut Worker) -> PolarsResult<Option<Vec<Option<u64>>>> {
    Ok(Some(match series.dtype() {
        DataType::String => {
            let texts = series.str()?.iter();
            texts
                .map(|text| text.map(|text| u64::from(worker.intern(text))))
                .collect()
        }
        DataType::Boolean => series.bool()?.iter().map(|truth| truth.map(u64::from)).collect(),
        DataType::UInt64 => series.u64()?.iter().collect(),
        DataType::Float32 => series
            .f32()?
            .iter()
            .map(|value| value.map(|value| value.to_bits().into()))
            .collect(),
        DataType::Float64 => series.f64()?.iter().map(|value| value.map(f64::to_bits)).collect(),
        dtype if dtype.is_integer() => {
            let wide = series.cast(&DataType::Int64)?;
            wide.i64()?.iter().map(|value| value.map(i64::cast_unsigned)).collect()
        }
        _ => return Ok(None),
    }))
}
