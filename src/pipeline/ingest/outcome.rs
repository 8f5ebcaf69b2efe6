//! What became of records, as text: for tests that hold two ways of reading against each other.

use std::collections::HashSet;

use super::record_rules::RecordRules;
use super::segment_builder::SegmentBuilder;
use super::segment_writers::Writers;
use crate::storage::durable_files::DataDir;
use crate::storage::raw::segment::read_columns;
use crate::support::clock::Clock;
use crate::support::error::Result;

/// Runs a segment builder on 5 November 2026, and lists what it refused, with the payload, and what it kept by day.
pub fn outcome(check: impl FnOnce(&mut SegmentBuilder) -> Result<()>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(folder.path()).unwrap();
    let writers = Writers::new(&data, 1);
    let clock = Clock::at(chrono::DateTime::from_timestamp(1_793_836_800, 0).unwrap());
    let rules = RecordRules::new(clock, "default", HashSet::new(), None);
    let mut builder = SegmentBuilder::new(&rules, &writers);
    check(&mut builder).unwrap();
    let tally = builder.finish().unwrap();
    let refused = tally.refused.iter().map(|refused| {
        let payload = String::from_utf8_lossy(&refused.bytes);
        format!("{} {} {payload:?}\n", refused.line, refused.refusal)
    });
    let segments = writers.finish().unwrap();
    let kept = segments.iter().map(|segment| {
        let frame = read_columns(&data.join(&segment.path), &[]).unwrap();
        let row = |row: usize| -> Vec<_> { frame.columns().iter().map(|column| column.get(row).unwrap()).collect() };
        (0..frame.height())
            .map(|at| format!("{} {:?}\n", segment.path, row(at)))
            .collect::<String>()
    });
    let counts = format!("{} {}\n", tally.received, tally.stored);
    counts + &refused.collect::<String>() + &kept.collect::<String>()
}
