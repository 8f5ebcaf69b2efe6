//! A bucket of backups. Both clouds give what was put last when an object is asked for by its key; a listing may be older. So what counts is
//! asked by key, and a listing only saves questions.
//!
//! - No object is changed: a key says what its bytes are, or was given once. To put it twice gives the same.
//! - There are no locks. The lease on the books says who writes, and two manifests of one number are found.
//! - `newest` has the key of the newest manifest, for a listing that has it not yet. It is written after it.

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use tokio::runtime::Handle;

use super::super::location::BucketLocation;
use super::super::manifest::Object;
use super::super::object_writer::Made;
use super::place::Place;
use super::{FOLDERS, MANIFESTS, MARK, give};
use crate::catalog::source::kinds::objects::KeyPlaces;
use crate::catalog::source::secret::SecretPlace;
use crate::pipeline::ingest::trial::ScratchFolder;
use crate::storage::durable_files::create_dir_durably;
use crate::storage::objects::Keys;
use crate::storage::objects::bucket::Bucket;
use crate::storage::objects::bucket::listing::Listing;
use crate::storage::objects::bucket::patience::patiently;
use crate::storage::objects::error::StoreError;
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::failpoint;
use crate::values::digest::sha256_hex_of_file;

/// The object that has the key of the newest manifest.
const NEWEST: &str = "newest";

/// Requests at once: most of their time is waiting. Each has a part of a file in memory.
const THREADS_MAX: usize = 12;
const THREADS_OF_A_CORE: usize = 4;

/// A part of a bucket.
#[derive(Debug)]
pub struct BucketPlace {
    bucket: Arc<Bucket>,
    name: String,
    /// Empty, or with a slash at its end.
    prefix: String,
    /// What the requests run on; the threads of the work wait for them.
    runtime: Handle,
    threads: rayon::ThreadPool,
    scratch: Scratch,
    /// Whether what lies there is this command's.
    owns_scratch: AtomicBool,
    /// Files in the scratch folder so far.
    written: AtomicU64,
    /// Lengths of the files that were listed, and of those that were kept since; none before the listing.
    listed: Mutex<Option<HashMap<String, u64>>>,
}

/// Where files of this machine are made.
#[derive(Debug)]
enum Scratch {
    Named(PathBuf),
    Own(ScratchFolder),
}

impl Scratch {
    fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Own(folder) => folder.path(),
        }
    }
}

impl BucketPlace {
    /// Opens a part of a bucket. One that is written must not keep what is deleted.
    pub fn open(at: &BucketLocation, is_written: bool) -> Result<Self> {
        let places = at.bucket.key_places().map_err(Error::Usage)?;
        let place = at.bucket.place(at.cloud);
        let name = at.name();
        let bucket = Bucket::new(place, read_keys(&places)?).map_err(|error| error_of(error, &name))?;
        let threads = (THREADS_OF_A_CORE * rayon::current_num_threads()).min(THREADS_MAX);
        let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let prefix = &at.bucket.prefix;
        let opened = Self {
            bucket: Arc::new(bucket),
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("{prefix}/")
            },
            runtime: Handle::current(),
            threads: threads.map_err(std::io::Error::other).at("threads")?,
            scratch: match &at.scratch {
                Some(path) => Scratch::Named(path.clone()),
                None => Scratch::Own(ScratchFolder::make()?),
            },
            owns_scratch: AtomicBool::new(false),
            written: AtomicU64::new(0),
            listed: Mutex::new(None),
            name,
        };
        if is_written {
            opened.refuse_what_keeps()?;
        }
        Ok(opened)
    }

    fn refuse_what_keeps(&self) -> Result<()> {
        let keeps = self.wait(patiently(async || self.bucket.keeps_what_is_deleted().await))?;
        keeps.map_or(Ok(()), |why| {
            Err(Error::NeedsPerson(format!("{why}. Nothing was changed")))
        })
    }

    /// Waits for an answer, on whatever thread the work is.
    fn wait<T>(&self, answer: impl Future<Output = std::result::Result<T, StoreError>>) -> Result<T> {
        let answer = tokio::task::block_in_place(|| self.runtime.block_on(answer));
        answer.map_err(|error| error_of(error, &self.name))
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Keys below a beginning, with lengths, as the store lists them.
    fn listed_below(&self, beginning: &str) -> Result<Vec<(String, u64)>> {
        let mut listing = Listing::new(Arc::clone(&self.bucket), &self.key(beginning));
        let mut found = Vec::new();
        while let Some(page) = self.wait(patiently(async || listing.next().await))? {
            let below = page.objects.into_iter().filter_map(|object| {
                let key = object.key.strip_prefix(&self.prefix)?;
                Some((key.to_owned(), object.bytes))
            });
            found.extend(below);
        }
        Ok(found)
    }

    /// The length that a file was listed with.
    fn listed_bytes(&self, key: &str) -> Result<Option<u64>> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listed) = &*listed {
            return Ok(listed.get(key).copied());
        }
        let mut found = HashMap::new();
        for folder in FOLDERS {
            found.extend(self.listed_below(&format!("{folder}/"))?);
        }
        let bytes = found.get(key).copied();
        *listed = Some(found);
        Ok(bytes)
    }

    fn note_kept(&self, object: &Object) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listed) = &mut *listed {
            listed.insert(object.key.clone(), object.bytes);
        }
    }

    fn note_removed(&self, keys: &[String]) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listed) = &mut *listed {
            for key in keys {
                listed.remove(key);
            }
        }
    }

    /// Puts bytes, once more where the answer was lost.
    fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let key = self.key(key);
        self.wait(patiently(async || self.bucket.put(&key, bytes.to_vec()).await))
    }

    /// The key of the newest manifest, as it was noted.
    fn noted_newest(&self) -> Result<Option<String>> {
        let mut text = Vec::new();
        if !self.read(NEWEST, &mut |bytes| {
            text.extend_from_slice(bytes);
            Ok(())
        })? {
            return Ok(None);
        }
        let key = String::from_utf8(text).ok().map(|text| text.trim().to_owned());
        let is_key = |key: &String| key.starts_with(MANIFESTS) && !key.contains("..");
        key.filter(is_key).map(Some).ok_or_else(|| {
            Error::damaged(
                self.path(NEWEST),
                "does not name a manifest; delete it, and the next backup writes it again",
            )
        })
    }

    /// Gives up uploads that came to no end. Of what was put of them no listing tells, and it is kept, and paid, for ever.
    fn abort_unfinished(&self) -> Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let found = self.wait(self.bucket.unfinished(&self.prefix))?;
            // A server may name what was given up already.
            let new: Vec<_> = found.into_iter().filter(|upload| seen.insert(upload.clone())).collect();
            if new.is_empty() {
                return Ok(());
            }
            for upload in new.iter().filter(|upload| self.is_ours(&upload.key)) {
                self.wait(self.bucket.abort_upload(&upload.key, &upload.id))?;
                failpoint::file("given up", Path::new(&upload.key));
            }
        }
    }

    fn is_ours(&self, key: &str) -> bool {
        let below = key.strip_prefix(&self.prefix).and_then(|key| key.split_once('/'));
        below.is_some_and(|(folder, _)| FOLDERS.contains(&folder))
    }
}

impl Place for BucketPlace {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn path(&self, key: &str) -> PathBuf {
        PathBuf::from(format!("{}/{key}", self.name))
    }

    fn refuse_other_files(&self) -> Result<()> {
        let mut listing = Listing::new(Arc::clone(&self.bucket), &self.prefix);
        let page = self.wait(patiently(async || listing.next().await))?.unwrap_or_default();
        // Some tools make an object for a folder.
        let Some(other) = page.objects.iter().find(|object| object.key != self.prefix) else {
            return Ok(());
        };
        Err(Error::Usage(format!(
            "{} is not empty (it has {}) and has no backups of tallybook: name another prefix, or a new bucket",
            self.name, other.key
        )))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let found = self.listed_below(&format!("{folder}/"))?;
        let mut keys: Vec<String> = found.into_iter().map(|(key, _)| key).collect();
        if folder != MANIFESTS {
            return Ok(keys);
        }
        if let Some(newest) = self.noted_newest()?
            && !keys.contains(&newest)
            && self.wait(self.bucket.noted(&self.key(&newest)))?.is_some()
        {
            keys.push(newest);
        }
        keys.sort_unstable();
        // One that was deleted by hand may be listed still, and must not be taken for the newest.
        while let Some(last) = keys.last()
            && self.wait(self.bucket.noted(&self.key(last)))?.is_none()
        {
            keys.pop();
        }
        Ok(keys)
    }

    fn read(&self, key: &str, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        let key = self.key(key);
        self.wait(self.bucket.read_to(&key, take))
    }

    fn has(&self, object: &Object) -> Result<bool> {
        if self.listed_bytes(&object.key)? == Some(object.bytes) {
            return Ok(true);
        }
        Ok(self.left(&object.key)? == Some((object.bytes, object.sha256.clone())))
    }

    fn left(&self, key: &str) -> Result<Option<(u64, String)>> {
        let noted = self.wait(self.bucket.noted(&self.key(key)))?;
        Ok(noted.and_then(|noted| Some((noted.bytes, noted.sha256?))))
    }

    fn new_path(&self) -> PathBuf {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        self.scratch.path().join(number.to_string())
    }

    fn own_new_files(&self) {
        self.owns_scratch.store(true, Ordering::Relaxed);
    }

    fn forget_written(&self) -> Result<()> {
        self.own_new_files();
        let scratch = self.scratch.path();
        if scratch.exists() {
            std::fs::remove_dir_all(scratch).at(scratch)?;
        }
        create_dir_durably(scratch)?;
        self.abort_unfinished()
    }

    /// It is read again when it goes over.
    fn take(&self, source: &Path, key: &str) -> Result<Made> {
        let object = Object {
            key: key.to_owned(),
            bytes: std::fs::metadata(source).at(source)?.len(),
            sha256: sha256_hex_of_file(source)?,
            plain_sha256: None,
        };
        Ok(Made {
            path: source.to_owned(),
            object,
        })
    }

    fn keep(&self, made: &Path, object: &Object) -> Result<()> {
        let key = self.key(&object.key);
        self.wait(self.bucket.put_file(&key, made, &object.sha256))?;
        failpoint::file("put", Path::new(&object.key));
        self.note_kept(object);
        if made.starts_with(self.scratch.path()) {
            std::fs::remove_file(made).at(made)?;
        }
        Ok(())
    }

    /// What was put is there for good.
    fn sync(&self, _keys: &[String]) -> Result<()> {
        Ok(())
    }

    fn add(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.put(key, bytes)?;
        failpoint::file("put", Path::new(key));
        if key != MARK {
            self.put(NEWEST, format!("{key}\n").as_bytes())?;
            failpoint::file("put", Path::new(NEWEST));
        }
        Ok(())
    }

    fn remove(&self, keys: &[String]) -> Result<()> {
        let removed = |key: &String| -> Result<()> {
            let place = self.key(key);
            self.wait(patiently(async || self.bucket.delete(&place).await))?;
            failpoint::file("removed", Path::new(key));
            Ok(())
        };
        tokio::task::block_in_place(|| self.threads.install(|| keys.par_iter().try_for_each(removed)))?;
        self.note_removed(keys);
        Ok(())
    }

    fn unchanged(&self, object: &Object) -> Result<PathBuf> {
        let path = self.new_path();
        path.parent().map_or(Ok(()), create_dir_durably)?;
        let mut file = std::fs::File::create(&path).at(&path)?;
        give(self, object, &mut file, &path)?;
        Ok(path)
    }

    fn done_with(&self, path: &Path) -> Result<()> {
        std::fs::remove_file(path).at(path)
    }

    fn threads(&self) -> Option<&rayon::ThreadPool> {
        Some(&self.threads)
    }
}

impl Drop for BucketPlace {
    /// What was made of the books or read goes at once, if nobody kills the program before.
    fn drop(&mut self) {
        if let Scratch::Named(path) = &self.scratch
            && self.owns_scratch.load(Ordering::Relaxed)
        {
            std::fs::remove_dir_all(path).ok();
        }
    }
}

fn read_keys(places: &KeyPlaces) -> Result<Keys> {
    let token = places.token.as_ref().map(SecretPlace::read).transpose()?;
    Ok(Keys {
        id: places.id.read()?.reveal().to_owned(),
        secret: places.key.read()?.reveal().to_owned(),
        token: token.map(|token| token.reveal().to_owned()),
    })
}

/// The error that an answer of a store is. `name`: of the place.
fn error_of(error: StoreError, name: &str) -> Error {
    match error {
        StoreError::Local(error) => error,
        StoreError::NeedsPerson(what) => Error::NeedsPerson(what),
        StoreError::Unavailable(why) => Error::Unavailable(format!(
            "{why}; run the same command again, it does only what is missing"
        )),
        StoreError::Archived => Error::NeedsPerson(format!(
            "{name}: an object lies in an archive: restore it from there first, and remove the bucket's rule that archives objects"
        )),
        StoreError::Missing | StoreError::Changed => Error::NeedsPerson(format!(
            "{name}: {error}, though nobody else should write there: run `tallybook backup verify`"
        )),
    }
}
