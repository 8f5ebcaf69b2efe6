//! What every kind of source does: hand over the next part of what it has, and hear when that part is in the books.

use std::future::Future;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::objects::SeenObject;
use crate::support::error::Error;
use crate::values::format::Format;

/// A part of what a source has: fetched, and not in the books yet.
#[derive(Debug)]
pub struct Part {
    /// The batch's name for people: the source's own words for where this part is, without secrets.
    pub name: String,
    pub content: Content,
    /// Where the source goes on after this part, in its own words. It is committed in the part's transaction. None: what was
    /// acknowledged is gone from the source, as in a queue.
    pub position: Option<String>,
    /// The newest time that the source itself has for something in this part: how far behind the source is.
    pub newest: Option<DateTime<Utc>>,
    /// Lines of what was read before and is read again, so as to find what was committed late: rows of the overlap. Those that are the
    /// same are duplicates when they are metered.
    pub again: u64,
    /// What a person should know of this part, in whole sentences; the report of the pull has them.
    pub warnings: Vec<String>,
}

/// What a part holds.
#[derive(Debug)]
pub enum Content {
    /// Records or events, one a line.
    Lines { bytes: Vec<u8>, format: Format },
    /// A file that the source laid down, to be read as a file of this name would be. It is removed afterwards. `object`: what it was
    /// in its bucket or folder, which is remembered by the part's transaction.
    File {
        path: PathBuf,
        name: String,
        format: Option<Format>,
        object: SeenObject,
    },
    /// Nothing but the position moves on.
    Nothing,
}

/// Why a source gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is not there at this time, or asks for patience: it is tried again later.
    #[error("{0}")]
    Unavailable(String),
    /// It will not answer before a person does something: a wrong password, a missing table. The sentence names the cure.
    #[error("{0}")]
    NeedsPerson(String),
    /// The books' own trouble.
    #[error(transparent)]
    Books(#[from] Error),
}

/// One opened source.
pub trait Fetch: Send {
    /// The next part; none when there is nothing more at this time. It may wait as long as the source's own long poll does. It is
    /// safe to drop the future: what was fetched then comes again.
    fn fetch(&mut self) -> impl Future<Output = Result<Option<Part>, FetchError>> + Send;

    /// The part that was fetched last is in the books for good. A source that is told late, twice or never hands it over again.
    fn acknowledge(&mut self) -> impl Future<Output = Result<(), FetchError>> + Send;
}
