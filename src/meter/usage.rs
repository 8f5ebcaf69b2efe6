//! Usage files: immutable, additive sums per account, zone, app, region, SKU, day and status, in Parquet.
//!
//! Columns: `uin`, `zone`, `appid`, `region`, `sku`, `unit` (`ms` or `count`), `day` (in the account's zone), `status`,
//! `records`, `raw`, `billable` (base units). Rows of a file are sorted; rows of the same key in several files add up. Only
//! `metered` rows have an app, region and SKU; the others are there for the control totals.

use std::path::Path;

use chrono::NaiveDate;
use polars::prelude::*;
use rayon::prelude::*;

use super::place::{Map, Place, PlaceCode, Places, UnitKind};
use super::sums::{Status, Sum, shares, unit_of_slot, unpack_slot};
use crate::error::{Doing as _, Error, Result};
use crate::files::{DigestedFile, create_dir_durably};
use crate::raw::segment::{ROW_GROUP_ROWS, parquet_writer, read_columns};
use crate::span::{day_of_number, number_of_day};

/// A usage row; its region, SKU and unit are its place's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageRow {
    pub uin: u64,
    pub appid: u64,
    pub records: i64,
    pub raw: i64,
    pub billable: i64,
    pub code: PlaceCode,
    pub day: i32,
    pub unit: UnitKind,
    pub status: Status,
}

/// The rows of sums in the order of a usage file: sums of the same key added up, those that came to nothing left out.
pub fn rows(sums: &[DataFrame], places: &Places) -> Result<Vec<UsageRow>> {
    let parts: Vec<Vec<UsageRow>> = sums
        .par_iter()
        .map(|frame| shares(frame)?.into_iter().map(row_of).collect())
        .collect::<Result<_>>()?;
    let mut rows: Vec<UsageRow> = parts.into_iter().flatten().collect();
    let ranks = ranks(places);
    let key = |row: &UsageRow| {
        (
            row.uin,
            row.status,
            row.appid,
            ranks[row.code as usize],
            row.unit,
            row.day,
        )
    };
    rows.par_sort_unstable_by_key(key);
    let mut overflow = Ok(());
    rows.dedup_by(|row, kept| {
        let same = key(row) == key(kept);
        if same && let Err(error) = kept.add(row) {
            overflow = Err(error);
        }
        same
    });
    overflow?;
    rows.retain(|row| (row.records, row.raw, row.billable) != (0, 0, 0));
    Ok(rows)
}

fn row_of(((uin, appid, slot, day), [records, raw, billable]): Sum) -> Result<UsageRow> {
    let (code, status) = unpack_slot(slot)?;
    Ok(UsageRow {
        uin,
        appid,
        records,
        raw,
        billable,
        code,
        day,
        unit: unit_of_slot(slot),
        status,
    })
}

impl UsageRow {
    fn add(&mut self, other: &Self) -> Result<()> {
        let sums = (
            self.records.checked_add(other.records),
            self.raw.checked_add(other.raw),
            self.billable.checked_add(other.billable),
        );
        let (Some(records), Some(raw), Some(billable)) = sums else {
            return Err(Error::Unbalanced(format!(
                "the usage of account {}, app {} on {} is beyond 2^63 base units",
                self.uin,
                self.appid,
                day_of_number(self.day)
            )));
        };
        (self.records, self.raw, self.billable) = (records, raw, billable);
        Ok(())
    }
}

/// The rank of each code in the order of (region, SKU), so that sorting compares numbers.
fn ranks(places: &Places) -> Vec<u32> {
    let mut named: Vec<(&str, &str, usize)> = places
        .iter()
        .enumerate()
        .map(|(code, place)| (&*place.region, &*place.sku, code))
        .collect();
    named.sort_unstable();
    let mut ranks = vec![0; named.len()];
    // Places that differ in nothing but the task type are one in the usage.
    for (rank, alike) in (0..).zip(named.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))) {
        for (_, _, code) in alike {
            ranks[*code] = rank;
        }
    }
    ranks
}

/// Writes a usage file; not synced. Returns its size and digest.
#[tracing::instrument(skip_all)]
pub fn write(place: &Path, rows: &[UsageRow], places: &Places, map: &Map) -> Result<(u64, String)> {
    if let Some(parent) = place.parent() {
        create_dir_durably(parent)?;
    }
    let (file, digest) = DigestedFile::create_new(place)?;
    let schema = frame_of(&[], places, map)?;
    let writing = || format!("writing {}", place.display());
    let mut writer = parquet_writer(file)
        .set_parallel(true)
        .batched(schema.schema())
        .doing(writing())?;
    // A few row groups are built side by side; all of them at once would double the memory.
    for rows in rows.chunks(ROW_GROUP_ROWS * rayon::current_num_threads()) {
        let frames: Vec<DataFrame> = rows
            .par_chunks(ROW_GROUP_ROWS)
            .map(|rows| frame_of(rows, places, map))
            .collect::<Result<_>>()?;
        for frame in frames {
            writer.write_batch(&frame).doing(writing())?;
        }
    }
    let bytes = writer.finish().doing(writing())?;
    Ok((bytes, digest.hex()))
}

fn frame_of(rows: &[UsageRow], places: &Places, map: &Map) -> Result<DataFrame> {
    let unsigned = |name: &str, pick: fn(&UsageRow) -> u64| {
        UInt64Chunked::from_iter_values(name.into(), rows.iter().map(pick)).into_column()
    };
    let signed = |name: &str, pick: fn(&UsageRow) -> i64| {
        Int64Chunked::from_iter_values(name.into(), rows.iter().map(pick)).into_column()
    };
    let text = |name: &str, pick: fn(&UsageRow) -> &'static str| {
        StringChunked::from_iter_values(name.into(), rows.iter().map(pick)).into_column()
    };
    let named = |name: &str, pick: fn(&Place) -> &str| {
        StringChunked::from_iter_values(name.into(), rows.iter().map(|r| pick(places.get(r.code)))).into_column()
    };
    let columns = vec![
        unsigned("uin", |r| r.uin),
        StringChunked::from_iter_values("zone".into(), rows.iter().map(|r| map.zone(r.uin).name())).into_column(),
        unsigned("appid", |r| r.appid),
        named("region", |place| &place.region),
        named("sku", |place| &place.sku),
        text("unit", |r| r.unit.text()),
        Int32Chunked::from_iter_values("day".into(), rows.iter().map(|r| r.day))
            .into_date()
            .into_column(),
        text("status", |r| r.status.text()),
        signed("records", |r| r.records),
        signed("raw", |r| r.raw),
        signed("billable", |r| r.billable),
    ];
    DataFrame::new(rows.len(), columns).doing("building usage")
}

/// A row as it stands in a file.
#[derive(Clone, Copy, Debug)]
pub struct FileRow<'a> {
    pub uin: u64,
    pub appid: u64,
    pub region: &'a str,
    pub sku: &'a str,
    /// Days since 1970.
    pub day: i32,
    pub status: &'a str,
    pub records: i64,
    pub raw: i64,
    pub billable: i64,
}

/// Reads a usage file row by row.
pub fn for_each_row(place: &Path, mut take: impl FnMut(FileRow)) -> Result<()> {
    let columns = [
        "uin", "appid", "region", "sku", "day", "status", "records", "raw", "billable",
    ];
    let frame = read_columns(&place.to_owned(), &columns)?;
    let unsigned = |name: &str| frame.column(name).and_then(Column::u64).cloned().doing("reading usage");
    let signed = |name: &str| frame.column(name).and_then(Column::i64).cloned().doing("reading usage");
    let text = |name: &str| frame.column(name).and_then(Column::str).cloned().doing("reading usage");
    let (uin, appid, region, sku) = (unsigned("uin")?, unsigned("appid")?, text("region")?, text("sku")?);
    let day = frame
        .column("day")
        .and_then(Column::date)
        .doing("reading usage")?
        .phys
        .clone();
    let (status, records, raw, billable) = (text("status")?, signed("records")?, signed("raw")?, signed("billable")?);
    let rows = uin
        .into_no_null_iter()
        .zip(appid.into_no_null_iter())
        .zip(region.iter().zip(sku.iter()))
        .zip(day.into_no_null_iter().zip(status.iter()))
        .zip(
            records
                .into_no_null_iter()
                .zip(raw.into_no_null_iter())
                .zip(billable.into_no_null_iter()),
        );
    for ((((uin, appid), (region, sku)), (day, status)), ((records, raw), billable)) in rows {
        let (region, sku, status) = (region.unwrap_or(""), sku.unwrap_or(""), status.unwrap_or(""));
        take(FileRow {
            uin,
            appid,
            region,
            sku,
            day,
            status,
            records,
            raw,
            billable,
        });
    }
    Ok(())
}

/// What closing, drafts and checks read: rows of some status whose day lies in `[from, to)`, in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageDay {
    pub uin: u64,
    pub appid: u64,
    pub region: u32,
    pub sku: u32,
    pub day: NaiveDate,
    /// The metering that wrote it.
    pub metering: u32,
    pub records: i64,
    pub raw: i64,
    pub billable: i64,
}

/// Rows of usage files with their texts held once.
#[derive(Clone, Debug, Default)]
pub struct UsageTable {
    pub rows: Vec<UsageDay>,
    names: Vec<String>,
    by_name: hashbrown::HashMap<String, u32>,
}

impl UsageTable {
    /// Reads the `metered` rows of a file (and the number of its metering) with `from <= day && day < to` that `wanted` (by account) takes.
    pub fn read(
        &mut self,
        (place, metering): (&Path, i64),
        from: NaiveDate,
        to: NaiveDate,
        wanted: &dyn Fn(u64, NaiveDate) -> bool,
    ) -> Result<()> {
        let (from, to) = (number_of_day(from), number_of_day(to));
        let metering = u32::try_from(metering).unwrap_or(u32::MAX);
        for_each_row(place, |row| {
            if row.status != Status::Metered.text() || row.day < from || to <= row.day {
                return;
            }
            let day = day_of_number(row.day);
            if wanted(row.uin, day) {
                let (region, sku) = (self.name(row.region), self.name(row.sku));
                let FileRow {
                    uin,
                    appid,
                    records,
                    raw,
                    billable,
                    ..
                } = row;
                self.rows.push(UsageDay {
                    uin,
                    appid,
                    region,
                    sku,
                    day,
                    metering,
                    records,
                    raw,
                    billable,
                });
            }
        })
    }

    fn name(&mut self, text: &str) -> u32 {
        if let Some(&known) = self.by_name.get(text) {
            return known;
        }
        let id = u32::try_from(self.names.len()).expect("regions and SKUs are few");
        self.names.push(text.to_owned());
        self.by_name.insert(text.to_owned(), id);
        id
    }

    /// The rows of an account, of a table sorted by account.
    pub fn of_account(&self, uin: u64) -> &[UsageDay] {
        let start = self.rows.partition_point(|row| row.uin < uin);
        let end = self.rows.partition_point(|row| row.uin <= uin);
        &self.rows[start..end]
    }

    pub fn text(&self, name: u32) -> &str {
        &self.names[name as usize]
    }
}
