//! What is recognised, analysed and reviewed in a source, and what is done to its sound and picture by models: billed by its duration.

use std::borrow::Cow;

use super::member::Node;
use super::output::Output;
use super::task::{Own, Task, size};
use crate::pipeline::ingest::record::refusal::Refusal;

/// One result among several of a task, such as the words that were heard.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    kind: &'a str,
    own: Own<'a>,
    /// How much of the source was looked at, where the part says so.
    duration_ms: Option<u64>,
}

/// A task that looked at a source: its parts, and the result around them, where there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Analysed<'p, 'a> {
    pub task_type: &'a str,
    pub whole: Option<&'p Node<'a>>,
    pub parts: &'p [Part<'a>],
}

/// The parts that a list has. Each has its result in a member that is named after its type.
pub(super) fn parts<'a>(items: &[Node<'a>]) -> Result<Vec<Part<'a>>, Refusal> {
    let part = |item: &Node<'a>| {
        let kind = item.text("Type")?.ok_or_else(|| item.missing("Type"))?;
        let objects = item.names().filter_map(|name| item.object(name).ok().flatten());
        let mut results = objects.filter(|object| object.has("Status"));
        let result = results.next().ok_or_else(|| item.missing("Status"))?;
        Ok(Part {
            kind,
            own: Own::of(&result)?,
            duration_ms: item.milliseconds("Duration")?,
        })
    };
    items.iter().map(part).collect()
}

/// What several parts say together: a success if one is, begun with the first, done with the last.
fn joined<'a>(whole: Option<&Node<'a>>, parts: &[&Part<'a>]) -> Result<Own<'a>, Refusal> {
    let own = |of: fn(&Own<'a>) -> Option<i64>| parts.iter().filter_map(move |part| of(&part.own));
    let mut joined = Own {
        failed: parts.iter().all(|part| part.own.failed),
        definition: parts.iter().find_map(|part| part.own.definition),
        started_at: own(|own| own.started_at).min(),
        finished_at: own(|own| own.finished_at).max(),
        ..Own::default()
    };
    if let Some(whole) = whole {
        let of_whole = Own::of(whole)?;
        joined = Own {
            failed: of_whole.failed || (!parts.is_empty() && joined.failed),
            definition: of_whole.definition.or(joined.definition),
            started_at: of_whole.started_at.or(joined.started_at),
            finished_at: of_whole.finished_at.or(joined.finished_at),
            ..of_whole
        };
    }
    Ok(joined)
}

/// One output for a task, whatever it looked for.
pub(super) fn by_task<'a>(task: &Task<'a>, id: String, analysed: &Analysed<'_, 'a>) -> Result<Output<'a>, Refusal> {
    let parts: Vec<&Part<'a>> = analysed.parts.iter().collect();
    let mut output = task.output(id, analysed.task_type, &joined(analysed.whole, &parts)?);
    if !output.failed {
        output.duration_ms = task.media_ms()?;
    }
    Ok(output)
}

/// One output for each capability that a task used.
pub(super) fn by_capability<'a>(
    task: &Task<'a>,
    id: &str,
    analysed: &Analysed<'_, 'a>,
) -> Result<Vec<Output<'a>>, Refusal> {
    let mut capabilities: Vec<(Cow<'a, str>, Vec<&Part<'a>>)> = Vec::new();
    for part in analysed.parts {
        let name = capability(part.kind);
        match capabilities.iter_mut().find(|(known, _)| *known == name) {
            Some((_, parts)) => parts.push(part),
            None => capabilities.push((name, vec![part])),
        }
    }
    let has_failed = match analysed.whole {
        Some(whole) => super::output::has_failed(whole)?,
        None => false,
    };
    if capabilities.is_empty() || has_failed {
        return by_task(task, id.to_owned(), analysed).map(|output| vec![output]);
    }
    let mut outputs = Vec::new();
    for (name, parts) in capabilities {
        let own = joined(analysed.whole, &parts)?;
        let mut output = task.output(format!("{id}/{name}"), analysed.task_type, &own);
        output.parameters.kind = Some(name);
        if !own.failed {
            output.duration_ms = task.media_ms()?;
        }
        outputs.push(output);
    }
    Ok(outputs)
}

/// The capability of the price list that a kind of part is.
fn capability(kind: &str) -> Cow<'_, str> {
    let exact = match kind {
        "Classification" => Some("VideoClassification"),
        "Cover" => Some("SmartCover"),
        "Tag" => Some("VideoTag"),
        "FrameTag" => Some("FrameLabel"),
        "SegmentRecognition" => Some("VideoSplit"),
        "Highlight" => Some("Highlights"),
        "HeadTailRecognition" => Some("OpeningAndEnding"),
        _ => None,
    };
    let begins = [
        ("Face", "FaceRecognition"),
        ("Ocr", "TextRecognition"),
        ("Asr", "VoiceRecognition"),
        ("TransText", "VoiceTranslation"),
        ("Object", "ObjectRecognition"),
    ];
    let by_beginning = || {
        begins
            .iter()
            .find(|(begin, _)| kind.starts_with(begin))
            .map(|(_, name)| *name)
    };
    exact.or_else(by_beginning).unwrap_or(kind).into()
}

/// A review: its own duration where it has one, else the source's.
pub(super) fn review<'a>(
    task: &Task<'a>,
    id: String,
    whole: Option<&Node<'a>>,
    parts: &[Part<'a>],
) -> Result<Output<'a>, Refusal> {
    let all: Vec<&Part<'a>> = parts.iter().collect();
    let mut output = task.output(id, "AIReview", &joined(whole, &all)?);
    if !output.failed {
        let reviewed = parts.iter().filter_map(|part| part.duration_ms).max();
        output.duration_ms = reviewed.map_or_else(|| task.media_ms(), Ok)?;
    }
    Ok(output)
}

/// Subtitles: an output for each language, since each further one is billed.
pub(super) fn subtitles<'a>(
    task: &Task<'a>,
    mut id: impl FnMut() -> String,
    whole: Option<&Node<'a>>,
    parts: &[Part<'a>],
) -> Result<Vec<Output<'a>>, Refusal> {
    const TASK_TYPE: &str = "SmartSubtitles";
    if parts.is_empty() {
        let analysed = Analysed {
            task_type: TASK_TYPE,
            whole,
            parts,
        };
        return by_task(task, id(), &analysed).map(|output| vec![output]);
    }
    let mut outputs = Vec::new();
    for part in parts {
        let own = joined(whole, &[part])?;
        let mut output = task.output(id(), TASK_TYPE, &own);
        output.parameters.kind = Some(part.kind.into());
        if !own.failed {
            output.duration_ms = task.media_ms()?;
        }
        outputs.push(output);
    }
    Ok(outputs)
}

/// A check of quality: the source's duration.
pub(super) fn quality<'a>(task: &Task<'a>, id: String, result: &Node<'a>) -> Result<Output<'a>, Refusal> {
    let mut output = task.output(id, "AiQualityControl", &Own::of(result)?);
    if !output.failed {
        output.duration_ms = task.media_ms()?;
    }
    Ok(output)
}

/// What was erased from a picture: duration and size of the source, since the event has not those of the output.
pub(super) fn erase<'a>(task: &Task<'a>, id: String, result: &Node<'a>) -> Result<Output<'a>, Refusal> {
    let mut output = task.output(id, "SmartErase", &Own::of(result)?);
    if !output.failed {
        let media = task.media()?;
        let stream = media.list("VideoStreamSet")?.into_iter().next();
        output.duration_ms = task.media_ms()?;
        if let Some((width, height)) = size(&media, stream.as_ref())? {
            output.parameters.width = Some(width);
            output.parameters.height = Some(height);
        }
    }
    Ok(output)
}
