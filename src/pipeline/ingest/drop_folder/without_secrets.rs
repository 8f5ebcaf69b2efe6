//! Originals of events, kept without the secrets that they came with: each event on a line of its own, as it would be in quarantine.
//!
//! The digest of what came stays with what is kept, so that the same file is known again, here and when it comes once more.

use std::fs::{File, FileTimes};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use super::store;
use crate::context::Books;
use crate::pipeline::ingest::event_rules::EventRules;
use crate::pipeline::ingest::input::Input;
use crate::pipeline::ingest::read_events::{Documents, events_of};
use crate::storage::durable_files::{rename_durably, sync_all};
use crate::support::error::{AtPath as _, Result};
use crate::support::failpoint;
use crate::values::digest::input_digest_of_file;

/// Puts what is kept of an original at its place, and removes the original. `digest` is that of what came.
pub(super) async fn put(books: &Books, rules: &EventRules, input: &Input, target: &Path, digest: &str) -> Result<()> {
    let Some(path) = input.path() else { return Ok(()) };
    if is_there(books, target, digest).await? {
        return remove(path);
    }
    let made = target.with_file_name(format!(".{}.part", &digest[..16.min(digest.len())]));
    // The file's time is that of receipt, from which it is kept for a month.
    let received = FileTimes::new().set_modified(books.clock.now().into());
    let kept = tokio::task::block_in_place(|| {
        write(rules, input, &made, received)?;
        sync_all(std::slice::from_ref(&made))?;
        input_digest_of_file(&made)
    })?;
    // First the ledger: a file that it does not know would look like one that was changed.
    store::add_blanked(books, &kept, digest).await?;
    rename_durably(&made, target)?;
    remove(path)
}

/// Whether what is kept of the same original is at its place already.
async fn is_there(books: &Books, target: &Path, digest: &str) -> Result<bool> {
    if !target.exists() {
        return Ok(false);
    }
    let there = tokio::task::block_in_place(|| input_digest_of_file(target))?;
    Ok(store::came_as(&books.ledger, &there)
        .await?
        .iter()
        .any(|came| came == digest))
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).at(path)?;
    failpoint::file("removed", path);
    Ok(())
}

fn write(rules: &EventRules, input: &Input, made: &Path, received: FileTimes) -> Result<()> {
    let (mut documents, _) = Documents::open(input)?;
    let mut file = BufWriter::new(File::create(made).at(made)?);
    loop {
        let mut kept = String::new();
        let more = documents.next(|document| {
            for event in events_of(rules, document) {
                kept.push_str(&event.kept);
                kept.push('\n');
            }
        })?;
        file.write_all(kept.as_bytes()).at(made)?;
        if !more {
            break;
        }
    }
    let file = file
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .at(made)?;
    file.set_times(received).at(made)
}
