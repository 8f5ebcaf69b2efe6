//! A queue of TDMQ for CMQ: where it is, which keys sign the requests to it, and what the queue itself is set to.

use std::path::PathBuf;

use super::address::Address;
use super::batch_size::{self, BatchSize, within};
use crate::catalog::source::secret::SecretPlace;

/// The longest wait of a receive call that the service takes.
const POLLING_WAIT_S_MAX: u32 = 30;

/// What the service lets a queue's visibility timeout and its maximum unacknowledged time be, at most.
const TWELVE_HOURS_S: u32 = 12 * 60 * 60;

/// The longest name of a queue.
const NAME_BYTES_MAX: usize = 64;

/// Queues that the service makes by itself beside a queue.
const OF_THE_SERVICE: [&str; 2] = ["-retry", "-dlq"];

/// Names of the service's inner network, where it answers without TLS.
const INNER_NETWORK: &str = ".tencentyun.com";

/// A queue of TDMQ for CMQ.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// The address of the service in the queue's region.
    pub endpoint: String,
    /// The queue's name.
    pub queue: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id_env: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_env: Option<String>,
    /// The token of temporary keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
    /// How long a receive call waits for the first message, in seconds.
    #[serde(default = "polling_wait_s")]
    pub polling_wait_s: u32,
    /// The visibility timeout that the queue is set to, in seconds: for so long a received message is hidden from others.
    #[serde(default = "visibility_s")]
    pub visibility_s: u32,
    /// A message older than this is warned of, in seconds. The service drops a message silently that is not deleted within the queue's
    /// maximum unacknowledged time; half of that time is a good choice.
    pub warn_age_s: u32,
    #[serde(default = "batch_size::messages")]
    pub max_messages: u32,
    #[serde(default = "batch_size::wait_ms")]
    pub max_wait_ms: u32,
}

/// What the service advises.
fn polling_wait_s() -> u32 {
    3
}

/// What a queue is set to when nobody chose.
fn visibility_s() -> u32 {
    30
}

impl Queue {
    /// Checks what the keys say together.
    ///
    /// # Errors
    /// A sentence that names the key, the value and the cure.
    pub fn check(&self) -> Result<(), String> {
        self.address()?;
        self.check_name()?;
        self.secret_id()?;
        self.secret_key()?;
        self.token()?;
        within("polling_wait_s", self.polling_wait_s, 0, POLLING_WAIT_S_MAX)?;
        within("visibility_s", self.visibility_s, 1, TWELVE_HOURS_S)?;
        within("warn_age_s", self.warn_age_s, 1, TWELVE_HOURS_S)?;
        batch_size::check(self.max_messages, self.max_wait_ms)?;
        let visibility_ms = u64::from(self.visibility_s) * 1000;
        if visibility_ms < 2 * u64::from(self.max_wait_ms) {
            return Err(format!(
                "`max_wait_ms` is {}, more than half of the queue's visibility timeout (`visibility_s` is {}): messages would be \
                 delivered again before they are in the books; lower `max_wait_ms`, or raise the timeout of the queue and \
                 `visibility_s`",
                self.max_wait_ms, self.visibility_s
            ));
        }
        Ok(())
    }

    /// The endpoint.
    ///
    /// # Errors
    /// A sentence where it is none, or would send messages over a public network without TLS.
    pub fn address(&self) -> Result<Address, String> {
        let address = Address::read("endpoint", &self.endpoint, &["https", "http"])?;
        if !matches!(&*address.path, "" | "/" | "/v2/index.php") {
            return Err(format!(
                "`endpoint` has the path {:?}; write the host alone",
                address.path
            ));
        }
        if address.scheme == "http" && !address.is_loopback() && !address.host.ends_with(INNER_NETWORK) {
            return Err(format!(
                "`endpoint` is http://{}, and messages would pass a public network in the clear; write https:// (http:// is for \
                 this machine and for names that end in {INNER_NETWORK})",
                address.host
            ));
        }
        Ok(address)
    }

    /// Where the id of the key is.
    pub fn secret_id(&self) -> Result<SecretPlace, String> {
        required("secret_id", self.secret_id_file.as_ref(), self.secret_id_env.as_ref())
    }

    /// Where the key is that signs.
    pub fn secret_key(&self) -> Result<SecretPlace, String> {
        required(
            "secret_key",
            self.secret_key_file.as_ref(),
            self.secret_key_env.as_ref(),
        )
    }

    /// Where the token of temporary keys is, if the keys are temporary.
    pub fn token(&self) -> Result<Option<SecretPlace>, String> {
        SecretPlace::of("token", self.token_file.as_ref(), self.token_env.as_ref())
    }

    /// When a micro-batch is full.
    pub fn batch_size(&self) -> BatchSize {
        BatchSize::of(self.max_messages, self.max_wait_ms)
    }

    fn check_name(&self) -> Result<(), String> {
        let name = &self.queue;
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !begins || NAME_BYTES_MAX < name.len() || !name.chars().all(is_of_name) {
            return Err(format!(
                "`queue` is {name:?}; a queue's name is a letter and then letters, digits and `-`, at most {NAME_BYTES_MAX} of them"
            ));
        }
        let lower = name.to_ascii_lowercase();
        if let Some(end) = OF_THE_SERVICE.iter().find(|end| lower.ends_with(**end)) {
            return Err(format!(
                "`queue` is {name:?}; queues whose names end in {end} are the service's own"
            ));
        }
        Ok(())
    }
}

/// The place of a secret that must be there.
fn required(name: &str, file: Option<&PathBuf>, env: Option<&String>) -> Result<SecretPlace, String> {
    let missing = || format!("`{name}_file` or `{name}_env` is missing: one of them must say where the secret is");
    SecretPlace::of(name, file, env)?.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::super::Kind;

    const QUEUE: &str = "endpoint = \"https://cmq-gz.public.tencenttdmq.com\"\nqueue = \"usage\"\nsecret_id_env = \"ID\"\nsecret_key_file = \
         \"/etc/key\"\nwarn_age_s = 3600\n";

    fn read(text: &str) -> Result<Kind, String> {
        Kind::read("cmq", toml::from_str(text).unwrap())
    }

    #[test]
    fn a_definition_needs_the_endpoint_the_queue_the_places_of_the_keys_and_the_age_to_warn_of() {
        let Kind::Cmq(queue) = read(QUEUE).unwrap() else {
            panic!("a queue is expected");
        };
        assert_eq!(
            (
                queue.polling_wait_s,
                queue.visibility_s,
                queue.max_messages,
                queue.max_wait_ms
            ),
            (3, 30, 2000, 2000)
        );
        for line in QUEUE.lines() {
            let key = line.split([' ', '_']).next().unwrap();
            let refused = read(&QUEUE.replace(line, "")).unwrap_err();
            assert!(refused.contains(key), "{key}: {refused}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_limit() {
        for (from, to, named) in [
            (
                "https://cmq-gz",
                "http://cmq-gz",
                "`endpoint` is http://cmq-gz.public.tencenttdmq.com",
            ),
            ("\nqueue", "\nsecret_key = \"x\"\nqueue", "secret_key"),
            ("\"usage\"", "\"usage-dlq\"", "-dlq"),
            ("\"usage\"", "\"1\"", "`queue` is \"1\""),
            ("warn_age_s = 3600", "warn_age_s = 0", "from 1 to 43200"),
            (
                "warn_age_s = 3600",
                "warn_age_s = 9\npolling_wait_s = 31",
                "from 0 to 30",
            ),
            (
                "warn_age_s = 3600",
                "warn_age_s = 9\nvisibility_s = 3",
                "`max_wait_ms` is 2000",
            ),
            (
                "warn_age_s = 3600",
                "warn_age_s = 9\nmax_messages = 0",
                "`max_messages` is 0",
            ),
            (
                "secret_id_env",
                "secret_id_file = \"a\"\nsecret_id_env",
                "remove one of them",
            ),
        ] {
            assert!(QUEUE.contains(from), "{from}");
            let refused = read(&QUEUE.replace(from, to)).unwrap_err();
            assert!(refused.contains(named), "{to}: {refused}");
        }
    }

    #[test]
    fn http_is_for_this_machine_and_the_inner_network() {
        for endpoint in [
            "http://127.0.0.1:8080",
            "http://gz.mqadapter.cmq.tencentyun.com",
            "https://cmq-gz.public.tencenttdmq.com/",
        ] {
            assert!(
                read(&QUEUE.replace("https://cmq-gz.public.tencenttdmq.com", endpoint)).is_ok(),
                "{endpoint}"
            );
        }
    }
}
