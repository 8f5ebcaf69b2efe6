//! Encryption of backups with age (<https://age-encryption.org/v1>), to public keys: the machine that backs up cannot read what it wrote.
//!
//! Each file of a backup is an age file of its own. The mark and the manifests are not encrypted: a backup reads them to know what is there,
//! and so do `list`, `prune` and a `verify` without a secret key.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read as _, Write};
use std::path::Path;

use age::x25519;

use super::manifest::Object;
use crate::context::Settings;
use crate::storage::durable_files::DigestedFile;
use crate::support::error::{AtPath as _, Error, Result};
use crate::values::digest::Hasher;

/// A writer that encrypts. It must be finished.
pub type Encrypting = age::stream::StreamWriter<DigestedFile>;

/// Bytes that are read at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// Public keys, to which everything is encrypted.
#[derive(Clone, Debug)]
pub struct Recipients(Vec<x25519::Recipient>);

impl Recipients {
    /// Those that the settings name; none where nothing is to be encrypted.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no public key.
    pub fn of(settings: &Settings) -> Result<Option<Self>> {
        let keys = settings.backup_age_recipients.iter().map(|text| recipient(text));
        let keys: Vec<x25519::Recipient> = keys.collect::<Result<_>>()?;
        Ok((!keys.is_empty()).then_some(Self(keys)))
    }

    /// As they are written, in their order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Encrypts what goes to a file.
    pub fn encrypting(&self, file: DigestedFile, path: &Path) -> Result<Encrypting> {
        let keys = self.0.iter().map(|key| key as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(keys).map_err(std::io::Error::other);
        encryptor.at(path)?.wrap_output(file).at(path)
    }
}

fn recipient(text: &str) -> Result<x25519::Recipient> {
    if text.to_ascii_uppercase().contains("AGE-SECRET-KEY") {
        return Err(Error::Usage(
            "backup_age_recipients has a secret key: write the public key that belongs to it (age1..., as `age-keygen -y` prints it), and \
             keep the secret key elsewhere"
                .to_owned(),
        ));
    }
    let no_key = |why: &str| {
        Error::Usage(format!(
            "backup_age_recipients has {}, which is no public key of age ({why}): it begins with age1, as `age-keygen` prints it",
            crate::support::quote::quoted(text)
        ))
    };
    text.parse().map_err(no_key)
}

/// Secret keys.
pub struct Identities(Vec<x25519::Identity>);

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.0.len())
    }
}

impl Identities {
    /// Those of the file that the settings name; none where they name none.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn of(settings: &Settings) -> Result<Option<Self>> {
        settings.backup_age_identity_file.as_deref().map(Self::read).transpose()
    }

    /// Reads a file as `age-keygen` writes it: a secret key on each line, and lines that begin with `#`. One that everybody can read is told.
    ///
    /// # Errors
    /// [`Error::Usage`] for a line that is no secret key: it is not shown.
    pub fn read(path: &Path) -> Result<Self> {
        warn_of_readers(path)?;
        let text = std::fs::read_to_string(path).at(path)?;
        let lines = text.lines().map(str::trim).enumerate();
        let mut keys = Vec::new();
        for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let key = line.parse().map_err(|_: &str| {
                Error::Usage(format!(
                    "{}, line {}: is no secret key of age (AGE-SECRET-KEY-1...); keys with a passphrase or of a plugin are not taken",
                    path.display(),
                    at + 1
                ))
            })?;
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(Error::Usage(format!("{} has no secret key of age", path.display())));
        }
        Ok(Self(keys))
    }

    /// Writes what a file was before it was encrypted. `object`: which file it is, with the digest that this has.
    ///
    /// # Errors
    /// [`Error::Usage`] when it was encrypted to other keys, and [`Error::Damaged`] when it is not what was encrypted.
    pub fn decrypt(&self, object: &Object, from: &Path, (to, path): (&mut dyn Write, &Path)) -> Result<()> {
        let keys = self.0.iter().map(|key| key as &dyn age::Identity);
        let file = BufReader::new(File::open(from).at(from)?);
        let told = |error| undecrypted(error, from);
        let mut plain = age::Decryptor::new_buffered(file)
            .and_then(|decryptor| decryptor.decrypt(keys))
            .map_err(told)?;
        let mut digest = Hasher::default();
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            let read = plain
                .read(&mut block)
                .map_err(|error| Error::damaged(from, format!("cannot be decrypted: {error}")))?;
            if read == 0 {
                break;
            }
            digest.update(&block[..read]);
            to.write_all(&block[..read]).at(path)?;
        }
        let digest = digest.hex();
        match &object.plain_sha256 {
            Some(recorded) if *recorded != digest => Err(Error::damaged(
                from,
                format!("is not what was backed up: decrypted, its SHA-256 is {digest}, recorded is {recorded}"),
            )),
            _ => Ok(()),
        }
    }
}

fn undecrypted(error: age::DecryptError, from: &Path) -> Error {
    match error {
        age::DecryptError::NoMatchingKeys => Error::Usage(format!(
            "{} was encrypted to other keys: name the file of an identity that belongs to one of its recipients (`--identity FILE`)",
            from.display()
        )),
        age::DecryptError::Io(source) => Error::Io {
            path: from.to_owned(),
            source,
        },
        other => Error::damaged(from, format!("cannot be decrypted: {other}")),
    }
}

#[cfg(unix)]
fn warn_of_readers(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).at(path)?.permissions().mode();
    if mode & 0o004 != 0 {
        tracing::warn!(
            "everybody on this machine can read {}, which has a secret key: chmod 600 {0}",
            path.display()
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn warn_of_readers(_path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(recipients: &[&str]) -> Settings {
        Settings {
            backup_age_recipients: recipients.iter().map(|text| (*text).to_owned()).collect(),
            ..Settings::default()
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_no_secret_is_shown() {
        assert!(Recipients::of(&settings(&[])).unwrap().is_none());
        let secret = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
        let (small, named) = (secret.to_ascii_lowercase(), format!(" identity={secret}"));
        for (text, words) in [
            (secret, "has a secret key"),
            (&small, "has a secret key"),
            (&named, "has a secret key"),
            ("age1nothing", "no public key"),
            ("ssh-ed25519 AAAA", "no public key"),
        ] {
            let refused = Recipients::of(&settings(&[text])).unwrap_err().to_string();
            let shown = refused.to_ascii_uppercase();
            assert!(refused.contains(words) && !shown.contains(secret), "{refused}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, format!("# created\n{secret}x\n")).unwrap();
        let refused = Identities::read(&file).unwrap_err().to_string();
        assert!(
            refused.contains("line 2") && !refused.contains("SECRET-KEY-1GQ"),
            "{refused}"
        );
        std::fs::write(&file, format!("# created\n\n{secret}\n")).unwrap();
        let read = Identities::read(&file).unwrap();
        assert_eq!(format!("{read:?}"), "Identities(1)");
        std::fs::write(&file, "# nothing\n").unwrap();
        let refused = Identities::read(&file).unwrap_err().to_string();
        assert!(refused.contains("has no secret key"), "{refused}");
    }
}
