//! Originals that hold an account: those of batches that have its records, those of a source that is the account's own, and those in
//! which one of its numbers stands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::senders::Senders;
use super::{DIGEST_DIGITS, digest_in_name, moved_folders};
use crate::catalog::source::events::Owner;
use crate::catalog::source::store::newest_of_all;
use crate::context::Books;
use crate::pipeline::ingest::attempts::is_deadly;
use crate::pipeline::ingest::formats::parquet::Rows;
use crate::pipeline::ingest::input::{Input, Spool};
use crate::pipeline::ingest::store::digests_of;
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::whole_numbers::WholeNumbers;
use crate::values::format::Format;

/// An account, as far as originals may tell of it.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    pub uin: u64,
    /// Its number and those of its applications.
    pub numbers: &'a WholeNumbers,
    /// Batches that have its records, or had.
    pub batches: &'a BTreeSet<i64>,
}

/// An original that holds an account, or may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    pub path: PathBuf,
    /// The folder that it lies in, `done` or `refused`, and its name there.
    pub place: String,
    /// Whether it cannot be read, so that nobody knows what it holds.
    pub is_unreadable: bool,
}

/// Looks through all originals. A packed Parquet file is unpacked under the number of a writer, `intake`.
pub async fn holding(books: &Books, account: Account<'_>, intake: i64) -> Result<Vec<Holding>> {
    let senders = Senders::of(books).await?;
    let own_sources = sources_of(books, account.uin).await?;
    let digests = digests_of(&books.ledger, account.batches).await?;
    let digests = digests
        .iter()
        .map(|digest| digest[..DIGEST_DIGITS.min(digest.len())].to_owned());
    let looking = LookingThrough {
        books,
        account,
        intake,
        senders: &senders,
        own_sources,
        digests: digests.collect(),
    };
    tokio::task::block_in_place(|| looking.all())
}

/// Sources whose events are all of one account.
async fn sources_of(books: &Books, uin: u64) -> Result<BTreeSet<String>> {
    let newest: BTreeMap<String, _> = newest_of_all(&books.ledger).await?.versions;
    let is_own = |owner: &Owner| matches!(owner, Owner::One { uin: own, .. } if *own == uin);
    Ok(newest
        .into_iter()
        .filter(|(_, version)| is_own(&version.definition.source.owner))
        .map(|(name, _)| name)
        .collect())
}

struct LookingThrough<'a> {
    books: &'a Books,
    account: Account<'a>,
    intake: i64,
    senders: &'a Senders,
    own_sources: BTreeSet<String>,
    /// Beginnings of the digests of the account's batches.
    digests: BTreeSet<String>,
}

impl LookingThrough<'_> {
    fn all(&self) -> Result<Vec<Holding>> {
        let mut found = Vec::new();
        for folder in moved_folders(self.books).into_iter().filter(|folder| folder.is_dir()) {
            let of_folder = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for entry in std::fs::read_dir(&folder).at(&folder)? {
                let path = entry.at(&folder)?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if let Some(is_unreadable) = self.holds(&path, &name)? {
                    found.push(Holding {
                        path,
                        place: format!("{of_folder}/{name}"),
                        is_unreadable,
                    });
                }
            }
        }
        found.sort_unstable_by(|a, b| a.place.cmp(&b.place));
        Ok(found)
    }

    /// None where it does not hold the account; else whether it cannot be read.
    fn holds(&self, path: &Path, name: &str) -> Result<Option<bool>> {
        let digest = digest_in_name(name);
        let kept = digest.map_or(name, |digest| &name[digest.len() + 1..]);
        let (sender, _) = self.senders.of_kept(kept);
        let is_of_batch = digest.is_some_and(|digest| self.digests.contains(digest));
        let is_of_source = sender.is_some_and(|sender| self.own_sources.contains(&sender.name));
        if is_of_batch || is_of_source || self.account.numbers.are_in(kept) {
            return Ok(Some(false));
        }
        let named = self.senders.came_to(Path::new(""), kept);
        match self.has_numbers(path, &named, sender.and_then(|sender| sender.format)) {
            Ok(has) => Ok(has.then_some(false)),
            // The disk may answer another time.
            Err(error @ Error::Io { .. }) => Err(error),
            Err(_) => Ok(Some(true)),
        }
    }

    fn has_numbers(&self, path: &Path, named: &Path, format: Option<Format>) -> Result<bool> {
        if !path.is_dir() {
            return self.file_has_numbers(path, named, format);
        }
        for entry in std::fs::read_dir(path).at(path)? {
            let path = entry.at(path)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if self.account.numbers.are_in(&name) || self.has_numbers(&path, &path, format)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn file_has_numbers(&self, path: &Path, named: &Path, format: Option<Format>) -> Result<bool> {
        // What shows no format is looked at as text.
        let input =
            Input::lying_at(path, named, format).or_else(|_| Input::lying_at(path, named, Some(Format::Ndjson)))?;
        if is_deadly(self.books, &input)? {
            return Err(input.unreadable(&std::io::ErrorKind::InvalidData.into()));
        }
        if input.format == Format::Parquet {
            return self.parquet_has_numbers(&input);
        }
        // Events are kept as plain text under the name that they came with, which may be that of packed ones.
        let text = input.text_by_bytes();
        text.and_then(|text| self.account.numbers.are_read(text))
            .map_err(|error| input.unreadable(&error))
    }

    fn parquet_has_numbers(&self, input: &Input) -> Result<bool> {
        let spool = Spool::of(input, &self.books.data, self.intake)?;
        let rows = Rows::open(&input.name, spool.path())?;
        let (mut has, mut all_read) = (false, true);
        for slice in rows.slices() {
            rows.for_each_line(slice, |line, is_read| {
                all_read &= is_read;
                has |= self.account.numbers.are_in(line);
            })?;
            if has {
                return Ok(true);
            }
        }
        if all_read {
            return Ok(false);
        }
        Err(input.unreadable(&std::io::ErrorKind::InvalidData.into()))
    }
}
