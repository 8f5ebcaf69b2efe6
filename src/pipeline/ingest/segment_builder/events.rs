//! Events at the door: all records of an event are kept, or none.

use super::{Besides, SegmentBuilder};
use crate::pipeline::ingest::formats::events::{Event, EventRecord, Outcome};
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::pipeline::ingest::record::timestamp::utc_day;
use crate::pipeline::ingest::record::{Record, Scratch, parse_line};
use crate::storage::raw::payload::{PayloadRow, payload_columns};
use crate::storage::raw::segment::SegmentKind;
use crate::support::error::Result;

impl SegmentBuilder<'_> {
    /// Takes an event whose records have the numbers from `first` on. Returns whether it left records.
    pub fn take_event(&mut self, first: u64, event: &Event) -> Result<bool> {
        match &event.outcome {
            Outcome::Skipped(skip) => {
                *self.tally.skipped.entry(skip.text()).or_default() += 1;
                Ok(false)
            }
            Outcome::Refused(refusal) => self.refuse_event(first, refusal.clone(), event),
            Outcome::Records(records) => match self.check_records(first, records) {
                Ok(()) => {
                    self.keep_records(first, records, event)?;
                    Ok(true)
                }
                Err(refusal) => self.refuse_event(first, refusal, event),
            },
        }
    }

    fn refuse_event(&mut self, first: u64, refusal: Refusal, event: &Event) -> Result<bool> {
        self.tally.received += 1;
        self.refuse(first, refusal, event.kept.as_bytes().to_vec())?;
        Ok(false)
    }

    /// Each record is held against what every record is held against. The first that is refused names itself.
    fn check_records(&mut self, first: u64, records: &[EventRecord]) -> std::result::Result<(), Refusal> {
        let mut scratch = Scratch::default();
        for (line, record) in (first..).zip(records) {
            let checked = parse_line(record.line.as_bytes(), &mut scratch).and_then(|parsed| {
                self.check(line, &parsed, None)
                    .map(|_| ())
                    .map_err(|r| (r, parsed.id))
                    .map_err(of_record)
            });
            checked?;
        }
        Ok(())
    }

    fn keep_records(&mut self, first: u64, records: &[EventRecord], event: &Event) -> Result<()> {
        let mut scratch = Scratch::default();
        let (mut earliest, mut uin) = (None, None);
        for (line, record) in (first..).zip(records) {
            let parsed = parse_line(record.line.as_bytes(), &mut scratch).map_err(|refusal| twice(&refusal))?;
            let parsed = Record {
                has_derived_time: record.derived_time,
                ..parsed
            };
            let (line, parameters) = self.check(line, &parsed, None).map_err(|refusal| twice(&refusal))?;
            self.keep(line, &parsed, parameters);
            self.tally.received += 1;
            self.tally.stored += 1;
            let day = parsed.finished_at.map(utc_day);
            earliest = earliest.min(day).or(day);
            uin = uin.or(parsed.uin);
        }
        if let (Besides::Kept, Some(day), Ok(line)) = (self.besides, earliest, u32::try_from(first)) {
            self.keep_payload(day, line, uin, event);
        }
        Ok(())
    }

    /// What came beside usage goes with the earliest day of its records.
    fn keep_payload(&mut self, day: i32, line: u32, uin: Option<u64>, event: &Event) {
        self.held_rows += 1;
        let receipt_ns = self.receipt_ns();
        self.payloads.entry(day).or_default().push(PayloadRow {
            intake: self.writers.intake(),
            line,
            uin,
            receipt_ns,
            source: self.rules.default_source.clone(),
            task_id: event.task_id.clone(),
            session_id: event.session_id.clone(),
            session_context: event.session_context.clone(),
            payload: event.kept.clone(),
        });
    }

    pub(super) fn write_payloads(&mut self) -> Result<()> {
        for (day, rows) in std::mem::take(&mut self.payloads) {
            self.held_rows -= rows.len();
            let columns = payload_columns(&rows);
            self.writers.write(SegmentKind::Payload, day, columns)?;
        }
        Ok(())
    }

    fn receipt_ns(&self) -> i64 {
        let receipt = self.rules.events.as_ref().map(|events| events.receipt);
        receipt
            .and_then(|receipt| receipt.timestamp_nanos_opt())
            .unwrap_or(self.rules.now_ns)
    }
}

fn of_record((refusal, id): (Refusal, &str)) -> Refusal {
    // Nor is the name of its work kept.
    if refusal.code == code::ACCOUNT_ERASED {
        return refusal;
    }
    Refusal::new(
        refusal.code,
        format!(
            "in its record {}: {}",
            crate::support::quote::quoted(id),
            refusal.sentence
        ),
    )
}

/// A record is read once to be checked and once to be kept; between the two nothing changes.
fn twice(refusal: &Refusal) -> crate::support::error::Error {
    crate::support::error::Error::Unbalanced(format!(
        "an event's record passed the check once and not again: {refusal}"
    ))
}
