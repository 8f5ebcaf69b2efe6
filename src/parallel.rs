//! Work on several threads for tasks that call polars.
//!
//! A rayon worker that waits for polars takes up another task meanwhile, on the stack of the first: with hundreds of
//! segments the stack overflows. These threads wait where they stand.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::{AtPath as _, Result};

/// Decoding wide files in a debug build takes some room.
pub const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Calls `task` with every number below `count`, on as many threads as there are cores. The outcomes are in the order of the
/// numbers; the first error ends the work.
pub fn map<T: Send>(count: usize, task: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(count);
    if threads <= 1 {
        return (0..count).map(task).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, T)>> {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return Ok(done);
            }
            let outcome = task(at).inspect_err(|_| next.store(count, Ordering::Relaxed))?;
            done.push((at, outcome));
        }
    };
    let parts: Vec<Vec<(usize, T)>> = thread::scope(|scope| {
        let mut workers = Vec::with_capacity(threads);
        for _ in 0..threads {
            let worker = thread::Builder::new().stack_size(STACK_BYTES);
            workers.push(worker.spawn_scoped(scope, work).at("a thread")?);
        }
        let joined = workers.into_iter().map(thread::ScopedJoinHandle::join);
        joined
            .map(|outcome| outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<_>>()
    })?;
    let mut all: Vec<(usize, T)> = parts.into_iter().flatten().collect();
    all.sort_unstable_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, outcome)| outcome).collect())
}

#[cfg(test)]
mod tests {
    use super::map;
    use crate::error::Error;

    #[test]
    fn outcomes_are_in_order_and_an_error_ends_the_work() {
        assert_eq!(
            map(100, |at| Ok(at * 2)).unwrap(),
            (0..100).map(|at| at * 2).collect::<Vec<_>>()
        );
        assert!(map(0, |_| Ok(())).unwrap().is_empty());
        let failed = map(1000, |at| {
            if at == 7 {
                Err(Error::Usage("7".to_owned()))
            } else {
                Ok(())
            }
        });
        assert_eq!(failed.unwrap_err().to_string(), "7");
    }
}
