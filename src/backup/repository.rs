//! A folder of backups: who may write it, its manifests, and its files.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::manifest::{Manifest, Object, VERSION};
use crate::storage::durable_files::{
    DigestedFile, create_dir_durably, remove_files, rename_durably, sync_dir, write_durably,
};
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::failpoint;
use crate::values::digest::{sha256_hex, sha256_hex_of_file};

/// Says what the folder is.
const MARK: &str = "backup.json";
const LOCK: &str = "lock";
const MANIFESTS: &str = "manifests";
const TMP: &str = "tmp";

/// Folders of files that manifests name.
const FOLDERS: [&str; 4] = ["ledger", "quarantine", "files", "originals"];

/// Digits of a digest in a name.
pub const NAME_DIGITS: usize = 16;

/// Bytes that are copied at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// A folder of backups, held until it is dropped.
#[derive(Debug)]
pub struct Repository {
    root: PathBuf,
    /// None where the folder may only be read.
    lock: Option<File>,
    /// Files in `tmp/` so far.
    written: AtomicU64,
    /// Held while a folder is made, so that each is made and synced once, however many threads have files for it.
    making_folder: Mutex<()>,
}

/// A manifest, and the digest of its bytes.
#[derive(Clone, Debug)]
pub struct Saved {
    pub manifest: Manifest,
    pub digest: String,
}

impl Drop for Repository {
    /// Closing the file alone would keep the lock as long as a process has the file that another thread is just starting.
    fn drop(&mut self) {
        if let Some(Err(error)) = self.lock.as_ref().map(File::unlock) {
            tracing::debug!("{} could not be unlocked: {error}", self.root.display());
        }
    }
}

impl Repository {
    /// Opens a folder for another backup; makes it where there is none.
    ///
    /// # Errors
    /// [`Error::Usage`] for a folder that has something else in it, and [`Error::InUse`] while another command has it.
    pub fn open_or_make(root: &Path) -> Result<Self> {
        create_dir_durably(root)?;
        if !root.join(MARK).exists() {
            refuse_other_files(root)?;
        }
        let repository = Self::locked(root)?;
        if !root.join(MARK).exists() {
            let mark = format!("{{\"format\":\"{}\",\"version\":{VERSION}}}\n", Manifest::format());
            write_durably(&root.join(MARK), mark.as_bytes())?;
        }
        repository.forget_written()?;
        Ok(repository)
    }

    /// Opens a folder of backups to change it.
    ///
    /// # Errors
    /// [`Error::Usage`] for a folder that has none, and [`Error::InUse`] while another command has it.
    pub fn open(root: &Path) -> Result<Self> {
        refuse_without_backups(root)?;
        Self::locked(root)
    }

    /// Opens a folder of backups to read its files: none is removed meanwhile, and others may read, too.
    ///
    /// # Errors
    /// [`Error::Usage`] for a folder that has no backups, and [`Error::InUse`] while another command changes it. Where nobody may write,
    /// nobody is kept out.
    pub fn open_to_read(root: &Path) -> Result<Self> {
        refuse_without_backups(root)?;
        match open_lock(root) {
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
        }
    }

    /// Opens a folder of backups to read its manifests: each is there whole or not at all, also while it is changed.
    ///
    /// # Errors
    /// [`Error::Usage`] for a folder that has no backups.
    pub fn open_to_list(root: &Path) -> Result<Self> {
        refuse_without_backups(root)?;
        Ok(Self::of(root, None))
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
            making_folder: Mutex::new(()),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a file is.
    pub fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// Every manifest, the oldest first; in the place of one that has changed, the error that says so.
    pub fn manifests(&self) -> Result<Vec<Result<Saved>>> {
        let read = self
            .manifest_paths()?
            .into_iter()
            .map(|path| match read_manifest(&path) {
                // A backup removed it since they were listed.
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => None,
                read => Some(read),
            });
        Ok(read.flatten().collect())
    }

    /// The manifest of the newest backup; none before the first.
    pub fn newest(&self) -> Result<Option<Saved>> {
        self.manifest_paths()?
            .last()
            .map(|path| read_manifest(path))
            .transpose()
    }

    /// From the newest backup back to the first that is whole, both with it. One whose manifest has changed ends the search.
    pub fn newest_to_a_whole_one(&self) -> Result<Vec<Saved>> {
        let mut newest = Vec::new();
        for path in self.manifest_paths()?.iter().rev() {
            let saved = match read_manifest(path) {
                Err(Error::Damaged { .. }) if !newest.is_empty() => break,
                read => read?,
            };
            let is_whole = saved.manifest.is_whole();
            newest.push(saved);
            if is_whole {
                break;
            }
        }
        Ok(newest)
    }

    /// Removes all manifests but the newest ones, the oldest first. Returns how many.
    pub fn remove_manifests(&self, keep: usize) -> Result<usize> {
        let mut paths = self.manifest_paths()?;
        paths.truncate(paths.len().saturating_sub(keep));
        remove_files(&paths)?;
        Ok(paths.len())
    }

    fn manifest_paths(&self) -> Result<Vec<PathBuf>> {
        let folder = self.root.join(MANIFESTS);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut paths = Vec::new();
        for entry in fs::read_dir(&folder).at(&folder)? {
            paths.push(entry.at(&folder)?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort_unstable();
        Ok(paths)
    }

    /// Adds a manifest: from then on, its backup is the newest. All that it names was synced.
    pub fn add_manifest(&self, manifest: &Manifest) -> Result<()> {
        let digest = manifest.digest();
        let name = format!("{:08}-{}.json", manifest.number, &digest[..NAME_DIGITS]);
        let path = self.root.join(MANIFESTS).join(name);
        let made = self.new_path();
        write_durably(&made, manifest.to_text().as_bytes())?;
        create_dir_durably(&self.root.join(MANIFESTS))?;
        rename_durably(&made, &path)
    }

    /// Whether a file is there and as long as it was.
    pub fn has(&self, object: &Object) -> bool {
        fs::metadata(self.path(&object.key)).is_ok_and(|file| file.is_file() && file.len() == object.bytes)
    }

    /// Removes what was written and not kept: it may be what the books do not keep any longer.
    pub fn forget_written(&self) -> Result<()> {
        let tmp = self.root.join(TMP);
        create_dir_durably(&tmp)?;
        remove_all_in(&tmp)?;
        create_dir_durably(&tmp)
    }

    /// A path for a new file.
    pub fn new_path(&self) -> PathBuf {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        self.root.join(TMP).join(number.to_string())
    }

    /// Copies a file, and returns the path of the copy, its length and its digest. It is not synced yet.
    pub fn take(&self, source: &Path) -> Result<(PathBuf, u64, String)> {
        let copy = self.new_path();
        let (to, digest) = DigestedFile::create_new(&copy)?;
        let bytes = copy_bytes(source, to, &copy)?;
        Ok((copy, bytes, digest.hex()))
    }

    /// Puts a file into its place in a data folder, not synced yet. What an interrupted restore left there is replaced.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the file is not what it was when it was backed up.
    pub fn give(&self, object: &Object, path: &Path) -> Result<()> {
        let source = self.path(&object.key);
        let (to, digest) = DigestedFile::of(File::create(path).at(path)?);
        copy_bytes(&source, to, path)?;
        let digest = digest.hex();
        if digest == object.sha256 {
            return Ok(());
        }
        Err(changed(&source, &digest, object))
    }

    /// Syncs a new file and gives it its name. Its folder is synced by [`Self::sync`]. What an interrupted backup left under the name is
    /// replaced.
    pub fn keep(&self, made: &Path, key: &str) -> Result<()> {
        failpoint::file("written", &self.path(key));
        File::open(made).and_then(|file| file.sync_all()).at(made)?;
        failpoint::file("synced", &self.path(key));
        let path = self.path(key);
        if let Some(folder) = path.parent() {
            let _alone = self.making_folder.lock().unwrap_or_else(PoisonError::into_inner);
            create_dir_durably(folder)?;
        }
        fs::rename(made, &path).at(&path)?;
        failpoint::file("moved", &path);
        Ok(())
    }

    /// Whether a file that no manifest names is what is wanted: one of a backup that came to no end.
    pub fn has_left(&self, key: &str, sha256: &str) -> Result<bool> {
        let path = self.path(key);
        Ok(path.is_file() && sha256_hex_of_file(&path)? == sha256)
    }

    /// Makes the names of files permanent.
    pub fn sync(&self, keys: impl Iterator<Item = String>) -> Result<()> {
        let mut folders: Vec<PathBuf> = keys
            .filter_map(|key| self.path(&key).parent().map(Path::to_owned))
            .collect();
        folders.sort_unstable();
        folders.dedup();
        folders.iter().try_for_each(|folder| sync_dir(folder))
    }

    /// The keys of all files that a manifest could name.
    pub fn keys(&self) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        for folder in FOLDERS {
            list(&self.root.join(folder), folder, &mut keys)?;
        }
        Ok(keys)
    }

    /// Removes files, and folders that are empty without them.
    pub fn remove(&self, keys: &[String]) -> Result<()> {
        remove_files(&keys.iter().map(|key| self.path(key)).collect::<Vec<_>>())
    }
}

/// A file of a backup is not what it was.
pub fn changed(path: &Path, digest: &str, object: &Object) -> Error {
    Error::damaged(
        path,
        format!(
            "has changed since it was backed up: its SHA-256 is {digest}, recorded is {}. Restore from another copy of this folder, or \
             back up again where the books are still there",
            object.sha256
        ),
    )
}

/// Copies a file, and returns how long it is.
fn copy_bytes(source: &Path, mut to: impl Write, path: &Path) -> Result<u64> {
    let mut from = File::open(source).at(source)?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut bytes = 0;
    loop {
        let read = from.read(&mut block).at(source)?;
        if read == 0 {
            return Ok(bytes);
        }
        to.write_all(&block[..read]).at(path)?;
        bytes += read as u64;
    }
}

/// Reads a manifest. Its name has the beginning of its digest, as no other manifest names the newest.
fn read_manifest(path: &Path) -> Result<Saved> {
    let bytes = fs::read(path).at(path)?;
    let digest = sha256_hex(&bytes);
    let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let named = name.split_once('-').map(|(_, digits)| digits);
    if named.is_none_or(|named| named.len() != NAME_DIGITS || !digest.starts_with(named)) {
        return Err(Error::damaged(path, "the manifest has changed since it was written"));
    }
    Ok(Saved {
        manifest: Manifest::from_bytes(&bytes, path)?,
        digest,
    })
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

fn refuse_without_backups(root: &Path) -> Result<()> {
    if root.join(MARK).exists() {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{} has no backups of tallybook: check the folder, and whether its disk is mounted; `tallybook backup {0}` makes the first one",
        root.display()
    )))
}

fn refuse_other_files(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root).at(root)? {
        let name = entry.at(root)?.file_name();
        // A first backup that was killed left no more.
        if name != LOCK {
            return Err(Error::Usage(format!(
                "{} is not empty and has no backups of tallybook: name a new or empty folder",
                root.display()
            )));
        }
    }
    Ok(())
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
