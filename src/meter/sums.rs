//! Sums: shares of records in columns, added up by polars per (account, app, place, day, status).

use std::collections::BTreeMap;

use polars::prelude::*;

use super::place::{PlaceCode, UnitKind};
use crate::error::{Doing as _, Error, Result};
use crate::span::day_of_number;

/// What a record counts as; see section 7 of the billing rules. Quarantined lines never come this far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    Metered = 0,
    Unmetered = 1,
    Failed = 2,
    Voided = 3,
    Void = 4,
    Conflict = 5,
    Duplicate = 6,
}

impl Status {
    pub const ALL: [Self; 7] = [
        Self::Metered,
        Self::Unmetered,
        Self::Failed,
        Self::Voided,
        Self::Void,
        Self::Conflict,
        Self::Duplicate,
    ];

    pub fn text(self) -> &'static str {
        match self {
            Self::Metered => "metered",
            Self::Unmetered => "unmetered",
            Self::Failed => "failed",
            Self::Voided => "voided",
            Self::Void => "void",
            Self::Conflict => "conflict",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Rows to be added up, in columns. Negative ones take back.
#[derive(Default)]
pub struct Amounts {
    uin: Vec<u64>,
    appid: Vec<u64>,
    /// Place, unit and status; see [`pack_slot`].
    slot: Vec<u64>,
    day: Vec<i32>,
    records: Vec<i64>,
    raw: Vec<i64>,
    billable: Vec<i64>,
}

/// One row's share.
#[derive(Clone, Copy)]
pub struct Share {
    pub uin: u64,
    pub appid: u64,
    pub status: Status,
    pub code: PlaceCode,
    pub unit: UnitKind,
    pub day: i32,
    pub records: i64,
    pub raw: i64,
    pub billable: i64,
}

impl Amounts {
    pub fn with_capacity(rows: usize) -> Self {
        Self {
            uin: Vec::with_capacity(rows),
            appid: Vec::with_capacity(rows),
            slot: Vec::with_capacity(rows),
            day: Vec::with_capacity(rows),
            records: Vec::with_capacity(rows),
            raw: Vec::with_capacity(rows),
            billable: Vec::with_capacity(rows),
        }
    }

    pub fn push(&mut self, share: Share) {
        self.uin.push(share.uin);
        self.appid.push(share.appid);
        self.slot.push(pack_slot(share.code, share.unit, share.status));
        self.day.push(share.day);
        self.records.push(share.records);
        self.raw.push(share.raw);
        self.billable.push(share.billable);
    }

    /// As a frame, not added up.
    pub fn into_frame(self) -> Result<DataFrame> {
        let rows = self.uin.len();
        let columns = vec![
            UInt64Chunked::from_vec("uin".into(), self.uin).into_column(),
            UInt64Chunked::from_vec("appid".into(), self.appid).into_column(),
            UInt64Chunked::from_vec("slot".into(), self.slot).into_column(),
            Int32Chunked::from_vec("day".into(), self.day).into_column(),
            Int64Chunked::from_vec("records".into(), self.records).into_column(),
            Int64Chunked::from_vec("raw".into(), self.raw).into_column(),
            Int64Chunked::from_vec("billable".into(), self.billable).into_column(),
        ];
        DataFrame::new(rows, columns).doing("building usage")
    }
}

/// One number for place (upper 32 bits), unit (bit 8) and status (lower 8 bits), so that polars groups by few columns.
pub fn pack_slot(code: PlaceCode, unit: UnitKind, status: Status) -> u64 {
    u64::from(code) << 32 | u64::from(unit == UnitKind::Count) << 8 | status as u64
}

/// The unit of a slot.
pub fn unit_of_slot(slot: u64) -> UnitKind {
    if slot & 0x100 == 0 {
        UnitKind::Ms
    } else {
        UnitKind::Count
    }
}

/// Place code and status of a slot.
pub fn unpack_slot(slot: u64) -> Result<(PlaceCode, Status)> {
    let code = PlaceCode::try_from(slot >> 32).expect("32 bits are left");
    let status = Status::ALL.into_iter().find(|s| *s as u64 == slot & 0xff);
    status
        .map(|status| (code, status))
        .ok_or_else(|| Error::Unbalanced(format!("usage slot {slot} has no status")))
}

/// Adds up by (account, app, slot, day): sums in 64 bits, or an error where they might not fit.
pub fn add_up(frame: DataFrame) -> Result<DataFrame> {
    for name in ["records", "raw", "billable"] {
        let column = frame.column(name).and_then(Column::i64).doing("adding up usage")?;
        let largest = column.into_no_null_iter().map(i64::unsigned_abs).max().unwrap_or(0);
        if u128::from(largest) * frame.height() as u128 > u128::from(i64::MAX.cast_unsigned()) {
            return add_up_checked(&frame);
        }
    }
    frame
        .lazy()
        .group_by([col("uin"), col("appid"), col("slot"), col("day")])
        .agg([col("records").sum(), col("raw").sum(), col("billable").sum()])
        .collect()
        .doing("adding up usage")
}

/// The slow way, for values so large that a sum might overflow.
fn add_up_checked(frame: &DataFrame) -> Result<DataFrame> {
    let mut sums: BTreeMap<(u64, u64, u64, i32), [i64; 3]> = BTreeMap::new();
    for share in shares(frame)? {
        let (key, values) = share;
        let sum = sums.entry(key).or_default();
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum = sum.checked_add(value).ok_or_else(|| {
                Error::Unbalanced(format!(
                    "the usage of account {}, app {} on {} is beyond 2^63 base units",
                    key.0,
                    key.1,
                    day_of_number(key.3)
                ))
            })?;
        }
    }
    let mut amounts = Amounts::default();
    for ((uin, appid, slot, day), [records, raw, billable]) in sums {
        let (code, status) = unpack_slot(slot)?;
        amounts.push(Share {
            uin,
            appid,
            status,
            code,
            unit: unit_of_slot(slot),
            day,
            records,
            raw,
            billable,
        });
    }
    amounts.into_frame()
}

/// A row of an added-up frame: (uin, appid, slot, day) and (records, raw, billable).
pub type Sum = ((u64, u64, u64, i32), [i64; 3]);

/// The rows of a frame of sums.
pub fn shares(frame: &DataFrame) -> Result<Vec<Sum>> {
    let unsigned = |name: &str| frame.column(name).and_then(Column::u64).doing("reading sums");
    let signed = |name: &str| frame.column(name).and_then(Column::i64).doing("reading sums");
    let day = frame.column("day").and_then(Column::i32).doing("reading sums")?;
    let keys = unsigned("uin")?
        .into_no_null_iter()
        .zip(unsigned("appid")?.into_no_null_iter())
        .zip(unsigned("slot")?.into_no_null_iter())
        .zip(day.into_no_null_iter());
    let values = signed("records")?
        .into_no_null_iter()
        .zip(signed("raw")?.into_no_null_iter())
        .zip(signed("billable")?.into_no_null_iter());
    Ok(keys
        .zip(values)
        .map(|((((uin, appid), slot), day), ((records, raw), billable))| {
            ((uin, appid, slot, day), [records, raw, billable])
        })
        .collect())
}
