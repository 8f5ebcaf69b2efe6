//! A segment written anew without some of its rows. The others stay as they are, in their order.

use polars::prelude::*;

use super::fingerprints::Fingerprints;
use super::rows::columns_of;
use super::segment::{Groups, NewSegment, SegmentKind, SegmentWriter, check_written};
use super::store::Segment;
use crate::storage::durable_files::DataDir;
use crate::storage::parquet_writer::{RowGroup, schema_of};
use crate::support::error::{Doing as _, Result};

/// A row, as far as it is looked at to know whether it goes.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The number of its writer.
    pub intake: i64,
    pub line: u32,
    /// Its account; none in kinds of segment, and in files of before, that do not say it.
    pub uin: Option<u64>,
}

/// What became of a segment that had rows which go.
#[derive(Clone, Debug)]
pub struct Without {
    /// Rows that went.
    pub removed: usize,
    /// The new file; none where nothing was left.
    pub new: Option<NewSegment>,
}

/// Writes a segment anew without the rows that go, as part `part` of a writer; none where no row goes, and nothing is written. One row
/// group is in memory.
///
/// # Errors
/// [`crate::support::error::Error::Damaged`] where the segment is not what was written: its new digest would hide that.
pub fn without_rows(
    data: &DataDir,
    (kind, segment): (SegmentKind, &Segment),
    (intake, part): (i64, usize),
    goes: impl Fn(Place) -> bool,
) -> Result<Option<Without>> {
    let path = data.join(&segment.path);
    let groups = Groups::open(&path)?;
    let masks = masks_of(&groups, &goes)?;
    let removed = masks
        .iter()
        .flatten()
        .map(|kept| kept.iter().filter(|kept| !**kept).count())
        .sum();
    if removed == 0 {
        return Ok(None);
    }
    check_written(&path, &segment.digest)?;
    let mut writer = SegmentWriter::new(data, kind, segment.day, intake).numbered_from(part);
    if groups.fingerprints() == Fingerprints::NOW {
        writer = writer.with_fingerprints(Fingerprints::NOW);
    }
    let names = groups.names();
    for (at, mask) in masks.into_iter().enumerate() {
        if mask.as_ref().is_some_and(|kept| kept.iter().all(|kept| !kept)) {
            continue;
        }
        let mut frame = groups.read(at, &names)?;
        if let Some(kept) = mask {
            let kept = BooleanChunked::from_slice("kept".into(), &kept);
            frame = frame.filter(&kept).doing("leaving rows out")?;
            frame.rechunk_mut();
        }
        let columns = columns_of(kind, &frame)?;
        let schema = schema_of(&columns);
        writer.write(&RowGroup::of(columns)?, || schema)?;
    }
    Ok(Some(Without {
        removed,
        new: writer.finish()?.into_iter().next(),
    }))
}

/// Which rows of each row group are kept; none of a group that is kept whole.
fn masks_of(groups: &Groups, goes: &impl Fn(Place) -> bool) -> Result<Vec<Option<Vec<bool>>>> {
    let columns = groups.with_optional(&["intake", "line"], super::payload::UIN);
    let mut masks = Vec::with_capacity(groups.count());
    for at in 0..groups.count() {
        let frame = groups.read(at, &columns)?;
        let intakes = frame.column("intake").and_then(Column::i64).doing("reading rows")?;
        let lines = frame.column("line").and_then(Column::u32).doing("reading rows")?;
        let uins = match frame.column(super::payload::UIN) {
            Ok(column) => Some(column.u64().doing("reading rows")?),
            Err(_) => None,
        };
        let mask: Vec<bool> = intakes
            .iter()
            .zip(lines.iter())
            .enumerate()
            .map(|(row, (intake, line))| {
                !goes(Place {
                    intake: intake.unwrap_or(0),
                    line: line.unwrap_or(0),
                    uin: uins.and_then(|uins| uins.get(row)),
                })
            })
            .collect();
        masks.push((!mask.iter().all(|kept| *kept)).then_some(mask));
    }
    Ok(masks)
}
