//! Work side by side: pieces go into the ledger while the next are made, and two jobs that each leave the cores idle while they wait for
//! the ledger go on at once.

use std::sync::mpsc::{self, SyncSender};
use std::thread;

use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::support::error::{Error, Result};
use crate::support::threads::give_way;

/// Where made pieces go. It takes no more once writing has failed.
pub struct Taker<T> {
    pieces: SyncSender<T>,
}

impl<T> Taker<T> {
    /// Hands a piece on, and waits while enough of them wait to be written.
    pub fn take(&self, piece: T) -> Result<()> {
        let refused = |_| Error::Unbalanced("what was made could not be written".to_owned());
        self.pieces.send(piece).map_err(refused)
    }
}

/// Writes pieces while the next are made, `ahead` of them at most. Returns what making them came to.
pub async fn write_while_making<T: Send, M: Send>(
    ahead: usize,
    make: impl FnOnce(&Taker<T>) -> Result<M> + Send,
    mut write: impl AsyncFnMut(T) -> Result<()>,
) -> Result<M> {
    let (sender, pieces) = mpsc::sync_channel(ahead);
    let taker = Taker { pieces: sender };
    let ledger = Handle::current();
    block_in_place(|| {
        thread::scope(|scope| {
            let making = scope.spawn(move || {
                give_way();
                make(&taker)
            });
            let written = ledger.block_on(async {
                for piece in pieces {
                    write(piece).await?;
                }
                Ok(())
            });
            let made = making.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // When the ledger fails, its error is the one to tell; the other side only found that nobody takes its pieces.
            written.and(made)
        })
    })
}

/// Does two jobs at once, the first on a thread of its own: either may keep its thread busy for long. Returns when both have ended.
pub async fn both<A: Send, B>(one: impl AsyncFnOnce() -> A + Send, other: impl Future<Output = B>) -> (A, B) {
    let runtime = Handle::current();
    block_in_place(|| {
        thread::scope(|scope| {
            let one = scope.spawn(|| runtime.block_on(one()));
            let other = runtime.block_on(other);
            let one = one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (one, other)
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::support::error::Error;
    use crate::support::overlap::{both, write_while_making};

    fn run(
        make: impl FnOnce(&super::Taker<u32>) -> crate::support::error::Result<u32> + Send,
        refused: Option<u32>,
    ) -> (crate::support::error::Result<u32>, Vec<u32>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        runtime.block_on(async {
            let mut written = Vec::new();
            let made = write_while_making(1, make, async |piece| {
                if Some(piece) == refused {
                    return Err(Error::Usage("the ledger is full".to_owned()));
                }
                written.push(piece);
                Ok(())
            })
            .await;
            (made, written)
        })
    }

    #[test]
    fn two_jobs_go_on_at_once() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let (to_one, at_one) = std::sync::mpsc::channel();
        let (to_other, at_other) = std::sync::mpsc::channel();
        let one = async move || {
            to_other.send(1).unwrap();
            at_one.recv().unwrap()
        };
        let other = async move {
            to_one.send(2).unwrap();
            at_other.recv().unwrap()
        };
        assert_eq!(runtime.block_on(both(one, other)), (2, 1));
    }

    #[test]
    fn all_pieces_are_written_in_order() {
        let make = |to: &super::Taker<u32>| {
            for piece in 0..100 {
                to.take(piece)?;
            }
            Ok(7)
        };
        let (made, written) = run(make, None);
        assert_eq!((made.unwrap(), written), (7, (0..100).collect()));
    }

    #[test]
    fn an_error_of_the_ledger_is_told_and_ends_the_making() {
        let make = |to: &super::Taker<u32>| {
            for piece in 0.. {
                to.take(piece)?;
            }
            Ok(7)
        };
        let (made, written) = run(make, Some(3));
        assert_eq!(made.unwrap_err().to_string(), "the ledger is full");
        assert_eq!(written, [0, 1, 2]);
    }

    #[test]
    fn an_error_of_the_making_is_told_after_what_was_made_is_written() {
        let make = |to: &super::Taker<u32>| {
            to.take(1)?;
            Err(Error::Usage("no such file".to_owned()))
        };
        let (made, written) = run(make, None);
        assert_eq!(
            (made.unwrap_err().to_string(), written),
            ("no such file".to_owned(), vec![1])
        );
    }
}
