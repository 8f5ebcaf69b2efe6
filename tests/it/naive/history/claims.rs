//! Which record stands, step by step: identity, voids, and a person's word on conflicts.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;

use super::{Decision, History};
use crate::naive::World;
use crate::naive::identity::{Judged, Status, judge_line};
use crate::naive::record::{Content, NaiveRecord, Usage};

/// Source and id.
type Identity<'a> = (&'a str, &'a str);

/// A conflict that nobody has resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenConflict {
    /// The scope of the id.
    pub source: String,
    /// The id.
    pub id: String,
    /// What was sent and does not stand.
    pub content: Usage,
    /// Whether a person may replace what stands by it, or can only keep what stands.
    pub can_replace: bool,
}

/// Judges all lines of the first steps, in order.
pub fn judge(history: &History, steps: usize) -> Vec<Judged> {
    let book = Book::of(history, steps);
    // Only the terms say something about one line.
    let world = World {
        accounts: history.accounts.clone(),
        batches: Vec::new(),
        clock: DateTime::UNIX_EPOCH,
    };
    let judge = |line: &Line| judge_line(&world, line.batch, line.record, book.known(line));
    book.lines.iter().map(judge).collect()
}

/// The open conflicts after the last step, by identity and then in the order in which they came. Conflicts whose content
/// is a void are left out: no decision is about them.
pub fn open_conflicts(history: &History) -> Vec<OpenConflict> {
    let book = Book::of(history, history.steps.len());
    let mut open = Vec::new();
    for (&identity, claim) in &book.claims {
        for &content in &claim.open {
            if let Content::Usage(content) = content {
                open.push(OpenConflict {
                    source: identity.0.to_owned(),
                    id: identity.1.to_owned(),
                    content: content.clone(),
                    can_replace: book.has_usage(identity),
                });
            }
        }
    }
    open
}

/// All lines so far, and who has claimed what.
#[derive(Default)]
struct Book<'a> {
    lines: Vec<Line<'a>>,
    claims: BTreeMap<Identity<'a>, Claim<'a>>,
    /// Taken back, now or when they come.
    voided: BTreeSet<Identity<'a>>,
}

/// A line as it came.
struct Line<'a> {
    batch: usize,
    record: &'a NaiveRecord,
    /// What it counts as, if it does not stand.
    status: Option<Status>,
}

/// An identity.
struct Claim<'a> {
    /// The position of the line that stands.
    stands: usize,
    /// What is a duplicate when it comes again: what stands or stood, and what was resolved.
    known: Vec<&'a Content>,
    /// What is a conflict, also when it comes again.
    open: Vec<&'a Content>,
}

impl<'a> Line<'a> {
    fn identity(&self) -> Identity<'a> {
        (&self.record.source, &self.record.id)
    }
}

impl<'a> Book<'a> {
    fn of(history: &'a History, steps: usize) -> Self {
        let mut book = Self::default();
        let mut batches = 0;
        for step in &history.steps[..steps] {
            for batch in &step.batches {
                batch.lines.iter().for_each(|record| book.receive(batches, record));
                batches += 1;
            }
            step.decisions.iter().for_each(|decision| book.decide(decision));
        }
        book
    }

    fn receive(&mut self, batch: usize, record: &'a NaiveRecord) {
        let identity = (record.source.as_str(), record.id.as_str());
        let status = match self.claims.get_mut(&identity) {
            None => self.claim(identity, &record.content),
            Some(claim) => Some(claim.repeat(&record.content)),
        };
        self.lines.push(Line { batch, record, status });
    }

    /// The first of its identity stands, unless it is the second void of the same record.
    fn claim(&mut self, identity: Identity<'a>, content: &'a Content) -> Option<Status> {
        let claim = Claim {
            stands: self.lines.len(),
            known: vec![content],
            open: Vec::new(),
        };
        self.claims.insert(identity, claim);
        match content {
            Content::Void(target) if !self.voided.insert((identity.0, target)) => Some(Status::Duplicate),
            _ => None,
        }
    }

    fn decide(&mut self, decision: &'a Decision) {
        let identity = (decision.source.as_str(), decision.id.as_str());
        let has_usage = self.has_usage(identity);
        let claim = self.claims.get_mut(&identity).expect("a decision is about a conflict");
        let is_meant = |content: &Content| matches!(content, Content::Usage(usage) if *usage == decision.content);
        let at = claim.open.iter().position(|content| is_meant(content));
        let content = claim.open.remove(at.expect("a decision is about an open conflict"));
        claim.known.push(content);
        if decision.replace {
            assert!(has_usage, "only usage that stands can be replaced");
            let is_first = |line: &Line| line.identity() == identity && line.record.content == *content;
            let stood = std::mem::replace(
                &mut claim.stands,
                self.lines.iter().position(is_first).expect("what is open came"),
            );
            self.lines[stood].status = Some(Status::Conflict);
            self.lines[claim.stands].status = None;
        }
    }

    /// Whether usage stands that was not taken back.
    fn has_usage(&self, identity: Identity) -> bool {
        let content = self
            .claims
            .get(&identity)
            .map(|claim| &self.lines[claim.stands].record.content);
        matches!(content, Some(Content::Usage(_))) && !self.voided.contains(&identity)
    }

    /// What a line counts as, if that does not follow from its content alone.
    fn known(&self, line: &Line) -> Option<Status> {
        let is_taken_back = self.voided.contains(&line.identity());
        line.status.or(is_taken_back.then_some(Status::Voided))
    }
}

impl<'a> Claim<'a> {
    fn repeat(&mut self, content: &'a Content) -> Status {
        if self.known.contains(&content) {
            return Status::Duplicate;
        }
        if !self.open.contains(&content) {
            self.open.push(content);
        }
        Status::Conflict
    }
}
