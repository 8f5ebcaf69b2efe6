//! What goes wrong in real life: late records, resends, corrections, conflicts, work that the card does not know,
//! and lines that are none. How often is a share of the month's records, at least so that each thing is seen.

use std::collections::HashSet;

use super::bad_line;
use super::calendar::{DAYS, LAST_NIGHT, day_of};
use super::customer::{Customers, DOMESTIC};
use super::delivery::{Arrival, Channel, Deliveries, Line, some_place};
use super::month::Made;
use super::random::Random;
use super::record::{DemoParameters, DemoRecord};

/// One in so many records is sent again.
const REPEAT_ONE_IN: usize = 1_000;
const REPEATS_MIN: usize = 4;

/// In a thousand repeats, those that come in the same night; the others come up to [`REPEAT_NIGHTS`] later.
const SAME_NIGHT_PER_MILLE: u64 = 600;
const REPEAT_NIGHTS: usize = 6;

/// One in so many records comes late, by 1 to [`LATE_NIGHTS_MAX`] nights.
const LATE_ONE_IN: usize = 500;
const LATE_MIN: usize = 4;
const LATE_NIGHTS_MAX: usize = 9;

/// Besides those, so many come in the last night, when their period is closed.
const STRAGGLERS: usize = 5;

/// One in so many records is taken back within [`VOID_NIGHTS`] nights after it came.
const VOID_ONE_IN: usize = 10_000;
const VOIDS_MIN: usize = 3;
const VOID_NIGHTS: usize = 3;

/// Besides those, so many are taken back in the last night, when their period is closed.
const VOIDS_AFTER_CLOSE: usize = 2;

/// So many records come once more with another duration.
const CONFLICTS: usize = 3;
const CONFLICT_MORE_MS: u64 = 30_000;

/// One in so many records is work that no card knows.
const UNMETERED_ONE_IN: usize = 25_000;
const UNMETERED_MIN: usize = 3;
const UNKNOWN_TASK_TYPE: &str = "Evaluation";

/// One in so many lines is bad, and each kind is seen.
const BAD_LINE_ONE_IN: usize = 2_000;

/// So often a record is drawn that fits before it is taken that there is none.
const TRIES_MAX: usize = 2_000;

/// The month on its way to the dirt. Each record suffers one thing at most, so that the counts are exact.
pub(super) struct Dirt<'m> {
    random: &'m mut Random,
    customers: &'m Customers,
    deliveries: &'m mut Deliveries,
    made: &'m mut Made,
    touched: HashSet<usize>,
}

impl<'m> Dirt<'m> {
    pub(super) fn new(
        random: &'m mut Random,
        customers: &'m Customers,
        deliveries: &'m mut Deliveries,
        made: &'m mut Made,
    ) -> Self {
        Self {
            random,
            customers,
            deliveries,
            made,
            touched: HashSet::new(),
        }
    }

    /// Strews all of it.
    pub(super) fn strew(mut self) {
        self.unknown_work();
        self.voids();
        self.conflicts();
        self.late_records();
        self.repeats();
        self.bad_lines();
    }

    fn unknown_work(&mut self) {
        for _ in 0..self.share(UNMETERED_ONE_IN).max(UNMETERED_MIN) {
            let Some(number) = self.choose(|dirt, record| !record.failed && dirt.customers.card(record) == DOMESTIC)
            else {
                return;
            };
            let record = &mut self.deliveries.records[number];
            self.made.take_back(record);
            record.task_type = UNKNOWN_TASK_TYPE;
            record.parameters = DemoParameters {
                region: record.parameters.region,
                ..DemoParameters::default()
            };
            self.made.unmetered += 1;
        }
    }

    fn voids(&mut self) {
        for _ in 0..self.share(VOID_ONE_IN).max(VOIDS_MIN) {
            if let Some(number) = self.choose(|_, record| !record.failed) {
                let night = self.deliveries.first[number].night + 1 + self.random.index(VOID_NIGHTS);
                self.void(number, night);
            }
        }
        for _ in 0..VOIDS_AFTER_CLOSE {
            let closed =
                |dirt: &Self, record: &DemoRecord| !record.failed && dirt.customers.closing_night(record) < LAST_NIGHT;
            if let Some(number) = self.choose(closed) {
                self.void(number, LAST_NIGHT);
            }
        }
    }

    fn void(&mut self, number: usize, night: usize) {
        let record = &self.deliveries.records[number];
        self.made.take_back(record);
        self.made.voids += 1;
        self.made.voids_after_close += usize::from(self.customers.closing_night(record) < night);
        let line = Line::Void(self.random.id(), number);
        self.deliveries.add(
            Arrival {
                night,
                channel: Channel::Main,
            },
            line,
        );
    }

    fn conflicts(&mut self) {
        for _ in 0..CONFLICTS {
            let Some(number) = self.choose(|_, record| bad_line::can_be_spoilt(record)) else {
                return;
            };
            let record = &self.deliveries.records[number];
            let other = DemoRecord {
                duration_ms: record.duration_ms + CONFLICT_MORE_MS,
                ..record.clone()
            };
            let night = self.deliveries.first[number].night + 1 + self.random.index(VOID_NIGHTS);
            self.deliveries.records.push(other);
            let line = Line::Record(self.deliveries.records.len() - 1);
            self.deliveries.add(
                Arrival {
                    night,
                    channel: Channel::Main,
                },
                line,
            );
            self.made.conflicts += 1;
        }
    }

    fn late_records(&mut self) {
        for _ in 0..self.share(LATE_ONE_IN).max(LATE_MIN) {
            if let Some(number) = self.choose(|_, _| true) {
                let nights = 1 + self.random.index(LATE_NIGHTS_MAX);
                let night = (self.deliveries.first[number].night + nights).min(LAST_NIGHT);
                self.late(number, night);
            }
        }
        // Not later than the others: what the last night can still bring within their nights.
        let first_night = LAST_NIGHT - LATE_NIGHTS_MAX;
        for _ in 0..STRAGGLERS {
            let closed = |dirt: &Self, record: &DemoRecord| {
                first_night <= day_of(record.finished_at_ms) && dirt.customers.closing_night(record) < LAST_NIGHT
            };
            if let Some(number) = self.choose(closed) {
                self.late(number, LAST_NIGHT);
            }
        }
    }

    fn late(&mut self, number: usize, night: usize) {
        let record = &self.deliveries.records[number];
        self.made.late += 1;
        self.made.late_after_close += usize::from(self.customers.closing_night(record) < night);
        self.deliveries.first[number] = Arrival {
            night,
            channel: Channel::Main,
        };
    }

    fn repeats(&mut self) {
        for _ in 0..self.share(REPEAT_ONE_IN).max(REPEATS_MIN) {
            let Some(number) = self.choose(|_, _| true) else { return };
            let nights = if self.random.per_mille(SAME_NIGHT_PER_MILLE) {
                0
            } else {
                1 + self.random.index(REPEAT_NIGHTS)
            };
            let night = (self.deliveries.first[number].night + nights).min(LAST_NIGHT);
            let place = some_place(self.random, night);
            self.deliveries.add(place, Line::Record(number));
            self.made.repeats += 1;
        }
    }

    fn bad_lines(&mut self) {
        let kinds = bad_line::JSON_KINDS + bad_line::CSV_KINDS;
        for count in 0..self.share(BAD_LINE_ONE_IN).max(kinds) {
            let Some(number) = self.choose(|_, record| bad_line::can_be_spoilt(record)) else {
                return;
            };
            let record = DemoRecord {
                id: self.random.id(),
                ..self.deliveries.records[number].clone()
            };
            let night = self.deliveries.first[number].night;
            let (channel, bytes) = match (count % kinds).checked_sub(bad_line::JSON_KINDS) {
                None => (Channel::Main, bad_line::json(&record, count % kinds)),
                Some(kind) => (Channel::Legacy, bad_line::csv(&record, kind)),
            };
            self.deliveries.add(Arrival { night, channel }, Line::Bad(bytes));
            self.made.bad_lines += 1;
        }
    }

    /// A record that fits and has suffered nothing yet; none when chance finds none.
    fn choose(&mut self, fits: impl Fn(&Self, &DemoRecord) -> bool) -> Option<usize> {
        for _ in 0..TRIES_MAX {
            let number = self.random.index(self.deliveries.first.len());
            let record = self.deliveries.records.get(number)?;
            if !self.touched.contains(&number) && fits(self, record) {
                self.touched.insert(number);
                return Some(number);
            }
        }
        None
    }

    fn share(&self, one_in: usize) -> usize {
        self.deliveries.first.len() / one_in
    }
}

// The nights above are counted from a record's own, and none of those is later than this.
const _: () = assert!(DAYS - 1 + VOID_NIGHTS <= LAST_NIGHT);
