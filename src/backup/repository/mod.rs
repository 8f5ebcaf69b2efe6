//! Backups at their place, a folder or a bucket: its mark, its manifests, and its files.

#[cfg(feature = "objects")]
mod bucket;
mod folder;
mod place;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::encryption::{Identities, Recipients};
use super::location::{BucketLocation, Location};
use super::manifest::{EarlierBackup, Manifest, Object, VERSION};
use super::object_writer::{Made, ObjectWriter, encrypted_key};
use crate::context::Settings;
use crate::pipeline::ingest::trial::ScratchFolder;
use crate::support::error::{AtPath as _, Error, Result};
use crate::values::digest::{Hasher, sha256_hex};
use folder::{Folder, Hold, copied};
use place::Place;

/// Says what the place is.
const MARK: &str = "backup.json";
const MANIFESTS: &str = "manifests";

/// Folders of files that manifests name.
const FOLDERS: [&str; 4] = ["ledger", "quarantine", "files", "originals"];

/// Digits of a digest in a name.
pub const NAME_DIGITS: usize = 16;

/// Backups at their place. A folder is held until this is dropped; who writes a bucket, the lease on its books says.
#[derive(Debug)]
pub struct Repository {
    place: Box<dyn Place>,
    /// The names of the keys to which everything in it is encrypted; none where it is not encrypted.
    encrypted_to: Vec<String>,
    /// Of what is written.
    recipients: Option<Recipients>,
    /// Of what is read.
    secrets: Option<Secrets>,
}

/// What opens encrypted files, and where these are while they are open.
#[derive(Debug)]
struct Secrets {
    identities: Identities,
    opened: ScratchFolder,
    count: AtomicU64,
}

/// A manifest, and the digest of its bytes.
#[derive(Clone, Debug)]
pub struct Saved {
    pub manifest: Manifest,
    pub digest: String,
}

/// What the mark says.
#[derive(serde::Deserialize, serde::Serialize)]
struct Mark {
    format: String,
    version: u32,
    /// Public keys of age to which everything is encrypted; none where it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<String>,
}

impl Repository {
    /// Opens a place for another backup; makes a folder where there is none, and marks an empty place.
    ///
    /// # Errors
    /// [`Error::Usage`] for a place that has something else in it, [`Error::NeedsPerson`] for a bucket that keeps what is deleted and for a
    /// place that is encrypted otherwise, and [`Error::InUse`] while another command has the folder.
    pub fn open_or_make(at: impl Into<Location>, recipients: Option<Recipients>) -> Result<Self> {
        let place: Box<dyn Place> = match at.into() {
            Location::Folder(root) => Box::new(Folder::open_or_make(&root)?),
            Location::Bucket(at) => opened_bucket(&at, true)?,
        };
        let mut repository = Self::of(place);
        let names = recipients.as_ref().map(Recipients::names).unwrap_or_default();
        match repository.mark() {
            Ok(Some(mark)) => {
                repository.refuse_other_layout(&mark)?;
                repository.encrypted_to = mark.recipients;
            }
            Ok(None) => {
                repository.place.refuse_other_files()?;
                repository.add_mark(names)?;
            }
            // A power cut while the place was marked.
            Err(Error::Damaged { .. }) if repository.place.list(MANIFESTS)?.is_empty() => repository.add_mark(names)?,
            Err(error) => return Err(error),
        }
        let repository = repository.encrypting(recipients)?;
        repository.forget_written()?;
        Ok(repository)
    }

    fn of(place: Box<dyn Place>) -> Self {
        Self {
            place,
            encrypted_to: Vec::new(),
            recipients: None,
            secrets: None,
        }
    }

    fn add_mark(&mut self, recipients: Vec<String>) -> Result<()> {
        let mark = Mark {
            format: Manifest::format(),
            version: VERSION,
            recipients,
        };
        let text = serde_json::to_string(&mark)? + "\n";
        self.place.add(MARK, text.as_bytes())?;
        self.encrypted_to = mark.recipients;
        Ok(())
    }

    /// The same place, in which what is written is encrypted to these keys.
    ///
    /// # Errors
    /// [`Error::NeedsPerson`] where what is there is not encrypted, or to other keys: a place is one or the other.
    pub fn encrypting(mut self, recipients: Option<Recipients>) -> Result<Self> {
        let names = recipients.as_ref().map(Recipients::names).unwrap_or_default();
        if names == self.encrypted_to {
            self.recipients = recipients;
            return Ok(self);
        }
        let what = match (self.encrypted_to.is_empty(), names.is_empty()) {
            (true, _) => "is not encrypted, and the settings name recipients (`backup_age_recipients`)".to_owned(),
            (_, true) => format!(
                "is encrypted, and the settings name no recipients: write backup_age_recipients = {:?}, to which it is encrypted",
                self.encrypted_to
            ),
            _ => format!(
                "is encrypted to {}, and the settings name other recipients",
                self.encrypted_to.join(", ")
            ),
        };
        Err(Error::NeedsPerson(format!(
            "what {} has {what}; or back up into a new folder or prefix, and delete this one when you need it no more. Nothing was changed",
            self.name()
        )))
    }

    /// The same place, of which encrypted files can be read with the identity that the settings name, if they name one.
    ///
    /// # Errors
    /// Those of reading the identity.
    pub fn decrypting(mut self, settings: &Settings) -> Result<Self> {
        if self.is_encrypted()
            && let Some(identities) = Identities::of(settings)?
        {
            self.secrets = Some(Secrets {
                identities,
                opened: ScratchFolder::make()?,
                count: AtomicU64::new(0),
            });
        }
        Ok(self)
    }

    /// Whether what is there is encrypted.
    pub fn is_encrypted(&self) -> bool {
        !self.encrypted_to.is_empty()
    }

    /// Whether what is there can be read.
    pub fn is_readable(&self) -> bool {
        !self.is_encrypted() || self.secrets.is_some()
    }

    /// Refuses encrypted backups without an identity.
    ///
    /// # Errors
    /// [`Error::Usage`] then.
    pub fn refuse_unreadable(&self) -> Result<()> {
        if self.is_readable() {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "the backups in {} are encrypted: name the file of the identity that opens them (`--identity FILE`, or the setting \
             `backup_age_identity_file`). Nothing was changed",
            self.name()
        )))
    }

    /// Opens a place that has backups to change it.
    ///
    /// # Errors
    /// Those of [`Self::open_or_make`], and [`Error::Usage`] for a place that has no backups.
    pub fn open(at: impl Into<Location>) -> Result<Self> {
        Self::open_marked(at.into(), Hold::Alone)
    }

    /// Opens a place that has backups to read its files: none is removed from a folder meanwhile, and others may read, too.
    ///
    /// # Errors
    /// [`Error::Usage`] for a place that has no backups, and [`Error::InUse`] while another command changes the folder. Where nobody may
    /// write, nobody is kept out.
    pub fn open_to_read(at: impl Into<Location>) -> Result<Self> {
        Self::open_marked(at.into(), Hold::Shared)
    }

    /// Opens a place that has backups to read its manifests: each is there whole or not at all, also while it is changed.
    ///
    /// # Errors
    /// [`Error::Usage`] for a place that has no backups.
    pub fn open_to_list(at: impl Into<Location>) -> Result<Self> {
        Self::open_marked(at.into(), Hold::Not)
    }

    fn open_marked(at: Location, hold: Hold) -> Result<Self> {
        let place: Box<dyn Place> = match at {
            Location::Folder(root) => Box::new(Folder::open(&root, hold)?),
            Location::Bucket(at) => opened_bucket(&at, hold == Hold::Alone)?,
        };
        let mut repository = Self::of(place);
        let mark = repository.mark()?;
        let mark = mark.ok_or_else(|| no_backups(&repository.name(), &repository.name()))?;
        repository.refuse_other_layout(&mark)?;
        repository.encrypted_to = mark.recipients;
        Ok(repository)
    }

    /// What the place says of itself; none where it says nothing.
    fn mark(&self) -> Result<Option<Mark>> {
        let Some(text) = self.text(MARK)? else { return Ok(None) };
        let mark = serde_json::from_slice(&text);
        let damaged = |error| {
            Error::damaged(
                self.place.path(MARK),
                format!("does not say what the place is: {error}"),
            )
        };
        mark.map(Some).map_err(damaged)
    }

    /// A place whose layout is of another version of the program.
    fn refuse_other_layout(&self, mark: &Mark) -> Result<()> {
        let Mark { format, version, .. } = mark;
        if *format != Manifest::format() {
            return Err(Error::damaged(self.place.path(MARK), "is no mark of backups"));
        }
        if *version == VERSION {
            return Ok(());
        }
        let cure = if *version < VERSION {
            "it is from before the first release of backups; back up into a new folder or prefix, and then delete this one"
        } else {
            "install the program that wrote it, or back up into a new folder or prefix"
        };
        Err(Error::NeedsPerson(format!(
            "{} has backups of format {version}, and this program has format {VERSION}: {cure}",
            self.name()
        )))
    }

    /// The name of the place for people.
    pub fn name(&self) -> String {
        self.place.name()
    }

    /// A file's name for people.
    pub fn path(&self, key: &str) -> PathBuf {
        self.place.path(key)
    }

    /// Does work of many small pieces on as many threads as the place deserves.
    pub fn on_threads<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match self.place.threads() {
            // They wait for answers, which other threads of the runtime bring.
            Some(threads) => tokio::task::block_in_place(|| threads.install(work)),
            None => work(),
        }
    }

    /// Every manifest, the oldest first; in the place of one that has changed, the error that says so.
    ///
    /// # Errors
    /// [`Error::NeedsPerson`] where there are two of one number.
    pub fn manifests(&self) -> Result<Vec<Result<Saved>>> {
        let mut read = Vec::new();
        for key in self.manifest_keys()? {
            // A backup may have removed it since they were listed.
            read.extend(self.manifest(&key).transpose());
        }
        Ok(read)
    }

    /// The manifest of the newest backup; none before the first.
    ///
    /// # Errors
    /// Those of [`Self::manifests`], and [`Error::Damaged`] where it has changed.
    pub fn newest(&self) -> Result<Option<Saved>> {
        match self.manifest_keys()?.last() {
            Some(key) => self.manifest(key),
            None => Ok(None),
        }
    }

    /// The manifest of an earlier backup, whatever a listing says; none where it was removed.
    ///
    /// # Errors
    /// [`Error::Damaged`] where it has changed.
    pub fn manifest_of(&self, earlier: &EarlierBackup) -> Result<Option<Saved>> {
        self.manifest(&manifest_key(earlier.number, &earlier.digest))
    }

    /// Says so when another backup was made since this one was read: what is missing now was replaced by it.
    ///
    /// # Errors
    /// [`Error::InUse`] then.
    pub fn refuse_replaced(&self, saved: Option<&Saved>) -> Result<()> {
        let newest = self.newest()?;
        if newest.as_ref().map(|newest| &newest.digest) == saved.map(|saved| &saved.digest) {
            return Ok(());
        }
        Err(Error::InUse(format!(
            "another backup was made in {} meanwhile: run the same command again",
            self.name()
        )))
    }

    /// From the newest backup back to the first that is whole, both with it. One whose manifest has changed ends the search.
    pub fn newest_to_a_whole_one(&self) -> Result<Vec<Saved>> {
        let mut newest = Vec::new();
        for key in self.manifest_keys()?.iter().rev() {
            let saved = match self.manifest(key) {
                Err(Error::Damaged { .. }) if !newest.is_empty() => break,
                read => read?,
            };
            let Some(saved) = saved else { continue };
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
        let mut keys = self.manifest_keys()?;
        keys.truncate(keys.len().saturating_sub(keep));
        // A place with threads would remove them in any order, and a kill would leave a gap between two.
        for key in &keys {
            self.place.remove(std::slice::from_ref(key))?;
        }
        Ok(keys.len())
    }

    /// The keys of all manifests, the oldest first.
    fn manifest_keys(&self) -> Result<Vec<String>> {
        let mut keys = self.place.list(MANIFESTS)?;
        keys.retain(|key| Path::new(key).extension().is_some_and(|extension| extension == "json"));
        keys.sort_unstable();
        let number = |key: &str| key.split_once('-').map(|(number, _)| number.to_owned());
        match keys.windows(2).find(|two| number(&two[0]) == number(&two[1])) {
            Some(two) => Err(Error::NeedsPerson(format!(
                "{} has two backups of one number, {} and {}: two programs that do not know of each other have written there. Find out \
                 which books are in use, delete the manifest of the other, and back up again; give each set of books a place of its \
                 own. Nothing was changed",
                self.name(),
                two[0],
                two[1]
            ))),
            None => Ok(keys),
        }
    }

    /// Adds a manifest: from then on, its backup is the newest. All that it names was synced.
    pub fn add_manifest(&self, manifest: &Manifest) -> Result<()> {
        let key = manifest_key(manifest.number, &manifest.digest());
        self.place.add(&key, manifest.to_text().as_bytes())
    }

    /// Reads a manifest; none where it is gone. Its name has the beginning of its digest, as no other manifest names the newest.
    fn manifest(&self, key: &str) -> Result<Option<Saved>> {
        let Some(bytes) = self.text(key)? else { return Ok(None) };
        let path = self.place.path(key);
        let digest = sha256_hex(&bytes);
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let named = name.split_once('-').map(|(_, digits)| digits);
        if named.is_none_or(|named| named.len() != NAME_DIGITS || !digest.starts_with(named)) {
            return Err(Error::damaged(path, "the manifest has changed since it was written"));
        }
        let manifest = Manifest::from_bytes(&bytes, &path)?;
        Ok(Some(Saved { manifest, digest }))
    }

    /// The bytes of a small file; none where there is no such file.
    fn text(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let mut text = Vec::new();
        let is_there = self.place.read(key, &mut |bytes| {
            text.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(is_there.then_some(text))
    }

    /// Whether a file that the newest manifest names is there and as long as it was.
    pub fn has(&self, object: &Object) -> Result<bool> {
        self.place.has(object)
    }

    /// A file that no manifest names, if it is what is wanted: one of a backup that came to no end. `content_sha256`: of what it is when
    /// it is not encrypted. That of one that is encrypted is in its key: it was written whole, or is not there.
    pub fn left(&self, key: &str, content_sha256: &str) -> Result<Option<Object>> {
        let encrypted = self.is_encrypted().then(|| encrypted_key(key, content_sha256));
        let stored = encrypted.as_deref().unwrap_or(key);
        let left = self.place.left(stored)?;
        let object = left.map(|(bytes, sha256)| Object {
            key: stored.to_owned(),
            bytes,
            sha256,
            plain_sha256: self.is_encrypted().then(|| content_sha256.to_owned()),
        });
        Ok(object.filter(|object| object.content_sha256() == content_sha256))
    }

    /// Removes what was written and not kept: it may be what the books do not keep any longer.
    pub fn forget_written(&self) -> Result<()> {
        self.place.forget_written()
    }

    /// Says that no other command makes files where this one does: what lies there goes at the end.
    pub fn own_new_files(&self) {
        self.place.own_new_files();
    }

    /// Begins a new file on this machine.
    pub fn create(&self) -> Result<ObjectWriter> {
        ObjectWriter::create(&self.place.new_path(), self.recipients.as_ref())
    }

    /// Reads a file of the books, and says its digest.
    pub fn take(&self, source: &Path, key: &str) -> Result<Made> {
        if self.recipients.is_none() {
            return self.place.take(source, key);
        }
        let file = File::open(source).at(source)?;
        copied(file, source, self.create()?, key)
    }

    /// Gives a file its key. [`Self::sync`] makes that permanent.
    pub fn keep(&self, made: &Path, object: &Object) -> Result<()> {
        self.place.keep(made, object)
    }

    /// Makes the names of files permanent.
    pub fn sync(&self, keys: impl Iterator<Item = String>) -> Result<()> {
        self.place.sync(&keys.collect::<Vec<_>>())
    }

    /// The keys of all files that a manifest could name.
    pub fn keys(&self) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        for folder in FOLDERS {
            keys.extend(self.place.list(folder)?);
        }
        Ok(keys)
    }

    /// Removes files.
    pub fn remove(&self, keys: &[String]) -> Result<()> {
        self.place.remove(keys)
    }

    /// The SHA-256 of a file's bytes; none where there is no such file.
    pub fn digest_of(&self, key: &str) -> Result<Option<String>> {
        let mut digest = Hasher::default();
        let is_there = self.place.read(key, &mut |bytes| {
            digest.update(bytes);
            Ok(())
        })?;
        Ok(is_there.then(|| digest.hex()))
    }

    /// Writes what a file has to a place, whose path is `path`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not as it was when it was backed up, and [`Error::Usage`] when it cannot be decrypted.
    pub fn give(&self, object: &Object, to: &mut dyn Write, path: &Path) -> Result<()> {
        if object.plain_sha256.is_none() {
            return give(&*self.place, object, to, path);
        }
        let encrypted = self.place.unchanged(object)?;
        let given = self.secrets()?.identities.decrypt(object, &encrypted, (to, path));
        self.place.done_with(&encrypted)?;
        given
    }

    fn secrets(&self) -> Result<&Secrets> {
        self.refuse_unreadable()?;
        let missing = || Error::damaged(self.place.path(MARK), "does not say that what is there is encrypted");
        self.secrets.as_ref().ok_or_else(missing)
    }

    /// A path on this machine where what a file has can be read, which is as it was when it was backed up. Others than that of a file
    /// which is not encrypted go with this value.
    ///
    /// # Errors
    /// Those of [`Self::give`].
    pub fn unchanged(&self, object: &Object) -> Result<PathBuf> {
        if object.plain_sha256.is_none() {
            return self.place.unchanged(object);
        }
        let Secrets { opened, count, .. } = self.secrets()?;
        let path = opened.path().join(count.fetch_add(1, Ordering::Relaxed).to_string());
        let mut file = File::create_new(&path).at(&path)?;
        self.give(object, &mut file, &path)?;
        Ok(path)
    }
}

/// The key of a manifest. `digest`: of its bytes, or the beginning of that.
fn manifest_key(number: u64, digest: &str) -> String {
    let beginning = digest.get(..NAME_DIGITS).unwrap_or(digest);
    format!("{MANIFESTS}/{number:08}-{beginning}.json")
}

fn give(place: &dyn Place, object: &Object, to: &mut dyn Write, path: &Path) -> Result<()> {
    let mut digest = Hasher::default();
    let is_there = place.read(&object.key, &mut |bytes| {
        digest.update(bytes);
        to.write_all(bytes).at(path)
    })?;
    if !is_there {
        return Err(missing(place, object));
    }
    let digest = digest.hex();
    if digest == object.sha256 {
        return Ok(());
    }
    Err(changed(place, &digest, object))
}

/// A file of a backup is not there.
fn missing(place: &dyn Place, object: &Object) -> Error {
    Error::damaged(
        place.path(&object.key),
        "is missing in the backup: restore from another copy, or back up again where the books are still there",
    )
}

/// A file of a backup is not what it was.
fn changed(place: &dyn Place, digest: &str, object: &Object) -> Error {
    Error::damaged(
        place.path(&object.key),
        format!(
            "has changed since it was backed up: its SHA-256 is {digest}, recorded is {}. Restore from another copy, or back up again \
             where the books are still there",
            object.sha256
        ),
    )
}

/// There are no backups. `to`: what makes the first one.
fn no_backups(name: &str, to: &str) -> Error {
    Error::Usage(format!(
        "{name} has no backups of tallybook: check the name, and whether its disk is mounted; `tallybook backup {to}` makes the first one"
    ))
}

#[cfg(feature = "objects")]
fn opened_bucket(at: &BucketLocation, is_written: bool) -> Result<Box<dyn Place>> {
    Ok(Box::new(bucket::BucketPlace::open(at, is_written)?))
}

#[cfg(not(feature = "objects"))]
fn opened_bucket(at: &BucketLocation, _is_written: bool) -> Result<Box<dyn Place>> {
    Err(Error::NeedsPerson(format!(
        "{}: this program was built without objects; build it with --features objects",
        at.name()
    )))
}
