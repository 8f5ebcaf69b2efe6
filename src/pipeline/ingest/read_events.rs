//! Reading events: each JSON document of an input becomes the records that it reports, or is refused whole.
//!
//! Records are numbered in their order, through all events of the input; a refused event takes one number.

use std::io::Read;

use super::event_rules::EventRules;
use super::formats::events::{Event, Outcome, read};
use super::formats::json_values::{JsonValues, Splitter};
use super::input::chunk::{Chunk, Chunks};
use super::input::{ByteCounter, Input, sniff};
use super::parallel_read::check_all;
use super::read::Checked;
use super::record::is_blank;
use super::record_rules::RecordRules;
use super::segment_builder::SegmentBuilder;
use super::segment_writers::Writers;
use crate::context::Books;
use crate::support::error::{Error, Result};

/// Events of a part of an input, each with the number of its first record.
type Part = Vec<(u64, Event)>;

/// Reads an input of events.
pub(super) fn read_events(books: &Books, input: &Input, rules: &RecordRules, writers: &Writers) -> Result<Checked> {
    let Some(events) = &rules.events else {
        return Err(Error::Unbalanced(format!(
            "{} is read without the rules of its source",
            input.name
        )));
    };
    let (mut documents, meter) = Documents::open(input)?;
    let progress = books.progress.bytes(&input.name, input.bytes()?);
    let mut number = Numbering {
        rules: events,
        next: input.first_line(),
    };
    let read = |part: &mut Part| {
        progress.at(meter.bytes());
        part.clear();
        documents.next(|document| number.take(document, part))
    };
    let check = |builder: &mut SegmentBuilder, part: &Part| {
        for (first, event) in part {
            builder.take_event(*first, event)?;
        }
        builder.write_what_is_full()
    };
    let tally = check_all(rules, writers, read, check)?;
    Ok((meter.finish(), None, tally))
}

/// The documents of an input: its lines, or, where it does not have one on each, its JSON values. So a broken line costs itself alone.
pub(super) struct Documents<'a> {
    input: &'a Input,
    kind: Kind,
}

enum Kind {
    Lines(Chunks<Box<dyn Read + Send>>, Chunk),
    Values(Splitter<Box<dyn Read + Send>>, JsonValues),
}

impl<'a> Documents<'a> {
    /// Opens an input, with the counter of its bytes.
    pub fn open(input: &'a Input) -> Result<(Self, ByteCounter)> {
        let (reader, meter) = input.open()?;
        let (head, mut reader) = sniff::begin(input, reader)?;
        let kind = if input.is_by_line() || sniff::stands_by_line(&head) {
            Kind::Lines(Chunks::of_lines(Box::new(reader)), Chunk::default())
        } else {
            sniff::skip_mark(&head, &mut reader).map_err(|e| input.unreadable(&e))?;
            Kind::Values(Splitter::new(Box::new(reader)), JsonValues::default())
        };
        Ok((Self { input, kind }, meter))
    }

    /// Hands on the documents of the next part; false at the end.
    pub fn next(&mut self, mut take: impl FnMut(&[u8])) -> Result<bool> {
        let more = match &mut self.kind {
            Kind::Lines(chunks, chunk) => chunks.fill(chunk),
            Kind::Values(splitter, values) => splitter.fill(values),
        };
        let more = more.map_err(|e| self.input.unreadable(&e))?;
        match &self.kind {
            Kind::Lines(_, chunk) => {
                let lines = chunk.bytes().split(|byte| *byte == b'\n');
                lines.filter(|line| !is_blank(line)).for_each(take);
            }
            Kind::Values(_, values) => values.iter().for_each(|value| take(value.bytes)),
        }
        Ok(more)
    }
}

/// Numbers the records of events, in the order of the input.
struct Numbering<'a> {
    rules: &'a EventRules,
    next: u64,
}

impl Numbering<'_> {
    fn take(&mut self, document: &[u8], part: &mut Part) {
        for event in events_of(self.rules, document) {
            let first = self.next;
            self.next += event.lines();
            part.push((first, event));
        }
    }
}

/// The events of one document as it came.
pub(super) fn events_of(rules: &EventRules, document: &[u8]) -> Vec<Event> {
    // What is no UTF-8 is refused as such, with its signs replaced where it is kept: an event has no place for them.
    let text = String::from_utf8_lossy(document);
    read(rules.format, &text, &rules.source, rules.receipt)
}

impl Event {
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.outcome, Outcome::Refused(_))
    }

    /// Why it gives no record.
    pub(super) fn skipped(&self) -> Option<&'static str> {
        match &self.outcome {
            Outcome::Skipped(skip) => Some(skip.text()),
            _ => None,
        }
    }

    /// How many numbers it takes: one for each record, and one when it is refused.
    pub(super) fn lines(&self) -> u64 {
        match &self.outcome {
            Outcome::Records(records) => records.len() as u64,
            Outcome::Refused(_) => 1,
            Outcome::Skipped(_) => 0,
        }
    }
}
