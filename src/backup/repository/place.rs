//! What a place of backups can do, whatever it is: a folder or a bucket.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use super::super::manifest::Object;
use super::super::object_writer::Made;
use crate::support::error::Result;

/// A place that has files by their keys. A file is there whole or not at all, and has its bytes for good.
pub trait Place: Debug + Send + Sync {
    /// Its name for people, such as `s3://bucket/prefix`.
    fn name(&self) -> String;

    /// A file's name for people.
    fn path(&self, key: &str) -> PathBuf;

    /// The keys of all files in a folder and below it, in any order.
    fn list(&self, folder: &str) -> Result<Vec<String>>;

    /// Refuses a place without a mark that has something else in it.
    fn refuse_other_files(&self) -> Result<()>;

    /// Hands the bytes of a file on; false where there is no such file.
    fn read(&self, key: &str, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool>;

    /// Whether a file that the newest manifest names is there and as long as it was.
    fn has(&self, object: &Object) -> Result<bool>;

    /// The length and the SHA-256 of a file that no manifest names: one of a backup that came to no end.
    fn left(&self, key: &str) -> Result<Option<(u64, String)>>;

    /// A path on this machine for a new file.
    fn new_path(&self) -> PathBuf;

    /// Says that no other command makes files there: what lies there goes at the end. Before, it may be another's.
    fn own_new_files(&self);

    /// Removes what was written and not kept: it may be what the books do not keep any longer.
    fn forget_written(&self) -> Result<()>;

    /// Reads a file of the books, and says its digest. What it returns is where it is read from when it is kept.
    fn take(&self, source: &Path, key: &str) -> Result<Made>;

    /// Gives a file of this machine its key. What an interrupted backup left there is replaced.
    fn keep(&self, made: &Path, object: &Object) -> Result<()>;

    /// Makes the names of files permanent that were kept.
    fn sync(&self, keys: &[String]) -> Result<()>;

    /// Adds the mark or a manifest.
    fn add(&self, key: &str, bytes: &[u8]) -> Result<()>;

    /// Removes files that may be gone already.
    fn remove(&self, keys: &[String]) -> Result<()>;

    /// A path on this machine where a file can be read that is as it was.
    fn unchanged(&self, object: &Object) -> Result<PathBuf>;

    /// Says that a path that [`Self::unchanged`] gave is needed no more.
    fn done_with(&self, path: &Path) -> Result<()>;

    /// Threads for which it pays to work here at once; none: as many as there are.
    fn threads(&self) -> Option<&rayon::ThreadPool>;
}
