//! One thread per core, each reading the next part of an input and checking it.
//!
//! Whoever is free reads: the part is then in that core's cache when it is checked, nothing waits in between, and as many parts
//! are in memory as there are threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::record_rules::RecordRules;
use super::segment_builder::{Counts, SegmentBuilder};
use super::segment_writers::Writers;
use crate::support::error::{AtPath as _, Result};
use crate::support::threads::STACK_BYTES;

/// Checks every part of an input. `read` fills a part with the next records and says whether there were any; `check` gives its
/// records to a segment builder.
pub fn check_all<'d, P: Default>(
    rules: &'d RecordRules,
    writers: &'d Writers,
    read: impl FnMut(&mut P) -> Result<bool> + Send,
    check: impl Fn(&mut SegmentBuilder<'d>, &P) -> Result<()> + Sync,
) -> Result<Counts> {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let read = Mutex::new(read);
    let failed = AtomicBool::new(false);
    let work = || {
        let tally = check_parts(SegmentBuilder::new(rules, writers), &read, &check, &failed);
        if tally.is_err() {
            failed.store(true, Ordering::Relaxed);
        }
        tally
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work))
            .collect::<std::io::Result<_>>()
            .at("a thread")?;
        let tallies: Result<Vec<Counts>> = workers
            .into_iter()
            .map(|builder| builder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        Ok(tallies?.into_iter().fold(Counts::default(), Counts::and))
    })
}

fn check_parts<'d, P: Default>(
    mut builder: SegmentBuilder<'d>,
    read: &Mutex<impl FnMut(&mut P) -> Result<bool>>,
    check: impl Fn(&mut SegmentBuilder<'d>, &P) -> Result<()>,
    failed: &AtomicBool,
) -> Result<Counts> {
    let mut part = P::default();
    // When one of them fails, what the others find is of no use.
    while !failed.load(Ordering::Relaxed) {
        let more = {
            let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
            let _reading = tracing::debug_span!("read").entered();
            read(&mut part)?
        };
        if !more {
            return builder.finish();
        }
        let _checking = tracing::debug_span!("check").entered();
        check(&mut builder, &part)?;
    }
    Ok(Counts::default())
}
