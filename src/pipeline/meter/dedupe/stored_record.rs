//! The real strings and values of some rows, to verify what hashes suggest.

use std::collections::HashMap;
use std::path::PathBuf;

use polars::prelude::*;

use super::new_rows::{Identities, Row};
use crate::storage::durable_files::DataDir;
use crate::storage::raw::packed_id::Ids;
use crate::storage::raw::rows::DERIVED_TIME;
use crate::storage::raw::segment::{Groups, read_columns, read_columns_and};
use crate::storage::raw::store::Segment;
use crate::support::clock::instant_ns_text;
use crate::support::error::{Doing as _, Result};
use crate::support::threads;
use crate::values::parameters;

/// All that raw holds of one record.
#[derive(Clone, Debug)]
pub struct RealRecord {
    pub batch: i64,
    pub line: u32,
    pub source: String,
    pub id: String,
    pub content: Content,
}

/// The billable content. It is compared as values ([`Content::is_equal`]), which its texts are not.
#[derive(Clone, Debug)]
pub enum Content {
    Usage {
        uin: u64,
        appid: u64,
        task_type: String,
        /// The canonical text.
        parameters: String,
        duration_ms: i64,
        finished_at_ns: i64,
        /// Whether that is the time of a message or of its receipt: then it is no part of the comparison.
        has_derived_time: bool,
        failed: bool,
    },
    Void {
        target: String,
    },
}

impl Content {
    /// Whether both mean the same: all fields are equal, parameters as [`parameters::are_equal`] has it. Not transitive: two texts may both
    /// be equal to one number.
    pub fn is_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Usage {
                    uin,
                    appid,
                    task_type,
                    parameters,
                    duration_ms,
                    finished_at_ns,
                    has_derived_time,
                    failed,
                },
                Self::Usage {
                    uin: other_uin,
                    appid: other_appid,
                    task_type: other_task_type,
                    parameters: other_parameters,
                    duration_ms: other_duration_ms,
                    finished_at_ns: other_finished_at_ns,
                    has_derived_time: other_has_derived_time,
                    failed: other_failed,
                },
            ) => {
                let is_timed = !(*has_derived_time || *other_has_derived_time);
                (uin, appid, duration_ms, failed) == (other_uin, other_appid, other_duration_ms, other_failed)
                    && (finished_at_ns == other_finished_at_ns || !is_timed)
                    && task_type == other_task_type
                    && parameters::are_equal(parameters, other_parameters)
            }
            (Self::Void { target }, Self::Void { target: other }) => target == other,
            _ => false,
        }
    }

    /// Names and texts of its fields, for people.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Usage {
                uin,
                appid,
                task_type,
                parameters,
                duration_ms,
                finished_at_ns,
                has_derived_time: _,
                failed,
            } => vec![
                ("uin", uin.to_string()),
                ("appid", appid.to_string()),
                ("task_type", task_type.clone()),
                ("parameters", parameters.clone()),
                ("duration_ms", duration_ms.to_string()),
                ("finished_at", instant_ns_text(*finished_at_ns)),
                ("status", if *failed { "FAIL" } else { "SUCCESS" }.to_owned()),
            ],
            Self::Void { target } => vec![("voids", target.clone())],
        }
    }

    /// The UTC day, of usage.
    pub fn utc_day(&self) -> Option<chrono::NaiveDate> {
        match self {
            Self::Usage { finished_at_ns, .. } => {
                Some(chrono::DateTime::from_timestamp_nanos(*finished_at_ns).date_naive())
            }
            Self::Void { .. } => None,
        }
    }

    /// The account, of usage.
    pub fn uin(&self) -> Option<u64> {
        match self {
            Self::Usage { uin, .. } => Some(*uin),
            Self::Void { .. } => None,
        }
    }
}

/// Columns of a segment that make a record.
const COLUMNS: [&str; 13] = [
    "intake",
    "line",
    "source",
    "id",
    "id_128",
    "voids",
    "uin",
    "appid",
    "task_type",
    "parameters",
    "duration_ms",
    "finished_at",
    "status",
];

/// Reads some new rows. `rows` is sorted.
pub fn of_new_rows(
    data: &DataDir,
    segments: &[Segment],
    identities: &Identities,
    rows: &[Row],
) -> Result<HashMap<Row, RealRecord>> {
    let by_segment: Vec<(usize, &[Row])> = rows
        .chunk_by(|a, b| identities.segment_of(*a) == identities.segment_of(*b))
        .map(|rows| (identities.segment_of(rows[0]), rows))
        .collect();
    let parts: Vec<Vec<(Row, RealRecord)>> = threads::map(by_segment.len(), |at| {
        let (segment, rows) = by_segment[at];
        let start = identities.starts[segment];
        let places: Vec<u32> = rows.iter().map(|row| row - start).collect();
        let frame = read_columns_and(&data.join(&segments[segment].path), &COLUMNS, DERIVED_TIME)?;
        let records = records_at(&frame, &places, |_| Some(segments[segment].batch_lo))?;
        Ok(rows.iter().copied().zip(records).collect())
    })?;
    Ok(parts.into_iter().flatten().collect())
}

/// Reads rows of one segment by (batch, line). `batches` maps intakes to batches.
pub fn of_segment(
    data: &DataDir,
    segment: &Segment,
    batches: &HashMap<i64, i64>,
    wanted: &std::collections::HashSet<(i64, u32)>,
) -> Result<Vec<RealRecord>> {
    let place = data.join(&segment.path);
    let names = read_columns(&place, &["intake", "line"])?;
    let intake = names.column("intake").and_then(Column::i64).doing("reading intakes")?;
    let line = names.column("line").and_then(Column::u32).doing("reading lines")?;
    let batch_of = |intake: i64| batches.get(&intake).copied();
    let places: Vec<u32> = (0_u32..)
        .zip(intake.into_no_null_iter().zip(line.into_no_null_iter()))
        .filter(|(_, (intake, line))| batch_of(*intake).is_some_and(|batch| wanted.contains(&(batch, *line))))
        .map(|(at, _)| at)
        .collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let frame = read_columns_and(&place, &COLUMNS, DERIVED_TIME)?;
    records_at(&frame, &places, batch_of)
}

/// Reads the rows of one account in a row group of a segment.
pub fn of_account(
    groups: &Groups,
    at: usize,
    batch_of: impl Fn(i64) -> Option<i64>,
    uin: u64,
) -> Result<Vec<RealRecord>> {
    let names = groups.read(at, &["uin"])?;
    let uins = names.column("uin").and_then(Column::u64).doing("reading accounts")?;
    let own = (0_u32..).zip(uins.iter()).filter(|(_, found)| *found == Some(uin));
    let places: Vec<u32> = own.map(|(at, _)| at).collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let columns = groups.with_optional(&COLUMNS, DERIVED_TIME);
    records_at(&groups.read(at, &columns)?, &places, batch_of)
}

/// The first rows of a segment, as many as are asked for.
pub fn first_of(path: &PathBuf, count: usize) -> Result<Vec<RealRecord>> {
    let frame = read_columns_and(path, &COLUMNS, DERIVED_TIME)?;
    let places: Vec<u32> = (0_u32..).take(count.min(frame.height())).collect();
    records_at(&frame, &places, |_| None)
}

fn records_at(frame: &DataFrame, places: &[u32], batch_of: impl Fn(i64) -> Option<i64>) -> Result<Vec<RealRecord>> {
    let index = IdxCa::from_slice("at".into(), places);
    let frame = frame.take(&index).doing("picking rows")?;
    let text = |name: &str| frame.column(name).and_then(Column::str).cloned().doing("reading rows");
    let (source, ids, voids) = (text("source")?, Ids::of(&frame)?, text("voids")?);
    let (task_type, parameters, status) = (text("task_type")?, text("parameters")?, text("status")?);
    let number = |name: &str| frame.column(name).and_then(Column::u64).cloned().doing("reading rows");
    let (uin, appid) = (number("uin")?, number("appid")?);
    let duration = frame
        .column("duration_ms")
        .and_then(Column::i64)
        .doing("reading rows")?;
    let finished_at = frame
        .column("finished_at")
        .and_then(Column::datetime)
        .doing("reading rows")?;
    let intake = frame.column("intake").and_then(Column::i64).doing("reading rows")?;
    let line = frame.column("line").and_then(Column::u32).doing("reading rows")?;
    let derived = match frame.column(DERIVED_TIME) {
        Ok(column) => Some(column.bool().cloned().doing("reading rows")?),
        Err(_) => None,
    };
    let is_derived = |at: usize| derived.as_ref().and_then(|column| column.get(at)).unwrap_or(false);
    let owned = |column: &StringChunked, at: usize| column.get(at).unwrap_or_default().to_owned();
    Ok((0..frame.height())
        .map(|at| RealRecord {
            batch: intake.get(at).and_then(&batch_of).unwrap_or(0),
            line: line.get(at).unwrap_or(0),
            source: owned(&source, at),
            id: ids.get(at).text().into_owned(),
            content: match voids.get(at) {
                Some(target) => Content::Void {
                    target: target.to_owned(),
                },
                None => Content::Usage {
                    uin: uin.get(at).unwrap_or(0),
                    appid: appid.get(at).unwrap_or(0),
                    task_type: owned(&task_type, at),
                    parameters: owned(&parameters, at),
                    duration_ms: duration.get(at).unwrap_or(0),
                    finished_at_ns: finished_at.phys.get(at).unwrap_or(0),
                    has_derived_time: is_derived(at),
                    failed: status.get(at) == Some("FAIL"),
                },
            },
        })
        .collect())
}
