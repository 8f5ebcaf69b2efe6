//! A document as a line of JSON, by the map of paths.

use mongodb::bson::Document;

use super::document::{at_path, write_value};
use crate::catalog::source::kinds::table::Columns;
use crate::sources::line::{LineWriter, names};

/// Writes the lines of one collection.
#[derive(Debug)]
pub struct DocumentLine {
    writer: LineWriter,
    paths: Vec<String>,
}

impl DocumentLine {
    pub fn new(columns: &Columns) -> Self {
        Self {
            writer: LineWriter::new(columns),
            paths: names(columns),
        }
    }

    /// Writes the line of a document, without its end.
    pub fn write(&self, line: &mut Vec<u8>, document: &Document) {
        self.writer.write(line, |line, at, place| {
            at_path(document, &self.paths[at]).is_some_and(|value| write_value(line, value, place))
        });
    }
}
