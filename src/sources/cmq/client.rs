//! The two calls to TDMQ for CMQ that a pull needs, over HTTP.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use super::answer::{Answer, Delivery, NotDeleted};
use super::http::Http;
use super::signature::{METHOD, PATH, Values, form, sign};
use crate::catalog::source::kinds::cmq::Queue;
use crate::catalog::source::secret::{Secret, SecretPlace};
use crate::sources::fetch::FetchError;
use crate::support::clock::Clock;

/// Messages that one call receives or deletes, at most.
pub(super) const BATCH: usize = 16;

/// How much longer than the service's own wait a call may take.
const BEYOND_POLLING: Duration = Duration::from_secs(10);

pub(super) struct Client {
    http: Http,
    /// As it is signed.
    host: String,
    queue: String,
    /// The queue's name for people.
    name: String,
    keys: Keys,
    clock: Clock,
    /// With the time, it makes each request another.
    nonce: u32,
}

struct Keys {
    id: Secret,
    key: Secret,
    token: Option<Secret>,
}

impl Client {
    /// Makes a client of a queue. Nothing is sent yet.
    pub(super) fn new(queue: &Queue, name: &str, clock: Clock) -> Result<Self, FetchError> {
        let address = queue.address().map_err(FetchError::NeedsPerson)?;
        let usual_port = if address.scheme == "https" { 443 } else { 80 };
        let host = address.authority(usual_port);
        Ok(Self {
            http: Http::to(&format!("{}://{host}{PATH}", address.scheme))?,
            host,
            queue: queue.queue.clone(),
            name: name.to_owned(),
            keys: Keys::read(queue)?,
            clock,
            // A number that no other process begins with.
            nonce: u32::try_from(RandomState::new().build_hasher().finish() >> 33).expect("31 bits fit into 32"),
        })
    }

    /// Receives up to 16 messages, and waits so many seconds for the first.
    pub(super) async fn receive(&mut self, messages: usize, wait_s: u32) -> Result<Vec<Delivery>, FetchError> {
        let values = [
            ("numOfMsg".to_owned(), messages.min(BATCH).to_string()),
            ("pollingWaitSeconds".to_owned(), wait_s.to_string()),
        ];
        let limit = Duration::from_secs(wait_s.into()) + BEYOND_POLLING;
        let text = self.call("BatchReceiveMessage", values, limit).await?;
        self.read(&text)?
            .deliveries(&self.name)
            .map_err(|error| self.without_keys(error))
    }

    /// Deletes up to 16 messages for good. Returns those of which that is not certain.
    pub(super) async fn delete(&mut self, handles: &[String]) -> Result<Vec<NotDeleted>, FetchError> {
        let values = handles
            .iter()
            .enumerate()
            .map(|(at, handle)| (format!("receiptHandle.{at}"), handle.clone()));
        let text = self.call("BatchDeleteMessage", values, BEYOND_POLLING).await?;
        self.read(&text)?
            .not_deleted(&self.name)
            .map_err(|error| self.without_keys(error))
    }

    async fn call(
        &mut self,
        action: &str,
        values: impl IntoIterator<Item = (String, String)>,
        limit: Duration,
    ) -> Result<String, FetchError> {
        let form = self.signed(action, values);
        let answer = self.http.post(form, limit).await;
        answer.map_err(|wrong| FetchError::Unavailable(format!("{}: {wrong}: it is tried again later", self.name)))
    }

    /// The form of a request, with its signature.
    fn signed(&mut self, action: &str, values: impl IntoIterator<Item = (String, String)>) -> String {
        self.nonce = self.nonce.wrapping_add(1);
        let mut all: Values = values.into_iter().collect();
        for (name, value) in [
            ("Action", action),
            ("queueName", &self.queue),
            ("SecretId", self.keys.id.reveal()),
            ("SignatureMethod", METHOD),
            ("Timestamp", &self.clock.machine_by_now().timestamp().to_string()),
            ("Nonce", &self.nonce.to_string()),
        ] {
            all.insert(name.to_owned(), value.to_owned());
        }
        if let Some(token) = &self.keys.token {
            all.insert("Token".to_owned(), token.reveal().to_owned());
        }
        let signature = sign(&self.keys.key, &self.host, &all);
        all.insert("Signature".to_owned(), signature);
        form(&all)
    }

    fn read<'a>(&self, text: &'a str) -> Result<Answer<'a>, FetchError> {
        serde_json::from_str(text).map_err(|error| {
            FetchError::Unavailable(format!(
                "{}: the answer is none of this service ({error}): it is tried again later",
                self.name
            ))
        })
    }

    /// The service repeats the id of a key that it does not know.
    fn without_keys(&self, error: FetchError) -> FetchError {
        let blank = |mut text: String| {
            let all = [Some(&self.keys.id), Some(&self.keys.key), self.keys.token.as_ref()];
            for secret in all.into_iter().flatten() {
                text = text.replace(secret.reveal(), "***");
            }
            text
        };
        match error {
            FetchError::Unavailable(text) => FetchError::Unavailable(blank(text)),
            FetchError::NeedsPerson(text) => FetchError::NeedsPerson(blank(text)),
            books @ FetchError::Books(_) => books,
        }
    }
}

impl Keys {
    fn read(queue: &Queue) -> Result<Self, FetchError> {
        let read = |place: Result<SecretPlace, String>| secret(&place.map_err(FetchError::NeedsPerson)?);
        let token = queue.token().map_err(FetchError::NeedsPerson)?;
        Ok(Self {
            id: read(queue.secret_id())?,
            key: read(queue.secret_key())?,
            token: token.as_ref().map(secret).transpose()?,
        })
    }
}

fn secret(place: &SecretPlace) -> Result<Secret, FetchError> {
    place.read().map_err(|error| FetchError::NeedsPerson(error.to_string()))
}
