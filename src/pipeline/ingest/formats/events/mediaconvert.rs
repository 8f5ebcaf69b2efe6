//! Events of AWS `MediaConvert`: one record for each output of a job that is complete. They say neither codec nor type: these, and the
//! account, are in the job's `userMetadata`, if its owner put them there.

use super::carrier::Delivery;
use super::member::Node;
use super::output::{Common, Output, Parameters};
use super::task::size_named;
use super::template::{AUDIO, codec};
use super::times::{Finish, unix_time};
use super::transcode::TASK_TYPE;
use super::{Outcome, Skip, owner, signature};
use crate::catalog::source::events::EventSource;
use crate::pipeline::ingest::record::refusal::{Refusal, code};

const DETAIL_TYPE: &str = "MediaConvert Job State Change";

/// Whether this is an event of `MediaConvert`.
pub(super) fn is_event(event: &Node<'_>) -> bool {
    matches!(event.text("detail-type"), Ok(Some(DETAIL_TYPE)))
}

/// What becomes of one event.
pub(super) fn read(event: &Node<'_>, source: &EventSource, delivery: &Delivery<'_>) -> Result<Outcome, Refusal> {
    if !is_event(event) {
        let sentence = format!("this is no event of MediaConvert: its `detail-type` is not \"{DETAIL_TYPE}\"");
        return Err(Refusal::new(code::NOT_AN_EVENT, sentence));
    }
    signature::check(source, event, delivery.message_time.or(delivery.event_time))?;
    let detail = event.object("detail")?.ok_or_else(|| event.missing("detail"))?;
    match detail.text("status")? {
        Some("COMPLETE") => {}
        Some(_) => return Ok(Outcome::Skipped(Skip::NotComplete)),
        None => return Err(detail.missing("status")),
    }
    let job = detail.text("jobId")?.ok_or_else(|| detail.missing("jobId"))?;
    let metadata = detail.object("userMetadata")?;
    let region = match &source.region {
        Some(region) => Some(region.as_str()),
        None => event.text("region")?,
    };
    let outputs = outputs(&detail, job, metadata.as_ref(), region)?;
    if outputs.is_empty() {
        return Ok(Outcome::Skipped(Skip::NoResults));
    }
    let common = Common {
        source: &source.source,
        account: owner::of_data(source, metadata.as_ref())?,
        task_id: job,
        event_id: event.text("id").ok().flatten().or(delivery.message_id),
        input_url: None,
        created_at: None,
    };
    let records: Result<Vec<_>, Refusal> = outputs.iter().map(|output| output.record(&common)).collect();
    Ok(Outcome::Records(records?))
}

fn outputs<'a>(
    detail: &Node<'a>,
    job: &str,
    metadata: Option<&Node<'a>>,
    region: Option<&'a str>,
) -> Result<Vec<Output<'a>>, Refusal> {
    let at = unix_time(detail, "timestamp")?.ok_or_else(|| detail.missing("timestamp"))?;
    let named = |name: &str| metadata.map_or(Ok(None), |metadata| metadata.text(name));
    let (kind, codec_name) = (named("type")?, named("codec")?);
    let mut outputs = Vec::new();
    for (group_number, group) in detail.list("outputGroupDetails")?.iter().enumerate() {
        for (number, made) in group.list("outputDetails")?.iter().enumerate() {
            let video = made.object("videoDetails")?;
            let size = match &video {
                Some(video) => size_named(video, "widthInPx", "heightInPx")?,
                None => None,
            };
            outputs.push(Output {
                id: format!("{job}/{group_number}/{number}"),
                task_type: TASK_TYPE,
                parameters: Parameters {
                    kind: if video.is_some() { kind } else { Some(AUDIO) }.map(Into::into),
                    codec: codec_name.filter(|_| video.is_some()).map(codec),
                    width: size.map(|(width, _)| width),
                    height: size.map(|(_, height)| height),
                    region,
                    ..Parameters::default()
                },
                duration_ms: made
                    .whole("durationInMs")?
                    .ok_or_else(|| made.missing("durationInMs"))?,
                finish: Finish { at, is_derived: false },
                failed: false,
                started_at: None,
                bucket: None,
            });
        }
    }
    Ok(outputs)
}
