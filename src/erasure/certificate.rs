//! The certificate of an erasure: what was deleted, what stays and under which digests. It is kept, and says nothing of whose account it was.

use std::collections::BTreeMap;

use super::files::{Class, Rewritten};
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

fn what(class: Class) -> &'static str {
    match class {
        Class::Raw => "raw records",
        Class::Log => "service-log rows",
        Class::Payload => "events",
        Class::Identities => "identities of records",
        Class::Usage => "usage",
        Class::Unmetered => "unmetered records",
    }
}

/// The digests of all files that were written anew.
fn digests(files: &Rewritten<'_>) -> Vec<FileDigests> {
    let of_data = files.files().iter().map(|file| FileDigests {
        class: what(file.class).to_owned(),
        before: file.before.clone(),
        after: file.after.clone(),
    });
    let of_exports = files.exports().iter().flat_map(|export| {
        let sheets = export.sheets.iter().map(|sheet| (&sheet.before, &sheet.after));
        let manifest = (&export.manifest_before, &export.manifest_after);
        sheets.chain([manifest]).map(|(before, after)| FileDigests {
            class: "exports".to_owned(),
            before: before.clone(),
            after: Some(after.clone()),
        })
    });
    of_data.chain(of_exports).collect()
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
    pub files: &'a Rewritten<'a>,
    pub last_manifest: Option<(String, String)>,
}

impl Certificate {
    pub fn of(books: &Books, done: &Done<'_>) -> Self {
        let files = done.files;
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let mut deleted: BTreeMap<String, i64> = BTreeMap::new();
        for file in files.files() {
            *deleted.entry(what(file.class).to_owned()).or_default() += file.removed;
        }
        deleted.retain(|_, rows| *rows > 0);
        deleted.insert("input files".to_owned(), count(files.inputs().files.len()));
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
            renamed: done
                .renamed
                .rows
                .iter()
                .map(|(table, rows)| ((*table).to_owned(), *rows))
                .collect(),
            statements: done.renamed.digests.iter().map(Digests::from).collect(),
            files: digests(files),
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
