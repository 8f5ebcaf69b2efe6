//! The two CSV files of an export: rows and bytes.
//!
//! RFC 4180 with LF line ends, UTF-8, quotes only where they are needed, plain decimals, times in RFC 3339
//! with a numeric offset. Text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-`,
//! `@`, a tab or a carriage return) gets a leading apostrophe; numbers are numbers and stay. Statements
//! are written one after the other, by account and period, in constant memory.

use std::io::{self, Write};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::close::document::{Cells, DocumentError, EXPORTED_COLUMNS, cells};
use crate::close::statement::Statement;
use crate::digest::hex;
use crate::money::{AMOUNT_DECIMALS, plain};

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

/// Rows are handed on in pieces of this many bytes: large enough for the disk, small enough for the cache.
const PIECE_BYTES: usize = 256 * 1024;

/// Where `appid` stands in a line of a document.
const APPID: usize = 1;

/// Which columns of a document hold text from outside; the others hold numbers, dates and our own words.
const IS_TEXT: [bool; EXPORTED_COLUMNS] = text_columns();

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

/// `statement_lines.csv`.
#[derive(Debug)]
pub struct LineSheet<W> {
    sheet: Sheet<W>,
}

impl<W: Write> LineSheet<W> {
    /// Starts the file with its header.
    pub fn new(out: W) -> Self {
        Self {
            sheet: Sheet::new(out, &LINE_COLUMNS),
        }
    }

    /// Appends the lines of a statement.
    ///
    /// # Errors
    /// A statement out of order, a damaged document, or a file that takes no more.
    pub fn append(&mut self, statement: &Statement) -> Result<(), CsvError> {
        self.sheet.keep_order(statement)?;
        let rows = statement.text().and_then(cells).map_err(|source| CsvError::Document {
            statement_id: statement.statement_id.clone(),
            source,
        })?;
        let before_appid = format!("{},{},", statement.statement_id, statement.uin);
        let after_appid = format!(
            ",{},{},{},",
            statement.period_start_text(),
            statement.period_end_text(),
            statement.currency
        );
        for row in &rows {
            write_row(&mut self.sheet.piece, &before_appid, &after_appid, row);
            self.sheet.end_row()?;
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// A file that takes no more.
    pub fn finish(self) -> Result<Written, CsvError> {
        self.sheet.finish()
    }
}

/// `statements.csv`.
#[derive(Debug)]
pub struct StatementSheet<W> {
    sheet: Sheet<W>,
}

impl<W: Write> StatementSheet<W> {
    /// Starts the file with its header.
    pub fn new(out: W) -> Self {
        Self {
            sheet: Sheet::new(out, &STATEMENT_COLUMNS),
        }
    }

    /// Appends a statement. All of its fields are numbers, times and words of our own.
    ///
    /// # Errors
    /// A statement out of order, or a file that takes no more.
    pub fn append(&mut self, statement: &Statement) -> Result<(), CsvError> {
        self.sheet.keep_order(statement)?;
        let fields = [
            statement.statement_id.clone(),
            statement.uin.to_string(),
            statement.period_start_text(),
            statement.period_end_text(),
            statement.currency.to_string(),
            statement.lines.to_string(),
            plain(statement.usage_amount, AMOUNT_DECIMALS),
            plain(statement.adjustment_amount, AMOUNT_DECIMALS),
            plain(statement.rounding, AMOUNT_DECIMALS),
            statement.total_text(),
            statement.closed_at_text(),
            statement.digest.clone(),
            statement.previous_digest.clone().unwrap_or_default(),
        ];
        self.sheet.piece.extend_from_slice(fields.join(",").as_bytes());
        self.sheet.end_row()
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// A file that takes no more.
    pub fn finish(self) -> Result<Written, CsvError> {
        self.sheet.finish()
    }
}

/// A CSV file being written: bytes go out, and into the digest, a piece at a time.
#[derive(Debug)]
struct Sheet<W> {
    out: W,
    piece: Vec<u8>,
    digest: Sha256,
    rows: u64,
    before: Option<(u64, chrono::NaiveDate, String)>,
}

impl<W: Write> Sheet<W> {
    fn new(out: W, columns: &[&str]) -> Self {
        let mut piece = Vec::with_capacity(PIECE_BYTES + 4096);
        piece.extend_from_slice(columns.join(",").as_bytes());
        piece.push(b'\n');
        Self {
            out,
            piece,
            digest: Sha256::new(),
            rows: 0,
            before: None,
        }
    }

    fn keep_order(&mut self, statement: &Statement) -> Result<(), CsvError> {
        let (uin, start) = (statement.uin, statement.period.start);
        let after = statement.statement_id.clone();
        match self.before.take() {
            Some((before_uin, before_start, before)) if (uin, start) <= (before_uin, before_start) => {
                Err(CsvError::Order { before, after })
            }
            _ => {
                self.before = Some((uin, start, after));
                Ok(())
            }
        }
    }

    fn end_row(&mut self) -> Result<(), CsvError> {
        self.piece.push(b'\n');
        self.rows += 1;
        if PIECE_BYTES <= self.piece.len() {
            self.hand_on()
        } else {
            Ok(())
        }
    }

    fn hand_on(&mut self) -> Result<(), CsvError> {
        self.digest.update(&self.piece);
        self.out.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Written, CsvError> {
        self.hand_on()?;
        self.out.flush()?;
        Ok(Written {
            rows: self.rows,
            sha256: hex(&self.digest.finalize()),
        })
    }
}

/// One line of a statement; the file has `appid` further left than the document.
fn write_row(out: &mut Vec<u8>, before_appid: &str, after_appid: &str, row: &Cells) {
    out.extend_from_slice(before_appid.as_bytes());
    write_field(out, &row[APPID]);
    out.extend_from_slice(after_appid.as_bytes());
    write_field(out, &row[0]);
    for (cell, is_text) in row[..EXPORTED_COLUMNS].iter().zip(IS_TEXT).skip(APPID + 1) {
        out.push(b',');
        if is_text {
            write_text(out, cell);
        } else {
            write_field(out, cell);
        }
    }
}

/// A field of text from outside, harmless in a spreadsheet.
fn write_text(out: &mut Vec<u8>, text: &str) {
    if runs_as_formula(text) {
        write_field(out, &format!("'{text}"));
    } else {
        write_field(out, text);
    }
}

fn runs_as_formula(text: &str) -> bool {
    matches!(text.bytes().next(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'))
}

/// A field, in quotes where RFC 4180 needs them.
fn write_field(out: &mut Vec<u8>, field: &str) {
    if !field.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
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

/// Card, region, SKU, meter, unit, corrected statement and note.
const fn text_columns() -> [bool; EXPORTED_COLUMNS] {
    let mut is_text = [false; EXPORTED_COLUMNS];
    let text = [3, 5, 6, 7, 8, 14, 16];
    let mut at = 0;
    while at < text.len() {
        is_text[text[at]] = true;
        at += 1;
    }
    is_text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::close::document::COLUMNS;
    use crate::close::statement::samples::{charge, close};
    use crate::digest::sha256_hex;
    use crate::rate::Kind;
    use proptest::prelude::*;

    fn lines_csv(statements: &[Statement]) -> Result<(String, Written), CsvError> {
        let mut bytes = Vec::new();
        let mut sheet = LineSheet::new(&mut bytes);
        for statement in statements {
            sheet.append(statement)?;
        }
        let written = sheet.finish()?;
        Ok((String::from_utf8(bytes).unwrap(), written))
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
        let mut bytes = Vec::new();
        let mut sheet = StatementSheet::new(&mut bytes);
        sheet.append(&statement).unwrap();
        assert_eq!(sheet.finish().unwrap().rows, 1);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
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
    fn an_export_larger_than_a_piece_keeps_rows_and_digest() {
        let charges = vec![charge(Kind::Usage, "1", "1"); 5_000];
        let (text, written) = lines_csv(&[close(7, "CNY", &charges, None).unwrap()]).unwrap();
        assert!(2 * PIECE_BYTES < text.len());
        assert_eq!(
            written,
            Written {
                rows: 5_000,
                sha256: sha256_hex(text.as_bytes())
            }
        );
    }

    proptest! {
        #[test]
        fn a_csv_reader_reads_back_what_was_written(
            texts in prop::collection::vec("(?s)[=+@\t\r\n,\"'a -]{0,4}|\\PC{0,8}", 4), quantity in -9_000_000_i64..9_000_000,
        ) {
            let mut line = charge(Kind::Usage, &plain(rust_decimal::Decimal::new(quantity, 6), 6), "0.5");
            (line.region, line.sku, line.meter, line.note) = (&texts[0], &texts[1], &texts[2], &texts[3]);
            let statement = close(7, "KRW", &[line], None).unwrap();
            let (text, _) = lines_csv(std::slice::from_ref(&statement)).unwrap();
            let mut reader = ::csv::Reader::from_reader(text.as_bytes());
            prop_assert_eq!(reader.headers().unwrap(), &LINE_COLUMNS[..]);
            let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
            let document = cells(statement.text().unwrap()).unwrap();
            prop_assert_eq!(rows.len(), document.len());
            for (row, line) in rows.iter().zip(&document) {
                for (column, (cell, is_text)) in COLUMNS.iter().zip(line.iter().zip(IS_TEXT)) {
                    let at = LINE_COLUMNS.iter().position(|name| name == column).unwrap();
                    let guard = if is_text && runs_as_formula(cell) { "'" } else { "" };
                    prop_assert_eq!(&row[at], &format!("{guard}{}", &**cell));
                }
            }
        }
    }
}
