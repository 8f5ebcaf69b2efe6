//! A folder of backups: who may write it, and its files.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::super::manifest::Object;
use super::super::object_writer::{Made, ObjectWriter};
use super::place::Place;
use super::{MARK, changed, missing, no_backups};
use crate::storage::durable_files::{create_dir_durably, remove_files, rename_durably, sync_dir, write_durably};
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::failpoint;
use crate::values::digest::sha256_hex_of_file;

const LOCK: &str = "lock";
const TMP: &str = "tmp";

/// Bytes that are copied at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// How a folder is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Alone,
    /// With others that read.
    Shared,
    Not,
}

/// A folder of backups, held until it is dropped.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// None where the folder may only be read.
    lock: Option<File>,
    /// Files in `tmp/` so far.
    written: AtomicU64,
    /// Held while a folder is made, so that each is made and synced once, however many threads have files for it.
    being_made: Mutex<()>,
}

impl Drop for Folder {
    /// Closing the file alone would keep the lock as long as a process has the file that another thread is just starting.
    fn drop(&mut self) {
        if let Some(Err(error)) = self.lock.as_ref().map(File::unlock) {
            tracing::debug!("{} could not be unlocked: {error}", self.root.display());
        }
    }
}

impl Folder {
    /// Opens a folder, which may be new or empty.
    pub fn open_or_make(root: &Path) -> Result<Self> {
        create_dir_durably(root)?;
        let folder = Self::of(root, None);
        if !root.join(MARK).exists() {
            // Before there is a lock in it.
            folder.refuse_other_files()?;
        }
        Self::locked(root)
    }

    /// Opens a folder that has backups.
    pub fn open(root: &Path, hold: Hold) -> Result<Self> {
        if !root.join(MARK).exists() {
            let name = root.display().to_string();
            return Err(no_backups(&name, &name));
        }
        match hold {
            Hold::Alone => Self::locked(root),
            Hold::Not => Ok(Self::of(root, None)),
            Hold::Shared => match open_lock(root) {
                Ok(lock) => {
                    held(root, lock.try_lock_shared())?;
                    Ok(Self::of(root, Some(lock)))
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
                    ) =>
                {
                    Ok(Self::of(root, None))
                }
                Err(error) => Err(error).at(root.join(LOCK)),
            },
        }
    }

    fn locked(root: &Path) -> Result<Self> {
        let lock = open_lock(root).at(root.join(LOCK))?;
        held(root, lock.try_lock())?;
        Ok(Self::of(root, Some(lock)))
    }

    fn of(root: &Path, lock: Option<File>) -> Self {
        Self {
            root: root.to_owned(),
            lock,
            written: AtomicU64::new(0),
            being_made: Mutex::new(()),
        }
    }
}

impl Place for Folder {
    fn name(&self) -> String {
        self.root.display().to_string()
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        list(&self.root.join(folder), folder, &mut keys)?;
        Ok(keys)
    }

    fn refuse_other_files(&self) -> Result<()> {
        for entry in fs::read_dir(&self.root).at(&self.root)? {
            let name = entry.at(&self.root)?.file_name();
            // A first backup that was killed left no more.
            if name != LOCK {
                return Err(Error::Usage(format!(
                    "{} is not empty and has no backups of tallybook: name a new or empty folder",
                    self.root.display()
                )));
            }
        }
        Ok(())
    }

    fn read(&self, key: &str, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        let source = self.path(key);
        match File::open(&source) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            opened => read_blocks(opened.at(&source)?, &source, take).map(|()| true),
        }
    }

    fn has(&self, object: &Object) -> Result<bool> {
        Ok(fs::metadata(self.path(&object.key)).is_ok_and(|file| file.is_file() && file.len() == object.bytes))
    }

    fn left(&self, key: &str) -> Result<Option<(u64, String)>> {
        let path = self.path(key);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = fs::metadata(&path).at(&path)?.len();
        Ok(Some((bytes, sha256_hex_of_file(&path)?)))
    }

    fn new_path(&self) -> PathBuf {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        self.root.join(TMP).join(number.to_string())
    }

    /// Who has the lock has `tmp/`, and removes what is in it.
    fn own_new_files(&self) {}

    fn forget_written(&self) -> Result<()> {
        let tmp = self.root.join(TMP);
        create_dir_durably(&tmp)?;
        remove_all_in(&tmp)?;
        create_dir_durably(&tmp)
    }

    /// Copies it. The copy is not synced yet.
    fn take(&self, source: &Path, key: &str) -> Result<Made> {
        let file = File::open(source).at(source)?;
        copied(file, source, ObjectWriter::create(&self.new_path(), None)?, key)
    }

    /// Syncs a new file and gives it its name. Its folder is synced by [`Self::sync`].
    fn keep(&self, made: &Path, object: &Object) -> Result<()> {
        let path = self.path(&object.key);
        failpoint::file("written", &path);
        File::open(made).and_then(|file| file.sync_all()).at(made)?;
        failpoint::file("synced", &path);
        if let Some(folder) = path.parent() {
            let _alone = self.being_made.lock().unwrap_or_else(PoisonError::into_inner);
            create_dir_durably(folder)?;
        }
        fs::rename(made, &path).at(&path)?;
        failpoint::file("moved", &path);
        Ok(())
    }

    fn sync(&self, keys: &[String]) -> Result<()> {
        let parents = keys
            .iter()
            .filter_map(|key| self.path(key).parent().map(Path::to_owned));
        let mut folders: Vec<PathBuf> = parents.collect();
        folders.sort_unstable();
        folders.dedup();
        folders.iter().try_for_each(|folder| sync_dir(folder))
    }

    fn add(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(key);
        if key == MARK {
            return write_durably(&path, bytes);
        }
        let made = self.new_path();
        write_durably(&made, bytes)?;
        path.parent().map_or(Ok(()), create_dir_durably)?;
        rename_durably(&made, &path)
    }

    /// Removes files, and folders that are empty without them.
    fn remove(&self, keys: &[String]) -> Result<()> {
        remove_files(&keys.iter().map(|key| self.path(key)).collect::<Vec<_>>())
    }

    fn unchanged(&self, object: &Object) -> Result<PathBuf> {
        let path = self.path(&object.key);
        if !path.exists() {
            return Err(missing(self, object));
        }
        let digest = sha256_hex_of_file(&path)?;
        if digest == object.sha256 {
            return Ok(path);
        }
        Err(changed(self, &digest, object))
    }

    /// It is the file itself.
    fn done_with(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn threads(&self) -> Option<&rayon::ThreadPool> {
        None
    }
}

/// Copies an open file into a new one of a backup.
pub fn copied(from: File, source: &Path, mut to: ObjectWriter, key: &str) -> Result<Made> {
    let path = to.path().to_owned();
    read_blocks(from, source, &mut |block| to.write_all(block).at(&path))?;
    to.finish(|_| key.to_owned())
}

/// Hands the bytes of an open file on.
fn read_blocks(mut from: File, source: &Path, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let read = from.read(&mut block).at(source)?;
        if read == 0 {
            return Ok(());
        }
        take(&block[..read])?;
    }
}

fn open_lock(root: &Path) -> std::io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(root.join(LOCK))
}

/// What an attempt to lock a folder came to.
fn held(root: &Path, locked: std::result::Result<(), TryLockError>) -> Result<()> {
    match locked {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(format!(
            "another command is using the backups in {}: wait until it ends, and run this one again",
            root.display()
        ))),
        Err(TryLockError::Error(error)) => Err(error).at(root.join(LOCK)),
    }
}

fn remove_all_in(folder: &Path) -> Result<()> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).at(folder)? {
        paths.push(entry.at(folder)?.path());
    }
    remove_files(&paths)
}

fn list(folder: &Path, name: &str, keys: &mut Vec<String>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).at(folder)? {
        let entry = entry.at(folder)?;
        let key = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().at(folder)?.is_dir() {
            list(&entry.path(), &key, keys)?;
        } else {
            keys.push(key);
        }
    }
    Ok(())
}
