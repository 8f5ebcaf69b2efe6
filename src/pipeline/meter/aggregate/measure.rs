//! Measuring: the new rows of a segment become sums per (account, app, place, day, status).

use std::path::Path;

use hashbrown::HashMap;
use polars::prelude::*;
use polars_arrow::array::{Array as _, PrimitiveArray, Utf8ViewArray};

use crate::catalog::rate_card::meter::billable;
use crate::pipeline::meter::aggregate::usage_sums::{RowsToSum, Sums};
use crate::pipeline::meter::classify::sku_cache::{AccountCards, Classified, LocalDay, Reason, SkuCache};
use crate::pipeline::meter::dedupe::RowVerdict;
use crate::pipeline::meter::dedupe::stored_record::{Content, RealRecord};
use crate::storage::raw::segment::for_each_group;
use crate::storage::usage::row::{Status, UsageRow};
use crate::storage::usage::sku_region::{NO_SKU_COUNT, NO_SKU_MS, UnitKind};
use crate::support::error::{Doing as _, Error, Result};

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

/// What came of some rows, for the control totals; counted row by row, apart from what is sorted and added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub records: i64,
    pub raw_ms: i128,
    pub raw_count: i128,
}

/// What is listed of rows, beside their sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Records that no meter takes, for people and for later cards.
    Unmetered,
    Nothing,
}

/// What a segment's new rows came to.
pub struct Measured {
    pub sums: Sums,
    pub received: Received,
    pub unmetered: Vec<UnmeteredRecord>,
    /// Voids, conflicts of voids and repeats of voids: they have no account.
    pub without_account: [i64; Status::ALL.len()],
}

const COLUMNS: [&str; 8] = [
    "line",
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
    path: &Path,
    batch: i64,
    verdicts: &[RowVerdict],
    map: &AccountCards,
    days: &[Vec<LocalDay>],
    lookup: &SkuCache,
    listing: Listing,
) -> Result<Measured> {
    let mut deltas = RowsToSum::with_capacity(verdicts.len());
    let mut known = Known::default();
    let mut measured = Measured {
        sums: Sums::default(),
        received: Received::default(),
        unmetered: Vec::new(),
        without_account: [0; Status::ALL.len()],
    };
    let mut start = 0;
    for_each_group(path, &COLUMNS, |frame| {
        let end = start + frame.height();
        let Some(verdicts) = verdicts.get(start..end) else {
            return Err(changed(path));
        };
        let rows = GroupRows::of(&frame)?;
        let texts = text_ids(&rows, lookup);
        for (at, &verdict) in verdicts.iter().enumerate() {
            measured.received.records += 1;
            let Some(row) = rows.get(at) else {
                measured.without_account[status_without_account(verdict) as usize] += 1;
                continue;
            };
            let day = local_day_at(&days[map.class(row.uin)], row.finished_at_ns);
            let classified = known.place(lookup, texts[at], day.version);
            let (raw, unit) = classified.raw(row.duration_ms);
            match unit {
                UnitKind::Ms => measured.received.raw_ms += i128::from(raw),
                UnitKind::Count => measured.received.raw_count += i128::from(raw),
            }
            let delta = delta_of(&row, verdict, classified, day.day)?;
            if let (Status::Unmetered, Classified::Nowhere(reason), Listing::Unmetered) =
                (delta.status, classified, listing)
            {
                let record = unmetered(
                    &row,
                    (batch, rows.line[at]),
                    lookup.name(texts[at]),
                    lookup.reason(reason),
                );
                measured.unmetered.push(record);
            }
            deltas.push(&delta)?;
        }
        start = end;
        Ok(())
    })?;
    if start != verdicts.len() {
        return Err(changed(path));
    }
    measured.sums = deltas.add_up()?;
    Ok(measured)
}

fn changed(path: &Path) -> Error {
    Error::damaged(path, "changed its number of rows while it was metered")
}

fn unmetered(
    row: &RowFields,
    (batch, line): (i64, u32),
    (task_type, parameters): (String, String),
    reason: Reason,
) -> UnmeteredRecord {
    UnmeteredRecord {
        batch,
        line,
        uin: row.uin,
        appid: row.appid,
        task_type,
        parameters,
        duration_ms: row.duration_ms,
        finished_at_ns: row.finished_at_ns,
        code: reason.code.to_owned(),
        sentence: reason.sentence,
    }
}

/// What the SKU cache said, by card version and text, so that rows do not queue for it.
#[derive(Default)]
struct Known {
    by_version: Vec<Vec<Option<Classified>>>,
}

impl Known {
    fn place(&mut self, lookup: &SkuCache, text: u32, version: Option<usize>) -> Classified {
        let (version_at, text_at) = (version.map_or(0, |version| version + 1), text as usize);
        if self.by_version.len() <= version_at {
            self.by_version.resize_with(version_at + 1, Vec::new);
        }
        let by_text = &mut self.by_version[version_at];
        if by_text.len() <= text_at {
            by_text.resize(text_at + 1, None);
        }
        *by_text[text_at].get_or_insert_with(|| lookup.place(text, version))
    }
}

/// The usage of a record metered before: what it counted as then.
pub fn delta_of_record(record: &RealRecord, map: &AccountCards, lookup: &SkuCache) -> Result<Option<UsageRow>> {
    let Content::Usage {
        uin,
        appid,
        task_type,
        parameters,
        duration_ms,
        finished_at_ns,
        failed,
        ..
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
    delta_of_fields(&row, task_type, parameters, map, lookup).map(Some)
}

/// A record that no meter takes, as its list has it; none when a meter does.
pub fn unmetered_of(record: &RealRecord, map: &AccountCards, lookup: &SkuCache) -> Result<Option<UnmeteredRecord>> {
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
    let Classified::Nowhere(reason) = lookup.place(lookup.text(task_type, parameters), day.version) else {
        return Ok(None);
    };
    let reason = lookup.reason(reason);
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
fn local_day_of(uin: u64, at_ns: i64, map: &AccountCards) -> LocalDay {
    let at = chrono::DateTime::from_timestamp_nanos(at_ns);
    let days = map.local_days(at, at + chrono::TimeDelta::nanoseconds(1));
    local_day_at(&days[map.class(uin)], at_ns)
}

/// The usage of an accepted record given by its fields.
pub fn delta_of_fields(
    row: &RowFields,
    task_type: &str,
    parameters: &str,
    map: &AccountCards,
    lookup: &SkuCache,
) -> Result<UsageRow> {
    let day = local_day_of(row.uin, row.finished_at_ns, map);
    let text = lookup.text(task_type, parameters);
    let classified = lookup.place(text, day.version);
    delta_of(row, RowVerdict::Accepted, classified, day.day)
}

fn status_without_account(verdict: RowVerdict) -> Status {
    match verdict {
        RowVerdict::Accepted | RowVerdict::Voided => Status::Void,
        RowVerdict::Duplicate | RowVerdict::SecondVoid => Status::Duplicate,
        RowVerdict::Conflict => Status::Conflict,
    }
}

fn delta_of(row: &RowFields, verdict: RowVerdict, classified: Classified, day: i32) -> Result<UsageRow> {
    let status = match (verdict, classified) {
        (RowVerdict::Duplicate | RowVerdict::SecondVoid, _) => Status::Duplicate,
        (RowVerdict::Conflict, _) => Status::Conflict,
        (RowVerdict::Voided, _) => Status::Voided,
        (RowVerdict::Accepted, _) if row.failed => Status::Failed,
        (RowVerdict::Accepted, Classified::Nowhere(_)) => Status::Unmetered,
        (RowVerdict::Accepted, Classified::At { .. }) => Status::Metered,
    };
    let (raw, unit) = classified.raw(row.duration_ms);
    let (code, appid, billable) = match (status, classified) {
        (
            Status::Metered,
            Classified::At {
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
        _ if unit == UnitKind::Count => (NO_SKU_COUNT, 0, 0),
        _ => (NO_SKU_MS, 0, 0),
    };
    let signed = |value: u64| i64::try_from(value).map_err(|_| overflow(row, raw));
    Ok(UsageRow {
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

/// Columns of a row group, by row.
struct GroupRows<'a> {
    line: &'a [u32],
    uin: &'a PrimitiveArray<u64>,
    appid: &'a [u64],
    task_type: &'a Utf8ViewArray,
    parameters: &'a Utf8ViewArray,
    duration_ms: &'a [i64],
    finished_at_ns: &'a [i64],
    status: &'a Utf8ViewArray,
}

impl<'a> GroupRows<'a> {
    fn of(frame: &'a DataFrame) -> Result<Self> {
        let column = |name: &str| frame.column(name).doing("reading raw");
        let unsigned = |name: &str| Ok::<_, Error>(column(name)?.u64().doing("reading raw")?.downcast_as_array());
        let text = |name: &str| Ok::<_, Error>(column(name)?.str().doing("reading raw")?.downcast_as_array());
        let duration_ms = column("duration_ms")?.i64().doing("reading raw")?;
        let finished_at = column("finished_at")?.datetime().doing("reading raw")?;
        Ok(Self {
            line: column("line")?.u32().doing("reading raw")?.downcast_as_array().values(),
            uin: unsigned("uin")?,
            appid: unsigned("appid")?.values(),
            task_type: text("task_type")?,
            parameters: text("parameters")?,
            duration_ms: duration_ms.downcast_as_array().values(),
            finished_at_ns: finished_at.phys.downcast_as_array().values(),
            status: text("status")?,
        })
    }

    /// A usage row; none for a void.
    fn get(&self, at: usize) -> Option<RowFields> {
        if self.uin.is_null(at) {
            return None;
        }
        Some(RowFields {
            uin: self.uin.value(at),
            appid: self.appid[at],
            duration_ms: self.duration_ms[at],
            finished_at_ns: self.finished_at_ns[at],
            failed: self.status.value(at) == "FAIL",
        })
    }
}

/// The number of each row's (task type, parameters). Texts repeat, and within a row group equal views are equal texts: each
/// pair of views is looked up once.
fn text_ids(rows: &GroupRows, lookup: &SkuCache) -> Vec<u32> {
    let mut known: HashMap<(u128, u128), usize> = HashMap::new();
    let mut distinct = Vec::new();
    let views = |texts: &Utf8ViewArray, at: usize| texts.views()[at].as_u128();
    let places: Vec<usize> = (0..rows.uin.len())
        .map(|at| {
            let name = (views(rows.task_type, at), views(rows.parameters, at));
            *known.entry(name).or_insert_with(|| {
                distinct.push((rows.task_type.value(at), rows.parameters.value(at)));
                distinct.len() - 1
            })
        })
        .collect();
    let numbers = lookup.texts(&distinct);
    places.into_iter().map(|place| numbers[place]).collect()
}
