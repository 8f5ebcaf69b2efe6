//! The HTTP client under the buckets: one request, its answer, the bytes of its body as they come. Hyper is met here alone.
//!
//! Targets of requests are sent as they are given. A client that takes them for URLs would resolve `..` in a key.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
pub use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};

use super::super::error::StoreError;

/// How long a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long an answer may take to begin.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// How long a body may bring nothing.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// The slowest way to a store that is waited for, bytes a second: what a body's time is reckoned by.
const BYTES_PER_S_MIN: u64 = 64 << 10;

/// Requests that the program makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Put,
    Post,
    Delete,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }

    /// Whether it changes nothing.
    pub fn only_reads(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

/// Connections, which are kept for the next request.
pub struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http")
    }
}

/// An answer whose body was not read yet.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: hyper::HeaderMap,
    pub body: Body,
}

/// The bytes of an answer, as they come.
#[derive(Debug)]
pub struct Body(Incoming);

impl Http {
    /// # Errors
    /// Where connections are to be encrypted and this machine has no certificates to trust.
    pub fn new(is_encrypted: bool) -> Result<Self, StoreError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_LIMIT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(is_encrypted)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Sends a request and waits until its answer begins.
    ///
    /// # Errors
    /// Why there is none: words of the system, without the request.
    pub async fn send(
        &self,
        method: Method,
        uri: &str,
        headers: impl Iterator<Item = (&'static str, String)>,
        body: Bytes,
    ) -> Result<Answer, String> {
        let mut request = hyper::Request::builder().method(method.name()).uri(uri);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let limit = ANSWER_LIMIT + Duration::from_secs(body.len() as u64 / BYTES_PER_S_MIN);
        let request = request
            .body(Full::new(body))
            .map_err(|_| "the request cannot be made of these settings".to_owned())?;
        match tokio::time::timeout(limit, self.0.request(request)).await {
            Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
            Ok(Err(error)) => Err(innermost(&error)),
            Ok(Ok(answer)) => {
                let (head, body) = answer.into_parts();
                Ok(Answer {
                    status: head.status.as_u16(),
                    headers: head.headers,
                    body: Body(body),
                })
            }
        }
    }
}

/// What is trusted: the certificates of the system.
fn tls(is_encrypted: bool) -> Result<ClientConfig, StoreError> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has what the default versions of TLS need");
    if !is_encrypted {
        return Ok(config
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth());
    }
    let config = config.with_native_roots().map_err(|error| {
        StoreError::NeedsPerson(format!(
            "no certificates to trust were found on this machine ({error}): install them (the package ca-certificates), or name \
             a file of them in the environment variable SSL_CERT_FILE"
        ))
    })?;
    Ok(config.with_no_client_auth())
}

/// The cause of all: what the system said of the connection.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

impl Answer {
    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Body {
    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// The connection was cut, or nothing came for long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            let why = match tokio::time::timeout(SILENCE_LIMIT, self.0.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => return Ok(Some(bytes)),
                    // What follows a body is none of ours.
                    Err(_) => continue,
                },
                Ok(Some(Err(error))) => innermost(&error),
                Err(_) => format!("nothing came for {} s", SILENCE_LIMIT.as_secs()),
            };
            return Err(StoreError::Unavailable(format!(
                "the connection to the object store was cut: {why}"
            )));
        }
    }

    /// All of it; none where it is longer than a limit, or cut.
    pub async fn within(mut self, bytes_max: usize) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next().await.ok()? {
            if all.len() + bytes.len() > bytes_max {
                return None;
            }
            all.extend_from_slice(&bytes);
        }
        Some(all)
    }
}
