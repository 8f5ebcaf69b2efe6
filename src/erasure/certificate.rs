//! The certificate of an erasure: what was deleted, what stays and under which digests. It is kept, and says nothing of whose account it was.

use std::collections::BTreeMap;

use super::files::Rewritten;
use super::rename::{Renamed, SecondDigest};
use crate::context::Books;
use crate::support::error::Result;
use crate::values::digest::sha256_hex;

/// The layout of the JSON; a change of it changes the number.
pub const VERSION: u32 = 1;

/// The JSON, with its keys in this order.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct Certificate {
    pub version: u32,
    pub erasure: i64,
    /// What the person named who asked for it.
    pub request: String,
    /// RFC 3339.
    pub erased_at: String,
    /// The program's version.
    pub program: String,
    /// Rows, files and lines that went, by what they were.
    pub deleted: BTreeMap<String, i64>,
    /// Rows of the ledger that stay under the pseudonym or without what they said of the account, by table.
    pub renamed: BTreeMap<String, i64>,
    /// The account's statements, oldest first: the digest of the chain, and that of the document as it is now.
    pub statements: Vec<Digests>,
    /// Files that were written anew, or went.
    pub files: Vec<FileDigests>,
    /// The newest export's manifest: the digest of the chain, and that of the manifest as it is now.
    pub last_manifest: Option<Digests>,
    /// How the tombstone was made.
    pub tombstone: String,
}

/// A digest before and after.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Digests {
    pub before: String,
    pub after: Option<String>,
}

impl From<&SecondDigest> for Digests {
    fn from(digest: &SecondDigest) -> Self {
        Self {
            before: digest.first.clone(),
            after: digest.second.clone(),
        }
    }
}

/// A file's digests, SHA-256. One that went has none after.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct FileDigests {
    pub class: String,
    pub before: String,
    pub after: Option<String>,
}

/// What an erasure did, before it is written down.
pub struct Done<'a> {
    pub erasure: i64,
    pub request: &'a str,
    pub renamed: &'a Renamed,
    pub files: &'a Rewritten,
    pub last_manifest: Option<(String, String)>,
}

impl Certificate {
    pub fn of(books: &Books, done: &Done<'_>) -> Self {
        let files = done.files;
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let mut deleted: BTreeMap<String, i64> = files.deleted().map(|(what, rows)| (what.to_owned(), rows)).collect();
        deleted.insert("input files".to_owned(), count(files.originals.len()));
        deleted.insert(
            "bytes of refused lines".to_owned(),
            done.renamed.rows.get("quarantine").copied().unwrap_or(0),
        );
        Self {
            version: VERSION,
            erasure: done.erasure,
            request: done.request.to_owned(),
            erased_at: books.clock.text(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            deleted,
            renamed: done.renamed.rows.iter().map(|(table, rows)| ((*table).to_owned(), *rows)).collect(),
            statements: done.renamed.digests.iter().map(Digests::from).collect(),
            files: files
                .files
                .iter()
                .map(|file| FileDigests {
                    class: file.class.to_owned(),
                    before: file.before.clone(),
                    after: file.after.clone(),
                })
                .collect(),
            last_manifest: done.last_manifest.as_ref().map(|(before, after)| Digests {
                before: before.clone(),
                after: Some(after.clone()),
            }),
            tombstone: "Argon2id, 19 MiB, 2 passes, 1 lane, one salt for these books".to_owned(),
        }
    }

    /// The text that is kept, and its digest.
    pub fn to_text(&self) -> Result<(String, String)> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let digest = sha256_hex(text.as_bytes());
        Ok((text, digest))
    }

    /// Reads a certificate that is kept.
    ///
    /// # Errors
    /// A text that is none.
    pub fn from_text(text: &str) -> Result<Self> {
        Ok(serde_json::from_str(text)?)
    }
}
