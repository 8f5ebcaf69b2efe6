//! A queue of a broker that speaks AMQP 0-9-1, such as `RabbitMQ`.

use std::path::PathBuf;

use super::address::Address;
use super::batch_size::{self, BatchSize, within};
use crate::catalog::source::secret::SecretPlace;

/// The protocol counts the messages that a consumer may hold in 16 bits, and two micro-batches are under way.
const MESSAGES_MAX: u32 = 30_000;

/// The longest name that the protocol has room for.
const NAME_BYTES_MAX: usize = 255;

/// A queue of a broker.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// `amqps://HOST[:PORT][/VHOST]`, or `amqp://` without TLS.
    pub url: String,
    /// The queue's name. It must exist.
    pub queue: String,
    pub user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    #[serde(default = "batch_size::messages")]
    pub max_messages: u32,
    #[serde(default = "batch_size::wait_ms")]
    pub max_wait_ms: u32,
}

impl Queue {
    /// Checks what the keys say together.
    ///
    /// # Errors
    /// A sentence that names the key, the value and the cure.
    pub fn check(&self) -> Result<(), String> {
        self.address()?;
        self.password()?;
        if self.queue.is_empty() || NAME_BYTES_MAX < self.queue.len() {
            return Err(format!(
                "`queue` has {} bytes; a queue's name has 1 to {NAME_BYTES_MAX}",
                self.queue.len()
            ));
        }
        batch_size::check(self.max_messages, self.max_wait_ms)?;
        within("max_messages", self.max_messages, 1, MESSAGES_MAX)
    }

    /// Where the broker is.
    ///
    /// # Errors
    /// A sentence where it is no address, or has a password.
    pub fn address(&self) -> Result<Address, String> {
        let address = Address::read("url", &self.url, &["amqps", "amqp"])?;
        if address.path.matches('/').count() > 1 {
            return Err(format!(
                "`url` has the path {:?}; one virtual host is expected after the host (a slash in its name is written %2F)",
                address.path
            ));
        }
        Ok(address)
    }

    /// Where the password is.
    ///
    /// # Errors
    /// A sentence where no key or both say it.
    pub fn password(&self) -> Result<SecretPlace, String> {
        SecretPlace::of("password", self.password_file.as_ref(), self.password_env.as_ref())?.ok_or_else(|| {
            "`password_file` or `password_env` is missing: one of them must say where the password is".to_owned()
        })
    }

    /// When a micro-batch is full.
    pub fn batch_size(&self) -> BatchSize {
        BatchSize::of(self.max_messages, self.max_wait_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;

    const QUEUE: &str =
        "url = \"amqps://broker.example/billing\"\nqueue = \"usage\"\nuser = \"tallybook\"\npassword_env = \"P\"\n";

    fn read(text: &str) -> Result<Kind, String> {
        Kind::read("amqp", toml::from_str(text).unwrap())
    }

    #[test]
    fn a_definition_has_no_password_and_says_where_it_is() {
        assert!(read(QUEUE).is_ok());
        for (from, to, named) in [
            ("amqps://", "amqps://u:hunter2@", "`url` has a user or a password"),
            ("password_env", "password", "unknown field `password`"),
            ("password_env = \"P\"", "", "`password_file` or `password_env`"),
            ("/billing", "/a/b", "one virtual host"),
            ("\"usage\"", "\"\"", "`queue` has 0 bytes"),
            ("\"P\"", "\"P\"\nmax_messages = 40000", "from 1 to 30000"),
        ] {
            let refused = read(&QUEUE.replace(from, to)).unwrap_err();
            assert!(
                refused.contains(named) && !refused.contains("hunter2"),
                "{to}: {refused}"
            );
        }
    }
}
