//! An account's days in usage files, and its records in raw.

use std::path::PathBuf;

use chrono::NaiveDate;
use polars::prelude::*;

use crate::storage::raw::segment::read_columns;
use crate::support::error::{Doing as _, Result};
use crate::values::calendar::day_of_number;

/// The last day on which a usage file has something of an account, whatever its status.
pub fn last_day(path: &PathBuf, uin: u64) -> Result<Option<NaiveDate>> {
    let frame = read_columns(path, &["uin", "day"])?;
    let uins = frame.column("uin").and_then(Column::u64).doing("reading usage")?;
    let days = frame.column("day").and_then(Column::date).doing("reading usage")?;
    let rows = uins.iter().zip(days.phys.iter());
    let own = rows.filter(|(found, _)| *found == Some(uin)).filter_map(|(_, day)| day);
    Ok(own.max().map(day_of_number))
}

/// When the last record of an account in a raw segment finished, at or after an instant, whatever became of it; nanoseconds since 1970.
pub fn last_record_from(path: &PathBuf, uin: u64, from_ns: i64) -> Result<Option<i64>> {
    let frame = read_columns(path, &["uin", "finished_at"])?;
    let uins = frame.column("uin").and_then(Column::u64).doing("reading raw")?;
    let times = frame.column("finished_at").and_then(Column::datetime);
    let times = times.doing("reading raw")?;
    let rows = uins.iter().zip(times.phys.iter());
    let own = rows
        .filter(|(found, _)| *found == Some(uin))
        .filter_map(|(_, time)| time);
    Ok(own.max().filter(|last| from_ns <= *last))
}

/// How many records a raw segment has of an account.
pub fn rows_of(path: &PathBuf, uin: u64) -> Result<i64> {
    let frame = read_columns(path, &["uin"])?;
    let uins = frame.column("uin").and_then(Column::u64).doing("reading raw")?;
    let own = uins.iter().filter(|found| *found == Some(uin)).count();
    Ok(i64::try_from(own).unwrap_or(i64::MAX))
}
