//! From a backup to books in an empty folder, with a ledger of any engine.
//!
//! ```text
//! restore.json     says that the folder is being filled: no other command opens it
//! files            each held against its digest
//! ledger           tables of the dump's version, its rows in one transaction, then brought up to this program's
//! marks            of an earlier backup: what has expired since is left out, and the ledger says so; see `leave_out.rs`
//! restore.json     goes: the books are there
//! ```
//!
//! Killed anywhere and run again, it goes on: files that are there are held against their digests, and the ledger's rows are put in the
//! place of those that came before.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rayon::prelude::*;

use super::check::no_backup;
use super::create::SCRATCH;
use super::leave_out::Earlier;
use super::location::Location;
use super::manifest::{Manifest, Object, SavedOriginal};
use super::payloads;
use super::points::manifests_of_points;
use super::repository::{Repository, Saved};
use super::store::last_in_quarantine;
use crate::context::Settings;
use crate::context::restore_guard::RESTORE_MARK;
use crate::pipeline::ingest::quarantine::store::restore_payload;
use crate::storage::durable_files::{DataDir, DigestedFile, create_dir_durably, sync_all, sync_dir, write_durably};
use crate::storage::ledger::dump::{Dump, end_restore, restore_rows};
use crate::storage::ledger::{Found, Ledger, Tx, highest_intake};
use crate::support::clock::Clock;
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::failpoint;
use crate::values::digest::sha256_hex_of_file;

/// The ending of a file that is being copied.
const PART: &str = ".part";

/// What was restored.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Restored {
    pub number: u64,
    pub taken_at: String,
    pub folder: String,
    pub engine: &'static str,
    pub files: usize,
    pub bytes: u64,
    pub ledger_rows: u64,
    /// What the backup itself lacks.
    pub missing: Vec<String>,
    pub damaged: Vec<String>,
    /// Of an earlier backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
}

/// What an earlier backup was restored without: what had expired by the newest.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct LeftOut {
    /// The number of the newest backup.
    pub newest: u64,
    pub newest_taken_at: String,
    pub files: usize,
}

/// Which backup is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    Newest,
    /// That of a number.
    Number(u64),
    /// The newest that was made by then.
    At(DateTime<Utc>),
}

/// Restores the newest backup of a folder or a bucket into a data folder; `url` none means the embedded ledger in it.
///
/// # Errors
/// [`Error::Usage`] when the data folder or the ledger has something already, [`Error::Damaged`] when a file of the backup is not what it
/// was.
pub async fn restore(from: &Path, folder: &Path, url: Option<&str>, settings: &Settings) -> Result<Restored> {
    let place = Place { folder, url, settings };
    place.restore(from, |repository| Ok((newest(repository)?, None))).await
}

/// Restores a backup, which may be an earlier one: without what the books gave up since, and marked so.
///
/// # Errors
/// Those of [`restore`], and [`Error::Usage`] for a backup that can be restored no more: it names those that can.
pub async fn restore_point(
    from: &Path,
    (point, clock): (Point, Clock),
    folder: &Path,
    url: Option<&str>,
    settings: &Settings,
) -> Result<Restored> {
    let place = Place { folder, url, settings };
    let choose = |repository: &Repository| {
        let newest = newest(repository)?;
        let saved = choose(repository, &newest, point)?;
        let is_newest = saved.digest == newest.digest;
        let earlier = (!is_newest).then(|| Earlier {
            saved: saved.clone(),
            newest,
            who: settings.who.clone(),
            clock,
        });
        Ok((saved, earlier))
    };
    place.restore(from, choose).await
}

fn newest(repository: &Repository) -> Result<Saved> {
    repository.newest()?.ok_or_else(|| no_backup(repository))
}

/// The backup that somebody asked for.
fn choose(repository: &Repository, newest: &Saved, point: Point) -> Result<Saved> {
    let manifest = &newest.manifest;
    let number = match point {
        Point::Newest => Some(manifest.number),
        Point::Number(number) => Some(number),
        Point::At(time) => last_made_by(repository, manifest, time)?,
    };
    if number == Some(manifest.number) {
        return Ok(newest.clone());
    }
    let named = manifest.points.iter().find(|named| Some(named.number) == number);
    if let Some(saved) = named.map_or(Ok(None), |named| repository.manifest_of(named))? {
        return Ok(saved);
    }
    let ended = manifest.ended.iter().find(|ended| Some(ended.number) == number);
    let why = match (number, ended) {
        (None, _) => "no backup was made by then".to_owned(),
        (Some(number), Some(ended)) => format!("backup {number} cannot be restored: {}", ended.why.sentence()),
        (Some(number), None) => format!("backup {number} is not there"),
    };
    Err(Error::Usage(format!(
        "{}: {why}. These can be restored: {}. Nothing was changed",
        repository.name(),
        can_be_restored(repository, manifest)?
    )))
}

/// The number of the last backup that was made by then, whether it can be restored or not.
fn last_made_by(repository: &Repository, newest: &Manifest, time: DateTime<Utc>) -> Result<Option<u64>> {
    let listed = repository
        .manifests()?
        .into_iter()
        .flatten()
        .map(|saved| saved.manifest);
    let all = listed.chain(manifests_of_points(repository, newest)?);
    let is_made = |manifest: &Manifest| {
        let taken_at: Option<DateTime<Utc>> = manifest.taken_at.parse().ok();
        taken_at.is_some_and(|taken_at| taken_at <= time)
    };
    Ok(all.filter(is_made).map(|manifest| manifest.number).max())
}

/// Numbers and times of the backups that can be restored.
fn can_be_restored(repository: &Repository, newest: &Manifest) -> Result<String> {
    let points = manifests_of_points(repository, newest)?.into_iter();
    let told = |manifest: &Manifest| format!("{} ({})", manifest.number, manifest.taken_at);
    let mut all: Vec<String> = points.map(|point| told(&point)).collect();
    all.push(format!("{}, the newest", told(newest)));
    Ok(all.join(", "))
}

/// Where a backup is restored.
struct Place<'a> {
    folder: &'a Path,
    /// None: the embedded ledger.
    url: Option<&'a str>,
    settings: &'a Settings,
}

impl Place<'_> {
    async fn restore(
        &self,
        from: &Path,
        choose: impl FnOnce(&Repository) -> Result<(Saved, Option<Earlier>)>,
    ) -> Result<Restored> {
        let data = DataDir::at(self.folder);
        let at = Location::of(from, self.settings)?.working_in(data.join(SCRATCH));
        let repository = Repository::open_to_read(at)?.decrypting(self.settings)?;
        repository.refuse_unreadable()?;
        let (saved, earlier) = choose(&repository)?;
        let (manifest, gone) = earlier.as_ref().map_or_else(
            || (saved.manifest.clone(), Vec::new()),
            Earlier::without_what_was_given_up,
        );
        begin(&data, &saved, earlier.as_ref())?;
        repository.own_new_files();
        let ledger = self.ledger(&saved).await?;
        let filled = match self.fill(&repository, &saved, &manifest, &data, &ledger).await {
            Ok(()) => self.mark(&repository, ledger.0, earlier.as_ref(), &gone).await,
            Err(error) => {
                ledger.0.close().await;
                Err(error)
            }
        };
        let ledger = match filled {
            Ok(ledger) => ledger,
            Err(error) => {
                // What is missing may be what a newer backup replaced: nobody was kept out of a bucket.
                let newest = earlier.as_ref().map_or(&saved, |earlier| &earlier.newest);
                return match repository.refuse_replaced(Some(newest)) {
                    Err(replaced @ Error::InUse(_)) => Err(replaced),
                    _ => Err(error),
                };
            }
        };
        drop(repository);
        let engine = ledger.engine().name();
        end(&data, ledger).await?;
        let objects = manifest.objects();
        Ok(Restored {
            number: manifest.number,
            taken_at: manifest.taken_at.clone(),
            folder: self.folder.display().to_string(),
            engine,
            files: objects.len(),
            bytes: objects.iter().map(|object| object.bytes).sum(),
            ledger_rows: manifest.ledger.rows,
            missing: manifest.missing_sentences(),
            damaged: manifest.damaged,
            left_out: earlier.map(|earlier| LeftOut {
                newest: earlier.newest.manifest.number,
                newest_taken_at: earlier.newest.manifest.taken_at,
                files: gone.len(),
            }),
        })
    }

    async fn ledger(&self, saved: &Saved) -> Result<(Ledger, Found)> {
        let embedded = Ledger::embedded_url(self.folder);
        let url = self.url.unwrap_or(&embedded);
        let schema = saved.manifest.ledger.schema;
        Ledger::open_for_restore(url, self.settings.ledger_wait_s, schema, &saved.digest).await
    }

    /// Puts files and rows into their places. `manifest`: what of the backup is restored.
    async fn fill(
        &self,
        repository: &Repository,
        saved: &Saved,
        manifest: &Manifest,
        data: &DataDir,
        (ledger, found): &(Ledger, Found),
    ) -> Result<()> {
        if *found == Found::Restored {
            refuse_gone_on(&saved.manifest, ledger).await?;
        }
        tokio::task::block_in_place(|| restore_files(repository, manifest, data, self.settings))?;
        if *found == Found::Empty {
            fill_ledger(repository, saved, manifest, ledger).await?;
        }
        Ok(())
    }

    /// Brings the tables up, and marks what an earlier backup is restored without.
    async fn mark(
        &self,
        repository: &Repository,
        ledger: Ledger,
        earlier: Option<&Earlier>,
        gone: &[String],
    ) -> Result<Ledger> {
        let ledger = ledger.brought_up().await?;
        let Some(earlier) = earlier else { return Ok(ledger) };
        let marked = match repository.unchanged(&earlier.newest.manifest.ledger.object) {
            Ok(dump) => earlier.mark(&ledger, &dump, gone).await,
            Err(error) => Err(error),
        };
        match marked {
            Ok(()) => Ok(ledger),
            Err(error) => {
                ledger.close().await;
                Err(error)
            }
        }
    }
}

/// The books are there: their folder and their ledger say so.
async fn end(data: &DataDir, ledger: Ledger) -> Result<()> {
    let mark = data.join(RESTORE_MARK);
    fs::remove_file(&mark).at(&mark)?;
    failpoint::file("removed", &mark);
    sync_dir(data.root())?;
    if let Err(error) = end_restore(&ledger).await {
        tracing::warn!(%error, "the restore is complete; its mark in the ledger may stay, which does no harm");
    }
    ledger.close().await;
    Ok(())
}

/// The ledger was restored from this backup before, and books went on with it.
async fn refuse_gone_on(manifest: &Manifest, ledger: &Ledger) -> Result<()> {
    if highest_intake(ledger).await? == manifest.books.writers {
        return Ok(());
    }
    Err(Error::Usage(
        "the ledger has books that went on: restore into a database without tallybook tables. Nothing was changed there".to_owned(),
    ))
}

/// Marks an empty folder. One that has this backup's mark is gone on with.
fn begin(data: &DataDir, saved: &Saved, earlier: Option<&Earlier>) -> Result<()> {
    let mark = data.join(RESTORE_MARK);
    // What is left out depends on the newest.
    let newest = earlier.map_or(&saved.digest, |earlier| &earlier.newest.digest);
    let text = format!("{{\"manifest\":\"{}\",\"newest\":\"{newest}\"}}\n", saved.digest);
    if mark.exists() {
        let found = fs::read_to_string(&mark).at(&mark)?;
        // One that was cut was being written: nothing else was done.
        if found == text || !found.ends_with('\n') {
            return write_durably(&mark, text.as_bytes());
        }
        return Err(Error::Usage(format!(
            "another backup was being restored into {}: empty that folder, and the ledger's database if it is a server's, and run again",
            data.root().display()
        )));
    }
    if data.root().exists() {
        let mut entries = fs::read_dir(data.root()).at(data.root())?;
        if let Some(entry) = entries.next() {
            let name = entry.at(data.root())?.file_name();
            return Err(Error::Usage(format!(
                "{} is not empty (it has {}): restore into a new or empty folder. Nothing was changed",
                data.root().display(),
                name.display()
            )));
        }
    }
    data.make()?;
    write_durably(&mark, text.as_bytes())
}

/// A file of the backup, and where it goes.
struct Target {
    object: Object,
    path: PathBuf,
    /// Of an input file.
    original: Option<SavedOriginal>,
}

fn restore_files(repository: &Repository, manifest: &Manifest, data: &DataDir, settings: &Settings) -> Result<()> {
    let drop = settings.drop_folder(data);
    let files = manifest.files.iter().map(|file| Target {
        object: file.object(),
        path: data.join(&file.path),
        original: None,
    });
    let originals = manifest.originals.iter().map(|file| Target {
        object: file.stored.clone(),
        path: drop.join(&file.place),
        original: Some(file.clone()),
    });
    let targets: Vec<Target> = files.chain(originals).collect();
    let mut folders: Vec<&Path> = targets.iter().filter_map(|target| target.path.parent()).collect();
    folders.sort_unstable();
    folders.dedup();
    folders.into_iter().try_for_each(create_dir_durably)?;
    let restored = |target: &Target| restore_file(repository, target);
    repository.on_threads(|| targets.par_iter().try_for_each(restored))?;
    sync_all(&targets.into_iter().map(|target| target.path).collect::<Vec<_>>())
}

/// Puts a file into its place, whole or not at all. An input file that is there stays as it is: a drop folder may lie outside of the data
/// folder, and have outlived it.
fn restore_file(repository: &Repository, target: &Target) -> Result<()> {
    if target.path.exists()
        && (target.original.is_some() || sha256_hex_of_file(&target.path)? == target.object.content_sha256())
    {
        return Ok(());
    }
    let mut part = target.path.clone().into_os_string();
    part.push(PART);
    let part = PathBuf::from(part);
    let mut file = File::create(&part).at(&part)?;
    match &target.original {
        Some(original) if original.is_packed() => give_unpacked(repository, original, file, &part)?,
        _ => repository.give(&target.object, &mut file, &part)?,
    }
    if let Some(original) = &target.original {
        let time = chrono::DateTime::<chrono::Utc>::from_timestamp_nanos(original.modified_ns);
        let file = File::options().write(true).open(&part).at(&part)?;
        file.set_modified(time.into()).at(&part)?;
    }
    fs::rename(&part, &target.path).at(&part)
}

/// Writes an input file as it was before it was packed.
fn give_unpacked(repository: &Repository, original: &SavedOriginal, file: File, path: &Path) -> Result<()> {
    let (file, digest) = DigestedFile::of(file);
    let mut unpacking = Unpacking {
        to: zstd::stream::write::Decoder::new(file).at(path)?,
        failed: None,
    };
    // Bytes that have changed are told as such, and not as what the decoder says of them.
    repository.give(&original.stored, &mut unpacking, path)?;
    unpacking.end().at(path)?;
    if digest.hex() == original.sha256 {
        return Ok(());
    }
    Err(Error::damaged(
        repository.path(&original.stored.key),
        format!("is not the input file {} when it is unpacked", original.place),
    ))
}

/// Unpacks what is written to it. After an error it takes the rest all the same, so that the digest of all bytes is known.
struct Unpacking<W: Write> {
    to: zstd::stream::write::Decoder<'static, W>,
    failed: Option<io::Error>,
}

impl<W: Write> Write for Unpacking<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.is_none() {
            self.failed = self.to.write_all(bytes).err();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Unpacking<W> {
    fn end(mut self) -> io::Result<()> {
        match self.failed {
            Some(error) => Err(error),
            None => self.to.flush(),
        }
    }
}

/// All rows in one transaction, with the mark by which they are known again.
async fn fill_ledger(repository: &Repository, saved: &Saved, manifest: &Manifest, ledger: &Ledger) -> Result<()> {
    let mut dump = Dump::open(&repository.unchanged(&manifest.ledger.object)?)?;
    let mut tx = ledger.begin().await?;
    let rows = restore_rows(&mut tx, &mut dump, &saved.digest).await?;
    if rows != manifest.ledger.rows {
        return Err(Error::Unbalanced(format!(
            "the dump of the ledger has {rows} rows, and the manifest says {}",
            manifest.ledger.rows
        )));
    }
    // An earlier backup takes them from the newest: what that has not has expired, and what came since is not in the ledger.
    let last = if manifest.quarantine == saved.manifest.quarantine {
        i64::MAX
    } else {
        last_in_quarantine(&mut tx).await?
    };
    for day in &manifest.quarantine {
        restore_payloads(&mut tx, &repository.unchanged(&day.object)?, last).await?;
    }
    ledger.commit(tx, "restore").await
}

/// Puts the bytes of refused lines back, up to a number.
async fn restore_payloads(tx: &mut Tx, path: &Path, last: i64) -> Result<()> {
    for line in payloads::read(path)? {
        let (number, payload) = line?;
        if number <= last {
            restore_payload(tx, number, payload).await?;
        }
    }
    Ok(())
}
