//! Booking: the usage of a metering, account range by account range: its file, and what the ledger is to know of it.

use std::path::Path;

use chrono::NaiveDate;

use super::account_usage::{first_days, late_usage, usage_daily};
use super::merge_sums::Pieces;
use crate::context::Books;
use crate::pipeline::meter::snapshot::Snapshot;
use crate::pipeline::meter::store::{AccountDays, NewUsageFile};
use crate::pipeline::meter::totals::Outcome;
use crate::storage::durable_files::create_dir_durably;
use crate::storage::parquet_writer::{ColumnFile, RowGroup, Schema, schema_of};
use crate::storage::raw::segment::ROW_GROUP_ROWS;
use crate::storage::usage;
use crate::storage::usage::row::Status;
use crate::storage::usage::row::UsageRow;
use crate::support::error::Result;
use crate::support::overlap::Taker;
use crate::support::threads;
use crate::values::calendar::day_of_number;

/// Pieces that may be made before it is their turn: enough that no thread waits long for another, few enough for memory.
const PIECES_AHEAD: usize = 2;

/// The usage of a metering, but for what its pieces have for the ledger.
pub struct Booked {
    /// Written, not synced; none without usage.
    pub file: Option<NewUsageFile>,
    /// Metered records, and their raw base units.
    pub metered: (i64, i128),
}

/// What some accounts' usage has for the ledger.
pub struct Piece {
    /// Metered usage per account and month, for dashboards.
    pub days: Vec<AccountDays>,
    /// The first day with records of each account.
    pub first_days: Vec<(u64, NaiveDate)>,
    /// Metered usage on days whose period is closed: account, day, records, billable.
    pub late: Vec<(u64, NaiveDate, i64, i64)>,
}

/// Puts the sums together, writes the usage file, and hands on what the ledger is to know.
#[tracing::instrument(skip_all)]
pub fn book(books: &Books, snapshot: &Snapshot, outcome: &Outcome, intake: i64, to: &Taker<Piece>) -> Result<Booked> {
    let pieces = outcome.pieces();
    let path = format!("usage/i{intake:08}.parquet");
    let mut file = UsageFile::default();
    let mut metered = (0, 0);
    let make = |at| Made::of(snapshot, outcome, &pieces, at);
    threads::in_order(pieces.count(), PIECES_AHEAD, make, |made| {
        file.add(&books.data.join(&path), &made)?;
        metered = (metered.0 + made.metered.0, metered.1 + made.metered.1);
        to.take(made.piece)
    })?;
    let file = file.finish(path)?;
    Ok(Booked { file, metered })
}

/// A piece, and what of it goes into the usage file.
struct Made {
    groups: Vec<(RowGroup, Schema)>,
    days_touched: Option<(i32, i32)>,
    metered: (i64, i128),
    piece: Piece,
}

impl Made {
    fn of(snapshot: &Snapshot, outcome: &Outcome, pieces: &Pieces, at: usize) -> Result<Self> {
        let rows = pieces.rows(at)?;
        let group = |rows: &[UsageRow]| {
            let columns = usage::columns(rows, &outcome.places, |uin| snapshot.map.zone(uin));
            let schema = schema_of(&columns);
            Ok((RowGroup::of(columns)?, schema))
        };
        let metered = rows.iter().filter(|row| row.status == Status::Metered);
        let metered = metered.fold((0, 0), |sum, row| (sum.0 + row.records, sum.1 + i128::from(row.raw)));
        let days = rows.iter().map(|row| row.day);
        Ok(Self {
            groups: rows.chunks(2 * ROW_GROUP_ROWS).map(group).collect::<Result<_>>()?,
            days_touched: days.clone().min().zip(days.max()),
            metered,
            piece: Piece {
                days: usage_daily(&rows, &outcome.places)?,
                first_days: first_days(&rows),
                late: late_usage(snapshot, &rows),
            },
        })
    }
}

/// The usage file while it is written; none is made for no rows.
#[derive(Default)]
struct UsageFile {
    open: Option<ColumnFile>,
    days: Option<(i32, i32)>,
    rows: usize,
}

impl UsageFile {
    fn add(&mut self, path: &Path, made: &Made) -> Result<()> {
        for (group, schema) in &made.groups {
            let file = match &mut self.open {
                Some(file) => file,
                none => {
                    path.parent().map_or(Ok(()), create_dir_durably)?;
                    none.insert(ColumnFile::create(path, schema.clone())?)
                }
            };
            file.write(group)?;
            self.rows += group.rows();
        }
        if let Some((first, last)) = made.days_touched {
            let (so_far_first, so_far_last) = self.days.unwrap_or((first, last));
            self.days = Some((so_far_first.min(first), so_far_last.max(last)));
        }
        Ok(())
    }

    fn finish(self, path: String) -> Result<Option<NewUsageFile>> {
        let (Some(file), Some((first, last))) = (self.open, self.days) else {
            return Ok(None);
        };
        let (bytes, digest) = file.finish()?;
        Ok(Some(NewUsageFile {
            path,
            day_min: day_of_number(first),
            day_max: day_of_number(last),
            rows: self.rows,
            bytes,
            digest,
        }))
    }
}
