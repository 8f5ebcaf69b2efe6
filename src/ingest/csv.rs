//! A record that comes as a CSV row (RFC 4180, UTF-8). The header names the record's fields; parameters are
//! one JSON column `parameters`, or columns `parameters.codec`, ....
//!
//! An empty cell is absent. A cell of a `parameters.` column is text: what looks like a number may be a name (`12E4`, `1.10`, `007`), and
//! raw keeps what was written. A row is one line; `cells.rs` splits it.

use std::ops::Range;

use csv::ByteRecord;

use crate::parameters::push_string;
use crate::shown::quoted;

use super::field::{Field, Fields, Given};
use super::record::{MAX_LINE_BYTES, Record, Scratch};
use super::refusal::{Refusal, code};

/// What a column of one parameter is named with before the parameter's name.
const PARAMETER_PREFIX: &str = "parameters.";

/// Without these, and without a `kind` that makes it a void, no row can be a record.
const USAGE_NEEDS: [Field; 5] = [
    Field::Uin,
    Field::Appid,
    Field::TaskType,
    Field::DurationMs,
    Field::FinishedAt,
];

/// Why a file's header is not one of usage records: an error of the whole file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No header, or an empty one.
    #[error("the file has no header row; the first row must name the record's fields")]
    Empty,
    /// Not UTF-8.
    #[error("column {position} of the header is not UTF-8")]
    NotUtf8 {
        /// Counted from 1.
        position: usize,
    },
    /// A column that no record has.
    #[error("column {position} of the header, {name}, is not a field of a usage record{cure}")]
    Unknown {
        /// Counted from 1.
        position: usize,
        /// The column's name.
        name: String,
        /// What is likely meant.
        cure: String,
    },
    /// The same column twice.
    #[error("the header has the column {name} twice; which one counts cannot be known")]
    Twice {
        /// The column's name.
        name: String,
    },
    /// Both `parameters` and `parameters.x`.
    #[error("the header has both `parameters` and {name}; send one JSON column or one column for each, not both")]
    BothForms {
        /// The first `parameters.` column.
        name: String,
    },
    /// A column that every record needs.
    #[error("the header lacks {names}; a usage record needs each (a file of voids needs id, kind and voids)")]
    Missing {
        /// The columns' names.
        names: String,
    },
}

/// What each column of a file is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvHeader {
    columns: Vec<Column>,
    has_parameter_columns: bool,
    fields: Vec<(usize, Field)>,
    parameter_cells: ParameterCells,
}

/// Where a row's parameters stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ParameterCells {
    /// Nowhere.
    Absent,
    /// In these cells, side by side.
    Together(Range<usize>),
    /// With others in between.
    Apart,
}

impl ParameterCells {
    fn of(columns: &[Column]) -> Self {
        let places = || (0..columns.len()).filter(|&at| columns[at].is_of_parameters());
        match (places().next(), places().next_back()) {
            (Some(first), Some(last)) if places().count() == last - first + 1 => Self::Together(first..last + 1),
            (Some(_), _) => Self::Apart,
            (None, _) => Self::Absent,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Field(Field),
    /// A parameter: its name as a JSON string, a colon after it.
    Parameter(String),
}

impl Column {
    fn is_of_parameters(&self) -> bool {
        matches!(self, Self::Field(Field::Parameters) | Self::Parameter(_))
    }
}

impl CsvHeader {
    /// Reads a file's first row, which names its columns.
    pub fn parse(row: &ByteRecord) -> Result<Self, HeaderError> {
        let names = names(row)?;
        check_once(&names)?;
        let columns = names
            .iter()
            .enumerate()
            .map(|(index, name)| column(index + 1, name))
            .collect::<Result<Vec<_>, _>>()?;
        let header = Self {
            has_parameter_columns: columns.iter().any(|column| matches!(column, Column::Parameter(_))),
            fields: fields(&columns),
            parameter_cells: ParameterCells::of(&columns),
            columns,
        };
        if let Some(name) = names.iter().find(|name| name.starts_with(PARAMETER_PREFIX))
            && header.has(Field::Parameters)
        {
            return Err(HeaderError::BothForms { name: quoted(name) });
        }
        header.check_needs()?;
        Ok(header)
    }

    /// How many cells each row must have.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Never: a header has an `id` at least.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The columns of fields other than the parameters.
    pub(super) fn fields(&self) -> &[(usize, Field)] {
        &self.fields
    }

    /// Where the parameters stand.
    pub(super) fn parameter_cells(&self) -> &ParameterCells {
        &self.parameter_cells
    }

    /// The text of the parameters of the row that was read last with this scratch; none where there are none.
    pub(super) fn parameters_text<'r>(&self, row: &'r ByteRecord, scratch: &'r Scratch) -> Option<&'r str> {
        if self.has_parameter_columns {
            return Some(&scratch.object);
        }
        let at = self.columns.iter().position(Column::is_of_parameters)?;
        std::str::from_utf8(row.get(at)?).ok().filter(|cell| !cell.is_empty())
    }

    fn has(&self, field: Field) -> bool {
        self.columns.contains(&Column::Field(field))
    }

    /// Rows of usage need some columns, rows of voids others; a file without `kind` has only usage.
    fn check_needs(&self) -> Result<(), HeaderError> {
        let usage_needs = if self.has(Field::Kind) {
            &[][..]
        } else {
            &USAGE_NEEDS[..]
        };
        let missing: Vec<_> = std::iter::once(&Field::Id)
            .chain(usage_needs)
            .filter(|field| !self.has(**field))
            .map(|field| format!("`{}`", field.name()))
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(HeaderError::Missing {
                names: missing.join(", "),
            })
        }
    }
}

/// The record of one row. What is not checked is the same as in [`super::record::parse_line`].
pub fn record_from_row<'a>(
    header: &CsvHeader,
    row: &'a ByteRecord,
    scratch: &'a mut Scratch,
) -> Result<Record<'a>, Refusal> {
    check_size(header, row)?;
    let mut fields = Fields::default();
    if header.has_parameter_columns {
        parameters_object(header, row, &mut scratch.object)?;
    }
    for (column, cell) in header.columns.iter().zip(row) {
        if let Column::Field(field) = column
            && !cell.is_empty()
        {
            fields.replace(*field, Given::Cell(cell_text(field.name(), cell)?));
        }
    }
    fields.zone = scratch.zones.as_ref().and_then(|zones| zones.of(fields.source()));
    // Cells have no escapes, so that the record needs nothing of the scratch but the object.
    let object: &'a str = &scratch.object;
    if header.has_parameter_columns {
        fields.replace(Field::Parameters, Given::Cell(object));
    }
    Record::of_plain_fields(&fields)
}

fn names(row: &ByteRecord) -> Result<Vec<&str>, HeaderError> {
    if row.iter().all(<[u8]>::is_empty) {
        return Err(HeaderError::Empty);
    }
    row.iter()
        .enumerate()
        .map(|(index, name)| std::str::from_utf8(name).map_err(|_| HeaderError::NotUtf8 { position: index + 1 }))
        .collect()
}

fn check_once(names: &[&str]) -> Result<(), HeaderError> {
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(HeaderError::Twice { name: quoted(pair[0]) }),
        None => Ok(()),
    }
}

fn column(position: usize, name: &str) -> Result<Column, HeaderError> {
    if let Some(field) = Field::named(name) {
        return Ok(Column::Field(field));
    }
    if let Some(parameter) = name
        .strip_prefix(PARAMETER_PREFIX)
        .filter(|parameter| !parameter.is_empty())
    {
        let mut key = String::new();
        push_string(&mut key, parameter);
        key.push(':');
        return Ok(Column::Parameter(key));
    }
    let cure = match Field::likely(name) {
        Some(likely) => format!("; is `{likely}` meant?"),
        None => "; a parameter's column is named `parameters.` and its name".to_owned(),
    };
    Err(HeaderError::Unknown {
        position,
        name: quoted(name),
        cure,
    })
}

fn fields(columns: &[Column]) -> Vec<(usize, Field)> {
    let field_of = |(at, column): (usize, &Column)| match column {
        Column::Field(field) if *field != Field::Parameters => Some((at, *field)),
        _ => None,
    };
    columns.iter().enumerate().filter_map(field_of).collect()
}

fn check_size(header: &CsvHeader, row: &ByteRecord) -> Result<(), Refusal> {
    if row.as_slice().len() > MAX_LINE_BYTES {
        let sentence = format!(
            "the row is {} bytes long; at most {MAX_LINE_BYTES} are read",
            row.as_slice().len()
        );
        return Err(Refusal::new(code::LINE_TOO_LONG, sentence));
    }
    if row.len() != header.len() {
        let sentence = format!("the row has {} cells; the header has {}", row.len(), header.len());
        return Err(Refusal::new(code::WRONG_CELL_COUNT, sentence));
    }
    Ok(())
}

fn cell_text<'a>(column: &str, cell: &'a [u8]) -> Result<&'a str, Refusal> {
    std::str::from_utf8(cell).map_err(|error| {
        let sentence = format!(
            "`{column}` is not UTF-8 from byte {} on; send it as UTF-8",
            error.valid_up_to()
        );
        Refusal::new(code::NOT_UTF8, sentence)
    })
}

/// Writes the row's parameters into `object` as JSON.
fn parameters_object(header: &CsvHeader, row: &ByteRecord, object: &mut String) -> Result<(), Refusal> {
    object.clear();
    object.push('{');
    for (column, cell) in header.columns.iter().zip(row) {
        if let Column::Parameter(key) = column
            && !cell.is_empty()
        {
            let cell = cell_text("parameters", cell)?;
            if object.len() > 1 {
                object.push(',');
            }
            object.push_str(key);
            push_string(object, cell);
        }
    }
    object.push('}');
    Ok(())
}

#[cfg(test)]
mod tests;
