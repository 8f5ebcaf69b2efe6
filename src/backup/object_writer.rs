//! A file of a backup while it is written: digested, and encrypted where the place has encrypted backups.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::encryption::{Encrypting, Recipients};
use super::manifest::Object;
use super::repository::NAME_DIGITS;
use crate::storage::durable_files::{DigestedFile, WrittenDigest};
use crate::support::error::{AtPath as _, Result};
use crate::values::digest::Hasher;

/// A file that is being written, on this machine.
pub struct ObjectWriter {
    path: PathBuf,
    out: Out,
    stored: WrittenDigest,
}

enum Out {
    Plain(DigestedFile),
    /// With the digest of what goes in. Boxed: it has buffers.
    Encrypted(Box<Encrypting>, Hasher),
}

/// A file that was made, and what it is to be in the place.
#[derive(Debug)]
pub struct Made {
    pub path: PathBuf,
    pub object: Object,
}

impl ObjectWriter {
    /// Makes a file that must not be there yet.
    pub fn create(path: &Path, recipients: Option<&Recipients>) -> Result<Self> {
        let (file, stored) = DigestedFile::create_new(path)?;
        let out = match recipients {
            Some(recipients) => Out::Encrypted(Box::new(recipients.encrypting(file, path)?), Hasher::default()),
            None => Out::Plain(file),
        };
        Ok(Self {
            path: path.to_owned(),
            out,
            stored,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the file, which is not synced yet. `key`: its key by the digest of what was written; an encrypted one is longer.
    pub fn finish(self, key: impl FnOnce(&str) -> String) -> Result<Made> {
        let Self { path, out, stored } = self;
        let plain_sha256 = match out {
            Out::Plain(mut file) => {
                file.flush().at(&path)?;
                None
            }
            Out::Encrypted(out, plain) => {
                out.finish().and_then(|mut file| file.flush()).at(&path)?;
                Some(plain.hex())
            }
        };
        let sha256 = stored.hex();
        let key = key(plain_sha256.as_ref().unwrap_or(&sha256));
        let object = Object {
            key: plain_sha256
                .as_ref()
                .map_or_else(|| key.clone(), |plain| encrypted_key(&key, plain)),
            bytes: std::fs::metadata(&path).at(&path)?.len(),
            sha256,
            plain_sha256,
        };
        Ok(Made { path, object })
    }
}

/// The key of an encrypted file. It has the beginning of the digest of what was encrypted, so that what an interrupted backup left is
/// known again: the same bytes are other ones each time that they are encrypted.
pub fn encrypted_key(key: &str, plain_sha256: &str) -> String {
    format!("{key}.{}.age", &plain_sha256[..NAME_DIGITS])
}

/// The key that an encrypted file would have if it were not.
pub fn plain_key(key: &str) -> &str {
    let plain = key.strip_suffix(".age").and_then(|key| key.rsplit_once('.'));
    plain.map_or(key, |(key, _)| key)
}

impl Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.out {
            Out::Plain(file) => file.write(bytes),
            Out::Encrypted(out, plain) => {
                let written = out.write(bytes)?;
                plain.update(&bytes[..written]);
                Ok(written)
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.out {
            Out::Plain(file) => file.flush(),
            Out::Encrypted(out, _) => out.flush(),
        }
    }
}
