//! Which files rest: size and time unchanged for a while, and nobody has them open for writing.
//!
//! The time is the later of the content's and the file's own (`mtime`, `ctime`): a copy may bring an old time of its content along
//! while it is still being written.

use std::collections::HashSet;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::open_files::{FileId, id_of, open_for_writing};
use crate::support::error::{AtPath as _, Result};

/// What is to be read, as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    path: PathBuf,
    bytes: u64,
    changed_at: DateTime<Utc>,
    ids: Vec<FileId>,
}

/// What does not rest.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Left {
    pub name: String,
    pub why: String,
    /// Whether it stays until a person acts.
    #[serde(skip)]
    pub needs_person: bool,
}

/// The paths that rest, and the others with what they do. Waits once, at most `rest`, where that may help. `now` is the machine's clock.
/// A folder rests when all in it does. What is gone by the second look is in neither.
pub async fn resting(
    paths: Vec<PathBuf>,
    rest: Duration,
    now: DateTime<Utc>,
    wait: impl AsyncFnOnce(Duration),
) -> Result<(Vec<PathBuf>, Vec<Left>)> {
    let rest = TimeDelta::from_std(rest).unwrap_or(TimeDelta::MAX);
    let looks = look_at_all(&paths)?;
    let (mut rested, restless) = part(looks, |look, open| is_at_rest(look, now, rest) && !open);
    if restless.is_empty() {
        return Ok((paths_of(rested), Vec::new()));
    }
    let missing = restless.iter().map(|look| missing(look, now, rest)).max();
    let waited = missing.unwrap_or(rest);
    if waited > TimeDelta::zero() {
        let first = restless[0].path.display();
        tracing::warn!(files = restless.len(), seconds = waited.num_seconds() + 1, %first, "waiting until files are complete");
        wait(waited.to_std().unwrap_or_default()).await;
    }
    let again = look_at_all(&paths_of(restless.clone()))?;
    let now = now + waited;
    let (more, left) = part(again, |look, open| {
        let stood_still = waited >= rest && restless.contains(look);
        (stood_still || is_at_rest(look, now, rest)) && !open
    });
    rested.extend(more);
    let mut paths = paths_of(rested);
    paths.sort_unstable();
    Ok((paths, left.iter().map(|look| told(look, &restless)).collect()))
}

/// Those that `rests` and the others; it is told whether somebody has them open for writing.
fn part(looks: Vec<Look>, rests: impl Fn(&Look, bool) -> bool) -> (Vec<Look>, Vec<Look>) {
    let wanted: HashSet<FileId> = looks.iter().flat_map(|look| look.ids.iter().copied()).collect();
    let open = open_for_writing(&wanted);
    looks
        .into_iter()
        .partition(|look| rests(look, look.ids.iter().any(|id| open.contains(id))))
}

fn paths_of(looks: Vec<Look>) -> Vec<PathBuf> {
    looks.into_iter().map(|look| look.path).collect()
}

/// Without a rest, any time will do, also one that lies ahead.
fn is_at_rest(look: &Look, now: DateTime<Utc>, rest: TimeDelta) -> bool {
    rest.is_zero() || now - look.changed_at >= rest
}

/// What is missing of its rest; a time that lies ahead says nothing, so that it takes a whole one. An open file is given all the time
/// there is to be closed.
fn missing(look: &Look, now: DateTime<Utc>, rest: TimeDelta) -> TimeDelta {
    let age = now - look.changed_at;
    if age < TimeDelta::zero() || age >= rest {
        rest
    } else {
        rest - age
    }
}

fn told(look: &Look, before: &[Look]) -> Left {
    let why = if before.contains(look) {
        "it is open for writing, or it changed less than `drop_rest_s` seconds ago"
    } else {
        "it is still being written"
    };
    Left {
        name: look.path.display().to_string(),
        why: why.to_owned(),
        needs_person: false,
    }
}

fn look_at_all(paths: &[PathBuf]) -> Result<Vec<Look>> {
    let looks = paths.iter().map(|path| look_at(path));
    looks.filter_map(Result::transpose).collect()
}

/// None when it is gone.
fn look_at(path: &Path) -> Result<Option<Look>> {
    let mut look = Look {
        bytes: 0,
        changed_at: DateTime::UNIX_EPOCH,
        ids: Vec::new(),
        path: path.to_owned(),
    };
    let is_there = add(&mut look, path)?;
    look.ids.sort_unstable();
    Ok(is_there.then_some(look))
}

/// Adds a file, or all that lies in a folder. Returns whether it is there.
fn add(look: &mut Look, path: &Path) -> Result<bool> {
    let file = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        file => file.at(path)?,
    };
    look.changed_at = look.changed_at.max(changed_at(&file));
    if file.is_dir() {
        for entry in std::fs::read_dir(path).at(path)? {
            add(look, &entry.at(path)?.path())?;
        }
    } else {
        look.bytes += file.len();
        look.ids.push(id_of(&file));
    }
    Ok(true)
}

#[cfg(unix)]
fn changed_at(file: &Metadata) -> DateTime<Utc> {
    use std::os::unix::fs::MetadataExt as _;
    let nanoseconds = |ns: i64| u32::try_from(ns).unwrap_or(0);
    let content = DateTime::from_timestamp(file.mtime(), nanoseconds(file.mtime_nsec()));
    let itself = DateTime::from_timestamp(file.ctime(), nanoseconds(file.ctime_nsec()));
    content.max(itself).unwrap_or(DateTime::UNIX_EPOCH)
}

#[cfg(not(unix))]
fn changed_at(file: &Metadata) -> DateTime<Utc> {
    file.modified().map_or(DateTime::UNIX_EPOCH, DateTime::from)
}
