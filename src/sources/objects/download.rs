//! An object as a file in the data folder: as the bytes come, in bounded memory. A connection that was cut goes on where it ended, in
//! the same state of the object or from its beginning.

use std::fs::{File, TryLockError};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::storage::durable_files::{DataDir, create_dir_durably};
use crate::storage::objects::error::StoreError;
use crate::storage::objects::{Object, ObjectStore};
use crate::support::error::{AtPath as _, Error};
use crate::support::failpoint;
use crate::values::digest::sha256_hex;

/// How often a reading that brings nothing is tried again before the source is left for later.
const TRIES_MAX: u32 = 4;

/// How often an object may change while it is read.
const STATES_MAX: u32 = 4;

/// The pause before the first new try; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the file system has no locks, what lies there for longer belongs to no process that lives.
const LEFT_BEHIND: TimeDelta = TimeDelta::days(1);

/// The digits of a digest that make a file's name.
const NAME_DIGITS: usize = 32;

/// The folder in which a source lays down what it reads. Each file there is locked as long as the process needs it; the system takes the
/// lock away when the process dies, and whoever opens the folder next removes the file.
#[derive(Debug)]
pub struct Spool(PathBuf);

/// An object that lies in a file.
#[derive(Debug)]
pub struct Downloaded {
    /// In the state that was read.
    pub object: Object,
    pub path: PathBuf,
    /// The file with its lock, which holds as long as this is there.
    pub lock: Option<File>,
}

impl Spool {
    /// Makes the folder, and removes what processes that died left in it. Another that lives may be reading from there: a trial.
    pub fn open(data: &DataDir, source: &str, now: DateTime<Utc>) -> Result<Self, Error> {
        let digest = sha256_hex(source.as_bytes());
        let folder = data.join(&format!("spool/source-{}", &digest[..NAME_DIGITS]));
        create_dir_durably(&folder)?;
        for entry in std::fs::read_dir(&folder).at(&folder)? {
            let path = entry.at(&folder)?.path();
            remove_left_behind(&path, now);
        }
        Ok(Self(folder))
    }

    /// A place that nobody else writes to.
    fn place(&self) -> PathBuf {
        static PLACES: AtomicU64 = AtomicU64::new(0);
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        self.0.join(format!("{}-{number}", std::process::id()))
    }
}

/// Removes a file that nobody has any more. One that is gone meanwhile was somebody's.
fn remove_left_behind(path: &Path, now: DateTime<Utc>) {
    let Ok(file) = File::open(path) else { return };
    let is_left_behind = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            let modified = file.metadata().and_then(|metadata| metadata.modified());
            modified.is_ok_and(|modified| now - DateTime::<Utc>::from(modified) > LEFT_BEHIND)
        }
    };
    if is_left_behind {
        // Still under the lock: who made it a moment ago and waits for the lock sees that it is gone.
        std::fs::remove_file(path).ok();
    }
}

/// Makes a file and locks it.
fn locked(path: &Path) -> Result<File, Error> {
    loop {
        let file = File::create(path).at(path)?;
        // Where there are no locks, what is left behind is known by its age.
        if file.lock().is_err() || path.exists() {
            return Ok(file);
        }
    }
}

/// A file that is being written, and is removed unless it is finished.
struct Writing {
    path: PathBuf,
    /// None: it is finished.
    file: Option<File>,
    written: u64,
}

impl Writing {
    fn create(path: PathBuf) -> Result<Self, Error> {
        let parent = path.parent().unwrap_or(Path::new("."));
        create_dir_durably(parent)?;
        Ok(Self {
            file: Some(locked(&path)?),
            path,
            written: 0,
        })
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes).at(&self.path)?;
        }
        let is_first = self.written == 0;
        self.written += bytes.len() as u64;
        // Once an object: in how many pieces it comes is the network's.
        if is_first {
            failpoint::file("downloading", &self.path);
        }
        Ok(())
    }

    fn begin_again(&mut self) -> Result<(), Error> {
        if let Some(file) = &mut self.file {
            file.set_len(0).at(&self.path)?;
            file.rewind().at(&self.path)?;
        }
        self.written = 0;
        Ok(())
    }

    /// The file, which is not removed any more.
    fn finish(mut self, object: Object) -> Downloaded {
        failpoint::file("written", &self.path);
        Downloaded {
            object,
            path: self.path.clone(),
            lock: self.file.take(),
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.file.is_some() {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

/// Reads an object into a file. It need not be in the state in which it was listed: the state that was read is handed back.
///
/// # Errors
/// As [`ObjectStore::read`]; [`StoreError::Changed`] where it changes all the time.
pub async fn download(store: &ObjectStore, listed: &Object, spool: &Spool) -> Result<Downloaded, StoreError> {
    let mut writing = Writing::create(spool.place())?;
    let (mut tries, mut states) = (0, 1);
    let mut state = Some(listed.clone());
    loop {
        let before = writing.written;
        match read_on(store, &listed.key, &mut state, &mut writing).await {
            Ok(object) => {
                return Ok(writing.finish(object));
            }
            Err(StoreError::Changed) if states < STATES_MAX => {
                states += 1;
                state = None;
                writing.begin_again()?;
            }
            Err(StoreError::Unavailable(why)) => {
                tries = if writing.written > before { 1 } else { tries + 1 };
                if tries >= TRIES_MAX {
                    return Err(StoreError::Unavailable(why));
                }
                tokio::time::sleep(PAUSE * 2u32.pow(tries)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Reads from where the file ends to the end of the object. Without a state, the one that it has now is noted.
async fn read_on(
    store: &ObjectStore,
    key: &str,
    state: &mut Option<Object>,
    writing: &mut Writing,
) -> Result<Object, StoreError> {
    let etag = state.as_ref().map(|object| object.etag.clone());
    let mut reading = store.read(key, etag.as_deref(), writing.written).await?;
    let now = reading.object.clone();
    if state.as_ref().is_some_and(|wanted| wanted.bytes != now.bytes) {
        return Err(StoreError::Changed);
    }
    *state = Some(now.clone());
    while reading
        .next(|bytes| writing.add(bytes).map_err(StoreError::from))
        .await?
    {}
    if writing.written == now.bytes {
        return Ok(now);
    }
    if writing.written > now.bytes {
        return Err(StoreError::Changed);
    }
    Err(StoreError::Unavailable(format!(
        "the connection to the object store ended after {} of {} bytes",
        writing.written, now.bytes
    )))
}
