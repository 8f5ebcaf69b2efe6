//! A local folder in the place of a bucket. Files that are linked to are read; folders that are linked to are not entered, so that no
//! listing goes round in a circle.

use std::fs::{self, File, Metadata};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::error::StoreError;
use super::{Object, Odd, OddKind, Page};
use crate::storage::durable_files::write_durably;
use crate::support::error::Error;

/// Objects in a page.
const PAGE_OBJECTS: usize = 1000;

/// Bytes that are read at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// A folder whose files are objects.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub fn name_of(&self, key: &str) -> String {
        self.root.join(key).display().to_string()
    }

    pub fn list(&self, prefix: &str) -> Listing {
        Listing {
            root: self.root.clone(),
            prefix: prefix.to_owned(),
            levels: None,
        }
    }

    pub fn read(&self, key: &str, etag: Option<&str>, from: u64) -> Result<(Object, Blocks), StoreError> {
        let path = self.root.join(key);
        let mut file = of_file(File::open(&path), &path)?;
        let object = object(key, &path, &of_file(file.metadata(), &path)?)?;
        if etag.is_some_and(|wanted| wanted != object.etag) {
            return Err(StoreError::Changed);
        }
        of_file(file.seek(SeekFrom::Start(from)), &path)?;
        let blocks = Blocks {
            path,
            file,
            block: vec![0; BLOCK_BYTES],
            begun: object.clone(),
        };
        Ok((object, blocks))
    }

    pub fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(write_durably(&self.root.join(key), bytes)?)
    }
}

/// A file's bytes.
#[derive(Debug)]
pub struct Blocks {
    path: PathBuf,
    file: File,
    block: Vec<u8>,
    /// As it was when the reading began.
    begun: Object,
}

impl Blocks {
    /// The next bytes; none at the end, if the file is still what it was at the beginning.
    pub fn next(&mut self) -> Result<Option<&[u8]>, StoreError> {
        let read = of_file(self.file.read(&mut self.block), &self.path)?;
        if read > 0 {
            return Ok(Some(&self.block[..read]));
        }
        let metadata = of_file(self.file.metadata(), &self.path)?;
        let ended = object(&self.begun.key, &self.path, &metadata)?;
        if ended == self.begun {
            Ok(None)
        } else {
            Err(StoreError::Changed)
        }
    }
}

/// Files below a folder, in the order of their keys.
#[derive(Debug)]
pub struct Listing {
    root: PathBuf,
    prefix: String,
    /// What is left of each folder on the way, the next at the end; none before the first page.
    levels: Option<Vec<Vec<Entry>>>,
}

#[derive(Debug)]
enum Entry {
    File(String),
    /// With a slash at its end.
    Folder(String),
    Odd(Odd),
}

impl Entry {
    fn key(&self) -> &str {
        match self {
            Self::File(key) | Self::Folder(key) | Self::Odd(Odd { key, .. }) => key,
        }
    }
}

impl Listing {
    pub fn next(&mut self) -> Result<Option<Page>, StoreError> {
        if self.levels.is_none() {
            self.levels = Some(vec![self.entries("")?]);
        }
        let mut page = Page::default();
        while page.objects.len() < PAGE_OBJECTS {
            let Some(entry) = self.next_entry() else { break };
            match entry {
                Entry::Folder(key) => {
                    let entries = self.entries(&key)?;
                    if entries.is_empty() && is_empty(&self.root.join(&key)) {
                        page.odd.push(odd(key, OddKind::EmptyFolder));
                    }
                    self.levels.get_or_insert_default().push(entries);
                }
                Entry::File(key) => {
                    let path = self.root.join(&key);
                    match of_file(fs::metadata(&path), &path) {
                        // It went after its folder was read.
                        Err(StoreError::Missing) => {}
                        metadata => page.objects.push(object(&key, &path, &metadata?)?),
                    }
                }
                Entry::Odd(odd) => page.odd.push(odd),
            }
        }
        let is_end = page.objects.is_empty() && page.odd.is_empty();
        Ok((!is_end).then_some(page))
    }

    fn next_entry(&mut self) -> Option<Entry> {
        let levels = self.levels.as_mut()?;
        while let Some(level) = levels.last_mut() {
            match level.pop() {
                Some(entry) => return Some(entry),
                None => levels.pop(),
            };
        }
        None
    }

    /// What is in a folder and may have the prefix, backwards.
    fn entries(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let path = self.root.join(folder);
        let read = match of_file(fs::read_dir(&path), &path) {
            Err(StoreError::Missing) if folder.is_empty() => return Err(no_folder(&path)),
            Err(StoreError::Missing) => return Ok(Vec::new()),
            read => read?,
        };
        let mut entries = Vec::new();
        for entry in read {
            let entry = of_file(entry, &path)?;
            let Some(name) = entry.file_name().to_str().map(ToOwned::to_owned) else {
                entries.push(Entry::Odd(odd(entry.path().display().to_string(), OddKind::NoText)));
                continue;
            };
            let kind = of_file(entry.file_type(), &path)?;
            let key = format!("{folder}{name}");
            if kind.is_dir() {
                entries.push(Entry::Folder(format!("{key}/")));
            } else if kind.is_file() {
                entries.push(Entry::File(key));
            } else if kind.is_symlink() {
                entries.extend(linked(key, &entry.path()));
            } else {
                entries.push(Entry::Odd(odd(key, OddKind::Special)));
            }
        }
        entries.retain(|entry| match entry {
            Entry::Folder(key) => key.starts_with(&self.prefix) || self.prefix.starts_with(key.as_str()),
            Entry::Odd(Odd {
                kind: OddKind::NoText, ..
            }) => true,
            Entry::File(key) | Entry::Odd(Odd { key, .. }) => key.starts_with(&self.prefix),
        });
        entries.sort_unstable_by(|a, b| b.key().cmp(a.key()));
        Ok(entries)
    }
}

fn odd(key: String, kind: OddKind) -> Odd {
    Odd { key, kind }
}

/// What a link leads to; none where the link itself went meanwhile.
fn linked(key: String, path: &Path) -> Option<Entry> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Some(Entry::File(key)),
        Ok(found) if found.is_dir() => Some(Entry::Odd(odd(key, OddKind::LinkedFolder))),
        Ok(_) => Some(Entry::Odd(odd(key, OddKind::Special))),
        Err(_) if fs::symlink_metadata(path).is_ok() => Some(Entry::Odd(odd(key, OddKind::BrokenLink))),
        Err(_) => None,
    }
}

/// Whether a folder has nothing in it, whatever the prefix.
fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn no_folder(path: &Path) -> StoreError {
    StoreError::NeedsPerson(format!(
        "there is no folder {}: make it, mount it, or correct `path`",
        path.display()
    ))
}

/// What the system says of a file that is somebody else's.
fn of_file<T>(result: std::io::Result<T>, path: &Path) -> Result<T, StoreError> {
    result.map_err(|source| {
        if source.kind() == std::io::ErrorKind::NotFound {
            return StoreError::Missing;
        }
        let path = path.to_owned();
        StoreError::NeedsPerson(Error::Io { path, source }.to_string())
    })
}

fn object(key: &str, path: &Path, metadata: &Metadata) -> Result<Object, StoreError> {
    let modified = DateTime::<Utc>::from(of_file(metadata.modified(), path)?);
    // Beyond 2262 no two times are told apart.
    let modified_ns = modified.timestamp_nanos_opt().unwrap_or(i64::MAX);
    Ok(Object {
        key: key.to_owned(),
        bytes: metadata.len(),
        etag: modified_ns.to_string(),
        modified,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(root: &Path, prefix: &str) -> Vec<String> {
        let mut listing = Folder::new(root).list(prefix);
        let mut keys = Vec::new();
        while let Some(page) = listing.next().unwrap() {
            assert!(page.objects.len() <= PAGE_OBJECTS);
            keys.extend(page.objects.into_iter().map(|object| object.key));
        }
        keys
    }

    #[test]
    fn files_are_listed_in_the_order_of_their_keys_as_a_bucket_lists_objects() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::new(root.path());
        for key in ["a/2", "a.csv", "a/1/x", "b/1", "a0", "ü"] {
            store.put(key, b"x").unwrap();
        }
        assert_eq!(keys(root.path(), ""), ["a.csv", "a/1/x", "a/2", "a0", "b/1", "ü"]);
        assert_eq!(keys(root.path(), "a/"), ["a/1/x", "a/2"]);
        assert_eq!(keys(root.path(), "a"), ["a.csv", "a/1/x", "a/2", "a0"]);
        assert_eq!(keys(root.path(), "c"), Vec::<String>::new());
    }

    #[test]
    fn more_files_than_a_page_has_are_each_listed_once() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..2500 {
            fs::write(root.path().join(format!("{number:04}")), "").unwrap();
        }
        let wanted: Vec<String> = (0..2500).map(|number| format!("{number:04}")).collect();
        assert_eq!(keys(root.path(), ""), wanted);
    }

    #[cfg(unix)]
    #[test]
    fn a_linked_file_is_read_and_a_linked_folder_is_not_entered() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), "x").unwrap();
        std::os::unix::fs::symlink("a", root.path().join("b")).unwrap();
        std::os::unix::fs::symlink(".", root.path().join("round")).unwrap();
        assert_eq!(keys(root.path(), ""), ["a", "b"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_listed_apart_if_it_has_the_prefix() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        symlink("nowhere", at("a-broken")).unwrap();
        symlink("a-round", at("a-round")).unwrap();
        symlink(".", at("a-linked")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("a-socket")).unwrap();
        fs::create_dir(at("a-empty")).unwrap();
        fs::create_dir_all(at("full/inner")).unwrap();
        fs::write(at("full/x"), "x").unwrap();
        symlink("nowhere", at("b")).unwrap();
        let odd = |prefix: &str| {
            let mut listing = Folder::new(root.path()).list(prefix);
            let mut odd = Vec::new();
            while let Some(page) = listing.next().unwrap() {
                odd.extend(page.odd.into_iter().map(|odd| (odd.key, odd.kind)));
            }
            odd
        };
        let named = |key: &str, kind| (key.to_owned(), kind);
        assert_eq!(
            odd("a"),
            [
                named("a-broken", OddKind::BrokenLink),
                named("a-empty/", OddKind::EmptyFolder),
                named("a-linked", OddKind::LinkedFolder),
                named("a-round", OddKind::BrokenLink),
                named("a-socket", OddKind::Special),
            ]
        );
        assert_eq!(odd("full"), [named("full/inner/", OddKind::EmptyFolder)]);
        assert_eq!(odd("").len(), 7);
    }

    #[test]
    fn a_file_is_read_from_a_byte_on_and_in_the_state_that_was_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::new(root.path());
        store.put("a", b"0123456789").unwrap();
        let (object, mut blocks) = store.read("a", None, 7).unwrap();
        assert_eq!((object.bytes, blocks.next().unwrap()), (10, Some(&b"789"[..])));
        assert_eq!(blocks.next().unwrap(), None);
        assert!(matches!(store.read("a", Some("1"), 0), Err(StoreError::Changed)));
        assert!(matches!(store.read("b", None, 0), Err(StoreError::Missing)));
        assert!(store.read("a", Some(&object.etag), 0).is_ok());
    }

    #[test]
    fn a_file_that_is_written_while_it_is_read_has_changed() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::new(root.path());
        store.put("a", b"0123456789").unwrap();
        let (_, mut blocks) = store.read("a", None, 0).unwrap();
        assert!(blocks.next().unwrap().is_some());
        store.put("a", b"012345678").unwrap();
        assert!(matches!(blocks.next(), Err(StoreError::Changed)));
    }
}
