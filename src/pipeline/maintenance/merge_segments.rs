//! Merging: a day's many small segments become one. Rows keep their intake and line, so no pointer moves.

use polars::prelude::*;

use crate::context::Books;
use crate::context::write_attempt::WriteAttempt;
use crate::storage::ledger::Lease;
use crate::storage::parquet_writer::{RowGroup, schema_of};
use crate::storage::raw::payload::UIN as PAYLOAD_UIN;
use crate::storage::raw::rows::{DERIVED_TIME, columns_of};
use crate::storage::raw::segment::{ROW_GROUP_ROWS, SegmentKind, SegmentWriter, check_written, read_columns};
use crate::storage::raw::store::{Segment, add_segments, drop_segments, segments_between};
use crate::support::error::{Doing as _, Error, Result};

/// A day is merged when it has so many small segments; below that, opening the files costs less than rewriting.
const SMALL_SEGMENTS_MIN: usize = 8;

/// Segments below this are small. A larger one is left alone, so that a row is rewritten a few times in its life.
const SMALL_ROWS: i64 = 256 * 1024;

/// What merging did.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// Segments before and after.
    pub segments: (usize, usize),
    /// What was left as it is because a segment is damaged.
    pub damaged: Vec<String>,
}

/// Merges what is due among segments of metered batches.
pub async fn merge_segments(books: &Books, lease: &Lease, metered_to: i64) -> Result<Merged> {
    let mut merged = Merged::default();
    for kind in [
        SegmentKind::Usage,
        SegmentKind::Log,
        SegmentKind::Payload,
        SegmentKind::BarePayload,
    ] {
        let segments = segments_between(&books.ledger, kind, 0, metered_to).await?;
        let small: Vec<Segment> = segments
            .into_iter()
            .filter(|s| s.rows < SMALL_ROWS && s.batch_hi <= metered_to)
            .collect();
        for day in small
            .chunk_by(|a, b| a.day == b.day)
            .filter(|day| day.len() >= SMALL_SEGMENTS_MIN)
        {
            match merge_day(books, lease, kind, day).await {
                Ok(after) => {
                    merged.segments.0 += day.len();
                    merged.segments.1 += after;
                }
                Err(damaged @ Error::Damaged { .. }) => merged.damaged.push(damaged.to_string()),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(merged)
}

async fn merge_day(books: &Books, lease: &Lease, kind: SegmentKind, segments: &[Segment]) -> Result<usize> {
    // The new segment's digest would hide what was damaged in one before.
    let check = |segment: &Segment| check_written(&books.data.join(&segment.path), &segment.digest);
    tokio::task::block_in_place(|| segments.iter().try_for_each(check))?;
    let attempt = WriteAttempt::register(books, "merge").await?;
    let (merged, synced) = tokio::task::block_in_place(|| {
        let mut writer = SegmentWriter::new(&books.data, kind, segments[0].day, attempt.number());
        let frame = concatenated(books, segments)?;
        let mut rest = frame;
        while rest.height() > 0 {
            let (group, after) = rest.split_at(i64::try_from(ROW_GROUP_ROWS.min(rest.height())).unwrap_or(i64::MAX));
            let columns = columns_of(kind, &group)?;
            let schema = schema_of(&columns);
            writer.write(&RowGroup::of(columns)?, || schema)?;
            rest = after;
        }
        let merged = writer.finish()?;
        let synced = attempt.sync(merged.iter().map(|segment| &segment.path))?;
        Ok::<_, Error>((merged, synced))
    })?;
    let batch_lo = segments.iter().map(|s| s.batch_lo).min().unwrap_or(0);
    let batch_hi = segments.iter().map(|s| s.batch_hi).max().unwrap_or(0);
    let mut tx = attempt.begin(Some(lease)).await?;
    drop_segments(&mut tx, &segments.iter().map(|s| s.path.clone()).collect::<Vec<_>>()).await?;
    add_segments(&mut tx, &merged, batch_lo, batch_hi).await?;
    attempt.commit(tx, synced).await?;
    Ok(merged.len())
}

fn concatenated(books: &Books, segments: &[Segment]) -> Result<DataFrame> {
    let frames = segments
        .iter()
        .map(|segment| read_columns(&books.data.join(&segment.path), &[]));
    let mut frames: Vec<DataFrame> = frames.collect::<Result<_>>()?;
    if frames.iter().any(|frame| frame.column(DERIVED_TIME).is_ok()) {
        for frame in frames.iter_mut().filter(|frame| frame.column(DERIVED_TIME).is_err()) {
            let none = BooleanChunked::full(DERIVED_TIME.into(), false, frame.height());
            frame.with_column(none.into_column()).doing("merging segments")?;
        }
    }
    if frames
        .iter()
        .any(|frame| frame.column(PAYLOAD_UIN).is_ok() && frame.column("payload").is_ok())
    {
        for frame in frames.iter_mut().filter(|frame| frame.column(PAYLOAD_UIN).is_err()) {
            let none = UInt64Chunked::full_null(PAYLOAD_UIN.into(), frame.height());
            frame.with_column(none.into_column()).doing("merging segments")?;
        }
    }
    let mut all: Option<DataFrame> = None;
    for frame in frames {
        match &mut all {
            None => all = Some(frame),
            Some(all) => {
                all.vstack_mut_owned(frame).doing("merging segments")?;
            }
        }
    }
    let mut all = all.unwrap_or_default();
    all.rechunk_mut();
    Ok(all)
}
