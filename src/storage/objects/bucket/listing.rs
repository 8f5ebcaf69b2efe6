//! The pages of a bucket's listing, one request each.

use std::sync::Arc;

use super::super::error::StoreError;
use super::super::{Cloud, Page};
use super::{Ask, Bucket, answer};

/// Objects in a page: the most that both clouds give.
const PAGE_OBJECTS: u32 = 1000;

/// The longest page that is taken: a key has at most 1,024 bytes, three times as many when they are encoded.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// Where a listing is.
#[derive(Debug)]
pub struct Listing {
    bucket: Arc<Bucket>,
    prefix: String,
    at: At,
}

#[derive(Debug)]
enum At {
    Beginning,
    /// The token or the key after which it goes on.
    After(String),
    End,
}

impl Listing {
    pub fn new(bucket: Arc<Bucket>, prefix: &str) -> Self {
        Self {
            bucket,
            prefix: prefix.to_owned(),
            at: At::Beginning,
        }
    }

    /// Asks for the next pages with other keys.
    pub fn ask_by(&mut self, bucket: Arc<Bucket>) {
        self.bucket = bucket;
    }

    pub async fn next(&mut self) -> Result<Option<Page>, StoreError> {
        let after = match &self.at {
            At::End => return Ok(None),
            At::Beginning => None,
            At::After(after) => Some(after.as_str()),
        };
        let listed = self.bucket.list(&self.prefix, after).await?;
        if listed.next.is_some() && listed.next.as_deref() == after {
            return Err(self.bucket.strange("a listing that does not go on"));
        }
        self.at = listed.next.map_or(At::End, At::After);
        Ok(Some(listed.page))
    }
}

impl Bucket {
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<answer::Listed, StoreError> {
        let cloud = self.place.cloud;
        let mut ask = Ask::get(None);
        ask.query = vec![
            ("encoding-type", "url".to_owned()),
            ("max-keys", PAGE_OBJECTS.to_string()),
            ("prefix", prefix.to_owned()),
        ];
        if cloud == Cloud::S3 {
            ask.query.push(("list-type", "2".to_owned()));
        }
        if let Some(after) = after {
            let name = match cloud {
                Cloud::S3 => "continuation-token",
                Cloud::Cos => "marker",
            };
            ask.query.push((name, after.to_owned()));
        }
        let answer = self.ask(&ask).await.map_err(|error| match error {
            StoreError::Missing | StoreError::Changed | StoreError::Archived => self.strange(&error.to_string()),
            error => error,
        })?;
        let Some(text) = answer.body.within(PAGE_BYTES_MAX).await else {
            let name = self.name();
            return Err(StoreError::Unavailable(format!(
                "the connection to {name} was cut while it listed objects"
            )));
        };
        answer::listed(cloud, &text).map_err(|what| self.strange(&what))
    }
}
