//! The proof of a raw day: per account a digest over its rows, so that what a customer kept can be held against it.
//!
//! The digest is the SHA-256 (lower-case hex) of the account's rows, sorted by source and id and, where one identity has
//! several rows, by their text. A row is one JSON array and a line feed:
//! `[source, id, uin, appid, task_type, parameters, duration_ms, finished_at, status]`, all texts; `parameters` is the
//! coarse JSON ([`crate::values::parameters::coarse`]: plain decimals in text are numbers, so that equal parameters are one text) and `finished_at`
//! nanoseconds since 1970. Files and batches play no part.
//!
//! Digests of before had the canonical JSON there ([`Parameters::AsWritten`]): they stand, and hold for the same rows.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use polars::prelude::*;
use rayon::prelude::*;

use crate::catalog::account::part::Part;
use crate::storage::durable_files::DataDir;
use crate::storage::raw::packed_id::{Id, Ids};
use crate::storage::raw::segment::Groups;
use crate::storage::raw::store::Segment;
use crate::support::error::{Doing as _, Result};
use crate::support::threads;
use crate::values::digest::{Hasher, push_hex};
use crate::values::parameters::{coarse, push_string};

/// What is left of an account's day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub uin: u64,
    pub rows: i64,
    pub duration_ms: i128,
    pub digest: String,
}

/// How parameters stand in what is digested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// Their coarse text.
    Coarse,
    /// Their canonical text: of proofs made before there were coarse ones.
    AsWritten,
}

const COLUMNS: [&str; 10] = [
    "source",
    "id",
    "id_128",
    "uin",
    "appid",
    "task_type",
    "parameters",
    "duration_ms",
    "finished_at",
    "status",
];

/// Rows that are sorted together: their texts and places take some 300 bytes each. A day of more is proved in parts of its accounts.
const ROWS_AT_A_TIME: u64 = 1 << 21;

/// A day's proofs, by account. Voids have no account and no part in it.
pub fn proofs_of(data: &DataDir, segments: &[Segment], parameters: Parameters) -> Result<Vec<Proof>> {
    proofs_in_parts(data, segments, parameters, ROWS_AT_A_TIME)
}

/// The same, with so many rows at a time.
pub fn proofs_in_parts(
    data: &DataDir,
    segments: &[Segment],
    parameters: Parameters,
    rows_at_a_time: u64,
) -> Result<Vec<Proof>> {
    let rows: u64 = segments.iter().map(|segment| segment.rows.unsigned_abs()).sum();
    let parts = Part::all(rows.div_ceil(rows_at_a_time).max(1));
    let proofs: Vec<Vec<Proof>> = parts
        .map(|part| proofs_of_part(data, segments, parameters, part))
        .collect::<Result<_>>()?;
    let mut proofs = proofs.concat();
    proofs.sort_unstable_by_key(|proof| proof.uin);
    Ok(proofs)
}

fn proofs_of_part(data: &DataDir, segments: &[Segment], parameters: Parameters, part: Part) -> Result<Vec<Proof>> {
    let files = segments.iter().map(|segment| Groups::open(&data.join(&segment.path)));
    let files: Vec<Groups> = files.collect::<Result<_>>()?;
    let groups_of = |file| (0..Groups::count(file)).map(move |at| (file, at));
    let groups: Vec<(&Groups, usize)> = files.iter().flat_map(groups_of).collect();
    let parts = threads::map(groups.len(), |at| {
        let (file, group) = groups[at];
        OfGroup::of(&file.read(group, &COLUMNS)?, parameters, part)
    })?;
    let mut accounts: BTreeMap<u64, Vec<Found>> = BTreeMap::new();
    for group in &parts {
        for rows in group.rows.chunk_by(|one, other| one.uin == other.uin) {
            let found = accounts.entry(rows[0].uin).or_default();
            found.extend(rows.iter().map(|row| Found::of(group, row)));
        }
    }
    let mut accounts: Vec<(u64, Vec<Found>)> = accounts.into_iter().collect();
    let proof = |(uin, rows): &mut (u64, Vec<Found>)| proof_of(*uin, rows);
    Ok(accounts.par_iter_mut().map(proof).collect())
}

/// About how many bytes of rows are digested at a time.
const DIGESTED_BYTES: usize = 1 << 16;

/// About how many bytes a row comes to.
const BYTES_OF_ROW: usize = 320;

fn proof_of(uin: u64, rows: &mut [Found]) -> Proof {
    rows.sort_unstable_by(|one, other| one.identity.cmp(&other.identity));
    let mut hasher = Hasher::default();
    let mut text = String::with_capacity((rows.len() * BYTES_OF_ROW).min(2 * DIGESTED_BYTES));
    for alike in rows.chunk_by(|one, other| one.identity == other.identity) {
        if let [row] = alike {
            row.push_text(&mut text);
        } else {
            text.push_str(&texts_in_order(alike).concat());
        }
        if text.len() >= DIGESTED_BYTES {
            hasher.update(text.as_bytes());
            text.clear();
        }
    }
    hasher.update(text.as_bytes());
    Proof {
        uin,
        rows: i64::try_from(rows.len()).unwrap_or(i64::MAX),
        duration_ms: rows.iter().map(|found| i128::from(found.row.duration_ms)).sum(),
        digest: hasher.hex(),
    }
}

/// Of rows with one identity.
fn texts_in_order(alike: &[Found]) -> Vec<String> {
    let text_of = |found: &Found| {
        let mut text = String::new();
        found.push_text(&mut text);
        text
    };
    let mut texts: Vec<String> = alike.iter().map(text_of).collect();
    texts.sort_unstable();
    texts
}

/// Rows of a row group by account: those of one lie together, and not over all of a file's columns.
struct OfGroup {
    rows: Vec<Row>,
    ids: Ids,
    texts: Texts,
}

/// A row; its texts are those of its row group.
struct Row {
    uin: u64,
    /// In the columns of ids.
    at: usize,
    source: Text,
    appid: u64,
    task_type: Text,
    parameters: Text,
    duration_ms: i64,
    finished_at: i64,
    status: Text,
}

impl OfGroup {
    fn of(frame: &DataFrame, parameters_form: Parameters, part: Part) -> Result<Self> {
        let column = |name: &str| frame.column(name).doing("reading a day");
        let unsigned = |name: &str| column(name)?.u64().cloned().doing("reading a day");
        let mut texts = Texts::default();
        let mut text =
            |name: &str| -> Result<Vec<Text>> { Ok(texts.numbers(column(name)?.str().doing("reading a day")?)) };
        let (source, task_type) = (text("source")?, text("task_type")?);
        let status = text("status")?;
        let parameters = texts.parameters(column("parameters")?.str().doing("reading a day")?, parameters_form);
        let (uin, appid) = (unsigned("uin")?, unsigned("appid")?);
        let duration_ms = column("duration_ms")?.i64().doing("reading a day")?;
        let finished_at = column("finished_at")?.datetime().doing("reading a day")?;
        let row = |(at, uin): (usize, Option<u64>)| {
            let uin = uin.filter(|uin| part.has(*uin))?;
            Some(Row {
                uin,
                at,
                source: source[at],
                appid: appid.get(at).unwrap_or(0),
                task_type: task_type[at],
                parameters: parameters[at],
                duration_ms: duration_ms.get(at).unwrap_or(0),
                finished_at: finished_at.phys.get(at).unwrap_or(0),
                status: status[at],
            })
        };
        let mut rows: Vec<Row> = uin.iter().enumerate().filter_map(row).collect();
        rows.sort_unstable_by_key(|row| row.uin);
        Ok(Self {
            rows,
            ids: Ids::of(frame)?,
            texts,
        })
    }
}

/// The number of a text in [`Texts`].
type Text = u32;

/// Texts that come again and again, each once.
#[derive(Default)]
struct Texts {
    numbers: HashMap<String, Text>,
    /// Each as it is, and as a field of a row that is digested.
    all: Vec<(String, String)>,
}

impl Texts {
    /// The numbers of a column's parameters, in a form.
    fn parameters(&mut self, column: &StringChunked, form: Parameters) -> Vec<Text> {
        if form == Parameters::AsWritten {
            return self.numbers(column);
        }
        // A distinct text is read once.
        let mut coarse_of: HashMap<String, Text> = HashMap::new();
        let mut number_of = |text: &str| {
            if let Some(&known) = coarse_of.get(text) {
                return known;
            }
            let number = self.number(&coarse(text));
            coarse_of.insert(text.to_owned(), number);
            number
        };
        column.iter().map(|text| number_of(text.unwrap_or_default())).collect()
    }

    /// The numbers of a column's texts.
    fn numbers(&mut self, column: &StringChunked) -> Vec<Text> {
        let mut last: Option<(&str, Text)> = None;
        let mut numbers = Vec::with_capacity(column.len());
        for text in column.iter() {
            let text = text.unwrap_or_default();
            let number = match last {
                Some((same, number)) if same == text => number,
                _ => last.insert((text, self.number(text))).1,
            };
            numbers.push(number);
        }
        numbers
    }

    fn number(&mut self, text: &str) -> Text {
        if let Some(&known) = self.numbers.get(text) {
            return known;
        }
        let number = Text::try_from(self.all.len()).expect("a row group has few rows");
        let mut field = String::new();
        push_field(&mut field, text);
        self.all.push((text.to_owned(), field));
        self.numbers.insert(text.to_owned(), number);
        number
    }

    fn text(&self, number: Text) -> &str {
        &self.all[number as usize].0
    }

    fn field(&self, number: Text) -> &str {
        &self.all[number as usize].1
    }
}

/// A row, and its identity: source and id.
struct Found<'p> {
    identity: (&'p str, Id<'p>),
    row: &'p Row,
    texts: &'p Texts,
}

impl<'p> Found<'p> {
    fn of(group: &'p OfGroup, row: &'p Row) -> Self {
        Self {
            identity: (group.texts.text(row.source), group.ids.get(row.at)),
            row,
            texts: &group.texts,
        }
    }

    /// Adds the row as it is digested.
    fn push_text(&self, text: &mut String) {
        let (row, texts) = (self.row, self.texts);
        let mut digits = itoa::Buffer::new();
        text.push('[');
        text.push_str(texts.field(row.source));
        match self.identity.1 {
            Id::Packed(bytes) => {
                text.push('"');
                push_hex(text, bytes);
                text.push_str("\",");
            }
            Id::Text(id) => push_field(text, id),
        }
        push_plain(text, digits.format(row.uin));
        push_plain(text, digits.format(row.appid));
        text.push_str(texts.field(row.task_type));
        text.push_str(texts.field(row.parameters));
        push_plain(text, digits.format(row.duration_ms));
        push_plain(text, digits.format(row.finished_at));
        text.push_str(texts.field(row.status));
        text.pop();
        text.push_str("]\n");
    }
}

/// A field of which no sign has to be escaped, and the comma after it.
fn push_plain(text: &mut String, field: &str) {
    text.push('"');
    text.push_str(field);
    text.push_str("\",");
}

/// A field and the comma after it.
fn push_field(text: &mut String, field: &str) {
    push_string(text, field);
    text.push(',');
}
