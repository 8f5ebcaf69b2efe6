//! The results of a workflow or a schedule, each by its kind.

use super::analysis;
use super::member::Node;
use super::output::Output;
use super::task::{Own, Task};
use super::{adaptive, images, transcode};
use crate::catalog::source::events::Analysis;
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::support::json::tree::Tree;
use crate::support::quote::quoted;

/// A kind of result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Transcode,
    Adaptive,
    AnimatedGraphics,
    SnapshotByTime,
    SampleSnapshot,
    ImageSprites,
    Recognition,
    Analysis,
    Review,
    QualityControl,
    Subtitles,
    Erase,
    /// A condition of a schedule, of which nothing is billed.
    Rule,
}

/// The name of each kind as `Type` or `ActivityType`, which is also that of its ids, and the member that has the result.
const KINDS: [(&str, &str, Kind); 13] = [
    ("Transcode", "TranscodeTask", Kind::Transcode),
    (
        "AdaptiveDynamicStreaming",
        "AdaptiveDynamicStreamingTask",
        Kind::Adaptive,
    ),
    ("AnimatedGraphics", "AnimatedGraphicTask", Kind::AnimatedGraphics),
    ("SnapshotByTimeOffset", "SnapshotByTimeOffsetTask", Kind::SnapshotByTime),
    ("SampleSnapshot", "SampleSnapshotTask", Kind::SampleSnapshot),
    ("ImageSprites", "ImageSpriteTask", Kind::ImageSprites),
    ("AIRecognition", "RecognitionTask", Kind::Recognition),
    ("AIAnalysis", "AnalysisTask", Kind::Analysis),
    ("AiContentReview", "ReviewTask", Kind::Review),
    ("AiQualityControl", "QualityControlTask", Kind::QualityControl),
    ("SmartSubtitles", "SmartSubtitlesTask", Kind::Subtitles),
    ("SmartErase", "SmartEraseTask", Kind::Erase),
    ("ExecRule", "ExecRuleTask", Kind::Rule),
];

/// Gives ids: the task's, the kind's name, and the number of the result among those of its kind, from 0.
#[derive(Debug)]
pub(super) struct Ids<'a> {
    task: &'a str,
    /// The last number of each kind.
    given: Vec<(&'a str, u32)>,
}

impl<'a> Ids<'a> {
    pub fn of(task: &'a str) -> Self {
        Self {
            task,
            given: Vec::new(),
        }
    }

    pub fn next(&mut self, kind: &'a str) -> String {
        let given = self.given.iter_mut().find(|(name, _)| *name == kind);
        let number = match given {
            Some((_, last)) => {
                *last += 1;
                *last
            }
            None => 0,
        };
        if number == 0 {
            self.given.push((kind, 0));
        }
        format!("{}/{kind}/{number}", self.task)
    }
}

/// The outputs of a workflow, in the order of its results.
pub(super) fn of_workflow<'a>(task: &Task<'a>) -> Result<Vec<Output<'a>>, Refusal> {
    let mut ids = Ids::of(task.id);
    let mut outputs = Vec::new();
    for item in task.body.list("MediaProcessResultSet")? {
        outputs.extend(of_item(task, &mut ids, &item, "Type", &item)?);
    }
    for (set, kind) in [
        ("AiContentReviewResultSet", Kind::Review),
        ("AiAnalysisResultSet", Kind::Analysis),
        ("AiRecognitionResultSet", Kind::Recognition),
    ] {
        let parts = analysis::parts(&task.body.list(set)?)?;
        if !parts.is_empty() {
            outputs.extend(of_parts(task, &mut ids, kind, None, &parts)?);
        }
    }
    if let Some(result) = task.body.object("AiQualityControlTaskResult")? {
        outputs.extend(of_result(task, &mut ids, Kind::QualityControl, &result)?);
    }
    for item in task.body.list("SmartSubtitlesTaskResult")? {
        if item.has("Status") {
            outputs.extend(of_result(task, &mut ids, Kind::Subtitles, &item)?);
        } else {
            let parts = analysis::parts(&[item])?;
            outputs.extend(of_parts(task, &mut ids, Kind::Subtitles, None, &parts)?);
        }
    }
    if let Some(result) = task.body.object("SmartEraseTaskResult")? {
        outputs.extend(of_result(task, &mut ids, Kind::Erase, &result)?);
    }
    Ok(outputs)
}

/// The outputs of a schedule, in the order of its activities.
pub(super) fn of_schedule<'a>(task: &Task<'a>) -> Result<Vec<Output<'a>>, Refusal> {
    let mut ids = Ids::of(task.id);
    let mut outputs = Vec::new();
    for activity in task.body.list("ActivityResultSet")? {
        let item = activity.object("ActivityResItem")?;
        let item = item.ok_or_else(|| activity.missing("ActivityResItem"))?;
        outputs.extend(of_item(task, &mut ids, &activity, "ActivityType", &item)?);
    }
    Ok(outputs)
}

/// The outputs of one result: `named` has the name of its kind in `name`, `item` the member with the result.
fn of_item<'a>(
    task: &Task<'a>,
    ids: &mut Ids<'a>,
    named: &Node<'a>,
    name: &str,
    item: &Node<'a>,
) -> Result<Vec<Output<'a>>, Refusal> {
    let kind_name = named.text(name)?.ok_or_else(|| named.missing(name))?;
    if let Some((_, member, kind)) = KINDS.iter().find(|(known, _, _)| *known == kind_name) {
        let result = item.object(member)?.ok_or_else(|| item.missing(member))?;
        return of_result(task, ids, *kind, &result);
    }
    // The kind is new, or has another name here: the one member with a result says what it is.
    let is_result = |member: &&str| *member != name && matches!(item.value(member), Ok(Some(Tree::Object(_))));
    let members: Vec<&str> = item.names().filter(is_result).collect();
    let [member] = members[..] else {
        let sentence = format!(
            "`{}` is {}, a kind that is not known, with {} results beside it; one is expected",
            named.path_of(name),
            quoted(kind_name),
            members.len()
        );
        return Err(Refusal::new(code::UNSUPPORTED_EVENT, sentence));
    };
    let result = item.object(member)?.ok_or_else(|| item.missing(member))?;
    match KINDS.iter().find(|(_, known, _)| *known == member) {
        Some((_, _, kind)) => of_result(task, ids, *kind, &result),
        None => unknown(task, ids.next(kind_name), kind_name, &result),
    }
}

/// The outputs of one result of a known kind.
fn of_result<'a>(
    task: &Task<'a>,
    ids: &mut Ids<'a>,
    kind: Kind,
    result: &Node<'a>,
) -> Result<Vec<Output<'a>>, Refusal> {
    let mut id = || ids.next(kind.name());
    match kind {
        Kind::Transcode => transcode::outputs(task, id(), result),
        Kind::Adaptive => adaptive::outputs(task, id(), result),
        Kind::AnimatedGraphics => images::animated(task, id(), result).map(one),
        Kind::SnapshotByTime => images::snapshots_by_time(task, id(), result).map(one),
        Kind::SampleSnapshot => images::samples(task, id(), result).map(one),
        Kind::ImageSprites => images::sprites(task, id(), result).map(one),
        Kind::QualityControl => analysis::quality(task, id(), result).map(one),
        Kind::Erase => analysis::erase(task, id(), result).map(one),
        Kind::Recognition | Kind::Analysis | Kind::Review | Kind::Subtitles => {
            let parts = analysis::parts(&result.list("Output")?)?;
            of_parts(task, ids, kind, Some(result), &parts)
        }
        Kind::Rule => Ok(Vec::new()),
    }
}

fn one<T>(output: T) -> Vec<T> {
    vec![output]
}

/// The outputs of a result that has parts; `whole` is the result itself, where there is one around them.
fn of_parts<'a>(
    task: &Task<'a>,
    ids: &mut Ids<'a>,
    kind: Kind,
    whole: Option<&Node<'a>>,
    parts: &[analysis::Part<'a>],
) -> Result<Vec<Output<'a>>, Refusal> {
    match kind {
        Kind::Review => analysis::review(task, ids.next(kind.name()), whole, parts).map(one),
        Kind::Subtitles => analysis::subtitles(task, || ids.next(kind.name()), whole, parts),
        _ => {
            let task_type = kind.name();
            let is_by_capability = task.source.analysis == Analysis::Capability;
            let analysed = analysis::Analysed {
                task_type,
                whole,
                parts,
            };
            if is_by_capability {
                analysis::by_capability(task, &ids.next(task_type), &analysed)
            } else {
                analysis::by_task(task, ids.next(task_type), &analysed).map(one)
            }
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        let found = KINDS.iter().find(|(_, _, kind)| *kind == self);
        found.map_or("", |(name, _, _)| name)
    }
}

/// A result of a kind that is not known: it is taken as it is, so that it is listed as unmetered until a card has a meter for it.
fn unknown<'a>(task: &Task<'a>, id: String, kind: &'a str, result: &Node<'a>) -> Result<Vec<Output<'a>>, Refusal> {
    let mut output = task.output(id, kind, &Own::of(result)?);
    if !output.failed {
        let own = match result.value("Output")? {
            Some(Tree::Object(_)) => result.object("Output")?,
            _ => None,
        };
        let own = own.map_or(Ok(None), |own| own.milliseconds("Duration"))?;
        output.duration_ms = own.map_or_else(|| task.media_ms(), Ok)?;
    }
    Ok(vec![output])
}
