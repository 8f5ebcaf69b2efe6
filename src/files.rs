//! Files that must survive a power cut: written whole, synced with every folder made for them.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::{AtPath, Error, Result};

/// The data folder and the names below it.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Opens the folder, making it if need be.
    pub fn open(root: &Path) -> Result<Self> {
        create_dir_durably(root)?;
        Ok(Self { root: root.to_owned() })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The absolute place of a path that the ledger stores relative to the folder.
    pub fn join(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }
}

/// Waits for a lock file, which is free again when the value goes: two first starts must not make the tables twice.
pub fn lock(place: &Path) -> Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(place)
        .at(place)?;
    file.lock().at(place)?;
    Ok(file)
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
        _ => {}
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
    File::open(dir).and_then(|d| d.sync_all()).at(dir)
}

/// Syncs finished files side by side, then each of their folders once.
pub fn sync_all(paths: &[PathBuf]) -> Result<()> {
    paths
        .par_iter()
        .try_for_each(|path| File::open(path).and_then(|f| f.sync_all()).at(path))?;
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
    file.write_all(bytes).and_then(|()| file.sync_all()).at(path)?;
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
    for dir in [from.parent(), to.parent()].into_iter().flatten() {
        sync_dir(dir)?;
    }
    Ok(())
}

/// Removes files that may be gone already, and their folders when these are empty.
pub fn remove_files(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).at(path),
            _ => {}
        }
        if let Some(parent) = path.parent() {
            // Fails while other files are in it, which is what we want.
            fs::remove_dir(parent).ok();
        }
    }
    Ok(())
}
