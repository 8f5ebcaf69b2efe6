//! Usage files: immutable, additive sums per account, zone, app, region, SKU, day and status, in Parquet.
//!
//! Columns: `uin`, `zone`, `appid`, `region`, `sku`, `unit` (`ms` or `count`), `day` (in the account's zone), `status`,
//! `records`, `raw`, `billable` (base units). Rows of a file are sorted; rows of the same key in several files add up. Only
//! `metered` rows have an app, region and SKU; the others are there for the control totals. An account's rows lie in one row
//! group, or in several that follow each other, and the footer has the accounts' range of each row group.

pub mod daily;
pub mod renamed;
pub mod row;
pub(crate) mod row_group;
pub mod sku_region;
pub mod table;

use chrono_tz::Tz;
use polars_arrow::array::PrimitiveArray;
use polars_arrow::datatypes::ArrowDataType;

use row::{Status, UsageRow};
use sku_region::{SkuRegion, SkuRegions, UnitKind};

use crate::storage::parquet_writer::{FileColumn, Packing};

/// Rows as columns of a usage file; `zone_of` gives the zone of an account.
pub fn columns(rows: &[UsageRow], places: &SkuRegions, zone_of: impl Fn(u64) -> Tz) -> Vec<FileColumn> {
    let signed = |name: &'static str, pick: fn(&UsageRow) -> i64| {
        FileColumn::numbers(name, rows.iter().map(pick).collect(), Packing::Deltas)
    };
    let named = |name: &'static str, pick: fn(&SkuRegion) -> &str| {
        let numbers = rows.iter().map(|row| row.code).collect();
        FileColumn::named(name, numbers, places.iter().map(pick))
    };
    let statuses = rows.iter().map(|row| row.status as u32).collect();
    let units = rows.iter().map(|row| row.unit as u32).collect();
    let days = rows.iter().map(|row| row.day).collect();
    vec![
        runs("uin", rows.iter().map(|row| row.uin)).with_range(),
        zones(rows, zone_of),
        runs("appid", rows.iter().map(|row| row.appid)),
        named("region", |place| &place.region),
        named("sku", |place| &place.sku),
        FileColumn::named("unit", units, UnitKind::ALL.iter().map(|unit| unit.text())),
        FileColumn::typed("day", days, ArrowDataType::Date32, Packing::Deltas),
        FileColumn::named("status", statuses, Status::ALL.iter().map(|status| status.text())),
        signed("records", |row| row.records),
        signed("raw", |row| row.raw),
        signed("billable", |row| row.billable),
    ]
}

/// Numbers that stay the same for many rows: each run's once.
fn runs(name: &'static str, of_rows: impl Iterator<Item = u64>) -> FileColumn {
    let mut values: Vec<u64> = Vec::new();
    let numbers = of_rows.map(|value| {
        if values.last() != Some(&value) {
            values.push(value);
        }
        u32::try_from(values.len() - 1).expect("runs are fewer than rows")
    });
    let numbers = numbers.collect();
    FileColumn::distinct(name, numbers, Box::new(PrimitiveArray::from_vec(values)))
}

fn zones(rows: &[UsageRow], zone_of: impl Fn(u64) -> Tz) -> FileColumn {
    let mut names: Vec<&str> = Vec::new();
    let mut last = None;
    let mut number = 0;
    let mut numbers = Vec::with_capacity(rows.len());
    for row in rows {
        if last != Some(row.uin) {
            last = Some(row.uin);
            let name = zone_of(row.uin).name();
            let known = names.iter().position(|known| *known == name);
            number = u32::try_from(known.unwrap_or(names.len())).expect("zones are few");
            if known.is_none() {
                names.push(name);
            }
        }
        numbers.push(number);
    }
    FileColumn::named("zone", numbers, names.into_iter())
}
