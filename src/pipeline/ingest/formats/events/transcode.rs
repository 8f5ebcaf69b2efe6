//! Transcodings: one output, and one more for each enhancement and for a blind watermark, which are billed on top of it.

use super::enhancement::enhancements;
use super::member::Node;
use super::output::Output;
use super::task::{Own, Task, size};
use super::template::{self, AUDIO, REMUXING, codec, transcode_type};
use crate::pipeline::ingest::record::refusal::Refusal;

pub(super) const TASK_TYPE: &str = "Transcode";

/// The outputs of one result.
pub(super) fn outputs<'a>(task: &Task<'a>, id: String, result: &Node<'a>) -> Result<Vec<Output<'a>>, Refusal> {
    let own = Own::of(result)?;
    let mut base = task.output(id, TASK_TYPE, &own);
    if own.failed {
        return Ok(vec![base]);
    }
    let input = result.object("Input")?.ok_or_else(|| result.missing("Input"))?;
    let made = result.object("Output")?.ok_or_else(|| result.missing("Output"))?;
    base.duration_ms = made.milliseconds("Duration")?.ok_or_else(|| made.missing("Duration"))?;
    let stream = made.list("VideoStreamSet")?.into_iter().next();
    let kind = transcode_type(task.source, &input, own.definition, stream.is_some())?;
    let is_sized = stream.is_some() && kind != REMUXING && kind != AUDIO;
    let mut video = base.clone();
    if let Some(stream) = &stream {
        video = with_video(video, &made, stream)?;
        let is_multi_view =
            video.parameters.codec.as_deref() == Some("H265") && asks_for_multi_view(&input, own.definition)?;
        if is_multi_view {
            video.parameters.codec = Some("MV-HEVC".to_owned());
        }
    } else if kind != REMUXING && size(&made, None)?.is_some() {
        // It has a picture: it is no sound alone.
        return Err(made.missing("VideoStreamSet"));
    }
    if is_sized {
        base.parameters.codec.clone_from(&video.parameters.codec);
        base.parameters.width = video.parameters.width;
        base.parameters.height = video.parameters.height;
    }
    base.parameters.kind = Some(kind);
    let mut outputs = vec![base];
    for name in enhancements(&input, &made, own.definition.unwrap_or_default())? {
        let mut enhanced = on_top(&video, &format!("Enhance/{name}"), "Enhance");
        enhanced.parameters.kind = Some(name.into());
        outputs.push(enhanced);
    }
    if input.object("BlindWatermark")?.is_some() {
        outputs.push(watermark(&video));
    }
    Ok(outputs)
}

/// The output with what is known of its picture.
pub(super) fn with_video<'a>(
    mut output: Output<'a>,
    made: &Node<'a>,
    stream: &Node<'a>,
) -> Result<Output<'a>, Refusal> {
    let name = stream.text("Codec")?.ok_or_else(|| stream.missing("Codec"))?;
    output.parameters.codec = Some(codec(name));
    if let Some((width, height)) = size(made, Some(stream))? {
        output.parameters.width = Some(width);
        output.parameters.height = Some(height);
    }
    output.parameters.fps = stream.whole("Fps")?;
    Ok(output)
}

/// The blind watermark of a video.
pub(super) fn watermark<'a>(video: &Output<'a>) -> Output<'a> {
    on_top(video, "AddBlindWatermark", "AddBlindWatermark")
}

/// What is billed on top of a video, for its size and its duration.
fn on_top<'a>(video: &Output<'a>, name: &str, task_type: &'a str) -> Output<'a> {
    let mut output = video.clone();
    output.id = format!("{}/{name}", video.id);
    output.task_type = task_type;
    output.parameters.kind = None;
    output
}

/// Whether the task asked for MV-HEVC, whose stream looks like any of H.265.
fn asks_for_multi_view(input: &Node<'_>, definition: Option<u64>) -> Result<bool, Refusal> {
    let mut parameters = vec!["OverrideParameter"];
    if definition == Some(0) {
        parameters.push("RawParameter");
    }
    for name in parameters {
        let asked = match input.object_at(&[name, "VideoTemplate"])? {
            Some(video) => video.text("Codec")?,
            None => None,
        };
        if asked.is_some_and(|asked| template::codec(asked) == "MV-HEVC") {
            return Ok(true);
        }
    }
    Ok(false)
}
