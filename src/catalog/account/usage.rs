//! An account's days in usage files.

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
