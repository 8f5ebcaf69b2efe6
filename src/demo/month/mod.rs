//! A month of usage, made from a seed: October 2026 in UTC+8, as it comes in night by night, with the dirt of real life.
//!
//! Pure and repeatable: the same seed and size give the same bytes on any machine. It says what it made, so that
//! what comes out of the pipeline can be held against what went in.

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

pub use super::customer::DemoAccount;
pub use super::record::{DemoParameters, DemoRecord, ServiceLog};

use super::customer::Customers;
use super::delivery::Deliveries;
use super::dirt::Dirt;
use super::random::Random;
use super::work;

/// The month and all that is needed to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Month {
    /// Accounts to be added before the first night; all others appear by themselves.
    pub accounts: Vec<DemoAccount>,
    /// In order; the last but one closes the month, the last brings what is late for that.
    pub nights: Vec<Night>,
    /// What all nights together hold.
    pub made: Made,
}

/// One night.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Night {
    /// When the batch job runs.
    pub as_of: DateTime<Utc>,
    /// What lies in the drop folder by then, besides what stayed there.
    pub files: Vec<DemoFile>,
}

/// One file of the drop folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoFile {
    /// Its name, which ends in its format.
    pub name: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// NDJSON or CSV, or what is none and says it is.
    Bytes(Vec<u8>),
    /// Rows that the caller writes as Parquet.
    Parquet(Vec<DemoRecord>),
}

/// What was made, counted in lines of files that can be taken and were not taken before, unless it says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Usage records, each counted once.
    pub records: usize,
    /// The same records, sent again.
    pub repeats: usize,
    /// Records sent again with another duration.
    pub conflicts: usize,
    /// Voids. Each takes back a record that would have been metered and came in an earlier night.
    pub voids: usize,
    /// Lines that are no record.
    pub bad_lines: usize,
    /// Of the records, those of work that failed.
    pub failed: usize,
    /// Of the records, those that no card can meter; none of them failed.
    pub unmetered: usize,
    /// Of the records, those that came in a later night than the one after their day.
    pub late: usize,
    /// Of the late ones, those that came after the night that closed their period.
    pub late_after_close: usize,
    /// Of the voids, those that came after the night that closed their record's period.
    pub voids_after_close: usize,
    /// Milliseconds of the records that are metered by duration and not taken back.
    pub metered_ms: u64,
    /// Images of the records that are metered by images and not taken back.
    pub metered_images: u64,
    /// Files that are taken.
    pub files: usize,
    /// Files with the bytes of one that was taken before.
    pub files_again: usize,
    /// Files that cannot be read.
    pub files_refused: usize,
    /// Files that are not complete, and stay.
    pub files_unfinished: usize,
}

impl Made {
    /// Lines received.
    pub fn received(&self) -> usize {
        self.records + self.repeats + self.conflicts + self.voids + self.bad_lines
    }

    /// Records metered and not taken back.
    pub fn metered(&self) -> usize {
        self.records - self.failed - self.unmetered - self.voids
    }

    fn add(&mut self, record: &DemoRecord) {
        self.records += 1;
        self.failed += usize::from(record.failed);
        let (ms, images) = measured(record);
        self.metered_ms += ms;
        self.metered_images += images;
    }

    /// Counts what a record measures no longer.
    pub(super) fn take_back(&mut self, record: &DemoRecord) {
        let (ms, images) = measured(record);
        self.metered_ms -= ms;
        self.metered_images -= images;
    }
}

/// What a record counts in milliseconds and images: one of the two, nothing if it failed.
fn measured(record: &DemoRecord) -> (u64, u64) {
    match (record.failed, record.parameters.images) {
        (true, _) => (0, 0),
        (false, Some(images)) => (0, u64::from(images)),
        (false, None) => (record.duration_ms, 0),
    }
}

/// The month of a seed, with so many records.
pub fn month(seed: u64, records: usize) -> Month {
    let mut random = Random::new(seed);
    let mut made = Made::default();
    let customers = Customers::new(&mut random);
    let records = work::records(&mut random, &customers, records);
    for record in &records {
        made.add(record);
    }
    let mut deliveries = Deliveries::on_time(&mut random, records);
    Dirt::new(&mut random, &customers, &mut deliveries, &mut made).strew();
    let nights = deliveries.into_nights(&mut random);
    count_files(&nights, &mut made);
    Month {
        accounts: customers.by_hand(),
        nights,
        made,
    }
}

fn count_files(nights: &[Night], made: &mut Made) {
    let mut seen = std::collections::HashSet::new();
    for file in nights.iter().flat_map(|night| &night.files) {
        let count = match file.name.rsplit_once('.') {
            Some((_, "part")) => &mut made.files_unfinished,
            Some((_, "gz")) => &mut made.files_refused,
            _ if !seen.insert(&file.name) => &mut made.files_again,
            _ => &mut made.files,
        };
        *count += 1;
    }
}
