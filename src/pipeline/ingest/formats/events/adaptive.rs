//! Adaptive streaming: a transcoding for each stream. The event does not tell the streams; the task, the source's table or a preset does.

use std::borrow::Cow;

use super::member::{Node, wrong_type};
use super::output::Output;
use super::task::{Own, Task};
use super::template::{self, ADAPTIVE_LINES, ADAPTIVE_PRESET, AUDIO, STANDARD, codec, type_of_config};
use super::transcode::{TASK_TYPE, watermark};
use crate::catalog::source::events::{Template, TemplateStream};
use crate::pipeline::ingest::record::refusal::Refusal;
use crate::support::json::tree::Tree;

/// One stream, by its number among those of the template.
struct Stream<'a> {
    number: usize,
    kind: Cow<'a, str>,
    /// Codec, width and height; none where it is sound alone.
    video: Option<(String, u64, u64)>,
}

/// The outputs of one result.
pub(super) fn outputs<'a>(task: &Task<'a>, id: String, result: &Node<'a>) -> Result<Vec<Output<'a>>, Refusal> {
    let own = Own::of(result)?;
    let base = task.output(id, TASK_TYPE, &own);
    if own.failed {
        return Ok(vec![base]);
    }
    let input = result.object("Input")?.ok_or_else(|| result.missing("Input"))?;
    let definition = own.definition.ok_or_else(|| input.missing("Definition"))?;
    let duration_ms = task.media_ms()?;
    let is_marked = input.object("BlindWatermark")?.is_some();
    let mut outputs = Vec::new();
    for stream in streams(task, &input, definition)? {
        let mut output = base.clone();
        output.id = format!("{}/Stream/{}", base.id, stream.number);
        output.duration_ms = duration_ms;
        output.parameters.kind = Some(stream.kind);
        let has_video = stream.video.is_some();
        if let Some((codec, width, height)) = stream.video {
            output.parameters.codec = Some(codec);
            output.parameters.width = Some(width);
            output.parameters.height = Some(height);
        }
        let mark = (is_marked && has_video).then(|| watermark(&output));
        outputs.push(output);
        outputs.extend(mark);
    }
    Ok(outputs)
}

/// The streams that were made: by the task's own list, by the source's table, by the preset.
fn streams<'a>(task: &Task<'a>, input: &Node<'a>, definition: u64) -> Result<Vec<Stream<'a>>, Refusal> {
    let table = template::of_source(task.source, definition);
    let kind = || table.map_or(STANDARD, |table| table.transcode_type.as_str());
    let asked = input.list("StdExtStreamInfos")?;
    if !asked.is_empty() {
        return asked_streams(task, &asked, kind());
    }
    match table {
        Some(table) if !table.streams.is_empty() => streams_of_table(task, table),
        _ if definition == ADAPTIVE_PRESET => preset_streams(task, kind()),
        _ => Err(template::unknown_streams(task.source, input, definition)),
    }
}

/// The streams that the task asked for in the place of its template's.
fn asked_streams<'a>(task: &Task<'a>, asked: &[Node<'a>], kind: &'a str) -> Result<Vec<Stream<'a>>, Refusal> {
    let stream = |(number, stream): (usize, &Node<'a>)| {
        if is_switched_on(stream, "RemoveVideo")? {
            let kind = AUDIO.into();
            return Ok(Stream {
                number,
                kind,
                video: None,
            });
        }
        let video = stream.object("Video")?.ok_or_else(|| stream.missing("Video"))?;
        let name = video.text("Codec")?.ok_or_else(|| video.missing("Codec"))?;
        let width = video.whole("Width")?.filter(|width| *width > 0);
        let height = video.whole("Height")?.filter(|height| *height > 0);
        let (width, height) = match (width, height) {
            (Some(width), Some(height)) => (width, height),
            (None, Some(short)) => with_short_side(task.media_size()?, short),
            (Some(long), None) => with_long_side(task.media_size()?, long),
            (None, None) => task.media_size()?,
        };
        Ok(Stream {
            number,
            kind: type_of_config(stream)?.unwrap_or(kind).into(),
            video: Some((codec(name), width, height)),
        })
    };
    asked.iter().enumerate().map(stream).collect()
}

fn streams_of_table<'a>(task: &Task<'a>, table: &'a Template) -> Result<Vec<Stream<'a>>, Refusal> {
    let stream = |(number, stream): (usize, &TemplateStream)| {
        let height = u64::from(stream.height);
        let (width, height) = match stream.width {
            Some(width) => (u64::from(width), height),
            None => with_short_side(task.media_size()?, height),
        };
        Ok(Stream {
            number,
            kind: table.transcode_type.as_str().into(),
            video: Some((codec(&stream.codec), width, height)),
        })
    };
    table.streams.iter().enumerate().map(stream).collect()
}

/// The preset's streams with no more lines than the source; the lowest stays in any case.
fn preset_streams<'a>(task: &Task<'a>, kind: &'a str) -> Result<Vec<Stream<'a>>, Refusal> {
    let source = task.media_size()?;
    let short_side = source.0.min(source.1);
    let fits = |(number, lines): &(usize, u32)| *number == 0 || u64::from(*lines) <= short_side;
    let stream = |(number, lines): (usize, u32)| {
        let (width, height) = with_short_side(source, u64::from(lines));
        Stream {
            number,
            kind: kind.into(),
            video: Some(("H264".to_owned(), width, height)),
        }
    };
    Ok(ADAPTIVE_LINES
        .into_iter()
        .enumerate()
        .filter(fits)
        .map(stream)
        .collect())
}

/// The size of the source's shape with this short side; the other is even.
fn with_short_side((width, height): (u64, u64), short: u64) -> (u64, u64) {
    if width < height {
        (short, nearest_even(short, height, width))
    } else {
        (nearest_even(short, width, height), short)
    }
}

/// The same by the long side.
fn with_long_side((width, height): (u64, u64), long: u64) -> (u64, u64) {
    if width < height {
        (nearest_even(long, width, height), long)
    } else {
        (long, nearest_even(long, height, width))
    }
}

/// The even number nearest to `side` times `of` over `to`, from 2 up.
fn nearest_even(side: u64, of: u64, to: u64) -> u64 {
    let (side, of, to) = (u128::from(side), u128::from(of), u128::from(to));
    let half = (side.saturating_mul(of) + to) / (2 * to);
    u64::try_from(half.saturating_mul(2)).unwrap_or(u64::MAX).max(2)
}

/// Whether a switch is on that is written as a number or a truth value.
fn is_switched_on(node: &Node<'_>, name: &str) -> Result<bool, Refusal> {
    match node.value(name)? {
        None | Some(Tree::Bool(false)) => Ok(false),
        Some(Tree::Bool(true)) => Ok(true),
        Some(Tree::Number(number)) if matches!(number.as_str(), "0" | "1") => Ok(number == "1"),
        Some(other) => Err(wrong_type(&node.path_of(name), other, "0 or 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_the_shape_of_its_source_with_an_even_side() {
        assert_eq!(with_short_side((1920, 1080), 240), (426, 240));
        assert_eq!(with_short_side((1920, 1080), 480), (854, 480));
        assert_eq!(with_short_side((1920, 1080), 720), (1280, 720));
        assert_eq!(with_short_side((1080, 1920), 720), (720, 1280));
        assert_eq!(with_short_side((500, 500), 240), (240, 240));
        assert_eq!(with_long_side((1920, 1080), 1280), (1280, 720));
        assert_eq!(with_long_side((1080, 1920), 1280), (720, 1280));
        assert_eq!(with_short_side((u64::MAX, 1), u64::MAX).1, u64::MAX);
        assert_eq!(with_long_side((u64::MAX, 1), 2).1, 2);
    }
}
