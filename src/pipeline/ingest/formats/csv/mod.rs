//! A record that comes as a CSV row (RFC 4180, UTF-8). The header names the record's fields; parameters are
//! one JSON column `parameters`, or columns `parameters.codec`, ....
//!
//! An empty cell is absent. A cell of a `parameters.` column is text: what looks like a number may be a name (`12E4`, `1.10`, `007`), and
//! raw keeps what was written. A row is one line; `cells.rs` splits it.
//! A column that is no field may be there as long as it has no values; what stands between cells is known by the header.

pub(crate) mod cells;
pub mod fast;
pub mod first_row;
pub mod joined;
#[cfg(test)]
mod tests;

use std::ops::Range;

use csv::ByteRecord;

use crate::support::quote::quoted;
use crate::values::parameters::push_string;

use crate::pipeline::ingest::record::fields::{Field, Fields, Given};
use crate::pipeline::ingest::record::parameter_keys::parameter_of;
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::pipeline::ingest::record::{MAX_LINE_BYTES, Record, Scratch};
use cells::Cell;

/// Without these, and without a `kind` that makes it a void, no row can be a record.
const USAGE_NEEDS: [Field; 5] = [
    Field::Uin,
    Field::Appid,
    Field::TaskType,
    Field::DurationMs,
    Field::FinishedAt,
];

/// So many columns that are no fields are held against the fields in one sentence.
const LIKELY_MAX: usize = 3;

/// Why a file's header is not one of usage records: an error of the whole file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No header, or an empty one.
    #[error("the file has no header row; the first row must name the record's fields")]
    Empty,
    /// Not UTF-8.
    #[error("column {position} of the header is not UTF-8; save the file as CSV UTF-8")]
    NotUtf8 {
        /// Counted from 1.
        position: usize,
    },
    /// UTF-16 without its mark, or no text at all.
    #[error("the header contains U+0000: it may be UTF-16 without a byte order mark; save the file as CSV UTF-8")]
    NoText,
    /// None of the columns is a field.
    #[error(
        "the first row, beginning with {first}, names no field of a usage record; it must be a header with the field names as \
         columns: `id`, `uin`, `appid`, `task_type`, `duration_ms`, `finished_at`, ... (separated by commas, semicolons, tabs or \
         `|`)"
    )]
    NoField {
        /// The first column's name.
        first: String,
    },
    /// The same column twice.
    #[error("the header has the column {name} twice; it is unclear which one counts")]
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
    #[error("the header lacks {names}; a usage record needs each (a file of voids needs id, kind and voids){cure}")]
    Missing {
        /// The columns' names.
        names: String,
        /// What is likely meant.
        cure: String,
    },
}

/// What each column of a file is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvHeader {
    /// What stands between cells.
    separator: u8,
    names: Vec<String>,
    columns: Vec<Column>,
    /// The columns that no record has.
    unknown: Vec<usize>,
    has_parameter_columns: bool,
    fields: Vec<(usize, Field)>,
    parameter_cells: ParameterCells,
}

/// Where a row's parameters stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParameterCells {
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
    /// No field: a row with a value in it is refused.
    Unknown,
}

impl Column {
    fn is_of_parameters(&self) -> bool {
        matches!(self, Self::Field(Field::Parameters) | Self::Parameter(_))
    }
}

impl CsvHeader {
    /// Reads a file's first row, which names its columns; `separator` stands between cells.
    pub fn parse(row: &ByteRecord, separator: u8) -> Result<Self, HeaderError> {
        let names = names(row)?;
        let columns: Vec<Column> = names.iter().map(|name| column(name)).collect();
        check_once(&names, &columns)?;
        let is_unknown = |at: &usize| columns[*at] == Column::Unknown;
        let header = Self {
            separator,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            unknown: (0..columns.len()).filter(is_unknown).collect(),
            has_parameter_columns: columns.iter().any(|column| matches!(column, Column::Parameter(_))),
            fields: fields(&columns),
            parameter_cells: ParameterCells::of(&columns),
            columns,
        };
        if header.unknown.len() == header.columns.len() {
            return Err(HeaderError::NoField {
                first: quoted(names[0]),
            });
        }
        if let Some(name) = names.iter().find(|name| parameter_of(name).is_some())
            && header.has(Field::Parameters)
        {
            return Err(HeaderError::BothForms { name: quoted(name) });
        }
        header.check_needs()?;
        Ok(header)
    }

    /// What stands between cells.
    pub(crate) fn separator(&self) -> u8 {
        self.separator
    }

    /// Whether a row names these columns again.
    pub(crate) fn is_named_by(&self, row: &str, cells: &[Cell]) -> bool {
        self.names.len() == cells.len() && self.names.iter().zip(cells).all(|(name, cell)| *name == cell.text(row))
    }

    /// The columns that no record has, in which a row must have no value.
    pub(crate) fn unknown(&self) -> &[usize] {
        &self.unknown
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
    pub(crate) fn fields(&self) -> &[(usize, Field)] {
        &self.fields
    }

    /// Where the parameters stand.
    pub(crate) fn parameter_cells(&self) -> &ParameterCells {
        &self.parameter_cells
    }

    /// The text of the parameters of the row that was read last with this scratch; none where there are none.
    pub(crate) fn parameters_text<'r>(&self, row: &'r ByteRecord, scratch: &'r Scratch) -> Option<&'r str> {
        if self.has_parameter_columns {
            return Some(&scratch.object);
        }
        let at = self.columns.iter().position(Column::is_of_parameters)?;
        std::str::from_utf8(row.get(at)?).ok().filter(|cell| !cell.is_empty())
    }

    /// What columns that are no fields most likely mean.
    fn likely_meant(&self) -> String {
        let meant = self.unknown.iter().filter_map(|&at| {
            let likely = Field::likely(&self.names[at])?;
            Some(format!(
                "; did you mean `{likely}` instead of {}?",
                quoted(&self.names[at])
            ))
        });
        meant.take(LIKELY_MAX).collect()
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
                cure: self.likely_meant(),
            })
        }
    }
}

/// The record of one row. What is not checked is the same as in [`crate::pipeline::ingest::record::parse_line`].
pub fn record_from_row<'a>(
    header: &CsvHeader,
    row: &'a ByteRecord,
    scratch: &'a mut Scratch,
) -> Result<Record<'a>, Refusal> {
    check_size(header, row)?;
    check_unknown(header, row)?;
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

/// Refuses a row with a value in a column that no record has.
fn check_unknown(header: &CsvHeader, row: &ByteRecord) -> Result<(), Refusal> {
    let has_value = |at: &&usize| row.get(**at).is_some_and(|cell| !cell.is_empty());
    let Some(&at) = header.unknown.iter().find(has_value) else {
        return Ok(());
    };
    let (name, position) = (&header.names[at], at + 1);
    if name.is_empty() || name.starts_with("Unnamed: ") {
        let sentence = format!(
            "column {position} has no name but a value in this row; if it is the index that pandas writes, omit it (index=False)"
        );
        return Err(Refusal::new(code::UNKNOWN_FIELD, sentence));
    }
    let cure = match Field::likely(name) {
        Some(likely) => format!("; did you mean `{likely}`?"),
        None => "; a parameter column is named `parameters.` plus its name".to_owned(),
    };
    let sentence = format!(
        "column {position}, {}, is not a field of a usage record{cure}",
        quoted(name)
    );
    Err(Refusal::new(code::UNKNOWN_FIELD, sentence))
}

fn names(row: &ByteRecord) -> Result<Vec<&str>, HeaderError> {
    if row.iter().all(<[u8]>::is_empty) {
        return Err(HeaderError::Empty);
    }
    if row.as_slice().contains(&0) {
        return Err(HeaderError::NoText);
    }
    row.iter()
        .enumerate()
        .map(|(index, name)| std::str::from_utf8(name).map_err(|_| HeaderError::NotUtf8 { position: index + 1 }))
        .collect()
}

/// Columns that no record has may have one name.
fn check_once(names: &[&str], columns: &[Column]) -> Result<(), HeaderError> {
    let known = names
        .iter()
        .zip(columns)
        .filter(|(_, column)| **column != Column::Unknown);
    let mut sorted: Vec<&str> = known.map(|(name, _)| *name).collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(HeaderError::Twice { name: quoted(pair[0]) }),
        None => Ok(()),
    }
}

fn column(name: &str) -> Column {
    if let Some(field) = Field::named(name) {
        return Column::Field(field);
    }
    let Some(parameter) = parameter_of(name) else {
        return Column::Unknown;
    };
    let mut key = String::new();
    push_string(&mut key, parameter);
    key.push(':');
    Column::Parameter(key)
}

/// Whether a name is that of a column that a record has.
pub(crate) fn is_field(name: &str) -> bool {
    Field::named(name).is_some() || parameter_of(name).is_some()
}

/// Whether a row of these cells names columns: all of them are names of fields, or those are there that no usage can lack. No record has
/// such values.
pub(crate) fn names_columns(row: &[&str]) -> bool {
    let has = |field: &Field| row.contains(&field.name());
    row.len() > 1 && (row.iter().all(|cell| is_field(cell)) || USAGE_NEEDS.iter().all(has))
}

/// Whether some of a row's cells name columns: it is a row and a header, between which a line end is missing.
pub(crate) fn has_names_of_columns(row: &ByteRecord) -> bool {
    let has = |field: &&Field| row.iter().any(|cell| cell == field.name().as_bytes());
    // One of them may be joined to the row's last cell.
    USAGE_NEEDS.iter().filter(has).count() + 1 >= USAGE_NEEDS.len()
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
            "the row is {} bytes long; at most {MAX_LINE_BYTES} are allowed",
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

/// Refuses a number with a decimal comma: files with another separator come from where these are written.
fn check_decimal_comma(header: &CsvHeader, cell: &str) -> Result<(), Refusal> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let split = cell.strip_prefix('-').unwrap_or(cell).split_once(',');
    match split {
        Some((whole, fraction)) if header.separator != b',' && is_digits(whole) && is_digits(fraction) => {
            let sentence = format!(
                "`parameters` has {}, a number with a decimal comma; write it with a point, as {whole}.{fraction}",
                quoted(cell)
            );
            Err(Refusal::new(code::NOT_A_NUMBER, sentence))
        }
        _ => Ok(()),
    }
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
            check_decimal_comma(header, cell)?;
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
