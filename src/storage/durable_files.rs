//! Files that must survive a power cut: written whole, synced with every folder made for them.

use std::fs::{self, File, TryLockError};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::support::error::{AtPath, Error, Result};
use crate::support::failpoint;
use crate::values::digest::Hasher;

/// The data folder and the names below it.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// The folder at a place, which need not be there.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Opens the folder, making it if need be.
    pub fn open(root: &Path) -> Result<Self> {
        let data = Self::at(root);
        data.make()?;
        Ok(data)
    }

    /// Makes the folder if need be.
    pub fn make(&self) -> Result<()> {
        create_dir_durably(&self.root)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The absolute place of a path that the ledger stores relative to the folder.
    pub fn join(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }
}

/// How often it is tried again to lock a file.
const LOCK_AGAIN: Duration = Duration::from_millis(20);

/// Waits for a lock file, which is free again when the value goes: two first starts must not make the tables twice.
///
/// # Errors
/// [`Error::Opening`] when it is not free after `wait_s` seconds: who has it may stand still.
pub fn lock(path: &Path, wait_s: u32) -> Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .at(path)?;
    let until = Instant::now() + Duration::from_secs(wait_s.into());
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOCK_AGAIN),
            Err(TryLockError::WouldBlock) => {
                let path = path.to_owned();
                return Err(Error::Opening { path, wait_s });
            }
            Err(TryLockError::Error(error)) => return Err(error).at(path),
        }
    }
}

/// Makes a folder and syncs the parent of each level it had to make.
pub fn create_dir_durably(dir: &Path) -> Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(Path::new("."));
    create_dir_durably(parent)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error).at(dir),
        _ => failpoint::file("made folder", dir),
    }
    sync_dir(parent)
}

/// Makes renames, creations and removals in a folder permanent.
pub fn sync_dir(dir: &Path) -> Result<()> {
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    File::open(dir).and_then(|d| d.sync_all()).at(dir)?;
    failpoint::file("synced folder", dir);
    Ok(())
}

/// Syncs finished files side by side, then each of their folders once.
pub fn sync_all(paths: &[PathBuf]) -> Result<()> {
    paths.par_iter().try_for_each(|path| {
        failpoint::file("written", path);
        File::open(path).and_then(|f| f.sync_all()).at(path)?;
        failpoint::file("synced", path);
        Ok::<_, Error>(())
    })?;
    let mut dirs: Vec<&Path> = paths.iter().filter_map(|p| p.parent()).collect();
    dirs.sort_unstable();
    dirs.dedup();
    dirs.into_iter().try_for_each(sync_dir)
}

/// Writes a whole file under its final name and syncs it with its folder.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        create_dir_durably(parent)?;
    }
    let mut file = File::create(path).at(path)?;
    file.write_all(bytes).at(path)?;
    failpoint::file("written", path);
    file.sync_all().at(path)?;
    failpoint::file("synced", path);
    path.parent().map_or(Ok(()), sync_dir)
}

/// Moves a file or folder within one file system and makes the move permanent. The target must not exist.
pub fn rename_durably(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        return Err(Error::damaged(
            to,
            "is in the way of a move; move it elsewhere and run again",
        ));
    }
    fs::rename(from, to).at(from)?;
    failpoint::file("moved", to);
    for dir in [from.parent(), to.parent()].into_iter().flatten() {
        sync_dir(dir)?;
    }
    Ok(())
}

/// Moves a file to the place of another one, which goes, within one file system, and makes it permanent.
pub fn replace_durably(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).at(from)?;
    failpoint::file("replaced", to);
    for dir in [from.parent(), to.parent()].into_iter().flatten() {
        sync_dir(dir)?;
    }
    Ok(())
}

/// Removes a folder with all that is in it; it may be gone already.
pub fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).at(folder),
        _ => failpoint::file("removed", folder),
    }
    folder
        .parent()
        .filter(|parent| parent.is_dir())
        .map_or(Ok(()), sync_dir)
}

/// Removes files that may be gone already, and their folders when these are empty.
pub fn remove_files(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).at(path),
            _ => failpoint::file("removed", path),
        }
        if let Some(parent) = path.parent() {
            // Fails while other files are in it, which is what we want.
            if fs::remove_dir(parent).is_ok() {
                failpoint::file("removed folder", parent);
            }
        }
    }
    Ok(())
}

/// What is written before the disk is asked to begin with it, so that the sync at the end has little left to wait for.
const AHEAD_BYTES: u64 = 8 << 20;

/// Bytes that are handed to the system at a time.
const BLOCK_BYTES: usize = 2 << 20;

/// A new file whose bytes begin their way to disk while more are written, so that the sync at its end waits for little.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    written: u64,
    begun: u64,
}

impl NewFile {
    /// Creates a file that must not be there yet.
    pub fn create(path: &Path) -> Result<Self> {
        Ok(Self {
            file: File::create_new(path).at(path)?,
            written: 0,
            begun: 0,
        })
    }

    /// The same, for many small pieces: they go to the system in blocks.
    pub fn create_buffered(path: &Path) -> Result<BufWriter<Self>> {
        Ok(BufWriter::with_capacity(BLOCK_BYTES, Self::create(path)?))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        if self.written - self.begun >= AHEAD_BYTES {
            begin_writeback(&self.file, self.begun, self.written - self.begun);
            self.begun = self.written;
        }
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// A file that is digested while it is written.
#[derive(Debug)]
pub struct DigestedFile<F = NewFile> {
    file: F,
    state: Arc<Mutex<WrittenState>>,
}

#[derive(Debug, Default)]
struct WrittenState {
    hasher: Hasher,
    refused: Option<std::io::Error>,
}

/// The digest of what was written, for when the file itself is in other hands.
#[derive(Clone, Debug)]
pub struct WrittenDigest(Arc<Mutex<WrittenState>>);

impl DigestedFile {
    /// Creates a file that must not be there yet.
    pub fn create_new(path: &Path) -> Result<(Self, WrittenDigest)> {
        Ok(Self::of(NewFile::create(path)?))
    }
}

impl<F> DigestedFile<F> {
    /// Digests what goes to a file from now on.
    pub fn of(file: F) -> (Self, WrittenDigest) {
        let state = Arc::<Mutex<WrittenState>>::default();
        let digest = WrittenDigest(Arc::clone(&state));
        (Self { file, state }, digest)
    }
}

impl WrittenDigest {
    /// SHA-256 of all bytes so far, 64 hex digits.
    pub fn hex(&self) -> String {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.hasher.clone().hex()
    }

    /// Why the file took no more, if it did not: who wrote to it may have lost the cause on the way.
    pub fn refused(&self) -> Option<std::io::Error> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.refused.take()
    }
}

/// In place of a number of bytes: as many as there are.
pub const TO_THE_END: u64 = 0;

/// Asks the system to begin writing a part of a file to disk. It is only sooner than without: what counts is the sync, which
/// also tells what went wrong.
pub fn begin_writeback(file: &File, from: u64, bytes: u64) {
    #[cfg(target_os = "linux")]
    if let (Ok(from), Ok(bytes)) = (from.try_into(), bytes.try_into()) {
        use std::os::fd::AsRawFd as _;
        #[expect(
            unsafe_code,
            reason = "no crate has this call; it takes numbers and an open file, and touches no memory"
        )]
        let _best_effort = unsafe { libc::sync_file_range(file.as_raw_fd(), from, bytes, libc::SYNC_FILE_RANGE_WRITE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, from, bytes);
}

impl<F: Write> Write for DigestedFile<F> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.file.write(bytes).inspect_err(|error| {
            state.refused = error.raw_os_error().map(std::io::Error::from_raw_os_error);
        })?;
        state.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_another_has_is_waited_for_so_long_and_then_told() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("x.lock");
        let first = lock(&place, 0).unwrap();
        let refused = lock(&place, 0).unwrap_err();
        assert_eq!(u8::from(refused.exit_code()), 5);
        assert!(refused.to_string().contains("x.lock"), "{refused}");
        drop(first);
        lock(&place, 0).unwrap();
    }
}
