//! A connection to a NATS server, with a pull consumer on it. The interface to async-nats is here.

use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::consumer::{self, AckPolicy, FromConsumer as _, PullConsumer};
use async_nats::jetstream::message::Acker;
use async_nats::jetstream::{self, Message};
use futures_util::StreamExt as _;

use crate::catalog::source::kinds::nats::{Consumer, Login};
use crate::catalog::source::secret::{Secret, SecretPlace};
use crate::sources::fetch::FetchError;
use crate::support::failpoint;

/// How long a server may take to take a connection, and to answer on it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much longer than a request may wait its answer may take. Five seconds later the client itself takes silence for a consumer that has
/// nothing, which a server that is gone must not be taken for.
const BEYOND_EXPIRY: Duration = Duration::from_secs(4);

/// Messages that are asked for at a time, so that large ones cannot fill the memory before they are counted.
const AT_A_TIME: usize = 256;

pub(super) struct Session {
    consumer: PullConsumer,
    limits: Limits,
}

/// What the stream and the consumer allow, as they were when the session began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For so long the server waits for an acknowledgement before it delivers a message again.
    pub ack_wait: Duration,
    /// So many messages may be delivered and not acknowledged; the server holds all others back. None: any number.
    pub ack_pending: Option<usize>,
    /// The stream drops what is older; none: nothing.
    pub max_age: Option<Duration>,
    /// The consumer gives a message up after so many deliveries; none: never.
    pub max_deliver: Option<i64>,
    /// One request may ask for so many messages; it is refused if it asks for more.
    request_messages: usize,
    /// One request may wait for so long; it is refused if it would wait for longer. None: any time.
    request_expires: Option<Duration>,
}

impl Limits {
    fn of(config: &consumer::Config, max_age: Duration) -> Self {
        let number = |limit: i64| usize::try_from(limit).ok().filter(|limit| 0 < *limit);
        let time = |limit: Duration| Some(limit).filter(|limit| !limit.is_zero());
        Self {
            ack_wait: config.ack_wait,
            ack_pending: number(config.max_ack_pending),
            max_age: time(max_age),
            max_deliver: Some(config.max_deliver).filter(|deliveries| 0 < *deliveries),
            request_messages: number(config.max_batch).map_or(AT_A_TIME, |limit| limit.min(AT_A_TIME)),
            request_expires: time(config.max_expires),
        }
    }
}

impl Session {
    /// Connects, and looks the stream and the consumer up.
    pub(super) async fn open(definition: &Consumer) -> Result<Self, FetchError> {
        let (options, secret) = options(definition)?;
        let opening = Self::begin(options, definition);
        match tokio::time::timeout(PATIENCE, opening).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => Err(blanked(error, secret.as_ref())),
            Err(_) => Err(silent(PATIENCE)),
        }
    }

    async fn begin(options: ConnectOptions, definition: &Consumer) -> Result<Self, FetchError> {
        let client = options
            .connect(&definition.url)
            .await
            .map_err(|error| of_connecting(&error))?;
        let context = jetstream::new(client);
        let stream = context.get_stream(&definition.stream).await.map_err(|error| {
            look_up(
                &error,
                &format!("stream {}", definition.stream),
                "create it, or correct `stream`",
            )
        })?;
        let cure = "create a durable pull consumer, or correct `consumer`";
        let what = format!("consumer {} of stream {}", definition.consumer, definition.stream);
        let looked_up = stream.consumer_info(&definition.consumer).await;
        let info = looked_up.map_err(|error| look_up(&error, &what, cure))?;
        if let Some(subject) = &info.config.deliver_subject {
            return Err(FetchError::NeedsPerson(format!(
                "{what}: it is a push consumer, which sends its messages to {subject:?} by itself; {cure}: one without `deliver_subject`"
            )));
        }
        let config = consumer::pull::Config::try_from_consumer_config(info.config.clone());
        let config = config.map_err(|error| look_up(error.as_ref(), &what, cure))?;
        let consumer = PullConsumer::new(config, info, context);
        let config = &consumer.cached_info().config;
        if config.ack_policy != AckPolicy::Explicit {
            return Err(FetchError::NeedsPerson(format!(
                "consumer {}: its acknowledgement policy is {:?}, under which messages would be lost; make it one with the policy \
                 explicit",
                definition.consumer, config.ack_policy
            )));
        }
        if config.headers_only {
            return Err(FetchError::NeedsPerson(format!(
                "consumer {}: it delivers headers only (`headers_only`), so that messages would be lost; make it one that delivers \
                 whole messages",
                definition.consumer
            )));
        }
        Ok(Self {
            limits: Limits::of(config, stream.cached_info().config.max_age),
            consumer,
        })
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many messages one request asks for, where so many are wanted.
    pub(super) fn at_a_time(&self, wanted: usize) -> usize {
        wanted.min(self.limits.request_messages)
    }

    /// Up to so many messages that the consumer has at this time; where it has none, those that come first within a wait. The server ends
    /// the request after the wait in any case, also when it holds messages back.
    pub(super) async fn next(&self, messages: usize, wait: Duration) -> Result<Vec<Message>, FetchError> {
        let wait = self.limits.request_expires.map_or(wait, |limit| wait.min(limit));
        let limit = wait + BEYOND_EXPIRY;
        let until = tokio::time::Instant::now() + limit;
        let asked = self.consumer.fetch().max_messages(messages).expires(wait).messages();
        let mut received = match tokio::time::timeout_at(until, asked).await {
            Ok(received) => received.map_err(|error| unavailable(&error))?,
            Err(_) => return Err(silent(limit)),
        };
        let mut found = Vec::new();
        loop {
            let trouble = match tokio::time::timeout_at(until, received.next()).await {
                Ok(Some(Ok(message))) => {
                    found.push(message);
                    continue;
                }
                Ok(None) => return Ok(found),
                Ok(Some(Err(error))) => unavailable(error.as_ref()),
                Err(_) => silent(limit),
            };
            if found.is_empty() {
                return Err(trouble);
            }
            // What came before the trouble is here, and would come again only after a while.
            tracing::warn!("{trouble}");
            return Ok(found);
        }
    }
}

/// Acknowledges messages. When this returns, the server knows of the last one, and with it of those before.
pub(super) async fn acknowledge(messages: &[Acker]) -> Result<(), FetchError> {
    let Some((last, others)) = messages.split_last() else {
        return Ok(());
    };
    for one in others {
        one.ack().await.map_err(|error| unavailable(error.as_ref()))?;
    }
    failpoint::point("sent acknowledgements");
    last.double_ack().await.map_err(|error| unavailable(error.as_ref()))
}

/// How the client logs in, and the secret that it shows.
fn options(definition: &Consumer) -> Result<(ConnectOptions, Option<Secret>), FetchError> {
    let read = |place: &SecretPlace| place.read().map_err(|error| FetchError::NeedsPerson(error.to_string()));
    let options = ConnectOptions::new()
        .name("tallybook")
        .connection_timeout(PATIENCE)
        .request_timeout(Some(PATIENCE));
    match definition.login().map_err(FetchError::NeedsPerson)? {
        Login::None => Ok((options, None)),
        Login::User { name, password } => {
            let password = read(&password)?;
            Ok((
                options.user_and_password(name, password.reveal().to_owned()),
                Some(password),
            ))
        }
        Login::Token(place) => {
            let token = read(&place)?;
            Ok((options.token(token.reveal().to_owned()), Some(token)))
        }
        Login::Credentials(path) => {
            let text = read(&SecretPlace::File(path.clone()))?;
            // The client's own words could hold a part of the file.
            let options = options.credentials(text.reveal()).map_err(|_| {
                FetchError::NeedsPerson(format!(
                    "{}: it is no file of credentials as `nsc` writes them",
                    path.display()
                ))
            })?;
            Ok((options, Some(text)))
        }
    }
}

fn of_connecting(error: &async_nats::ConnectError) -> FetchError {
    use async_nats::ConnectErrorKind as Kind;
    match error.kind() {
        Kind::Authentication | Kind::AuthorizationViolation => FetchError::NeedsPerson(format!(
            "{error}: check the user, the password, the token or the credentials that the definition names"
        )),
        _ => unavailable(error),
    }
}

/// What it means that a stream or a consumer was not found.
fn look_up(error: &(dyn std::error::Error + 'static), what: &str, cure: &str) -> FetchError {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        said.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    if said.contains("not found") || said.contains("10059") || said.contains("10014") {
        return FetchError::NeedsPerson(format!("{what}: {said}: {cure}; a pull never makes one"));
    }
    FetchError::Unavailable(format!("{what}: {said}: it is tried again later"))
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> FetchError {
    FetchError::Unavailable(format!("{error}: it is tried again later"))
}

fn silent(limit: Duration) -> FetchError {
    FetchError::Unavailable(format!(
        "the server did not answer within {} s: it is tried again later",
        limit.as_secs()
    ))
}

fn blanked(error: FetchError, secret: Option<&Secret>) -> FetchError {
    let blank = |text: String| match secret {
        Some(secret) => text.replace(secret.reveal(), "***"),
        None => text,
    };
    match error {
        FetchError::Unavailable(text) => FetchError::Unavailable(blank(text)),
        FetchError::NeedsPerson(text) => FetchError::NeedsPerson(blank(text)),
        books @ FetchError::Books(_) => books,
    }
}
