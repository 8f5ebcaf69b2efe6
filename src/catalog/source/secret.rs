//! Secrets of sources: a definition says where one is, and never what it is.

use std::fmt;
use std::path::PathBuf;

use crate::support::error::{Error, Result};

/// What some editors write before all text. It is no part of a secret.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A password or key. It is never shown, logged or stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one call that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretPlace {
    /// The text of a file, without white space at its end and without a byte order mark.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

impl SecretPlace {
    /// The place that a pair of keys names: `NAME_file` or `NAME_env`, at most one of them.
    ///
    /// # Errors
    /// A sentence where both are there.
    pub fn of(name: &str, file: Option<&PathBuf>, env: Option<&String>) -> std::result::Result<Option<Self>, String> {
        match (file, env) {
            (Some(_), Some(_)) => Err(format!(
                "`{name}_file` and `{name}_env` both say where it is; remove one of them"
            )),
            (Some(file), None) => Ok(Some(Self::File(file.clone()))),
            (None, Some(env)) => Ok(Some(Self::Env(env.clone()))),
            (None, None) => Ok(None),
        }
    }

    /// Reads the secret.
    ///
    /// # Errors
    /// Where the file or the variable is not there, or is empty; the message names the place.
    pub fn read(&self) -> Result<Secret> {
        let text = match self {
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| Error::Usage(format!("{self}, which should hold a secret, cannot be read: {error}")))?
                .trim_end()
                .to_owned(),
            Self::Env(name) => std::env::var(name).map_err(|_| {
                Error::Usage(format!(
                    "the environment variable {name}, which should hold a secret, is not set"
                ))
            })?,
        };
        let text = text.trim_start_matches(BYTE_ORDER_MARK);
        if text.is_empty() {
            return Err(Error::Usage(format!("{self} is empty; a secret is expected there")));
        }
        Ok(Secret(text.to_owned()))
    }

    /// Reads several secrets, one on each line.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_lines(&self) -> Result<Vec<Secret>> {
        let all = self.read()?;
        let lines = all.reveal().lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(lines.map(Secret::new).collect())
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Env(name) => write!(f, "the environment variable {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_and_white_space_at_the_end_are_no_part_of_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let place = SecretPlace::File(path.clone());
        for (text, keys) in [
            ("\u{feff}first\r\nsecond \r\n\r\n", &["first", "second"][..]),
            ("first\n", &["first"]),
        ] {
            std::fs::write(&path, text).unwrap();
            let read = place.read_lines().unwrap();
            let read: Vec<&str> = read.iter().map(Secret::reveal).collect();
            assert_eq!(read, keys);
        }
        std::fs::write(&path, "\u{feff} pass word\r\n").unwrap();
        assert_eq!(place.read().unwrap().reveal(), " pass word");
        std::fs::write(&path, "\u{feff}\r\n").unwrap();
        assert!(place.read().unwrap_err().to_string().contains("is empty"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_as_the_place_of_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let error = SecretPlace::File(path.clone()).read().unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error:?}");
        let told = format!(
            "the file {}, which should hold a secret, cannot be read: ",
            path.display()
        );
        assert!(error.to_string().starts_with(&told), "{error}");
    }
}
