//! A record that comes as a CSV row (RFC 4180, UTF-8). The header names the record's fields; parameters are
//! one JSON column `parameters`, or columns `parameters.codec`, ....
//!
//! An empty cell is absent. In a `parameters.` column a cell that is a JSON number, `true` or `false` is that,
//! any other is text. The reader must be flexible (`ReaderBuilder::flexible`), so that a row with a wrong number
//! of cells is refused alone; a row's line is the one that it begins on.

use std::io::Read as _;

use csv::ByteRecord;

use crate::json::is_number;
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
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Field(Field),
    /// A parameter: its name as a JSON string, a colon after it.
    Parameter(String),
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
            if is_number(cell) || matches!(cell, "true" | "false") {
                object.push_str(cell);
            } else {
                push_string(object, cell);
            }
        }
    }
    object.push('}');
    Ok(())
}

/// What [`data_rows`] reads before the bytes it is given.
pub(super) const DATA_ROWS_LEAD: &[u8] = b"\n";

/// Reads rows below the header. A reader takes a byte order mark off its very first bytes; in a row it is data, wherever the
/// row stands, so an empty line comes first.
pub(super) fn data_rows(bytes: &[u8]) -> ::csv::Reader<std::io::Chain<&[u8], &[u8]>> {
    ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(DATA_ROWS_LEAD.chain(bytes))
}

/// A row's bytes without the end of its line; spaces at the end are data.
pub(super) fn without_line_end(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::record::{Kind, canonical_parameters, parse_line};
    use csv::{Reader, ReaderBuilder};

    fn reader(text: &str) -> Reader<&[u8]> {
        ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .from_reader(text.as_bytes())
    }

    fn header(names: &str) -> Result<CsvHeader, HeaderError> {
        CsvHeader::parse(&reader(names).byte_records().next().unwrap().unwrap())
    }

    /// One sentence for each row: what it is, or why it is none.
    fn rows(text: &str) -> Vec<String> {
        let mut records = reader(text).into_byte_records();
        let header = CsvHeader::parse(&records.next().unwrap().unwrap()).unwrap();
        let mut scratch = Scratch::default();
        records
            .map(|row| {
                let row = row.unwrap();
                let line = row.position().unwrap().line();
                match record_from_row(&header, &row, &mut scratch)
                    .and_then(|record| Ok((canonical_parameters(&record)?, record)))
                {
                    Ok((parameters, record)) => format!("{line}: {} {parameters}", record.id),
                    Err(refusal) => format!("{line}: {} {}", refusal.code, refusal.sentence),
                }
            })
            .collect()
    }

    const COLUMNS: &str = "id,uin,appid,task_type,duration_ms,finished_at";
    const CELLS: &str = "0100,125,Transcode,32000.0,2026-10-22T07:54:27Z";

    #[test]
    fn a_row_means_what_the_same_record_in_json_means() {
        let text = format!(
            "{COLUMNS},source,status,parameters.codec,parameters.width,created_at\nx,{CELLS},,FAIL,H264,1920,0000-00-00T00:00:00Z\n"
        );
        let line = br#"{"id":"x","uin":100,"appid":125,"task_type":"Transcode","duration_ms":32000,"finished_at":"2026-10-22T07:54:27Z","status":"FAIL","parameters":{"codec":"H264","width":1920}}"#;
        let mut records = reader(&text).into_byte_records();
        let header = CsvHeader::parse(&records.next().unwrap().unwrap()).unwrap();
        let row = records.next().unwrap().unwrap();
        let (mut one, mut two) = (Scratch::default(), Scratch::default());
        assert_eq!(
            record_from_row(&header, &row, &mut one).unwrap(),
            parse_line(line, &mut two).unwrap()
        );
    }

    #[test]
    fn parameters_come_as_columns_or_as_one_object() {
        let text = format!(
            "{COLUMNS},parameters.codec,parameters.fps,parameters.hdr\na,{CELLS},\"H,\"\"264\",29.970,true\nb,{CELLS},,,\nc,{CELLS},01,1e400,\nd,{CELLS},TRUE,1e3,null\n"
        );
        assert_eq!(
            rows(&text),
            [
                r#"2: a {"codec":"H,\"264","fps":29.97,"hdr":true}"#,
                "3: b {}",
                "4: out_of_range `parameters` has 1e400 for \"fps\", which is a number of more than 64 digits; at most 64 digits are taken",
                r#"5: d {"codec":"TRUE","fps":1000,"hdr":"null"}"#,
            ]
        );
        let text =
            format!("{COLUMNS},parameters\na,{CELLS},\"{{\"\"b\"\":1}}\"\nb,{CELLS},\nc,{CELLS},7\nd,{CELLS},{{}} x\n");
        assert_eq!(
            rows(&text),
            [
                r#"2: a {"b":1}"#,
                "3: b {}",
                "4: wrong_type `parameters` is \"7\"; one JSON object is expected",
                "5: not_json `parameters` is not JSON, byte 3: the value ended, nothing more may follow",
            ]
        );
        assert_eq!(
            rows(&format!("{COLUMNS},parameters.images\na,{CELLS},eight\n")),
            ["2: wrong_type `parameters` has the text \"eight\" for \"images\"; a number is expected"]
        );
    }

    #[test]
    fn a_row_that_is_no_record_is_refused_alone() {
        let text = format!(
            "{COLUMNS}\na,{CELLS}\nb,{CELLS},more\nc,1\n\"d\nd\",{CELLS}\ne,{CELLS}\n,{CELLS}\nf,1.00005E+11,1,T,1,2026-10-22T07:54:27Z\ng,1,1,T,,2026-10-22T07:54:27Z\nh,1,1,T,-1,2026-10-22T07:54:27Z\ni,1,1,T,NaN,2026-10-22T07:54:27Z"
        );
        assert_eq!(
            rows(&text),
            [
                "2: a {}",
                "3: wrong_cell_count the row has 7 cells; the header has 6",
                "4: wrong_cell_count the row has 2 cells; the header has 6",
                "5: control_character `id` is \"d\\nd\" with a control character; it may have none",
                "7: e {}",
                "8: missing_field `id` is missing; every record needs it",
                "9: not_a_number `uin` is \"1.00005E+11\", which is not a number; digits up to 18446744073709551615 are expected",
                "10: missing_field `duration_ms` is missing; a usage record needs it",
                "11: negative `duration_ms` is \"-1\", which is negative; a whole number of milliseconds from 0 to 9007199254740992 is expected",
                "12: not_a_number `duration_ms` is \"NaN\", which is not a number; a whole number of milliseconds from 0 to 9007199254740992 is expected",
            ]
        );
    }

    #[test]
    fn a_cell_that_is_no_text_is_refused() {
        let header = header(COLUMNS).unwrap();
        let row = ByteRecord::from(vec![&b"\xff"[..], b"1", b"1", b"T", b"1", b"2026-10-22T07:54:27Z"]);
        assert_eq!(
            record_from_row(&header, &row, &mut Scratch::default())
                .unwrap_err()
                .code,
            code::NOT_UTF8
        );
    }

    #[test]
    fn a_file_of_voids_needs_no_usage_columns() {
        let header = header("id,kind,voids").unwrap();
        let row = ByteRecord::from(vec!["v", "void", "a"]);
        let mut scratch = Scratch::default();
        let record = record_from_row(&header, &row, &mut scratch).unwrap();
        assert_eq!((record.kind, record.voids), (Kind::Void, Some("a")));
    }

    #[test]
    fn a_header_that_is_none_of_usage_records_is_an_error_of_the_file() {
        for (names, expected) in [
            (
                "\"\"",
                "the file has no header row; the first row must name the record's fields",
            ),
            (
                "id,uin,appid,task_type,finished_at",
                "the header lacks `duration_ms`; a usage record needs each (a file of voids needs id, kind and voids)",
            ),
            (
                "kind,voids",
                "the header lacks `id`; a usage record needs each (a file of voids needs id, kind and voids)",
            ),
            (
                "id,durationMs",
                "column 2 of the header, \"durationMs\", is not a field of a usage record; is `duration_ms` meant?",
            ),
            (
                "id,codec",
                "column 2 of the header, \"codec\", is not a field of a usage record; a parameter's column is named `parameters.` and its name",
            ),
            (
                "id,parameters.",
                "column 2 of the header, \"parameters.\", is not a field of a usage record; is `parameters` meant?",
            ),
            (
                "id,id",
                "the header has the column \"id\" twice; which one counts cannot be known",
            ),
            (
                "id,parameters,parameters.codec",
                "the header has both `parameters` and \"parameters.codec\"; send one JSON column or one column for each, not both",
            ),
        ] {
            assert_eq!(header(names).unwrap_err().to_string(), expected, "{names}");
        }
    }
}
