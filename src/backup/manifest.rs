//! The manifest of a backup: every file that it has, with its digest, and what it should have and has not.
//!
//! JSON, indented, one line feed at the end. Its digest is the SHA-256 of these bytes; each names that of the one before.

use std::path::{Component, Path};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::packing::PACKED;
use super::points::Ended;
use super::repository::NAME_DIGITS;
use crate::pipeline::retention::deletion::NumberedDeletion;
use crate::support::error::{Error, Result};
use crate::support::quote::quoted;
use crate::values::digest::sha256_hex;

/// The name of the format.
const FORMAT: &str = "tallybook backup";

/// The layout of the folder and of manifests; a change of it changes the number.
pub const VERSION: u32 = 3;

/// Folders of the data folder whose files a backup has.
const FOLDERS: [&str; 7] = ["raw", "log", "payload", "usage", "keys", "unmetered", "exports"];

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// From 1.
    pub number: u64,
    /// The digest of the manifest before; none for the first.
    pub previous: Option<String>,
    /// By the run's clock, RFC 3339.
    pub taken_at: String,
    pub books: BooksOf,
    pub ledger: LedgerDump,
    pub quarantine: Vec<PayloadDay>,
    /// By path.
    pub files: Vec<SavedFile>,
    /// By place.
    pub originals: Vec<SavedOriginal>,
    /// Files that the ledger names, and that were not there or not what they were.
    pub missing: Vec<MissingFile>,
    /// Rows of the ledger that do not fit their checksums. The dump has them as they are.
    pub damaged: Vec<String>,
    /// What the books know of deletions.
    pub deletions: Deletions,
    /// How many accounts were erased by then.
    pub erasures: i64,
    /// UTC days of records without a meter.
    pub unmetered_days: Vec<NaiveDate>,
    /// UTC days of records that metering has still to read.
    pub unmeasured_days: Vec<NaiveDate>,
    /// Earlier backups that can be restored, too, the oldest first.
    pub points: Vec<EarlierBackup>,
    /// Earlier backups that can be restored no more, the oldest first, as long as their manifests are there.
    pub ended: Vec<Ended>,
}

/// Which books these are, and how far they are: a folder has backups of one set of books, and none goes back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BooksOf {
    /// Digest and time of the first batch; none before it.
    pub first_batch: Option<String>,
    /// The last number that a writer of files was given.
    pub writers: i64,
    /// When and from which earlier backup the books were restored last; none where they only ever went on.
    pub restored: Option<String>,
}

/// A backup that was made before another one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierBackup {
    pub number: u64,
    /// Of its manifest.
    pub digest: String,
}

/// What was deleted from the books, as far as an earlier backup that can be restored may still have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Deletions {
    /// The number of the last one in the ledger.
    pub last: i64,
    /// Those since the oldest backup that could be restored before this one.
    pub since: Vec<NumberedDeletion>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Below the folder of backups.
    pub key: String,
    pub bytes: u64,
    pub sha256: String,
    /// Of what was encrypted; none where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_sha256: Option<String>,
}

/// The ledger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerDump {
    /// The version of its tables.
    pub schema: i64,
    pub rows: u64,
    pub object: Object,
}

/// Bytes of the lines that were refused on a day.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadDay {
    /// UTC day of receipt.
    pub day: String,
    pub lines: u64,
    pub object: Object,
}

/// A file of the data folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SavedFile {
    /// Below the data folder.
    pub path: String,
    /// In the backup.
    pub bytes: u64,
    /// Of the file of the data folder.
    pub sha256: String,
    /// The same file in the backup, where it is encrypted, or was written anew since an earlier backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Object>,
}

/// A file of the data folder that the backup has not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MissingFile {
    /// Below the data folder.
    pub path: String,
    /// A sentence that names it, and the cure.
    pub why: String,
}

/// An input file in `done/` or `refused/`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SavedOriginal {
    /// Below the drop folder.
    pub place: String,
    /// Of the file as it was.
    pub bytes: u64,
    pub sha256: String,
    /// The same file in the backup: packed with zstd if its key has the ending `.zst`, and perhaps encrypted. The same bytes are there
    /// once, whatever their names.
    pub stored: Object,
    /// The file's time, nanoseconds since 1970: it is kept for a month from it.
    pub modified_ns: i64,
}

impl SavedFile {
    pub fn object(&self) -> Object {
        let as_it_is = || Object {
            key: key_of_file(&self.path),
            bytes: self.bytes,
            sha256: self.sha256.clone(),
            plain_sha256: None,
        };
        self.stored.clone().unwrap_or_else(as_it_is)
    }
}

impl SavedOriginal {
    pub fn is_packed(&self) -> bool {
        // Digests have no dots.
        self.stored.key.contains(PACKED)
    }
}

impl Object {
    /// The SHA-256 of what it is when it is not encrypted.
    pub fn content_sha256(&self) -> &str {
        self.plain_sha256.as_ref().unwrap_or(&self.sha256)
    }
}

/// Where a file of the data folder is in a folder of backups.
pub fn key_of_file(path: &str) -> String {
    format!("files/{path}")
}

/// Where a file of the data folder is in a folder of backups that has one of before under its own name.
pub fn key_of_rewritten(path: &str, sha256: &str) -> String {
    format!("{}.{}", key_of_file(path), &sha256[..NAME_DIGITS])
}

impl Manifest {
    pub fn format() -> String {
        FORMAT.to_owned()
    }

    /// Nothing is missing or damaged.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.damaged.is_empty()
    }

    /// What it should have and has not, a sentence each.
    pub fn missing_sentences(&self) -> Vec<String> {
        self.missing.iter().map(|missing| missing.why.clone()).collect()
    }

    /// Every file that it has.
    pub fn objects(&self) -> Vec<Object> {
        let mut objects = vec![self.ledger.object.clone()];
        objects.extend(self.quarantine.iter().map(|day| day.object.clone()));
        objects.extend(self.files.iter().map(SavedFile::object));
        objects.extend(self.originals.iter().map(|file| file.stored.clone()));
        objects
    }

    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a manifest is plain values");
        text + "\n"
    }

    pub fn digest(&self) -> String {
        sha256_hex(self.to_text().as_bytes())
    }

    /// Reads a manifest; `path` names it in errors.
    ///
    /// # Errors
    /// [`Error::Damaged`] for one that cannot be read or names files outside of their folders, and [`Error::NeedsPerson`] for one of a
    /// later program.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let version: Version =
            serde_json::from_slice(bytes).map_err(|error| Error::damaged(path, format!("is no manifest: {error}")))?;
        if version.version != VERSION {
            return Err(Error::NeedsPerson(format!(
                "{}: the backup has format {}, and this program reads format {VERSION}: install the program that wrote it",
                path.display(),
                version.version
            )));
        }
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| Error::damaged(path, format!("is no manifest: {error}")))?;
        match manifest.odd_path() {
            Some(odd) => Err(Error::damaged(
                path,
                format!("names {}, which no backup has", quoted(&odd)),
            )),
            None if manifest.format != FORMAT => Err(Error::damaged(path, "is no manifest of a backup")),
            None => Ok(manifest),
        }
    }

    /// A path that leads elsewhere than where its kind of files lies.
    fn odd_path(&self) -> Option<String> {
        let mut paths: Vec<(&str, &[&str])> = vec![(self.ledger.object.key.as_str(), &["ledger"][..])];
        paths.extend(
            self.quarantine
                .iter()
                .map(|day| (&*day.object.key, &["quarantine"][..])),
        );
        paths.extend(self.files.iter().map(|file| (&*file.path, &FOLDERS[..])));
        paths.extend(
            self.originals
                .iter()
                .map(|file| (&*file.place, &["done", "refused"][..])),
        );
        paths.extend(
            self.originals
                .iter()
                .map(|file| (&*file.stored.key, &["originals"][..])),
        );
        let odd = paths.into_iter().find(|(path, folders)| !is_below(path, folders));
        odd.map(|(path, _)| path.to_owned())
    }
}

/// Whether a path lies in one of these folders, without a detour.
fn is_below(path: &str, folders: &[&str]) -> bool {
    let is_plain = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let folder = path.split_once('/').filter(|(_, rest)| !rest.is_empty());
    is_plain && folder.is_some_and(|(folder, _)| folders.contains(&folder))
}

/// Manifests for tests.
#[cfg(test)]
pub mod samples {
    use super::*;

    /// A manifest of a number with files of these paths.
    pub fn manifest(number: u64, paths: &[&str]) -> Manifest {
        let file = |path: &&str| SavedFile {
            path: (*path).to_owned(),
            bytes: 1,
            sha256: sha256_hex(path.as_bytes()),
            stored: None,
        };
        let object = Object {
            key: format!("ledger/{number:08}-0.jsonl.zst"),
            bytes: 1,
            sha256: String::new(),
            plain_sha256: None,
        };
        Manifest {
            format: Manifest::format(),
            version: VERSION,
            number,
            previous: None,
            taken_at: "2026-01-01T00:00:00+00:00".to_owned(),
            books: BooksOf {
                first_batch: None,
                writers: 1,
                restored: None,
            },
            ledger: LedgerDump {
                schema: 1,
                rows: 0,
                object,
            },
            quarantine: Vec::new(),
            files: paths.iter().map(file).collect(),
            originals: Vec::new(),
            missing: Vec::new(),
            damaged: Vec::new(),
            deletions: Deletions::default(),
            erasures: 0,
            unmetered_days: Vec::new(),
            unmeasured_days: Vec::new(),
            points: Vec::new(),
            ended: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_books_are_taken() {
        for path in ["raw/day=2026-10-01/i1.parquet", "exports/a/b.csv"] {
            assert!(is_below(path, &FOLDERS), "{path}");
        }
        for path in [
            "",
            "raw",
            "raw/",
            "/raw/a",
            "raw/../../a",
            "../raw/a",
            "ledger.sqlite",
            "drop/a",
        ] {
            assert!(!is_below(path, &FOLDERS), "{path}");
        }
    }
}
