//! A backup: the ledger in one state, then every file that it names, then the manifest, and then what no manifest names any more goes.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::NaiveDate;
use rayon::prelude::*;

use super::contents::{Original, Wanted, originals, stand_of, wanted};
use super::encryption::Recipients;
use super::location::Location;
use super::manifest::{
    BooksOf, Deletions, LedgerDump, Manifest, MissingFile, Object, PayloadDay, SavedFile, SavedOriginal, VERSION,
    key_of_file, key_of_rewritten,
};
use super::object_writer::{Made, plain_key};
use super::packing::copy_packed;
use super::points::{Candidate, Ended, candidates, decide};
use super::prune::{kept_with, prune_repository};
use super::repository::{NAME_DIGITS, Repository, Saved};
use super::{payloads, store};
use crate::context::Books;
use crate::pipeline::meter::store::{progress, unbooked_days, unmetered_days};
use crate::pipeline::retention::deletion::{deletions_after, last_deletion};
use crate::storage::ledger::dump::{Dump, write_dump};
use crate::storage::ledger::{Lease, Reading, newest_schema};
use crate::storage::raw::store::{days_after, files_in_use};
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::failpoint;

/// How often the ledger is read anew because files that it named were removed before they were copied. A night removes files a few times at
/// its end, and what was copied before is not copied again.
const READINGS_MAX: usize = 6;

/// Where it is made what goes into a bucket: files that are not the books' own.
pub(super) const SCRATCH: &str = "spool/backup";

/// What a backup did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct BackedUp {
    pub number: u64,
    /// A folder or a bucket.
    pub folder: String,
    /// What the backup has.
    pub files: u64,
    pub bytes: u64,
    pub ledger_rows: u64,
    /// What went over.
    pub new_files: u64,
    pub new_bytes: u64,
    /// What is in the folder no more: expired in the books, or needed by no backup that can be restored.
    pub removed_files: u64,
    /// Earlier backups that can be restored.
    pub points: u64,
    /// What it should have and has not. Then what the newest whole backup has of it was not removed.
    pub missing: Vec<String>,
    /// Rows of the ledger that do not fit their checksums.
    pub damaged: Vec<String>,
    /// Input files that changed while they were copied: the next backup has them.
    pub unsettled: Vec<String>,
}

impl BackedUp {
    /// Nothing is missing or damaged.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.damaged.is_empty()
    }
}

/// Backs the books up into a folder or a bucket.
///
/// # Errors
/// [`Error::Usage`] for a folder that holds something else or lies in the data folder, [`Error::NeedsPerson`] when the newest backup there
/// is of other books or of a later state of these, [`Error::InUse`] while another command has the folder.
pub async fn back_up(books: &Books, to: &Path) -> Result<BackedUp> {
    let recipients = Recipients::of(&books.settings)?;
    back_up_to(books, to, |at| Repository::open_or_make(at, recipients)).await
}

/// The same into a folder that has backups already: where nobody looks, an empty folder is a disk that is not there.
///
/// # Errors
/// Those of [`back_up`], and [`Error::Usage`] for a folder that has no backups.
pub async fn back_up_again(books: &Books, to: &Path) -> Result<BackedUp> {
    let recipients = Recipients::of(&books.settings)?;
    back_up_to(books, to, |at| {
        let repository = Repository::open(at)?.encrypting(recipients)?;
        repository.forget_written()?;
        Ok(repository)
    })
    .await
}

/// A bucket has no lock: who writes it has the lease on the backups of these books.
async fn back_up_to(books: &Books, to: &Path, open: impl FnOnce(Location) -> Result<Repository>) -> Result<BackedUp> {
    let at = Location::of(to, &books.settings)?;
    let Location::Folder(folder) = &at else {
        let lease = Lease::take_backup(&books.ledger, "backup").await?;
        let done = match open(at.working_in(books.data.join(SCRATCH))) {
            Ok(repository) => Box::pin(back_up_into(books, &repository, Some(&lease))).await,
            Err(error) => Err(error),
        };
        lease.release().await?;
        return done;
    };
    refuse_nested(books, folder)?;
    Box::pin(back_up_into(books, &open(at)?, None)).await
}

async fn back_up_into(books: &Books, repository: &Repository, lease: Option<&Lease>) -> Result<BackedUp> {
    let before = repository.newest()?;
    let mut work = Work::new(books, repository, lease, before)?;
    for _ in 0..READINGS_MAX {
        let state = State::read(books, repository, &work).await?;
        failpoint::point("backup.read");
        let made = work.copy(state).await?;
        repository.forget_written()?;
        if let Some(manifest) = made {
            return work.end(&manifest);
        }
        tracing::info!("files that the ledger named were removed before they were copied: reading the ledger again");
    }
    Err(Error::InUse(format!(
        "files were removed faster than they could be copied ({READINGS_MAX} times): run the backup again when no night runs; what was \
         copied is not copied again"
    )))
}

/// A backup in the data folder would be part of what it backs up, and the other way about.
fn refuse_nested(books: &Books, folder: &Path) -> Result<()> {
    let (data, to) = (true_path(books.data.root())?, true_path(folder)?);
    let drop = true_path(&books.settings.drop_folder(&books.data))?;
    if to.starts_with(&data) || data.starts_with(&to) || to.starts_with(&drop) {
        return Err(Error::Usage(format!(
            "{} lies in the data folder or around it: name another folder, best on another machine's disk",
            folder.display()
        )));
    }
    Ok(())
}

/// Where a path leads that need not be there yet: links and `..` in what is there are followed.
fn true_path(path: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(path).at(path)?;
    for there in whole.ancestors() {
        if let Ok(found) = there.canonicalize() {
            let rest = whole.strip_prefix(there).unwrap_or(Path::new(""));
            return Ok(found.join(rest));
        }
    }
    Ok(whole)
}

/// The books in one state.
struct State {
    of: BooksOf,
    /// Made, and not kept yet.
    dump: (PathBuf, LedgerDump),
    payloads: Vec<(PathBuf, PayloadDay)>,
    damaged: Vec<String>,
    wanted: Vec<Wanted>,
    /// Beginnings of the digests of inputs.
    inputs: HashSet<String>,
    held: Held,
}

/// What says which earlier backups can be restored.
struct Held {
    deletions: Deletions,
    erasures: i64,
    unmetered_days: Vec<NaiveDate>,
    unmeasured_days: Vec<NaiveDate>,
}

impl Held {
    /// `points`: the earlier backups that could be restored.
    async fn read(reading: &mut Reading, points: &[Candidate]) -> Result<Self> {
        let last = last_deletion(reading).await?;
        let points = points.iter().filter_map(|point| point.manifest.as_ref());
        let known = points.map(|point| point.deletions.last).min();
        let since = deletions_after(reading, known.unwrap_or(last)).await?;
        let metered_to = progress(&mut *reading).await?.batch_hi;
        let mut unmeasured = days_after(reading, metered_to).await?;
        unmeasured.extend(unbooked_days(reading).await?);
        Ok(Self {
            deletions: Deletions { last, since },
            erasures: store::erasures(reading).await?,
            unmetered_days: unmetered_days(reading).await?.into_iter().collect(),
            unmeasured_days: unmeasured.into_iter().collect(),
        })
    }
}

impl State {
    async fn read(books: &Books, repository: &Repository, work: &Work<'_>) -> Result<Self> {
        let mut reading = books.ledger.begin_reading().await?;
        let of = store::books_of(&mut reading).await?;
        if let Some(before) = &work.before {
            refuse_other_books(repository, &before.manifest, &of)?;
        }
        let held = Held::read(&mut reading, &work.points).await?;
        let (dump, damaged) = dump(repository, &mut reading, work.number()).await?;
        let payloads = payloads::write(repository, &mut reading).await?;
        let wanted = wanted(&mut reading).await?;
        let inputs = store::read_inputs(&mut reading).await?;
        reading.end().await?;
        Ok(Self {
            of,
            dump,
            payloads,
            damaged,
            wanted,
            inputs,
            held,
        })
    }
}

/// A place has backups of one set of books, and none of an earlier state than it has.
pub(super) fn refuse_other_books(repository: &Repository, newest: &Manifest, now: &BooksOf) -> Result<()> {
    let folder = repository.name();
    let (theirs, ours) = (&newest.books.first_batch, &now.first_batch);
    if theirs.is_some() && ours.is_some() && theirs != ours {
        return Err(Error::NeedsPerson(format!(
            "{folder} has backups of other books: name another folder. Nothing was changed"
        )));
    }
    if newest.books.restored != now.restored {
        return Err(Error::NeedsPerson(format!(
            "{folder} has backups of these books as they went on without the restore of an earlier backup: back the restored ones up into \
             a new folder or prefix (setting `backup`), and keep this one until you need it no more. Nothing was changed"
        )));
    }
    if (theirs.is_some() && ours.is_none()) || now.writers < newest.books.writers {
        return Err(Error::NeedsPerson(format!(
            "the newest backup in {folder} (number {}) has more than these books: the ledger was restored from something older, or is \
             another one. Restore that backup (`tallybook restore`), or back these books up into another folder. Nothing was changed",
            newest.number
        )));
    }
    Ok(())
}

async fn dump(
    repository: &Repository,
    reading: &mut Reading,
    number: u64,
) -> Result<((PathBuf, LedgerDump), Vec<String>)> {
    let file = repository.create()?;
    let path = file.path().to_owned();
    let (file, dumped) = write_dump(reading, file, &path).await?;
    let made = file.finish(|sha256| format!("ledger/{number:08}-{}.jsonl.zst", &sha256[..NAME_DIGITS]))?;
    let dump = LedgerDump {
        schema: newest_schema(),
        rows: dumped.rows,
        object: made.object,
    };
    Ok(((made.path, dump), dumped.damaged))
}

/// Whether an error says that this file is not there.
fn is_gone(error: &Error, file: &Path) -> bool {
    matches!(error, Error::Io { path, source } if path == file && source.kind() == std::io::ErrorKind::NotFound)
}

/// Reads a dump back from where it is kept.
///
/// # Errors
/// [`Error::Damaged`] where it is not what was written.
fn read_again(repository: &Repository, ledger: &LedgerDump) -> Result<()> {
    let key = &ledger.object.key;
    // Who backs up need not be able to decrypt.
    if repository.is_encrypted() {
        let digest = repository.digest_of(key)?;
        let is_same = digest.as_ref() == Some(&ledger.object.sha256);
        let changed = || Error::damaged(repository.path(key), "is not what was written: back up again");
        return is_same.then_some(()).ok_or_else(changed);
    }
    let rows = Dump::open(&repository.unchanged(&ledger.object)?)?.read_to_its_end()?;
    if rows == ledger.rows {
        return Ok(());
    }
    Err(Error::damaged(
        repository.path(key),
        format!("has {rows} rows instead of {}: back up again", ledger.rows),
    ))
}

/// What became of a file of the data folder.
enum Fate {
    Saved(SavedFile),
    /// It is not there, or not what it was.
    Lost(MissingFile),
}

/// What became of an input file.
enum OriginalFate {
    Saved(SavedOriginal),
    /// It changed while it was copied.
    Unsettled,
    /// It has expired meanwhile.
    Gone,
}

/// A backup that is being made.
struct Work<'a> {
    books: &'a Books,
    repository: &'a Repository,
    /// Of a bucket.
    lease: Option<&'a Lease>,
    before: Option<Saved>,
    /// Backups that can be restored before this one is made, the oldest first.
    points: Vec<Candidate>,
    /// Of the newest backup, by path and by place.
    known_files: BTreeMap<String, SavedFile>,
    known_originals: BTreeMap<String, SavedOriginal>,
    /// Refused lines of the newest backup, by day.
    known_payloads: BTreeMap<String, Object>,
    /// Input files in the folder, by key: those of the newest backup, and those that went over since.
    stored_originals: BTreeMap<String, Object>,
    new_files: AtomicU64,
    new_bytes: AtomicU64,
    unsettled: Vec<String>,
}

impl<'a> Work<'a> {
    fn new(
        books: &'a Books,
        repository: &'a Repository,
        lease: Option<&'a Lease>,
        before: Option<Saved>,
    ) -> Result<Self> {
        let points = match &before {
            Some(before) => candidates(repository, before)?,
            None => Vec::new(),
        };
        let known = before.as_ref().map(|before| &before.manifest);
        let files = known.into_iter().flat_map(|known| &known.files);
        let payloads = known.into_iter().flat_map(|known| &known.quarantine);
        let originals = known.into_iter().flat_map(|known| &known.originals);
        Ok(Self {
            books,
            repository,
            lease,
            points,
            known_payloads: payloads.map(|day| (day.day.clone(), day.object.clone())).collect(),
            known_files: files.map(|file| (file.path.clone(), file.clone())).collect(),
            stored_originals: originals
                .clone()
                .map(|file| (file.stored.key.clone(), file.stored.clone()))
                .collect(),
            known_originals: originals.map(|file| (file.place.clone(), file.clone())).collect(),
            before,
            new_files: AtomicU64::new(0),
            new_bytes: AtomicU64::new(0),
            unsettled: Vec::new(),
        })
    }

    /// The number of this backup.
    fn number(&self) -> u64 {
        self.before.as_ref().map_or(1, |before| before.manifest.number + 1)
    }

    /// Copies what the folder has not, and adds the manifest. None when a file was removed before it was copied, because the books went on.
    async fn copy(&mut self, state: State) -> Result<Option<Manifest>> {
        let fates: Vec<Fate> = tokio::task::block_in_place(|| {
            self.repository.on_threads(|| {
                let fates = state.wanted.par_iter().map(|wanted| self.save(wanted));
                fates.collect::<Result<_>>()
            })
        })?;
        let (mut files, mut missing) = (Vec::new(), Vec::new());
        for fate in fates {
            match fate {
                Fate::Saved(file) => files.push(file),
                Fate::Lost(file) => missing.push(file),
            }
        }
        if !missing.is_empty() && self.has_gone_on(&missing).await? {
            return Ok(None);
        }
        let originals = tokio::task::block_in_place(|| self.save_originals(&state.inputs))?;
        let (dump_path, ledger) = state.dump;
        self.keep(&dump_path, &ledger.object)?;
        let mut quarantine = Vec::new();
        for (path, mut day) in state.payloads {
            let made = Made {
                path,
                object: day.object,
            };
            day.object = self.keep_or_known(made, self.known_payloads.get(&day.day))?;
            quarantine.push(day);
        }
        let mut manifest = Manifest {
            format: Manifest::format(),
            version: VERSION,
            number: self.number(),
            previous: self.before.as_ref().map(|before| before.digest.clone()),
            taken_at: self.books.clock.text(),
            books: state.of,
            ledger,
            quarantine,
            files,
            originals,
            missing,
            damaged: state.damaged,
            deletions: state.held.deletions,
            erasures: state.held.erasures,
            unmetered_days: state.held.unmetered_days,
            unmeasured_days: state.held.unmeasured_days,
            points: Vec::new(),
            ended: Vec::new(),
        };
        self.decide_points(&mut manifest);
        let keys = manifest.objects().into_iter().map(|object| object.key);
        self.repository.sync(keys)?;
        self.refuse_overtaken().await?;
        self.repository.add_manifest(&manifest)?;
        Ok(Some(manifest))
    }

    /// Says which earlier backups can still be restored.
    fn decide_points(&self, manifest: &mut Manifest) {
        let keep = usize::try_from(self.books.settings.backup_points).unwrap_or(usize::MAX);
        let (points, mut ended) = decide(&self.points, manifest, keep);
        manifest.points = points;
        let oldest = manifest.number.saturating_sub(kept_with(manifest) as u64);
        let before = self.before.iter().flat_map(|before| &before.manifest.ended);
        ended.extend(before.filter(|one| one.number > oldest).copied());
        ended.sort_unstable_by_key(|one: &Ended| one.number);
        manifest.ended = ended;
    }

    /// Whether nobody else backed these books up since this backup began, as far as that can be known.
    async fn refuse_overtaken(&self) -> Result<()> {
        let Some(lease) = self.lease else { return Ok(()) };
        let mut tx = self.books.ledger.begin().await?;
        lease.check(&mut tx).await?;
        drop(tx);
        // Books that were restored have a ledger and a lease of their own.
        self.repository.refuse_replaced(self.before.as_ref())
    }

    /// Whether the ledger names these files no more: a night merged or expired them.
    async fn has_gone_on(&self, missing: &[MissingFile]) -> Result<bool> {
        let now = files_in_use(&self.books.ledger).await?;
        let now: HashSet<&str> = now.iter().map(|file| file.path.as_str()).collect();
        let paths = missing.iter().map(|missing| missing.path.as_str());
        // Exports are kept for ever.
        Ok(paths
            .filter(|path| !path.starts_with("exports/"))
            .any(|path| !now.contains(path)))
    }

    /// Has a file in the folder of backups, where it may be already: no file of the books is altered, and no name used twice. An export that
    /// was written anew has a name of its own there, since the backups before need the one that they have.
    fn save(&self, wanted: &Wanted) -> Result<Fate> {
        let mut key = key_of_file(&wanted.path);
        if let Some(known) = self.known_files.get(&wanted.path) {
            if known.sha256 != wanted.sha256 && !wanted.is_rewritten {
                return Err(Error::NeedsPerson(format!(
                    "the newest backup in {} has another file {}: it is of another history of these books. Back them up into another \
                     folder. Nothing was changed",
                    self.repository.name(),
                    wanted.path
                )));
            }
            if known.sha256 != wanted.sha256 && !self.repository.is_encrypted() {
                key = key_of_rewritten(&wanted.path, &wanted.sha256);
            } else if known.sha256 == wanted.sha256 && self.repository.has(&known.object())? {
                return Ok(Fate::Saved(known.clone()));
            }
        }
        let lost = |why: String| {
            let path = wanted.path.clone();
            Ok(Fate::Lost(MissingFile { path, why }))
        };
        let saved = |object: Object| {
            Fate::Saved(SavedFile {
                path: wanted.path.clone(),
                bytes: object.bytes,
                sha256: wanted.sha256.clone(),
                stored: (object.key != key_of_file(&wanted.path)).then_some(object),
            })
        };
        // An encrypted file that the newest backup has is there and is not what it was.
        let may_be_left = !self.repository.is_encrypted() || !self.known_files.contains_key(&wanted.path);
        if may_be_left && let Some(left) = self.repository.left(&key, &wanted.sha256)? {
            return Ok(saved(left));
        }
        let path = self.books.data.join(&wanted.path);
        let missing = || lost(format!("{} is missing; {}", wanted.path, wanted.cure));
        let taken = match self.repository.take(&path, &key) {
            Err(error) if is_gone(&error, &path) => return missing(),
            taken => taken?,
        };
        let found = taken.object.content_sha256();
        if found != wanted.sha256 {
            return lost(format!(
                "{} has changed since it was written: its SHA-256 is {found}, recorded is {}; {}",
                wanted.path, wanted.sha256, wanted.cure
            ));
        }
        match self.keep(&taken.path, &taken.object) {
            // Into a bucket it goes from where it is.
            Err(error) if is_gone(&error, &path) => missing(),
            kept => kept.map(|()| saved(taken.object)),
        }
    }

    /// Has a new file in the place, where the newest backup or one that came to no end may have the same.
    fn keep_or_known(&self, made: Made, known: Option<&Object>) -> Result<Object> {
        let Made { path, object } = made;
        // A key stands for what a file has.
        if let Some(known) = known.filter(|known| known.key == object.key) {
            if self.repository.has(known)? {
                return Ok(known.clone());
            }
        } else if let Some(left) = self.left(&object)? {
            return Ok(left);
        }
        self.keep(&path, &object)?;
        Ok(object)
    }

    /// What an interrupted backup left under the key of a new file, if it is the same.
    fn left(&self, object: &Object) -> Result<Option<Object>> {
        match &object.plain_sha256 {
            None => self.repository.left(&object.key, &object.sha256),
            Some(plain) => self.repository.left(plain_key(&object.key), plain),
        }
    }

    fn keep(&self, made: &Path, object: &Object) -> Result<()> {
        self.repository.keep(made, object)?;
        self.count(object.bytes);
        Ok(())
    }

    fn count(&self, bytes: u64) {
        self.new_files.fetch_add(1, Ordering::Relaxed);
        self.new_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Input files that were read. One that goes meanwhile has expired; one that changes is in the next backup.
    fn save_originals(&mut self, inputs: &HashSet<String>) -> Result<Vec<SavedOriginal>> {
        let mut saved = Vec::new();
        self.unsettled.clear();
        for original in originals(self.books, inputs)? {
            match self.save_original(&original)? {
                OriginalFate::Saved(file) => saved.push(file),
                OriginalFate::Unsettled => self.unsettled.push(original.place),
                OriginalFate::Gone => {}
            }
        }
        Ok(saved)
    }

    fn save_original(&mut self, original: &Original) -> Result<OriginalFate> {
        let stand = (original.bytes, original.modified_ns);
        if let Some(known) = self.known_originals.get(&original.place)
            && (known.bytes, known.modified_ns) == stand
            && self.repository.has(&known.stored)?
        {
            return Ok(OriginalFate::Saved(known.clone()));
        }
        let copied = match copy_packed(&original.path, self.repository.create()?) {
            Err(error) if is_gone(&error, &original.path) => return Ok(OriginalFate::Gone),
            copied => copied?,
        };
        if stand_of(&original.path)? != Some(stand) || copied.bytes != original.bytes {
            return Ok(OriginalFate::Unsettled);
        }
        Ok(OriginalFate::Saved(SavedOriginal {
            place: original.place.clone(),
            stored: self.keep_original(copied.stored)?,
            bytes: copied.bytes,
            sha256: copied.sha256,
            modified_ns: original.modified_ns,
        }))
    }

    /// Has a copy in the folder under its key, where the same file may be by another name: packed, perhaps, by another version of zstd.
    fn keep_original(&mut self, copy: Made) -> Result<Object> {
        let known = self.stored_originals.get(&copy.object.key);
        let stored = self.keep_or_known(copy, known)?;
        self.stored_originals.insert(stored.key.clone(), stored.clone());
        Ok(stored)
    }

    /// Removes what is needed no more, now that a newer backup is there. Where ledgers go that were the only ones of their time, the newest
    /// must be one that can be read.
    fn end(self, manifest: &Manifest) -> Result<BackedUp> {
        // Those that ended with an earlier one may still be there: it may have come no further.
        if manifest.ended.iter().any(|one| one.why.is_given_up()) {
            tokio::task::block_in_place(|| read_again(self.repository, &manifest.ledger))?;
        }
        let pruned = prune_repository(self.repository, None)?;
        let objects = manifest.objects();
        Ok(BackedUp {
            number: manifest.number,
            folder: self.repository.name(),
            files: objects.len() as u64,
            bytes: objects.iter().map(|object| object.bytes).sum(),
            ledger_rows: manifest.ledger.rows,
            new_files: self.new_files.into_inner(),
            new_bytes: self.new_bytes.into_inner(),
            removed_files: pruned.removed_files as u64,
            points: manifest.points.len() as u64,
            missing: manifest.missing_sentences(),
            damaged: manifest.damaged.clone(),
            unsettled: self.unsettled,
        })
    }
}
