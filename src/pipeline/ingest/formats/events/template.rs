//! Of which type a transcoding is: by what the task asked for, by the source's templates, and by the presets of the service.

use std::borrow::Cow;

use super::member::Node;
use crate::catalog::source::events::{EventSource, Template};
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::support::quote::{plain, quoted};

pub(super) const REMUXING: &str = "Remuxing";
pub(super) const AUDIO: &str = "Audio";
pub(super) const STANDARD: &str = "Standard";
/// Top Speed Codec, as the price list has it: of video, and of audio.
const TSC: &str = "TESHD-10";
const TSC_AUDIO: &str = "TESHD-20";

/// The adaptive streaming preset of the service, and the lines of its H.264 streams.
pub(super) const ADAPTIVE_PRESET: u64 = 10;
pub(super) const ADAPTIVE_LINES: [u32; 6] = [240, 480, 720, 1080, 1440, 2160];

/// The type of a preset of the service, by its id. Newer ones than these exist: they need the source's table.
fn preset(definition: u64) -> Option<&'static str> {
    match definition {
        875 | 876 => Some(REMUXING),
        1010 | 1020 | 1100 | 1110 | 1120 | 1130 | 1140 => Some(AUDIO),
        100_010 | 100_020 | 100_030 | 100_040 | 100_070 | 100_080 | 100_210 | 100_220 | 100_230 | 100_240 | 100_270
        | 100_280 => Some(STANDARD),
        100_800 | 100_810 | 100_820 | 100_830 | 100_840 => Some(TSC),
        _ => None,
    }
}

/// The type of a transcoding, the first that fits: remuxing by its template; sound alone; what the task asked for; the source's table;
/// the presets of the service.
///
/// # Errors
/// Where none fits: the types' prices differ by a factor of four.
pub(super) fn transcode_type<'a>(
    source: &'a EventSource,
    input: &Node<'a>,
    definition: Option<u64>,
    has_video: bool,
) -> Result<Cow<'a, str>, Refusal> {
    let id = definition.ok_or_else(|| input.missing("Definition"))?;
    let table = source
        .templates
        .get(&id)
        .map(|template| template.transcode_type.as_str());
    let known = table.or_else(|| preset(id));
    if known == Some(REMUXING) {
        return Ok(REMUXING.into());
    }
    let asked = asked_type(input, id)?;
    if !has_video {
        let is_tsc = asked == Some(TSC_AUDIO) || (asked.is_none() && table == Some(TSC_AUDIO));
        return Ok(if is_tsc { TSC_AUDIO } else { AUDIO }.into());
    }
    match asked.or(known) {
        Some(found) => Ok(found.into()),
        None => Err(unknown(source, input, id)),
    }
}

/// The type that the task asked for beside its template, or instead of one.
fn asked_type(input: &Node<'_>, definition: u64) -> Result<Option<&'static str>, Refusal> {
    let overridden = match input.object("OverrideParameter")? {
        Some(parameter) => type_of_config(&parameter)?,
        None => None,
    };
    if overridden.is_some() || definition != 0 {
        return Ok(overridden);
    }
    match input.object("RawParameter")? {
        Some(parameter) => Ok(type_of_config(&parameter)?.or(Some(STANDARD))),
        None => Ok(None),
    }
}

/// The type that a `TEHDConfig` asks for; none where it does not.
pub(super) fn type_of_config(parameter: &Node<'_>) -> Result<Option<&'static str>, Refusal> {
    let Some(config) = parameter.object("TEHDConfig")? else {
        return Ok(None);
    };
    match config.text("Type")? {
        None => Ok(None),
        Some("TEHD-100") => Ok(Some(TSC)),
        Some("TEHD-200") => Ok(Some(TSC_AUDIO)),
        Some(other) => {
            let sentence = format!(
                "`{}` is {}, whose price is not known; TEHD-100 or TEHD-200 is expected",
                config.path_of("Type"),
                quoted(other)
            );
            Err(Refusal::new(code::UNKNOWN_TEMPLATE, sentence))
        }
    }
}

/// The source's own template of that id.
pub(super) fn of_source(source: &EventSource, definition: u64) -> Option<&Template> {
    source.templates.get(&definition)
}

/// The refusal of a template that is not known.
#[cold]
pub(super) fn unknown(source: &EventSource, input: &Node<'_>, definition: u64) -> Refusal {
    let path = input.path_of("Definition");
    let sentence = if definition == 0 {
        format!(
            "`{path}` is 0, and `{}` is missing: it says what was made",
            input.path_of("RawParameter")
        )
    } else {
        format!(
            "`{path}` is {definition}, a template whose type is not known; {}",
            cure(source, definition, "TYPE", "")
        )
    };
    Refusal::new(code::UNKNOWN_TEMPLATE, sentence)
}

/// The refusal of a template of adaptive streaming that is not known, or of which the type alone is.
#[cold]
pub(super) fn unknown_streams(source: &EventSource, input: &Node<'_>, definition: u64) -> Refusal {
    let path = input.path_of("Definition");
    let streams = " --stream CODEC:HEIGHT";
    let sentence = match of_source(source, definition) {
        Some(known) => format!(
            "`{path}` is {definition}, a template of which the type is known and not the streams; {}",
            cure(source, definition, &plain(&known.transcode_type), streams)
        ),
        None => format!(
            "`{path}` is {definition}, a template whose streams are not known; {}",
            cure(source, definition, "TYPE", streams)
        ),
    };
    Refusal::new(code::UNKNOWN_TEMPLATE, sentence)
}

fn cure(source: &EventSource, definition: u64, kind: &str, streams: &str) -> String {
    format!(
        "add it with `tallybook source template add {} {definition} --type {kind}{streams} --reason TEXT`, then retry the event",
        plain(&source.source)
    )
}

/// A codec as records have it, whatever a stream or a template calls it.
pub(super) fn codec(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "h264" | "h.264" | "avc" => "H264".to_owned(),
        "h265" | "h.265" | "hevc" => "H265".to_owned(),
        _ => name.to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::source::events::TEMPLATE_TYPES;

    #[test]
    fn every_type_that_an_event_can_have_may_be_that_of_a_template() {
        for kind in [REMUXING, AUDIO, STANDARD, TSC, TSC_AUDIO] {
            assert!(TEMPLATE_TYPES.contains(&kind), "{kind}");
        }
    }
}
