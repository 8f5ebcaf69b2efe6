//! Object stores: buckets of S3 and COS, and a local folder in their place. What the program does with objects it does through
//! [`ObjectStore`]; who sends the requests and how they are signed is known in `bucket/` alone.
//!
//! - Keys are used byte by byte as the store has them: with spaces, `..`, `//` or a slash at either end.
//! - A listing is read page by page, in the order of the store.
//! - A read says which state of the object it wants (its `ETag`), so that two states are never joined into one file.

#[cfg(feature = "objects")]
pub mod bucket;
pub mod endpoint;
pub mod error;
mod folder;

use std::path::Path;

use chrono::{DateTime, Utc};

use error::StoreError;

/// Whose buckets they are: what requests look like and how they are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon S3, and servers that speak its protocol.
    S3,
    /// Tencent Cloud COS.
    Cos,
}

impl Cloud {
    /// What the names of its objects begin with.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Cos => "cos",
        }
    }
}

/// Where a bucket is.
#[derive(Clone, Debug)]
pub struct BucketPlace {
    pub cloud: Cloud,
    pub bucket: String,
    pub region: String,
    /// `http://` or `https://`, a host and perhaps a port; none: the cloud's own for the region.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path and not in the host's name.
    pub path_style: bool,
}

/// The keys that requests are signed with. They are never shown.
#[derive(Clone)]
pub struct Keys {
    /// What names the pair: S3's access key id, COS's `SecretId`.
    pub id: String,
    pub secret: String,
    /// Of keys that hold for some hours.
    pub token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(***)")
    }
}

/// An object in one of its states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub key: String,
    pub bytes: u64,
    /// What names this state of it; of a file in a folder, the time of its last change in nanoseconds since 1970.
    pub etag: String,
    pub modified: DateTime<Utc>,
}

/// A place that has objects by their keys.
#[derive(Debug)]
pub struct ObjectStore(Store);

#[derive(Debug)]
enum Store {
    #[cfg(feature = "objects")]
    Bucket(std::sync::Arc<bucket::Bucket>),
    Folder(folder::Folder),
}

impl ObjectStore {
    /// A bucket. Nothing is asked yet.
    ///
    /// # Errors
    /// An endpoint that is none; a program without the feature `objects`.
    #[cfg(feature = "objects")]
    pub fn bucket(place: BucketPlace, keys: Keys) -> Result<Self, StoreError> {
        let bucket = bucket::Bucket::new(place, keys)?;
        Ok(Self(Store::Bucket(std::sync::Arc::new(bucket))))
    }

    /// A bucket, which this program cannot ask.
    ///
    /// # Errors
    /// Always: it was built without the feature `objects`.
    #[cfg(not(feature = "objects"))]
    pub fn bucket(_place: BucketPlace, _keys: Keys) -> Result<Self, StoreError> {
        Err(StoreError::NeedsPerson(
            "this program was built without objects; build it with --features objects".to_owned(),
        ))
    }

    /// A folder of this machine, whose files are the objects and whose keys are the paths below it.
    pub fn folder(root: &Path) -> Self {
        Self(Store::Folder(folder::Folder::new(root)))
    }

    /// An object's name for people, such as `s3://bucket/key`; of a file in a folder, its path.
    pub fn name_of(&self, key: &str) -> String {
        match &self.0 {
            #[cfg(feature = "objects")]
            Store::Bucket(bucket) => bucket.name_of(key),
            Store::Folder(folder) => folder.name_of(key),
        }
    }

    /// Whether its objects may still be written when they are listed: a bucket has an object whole or not at all.
    pub fn may_be_unfinished(&self) -> bool {
        matches!(self.0, Store::Folder(_))
    }

    /// Begins to list the objects whose keys begin with a prefix.
    pub fn list(&self, prefix: &str) -> Listing {
        Listing(match &self.0 {
            #[cfg(feature = "objects")]
            Store::Bucket(bucket) => Pages::Bucket(bucket::listing::Listing::new(bucket.clone(), prefix)),
            Store::Folder(folder) => Pages::Folder(folder.list(prefix)),
        })
    }

    /// Goes on with a listing that the same place began, with the keys of this one.
    pub fn take_over(&self, listing: &mut Listing) {
        match (&self.0, &mut listing.0) {
            #[cfg(feature = "objects")]
            (Store::Bucket(bucket), Pages::Bucket(listing)) => listing.ask_by(bucket.clone()),
            // A folder has no keys.
            _ => {}
        }
    }

    /// Begins to read an object, from a byte on. With an `ETag` it is read in that state or not at all; without one, in the state that
    /// it has now. Where a store keeps no state to compare with, the caller compares [`Reading::object`].
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Changed`], [`StoreError::Archived`], or why nothing can be read.
    #[cfg_attr(
        not(feature = "objects"),
        expect(clippy::unused_async, reason = "a folder is read without waiting; a bucket is not")
    )]
    pub async fn read(&self, key: &str, etag: Option<&str>, from: u64) -> Result<Reading, StoreError> {
        match &self.0 {
            #[cfg(feature = "objects")]
            Store::Bucket(bucket) => {
                let (object, body) = bucket.read(key, etag, from).await?;
                let blocks = Blocks::Bucket(body);
                Ok(Reading { object, blocks })
            }
            Store::Folder(folder) => {
                let (object, file) = folder.read(key, etag, from)?;
                let blocks = Blocks::Folder(file);
                Ok(Reading { object, blocks })
            }
        }
    }

    /// Puts an object, in place of one that has its key.
    ///
    /// # Errors
    /// Why it was not put, or whether it was is not known.
    #[cfg_attr(
        not(feature = "objects"),
        expect(clippy::unused_async, reason = "a folder is read without waiting; a bucket is not")
    )]
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        match &self.0 {
            #[cfg(feature = "objects")]
            Store::Bucket(bucket) => bucket.put(key, bytes).await,
            Store::Folder(folder) => folder.put(key, &bytes),
        }
    }
}

/// The objects below a prefix, page by page.
#[derive(Debug)]
pub struct Listing(Pages);

#[derive(Debug)]
enum Pages {
    #[cfg(feature = "objects")]
    Bucket(bucket::listing::Listing),
    Folder(folder::Listing),
}

/// A part of a listing.
#[derive(Debug, Default)]
pub struct Page {
    pub objects: Vec<Object>,
    /// What cannot be read as an object.
    pub odd: Vec<Odd>,
}

/// Something that lies where objects do and is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// Its key; of a name that is no text, what can be shown of it.
    pub key: String,
    pub kind: OddKind,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OddKind {
    /// Its name is no text.
    NoText,
    /// A link that leads to nothing that can be read.
    BrokenLink,
    /// A link to a folder, which is not entered.
    LinkedFolder,
    /// A pipe, a socket or a device.
    Special,
    /// A folder with nothing in it.
    EmptyFolder,
}

impl Listing {
    /// The next page; none when all were read. After an error the same page is asked for again.
    ///
    /// # Errors
    /// Why nothing can be listed.
    #[cfg_attr(
        not(feature = "objects"),
        expect(clippy::unused_async, reason = "a folder is read without waiting; a bucket is not")
    )]
    pub async fn next(&mut self) -> Result<Option<Page>, StoreError> {
        match &mut self.0 {
            #[cfg(feature = "objects")]
            Pages::Bucket(listing) => listing.next().await,
            Pages::Folder(listing) => listing.next(),
        }
    }
}

/// An object that is being read.
#[derive(Debug)]
pub struct Reading {
    /// The state that is read.
    pub object: Object,
    blocks: Blocks,
}

#[derive(Debug)]
enum Blocks {
    #[cfg(feature = "objects")]
    Bucket(bucket::http::Body),
    Folder(folder::Blocks),
}

impl Reading {
    /// Hands the next bytes on; false at the end.
    ///
    /// # Errors
    /// The connection was cut, or `take` refused them.
    #[cfg_attr(
        not(feature = "objects"),
        expect(clippy::unused_async, reason = "a folder is read without waiting; a bucket is not")
    )]
    pub async fn next<E: From<StoreError>>(&mut self, take: impl FnOnce(&[u8]) -> Result<(), E>) -> Result<bool, E> {
        match &mut self.blocks {
            #[cfg(feature = "objects")]
            Blocks::Bucket(body) => match body.next().await? {
                Some(bytes) => take(&bytes).map(|()| true),
                None => Ok(false),
            },
            Blocks::Folder(file) => match file.next()? {
                Some(bytes) => take(bytes).map(|()| true),
                None => Ok(false),
            },
        }
    }
}
