//! Reads a dump, line by line.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::kind::{Kind, value};
use super::{DumpEnd, FORMAT, Header, TableEnd, TableHeader, VERSION};
use crate::storage::ledger::Value;
use crate::support::error::{AtPath as _, Error, Result};

/// A dump that is being read.
pub struct Dump {
    path: PathBuf,
    lines: BufReader<zstd::Decoder<'static, BufReader<File>>>,
    line: Vec<u8>,
    number: u64,
    schema: i64,
    /// Read so far.
    tables: u64,
    rows: u64,
}

/// A table of a dump, before its rows are read.
#[derive(Debug)]
pub(super) struct Table {
    pub name: String,
    pub columns: Vec<(String, Kind)>,
}

impl Dump {
    /// Opens a dump.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a file that is none, and [`Error::NeedsPerson`] for one in a format of a later program.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at(path)?;
        let mut dump = Self {
            path: path.to_owned(),
            lines: BufReader::new(zstd::Decoder::new(file).at(path)?),
            line: Vec::new(),
            number: 0,
            schema: 0,
            tables: 0,
            rows: 0,
        };
        dump.next_line()?;
        let header: Header = dump.object()?;
        if header.format != FORMAT {
            return Err(dump.damaged("is no dump of a ledger"));
        }
        if header.version != VERSION {
            return Err(Error::NeedsPerson(format!(
                "{}: the dump has format {}, and this program reads format {VERSION}: install the newer program that wrote it. \
                 Nothing was changed",
                dump.path.display(),
                header.version
            )));
        }
        dump.schema = header.schema;
        Ok(dump)
    }

    /// The version of the tables whose rows it has.
    pub fn schema(&self) -> i64 {
        self.schema
    }

    /// The next table; none at the end of the dump. The rows of the one before were read.
    pub(super) fn next_table(&mut self) -> Result<Option<Table>> {
        self.next_line()?;
        if let Ok(end) = serde_json::from_slice::<DumpEnd>(&self.line) {
            if !end.end || (end.tables, end.rows) != (self.tables, self.rows) {
                return Err(self.damaged("ends with other numbers of tables and rows than it has"));
            }
            return Ok(None);
        }
        let header: TableHeader = self.object()?;
        self.tables += 1;
        Ok(Some(Table {
            name: header.table,
            columns: header.columns,
        }))
    }

    /// Reads and counts all that is left: whether it is whole.
    pub fn read_to_its_end(&mut self) -> Result<u64> {
        while let Some(table) = self.next_table()? {
            let mut rows = self.rows(&table);
            for _ in rows.by_ref() {}
            rows.ended()?;
        }
        Ok(self.rows)
    }

    /// Hands on the rows of some tables, in their order, and reads all others.
    pub fn each_row(&mut self, tables: &[&str], mut take: impl FnMut(DumpRow<'_>) -> Result<()>) -> Result<()> {
        while let Some(table) = self.next_table()? {
            let is_wanted = tables.contains(&table.name.as_str());
            let mut rows = self.rows(&table);
            for values in rows.by_ref().filter(|_| is_wanted) {
                let (table, values) = (&table, &values);
                take(DumpRow { table, values })?;
            }
            rows.ended()?;
        }
        Ok(())
    }

    /// The rows of a table.
    pub(super) fn rows<'a>(&'a mut self, table: &'a Table) -> Rows<'a> {
        Rows {
            dump: self,
            table,
            count: 0,
            ended: None,
        }
    }

    fn next_row(&mut self, table: &Table, count: u64) -> Result<Option<Vec<Value>>> {
        self.next_line()?;
        if self.line.first() != Some(&b'[') {
            let end: TableEnd = self.object()?;
            if end.rows != count {
                return Err(self.damaged("has another number of rows than it says"));
            }
            self.rows += count;
            return Ok(None);
        }
        let row: Vec<serde_json::Value> = self.object()?;
        if row.len() != table.columns.len() {
            return Err(self.damaged("has a row with another number of values than columns"));
        }
        let values = row.into_iter().zip(&table.columns);
        let values: Option<Vec<Value>> = values.map(|(json, (_, kind))| value(*kind, json)).collect();
        values.map_or_else(
            || Err(self.damaged("has a value that no column has")),
            |row| Ok(Some(row)),
        )
    }

    fn next_line(&mut self) -> Result<()> {
        self.line.clear();
        self.number += 1;
        let read = self.lines.read_until(b'\n', &mut self.line);
        if let Err(error) = read {
            return Err(self.damaged(&format!("cannot be unpacked: {error}")));
        }
        if self.line.last() != Some(&b'\n') {
            return Err(self.damaged("ends too early"));
        }
        Ok(())
    }

    fn object<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.line).map_err(|error| self.damaged(&error.to_string()))
    }

    fn damaged(&self, what: &str) -> Error {
        Error::damaged(&self.path, format!("line {} of the dump: {what}", self.number))
    }
}

/// A row of a table of a dump.
#[derive(Debug)]
pub struct DumpRow<'a> {
    table: &'a Table,
    values: &'a [Value],
}

impl DumpRow<'_> {
    pub fn table(&self) -> &str {
        &self.table.name
    }

    /// The text in a column.
    pub fn text(&self, column: &str) -> Result<&str> {
        match self.value(column) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(self.lacks("text", column)),
        }
    }

    /// The integer in a column.
    pub fn integer(&self, column: &str) -> Result<i64> {
        match self.value(column) {
            Some(Value::Integer(number)) => Ok(*number),
            _ => Err(self.lacks("integer", column)),
        }
    }

    fn value(&self, column: &str) -> Option<&Value> {
        let at = self.table.columns.iter().position(|(name, _)| name == column)?;
        self.values.get(at)
    }

    fn lacks(&self, kind: &str, column: &str) -> Error {
        Error::Unbalanced(format!(
            "the dump has a row of {} without a value in {column} that is of the type {kind}",
            self.table.name
        ))
    }
}

/// The rows of a table, for who takes an iterator: an error ends it, and [`Self::ended`] says so.
pub(super) struct Rows<'a> {
    dump: &'a mut Dump,
    table: &'a Table,
    count: u64,
    ended: Option<Result<()>>,
}

impl Rows<'_> {
    /// How many rows there were, when all were read.
    pub fn ended(self) -> Result<u64> {
        match self.ended {
            Some(Ok(())) => Ok(self.count),
            Some(Err(error)) => Err(error),
            None => Err(self.dump.damaged("was not read to its end")),
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Vec<Value>;

    fn next(&mut self) -> Option<Vec<Value>> {
        if self.ended.is_some() {
            return None;
        }
        match self.dump.next_row(self.table, self.count) {
            Ok(Some(row)) => {
                self.count += 1;
                Some(row)
            }
            Ok(None) => {
                self.ended = Some(Ok(()));
                None
            }
            Err(error) => {
                self.ended = Some(Err(error));
                None
            }
        }
    }
}
