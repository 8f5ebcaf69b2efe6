//! Images and moving images: snapshots, sprites, animated graphics.

use super::member::Node;
use super::output::Output;
use super::task::{Own, Task, size};
use crate::catalog::source::events::SpriteImages;
use crate::pipeline::ingest::record::refusal::Refusal;

const SNAPSHOT: &str = "Snapshot";

/// Snapshots at given times: each picture counts.
pub(super) fn snapshots_by_time<'a>(task: &Task<'a>, id: String, result: &Node<'a>) -> Result<Output<'a>, Refusal> {
    snapshots(task, id, result, "SnapshotByTime", |made| counted(made, "PicInfoSet"))
}

/// Snapshots at intervals: each picture counts.
pub(super) fn samples<'a>(task: &Task<'a>, id: String, result: &Node<'a>) -> Result<Output<'a>, Refusal> {
    snapshots(task, id, result, "SampleSnapshot", |made| counted(made, "ImagePathSet"))
}

/// Sheets of small pictures: the sheets count, or the pictures on them, as the source says.
pub(super) fn sprites<'a>(task: &Task<'a>, id: String, result: &Node<'a>) -> Result<Output<'a>, Refusal> {
    snapshots(task, id, result, "ImageSprite", |made| {
        match task.source.sprite_images {
            SpriteImages::Sheets => counted(made, "ImagePathSet"),
            SpriteImages::Tiles => made.whole("TotalCount")?.ok_or_else(|| made.missing("TotalCount")),
        }
    })
}

fn snapshots<'a>(
    task: &Task<'a>,
    id: String,
    result: &Node<'a>,
    kind: &'static str,
    count: impl FnOnce(&Node<'a>) -> Result<u64, Refusal>,
) -> Result<Output<'a>, Refusal> {
    let own = Own::of(result)?;
    let mut output = task.output(id, SNAPSHOT, &own);
    output.parameters.kind = Some(kind.into());
    if !own.failed {
        let made = result.object("Output")?.ok_or_else(|| result.missing("Output"))?;
        output.parameters.images = Some(count(&made)?);
    }
    Ok(output)
}

/// How many images a list has; a success has some.
fn counted(made: &Node<'_>, list: &str) -> Result<u64, Refusal> {
    match made.length(list)? {
        0 => Err(made.missing(list)),
        images => Ok(images),
    }
}

/// A clip as moving images: its seconds count.
pub(super) fn animated<'a>(task: &Task<'a>, id: String, result: &Node<'a>) -> Result<Output<'a>, Refusal> {
    let own = Own::of(result)?;
    let mut output = task.output(id, "AnimatedGraphics", &own);
    if own.failed {
        return Ok(output);
    }
    let made = result.object("Output")?.ok_or_else(|| result.missing("Output"))?;
    output.duration_ms = made.milliseconds_between("StartTimeOffset", "EndTimeOffset")?;
    if let Some((width, height)) = size(&made, None)? {
        output.parameters.width = Some(width);
        output.parameters.height = Some(height);
    }
    Ok(output)
}
