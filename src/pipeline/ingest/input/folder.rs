//! A folder as one input, as Spark and Hive write it: its files in the order of their names, in one batch, with line numbers that run
//! on from file to file.
//!
//! A folder `key=value` on the way to a file is a column of all its records: where `key` is a field of a record it fills it, else it is
//! left out and told. What Spark itself leaves beside the files (`_SUCCESS`, checksums) is none of them.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{Format, Input, InputDigest};
use crate::context::Books;
use crate::pipeline::ingest::drop_folder::names::is_left_alone;
use crate::pipeline::ingest::read::{Checked, read_file};
use crate::pipeline::ingest::record::fields::Field;
use crate::pipeline::ingest::record_rules::RecordRules;
use crate::pipeline::ingest::segment_builder::Counts;
use crate::pipeline::ingest::segment_writers::Writers;
use crate::support::error::{AtPath as _, Error, Result};
use crate::values::digest::{InputHasher, input_digest_of_file};

/// What Hive and Spark name a partition without a value.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The mark of a folder that Spark has finished.
const FINISHED: &str = "_SUCCESS";

/// A folder, looked through.
#[derive(Clone, Debug)]
pub struct Folder {
    /// By name.
    pub parts: Vec<Part>,
    /// Names of partitions that are no fields.
    pub left_out: Vec<String>,
}

/// One file of it.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its path below the folder.
    pub name: String,
    pub path: PathBuf,
    /// What the folders on its way fill in: fields with their values.
    pub filled: Vec<(String, String)>,
}

impl Folder {
    /// Looks for the files of a folder.
    pub fn of(folder: &Path) -> Result<Self> {
        let mut found = Self {
            parts: Vec::new(),
            left_out: Vec::new(),
        };
        found.look(folder, "", &[])?;
        found.parts.sort_by(|one, other| one.name.cmp(&other.name));
        found.left_out.sort_unstable();
        found.left_out.dedup();
        Ok(found)
    }

    fn look(&mut self, folder: &Path, below: &str, filled: &[(String, String)]) -> Result<()> {
        for entry in std::fs::read_dir(folder).at(folder)? {
            let entry = entry.at(folder)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_left_alone(&name) {
                continue;
            }
            let kind = entry.file_type().at(folder)?;
            if kind.is_dir() {
                let mut filled = filled.to_vec();
                self.fill(&name, &mut filled);
                self.look(&entry.path(), &format!("{below}{name}/"), &filled)?;
            } else if kind.is_file() {
                self.parts.push(Part {
                    name: format!("{below}{name}"),
                    path: entry.path(),
                    filled: filled.to_vec(),
                });
            } else {
                return Err(Error::Input {
                    input: entry.path().display().to_string(),
                    what: "is not a regular file; a folder that is ingested as one input may contain only files and folders".to_owned(),
                });
            }
        }
        Ok(())
    }

    fn fill(&mut self, name: &str, filled: &mut Vec<(String, String)>) {
        let Some((key, value)) = name.split_once('=') else {
            return;
        };
        let is_field = Field::named(key).is_some_and(|field| field != Field::Parameters);
        if !is_field {
            self.left_out.push(key.to_owned());
        } else if value != NO_VALUE {
            filled.push((key.to_owned(), unescaped(value)));
        }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> Result<u64> {
        let sizes = self.parts.iter();
        sizes
            .map(|part| Ok(std::fs::metadata(&part.path).at(&part.path)?.len()))
            .sum()
    }

    /// The BLAKE3 over the sorted digests of the files, each on a line of its own.
    pub fn digest(&self) -> Result<String> {
        let digests = self.parts.iter().map(|part| input_digest_of_file(&part.path));
        Ok(digest_over(digests.collect::<Result<_>>()?))
    }

    /// The format that all files have by their names; of no files there is nothing to read.
    pub fn format(&self, shown: &str) -> Result<Format> {
        let refused = |what: String| Error::Input {
            input: shown.to_owned(),
            what,
        };
        let mut format: Option<(Format, &str)> = None;
        for part in &self.parts {
            let own = Input::named(&part.path, None)?.format;
            match format {
                Some((known, first)) if known != own => {
                    return Err(refused(format!(
                        "contains {first} and {}, which have different formats; a folder that is ingested as one input must have \
                         one format",
                        part.name
                    )));
                }
                _ => format = Some((own, &part.name)),
            }
        }
        let none = || refused("is a folder without any file of records".to_owned());
        Ok(format.ok_or_else(none)?.0)
    }
}

fn digest_over(mut digests: Vec<String>) -> String {
    digests.sort_unstable();
    let mut hasher = InputHasher::default();
    for digest in digests {
        hasher.update(digest.as_bytes());
        hasher.update(b"\n");
    }
    hasher.hex()
}

/// The digest of an original, file or folder.
pub fn digest_of_original(path: &Path) -> Result<String> {
    if path.is_dir() {
        return Folder::of(path)?.digest();
    }
    input_digest_of_file(path)
}

/// Whether Spark says that all of a folder is there.
pub fn is_finished(folder: &Path) -> bool {
    folder.join(FINISHED).exists()
}

/// A value as it was before its signs were written as `%3A`.
fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(sign) if byte == b'%' => {
                bytes.push(sign);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads all files of a folder.
pub fn read(
    books: &Books,
    input: &Input,
    folder: &Folder,
    rules: &mut RecordRules,
    writers: &mut Writers,
    intake: i64,
) -> Result<Checked> {
    let (mut digests, mut bytes, mut tally) = (Vec::new(), 0, Counts::default());
    let mut header: Option<(String, &str)> = None;
    let mut line = 1;
    for part in &folder.parts {
        let own = Input::named(&part.path, Some(input.format))?.as_part(line, part.filled.clone());
        let (measured, own_header, mut own_tally) = read_file(books, &own, rules, writers, intake)?;
        for refused in &mut own_tally.refused {
            let own_line = refused.line.saturating_sub(line) + 1;
            refused.refusal.sentence += &format!(" (line {own_line} of {})", part.name);
        }
        if let Some(own_header) = own_header {
            match &header {
                Some((known, first)) if *known != own_header => {
                    return Err(Error::Input {
                        input: input.name.clone(),
                        what: format!(
                            "the headers of {first} and {} differ; ingest these files one by one. Nothing was ingested",
                            part.name
                        ),
                    });
                }
                Some(_) => {}
                None => header = Some((own_header, &part.name)),
            }
        }
        line = own.next_line();
        bytes += measured.bytes;
        digests.push(measured.digest);
        tally = tally.and(own_tally);
    }
    let measured = InputDigest {
        bytes,
        digest: digest_over(digests),
    };
    Ok((measured, header.map(|(header, _)| header), tally))
}

/// Lines of text with what the folders on the way say added to each.
pub struct Filled<R> {
    reader: BufReader<R>,
    columns: Columns,
    /// What was made and not handed on yet.
    ready: Vec<u8>,
    given: usize,
    is_first: bool,
    separator: &'static str,
}

/// What separates the cells of a header: no name of a field has such a sign.
fn separator_of(header: &[u8]) -> &'static str {
    let has = |sign: u8| header.contains(&sign);
    match (has(b','), has(b';'), has(b'\t')) {
        (false, true, _) => ";",
        (false, false, true) => "\t",
        _ => ",",
    }
}

/// What is added to a line.
enum Columns {
    /// At the end: names to the header, each behind a comma, and cells to each row, zeros between them.
    Csv { header: String, row: String },
    /// After the opening brace.
    Ndjson(String),
}

impl<R: Read> Filled<R> {
    pub fn new(reader: R, format: Format, filled: &[(String, String)]) -> Self {
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let columns = if format == Format::Csv {
            Columns::Csv {
                header: filled.iter().map(|(name, _)| format!(",{name}")).collect(),
                row: filled
                    .iter()
                    .map(|(_, value)| format!("\"{}\"", value.replace('"', "\"\"")))
                    .collect::<Vec<_>>()
                    .join("\0"),
            }
        } else {
            let members = filled
                .iter()
                .map(|(name, value)| format!("{}:{},", json(name), json(value)));
            Columns::Ndjson(members.collect())
        };
        Self {
            reader: BufReader::new(reader),
            columns,
            ready: Vec::new(),
            given: 0,
            is_first: true,
            separator: ",",
        }
    }

    fn make_line(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.given = 0;
        self.reader.read_until(b'\n', &mut self.ready)?;
        let text = self.ready.trim_ascii_end().len();
        if text == 0 {
            return Ok(());
        }
        let end = self.ready.len() - usize::from(self.ready.ends_with(b"\n"));
        let end = end - usize::from(self.ready[..end].ends_with(b"\r"));
        match &self.columns {
            Columns::Csv { header, row } => {
                if std::mem::take(&mut self.is_first) {
                    self.separator = separator_of(&self.ready);
                    let names = header.replace(',', self.separator);
                    drop(self.ready.splice(end..end, names.bytes()));
                } else {
                    let cells: String = row.split('\0').flat_map(|cell| [self.separator, cell]).collect();
                    drop(self.ready.splice(end..end, cells.bytes()));
                }
            }
            Columns::Ndjson(members) => {
                if let Some(brace) = self.ready.iter().position(|byte| *byte == b'{') {
                    drop(
                        self.ready
                            .splice(brace..=brace, std::iter::once(b'{').chain(members.bytes())),
                    );
                }
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ready.len() {
            self.make_line()?;
        }
        let count = buffer.len().min(self.ready.len() - self.given);
        buffer[..count].copy_from_slice(&self.ready[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, format: Format) -> String {
        let values = [
            ("uin".to_owned(), "7".to_owned()),
            ("task_type".to_owned(), "a\"b".to_owned()),
        ];
        let mut made = String::new();
        Filled::new(text.as_bytes(), format, &values)
            .read_to_string(&mut made)
            .unwrap();
        made
    }

    #[test]
    fn partitions_are_columns_of_every_row() {
        assert_eq!(
            filled("id,x\r\na,1\n\nb,2", Format::Csv),
            "id,x,uin,task_type\r\na,1,\"7\",\"a\"\"b\"\n\nb,2,\"7\",\"a\"\"b\""
        );
        assert_eq!(
            filled("id;x\na;1\n", Format::Csv),
            "id;x;uin;task_type\na;1;\"7\";\"a\"\"b\"\n"
        );
        assert_eq!(
            filled("{\"id\":\"a\"}\n", Format::Ndjson),
            "{\"uin\":\"7\",\"task_type\":\"a\\\"b\",\"id\":\"a\"}\n"
        );
    }

    #[test]
    fn signs_of_a_partition_are_what_they_were() {
        assert_eq!(unescaped("a%3Ab%2"), "a:b%2");
    }
}
