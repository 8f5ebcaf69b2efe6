//! Where backups are, as people name it: a folder, or a bucket and a prefix in it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::catalog::source::kinds::objects::Bucket;
use crate::context::Settings;
use crate::storage::objects::Cloud;
use crate::support::error::{Error, Result};
use crate::support::quote::quoted;

/// What the table of settings is called that says how the bucket of backups is reached.
pub const BUCKET_SETTINGS: &str = "backup_bucket";

/// Keys of a source's definition that a backup's address says, or that make no sense for one.
const NOT_SETTINGS: [&str; 3] = ["bucket", "prefix", "poll_s"];

/// A folder or a bucket.
#[derive(Clone, Debug)]
pub enum Location {
    Folder(PathBuf),
    Bucket(Box<BucketLocation>),
}

/// A part of a bucket.
#[derive(Clone, Debug)]
pub struct BucketLocation {
    pub cloud: Cloud,
    /// Its prefix has no slash at its end.
    pub bucket: Bucket,
    /// Folder of this machine for what is made before it goes over, or was read; none: one among the system's temporary files.
    pub scratch: Option<PathBuf>,
}

impl From<&Path> for Location {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl From<&PathBuf> for Location {
    fn from(folder: &PathBuf) -> Self {
        Self::Folder(folder.clone())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Bucket(at) => f.write_str(&at.name()),
        }
    }
}

impl BucketLocation {
    /// Such as `s3://bucket/prefix`.
    pub fn name(&self) -> String {
        let (scheme, Bucket { bucket, prefix, .. }) = (self.cloud.scheme(), &self.bucket);
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("{scheme}://{bucket}{slash}{prefix}")
    }
}

impl Location {
    /// What somebody named: a folder, `s3://BUCKET/PREFIX` or `cos://BUCKET/PREFIX`. How a bucket is reached, the settings say.
    ///
    /// # Errors
    /// [`Error::Usage`] for an address that is none, and for settings that do not suffice.
    pub fn of(named: &Path, settings: &Settings) -> Result<Self> {
        let address = named.to_str().and_then(|text| text.split_once("://"));
        let Some((scheme, rest)) = address else {
            return Ok(Self::Folder(named.to_owned()));
        };
        let cloud = match scheme {
            "s3" => Cloud::S3,
            "cos" => Cloud::Cos,
            other => {
                return Err(Error::Usage(format!(
                    "{}:// is no place of backups: name a folder, s3://BUCKET/PREFIX or cos://BUCKET/PREFIX",
                    quoted(other)
                )));
            }
        };
        let (name, prefix) = split(rest)?;
        let bucket = bucket_of(cloud, name, prefix, settings.backup_bucket.as_ref())?;
        Ok(Self::Bucket(Box::new(BucketLocation {
            cloud,
            bucket,
            scratch: None,
        })))
    }

    /// The same, with a folder for what is made before it goes over or was read.
    #[must_use]
    pub fn working_in(mut self, scratch: PathBuf) -> Self {
        if let Self::Bucket(at) = &mut self {
            at.scratch = Some(scratch);
        }
        self
    }

    pub fn is_bucket(&self) -> bool {
        matches!(self, Self::Bucket(_))
    }
}

/// The bucket's name and the prefix. What may have a key in it is not shown.
fn split(rest: &str) -> Result<(&str, &str)> {
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if name.contains(['@', ':', '?']) || prefix.contains(['?', '#']) {
        return Err(Error::Usage(format!(
            "a bucket of backups is named as s3://BUCKET/PREFIX or cos://BUCKET/PREFIX, and nothing else: keys, endpoint and region \
             stand in the settings, under [{BUCKET_SETTINGS}]"
        )));
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let is_odd = |part: &str| part.is_empty() || part == "." || part == "..";
    if !prefix.is_empty() && prefix.split('/').any(is_odd) {
        return Err(Error::Usage(format!(
            "{} is no prefix for backups: write names with one slash between them, such as tallybook/books",
            quoted(prefix)
        )));
    }
    Ok((name, prefix))
}

fn bucket_of(cloud: Cloud, name: &str, prefix: &str, settings: Option<&toml::Table>) -> Result<Bucket> {
    let Some(table) = settings else {
        return Err(Error::Usage(format!(
            "the settings say nothing of the bucket: write a table [{BUCKET_SETTINGS}] with `bucket_region`, and `secret_id_file` and \
             `secret_key_file` (or `secret_id_env` and `secret_key_env`), which say where its keys are"
        )));
    };
    let bad = |what: String| Error::Usage(format!("settings, [{BUCKET_SETTINGS}]: {what}"));
    if let Some(key) = NOT_SETTINGS.iter().find(|key| table.contains_key(**key)) {
        return Err(bad(format!(
            "`{key}` has no place here; the bucket and its prefix are named as s3://BUCKET/PREFIX"
        )));
    }
    let mut table = table.clone();
    table.insert("bucket".to_owned(), name.into());
    table.insert("prefix".to_owned(), prefix.into());
    let bucket: Bucket = table
        .try_into()
        .map_err(|error: toml::de::Error| bad(mistake(&error)))?;
    bucket.check(cloud).map_err(bad)?;
    Ok(bucket)
}

/// What is wrong with a table, without values: one may be a secret.
fn mistake(error: &toml::de::Error) -> String {
    let what = error.message();
    if what.starts_with("invalid") {
        return "a value is not of its kind: texts stand in quotes, and `path_style` is true or false".to_owned();
    }
    what.replace("`bucket`, ", "")
        .replace("`prefix`, ", "")
        .replace("`poll_s`, ", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "bucket_region = \"ap-guangzhou\"\nsecret_id_file = \"/id\"\nsecret_key_env = \"KEY\"\n";

    fn location(named: &str, keys: Option<&str>) -> Result<Location> {
        let settings = Settings {
            backup_bucket: keys.map(|keys| keys.parse().unwrap()),
            ..Settings::default()
        };
        Location::of(Path::new(named), &settings)
    }

    #[test]
    fn a_folder_or_a_bucket_with_a_prefix_is_named() {
        for (named, bucket, prefix) in [
            ("cos://books-1250000001/a/b/", "books-1250000001", "a/b"),
            ("s3://books", "books", ""),
        ] {
            let Location::Bucket(at) = location(named, Some(KEYS)).unwrap() else {
                panic!("{named}");
            };
            assert_eq!((&*at.bucket.bucket, &*at.bucket.prefix), (bucket, prefix));
            assert_eq!(at.name(), named.trim_end_matches('/'));
        }
        let folder = location("/mnt/backup", None).unwrap();
        assert!(matches!(&folder, Location::Folder(path) if path == Path::new("/mnt/backup")));
    }

    #[test]
    fn what_is_no_place_of_backups_is_refused_with_the_cure_and_no_secret_is_shown() {
        for (named, keys, cure) in [
            ("gs://books", Some(KEYS), "s3://BUCKET/PREFIX"),
            ("s3://id:hunter2@books/a", Some(KEYS), "stand in the settings"),
            ("s3://books/a?key=hunter2", Some(KEYS), "stand in the settings"),
            ("s3://books/a//b", Some(KEYS), "one slash"),
            ("s3://books/../b", Some(KEYS), "one slash"),
            ("cos://books/a", Some(KEYS), "APPID"),
            ("s3://books/a", None, "write a table [backup_bucket]"),
            (
                "s3://books/a",
                Some("secret_key = \"hunter2\""),
                "unknown field `secret_key`",
            ),
            (
                "s3://books/a",
                Some("secret_id_file = [\"hunter2\"]"),
                "is not of its kind",
            ),
            ("s3://books/a", Some("bucket = \"other\""), "`bucket` has no place here"),
            (
                "s3://books/a",
                Some("bucket_region = \"x\""),
                "`secret_id_env` is missing",
            ),
        ] {
            let refused = location(named, keys).unwrap_err();
            assert!(matches!(refused, Error::Usage(_)), "{refused}");
            let refused = refused.to_string();
            assert!(
                refused.contains(cure) && !refused.contains("hunter2"),
                "{named}: {refused}"
            );
        }
    }
}
