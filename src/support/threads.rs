//! Work on several threads for tasks that call polars.
//!
//! A rayon worker that waits for polars takes up another task meanwhile, on the stack of the first: with hundreds of
//! segments the stack overflows. These threads wait where they stand.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use crate::support::error::{AtPath as _, Result};

/// Decoding wide files in a debug build takes some room.
pub const STACK_BYTES: usize = 16 * 1024 * 1024;

/// The `nice` of a thread that gives way: it takes a third of what another one takes of a contested core.
#[cfg(target_os = "linux")]
const GIVES_WAY: i32 = 5;

/// Lets other threads go first where there are more of them than cores: those that write to the ledger, which everybody waits for in the
/// end, and those of other programs that ask it something meanwhile. It is of this thread, and of those that it starts; one that gives way
/// already gives no more.
pub fn give_way() {
    // Of one thread on Linux alone. Nothing depends on it.
    #[cfg(target_os = "linux")]
    if rustix::process::getpriority_process(None).is_ok_and(|nice| nice < GIVES_WAY) {
        let _best_effort = rustix::process::setpriority_process(None, GIVES_WAY);
    }
}

/// Calls `task` with every number below `count`, on as many threads as there are cores. The outcomes are in the order of the
/// numbers; the first error ends the work.
pub fn map<T: Send>(count: usize, task: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let threads = threads().min(count);
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

/// Calls `make` with every number below `count`, on as many threads as there are cores, and meanwhile `take` with the outcomes, on this
/// thread and in the order of the numbers. So many outcomes `ahead` of those that were taken may wait. The first error ends the work.
pub fn in_order<T: Send>(
    count: usize,
    ahead: usize,
    make: impl Fn(usize) -> Result<T> + Sync,
    take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let turn = Turn::default();
    let (sender, made) = mpsc::channel();
    let work = |sender: mpsc::Sender<_>| {
        let _others_do_not_wait_for_a_panic = EndTurns {
            of: &turn,
            only_on_panic: true,
        };
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count || !turn.is_near(at, ahead) {
                return;
            }
            // Nobody listens any more when an earlier one has failed.
            let _after_an_error = sender.send((at, make(at)));
        }
    };
    thread::scope(|scope| {
        let _nobody_waits_for_this_thread = EndTurns {
            of: &turn,
            only_on_panic: false,
        };
        for _ in 0..threads().min(count) {
            let (work, sender) = (&work, sender.clone());
            let worker = thread::Builder::new().stack_size(STACK_BYTES);
            let work = move || {
                give_way();
                work(sender);
            };
            worker.spawn_scoped(scope, work).at("a thread")?;
        }
        drop(sender);
        take_in_order(&made, &turn, take)
    })
}

fn take_in_order<T>(
    made: &Receiver<(usize, Result<T>)>,
    turn: &Turn,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let (mut taken, mut early) = (0, BTreeMap::new());
    for (at, outcome) in made {
        early.insert(at, outcome?);
        while let Some(outcome) = early.remove(&taken) {
            take(outcome)?;
            taken += 1;
            turn.set(taken);
        }
    }
    Ok(())
}

/// How many outcomes were taken.
#[derive(Default)]
struct Turn {
    taken: Mutex<usize>,
    changed: Condvar,
}

impl Turn {
    /// No outcome is taken any more.
    const ENDED: usize = usize::MAX;

    /// Once ended, it stays so.
    fn set(&self, now: usize) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = now.max(*taken);
        self.changed.notify_all();
    }

    /// Waits until an outcome may be made. It may not, once none is taken any more.
    fn is_near(&self, at: usize, ahead: usize) -> bool {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_far = |taken: &mut usize| *taken != Self::ENDED && *taken + ahead < at;
        let taken = self.changed.wait_while(taken, is_far);
        *taken.unwrap_or_else(PoisonError::into_inner) != Self::ENDED
    }
}

/// Ends the turns when it goes, or only when its thread panics.
struct EndTurns<'t> {
    of: &'t Turn,
    only_on_panic: bool,
}

impl Drop for EndTurns<'_> {
    fn drop(&mut self) {
        if !self.only_on_panic || thread::panicking() {
            self.of.set(Turn::ENDED);
        }
    }
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::support::error::Error;
    use crate::support::threads::{in_order, map};

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

    #[test]
    fn outcomes_are_taken_in_order_and_none_is_made_too_early() {
        for (count, ahead) in [(0, 3), (1, 0), (100, 0), (100, 3), (100, 1000)] {
            let taken = AtomicUsize::new(0);
            let make = |at: usize| {
                assert!(at <= taken.load(Ordering::SeqCst) + ahead);
                Ok(at)
            };
            in_order(count, ahead, make, |at| {
                assert_eq!(at, taken.load(Ordering::SeqCst));
                taken.store(at + 1, Ordering::SeqCst);
                Ok(())
            })
            .unwrap();
            assert_eq!(taken.load(Ordering::SeqCst), count);
        }
    }

    #[test]
    fn an_error_of_either_side_ends_the_work_of_both() {
        let fails_at = |wrong: usize| {
            move |at: usize| {
                if at == wrong {
                    Err(Error::Usage(at.to_string()))
                } else {
                    Ok(at)
                }
            }
        };
        let made = AtomicUsize::new(0);
        let making = |at| {
            made.fetch_add(1, Ordering::SeqCst);
            fails_at(7)(at)
        };
        let failed = in_order(1000, 2, making, |_| Ok(()));
        assert_eq!(failed.unwrap_err().to_string(), "7");
        assert!(made.load(Ordering::SeqCst) < 1000);
        let failed = in_order(1000, 2, Ok, |at| fails_at(5)(at).map(drop));
        assert_eq!(failed.unwrap_err().to_string(), "5");
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_is_not_lost() {
        let _never = in_order(100, 1, |at| if at == 1 { panic!("at 1") } else { Ok(at) }, |_| Ok(()));
    }
}
