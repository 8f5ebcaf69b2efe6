//! What a request to TDMQ for CMQ is: named values, their signature, and the form that carries both.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::catalog::source::secret::Secret;

/// Where every request goes.
pub(super) const PATH: &str = "/v2/index.php";

/// How a request is signed, as it says itself.
pub(super) const METHOD: &str = "HmacSHA256";

/// Named values of a request, sorted by their names' bytes.
pub(super) type Values = BTreeMap<String, String>;

/// The signature of a request that is sent by POST. `host` has its port, where it is not the usual one.
pub(super) fn sign(key: &Secret, host: &str, values: &Values) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(signed_text(host, values).as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The text that is signed: values are raw, and in a POST those that begin with `@` are left out.
fn signed_text(host: &str, values: &Values) -> String {
    let mut text = format!("POST{host}{PATH}?");
    let mut between = "";
    for (name, value) in values.iter().filter(|(_, value)| !value.starts_with('@')) {
        write!(text, "{between}{}={value}", name.replace('_', ".")).expect("text can be written into memory");
        between = "&";
    }
    text
}

/// The values as a form.
pub(super) fn form(values: &Values) -> String {
    let pairs = values
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("text can be written into memory");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn what_is_signed_is_sorted_by_bytes_and_not_encoded() {
        let values = values(&[
            ("queueName", "q"),
            ("Action", "A b"),
            ("a_1", "ü"),
            ("at", "@file"),
            ("receiptHandle.10", "x"),
            ("receiptHandle.2", "y"),
        ]);
        assert_eq!(
            signed_text("127.0.0.1:80", &values),
            "POST127.0.0.1:80/v2/index.php?Action=A b&a.1=ü&queueName=q&receiptHandle.10=x&receiptHandle.2=y"
        );
        assert_eq!(
            form(&values),
            "Action=A%20b&a_1=%C3%BC&at=%40file&queueName=q&receiptHandle.10=x&receiptHandle.2=y"
        );
    }

    #[test]
    fn a_signature_is_hmac_sha256_in_base64() {
        // As Python's hmac signs it.
        let signature = sign(&Secret::new("Jefe"), "h", &values(&[("Action", "SendMessage")]));
        assert_eq!(signature, "JzZUmi8kXyBdKqidgn8wpVaO2tqBNtGqd5P3PQTc/J8=");
    }
}
