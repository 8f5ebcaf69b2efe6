//! The proof of a raw day: per account a digest over its rows, so that what a customer kept can be held against it.
//!
//! The digest is the SHA-256 (lower-case hex) of the account's rows, sorted by source and id and, where one identity has
//! several rows, by their text. A row is one JSON array and a line feed:
//! `[source, id, uin, appid, task_type, parameters, duration_ms, finished_at, status]`, all texts; `parameters` is the
//! canonical JSON and `finished_at` nanoseconds since 1970. Files and batches play no part.

use std::collections::BTreeMap;

use polars::prelude::*;

use crate::digest::Hasher;
use crate::error::{Doing as _, Result};
use crate::files::DataDir;
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

/// A day's proofs, by account. Voids have no account and no part in it.
pub fn prove(data: &DataDir, segments: &[Segment]) -> Result<Vec<Proof>> {
    let mut by_account: BTreeMap<u64, Vec<(String, String, String, i64)>> = BTreeMap::new();
    for segment in segments {
        let frame = read_columns(&data.join(&segment.path), &COLUMNS)?;
        collect(&frame, &mut by_account)?;
    }
    Ok(by_account.into_iter().map(|(uin, rows)| proof_of(uin, rows)).collect())
}

fn proof_of(uin: u64, mut rows: Vec<(String, String, String, i64)>) -> Proof {
    rows.sort_unstable();
    let mut hasher = Hasher::default();
    for (_, _, text, _) in &rows {
        hasher.update(text.as_bytes());
    }
    Proof {
        uin,
        rows: i64::try_from(rows.len()).unwrap_or(i64::MAX),
        duration_ms: rows.iter().map(|row| i128::from(row.3)).sum(),
        digest: hasher.hex(),
    }
}

fn collect(frame: &DataFrame, by_account: &mut BTreeMap<u64, Vec<(String, String, String, i64)>>) -> Result<()> {
    let text = |name: &str| frame.column(name).and_then(Column::str).cloned().doing("reading a day");
    let unsigned = |name: &str| frame.column(name).and_then(Column::u64).cloned().doing("reading a day");
    let (source, ids, task_type) = (text("source")?, Ids::of(frame)?, text("task_type")?);
    let (parameters, status) = (text("parameters")?, text("status")?);
    let (uin, appid) = (unsigned("uin")?, unsigned("appid")?);
    let duration = frame
        .column("duration_ms")
        .and_then(Column::i64)
        .cloned()
        .doing("reading a day")?;
    let finished = frame
        .column("finished_at")
        .and_then(Column::datetime)
        .doing("reading a day")?
        .phys
        .clone();
    for at in 0..frame.height() {
        let Some(account) = uin.get(at) else { continue };
        let of = |column: &StringChunked| column.get(at).unwrap_or_default().to_owned();
        let duration_ms = duration.get(at).unwrap_or(0);
        let fields = [
            of(&source),
            ids.get(at).into_owned(),
            account.to_string(),
            appid.get(at).unwrap_or(0).to_string(),
            of(&task_type),
            of(&parameters),
            duration_ms.to_string(),
            finished.get(at).unwrap_or(0).to_string(),
            of(&status),
        ];
        by_account.entry(account).or_default().push((
            of(&source),
            ids.get(at).into_owned(),
            row_text(&fields),
            duration_ms,
        ));
    }
    Ok(())
}

fn row_text(fields: &[String]) -> String {
    let mut row = String::from("[");
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            row.push(',');
        }
        push_string(&mut row, field);
    }
    row.push_str("]\n");
    row
}
