//! Which record stands, and what each line counts as: identity, voids and status.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::World;
use super::card::{Measured, Raw, Version};
use super::record::{Content, NaiveRecord};

/// What a line counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Identity and content were there before; or a second void of the same record.
    Duplicate,
    /// The identity was there before, with other content.
    Conflict,
    /// Takes back a record.
    Void,
    /// Was taken back.
    Voided,
    /// Failed work.
    Failed,
    /// No meter takes it.
    Unmetered,
    /// Billed.
    Metered,
}

impl Status {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Void => "void",
            Self::Voided => "voided",
            Self::Failed => "failed",
            Self::Unmetered => "unmetered",
            Self::Metered => "metered",
        }
    }
}

/// A line with its status.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The position of its batch.
    pub batch: usize,
    /// What it counts as.
    pub status: Status,
    /// Account and billing day; none for a void.
    pub account_day: Option<(u64, NaiveDate)>,
    /// Raw milliseconds.
    pub raw_ms: u64,
    /// Raw counts.
    pub raw_count: u64,
    appid: u64,
    measured: Option<Measured>,
}

impl Judged {
    /// The account; none for a void.
    pub fn uin(&self) -> Option<u64> {
        self.account_day.map(|(uin, _)| uin)
    }

    /// Application and measure of a metered record.
    pub fn metered(&self) -> Option<(u64, &Measured)> {
        let measured = self.measured.as_ref().filter(|_| self.status == Status::Metered);
        measured.map(|measured| (self.appid, measured))
    }
}

/// Where a line stands: batch, then line.
type Place = (usize, usize);

/// Judges all lines, in order.
pub fn judge(world: &World) -> Vec<Judged> {
    let lines: BTreeMap<Place, &NaiveRecord> = world
        .batches
        .iter()
        .enumerate()
        .flat_map(|(batch, input)| {
            input
                .lines
                .iter()
                .enumerate()
                .map(move |(line, it)| ((batch, line), it))
        })
        .collect();
    let repeats = repeats(&lines);
    let (second_voids, voided) = voids(&lines, &repeats);
    lines
        .iter()
        .map(|(place, record)| {
            let repeat = repeats.get(place).copied();
            let second_void = second_voids.contains(place).then_some(Status::Duplicate);
            let taken_back = voided.contains(&(record.source.as_str(), record.id.as_str()));
            let known = repeat.or(second_void).or(taken_back.then_some(Status::Voided));
            judge_line(world, place.0, record, known)
        })
        .collect()
}

/// The lines whose identity came before, compared with the first line that had it.
fn repeats(lines: &BTreeMap<Place, &NaiveRecord>) -> BTreeMap<Place, Status> {
    let mut first: BTreeMap<(&str, &str), &Content> = BTreeMap::new();
    let mut repeats = BTreeMap::new();
    for (&place, record) in lines {
        let identity = (record.source.as_str(), record.id.as_str());
        match first.get(&identity) {
            None => {
                first.insert(identity, &record.content);
            }
            Some(&content) if *content == record.content => {
                repeats.insert(place, Status::Duplicate);
            }
            Some(_) => {
                repeats.insert(place, Status::Conflict);
            }
        }
    }
    repeats
}

/// Voids of what was voided before, and the identities that are taken back, now or when they come.
fn voids<'a>(
    lines: &BTreeMap<Place, &'a NaiveRecord>,
    repeats: &BTreeMap<Place, Status>,
) -> (BTreeSet<Place>, BTreeSet<(&'a str, &'a str)>) {
    let (mut second, mut voided) = (BTreeSet::new(), BTreeSet::new());
    for (&place, record) in lines.iter().filter(|(place, _)| !repeats.contains_key(place)) {
        if let Content::Void(target) = &record.content
            && !voided.insert((record.source.as_str(), target.as_str()))
        {
            second.insert(place);
        }
    }
    (second, voided)
}

/// A line with its status: the given one, or what its content alone says.
pub(super) fn judge_line(world: &World, batch: usize, record: &NaiveRecord, known: Option<Status>) -> Judged {
    let Content::Usage(usage) = &record.content else {
        return Judged {
            batch,
            status: known.filter(|status| *status != Status::Voided).unwrap_or(Status::Void),
            account_day: None,
            raw_ms: 0,
            raw_count: 0,
            appid: 0,
            measured: None,
        };
    };
    let day = world.terms(usage.uin).day_of(usage.finished_at);
    let measured = Version::on(day).measure(usage).ok();
    let status = known.unwrap_or(match &measured {
        _ if usage.failed => Status::Failed,
        None => Status::Unmetered,
        Some(_) => Status::Metered,
    });
    let (raw_ms, raw_count) = match measured.as_ref().map(|measured| measured.raw) {
        None => (usage.duration_ms, 0),
        Some(Raw::Ms(ms)) => (ms, 0),
        Some(Raw::Count(count)) => (0, count),
    };
    Judged {
        batch,
        status,
        account_day: Some((usage.uin, day)),
        raw_ms,
        raw_count,
        appid: usage.appid,
        measured,
    }
}
