//! A finished task: what its results have in common, and how one of them becomes an output.

use super::member::Node;
use super::output::{Output, Parameters, has_failed};
use super::storage::{self, Bucket, Input};
use super::times::{Instant, Times};
use crate::catalog::source::events::EventSource;
use crate::pipeline::ingest::record::refusal::Refusal;

/// A task of an event, finished.
#[derive(Clone, Debug)]
pub(super) struct Task<'a> {
    pub source: &'a EventSource,
    pub id: &'a str,
    /// The task's own object in the event.
    pub body: Node<'a>,
    pub input: Input<'a>,
    pub times: Times,
    /// When the document says that the task began.
    pub started_at: Option<Instant>,
}

/// What a result says about itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own<'a> {
    pub failed: bool,
    pub definition: Option<u64>,
    pub bucket: Bucket<'a>,
    pub started_at: Option<Instant>,
    pub finished_at: Option<Instant>,
}

impl<'a> Own<'a> {
    /// What a result with a status says.
    pub fn of(result: &Node<'a>) -> Result<Self, Refusal> {
        let definition = match result.object("Input")? {
            Some(input) => input.whole("Definition")?,
            None => None,
        };
        Ok(Self {
            failed: has_failed(result)?,
            definition,
            bucket: storage::output(result)?,
            started_at: log_time(result, "BeginProcessTime"),
            finished_at: result.time("FinishTime")?,
        })
    }
}

impl<'a> Task<'a> {
    /// The output that a result is, with no duration yet.
    pub fn output(&self, id: String, task_type: &'a str, own: &Own<'a>) -> Output<'a> {
        let region = self.source.region.as_deref();
        Output {
            id,
            task_type,
            parameters: Parameters {
                definition: own.definition,
                region: region.or(self.input.bucket.region).or(own.bucket.region),
                ..Parameters::default()
            },
            duration_ms: 0,
            finish: self.times.finish(own.finished_at),
            failed: own.failed,
            started_at: own.started_at.or(self.started_at),
            bucket: own.bucket.name,
        }
    }

    /// What the service found out about the source.
    pub fn media(&self) -> Result<Node<'a>, Refusal> {
        self.body
            .object("MetaData")?
            .ok_or_else(|| self.body.missing("MetaData"))
    }

    /// The duration of the source.
    pub fn media_ms(&self) -> Result<u64, Refusal> {
        let media = self.media()?;
        media.milliseconds("Duration")?.ok_or_else(|| media.missing("Duration"))
    }

    /// Width and height of the source.
    pub fn media_size(&self) -> Result<(u64, u64), Refusal> {
        let media = self.media()?;
        let stream = media.list("VideoStreamSet")?.into_iter().next();
        size(&media, stream.as_ref())?.ok_or_else(|| media.missing("Height"))
    }
}

/// Width and height of a video, by itself or by its first stream; none where neither has both.
pub(super) fn size(video: &Node<'_>, stream: Option<&Node<'_>>) -> Result<Option<(u64, u64)>, Refusal> {
    for node in [Some(video), stream].into_iter().flatten() {
        if let Some(size) = size_named(node, "Width", "Height")? {
            return Ok(Some(size));
        }
    }
    Ok(None)
}

/// Width and height by the names of their members; none where one of them is zero.
pub(super) fn size_named(node: &Node<'_>, width: &str, height: &str) -> Result<Option<(u64, u64)>, Refusal> {
    match (node.whole(width)?, node.whole(height)?) {
        (Some(width @ 1..), Some(height @ 1..)) => Ok(Some((width, height))),
        _ => Ok(None),
    }
}

/// A time of the service log, which decides nothing: one that is none is left out.
pub(super) fn log_time(node: &Node<'_>, name: &str) -> Option<Instant> {
    node.time(name).ok().flatten()
}
