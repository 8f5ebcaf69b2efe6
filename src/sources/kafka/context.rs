//! What the client says while it works: its log lines go where all logs go, and its errors are kept for the report of the pull.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::fault;
use crate::catalog::source::secret::Secret;

/// What hears a client.
pub struct Context {
    secret: Option<Secret>,
    told: Mutex<Told>,
}

/// What the client told of by itself, since something came.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The error that says most.
    pub error: Option<Heard>,
    /// Whether no broker can be reached.
    pub all_away: bool,
}

/// An error that the client told of by itself.
#[derive(Clone, Debug)]
pub struct Heard {
    pub code: RDKafkaErrorCode,
    /// In the client's words, without the secret.
    pub reason: String,
}

impl Context {
    pub fn new(secret: Option<Secret>) -> Self {
        Self {
            secret,
            told: Mutex::default(),
        }
    }

    /// What was told.
    pub fn told(&self) -> Told {
        self.lock().clone()
    }

    /// Something came: what was told before is over.
    pub fn forget(&self) {
        *self.lock() = Told::default();
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A text without the secret.
    pub fn blanked(&self, text: &str) -> String {
        match &self.secret {
            Some(secret) => text.replace(secret.reveal(), "***"),
            None => text.to_owned(),
        }
    }

    fn keep(&self, new: Heard) {
        let mut told = self.lock();
        told.all_away |= new.code == RDKafkaErrorCode::AllBrokersDown;
        let says_more = |old: &Heard| fault::weight(old) <= fault::weight(&new);
        if told.error.as_ref().is_none_or(says_more) {
            told.error = Some(new);
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = self.blanked(message);
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "librdkafka", "{facility} {message}");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", "{facility} {message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", "{facility} {message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", "{facility} {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.blanked(reason);
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
        // The library looks for a coordinator of its group, which nothing needs.
        let code = error.rdkafka_error_code();
        if let Some(code) = code.filter(|code| *code != RDKafkaErrorCode::GroupAuthorizationFailed) {
            self.keep(Heard { code, reason });
        }
    }
}

impl ConsumerContext for Context {}
