//! The proof of a raw day: per account a digest over its rows, so that what a customer kept can be held against it.
//!
//! The digest is the SHA-256 (lower-case hex) of the account's rows, sorted by source and id and, where one identity has
//! several rows, by their text. A row is one JSON array and a line feed:
//! `[source, id, uin, appid, task_type, parameters, duration_ms, finished_at, status]`, all texts; `parameters` is the
//! canonical JSON and `finished_at` nanoseconds since 1970. Files and batches play no part.

use std::collections::BTreeMap;
use std::path::PathBuf;

use polars::prelude::*;
use rayon::prelude::*;

use crate::digest::{Hasher, push_hex};
use crate::error::{Doing as _, Result};
use crate::files::DataDir;
use crate::parallel;
use crate::parameters::push_string;
use crate::raw::id::{Id, Ids};
use crate::raw::segment::read_columns;
use crate::raw::store::Segment;

/// What is left of an account's day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub uin: u64,
    pub rows: i64,
    pub duration_ms: i128,
    pub digest: String,
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

/// A row: the number of its segment, and its place there.
type Place = (usize, usize);

/// A day's proofs, by account. Voids have no account and no part in it.
pub fn prove(data: &DataDir, segments: &[Segment]) -> Result<Vec<Proof>> {
    let segments = parallel::map(segments.len(), |at| Rows::read(&data.join(&segments[at].path)))?;
    let mut by_account: BTreeMap<u64, Vec<Place>> = BTreeMap::new();
    for (segment, rows) in segments.iter().enumerate() {
        for (at, uin) in rows.uin.iter().enumerate() {
            if let Some(uin) = uin {
                by_account.entry(uin).or_default().push((segment, at));
            }
        }
    }
    let accounts: Vec<(u64, Vec<Place>)> = by_account.into_iter().collect();
    let proof = |(uin, places): &(u64, Vec<Place>)| proof_of(*uin, places, &segments);
    Ok(accounts.par_iter().map(proof).collect())
}

/// About how many bytes of rows are digested at a time.
const DIGESTED_BYTES: usize = 1 << 16;

fn proof_of(uin: u64, places: &[Place], segments: &[Rows]) -> Proof {
    let mut rows: Vec<Row> = places.iter().map(|&place| Row::of(segments, place)).collect();
    rows.sort_unstable_by(|one, other| one.identity.cmp(&other.identity));
    let mut hasher = Hasher::default();
    let mut text = String::with_capacity(2 * DIGESTED_BYTES);
    for alike in rows.chunk_by(|one, other| one.identity == other.identity) {
        if let [row] = alike {
            row.push_text(&mut text, uin, segments);
        } else {
            text.push_str(&texts_in_order(alike, uin, segments).concat());
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
        duration_ms: rows.iter().map(|row| i128::from(row.duration_ms(segments))).sum(),
        digest: hasher.hex(),
    }
}

/// Of rows with one identity.
fn texts_in_order(alike: &[Row], uin: u64, segments: &[Rows]) -> Vec<String> {
    let text_of = |row: &Row| {
        let mut text = String::new();
        row.push_text(&mut text, uin, segments);
        text
    };
    let mut texts: Vec<String> = alike.iter().map(text_of).collect();
    texts.sort_unstable();
    texts
}

/// A row by its identity, source and id, and where it is.
struct Row<'r> {
    identity: (&'r str, Id<'r>),
    place: Place,
}

impl<'r> Row<'r> {
    fn of(segments: &'r [Rows], place: Place) -> Self {
        let (rows, at) = (&segments[place.0], place.1);
        Self {
            identity: (rows.source.get(at).unwrap_or_default(), rows.ids.get(at)),
            place,
        }
    }

    fn duration_ms(&self, segments: &[Rows]) -> i64 {
        segments[self.place.0].duration_ms.get(self.place.1).unwrap_or(0)
    }

    /// Adds the row as it is digested.
    fn push_text(&self, text: &mut String, uin: u64, segments: &[Rows]) {
        let (rows, at) = (&segments[self.place.0], self.place.1);
        let (source, id) = self.identity;
        let mut digits = itoa::Buffer::new();
        text.push('[');
        push_field(text, source);
        match id {
            Id::Packed(bytes) => {
                text.push('"');
                push_hex(text, bytes);
                text.push_str("\",");
            }
            Id::Text(id) => push_field(text, id),
        }
        push_field(text, digits.format(uin));
        push_field(text, digits.format(rows.appid.get(at).unwrap_or(0)));
        push_field(text, rows.task_type.get(at).unwrap_or_default());
        push_field(text, rows.parameters.get(at).unwrap_or_default());
        push_field(text, digits.format(self.duration_ms(segments)));
        push_field(text, digits.format(rows.finished_at.get(at).unwrap_or(0)));
        push_field(text, rows.status.get(at).unwrap_or_default());
        text.pop();
        text.push_str("]\n");
    }
}

/// The rows of a segment.
struct Rows {
    source: StringChunked,
    ids: Ids,
    uin: UInt64Chunked,
    appid: UInt64Chunked,
    task_type: StringChunked,
    parameters: StringChunked,
    duration_ms: Int64Chunked,
    finished_at: Int64Chunked,
    status: StringChunked,
}

impl Rows {
    fn read(place: &PathBuf) -> Result<Self> {
        let mut frame = read_columns(place, &COLUMNS)?;
        frame.rechunk_mut();
        let column = |name: &str| frame.column(name).doing("reading a day");
        let text = |name: &str| column(name)?.str().cloned().doing("reading a day");
        let unsigned = |name: &str| column(name)?.u64().cloned().doing("reading a day");
        Ok(Self {
            source: text("source")?,
            ids: Ids::of(&frame)?,
            uin: unsigned("uin")?,
            appid: unsigned("appid")?,
            task_type: text("task_type")?,
            parameters: text("parameters")?,
            duration_ms: column("duration_ms")?.i64().cloned().doing("reading a day")?,
            finished_at: column("finished_at")?.datetime().doing("reading a day")?.phys.clone(),
            status: text("status")?,
        })
    }
}

/// A field and the comma after it.
fn push_field(text: &mut String, field: &str) {
    push_string(text, field);
    text.push(',');
}
