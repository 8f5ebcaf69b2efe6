//! A topic of Kafka: where its brokers are, and who signs in to them.

use std::path::PathBuf;

use super::address::Address;
use super::batch_size::{self, BatchSize};
use crate::catalog::source::secret::SecretPlace;

/// The longest name of a topic.
const NAME_BYTES_MAX: usize = 249;

/// A topic, of which every partition is read.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// `HOST[:PORT]` of some brokers, which name the others.
    pub brokers: Vec<String>,
    pub topic: String,
    /// Whether connections have TLS.
    #[serde(default = "yes")]
    pub tls: bool,
    /// The certificates that a broker's must come from, as PEM; none: those that the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<Mechanism>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// A message older than this is warned of, in seconds: a topic drops what is older than its retention, read or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_age_s: Option<u32>,
    #[serde(default = "batch_size::messages")]
    pub max_messages: u32,
    #[serde(default = "batch_size::wait_ms")]
    pub max_wait_ms: u32,
}

/// How a user signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Mechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Mechanism {
    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Who signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub mechanism: Mechanism,
    pub password: SecretPlace,
}

fn yes() -> bool {
    true
}

impl Topic {
    /// Checks what the keys say together.
    ///
    /// # Errors
    /// A sentence that names the key, the value and the cure.
    pub fn check(&self) -> Result<(), String> {
        self.check_brokers()?;
        self.check_name()?;
        self.login()?;
        if self.ca_file.is_some() && !self.tls {
            return Err("`ca_file` is for TLS, which `tls = false` turns off; remove one of them".to_owned());
        }
        if self.warn_age_s == Some(0) {
            return Err("`warn_age_s` is 0; write the seconds after which a message is old, or remove it".to_owned());
        }
        batch_size::check(self.max_messages, self.max_wait_ms)
    }

    fn check_brokers(&self) -> Result<(), String> {
        if self.brokers.is_empty() {
            return Err("`brokers` is empty; name one broker or more, such as [\"kafka.example:9093\"]".to_owned());
        }
        for broker in &self.brokers {
            if broker.contains("://") {
                return Err(
                    "`brokers` has an address with ://; write HOST:PORT alone, and `tls = false` where there is no TLS"
                        .to_owned(),
                );
            }
            let address = Address::read("brokers", &format!("kafka://{broker}"), &["kafka"])?;
            if !address.path.is_empty() {
                return Err("`brokers` has an address with a path; write HOST:PORT alone".to_owned());
            }
        }
        Ok(())
    }

    fn check_name(&self) -> Result<(), String> {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_long = NAME_BYTES_MAX < self.topic.len();
        if self.topic.is_empty() || is_long || !self.topic.chars().all(is_of_name) {
            return Err(format!(
                "`topic` is {:?}; the name of a topic is expected: 1 to {NAME_BYTES_MAX} letters, digits, dots, _ and -",
                self.topic
            ));
        }
        Ok(())
    }

    /// Who signs in; none where the brokers ask nobody.
    ///
    /// # Errors
    /// A sentence where a part of it is missing.
    pub fn login(&self) -> Result<Option<Login>, String> {
        let password = SecretPlace::of("password", self.password_file.as_ref(), self.password_env.as_ref())?;
        match (&self.user, self.mechanism, password) {
            (None, None, None) => Ok(None),
            (Some(user), Some(mechanism), Some(password)) => Ok(Some(Login {
                user: user.clone(),
                mechanism,
                password,
            })),
            (None, _, _) => Err("the password or the `mechanism` has no `user`: add it".to_owned()),
            (_, None, _) => Err(
                "`user` has no `mechanism`: add it, as the brokers are set up: \"PLAIN\", \"SCRAM-SHA-256\" or \"SCRAM-SHA-512\""
                    .to_owned(),
            ),
            (_, _, None) => Err("`user` has no password: add `password_file` or `password_env`".to_owned()),
        }
    }

    /// When a micro-batch is full.
    pub fn batch_size(&self) -> BatchSize {
        BatchSize::of(self.max_messages, self.max_wait_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;

    const TOPIC: &str = "brokers = [\"kafka.example:9093\"]\ntopic = \"usage\"\n";

    fn read(text: &str) -> Result<Kind, String> {
        Kind::read("kafka", toml::from_str(text).unwrap())
    }

    #[test]
    fn a_definition_names_brokers_a_topic_and_perhaps_a_user() {
        for good in [
            "",
            "tls = false",
            "ca_file = \"/etc/kafka/ca.pem\"",
            "user = \"u\"\nmechanism = \"SCRAM-SHA-512\"\npassword_env = \"P\"\nwarn_age_s = 600",
        ] {
            let found = read(&format!("{TOPIC}{good}"));
            assert!(found.is_ok(), "{good}: {found:?}");
        }
        let Kind::Kafka(topic) = read(TOPIC).unwrap() else {
            panic!()
        };
        assert!(topic.tls);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_cure_and_no_secret() {
        for (wrong, named) in [
            ("user = \"u\"\nmechanism = \"PLAIN\"", "`user` has no password"),
            ("user = \"u\"\npassword_env = \"P\"", "`user` has no `mechanism`"),
            ("password_env = \"P\"", "has no `user`"),
            (
                "user = \"u\"\npassword_env = \"P\"\nmechanism = \"GSSAPI\"",
                "`SCRAM-SHA-256`",
            ),
            ("sasl_password = \"hunter2\"", "unknown field `sasl_password`"),
            ("tls = false\nca_file = \"c\"", "remove one of them"),
            ("group = \"tallybook\"", "unknown field `group`"),
            ("warn_age_s = 0", "`warn_age_s` is 0"),
            ("max_messages = 0", "from 1 to 100000"),
        ] {
            let refused = read(&format!("{TOPIC}{wrong}")).unwrap_err();
            assert!(
                refused.contains(named) && !refused.contains("hunter2"),
                "{wrong}: {refused}"
            );
        }
        for (wrong, named) in [
            ("brokers = []\ntopic = \"t\"", "`brokers` is empty"),
            ("brokers = [\"u:hunter2@h:1\"]\ntopic = \"t\"", "a user or a password"),
            ("brokers = [\"kafka://u:hunter2@h\"]\ntopic = \"t\"", "HOST:PORT"),
            ("brokers = [\"h:1/hunter2\"]\ntopic = \"t\"", "HOST:PORT"),
            ("brokers = [\"h:1,h:2\"]\ntopic = \"t\"", "`brokers`"),
            ("brokers = [\"h:1\"]\ntopic = \"a b\"", "`topic` is \"a b\""),
        ] {
            let refused = read(wrong).unwrap_err();
            assert!(
                refused.contains(named) && !refused.contains("hunter2"),
                "{wrong}: {refused}"
            );
        }
    }
}
