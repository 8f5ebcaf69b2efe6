//! A row of usage: what records of one account, app, SKU, day and status add up to.

use super::sku_region::{SkuCode, UnitKind};

/// What a record counts as; see section 7 of the billing rules. Quarantined lines never come this far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// Usage of one record, or of several added up. Negative numbers take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageRow {
    pub uin: u64,
    pub appid: u64,
    pub status: Status,
    pub code: SkuCode,
    pub unit: UnitKind,
    /// Of the account's zone, days since 1970.
    pub day: i32,
    pub records: i64,
    /// Base units.
    pub raw: i64,
    /// Base units.
    pub billable: i64,
}
