//! The two CSV files of an export: rows and bytes.
//!
//! RFC 4180 with LF line ends, UTF-8, quotes only where they are needed, plain decimals, times in RFC 3339
//! with a numeric offset. Text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-`,
//! `@`, a tab or a carriage return) gets a leading apostrophe; numbers are numbers and stay. Statements
//! are written one after the other, by account and period, in constant memory. Their rows are made apart from the files, so that several
//! threads make rows while the files take what is ready.

use std::io::{self, Write};

use thiserror::Error;

use crate::pipeline::close::statement::Statement;
use crate::pipeline::close::statement::document::format::Group;
use crate::pipeline::close::statement::document::{DocumentError, groups};
use crate::support::formula_guard::runs_as_formula;
use crate::values::digest::Hasher;
use crate::values::money::{AMOUNT_DECIMALS, plain};

/// The columns of `statement_lines.csv`.
pub const LINE_COLUMNS: [&str; 22] = [
    "statement_id",
    "uin",
    "appid",
    "period_start",
    "period_end",
    "currency",
    "line_no",
    "kind",
    "card",
    "card_version",
    "region",
    "sku",
    "meter",
    "unit",
    "records",
    "quantity",
    "unit_price",
    "discount_percent",
    "amount",
    "corrects_statement",
    "corrects_line",
    "note",
];

/// The columns of `statements.csv`.
pub const STATEMENT_COLUMNS: [&str; 13] = [
    "statement_id",
    "uin",
    "period_start",
    "period_end",
    "currency",
    "lines",
    "usage_amount",
    "adjustment_amount",
    "rounding",
    "total",
    "closed_at",
    "digest",
    "previous_digest",
];

/// How much longer rows are than the document of a usual statement, to reserve by.
const ROWS_TO_DOCUMENT: usize = 2;

/// What stops an export.
#[derive(Debug, Error)]
pub enum CsvError {
    /// The file takes no more.
    #[error("the CSV cannot be written: {0}; free the disk or choose another folder, then run the export again")]
    Write(#[from] io::Error),
    /// A statement's lines do not read.
    #[error("statement {statement_id} cannot be exported: {source}")]
    Document {
        /// The statement.
        statement_id: String,
        /// Why.
        source: DocumentError,
    },
    /// The statements are not in the order of the files.
    #[error(
        "statement {after} was given after {before}; an export is sorted by account (number), then by period, each once"
    )]
    Order {
        /// The one before.
        before: String,
        /// The offender.
        after: String,
    },
}

/// A file that was written, for the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Rows, without the header.
    pub rows: u64,
    /// Of the bytes, 64 lower-case hex digits.
    pub sha256: String,
}

/// The rows of some statements, for both files.
#[derive(Debug, Default)]
pub struct Rows {
    /// For `statement_lines.csv`.
    lines: Vec<u8>,
    line_count: u64,
    /// For `statements.csv`.
    statements: Vec<u8>,
    statement_count: u64,
    /// The first and the last statement.
    ends: Option<(SortKey, SortKey)>,
}

/// Where a statement stands in the files: account, then period.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SortKey {
    uin: u64,
    start: chrono::NaiveDate,
    statement_id: String,
}

impl SortKey {
    fn of(statement: &Statement) -> Self {
        Self {
            uin: statement.uin,
            start: statement.period.start,
            statement_id: statement.statement_id.clone(),
        }
    }

    fn check_after(&self, before: Option<&Self>) -> Result<(), CsvError> {
        match before {
            Some(before) if (self.uin, self.start) <= (before.uin, before.start) => Err(CsvError::Order {
                before: before.statement_id.clone(),
                after: self.statement_id.clone(),
            }),
            _ => Ok(()),
        }
    }
}

impl Rows {
    /// Makes the rows of statements.
    ///
    /// # Errors
    /// A statement out of order, or a damaged document.
    pub fn of(statements: &[Statement]) -> Result<Self, CsvError> {
        let documents = statements.iter().filter_map(|statement| statement.document.as_ref());
        let mut rows = Self {
            lines: Vec::with_capacity(documents.map(String::len).sum::<usize>() * ROWS_TO_DOCUMENT),
            ..Self::default()
        };
        for statement in statements {
            let place = SortKey::of(statement);
            place.check_after(rows.ends.as_ref().map(|(_, last)| last))?;
            let period = [statement.period_start_text(), statement.period_end_text()];
            rows.add_lines(statement, &period)?;
            rows.add_statement(statement, &period);
            let first = rows.ends.take().map_or_else(|| place.clone(), |(first, _)| first);
            rows.ends = Some((first, place));
        }
        Ok(rows)
    }

    fn add_lines(&mut self, statement: &Statement, [start, end]: &[String; 2]) -> Result<(), CsvError> {
        let failed = |source| CsvError::Document {
            statement_id: statement.statement_id.clone(),
            source,
        };
        let groups = groups(statement.text().map_err(failed)?).map_err(failed)?;
        let before_appid = format!("{},{},", statement.statement_id, statement.uin);
        let after_appid = format!(",{start},{end},{},", statement.currency);
        for group in &groups {
            write_group(&mut self.lines, [&before_appid, &after_appid], group);
            self.line_count += group.lines.len() as u64;
        }
        Ok(())
    }

    /// All of its fields are numbers, times and words of our own.
    fn add_statement(&mut self, statement: &Statement, [start, end]: &[String; 2]) {
        let fields = [
            &statement.statement_id,
            &statement.uin.to_string(),
            start,
            end,
            &statement.currency.to_string(),
            &statement.lines.to_string(),
            &plain(statement.usage_amount, AMOUNT_DECIMALS),
            &plain(statement.adjustment_amount, AMOUNT_DECIMALS),
            &plain(statement.rounding, AMOUNT_DECIMALS),
            &statement.total_text(),
            &statement.closed_at_text(),
            &statement.digest,
            statement.previous_digest.as_deref().unwrap_or_default(),
        ];
        self.statements.extend_from_slice(fields.join(",").as_bytes());
        self.statements.push(b'\n');
        self.statement_count += 1;
    }
}

/// Both files.
#[derive(Debug)]
pub struct Sheets<W> {
    lines: Sheet<W>,
    statements: Sheet<W>,
    last: Option<SortKey>,
}

impl<W: Write> Sheets<W> {
    /// Starts `statement_lines.csv` and `statements.csv` with their headers.
    ///
    /// # Errors
    /// A file that takes nothing.
    pub fn new(lines: W, statements: W) -> Result<Self, CsvError> {
        Ok(Self {
            lines: Sheet::new(lines, &LINE_COLUMNS)?,
            statements: Sheet::new(statements, &STATEMENT_COLUMNS)?,
            last: None,
        })
    }

    /// Appends rows of statements that follow those before.
    ///
    /// # Errors
    /// Rows out of order, or a file that takes no more.
    pub fn append(&mut self, rows: Rows) -> Result<(), CsvError> {
        let Some((first, last)) = rows.ends else {
            return Ok(());
        };
        first.check_after(self.last.as_ref())?;
        self.last = Some(last);
        self.lines.append(&rows.lines, rows.line_count)?;
        self.statements.append(&rows.statements, rows.statement_count)
    }

    /// Ends both files.
    ///
    /// # Errors
    /// A file that takes no more.
    pub fn finish(self) -> Result<[Written; 2], CsvError> {
        Ok([self.lines.finish()?, self.statements.finish()?])
    }
}

/// A CSV file being written: what goes out goes into the digest.
#[derive(Debug)]
struct Sheet<W> {
    out: W,
    digest: Hasher,
    rows: u64,
}

impl<W: Write> Sheet<W> {
    fn new(out: W, columns: &[&str]) -> Result<Self, CsvError> {
        let mut sheet = Self {
            out,
            digest: Hasher::default(),
            rows: 0,
        };
        sheet.append(format!("{}\n", columns.join(",")).as_bytes(), 0)?;
        Ok(sheet)
    }

    fn append(&mut self, bytes: &[u8], rows: u64) -> Result<(), CsvError> {
        self.out.write_all(bytes)?;
        self.digest.update(bytes);
        self.rows += rows;
        Ok(())
    }

    fn finish(mut self) -> Result<Written, CsvError> {
        self.out.flush()?;
        Ok(Written {
            rows: self.rows,
            sha256: self.digest.hex(),
        })
    }
}

/// The rows of a group's lines. What is the same in all of them is made once, and stands around the number of the line.
fn write_group(out: &mut Vec<u8>, [before_appid, after_appid]: [&str; 2], group: &Group) {
    let mut before_number = before_appid.as_bytes().to_vec();
    write_field(&mut before_number, &group.appid);
    before_number.extend_from_slice(after_appid.as_bytes());
    let mut after_number = Vec::new();
    after_number.push(b',');
    write_field(&mut after_number, &group.kind);
    after_number.push(b',');
    write_text(&mut after_number, &group.card);
    after_number.push(b',');
    write_field(&mut after_number, &group.card_version);
    after_number.push(b',');
    write_text(&mut after_number, &group.region);
    for (number, line) in (u64::from(group.first_line)..).zip(&group.lines) {
        out.extend_from_slice(&before_number);
        write_whole(out, Some(number));
        out.extend_from_slice(&after_number);
        for text in [&line.sku, &line.meter, &line.unit] {
            out.push(b',');
            write_text(out, text);
        }
        out.push(b',');
        write_whole(out, line.records);
        for number in [&*line.quantity, &line.unit_price, line.discount(), &line.amount] {
            out.push(b',');
            write_field(out, number);
        }
        out.push(b',');
        write_text(out, &line.more.corrects_statement);
        out.push(b',');
        write_whole(out, line.more.corrects_line);
        out.push(b',');
        write_text(out, &line.shown_note());
        out.push(b'\n');
    }
}

fn write_whole(out: &mut Vec<u8>, value: Option<impl itoa::Integer>) {
    if let Some(value) = value {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }
}

/// A field with text from outside; the others hold numbers, dates and our own words.
fn write_text(out: &mut Vec<u8>, text: &str) {
    if runs_as_formula(text) {
        write_field(out, &format!("'{text}"));
    } else {
        write_field(out, text);
    }
}

/// A field, in quotes where RFC 4180 needs them.
fn write_field(out: &mut Vec<u8>, field: &str) {
    // Looks at all bytes, without stopping early: so the compiler compares many at once.
    let is_quoted = |byte| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    if !field.bytes().fold(false, |found, byte| found | is_quoted(byte)) {
        return out.extend_from_slice(field.as_bytes());
    }
    out.push(b'"');
    for byte in field.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::close::statement::document::{COLUMNS, EXPORTED_COLUMNS, rows};
    use crate::pipeline::close::statement::samples::{charge, close};
    use crate::pipeline::rate::{Corrects, Kind};
    use crate::values::digest::sha256_hex;
    use proptest::prelude::*;

    /// Both files of statements whose rows are made in pieces of so many.
    fn sheets(statements: &[Statement], piece: usize) -> Result<[(String, Written); 2], CsvError> {
        let (mut lines, mut heads) = (Vec::new(), Vec::new());
        let mut sheets = Sheets::new(&mut lines, &mut heads)?;
        for piece in statements.chunks(piece) {
            sheets.append(Rows::of(piece)?)?;
        }
        let [of_lines, of_heads] = sheets.finish()?;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ok([(text(lines), of_lines), (text(heads), of_heads)])
    }

    fn lines_csv(statements: &[Statement]) -> Result<(String, Written), CsvError> {
        sheets(statements, 1).map(|[lines, _]| lines)
    }

    #[test]
    fn lines_have_the_columns_of_the_issue_and_plain_numbers() {
        let mut back = charge(Kind::Adjustment, "-1", "0.5");
        back.note = "late, \"really\"";
        let statement = close(7, "CNY", &[charge(Kind::Usage, "0.533333", "0.0325"), back], None).unwrap();
        let (text, written) = lines_csv(&[statement]).unwrap();
        assert_eq!(
            text,
            "statement_id,uin,appid,period_start,period_end,currency,line_no,kind,card,card_version,region,sku,meter,unit,\
             records,quantity,unit_price,discount_percent,amount,corrects_statement,corrects_line,note\n\
             7-20241101-20241201,7,1300000001,2024-11-01T00:00:00+08:00,2024-12-01T00:00:00+08:00,CNY,1,usage,mps-cn,2024-01-01,\
             ap-guangzhou,Standard.H264.HD,transcode,minute,2,0.533333,0.0325,0,0.0173333225,,,\n\
             7-20241101-20241201,7,1300000001,2024-11-01T00:00:00+08:00,2024-12-01T00:00:00+08:00,CNY,2,adjustment,mps-cn,2024-01-01,\
             ap-guangzhou,Standard.H264.HD,transcode,minute,2,-1.000000,0.5,0,-0.5000000000,,,\"late, \"\"really\"\"\"\n\
             7-20241101-20241201,7,,2024-11-01T00:00:00+08:00,2024-12-01T00:00:00+08:00,CNY,3,rounding,,,\
             ,,,,,,,,0.0026666775,,,total rounded to 0.01 CNY\n"
        );
        assert_eq!(
            written,
            Written {
                rows: 3,
                sha256: sha256_hex(text.as_bytes())
            }
        );
    }

    #[test]
    fn statements_have_the_columns_of_the_issue() {
        let statement = close(7, "CNY", &[charge(Kind::Usage, "0.533333", "0.0325")], Some("beef")).unwrap();
        let [_, (text, written)] = sheets(std::slice::from_ref(&statement), 1).unwrap();
        assert_eq!(written.rows, 1);
        assert_eq!(
            text,
            format!(
                "statement_id,uin,period_start,period_end,currency,lines,usage_amount,adjustment_amount,rounding,total,\
                 closed_at,digest,previous_digest\n7-20241101-20241201,7,2024-11-01T00:00:00+08:00,2024-12-01T00:00:00+08:00,\
                 CNY,2,0.0173333225,0.0000000000,0.0026666775,0.02,2024-12-20T01:02:03+00:00,{},beef\n",
                statement.digest
            )
        );
    }

    #[test]
    fn text_that_a_spreadsheet_would_run_is_made_harmless_but_numbers_stay() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"] {
            let mut line = charge(Kind::Usage, "-1", "1");
            (line.sku, line.region, line.note) = (text, text, text);
            let (csv, _) = lines_csv(&[close(7, "CNY", &[line], None).unwrap()]).unwrap();
            assert_eq!(csv.matches(&format!("'{text}")).count(), 3, "{csv}");
            assert!(csv.contains(",-1.000000,1,0,-1.0000000000,"), "{csv}");
        }
    }

    #[test]
    fn statements_out_of_order_or_given_twice_are_refused() {
        let of = |uin| close(uin, "CNY", &[charge(Kind::Usage, "1", "1")], None).unwrap();
        assert!(lines_csv(&[of(9), of(10)]).is_ok());
        assert!(matches!(lines_csv(&[of(10), of(9)]), Err(CsvError::Order { .. })));
        assert!(matches!(lines_csv(&[of(9), of(9)]), Err(CsvError::Order { .. })));
    }

    #[test]
    fn the_files_are_the_same_whatever_the_pieces() {
        let charges = vec![charge(Kind::Usage, "1", "1"); 3];
        let statements: Vec<_> = (1..=7).map(|uin| close(uin, "CNY", &charges, None).unwrap()).collect();
        let whole = sheets(&statements, 7).unwrap();
        let [(lines, of_lines), (heads, of_heads)] = &whole;
        assert_eq!((of_lines.rows, of_heads.rows), (21, 7));
        assert_eq!(of_lines.sha256, sha256_hex(lines.as_bytes()));
        assert_eq!(of_heads.sha256, sha256_hex(heads.as_bytes()));
        for piece in 1..7 {
            assert_eq!(sheets(&statements, piece).unwrap(), whole);
        }
        let out_of_order = [&statements[3..], &statements[..3]].concat();
        assert!((1..=7).all(|piece| matches!(sheets(&out_of_order, piece), Err(CsvError::Order { .. }))));
    }

    proptest! {
        #[test]
        fn a_csv_reader_reads_back_what_was_written(
            texts in prop::collection::vec("(?s)[=+@\t\r\n,\"'a -]{0,4}|\\PC{0,8}", 4), quantity in -9_000_000_i64..9_000_000,
        ) {
            let mut line = charge(Kind::Usage, &plain(rust_decimal::Decimal::new(quantity, 6), 6), "0.5");
            (line.region, line.sku, line.meter, line.note) = (&texts[0], &texts[1], &texts[2], &texts[3]);
            (line.card, line.unit) = (&texts[3], &texts[0]);
            line.corrects = Some(Corrects { statement_id: &texts[1], line_no: 3 });
            let statement = close(7, "KRW", &[line], None).unwrap();
            let (text, _) = lines_csv(std::slice::from_ref(&statement)).unwrap();
            let mut reader = ::csv::Reader::from_reader(text.as_bytes());
            prop_assert_eq!(reader.headers().unwrap(), &LINE_COLUMNS[..]);
            let read: Vec<_> = reader.records().map(Result::unwrap).collect();
            let stated = rows(statement.text().unwrap()).unwrap();
            prop_assert_eq!(read.len(), stated.len());
            for (row, line) in read.iter().zip(&stated) {
                for (column, cell) in COLUMNS[..EXPORTED_COLUMNS].iter().zip(line) {
                    let at = LINE_COLUMNS.iter().position(|name| name == column).unwrap();
                    let is_text = ["card", "region", "sku", "meter", "unit", "corrects_statement", "note"].contains(column);
                    let guard = if is_text && runs_as_formula(cell) { "'" } else { "" };
                    prop_assert_eq!(&row[at], &format!("{guard}{cell}"));
                }
            }
        }
    }
}
