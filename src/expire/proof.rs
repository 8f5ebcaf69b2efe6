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

use crate::digest::Hasher;
use crate::error::{Doing as _, Result};
use crate::files::DataDir;
use crate::parallel;
use crate::parameters::push_string;
use crate::raw::id::Ids;
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

fn proof_of(uin: u64, places: &[Place], segments: &[Rows]) -> Proof {
    let mut rows: Vec<_> = places
        .iter()
        .map(|&(segment, at)| segments[segment].row(uin, at))
        .collect();
    rows.sort_unstable();
    let mut hasher = Hasher::default();
    for row in &rows {
        hasher.update(row.text.as_bytes());
    }
    Proof {
        uin,
        rows: i64::try_from(rows.len()).unwrap_or(i64::MAX),
        duration_ms: rows.iter().map(|row| i128::from(row.duration_ms)).sum(),
        digest: hasher.hex(),
    }
}

/// A row as it is digested, in the order of its fields.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row<'r> {
    source: &'r str,
    id: std::borrow::Cow<'r, str>,
    text: String,
    duration_ms: i64,
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

    /// A row of an account.
    fn row(&self, uin: u64, at: usize) -> Row<'_> {
        let (source, id) = (self.source.get(at).unwrap_or_default(), self.ids.get(at));
        let duration_ms = self.duration_ms.get(at).unwrap_or(0);
        let mut digits = itoa::Buffer::new();
        let mut text = String::with_capacity(256);
        text.push('[');
        for field in [source, &id, digits.format(uin)] {
            push_field(&mut text, field);
        }
        push_field(&mut text, digits.format(self.appid.get(at).unwrap_or(0)));
        push_field(&mut text, self.task_type.get(at).unwrap_or_default());
        push_field(&mut text, self.parameters.get(at).unwrap_or_default());
        push_field(&mut text, digits.format(duration_ms));
        push_field(&mut text, digits.format(self.finished_at.get(at).unwrap_or(0)));
        push_field(&mut text, self.status.get(at).unwrap_or_default());
        text.pop();
        text.push_str("]\n");
        Row {
            source,
            id,
            text,
            duration_ms,
        }
    }
}

/// A field and the comma after it.
fn push_field(text: &mut String, field: &str) {
    push_string(text, field);
    text.push(',');
}
