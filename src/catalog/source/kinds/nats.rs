//! A pull consumer of a NATS `JetStream` stream.

use std::path::PathBuf;

use super::address::Address;
use super::batch_size::{self, BatchSize};
use crate::catalog::source::secret::SecretPlace;

/// A pull consumer of a stream. Both must exist.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    /// `tls://HOST[:PORT]`, or `nats://` without TLS where the server does not ask for it.
    pub url: String,
    pub stream: String,
    /// The durable name of the consumer.
    pub consumer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
    /// A file with a user's JWT and seed, as `nsc` writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    #[serde(default = "batch_size::messages")]
    pub max_messages: u32,
    #[serde(default = "batch_size::wait_ms")]
    pub max_wait_ms: u32,
}

/// What a client shows the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// The server asks nobody.
    None,
    User {
        name: String,
        password: SecretPlace,
    },
    Token(SecretPlace),
    Credentials(PathBuf),
}

impl Consumer {
    /// Checks what the keys say together.
    ///
    /// # Errors
    /// A sentence that names the key, the value and the cure.
    pub fn check(&self) -> Result<(), String> {
        self.address()?;
        self.login()?;
        check_name("stream", &self.stream)?;
        check_name("consumer", &self.consumer)?;
        batch_size::check(self.max_messages, self.max_wait_ms)
    }

    /// Where the server is.
    ///
    /// # Errors
    /// A sentence where it is no address, or has a password.
    pub fn address(&self) -> Result<Address, String> {
        let address = Address::read("url", &self.url, &["tls", "nats"])?;
        if !matches!(&*address.path, "" | "/") {
            return Err(format!("`url` has the path {:?}; write the host alone", address.path));
        }
        Ok(address)
    }

    /// What the client shows the server.
    ///
    /// # Errors
    /// A sentence where the keys name more than one way, or half of one.
    pub fn login(&self) -> Result<Login, String> {
        let password = SecretPlace::of("password", self.password_file.as_ref(), self.password_env.as_ref())?;
        let token = SecretPlace::of("token", self.token_file.as_ref(), self.token_env.as_ref())?;
        match (&self.user, password, token, &self.credentials_file) {
            (None, None, None, None) => Ok(Login::None),
            (Some(name), Some(password), None, None) => Ok(Login::User {
                name: name.clone(),
                password,
            }),
            (None, None, Some(token), None) => Ok(Login::Token(token)),
            (None, None, None, Some(file)) => Ok(Login::Credentials(file.clone())),
            (Some(_), None, None, None) => {
                Err("`user` has no password: add `password_file` or `password_env`".to_owned())
            }
            (None, Some(_), None, None) => Err("the password has no `user`: add it".to_owned()),
            _ => Err(
                "a user with a password, a token and `credentials_file` are three ways to log in; keep one of them"
                    .to_owned(),
            ),
        }
    }

    /// When a micro-batch is full.
    pub fn batch_size(&self) -> BatchSize {
        BatchSize::of(self.max_messages, self.max_wait_ms)
    }
}

/// Names of streams and consumers are parts of subjects.
fn check_name(key: &str, name: &str) -> Result<(), String> {
    let is_wrong = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>' | '/' | '\\');
    if name.is_empty() || name.contains(is_wrong) {
        return Err(format!(
            "`{key}` is {name:?}; a name without white space and without . * > / \\ is expected"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Kind;

    const CONSUMER: &str = "url = \"tls://nats.example:4222\"\nstream = \"USAGE\"\nconsumer = \"tallybook\"\n";

    fn read(more: &str) -> Result<Kind, String> {
        Kind::read("nats", toml::from_str(&format!("{CONSUMER}{more}")).unwrap())
    }

    #[test]
    fn there_are_three_ways_to_log_in_and_one_is_taken() {
        for good in [
            "",
            "user = \"u\"\npassword_env = \"P\"",
            "token_file = \"t\"",
            "credentials_file = \"c\"",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        for (wrong, named) in [
            ("user = \"u\"", "`user` has no password"),
            ("password_env = \"P\"", "has no `user`"),
            ("token_file = \"t\"\ncredentials_file = \"c\"", "keep one of them"),
            ("token = \"hunter2\"", "unknown field `token`"),
            ("max_wait_ms = 70000", "from 1 to 60000"),
        ] {
            let refused = read(wrong).unwrap_err();
            assert!(
                refused.contains(named) && !refused.contains("hunter2"),
                "{wrong}: {refused}"
            );
        }
    }
}
