//! Measuring: the new rows of a segment become sums per (account, app, place, day, status), added up by polars.

use polars::prelude::*;

use super::content::{Content, RealRecord};
use super::dedupe::RowVerdict;
use super::place::{LocalDay, Map, NO_PLACE_COUNT, NO_PLACE_MS, Placed, Placer, UnitKind};
use super::sums::{Amounts, Share, Status, add_up};
use crate::card::meter::billable;
use crate::error::{Doing as _, Error, Result};
use crate::raw::segment::read_columns;

/// A record that no meter took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmeteredRecord {
    pub batch: i64,
    pub line: u32,
    pub uin: u64,
    pub appid: u64,
    pub task_type: String,
    pub parameters: String,
    pub duration_ms: i64,
    pub finished_at_ns: i64,
    pub code: String,
    pub sentence: String,
}

/// What came of some rows, for the control totals; counted row by row, apart from what polars adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub records: i64,
    pub raw_ms: i128,
    pub raw_count: i128,
}

/// What a segment's new rows came to.
pub struct Measured {
    pub sums: DataFrame,
    pub received: Received,
    pub unmetered: Vec<UnmeteredRecord>,
    /// Voids, conflicts of voids and repeats of voids: they have no account.
    pub without_account: [i64; Status::ALL.len()],
}

const COLUMNS: [&str; 7] = [
    "uin",
    "appid",
    "task_type",
    "parameters",
    "duration_ms",
    "finished_at",
    "status",
];

/// Measures the rows of one segment. `days` are the local days of the segment's UTC day, by class.
pub fn measure_segment(
    place: &std::path::PathBuf,
    batch: i64,
    lines: &[u32],
    verdicts: &[RowVerdict],
    map: &Map,
    days: &[Vec<LocalDay>],
    placer: &Placer,
) -> Result<Measured> {
    let frame = read_columns(place, &COLUMNS)?;
    if frame.height() != verdicts.len() {
        return Err(Error::damaged(place, "changed its number of rows while it was metered"));
    }
    let rows = SegmentRows::of(&frame)?;
    let texts = text_ids(&rows, placer);
    let mut amounts = Amounts::with_capacity(frame.height());
    let mut known = Known::default();
    let mut measured = Measured {
        sums: DataFrame::empty(),
        received: Received::default(),
        unmetered: Vec::new(),
        without_account: [0; Status::ALL.len()],
    };
    for (at, &verdict) in verdicts.iter().enumerate() {
        measured.received.records += 1;
        let Some(row) = rows.get(at) else {
            measured.without_account[status_without_account(verdict) as usize] += 1;
            continue;
        };
        let day = local_day_at(&days[map.class(row.uin)], row.finished_at_ns);
        let placed = known.place(placer, texts[at], day.version);
        let (raw, unit) = placed.raw(row.duration_ms);
        match unit {
            UnitKind::Ms => measured.received.raw_ms += i128::from(raw),
            UnitKind::Count => measured.received.raw_count += i128::from(raw),
        }
        let share = share_of(&row, verdict, placed, day.day)?;
        if let (Status::Unmetered, Placed::Nowhere(reason)) = (share.status, placed) {
            let (task_type, parameters) = placer.name(texts[at]);
            let reason = placer.reason(reason);
            measured.unmetered.push(UnmeteredRecord {
                batch,
                line: lines[at],
                uin: row.uin,
                appid: row.appid,
                task_type,
                parameters,
                duration_ms: row.duration_ms,
                finished_at_ns: row.finished_at_ns,
                code: reason.code.to_owned(),
                sentence: reason.sentence,
            });
        }
        amounts.push(share);
    }
    measured.sums = add_up(amounts.into_frame()?)?;
    Ok(measured)
}

/// What the placer said, by card version and text, so that rows do not queue for it.
#[derive(Default)]
struct Known {
    by_version: Vec<Vec<Option<Placed>>>,
}

impl Known {
    fn place(&mut self, placer: &Placer, text: u32, version: Option<usize>) -> Placed {
        let (version_at, text_at) = (version.map_or(0, |version| version + 1), text as usize);
        if self.by_version.len() <= version_at {
            self.by_version.resize_with(version_at + 1, Vec::new);
        }
        let by_text = &mut self.by_version[version_at];
        if by_text.len() <= text_at {
            by_text.resize(text_at + 1, None);
        }
        *by_text[text_at].get_or_insert_with(|| placer.place(text, version))
    }
}

/// The share of a record metered before: what it counted as then.
pub fn share_of_record(record: &RealRecord, map: &Map, placer: &Placer) -> Result<Option<Share>> {
    let Content::Usage {
        uin,
        appid,
        task_type,
        parameters,
        duration_ms,
        finished_at_ns,
        failed,
    } = &record.content
    else {
        return Ok(None);
    };
    let row = RowFields {
        uin: *uin,
        appid: *appid,
        duration_ms: *duration_ms,
        finished_at_ns: *finished_at_ns,
        failed: *failed,
    };
    share_of_fields(&row, task_type, parameters, map, placer).map(Some)
}

/// A record that no meter takes, as its list has it; none when a meter does.
pub fn unmetered_of(record: &RealRecord, map: &Map, placer: &Placer) -> Result<Option<UnmeteredRecord>> {
    let Content::Usage {
        uin,
        appid,
        task_type,
        parameters,
        duration_ms,
        finished_at_ns,
        ..
    } = &record.content
    else {
        return Ok(None);
    };
    let day = local_day_of(*uin, *finished_at_ns, map);
    let Placed::Nowhere(reason) = placer.place(placer.text(task_type, parameters), day.version) else {
        return Ok(None);
    };
    let reason = placer.reason(reason);
    Ok(Some(UnmeteredRecord {
        batch: record.batch,
        line: record.line,
        uin: *uin,
        appid: *appid,
        task_type: task_type.clone(),
        parameters: parameters.clone(),
        duration_ms: *duration_ms,
        finished_at_ns: *finished_at_ns,
        code: reason.code.to_owned(),
        sentence: reason.sentence,
    }))
}

/// The account's day of an instant, and the card version in force on it.
fn local_day_of(uin: u64, at_ns: i64, map: &Map) -> LocalDay {
    let at = chrono::DateTime::from_timestamp_nanos(at_ns);
    let days = map.local_days(at, at + chrono::TimeDelta::nanoseconds(1));
    local_day_at(&days[map.class(uin)], at_ns)
}

/// The share of an accepted record given by its fields.
pub fn share_of_fields(
    row: &RowFields,
    task_type: &str,
    parameters: &str,
    map: &Map,
    placer: &Placer,
) -> Result<Share> {
    let day = local_day_of(row.uin, row.finished_at_ns, map);
    let text = placer.text(task_type, parameters);
    let placed = placer.place(text, day.version);
    share_of(row, RowVerdict::Accepted, placed, day.day)
}

fn status_without_account(verdict: RowVerdict) -> Status {
    match verdict {
        RowVerdict::Accepted | RowVerdict::Voided => Status::Void,
        RowVerdict::Duplicate | RowVerdict::SecondVoid => Status::Duplicate,
        RowVerdict::Conflict => Status::Conflict,
    }
}

fn share_of(row: &RowFields, verdict: RowVerdict, placed: Placed, day: i32) -> Result<Share> {
    let status = match (verdict, placed) {
        (RowVerdict::Duplicate | RowVerdict::SecondVoid, _) => Status::Duplicate,
        (RowVerdict::Conflict, _) => Status::Conflict,
        (RowVerdict::Voided, _) => Status::Voided,
        (RowVerdict::Accepted, _) if row.failed => Status::Failed,
        (RowVerdict::Accepted, Placed::Nowhere(_)) => Status::Unmetered,
        (RowVerdict::Accepted, Placed::At { .. }) => Status::Metered,
    };
    let (raw, unit) = placed.raw(row.duration_ms);
    let (code, appid, billable) = match (status, placed) {
        (
            Status::Metered,
            Placed::At {
                code,
                minimum,
                round_up_to,
                ..
            },
        ) => (
            code,
            row.appid,
            billable(raw, minimum, round_up_to).ok_or_else(|| overflow(row, raw))?,
        ),
        _ if unit == UnitKind::Count => (NO_PLACE_COUNT, 0, 0),
        _ => (NO_PLACE_MS, 0, 0),
    };
    let signed = |value: u64| i64::try_from(value).map_err(|_| overflow(row, raw));
    Ok(Share {
        uin: row.uin,
        appid,
        status,
        code,
        unit,
        day,
        records: 1,
        raw: signed(raw)?,
        billable: signed(billable)?,
    })
}

fn overflow(row: &RowFields, raw: u64) -> Error {
    Error::Unbalanced(format!(
        "{raw} base units of a record of account {} are beyond 2^63 after rounding up",
        row.uin
    ))
}

fn local_day_at(days: &[LocalDay], at_ns: i64) -> LocalDay {
    let found = days.iter().find(|day| at_ns < day.until_ns).or(days.last());
    *found.expect("a UTC day touches a local day")
}

/// The fields of a usage record that measuring needs.
#[derive(Clone, Copy, Debug)]
pub struct RowFields {
    pub uin: u64,
    pub appid: u64,
    pub duration_ms: i64,
    pub finished_at_ns: i64,
    pub failed: bool,
}

/// Columns of a segment, by row.
struct SegmentRows {
    uin: UInt64Chunked,
    appid: Vec<u64>,
    task_type: StringChunked,
    parameters: StringChunked,
    uins: Vec<u64>,
    duration_ms: Vec<i64>,
    finished_at_ns: Vec<i64>,
    failed: Vec<bool>,
}

impl SegmentRows {
    fn of(frame: &DataFrame) -> Result<Self> {
        let unsigned = |name: &str| frame.column(name).and_then(Column::u64).doing("reading raw");
        let filled = |column: &Int64Chunked| column.iter().map(|v| v.unwrap_or(0)).collect();
        let uin = unsigned("uin")?.clone();
        let text = |name: &str| frame.column(name).and_then(Column::str).cloned().doing("reading raw");
        let finished_at = frame
            .column("finished_at")
            .and_then(Column::datetime)
            .doing("reading raw")?;
        let status = text("status")?;
        Ok(Self {
            uins: uin.iter().map(|v| v.unwrap_or(0)).collect(),
            uin,
            appid: unsigned("appid")?.iter().map(|v| v.unwrap_or(0)).collect(),
            task_type: text("task_type")?,
            parameters: text("parameters")?,
            duration_ms: filled(frame.column("duration_ms").and_then(Column::i64).doing("reading raw")?),
            finished_at_ns: filled(&finished_at.phys),
            failed: status.iter().map(|s| s == Some("FAIL")).collect(),
        })
    }

    /// A usage row; none for a void.
    fn get(&self, at: usize) -> Option<RowFields> {
        if self.uin.null_count() > 0 && self.uin.get(at).is_none() {
            return None;
        }
        Some(RowFields {
            uin: self.uins[at],
            appid: self.appid[at],
            duration_ms: self.duration_ms[at],
            finished_at_ns: self.finished_at_ns[at],
            failed: self.failed[at],
        })
    }
}

/// The number of each row's (task type, parameters). Texts repeat, so a row only looks up where its parameters lie:
/// parameters of the same bytes in memory are the same text, and equal text elsewhere gets the same number from the placer.
fn text_ids(rows: &SegmentRows, placer: &Placer) -> Vec<u32> {
    let mut known: hashbrown::HashMap<(usize, usize, u64), (&str, u32)> = hashbrown::HashMap::new();
    let mut ids = Vec::with_capacity(rows.uins.len());
    for (task_type, parameters) in rows.task_type.iter().zip(rows.parameters.iter()) {
        let (task_type, parameters) = (task_type.unwrap_or(""), parameters.unwrap_or(""));
        let name = (parameters.as_ptr() as usize, parameters.len(), tail_word(task_type));
        let has_own_place = parameters.len() > INLINE_TEXT_BYTES;
        let id = match known.get(&name) {
            Some(&(known_type, id)) if has_own_place && known_type == task_type => id,
            _ => {
                let id = placer.text(task_type, parameters);
                known.insert(name, (task_type, id));
                id
            }
        };
        ids.push(id);
    }
    ids
}

/// The last bytes of a text as one word: enough to tell task types apart in most cases; what it confuses is compared.
fn tail_word(text: &str) -> u64 {
    text.bytes()
        .rev()
        .take(8)
        .fold(0, |word, byte| word << 8 | u64::from(byte))
}

/// Texts up to this lie in the row's own view in memory, and share no place with their like.
const INLINE_TEXT_BYTES: usize = 12;
