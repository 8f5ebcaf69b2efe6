//! Buckets of S3 and COS over HTTP: the few requests that the program makes of them.
//!
//! Nothing is put under a condition: COS knows none that holds in every bucket.
//!
//! The requests are our own and no crate's, because a key must be used as it is. The crates that there are refuse a whole listing for
//! one key with `//` or `..` in it.

mod address;
mod answer;
mod cos_signature;
pub mod download;
pub mod http;
mod keeping;
pub mod listing;
pub mod patience;
mod refusal;
mod s3_signature;
pub mod upload;

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use super::error::StoreError;
use super::{BucketPlace, Cloud, Keys, Object};
use crate::support::clock::Clock;
use address::Address;
use http::{Answer, Body, Bytes, Http, Method};
use refusal::Refusal;

/// Clocks that are further apart are corrected: a signature holds for some minutes.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(2);

/// A bucket and how it is asked.
#[derive(Debug)]
pub struct Bucket {
    place: BucketPlace,
    address: Address,
    keys: Keys,
    http: Http,
    /// Seconds by which the server's clock is ahead of this machine's, where signatures were refused for it.
    skew_s: AtomicI64,
}

/// What is asked of a bucket.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub method: Method,
    /// None: the bucket itself.
    pub key: Option<&'a str>,
    /// Parameters, by name.
    pub query: Vec<(&'static str, String)>,
    /// Headers beside those of the signature.
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Ask<'_> {
    fn get(key: Option<&str>) -> Ask<'_> {
        Ask {
            method: Method::Get,
            key,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }
}

impl Bucket {
    pub fn new(place: BucketPlace, keys: Keys) -> Result<Self, StoreError> {
        let address = Address::of(&place)?;
        Ok(Self {
            http: Http::new(address.is_encrypted())?,
            address,
            place,
            keys,
            skew_s: AtomicI64::new(0),
        })
    }

    pub fn name_of(&self, key: &str) -> String {
        format!("{}/{key}", self.name())
    }

    /// Such as `s3://bucket`.
    fn name(&self) -> String {
        format!("{}://{}", self.place.cloud.scheme(), self.place.bucket)
    }

    /// Begins to read an object: its state, and its bytes from one on.
    pub async fn read(&self, key: &str, etag: Option<&str>, from: u64) -> Result<(Object, Body), StoreError> {
        let mut ask = Ask::get(Some(key));
        if let Some(etag) = etag {
            ask.headers.push(("if-match", answer::quoted(etag)));
        }
        if from > 0 {
            ask.headers.push(("range", format!("bytes={from}-")));
        }
        let answer = self.ask(&ask).await?;
        let object = answer::object(key, &answer, from).map_err(|what| self.strange(&what))?;
        // A server that pays no heed to the conditions must not join two states.
        if etag.is_some_and(|wanted| wanted != object.etag) {
            return Err(StoreError::Changed);
        }
        Ok((object, answer.body))
    }

    /// Puts an object.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let ask = Ask {
            method: Method::Put,
            body: bytes.into(),
            ..Ask::get(Some(key))
        };
        self.ask(&ask).await.map(drop)
    }

    /// Deletes an object. One that is not there is none.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let ask = Ask {
            method: Method::Delete,
            ..Ask::get(Some(key))
        };
        match self.ask(&ask).await {
            Err(StoreError::Missing) => Ok(()),
            answered => answered.map(drop),
        }
    }

    /// Asks, and asks once more where the clocks were too far apart for the first signature.
    async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, StoreError> {
        let answered = self.ask_what_may_be_refused(ask).await?;
        answered.map_err(|refusal| self.told(&refusal, ask.method))
    }

    /// The same, for a request whose refusal says something.
    async fn ask_what_may_be_refused(&self, ask: &Ask<'_>) -> Result<Result<Answer, Refusal>, StoreError> {
        match self.ask_once(ask).await? {
            Err(refusal) if self.learns_skew(&refusal) => self.ask_once(ask).await,
            answered => Ok(answered),
        }
    }

    async fn ask_once(&self, ask: &Ask<'_>) -> Result<Result<Answer, Refusal>, StoreError> {
        let now = self.now();
        let (path, query) = (self.address.path(ask.key), address::query(&ask.query));
        let signed = match self.place.cloud {
            Cloud::S3 => {
                let scope = s3_signature::Scope {
                    region: &self.place.region,
                    host: self.address.host(),
                    now,
                };
                s3_signature::headers(&self.keys, &scope, ask, &path, &query)
            }
            Cloud::Cos => cos_signature::headers(&self.keys, self.address.host(), ask, now),
        };
        let uri = self.address.uri(&path, &query);
        let headers = ask.headers.iter().cloned().chain(signed);
        let sent = self.http.send(ask.method, &uri, headers, ask.body.clone()).await;
        let answer = sent.map_err(|why| StoreError::Unavailable(format!("{} does not answer: {why}", self.name())))?;
        if (200..300).contains(&answer.status) {
            return Ok(Ok(answer));
        }
        Ok(Err(Refusal::read(answer).await))
    }

    /// The time by the server's clock, as far as it is known.
    fn now(&self) -> DateTime<Utc> {
        Clock::system().machine() + TimeDelta::seconds(self.skew_s.load(Ordering::Relaxed))
    }

    /// Whether the signature may have been refused for its time; if so, the next has the server's.
    fn learns_skew(&self, refusal: &Refusal) -> bool {
        let Some(date) = refusal.date.filter(|_| refusal.status == 403) else {
            return false;
        };
        let skew = date - self.now();
        if skew.abs() <= SKEW_MAX {
            return false;
        }
        self.skew_s.fetch_add(skew.num_seconds(), Ordering::Relaxed);
        true
    }

    fn told(&self, refusal: &Refusal, method: Method) -> StoreError {
        refusal.told(&self.name(), &self.place.region, method)
    }

    /// An answer that did not come to its end.
    fn cut(&self) -> StoreError {
        StoreError::Unavailable(format!("the connection to {} was cut", self.name()))
    }

    /// An answer that is none of the protocol's.
    fn strange(&self, what: &str) -> StoreError {
        StoreError::NeedsPerson(format!(
            "{} gave an answer that is none of an object store ({what}): check `endpoint`",
            self.name()
        ))
    }
}
