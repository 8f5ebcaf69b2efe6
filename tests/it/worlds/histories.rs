//! Small histories: two or three nights, with usage, voids and decisions that come after the close.
//!
//! Records come at the first night that they can come at, or one or two nights later. Nights are from 5 November 2024 to
//! 15 February 2025, often at the instant at which something is due.

pub mod ended;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{
    CONTENTS, Disputed, Line, RECORDS_MAX, Spelling, ZONES, accounts, day_start, disputed, identified, ndjson_of,
    spelling, usage,
};
use crate::naive::calendar::{Period, Terms};
use crate::naive::card::DEFAULT_TERMS;
use crate::naive::history::claims::{judge, open_conflicts};
use crate::naive::history::{Breaks, Decision, History, Step};
use crate::naive::record::{Batch, Content, NaiveRecord, Usage};

/// The days of nights, by number: 5 November to 15 February.
const NIGHTS: std::ops::RangeInclusive<u64> = 16..=118;

/// The last day on which nights are likely, by number: 4 January.
const LIKELY_NIGHT: u64 = 76;

/// Batches before a night, at most.
const BATCHES_OF_STEP: usize = 3;

/// Decisions before a night, at most.
const DECISIONS_MAX: usize = 3;

/// A history and its text.
#[derive(Debug, Clone)]
pub struct DrawnHistory {
    /// For the model.
    pub history: History,
    /// For the program: the NDJSON of each batch of each step, in order. A source that is not written is `default`.
    pub ndjson: Vec<Vec<String>>,
}

/// Histories with everything: repeats, conflicts and decisions, voids, sometimes a corrected price.
pub fn histories() -> impl Strategy<Value = DrawnHistory> {
    let contents = vec(usage(), CONTENTS);
    let claim = prop_oneof![3 => usage().prop_map(Claim::Own), 2 => disputed().prop_map(Claim::Disputed)];
    let claims = vec((claim, deliveries()), 0..=RECORDS_MAX);
    let choices = vec(vec(choice(), 0..=DECISIONS_MAX), 3);
    let before_last = prop_oneof![4 => Just(0), 2 => Just(1), 1 => Just(2)];
    let correction = proptest::option::weighted(0.5, before_last);
    (accounts(), clocks(), contents, claims, choices, correction).prop_map(
        |(accounts, clocks, contents, claims, choices, correction)| {
            let claims = claims.into_iter().enumerate();
            let records = claims.map(|(at, (claim, deliveries))| (claim.record(at, &contents), deliveries));
            let mut drawn = delivered(accounts, &clocks, records.collect());
            if let Some(before_last) = correction {
                let at = (clocks.len() - 1).saturating_sub(before_last);
                drawn.history.steps[at].correction = true;
            }
            drawn.history = begun(decided(drawn.history, &choices));
            drawn
        },
    )
}

/// Histories with repeats and voids, but without conflicts and without a corrected price.
pub fn calm_histories() -> impl Strategy<Value = DrawnHistory> {
    let records = vec((usage(), deliveries()), 0..=RECORDS_MAX);
    let voids = vec((0..RECORDS_MAX, deliveries()), 0..=RECORDS_MAX / 4);
    (accounts(), clocks(), records, voids).prop_map(|(accounts, clocks, records, voids)| {
        let records = records.into_iter().enumerate();
        let mut records: Vec<_> = records.map(|(at, (usage, to))| (identified(at, usage), to)).collect();
        for (at, (target, to)) in voids.into_iter().enumerate() {
            if let Some((target, _)) = records.get(target) {
                records.push((void(at, target), to));
            }
        }
        let mut drawn = delivered(accounts, &clocks, records);
        drawn.history = begun(drawn.history);
        drawn
    })
}

fn void(at: usize, target: &NaiveRecord) -> NaiveRecord {
    // Voids come after all usage, so none is the target of another.
    let target_id = target.id.clone();
    NaiveRecord {
        source: target.source.clone(),
        id: format!("v{at}"),
        content: Content::Void(target_id),
    }
}

/// What a record says.
#[derive(Debug, Clone)]
enum Claim {
    /// Usage with an identity of its own.
    Own(Usage),
    /// One of few identities, some of them of the first kind too.
    Disputed(Disputed),
}

impl Claim {
    fn record(self, at: usize, contents: &[Usage]) -> NaiveRecord {
        match self {
            Self::Own(usage) => identified(at, usage),
            Self::Disputed(disputed) => disputed.record(contents),
        }
    }
}

/// The nights, in order. Days in different zones, but never so different that two nights change places.
fn clocks() -> impl Strategy<Value = Vec<DateTime<Utc>>> {
    let day = prop_oneof![2 => *NIGHTS.start()..=LIKELY_NIGHT, 1 => NIGHTS];
    let after_midnight = prop_oneof![
        2 => Just(TimeDelta::zero()),
        1 => Just(TimeDelta::nanoseconds(-1)),
        2 => (0_i64..10 * 3_600).prop_map(TimeDelta::seconds),
    ];
    let nights = vec((select(&ZONES[..]), after_midnight), 3);
    (btree_set(day, 2..=3), nights).prop_map(|(days, nights)| {
        let days = days.into_iter().zip(nights);
        days.map(|(day, (zone, after_midnight))| day_start(zone, day) + after_midnight)
            .collect()
    })
}

/// When and where a record comes. Drawn for each by itself, so that failures shrink well.
#[derive(Debug, Clone, Copy)]
struct Delivery {
    /// Nights after the first that it can come at.
    late: usize,
    batch: usize,
    rank: u32,
    spelling: Spelling,
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let late = prop_oneof![3 => Just(0), 2 => Just(1), 1 => Just(2)];
    (late, 0..BATCHES_OF_STEP, any::<u32>(), spelling()).prop_map(|(late, batch, rank, spelling)| Delivery {
        late,
        batch,
        rank,
        spelling,
    })
}

/// Where a record comes, once or twice.
fn deliveries() -> impl Strategy<Value = Vec<Delivery>> {
    prop_oneof![5 => vec(delivery(), 1), 1 => vec(delivery(), 2)]
}

/// Lines with their step, batch and rank.
type Classified = ((usize, usize, u32), Line);

/// A history without decisions. What was finished after the last night never comes.
fn delivered(
    accounts: BTreeMap<u64, Terms>,
    clocks: &[DateTime<Utc>],
    records: Vec<(NaiveRecord, Vec<Delivery>)>,
) -> DrawnHistory {
    let mut placed: Vec<Classified> = Vec::new();
    for (record, deliveries) in records {
        let Some(first) = clocks.iter().position(|clock| was_finished(&record, *clock)) else {
            continue;
        };
        placed.extend(deliveries.into_iter().map(|to| {
            let step = (first + to.late).min(clocks.len() - 1);
            ((step, to.batch, to.rank), (record.clone(), to.spelling))
        }));
    }
    placed.sort_by_key(|(place, _)| *place);
    let mut drawn = DrawnHistory {
        history: History {
            accounts,
            steps: Vec::new(),
        },
        ndjson: Vec::new(),
    };
    for (at, &clock) in clocks.iter().enumerate() {
        let batches = batches_of(at, &placed);
        let before: usize = drawn.ndjson.iter().map(Vec::len).sum();
        let texts = (before + 1..)
            .zip(&batches)
            .map(|(batch, lines)| ndjson_of(batch, lines));
        drawn.ndjson.push(texts.collect());
        drawn.history.steps.push(step(batches, clock));
    }
    drawn
}

/// The lines of each batch of a step. No batch is empty.
fn batches_of(at: usize, placed: &[Classified]) -> Vec<Vec<Line>> {
    let of_step: Vec<&Classified> = placed.iter().filter(|((step, ..), _)| *step == at).collect();
    let batches = of_step.chunk_by(|((_, one, _), _), ((_, next, _), _)| one == next);
    let lines = |batch: &[&Classified]| batch.iter().map(|(_, line)| line.clone()).collect();
    batches.map(lines).collect()
}

fn step(batches: Vec<Vec<Line>>, clock: DateTime<Utc>) -> Step {
    let batches = batches.into_iter().map(|lines| Batch {
        lines: lines.into_iter().map(|(record, _)| record).collect(),
    });
    Step {
        batches: batches.collect(),
        decisions: Vec::new(),
        correction: false,
        breaks: Breaks::new(),
        clock,
    }
}

fn was_finished(record: &NaiveRecord, clock: DateTime<Utc>) -> bool {
    match &record.content {
        Content::Usage(usage) => usage.finished_at <= clock,
        Content::Void(_) => true,
    }
}

/// Which of the open conflicts a person decides on, and how, where there is a choice.
#[derive(Debug, Clone)]
struct Choice {
    conflict: Index,
    replace: bool,
}

fn choice() -> impl Strategy<Value = Choice> {
    let replace = proptest::bool::weighted(0.7);
    (any::<Index>(), replace).prop_map(|(conflict, replace)| Choice { conflict, replace })
}

/// Takes decisions step by step, on what is open then.
fn decided(history: History, choices: &[Vec<Choice>]) -> History {
    let mut decided = History {
        accounts: history.accounts,
        steps: Vec::new(),
    };
    for (step, choices) in history.steps.into_iter().zip(choices) {
        decided.steps.push(step);
        for choice in choices {
            let open = open_conflicts(&decided);
            if open.is_empty() {
                break;
            }
            let conflict = choice.conflict.get(&open).clone();
            let last = decided.steps.last_mut().expect("just pushed");
            last.decisions.push(Decision {
                source: conflict.source,
                id: conflict.id,
                content: conflict.content,
                replace: choice.replace && conflict.can_replace,
            });
        }
    }
    decided
}

/// Adds the accounts of which it would matter whether they begin with their first record or with their first metered
/// usage, under the terms that they have anyway: the rules leave it open.
fn begun(mut history: History) -> History {
    for steps in 1..=history.steps.len() {
        let mut begins: BTreeMap<u64, [BTreeSet<Period>; 2]> = BTreeMap::new();
        for record in judge(&history, steps) {
            if let Some((uin, day)) = record.account_day {
                let period = history.terms(uin).cycle.period_of(day);
                let [all, metered] = begins.entry(uin).or_default();
                all.insert(period);
                metered.extend(record.metered().map(|_| period));
            }
        }
        for (uin, [all, metered]) in begins {
            if all.first() != metered.first() {
                history.accounts.entry(uin).or_insert(DEFAULT_TERMS);
            }
        }
    }
    history
}
