//! HTTP to the service: a form by POST, and the text that answers it. The interface to hyper is here.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::sources::fetch::FetchError;

/// More than sixteen messages can have, each with all of its characters escaped.
const ANSWER_BYTES_MAX: usize = 128 << 20;

const FORM: &str = "application/x-www-form-urlencoded";

/// Connections to one address. A call that fails says why; nothing is followed, and nothing is tried twice.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: hyper::Uri,
}

impl Http {
    pub(super) fn to(url: &str) -> Result<Self, FetchError> {
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(|error| {
                FetchError::NeedsPerson(format!(
                    "the certificates that this system trusts cannot be read: {error}"
                ))
            })?;
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(tls.https_or_http().enable_http1().build()),
            url: url
                .parse()
                .map_err(|error| FetchError::NeedsPerson(format!("`endpoint`: {url:?}: {error}")))?,
        })
    }

    /// Sends a form, and returns the text of an answer with the status 200.
    ///
    /// # Errors
    /// What is wrong in other cases, as half a sentence.
    pub(super) async fn post(&self, form: String, limit: Duration) -> Result<String, String> {
        let answering = tokio::time::timeout(limit, self.answer(form)).await;
        answering.unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs())))
    }

    async fn answer(&self, form: String) -> Result<String, String> {
        let request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, FORM)
            .body(Full::new(Bytes::from(form)))
            .map_err(|error| error.to_string())?;
        let answer = self.client.request(request).await.map_err(|error| in_full(&error))?;
        let status = answer.status();
        if status != StatusCode::OK {
            return Err(format!("HTTP status {status}"));
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let bytes = body.map_err(|error| in_full(error.as_ref()))?.to_bytes();
        String::from_utf8(bytes.into()).map_err(|error| error.to_string())
    }
}

/// An error with its causes.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
