//! Files that the ledger names and that are gone from disk, or are not as long as they were written: what a night can see without
//! reading any of them. Whether they still are what was written, only `verify` says.

use std::collections::BTreeMap;

use crate::context::Books;
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::{FileInUse, files_in_use, segments_between};
use crate::support::error::{Error, Result};

/// Files of a sentence at most.
const NAMED_MAX: usize = 3;

/// What is gone.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    /// For a person: a sentence for each day of raw, and for each other kind of file.
    pub sentences: Vec<String>,
    /// Of these, what metering and closing cannot do without: keys, usage, unmetered records, raw that no metering has seen.
    stops: Vec<String>,
}

/// Looks for all files that the ledger names. `metered_to` is the last batch that is metered. The caller holds the lease: nobody else
/// takes files out of the ledger meanwhile.
pub async fn gone(books: &Books, metered_to: i64) -> Result<Gone> {
    let named = files_in_use(&books.ledger).await?;
    let missing: Vec<(FileInUse, String)> = tokio::task::block_in_place(|| {
        let is_missing = |file: FileInUse| missing(books, &file).map(|what| (file, what));
        named.into_iter().filter_map(is_missing).collect()
    });
    if missing.is_empty() {
        return Ok(Gone::default());
    }
    let unmetered = segments_between(&books.ledger, SegmentKind::Usage, metered_to, i64::MAX).await?;
    let stops = |path: &str| !is_evidence(path) || unmetered.iter().any(|segment| segment.path == path);
    let mut by_place: BTreeMap<(bool, String), Vec<String>> = BTreeMap::new();
    for (file, what) in missing {
        let key = (stops(&file.path), place_of(&file.path));
        by_place.entry(key).or_default().push(format!("{} {what}", file.path));
    }
    let mut gone = Gone::default();
    for ((stops, place), files) in by_place {
        let sentence = sentence(&place, &files);
        if stops {
            gone.stops.push(sentence.clone());
        }
        gone.sentences.push(sentence);
    }
    Ok(gone)
}

impl Gone {
    /// Fails when nothing can be metered or closed before the files are back.
    pub fn refuse_without_files(&self) -> Result<()> {
        if self.stops.is_empty() {
            return Ok(());
        }
        Err(Error::NeedsPerson(format!(
            "nothing can be metered or closed until these files are restored: {}",
            self.stops.join("; ")
        )))
    }
}

/// What a look at the file says; none when it is there and as long as it was written.
fn missing(books: &Books, file: &FileInUse) -> Option<String> {
    let found = std::fs::metadata(books.data.join(&file.path));
    match (found, file.bytes) {
        (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => Some("is gone".to_owned()),
        (Err(error), _) => Some(format!("cannot be read ({error})")),
        (Ok(found), Some(bytes)) if u64::try_from(bytes) != Ok(found.len()) => {
            Some(format!("has {} bytes instead of {bytes}", found.len()))
        }
        (Ok(_), _) => None,
    }
}

/// Raw that is metered and the service's log: usage stands without them, and only the proof of it is lost.
fn is_evidence(path: &str) -> bool {
    path.starts_with("raw/") || path.starts_with("log/")
}

/// Such as `raw of 2026-11-21`.
fn place_of(path: &str) -> String {
    let (folder, rest) = path.split_once('/').unwrap_or((path, ""));
    match rest.strip_prefix("day=").and_then(|rest| rest.split_once('/')) {
        Some((day, _)) => format!("{folder} of {day}"),
        None => folder.to_owned(),
    }
}

fn sentence(place: &str, files: &[String]) -> String {
    let named = files[..files.len().min(NAMED_MAX)].join(", ");
    let more = match files.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "{place} is incomplete on disk: {named}{more}; restore these files from a backup, then run `tallybook verify`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_the_day_and_a_few_files() {
        assert_eq!(
            place_of("raw/day=2026-11-21/i00000003-000.parquet"),
            "raw of 2026-11-21"
        );
        assert_eq!(place_of("keys/i00000007.keys"), "keys");
        let files: Vec<String> = (1..6).map(|number| format!("raw/{number} is gone")).collect();
        assert_eq!(
            sentence("raw of 2026-11-21", &files),
            "raw of 2026-11-21 is incomplete on disk: raw/1 is gone, raw/2 is gone, raw/3 is gone and 2 more; restore these files from a \
             backup, then run `tallybook verify`"
        );
    }
}
