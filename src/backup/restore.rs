//! From a backup to books in an empty folder, with a ledger of any engine.
//!
//! ```text
//! restore.json     says that the folder is being filled: no other command opens it
//! files            each held against its digest
//! ledger           tables of the dump's version, its rows in one transaction, then brought up to this program's
//! restore.json     goes: the books are there
//! ```
//!
//! Killed anywhere and run again, it goes on: files that are there are held against their digests, and the ledger's rows are put in the
//! place of those that came before.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::check::no_backup;
use super::create::SCRATCH;
use super::location::Location;
use super::manifest::{Manifest, Object, SavedOriginal};
use super::payloads;
use super::repository::{Repository, Saved};
use crate::context::Settings;
use crate::context::restore_guard::RESTORE_MARK;
use crate::pipeline::ingest::quarantine::store::restore_payload;
use crate::storage::durable_files::{DataDir, DigestedFile, create_dir_durably, sync_all, sync_dir, write_durably};
use crate::storage::ledger::dump::{Dump, end_restore, restore_rows};
use crate::storage::ledger::{Found, Ledger, Tx, highest_intake};
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
}

/// Restores the newest backup of a folder or a bucket into a data folder; `url` none means the embedded ledger in it.
///
/// # Errors
/// [`Error::Usage`] when the data folder or the ledger has something already, [`Error::Damaged`] when a file of the backup is not what it
/// was.
pub async fn restore(from: &Path, folder: &Path, url: Option<&str>, settings: &Settings) -> Result<Restored> {
    let data = DataDir::at(folder);
    let at = Location::of(from, settings)?.working_in(data.join(SCRATCH));
    let repository = Repository::open_to_read(at)?;
    let saved = repository.newest()?.ok_or_else(|| no_backup(&repository))?;
    begin(&data, &saved)?;
    repository.own_new_files();
    let embedded = Ledger::embedded_url(folder);
    let schema = saved.manifest.ledger.schema;
    let opened =
        Ledger::open_for_restore(url.unwrap_or(&embedded), settings.ledger_wait_s, schema, &saved.digest).await;
    let (ledger, found) = opened?;
    if found == Found::Restored {
        refuse_gone_on(&saved.manifest, &ledger).await?;
    }
    let mut filled = tokio::task::block_in_place(|| restore_files(&repository, &saved.manifest, &data, settings));
    if filled.is_ok() && found == Found::Empty {
        filled = fill_ledger(&repository, &saved, &ledger).await;
    }
    if let Err(error) = filled {
        ledger.close().await;
        // What is missing may be what a newer backup replaced: nobody was kept out of a bucket.
        let replaced = repository.refuse_replaced(Some(&saved));
        return match replaced {
            Err(replaced @ Error::InUse(_)) => Err(replaced),
            _ => Err(error),
        };
    }
    drop(repository);
    let ledger = ledger.brought_up().await?;
    let mark = data.join(RESTORE_MARK);
    fs::remove_file(&mark).at(&mark)?;
    failpoint::file("removed", &mark);
    sync_dir(data.root())?;
    if let Err(error) = end_restore(&ledger).await {
        tracing::warn!(%error, "the restore is complete; its mark in the ledger may stay, which does no harm");
    }
    let engine = ledger.engine().name();
    ledger.close().await;
    let objects = saved.manifest.objects();
    Ok(Restored {
        number: saved.manifest.number,
        taken_at: saved.manifest.taken_at.clone(),
        folder: folder.display().to_string(),
        engine,
        files: objects.len(),
        bytes: objects.iter().map(|object| object.bytes).sum(),
        ledger_rows: saved.manifest.ledger.rows,
        missing: saved.manifest.missing_sentences(),
        damaged: saved.manifest.damaged,
    })
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
fn begin(data: &DataDir, saved: &Saved) -> Result<()> {
    let mark = data.join(RESTORE_MARK);
    let text = format!("{{\"manifest\":\"{}\"}}\n", saved.digest);
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
    if target.path.exists() && (target.original.is_some() || sha256_hex_of_file(&target.path)? == target.object.sha256)
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
async fn fill_ledger(repository: &Repository, saved: &Saved, ledger: &Ledger) -> Result<()> {
    let manifest = &saved.manifest;
    let mut dump = Dump::open(&repository.unchanged(&manifest.ledger.object)?)?;
    let mut tx = ledger.begin().await?;
    let rows = restore_rows(&mut tx, &mut dump, &saved.digest).await?;
    if rows != manifest.ledger.rows {
        return Err(Error::Unbalanced(format!(
            "the dump of the ledger has {rows} rows, and the manifest says {}",
            manifest.ledger.rows
        )));
    }
    for day in &manifest.quarantine {
        restore_payloads(&mut tx, &repository.unchanged(&day.object)?).await?;
    }
    ledger.commit(tx, "restore").await
}

async fn restore_payloads(tx: &mut Tx, path: &Path) -> Result<()> {
    for line in payloads::read(path)? {
        let (number, payload) = line?;
        restore_payload(tx, number, payload).await?;
    }
    Ok(())
}
