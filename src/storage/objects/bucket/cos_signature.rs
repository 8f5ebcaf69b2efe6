//! Signatures of COS: its own, with HMAC-SHA1 over the method, the path, the parameters and the host. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use ring::{digest, hmac};

use super::super::Keys;
use super::Ask;
use super::address::encoded;
use crate::values::digest::hex;

/// How long before and after its time a signature holds, for clocks that are a little apart.
const EARLY: TimeDelta = TimeDelta::minutes(1);
const LATE: TimeDelta = TimeDelta::minutes(10);

/// The headers that sign a request.
pub fn headers(keys: &Keys, host: &str, ask: &Ask, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
    let mut headers = vec![("host", host.to_owned())];
    if let Some(token) = &keys.token {
        headers.push(("x-cos-security-token", token.clone()));
    }
    headers.push(("authorization", authorization(keys, host, ask, now)));
    headers
}

fn authorization(keys: &Keys, host: &str, ask: &Ask, now: DateTime<Utc>) -> String {
    let times = format!("{};{}", (now - EARLY).timestamp(), (now + LATE).timestamp());
    let (names, parameters) = listed(&ask.query);
    let (header_names, headers) = listed(&[("host", host.to_owned())]);
    let method = ask.method.name().to_ascii_lowercase();
    let path = format!("/{}", ask.key.unwrap_or_default());
    let request = format!("{method}\n{path}\n{parameters}\n{headers}\n");
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, request.as_bytes());
    let text = format!("sha1\n{times}\n{}\n", hex(digest.as_ref()));
    let signature = mac(&mac(&keys.secret, &times), &text);
    let id = &keys.id;
    format!(
        "q-sign-algorithm=sha1&q-ak={id}&q-sign-time={times}&q-key-time={times}&q-header-list={header_names}\
         &q-url-param-list={names}&q-signature={signature}"
    )
}

/// The names by order, and the pairs as they are signed.
fn listed(pairs: &[(&'static str, String)]) -> (String, String) {
    let mut pairs: Vec<(String, String)> = pairs
        .iter()
        .map(|(name, value)| (encoded(&name.to_ascii_lowercase(), b""), encoded(value, b"")))
        .collect();
    pairs.sort_unstable();
    let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    let signed: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (names.join(";"), signed.join("&"))
}

/// Hex digits of the HMAC; COS takes them as the key of the next.
fn mac(key: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    hex(hmac::sign(&key, text.as_bytes()).as_ref())
}
